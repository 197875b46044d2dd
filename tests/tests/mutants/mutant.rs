//! The suite can fail: each of these devices is wrong in one way, and is caught.

use core::panic::AssertUnwindSafe;
use core::sync::atomic::{AtomicUsize, Ordering};
use std::panic::catch_unwind;

use decora::scalar::{Accum, Element, Scalar};
use decora_conformance::report::Report;
use decora_conformance::strict::Strict;
use decora_conformance::wrapper::prelude::*;
use decora_conformance::{each_of_backend, each_of_network, forward, gradient, invariants, ops};
use decora_cpu::{Cpu, CpuError};

/// What a device does wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    /// Nothing: what shows that the others are caught for their fault.
    Nothing,
    /// The operation of this name is answered, and not done.
    Skips(&'static str),
    /// Memory comes with a 1 in it.
    DirtyMemory,
    /// gemm reads an output that it is to replace.
    ReadsOutput,
    /// gemm takes the strides of a square A the wrong way round.
    SwapsStrides,
    /// gemm leaves out the last step of long sums.
    ShortSum,
    /// `gemm_frozen` computes W·Aᵀ for square W where A·Wᵀ is asked for.
    SwapsSides,
    /// affine leaves out b.
    ForgetsBias,
    /// `affine_grad` multiplies by g twice.
    GainTwice,
    /// `row_dot` writes one element more than there are rows.
    WritesBehind,
    /// dropout does not scale what it keeps.
    ForgetsScale,
    /// dropout uses half of the seed.
    HalfTheSeed,
    /// `frozen_rows` begins with row 0, always.
    ForgetsFirst,
    /// adamw does not clip.
    ForgetsClip,
    /// `scale_rows` accepts what does not fit.
    AcceptsMisfits,
    /// `col_sum` comes out another way on every other device.
    Undecided,
}

#[derive(Debug)]
struct Mutant<T: Scalar> {
    inner: Cpu<'static, T>,
    fault: Fault,
    number: usize,
}

static MADE: AtomicUsize = AtomicUsize::new(0);

impl<T: Scalar> Mutant<T> {
    fn with(fault: Fault) -> Self {
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        Self { inner: Cpu::heap(), fault, number }
    }
}

type Host<T> = Cpu<'static, T>;

impl<T: Scalar> Wrapper<Host<T>> for Mutant<T> {
    fn inner(&mut self) -> &mut Host<T> {
        &mut self.inner
    }

    fn lower<R: Role>(buf: &Self::Buf<R>) -> &Self::Buf<R> {
        buf
    }

    fn lower_mut<R: Role>(buf: &mut Self::Buf<R>) -> &mut Self::Buf<R> {
        buf
    }

    fn before(&mut self, cost: Cost) -> bool {
        self.fault != Fault::Skips(cost.op)
    }
}

impl<T: Scalar> Backend for Mutant<T> {
    type Scalar = T;
    type Buf<R: Role> = <Host<T> as Backend>::Buf<R>;
    type Weight<'w> = <Host<T> as Backend>::Weight<'w>;
    type Error = CpuError;

    forward!(write read weight frozen_row_sq axpy gain gain_grad sum_sq sgd);

    fn alloc<R: Role>(&mut self, len: usize) -> Result<Self::Buf<R>, CpuError> {
        let mut buf = self.inner.alloc::<R>(len)?;
        if self.fault == Fault::DirtyMemory && len > 0 {
            self.inner.write::<R>(&mut buf, len - 1, &[Element::store(1.0f32)])?;
        }
        Ok(buf)
    }

    fn gemm<X: Float, Y: Float, Z: Float>(
        &mut self,
        alpha: T::Accum,
        a: Mat<'_, Self, X>,
        b: Mat<'_, Self, Y>,
        into: Store,
        mut c: MatMut<'_, Self, Z>,
    ) -> Result<(), CpuError> {
        let (mut a, mut b) = (mat(a), mat(b));
        let square = a.at.rows == a.at.cols;
        match self.fault {
            Fault::Skips("gemm") => return Ok(()),
            Fault::SwapsStrides if square => (a.at.rs, a.at.cs) = (a.at.cs, a.at.rs),
            Fault::ShortSum if a.at.cols > 256 => (a.at.cols, b.at.rows) = (256, 256),
            _ => {}
        }
        let into = if self.fault == Fault::ReadsOutput { Store::Add } else { into };
        self.inner.gemm(alpha, a, b, into, mat_mut(&mut c))
    }

