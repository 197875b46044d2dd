//! Merging: the adapter goes into the weight, and nothing of it is left at inference.
//!
//! W' = diag(g)·(W + s·B·A), streamed by rows: neither W' nor B·A is ever whole in memory.

use core::ops::Range;

use num_traits::{One, Zero};

use crate::adapter::Adapter;
use crate::backend::{AccumOf, Backend};
use crate::buffer::{Acc, Buffer};
use crate::direction::Direction;
use crate::error::Error;
use crate::linear::Linear;
use crate::mat::{Layout, Mat, MatMut};
use crate::scalar::Accum;
use crate::workspace::Workspace;

/// What takes the rows: the number of the first, and whole rows one after the other.
pub type Sink<'s, B> =
    dyn FnMut(Range<usize>, &[AccumOf<B>]) -> Result<(), Error<<B as Backend>::Error>> + 's;

/// Room for a few rows of a weight, on the device.
#[derive(Debug)]
pub struct Merge<B: Backend> {
    tile: B::Buf<Acc>,
    gains: B::Buf<Acc>,
    rows: usize,
}

impl<B: Backend> Merge<B> {
    /// Room for `rows` rows (at least 1) of `inputs` elements at a time.
    ///
    /// # Errors
    /// Out of memory.
    pub fn new(be: &mut B, rows: usize, inputs: usize) -> Result<Self, B::Error> {
        let rows = rows.max(1);
        let (tile, gains) = (be.alloc::<Acc>(rows * inputs)?, be.alloc::<Acc>(rows)?);
        Ok(Self { tile, gains, rows })
    }

    /// Gives the rows of W' to `sink`, first to last. `host` is room for at least one row; as many
    /// rows travel at a time as fit.
    ///
    /// # Errors
    /// [`Error::Capacity`] when not even one row fits; what `sink` answers; device errors.
    pub fn stream<D: Direction<B>>(
        &mut self,
        be: &mut B,
        ws: &mut Workspace<B>,
        base: &Linear<'_, B>,
        adapter: &mut Adapter<B, D>,
        host: &mut [AccumOf<B>],
        sink: &mut Sink<'_, B>,
    ) -> Result<(), Error<B::Error>> {
        self.each(base, host, &mut |this, host, rows| {
            let at = Layout::row_major(0, rows.len(), base.shape().1);
            let tile = MatMut::with(&mut this.tile, at)?;
            adapter.merged_rows(be, ws, base, rows.start, tile)?;
            be.read::<Acc>(&this.tile, 0, host)?;
            sink(rows, host)
        })
    }

    /// As [`stream`](Merge::stream), but `sink` sees nothing unless every element of W' is finite.
    ///
    /// # Errors
    /// [`Error::NonFinite`] at the first element that is not; else as `stream`.
    pub fn stream_checked<D: Direction<B>>(
        &mut self,
        be: &mut B,
        ws: &mut Workspace<B>,
        base: &Linear<'_, B>,
        adapter: &mut Adapter<B, D>,
        host: &mut [AccumOf<B>],
        sink: &mut Sink<'_, B>,
    ) -> Result<(), Error<B::Error>> {
        let cols = base.shape().1.max(1);
        self.stream(be, ws, base, adapter, host, &mut |rows, w| match w
            .iter()
            .position(|x| !x.finite())
        {
            Some(i) => Err(Error::non_finite(
                "merged weight",
                rows.start + i.checked_div(cols).unwrap_or_default(),
                i.checked_rem(cols).unwrap_or_default(),
            )),
            None => Ok(()),
        })?;
        self.stream(be, ws, base, adapter, host, sink)
    }

    /// Gives the rows of W = diag(1/g)·W' − s·B·A to `sink`, W' in `merged`. As exact as the
    /// rounding of W' left it. The gains are those of the merge: they depend on W, so that they
    /// cannot be computed here.
    ///
    /// # Errors
    /// [`Error::Stale`] when the adapter's parameters were changed since; [`Error::NonFinite`] for a row whose gain is 0, which merging erased; [`Error::OutOfRange`]
    /// after full fine-tuning; else as [`stream`](Merge::stream).
    pub fn unmerge<D: Direction<B>>(
        &mut self,
        be: &mut B,
        merged: &Linear<'_, B>,
        adapter: &mut Adapter<B, D>,
        host: &mut [AccumOf<B>],
        sink: &mut Sink<'_, B>,
    ) -> Result<(), Error<B::Error>> {
        self.each(merged, host, &mut |this, host, rows| {
            let at = Layout::row_major(0, rows.len(), merged.shape().1);
            be.frozen_rows(&merged.weight, rows.start, MatMut::with(&mut this.tile, at)?)?;
            if let Some(g) = adapter.gains("unmerge")? {
                this.inverse_gains(be, g, rows.clone(), host)?;
                let d = Mat::new(&this.gains, rows.len(), 1)?;
                be.scale_rows(d, MatMut::with(&mut this.tile, at)?)?;
            }
            adapter.unmerge_rows(be, rows.start, MatMut::with(&mut this.tile, at)?)?;
            be.read::<Acc>(&this.tile, 0, host)?;
            sink(rows, host)
        })
    }

    fn inverse_gains(
        &mut self,
        be: &mut B,
        g: &B::Buf<Acc>,
        rows: Range<usize>,
        host: &mut [AccumOf<B>],
    ) -> Result<(), Error<B::Error>> {
        for (i, row) in rows.enumerate() {
            let one = host.get_mut(..1).unwrap_or_default();
            be.read::<Acc>(g, row, one)?;
            for x in one.iter_mut() {
                if x.is_zero() {
                    return Err(Error::non_finite("1/gain, in unmerging", row, 0));
                }
                *x = AccumOf::<B>::one() / *x;
            }
            be.write::<Acc>(&mut self.gains, i, one)?;
        }
        Ok(())
    }

    /// Calls `f` for as many rows at a time as fit both on the device and in `host`.
    fn each(
        &mut self,
        base: &Linear<'_, B>,
        host: &mut [AccumOf<B>],
        f: &mut Chunk<'_, B>,
    ) -> Result<(), Error<B::Error>> {
        let (out, inputs) = base.shape();
        let fit = self.rows.min(self.tile.len().min(host.len()) / inputs.max(1));
        if fit == 0 {
            let what = "elements of room for one row of the weight";
            let found = self.tile.len().min(host.len());
            return Err(Error::capacity(what, inputs, found));
        }
        let mut first = 0;
        while first < out {
            let rows = first..out.min(first + fit);
            first = rows.end;
            let part = host.get_mut(..rows.len() * inputs).unwrap_or_default();
            f(self, part, rows)?;
        }
        Ok(())
    }
}

type Chunk<'f, B> = dyn FnMut(
        &mut Merge<B>,
        &mut [AccumOf<B>],
        Range<usize>,
    ) -> Result<(), Error<<B as Backend>::Error>>
    + 'f;
