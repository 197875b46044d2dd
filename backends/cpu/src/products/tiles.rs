//! Which elements of C are summed together.

use decora::mat::Layout;
use decora::scalar::{Accum, Element};

use super::Operand;
use super::sums::{Across, Along, Tile, strided, sums, transposed};
use super::target::{Into, Target};

/// How many k of rows along k are put side by side: more go in blocks.
pub(super) const DEPTH: usize = 64;

/// How the k elements of a row lie.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Lie {
    /// One after the other.
    Along,
    /// A stride apart, with those of the other rows beside them.
    Across,
    /// Neither, or overlapping.
    Strided,
}

impl Lie {
    pub(super) fn of(at: Layout) -> Self {
        match (at.rs, at.cs) {
            (stride, 1) if stride >= at.cols || at.rows == 1 => Self::Along,
            (1, stride) if stride >= at.rows => Self::Across,
            _ => Self::Strided,
        }
    }
}

/// Whether [`product`] takes A, Bᵀ and C as a whole.
pub(super) fn shallow(a: Layout, b: Layout, c: Layout) -> bool {
    let packed = || square(c) && (Lie::of(a), Lie::of(b)) == (Lie::Along, Lie::Along);
    a.cols > 0 && (a.cols <= DEPTH || !packed())
}

fn square(at: Layout) -> bool {
    at.rows >= 4 && at.cols >= 4
}

/// Whether C is computed as its transpose: where that leaves fewer ways for operands to lie, or its
/// elements beside each other.
pub(super) fn turned(a: Layout, b: Layout, c: Layout) -> bool {
    match (Lie::of(a), Lie::of(b)) {
        _ if !square(c) => c.rows > c.cols,
        (Lie::Across, Lie::Along) => true,
        (x, y) => x == y && c.cs != 1,
    }
}

/// C from A and Bᵀ: row i and column j is the sum over the products of row i of A with row j of Bᵀ.
/// Where both lie along k, at most [`DEPTH`] long.
///
/// Sixteen elements at a time, where there are four rows and four columns; else some neighbours in
/// a row.
#[inline(never)]
pub(super) fn product<A: Accum, Z: Element>(
    a: Operand<'_, A>,
    b: Operand<'_, A>,
    into: &Into<A>,
    c: &mut [Z],
    at: Layout,
) {
    let square = square(at);
    let (a, b, at) = if turned(a.at, b.at, at) { (b, a, at.t()) } else { (a, b, at) };
    let mut c = Target { into, c, at };
    match (square, Lie::of(a.at), Lie::of(b.at)) {
        (true, Lie::Along, Lie::Along) if at.rows > at.cols => along_packed(a, b, &mut c),
        (true, Lie::Along, Lie::Along) => packed_along(a, b, &mut c),
        (true, Lie::Along, Lie::Across) => along_across(a, b, &mut c),
        (true, Lie::Across, Lie::Across) => across_across(a, b, &mut c),
        (_, Lie::Along, Lie::Along) if at.cols >= 4 => row_along(a, b, &mut c),
        (_, Lie::Along | Lie::Across, Lie::Across) if at.cols >= 8 => row_across(a, b, &mut c),
        _ => one_by_one(a, b, &mut c),
    }
}

/// Packs rows of A, of which there are fewer. A function of its own, so that only it takes the room.
#[inline(never)]
fn packed_along<A: Accum, Z: Element>(
    a: Operand<'_, A>,
    b: Operand<'_, A>,
    c: &mut Target<'_, A, Z>,
) {
    let mut room = [[A::default(); 4]; DEPTH];
    let panel = room.get_mut(..a.at.cols).unwrap_or_default();
    starts::<4>(c.at.rows, |i| {
        let Some(a) = Along::<4, A>::new(a, i.at) else { return };
        a.pack(panel);
        starts::<4>(c.at.cols, |j| {
            let tile = |start: Tile<4, 4, A>| {
                let (a, b) = (Across::packed(panel)?, Along::new(b, j.at)?);
                Some(transposed(sums(transposed(start), b, a)))
            };
            c.tile(i, j, tile);
        });
    });
}

/// As [`packed_along`], for rows of Bᵀ.
#[inline(never)]
fn along_packed<A: Accum, Z: Element>(
    a: Operand<'_, A>,
    b: Operand<'_, A>,
    c: &mut Target<'_, A, Z>,
) {
    let mut room = [[A::default(); 4]; DEPTH];
    let panel = room.get_mut(..b.at.cols).unwrap_or_default();
    starts::<4>(c.at.cols, |j| {
        let Some(b) = Along::<4, A>::new(b, j.at) else { return };
        b.pack(panel);
        starts::<4>(c.at.rows, |i| {
            c.tile::<4, 4>(i, j, |start| {
                Some(sums(start, Along::new(a, i.at)?, Across::packed(panel)?))
            });
        });
    });
}

fn along_across<A: Accum, Z: Element>(
    a: Operand<'_, A>,
    b: Operand<'_, A>,
    c: &mut Target<'_, A, Z>,
) {
    starts::<4>(c.at.rows, |i| {
        let a = Along::<4, A>::new(a, i.at);
        starts::<4>(c.at.cols, |j| {
            c.tile::<4, 4>(i, j, |start| Some(sums(start, a?, Across::new(b, j.at)?)));
        });
    });
}

fn across_across<A: Accum, Z: Element>(
    a: Operand<'_, A>,
    b: Operand<'_, A>,
    c: &mut Target<'_, A, Z>,
) {
    starts::<4>(c.at.rows, |i| {
        let a = Across::<4, A>::new(a, i.at);
        starts::<4>(c.at.cols, |j| {
            c.tile::<4, 4>(i, j, |start| Some(sums(start, a?, Across::new(b, j.at)?)));
        });
    });
}

fn row_along<A: Accum, Z: Element>(a: Operand<'_, A>, b: Operand<'_, A>, c: &mut Target<'_, A, Z>) {
    starts::<1>(c.at.rows, |i| {
        let a = Along::<1, A>::new(a, i.at);
        starts::<4>(c.at.cols, |j| {
            c.tile::<1, 4>(i, j, |start| Some(sums(start, a?, Along::new(b, j.at)?)));
        });
    });
}

fn row_across<A: Accum, Z: Element>(
    a: Operand<'_, A>,
    b: Operand<'_, A>,
    c: &mut Target<'_, A, Z>,
) {
    starts::<1>(c.at.rows, |i| {
        let a = Across::<1, A>::new(a, i.at);
        starts::<8>(c.at.cols, |j| {
            c.tile::<1, 8>(i, j, |start| Some(sums(start, a?, Across::new(b, j.at)?)));
        });
    });
}

fn one_by_one<A: Accum, Z: Element>(
    a: Operand<'_, A>,
    b: Operand<'_, A>,
    c: &mut Target<'_, A, Z>,
) {
    starts::<1>(c.at.rows, |i| {
        starts::<1>(c.at.cols, |j| {
            c.tile(i, j, |start| Some(strided(start, (a, i.at), (b, j.at))));
        });
    });
}

/// `N` rows or columns.
#[derive(Clone, Copy)]
pub(super) struct Part {
    /// The first.
    pub(super) at: usize,
    /// How many of them an earlier part has had.
    pub(super) old: usize,
}

/// Parts of `len`, which is `N` or more. The last one starts early enough to be whole.
#[inline(always)]
fn starts<const N: usize>(len: usize, mut f: impl FnMut(Part)) {
    let mut i = 0;
    while i < len {
        let at = i.min(len - N);
        f(Part { at, old: i - at });
        i = at + N;
    }
}
