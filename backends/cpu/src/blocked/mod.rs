//! The fast path: blocked, vectorised, threaded products. Vectors are pulp's, threads are rayon's.
//!
//! Every element of C is the sum over k, from the first to the last, in one accumulator, with fused
//! multiply-add where the processor has it, and in blocks of k whose sums are added in order: the
//! same bits for any number of threads.

mod attention;
mod bands;
mod kernel;
mod lane;
mod math;
mod pack;
mod part;
mod passes;
mod row_sq;
mod team;
mod tile;

use alloc::vec::Vec;
use core::ops::Range;

use decora::backend::{AdamWStep, Store};
use decora::mat::Layout;
use decora::network::Activation;
use decora::scalar::{Accum, Element, Scalar};
use decora::sequence::Norm;

use crate::kernels::attention::{Attend, Backward};
use crate::kernels::low_rank_row_sq::Update;
use crate::products::{Operand, Place, Portable, Products, same_type};
use lane::Lane;
use part::{Part, Term, panel};
use team::{each, threads};

/// Products on the cores of a host: `RAYON_NUM_THREADS` says how many, else all.
///
/// Small products run on the portable kernels; the choice depends on shapes alone.
#[derive(Clone, Copy, Debug)]
pub enum Blocked {}

/// Multiply-adds from which packing pays.
const WORTH_IT: usize = 16 * 16 * 16;

/// With so few k panels cost nothing: each thread has its own, and rows of C to itself.
const SHALLOW: usize = 64;

/// Rows of a tile, or a multiple: how rows are best shared among threads.
const ROWS: usize = 8;

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
        if at.rows == 1 && at.cs == 1 && same_type::<A, Y>() {
            return one_row(alpha, a, b, store, c, at);
        }
        let done = work >= WORTH_IT
            && (same_type::<A, f32>() && oriented(alpha.f32(), a, b, store, c, at).is_some()
                || same_type::<A, f64>() && oriented(alpha.f64(), a, b, store, c, at).is_some());
        if !done {
            Portable::product(alpha, a, b, store, c, at);
        }
    }

    fn adapted<A: Accum, X: Element, Y: Element, Z: Element>(
        a: Operand<'_, X>,
        b: Operand<'_, Y>,
        (s, p, q): (A, Operand<'_, A>, Operand<'_, A>),
        store: Store,
        c: &mut [Z],
        at: Layout,
    ) {
        let work = at.rows.saturating_mul(at.cols).saturating_mul(a.at.cols);
        let fits = at.rows > 1 && at.cs == 1 && work >= WORTH_IT;
        let done = fits
            && (same_type::<A, f32>() && both(a, &b, (s.f32(), p, q), store, c, at).is_some()
                || same_type::<A, f64>() && both(a, &b, (s.f64(), p, q), store, c, at).is_some());
        if !done {
            Self::product(A::of(1.0), a, b, store, c, at);
            Self::product(s, p, q, Store::Add, c, at);
        }
    }

    fn bands<E: Element>(y: Place<'_, E>, f: impl Fn(Range<usize>, Place<'_, E>) + Sync) {
        bands::shared(y, f);
    }

    fn adamw<A: Accum>(step: AdamWStep<A>, clip: A, grad: &[A], pmv: [&mut [A]; 3]) {
        passes::update(step, clip, grad, pmv);
    }

    fn sum_sq<A: Accum>(x: &[A], store: Store, out: &mut [A]) {
        let sum = passes::sum_sq(x);
        let put = |out: &mut A| *out = if store == Store::Add { *out + sum } else { sum };
        out.first_mut().into_iter().for_each(put);
    }

    fn low_rank_row_sq<A: Accum>(of: Update<'_, A>, sq: &mut [A]) {
        row_sq::low_rank_row_sq(of, sq);
    }

    fn affine_grad<T: Scalar>(
        z: Operand<'_, T::Accum>,
        g: &[T::Accum],
        dy: Place<'_, T>,
        q: &mut [T::Accum],
    ) {
        passes::affine_grad(z, g, dy, q);
    }

    fn gate<T: Scalar>(f: Activation, g: Operand<'_, T>, u: Operand<'_, T>, y: Place<'_, T>) {
        passes::gate(f, g, u, y);
    }

    fn gate_grad<T: Scalar>(f: Activation, dy: Operand<'_, T>, g: Place<'_, T>, u: Place<'_, T>) {
        passes::gate_grad(f, dy, g, u);
    }

    fn normalize<T: Scalar>(
        norm: Norm,
        x: Operand<'_, T>,
        gamma: &[T::Accum],
        beta: Option<&[T::Accum]>,
        y: Place<'_, T>,
    ) {
        passes::normalize(norm, x, gamma, beta, y);
    }

    fn normalize_grad<T: Scalar>(
        norm: Norm,
        x: Operand<'_, T>,
        gamma: &[T::Accum],
        dy: Operand<'_, T>,
        store: Store,
        dx: Place<'_, T>,
    ) {
        passes::normalize_grad(norm, x, gamma, dy, store, dx);
    }

    fn softmax_cross_entropy<T: Scalar>(
        scale: T::Accum,
        x: Place<'_, T>,
        labels: &[u32],
    ) -> T::Accum {
        passes::softmax_cross_entropy(scale, x, labels)
    }

    fn attention<T: Scalar>(of: Attend<'_, T>, o: &mut [T], at: Layout, lse: &mut [T::Accum]) {
        if same_type::<T::Accum, f32>() {
            return attention::forward::<T, f32>(of, o, at, cast_mut(lse));
        }
        attention::forward::<T, f64>(of, o, at, cast_mut(lse));
    }

    fn attention_grad<T: Scalar>(
        of: &Backward<'_, T>,
        _: &mut [T::Accum],
        grads: [Place<'_, T>; 3],
    ) {
        if same_type::<T::Accum, f32>() {
            return attention::backward::<T, f32>(of, cast(of.lse), grads);
        }
        attention::backward::<T, f64>(of, cast(of.lse), grads);
    }
}

