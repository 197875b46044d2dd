//! A device that watches what lies behind every buffer.

use std::fmt;

use decora::backend::Backend;
use decora::buffer::{Buffer, Role};
use decora::error::ShapeError;
use decora::mat::Layout;
use decora::scalar::{Accum, Element};

use crate::wrapper::prelude::*;

/// Elements behind every buffer that no operation may touch.
const GUARD: usize = 64;

/// A device around another that panics, naming the operation, when one
///
/// - writes behind the end of a buffer: every buffer ends in a guard band of the same allocation,
///   looked at after each operation for each of its operands. An operation that reads there finds
///   a number that spoils its result;
/// - gets memory that is not zero from `alloc`.
///
/// Vectors that an operation takes in a longer buffer lie right before the guard. Where an operation
/// takes whole buffers (`adamw`, `sgd`, `x` of `sum_sq`, `base_sq` of `gain` and `gain_grad`), it
/// runs on copies of exactly that length, and these have no guard. What lies before a buffer is
/// not watched; for matrices, the suite does that with views that start later.
///
/// Every operation waits for the device.
#[derive(Debug)]
pub struct Strict<B: Backend> {
    inner: B,
    made: u32,
}

/// A buffer with a guard band behind it.
pub struct Guarded<B: Backend, R: Role> {
    inner: B::Buf<R>,
    len: usize,
    guard: Elem<B, R>,
}

impl<B: Backend, R: Role> fmt::Debug for Guarded<B, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} elements before {:?}", self.len, self.guard)
    }
}

impl<B: Backend, R: Role> Buffer for Guarded<B, R> {
    fn len(&self) -> usize {
        self.len
    }
}

impl<B: Backend> Strict<B> {
    /// Watches `inner`.
    pub fn new(inner: B) -> Self {
        Self { inner, made: 0 }
    }

    /// The device itself.
    pub fn into_inner(self) -> B {
        self.inner
    }

    /// The elements of a buffer, in one of exactly that length.
    fn copy(&mut self, of: &Guarded<B, Acc>) -> Result<B::Buf<Acc>, B::Error> {
        let mut copy = self.inner.alloc::<Acc>(of.len)?;
        self.move_elements(&of.inner, &mut copy, of.len)?;
        Ok(copy)
    }

    fn move_elements(
        &mut self,
        from: &B::Buf<Acc>,
        to: &mut B::Buf<Acc>,
        len: usize,
    ) -> Result<(), B::Error> {
        let at = Layout::row_major(0, 1, len);
        let (x, y) = (Mat { buf: from, at }, MatMut { buf: to, at });
        self.inner.axpy(AccumOf::<B>::of(1.0), x, Store::Replace, y)
    }
}

impl<B: Backend> Wrapper<B> for Strict<B> {
    fn inner(&mut self) -> &mut B {
        &mut self.inner
    }

    fn lower<R: Role>(buf: &Guarded<B, R>) -> &B::Buf<R> {
        &buf.inner
    }

    fn lower_mut<R: Role>(buf: &mut Guarded<B, R>) -> &mut B::Buf<R> {
        &mut buf.inner
    }

    fn vector<R: Role>(
        &self,
        what: &'static str,
        buf: &Guarded<B, R>,
        len: usize,
    ) -> Result<(), B::Error> {
        let (found, expected) = ((buf.len, 1), (len, 1));
        if len <= buf.len { Ok(()) } else { Err(ShapeError::new(what, found, expected).into()) }
    }

    /// # Panics
    /// When the guard is no longer what it was.
    fn after<R: Role>(&mut self, op: &'static str, buf: &Guarded<B, R>) -> Result<(), B::Error> {
        let mut guard = [Elem::<B, R>::default(); GUARD];
        self.inner.read::<R>(&buf.inner, buf.len, &mut guard)?;
        if let Some((at, x)) = guard.iter().enumerate().find(|(_, x)| **x != buf.guard) {
            panic!("{op} wrote {x:?} at {} of a buffer of {} elements", buf.len + at, buf.len);
        }
        Ok(())
    }
}

impl<B: Backend> Backend for Strict<B> {
    type Scalar = B::Scalar;
    type Buf<R: Role> = Guarded<B, R>;
    type Weight<'w> = B::Weight<'w>;
    type Error = B::Error;

    /// # Panics
    /// When the memory is not all zero.
    fn alloc<R: Role>(&mut self, len: usize) -> Result<Guarded<B, R>, B::Error> {
        let mut inner = self.inner.alloc::<R>(len + GUARD)?;
        let mut found = vec![Elem::<B, R>::store(1.0f64); len + GUARD];
        self.inner.read::<R>(&inner, 0, &mut found)?;
        let zero = found.iter().all(|x| *x == Elem::<B, R>::default());
        assert!(zero, "alloc: memory that is not zero, in {} elements", len + GUARD);
        // Another number for each buffer, so that a copied guard shows.
        self.made += 1;
        let guard = Elem::<B, R>::store(-f64::from(64 + self.made % 61));
        let guard = if guard == Elem::<B, R>::default() { Element::store(77.0f64) } else { guard };
        self.inner.write::<R>(&mut inner, len, &[guard; GUARD])?;
        Ok(Guarded { inner, len, guard })
    }

