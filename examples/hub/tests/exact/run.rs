//! Runs a model beside what transformers and PEFT made of it.

use std::path::Path;

use decora::adapter::Pass;
use decora::backend::Store;
use decora::error::Error;
use decora::init::Rng;
use decora::optim::{Optimizer, Training};
use decora::scalar::{Accum, Scalar};
use decora::sequence::Sequence;
use decora::spec::Spec;
use decora::transformer::{Cache, KeyValues};
use decora_hub::config::Head;
use decora_hub::network::{Adapters, Method, Names, Net, Sizes, Tensors, build, load, save};
use decora_hub::peft::Adapter;
use decora_hub::tensors::{Array, Arrays};
use decora_hub::{Architecture, Module, Weights};
use serde_json::Value;

use crate::golden::{File, Tokens, folder, json};

/// The largest relative differences that pass.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Of logits, as a share of the largest.
    pub(crate) logits: f64,
    /// The same after twelve steps, or four times what rounding alone makes of them in PEFT, where that
    /// is more: steps can amplify differences.
    pub(crate) trained: f64,
    /// Of losses.
    pub(crate) losses: f64,
    /// Of gradient norms.
    pub(crate) norms: f64,
}

/// The base network, and every run.
pub(crate) fn model<B: Sequence>(name: &str, make: impl Fn() -> B, bounds: Bounds) {
    let case = Case::open(name);
    frozen(&case, &mut make(), |be, net| base(&case, be, net, bounds));
    let runs = json(&folder(name).join("golden.json"));
    for (run, settings) in runs["runs"].as_object().unwrap() {
        for recompute in [false, true] {
            training(&case, run, settings, &mut make(), recompute, bounds);
        }
    }
}

/// A model and what was made of it.
pub(crate) struct Case {
    architecture: Architecture,
    weights: Weights,
    golden: File,
    name: String,
}

impl Case {
    pub(crate) fn open(name: &str) -> Self {
        Self::stored(name, &folder(name))
    }

    /// Where no token is padding, whose embedding would have no gradient of its own.
    pub(crate) fn unpadded(mut self) -> Self {
        self.architecture.pad = None;
        self
    }

    /// With the weights in another folder.
    pub(crate) fn stored(name: &str, dir: &Path) -> Self {
        Self {
            architecture: Architecture::read(dir).unwrap(),
            weights: Weights::open(dir).unwrap(),
            golden: File::open(&folder(name).join("golden.safetensors")),
            name: name.to_owned(),
        }
    }

    pub(crate) fn tokens(&self, batch: &str) -> Tokens {
        Tokens::read(&self.golden, batch, &self.architecture)
    }
}

/// A model with the head that it is trained with.
pub(crate) struct Network<'c> {
    architecture: Architecture,
    tensors: Tensors<'c>,
}

impl<'c> Network<'c> {
    /// With a classifier of so many classes on a model that has no head.
    pub(crate) fn new(case: &'c Case, classes: Option<usize>) -> Self {
        let architecture = match classes {
            Some(classes) if case.architecture.head == Head::None => {
                case.architecture.clone().with_head(Head::Classes, classes)
            }
            _ => case.architecture.clone(),
        };
        Self::of(case, architecture)
    }

    /// With this head.
    fn of(case: &'c Case, architecture: Architecture) -> Self {
        let tensors = Tensors::read(&case.weights, &architecture, Some(1)).unwrap();
        Self { architecture, tensors }
    }

    pub(crate) fn build<B: Sequence>(
        &self,
        be: &mut B,
        method: Method<'_>,
        recompute: bool,
    ) -> Net<'_, B> {
        let sizes = sizes(true, recompute);
        build(be, &self.architecture, &self.tensors, method, sizes, &mut Rng::new(1)).unwrap()
    }
}

fn sizes(learns: bool, recompute: bool) -> Sizes {
    // A chunk that does not divide the rows of any batch.
    Sizes { rows: 64, chunk: 7, sequences: 4, positions: 64, moments: 2, recompute, learns }
}

