//! Operations on sequences in the tiles of every kind of device, against the CPU in `f64`: shapes that
//! fill no tile, heads that share keys, queries that see nothing.

mod common;

use common::gpu;
use decora::backend::{AccumOf, Backend, Elem, Store};
use decora::buffer::{Acc, Act, Buffer, Index, Role};
use decora::init::Rng;
use decora::mat::{Layout, Mat, MatMut};
use decora::scalar::{Accum, Element};
use decora::sequence::{Attention, AttentionGrad, Heads, Sequence};
use decora_cpu::Cpu;
use decora_vulkan::{DeviceKind, Limits, Settings, Vulkan};

/// An attention: which keys each query sees, heads, and columns that lie between the rows.
struct Case {
    spans: Vec<(u32, u32)>,
    keys: usize,
    heads: Heads,
    gap: usize,
}

fn upload<B: Backend>(be: &mut B, x: &[f64]) -> B::Buf<Act> {
    let narrow = |&x: &f64| Element::store(AccumOf::<B>::of(x));
    let x: Vec<B::Scalar> = x.iter().map(narrow).collect();
    let mut buf = be.alloc::<Act>(x.len()).expect("a buffer");
    be.write::<Act>(&mut buf, 0, &x).expect("written");
    buf
}

fn indices<B: Backend>(be: &mut B, x: &[u32]) -> B::Buf<Index> {
    let mut buf = be.alloc::<Index>(x.len()).expect("a buffer");
    be.write::<Index>(&mut buf, 0, x).expect("written");
    buf
}

fn download<B: Backend, R: Role>(be: &mut B, buf: &B::Buf<R>) -> Vec<f64>
where
    Elem<B, R>: Element,
{
    let mut x = vec![Elem::<B, R>::default(); buf.len()];
    be.read::<R>(buf, 0, &mut x).expect("read");
    x.iter().map(|x| x.load::<f64>()).collect()
}

/// Numbers that f32 holds.
fn draw(rng: &mut Rng, len: usize) -> Vec<f64> {
    (0..len).map(|_| f64::from(rng.within(1.5) as f32)).collect()
}

/// O, lse, dQ, dK and dV.
fn attend<B: Sequence>(be: &mut B, case: &Case) -> Vec<Vec<f64>> {
    let Case { heads, keys, gap, .. } = *case;
    let (n, mut rng) = (case.spans.len(), Rng::new(11));
    let queries = Layout { rs: heads.width() + gap, ..Layout::row_major(1, n, heads.width()) };
    let others =
        Layout { rs: heads.kv_width() + gap, ..Layout::row_major(1, keys, heads.kv_width()) };
    let (wide, narrow) = (n * queries.rs + 1, keys * others.rs + 1);
    let mut operand = |len| upload(be, &draw(&mut rng, len));
    let (q, k, v, d_o) = (operand(wide), operand(narrow), operand(narrow), operand(wide));
    let [mut o, mut dq] = [wide; 2].map(|len| upload(be, &vec![0.5; len]));
    let [mut dk, mut dv] = [narrow; 2].map(|len| upload(be, &vec![0.5; len]));
    let spans: Vec<u32> = case.spans.iter().flat_map(|&(start, end)| [start, end]).collect();
    let spans = indices(be, &spans);
    let [mut lse, mut dots] = [(); 2].map(|()| be.alloc::<Acc>(n * heads.heads).expect("a buffer"));
    let at = |buf, layout| Mat::with(buf, layout).expect("within the buffer");
    let of = Attention {
        heads,
        q: at(&q, queries),
        k: at(&k, others),
        v: at(&v, others),
        spans: &spans,
    };
    be.attention(of, MatMut::with(&mut o, queries).expect("O"), &mut lse).expect("forward");
    let grad = AttentionGrad {
        dq: MatMut::with(&mut dq, queries).expect("dQ"),
        dk: MatMut::with(&mut dk, others).expect("dK"),
        dv: MatMut::with(&mut dv, others).expect("dV"),
    };
    be.attention_grad(of, at(&o, queries), &lse, at(&d_o, queries), &mut dots, grad)
        .expect("backward");
    let lse = download::<B, Acc>(be, &lse);
    [o, dq, dk, dv].iter().map(|buf| download::<B, Act>(be, buf)).chain([lse]).collect()
}

const NAMES: [&str; 5] = ["O", "dQ", "dK", "dV", "lse"];

fn case(
    spans: Vec<(u32, u32)>,
    keys: usize,
    (heads, kv_heads, dim): (usize, usize, usize),
) -> Case {
    let scale = 1.0 / (dim.max(1) as f64).sqrt();
    Case { spans, keys, heads: Heads { heads, kv_heads, dim, scale }, gap: 3 }
}

/// Each query sees all keys up to its own, and at most `window` of them.
fn causal(n: u32, window: u32) -> Vec<(u32, u32)> {
    (0..n).map(|t| ((t + 1).saturating_sub(window), t + 1)).collect()
}

/// Sequences of these lengths one after the other, each of which sees itself alone.
fn packed(lengths: &[u32]) -> Vec<(u32, u32)> {
    let ends = lengths.iter().scan(0, |end, len| {
        *end += len;
        Some((*end - len, *end))
    });
    ends.zip(lengths).flat_map(|(span, &len)| (0..len).map(move |_| span)).collect()
}