    crate::forward!(write read weight gemm gemm_frozen gemm_adapted frozen_rows frozen_row_sq axpy
        dropout scale_rows row_dot low_rank_row_sq affine affine_grad col_sum);

    fn gain(
        &mut self,
        base_sq: &Guarded<B, Acc>,
        sq: &Guarded<B, Acc>,
        m: &mut Guarded<B, Acc>,
        n: &mut Guarded<B, Acc>,
        g: &mut Guarded<B, Acc>,
    ) -> Result<(), B::Error> {
        for buf in [sq, m, n, g] {
            self.vector("gain: sq, m, n or g", buf, base_sq.len)?;
        }
        let base = self.copy(base_sq)?;
        self.inner.gain(&base, &sq.inner, &mut m.inner, &mut n.inner, &mut g.inner)?;
        [base_sq, sq, m, n, g].into_iter().try_for_each(|buf| self.after("gain", buf))
    }

    fn gain_grad(
        &mut self,
        base_sq: &Guarded<B, Acc>,
        n: &Guarded<B, Acc>,
        g: &Guarded<B, Acc>,
        q: &Guarded<B, Acc>,
        into: Store,
        dm: &mut Guarded<B, Acc>,
        c: &mut Guarded<B, Acc>,
    ) -> Result<(), B::Error> {
        for buf in [n, g, q, dm, c] {
            self.vector("gain_grad: n, g, q, dm or c", buf, base_sq.len)?;
        }
        let (base, n_g_q) = (self.copy(base_sq)?, (&n.inner, &g.inner, &q.inner));
        let (n_in, g_in, q_in) = n_g_q;
        self.inner.gain_grad(&base, n_in, g_in, q_in, into, &mut dm.inner, &mut c.inner)?;
        [base_sq, n, g, q, dm, c].into_iter().try_for_each(|buf| self.after("gain_grad", buf))
    }

    fn sum_sq(
        &mut self,
        x: &Guarded<B, Acc>,
        into: Store,
        out: &mut Guarded<B, Acc>,
    ) -> Result<(), B::Error> {
        self.vector("sum_sq: out", out, 1)?;
        let x = self.copy(x)?;
        self.inner.sum_sq(&x, into, &mut out.inner)?;
        self.after("sum_sq", out)
    }

    fn adamw(
        &mut self,
        step: AdamWStep<AccumOf<B>>,
        clipping: Option<Clip<'_, Self>>,
        grad: &Guarded<B, Acc>,
        p: &mut Guarded<B, Acc>,
        m: &mut Guarded<B, Acc>,
        v: &mut Guarded<B, Acc>,
    ) -> Result<(), B::Error> {
        let (of_grad, mut of_p) = (self.copy(grad)?, self.copy(p)?);
        let (mut of_m, mut of_v) = (self.copy(m)?, self.copy(v)?);
        let clipping = clip(clipping.as_ref());
        self.inner.adamw(step, clipping, &of_grad, &mut of_p, &mut of_m, &mut of_v)?;
        for (copy, to) in [(of_p, p), (of_m, m), (of_v, v)] {
            self.move_elements(&copy, &mut to.inner, to.len)?;
            self.after("adamw", to)?;
        }
        Ok(())
    }

    fn sgd(
        &mut self,
        step: SgdStep<AccumOf<B>>,
        clipping: Option<Clip<'_, Self>>,
        grad: &Guarded<B, Acc>,
        p: &mut Guarded<B, Acc>,
        u: Option<&mut Guarded<B, Acc>>,
    ) -> Result<(), B::Error> {
        let (of_grad, mut of_p) = (self.copy(grad)?, self.copy(p)?);
        let mut of_u = match &u {
            Some(u) => Some(self.copy(u)?),
            None => None,
        };
        let clipping = clip(clipping.as_ref());
        self.inner.sgd(step, clipping, &of_grad, &mut of_p, of_u.as_mut())?;
        for (copy, to) in [Some((of_p, p)), of_u.zip(u)].into_iter().flatten() {
            self.move_elements(&copy, &mut to.inner, to.len)?;
            self.after("sgd", to)?;
        }
        Ok(())
    }
}

impl<B: Network> Network for Strict<B> {
    crate::forward!(activate activate_grad softmax_cross_entropy squared_error);
}

impl<B: Sequence> Sequence for Strict<B> {
    crate::forward!(gather gather_rows gather_grad normalize normalize_grad normalize_gain_grad
        rotate gate gate_grad attention attention_grad);
}
