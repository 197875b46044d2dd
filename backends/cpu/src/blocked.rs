//! The fast path: products by faer, a blocked, vectorised and threaded library.

use core::any::TypeId;

use alloc::vec;
use alloc::vec::Vec;
use decora::backend::Store;
use decora::mat::Layout;
use decora::scalar::{Accum, Element};
use faer::linalg::matmul::matmul;
use faer::{Accum as FaerAccum, MatMut, MatRef, Par};

use crate::kernels::axpy::axpy;
use crate::products::{Operand, Portable, Products};

/// Products on all cores of a host. Small ones, and those whose strides the library cannot take,
/// run on the portable kernels; the choice depends on shapes alone.
#[derive(Clone, Copy, Debug)]
pub enum Blocked {}

/// Multiply-adds from which the library pays.
const WORTH_IT: usize = 16 * 16 * 16;

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
        let work = at.rows.saturating_mul(at.cols).saturating_mul(a.at.cols);
        let plain = [a.at, b.at, at].iter().all(|at| at.cs == 1 || at.rs == 1)
            && (at.cs == 1 || same_type::<A, Z>());
        let done = work >= WORTH_IT
            && plain
            && (same_type::<A, f32>() && library::<f32, X, Y, Z>(alpha.f32(), a, b, store, c, at)
                || same_type::<A, f64>()
                    && library::<f64, X, Y, Z>(alpha.f64(), a, b, store, c, at));
        if !done {
            Portable::product(alpha, a, b, store, c, at);
        }
    }
}

fn same_type<A: 'static, B: 'static>() -> bool {
    TypeId::of::<A>() == TypeId::of::<B>()
}

/// The product in `F`, which `A` is. Operands in other types are converted as a whole.
fn library<F: Accum + faer::traits::ComplexField, X: Element, Y: Element, Z: Element>(
    alpha: F,
    a: Operand<'_, X>,
    b: Operand<'_, Y>,
    store: Store,
    c: &mut [Z],
    at: Layout,
) -> bool {
    let (mut a_copy, mut b_copy) = (Vec::<F>::new(), Vec::<F>::new());
    let (Some(a), Some(b)) = (view::<F, X>(a, &mut a_copy), view::<F, Y>(b, &mut b_copy)) else { return false };
    let accum = match store {
        Store::Add => FaerAccum::Add,
        Store::Replace => FaerAccum::Replace,
    };
    if same_type::<Z, F>() {
        let Some(c) = bytemuck::try_cast_slice_mut(c).ok().and_then(|c| view_mut::<F>(c, at)) else {
            return false;
        };
        matmul(c, accum, a, b, alpha, Par::rayon(0));
        return true;
    }
    let mut sums: Vec<F> = vec![F::default(); at.rows * at.cols];
    let own = Layout::row_major(0, at.rows, at.cols);
    let Some(to) = view_mut(&mut sums, own) else { return false };
    matmul(to, FaerAccum::Replace, a, b, alpha, Par::rayon(0));
    axpy(F::of(1.0), Operand { data: &sums, at: own }, store, c, at);

    true
}

/// The library's view of a matrix, which is converted into `copy` if its elements are not `F`.
fn view<'a, F: Accum, E: Element>(
    of: Operand<'a, E>,
    copy: &'a mut Vec<F>,
) -> Option<MatRef<'a, F>> {
    let data = if same_type::<E, F>() {
        bytemuck::try_cast_slice(of.data).ok()?
    } else {
        let start = of.at.offset;
        copy.extend(of.data.get(start..of.at.end())?.iter().map(|&e| e.load::<F>()));
        copy.as_slice()
    };
    let Layout { offset, rows, cols, rs, cs } = of.at;
    let data = if same_type::<E, F>() { data.get(offset..)? } else { data };
    Some(match cs {
        1 => MatRef::from_row_major_slice_with_stride(data, rows, cols, rs),
        _ => MatRef::from_column_major_slice_with_stride(data, rows, cols, cs),
    })
}

fn view_mut<F>(data: &mut [F], at: Layout) -> Option<MatMut<'_, F>> {
    let Layout { offset, rows, cols, rs, cs } = at;
    let data = data.get_mut(offset..)?;
    Some(match cs {
        1 => MatMut::from_row_major_slice_with_stride_mut(data, rows, cols, rs),
        _ => MatMut::from_column_major_slice_with_stride_mut(data, rows, cols, cs),
    })
}
