//! From the outcomes of all seeds to the figures of the report.

use decora::decompose::correlation;
use serde::Serialize;

use crate::adapt::{Accuracy, Outcome, Point};
use crate::config::{Method, Settings, Variant};
use crate::experiment::{SeedOutcome, Timing};
use crate::stats::{Paired, Summary, mean, median};

/// A line of the table.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// What adapted; `None` for the base network.
    #[serde(flatten)]
    pub variant: Option<Variant>,
    /// Accuracy on the new user's digits.
    pub user: Summary,
    /// Accuracy on the old users' digits.
    pub old: Summary,
    /// Numbers that were trained.
    pub parameters: usize,
    /// Bytes of the saved adapter.
    pub bytes: usize,
    /// Median time of a training step, in microseconds.
    pub micros: Option<f64>,
    /// Median of DoRA's step time divided by LoRA's; on DoRA's lines.
    pub dora_over_lora: Option<f64>,
}

/// First minus second, in accuracy.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Comparison {
    /// What is compared.
    pub first: Variant,
    /// With what.
    pub second: Variant,
    /// On the new user's digits.
    pub user: Paired,
    /// On the old users' digits.
    pub old: Paired,
}

/// How far a method moves magnitudes and directions, and how the two go together.
#[derive(Clone, Debug, Serialize)]
pub struct Cloud {
    /// What adapted.
    #[serde(flatten)]
    pub variant: Variant,
    /// Mean ΔM at the last checkpoint, over layers and seeds.
    pub magnitude: f64,
    /// Mean ΔD at the last checkpoint, over layers and seeds.
    pub direction: f64,
    /// Pearson's correlation over layers, checkpoints and seeds, as in the paper.
    pub correlation: Option<f64>,
    /// The same over checkpoints and seeds within each layer, averaged over layers.
    pub within_layers: Option<f64>,
    /// The same over layers and seeds at the last checkpoint alone.
    pub at_the_end: Option<f64>,
}

/// All figures.
#[derive(Clone, Debug, Serialize)]
pub struct Figures {
    /// The table, the base network first.
    pub rows: Vec<Row>,
    /// DoRA against LoRA at each rank, then against full fine-tuning.
    pub comparisons: Vec<Comparison>,
    /// Full fine-tuning, LoRA and DoRA.
    pub clouds: Vec<Cloud>,
}

impl Figures {
    /// Of these outcomes.
    #[must_use]
    pub fn new(settings: &Settings, seeds: &[SeedOutcome], timings: &[Timing]) -> Self {
        let variants = settings.variants();
        let rows = core::iter::once(base_row(seeds))
            .chain(variants.iter().map(|&v| row(v, seeds, timings)))
            .collect();
        let of = |method, &rank: &usize| Variant::of(method, rank);
        let pairs = settings.ranks.iter().flat_map(|rank| {
            let dora = of(Method::Dora, rank);
            [(dora, of(Method::Lora, rank)), (dora, of(Method::Full, rank))]
        });
        let known = |v: &Variant| variants.contains(v);
        let comparisons =
            pairs.filter(|(a, b)| known(a) && known(b)).map(|(a, b)| compare(a, b, seeds));
        let clouds = variants.iter().filter(|v| v.method != Method::Magnitude);
        Self {
            rows,
            comparisons: comparisons.collect(),
            clouds: clouds.map(|&v| cloud(v, seeds)).collect(),
        }
    }

    /// The line of a variant.
    #[must_use]
    pub fn row(&self, variant: Option<Variant>) -> Option<&Row> {
        self.rows.iter().find(|row| row.variant == variant)
    }
}

/// The outcomes of a variant, seed by seed.
pub fn outcomes(variant: Variant, seeds: &[SeedOutcome]) -> impl Iterator<Item = &Outcome> {
    seeds.iter().flat_map(|s| &s.runs).filter(move |run| run.variant == variant)
}

fn accuracies(variant: Variant, seeds: &[SeedOutcome], of: fn(&Accuracy) -> f64) -> Vec<f64> {
    outcomes(variant, seeds).map(|run| of(&run.accuracy)).collect()
}

const USER: fn(&Accuracy) -> f64 = |a| a.user;
const OLD: fn(&Accuracy) -> f64 = |a| a.old;

fn base_row(seeds: &[SeedOutcome]) -> Row {
    let of = |f: fn(&Accuracy) -> f64| {
        Summary::of(&seeds.iter().map(|s| f(&s.base)).collect::<Vec<_>>())
    };
    Row {
        variant: None,
        user: of(USER),
        old: of(OLD),
        parameters: 0,
        bytes: 0,
        micros: None,
        dora_over_lora: None,
    }
}

fn row(variant: Variant, seeds: &[SeedOutcome], timings: &[Timing]) -> Row {
    let mine = || timings.iter().filter(|t| variant.rank.is_none_or(|rank| rank == t.rank));
    let micros: Vec<f64> = mine()
        .flat_map(|t| &t.micros)
        .filter(|(method, _)| *method == variant.method)
        .map(|(_, micros)| *micros)
        .collect();
    let first = outcomes(variant, seeds).next();
    Row {
        variant: Some(variant),
        user: Summary::of(&accuracies(variant, seeds, USER)),
        old: Summary::of(&accuracies(variant, seeds, OLD)),
        parameters: first.map_or(0, |run| run.parameters),
        bytes: first.map_or(0, |run| run.bytes),
        micros: (!micros.is_empty()).then(|| median(&micros)),
        dora_over_lora: match variant.method {
            Method::Dora => mine().next().and_then(|t| t.dora_over_lora),
            _ => None,
        },
    }
}

fn compare(first: Variant, second: Variant, seeds: &[SeedOutcome]) -> Comparison {
    let of = |f| Paired::of(&accuracies(first, seeds, f), &accuracies(second, seeds, f));
    Comparison { first, second, user: of(USER), old: of(OLD) }
}

fn cloud(variant: Variant, seeds: &[SeedOutcome]) -> Cloud {
    let points: Vec<Point> =
        outcomes(variant, seeds).flat_map(|run| &run.deviations).copied().collect();
    let last = points.iter().map(|p| p.step).max().unwrap_or(0);
    let ending: Vec<Point> = points.iter().copied().filter(|p| p.step == last).collect();
    let layers = points.iter().map(|p| p.layer + 1).max().unwrap_or(0);
    let in_layer = |layer| {
        let own: Vec<Point> = points.iter().copied().filter(|p| p.layer == layer).collect();
        correlation(&pairs(&own))
    };
    let within: Option<Vec<f64>> = (0..layers).map(in_layer).collect();
    Cloud {
        variant,
        magnitude: mean(&ending.iter().map(|p| p.magnitude).collect::<Vec<_>>()),
        direction: mean(&ending.iter().map(|p| p.direction).collect::<Vec<_>>()),
        correlation: correlation(&pairs(&points)),
        within_layers: within.filter(|w| !w.is_empty()).map(|w| mean(&w)),
        at_the_end: correlation(&pairs(&ending)),
    }
}

/// (ΔD, ΔM) of each point.
#[must_use]
pub fn pairs(points: &[Point]) -> Vec<(f64, f64)> {
    points.iter().map(|p| (p.direction, p.magnitude)).collect()
}

/// The correlation that the DoRA paper found for a method (Liu et al. 2024, Figure 2: query
/// matrices of VL-BART).
#[must_use]
pub const fn in_the_paper(method: Method) -> Option<f64> {
    match method {
        Method::Full => Some(-0.62),
        Method::Lora => Some(0.83),
        Method::Dora => Some(-0.31),
        Method::Magnitude => None,
    }
}
