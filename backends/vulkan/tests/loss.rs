//! A device that is lost, and memory that is used up: what is told, and what is left to go on with.

mod common;

use common::{Answer, Run, gpu};
use decora::backend::Backend;
use decora::buffer::{Acc, Buffer};
use decora::error::{DeviceError, Error, ErrorKind};
use decora::mat::{Mat, MatMut};
use decora::shadow::{Shadow, words_of};
use decora_cpu::Cpu;
use decora_vulkan::{Faults, Gpu, Limits, Settings, Vulkan, VulkanError};

type Device = Vulkan<f32>;
type Copy = Shadow<Vec<f32>>;

const WIDTHS: [usize; 3] = [8, 6, 3];
const STEPS: u64 = 12;
const EVERY: u64 = 4;

fn lost_at(submission: u64) -> Settings {
    let mut faults = Faults::default();
    faults.lose_at = Some(submission);
    Settings::default().with_faults(faults)
}

fn with_memory(bytes: u64) -> Settings {
    let mut faults = Faults::default();
    faults.memory = Some(bytes);
    Settings::default().with_faults(faults)
}

fn start<B: decora::network::Network>(be: &mut B) -> Answer<Run<B>, B> {
    Run::new(be, &WIDTHS, 2, 5)
}

/// An empty shadow with room for the network.
fn shadow() -> Copy {
    let mut cpu = Cpu::<f32>::heap();
    let mut run = start(&mut cpu).expect("a network on the CPU");
    Shadow::new(vec![0.0; words_of(&mut cpu, &mut run.net).expect("a length")], EVERY)
}

/// Trains to the end, from the shadow where there is one: the bits it ends with.
fn train(gpu: &Gpu, shadow: &mut Copy) -> Answer<Vec<u64>, Device> {
    let mut be = Device::new(gpu)?;
    let mut run = start(&mut be)?;
    if shadow.steps().is_some() {
        shadow.restore(&mut be, &mut run.net, &mut run.optimizer)?;
    }
    while run.optimizer.steps() < STEPS {
        if shadow.due(run.optimizer.steps()) {
            shadow.take(&mut be, &mut run.net, &run.optimizer)?;
        }
        run.loss(&mut be)?;
    }
    run.bits(&mut be)
}

fn is_lost<T>(answer: &Answer<T, Device>) -> bool {
    matches!(answer, Err(Error::Device(e)) if e.kind() == ErrorKind::Lost)
}

#[test]
fn a_run_whose_device_is_lost_at_any_submission_ends_in_the_same_bits() {
    let Some(sound) = gpu(Settings::default()) else { return };
    let expected = train(&sound, &mut shadow()).expect("a run without faults");
    let submissions = sound.submissions();
    let mut from = Vec::new();
    for at in 1..=submissions {
        let Some(faulty) = gpu(lost_at(at)) else { return };
        let mut kept = shadow();
        let first = train(&faulty, &mut kept);
        assert!(is_lost(&first), "submission {at} of {submissions}: {first:?}");
        from.push(kept.steps());
        drop(faulty);
        let again = train(&sound, &mut kept);
        assert_eq!(again.as_ref(), Ok(&expected), "submission {at}, from {:?}", kept.steps());
    }
    from.dedup();
    assert_eq!(from, [None, Some(0), Some(4), Some(8)], "before, in and after each shadow");
}

#[test]
fn a_device_lost_twice_is_survived_twice() {
    let (Some(sound), Some(first), Some(second)) =
        (gpu(Settings::default()), gpu(lost_at(40)), gpu(lost_at(30)))
    else {
        return;
    };
    let expected = train(&sound, &mut shadow()).expect("a run without faults");
    let mut kept = shadow();
    assert!(is_lost(&train(&first, &mut kept)));
    assert!(is_lost(&train(&second, &mut kept)));
    assert_eq!(train(&sound, &mut kept), Ok(expected));
}

#[test]
fn after_the_loss_every_operation_says_so() {
    let Some(gpu) = gpu(lost_at(3)) else { return };
    let mut be = Device::new(&gpu).expect("a backend");
    let mut run = start(&mut be).expect("a network");
    let mut buf = be.alloc::<Acc>(4).expect("a buffer");
    let weight = [1.0f32; 4];
    let weight = || decora::frozen::Frozen::new(2, 2, decora::frozen::Format::F32(&weight));
    let kept = be.weight(weight().expect("a shape")).expect("a weight");
    while run.loss(&mut be).is_ok() {}
    for round in 0..3 {
        assert!(is_lost(&run.step(&mut be)), "round {round}");
        assert!(is_lost(&run.loss(&mut be)) && is_lost(&run.bits(&mut be)), "round {round}");
        assert!(is_lost(&be.alloc::<Acc>(8).map_err(Error::Device)), "alloc");
        assert!(is_lost(&be.write::<Acc>(&mut buf, 0, &[1.0]).map_err(Error::Device)), "write");
        assert!(is_lost(&be.read::<Acc>(&buf, 0, &mut [0.0]).map_err(Error::Device)), "read");
        let weight = be.weight(weight().expect("a shape"));
        assert!(is_lost(&weight.map_err(Error::Device)), "weight");
        assert!(is_lost(&be.frozen_row_sq(&kept, &mut buf).map_err(Error::Device)), "kernel");
        assert!(is_lost(&be.finish().map_err(Error::Device)), "finish");
    }
    // In an order that nobody should have to think about.
    drop(gpu);
    drop(be);
    drop((run, buf, kept));
}

