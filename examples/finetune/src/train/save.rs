//! What was trained, as files.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use decora_hub::HubError;
use decora_hub::network::save;
use decora_hub::peft::{Adapter, Config, Targets};
use decora_hub::rewrite::{Change, Options, rewrite};
use decora_hub::tensors::{Array, Arrays, Tensor};

use super::job::Job;
use super::method::Trained;
use super::session::Session;
use crate::device::Device;
use crate::error::Error;
use crate::model::Model;

/// A folder beside the results, in which a model is written before it takes its place.
const PARTIAL: &str = ".model-partial";

impl<B: Device> Session<'_, B> {
    /// Writes what was trained into a folder: an adapter in PEFT's format, or a whole model. Every file
    /// appears whole.
    ///
    /// # Errors
    /// [`Error::Hub`], [`Error::File`].
    pub fn save(&mut self, to: &Path) -> Result<(), Error> {
        let results = self.make_results()?;
        match &self.job.trained {
            Trained::Adapters { .. } => results.write(to).map_err(Error::Hub),
            Trained::Full => write_model(self.job, &results.saved, to),
        }
    }

    /// What [`Session::save`] writes, in memory: of a whole model, all tensors as those that an adapter
    /// brings along.
    pub(super) fn make_results(&mut self) -> Result<Adapter, Error> {
        let config = match &self.job.trained {
            Trained::Adapters { config, .. } => config.as_ref().clone(),
            Trained::Full => {
                Config::new(&self.job.model.architecture, 1, 1.0, Targets::Names(Vec::new()))
            }
        };
        Ok(save(&mut self.be, &mut self.net, &self.names, config)?)
    }

    /// What a checkpoint has beside its state: the adapter. Of a whole model the state has everything.
    pub(super) fn save_in_checkpoint(&mut self, to: &Path) -> Result<(), Error> {
        match &self.job.trained {
            Trained::Adapters { .. } => self.save(to),
            Trained::Full => Ok(()),
        }
    }
}

/// The model with other tensors.
struct Replaced<'a> {
    tensors: &'a Arrays,
    /// By the name in the model's files, the name here.
    names: HashMap<String, String>,
}

impl Replaced<'_> {
    fn get(&self, tensor: &Tensor<'_>) -> Option<&Array> {
        self.tensors.get(self.names.get(tensor.name())?)
    }
}

impl Change for Replaced<'_> {
    type Error = HubError;

    fn changes(&mut self, tensor: &Tensor<'_>) -> bool {
        self.get(tensor).is_some()
    }

    fn rows(
        &mut self,
        tensor: &Tensor<'_>,
        first: usize,
        rows: &mut [f32],
    ) -> Result<(), HubError> {
        let columns: usize = tensor.shape().iter().skip(1).product();
        let start = first * columns;
        let new = self.get(tensor).and_then(|array| array.values.get(start..start + rows.len()));
        if let Some(new) = new {
            rows.copy_from_slice(new);
        }
        Ok(())
    }
}

fn write_model(job: &Job, tensors: &Arrays, to: &Path) -> Result<(), Error> {
    let Model { architecture, weights, .. } = &job.model;
    let mut names = HashMap::new();
    let mut more = Arrays::new();
    for (name, array) in tensors {
        match weights.get(name) {
            Some(tensor) => _ = names.insert(tensor.name().to_owned(), name.clone()),
            None => _ = more.insert(name.clone(), array.clone()),
        }
    }
    let head = "lm_head.weight";
    if let (true, Some(_)) = (architecture.tied, weights.exactly(head)) {
        let table = tensors.keys().find(|name| {
            ["embed_tokens.weight", "wte.weight"].iter().any(|end| name.ends_with(end))
        });
        names.extend(table.map(|table| (head.to_owned(), table.clone())));
    }
    let config = job.model.new_head(&more);
    let options = Options { stored: None, more, config };
    let partial = to.join(PARTIAL);
    let _ = fs::remove_dir_all(&partial);
    fs::create_dir_all(to).map_err(Error::file("write", to))?;
    rewrite(weights, &partial, &options, &mut Replaced { tensors, names })?;
    move_all(&partial, to).map_err(Error::file("write", to))
}

/// Moves all files of a folder into another, and removes it.
fn move_all(from: &Path, to: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        fs::rename(entry.path(), to.join(entry.file_name()))?;
    }
    fs::remove_dir(from)
}

/// Makes the best results the results.
pub(super) fn take_best(trained: &Trained, best: &Path, out: &Path) -> Result<(), Error> {
    match trained {
        Trained::Adapters { .. } => Ok(Adapter::read(best)?.write(out)?),
        Trained::Full => move_all(best, out).map_err(Error::file("write", out)),
    }
}
