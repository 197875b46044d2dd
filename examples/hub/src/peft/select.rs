//! Which modules of a network an adapter is of: the rules of PEFT 0.21.2.

use decora::spec::{NormGradient, Spec, Update};

use super::config::{Config, Targets, Task};
use super::pattern::Pattern;
use crate::HubError;
use crate::config::{Architecture, Family, Head};
use crate::modules::{Kind, Module, Named, Role};

/// A module and how it is adapted.
#[derive(Clone, Debug, PartialEq)]
pub struct Adapted {
    /// Which module.
    pub module: Module,
    /// How: the norm detached from the gradient, as in PEFT.
    pub spec: Spec,
}

/// What an adapter trains of a network.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Selection {
    /// Modules with an adapter, in the order of the network.
    pub adapted: Vec<Adapted>,
    /// Modules that are trained as a whole.
    pub saved: Vec<Module>,
    /// Other modules whose biases are trained.
    pub biases: Vec<Module>,
}

impl Config {
    /// The modules of a network that these settings select.
    ///
    /// # Errors
    /// [`HubError::Setting`] when they select none, or one that is no linear layer, and for a pattern
    /// that is no regular expression.
    pub fn select(&self, architecture: &Architecture) -> Result<Selection, HubError> {
        self.check()?;
        let named = architecture.named();
        let rules = Rules::new(self, architecture)?;
        let mut adapted = Vec::new();
        for named in &named {
            if rules.takes(&named.path)? {
                adapted.push(self.adapted(&rules, named)?);
            }
        }
        let saved = self.whole(architecture, &named)?;
        if let Some(both) = saved.iter().find(|m| adapted.iter().any(|a| a.module.path == m.path)) {
            let expected = "modules that are not in target_modules as well";
            return Err(self.wrong("modules_to_save", both.path.clone(), expected));
        }
        if adapted.is_empty() {
            return Err(self.nothing(&named));
        }
        let biases = self.biased(architecture, &adapted, &saved)?;
        Ok(Selection { adapted, saved, biases })
    }

    fn adapted(&self, rules: &Rules<'_>, named: &Named) -> Result<Adapted, HubError> {
        let Kind::Linear(module) = &named.kind else {
            let expected = "linear layers alone: this is none";
            return Err(self.wrong("target_modules", named.path.clone(), expected));
        };
        let rank = first(&rules.ranks, &module.path)?.unwrap_or(self.rank);
        let alpha = first(&rules.alphas, &module.path)?.unwrap_or(self.alpha);
        let spec = Spec {
            update: Update::LowRank { rank },
            magnitude: self.use_dora,
            bias: self.bias.of_adapted(),
            alpha,
            rslora: self.use_rslora,
            dropout: self.dropout,
            norm_gradient: NormGradient::Detached,
            ..Spec::frozen()
        };
        Ok(Adapted { module: module.clone(), spec })
    }

    /// The linear layers that are trained as a whole. PEFT takes every module whose path ends with one of
    /// the names, and what is in it.
    fn whole(&self, architecture: &Architecture, named: &[Named]) -> Result<Vec<Module>, HubError> {
        let names = self.saved();
        let roots: Vec<&str> = named
            .iter()
            .map(|named| &*named.path)
            .filter(|path| names.iter().any(|name| path.ends_with(name)))
            .collect();
        let inside = |path: &str| {
            let below =
                |root: &&str| path.strip_prefix(*root).is_some_and(|rest| rest.starts_with('.'));
            roots.iter().any(|root| *root == path || below(root))
        };
        let mut modules = Vec::new();
        for named in named.iter().filter(|named| inside(&named.path)) {
            match &named.kind {
                Kind::Linear(module) => modules.push(module.clone()),
                Kind::Other => {}
                Kind::Table { .. } | Kind::Norm { .. } => {
                    let expected = "linear layers alone: tables and norms are not trained";
                    return Err(self.wrong("modules_to_save", named.path.clone(), expected));
                }
            }
        }
        let tied = architecture.tied && !architecture.copied;
        let tied = tied && modules.iter().any(|m| m.role == Role::Head);
        match tied {
            true => Err(self.wrong(
                "modules_to_save",
                "lm_head",
                "others: it is tied to the embeddings",
            )),
            false => Ok(modules),
        }
    }

    fn nothing(&self, named: &[Named]) -> HubError {
        let linear = named.iter().filter(|named| matches!(named.kind, Kind::Linear(_)));
        let mut ends: Vec<&str> = Vec::new();
        for named in linear {
            let end = named.path.rsplit('.').next().unwrap_or_default();
            if !ends.contains(&end) {
                ends.push(end);
            }
        }
        let found = match &self.targets {
            Some(Targets::Names(names)) => names.join(", "),
            Some(Targets::Pattern(text)) => text.clone(),
            None => "nothing".to_owned(),
        };
        let expected = format!("some of {} that nothing excludes", ends.join(", "));
        self.wrong("target_modules", format!("{found:?}, which selects no module"), expected)
    }

    fn wrong(
        &self,
        key: &str,
        found: impl core::fmt::Display,
        expected: impl Into<String>,
    ) -> HubError {
        HubError::setting(&self.path, key, found, expected)
    }
}

/// Patterns, and what the first that matches stands for.
type Table<'a, T> = Vec<(Pattern<'a>, T)>;

