//! What the host does for the firmware: makes its data, and tests it.

#![forbid(unsafe_code)]

pub mod make;
