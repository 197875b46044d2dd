//! Y = φ(G)⊙U, and its gradient in place.

use decora::backend::Store;
use decora::buffer::Act;
use decora::mat::Layout;
use decora::network::Activation;
use decora::sequence::Sequence;

use super::{ACTIVATIONS, SHAPES};
use crate::against::Make;
use crate::expected::Expected;
use crate::paint::View;
use crate::reference::phi;
use crate::report::Report;
use crate::trial::{Outcome, Trial, property};

/// G far from 0 and near it: eˣ of the largest is infinite.
const FAR: [f64; 10] = [-3000.0, -100.0, -20.0, -6.0, -1e-3, 0.0, 1e-3, 6.0, 100.0, 3000.0];

type Shape = (usize, usize);

/// What does not fit G `(3, 4)`: name, shape and view of U, shape of Y.
const MISFITS: [(&str, Shape, View, Shape); 4] = [
    ("U of another shape", (4, 3), View::Tight, (3, 4)),
    ("U of another width", (3, 5), View::Tight, (3, 4)),
    ("Y of another shape", (3, 4), View::Tight, (2, 4)),
    ("columns that are not adjacent", (3, 4), View::Turned, (3, 4)),
];

/// Y = φ(G)⊙U for every φ.
#[must_use]
pub fn gate<B: Sequence>(make: Make<'_, B>) -> Report {
    property("gate", make, &|t| {
        for f in ACTIVATIONS {
            for (i, shape) in SHAPES.into_iter().enumerate() {
                let views = [i, i / 2, i / 4].map(|i| View::ROWS[i % 2]);
                forward(t, f, shape, views)?;
            }
            far(t, f)?;
        }
        let g = t.input::<Act>((3, 4), View::Tight, 1)?;
        for (what, of_u, view, of_y) in MISFITS {
            let u = t.input::<Act>(of_u, view, 2)?;
            let mut y = t.output::<Act>(of_y, View::Tight, Store::Add, 3)?;
            let outcome = t.be.gate(Activation::Silu, g.mat(), u.mat(), y.mat_mut());
            t.refused(what, outcome, &y)?;
        }
        Ok(())
    })
}

/// φ(g)·u.
fn product(f: Activation, g: f64, u: f64) -> Expected {
    let size = if f == Activation::Relu { g.abs() } else { g.abs().max(1.0) };
    Expected::within(phi::value(f, g) * u, size * u.abs())
}

fn forward<B: Sequence>(
    t: &mut Trial<B>,
    f: Activation,
    shape: (usize, usize),
    [of_g, of_u, of_y]: [View; 3],
) -> Outcome<B> {
    t.shape(&[shape.0, shape.1]);
    let (g, u) = (t.input::<Act>(shape, of_g, 1)?, t.input::<Act>(shape, of_u, 2)?);
    let mut y = t.output::<Act>(shape, of_y, Store::Replace, 0)?;
    t.be.gate(f, g.mat(), u.mat(), y.mat_mut())?;
    t.check(&(f, shape, [of_g, of_u, of_y]), &y, &|i, j| product(f, g.value(i, j), u.value(i, j)))
}

fn far<B: Sequence>(t: &mut Trial<B>, f: Activation) -> Outcome<B> {
    let at = Layout::row_major(0, 2, 5);
    t.shape(&[2, 5]);
    let (g, u) = (t.put::<Act>(&FAR, at)?, t.input::<Act>((2, 5), View::Tight, 2)?);
    let mut y = t.output::<Act>((2, 5), View::Tight, Store::Replace, 0)?;
    t.be.gate(f, g.mat(), u.mat(), y.mat_mut())?;
    t.check(&(f, "far from 0, and near"), &y, &|i, j| product(f, g.value(i, j), u.value(i, j)))
}

/// G becomes dY⊙U⊙φ'(G), U becomes dY⊙φ(G), φ' of its input for every φ.
#[must_use]
pub fn gate_grad<B: Sequence>(make: Make<'_, B>) -> Report {
    property("gate_grad", make, &|t| {
        for f in ACTIVATIONS {
            for (i, shape) in SHAPES.into_iter().enumerate() {
                let views = [i, i / 2, i / 4].map(|i| View::ROWS[i % 2]);
                backward(t, f, shape, views, None)?;
            }
            backward(t, f, (2, 5), [View::Gaps; 3], Some(&FAR))?;
        }
        let dy = t.input::<Act>((3, 4), View::Tight, 1)?;
        for (what, of_u, view, of_g) in MISFITS {
            let mut u = t.output::<Act>(of_u, view, Store::Add, 2)?;
            let mut g = t.output::<Act>(of_g, View::Tight, Store::Add, 3)?;
            let outcome = t.be.gate_grad(Activation::Silu, dy.mat(), g.mat_mut(), u.mat_mut());
            t.refused(what, outcome, &g)?;
            t.untouched(what, &u)?;
        }
        Ok(())
    })
}

/// φ'(g), given g itself.
fn slope(f: Activation, g: f64) -> f64 {
    phi::slope_of_kept(f, if f.keeps_output() { phi::value(f, g) } else { g })
}

fn backward<B: Sequence>(
    t: &mut Trial<B>,
    f: Activation,
    (n, cols): (usize, usize),
    [of_dy, of_g, of_u]: [View; 3],
    gates: Option<&[f64]>,
) -> Outcome<B> {
    t.shape(&[n, cols]);
    let dy = t.input::<Act>((n, cols), of_dy, 1)?;
    let mut g = t.output::<Act>((n, cols), of_g, Store::Add, 2)?;
    if let Some(gates) = gates {
        let mut host = g.host.clone();
        for (e, &gate) in gates.iter().enumerate() {
            host[g.at.offset + e / cols * g.at.rs + e % cols] = gate;
        }
        g = t.put::<Act>(&host, g.at)?;
    }
    let mut u = t.output::<Act>((n, cols), of_u, Store::Add, 3)?;
    t.be.gate_grad(f, dy.mat(), g.mat_mut(), u.mat_mut())?;
    let case = (f, (n, cols), [of_dy, of_g, of_u]);
    let at = |i, j| (dy.value(i, j), g.value(i, j), u.value(i, j));
    t.check(&("dG", case), &g, &|i, j| {
        let (dy, g, u) = at(i, j);
        Expected::within(dy * u * slope(f, g), (dy * u).abs() * g.abs().max(1.0))
    })?;
    t.check(&("dU", case), &u, &|i, j| {
        let (dy, g, _) = at(i, j);
        product(f, g, dy)
    })
}
