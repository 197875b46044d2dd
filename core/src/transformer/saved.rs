//! What a block keeps of forward for backward, and the scratch of backward.

use heapless::Vec;

use super::shape::{Placement, Shape};
use crate::adapter::Kept;
use crate::backend::Backend;
use crate::buffer::{Acc, Act};
use crate::mat::{Layout, Mat, MatMut};

/// The most linear layers in a block: q, k, v, output, gate, up, down.
pub(super) const LAYERS: usize = 7;

/// The activations of a block. Blocks that are computed again for backward share one.
#[derive(Debug)]
pub(super) struct Saved<B: Backend> {
    /// What the attention sees, where that is not the input of the block: n·width.
    pub(super) normed: B::Buf<Act>,
    /// Queries, keys and values side by side: n·qkv.
    pub(super) qkv: B::Buf<Act>,
    /// What the heads answer: n·heads·dim.
    pub(super) o: B::Buf<Act>,
    /// Of the scores: n·heads.
    pub(super) lse: B::Buf<Acc>,
    /// The input of the block plus what the attention adds: n·width.
    pub(super) middle: B::Buf<Act>,
    /// What the perceptron sees: n·width.
    pub(super) seen: B::Buf<Act>,
    /// The gate before φ: n·inner, where there is one.
    pub(super) gate: B::Buf<Act>,
    /// What the gate opens for, or the inner values before φ: n·inner.
    pub(super) up: B::Buf<Act>,
    /// After φ: n·inner.
    pub(super) inner: B::Buf<Act>,
    /// The sum before the last normalisation, where that follows: n·width.
    pub(super) sum: B::Buf<Act>,
    /// What the adapters keep.
    pub(super) kept: Vec<Kept<B>, LAYERS>,
}

impl<B: Backend> Saved<B> {
    pub(super) fn new(
        be: &mut B,
        shape: &Shape,
        gated: bool,
        kept: Vec<Kept<B>, LAYERS>,
    ) -> Result<Self, B::Error> {
        let n = shape.rows;
        let (width, inner) = (n * shape.width, n * shape.inner);
        let (before, after) = match shape.placement {
            Placement::Before => (width, 0),
            Placement::After => (0, width),
        };
        Ok(Self {
            normed: be.alloc::<Act>(before)?,
            qkv: be.alloc::<Act>(n * shape.qkv())?,
            o: be.alloc::<Act>(n * shape.heads.width())?,
            lse: be.alloc::<Acc>(n * shape.heads.heads)?,
            middle: be.alloc::<Act>(width)?,
            seen: be.alloc::<Act>(width)?,
            gate: be.alloc::<Act>(if gated { inner } else { 0 })?,
            up: be.alloc::<Act>(inner)?,
            inner: be.alloc::<Act>(inner)?,
            sum: be.alloc::<Act>(after)?,
            kept,
        })
    }
}

/// Scratch of backward, shared by all blocks.
#[derive(Debug)]
pub(super) struct Gradients<B: Backend> {
    /// A gradient that a layer may use up: n·width.
    pub(super) spent: B::Buf<Act>,
    /// Of what the layers see: n·width.
    pub(super) seen: B::Buf<Act>,
    /// n·width.
    pub(super) spare: B::Buf<Act>,
    /// Of queries, keys and values.
    pub(super) projected: Projected<B>,
    /// n·heads·dim.
    pub(super) o: B::Buf<Act>,
    /// n·inner.
    pub(super) inner: B::Buf<Act>,
    /// n·heads.
    pub(super) dots: B::Buf<Acc>,
}

impl<B: Backend> Gradients<B> {
    pub(super) fn new(be: &mut B, shape: &Shape, n: usize) -> Result<Self, B::Error> {
        Ok(Self {
            spent: be.alloc::<Act>(n * shape.width)?,
            seen: be.alloc::<Act>(n * shape.width)?,
            spare: be.alloc::<Act>(n * shape.width)?,
            projected: Projected::new(be, shape, n)?,
            o: be.alloc::<Act>(n * shape.heads.width())?,
            inner: be.alloc::<Act>(n * shape.inner)?,
            dots: be.alloc::<Acc>(n * shape.heads.heads)?,
        })
    }
}

/// The gradients of queries, keys and values.
#[derive(Debug)]
pub(super) struct Projected<B: Backend> {
    /// Apart: n·heads·dim, then twice n·kv_heads·dim.
    pub(super) parts: [B::Buf<Act>; 3],
    /// Side by side: n·qkv, where one layer makes all three.
    pub(super) all: B::Buf<Act>,
}

impl<B: Backend> Projected<B> {
    fn new(be: &mut B, shape: &Shape, n: usize) -> Result<Self, B::Error> {
        let (q, kv) = (n * shape.heads.width(), n * shape.heads.kv_width());
        let parts = [be.alloc::<Act>(q)?, be.alloc::<Act>(kv)?, be.alloc::<Act>(kv)?];
        Ok(Self { parts, all: be.alloc::<Act>(n * shape.qkv())? })
    }
}

/// The first n rows of `cols` columns.
pub(super) fn mat<B: Backend>(buf: &B::Buf<Act>, n: usize, cols: usize) -> Mat<'_, B, Act> {
    Mat { buf, at: Layout::row_major(0, n, cols) }
}

/// As [`mat`], to write.
pub(super) fn mat_mut<B: Backend>(
    buf: &mut B::Buf<Act>,
    n: usize,
    cols: usize,
) -> MatMut<'_, B, Act> {
    MatMut { buf, at: Layout::row_major(0, n, cols) }
}

/// Where queries, keys and values lie in n rows of all three.
pub(super) fn columns(shape: &Shape, n: usize) -> [Layout; 3] {
    let (q, kv, rs) = (shape.heads.width(), shape.heads.kv_width(), shape.qkv());
    let at = |offset, cols| Layout { offset, rows: n, cols, rs, cs: 1 };
    [at(0, q), at(q, kv), at(q + kv, kv)]
}