/// The network with nothing to train, and no head but the model's own.
pub(crate) fn frozen<B: Sequence>(
    case: &Case,
    be: &mut B,
    then: impl FnOnce(&mut B, &mut Net<'_, B>),
) {
    let tensors = Tensors::read(&case.weights, &case.architecture, None).unwrap();
    let (a, sizes) = (&case.architecture, sizes(false, true));
    let mut net = build(be, a, &tensors, Method::Frozen, sizes, &mut Rng::new(1)).unwrap();
    then(be, &mut net);
}

/// What a batch gives: logits, or hidden states of a model without a head; and its name.
pub(crate) fn answers<B: Sequence>(
    case: &Case,
    be: &mut B,
    net: &mut Net<'_, B>,
    batch: &str,
) -> (&'static str, Vec<f64>) {
    let tokens = case.tokens(batch);
    net.forward(be, &tokens.batch(), Pass::Eval).unwrap();
    match case.architecture.head {
        Head::None => ("hidden", states(be, net, tokens.ids.len())),
        _ => ("logits", logits(be, net)),
    }
}

fn base<B: Sequence>(case: &Case, be: &mut B, net: &mut Net<'_, B>, bounds: Bounds) {
    let a = &case.architecture;
    for batch in ["a", "b"] {
        let tokens = case.tokens(batch);
        let (what, found) = answers(case, be, net, batch);
        let expected = case.golden.floats(&format!("{batch}/{what}"));
        compare(
            case,
            &format!("{batch}/{what}"),
            &found,
            &picked(&expected, &tokens, a),
            bounds.logits,
        );
    }
    if a.family.is_causal() {
        cached(case, be, net, bounds);
    }
    if let Some(expected) = case.golden.whole("b/generated") {
        assert_eq!(greedy(case, be, net, expected.len()), expected, "{}", case.name);
    }
}

/// The text of the first sequence in pieces, with the keys and values of earlier pieces kept, beside the
/// same at once.
fn cached<B: Sequence>(case: &Case, be: &mut B, net: &mut Net<'_, B>, bounds: Bounds) {
    let whole = case.tokens("b").first(&case.architecture);
    net.forward(be, &whole.batch(), Pass::Eval).unwrap();
    let expected = logits(be, net);
    let n = whole.ids.len();
    let mut cache = cache(be, net, n);
    let mut found = Vec::new();
    for (first, end) in [(0, 3), (3, 4), (4, n)] {
        net.extend(be, &whole.part(first, end), &mut cache).unwrap();
        found.extend(logits(be, net));
    }
    assert_eq!(cache.len(), n);
    compare(case, "in pieces", &found, &expected, bounds.logits);
    let full = net.extend(be, &whole.part(n - 1, n), &mut cache);
    assert!(matches!(full, Err(Error::Capacity { found, .. }) if found == n + 1), "{full:?}");
}

/// Room for the keys and values of n tokens.
fn cache<B: Sequence>(be: &mut B, net: &Net<'_, B>, n: usize) -> Cache<Vec<KeyValues<B>>> {
    let width = net.shape().heads.kv_width();
    let rooms = net.blocks().iter().map(|_| KeyValues::new(be, n, width).unwrap());
    Cache::new(rooms.collect(), n)
}

/// The most probable tokens after the first sequence, with a cache.
fn greedy<B: Sequence>(case: &Case, be: &mut B, net: &mut Net<'_, B>, count: usize) -> Vec<i64> {
    let mut text = case.tokens("b").first(&case.architecture);
    let (start, mut first) = (text.ids.len(), 0);
    let mut cache = cache(be, net, start + count);
    for end in start..start + count {
        net.extend(be, &text.part(first, end), &mut cache).unwrap();
        let (all, outputs) = (logits(be, net), net.shape().outputs);
        let last = &all[all.len() - outputs..];
        let best = (0..outputs).max_by(|&i, &j| last[i].total_cmp(&last[j])).unwrap();
        text.ids.push(best as u32);
        text.positions.push(end as u32);
        text.spans.extend([0, end as u32 + 1]);
        first = end;
    }
    text.ids[start..].iter().map(|&id| id.into()).collect()
}

fn states<B: Sequence>(be: &mut B, net: &mut Net<'_, B>, rows: usize) -> Vec<f64> {
    let mut to = vec![B::Scalar::default(); rows * net.shape().width];
    net.states(be, 0, &mut to).unwrap();
    to.iter().map(|x| x.widen().f64()).collect()
}

fn logits<B: Sequence>(be: &mut B, net: &mut Net<'_, B>) -> Vec<f64> {
    let mut to = vec![B::Scalar::default(); net.answers() * net.shape().outputs];
    net.logits(be, 0, &mut to).unwrap();
    to.iter().map(|x| x.widen().f64()).collect()
}

/// The rows of the padded batch that are tokens; all rows of a classifier.
fn picked(all: &[f64], tokens: &Tokens, a: &Architecture) -> Vec<f64> {
    if a.head == Head::Classes {
        return all.to_vec();
    }
    let width = if a.head == Head::None { a.hidden } else { a.vocab };
    tokens.places.iter().flat_map(|&row| &all[row * width..(row + 1) * width]).copied().collect()
}

pub(crate) fn compare(case: &Case, what: &str, found: &[f64], expected: &[f64], bound: f64) {
    assert_eq!(found.len(), expected.len(), "{} {what}", case.name);
    let largest = expected.iter().fold(0.0f64, |max, x| max.max(x.abs()));
    let off = found.iter().zip(expected).fold(0.0f64, |max, (a, b)| {
        let off = (a - b).abs();
        if off.is_nan() { f64::NAN } else { max.max(off) }
    });
    println!("{} {what}: {:.1e} of the largest", case.name, off / largest);
    assert!(off / largest <= bound, "{} {what}: {off:e} of {largest}, bound {bound:e}", case.name);
}

/// The optimiser's settings of a run.
fn optimized(run: &Value) -> Training {
    let number = |key: &str| run[key].as_f64();
    Training {
        lr: number("lr").unwrap(),
        weight_decay: number("weight_decay").unwrap(),
        clip: number("clip"),
        ..Training::default()
    }
}

fn training<B: Sequence>(
    case: &Case,
    run: &str,
    settings: &Value,
    be: &mut B,
    recompute: bool,
    bounds: Bounds,
) {
    let network = Network::new(case, settings["classes"].as_u64().map(|n| n as usize));
    let initial = folder(&case.name).join(run).join("initial");
    let peft = (settings["method"] != "full").then(|| Adapter::read(&initial).unwrap());
    let trains_head = peft.as_ref().is_some_and(|peft| peft.saved.contains_key("lm_head.weight"));
    let copied = network.architecture.tied && trains_head;
    let network = Network::of(case, Architecture { copied, ..network.architecture });
    let a = &network.architecture;
    let selection = peft.as_ref().map(|peft| peft.fit(a).unwrap());
    let spec = |module: &Module| selection.as_ref().and_then(|all| all.spec(module));
    let method = if peft.is_some() { Method::Adapters(&spec) } else { Method::Full };
    let mut net = network.build(be, method, recompute);
    if let Some(peft) = &peft {
        load(be, &mut net, &Names::new(a), peft).unwrap();
    }
    let mut optimizer = Optimizer::new(be, optimized(settings)).unwrap();
    let (mut losses, mut norms) = (Vec::new(), Vec::new());
    for step in settings["batches"].as_array().unwrap() {
        let batches: Vec<Tokens> =
            step.as_array().unwrap().iter().map(|b| case.tokens(b.as_str().unwrap())).collect();
        let scale = 1.0 / batches.iter().map(Tokens::counted).sum::<usize>() as f64;
        for (i, tokens) in batches.iter().enumerate() {
            let store = if i == 0 { Store::Replace } else { Store::Add };
            net.forward(be, &tokens.batch(), Pass::Train(7)).unwrap();
            net.learn(be, &tokens.labels, scale, Pass::Train(7), store).unwrap();
        }
        losses.push(net.loss(be).unwrap());
        norms.push(optimizer.grad_norm(be, &mut net).unwrap());
        optimizer.step(be, &mut net).unwrap();
    }
    let name = |what: &str| format!("{run}/{what}");
    follow(case, &name("losses"), &losses, bounds.losses);
    follow(case, &name("grad_norms"), &norms, bounds.norms);
    let tokens = case.tokens("a");
    net.forward(be, &tokens.batch(), Pass::Eval).unwrap();
    let expected = picked(&case.golden.floats(&name("a/logits")), &tokens, a);
    let found = logits(be, &mut net);
    if settings["final"] == true {
        let config = peft.unwrap().config;
        let saved = save(be, &mut net, &Names::new(a), config).unwrap();
        let expected = Adapter::read(&folder(&case.name).join(run).join("final")).unwrap();
        same_files(case, run, &saved, &expected, bounds.trained);
    }
    switched(case, &network, be, &mut net, method);
    let rounding = settings["f32"]["logits"].as_f64().unwrap();
    compare(case, &name("a/logits"), &found, &expected, bounds.trained.max(4.0 * rounding));
}

/// Other adapters of a larger rank, then none, then the first again: which answer as if nothing had
/// happened.
fn switched<B: Sequence>(
    case: &Case,
    network: &Network<'_>,
    be: &mut B,
    net: &mut Net<'_, B>,
    method: Method<'_>,
) {
    let Method::Adapters(_) = method else { return };
    let (tokens, before) = (case.tokens("a"), logits(be, net));
    let answer = |be: &mut B, net: &mut Net<'_, B>| {
        net.forward(be, &tokens.batch(), Pass::Eval).unwrap();
        logits(be, net)
    };
    let (a, rng) = (&network.architecture, &mut Rng::new(5));
    let spec = |_: &Module| Some(Spec::dora(a.classes.clamp(2, 3) + 3, 2.0));
    let spec = |module: &Module| if module.block.is_some() { spec(module) } else { None };
    let mut other = Adapters::new(be, net, a, &spec, rng).unwrap();
    let mut none = Adapters::none(net);
    other.exchange(be, net).unwrap();
    let fresh = answer(be, net);
    none.exchange(be, net).unwrap();
    assert_eq!(answer(be, net), fresh, "{}: fresh adapters change nothing", case.name);
    none.exchange(be, net).unwrap();
    other.exchange(be, net).unwrap();
    assert_eq!(answer(be, net), before, "{}: the first adapters, again", case.name);
    assert_ne!(before, fresh, "{}", case.name);
}

