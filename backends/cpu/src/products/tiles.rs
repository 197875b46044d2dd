//! Which elements of C are summed together.

use core::ops::Range;

use decora::scalar::{Accum, Element};

use super::source::{Lie, Source};
use super::sums::{Tile, across, along, line_across, line_along};
use super::target::Target;

/// How many k are put side by side at once.
const DEPTH: usize = 64;

/// How many tiles are summed at once, where k goes in parts.
const TILES: usize = 8;

/// How many neighbours in a row are summed at once.
const LINE: usize = 8;

/// C from A and Bᵀ: row i and column j is the sum over the products of row i of A with row j of Bᵀ.
///
/// The operand with fewer rows, or the one that has to be anyway, is put side by side, four rows at a
/// time, and meets four rows of the other; where there are fewer than four, one row meets some rows of
/// the other.
#[inline(always)]
pub(super) fn product<A: Accum, Z: Element>(
    a: Source<'_, A>,
    b: Source<'_, A>,
    mut c: Target<'_, A, Z>,
) {
    let least = c.at.rows.min(c.at.cols);
    let few_is_a = match (a.lie == Lie::Apart, b.lie == Lie::Apart) {
        (a, b) if least < 4 || a == b => c.at.rows < c.at.cols,
        (a, _) => a,
    };
    let (many, few) = if few_is_a { (&b, &a) } else { (&a, &b) };
    if few_is_a {
        c.at = c.at.t();
    }
    match least {
        0..4 => lines(many, few, &mut c),
        _ => tiles(many, few, &mut c),
    }
}

/// Parts of k, each `depth` long but for the last.
fn parts(k: usize, depth: usize) -> impl Iterator<Item = Range<usize>> {
    (0..k).step_by(depth.max(1)).map(move |first| first..k.min(first + depth))
}

#[inline(never)]
fn tiles<A: Accum, Z: Element>(
    many: &Source<'_, A>,
    few: &Source<'_, A>,
    c: &mut Target<'_, A, Z>,
) {
    let mut room = [A::default(); 4 * DEPTH];
    let (rows, k) = (c.at.rows, 0..many.at.cols);
    let Some(panel) = room.as_chunks_mut::<4>().0.get_mut(..k.len()) else {
        return deep(many, few, c, room.as_chunks_mut::<4>().0);
    };
    let mut sums = [[A::default(); 4]; 4];
    for j in starts(0, c.at.cols, 4) {
        side_by_side(few, j.at, &k, panel);
        for i in starts(0, rows, 4) {
            add(true, many, i.at, &k, panel, &mut sums);
            let _ = c.tile(i, j, &sums);
        }
    }
}

/// As [`tiles`], in parts of k: the sums of some tiles are kept from one part to the next.
#[cold]
#[inline(never)]
fn deep<A: Accum, Z: Element>(
    many: &Source<'_, A>,
    few: &Source<'_, A>,
    c: &mut Target<'_, A, Z>,
    panel: &mut [[A; 4]],
) {
    let rows = c.at.rows;
    for j in starts(0, c.at.cols, 4) {
        for top in (0..rows).step_by(4 * TILES) {
            let mut sums = [[[A::default(); 4]; 4]; TILES];
            for k in parts(many.at.cols, DEPTH) {
                let panel = panel.get_mut(..k.len()).unwrap_or_default();
                side_by_side(few, j.at, &k, panel);
                for (i, sums) in starts(top, rows, 4).zip(&mut sums) {
                    add(false, many, i.at, &k, panel, sums);
                }
            }
            for (i, sums) in starts(top, rows, 4).zip(&sums) {
                let _ = c.tile(i, j, sums);
            }
        }
    }
}

#[inline(never)]
fn side_by_side<A: Accum>(
    few: &Source<'_, A>,
    first: usize,
    k: &Range<usize>,
    panel: &mut [[A; 4]],
) {
    match few.lie {
        Lie::Along => {}
        Lie::Across => {
            let lines = few.from(first, k).chunks(few.at.cs.max(1));
            for (to, from) in panel.iter_mut().zip(lines.filter_map(<[A]>::first_chunk)) {
                *to = *from;
            }
            return;
        }
        Lie::Apart => return few.pack(first, k, panel),
    }
    let [a, b, c, d] = few.along(first, k);
    for (to, (((a, b), c), d)) in panel.iter_mut().zip(a.iter().zip(b).zip(c).zip(d)) {
        *to = [*a, *b, *c, *d];
    }
}

