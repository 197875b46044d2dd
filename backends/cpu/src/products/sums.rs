//! The inner loops: sums over k, from the first to the last.

use decora::scalar::Accum;

/// The sums of four rows with four others.
pub(super) type Tile<A> = [[A; 4]; 4];

/// Where the sums of a tile begin: at 0, or with what is there.
#[inline(always)]
fn begin<A: Accum>(fresh: bool, sums: &Tile<A>) -> Tile<A> {
    if fresh { [[A::default(); 4]; 4] } else { *sums }
}

/// Four rows that lie along k, `stride` apart, with a panel: the k-th elements of four rows side by
/// side. `fresh` sums begin at 0.
#[inline(never)]
pub(super) fn along<A: Accum>(
    fresh: bool,
    sums: &mut Tile<A>,
    rows: &[A],
    stride: usize,
    panel: &[[A; 4]],
) {
    let Some((rows0, rest)) = rows.split_at_checked(stride) else { return };
    let Some((rows1, rest)) = rest.split_at_checked(stride) else { return };
    let Some((rows2, rows3)) = rest.split_at_checked(stride) else { return };
    let mut tile = begin(fresh, sums);
    let [a, b, c, d] = [rows0, rows1, rows2, rows3].map(|row| row.as_chunks::<2>().0);
    let (pairs, odd) = panel.as_chunks::<2>();
    for ((((a, b), c), d), [y0, y1]) in a.iter().zip(b).zip(c).zip(d).zip(pairs) {
        add(&mut tile, [a[0], b[0], c[0], d[0]], y0);
        add(&mut tile, [a[1], b[1], c[1], d[1]], y1);
    }
    if let [y] = odd {
        let last = |row: &[A]| row.get(panel.len() - 1).copied().unwrap_or_default();
        add(&mut tile, [last(rows0), last(rows1), last(rows2), last(rows3)], y);
    }
    *sums = tile;
}

/// The same with four rows whose k-th elements are adjacent and lie `stride` apart.
#[inline(never)]
pub(super) fn across<A: Accum>(
    fresh: bool,
    sums: &mut Tile<A>,
    rows: &[A],
    stride: usize,
    panel: &[[A; 4]],
) {
    let mut tile = begin(fresh, sums);
    // After the last there need not be a whole stride.
    let Some((last, panel)) = panel.split_last() else { return };
    let (pairs, odd) = panel.as_chunks::<2>();
    let (rows, rest) = rows.split_at_checked(2 * pairs.len() * stride).unwrap_or_default();
    for (x, y) in rows.chunks_exact((2 * stride).max(1)).zip(pairs) {
        let x1 = x.get(stride..).and_then(<[A]>::first_chunk);
        let (Some(x0), Some(x1)) = (x.first_chunk(), x1) else { return };
        add(&mut tile, *x0, &y[0]);
        add(&mut tile, *x1, &y[1]);
    }
    let mut rest = rest;
    if let [y] = odd {
        let Some(x) = rest.first_chunk() else { return };
        add(&mut tile, *x, y);
        rest = rest.get(stride..).unwrap_or_default();
    }
    let Some(x) = rest.first_chunk() else { return };
    add(&mut tile, *x, last);
    *sums = tile;
}

#[inline(always)]
fn add<A: Accum>(sums: &mut Tile<A>, x: [A; 4], y: &[A; 4]) {
    for (line, &x) in sums.iter_mut().zip(&x) {
        for (sum, &y) in line.iter_mut().zip(y) {
            *sum += x * y;
        }
    }
}

/// Four rows that lie along k, with one row.
#[inline(never)]
pub(super) fn line_along<A: Accum>(sums: &mut [A; 8], rows: [&[A]; 4], row: &[A]) {
    let [s0, s1, s2, s3, ..] = sums;
    let mut add = |a: &A, b: &A, c: &A, d: &A, &y: &A| {
        *s0 += *a * y;
        *s1 += *b * y;
        *s2 += *c * y;
        *s3 += *d * y;
    };
    let [a, b, c, d] = rows.map(|row| row.as_chunks::<4>());
    let (y, end) = row.as_chunks::<4>();
    for ((((a, b), c), d), y) in a.0.iter().zip(b.0).zip(c.0).zip(d.0).zip(y) {
        (0..4).for_each(|k| add(&a[k], &b[k], &c[k], &d[k], &y[k]));
    }
    for ((((a, b), c), d), y) in a.1.iter().zip(b.1).zip(c.1).zip(d.1).zip(end) {
        add(a, b, c, d, y);
    }
}

/// `N` rows, at most eight, whose k-th elements are adjacent and lie `stride` apart, with one row.
#[inline(never)]
pub(super) fn line_across<A: Accum, const N: usize>(
    sums: &mut [A; 8],
    rows: &[A],
    stride: usize,
    row: &[A],
) {
    let Some(sums) = sums.first_chunk_mut::<N>() else { return };
    let mut line = *sums;
    let Some((&last, row)) = row.split_last() else { return };
    let (rows, end) = rows.split_at_checked(row.len() * stride).unwrap_or_default();
    let mut add = |x: &[A], y: A| {
        let Some(x) = x.first_chunk::<N>() else { return };
        line.iter_mut().zip(x).for_each(|(sum, &x)| *sum += x * y);
    };
    rows.chunks_exact(stride.max(1)).zip(row).for_each(|(x, &y)| add(x, y));
    add(end, last);
    *sums = line;
}
