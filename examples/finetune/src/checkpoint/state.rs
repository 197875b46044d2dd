//! Where a training run is, beside its numbers.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::error::CheckpointError;
use crate::batch::Position;

/// Everything that a run needs to go on, but for parameters and moments. Random numbers follow from the
/// seed among the settings and the step; the learning rate from the settings and the step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Steps taken.
    pub step: u64,
    /// Where in the data.
    pub position: Position,
    /// The least loss of an evaluation so far.
    pub best: Option<f64>,
    /// Evaluations since.
    pub since_best: u64,
    /// What the run depends on: options, data, model, device.
    pub settings: Map<String, Value>,
}

impl State {
    /// `Ok` when the run may go on with these settings.
    ///
    /// # Errors
    /// [`CheckpointError::Other`] with the first that differs.
    pub fn fits(&self, path: &Path, settings: &Map<String, Value>) -> Result<(), CheckpointError> {
        let keys = self.settings.keys().chain(settings.keys());
        let mut differ = keys.filter(|key| self.settings.get(*key) != settings.get(*key));
        let Some(key) = differ.next() else { return Ok(()) };
        let text = |value: Option<&Value>| match value {
            None | Some(Value::Null) => "not given".to_owned(),
            Some(Value::String(text)) => text.clone(),
            Some(value) => value.to_string(),
        };
        Err(CheckpointError::Other {
            path: path.to_owned(),
            what: key.replace('_', "-"),
            then: text(self.settings.get(key)),
            now: text(settings.get(key)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn settings(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap_or_default()
    }

    #[test]
    fn other_settings_are_named() {
        let then = settings(json!({"lr": 0.1, "weight_decay": 0.5, "steps": null}));
        let state = State {
            step: 3,
            position: Position::default(),
            best: None,
            since_best: 0,
            settings: then.clone(),
        };
        assert!(state.fits(Path::new("c"), &then).is_ok());
        let now = settings(json!({"lr": 0.1, "weight_decay": 0.25, "steps": null}));
        let error = state.fits(Path::new("c"), &now).unwrap_err().to_string();
        assert!(error.starts_with("c: weight-decay was 0.5 and is 0.25"), "{error}");
        let now = settings(json!({"lr": 0.1, "weight_decay": 0.5, "steps": 7}));
        let error = state.fits(Path::new("c"), &now).unwrap_err().to_string();
        assert!(error.contains("steps was not given and is 7"), "{error}");
    }
}
