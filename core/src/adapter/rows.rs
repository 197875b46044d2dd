//! The weight that an adapter makes of a layer's, some rows at a time.

use super::Adapter;
use crate::backend::Backend;
use crate::buffer::Acc;
use crate::direction::Direction;
use crate::error::Error;
use crate::linear::Linear;
use crate::mat::MatMut;
use crate::workspace::Workspace;

impl<B: Backend, D: Direction<B>> Adapter<B, D> {
    /// Rows of W' = diag(g)·V from `first` on, as many as `v` `(n, in)` has.
    ///
    /// # Errors
    /// [`Error::Shape`] when there are fewer rows; device errors.
    pub fn merged_rows(
        &mut self,
        be: &mut B,
        ws: &mut Workspace<B>,
        base: &Linear<'_, B>,
        first: usize,
        mut v: MatMut<'_, B, Acc>,
    ) -> Result<(), Error<B::Error>> {
        self.refresh(be, ws, base)?;
        self.direction.rows(be, base, first, v.reborrow())?;
        match &self.magnitude {
            Some(magnitude) => Ok(magnitude.scale(be, first, v)?),
            None => Ok(()),
        }
    }

    /// Turns rows of V from `first` on back into those of W: V − s·B·A.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] where W cannot be had from V; device errors.
    pub fn unmerge_rows(
        &mut self,
        be: &mut B,
        first: usize,
        v: MatMut<'_, B, Acc>,
    ) -> Result<(), Error<B::Error>> {
        self.direction.unmerge(be, first, v)
    }
}
