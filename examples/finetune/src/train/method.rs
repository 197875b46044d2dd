//! What is trained of a model.

use decora::optim::{AdamW, Rule, Schedule, Training};
use decora::spec::Spec;
use decora_hub::peft::{Adapter, Bias, Config, Selection, Targets};
use decora_hub::{HubError, Module};

use crate::error::Error;
use crate::model::Model;
use crate::options::{Biases, Curve, Method, Target, Train};

/// What is trained.
#[derive(Debug)]
pub enum Trained {
    /// Adapters.
    Adapters {
        /// Their settings, as PEFT writes them.
        config: Box<Config>,
        /// The layers.
        selection: Selection,
        /// Where they start from.
        start: Option<Box<Adapter>>,
    },
    /// Everything.
    Full,
}

impl Trained {
    /// What the options ask for. An adapter to start from brings its own settings.
    ///
    /// # Errors
    /// [`Error::Unfit`] for layers that are not there, or are not adapted.
    pub fn new(options: &Train, model: &Model, start: Option<Adapter>) -> Result<Self, Error> {
        if options.adapter.method == Method::Full {
            return Ok(Self::Full);
        }
        if let Some(adapter) = start {
            let selection = adapter.fit(&model.architecture)?;
            let config = Box::new(adapter.config.clone());
            return Ok(Self::Adapters { config, selection, start: Some(Box::new(adapter)) });
        }
        let config = Box::new(config(options, model));
        let selection = config.select(&model.architecture).map_err(as_option)?;
        model.check(&selection)?;
        check_ranks(&config, model)?;
        Ok(Self::Adapters { config, selection, start: None })
    }

    /// How a layer is adapted.
    #[must_use]
    pub fn spec(&self, module: &Module) -> Option<Spec> {
        match self {
            Self::Adapters { selection, .. } => selection.spec(module),
            Self::Full => Some(Spec::full()),
        }
    }
}

/// `Ok` when each pattern of ranks is one of a layer that is adapted. PEFT leaves others alone in silence.
fn check_ranks(config: &Config, model: &Model) -> Result<(), Error> {
    let select = |rank_pattern| {
        let other = Config { rank_pattern, ..config.clone() };
        other.select(&model.architecture).map_err(as_option)
    };
    let plain = select(Vec::new())?;
    for (text, _) in &config.rank_pattern {
        if select(vec![(text.clone(), config.rank + 1)])? == plain {
            let expected = "the end of the path of a layer that is adapted: none has this one";
            return Err(Error::Unfit {
                option: "--rank-pattern",
                found: text.clone(),
                expected: expected.to_owned(),
            });
        }
    }
    Ok(())
}

/// The error of a setting that an option gave, by the option's name.
fn as_option(e: HubError) -> Error {
    let option = |key: &str| match key {
        "target_modules" => Some("--target"),
        "rank_pattern" => Some("--rank-pattern"),
        "bias" => Some("--bias"),
        _ => None,
    };
    match e {
        HubError::Setting { path, key, found, expected } => match option(&key) {
            Some(option) => Error::Unfit { option, found, expected },
            None => HubError::Setting { path, key, found, expected }.into(),
        },
        e => e.into(),
    }
}

fn config(options: &Train, model: &Model) -> Config {
    let adapter = &options.adapter;
    let targets = match &adapter.target {
        Target::Names(names) => Targets::Names(names.clone()),
        Target::Text(text) => Targets::Pattern(text.clone()),
    };
    Config {
        base: Some(options.model.display().to_string()),
        dropout: adapter.dropout,
        use_dora: adapter.method == Method::Dora,
        use_rslora: adapter.rslora,
        bias: match adapter.bias {
            Biases::None => Bias::None,
            Biases::All => Bias::All,
            Biases::LoraOnly => Bias::LoraOnly,
        },
        rank_pattern: adapter.rank_pattern.0.clone(),
        ..Config::new(&model.architecture, adapter.rank, adapter.alpha(), targets)
    }
}

/// β as devices hold it. 1 − 0.999 is 10⁻⁵ of itself off in `f32`: the bias corrections, which are computed
/// in `f64`, must be those of the same β, or every update is 6·10⁻⁶ too large.
fn in_f32(beta: f64) -> f64 {
    f64::from(beta as f32)
}

/// How parameters follow gradients in a run of so many steps.
#[must_use]
pub fn training(options: &Train, steps: u64) -> Training {
    let settings = &options.optimizer;
    let (warmup, total) = (settings.warmup.of(steps), steps);
    Training {
        rule: Rule::AdamW(AdamW {
            beta1: in_f32(settings.beta1),
            beta2: in_f32(settings.beta2),
            eps: settings.eps,
        }),
        lr: options.lr(),
        lr_magnitude: settings.lr_magnitude,
        weight_decay: settings.weight_decay,
        schedule: match settings.schedule {
            Curve::Constant if warmup == 0 => Schedule::Constant,
            Curve::Constant => Schedule::WarmUp { warmup },
            Curve::Linear => Schedule::Linear { warmup, total },
            Curve::Cosine => Schedule::Cosine { warmup, total },
        },
        clip: (settings.clip > 0.0).then_some(settings.clip),
    }
}
