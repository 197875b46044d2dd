//! Shadows of training runs: what is restored goes on as if nothing had happened, and what is
//! refused changes nothing.

use decora::adapter::Pass;
use decora::backend::Store;
use decora::direction::Any;
use decora::error::Error;
use decora::frozen::{Format, Frozen};
use decora::init::Rng;
use decora::linear::Linear;
use decora::mlp::{Mlp, Shape};
use decora::network::Activation;
use decora::optim::{Optimizer, Training};
use decora::param::{Parameters, Slot};
use decora::shadow::{self, Fault, Shadow};
use decora::spec::{Plan, Spec};
use decora_cpu::{Cpu, CpuError};

type Device = Cpu<'static, f32>;
type Net = Mlp<'static, Device, Any<Device>, 2>;
type Test = Result<(), Error<CpuError>>;

static W: [f32; 24] = [
    0.5, -0.25, 0.125, 1.0, -0.5, 0.75, 0.3, -0.6, 0.2, 0.1, -0.9, 0.4, 0.7, -0.8, 0.6, 0.05,
    -0.15, 0.35, 0.45, -0.55, 0.65, -0.2, 0.85, -0.95,
];

const fn plans(spec: Spec, moments: usize) -> [Plan; 2] {
    [
        Plan { out: 4, inputs: 6, bias: true, rows: 4, spec, moments },
        Plan { out: 3, inputs: 4, bias: false, rows: 4, spec, moments },
    ]
}

const DORA: [Plan; 2] = plans(Spec { bias: true, ..Spec::dora(2, 4.0) }, 2);
const WORDS: usize = shadow::words(&DORA);

/// A device, a network and its optimiser.
struct Run {
    be: Device,
    net: Net,
    optimizer: Optimizer<Device>,
}

impl Run {
    fn new(plans: &[Plan; 2], seed: u64) -> Result<Self, Error<CpuError>> {
        let shape = Shape { plans, activation: Activation::Relu };
        let words = shape.words::<f32>() + Optimizer::<Device>::WORDS;
        let mut be = Cpu::new(vec![0.0; words].leak());
        let (first, second) = (Frozen::new(4, 6, Format::F32(&W))?, &W[..12]);
        let bias = [0.1, -0.2, 0.3, -0.4];
        let first = Linear::new(&mut be, first, Some(&bias))?;
        let second = Linear::new(&mut be, Frozen::new(3, 4, Format::F32(second))?, None)?;
        let net = Mlp::new(&mut be, shape, [first, second], &mut Rng::new(seed))?;
        let optimizer = Optimizer::new(&mut be, Training { lr: 0.05, ..Training::default() })?;
        Ok(Self { be, net, optimizer })
    }

    /// Steps until `end` have been taken, each with a batch of its own.
    fn train(&mut self, end: u64) -> Test {
        let Self { be, net, optimizer } = self;
        while optimizer.steps() < end {
            let mut rng = Rng::new(100 + optimizer.steps());
            let x: Vec<f32> = (0..24).map(|_| rng.within(1.0) as f32).collect();
            let pass = Pass::Train(optimizer.steps());
            net.train(be, &x, &[0, 1, 2, 0], 0.25, pass, Store::Replace)?;
            optimizer.step(be, net)?;
        }
        Ok(())
    }

    fn take<R: core::ops::DerefMut<Target = [f32]>>(&mut self, shadow: &mut Shadow<R>) -> Test {
        shadow.take(&mut self.be, &mut self.net, &self.optimizer)
    }

    fn restore<R: core::ops::DerefMut<Target = [f32]>>(&mut self, shadow: &Shadow<R>) -> Test {
        shadow.restore(&mut self.be, &mut self.net, &mut self.optimizer)
    }

    fn bits(&mut self) -> Result<Vec<u32>, Error<CpuError>> {
        let mut bits = Vec::new();
        self.net.visit(&mut self.be, &mut |be, _, p| {
            let mut values = vec![0.0; p.count()];
            p.get(be, &mut values)?;
            bits.extend(values.iter().map(|v| v.to_bits()));
            Ok(())
        })?;
        Ok(bits)
    }

    /// Makes one value of a slot of the first layer something else.
    fn spoil(&mut self, slot: Slot, value: f32) -> Test {
        self.net.visit(&mut self.be, &mut |be, layer, p| match (layer, p.slot == slot) {
            (0, true) => {
                let mut values = vec![0.5; p.count()];
                if let Some(last) = values.last_mut() {
                    *last = value;
                }
                p.set(be, &values)
            }
            _ => Ok(()),
        })
    }
}

#[test]
fn a_run_that_is_restored_ends_in_the_same_bits() -> Test {
    let mut whole = Run::new(&DORA, 1)?;
    let (mut room, mut again) = ([0.0; WORDS], Run::new(&DORA, 2)?);
    let mut shadow = Shadow::new(&mut room[..], 4);
    whole.train(8)?;
    whole.take(&mut shadow)?;
    whole.train(20)?;
    again.restore(&shadow)?;
    assert_eq!((shadow.steps(), again.optimizer.steps()), (Some(8), 8));
    again.train(20)?;
    assert_eq!(again.bits()?, whole.bits()?);
    Ok(())
}