/// What a multiply-add costs where its weight is used once: it is read from memory.
const READ: usize = 16;

/// A single row: a panel would be used once. Threads share its columns, in bits that do not depend on
/// how.
fn one_row<A: Accum, X: Element, Y: Element, Z: Element>(
    alpha: A,
    a: Operand<'_, X>,
    b: Operand<'_, Y>,
    store: Store,
    c: &mut [Z],
    at: Layout,
) {
    let threads = threads(at.cols.saturating_mul(a.at.cols).saturating_mul(READ));
    let share = at.cols.div_ceil(threads).max(1);
    let line = c.get_mut(at.offset..at.offset + at.cols).unwrap_or_default();
    each(line.chunks_mut(share).enumerate().collect(), |(i, line): (usize, &mut [Z])| {
        let b = b.t().rows(i * share..i * share + line.len()).t();
        let at = Layout::row_major(0, 1, line.len());
        Portable::product(alpha, a, b, store, line, at);
    });
}

/// The same numbers as `B`, which they are.
fn cast<A: Element, B: Element>(of: &[A]) -> &[B] {
    bytemuck::try_cast_slice(of).unwrap_or_default()
}

/// As [`cast`], to write.
fn cast_mut<A: Element, B: Element>(of: &mut [A]) -> &mut [B] {
    bytemuck::try_cast_slice_mut(of).unwrap_or_default()
}

/// The product in `T`, so that columns of C are adjacent; `None`, and nothing done, where neither
/// columns nor rows are.
fn oriented<T: Lane, X: Element, Y: Element, Z: Element>(
    alpha: T,
    a: Operand<'_, X>,
    b: Operand<'_, Y>,
    store: Store,
    c: &mut [Z],
    at: Layout,
) -> Option<()> {
    let Layout { rows, cols, rs, cs, .. } = at;
    let one_row = rows == 1 && b.at.rs == 1;
    if cs == 1 && !one_row {
        return shared(alpha, a, &b, store, c, at);
    }
    if rs == 1 || rows == 1 {
        return shared(alpha, b.t(), &a.t(), store, c, Layout { cs: 1, ..at.t() });
    }
    (cols == 1).then(|| shared(alpha, a, &b, store, c, Layout { cs: 1, ..at }))?
}

fn shared<T: Lane, X: Element, Y: Element, Z: Element>(
    alpha: T,
    a: Operand<'_, X>,
    b: &Operand<'_, Y>,
    store: Store,
    c: &mut [Z],
    at: Layout,
) -> Option<()> {
    let mut copy = Vec::new();
    terms(&[Term { alpha, a: in_place(a, &mut copy), b }], store, c, at);
    Some(())
}

