//! What the host does for the firmware: makes its data, takes its place, and tests it.

#![forbid(unsafe_code)]

pub mod board;
pub mod make;
