//! What lies in device memory: buffers and frozen weights.

use core::marker::PhantomData;

use decora::backend::Weight;
use decora::buffer::{Buffer, Role};
use decora::error::Shape;

use crate::memory::Block;
use crate::pipelines::Kind;

/// Device memory.
#[derive(Debug)]
pub struct VulkanBuf<R: Role> {
    pub(crate) block: Block,
    pub(crate) len: usize,
    pub(crate) role: PhantomData<R>,
}

impl<R: Role> Buffer for VulkanBuf<R> {
    fn len(&self) -> usize {
        self.len
    }
}

/// Consecutive rows of a frozen weight.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) block: Block,
    pub(crate) first: usize,
    pub(crate) rows: usize,
}

/// A frozen weight on the device: in one buffer, or in several where the device cannot bind one so
/// large.
#[derive(Debug)]
pub struct VulkanWeight {
    pub(crate) parts: Vec<Part>,
    pub(crate) shape: Shape,
    pub(crate) kind: Kind,
    /// Bytes of an element.
    pub(crate) width: u64,
}

impl Weight for VulkanWeight {
    fn shape(&self) -> Shape {
        self.shape
    }
}