/// A·B + s·P·Q in `T`; `None`, and nothing done, where P and Q are of another type.
fn both<T: Lane, X: Element, Y: Element, P: Element, Z: Element>(
    a: Operand<'_, X>,
    b: &Operand<'_, Y>,
    (s, p, q): (T, Operand<'_, P>, Operand<'_, P>),
    store: Store,
    c: &mut [Z],
    at: Layout,
) -> Option<()> {
    let (mut of_a, mut of_p) = (Vec::new(), Vec::new());
    let (p, q) = (in_place(p.native::<T>()?, &mut of_p), q.native::<T>()?);
    let first = Term { alpha: T::of(1.0), a: in_place(a, &mut of_a), b };
    terms(&[first, Term { alpha: s, a: p, b: &q }], store, c, at);
    Some(())
}

/// The sum of products, on as many threads as pay.
fn terms<T: Lane, Z: Element>(of: &[Term<'_, T>], store: Store, c: &mut [Z], at: Layout) {
    let depth = of.iter().map(|term| term.a.at.cols).sum();
    let work = at.rows.saturating_mul(at.cols).saturating_mul(depth);
    let parts = parts(of, store, c, at, grid(at, depth, panel::<T>(), work));
    each(parts, |part| pulp::Arch::new().dispatch(part));
}

/// A as tiles take it; `copy` holds what they cannot take where it lies.
fn in_place<'a, T: Lane, E: Element>(of: Operand<'a, E>, copy: &'a mut Vec<T>) -> Operand<'a, T> {
    let Layout { offset, rows, cols, rs, cs } = of.at;
    if let Some(native) = of.native::<T>()
        && (cs == 1 || rs == 1 && cs >= rows && rows.is_multiple_of(ROWS))
    {
        return native;
    }
    copy.reserve_exact(rows * cols);
    for i in 0..rows {
        let row = of.data.get(offset + i * rs..).unwrap_or_default();
        copy.extend(row.iter().step_by(cs.max(1)).take(cols).map(|&x| x.load::<T>()));
    }
    Operand { data: copy, at: Layout::row_major(0, rows, cols) }
}

/// In how many parts rows and columns are shared among threads, for the smallest largest part.
fn grid(at: Layout, depth: usize, panel: usize, work: usize) -> (usize, usize) {
    let threads = threads(work);
    if depth <= SHALLOW && at.rows >= threads * ROWS {
        return (threads, 1);
    }
    let (tiles, panels) = (at.rows.div_ceil(ROWS), at.cols.div_ceil(panel));
    let cost = |by_cols: usize| {
        let by_rows = (threads / by_cols).max(1);
        tiles.div_ceil(by_rows) * panels.div_ceil(by_cols)
    };
    let best = (1..=threads).rev().min_by_key(|&by_cols| cost(by_cols)).unwrap_or(1);
    ((threads / best).max(1), best)
}

fn parts<'a, T: Lane, Z: Element>(
    terms: &'a [Term<'a, T>],
    store: Store,
    c: &'a mut [Z],
    at: Layout,
    (by_rows, by_cols): (usize, usize),
) -> Vec<Part<'a, T, Z>> {
    let (rows, cols) =
        (at.rows.div_ceil(by_rows).next_multiple_of(ROWS), at.cols.div_ceil(by_cols));
    let panel = panel::<T>();
    let cols = if by_cols > 1 { cols.next_multiple_of(panel) } else { cols };
    let mut parts = Vec::new();
    for row in (0..at.rows).step_by(rows) {
        for col in (0..at.cols).step_by(cols) {
            parts.push(Part { terms, store, row, col, lines: Vec::with_capacity(rows) });
        }
    }
    let across = at.cols.div_ceil(cols);
    let stride = if at.rows == 1 { at.cols } else { at.rs };
    let lines = c.get_mut(at.offset..).unwrap_or_default().chunks_mut(stride.max(1));
    for (i, line) in lines.take(at.rows).enumerate() {
        let line = line.get_mut(..at.cols).unwrap_or_default();
        for (j, piece) in line.chunks_mut(cols).enumerate() {
            if let Some(part) = parts.get_mut(i / rows * across + j) {
                part.lines.push(piece);
            }
        }
    }
    parts
}