    fn gemm_frozen<X: Float, Z: Float>(
        &mut self,
        alpha: T::Accum,
        a: Mat<'_, Self, X>,
        w: &Self::Weight<'_>,
        mut side: Side,
        into: Store,
        mut c: MatMut<'_, Self, Z>,
    ) -> Result<(), CpuError> {
        match self.fault {
            Fault::Skips("gemm_frozen") => return Ok(()),
            Fault::SwapsSides if w.shape().0 == w.shape().1 => side = Side::Plain,
            _ => {}
        }
        self.inner.gemm_frozen(alpha, mat(a), w, side, into, mat_mut(&mut c))
    }

    fn frozen_rows(
        &mut self,
        w: &Self::Weight<'_>,
        first: usize,
        mut c: MatMut<'_, Self, Acc>,
    ) -> Result<(), CpuError> {
        let fits = first.saturating_add(c.at.rows) <= w.shape().0;
        match self.fault {
            Fault::Skips("frozen_rows") => Ok(()),
            Fault::ForgetsFirst if fits => self.inner.frozen_rows(w, 0, mat_mut(&mut c)),
            _ => self.inner.frozen_rows(w, first, mat_mut(&mut c)),
        }
    }

    fn dropout(
        &mut self,
        mut drop: Dropout,
        x: Mat<'_, Self, Act>,
        into: Store,
        mut y: MatMut<'_, Self, Act>,
    ) -> Result<(), CpuError> {
        match self.fault {
            Fault::Skips("dropout") => return Ok(()),
            Fault::HalfTheSeed => drop.seed &= u64::from(u32::MAX),
            Fault::ForgetsScale => drop.p = 0.0,
            _ => {}
        }
        self.inner.dropout(drop, mat(x), into, mat_mut(&mut y))
    }

    fn scale_rows(
        &mut self,
        d: Mat<'_, Self, Acc>,
        mut c: MatMut<'_, Self, Acc>,
    ) -> Result<(), CpuError> {
        let misfit = d.at.rows != c.at.rows;
        match self.fault {
            Fault::Skips("scale_rows") => Ok(()),
            Fault::AcceptsMisfits if misfit => Ok(()),
            _ => self.inner.scale_rows(mat(d), mat_mut(&mut c)),
        }
    }

    fn row_dot(
        &mut self,
        alpha: T::Accum,
        a: Mat<'_, Self, Acc>,
        b: Mat<'_, Self, Acc>,
        into: Store,
        out: &mut Self::Buf<Acc>,
    ) -> Result<(), CpuError> {
        if self.fault == Fault::Skips("row_dot") {
            return Ok(());
        }
        self.inner.row_dot(alpha, mat(a), mat(b), into, out)?;
        match self.fault == Fault::WritesBehind && out.len() > a.at.rows {
            true => self.inner.write::<Acc>(out, a.at.rows, &[T::Accum::of(0.0)]),
            false => Ok(()),
        }
    }

    fn affine(
        &mut self,
        z: Mat<'_, Self, Acc>,
        g: Option<&Self::Buf<Acc>>,
        b: Option<&Self::Buf<Acc>>,
        into: Store,
        mut y: MatMut<'_, Self, Act>,
    ) -> Result<(), CpuError> {
        if self.fault == Fault::Skips("affine") {
            return Ok(());
        }
        let b = b.filter(|_| self.fault != Fault::ForgetsBias);
        self.inner.affine(mat(z), g, b, into, mat_mut(&mut y))
    }

    fn affine_grad(
        &mut self,
        z: Mat<'_, Self, Acc>,
        g: &Self::Buf<Acc>,
        mut dy: MatMut<'_, Self, Act>,
        q: &mut Self::Buf<Acc>,
    ) -> Result<(), CpuError> {
        if self.fault == Fault::Skips("affine_grad") {
            return Ok(());
        }
        if self.fault == Fault::GainTwice {
            self.inner.affine_grad(mat(z), g, mat_mut(&mut dy), q)?;
        }
        self.inner.affine_grad(mat(z), g, mat_mut(&mut dy), q)
    }

    fn col_sum(
        &mut self,
        x: Mat<'_, Self, Act>,
        into: Store,
        s: &mut Self::Buf<Acc>,
    ) -> Result<(), CpuError> {
        if self.fault == Fault::Skips("col_sum") {
            return Ok(());
        }
        self.inner.col_sum(mat(x), into, s)?;
        if self.fault == Fault::Undecided && self.number % 2 == 1 && x.at.cols > 0 {
            let mut first = [T::Accum::of(0.0)];
            self.inner.read::<Acc>(s, 0, &mut first)?;
            let next = first[0] * T::Accum::of(1.0 + <T::Accum as Scalar>::EPSILON);
            self.inner.write::<Acc>(s, 0, &[next])?;
        }
        Ok(())
    }

