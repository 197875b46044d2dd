//! What a training step costs in submissions and barriers, and that it is the step of the CPU.

mod common;

use common::{Run, gpu};
use decora_cpu::Cpu;
use decora_vulkan::{Gpu, Limits, Settings, Vulkan};

/// The network of `personalize`, and its batches.
const WIDTHS: [usize; 4] = [64, 64, 32, 10];
const ROWS: usize = 20;
const RANK: usize = 4;
const STEPS: usize = 5;

/// Losses of some steps, and the submissions that each took; the bits of what was trained.
fn train(gpu: &Gpu) -> (Vec<f64>, Vec<u64>, Vec<u64>) {
    let mut be = Vulkan::<f32>::new(gpu).expect("a backend");
    let mut run = Run::new(&mut be, &WIDTHS, RANK, ROWS).expect("a network");
    let (mut losses, mut submissions) = (Vec::new(), Vec::new());
    for _ in 0..STEPS {
        let before = gpu.submissions();
        losses.push(run.loss(&mut be).expect("a step"));
        submissions.push(gpu.submissions() - before);
    }
    (losses, submissions, run.bits(&mut be).expect("parameters"))
}

#[test]
fn a_step_is_one_submission() {
    let Some(gpu) = gpu(Settings::default()) else { return };
    let (_, submissions, _) = train(&gpu);
    assert_eq!(submissions, [1; STEPS], "even the first, with all that made the network");
}

#[test]
fn a_large_step_is_several_submissions_with_the_same_bits() {
    let mut limits = Limits::default();
    limits.work = Some(20_000);
    let (Some(whole), Some(parts)) =
        (gpu(Settings::default()), gpu(Settings::default().within(limits)))
    else {
        return;
    };
    let (losses, _, bits) = train(&whole);
    let (found, submissions, found_bits) = train(&parts);
    assert!(submissions.iter().all(|&count| count > 1), "{submissions:?}");
    assert_eq!((found, found_bits), (losses, bits));
}

#[test]
fn a_step_has_fewer_barriers_than_kernels() {
    let Some(gpu) = gpu(Settings::default().profiled()) else { return };
    let mut be = Vulkan::<f32>::new(&gpu).expect("a backend");
    let mut run = Run::new(&mut be, &WIDTHS, RANK, ROWS).expect("a network");
    run.loss(&mut be).expect("the first step");
    be.profile().expect("a profile");
    let before = gpu.barriers();
    run.loss(&mut be).expect("a step");
    let barriers = gpu.barriers() - before;
    let kernels: u64 = be.profile().expect("a profile").kernels.iter().map(|k| k.runs).sum();
    eprintln!("a step: {barriers} barriers, {kernels} kernels");
    if gpu.info().timestamps {
        assert!(barriers > 0 && barriers < kernels, "{barriers} barriers for {kernels} kernels");
    } else {
        eprintln!("SKIPPED: {} takes no timestamps, so kernels are not counted", gpu.name());
    }
}

#[test]
fn its_losses_are_those_of_the_cpu() {
    let Some(gpu) = gpu(Settings::default()) else { return };
    let (losses, ..) = train(&gpu);
    let mut cpu = Cpu::<f32>::heap();
    let mut run = Run::new(&mut cpu, &WIDTHS, RANK, ROWS).expect("a network");
    for (step, found) in losses.iter().enumerate() {
        let expected = run.loss(&mut cpu).expect("a step");
        let apart = (found - expected).abs() / expected.abs();
        assert!(apart <= 1e-5, "step {step}: {found}, not {expected}: {apart:e} apart");
    }
}
