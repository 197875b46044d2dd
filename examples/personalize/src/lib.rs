//! Adapts a real network to a new user with DoRA, LoRA, full fine-tuning and magnitudes alone,
//! side by side, and reports what came out.

#![forbid(unsafe_code)]

pub mod adapt;
pub mod auto;
pub mod backend;
pub mod cli;
pub mod config;
pub mod data;
pub mod device;
pub mod error;
pub mod experiment;
pub mod net;
pub mod peft;
pub mod report;
pub mod session;
pub mod stats;
pub mod task;
pub mod tune;
pub mod warp;
