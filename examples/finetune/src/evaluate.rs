//! How well a network does on examples.

use decora::adapter::Pass;
use decora::backend::Store;
use decora::scalar::Scalar;
use decora_hub::network::Net;

use crate::batch::{Batch, View};
use crate::data::Example;
use crate::device::Device;
use crate::error::Error;
use crate::metrics::Evaluation;

/// Examples, taken some at a time.
#[derive(Clone, Copy, Debug)]
pub struct Exam<'e> {
    /// All of them.
    pub examples: &'e [Example],
    /// Sequences in a batch.
    pub batch: usize,
    /// What tokens see.
    pub view: View,
}

impl Exam<'_> {
    /// The most tokens in a batch.
    #[must_use]
    pub fn rows(&self) -> usize {
        let tokens = |batch: &[Example]| batch.iter().map(|e| e.ids.len()).sum();
        self.examples.chunks(self.batch).map(tokens).max().unwrap_or_default()
    }

    /// The mean loss of all labels that count, and perplexity or accuracy.
    ///
    /// # Errors
    /// [`Error::Network`].
    pub fn run<B: Device>(&self, be: &mut B, net: &mut Net<'_, B>) -> Result<Evaluation, Error> {
        let (mut loss, mut labels, mut right) = (0.0, 0, 0);
        for examples in self.examples.chunks(self.batch) {
            let batch = Batch::new(examples, self.view);
            net.forward(be, &batch.tokens(), Pass::Eval)?;
            net.judge(be, &batch.labels, 1.0, Store::Replace)?;
            loss += net.loss(be)?;
            labels += batch.counted();
            if net.classifies() {
                right += right_classes(be, net, &batch)?;
            }
        }
        let count = labels.max(1) as f64;
        let eval_loss = loss / count;
        let classifies = net.classifies();
        Ok(Evaluation {
            eval_loss,
            perplexity: (!classifies).then(|| eval_loss.exp()),
            accuracy: classifies.then(|| f64::from(right) / count),
            labels,
        })
    }
}

/// How many sequences of the last pass have their class as the most probable one.
fn right_classes<B: Device>(be: &mut B, net: &mut Net<'_, B>, batch: &Batch) -> Result<u32, Error> {
    let classes = net.shape().outputs;
    let mut logits = vec![B::Scalar::default(); net.answers() * classes];
    net.logits(be, 0, &mut logits)?;
    let best = logits.chunks(classes.max(1)).map(|row| {
        let widened = row.iter().map(|x| x.widen());
        most(widened)
    });
    Ok(best.zip(&batch.labels).filter(|(best, label)| best == *label).count() as u32)
}

/// The number of the largest; the first of equals.
pub fn most(values: impl Iterator<Item = f32>) -> u32 {
    let first = |best: (u32, f32), (i, x): (usize, f32)| {
        if x > best.1 { (i as u32, x) } else { best }
    };
    values.enumerate().fold((0, f32::NEG_INFINITY), first).0
}

impl core::fmt::Display for Evaluation {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "loss {:.4}", self.eval_loss)?;
        if let Some(perplexity) = self.perplexity {
            write!(f, ", perplexity {perplexity:.3}")?;
        }
        if let Some(accuracy) = self.accuracy {
            write!(f, ", accuracy {:.2} %", 100.0 * accuracy)?;
        }
        write!(f, " (labels: {})", self.labels)
    }
}