#[test]
fn a_shape_that_does_not_fit_is_told_from_a_loss() {
    let Some(gpu) = gpu(Settings::default()) else { return };
    let mut be = Device::new(&gpu).expect("a backend");
    let buf = be.alloc::<Acc>(4).expect("a buffer");
    let answer = be.read::<Acc>(&buf, 2, &mut [0.0; 3]);
    assert!(answer.is_err_and(|e| e.kind() == ErrorKind::Shape));
    be.read::<Acc>(&buf, 0, &mut [0.0; 4]).expect("goes on");
}

#[test]
fn a_shadow_of_a_lost_device_goes_on_on_the_cpu() {
    let Some(faulty) = gpu(lost_at(60)) else { return };
    let mut kept = shadow();
    assert!(is_lost(&train(&faulty, &mut kept)));
    let mut cpu = Cpu::<f32>::heap();
    let (mut whole, mut again) = (start(&mut cpu).expect("whole"), start(&mut cpu).expect("again"));
    kept.restore(&mut cpu, &mut again.net, &mut again.optimizer).expect("restored");
    assert_eq!(kept.steps(), Some(again.optimizer.steps()));
    let mut losses = Vec::new();
    while whole.optimizer.steps() < STEPS {
        losses.push(whole.loss(&mut cpu).expect("a loss"));
    }
    for expected in losses.iter().skip(again.optimizer.steps() as usize) {
        let found = again.loss(&mut cpu).expect("a loss");
        assert!((found - expected).abs() <= 1e-5 * expected.abs(), "{found}, not {expected}");
    }
}

#[test]
fn memory_that_is_used_up_can_be_given_back() {
    const BYTES: u64 = 1 << 20;
    let Some(gpu) = gpu(with_memory(BYTES)) else { return };
    let mut be = Device::new(&gpu).expect("a backend");
    for round in 0..3 {
        let mut held = Vec::new();
        let refused = loop {
            match be.alloc::<Acc>(1 << 14) {
                Ok(buf) => held.push(buf),
                Err(e) => break e,
            }
            assert!(held.len() < 64, "more than {BYTES} bytes were given");
        };
        assert_eq!(refused.kind(), ErrorKind::OutOfMemory, "round {round}: {refused}");
        assert!(held.len() >= 4, "round {round}: only {} buffers", held.len());
        held.truncate(held.len() / 2);
        held.push(be.alloc::<Acc>(1 << 14).expect("what was dropped is given again"));
        for buf in &mut held {
            be.write::<Acc>(buf, 0, &[2.5]).expect("a write");
            let mut found = [0.0];
            be.read::<Acc>(buf, 0, &mut found).expect("a read");
            assert_eq!(found, [2.5], "round {round}");
        }
    }
    let mut run = start(&mut be).expect("room for a network again");
    assert!(run.loss(&mut be).is_ok_and(f64::is_finite));
}

#[test]
fn a_buffer_too_large_to_bind_is_refused_with_both_sizes() {
    let mut limits = Limits::default();
    limits.binding = Some(1 << 16);
    let Some(gpu) = gpu(Settings::default().within(limits)) else { return };
    let mut be = Device::new(&gpu).expect("a backend");
    let refused = be.alloc::<Acc>((1 << 14) + 1).expect_err("too large");
    assert_eq!(refused, VulkanError::TooLarge { asked: (1 << 16) + 4, limit: 1 << 16 });
    assert_eq!(refused.kind(), ErrorKind::OutOfMemory);
    let mut fits = be.alloc::<Acc>(1 << 14).expect("just as large as may be");
    let one = be.alloc::<Acc>(1 << 14).expect("another");
    let (rows, cols) = (1 << 7, 1 << 7);
    let from = Mat::<Device, Acc>::new(&one, rows, cols).expect("a matrix");
    let to = MatMut::<Device, Acc>::new(&mut fits, rows, cols).expect("a matrix");
    be.axpy(1.0, from, decora::backend::Store::Replace, to).expect("goes on");
    assert_eq!(fits.len(), 1 << 14);
    be.finish().expect("done");
}
