#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod against;
#[cfg(feature = "check")]
pub mod check;
mod expected;
mod forward;
mod forward_sequence;
mod forward_whole;
pub mod gradient;
pub mod invariants;
mod operand;
pub mod ops;
pub mod paint;
mod reference;
pub mod report;
mod rig;
pub mod strict;
pub mod suite;
pub mod tolerance;
pub mod trace;
mod trial;
pub mod wrapper;

pub use against::Make;