/// Another seed draws another A: it has to come from the shadow.
#[test]
fn a_frozen_a_is_restored_too() -> Test {
    const FROZEN_A: [Plan; 2] = plans(Spec::dora(2, 4.0).with_frozen_a(), 2);
    let (mut whole, mut again) = (Run::new(&FROZEN_A, 1)?, Run::new(&FROZEN_A, 2)?);
    let mut shadow = Shadow::new(vec![0.0; shadow::words(&FROZEN_A)], 4);
    whole.train(8)?;
    whole.take(&mut shadow)?;
    whole.train(12)?;
    again.restore(&shadow)?;
    again.train(12)?;
    assert_eq!(again.bits()?, whole.bits()?);
    Ok(())
}

#[test]
fn the_last_of_several_counts_and_they_alternate_in_their_room() -> Test {
    let (mut run, mut again) = (Run::new(&DORA, 1)?, Run::new(&DORA, 2)?);
    let mut shadow = Shadow::new(vec![0.0; WORDS], 1);
    for steps in 0..5 {
        run.train(steps)?;
        run.take(&mut shadow)?;
        again.restore(&shadow)?;
        assert_eq!((again.bits()?, shadow.steps()), (run.bits()?, Some(steps)));
    }
    Ok(())
}

#[test]
fn the_room_is_as_long_as_it_must_be_and_no_longer() -> Test {
    let sgd = plans(Spec { dropout: 0.1, ..Spec::lora(1, 1.0) }, 0);
    let frozen_a = plans(Spec::dora(2, 4.0).with_frozen_a(), 2);
    for plans in [DORA, plans(Spec::full(), 1), plans(Spec::magnitude_only(), 2), sgd, frozen_a] {
        let mut run = Run::new(&plans, 1)?;
        let words = shadow::words(&plans);
        assert_eq!(words, shadow::words_of(&mut run.be, &mut run.net)?);
        run.take(&mut Shadow::new(vec![0.0; words], 1))?;
        let mut short = Shadow::new(vec![0.0; words - 1], 1);
        let short = run.take(&mut short);
        let (found, expected) = (words / 2, words / 2 - 1);
        let what = "numbers in a shadow";
        assert_eq!(short, Err(Error::capacity(what, found, expected)));
    }
    Ok(())
}

#[test]
fn what_is_not_finite_is_refused_and_the_last_copy_kept() -> Test {
    let (mut run, mut again) = (Run::new(&DORA, 1)?, Run::new(&DORA, 2)?);
    let mut shadow = Shadow::new(vec![0.0; WORDS], 1);
    run.train(3)?;
    run.take(&mut shadow)?;
    let good = run.bits()?;
    for (slot, row, col) in [(Slot::LoraB, 3, 1), (Slot::Magnitude, 3, 0), (Slot::Bias, 3, 0)] {
        for value in [f32::NAN, f32::INFINITY] {
            run.spoil(slot, value)?;
            let refused = Err(Error::non_finite(slot.peft_name(), row, col));
            assert_eq!(run.take(&mut shadow), refused);
            run.restore(&shadow)?;
            again.restore(&shadow)?;
            assert_eq!((run.bits()?, again.bits()?), (good.clone(), good.clone()));
        }
    }
    Ok(())
}

#[test]
fn a_shadow_of_nothing_or_of_another_model_is_refused_and_nothing_written() -> Test {
    let (mut run, mut other) = (Run::new(&DORA, 1)?, Run::new(&plans(Spec::full(), 2), 1)?);
    let mut shadow = Shadow::new(vec![0.0; 2 * WORDS], 1);
    let before = run.bits()?;
    assert_eq!(run.restore(&shadow), Err(Error::Shadow(Fault::Empty)));
    other.train(2)?;
    other.take(&mut shadow)?;
    let refused = run.restore(&shadow).err().map(|e| e.to_string()).unwrap_or_default();
    let expected = "shadow: found that of another model (3 parameters, 120 numbers), \
                    expected 7 and 135";
    assert_eq!((refused.as_str(), run.bits()?, run.optimizer.steps()), (expected, before, 0));
    Ok(())
}

#[test]
fn it_is_due_before_the_first_step_and_once_every_so_many() -> Test {
    let mut run = Run::new(&DORA, 1)?;
    let mut shadow = Shadow::new(vec![0.0; WORDS], 3);
    let mut taken = Vec::new();
    for step in 0..8 {
        run.train(step)?;
        if shadow.due(step) {
            run.take(&mut shadow)?;
            taken.push(step);
        }
        assert!(!shadow.due(step), "not twice after one step");
    }
    assert_eq!(taken, [0, 3, 6]);
    assert!(!Shadow::new(vec![0.0f32; 0], 0).due(0), "0 is never");
    Ok(())
}
