//! A model's folder, opened.

use std::path::{Path, PathBuf};

use decora_hub::config::Head;
use decora_hub::foreign::{Origin, origin};
use decora_hub::peft::{Adapter, Task};
use decora_hub::{Architecture, Weights};
use serde_json::{Map, Value, json};

use crate::batch::View;
use crate::data::{Encoder, Goal, Tokens};
use crate::error::Error;

/// Tokens of an example when nobody says.
const CONTEXT: usize = 1024;

/// A model's folder.
#[derive(Debug)]
pub struct Model {
    /// What it is made of.
    pub architecture: Architecture,
    /// Its tensors.
    pub weights: Weights,
    /// Its tokenizer, where it has one.
    pub tokens: Option<Tokens>,
    /// The folder.
    pub path: PathBuf,
}

impl Model {
    /// Opens a folder.
    ///
    /// # Errors
    /// [`Error::Hub`], [`Error::Tokenizer`].
    pub fn open(path: &Path) -> Result<Self, Error> {
        let architecture = Architecture::read(path)?;
        let weights = Weights::open(path)?;
        let tokens = Tokens::load(path, architecture.vocab)?;
        Ok(Self { architecture, weights, tokens, path: path.to_owned() })
    }

    /// Opens a folder, and an adapter of it.
    ///
    /// # Errors
    /// As [`Model::open`]; [`Error::Hub`] for an adapter of another model.
    pub fn with_adapter(
        path: &Path,
        adapter: Option<&Path>,
    ) -> Result<(Self, Option<Adapter>), Error> {
        let mut model = Self::open(path)?;
        let Some(dir) = adapter else { return Ok((model, None)) };
        let adapter = model.read_adapter(dir)?;
        Ok((model, Some(adapter)))
    }

    /// Reads an adapter of this model, whoever wrote it; as [`fit`](Model::fit), it may bring a
    /// classifier along.
    ///
    /// # Errors
    /// [`Error::Hub`] for an adapter of another model.
    pub fn read_adapter(&mut self, path: &Path) -> Result<Adapter, Error> {
        let adapter = match origin(path)? {
            Origin::Peft if path.is_dir() => Adapter::read(path)?,
            _ => return Ok(decora_hub::foreign::read(path, &self.architecture)?),
        };
        self.fit(&adapter)?;
        Ok(adapter)
    }

    /// Gives the model the classifier that an adapter brings along, where it has no head of its own.
    ///
    /// # Errors
    /// [`Error::Hub`] for an adapter of another model.
    pub fn fit(&mut self, adapter: &Adapter) -> Result<(), Error> {
        let classifies = adapter.config.task == Some(Task::SequenceClassification);
        let head = |name: &&String| matches!(name.as_str(), "classifier.weight" | "score.weight");
        let classes = adapter.saved.keys().find(head).and_then(|name| adapter.saved.get(name));
        let classes = classes.and_then(|array| array.shape.first());
        if let (true, Some(&classes)) = (classifies, classes) {
            self.add_classifier(classes);
        }
        adapter.fit(&self.architecture)?;
        Ok(())
    }

    /// Gives a model without a head one of so many classes.
    pub fn add_classifier(&mut self, classes: usize) {
        if self.architecture.head == Head::None {
            self.architecture = self.architecture.clone().with_head(Head::Classes, classes);
        }
    }

    /// What it learns, and answers.
    #[must_use]
    pub fn goal(&self) -> Goal {
        let Architecture { head, classes, labels, .. } = &self.architecture;
        match head {
            Head::Language => Goal::NextToken,
            Head::Classes | Head::None if labels.len() == *classes => Goal::Class(labels.clone()),
            _ => Goal::Class((0..*classes).map(|class| format!("LABEL_{class}")).collect()),
        }
    }

    /// What its tokens see.
    #[must_use]
    pub fn view(&self) -> View {
        match self.architecture.family.is_causal() {
            true => View::Causal { window: self.architecture.window },
            false => View::Whole,
        }
    }

    /// The most tokens of an example.
    ///
    /// # Errors
    /// [`Error::Unfit`] for more than the model can take.
    pub fn context(&self, asked: Option<usize>) -> Result<usize, Error> {
        let most = self.architecture.max_positions;
        match asked {
            Some(asked) if asked > most => Err(Error::Unfit {
                option: "--context",
                found: asked.to_string(),
                expected: format!("at most {most}, what the model was made for"),
            }),
            Some(asked) => Ok(asked),
            None => Ok(CONTEXT.min(most)),
        }
    }

    /// What makes examples of lines.
    ///
    /// # Errors
    /// As [`Model::context`].
    pub fn encoder(&self, context: Option<usize>, with_prompt: bool) -> Result<Encoder, Error> {
        Ok(Encoder {
            tokens: self.tokens.clone(),
            goal: self.goal(),
            vocabulary: self.architecture.vocab,
            context: self.context(context)?,
            with_prompt,
        })
    }
}

/// The keys of `config.json` that say that a model has got a classifier.
pub(crate) fn classifier_config(architecture: &Architecture) -> Map<String, Value> {
    let Architecture { family, head, classes, labels, .. } = architecture;
    if *head != Head::Classes {
        return Map::new();
    }
    let family = format!("{family:?}").replace("Gpt2", "GPT2");
    let name = |i: usize| labels.get(i).cloned().unwrap_or_else(|| format!("LABEL_{i}"));
    let names: Map<_, _> = (0..*classes).map(|i| (i.to_string(), name(i).into())).collect();
    let ids: Map<_, _> = (0..*classes).map(|i| (name(i), i.into())).collect();
    Map::from_iter([
        ("architectures".to_owned(), json!([format!("{family}ForSequenceClassification")])),
        ("id2label".to_owned(), Value::Object(names)),
        ("label2id".to_owned(), Value::Object(ids)),
    ])
}
