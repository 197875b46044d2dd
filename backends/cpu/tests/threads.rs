//! The fast path gives the same bits for any number of threads: this program runs itself with several.
#![cfg(feature = "std")]
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::process::Command;

use decora::backend::{AdamWStep, Backend, Elem, Side, Store};
use decora::buffer::{Acc, Act, Index, Role};
use decora::frozen::{Format, Frozen};
use decora::mat::{Layout, Mat, MatMut};
use decora::network::{Activation, Network};
use decora::sequence::{Attention, AttentionGrad, Heads, Norm, NormKind, Sequence};
use decora_cpu::FastCpu;

type B = FastCpu<f32>;

/// (m, k, n): odd, and with so many multiplications that five threads pay.
const SHAPES: [(usize, usize, usize); 6] = [
    (257, 131, 301),
    (37, 1031, 211),
    (513, 17, 771),
    (24, 701, 1009),
    (1009, 701, 13),
    (1, 1031, 611),
];

#[test]
fn same_bits_for_any_number_of_threads() {
    let of = |threads: &str| {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "print_bits", "--ignored", "--nocapture"]);
        let output = command.env("RAYON_NUM_THREADS", threads).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().filter(|line| line.contains(": bits ")).map(str::to_owned).collect::<Vec<_>>()
    };
    let one = of("1");
    assert_eq!(one.len(), 6 * SHAPES.len() + 9, "{one:?}");
    for threads in ["2", "3", "4", "5"] {
        assert_eq!(of(threads), one, "{threads} threads");
    }
}

#[test]
#[ignore = "the other test runs it, with several numbers of threads"]
fn print_bits() {
    let mut be = B::fast();
    for (i, shape) in SHAPES.into_iter().enumerate() {
        products(&mut be, i, shape);
    }
    attention(&mut be);
    passes(&mut be);
}

/// Numbers without a pattern, in [−0.5, 0.5).
fn buf<R: Role>(be: &mut B, len: usize, salt: u32) -> <B as Backend>::Buf<R>
where
    Elem<B, R>: From<f32>,
{
    let mut state = salt.wrapping_mul(2_654_435_761) | 1;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 24) as f32 - 0.5
    };
    let host: Vec<Elem<B, R>> = (0..len).map(|_| next().into()).collect();
    let mut made = be.alloc::<R>(len).unwrap();
    be.write::<R>(&mut made, 0, &host).unwrap();
    made
}

fn show(what: &str, of: &[f32]) {
    let mix = |hash: u64, x: &f32| (hash ^ u64::from(x.to_bits())).wrapping_mul(0x0100_0000_01b3);
    println!("\n{what}: bits {:016x}", of.iter().fold(0xcbf2_9ce4_8422_2325, mix));
}

fn at(rows: usize, cols: usize) -> Layout {
    Layout::row_major(0, rows, cols)
}

fn products(be: &mut B, i: usize, (m, k, n): (usize, usize, usize)) {
    let (a, b) = (buf::<Acc>(be, m * k, 1), buf::<Acc>(be, k * n, 2));
    let (p, q) = (buf::<Acc>(be, m * 16, 3), buf::<Acc>(be, 16 * n, 4));
    let host: Vec<f32> = b.to_vec();
    let w = be.weight(Frozen::new(k, n, Format::F32(&host)).unwrap()).unwrap();
    let turned = be.weight(Frozen::new(n, k, Format::F32(&host)).unwrap()).unwrap();
    let layouts = [(at(m, k), at(k, n)), (at(k, m).t(), at(k, n)), (at(m, k), at(n, k).t())];
    for (view, (at_a, at_b)) in layouts.into_iter().enumerate() {
        let mut c = buf::<Acc>(be, m * n, 5);
        let (x, y) = (Mat { buf: &a, at: at_a }, Mat { buf: &b, at: at_b });
        be.gemm::<Acc, Acc, Acc>(
            0.75,
            x,
            y,
            Store::Add,
            MatMut::<B, Acc> { buf: &mut c, at: at(m, n) },
        )
        .unwrap();
        show(&format!("product {i}, view {view}"), &c);
    }
    let mut c = buf::<Acc>(be, m * n, 6);
    let (x, y) = (Mat { buf: &a, at: at(m, k) }, Mat { buf: &b, at: at(k, n) });
    let c_t = MatMut::<B, Acc> { buf: &mut c, at: at(n, m).t() };
    be.gemm::<Acc, Acc, Acc>(1.0, x, y, Store::Replace, c_t).unwrap();
    show(&format!("product {i}, turned"), &c);
    for (w, side) in [(&w, Side::Plain), (&turned, Side::Transposed)] {
        let low = (0.5, Mat { buf: &p, at: at(m, 16) }, Mat { buf: &q, at: at(16, n) });
        let (x, to) = (Mat { buf: &a, at: at(m, k) }, MatMut { buf: &mut c, at: at(m, n) });
        be.gemm_adapted::<Acc, Acc>(x, (w, side), low, Store::Add, to).unwrap();
        show(&format!("layer {i}, {side:?}"), &c);
    }
}

