//! Activations and losses.

use decora::backend::{AccumOf, Store};
use decora::buffer::{Acc, Act, Index};
use decora::mat::Layout;
use decora::network::Network;
use decora::scalar::Accum;

use super::{close_to, slopes};
use crate::against::Make;
use crate::ops::ACTIVATIONS;
use crate::paint::painted;
use crate::reference::{cross_entropy, phi};
use crate::report::Report;
use crate::trial::property;

const AT: Layout = Layout::row_major(0, 5, 7);

/// φ' is the derivative of φ, each as the device computes them.
#[must_use]
pub fn activation_gradient<B: Network<Scalar = f64>>(make: Make<'_, B>) -> Report {
    property("activation_gradient", make, &|t| {
        t.shape(&[AT.rows, AT.cols]);
        for f in ACTIVATIONS {
            // Off 0, where ReLU has no derivative.
            let x = painted(1, AT.rows, AT.cols).iter().map(|x| 3.0 * x + 0.01).collect::<Vec<_>>();
            let mut y = t.put::<Act>(&x, AT)?;
            t.be.activate(f, y.mat_mut())?;
            let y = t.get::<Act>(&y.buf)?;
            let kept = t.put::<Act>(if f.keeps_output() { &y } else { &x }, AT)?;
            let r = painted(2, AT.rows, AT.cols);
            let mut dy = t.put::<Act>(&r, AT)?;
            t.be.activate_grad(f, kept.mat(), dy.mat_mut())?;
            let found = t.get::<Act>(&dy.buf)?;
            let loss = |x: &[f64]| x.iter().zip(&r).map(|(&x, r)| r * phi::value(f, x)).sum();
            t.check_values::<Acc>(&f, &found, &close_to(&slopes(&x, &loss), 1.0));
        }
        Ok(())
    })
}

/// The gradients that the losses put in place of X are those of the losses.
#[must_use]
pub fn loss_gradient<B: Network<Scalar = f64>>(make: Make<'_, B>) -> Report {
    property("loss_gradient", make, &|t| {
        t.shape(&[AT.rows, AT.cols]);
        let (x, target) = (painted(1, AT.rows, AT.cols), painted(2, AT.rows, AT.cols));
        let scale = 0.2;
        let on_device = AccumOf::<B>::of(scale);
        let classes: Vec<f64> = (0..AT.rows).map(|i| (i * 3 % AT.cols) as f64).collect();
        let labels = t.whole::<Index>(&classes)?;
        let (mut logits, mut loss) = (t.put::<Act>(&x, AT)?, t.whole::<Acc>(&[0.0])?);
        let into = Store::Replace;
        t.be.softmax_cross_entropy(on_device, logits.mat_mut(), &labels.buf, into, &mut loss.buf)?;
        let entropy = |x: &[f64]| {
            let rows = x.chunks(AT.cols).zip(&classes);
            rows.map(|(x, &label)| scale * cross_entropy(x, label as usize)).sum()
        };
        let found = t.get::<Act>(&logits.buf)?;
        let case = "softmax and cross-entropy";
        t.check_values::<Acc>(&case, &found, &close_to(&slopes(&x, &entropy), 0.0));
        let found = t.get::<Acc>(&loss.buf)?;
        t.check_values::<Acc>(&case, &found, &close_to(&[entropy(&x)], 0.0));

        let goal = t.put::<Act>(&target, AT)?;
        let mut y = t.put::<Act>(&x, AT)?;
        t.be.squared_error(on_device, y.mat_mut(), goal.mat(), into, &mut loss.buf)?;
        let squares =
            |x: &[f64]| x.iter().zip(&target).map(|(x, t)| scale * (x - t) * (x - t)).sum();
        let found = t.get::<Act>(&y.buf)?;
        t.check_values::<Acc>(&"squared error", &found, &close_to(&slopes(&x, &squares), 0.0));
        Ok(())
    })
}
