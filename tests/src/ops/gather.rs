//! Rows of tables by number, and the gradient of a table.

use decora::backend::Store;
use decora::buffer::{Acc, Act, Index};
use decora::mat::Layout;
use decora::sequence::Sequence;

use super::gemm::stored;
use super::{Kind, SHAPES, STORES, Stored};
use crate::against::Make;
use crate::expected::Expected;
use crate::operand::Operand;
use crate::paint::{View, whole};
use crate::report::Report;
use crate::trial::{Outcome, Trial, property};

/// Rows of tables.
const ROWS: [usize; 7] = [1, 2, 7, 61, 0, 130, 257];

/// n numbers of rows in turn, many of them more than once, and some that are no row; in a longer
/// buffer.
pub(crate) fn numbers<B: Sequence>(
    t: &mut Trial<B>,
    n: usize,
    rows: usize,
) -> Result<Operand<B, Index>, B::Error> {
    let number = |i: usize| match i % 9 {
        4 => u32::MAX,
        7 => rows as u32,
        _ => (i * i * 5 % rows.max(1)) as u32,
    };
    let all: Vec<f64> = (0..n).map(|i| f64::from(number(i))).chain([0.0; 3]).collect();
    t.put::<Index>(&all, Layout::row_major(0, n, 1))
}

/// The row that number t names; `None` when there is no such row.
pub(crate) fn named<B: Sequence>(ids: &Operand<B, Index>, t: usize, rows: usize) -> Option<usize> {
    let id = ids.value(t, 0);
    (id < rows as f64).then_some(id as usize)
}

/// Yₜ = W₍idₜ₎ or the same added to Yₜ, for every storage format; a number that is no row is a row of
/// zeros.
#[must_use]
pub fn gather<B: Sequence>(make: Make<'_, B>) -> Report {
    property("gather", make, &|t| {
        for (i, shape) in SHAPES.into_iter().enumerate() {
            for (kind, into) in [i, i / 2 + 1].map(|i| Kind::ALL[i % 4]).into_iter().zip(STORES) {
                frozen(t, kind, ROWS[i % 7], shape, View::ROWS[i % 2], into)?;
            }
        }
        for kind in Kind::ALL {
            STORES
                .into_iter()
                .try_for_each(|into| frozen(t, kind, 61, (17, 31), View::Gaps, into))?;
        }
        let w = Stored::painted(Kind::F32, 6, 4, 2);
        let w = t.be.weight(w.frozen()?)?;
        for (what, shape, view, of_ids) in MISFITS {
            let ids = t.whole::<Index>(&vec![1.0; of_ids])?;
            let mut y = t.output::<Act>(shape, view, Store::Add, 1)?;
            let outcome = t.be.gather(&w, &ids.buf, Store::Replace, y.mat_mut());
            t.refused(what, outcome, &y)?;
        }
        Ok(())
    })
}

/// What does not fit a table of 4 columns: name, shape and view of Y, number of ids.
const MISFITS: [(&str, (usize, usize), View, usize); 3] = [
    ("Y of another width", (3, 5), View::Tight, 3),
    ("too few ids", (3, 4), View::Tight, 2),
    ("columns that are not adjacent", (3, 4), View::Turned, 3),
];

fn frozen<B: Sequence>(
    t: &mut Trial<B>,
    kind: Kind,
    rows: usize,
    (n, cols): (usize, usize),
    view: View,
    into: Store,
) -> Outcome<B> {
    t.shape(&[n, cols]);
    let w = Stored::painted(kind, rows, cols, 2);
    let on_device = t.be.weight(w.frozen()?)?;
    let ids = numbers(t, n, rows)?;
    let mut y = t.output::<Act>((n, cols), view, into, 3)?;
    t.be.gather(&on_device, &ids.buf, into, y.mat_mut())?;
    t.check(&(kind, rows, (n, cols), view, into), &y, &|i, j| {
        let row = named(&ids, i, rows).map(|row| w.value(row, j));
        // A number in f64 may be rounded twice.
        match (row, into) {
            (Some(w), Store::Replace) if kind == Kind::F64 => Expected::about(w),
            _ => copied(row, into, y.value(i, j)),
        }
    })
}

/// A copy of a number, of none, or the sum with what was there.
fn copied(row: Option<f64>, into: Store, old: f64) -> Expected {
    match (row, into) {
        (row, Store::Replace) => Expected::exactly(row.unwrap_or(0.0)),
        (None, Store::Add) => Expected::exactly(old),
        (Some(w), Store::Add) => Expected::about(w).plus(old),
    }
}