fn first<T: Copy>(table: &Table<'_, T>, path: &str) -> Result<Option<T>, HubError> {
    for (pattern, value) in table {
        if pattern.matches(path)? {
            return Ok(Some(*value));
        }
    }
    Ok(None)
}

/// Names, or a compiled pattern.
enum Rule<'a> {
    Names(Vec<&'a str>),
    Pattern(Pattern<'a>),
    Paths(Vec<String>),
}

/// Everything of the settings that says which modules are taken, compiled.
struct Rules<'a> {
    targets: Rule<'a>,
    exclude: Option<Rule<'a>>,
    saved: Vec<Pattern<'a>>,
    layers: &'a [i64],
    blocks: Vec<Pattern<'a>>,
    ranks: Table<'a, usize>,
    alphas: Table<'a, f64>,
}

impl<'a> Rules<'a> {
    fn new(config: &'a Config, architecture: &Architecture) -> Result<Self, HubError> {
        let path = &*config.path;
        let end = |key, text: &'a str| Pattern::end(path, key, text);
        let saved = config.saved();
        let saved = saved.into_iter().map(|name| Pattern::inside(path, "modules_to_save", name));
        let key = "layers_pattern";
        let blocks = match &config.layers_pattern[..] {
            [] => vec![Pattern::block(path, key, None)?],
            some => {
                let blocks = some.iter().map(|text| Pattern::block(path, key, Some(text)));
                blocks.collect::<Result<_, _>>()?
            }
        };
        let ranks =
            config.rank_pattern.iter().map(|(text, r)| Ok((end("rank_pattern", text)?, *r)));
        let alphas =
            config.alpha_pattern.iter().map(|(text, a)| Ok((end("alpha_pattern", text)?, *a)));
        Ok(Self {
            targets: targets(config, architecture)?,
            exclude: rule(config, "exclude_modules", config.exclude.as_ref()).transpose()?,
            saved: saved.collect::<Result<_, _>>()?,
            layers: &config.layers,
            blocks,
            ranks: ranks.collect::<Result<_, HubError>>()?,
            alphas: alphas.collect::<Result<_, HubError>>()?,
        })
    }

    fn takes(&self, path: &str) -> Result<bool, HubError> {
        if let Some(exclude) = &self.exclude
            && exclude.covers(path)?
        {
            return Ok(false);
        }
        for saved in &self.saved {
            if saved.matches(path)? {
                return Ok(false);
            }
        }
        let whole = matches!(&self.targets, Rule::Names(names) if names.contains(&path));
        if whole || self.layers.is_empty() {
            return self.targets.covers(path);
        }
        Ok(self.targets.covers(path)? && self.in_layers(path)?)
    }

    /// Whether the block of a path is one of those that are adapted: the block that the first pattern to
    /// match finds.
    fn in_layers(&self, path: &str) -> Result<bool, HubError> {
        for block in &self.blocks {
            if let Some(index) = block.index(path)? {
                return Ok(self.layers.contains(&index));
            }
        }
        Ok(false)
    }
}

impl Rule<'_> {
    fn covers(&self, path: &str) -> Result<bool, HubError> {
        match self {
            Self::Names(names) => Ok(names.iter().any(|name| is_end_of(name, path))),
            Self::Pattern(pattern) => pattern.matches(path),
            Self::Paths(paths) => Ok(paths.iter().any(|other| other == path)),
        }
    }
}

/// Whether `path` is `name`, or ends with it after a dot.
fn is_end_of(name: &str, path: &str) -> bool {
    path.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

fn rule<'a>(
    config: &'a Config,
    key: &'static str,
    targets: Option<&'a Targets>,
) -> Option<Result<Rule<'a>, HubError>> {
    match targets? {
        Targets::Names(names) if names.is_empty() => None,
        Targets::Pattern(text) if text.is_empty() => None,
        Targets::Names(names) => Some(Ok(Rule::Names(names.iter().map(String::as_str).collect()))),
        Targets::Pattern(text) => Some(Pattern::full(&config.path, key, text).map(Rule::Pattern)),
    }
}

fn targets<'a>(config: &'a Config, architecture: &Architecture) -> Result<Rule<'a>, HubError> {
    let Some(targets) = &config.targets else {
        return Ok(Rule::Names(usual(architecture.family).to_vec()));
    };
    if targets.is_all_linear() {
        let modules = architecture.modules().into_iter();
        let taken = modules.filter(|module| !is_output(config, architecture, module.role));
        return Ok(Rule::Paths(taken.map(|module| module.path).collect()));
    }
    let rule = rule(config, "target_modules", Some(targets));
    rule.unwrap_or_else(|| Ok(Rule::Names(Vec::new())))
}

/// Whether `all-linear` leaves a layer out: a language head always, a classifier when the settings say that
/// this is what the model is for.
fn is_output(config: &Config, architecture: &Architecture, role: Role) -> bool {
    match architecture.head {
        Head::Language => role == Role::Head,
        Head::Classes => {
            role == Role::Classifier && config.task == Some(Task::SequenceClassification)
        }
        Head::None => false,
    }
}

/// What PEFT adapts when nothing is said.
const fn usual(family: Family) -> &'static [&'static str] {
    match family {
        Family::Llama | Family::Qwen2 | Family::Mistral => &["q_proj", "v_proj"],
        Family::Gpt2 => &["c_attn"],
        Family::Bert => &["query", "value"],
    }
}
