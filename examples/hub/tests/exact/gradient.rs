//! Gradients of whole networks beside central differences, in `f64`.

use decora::adapter::Pass;
use decora::backend::Store;
use decora::init::Rng;
use decora::param::Parameters;
use decora::spec::{NormGradient, Spec};
use decora_cpu::Cpu;
use decora_hub::Module;
use decora_hub::network::{Method, Net};

use crate::golden::Tokens;
use crate::run::{Case, Network};

type Be = Cpu<'static, f64>;

/// The step of the differences: their error is about its square, and ε over it.
const STEP: f64 = 1e-5;

/// The derivative of the loss along a random direction of each parameter, adapters with the exact
/// gradient of the norm first, then with everything trained.
pub(crate) fn check(name: &str) {
    let case = Case::open(name).unpadded();
    let dora = Spec { norm_gradient: NormGradient::Exact, ..Spec::dora(2, 3.0) };
    let adapters = |_: &Module| Some(dora);
    for method in [Method::Adapters(&adapters), Method::Full] {
        let network = Network::new(&case, Some(2));
        let mut be = Be::heap();
        let mut net = network.build(&mut be, method, true);
        let tokens = case.tokens("a");
        scatter(&mut be, &mut net);
        let scale = 1.0 / tokens.counted() as f64;
        let labels = &tokens.labels;
        net.forward(&mut be, &tokens.batch(), Pass::Eval).unwrap();
        net.learn(&mut be, labels, scale, Pass::Eval, Store::Replace).unwrap();
        let count = parameters(&mut be, &mut net).len();
        for index in 0..count {
            one(&mut be, &mut net, &tokens, labels, index);
        }
    }
}

/// Moves every parameter off its start, where B is 0 and A has no gradient.
fn scatter(be: &mut Be, net: &mut Net<'_, Be>) {
    let mut rng = Rng::new(9);
    net.visit(be, &mut |be, _, p| {
        let mut values = vec![0.0; p.count()];
        p.get(be, &mut values)?;
        values.iter_mut().for_each(|x| *x += rng.within(0.05));
        p.set(be, &values)
    })
    .unwrap();
}

/// Values and gradients.
fn parameters(be: &mut Be, net: &mut Net<'_, Be>) -> Vec<(String, Vec<f64>, Vec<f64>)> {
    let mut all = Vec::new();
    net.visit(be, &mut |be, number, p| {
        let (mut values, mut grad) = (vec![0.0; p.count()], vec![0.0; p.count()]);
        p.get(be, &mut values)?;
        decora::backend::Backend::read::<decora::buffer::Acc>(be, &p.grad, 0, &mut grad)?;
        all.push((format!("{number} {:?}", p.slot), values, grad));
        Ok(())
    })
    .unwrap();
    all
}

fn one(be: &mut Be, net: &mut Net<'_, Be>, tokens: &Tokens, labels: &[u32], index: usize) {
    let (name, values, grad) = parameters(be, net).swap_remove(index);
    let mut rng = Rng::new(index as u64);
    let along: Vec<f64> = values.iter().map(|_| rng.within(1.0)).collect();
    let slope: f64 = grad.iter().zip(&along).map(|(g, v)| g * v).sum();
    let scale = 1.0 / tokens.counted() as f64;
    let mut loss = |step: f64| {
        let moved: Vec<f64> = values.iter().zip(&along).map(|(x, v)| x + step * v).collect();
        let mut i = 0;
        net.visit(be, &mut |be, _, p| {
            i += 1;
            if i - 1 == index { p.set(be, &moved) } else { Ok(()) }
        })
        .unwrap();
        net.forward(be, &tokens.batch(), Pass::Eval).unwrap();
        net.judge(be, labels, scale, Store::Replace).unwrap();
        net.loss(be).unwrap()
    };
    let difference = (loss(STEP) - loss(-STEP)) / (2.0 * STEP);
    loss(0.0);
    let bound = 1e-6 * (1.0 + slope.abs());
    assert!((difference - slope).abs() < bound, "{name}: {difference} by differences, {slope}");
}
