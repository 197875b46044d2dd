//! What frozen layers compute of samples that come again.

use crate::backend::{AccumOf, Backend, Store};
use crate::buffer::Act;
use crate::error::{Error, Shape as Size};
use crate::mat::{Layout, Mat, MatMut};
use crate::scalar::Accum;

/// The inputs of the first adapted layer for samples that were seen before, so that the layers below
/// it need not run again (Skip2-LoRA, Matsutani et al. 2024, does the same for LoRA).
///
/// Samples have the numbers 0, 1, 2 … in the order in which they are first seen. A sample that comes
/// out of turn, or when the cache is full, is not kept.
#[derive(Debug)]
pub struct Cache<B: Backend> {
    /// A row for each sample, `(capacity, width)`.
    x: B::Buf<Act>,
    size: Size,
    known: usize,
}

impl<B: Backend> Cache<B> {
    /// An empty cache for `samples` samples of a network of this shape.
    ///
    /// # Errors
    /// Out of memory.
    pub fn new(be: &mut B, shape: super::Shape<'_>, samples: usize) -> Result<Self, B::Error> {
        let width = shape.cached_width();
        Ok(Self { x: be.alloc::<Act>(samples * width)?, size: (samples, width), known: 0 })
    }

    /// How many samples it has room for.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.size.0
    }

    /// How many samples it knows.
    #[must_use]
    pub fn known(&self) -> usize {
        self.known
    }

    /// Forgets all samples: others will come.
    pub fn clear(&mut self) {
        self.known = 0;
    }

    pub(super) fn width(&self) -> usize {
        self.size.1
    }

    pub(super) fn knows(&self, first: usize, n: usize) -> bool {
        first.checked_add(n).is_some_and(|end| end <= self.known)
    }

    /// Puts samples from `first` on into x.
    pub(super) fn recall(
        &self,
        be: &mut B,
        first: usize,
        n: usize,
        x: &mut B::Buf<Act>,
    ) -> Result<(), B::Error> {
        let (from, to) = self.places(first, n);
        let one = AccumOf::<B>::of(1.0);
        be.axpy(one, Mat { buf: &self.x, at: from }, Store::Replace, MatMut { buf: x, at: to })
    }

    /// Keeps x of samples from `first` on, when they are the next and there is room.
    pub(super) fn keep(
        &mut self,
        be: &mut B,
        first: usize,
        n: usize,
        x: &B::Buf<Act>,
    ) -> Result<(), Error<B::Error>> {
        let end = self.known + n;
        if first != self.known || end > self.capacity() {
            return Ok(());
        }
        let (to, from) = self.places(first, n);
        let one = AccumOf::<B>::of(1.0);
        be.axpy(
            one,
            Mat { buf: x, at: from },
            Store::Replace,
            MatMut { buf: &mut self.x, at: to },
        )?;
        self.known = end;
        Ok(())
    }

    /// Where samples lie in the cache, and in a batch.
    fn places(&self, first: usize, n: usize) -> (Layout, Layout) {
        let width = self.size.1;
        let at = Layout::row_major(0, self.size.0, width).rows_from(first, n);
        (at, Layout::row_major(0, n, width))
    }
}