fn cases() -> Vec<Case> {
    let nothing = vec![(0, 0), (0, 0), (2, 2), (2, 70), (40, 90), (90, 90), (95, u32::MAX)];
    vec![
        case(vec![(0, 1)], 1, (1, 1, 1)),
        case(causal(70, 70), 70, (2, 1, 17)),
        case(causal(130, 33), 130, (64, 2, 8)),
        case(packed(&[1, 5, 64, 3, 90]), 163, (6, 3, 24)),
        case(nothing, 100, (4, 4, 64)),
        case(vec![(3, 150); 5], 150, (2, 2, 136)),
        case(causal(40, 40), 40, (1, 1, 300)),
        case(vec![(0, 9); 3], 0, (1, 1, 4)),
        case(vec![], 7, (2, 1, 4)),
        case(vec![(0, 5); 3], 5, (0, 1, 4)),
        case(vec![(1, 5); 3], 5, (2, 1, 0)),
    ]
}

/// Rounding in f32, as a share of the largest: of sums of some hundred terms, none above the largest result
/// by much; and of a quarter of a million, where one part of them left out would be a hundredth or more.
const SHORT: f64 = 2e-6;
const LONG: f64 = 1e-4;

fn compare(found: &[Vec<f64>], expected: &[Vec<f64>], bound: f64, what: &str) {
    for ((found, expected), name) in found.iter().zip(expected).zip(NAMES) {
        assert_eq!(found.len(), expected.len(), "{what}: {name}");
        let largest = expected.iter().fold(1.0, |most: f64, x| most.max(x.abs()));
        for (i, (x, y)) in found.iter().zip(expected).enumerate() {
            let apart = (x - y).abs();
            assert!(apart <= bound * largest, "{what}: {name} at {i}: {x}, not {y}");
        }
    }
}

/// Twice, to the bit.
#[test]
fn attention_is_right_in_the_tiles_of_each_kind_of_device() {
    for kind in [DeviceKind::Cpu, DeviceKind::Integrated, DeviceKind::Discrete] {
        let mut limits = Limits::default();
        limits.kind = Some(kind);
        let Some(gpu) = gpu(Settings::default().within(limits)) else { return };
        for case in cases() {
            let mut be = Vulkan::<f32>::new(&gpu).expect("a backend");
            let Case { heads, keys, ref spans, .. } = case;
            let what = format!("{kind:?}, {} queries, {keys} keys, {heads:?}", spans.len());
            let found = attend(&mut be, &case);
            compare(&found, &attend(&mut Cpu::<f64>::heap(), &case), SHORT, &what);
            assert_eq!(found, attend(&mut be, &case), "{what}: once more");
        }
    }
}

#[test]
fn a_large_attention_is_several_submissions_with_the_same_bits() {
    let mut limits = Limits::default();
    limits.work = Some(300_000);
    let (Some(whole), Some(parts)) =
        (gpu(Settings::default()), gpu(Settings::default().within(limits)))
    else {
        return;
    };
    let case = case(causal(120, 120), 120, (4, 2, 16));
    let [expected, found] = [&whole, &parts].map(|gpu| {
        let mut be = Vulkan::<f32>::new(gpu).expect("a backend");
        attend(&mut be, &case)
    });
    assert_eq!(found, expected);
    assert!(parts.submissions() > whole.submissions() + 10, "{}", parts.submissions());
}

/// One query over 70,001 keys, and as many queries over three keys: more than the loops of an invocation
/// can go through on some drivers. Then short ones, all in many parts. Twice, to the bit.
#[test]
fn what_one_workgroup_cannot_go_through_is_dealt_out() {
    const MANY: usize = 70_001;
    let (one, all) = ((0, MANY as u32), (0, 3));
    let long = [case(vec![one], MANY, (3, 1, 8)), case(vec![all; MANY], 3, (4, 1, 8))];
    let whole = Limits::default();
    let mut small = whole;
    small.steps = Some(5000);
    for (limits, cases, bound) in [(whole, Vec::from(long), LONG), (small, cases(), SHORT)] {
        let Some(gpu) = gpu(Settings::default().within(limits)) else { return };
        let mut be = Vulkan::<f32>::new(&gpu).expect("a backend");
        for case in cases {
            let Case { heads, keys, ref spans, .. } = case;
            let what = format!("{} queries, {keys} keys, {heads:?}", spans.len());
            let found = attend(&mut be, &case);
            compare(&found, &attend(&mut Cpu::<f64>::heap(), &case), bound, &what);
            assert_eq!(found, attend(&mut be, &case), "{what}: once more");
        }
    }
}

/// The gradient of a table of 300 rows from 700 rows, most of which have an id in common with others.
fn gradient<B: Sequence>(be: &mut B, store: Store) -> Vec<f64> {
    let (n, cols, rows, mut rng) = (700, 5, 300, Rng::new(3));
    let drawn = |t: usize| if t.is_multiple_of(3) { 7 } else { rng.below(rows + 2) as u32 };
    let ids: Vec<u32> = (0..n).map(drawn).collect();
    let (dy, ids) = (upload(be, &draw(&mut Rng::new(4), n * cols)), indices(be, &ids));
    let mut table = be.alloc::<Acc>(rows * cols).expect("a buffer");
    let ones = vec![AccumOf::<B>::of(1.0); rows * cols];
    be.write::<Acc>(&mut table, 0, &ones).expect("written");
    let to = MatMut::new(&mut table, rows, cols).expect("the whole table");
    be.gather_grad(Mat::new(&dy, n, cols).expect("dY"), &ids, store, to).expect("the gradient");
    download::<B, Acc>(be, &table)
}

/// In the order of the rows: to the bit what the CPU sums up in the same type.
#[test]
fn gradients_of_tables_are_summed_in_order() {
    let Some(gpu) = gpu(Settings::default()) else { return };
    for store in [Store::Replace, Store::Add] {
        let found = gradient(&mut Vulkan::<f32>::new(&gpu).expect("a backend"), store);
        assert_eq!(found, gradient(&mut Cpu::<f32>::heap(), store), "{store:?}");
    }
}
