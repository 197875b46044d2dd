//! Y = φ(Y), and dY = dY⊙φ'.

use decora::backend::Store;
use decora::buffer::Act;
use decora::network::{Activation, Network};

use super::SHAPES;
use crate::against::Make;
use crate::expected::Expected;
use crate::paint::{View, paint};
use crate::reference::phi;
use crate::report::Report;
use crate::trial::{Outcome, Trial, property};

/// Every φ of the contract.
pub(crate) const ACTIVATIONS: [Activation; 5] =
    [Activation::Gelu, Activation::GeluTanh, Activation::Relu, Activation::Silu, Activation::Tanh];

/// Y = φ(Y), also for x so large that eˣ is infinite.
#[must_use]
pub fn activate<B: Network>(make: Make<'_, B>) -> Report {
    property("activate", make, &|t| {
        for f in ACTIVATIONS {
            for (i, shape) in SHAPES.into_iter().enumerate() {
                forward(t, f, shape, View::ROWS[i % 2])?;
            }
            far(t, f)?;
        }
        Ok(())
    })
}

/// φ(x), out of numbers of the size of max(|x|, 1) where there is more to it than a choice.
fn value(f: Activation, x: f64) -> Expected {
    match f {
        Activation::Relu => Expected::exactly(phi::value(f, x)),
        _ => Expected::within(phi::value(f, x), x.abs().max(1.0)),
    }
}

fn forward<B: Network>(
    t: &mut Trial<B>,
    f: Activation,
    shape: (usize, usize),
    view: View,
) -> Outcome<B> {
    t.shape(&[shape.0, shape.1]);
    let mut y = t.output::<Act>(shape, view, Store::Add, 1)?;
    t.be.activate(f, y.mat_mut())?;
    t.check(&(f, shape, view), &y, &|i, j| value(f, y.value(i, j)))
}

fn far<B: Network>(t: &mut Trial<B>, f: Activation) -> Outcome<B> {
    let (at, _) = View::Tight.layout(2, 9);
    t.shape(&[2, 9]);
    let x = [-1000.0, -100.0, -20.0, -6.0, -2.0, -1e-3, -0.0, 0.0, 1e-3];
    let all: Vec<f64> = x.into_iter().chain(x.map(|x| -3.0 * x)).collect();
    let mut y = t.put::<Act>(&all, at)?;
    t.be.activate(f, y.mat_mut())?;
    t.check(&(f, "far from 0, and near"), &y, &|i, j| value(f, y.value(i, j)))
}

/// dY = dY⊙φ', from what forward kept: its output for ReLU and tanh, else its input.
#[must_use]
pub fn activate_grad<B: Network>(make: Make<'_, B>) -> Report {
    property("activate_grad", make, &|t| {
        for f in ACTIVATIONS {
            for (i, shape) in SHAPES.into_iter().enumerate() {
                let views = [View::ROWS[i % 2], View::ROWS[i / 2 % 2]];
                backward(t, f, shape, views)?;
            }
        }
        let kept = t.input::<Act>((3, 4), View::Tight, 1)?;
        for shape in [(4, 3), (3, 5), (2, 4)] {
            let mut dy = t.output::<Act>(shape, View::Tight, Store::Add, 2)?;
            let outcome = t.be.activate_grad(Activation::Relu, kept.mat(), dy.mat_mut());
            t.refused("dY of another shape", outcome, &dy)?;
        }
        Ok(())
    })
}

fn backward<B: Network>(
    t: &mut Trial<B>,
    f: Activation,
    (n, cols): (usize, usize),
    [of_kept, of_dy]: [View; 2],
) -> Outcome<B> {
    t.shape(&[n, cols]);
    let x = |i, j| 4.0 * paint(1, i, j);
    let keep = |i, j| if f.keeps_output() { phi::value(f, x(i, j)) } else { x(i, j) };
    let (at, len) = of_kept.layout(n, cols);
    let mut host = vec![f64::NAN; len];
    for (i, j) in (0..n).flat_map(|i| (0..cols).map(move |j| (i, j))) {
        host[at.offset + i * at.rs + j] = keep(i, j);
    }
    let kept = t.put::<Act>(&host, at)?;
    let mut dy = t.output::<Act>((n, cols), of_dy, Store::Add, 2)?;
    t.be.activate_grad(f, kept.mat(), dy.mat_mut())?;
    t.check(&(f, (n, cols), [of_kept, of_dy]), &dy, &|i, j| {
        let (dy, kept) = (dy.value(i, j), kept.value(i, j));
        let size = dy.abs() * kept.abs().max(1.0);
        Expected::within(dy * phi::slope_of_kept(f, kept), size)
    })
}
