//! Embeddings, normalisations, rotary positions and gates.

use decora::backend::Store;
use decora::buffer::{Acc, Act, Index};
use decora::mat::Layout;
use decora::sequence::{Norm, NormKind, Sequence, Turn};

use super::{close_to, loss, slopes};
use crate::against::Make;
use crate::ops::ACTIVATIONS;
use crate::paint::painted;
use crate::reference::{normal, phi};
use crate::report::Report;
use crate::trial::{Outcome, Trial, property};

const AT: Layout = Layout::row_major(0, 5, 6);
const REPLACE: Store = Store::Replace;

/// Painted operands of the shape of all of these.
fn matrix(salt: usize) -> Vec<f64> {
    painted(salt, AT.rows, AT.cols)
}

/// The gradient of a table is that of the rows that were taken from it, some of them more than once.
#[must_use]
pub fn table_gradient<B: Sequence<Scalar = f64>>(make: Make<'_, B>) -> Report {
    property("table_gradient", make, &|t| {
        t.shape(&[AT.rows, AT.cols]);
        let numbers = [2, 0, 2, 7, 1];
        let (host, r) = (painted(1, 4, AT.cols), matrix(2));
        let of_table = Layout::row_major(0, 4, AT.cols);
        let (table, dy) = (t.put::<Acc>(&host, of_table)?, t.put::<Act>(&r, AT)?);
        let ids = t.whole::<Index>(&numbers.map(|id| id as f64))?;
        let mut y = t.put::<Act>(&matrix(3), AT)?;
        t.be.gather_rows(table.mat(), &ids.buf, REPLACE, y.mat_mut())?;
        let rows = |table: &[f64]| -> Vec<f64> {
            let row = |id: usize| table.get(id * AT.cols..(id + 1) * AT.cols);
            numbers.iter().flat_map(|&id| row(id).unwrap_or(&[0.0; AT.cols]).to_vec()).collect()
        };
        let found = t.get::<Act>(&y.buf)?;
        t.check_values::<Acc>(&"rows", &found, &close_to(&rows(&host), 0.0));
        let mut dtable = t.put::<Acc>(&host, of_table)?;
        t.be.gather_grad(dy.mat(), &ids.buf, REPLACE, dtable.mat_mut())?;
        let found = t.get::<Acc>(&dtable.buf)?;
        let expected = slopes(&host, &|table| loss(&rows(table), &r));
        t.check_values::<Acc>(&"table", &found, &close_to(&expected, 0.0));
        Ok(())
    })
}

/// The gradients of both normalisations in x, γ and β.
#[must_use]
pub fn normalize_gradient<B: Sequence<Scalar = f64>>(make: Make<'_, B>) -> Report {
    property("normalize_gradient", make, &|t| {
        t.shape(&[AT.rows, AT.cols]);
        for kind in [NormKind::Layer, NormKind::Rms] {
            [1e-5, 0.3].into_iter().try_for_each(|eps| normalized(t, Norm { kind, eps }))?;
        }
        Ok(())
    })
}

/// Y = γ⊙X̂ + β.
fn affine_of(norm: Norm, x: &[f64], gamma: &[f64], beta: &[f64]) -> Vec<f64> {
    let row = |x: &[f64]| {
        let hat = normal(norm, x).hat;
        (0..x.len()).map(|j| gamma[j] * hat[j] + beta[j]).collect::<Vec<_>>()
    };
    x.chunks(AT.cols).flat_map(row).collect()
}

fn normalized<B: Sequence<Scalar = f64>>(t: &mut Trial<B>, norm: Norm) -> Outcome<B> {
    let (x, r) = (matrix(1), matrix(2));
    let [gamma, beta] = [3, 4].map(|salt| painted(salt, AT.cols, 1));
    let (of_x, dy) = (t.put::<Act>(&x, AT)?, t.put::<Act>(&r, AT)?);
    let (of_gamma, of_beta) = (t.whole::<Acc>(&gamma)?, t.whole::<Acc>(&beta)?);
    let mut y = t.put::<Act>(&r, AT)?;
    t.be.normalize(norm, of_x.mat(), &of_gamma.buf, Some(&of_beta.buf), y.mat_mut())?;
    let found = t.get::<Act>(&y.buf)?;
    let expected = affine_of(norm, &x, &gamma, &beta);
    t.check_values::<Acc>(&(norm, "y"), &found, &close_to(&expected, 0.0));

    let (mut dx, mut dgamma) = (t.put::<Act>(&x, AT)?, t.whole::<Acc>(&gamma)?);
    t.be.normalize_grad(norm, of_x.mat(), &of_gamma.buf, dy.mat(), REPLACE, dx.mat_mut())?;
    t.be.normalize_gain_grad(norm, of_x.mat(), dy.mat(), REPLACE, &mut dgamma.buf)?;
    let mut dbeta = t.whole::<Acc>(&beta)?;
    t.be.col_sum(dy.mat(), REPLACE, &mut dbeta.buf)?;
    let found = t.get::<Act>(&dx.buf)?;
    let expected = slopes(&x, &|x| loss(&affine_of(norm, x, &gamma, &beta), &r));
    t.check_values::<Acc>(&(norm, "dx"), &found, &close_to(&expected, 0.0));
    let found = t.get::<Acc>(&dgamma.buf)?;
    let expected = slopes(&gamma, &|gamma| loss(&affine_of(norm, &x, gamma, &beta), &r));
    t.check_values::<Acc>(&(norm, "dgamma"), &found, &close_to(&expected, 0.0));
    let found = t.get::<Acc>(&dbeta.buf)?;
    let expected = slopes(&beta, &|beta| loss(&affine_of(norm, &x, &gamma, beta), &r));
    t.check_values::<Acc>(&(norm, "dbeta"), &found, &close_to(&expected, 0.0));
    Ok(())
}

