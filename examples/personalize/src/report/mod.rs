//! The report folder: figures as JSON, plots as SVG, a page that shows them, and an adapter.

pub mod findings;
pub mod html;
pub mod plot;
pub mod summary;
pub mod table;
pub mod tables;

use std::path::{Path, PathBuf};

use serde::Serialize;

use decora_hub::files;

use crate::adapt::{MERGE_TOLERANCE, Outcome};
use crate::backend::Hardware;
use crate::config::{Settings, Variant};
use crate::data::Digits;
use crate::error::Error;
use crate::experiment::{SeedOutcome, Timing};
use crate::net::WIDTHS;
use crate::warp::{Hand, NEW_USER};
use findings::Finding;
use summary::Figures;

/// The folder, inside the report's, with the saved adapter.
pub const ADAPTER: &str = "adapter";

/// How many images serve for what.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Images {
    /// All of them.
    pub all: usize,
    /// For the base network's training.
    pub train: usize,
    /// The new user's samples.
    pub samples: usize,
    /// For tests.
    pub test: usize,
}

/// Which adapter lies in the folder.
#[derive(Clone, Debug, Serialize)]
pub struct Saved {
    /// What it is.
    #[serde(flatten)]
    pub variant: Variant,
    /// Of which seed.
    pub seed: u64,
}

/// What was verified; a run that fails a check has no report.
#[derive(Clone, Debug, Serialize)]
pub struct Checks {
    /// Adapted networks.
    pub runs: usize,
    /// The largest difference between adapter and merged network, relative to the largest output.
    pub merge_difference: f64,
    /// The largest that is allowed.
    pub merge_tolerance: f64,
    /// The adapter in the folder, when a method with a rank was run.
    pub saved: Option<Saved>,
}

impl Checks {
    /// Of these runs, every one of which passed.
    #[must_use]
    pub fn new(seeds: &[SeedOutcome], saved: Option<Saved>) -> Self {
        let runs = || seeds.iter().flat_map(|s| &s.runs);
        Self {
            runs: runs().count(),
            merge_difference: runs().map(|r: &Outcome| r.merge_difference).fold(0.0, f64::max),
            merge_tolerance: MERGE_TOLERANCE,
            saved,
        }
    }
}

/// Everything that came out, as `report.json` has it.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// What was asked for.
    pub settings: Settings,
    /// What computed it.
    pub hardware: Hardware,
    /// The learning rate of each method.
    pub learning_rates: Vec<(Variant, f64)>,
    /// The new user's hand.
    pub hand: Hand,
    /// Neurons, layer by layer.
    pub widths: [usize; WIDTHS.len()],
    /// Who got how many images.
    pub images: Images,
    /// Means, spreads, differences and correlations.
    #[serde(flatten)]
    pub figures: Figures,
    /// What was verified.
    pub checks: Checks,
    /// What came out, in words.
    pub findings: Vec<Finding>,
    /// Step times, rank by rank.
    pub timings: Vec<Timing>,
    /// Every run of every seed.
    pub seeds: Vec<SeedOutcome>,
}

impl Report {
    /// The report on these outcomes.
    #[must_use]
    pub fn new(
        settings: &Settings,
        hardware: Hardware,
        images: Images,
        seeds: Vec<SeedOutcome>,
        timings: Vec<Timing>,
        saved: Option<Saved>,
    ) -> Self {
        let figures = Figures::new(settings, &seeds, &timings);
        let checks = Checks::new(&seeds, saved);
        Self {
            settings: settings.clone(),
            hardware,
            learning_rates: settings.variants().iter().map(|v| (*v, v.method.lr())).collect(),
            hand: NEW_USER,
            widths: WIDTHS,
            images,
            findings: findings::findings(settings, &figures, &checks),
            figures,
            checks,
            timings,
            seeds,
        }
    }

    /// Writes `report.json`, the plots, the table as `results.md`, and `index.html` into `dir`;
    /// returns the page's path.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::Plot`].
    pub fn write(&self, dir: &Path, digits: &Digits) -> Result<PathBuf, Error> {
        let plots = plot::Plots::new(self, digits)?;
        for (name, svg) in plots.files() {
            write(&dir.join(name), svg)?;
        }
        let json = serde_json::to_string(self);
        write(&dir.join("report.json"), &json.map_err(Error::network("report.json"))?)?;
        write(&dir.join("results.md"), &tables::results(self).markdown())?;
        let page = dir.join("index.html");
        write(&page, &html::page(self, &plots))?;
        Ok(page)
    }
}

fn write(path: &Path, text: &str) -> Result<(), Error> {
    files::write(path, text.as_bytes()).map_err(Error::file("write", path))
}
