//! How the device adapts, and the memory it takes: everything here is known to the compiler.

use decora::mlp::Shape;
use decora::network::{Activation, Relu};
use decora::optim::{AdamW, Optimizer, Rule, Schedule, Training};
use decora::spec::{Plan, Spec};
use decora_cpu::Cpu;

use crate::digits::{CLASSES, PIXELS};

/// Layers of the network.
pub const LAYERS: usize = 3;
/// Neurons of the input, of each hidden layer, and of the output.
pub const SIDES: [usize; LAYERS + 1] = [PIXELS, 64, 32, CLASSES];
/// The names of the layers in files.
pub const MODULES: [&str; LAYERS] = ["layers.0", "layers.1", "layers.2"];
/// φ, and the same as a type: no other is linked.
pub const ACTIVATION: Activation = Activation::Relu;
/// See [`ACTIVATION`].
pub type Phi = Relu;

/// Elements of the longest row of a weight.
pub const WIDEST: usize = 64;
/// Words that merging takes: a row and its gain.
const MERGE: usize = WIDEST + 1;

/// The rank of every adapter.
pub const RANK: usize = 4;
/// DoRA with α = 2r.
const DORA: Spec = Spec::dora(RANK, 2.0 * RANK as f64);

/// Samples whose gradients add up to one step.
pub const ACCUMULATE: usize = 20;
/// How often each of the owner's samples is used.
pub const EPOCHS: usize = 30;
/// Samples that the owner gives.
pub const SAMPLES: usize = 100;
/// Steps of a whole adaptation.
pub const STEPS: u64 = (SAMPLES / ACCUMULATE * EPOCHS) as u64;

/// Which layers are adapted, and how.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Setup {
    /// Its name in logs and tables.
    pub name: &'static str,
    /// How each layer is adapted.
    pub specs: [Spec; LAYERS],
    /// For how many samples the results of the frozen layers at the start are kept.
    pub cached: usize,
}

impl Setup {
    /// DoRA on every layer.
    pub const ALL: Self = Self { name: "all layers", specs: [DORA; LAYERS], cached: 0 };
    /// DoRA on every layer, A as it was drawn.
    pub const FROZEN_A: Self =
        Self { name: "A frozen", specs: [DORA.with_frozen_a(); LAYERS], cached: 0 };
    /// DoRA on all layers but the first, which runs once for each sample.
    pub const CACHED: Self =
        Self { name: "first cached", specs: [Spec::frozen(), DORA, DORA], cached: SAMPLES };
    /// Nothing is trained: a network that something was merged into.
    pub const FROZEN: Self = Self { name: "frozen", specs: [Spec::frozen(); LAYERS], cached: 0 };
    /// Those that learn.
    pub const EACH: [Self; 3] = [Self::ALL, Self::FROZEN_A, Self::CACHED];

    /// The layers as sizes: one sample at a time.
    #[must_use]
    pub const fn plans(&self) -> [Plan; LAYERS] {
        [self.plan(0), self.plan(1), self.plan(2)]
    }

    /// One layer as sizes.
    ///
    /// # Panics
    /// When there is no such layer.
    #[must_use]
    pub const fn plan(&self, layer: usize) -> Plan {
        let (inputs, out) = (SIDES[layer], SIDES[layer + 1]);
        Plan { out, inputs, bias: true, rows: 1, spec: self.specs[layer], moments: 2 }
    }

    /// Words of the arena: network, adapters, optimiser, cache, and a row to merge.
    #[must_use]
    pub const fn words(&self) -> usize {
        let plans = self.plans();
        let shape = Shape { plans: &plans, activation: ACTIVATION };
        let optimizer = Optimizer::<Cpu<'static, f32>>::WORDS;
        shape.words::<f32>() + shape.cache_words::<f32>(self.cached) + optimizer + MERGE
    }
}

/// Words of the arena, for the hungriest setup.
pub const ARENA: usize = {
    let (mut most, mut i) = (0, 0);
    while i < Setup::EACH.len() {
        let words = Setup::EACH[i].words();
        most = if words > most { words } else { most };
        i += 1;
    }
    most
};

/// Bytes that the arena may take: what is stated in `budget.toml`.
pub const ARENA_BUDGET: usize = 64 * 1024;

// The build fails when the arena outgrows its budget.
const _: () = assert!(ARENA * size_of::<f32>() <= ARENA_BUDGET, "the arena exceeds its budget");

/// The settings of a training run: those of `personalize`.
#[must_use]
pub fn training() -> Training {
    Training {
        rule: Rule::AdamW(AdamW::default()),
        lr: 1e-2,
        lr_magnitude: None,
        weight_decay: 0.0,
        schedule: Schedule::Linear { warmup: STEPS / 10, total: STEPS },
        clip: Some(1.0),
    }
}