/// The same names and shapes as PEFT's, and the same values. A single number moves more by rounding than
/// the logits, which hundreds of them make: 20 times as much is allowed.
fn same_files(case: &Case, run: &str, saved: &Adapter, expected: &Adapter, bound: f64) {
    let (saved, expected) = (saved.tensors(), expected.tensors());
    let shapes = |all: &Arrays| -> Vec<_> {
        all.iter().map(|(name, x)| (name.clone(), x.shape.clone(), x.dtype)).collect()
    };
    assert_eq!(shapes(&saved), shapes(&expected), "{} {run}", case.name);
    for (name, array) in &saved {
        let wide = |x: &Array| x.values.iter().map(|&x| f64::from(x)).collect::<Vec<_>>();
        compare(case, &format!("{run} {name}"), &wide(array), &wide(&expected[name]), 20.0 * bound);
    }
}

fn follow(case: &Case, what: &str, found: &[f64], bound: f64) {
    let expected = case.golden.floats(what);
    let off = found.iter().zip(&expected).map(|(a, b)| (a / b - 1.0).abs()).fold(0.0, f64::max);
    println!("{} {what}: {off:.1e}", case.name);
    assert_eq!(found.len(), expected.len());
    assert!(
        off <= bound,
        "{} {what}: {off:e}, bound {bound:e}\n{found:?}\n{expected:?}",
        case.name
    );
}
