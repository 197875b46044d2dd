//! The network: a small perceptron, frozen, with an adapter on each layer.

use decora::backend::AccumOf;
use decora::checkpoint;
use decora::direction::Any;
use decora::error::{Error, same};
use decora::frozen::{Format, Frozen, FrozenError};
use decora::init::Rng;
use decora::linear::Linear;
use decora::merge::Merge;
use decora::mlp::{Mlp, Shape};
use decora::network::{Activation, Network};
use decora::param::{Param, Parameters, Slot};
use decora::scalar::{Accum, Scalar};
use decora::spec::{Plan, Spec};

use crate::data::{CLASSES, PIXELS, Samples};
use crate::peft::{Tensor, Tensors};

/// Layers.
pub const LAYERS: usize = 3;
/// Neurons of the input, of each hidden layer, and of the output.
pub const WIDTHS: [usize; LAYERS + 1] = [PIXELS, 64, 32, CLASSES];
/// The most samples in one pass.
pub const ROWS: usize = 64;
/// Rows of a weight that travel at a time when adapters are merged.
const MERGE_ROWS: usize = 16;

/// A network on the device `B`, its weights in the caller's memory for `'w`.
pub type Net<'w, B> = Mlp<'w, B, Any<B>, LAYERS>;
/// What the library answers on the device `B`.
pub type NetResult<T, B> = Result<T, Error<<B as decora::backend::Backend>::Error>>;

/// One linear layer: W `(out, in)` and b `(out)`.
#[derive(Clone, Debug, PartialEq)]
pub struct Dense {
    /// Rows of W.
    pub out: usize,
    /// Columns of W.
    pub inputs: usize,
    /// W, row after row.
    pub w: Vec<f32>,
    /// b.
    pub b: Vec<f32>,
}

/// The weights of a network, first layer to last.
#[derive(Clone, Debug, PartialEq)]
pub struct Weights {
    /// The layers.
    pub layers: Vec<Dense>,
}

impl Weights {
    /// W and b from U(−1/√in, 1/√in), as PyTorch begins.
    #[must_use]
    pub fn random(rng: &mut Rng) -> Self {
        let layer = |(&inputs, &out): (&usize, &usize)| {
            let bound = 1.0 / (inputs as f64).sqrt();
            let mut draw =
                |n| core::iter::repeat_with(|| rng.within(bound) as f32).take(n).collect();
            Dense { out, inputs, w: draw(out * inputs), b: draw(out) }
        };
        Self { layers: WIDTHS.iter().zip(&WIDTHS[1..]).map(layer).collect() }
    }

    /// What tells them from other weights: see [`checkpoint::fingerprint`].
    ///
    /// # Errors
    /// [`FrozenError`] for weights that are not as many as the shapes say.
    pub fn fingerprint(&self) -> Result<u64, FrozenError> {
        let mut layers = Vec::new();
        for l in &self.layers {
            let w = Frozen::trusted(l.out, l.inputs, Format::F32(&l.w))?;
            layers.push((w, Some(l.b.as_slice())));
        }
        Ok(checkpoint::fingerprint(layers))
    }

    /// Name in PEFT's files, `out` and `in` of each layer.
    #[must_use]
    pub fn shapes(&self) -> Vec<(String, usize, usize)> {
        let shape = |(i, l): (usize, &Dense)| (module(i), l.out, l.inputs);
        self.layers.iter().enumerate().map(shape).collect()
    }
}

/// A network over frozen `weights`, every layer adapted as `spec` says.
///
/// # Errors
/// What [`Mlp::new`] answers: of the spec, say, a rank above that of a layer.
pub fn build<'w, B: Network>(
    be: &mut B,
    weights: &'w Weights,
    spec: Spec,
    rng: &mut Rng,
) -> NetResult<Net<'w, B>, B> {
    let plan =
        |l: &Dense| Plan { out: l.out, inputs: l.inputs, bias: true, rows: ROWS, spec, moments: 2 };
    let plans: Vec<Plan> = weights.layers.iter().map(plan).collect();
    let bases: Vec<Linear<'w, B>> =
        weights.layers.iter().map(|l| linear(be, l)).collect::<Result<_, _>>()?;
    Mlp::new(be, Shape { plans: &plans, activation: Activation::Relu }, bases, rng)
}

fn linear<'w, B: Network>(be: &mut B, l: &'w Dense) -> NetResult<Linear<'w, B>, B> {
    let b: Vec<AccumOf<B>> = l.b.iter().map(|&b| AccumOf::<B>::of_f32(b)).collect();
    Linear::new(be, Frozen::new(l.out, l.inputs, Format::F32(&l.w))?, Some(&b))
}

/// The batches of a training run: every sample once, in random order, then all again.
#[derive(Debug)]
pub struct Batches<'s, S> {
    samples: &'s Samples<S>,
    order: Vec<usize>,
    next: usize,
    rng: Rng,
    x: Vec<S>,
    labels: Vec<u32>,
}

impl<'s, S: Scalar> Batches<'s, S> {
    /// Batches of `samples` in an order that `rng` decides.
    #[must_use]
    pub fn new(samples: &'s Samples<S>, rng: Rng) -> Self {
        let order: Vec<usize> = (0..samples.len()).collect();
        let next = order.len();
        Self { samples, order, next, rng, x: Vec::new(), labels: Vec::new() }
    }