/// Four rows with a panel.
#[inline(always)]
fn add<A: Accum>(
    fresh: bool,
    many: &Source<'_, A>,
    first: usize,
    k: &Range<usize>,
    panel: &[[A; 4]],
    sums: &mut Tile<A>,
) {
    match many.lie {
        Lie::Along => along(fresh, sums, many.from(first, k), many.at.rs, panel),
        Lie::Across => across(fresh, sums, many.from(first, k), many.at.cs, panel),
        Lie::Apart => add_packed(fresh, many, first, k, panel, sums),
    }
}

/// A function of its own, so that only it takes the room.
#[inline(never)]
fn add_packed<A: Accum>(
    fresh: bool,
    many: &Source<'_, A>,
    first: usize,
    k: &Range<usize>,
    panel: &[[A; 4]],
    sums: &mut Tile<A>,
) {
    let mut room = [[A::default(); 4]; DEPTH];
    let packed = room.get_mut(..k.len()).unwrap_or_default();
    many.pack(first, k, packed);
    across(fresh, sums, packed.as_flattened(), 4, panel);
}

#[inline(never)]
fn lines<A: Accum, Z: Element>(
    many: &Source<'_, A>,
    few: &Source<'_, A>,
    c: &mut Target<'_, A, Z>,
) {
    let rows = c.at.rows;
    let step = match many.lie {
        Lie::Along if rows >= 4 => 4,
        _ if rows >= LINE => LINE,
        Lie::Across if rows >= 4 => 4,
        _ => 1,
    };
    let mut room = [[A::default(); 1]; DEPTH];
    let depth = if few.lie == Lie::Along { many.at.cols } else { DEPTH };
    for j in 0..c.at.cols {
        for i in starts(0, rows, step) {
            let mut sums = [A::default(); LINE];
            for k in parts(many.at.cols, depth) {
                let row = match few.lie {
                    Lie::Along => few.along::<1>(j, &k)[0],
                    _ => {
                        let row = room.get_mut(..k.len()).unwrap_or_default();
                        // What is packed already, unless k goes in parts.
                        if i.at == 0 || depth < many.at.cols {
                            few.pack(j, &k, row);
                        }
                        row.as_flattened()
                    }
                };
                match (many.lie, step) {
                    (Lie::Along, 4) => line_along(&mut sums, many.along(i.at, &k), row),
                    (Lie::Across, LINE) => {
                        line_across::<A, LINE>(&mut sums, many.from(i.at, &k), many.at.cs, row)
                    }
                    (Lie::Across, 4) => {
                        line_across::<A, 4>(&mut sums, many.from(i.at, &k), many.at.cs, row)
                    }
                    (_, LINE) => line_packed(&mut sums, many, i.at, &k, row),
                    _ => one_by_one(&mut sums, many, i.at, &k, row),
                }
            }
            let _ = c.column(i, j, sums.get(..step).unwrap_or_default());
        }
    }
}

#[inline(never)]
fn line_packed<A: Accum>(
    sums: &mut [A; LINE],
    many: &Source<'_, A>,
    first: usize,
    k: &Range<usize>,
    row: &[A],
) {
    const PART: usize = DEPTH / 2;
    let mut room = [[A::default(); LINE]; PART];
    for (part, row) in row.chunks(PART).enumerate() {
        let start = k.start + part * PART;
        let packed = room.get_mut(..row.len()).unwrap_or_default();
        many.pack(first, &(start..start + row.len()), packed);
        line_across::<A, LINE>(sums, packed.as_flattened(), LINE, row);
    }
}

#[inline(never)]
fn one_by_one<A: Accum>(
    sums: &mut [A; LINE],
    many: &Source<'_, A>,
    first: usize,
    k: &Range<usize>,
    row: &[A],
) {
    let mut room = [[A::default(); 1]; DEPTH];
    for (part, row) in parts(k.len(), DEPTH).zip(row.chunks(DEPTH)) {
        let packed = room.get_mut(..row.len()).unwrap_or_default();
        many.pack(first, &(k.start + part.start..k.start + part.end), packed);
        sums[0] = row.iter().zip(packed.as_flattened()).fold(sums[0], |sum, (&y, &x)| sum + x * y);
    }
}

/// Some rows or columns.
#[derive(Clone, Copy)]
pub(super) struct Part {
    /// The first.
    pub(super) at: usize,
    /// How many of them an earlier part has had.
    pub(super) old: usize,
}

/// Parts of `n` from `from` to `len`, which is `n` or more. The last one starts early enough to be
/// whole.
#[inline(always)]
fn starts(from: usize, len: usize, n: usize) -> impl Iterator<Item = Part> {
    (from..len).step_by(n.max(1)).map(move |i| {
        let at = i.min(len - n);
        Part { at, old: i - at }
    })
}
