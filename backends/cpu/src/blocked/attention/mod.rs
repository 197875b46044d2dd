//! Attention by products: some queries of the heads that share a head of keys at a time, with all the keys
//! that they see.

mod backward;
mod block;
mod packs;
mod product;
mod rows;
mod units;

use alloc::vec::Vec;

use decora::backend::Store;
use decora::mat::Layout;
use decora::scalar::Scalar;
use decora::sequence::Heads;
use pulp::Arch;

use super::lane::{Lane, room};
use crate::kernels::attention::Attend;
use crate::products::Operand;
pub(super) use backward::backward;
use block::{Block, Group};
use packs::{Form, Packs};
use product::{Packed, Product};
use rows::Exps;
use units::{Unit, lines, lines_of, spread, units};

/// Outputs of a unit, a line for each query.
struct Task<'a, T, A> {
    unit: Unit<'a, T>,
    o: Vec<&'a mut [T]>,
    lse: Vec<&'a mut [A]>,
}

/// O = softmax(scale·Q·Kᵀ)·V, and ln Σ exp(score).
pub(super) fn forward<T: Scalar, A: Lane>(
    of: Attend<'_, T>,
    o: &mut [T],
    at: Layout,
    lse: &mut [A],
) {
    let Heads { heads, kv_heads, dim, scale } = of.heads;
    let forms = [
        Form { of: of.k, turned: true, alpha: A::of(scale) },
        Form { of: of.v, turned: false, alpha: A::of(1.0) },
    ];
    let (units, share) = (units(&of), heads / kv_heads.max(1));
    let lse = lines_of(&units, lse.chunks_mut(heads.max(1)).take(at.rows), share);
    let o = lines_of(&units, lines(o, at), share * dim);
    let tasks = units.into_iter().zip(o).zip(lse).map(|((unit, o), lse)| Task { unit, o, lse });
    spread(tasks.collect(), at.rows * of.k.at.rows * heads * dim, |tasks| {
        let (mut packs, mut scratch) = (Packs::new(forms), A::take());
        tasks.for_each(|task| task.compute(&mut packs, &mut scratch));
        A::keep(scratch);
        packs.keep();
    });
}

impl<T: Scalar, A: Lane> Task<'_, T, A> {
    fn compute(self, packs: &mut Packs<'_, T, A, 2>, scratch: &mut Vec<A>) {
        let Self { unit, o, lse } = self;
        let (group, dim, [k, v]) = (unit.group, unit.group.of.heads.dim, packs.of(&unit));
        let mut outputs = o.into_iter().flat_map(|line| line.chunks_mut(dim.max(1)));
        let (mut lse, cols) = (lse.into_iter().flatten(), v.panels.cols);
        for block in Block::all(&unit, k.panels.width) {
            let n = block.rows.len();
            let mut free = room(scratch, n * (block.stride + dim + cols));
            let (p, o, q) = (cut(&mut free, n * block.stride), cut(&mut free, n * cols), free);
            widen(&group, group.of.q, &block, q);
            scores(&block, q, k.from(0, block.base), dim, p);
            let sums = exps(&block, p, |row| group.fetch(group.of.q, row));
            over_keys(&block, p, v.from(block.base, 0), o, cols);
            let all = o.chunks(cols.max(1)).zip(sums).zip(outputs.by_ref()).zip(lse.by_ref());
            for (((o, (max, sum)), line), lse) in all {
                let seen = sum != A::default();
                *lse = if seen { max + sum.ln() } else { A::default() };
                let inverse = if seen { A::of(1.0) / sum } else { A::default() };
                line.iter_mut().zip(o).for_each(|(y, &o)| *y = T::store(inverse * o));
            }
        }
    }
}

/// The first `len` numbers of `rest`, which is what is left.
fn cut<'a, A>(rest: &mut &'a mut [A], len: usize) -> &'a mut [A] {
    let (front, left) = core::mem::take(rest).split_at_mut(len);
    *rest = left;
    front
}

/// The rows of Q, or of another matrix of its shape, one after the other.
fn widen<'a, T: Scalar, A: Lane>(
    group: &Group<'a, T>,
    of: Operand<'a, T>,
    block: &Block,
    to: &mut [A],
) {
    let rows = block.rows.clone().zip(to.chunks_mut(group.of.heads.dim.max(1)));
    for (row, to) in rows {
        to.iter_mut().zip(group.row(of, row)).for_each(|(to, &x)| *to = x.load::<A>());
    }
}

/// Rows times packed keys, or values.
fn scores<A: Lane>(block: &Block, rows: &[A], of: Packed<'_, A>, dim: usize, to: &mut [A]) {
    let a = Operand { data: rows, at: Layout::row_major(0, block.rows.len(), dim) };
    let (needs, stride) = (&block.scores(dim), block.stride);
    let (rows, cols, store) = (block.rows.len(), block.columns(), Store::Replace);
    Product { a, b: of, rows, cols, store, needs, c: to, stride }.compute();
}

/// Scores times packed values, or keys: sums over the keys that a row sees.
fn over_keys<A: Lane>(block: &Block, p: &[A], of: Packed<'_, A>, to: &mut [A], cols: usize) {
    let a = Operand { data: p, at: Layout::row_major(0, block.rows.len(), block.stride) };
    let (rows, store, needs) = (block.rows.len(), Store::Replace, &block.over_keys(cols));
    Product { a, b: of, rows, cols, store, needs, c: to, stride: cols }.compute();
}

/// The largest score of each row, and Σ exp(x − max); scores become exp(x − max).
fn exps<A: Lane>(block: &Block, p: &mut [A], fetch: impl Fn(usize)) -> Vec<(A, A)> {
    let rows = p.chunks_mut(block.stride).zip(&block.spans).zip(block.rows.end..);
    let mut all = Vec::with_capacity(block.rows.len());
    for ((row, seen), next) in rows {
        fetch(next);
        all.push(Arch::new().dispatch(Exps { row, seen: seen.clone() }));
    }
    all
}
