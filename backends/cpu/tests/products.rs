//! Each element of a portable product is one sum over k, from the first to the last: the bits of a
//! plain loop, whatever the shape, the layout and the types.

use decora::backend::{Backend, Side, Store};
use decora::buffer::{Acc, Act};
use decora::frozen::{Format, Frozen};
use decora::mat::{Layout, Mat, MatMut};
use decora_cpu::{Cpu, CpuError};
use half::f16;

type B<'m> = Cpu<'m, f32>;

/// (m, k, n): tiles and what is left of them; few rows; k of no, one, and several blocks.
const SHAPES: [[usize; 3]; 17] = [
    [4, 4, 4],
    [8, 64, 64],
    [5, 7, 9],
    [64, 8, 4],
    [9, 65, 6],
    [6, 65, 90],
    [90, 130, 6],
    [33, 200, 34],
    [1, 64, 64],
    [1, 200, 11],
    [1, 64, 4],
    [1, 70, 6],
    [7, 130, 2],
    [3, 70, 70],
    [70, 70, 2],
    [4, 1, 5],
    [2, 0, 5],
];

fn painted(len: usize, prime: usize) -> Vec<f32> {
    (0..len).map(|i| (i * prime % 251) as f32 / 251.0 - 0.4).collect()
}

fn lie(rows: usize, cols: usize, turned: bool) -> Layout {
    if turned { Layout::row_major(0, cols, rows).t() } else { Layout::row_major(0, rows, cols) }
}

fn place(at: Layout, i: usize, j: usize) -> usize {
    at.offset + i * at.rs + j * at.cs
}

/// C += α·A·B, element by element.
fn plain(
    alpha: f32,
    (a, at_a): (&[f32], Layout),
    (b, at_b): (&[f32], Layout),
    c: &mut [f32],
    at: Layout,
) {
    for (i, j) in (0..at.rows).flat_map(|i| (0..at.cols).map(move |j| (i, j))) {
        let product = |k| a[place(at_a, i, k)] * b[place(at_b, k, j)];
        let sum = (0..at_a.cols).fold(0.0, |sum, k| sum + product(k));
        c[place(at, i, j)] += alpha * sum;
    }
}

fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| x.to_bits()).collect()
}

#[test]
fn every_element_is_one_sum_in_order() -> Result<(), CpuError> {
    for ([m, k, n], turned) in SHAPES.into_iter().flat_map(|s| (0..8).map(move |t| (s, t))) {
        let mut arena = vec![0.0; m * k + k * n + m * n];
        let mut be = B::new(&mut arena);
        let [at_a, at_b, at] = [(m, k, 1), (k, n, 2), (m, n, 4)]
            .map(|(rows, cols, bit)| lie(rows, cols, turned & bit != 0));
        let (host_a, host_b) = (painted(m * k, 7), painted(k * n, 11));
        let mut expected = painted(m * n, 13);
        let (mut a, mut b) = (be.alloc::<Acc>(m * k)?, be.alloc::<Acc>(k * n)?);
        let mut c = be.alloc::<Acc>(m * n)?;
        be.write::<Acc>(&mut a, 0, &host_a)?;
        be.write::<Acc>(&mut b, 0, &host_b)?;
        be.write::<Acc>(&mut c, 0, &expected)?;
        let (x, y) = (Mat::<B<'_>, Acc>::with(&a, at_a)?, Mat::<B<'_>, Acc>::with(&b, at_b)?);
        be.gemm(0.75, x, y, Store::Add, MatMut::<B<'_>, Acc>::with(&mut c, at)?)?;
        plain(0.75, (&host_a, at_a), (&host_b, at_b), &mut expected, at);
        assert_eq!(bits(&c), bits(&expected), "{m}×{k}×{n}, transposed: {turned:03b}");
    }
    Ok(())
}

#[test]
fn also_with_weights_that_are_widened() -> Result<(), CpuError> {
    for ([m, k, n], side) in
        SHAPES.into_iter().flat_map(|s| [(s, Side::Plain), (s, Side::Transposed)])
    {
        let mut arena = vec![0.0; m * k + m * n];
        let mut be = B::new(&mut arena);
        let narrow: Vec<f16> = painted(k * n, 11).into_iter().map(f16::from_f32).collect();
        let wide: Vec<f32> = narrow.iter().map(|w| w.to_f32()).collect();
        let (rows, cols) = if side == Side::Plain { (k, n) } else { (n, k) };
        let Ok(w) = Frozen::new(rows, cols, Format::F16(&narrow)) else { continue };
        let (w, host_a, mut expected) = (be.weight(w)?, painted(m * k, 7), vec![0.0; m * n]);
        let (mut a, mut c) = (be.alloc::<Act>(m * k)?, be.alloc::<Acc>(m * n)?);
        be.write::<Act>(&mut a, 0, &host_a)?;
        let (x, z) = (Mat::<B<'_>, Act>::new(&a, m, k)?, MatMut::<B<'_>, Acc>::new(&mut c, m, n)?);
        be.gemm_frozen(1.0, x, &w, side, Store::Add, z)?;
        let (at_a, at_w) = (lie(m, k, false), lie(k, n, side == Side::Transposed));
        plain(1.0, (&host_a, at_a), (&wide, at_w), &mut expected, lie(m, n, false));
        assert_eq!(bits(&c), bits(&expected), "{m}×{k}×{n}, {side:?}");
    }
    Ok(())
}

#[test]
fn elements_may_be_shared_by_rows_and_columns() -> Result<(), CpuError> {
    let (a, b) = (painted(16, 37), painted(5 * 7, 53));
    for (rs, cs) in [(1, 0), (0, 1), (0, 0), (1, 1), (2, 1)] {
        let at = Layout { offset: 1, rows: 6, cols: 5, rs, cs };
        let of_b = Layout::row_major(0, 5, 7);
        let mut expected = vec![0.0; 6 * 7];
        plain(1.0, (&a, at), (&b, of_b), &mut expected, Layout::row_major(0, 6, 7));
        let mut arena = vec![0.0; 128];
        let mut cpu = B::new(&mut arena);
        let (mut x, mut y) = (cpu.alloc::<Acc>(16)?, cpu.alloc::<Acc>(35)?);
        let mut z = cpu.alloc::<Acc>(42)?;
        cpu.write::<Acc>(&mut x, 0, &a)?;
        cpu.write::<Acc>(&mut y, 0, &b)?;
        let (x, y) = (Mat::<B<'_>, Acc>::with(&x, at)?, Mat::<B<'_>, Acc>::with(&y, of_b)?);
        let c = MatMut::<B<'_>, Acc>::with(&mut z, Layout::row_major(0, 6, 7))?;
        cpu.gemm(1.0, x, y, Store::Replace, c)?;
        assert_eq!(bits(&z), bits(&expected), "strides {rs}, {cs}");
    }
    Ok(())
}
