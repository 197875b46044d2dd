//! Rotary positions.

use decora::backend::Store;
use decora::buffer::{Acc, Act, Index};
use decora::sequence::{Sequence, Turn};

use super::gather::{named, numbers};
use crate::against::Make;
use crate::expected::Expected;
use crate::operand::Operand;
use crate::paint::View;
use crate::report::Report;
use crate::trial::{Outcome, Trial, property};

/// Rows, heads, numbers in a head, positions in the table.
const CASES: [(usize, usize, usize, usize); 18] = [
    (1, 1, 2, 1),
    (3, 1, 4, 2),
    (5, 3, 6, 7),
    (7, 2, 10, 61),
    (2, 5, 16, 3),
    (16, 4, 32, 17),
    (17, 3, 34, 5),
    (31, 2, 64, 130),
    (33, 1, 66, 31),
    (13, 3, 128, 257),
    (3, 2, 130, 11),
    (5, 2, 256, 4),
    (2, 1, 514, 2),
    (257, 9, 2, 255),
    (4, 0, 8, 3),
    (0, 2, 8, 3),
    (5, 2, 8, 0),
    (65_539, 1, 2, 100),
];

/// Each head of each row turned by the row of the table that its position names, halves as pairs,
/// both ways; a position that is no row turns nothing.
#[must_use]
pub fn rotate<B: Sequence>(make: Make<'_, B>) -> Report {
    property("rotate", make, &|t| {
        for (i, case) in CASES.into_iter().enumerate() {
            for turn in [Turn::Ahead, Turn::Back] {
                turned(t, turn, case, [View::ROWS[i % 2], View::ROWS[i / 2 % 2]])?;
            }
        }
        for (what, of_table, view, of_positions) in [
            ("a table of no pairs", (5, 3), View::Tight, 3),
            ("X of no whole heads", (5, 4), View::Tight, 3),
            ("too few positions", (5, 6), View::Tight, 2),
            ("columns that are not adjacent", (5, 6), View::Turned, 3),
        ] {
            let table = t.input::<Acc>(of_table, View::Tight, 2)?;
            let positions = t.whole::<Index>(&vec![1.0; of_positions])?;
            let mut x = t.output::<Act>((3, 6), view, Store::Add, 1)?;
            let outcome = t.be.rotate(Turn::Ahead, table.mat(), &positions.buf, x.mat_mut());
            t.refused(what, outcome, &x)?;
        }
        Ok(())
    })
}

/// The table is painted: what is computed is defined for any, and swapped columns show.
fn turned<B: Sequence>(
    t: &mut Trial<B>,
    turn: Turn,
    (n, heads, dim, rows): (usize, usize, usize, usize),
    [of_x, of_table]: [View; 2],
) -> Outcome<B> {
    t.shape(&[n, heads, dim]);
    let table = t.input::<Acc>((rows, dim), of_table, 2)?;
    let positions = numbers(t, n, rows)?;
    let mut x = t.output::<Act>((n, heads * dim), of_x, Store::Add, 1)?;
    t.be.rotate(turn, table.mat(), &positions.buf, x.mat_mut())?;
    t.check(&(turn, (n, heads, dim, rows), [of_x, of_table]), &x, &|i, j| match named(
        &positions, i, rows,
    ) {
        None => Expected::exactly(x.value(i, j)),
        Some(row) => pair(turn, &table, row, &x, (i, j)),
    })
}

/// One of a pair, turned.
fn pair<B: Sequence>(
    turn: Turn,
    table: &Operand<B, Acc>,
    row: usize,
    x: &Operand<B, Act>,
    (i, j): (usize, usize),
) -> Expected {
    let half = table.at.cols / 2;
    let (start, at) = (j - j % table.at.cols, j % half);
    let (low, high) = (x.value(i, start + at), x.value(i, start + half + at));
    let cos = table.value(row, at);
    let sin = table.value(row, half + at) * if turn == Turn::Back { -1.0 } else { 1.0 };
    match j - start < half {
        true => Expected::about(low * cos).plus(-high * sin),
        false => Expected::about(high * cos).plus(low * sin),
    }
}
