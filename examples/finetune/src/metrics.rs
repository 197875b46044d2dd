//! A line of JSON for each step, evaluation and layer.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::Error;

/// What a step did.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Which, from 1.
    pub step: u64,
    /// The mean loss of the labels that count, before the step.
    pub loss: f64,
    /// The learning rate.
    pub lr: f64,
    /// The norm of the gradient before clipping.
    pub grad_norm: f64,
    /// Tokens in a second of this step.
    pub tokens_per_s: f64,
    /// The most memory that the process has had, in bytes.
    pub peak_mem: Option<u64>,
}

/// What an evaluation found.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// The mean loss of the labels that count.
    pub eval_loss: f64,
    /// exp of that, of a language model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub perplexity: Option<f64>,
    /// The share of texts that a classifier gets right.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<f64>,
    /// Labels that count.
    pub labels: usize,
}

/// How an adapter has changed a layer (Liu et al. 2024, eq. 3 and 4).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerChange {
    /// The path of the layer.
    pub layer: String,
    /// Mean of g = m/‖V‖ over rows.
    pub g_mean: f64,
    /// Its standard deviation.
    pub g_std: f64,
    /// ΔM, the mean change of a row's norm.
    pub delta_m: f64,
    /// ΔD, the mean of 1 − cos of the angle by which a row has turned.
    pub delta_d: f64,
}

#[derive(Serialize)]
struct At<'a, T> {
    step: u64,
    #[serde(flatten)]
    what: &'a T,
}

/// Where lines go, if anywhere.
#[derive(Debug, Default)]
pub struct Metrics(Option<(PathBuf, File)>);

impl Metrics {
    /// A file that is written anew; or, after `resumed` steps, goes on after the lines of these.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn open(path: Option<&Path>, resumed: Option<u64>) -> Result<Self, Error> {
        let Some(path) = path else { return Ok(Self(None)) };
        let file = match resumed {
            Some(steps) => reopened(path, steps),
            None => File::create(path),
        };
        Ok(Self(Some((path.to_owned(), file.map_err(Error::file("write", path))?))))
    }

    /// Adds the line of a step.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn step(&mut self, step: &Step) -> Result<(), Error> {
        self.line(step)
    }

    /// Adds a line about what there is after a step.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn at<T: Serialize>(&mut self, step: u64, what: &T) -> Result<(), Error> {
        self.line(&At { step, what })
    }

    fn line(&mut self, line: &impl Serialize) -> Result<(), Error> {
        let Some((path, file)) = &mut self.0 else { return Ok(()) };
        let text = serde_json::to_string(line).map_err(io::Error::from);
        let written = text.and_then(|text| writeln!(file, "{text}"));
        written.map_err(Error::file("write", path))
    }
}

/// The file without lines of later steps, at its end; a device or a pipe as it is.
fn reopened(path: &Path, steps: u64) -> io::Result<File> {
    if fs::metadata(path).is_ok_and(|there| !there.is_file()) {
        return OpenOptions::new().append(true).open(path);
    }
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(e) if e.kind() == io::ErrorKind::NotFound => String::new(),
        Err(e) => return Err(e),
    };
    let kept: String = text
        .lines()
        .filter(|line| step_of(line) <= Some(steps))
        .fold(String::new(), |kept, line| kept + line + "\n");
    decora_hub::files::write(path, kept.as_bytes())?;
    OpenOptions::new().append(true).open(path)
}

/// The step of a line; more than any where there is none.
fn step_of(line: &str) -> Option<u64> {
    let value: Option<serde_json::Value> = serde_json::from_str(line).ok();
    Some(value.and_then(|value| value.get("step")?.as_u64()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(step: u64) -> Step {
        Step { step, loss: 1.5, lr: 1e-4, grad_norm: 2.0, tokens_per_s: 10.0, peak_mem: None }
    }

    #[test]
    fn a_resumed_file_has_each_step_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("metrics.jsonl");
        let mut metrics = Metrics::open(Some(&path), None).unwrap();
        (1..=3).for_each(|i| metrics.step(&step(i)).unwrap());
        let mut metrics = Metrics::open(Some(&path), Some(2)).unwrap();
        metrics.step(&step(3)).unwrap();
        let found = Evaluation { eval_loss: 1.0, perplexity: Some(2.7), accuracy: None, labels: 3 };
        metrics.at(3, &found).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let steps: Vec<_> = text.lines().map(|line| step_of(line).unwrap()).collect();
        assert_eq!(steps, [1, 2, 3, 3]);
        assert_eq!(serde_json::from_str::<Step>(text.lines().next().unwrap()).unwrap(), step(1));
        assert!(text.ends_with("{\"step\":3,\"eval_loss\":1.0,\"perplexity\":2.7,\"labels\":3}\n"));
    }

    #[cfg(unix)]
    #[test]
    fn a_device_takes_lines_of_a_resumed_run() {
        let mut metrics = Metrics::open(Some(Path::new("/dev/null")), Some(2)).unwrap();
        metrics.step(&step(3)).unwrap();
    }

    #[test]
    fn a_file_that_cannot_be_written_is_named() {
        let error = Metrics::open(Some(Path::new("/nonexistent/m.jsonl")), None).unwrap_err();
        assert!(error.to_string().contains("/nonexistent/m.jsonl"));
    }
}
