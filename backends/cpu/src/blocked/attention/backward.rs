//! The gradients of attention: P is computed anew, from the sums that the forward pass left.

use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

use decora::backend::Store;
use decora::mat::Layout;
use decora::scalar::Scalar;
use decora::sequence::Heads;
use pulp::{Arch, Simd, WithSimd};

use super::block::Block;
use super::packs::{Form, Packs};
use super::product::{Panels, Product};
use super::rows::Slopes;
use super::units::{Unit, lines, lines_of, spread, units};
use super::{cut, over_keys, scores, widen};
use crate::blocked::bands::shared;
use crate::blocked::lane::{Lane, room};
use crate::blocked::math;
use crate::kernels::attention::Backward;
use crate::kernels::row_mut;
use crate::products::{Operand, Place};

/// What the queries of a unit add to dK and dV, a row for each key that they see, and their dQ.
struct Task<'a, T, A> {
    unit: &'a Unit<'a, T>,
    dq: Vec<&'a mut [T]>,
    dk: &'a mut [A],
    dv: &'a mut [A],
}

/// dQ, dK and dV.
pub(in crate::blocked) fn backward<T: Scalar, A: Lane>(
    back: &Backward<'_, T>,
    lse: &[A],
    [(dq, dq_at), dk, dv]: [Place<'_, T>; 3],
) {
    let of = &back.of;
    let Heads { heads, kv_heads, dim, scale } = of.heads;
    let forms = [
        Form { of: of.k, turned: true, alpha: A::of(scale) },
        Form { of: of.k, turned: false, alpha: A::of(scale) },
        Form { of: of.v, turned: true, alpha: A::of(1.0) },
    ];
    let (units, cols) = (units(of), Panels::new::<A>(0, dim).cols);
    let len = |unit: &Unit<'_, T>| unit.keys.len() * cols;
    let mut scratch = A::take();
    let sums = room(&mut scratch, units.iter().map(|unit| 2 * len(unit)).sum());
    let dq = lines_of(&units, lines(dq, dq_at), heads / kv_heads.max(1) * dim);
    let mut rest = &mut *sums;
    let task = |(unit, dq)| {
        let [dk, dv] = [(); 2].map(|()| cut(&mut rest, len(unit)));
        Task { unit, dq, dk, dv }
    };
    let tasks = units.iter().zip(dq).map(task).collect();
    spread(tasks, 3 * dq_at.rows * of.k.at.rows * heads * dim, |tasks| {
        let (mut packs, mut scratch) = (Packs::new(forms), A::take());
        tasks.for_each(|task| task.compute((back, lse), &mut packs, &mut scratch));
        A::keep(scratch);
        packs.keep();
    });
    let parts = |second: bool| {
        let mut rest = &*sums;
        let part = |unit: &Unit<'_, T>| {
            let (both, left) = rest.split_at(2 * len(unit));
            rest = left;
            let rows = both.get(if second { len(unit).. } else { 0.. }).unwrap_or_default();
            Part { number: unit.group.number, keys: unit.keys.clone(), rows, cols }
        };
        units.iter().map(part).collect::<Vec<_>>()
    };
    add_up(A::of(scale), &parts(false), dk, dim);
    add_up(A::of(1.0), &parts(true), dv, dim);
    A::keep(scratch);
}

/// What a unit adds to dK or dV.
struct Part<'a, A> {
    /// The head of keys.
    number: usize,
    keys: Range<usize>,
    /// A row for each key.
    rows: &'a [A],
    cols: usize,
}

impl<'a, A> Part<'a, A> {
    fn row(&self, number: usize, key: usize) -> Option<&'a [A]> {
        let i = key.checked_sub(self.keys.start).filter(|_| key < self.keys.end)?;
        let row = self.rows.get(i * self.cols..(i + 1) * self.cols);
        row.filter(|_| self.number == number)
    }
}

/// dK or dV: α·Σ of all parts.
fn add_up<T: Scalar, A: Lane>(alpha: A, of: &[Part<'_, A>], to: Place<'_, T>, dim: usize) {
    shared(to, |keys, to| Arch::new().dispatch(AddUp { alpha, of, keys, to, dim }));
}

/// The same of some keys.
struct AddUp<'a, T, A> {
    alpha: A,
    of: &'a [Part<'a, A>],
    keys: Range<usize>,
    to: Place<'a, T>,
    dim: usize,
}

impl<T: Scalar, A: Lane> WithSimd for AddUp<'_, T, A> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { alpha, of, keys, to: (to, at), dim } = self;
        let mut sums = vec![A::default(); dim];
        for (i, key) in keys.enumerate() {
            for (number, to) in row_mut(to, at, i).chunks_mut(dim.max(1)).enumerate() {
                sums.fill(A::default());
                for row in of.iter().filter_map(|part| part.row(number, key)) {
                    sums.iter_mut().zip(row).for_each(|(sum, &x)| *sum += x);
                }
                to.iter_mut().zip(&sums).for_each(|(to, &sum)| *to = T::store(alpha * sum));
            }
        }
    }
}

