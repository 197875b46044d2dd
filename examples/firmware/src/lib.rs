//! A device that adapts its network to its owner. Everything here builds on the host too, where it
//! is tested; what only the device has is in `bin`.

#![no_std]
#![forbid(unsafe_code)]

pub mod nor;
pub mod store;
