//! Products that [`product`] does not take as a whole, block by block: of operands that are not what
//! sums are made of, which are widened on the stack, and over many k.

use decora::mat::Layout;
use decora::scalar::{Accum, Element};

use super::single::product;
use super::target::{Into, store_some};
use super::tiles::{self, turned};
use super::{Operand, same_type};

/// Rows, or columns, that are widened at once.
const SIDE: usize = 8;

/// How many k of them.
const DEPTH: usize = 32;

/// The most elements of C whose sums are kept at once.
const SUMS: usize = 128;

/// As [`product`], with operands of any type and size: the sums of each block of C are continued
/// from one block of k to the next.
#[inline(never)]
pub(super) fn blocks<A: Accum, X: Element, Y: Element, Z: Element>(
    a: Operand<'_, X>,
    b: Operand<'_, Y>,
    into: &Into<A>,
    c: &mut [Z],
    at: Layout,
) {
    let native = same_type::<A, X>() && same_type::<A, Y>();
    // Of what is packed and not widened, few rows meet many.
    let (high, wide, depth) = match (native, at.rows > at.cols) {
        (false, _) => (SIDE, SIDE, DEPTH),
        (true, true) => (SUMS / 4, 4, tiles::DEPTH),
        (true, false) => (4, SUMS / 4, tiles::DEPTH),
    };
    let (mut room_a, mut room_b) = ([A::default(); SIDE * DEPTH], [A::default(); SIDE * DEPTH]);
    for left in (0..at.cols).step_by(wide) {
        for top in (0..at.rows).step_by(high) {
            let (rows, cols) = (high.min(at.rows - top), wide.min(at.cols - left));
            let (a, b) = (from_row(a, top, rows), from_row(b, left, cols));
            let place = Layout { offset: at.offset + top * at.rs + left * at.cs, rows, cols, ..at };
            block((a, &mut room_a), (b, &mut room_b), depth, into, c, place);
        }
    }
}

fn from_row<E>(of: Operand<'_, E>, first: usize, rows: usize) -> Operand<'_, E> {
    let offset = of.at.offset + first * of.at.rs;
    Operand { data: of.data, at: Layout { offset, rows, ..of.at } }
}

/// One block of C, `depth` k at a time.
#[inline(always)]
fn block<A: Accum, X: Element, Y: Element, Z: Element>(
    (a, room_a): (Operand<'_, X>, &mut [A]),
    (b, room_b): (Operand<'_, Y>, &mut [A]),
    depth: usize,
    into: &Into<A>,
    c: &mut [Z],
    at: Layout,
) {
    let mut sums = [A::default(); SUMS];
    let (mut own, mut place) = (Layout::row_major(0, at.rows, at.cols), at);
    for k in (0..a.at.cols).step_by(depth) {
        let a = native(part(a, k, depth), room_a);
        let b = native(part(b, k, depth), room_b);
        let mut into = Into::Continue;
        if k == 0 {
            into = Into::Replace(A::of(1.0));
            if turned(a.at, b.at, own) {
                (own, place) = (Layout::row_major(0, at.cols, at.rows).t(), at.t());
            }
        }
        product(a, b, &into, &mut sums, own);
    }
    let lines = sums.get(..place.rows * place.cols).unwrap_or_default();
    store_some(into, lines, place.cols, c, Layout { rows: 0, cols: 0, ..place });
}

/// At most `depth` columns from `k` on.
fn part<E>(of: Operand<'_, E>, k: usize, depth: usize) -> Operand<'_, E> {
    let Layout { offset, cols, cs, .. } = of.at;
    let at = Layout { offset: offset + k * cs, cols: depth.min(cols - k), ..of.at };
    Operand { data: of.data, at }
}

/// In place where elements are `A` already, else widened into `room`, across k.
#[inline(always)]
fn native<'a, A: Accum, E: Element>(of: Operand<'a, E>, room: &'a mut [A]) -> Operand<'a, A> {
    if let Some(native) = of.native::<A>() {
        return native;
    }
    let (rows, cols) = of.at.shape();
    widen(of, room);
    Operand { data: room, at: Layout::row_major(0, cols, rows).t() }
}

/// The first elements of all rows side by side, then the second, and so on.
fn widen<A: Accum, E: Element>(of: Operand<'_, E>, room: &mut [A]) {
    let Layout { offset, rows, cols, rs, cs } = of.at;
    let from = |start, len| of.data.get(offset + start..).and_then(|data| data.get(..len));
    if cs == 1 {
        for i in 0..rows {
            let to = room.get_mut(i..).unwrap_or_default().iter_mut().step_by(rows.max(1));
            to.zip(from(i * rs, cols).unwrap_or_default()).for_each(|(to, &e)| *to = e.load());
        }
        return;
    }
    for (k, to) in room.chunks_exact_mut(rows.max(1)).enumerate().take(cols) {
        if let (1, Some(from)) = (rs, from(k * cs, rows)) {
            to.iter_mut().zip(from).for_each(|(to, &e)| *to = e.load());
            continue;
        }
        for (i, to) in to.iter_mut().enumerate() {
            let e = from(k * cs + i * rs, 1).and_then(<[E]>::first);
            *to = e.map_or(A::default(), |&e| e.load());
        }
    }
}
