//! Products of elements that are not what sums are made of: they are widened block by block, on the
//! stack.

use decora::mat::Layout;
use decora::scalar::{Accum, Element};

use super::Operand;
use super::target::{Into, store_some};
use super::tiles::product;

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
    let zero = A::default();
    let (mut room_a, mut room_b) = ([zero; SIDE * DEPTH], [zero; SIDE * DEPTH]);
    for left in (0..at.cols).step_by(SIDE) {
        for top in (0..at.rows).step_by(SIDE) {
            let (rows, cols) = (SIDE.min(at.rows - top), SIDE.min(at.cols - left));
            let (mut sums, own) = ([zero; SIDE * SIDE], Layout::row_major(0, rows, cols));
            for k in (0..a.at.cols).step_by(DEPTH) {
                let a = block(a, top, rows, k, &mut room_a);
                let b = block(b, left, cols, k, &mut room_b);
                let into = if k == 0 { Into::Replace(A::of(1.0)) } else { Into::Continue };
                product(a, b, &into, &mut sums, own);
            }
            let offset = at.offset + top * at.rs + left * at.cs;
            let (sums, place) = (
                sums.get(..rows * cols).unwrap_or_default(),
                Layout { offset, rows: 0, cols: 0, ..at },
            );
            store_some(into, sums, cols, c, place);
        }
    }
}

/// `rows` rows from `top` on and at most [`DEPTH`] columns from `k` on: in place where they are
/// `A` already, else widened into `room`.
fn block<'a, A: Accum, E: Element>(
    of: Operand<'a, E>,
    top: usize,
    rows: usize,
    k: usize,
    room: &'a mut [A; SIDE * DEPTH],
) -> Operand<'a, A> {
    let Layout { offset, rs, cs, .. } = of.at;
    let cols = DEPTH.min(of.at.cols - k);
    let at = Layout { offset: offset + top * rs + k * cs, rows, cols, rs, cs };
    let of = Operand { data: of.data, at };
    if let Some(native) = of.native::<A>() {
        return native;
    }
    let (from, own) = match at.cs {
        1 => (of, Layout::row_major(0, rows, cols)),
        _ => (of.t(), Layout::row_major(0, cols, rows)),
    };
    widen(from, room);
    let lie = Operand { data: &room[..], at: own };
    if at.cs == 1 { lie } else { lie.t() }
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