/// Turning back is the gradient of turning ahead, and its inverse where the table holds angles.
#[must_use]
pub fn rotate_gradient<B: Sequence<Scalar = f64>>(make: Make<'_, B>) -> Report {
    property("rotate_gradient", make, &|t| {
        t.shape(&[AT.rows, AT.cols]);
        let angle = |e: usize| [f64::cos, f64::sin][e % 2](1.3 * (e / 2) as f64);
        let angles: Vec<f64> = (0..3 * 2).map(angle).collect();
        let places = [1, 0, 9, 2, 2];
        let table = t.put::<Acc>(&angles, Layout::row_major(0, 3, 2))?;
        let positions = t.whole::<Index>(&places.map(|p| p as f64))?;
        let turned = |x: &[f64]| -> Vec<f64> {
            let row = |(x, p): (&[f64], &usize)| {
                let (cos, sin) =
                    angles.get(2 * p).map_or((1.0, 0.0), |&cos| (cos, angles[2 * p + 1]));
                let pair = |x: &[f64]| [x[0] * cos - x[1] * sin, x[1] * cos + x[0] * sin];
                x.chunks(2).flat_map(pair).collect::<Vec<_>>()
            };
            x.chunks(AT.cols).zip(&places).flat_map(row).collect()
        };
        let (host, r) = (matrix(1), matrix(2));
        let mut x = t.put::<Act>(&host, AT)?;
        t.be.rotate(Turn::Ahead, table.mat(), &positions.buf, x.mat_mut())?;
        let found = t.get::<Act>(&x.buf)?;
        t.check_values::<Acc>(&"ahead", &found, &close_to(&turned(&host), 0.0));
        t.be.rotate(Turn::Back, table.mat(), &positions.buf, x.mat_mut())?;
        let found = t.get::<Act>(&x.buf)?;
        t.check_values::<Acc>(&"and back", &found, &close_to(&host, 0.0));
        let mut dx = t.put::<Act>(&r, AT)?;
        t.be.rotate(Turn::Back, table.mat(), &positions.buf, dx.mat_mut())?;
        let found = t.get::<Act>(&dx.buf)?;
        let expected = slopes(&host, &|x| loss(&turned(x), &r));
        t.check_values::<Acc>(&"dx", &found, &close_to(&expected, 0.0));
        Ok(())
    })
}

/// The gradients of φ(G)⊙U in G and U, for every φ.
#[must_use]
pub fn gate_gradient<B: Sequence<Scalar = f64>>(make: Make<'_, B>) -> Report {
    property("gate_gradient", make, &|t| {
        t.shape(&[AT.rows, AT.cols]);
        for f in ACTIVATIONS {
            // Off 0, where ReLU has no derivative.
            let g: Vec<f64> = matrix(1).iter().map(|x| 3.0 * x + 0.01).collect();
            let (u, r) = (matrix(2), matrix(3));
            let gated = |g: &[f64], u: &[f64]| -> Vec<f64> {
                g.iter().zip(u).map(|(&g, u)| phi::value(f, g) * u).collect()
            };
            let (mut of_g, mut of_u) = (t.put::<Act>(&g, AT)?, t.put::<Act>(&u, AT)?);
            let (mut y, dy) = (t.put::<Act>(&r, AT)?, t.put::<Act>(&r, AT)?);
            t.be.gate(f, of_g.mat(), of_u.mat(), y.mat_mut())?;
            t.be.gate_grad(f, dy.mat(), of_g.mat_mut(), of_u.mat_mut())?;
            let found = t.get::<Act>(&y.buf)?;
            t.check_values::<Acc>(&(f, "y"), &found, &close_to(&gated(&g, &u), 0.0));
            let found = t.get::<Act>(&of_g.buf)?;
            let expected = slopes(&g, &|g| loss(&gated(g, &u), &r));
            t.check_values::<Acc>(&(f, "dg"), &found, &close_to(&expected, 0.0));
            let found = t.get::<Act>(&of_u.buf)?;
            let expected = slopes(&u, &|u| loss(&gated(&g, u), &r));
            t.check_values::<Acc>(&(f, "du"), &found, &close_to(&expected, 0.0));
        }
        Ok(())
    })
}
