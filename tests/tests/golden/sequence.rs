//! Functions that sequence models are built of, against PyTorch's, in `f64` and in `f32`.

use decora::backend::{Backend, Store};
use decora::buffer::{Acc, Act, Index, Role};
use decora::mat::{Mat, MatMut};
use decora::network::{Activation, Network};
use decora::scalar::{Element, Scalar};
use decora::sequence::{Attention, AttentionGrad, Heads, Norm, NormKind, Sequence, Turn};
use decora_cpu::Cpu;

use crate::close;
use crate::file::Golden;

type Buf<T, R> = <Cpu<'static, T> as Backend>::Buf<R>;

/// One case of the file, on a device.
struct Case<T: Scalar> {
    be: Cpu<'static, T>,
    golden: Golden,
    name: &'static str,
}

impl<T: Scalar> Case<T> {
    fn new(name: &'static str) -> Self {
        Self { be: Cpu::heap(), golden: Golden::open("sequence.safetensors"), name }
    }

    fn key(&self, name: &str) -> String {
        format!("{}/{name}", self.name)
    }

    fn get(&self, name: &str) -> Vec<f64> {
        self.golden.get(&self.key(name))
    }

    fn shape(&self, name: &str) -> Vec<usize> {
        self.golden.shape(&self.key(name))
    }

    fn put<R: Role>(&mut self, x: &[f64]) -> Buf<T, R> {
        let mut buf = self.be.alloc::<R>(x.len()).unwrap();
        let elements: Vec<_> = x.iter().map(|&x| Element::store(x)).collect();
        self.be.write::<R>(&mut buf, 0, &elements).unwrap();
        buf
    }

    fn load<R: Role>(&mut self, name: &str) -> Buf<T, R> {
        self.put::<R>(&self.get(name))
    }

    /// 1e-12 in `f64`. In `f32` as close as PyTorch's own f32 is, four times over, and a rounding.
    #[track_caller]
    fn close<E: Element>(&self, name: &str, found: &[E], expected: &[f64]) {
        let torch = self.get("f32")[0];
        let bound = if T::EPSILON < 1e-12 { 1e-12 } else { 4.0 * torch + T::EPSILON };
        close(&format!("{} {} in {}", self.name, name, T::NAME), found, expected, bound);
    }

    #[track_caller]
    fn agrees<E: Element>(&self, name: &str, found: &[E]) {
        self.close(name, found, &self.get(name));
    }
}

const REPLACE: Store = Store::Replace;

fn norm<T: Scalar>(name: &'static str, kind: NormKind) {
    let mut case = Case::<T>::new(name);
    let (rows, cols, eps) = (7, 10, case.get("eps")[0]);
    let norm = Norm { kind, eps };
    let (x, dy) = (case.load::<Act>("x"), case.load::<Act>("dy"));
    let gamma = case.load::<Acc>("weight");
    let beta = (kind == NormKind::Layer).then(|| case.load::<Acc>("bias"));
    let [mut y, mut dx] = [(); 2].map(|()| case.put::<Act>(&[f64::NAN; 70]));
    let [mut dgamma, mut dbeta] = [(); 2].map(|()| case.put::<Acc>(&[f64::NAN; 10]));
    let (x, dy) = (Mat::new(&x, rows, cols).unwrap(), Mat::new(&dy, rows, cols).unwrap());
    let to = MatMut::new(&mut y, rows, cols).unwrap();
    case.be.normalize(norm, x, &gamma, beta.as_ref(), to).unwrap();
    let to = MatMut::new(&mut dx, rows, cols).unwrap();
    case.be.normalize_grad(norm, x, &gamma, dy, REPLACE, to).unwrap();
    case.be.normalize_gain_grad(norm, x, dy, REPLACE, &mut dgamma).unwrap();
    case.be.col_sum(dy, REPLACE, &mut dbeta).unwrap();
    case.agrees("y", &y);
    case.agrees("dx", &dx);
    case.agrees("dweight", &dgamma);
    if beta.is_some() {
        case.agrees("dbias", &dbeta);
    }
}

