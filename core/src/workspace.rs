//! Scratch that the layers of a network share.

use crate::backend::{Backend, Dropout};
use crate::buffer::{Acc, Act};
use crate::spec::Needs;

/// Scratch buffers. Nothing in them outlives a call.
#[derive(Debug)]
pub struct Workspace<B: Backend> {
    /// For directions and norms.
    pub(crate) scratch: Scratch<B>,
    /// For dropout.
    pub(crate) dropped: Dropped<B>,
    needs: Needs,
}

/// Scratch for directions and norms; see [`Needs`] for the shapes.
#[derive(Debug)]
pub struct Scratch<B: Backend> {
    /// x·Vᵀ, rows·out.
    pub z: B::Buf<Acc>,
    /// A matrix like B, out·r.
    pub tall: B::Buf<Acc>,
    /// A matrix like x·Aᵀ, rows·r.
    pub low: B::Buf<Acc>,
    /// q, or n².
    pub q: B::Buf<Acc>,
    /// c.
    pub c: B::Buf<Acc>,
}

/// Scratch for dropout, two matrices like x.
#[derive(Debug)]
pub struct Dropped<B: Backend> {
    /// x̃, what the adapter sees of x.
    pub seen: B::Buf<Act>,
    /// x − x̃, or a gradient before it is masked.
    pub rest: B::Buf<Act>,
}

/// The mask of this pass, with scratch for it.
#[derive(Debug)]
pub struct Mask<'a, B: Backend> {
    /// Which elements are dropped.
    pub drop: Dropout,
    /// Where x̃ = mask⊙x/(1 − p) goes, `(n, in)`.
    pub seen: &'a mut B::Buf<Act>,
    /// Scratch, `(n, in)`.
    pub rest: &'a mut B::Buf<Act>,
}

impl<B: Backend> Dropped<B> {
    pub(crate) fn mask(&mut self, drop: Dropout) -> Mask<'_, B> {
        Mask { drop, seen: &mut self.seen, rest: &mut self.rest }
    }
}

impl<B: Backend> Workspace<B> {
    /// Room for every layer whose needs went into `needs`.
    ///
    /// # Errors
    /// Out of memory.
    pub fn new(be: &mut B, needs: Needs) -> Result<Self, B::Error> {
        Ok(Self {
            needs,
            scratch: Scratch {
                z: be.alloc::<Acc>(needs.z)?,
                tall: be.alloc::<Acc>(needs.tall)?,
                low: be.alloc::<Acc>(needs.low)?,
                q: be.alloc::<Acc>(needs.rows)?,
                c: be.alloc::<Acc>(needs.rows)?,
            },
            dropped: Dropped {
                seen: be.alloc::<Act>(needs.dropped)?,
                rest: be.alloc::<Act>(needs.dropped)?,
            },
        })
    }

    /// Room for layers with these needs, too. Nothing to do where there is; else the memory is taken anew.
    ///
    /// # Errors
    /// Out of memory.
    pub fn grow(&mut self, be: &mut B, needs: Needs) -> Result<(), B::Error> {
        let needs = self.needs.or(needs);
        if needs != self.needs {
            *self = Self::new(be, needs)?;
        }
        Ok(())
    }
}
