//! `decora eval`.

use decora_hub::peft::Adapter;

use crate::data::{Dataset, Example};
use crate::device::{self, Device, Work};
use crate::error::Error;
use crate::evaluate::Exam;
use crate::metrics::Evaluation;
use crate::model::Model;
use crate::network::{Answering, sizes, tensors};
use crate::options::Eval;

struct Ask<'a> {
    model: &'a Model,
    adapter: Option<&'a Adapter>,
    exam: Exam<'a>,
}

impl Work for Ask<'_> {
    type Output = Evaluation;

    fn run<B: Device>(self, be: B, _: &str) -> Result<Evaluation, Error> {
        let Self { model, adapter, exam } = self;
        let tensors = tensors(model, adapter.is_some())?;
        let longest = exam.examples.iter().map(|e| e.ids.len()).max().unwrap_or_default();
        let sizes = sizes(model, exam.rows(), exam.batch, longest);
        let mut network = Answering::new(be, model, &tensors, adapter, sizes)?;
        exam.run(&mut network.be, &mut network.net)
    }
}

/// Evaluates a model on files of examples.
///
/// # Errors
/// [`Error`].
pub(super) fn run(options: &Eval) -> Result<String, Error> {
    let (model, adapter) =
        Model::with_adapter(&options.model.model, options.model.adapter.as_deref())?;
    let encoder = model.encoder(options.context, options.train_on_prompt)?;
    let data = Dataset::load(&options.data, &encoder, options.skip_bad_lines)?;
    let exam = exam(&data.examples, options.batch, &model);
    let found =
        device::on(&options.device, Ask { model: &model, adapter: adapter.as_ref(), exam })?;
    let told = data.count.to_string();
    Ok(if told.is_empty() { found.to_string() } else { format!("{told}\n{found}") })
}

fn exam<'e>(examples: &'e [Example], batch: usize, model: &Model) -> Exam<'e> {
    Exam { examples, batch, view: model.view() }
}