    fn adamw(
        &mut self,
        step: AdamWStep<T::Accum>,
        clipping: Option<Clip<'_, Self>>,
        grad: &Self::Buf<Acc>,
        p: &mut Self::Buf<Acc>,
        m: &mut Self::Buf<Acc>,
        v: &mut Self::Buf<Acc>,
    ) -> Result<(), CpuError> {
        if self.fault == Fault::Skips("adamw") {
            return Ok(());
        }
        let clipping = clip(clipping.as_ref()).filter(|_| self.fault != Fault::ForgetsClip);
        self.inner.adamw(step, clipping, grad, p, m, v)
    }
}

impl<T: Scalar> Network for Mutant<T> {
    forward!(activate activate_grad softmax_cross_entropy squared_error);
}

type Property<B> = fn(&dyn Fn() -> B) -> Report;

macro_rules! table {
    ($module:ident: $($property:ident)*) => {
        vec![$((stringify!($property), $module::$property as Property<Mutant<f32>>)),*]
    };
}

/// Every property that belongs to a method.
fn properties() -> Vec<(&'static str, Property<Mutant<f32>>)> {
    [each_of_backend!([table]), each_of_network!([table])].concat()
}

fn failed<T: Scalar>(property: Property<Mutant<T>>, fault: Fault) -> bool {
    !property(&|| Mutant::with(fault)).ok()
}

#[test]
fn without_a_fault_nothing_is_caught() {
    for (name, property) in properties() {
        assert!(!failed(property, Fault::Nothing), "{name}: a sound device is refused");
    }
}

/// No property passes when its operation is never done. What `alloc` and `weight` give cannot be
/// left out.
#[test]
fn an_operation_that_is_never_done() {
    for (name, property) in properties() {
        if !matches!(name, "alloc" | "weight") {
            assert!(failed(property, Fault::Skips(name)), "{name} is never done");
        }
    }
}

#[test]
fn each_fault_is_caught_by_the_property_of_its_operation() {
    let caught: [(Fault, Property<Mutant<f32>>); 14] = [
        (Fault::DirtyMemory, ops::alloc),
        (Fault::ReadsOutput, ops::gemm),
        (Fault::SwapsStrides, ops::gemm),
        (Fault::ShortSum, ops::gemm),
        (Fault::SwapsSides, ops::gemm_frozen),
        (Fault::ForgetsBias, ops::affine),
        (Fault::GainTwice, ops::affine_grad),
        (Fault::WritesBehind, ops::row_dot),
        (Fault::ForgetsScale, ops::dropout),
        (Fault::HalfTheSeed, ops::dropout),
        (Fault::ForgetsFirst, ops::frozen_rows),
        (Fault::ForgetsClip, ops::adamw),
        (Fault::AcceptsMisfits, ops::scale_rows),
        (Fault::Undecided, ops::col_sum),
    ];
    for (fault, property) in caught {
        assert!(failed(property, fault), "{fault:?} is not caught");
    }
}

#[test]
fn faults_show_in_adapters_and_gradients_too() {
    let caught: [(Fault, Property<Mutant<f64>>); 6] = [
        (Fault::ForgetsBias, invariants::merged_is_forward),
        (Fault::Skips("affine_grad"), invariants::exact_is_orthogonal),
        (Fault::ForgetsFirst, invariants::merged_is_forward),
        (Fault::ReadsOutput, invariants::micro_batches),
        (Fault::GainTwice, gradient::layer_gradient),
        (Fault::ForgetsBias, gradient::mlp_gradient),
    ];
    for (fault, property) in caught {
        assert!(failed(property, fault), "{fault:?} is not caught");
    }
}

/// A vector of exactly its length: only the guard behind it can tell.
#[test]
fn a_write_behind_a_buffer_is_caught_by_its_guard() {
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let mut be = Strict::new(Mutant::<f32>::with(Fault::WritesBehind));
        let a = be.alloc::<Acc>(6)?;
        let mut out = be.alloc::<Acc>(3)?;
        let a = Mat::new(&a, 3, 2)?;
        be.row_dot(1.0, a, a, Store::Replace, &mut out)
    }));
    let Err(panic) = outcome else { panic!("not caught") };
    let text = panic.downcast_ref::<String>().map_or("", |s| s);
    assert!(text.contains("row_dot wrote 0.0 at 3 of a buffer of 3 elements"), "{text}");
}
