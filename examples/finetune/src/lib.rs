#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test stops at the first surprise"))]

pub mod batch;
pub mod checkpoint;
pub mod commands;
pub mod data;
pub mod device;
pub mod error;
pub mod evaluate;
pub mod folder;
pub mod generate;
pub mod inspect;
pub mod memory;
pub mod merge;
pub mod metrics;
pub mod model;
pub mod network;
pub mod options;
pub mod progress;
pub mod stop;
pub mod train;
pub mod words;

pub use error::Error;
