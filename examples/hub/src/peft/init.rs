//! How the matrices of an adapter began: PEFT's `init_lora_weights`.

use serde::Serialize;
use serde_json::Value;

use crate::HubError;
use crate::json::Object;

const KEY: &str = "init_lora_weights";

/// How A and B began. All of these leave the base as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Init {
    /// `true`: A uniform within ±1/√in, B zero. `false`: both random, for tests.
    Usual(bool),
    /// `gaussian` (A normal with deviation 1/r, B zero), `eva`, `orthogonal`.
    Named(String),
}

impl Init {
    pub(super) fn read(config: &Object) -> Result<Self, HubError> {
        match config.value(KEY) {
            None => Ok(Self::Usual(true)),
            Some(Value::Bool(usual)) => Ok(Self::Usual(*usual)),
            Some(Value::String(name)) if leaves_base(name) => Ok(Self::Named(name.clone())),
            Some(value) => {
                let why = refusal(value.as_str().unwrap_or_default());
                Err(config.wrong(KEY, format!("true, false, gaussian, eva or orthogonal{why}")))
            }
        }
    }
}

/// PEFT takes `gaussian` in whatever letters, the others as they are.
fn leaves_base(name: &str) -> bool {
    name.eq_ignore_ascii_case("gaussian") || ["eva", "orthogonal"].contains(&name)
}

/// Why an adapter that began in this way is not one of its model, and what to do. `PiSSA`, `OLoRA`, `CorDA` and
/// LoRA-GA begin with W = W₀ − s·B·A for the base W₀; `LoftQ` with a rounded one.
fn refusal(name: &str) -> &'static str {
    let name = name.to_ascii_lowercase();
    match name.split('_').next() {
        Some("pissa" | "olora" | "corda" | "lora") => {
            ": this one takes what A and B begin with out of the weights of the base, so the adapter is none \
             of the model as it is; save it again with PEFT's path_initial_model_for_weight_conversion"
        }
        Some("loftq") => {
            ": this one rounds the weights of the base; save that base with PEFT, give it as the model, and \
             put true here"
        }
        Some("mica") => {
            ": this one does not train B, which is not supported; put true here to use the adapter, or to \
             train both"
        }
        _ => "",
    }
}
