//! A model's folder, opened.

use std::path::{Path, PathBuf};

use decora_hub::config::{Family, Head};
use decora_hub::foreign::{self, Origin};
use decora_hub::modules::Role;
use decora_hub::peft::{Adapted, Adapter, Selection, Task};
use decora_hub::tensors::Arrays;
use decora_hub::{Architecture, Weights};
use serde_json::{Map, Value, json};

use crate::batch::View;
use crate::data::{Encoder, Goal, Tokens};
use crate::error::Error;
use crate::folder;

/// Tokens of an example when nobody says.
const CONTEXT: usize = 1024;

/// The name of a language head.
const LANGUAGE_HEAD: &str = "lm_head.weight";

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
    /// [`Error::Unfit`] for a folder that is none, [`Error::Hub`], [`Error::Tokenizer`].
    pub fn open(path: &Path) -> Result<Self, Error> {
        folder::check(path)?;
        let mut architecture = Architecture::read(path)?;
        let weights = Weights::open(path)?;
        architecture.tied &= !weights.unties(&architecture);
        let tokens = Tokens::load(path, architecture.vocab)?;
        Ok(Self { architecture, weights, tokens, path: path.to_owned() })
    }

    /// Opens a folder, and an adapter of it.
    ///
    /// # Errors
    /// As [`Model::open`] and [`Model::adapter`].
    pub fn with_adapter(
        path: &Path,
        adapter: Option<&Path>,
    ) -> Result<(Self, Option<Adapter>), Error> {
        let mut model = Self::open(path)?;
        let adapter = adapter.map(|path| model.adapter(path)).transpose()?;
        Ok((model, adapter))
    }

    /// Reads an adapter of this model, whoever wrote it. A model without a head gets the classifier that
    /// it brings along; one whose language head is the table of embeddings a head of its own.
    ///
    /// # Errors
    /// [`Error::Hub`] for damaged files, or an adapter of another model.
    pub fn adapter(&mut self, path: &Path) -> Result<Adapter, Error> {
        if self.architecture.head == Head::None || self.architecture.tied {
            self.receive(path)?;
        }
        let adapter = foreign::read(path, &self.architecture)?;
        self.check(&adapter.fit(&self.architecture)?)?;
        Ok(adapter)
    }

    /// `Ok` when all selected layers are layers of their own.
    ///
    /// # Errors
    /// [`Error::Unfit`] for a head that is the table of embeddings.
    pub fn check(&self, selection: &Selection) -> Result<(), Error> {
        let is_head = |adapted: &Adapted| adapted.module.role == Role::Head;
        if self.architecture.tied && selection.adapted.iter().any(is_head) {
            return Err(Error::Unfit {
                option: "--target",
                found: "the language head".to_owned(),
                expected: "others: it is the table of embeddings, which is not adapted".to_owned(),
            });
        }
        Ok(())
    }

    /// Takes the head that an adapter brings along.
    fn receive(&mut self, path: &Path) -> Result<(), Error> {
        let (Origin::Peft | Origin::Nvlabs, file) = foreign::find(path)? else { return Ok(()) };
        let adapter = Adapter::read(file.parent().unwrap_or(path))?;
        let head = ["classifier.weight", "score.weight"];
        let classes = head.iter().find_map(|&name| adapter.saved.get(name)?.shape.first());
        if let (Some(Task::SequenceClassification), Some(&classes)) = (adapter.config.task, classes)
        {
            self.add_classifier(classes);
        }
        let Architecture { tied, copied, .. } = &mut self.architecture;
        *copied |= *tied && adapter.saved.contains_key(LANGUAGE_HEAD);
        Ok(())
    }

    /// Gives a model without a head one of so many classes.
    pub fn add_classifier(&mut self, classes: usize) {
        if self.architecture.head == Head::None {
            self.architecture = self.architecture.clone().with_head(Head::Classes, classes);
        }
    }

    /// The keys of `config.json` that say that there is a classifier, or a language head beside the table
    /// of embeddings, where it is among the tensors that the model does not have yet.
    #[must_use]
    pub fn new_head(&self, more: &Arrays) -> Map<String, Value> {
        if more.contains_key(LANGUAGE_HEAD) {
            return Map::from_iter([("tie_word_embeddings".to_owned(), json!(false))]);
        }
        if more.is_empty() || self.architecture.head != Head::Classes {
            return Map::new();
        }
        let family = match self.architecture.family {
            Family::Gpt2 => "GPT2".to_owned(),
            family => format!("{family:?}"),
        };
        let names = (0..self.architecture.classes).map(|i| (i, format!("LABEL_{i}")));
        let (ids, labels) =
            names.map(|(i, name)| ((name.clone(), i.into()), (i.to_string(), name.into()))).unzip();
        Map::from_iter([
            ("architectures".to_owned(), json!([format!("{family}ForSequenceClassification")])),
            ("label2id".to_owned(), Value::Object(ids)),
            ("id2label".to_owned(), Value::Object(labels)),
        ])
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
            true => View::Causal { pad: self.architecture.pad },
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
