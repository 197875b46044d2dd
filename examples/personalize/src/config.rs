//! What is compared, and every number that somebody had to choose.

use core::fmt;

use clap::ValueEnum;
use decora::init::Rng;
use decora::optim::{AdamW, Rule, Schedule, Training};
use decora::spec::Spec;
use serde::Serialize;

/// A way to adapt a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// Full fine-tuning: every weight and bias
    Full,
    /// LoRA: W + s·B·A
    Lora,
    /// DoRA: m ⊙ (W + s·B·A)/‖W + s·B·A‖
    Dora,
    /// Magnitudes only: m ⊙ W/‖W‖
    Magnitude,
}

impl Method {
    /// All of them, in the order of tables.
    pub const ALL: [Self; 4] = [Self::Full, Self::Lora, Self::Dora, Self::Magnitude];

    /// The learning rate at the schedule's top: the smallest whose mean accuracy on the new user,
    /// over all ranks, is within one standard error of the best in `personalize --tune`. Its
    /// seeds, 101 to 120, are not those of any report.
    #[must_use]
    pub const fn lr(self) -> f64 {
        match self {
            Self::Full => 3e-3,
            Self::Lora => 1e-2,
            Self::Dora => 1e-2,
            Self::Magnitude => 3e-2,
        }
    }

    /// Whether it has a rank.
    #[must_use]
    pub const fn has_rank(self) -> bool {
        matches!(self, Self::Lora | Self::Dora)
    }

    /// The name in tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Full => "full fine-tuning",
            Self::Lora => "LoRA",
            Self::Dora => "DoRA",
            Self::Magnitude => "magnitude only",
        }
    }

    /// α = 2r, as in the DoRA paper (Liu et al. 2024, Table 8).
    #[must_use]
    pub const fn alpha(rank: usize) -> usize {
        2 * rank
    }
}

/// The learning rates that `--tune` tries.
pub const RATES: [f64; 6] = [1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1];
/// The seeds of `--tune`.
pub const TUNING_SEEDS: core::ops::RangeInclusive<u64> = 101..=120;

/// A method at one rank.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Variant {
    /// How.
    pub method: Method,
    /// The rank, where the method has one.
    pub rank: Option<usize>,
}

impl Variant {
    /// How each layer is adapted.
    #[must_use]
    pub const fn spec(self) -> Spec {
        let rank = match self.rank {
            Some(rank) => rank,
            None => 0,
        };
        match self.method {
            Method::Full => Spec::full(),
            Method::Lora => Spec::lora(rank, Method::alpha(rank) as f64),
            Method::Dora => Spec::dora(rank, Method::alpha(rank) as f64),
            Method::Magnitude => Spec::magnitude_only(),
        }
    }

    /// A method at a rank, which is left out where the method has none.
    #[must_use]
    pub const fn of(method: Method, rank: usize) -> Self {
        Self { method, rank: if method.has_rank() { Some(rank) } else { None } }
    }
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.rank {
            Some(rank) => write!(f, "{} r={rank}", self.method.name()),
            None => f.write_str(self.method.name()),
        }
    }
}

/// What one run does. All methods take the same steps on the same batches.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Settings {
    /// The methods.
    pub methods: Vec<Method>,
    /// The ranks, for the methods that have one.
    pub ranks: Vec<usize>,
    /// Seeds 1 to this one. A seed decides the split of the images, the base network, the initial
    /// A, and the order of the samples.
    pub seeds: u64,
    /// Steps of adaptation.
    pub steps: usize,
    /// Steps of training the base network.
    pub base_steps: usize,
    /// Pairs of steps whose times are measured, for each rank.
    pub timed: usize,
}

impl Settings {
    /// What the program does when it is not told otherwise.
    #[must_use]
    pub fn full() -> Self {
        Self {
            methods: Method::ALL.to_vec(),
            ranks: vec![1, 2, 4, 8],
            seeds: 20,
            steps: 300,
            base_steps: 800,
            timed: 1000,
        }
    }

    /// A look at everything in a few seconds.
    #[must_use]
    pub fn quick() -> Self {
        Self {
            ranks: vec![1, 4],
            seeds: 3,
            steps: 150,
            base_steps: 500,
            timed: 200,
            ..Self::full()
        }
    }

    /// Every method at every rank, in the order of tables.
    #[must_use]
    pub fn variants(&self) -> Vec<Variant> {
        let of = |&method: &Method| {
            let count = if method.has_rank() { self.ranks.len() } else { 1 };
            self.ranks.iter().take(count).map(move |&rank| Variant::of(method, rank))
        };
        self.methods.iter().flat_map(of).collect()
    }

    /// The rank that curves and scatters show: the one in the middle.
    #[must_use]
    pub fn shown_rank(&self) -> usize {
        self.ranks.get(self.ranks.len() / 2).copied().unwrap_or(0)
    }
}

/// Samples in a batch, of adaptation.
pub const BATCH: usize = 20;
/// Samples in a batch, of the base network's training.
pub const BASE_BATCH: usize = 50;
/// The base network's learning rate; weight decay keeps its weights from growing after it fits.
const BASE_LR: f64 = 3e-3;

/// How the base network is trained.
#[must_use]
pub fn base_training(steps: usize) -> Training {
    Training { weight_decay: 0.01, ..adaptation(BASE_LR, steps) }
}

/// How every method is trained: AdamW without decay, a tenth of the steps to warm up, then linearly
/// to 0 as in the paper, gradients clipped at 1.
#[must_use]
pub fn adaptation(lr: f64, steps: usize) -> Training {
    let total = steps as u64;
    Training {
        rule: Rule::AdamW(AdamW::default()),
        lr,
        lr_magnitude: None,
        weight_decay: 0.0,
        schedule: Schedule::Linear { warmup: total / 10, total },
        clip: Some(1.0),
    }
}

/// What random numbers are for: each purpose has a sequence of its own, so that one method's use
/// of them never changes another's.
#[derive(Clone, Copy, Debug)]
pub enum Purpose {
    /// Who gets which images.
    Split,
    /// The base network before its training.
    Base,
    /// The order of the base network's training images.
    BaseOrder,
    /// A.
    Adapter,
    /// The order of the new user's samples.
    Order,
}

/// The random numbers of a seed for a purpose.
#[must_use]
pub fn rng(seed: u64, purpose: Purpose) -> Rng {
    let mut mixed = Rng::new(seed ^ ((purpose as u64) << 56));
    Rng::new(mixed.next_u64())
}
