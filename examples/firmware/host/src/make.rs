//! The data of the firmware.

use decora::f16;
use decora::init::Rng;
use decora_cpu::Cpu;
use decora_firmware::data::Precision;
use decora_firmware::digits::{PIXELS, Sample, record};
use personalize::adapt::Case;
use personalize::config::Settings;
use personalize::data::{Digits, Samples};
use personalize::device::Source;
use personalize::error::Error;
use personalize::net::{Dense, Weights, module};
use safetensors::SafeTensorError;
use safetensors::tensor::{Dtype, TensorView, serialize};

/// Which of the seeds of `personalize` decides base network and images: its first.
pub const SEED: u64 = 1;

/// The kernels that give the same bits everywhere, with memory from the heap.
pub type Desktop = Cpu<'static, f32>;

/// What `personalize` makes of its first seed: the base network, and who gets which images.
#[derive(Debug)]
pub struct Task {
    /// The desktop's own view of it.
    pub case: Case<Desktop>,
}

impl Task {
    /// Trains the base network, on the portable kernels.
    ///
    /// # Errors
    /// Those of `personalize`.
    pub fn new() -> Result<Self, Error> {
        let mut device = source().open()?;
        let steps = Settings::full().base_steps;
        Ok(Self { case: Case::new(&mut device, &Digits::embedded()?, SEED, steps)? })
    }

    /// The new user's labelled samples.
    #[must_use]
    pub fn samples(&self) -> Vec<Sample> {
        of(&self.case.samples)
    }

    /// Test images in the new user's hand.
    #[must_use]
    pub fn user(&self) -> Vec<Sample> {
        of(&self.case.user)
    }

    /// The same test images, upright.
    #[must_use]
    pub fn old(&self) -> Vec<Sample> {
        of(&self.case.old)
    }
}

/// Where `personalize` gets its devices from.
#[must_use]
pub fn source() -> Source<'static, Desktop> {
    Source::new(&|| Ok(Cpu::heap()), 0)
}

fn of(samples: &Samples<f32>) -> Vec<Sample> {
    let (rows, _) = samples.x.as_chunks::<PIXELS>();
    let pairs = rows.iter().zip(&samples.labels);
    pairs.map(|(pixels, &label)| Sample { pixels: *pixels, label }).collect()
}

/// A recording of these samples, in an order that nothing but their number decides: a person does
/// not write ten zeros, then ten ones.
#[must_use]
pub fn recording(samples: &[Sample]) -> Vec<u8> {
    let mut order: Vec<usize> = (0..samples.len()).collect();
    Rng::new(SEED).shuffle(&mut order);
    order.iter().filter_map(|&i| samples.get(i)).flat_map(record).collect()
}

/// The bytes of a safetensors file with this network: `layers.0.weight` `(out, in)`, `layers.0.bias`
/// `(out)`, and so on.
///
/// # Errors
/// None, as long as weights fill their shapes.
pub fn base(weights: &Weights, precision: Precision) -> Result<Vec<u8>, SafeTensorError> {
    let mut tensors = Vec::new();
    for (i, layer) in weights.layers.iter().enumerate() {
        tensors.push((format!("{}.weight", module(i)), weight(layer, precision)));
        let bias = layer.b.iter().flat_map(|b| b.to_le_bytes()).collect();
        tensors.push((format!("{}.bias", module(i)), (Dtype::F32, vec![layer.out], bias)));
    }
    let views = tensors.iter().map(named).collect::<Result<Vec<_>, SafeTensorError>>()?;
    serialize(views, None)
}

/// Type, shape and bytes of a tensor.
type Stored = (Dtype, Vec<usize>, Vec<u8>);

fn named((name, of): &(String, Stored)) -> Result<(String, TensorView<'_>), SafeTensorError> {
    let (dtype, shape, bytes) = of;
    Ok((name.clone(), TensorView::new(*dtype, shape.clone(), bytes)?))
}

fn weight(layer: &Dense, precision: Precision) -> Stored {
    let shape = vec![layer.out, layer.inputs];
    match precision {
        Precision::Single => {
            (Dtype::F32, shape, layer.w.iter().flat_map(|w| w.to_le_bytes()).collect())
        }
        Precision::Half => {
            let half = |w: &f32| f16::from_f32(*w).to_le_bytes();
            (Dtype::F16, shape, layer.w.iter().flat_map(half).collect())
        }
    }
}
