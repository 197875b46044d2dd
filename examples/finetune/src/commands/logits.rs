//! `decora logits`.

use std::collections::BTreeMap;
use std::path::Path;

use decora_hub::peft::Adapter;
use decora_hub::tensors::{Array, write};

use crate::batch::Batch;
use crate::data::Reason;
use crate::device::{self, Device, Work};
use crate::error::Error;
use crate::model::Model;
use crate::network::{Answering, sizes, tensors};
use crate::options::Logits;

struct Ask<'a> {
    model: &'a Model,
    adapter: Option<&'a Adapter>,
    batch: Batch,
}

impl Work for Ask<'_> {
    type Output = Array;

    fn run<B: Device>(self, be: B, _: &str) -> Result<Array, Error> {
        let tensors = tensors(self.model, self.adapter.is_some())?;
        let rows = self.batch.ids.len();
        let sizes = sizes(self.model, rows, 1, rows);
        let mut network = Answering::new(be, self.model, &tensors, self.adapter, sizes)?;
        let logits = network.logits(&self.batch)?;
        Ok(Array::new(vec![network.net.answers(), network.net.shape().outputs], logits))
    }
}

/// Writes the logits of some tokens.
///
/// # Errors
/// [`Error`].
pub(super) fn run(options: &Logits) -> Result<String, Error> {
    let (model, adapter) =
        Model::with_adapter(&options.model.model, options.model.adapter.as_deref())?;
    check(&model, &options.ids)?;
    check_types(&model, options)?;
    let batch = Batch::of_tokens(&options.ids, &options.types, model.view());
    let ask = Ask { model: &model, adapter: adapter.as_ref(), batch };
    let logits = device::on(&options.device, ask)?;
    let text = format!("{}: logits {:?}", options.out.display(), logits.shape);
    store(&options.out, logits)?;
    Ok(text)
}

/// `Ok` for tokens that the model has, no more than it takes.
fn check(model: &Model, ids: &[u32]) -> Result<(), Error> {
    let vocabulary = model.architecture.vocab;
    let beyond = ids.iter().find(|&&id| id as usize >= vocabulary);
    if let Some(&id) = beyond {
        return Err(Reason::Token { id: id.into(), at: "--ids", vocabulary }.into());
    }
    let most = model.architecture.max_positions;
    if ids.len() > most {
        let (found, expected) = (format!("{} tokens", ids.len()), format!("at most {most}"));
        return Err(Error::Unfit { option: "--ids", found, expected });
    }
    Ok(())
}

/// `Ok` for as many types as tokens, or none, that the model has.
fn check_types(model: &Model, options: &Logits) -> Result<(), Error> {
    let (types, count) = (&options.types, options.ids.len());
    let wrong =
        |found: String, expected: String| Err(Error::Unfit { option: "--types", found, expected });
    if !types.is_empty() && types.len() != count {
        return wrong(format!("{} types", types.len()), format!("{count}, as many as --ids"));
    }
    let known = model.architecture.token_types;
    match types.iter().find(|&&kind| kind as usize >= known.max(1)) {
        Some(kind) => wrong(kind.to_string(), format!("less than {}", known.max(1))),
        None => Ok(()),
    }
}

fn store(path: &Path, logits: Array) -> Result<(), Error> {
    Ok(write(path, &BTreeMap::from([("logits".to_owned(), logits)]), BTreeMap::new())?)
}
