//! Which biases are trained beside an adapter: PEFT's `bias`.

use serde::Serialize;

use super::config::Config;
use super::select::Adapted;
use crate::HubError;
use crate::config::{Architecture, Norm};
use crate::json::Object;
use crate::modules::Module;

/// Which biases are trained. Modules that have none are left as they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Bias {
    /// None.
    #[default]
    None,
    /// Those of all modules.
    All,
    /// Those of adapted modules.
    LoraOnly,
}

impl Bias {
    pub(super) fn read(config: &Object) -> Result<Self, HubError> {
        match config.text("bias")? {
            None | Some("none") => Ok(Self::None),
            Some("all") => Ok(Self::All),
            Some("lora_only") => Ok(Self::LoraOnly),
            Some(_) => Err(config.wrong("bias", "none, all or lora_only")),
        }
    }

    /// Whether biases of adapted modules are trained.
    #[must_use]
    pub const fn of_adapted(self) -> bool {
        !matches!(self, Self::None)
    }
}

impl Config {
    /// The linear layers that are neither adapted nor trained as a whole, and whose biases are trained.
    pub(super) fn biased(
        &self,
        architecture: &Architecture,
        adapted: &[Adapted],
        saved: &[Module],
    ) -> Result<Vec<Module>, HubError> {
        if self.bias != Bias::All {
            return Ok(Vec::new());
        }
        if matches!(architecture.norm, Norm::Layer { .. }) {
            let expected = "none or lora_only: biases of this model's normalisations are not trained \
                beside an adapter";
            return Err(HubError::setting(&self.path, "bias", "\"all\"", expected));
        }
        let others = |module: &Module| {
            let adapted = adapted.iter().any(|adapted| adapted.module.path == module.path);
            module.bias && !adapted && saved.iter().all(|saved| saved.path != module.path)
        };
        Ok(architecture.modules().into_iter().filter(others).collect())
    }
}
