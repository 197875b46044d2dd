//! Activations and losses, against PyTorch's.

use decora::backend::{Backend, Store};
use decora::buffer::{Acc, Act, Index};
use decora::mat::{Mat, MatMut};
use decora::network::{Activation, IGNORED, Network};
use decora_cpu::Cpu;

use crate::close;
use crate::file::Golden;

/// `f64` rounding of a value, a few operations deep.
const BOUND: f64 = 1e-14;

fn upload(be: &mut Cpu<'static, f64>, x: &[f64]) -> <Cpu<'static, f64> as Backend>::Buf<Act> {
    let mut buf = be.alloc::<Act>(x.len()).unwrap();
    be.write::<Act>(&mut buf, 0, x).unwrap();
    buf
}

#[test]
fn activations_and_their_slopes() {
    let golden = Golden::open("functions.safetensors");
    let x = golden.get("x");
    let all = [
        (Activation::Gelu, "gelu"),
        (Activation::Relu, "relu"),
        (Activation::Silu, "silu"),
        (Activation::Tanh, "tanh"),
    ];
    for (f, name) in all {
        let mut be = Cpu::<f64>::heap();
        let mut y = upload(&mut be, &x);
        be.activate(f, MatMut::new(&mut y, 1, x.len()).unwrap()).unwrap();
        close(name, &y, &golden.get(&format!("{name}/y")), BOUND);
        let kept = if f.keeps_output() { y } else { upload(&mut be, &x) };
        let mut dy = upload(&mut be, &vec![1.0; x.len()]);
        let kept = Mat::new(&kept, 1, x.len()).unwrap();
        be.activate_grad(f, kept, MatMut::new(&mut dy, 1, x.len()).unwrap()).unwrap();
        close(name, &dy, &golden.get(&format!("{name}/dydx")), BOUND);
    }
}

#[test]
fn cross_entropy_with_an_ignored_label() {
    let golden = Golden::open("functions.safetensors");
    let get = |key: &str| golden.get(&format!("cross_entropy/{key}"));
    let labels: Vec<u32> =
        get("labels").iter().map(|&l| if l < 0.0 { IGNORED } else { l as u32 }).collect();
    assert!(labels.contains(&IGNORED));
    let mut be = Cpu::<f64>::heap();
    let mut x = upload(&mut be, &get("logits"));
    let (rows, counted) = (labels.len(), labels.iter().filter(|&&l| l != IGNORED).count());
    let (mut index, mut loss) = (be.alloc::<Index>(rows).unwrap(), be.alloc::<Acc>(1).unwrap());
    be.write::<Index>(&mut index, 0, &labels).unwrap();
    let cols = x.len() / rows;
    let logits = MatMut::new(&mut x, rows, cols).unwrap();
    let scale = 1.0 / counted as f64;
    be.softmax_cross_entropy(scale, logits, &index, Store::Replace, &mut loss).unwrap();
    close("loss", &loss, &get("loss_mean"), BOUND);
    close("dlogits", &x, &get("dlogits"), BOUND);
}

#[test]
fn squared_error() {
    let golden = Golden::open("functions.safetensors");
    let get = |key: &str| golden.get(&format!("mse/{key}"));
    let mut be = Cpu::<f64>::heap();
    let (mut y, target) = (upload(&mut be, &get("y")), upload(&mut be, &get("target")));
    let mut loss = be.alloc::<Acc>(1).unwrap();
    let (rows, cols, scale) = (5, y.len() / 5, 1.0 / y.len() as f64);
    let target = Mat::new(&target, rows, cols).unwrap();
    let x = MatMut::new(&mut y, rows, cols).unwrap();
    be.squared_error(scale, x, target, Store::Replace, &mut loss).unwrap();
    close("loss", &loss, &get("loss"), BOUND);
    close("dy", &y, &get("dy"), BOUND);
}
