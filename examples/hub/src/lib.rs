#![doc = include_str!("../README.md")]
#![deny(unsafe_code)]

pub mod config;
pub mod error;
pub mod files;
pub mod foreign;
mod json;
pub mod modules;
pub mod network;
pub mod peft;
pub mod rewrite;
pub mod tensors;
pub mod weights;

pub use config::Architecture;
pub use error::HubError;
pub use modules::Module;
pub use peft::Adapter;
pub use weights::Weights;
