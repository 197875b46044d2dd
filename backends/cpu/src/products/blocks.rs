//! Products of elements that are not what sums are made of: they are widened block by block, on the
//! stack.

use decora::mat::Layout;
use decora::scalar::{Accum, Element};

use super::Operand;
use super::single::product;
use super::target::{Into, store_some};
use super::tiles::turned;

/// Rows and columns of C whose sums are kept at once.
const SIDE: usize = 8;

/// How many k are widened at once.
const DEPTH: usize = 32;

/// As [`product`], with operands of any type: C in blocks, the sums of each continued from one
/// block of k to the next.
#[inline(never)]
pub(super) fn blocks<A: Accum, X: Element, Y: Element, Z: Element>(
    a: Operand<'_, X>,
    b: Operand<'_, Y>,
    into: &Into<A>,
    c: &mut [Z],
    at: Layout,
) {
    let mut room = Room { a: [A::default(); SIDE * DEPTH], b: [A::default(); SIDE * DEPTH] };
    for left in (0..at.cols).step_by(SIDE) {
        for top in (0..at.rows).step_by(SIDE) {
            let (rows, cols) = (SIDE.min(at.rows - top), SIDE.min(at.cols - left));
            let (a, b) = (from_row(a, top, rows), from_row(b, left, cols));
            let place = Layout { offset: at.offset + top * at.rs + left * at.cs, rows, cols, ..at };
            block(a, b, &mut room, into, c, place);
        }
    }
}

/// Where operands are widened.
struct Room<A> {
    a: [A; SIDE * DEPTH],
    b: [A; SIDE * DEPTH],
}

fn from_row<E>(of: Operand<'_, E>, first: usize, rows: usize) -> Operand<'_, E> {
    let offset = of.at.offset + first * of.at.rs;
    Operand { data: of.data, at: Layout { offset, rows, ..of.at } }
}

/// One block of C.
fn block<A: Accum, X: Element, Y: Element, Z: Element>(
    a: Operand<'_, X>,
    b: Operand<'_, Y>,
    room: &mut Room<A>,
    into: &Into<A>,
    c: &mut [Z],
    at: Layout,
) {
    let mut sums = [A::default(); SIDE * SIDE];
    let (mut own, mut place) = (Layout::row_major(0, at.rows, at.cols), at);
    for k in (0..a.at.cols).step_by(DEPTH) {
        let (a, b) = (native(a, k, &mut room.a), native(b, k, &mut room.b));
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

/// At most [`DEPTH`] columns from `k` on: in place where they are `A` already, else widened into
/// `room`.
fn native<'a, A: Accum, E: Element>(
    of: Operand<'a, E>,
    k: usize,
    room: &'a mut [A],
) -> Operand<'a, A> {
    let Layout { offset, rows, cs, .. } = of.at;
    let cols = DEPTH.min(of.at.cols - k);
    let of = Operand { data: of.data, at: Layout { offset: offset + k * cs, cols, ..of.at } };
    if let Some(native) = of.native::<A>() {
        return native;
    }
    let along = cs == 1;
    let (from, own) = match along {
        true => (of, Layout::row_major(0, rows, cols)),
        false => (of.t(), Layout::row_major(0, cols, rows)),
    };
    widen(from, room);
    let lines = Operand { data: room, at: own };
    if along { lines } else { lines.t() }
}

/// Row after row, without gaps.
fn widen<A: Accum, E: Element>(from: Operand<'_, E>, room: &mut [A]) {
    let Layout { offset, rows, cols, rs, cs } = from.at;
    for (i, line) in room.chunks_exact_mut(cols.max(1)).enumerate().take(rows) {
        let start = offset + i * rs;
        if let (1, Some(from)) = (cs, from.data.get(start..start + cols)) {
            line.iter_mut().zip(from).for_each(|(to, &e)| *to = e.load());
            continue;
        }
        for (j, to) in line.iter_mut().enumerate() {
            *to = from.data.get(start + j * cs).map_or(A::default(), |&e| e.load());
        }
    }
}
