//! The backward of dropout under a magnitude.

use num_traits::One;

use crate::backend::{AccumOf, Backend, Side, Store};
use crate::buffer::Act;
use crate::direction::{Backprop, Direction};
use crate::linear::Linear;
use crate::magnitude::Magnitude;
use crate::mat::{Layout, Mat, MatMut};
use crate::workspace::{Mask, Scratch};

/// What the gradients start from.
pub(crate) struct Masked<'a, B: Backend> {
    pub(crate) x: Mat<'a, B, Act>,
    pub(crate) dy: MatMut<'a, B, Act>,
    pub(crate) dx: Option<MatMut<'a, B, Act>>,
    pub(crate) store: Store,
}

/// With dropout under a magnitude: dx = dy·W + mask⊙(dz·V − dy·W)/(1 − p), dz = g⊙dy.
pub(crate) fn masked_backward<B: Backend, D: Direction<B>>(
    be: &mut B,
    base: &Linear<'_, B>,
    ws: &mut Scratch<B>,
    (direction, magnitude): (&mut D, &mut Magnitude<B>),
    Mask { drop, seen, rest }: Mask<'_, B>,
    Masked { x, mut dy, mut dx, store }: Masked<'_, B>,
) -> Result<(), B::Error> {
    let one = AccumOf::<B>::one();
    let at = Layout::row_major(0, x.at.rows, x.at.cols);
    be.dropout(drop, x, Store::Replace, MatMut { buf: &mut *seen, at })?;
    if let Some(dx) = &mut dx {
        let (w, side) = (&base.weight, Side::Plain);
        be.gemm_frozen(one, dy.view(), w, side, Store::Replace, dx.reborrow())?;
    }
    magnitude.backward(be, ws, dy.reborrow(), store)?;
    let mut rest = MatMut { buf: rest, at };
    let dv = dx.is_some().then(|| rest.reborrow());
    let onto = Store::Replace;
    let pass = Backprop { x: Mat { buf: &*seen, at }, dz: dy.view(), dx: dv, onto, store };
    direction.backward(be, base, ws, None, pass)?;
    let Some(dx) = dx else { return Ok(()) };
    be.axpy(-one, dx.view(), Store::Add, rest.reborrow())?;
    be.dropout(drop, rest.view(), Store::Add, dx)
}
