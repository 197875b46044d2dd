//! A device that adapts its network to its owner. Everything here builds on the host too, where it
//! is tested; what only the device has is in `bin`.

#![no_std]
#![forbid(unsafe_code)]

pub mod adapt;
pub mod app;
pub mod base;
pub mod board;
pub mod data;
pub mod digest;
pub mod digits;
pub mod flash;
pub mod learner;
pub mod merged;
pub mod nor;
pub mod setup;
pub mod store;
