//! The fast path: products by matrixmultiply, a blocked, vectorised and threaded library, through
//! the safe interface that ndarray gives it.

use alloc::vec;
use alloc::vec::Vec;
use decora::backend::Store;
use decora::mat::Layout;
use decora::scalar::{Accum, Element};
use ndarray::linalg::general_mat_mul;
use ndarray::{ArrayView2, ArrayViewMut2, ErrorKind, LinalgScalar, ShapeBuilder, ShapeError};

use crate::kernels::axpy::axpy;
use crate::products::{Operand, Portable, Products, same_type};

/// Products on the cores of a host: `MATMUL_NUM_THREADS` says how many, else all, at most 4.
///
/// Small products run on the portable kernels; the choice depends on shapes alone.
#[derive(Clone, Copy, Debug)]
pub enum Blocked {}

/// Multiply-adds from which the library pays.
const WORTH_IT: usize = 16 * 16 * 16;

/// A product with fewer rows than this, and more columns than rows, runs faster transposed: the
/// library shares rows among threads.
const THIN: usize = 32;

impl Products for Blocked {
    const NAME: &'static str = "blocked";

    fn product<A: Accum, X: Element, Y: Element, Z: Element>(
        alpha: A,
        a: Operand<'_, X>,
        b: Operand<'_, Y>,
        store: Store,
        c: &mut [Z],
        at: Layout,
    ) {
        if at.rows < THIN && at.rows < at.cols {
            return ordered(alpha, b.t(), a.t(), store, c, at.t());
        }
        ordered(alpha, a, b, store, c, at);
    }
}

fn ordered<A: Accum, X: Element, Y: Element, Z: Element>(
    alpha: A,
    a: Operand<'_, X>,
    b: Operand<'_, Y>,
    store: Store,
    c: &mut [Z],
    at: Layout,
) {
    let work = at.rows.saturating_mul(at.cols).saturating_mul(a.at.cols);
    let done = work >= WORTH_IT
        && (same_type::<A, f32>() && library(alpha.f32(), a, b, store, c, at).is_ok()
            || same_type::<A, f64>() && library(alpha.f64(), a, b, store, c, at).is_ok());
    if !done {
        Portable::product(alpha, a, b, store, c, at);
    }
}

/// The product in `F`, which `A` is. Operands of other types are converted first. An error comes
/// before anything is written.
fn library<F: Accum + LinalgScalar, X: Element, Y: Element, Z: Element>(
    alpha: F,
    a: Operand<'_, X>,
    b: Operand<'_, Y>,
    store: Store,
    c: &mut [Z],
    at: Layout,
) -> Result<(), ShapeError> {
    let (mut a_copy, mut b_copy) = (Vec::<F>::new(), Vec::<F>::new());
    let (a, b) = (view(a, &mut a_copy)?, view(b, &mut b_copy)?);
    let one = F::of(1.0);
    if same_type::<Z, F>() {
        let c = bytemuck::try_cast_slice_mut(c).unwrap_or_default();
        let beta = if store == Store::Add { one } else { F::default() };
        general_mat_mul(alpha, &a, &b, beta, &mut view_mut(c, at)?);
        return Ok(());
    }
    let (own, turned) = match (at.cs, at.rs) {
        (1, _) => (Layout::row_major(0, at.rows, at.cols), false),
        (_, 1) => (Layout::row_major(0, at.cols, at.rows).t(), true),
        _ => return Err(ShapeError::from_kind(ErrorKind::IncompatibleLayout)),
    };
    let mut sums: Vec<F> = vec![F::default(); at.rows * at.cols];
    general_mat_mul(alpha, &a, &b, F::default(), &mut view_mut(&mut sums, own)?);
    let (own, at) = if turned { (own.t(), at.t()) } else { (own, at) };
    axpy(one, Operand { data: &sums, at: own }, store, c, at);
    Ok(())
}

/// The library's view of a matrix; `copy` holds its elements when they are not `F`.
fn view<'a, F: Accum, E: Element>(
    of: Operand<'a, E>,
    copy: &'a mut Vec<F>,
) -> Result<ArrayView2<'a, F>, ShapeError> {
    let Layout { offset, rows, cols, rs, cs } = of.at;
    let data = of.data.get(offset..of.at.end()).unwrap_or_default();
    let data = if same_type::<E, F>() {
        bytemuck::try_cast_slice(data).unwrap_or_default()
    } else {
        copy.extend(data.iter().map(|&e| e.load::<F>()));
        copy.as_slice()
    };
    ArrayView2::from_shape((rows, cols).strides((rs, cs)), data)
}

fn view_mut<F>(data: &mut [F], at: Layout) -> Result<ArrayViewMut2<'_, F>, ShapeError> {
    let Layout { offset, rows, cols, rs, cs } = at;
    let data = data.get_mut(offset..at.end()).unwrap_or_default();
    ArrayViewMut2::from_shape((rows, cols).strides((rs, cs)), data)
}