    /// The next `size` samples; what an epoch has left over is skipped.
    pub fn next(&mut self, size: usize) -> (&[S], &[u32]) {
        if self.next + size > self.order.len() {
            self.rng.shuffle(&mut self.order);
            self.next = 0;
        }
        let end = (self.next + size).min(self.order.len());
        let batch = self.order.get(self.next..end).unwrap_or_default();
        self.samples.gather(batch, &mut self.x, &mut self.labels);
        self.next = end;
        (&self.x, &self.labels)
    }
}

/// The outputs for all samples, row after row.
///
/// # Errors
/// Device errors.
pub fn outputs<B: Network>(
    be: &mut B,
    net: &mut Net<'_, B>,
    samples: &Samples<B::Scalar>,
) -> NetResult<Vec<f64>, B> {
    let mut all = Vec::with_capacity(samples.len() * CLASSES);
    for x in samples.x.chunks(ROWS * PIXELS) {
        let mut y = vec![B::Scalar::default(); x.len() / PIXELS * CLASSES];
        net.infer(be, x, &mut y)?;
        all.extend(y.iter().map(|y| y.widen().f64()));
    }
    Ok(all)
}

/// The share of samples whose largest output is that of their label.
///
/// # Errors
/// Device errors.
pub fn accuracy<B: Network>(
    be: &mut B,
    net: &mut Net<'_, B>,
    samples: &Samples<B::Scalar>,
) -> NetResult<f64, B> {
    let y = outputs(be, net, samples)?;
    let right = |(y, &label): (&[f64], &u32)| {
        let best = y.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
        best.is_some_and(|(i, _)| i == label as usize)
    };
    let hits = y.chunks(CLASSES).zip(&samples.labels).filter(|pair| right(*pair)).count();
    Ok(hits as f64 / samples.len().max(1) as f64)
}

/// The weights with the adapters merged into them, every element checked to be finite, and the
/// biases as trained.
///
/// # Errors
/// What [`Merge::stream_checked`] answers.
pub fn merged<B: Network>(
    be: &mut B,
    net: &mut Net<'_, B>,
    base: &Weights,
) -> NetResult<Weights, B> {
    let mut merged = base.clone();
    let (layers, ws) = net.layers_mut();
    for (layer, to) in layers.iter_mut().zip(&mut merged.layers) {
        let mut merge = Merge::new(be, MERGE_ROWS, to.inputs)?;
        let mut host = vec![AccumOf::<B>::default(); MERGE_ROWS * to.inputs];
        to.w.clear();
        merge.stream_checked(be, ws, &layer.base, &mut layer.adapter, &mut host, &mut |_, w| {
            to.w.extend(w.iter().map(|w| w.f32()));
            Ok(())
        })?;
    }
    net.visit(be, &mut |be, layer, p| {
        if let (Slot::Bias, Some(to)) = (p.slot, merged.layers.get_mut(layer)) {
            to.b = values(be, p)?;
        }
        Ok(())
    })?;
    Ok(merged)
}

/// The trained parameters, named and shaped as PEFT does; a magnitude of a row that is zero in W
/// is the norm of that row in V.
///
/// # Errors
/// Device errors.
pub fn tensors<B: Network>(be: &mut B, net: &mut Net<'_, B>) -> NetResult<Tensors, B> {
    // A forward pass brings n, and the magnitudes that follow it, up to date.
    net.infer(be, &[B::Scalar::default(); PIXELS], &mut [B::Scalar::default(); CLASSES])?;
    let mut tensors = Tensors::new();
    net.visit(be, &mut |be, layer, p| {
        tensors.insert(key(layer, p), Tensor { shape: dimensions(p), values: values(be, p)? });
        Ok(())
    })?;
    Ok(tensors)
}

/// Sets the trained parameters.
///
/// # Errors
/// [`Error::Shape`] when a tensor is missing or has another shape; device errors.
pub fn set<B: Network>(be: &mut B, net: &mut Net<'_, B>, tensors: &Tensors) -> NetResult<(), B> {
    net.visit(be, &mut |be, layer, p| {
        let found = tensors.get(&key(layer, p));
        let values = found.map(|t| t.values.as_slice()).unwrap_or_default();
        same("adapter file: tensor (elements)", (values.len(), 1), (p.count(), 1))?;
        let values: Vec<_> = values.iter().map(|&v| AccumOf::<B>::of_f32(v)).collect();
        p.set(be, &values)
    })
}

fn values<B: Network>(be: &mut B, p: &Param<B>) -> NetResult<Vec<f32>, B> {
    let mut values = vec![AccumOf::<B>::default(); p.count()];
    p.get(be, &mut values)?;
    Ok(values.iter().map(|v| v.f32()).collect())
}

fn key<B: Network>(layer: usize, p: &Param<B>) -> String {
    format!("base_model.model.{}.{}", module(layer), p.slot.peft_name())
}

/// The name of a layer in PEFT's files.
#[must_use]
pub fn module(layer: usize) -> String {
    format!("layers.{layer}")
}

fn dimensions<B: Network>(p: &Param<B>) -> Vec<usize> {
    match p.slot.dimensions() {
        1 => vec![p.shape().0],
        _ => vec![p.shape().0, p.shape().1],
    }
}