/// What a block is computed in.
struct Room<'a, A> {
    p: &'a mut [A],
    ds: &'a mut [A],
    q: &'a mut [A],
    d_o: &'a mut [A],
    /// Q or dO in panels.
    panels: &'a mut [A],
    dq: &'a mut [A],
}

impl<'a, A: Lane> Room<'a, A> {
    fn new(scratch: &'a mut Vec<A>, block: &Block, dim: usize, cols: usize) -> Self {
        let (n, scores) = (block.rows.len(), block.rows.len() * block.stride);
        let mut free = room(scratch, 2 * (scores + n * cols + n * dim));
        let [p, ds] = [(); 2].map(|()| cut(&mut free, scores));
        let [panels, dq] = [(); 2].map(|()| cut(&mut free, n * cols));
        let [q, d_o] = [(); 2].map(|()| cut(&mut free, n * dim));
        Self { p, ds, q, d_o, panels, dq }
    }
}

impl<T: Scalar, A: Lane> Task<'_, T, A> {
    fn compute(
        self,
        (back, lse): (&Backward<'_, T>, &[A]),
        packs: &mut Packs<'_, T, A, 3>,
        scratch: &mut Vec<A>,
    ) {
        let Self { unit, dq, dk, dv } = self;
        let (group, dim, [k_t, k, v_t]) = (unit.group, unit.group.of.heads.dim, packs.of(unit));
        let mut dq = dq.into_iter().flat_map(|line| line.chunks_mut(dim.max(1)));
        dk.fill(A::default());
        dv.fill(A::default());
        for block in Block::all(unit, k_t.panels.width) {
            let panels = Panels::new::<A>(block.rows.len(), dim);
            let cols = panels.cols;
            let mut room = Room::new(scratch, &block, dim, cols);
            widen(&group, group.of.q, &block, room.q);
            widen(&group, back.d_o, &block, room.d_o);
            scores(&block, room.q, k_t.from(0, block.base), dim, room.p);
            scores(&block, room.d_o, v_t.from(0, block.base), dim, room.ds);
            slopes(unit, &block, (back, lse), &mut room);
            over_keys(&block, room.ds, k.from(block.base, 0), room.dq, cols);
            for (to, line) in room.dq.chunks(cols.max(1)).zip(dq.by_ref()) {
                line.iter_mut().zip(to).for_each(|(y, &x)| *y = T::store(x));
            }
            over_rows(&block, room.ds, (panels, room.q, room.panels), dk, dim);
            over_rows(&block, room.p, (panels, room.d_o, room.panels), dv, dim);
        }
    }
}

/// Scores become P, and dP becomes dS.
fn slopes<T: Scalar, A: Lane>(
    unit: &Unit<'_, T>,
    block: &Block,
    (back, lse): (&Backward<'_, T>, &[A]),
    room: &mut Room<'_, A>,
) {
    let (group, Heads { dim, .. }) = (unit.group, unit.group.of.heads);
    let rows = room.p.chunks_mut(block.stride).zip(room.ds.chunks_mut(block.stride));
    let rows = rows.zip(&block.spans).zip(block.rows.clone()).zip(room.d_o.chunks(dim.max(1)));
    for ((((p, ds), seen), row), d_o) in rows {
        for of in [group.of.q, back.d_o, back.o] {
            group.fetch(of, row + block.rows.len());
        }
        let lse = lse.get(group.index(row)).copied().unwrap_or_default();
        let dot = math::sum(group.row(back.o, row), d_o, |o, d_o| o.load::<A>() * d_o);
        Arch::new().dispatch(Slopes { p, ds, seen: seen.clone(), lse, dot });
    }
}

/// Adds the transpose of scores times rows, which are packed first: sums over the rows that see a key.
fn over_rows<A: Lane>(
    block: &Block,
    p: &[A],
    (panels, rows, packed): (Panels, &[A], &mut [A]),
    to: &mut [A],
    dim: usize,
) {
    let Some(start) = block.spans.first().map(|span| span.start) else { return };
    let (n, cols) = (block.rows.len(), panels.cols);
    panels.pack(A::of(1.0), Operand { data: rows, at: Layout::row_major(0, n, dim) }, packed);
    let at = Layout { offset: start, ..Layout::row_major(0, n, block.stride).t() };
    let (a, b, needs) =
        (Operand { data: p, at }, panels.of(packed, 0, 0), &block.over_rows(start, cols));
    let to = to.get_mut((block.base + start) * cols..).unwrap_or_default();
    let (rows, store) = (block.columns() - start, Store::Add);
    Product { a, b, rows, cols, store, needs, c: to, stride: cols }.compute();
}
