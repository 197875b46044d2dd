//! What holds when the frozen layers below the first adapted one are run once for each sample.

use decora::adapter::Pass;
use decora::backend::{AccumOf, Store};
use decora::buffer::Acc;
use decora::direction::Any;
use decora::error::Error;
use decora::init::Rng;
use decora::linear::Linear;
use decora::mlp::{Cache, Mlp, Shape};
use decora::network::{Activation, Network};
use decora::optim::{Optimizer, Training};
use decora::param::Parameters;
use decora::scalar::{Accum, Element};
use decora::spec::{Plan, Spec};

use super::refusals::answers;
use crate::against::Make;
use crate::ops::{Kind, Stored};
use crate::paint::painted;
use crate::report::Report;
use crate::rig::download;
use crate::trial::{Outcome, Trial, property};

/// Inputs, widths, classes.
const SIDES: [usize; 4] = [5, 6, 4, 3];
const SAMPLES: usize = 4;

type Net<'w, B> = Mlp<'w, B, Any<B>, 3>;
type Answer<T, B> = Result<T, Error<<B as decora::backend::Backend>::Error>>;

/// Training with a cache, whether it has room for all samples or not, gives the bits of training
/// without, however many layers are frozen and whatever φ keeps.
#[must_use]
pub fn cache_changes_nothing<B: Network>(make: Make<'_, B>) -> Report {
    property("cache_changes_nothing", make, &|t| {
        t.shape(&SIDES);
        let dora = Spec::dora(2, 3.0);
        for specs in
            [[Spec::frozen(), dora, dora], [Spec::frozen(), Spec::frozen(), dora], [dora; 3]]
        {
            for activation in [Activation::Relu, Activation::Gelu] {
                for room in [0, 2, SAMPLES] {
                    compare(t, specs, activation, room)?;
                }
            }
        }
        Ok(())
    })
}

fn compare<B: Network>(
    t: &mut Trial<B>,
    specs: [Spec; 3],
    activation: Activation,
    room: usize,
) -> Outcome<B> {
    let plan = |l: usize| Plan {
        out: SIDES[l + 1],
        inputs: SIDES[l],
        bias: true,
        rows: 1,
        spec: specs[l],
        moments: 2,
    };
    let plans = [0, 1, 2].map(plan);
    let shape = Shape { plans: &plans, activation };
    let w = [0, 1, 2].map(|l| Stored::painted(Kind::F32, SIDES[l + 1], SIDES[l], l + 3));
    let mut cache = Cache::new(&mut t.be, shape, room)?;
    let mut net = build(&mut t.be, shape, &w)?;
    let with = train(&mut t.be, &mut net, Some(&mut cache))?;
    let mut net = build(&mut t.be, shape, &w)?;
    let without = train(&mut t.be, &mut net, None)?;
    let case = (specs, activation, room);
    t.require(&case, with == without, "a cache changes losses or parameters");
    let known = if plans[0].is_frozen() { room } else { 0 };
    t.require(&case, cache.known() == known, "other samples are kept than there is room for");
    if plans[0].is_frozen() {
        let mut other = Cache::new(&mut t.be, Shape { plans: &plans[..1], activation }, 1)?;
        let x: Vec<B::Scalar> = stored(&painted(1, 1, SIDES[0]));
        let (pass, store) = (Pass::Eval, Store::Replace);
        let outcome = net.train_cached(&mut t.be, &mut other, 0, &x, &[0], 1.0, pass, store);
        answers(t, &"a cache of another network", outcome, &["cache"], |e| {
            matches!(e, Error::Shape(_))
        });
    }
    Ok(())
}

fn build<'w, B: Network>(
    be: &mut B,
    shape: Shape<'_>,
    w: &'w [Stored; 3],
) -> Answer<Net<'w, B>, B> {
    let mut bases = Vec::new();
    for (l, w) in w.iter().enumerate() {
        let bias: Vec<AccumOf<B>> =
            painted(l + 6, SIDES[l + 1], 1).into_iter().map(AccumOf::<B>::of).collect();
        bases.push(Linear::new(be, w.frozen()?, Some(&bias))?);
    }
    Mlp::new(be, shape, bases, &mut Rng::new(3))
}

/// Two epochs: all losses, and all parameters after them.
fn train<B: Network>(
    be: &mut B,
    net: &mut Net<'_, B>,
    mut cache: Option<&mut Cache<B>>,
) -> Answer<Vec<f64>, B> {
    let mut optimizer = Optimizer::new(be, Training { lr: 0.05, ..Training::default() })?;
    let mut all = Vec::new();
    for pass in [0, 1].map(Pass::Train) {
        for sample in 0..SAMPLES {
            let x: Vec<B::Scalar> = stored(&painted(sample + 1, 1, SIDES[0]));
            let label = [(sample % SIDES[3]) as u32];
            let store = Store::Replace;
            match cache.as_deref_mut() {
                Some(cache) => net.train_cached(be, cache, sample, &x, &label, 1.0, pass, store)?,
                None => net.train(be, &x, &label, 1.0, pass, store)?,
            }
            all.push(net.loss(be)?);
            optimizer.step(be, net)?;
        }
    }
    net.visit(be, &mut |be, _, p| {
        all.extend(download::<B, Acc>(be, p.value())?);
        Ok(())
    })?;
    Ok(all)
}

fn stored<S: Element>(x: &[f64]) -> Vec<S> {
    x.iter().map(|&x| S::store(x)).collect()
}