#[test]
fn norms() {
    norm::<f64>("rms_norm", NormKind::Rms);
    norm::<f32>("rms_norm", NormKind::Rms);
    norm::<f64>("layer_norm", NormKind::Layer);
    norm::<f32>("layer_norm", NormKind::Layer);
}

/// Heads, tokens, width as rows of tokens, or back again.
fn swap(x: &[f64], [outer, inner, width]: [usize; 3]) -> Vec<f64> {
    let row = |i: usize, j: usize| &x[(j * inner + i) * width..][..width];
    (0..inner).flat_map(|i| (0..outer).flat_map(move |j| row(i, j))).copied().collect()
}

fn rotary<T: Scalar>() {
    let mut case = Case::<T>::new("rotary");
    let (heads, rows, dim) = (3, 5, 8);
    let (base, positions) = (case.get("base")[0], case.load::<Index>("positions"));
    let angle = |e: usize| (e / dim) as f64 * base.powf(-((e % 4) as f64) / 4.0);
    let entry = |e| if e % dim < 4 { f64::cos(angle(e)) } else { f64::sin(angle(e)) };
    let table = case.put::<Acc>(&(0..41 * dim).map(entry).collect::<Vec<_>>());
    for (given, turn, result) in [("x", Turn::Ahead, "y"), ("dy", Turn::Back, "dx")] {
        let mut x = case.put::<Act>(&swap(&case.get(given), [heads, rows, dim]));
        let table = Mat::new(&table, 41, dim).unwrap();
        let of_x = MatMut::new(&mut x, rows, heads * dim).unwrap();
        case.be.rotate(turn, table, &positions, of_x).unwrap();
        case.close(result, &x, &swap(&case.get(result), [heads, rows, dim]));
    }
}

#[test]
fn rotary_positions() {
    rotary::<f64>();
    rotary::<f32>();
}

fn swiglu<T: Scalar>() {
    let mut case = Case::<T>::new("swiglu");
    let [mut gate, mut up] = ["gate", "up"].map(|name| case.load::<Act>(name));
    let (dy, mut y) = (case.load::<Act>("dy"), case.put::<Act>(&[f64::NAN; 54]));
    let (f, to) = (Activation::Silu, MatMut::new(&mut y, 6, 9).unwrap());
    let (g, u) = (Mat::new(&gate, 6, 9).unwrap(), Mat::new(&up, 6, 9).unwrap());
    case.be.gate(f, g, u, to).unwrap();
    let (g, u) = (MatMut::new(&mut gate, 6, 9).unwrap(), MatMut::new(&mut up, 6, 9).unwrap());
    case.be.gate_grad(f, Mat::new(&dy, 6, 9).unwrap(), g, u).unwrap();
    case.agrees("y", &y);
    case.agrees("dgate", &gate);
    case.agrees("dup", &up);
}

fn gelu<T: Scalar>(name: &'static str, f: Activation) {
    let mut case = Case::<T>::new(name);
    let (x, mut y, mut dy) = (case.load::<Act>("x"), case.load::<Act>("x"), case.load::<Act>("dy"));
    case.be.activate(f, MatMut::new(&mut y, 6, 9).unwrap()).unwrap();
    let kept = Mat::new(&x, 6, 9).unwrap();
    case.be.activate_grad(f, kept, MatMut::new(&mut dy, 6, 9).unwrap()).unwrap();
    case.agrees("y", &y);
    case.agrees("dx", &dy);
}

#[test]
fn gates_and_activations() {
    swiglu::<f64>();
    swiglu::<f32>();
    for (name, f) in [("gelu", Activation::Gelu), ("gelu_tanh", Activation::GeluTanh)] {
        gelu::<f64>(name, f);
        gelu::<f32>(name, f);
    }
}

fn embedding<T: Scalar>() {
    let mut case = Case::<T>::new("embedding");
    let (ids, weight) = (case.load::<Index>("ids"), case.load::<Acc>("weight"));
    let (dy, mut y) = (case.load::<Act>("dy"), case.put::<Act>(&[f64::NAN; 54]));
    let mut dweight = case.put::<Acc>(&[f64::NAN; 66]);
    let to = MatMut::new(&mut y, 9, 6).unwrap();
    case.be.gather_rows(Mat::new(&weight, 11, 6).unwrap(), &ids, REPLACE, to).unwrap();
    let to = MatMut::new(&mut dweight, 11, 6).unwrap();
    case.be.gather_grad(Mat::new(&dy, 9, 6).unwrap(), &ids, REPLACE, to).unwrap();
    case.agrees("y", &y);
    case.agrees("dweight", &dweight);
}

