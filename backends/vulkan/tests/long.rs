//! Dimensions beyond the 65,535 steps after which some drivers end the loops of an invocation.

mod common;

use common::gpu;
use decora::backend::{Backend, Store};
use decora::buffer::{Acc, Act, Index};
use decora::mat::{Mat, MatMut};
use decora::network::Network;
use decora::sequence::{Norm, NormKind, Sequence};
use decora_vulkan::{Limits, Settings, Vulkan, VulkanError};

const LONG: usize = 70_001;

fn device(limits: Limits) -> Option<Vulkan<f32>> {
    let gpu = gpu(Settings::default().within(limits))?;
    Some(Vulkan::new(&gpu).expect("a backend"))
}

fn put(be: &mut Vulkan<f32>, x: &[f32]) -> <Vulkan<f32> as Backend>::Buf<Act> {
    let mut buf = be.alloc::<Act>(x.len()).expect("a buffer");
    be.write::<Act>(&mut buf, 0, x).expect("written");
    buf
}

/// Small whole numbers, whose sums f32 holds.
fn whole(len: usize, of: usize) -> Vec<f32> {
    (0..len).map(|i| (i % of) as f32).collect()
}

/// C = A·B with 70,001 terms, in so many tiles that nothing but their number makes it be split: row i of A
/// is i mod 3 everywhere, B is t mod 5.
#[test]
fn products_have_all_their_terms() {
    let Some(mut be) = device(Limits::default()) else { return };
    let side = 136;
    let a: Vec<f32> = (0..side).flat_map(|i| vec![(i % 3) as f32; LONG]).collect();
    let b: Vec<f32> = (0..LONG).flat_map(|t| vec![(t % 5) as f32; side]).collect();
    let (a, b) = (put(&mut be, &a), put(&mut be, &b));
    let mut c = put(&mut be, &vec![0.0; side * side]);
    let (a, b) = (Mat::new(&a, side, LONG).expect("A"), Mat::new(&b, LONG, side).expect("B"));
    be.gemm(1.0, a, b, Store::Replace, MatMut::new(&mut c, side, side).expect("C"))
        .expect("product");
    let mut found = vec![0.0; side * side];
    be.read::<Act>(&c, 0, &mut found).expect("read");
    let sum: f32 = whole(LONG, 5).iter().sum();
    for (e, &found) in found.iter().enumerate() {
        assert_eq!(found, (e / side % 3) as f32 * sum, "element {e}");
    }
}

/// A table of one row that 70,001 rows are gathered from, and a sum of as many.
#[test]
fn sums_over_rows_have_all_rows() {
    let Some(mut be) = device(Limits::default()) else { return };
    let cols = 3;
    let dy: Vec<f32> = (0..LONG).flat_map(|t| vec![(t % 7) as f32; cols]).collect();
    let dy = put(&mut be, &dy);
    let mut ids = be.alloc::<Index>(LONG).expect("a buffer");
    be.write::<Index>(&mut ids, 0, &vec![1; LONG]).expect("written");
    let [mut table, mut sums] = [2 * cols, cols].map(|n| be.alloc::<Acc>(n).expect("a buffer"));
    let dy = Mat::new(&dy, LONG, cols).expect("dY");
    let to = MatMut::new(&mut table, 2, cols).expect("the table");
    be.gather_grad(dy, &ids, Store::Replace, to).expect("the gradient");
    be.col_sum(dy, Store::Replace, &mut sums).expect("the sums");
    let sum: f32 = whole(LONG, 7).iter().sum();
    let mut found = vec![0.0; 2 * cols];
    be.read::<Acc>(&table, 0, &mut found).expect("read");
    assert_eq!(found, [0.0, 0.0, 0.0, sum, sum, sum]);
    be.read::<Acc>(&sums, 0, &mut found[..cols]).expect("read");
    assert_eq!(found[..cols], [sum; 3]);
}

/// Loss and norm of a row of 70,001 numbers, all equal but one.
#[test]
fn long_rows_are_whole() {
    let Some(mut be) = device(Limits::default()) else { return };
    let mut row = vec![1.0; LONG];
    row[LONG - 1] = 3.0;
    let mut x = put(&mut be, &row);
    let mut labels = be.alloc::<Index>(1).expect("a buffer");
    be.write::<Index>(&mut labels, 0, &[LONG as u32 - 1]).expect("written");
    let mut gamma = be.alloc::<Acc>(LONG).expect("a buffer");
    be.write::<Acc>(&mut gamma, 0, &vec![1.0; LONG]).expect("written");
    let (mut y, mut loss) = (put(&mut be, &vec![0.0; LONG]), be.alloc::<Acc>(1).expect("a buffer"));
    let norm = Norm { kind: NormKind::Rms, eps: 0.0 };
    let to = MatMut::new(&mut y, 1, LONG).expect("Y");
    be.normalize(norm, Mat::new(&x, 1, LONG).expect("X"), &gamma, None, to).expect("a norm");
    let logits = MatMut::new(&mut x, 1, LONG).expect("X");
    be.softmax_cross_entropy(1.0, logits, &labels, Store::Replace, &mut loss).expect("a loss");
    let (mut found, mut first) = ([0.0], [0.0]);
    be.read::<Acc>(&loss, 0, &mut found).expect("read");
    be.read::<Act>(&y, 0, &mut first).expect("read");
    let others = LONG as f64 - 1.0;
    let expected = (others * (-2.0f64).exp() + 1.0).ln();
    assert!((f64::from(found[0]) / expected - 1.0).abs() < 1e-5, "{found:?}, not {expected}");
    let expected = ((others + 9.0) / LONG as f64).sqrt().recip();
    assert!((f64::from(first[0]) / expected - 1.0).abs() < 1e-5, "{first:?}, not {expected}");
}

/// What cannot be shared out is refused before anything is written.
#[test]
fn what_loops_cannot_hold_is_refused() {
    let mut limits = Limits::default();
    limits.steps = Some(500);
    let Some(mut be) = device(limits) else { return };
    let mut x = put(&mut be, &vec![1.0; LONG]);
    let labels = be.alloc::<Index>(1).expect("a buffer");
    let mut loss = be.alloc::<Acc>(1).expect("a buffer");
    let logits = MatMut::new(&mut x, 1, LONG).expect("X");
    let answer = be.softmax_cross_entropy(1.0, logits, &labels, Store::Replace, &mut loss);
    let kernel = "softmax_cross_entropy";
    assert!(
        matches!(answer, Err(VulkanError::TooLong { kernel: of, limit: 500, .. }) if of == kernel),
        "{answer:?}"
    );
    let mut found = [0.0];
    be.read::<Act>(&x, LONG - 1, &mut found).expect("read");
    assert_eq!(found, [1.0]);
}
