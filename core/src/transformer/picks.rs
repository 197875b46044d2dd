//! Which rows of a batch are classified.

use num_traits::One;

use super::saved::mat;
use crate::backend::{AccumOf, Backend, Store};
use crate::buffer::{Act, Buffer};
use crate::error::Error;
use crate::mat::{Layout, Mat, MatMut};
use crate::scalar::Scalar;
use crate::sequence::Sequence;

/// Which row of each sequence is classified, as a matrix of ones and zeros, `(sequences, n)`:
/// products with it take rows out, and put their gradients back.
#[derive(Debug)]
pub(super) struct Picks<B: Backend> {
    ones: B::Buf<Act>,
    nothing: B::Buf<Act>,
    at: Layout,
}

impl<B: Sequence> Picks<B> {
    pub(super) fn new(be: &mut B, sequences: usize, rows: usize) -> Result<Self, B::Error> {
        let (ones, nothing) = (be.alloc::<Act>(sequences * rows)?, be.alloc::<Act>(0)?);
        Ok(Self { ones, nothing, at: Layout::row_major(0, 0, 0) })
    }

    /// How many sequences there are.
    pub(super) const fn sequences(&self) -> usize {
        self.at.rows
    }

    /// Marks the rows of a batch of n.
    pub(super) fn load(
        &mut self,
        be: &mut B,
        picks: &[u32],
        n: usize,
    ) -> Result<(), Error<B::Error>> {
        let room = self.ones.len().checked_div(n).unwrap_or_default();
        if picks.len() > room {
            let what = "sequences in one pass";
            return Err(Error::capacity(what, picks.len(), room));
        }
        if let Some(&row) = picks.iter().find(|&&row| row as usize >= n) {
            let (found, expected) = (f64::from(row), "less than the number of rows");
            return Err(Error::out_of_range("row of a sequence", found, expected));
        }
        self.at = Layout::row_major(0, picks.len(), n);
        // A product over nothing: zeros.
        let (a, b) = (mat(&self.nothing, picks.len(), 0), mat(&self.nothing, 0, n));
        let c = MatMut { buf: &mut self.ones, at: self.at };
        be.gemm(AccumOf::<B>::one(), a, b, Store::Replace, c)?;
        for (i, &row) in picks.iter().enumerate() {
            be.write::<Act>(&mut self.ones, i * n + row as usize, &[one::<B>()])?;
        }
        Ok(())
    }

    /// The marked rows of x.
    pub(super) fn take(
        &self,
        be: &mut B,
        x: Mat<'_, B, Act>,
        y: MatMut<'_, B, Act>,
    ) -> Result<(), B::Error> {
        let ones = Mat { buf: &self.ones, at: self.at };
        be.gemm(AccumOf::<B>::one(), ones, x, Store::Replace, y)
    }

    /// The gradient of [`take`](Picks::take): zero in all other rows.
    pub(super) fn put_back(
        &self,
        be: &mut B,
        dy: Mat<'_, B, Act>,
        dx: MatMut<'_, B, Act>,
    ) -> Result<(), B::Error> {
        let ones = Mat { buf: &self.ones, at: self.at.t() };
        be.gemm(AccumOf::<B>::one(), ones, dy, Store::Replace, dx)
    }
}

fn one<B: Backend>() -> B::Scalar {
    B::Scalar::narrow(AccumOf::<B>::one())
}
