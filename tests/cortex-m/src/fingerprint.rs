//! A short training run, and a hash of every bit of its result. The firmware includes this file,
//! and so does the host's test: both must come to the same hash.

use decora::adapter::Pass;
use decora::backend::Store;
use decora::direction::LowRank;
use decora::error::Error;
use decora::frozen::{Format, Frozen};
use decora::init::Rng;
use decora::linear::Linear;
use decora::mlp::{Mlp, Shape};
use decora::network::Activation;
use decora::optim::{AdamW, Optimizer, Rule, Schedule, Training};
use decora::param::Parameters;
use decora::spec::{NormGradient, Plan, Spec};
use decora_cpu::{Cpu, CpuError};

type Outcome<T> = Result<T, Error<CpuError>>;

const ROWS: usize = 6;
const STEPS: u64 = 10;
const DIMS: [usize; 3] = [13, 11, 5];

/// Everything on: exact norm gradient, dropout, biases.
const SPEC: Spec =
    Spec { norm_gradient: NormGradient::Exact, dropout: 0.25, bias: true, ..Spec::dora(3, 4.0) };

const PLANS: [Plan; 2] = [plan(0), plan(1)];

const fn plan(i: usize) -> Plan {
    Plan { out: DIMS[i + 1], inputs: DIMS[i], bias: true, rows: ROWS, spec: SPEC, moments: 2 }
}

const fn shape(activation: Activation) -> Shape<'static> {
    Shape { plans: &PLANS, activation }
}

/// The arena it takes, for the hungrier of the activations.
pub(crate) const WORDS: usize =
    shape(Activation::Gelu).words::<f32>() + Optimizer::<Cpu<'static, f32>>::WORDS;

/// FNV-1a over 32-bit words.
struct Hash(u64);

impl Hash {
    fn add(&mut self, x: f32) {
        self.0 = (self.0 ^ u64::from(x.to_bits())).wrapping_mul(0x0100_0000_01B3);
    }
}

/// The hash of all losses and all trained parameters after ten steps with each activation.
pub(crate) fn fingerprint(arena: &mut [f32]) -> Outcome<u64> {
    let mut hash = Hash(0xCBF2_9CE4_8422_2325);
    for activation in [Activation::Relu, Activation::Tanh, Activation::Gelu, Activation::Silu] {
        run(arena, activation, &mut hash)?;
    }
    Ok(hash.0)
}

fn run(arena: &mut [f32], activation: Activation, hash: &mut Hash) -> Outcome<()> {
    let mut rng = Rng::new(7);
    let mut draw = |x: &mut f32| *x = rng.within(0.5) as f32;
    let (mut w0, mut w1) = ([0.0; DIMS[0] * DIMS[1]], [0.0; DIMS[1] * DIMS[2]]);
    let (mut bias, mut x) = ([0.0; DIMS[1]], [0.0; ROWS * DIMS[0]]);
    for some in [&mut w0[..], &mut w1, &mut bias, &mut x] {
        some.iter_mut().for_each(&mut draw);
    }

    let mut be = Cpu::<f32>::new(arena);
    let w0 = Frozen::new(DIMS[1], DIMS[0], Format::F32(&w0))?;
    let w1 = Frozen::new(DIMS[2], DIMS[1], Format::F32(&w1))?;
    let layers =
        [Linear::new(&mut be, w0, Some(&bias))?, Linear::new(&mut be, w1, Some(&bias[..DIMS[2]]))?];
    let mut mlp: Mlp<'_, _, LowRank<_>, 2> =
        Mlp::new(&mut be, shape(activation), layers, &mut Rng::new(3))?;
    let schedule = Schedule::Cosine { warmup: 2, total: STEPS };
    let rule = Rule::AdamW(AdamW::default());
    let training = Training { rule, lr: 0.05, schedule, clip: Some(0.5), ..Training::default() };
    let mut optimizer = Optimizer::new(&mut be, training)?;
    for step in 0..STEPS {
        let scale = 1.0 / ROWS as f64;
        mlp.train(&mut be, &x, &[0, 1, 2, 3, 4, 0], scale, Pass::Train(step), Store::Replace)?;
        hash.add(mlp.loss(&mut be)? as f32);
        optimizer.step(&mut be, &mut mlp)?;
    }
    mlp.visit(&mut be, &mut |_, _, p| {
        p.value().iter().for_each(|&x| hash.add(x));
        Ok(())
    })
}