#[test]
fn embeddings() {
    embedding::<f64>();
    embedding::<f32>();
}

/// Rows of queries by their spans, which may not step back.
fn ordered(spans: &[(f64, f64)]) -> Vec<usize> {
    let mut order: Vec<_> = (0..spans.len()).collect();
    order.sort_by(|&a, &b| spans[a].partial_cmp(&spans[b]).unwrap());
    order
}

/// Rows of tokens in this order.
fn arrange(x: &[f64], order: &[usize]) -> Vec<f64> {
    let width = x.len() / order.len();
    order.iter().flat_map(|&t| &x[t * width..][..width]).copied().collect()
}

fn attention<T: Scalar>(name: &'static str) {
    let mut case = Case::<T>::new(name);
    let (of_q, of_k) = (case.shape("q"), case.shape("k"));
    let [heads, n, dim] = of_q[..] else { panic!("q {of_q:?}") };
    let [kv_heads, keys, _] = of_k[..] else { panic!("k {of_k:?}") };
    let spans: Vec<_> = case.get("start").into_iter().zip(case.get("end")).collect();
    let order = ordered(&spans);
    let of_queries =
        |case: &Case<T>, name: &str| arrange(&swap(&case.get(name), [heads, n, dim]), &order);
    let of_keys = |case: &Case<T>, name: &str| swap(&case.get(name), [kv_heads, keys, dim]);
    let flat: Vec<_> = order.iter().flat_map(|&t| [spans[t].0, spans[t].1]).collect();
    let (q, d_o) = (case.put::<Act>(&of_queries(&case, "q")), of_queries(&case, "dy"));
    let [k, v] = ["k", "v"].map(|name| case.put::<Act>(&of_keys(&case, name)));
    let (d_o, spans) = (case.put::<Act>(&d_o), case.put::<Index>(&flat));
    let [mut o, mut dq] = [(); 2].map(|()| case.put::<Act>(&vec![f64::NAN; q.len()]));
    let [mut dk, mut dv] = [(); 2].map(|()| case.put::<Act>(&vec![f64::NAN; k.len()]));
    let [mut lse, mut dots] = [(); 2].map(|()| case.put::<Acc>(&vec![f64::NAN; n * heads]));

    let (width, kv_width) = (heads * dim, kv_heads * dim);
    let heads = Heads { heads, kv_heads, dim, scale: case.get("scale")[0] };
    let (k, v) = (Mat::new(&k, keys, kv_width).unwrap(), Mat::new(&v, keys, kv_width).unwrap());
    let of = Attention { heads, q: Mat::new(&q, n, width).unwrap(), k, v, spans: &spans };
    case.be.attention(of, MatMut::new(&mut o, n, width).unwrap(), &mut lse).unwrap();
    let grad = AttentionGrad {
        dq: MatMut::new(&mut dq, n, width).unwrap(),
        dk: MatMut::new(&mut dk, keys, kv_width).unwrap(),
        dv: MatMut::new(&mut dv, keys, kv_width).unwrap(),
    };
    let (given, d_o) = (Mat::new(&o, n, width).unwrap(), Mat::new(&d_o, n, width).unwrap());
    case.be.attention_grad(of, given, &lse, d_o, &mut dots, grad).unwrap();
    case.close("y", &o, &of_queries(&case, "y"));
    case.close("dq", &dq, &of_queries(&case, "dq"));
    case.close("dk", &dk, &of_keys(&case, "dk"));
    case.close("dv", &dv, &of_keys(&case, "dv"));
}

#[test]
fn attention_over_spans() {
    for name in [
        "attention_full",
        "attention_causal",
        "attention_sliding",
        "attention_padded",
        "attention_left",
        "attention_scaled",
        "attention_one",
        "attention_cached",
        "attention_empty",
    ] {
        attention::<f64>(name);
        attention::<f32>(name);
    }
}
