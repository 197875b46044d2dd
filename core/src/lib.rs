#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]

pub mod adapter;
pub mod backend;
pub mod buffer;
pub mod check;
#[cfg(feature = "safetensors")]
pub mod checkpoint;
pub mod decompose;
pub mod direction;
pub mod dropout;
pub mod error;
pub mod frozen;
pub mod init;
pub mod linear;
pub mod magnitude;
mod masked;
pub mod mat;
pub mod merge;
pub mod mlp;
pub mod network;
pub mod optim;
pub mod param;
mod pass;
#[cfg(feature = "safetensors")]
pub mod safetensors;
pub mod scalar;
pub mod sequence;
pub mod shadow;
pub mod spec;
pub mod transformer;
pub mod workspace;

pub use half::{bf16, f16};
