//! What a forward pass is for, and what it keeps for backward.

use crate::backend::Backend;
use crate::buffer::{Acc, Buffer};
use crate::spec::Plan;

/// What a forward pass is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Pass {
    /// To use the result: nothing is dropped.
    Eval,
    /// To train: this seed decides what is dropped.
    Train(u64),
}

impl Pass {
    /// The same with another mask for each layer.
    #[must_use]
    pub const fn of_layer(self, layer: u64) -> Self {
        match self {
            Self::Train(seed) => Self::Train(seed.wrapping_add(layer << 32)),
            Self::Eval => Self::Eval,
        }
    }
}

/// What forward keeps for backward, beside x. Adapters that never are between forward and backward
/// at the same time can share it: see [`Adapter::lean`](crate::adapter::Adapter::lean).
#[derive(Debug)]
pub struct Kept<B: Backend> {
    /// x·Aᵀ, rows·r.
    pub(crate) low: B::Buf<Acc>,
    /// x·Vᵀ, rows·out.
    pub(crate) z: B::Buf<Acc>,
}

impl<B: Backend> Kept<B> {
    /// Room for an adapter of this plan.
    ///
    /// # Errors
    /// Out of memory.
    pub fn new(be: &mut B, plan: &Plan) -> Result<Self, B::Error> {
        let z = if plan.spec.magnitude { plan.rows * plan.out } else { 0 };
        Ok(Self { low: be.alloc::<Acc>(plan.rows * plan.spec.rank())?, z: be.alloc::<Acc>(z)? })
    }

    /// Room for an adapter of this plan, too.
    ///
    /// # Errors
    /// Out of memory.
    pub fn grow(&mut self, be: &mut B, plan: &Plan) -> Result<(), B::Error> {
        let low = plan.rows * plan.spec.rank();
        if self.low.len() < low {
            self.low = be.alloc::<Acc>(low)?;
        }
        let z = if plan.spec.magnitude { plan.rows * plan.out } else { 0 };
        if self.z.len() < z {
            self.z = be.alloc::<Acc>(z)?;
        }
        Ok(())
    }
}
