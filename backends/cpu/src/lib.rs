#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

mod arena;
mod backend;
#[cfg(feature = "std")]
mod blocked;
mod error;
mod kernels;
mod network;
mod products;
mod sequence;

#[cfg(feature = "std")]
pub use arena::FastCpu;
pub use arena::{Cpu, Storage};
pub use backend::CpuWeight;
#[cfg(feature = "std")]
pub use blocked::Blocked;
pub use error::CpuError;
pub use products::{Operand, Place, Portable, Products};
