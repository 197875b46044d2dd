//! A queue that nobody sees: every operation takes its turn, whenever the device gets to it.

use decora::backend::{Backend, Side, Store};
use decora::buffer::Acc;
use decora::mat::MatMut;

use super::weight::{Kind, Stored};
use crate::expected::Expected;
use crate::trial::{Outcome, Trial};

const STEPS: usize = 20;

/// Few elements, and more than one workgroup has.
const LENGTHS: [usize; 2] = [5, 4099];

/// `first`, `first` + 1, and so on, starting again after 100: whole numbers, so that sums are exact.
fn counting(first: usize, len: usize) -> Vec<f64> {
    (0..len).map(|i| (first + i % 100) as f64).collect()
}

/// A read after each step finds all earlier operations done.
pub(super) fn every_step_read<B: Backend>(t: &mut Trial<B>) -> Outcome<B> {
    t.shape(&[5]);
    let mut x = t.whole::<Acc>(&[1.0; 5])?;
    let mut sum = t.whole::<Acc>(&[0.0; 5])?;
    for step in 1..=10 {
        let now = [t.number(f64::from(step)); 5];
        t.be.write::<Acc>(&mut x.buf, 0, &now)?;
        t.be.axpy(t.number(1.0), x.mat(), Store::Add, sum.mat_mut())?;
        let found = t.get::<Acc>(&sum.buf)?;
        let so_far = f64::from(step * (step + 1) / 2);
        t.check_values::<Acc>(&("after step", step), &found, &|_| Expected::exactly(so_far));
    }
    Ok(())
}

/// Operations that read what the last wrote, write what the last read, and write what the last
/// wrote, all before the first read.
pub(super) fn nothing_read_before_the_end<B: Backend>(t: &mut Trial<B>) -> Outcome<B> {
    for len in LENGTHS {
        t.shape(&[len]);
        let (two, one) = (t.whole::<Acc>(&[2.0])?, t.number(1.0));
        let mut x = t.whole::<Acc>(&vec![-1.0; len])?;
        let mut y = t.whole::<Acc>(&vec![f64::NAN; len])?;
        let mut sum = t.whole::<Acc>(&vec![0.0; len])?;
        let mut z = t.whole::<Acc>(&vec![-1.0; len])?;
        for step in 1..=STEPS {
            let now: Vec<_> = counting(step, len).into_iter().map(|x| t.number(x)).collect();
            t.be.write::<Acc>(&mut x.buf, 0, &now)?;
            t.be.gemm(one, x.mat(), two.mat(), Store::Replace, y.mat_mut())?;
            t.be.axpy(one, y.mat(), Store::Add, sum.mat_mut())?;
            t.be.axpy(one, sum.mat(), Store::Replace, z.mat_mut())?;
            t.be.write::<Acc>(&mut z.buf, 0, &now)?;
        }
        let steps = STEPS as f64;
        let start = |i: usize| (i % 100) as f64;
        let all = |i| 2.0 * (steps * start(i) + steps * (steps + 1.0) / 2.0);
        for (what, buf, value) in [
            ("x", &x.buf, &(|i| steps + start(i)) as &dyn Fn(usize) -> f64),
            ("y", &y.buf, &|i| 2.0 * (steps + start(i))),
            ("their sum", &sum.buf, &all),
            ("z, written twice", &z.buf, &|i| steps + start(i)),
        ] {
            let found = t.get::<Acc>(buf)?;
            t.check_values::<Acc>(&(what, len), &found, &|i| Expected::exactly(value(i)));
        }
    }
    Ok(())
}

/// Buffers and weights that are given back while operations on them may still wait.
pub(super) fn dropped_before_the_end<B: Backend>(t: &mut Trial<B>) -> Outcome<B> {
    for len in LENGTHS {
        t.shape(&[len]);
        let one = t.number(1.0);
        let unit = t.whole::<Acc>(&[1.0])?;
        let mut sum = t.whole::<Acc>(&vec![0.0; len])?;
        for step in 1..=STEPS {
            let x = t.whole::<Acc>(&counting(step, len))?;
            t.be.axpy(one, x.mat(), Store::Add, sum.mat_mut())?;
            let w = Stored::new(Kind::F32, len, 1, &counting(step, len));
            let on_device = t.be.weight(w.frozen()?)?;
            let row = MatMut { at: sum.at.t(), buf: &mut sum.buf };
            t.be.gemm_frozen(one, unit.mat(), &on_device, Side::Transposed, Store::Add, row)?;
        }
        let found = t.get::<Acc>(&sum.buf)?;
        let steps = STEPS as f64;
        t.check_values::<Acc>(&("sums of what is gone", len), &found, &|i| {
            Expected::exactly(2.0 * (steps * (i % 100) as f64 + steps * (steps + 1.0) / 2.0))
        });
    }
    Ok(())
}