/// Yₜ = Table₍idₜ₎ or the same added to Yₜ.
#[must_use]
pub fn gather_rows<B: Sequence>(make: Make<'_, B>) -> Report {
    property("gather_rows", make, &|t| {
        for (i, shape) in SHAPES.into_iter().enumerate() {
            for into in STORES {
                let views = [View::ROWS[i % 2], View::ROWS[i / 2 % 2]];
                trained(t, ROWS[i % 7], shape, views, into)?;
            }
        }
        for (what, shape, view, of_ids) in MISFITS {
            let table = t.input::<Acc>((6, 4), View::Tight, 2)?;
            let ids = t.whole::<Index>(&vec![1.0; of_ids])?;
            let mut y = t.output::<Act>(shape, view, Store::Add, 1)?;
            let outcome = t.be.gather_rows(table.mat(), &ids.buf, Store::Replace, y.mat_mut());
            t.refused(what, outcome, &y)?;
        }
        Ok(())
    })
}

fn trained<B: Sequence>(
    t: &mut Trial<B>,
    rows: usize,
    (n, cols): (usize, usize),
    [of_table, of_y]: [View; 2],
    into: Store,
) -> Outcome<B> {
    t.shape(&[n, cols]);
    let table = t.input::<Acc>((rows, cols), of_table, 2)?;
    let ids = numbers(t, n, rows)?;
    let mut y = t.output::<Act>((n, cols), of_y, into, 3)?;
    t.be.gather_rows(table.mat(), &ids.buf, into, y.mat_mut())?;
    t.check(&(rows, (n, cols), [of_table, of_y], into), &y, &|i, j| {
        copied(named(&ids, i, rows).map(|row| table.value(row, j)), into, y.value(i, j))
    })
}

/// dTableᵢ = Σ dYₜ over all t with idₜ = i, or the same added to dTable: numbers that come more than
/// once add up, rows that no number names get 0.
#[must_use]
pub fn gather_grad<B: Sequence>(make: Make<'_, B>) -> Report {
    property("gather_grad", make, &|t| {
        for (i, shape) in SHAPES.into_iter().enumerate() {
            for into in STORES {
                let views = [View::ROWS[i % 2], View::ROWS[i / 2 % 2]];
                gradient(t, ROWS[i % 7], shape, views, into)?;
            }
        }
        often(t)?;
        for (what, shape, view, of_ids) in MISFITS {
            let dy = t.input::<Act>(shape, view, 1)?;
            let ids = t.whole::<Index>(&vec![1.0; of_ids])?;
            let mut table = t.output::<Acc>((6, 4), View::Tight, Store::Add, 2)?;
            let outcome = t.be.gather_grad(dy.mat(), &ids.buf, Store::Replace, table.mat_mut());
            t.refused(what, outcome, &table)?;
        }
        Ok(())
    })
}

/// The numbers of those that name each row.
fn namers<B: Sequence>(ids: &Operand<B, Index>, n: usize, rows: usize) -> Vec<Vec<usize>> {
    let mut all = vec![Vec::new(); rows];
    for (t, row) in (0..n).filter_map(|t| Some((t, named(ids, t, rows)?))) {
        all[row].push(t);
    }
    all
}

fn gradient<B: Sequence>(
    t: &mut Trial<B>,
    rows: usize,
    (n, cols): (usize, usize),
    [of_dy, of_table]: [View; 2],
    into: Store,
) -> Outcome<B> {
    t.shape(&[n, cols]);
    let dy = t.input::<Act>((n, cols), of_dy, 1)?;
    let ids = numbers(t, n, rows)?;
    let mut table = t.output::<Acc>((rows, cols), of_table, into, 2)?;
    t.be.gather_grad(dy.mat(), &ids.buf, into, table.mat_mut())?;
    let namers = namers(&ids, n, rows);
    t.check(&(rows, (n, cols), [of_dy, of_table], into), &table, &|i, j| {
        let sum = Expected::sum_of(namers[i].iter().map(|&t| dy.value(t, j)));
        stored(Expected { exact: namers[i].is_empty(), ..sum }, into, &table, i, j)
    })
}

/// Long sums of whole numbers, to the last of them.
fn often<B: Sequence>(t: &mut Trial<B>) -> Outcome<B> {
    let (rows, n, cols) = (3, 4099, 5);
    t.shape(&[n, cols]);
    let host: Vec<f64> = (0..n * cols).map(|e| whole(1, e / cols, e % cols)).collect();
    let dy = t.put::<Act>(&host, Layout::row_major(0, n, cols))?;
    let ids = numbers(t, n, rows)?;
    let mut table = t.output::<Acc>((rows, cols), View::Gaps, Store::Replace, 0)?;
    t.be.gather_grad(dy.mat(), &ids.buf, Store::Replace, table.mat_mut())?;
    let namers = namers(&ids, n, rows);
    t.check(&"whole numbers", &table, &|i, j| {
        Expected::exactly(namers[i].iter().map(|&t| dy.value(t, j)).sum())
    })
}