fn attention(be: &mut B) {
    let heads = Heads { heads: 6, kv_heads: 3, dim: 24, scale: 0.2 };
    let (n, q_cols, kv_cols) = (193, heads.width(), heads.kv_width());
    let [q, d_o] = [1, 2].map(|salt| buf::<Act>(be, n * q_cols, salt));
    let [k, v] = [3, 4].map(|salt| buf::<Act>(be, n * kv_cols, salt));
    let host: Vec<u32> = (0..n as u32).flat_map(|i| [i.saturating_sub(150), i + 1]).collect();
    let mut spans = be.alloc::<Index>(2 * n).unwrap();
    be.write::<Index>(&mut spans, 0, &host).unwrap();
    let (of_q, of_kv) = (at(n, q_cols), at(n, kv_cols));
    let [k, v] = [&k, &v].map(|buf| Mat { buf, at: of_kv });
    let of = Attention { heads, q: Mat { buf: &q, at: of_q }, k, v, spans: &spans };
    let (mut o, mut lse) = (buf::<Act>(be, n * q_cols, 5), buf::<Acc>(be, n * 6, 6));
    be.attention(of, MatMut { buf: &mut o, at: of_q }, &mut lse).unwrap();
    show("attention", &o);
    let (mut dq, mut dots) = (buf::<Act>(be, n * q_cols, 7), buf::<Acc>(be, n * 6, 8));
    let [mut dk, mut dv] = [9, 10].map(|salt| buf::<Act>(be, n * kv_cols, salt));
    let grad = AttentionGrad {
        dq: MatMut { buf: &mut dq, at: of_q },
        dk: MatMut { buf: &mut dk, at: of_kv },
        dv: MatMut { buf: &mut dv, at: of_kv },
    };
    let [o, d_o] = [&o, &d_o].map(|buf| Mat { buf, at: of_q });
    be.attention_grad(of, o, &lse, d_o, &mut dots, grad).unwrap();
    show("attention_grad", &[&dq[..], &dk[..], &dv[..]].concat());
}

fn passes(be: &mut B) {
    let (rows, cols) = (401, 607);
    let whole = at(rows, cols);
    let [x, dy] = [1, 2].map(|salt| buf::<Act>(be, rows * cols, salt));
    let [z, g] = [buf::<Acc>(be, rows * cols, 3), buf::<Acc>(be, cols, 4)];
    let [mut y, mut u] = [5, 6].map(|salt| buf::<Act>(be, rows * cols, salt));
    let mut q = buf::<Acc>(be, cols, 7);
    let norm = Norm { kind: NormKind::Layer, eps: 1e-5 };
    let [x, dy] = [&x, &dy].map(|buf| Mat { buf, at: whole });

    be.affine(
        Mat { buf: &z, at: whole },
        Some(&g),
        None,
        Store::Add,
        MatMut { buf: &mut y, at: whole },
    )
    .unwrap();
    show("affine", &y);
    be.affine_grad(Mat { buf: &z, at: whole }, &g, MatMut { buf: &mut y, at: whole }, &mut q)
        .unwrap();
    show("affine_grad", &[&y[..], &q[..]].concat());
    be.normalize(norm, x, &g, None, MatMut { buf: &mut y, at: whole }).unwrap();
    show("normalize", &y);
    be.normalize_grad(norm, x, &g, dy, Store::Add, MatMut { buf: &mut y, at: whole }).unwrap();
    show("normalize_grad", &y);
    be.gate(Activation::Silu, x, dy, MatMut { buf: &mut u, at: whole }).unwrap();
    be.gate_grad(
        Activation::Silu,
        dy,
        MatMut { buf: &mut y, at: whole },
        MatMut { buf: &mut u, at: whole },
    )
    .unwrap();
    show("gate_grad", &[&y[..], &u[..]].concat());
    let mut labels = be.alloc::<Index>(rows).unwrap();
    let host: Vec<u32> = (0..rows as u32).collect();
    be.write::<Index>(&mut labels, 0, &host).unwrap();
    be.softmax_cross_entropy(
        0.1,
        MatMut { buf: &mut y, at: whole },
        &labels,
        Store::Replace,
        &mut q,
    )
    .unwrap();
    show("softmax_cross_entropy", &[&y[..], &q[..1]].concat());
    let step = AdamWStep { beta1: 0.9, beta2: 0.99, eps: 1e-8, decay: 0.99, rate: 0.01, root: 1.1 };
    let [mut p, mut m] = [8, 9].map(|salt| buf::<Acc>(be, rows * cols, salt));
    let mut v = be.alloc::<Acc>(rows * cols).unwrap();
    be.sum_sq(&z, Store::Replace, &mut q).unwrap();
    be.adamw(step, None, &z, &mut p, &mut m, &mut v).unwrap();
    show("adamw", &[&p[..], &m[..], &v[..], &q[..1]].concat());
}
