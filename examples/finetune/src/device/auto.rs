//! Which device is faster: each takes a step of the layer that training spends most of its time in.

use core::time::Duration;
use std::time::Instant;

use decora::adapter::{Adapter, Pass};
use decora::backend::{Backend, Store};
use decora::buffer::Act;
use decora::direction::LowRank;
use decora::frozen::{Format, Frozen};
use decora::init::Rng;
use decora::linear::Linear;
use decora::mat::{Mat, MatMut};
use decora::scalar::Scalar;
use decora::spec::{Plan, Spec};
use decora::workspace::Workspace;
use decora::{bf16, f16};
use decora_cpu::FastCpu;
use decora_vulkan::{DeviceKind, Gpu, GpuScalar, Settings, Vulkan};

use super::open;
use crate::options::Precision;

/// A layer of a small model, and the rows of a short text.
const PLAN: Plan =
    Plan { out: 1536, inputs: 576, bias: false, rows: 256, spec: Spec::dora(16, 32.0), moments: 0 };
/// Steps before time is taken: the first ones compile kernels and fill caches.
const WARM_UP: usize = 2;
/// Steps that are timed, unless they take longer than [`MOST`].
const ROUNDS: usize = 8;
const MOST: Duration = Duration::from_millis(500);

/// The fastest device, `None` for the CPU, and why, where there was a choice. With `device`, a name or a
/// number, only that one is tried beside the CPU. A device that cannot be used is not chosen.
pub(super) fn fastest(device: Option<&str>, dtype: Precision) -> (Option<Gpu>, Option<String>) {
    let gpus = match candidates(device) {
        Ok(gpus) if gpus.is_empty() => return (None, None),
        Ok(gpus) => gpus,
        Err(e) => return (None, Some(format!("auto: cpu ({e})"))),
    };
    let times = gpus.iter().map(|gpu| (gpu.name().to_owned(), on_gpu(gpu, dtype)));
    let found: Vec<_> = core::iter::once(("cpu".to_owned(), on_cpu(dtype))).chain(times).collect();
    let (best, why) = verdict(&found);
    (best.checked_sub(1).and_then(|i| gpus.into_iter().nth(i)), Some(why))
}

/// The Vulkan devices to try: the one that is named, here or in the environment, or all that are no CPU
/// themselves.
fn candidates(device: Option<&str>) -> Result<Vec<Gpu>, String> {
    let settings = Settings::from_env();
    if device.is_some() || settings.device.is_some() {
        return open(device).map(|gpu| vec![gpu]).map_err(|e| e.to_string());
    }
    let Ok(all) = Gpu::list() else { return Ok(Vec::new()) };
    let numbers = (0..).zip(all).filter(|(_, info)| info.kind != DeviceKind::Cpu);
    Ok(numbers.filter_map(|(i, _): (usize, _)| open(Some(&i.to_string())).ok()).collect())
}

fn on_cpu(dtype: Precision) -> Result<f64, String> {
    match dtype {
        Precision::F32 => time(&mut FastCpu::<f32>::fast()),
        Precision::Bf16 => time(&mut FastCpu::<bf16>::fast()),
        Precision::F16 => time(&mut FastCpu::<f16>::fast()),
    }
}

fn on_gpu(gpu: &Gpu, dtype: Precision) -> Result<f64, String> {
    match dtype {
        Precision::F32 => time_gpu::<f32>(gpu),
        Precision::Bf16 => time_gpu::<bf16>(gpu),
        Precision::F16 => time_gpu::<f16>(gpu),
    }
}

fn time_gpu<T: GpuScalar>(gpu: &Gpu) -> Result<f64, String> {
    time(&mut Vulkan::<T>::new(gpu).map_err(|e| e.to_string())?)
}

/// The shortest time of a step, in seconds: whatever else the machine does only makes it longer.
fn time<B: Backend<Scalar: Scalar<Accum = f32>>>(be: &mut B) -> Result<f64, String> {
    let mut step = || -> Result<f64, decora::error::Error<B::Error>> {
        let weight: Vec<f32> = (0..PLAN.out * PLAN.inputs).map(|i| (i % 7) as f32 - 3.0).collect();
        let base =
            Linear::new(be, Frozen::new(PLAN.out, PLAN.inputs, Format::F32(&weight))?, None)?;
        let mut ws = Workspace::new(be, PLAN.needs())?;
        let mut adapter =
            Adapter::<B, LowRank<B>>::new(be, &mut ws, &base, PLAN, &mut Rng::new(1))?;
        let (seen, made) = (PLAN.rows * PLAN.inputs, PLAN.rows * PLAN.out);
        let (x, mut y) = (be.alloc::<Act>(seen)?, be.alloc::<Act>(made)?);
        let mut dx = be.alloc::<Act>(seen)?;
        let (mut best, begin) = (f64::INFINITY, Instant::now());
        for round in 0..WARM_UP + ROUNDS {
            let start = Instant::now();
            let x = Mat::new(&x, PLAN.rows, PLAN.inputs)?;
            let mut y = MatMut::new(&mut y, PLAN.rows, PLAN.out)?;
            adapter.forward(be, &mut ws, &base, x, y.reborrow(), Pass::Eval)?;
            let to = MatMut::new(&mut dx, PLAN.rows, PLAN.inputs)?;
            adapter.backward(be, &mut ws, &base, x, y, Some(to), Store::Replace)?;
            be.read::<Act>(&dx, 0, &mut [B::Scalar::default()])?;
            if round >= WARM_UP {
                best = best.min(start.elapsed().as_secs_f64());
            }
            if best.is_finite() && begin.elapsed() > MOST {
                break;
            }
        }
        Ok(best)
    };
    step().map_err(|e| e.to_string())
}

/// The number of the fastest, the first of equals, and why.
fn verdict(found: &[(String, Result<f64, String>)]) -> (usize, String) {
    let time = |i: usize| found.get(i).and_then(|f| f.1.as_ref().ok()).copied();
    let time = |i: usize| time(i).unwrap_or(f64::INFINITY);
    let best = (0..found.len()).min_by(|&a, &b| time(a).total_cmp(&time(b))).unwrap_or(0);
    let others = found.iter().enumerate().filter(|(i, _)| *i != best);
    let others: String = others
        .map(|(_, (name, found))| match found {
            Ok(seconds) => format!("; {name}: {:.2} ms", seconds * 1e3),
            Err(e) => format!("; {name}: {e}"),
        })
        .collect();
    let name = found.get(best).map_or("cpu", |f| f.0.as_str());
    (best, format!("auto: {name} ({:.2} ms for a layer{others})", time(best) * 1e3))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(times: [Result<f64, &str>; 3]) -> Vec<(String, Result<f64, String>)> {
        let names = ["cpu", "first", "second"].map(str::to_owned);
        names.into_iter().zip(times.map(|t| t.map_err(str::to_owned))).collect()
    }

    #[test]
    fn the_fastest_is_taken_and_all_times_are_told() {
        let (best, line) = verdict(&found([Ok(5e-5), Ok(1.9e-3), Ok(4e-5)]));
        let expected = "auto: second (0.04 ms for a layer; cpu: 0.05 ms; first: 1.90 ms)";
        assert_eq!((best, line.as_str()), (2, expected));
        let (best, _) = verdict(&found([Ok(1e-3), Ok(1e-3), Ok(1e-3)]));
        assert_eq!(best, 0, "the CPU, when it makes no difference");
    }

    #[test]
    fn a_device_that_fails_is_not_chosen_and_says_why() {
        let (best, line) = verdict(&found([Ok(5e-5), Err("no"), Err("no")]));
        let expected = "auto: cpu (0.05 ms for a layer; first: no; second: no)";
        assert_eq!((best, line.as_str()), (0, expected));
    }

    #[test]
    fn a_step_takes_time_in_any_precision() {
        for dtype in [Precision::F32, Precision::Bf16, Precision::F16] {
            let seconds = on_cpu(dtype).unwrap();
            assert!(seconds > 0.0 && seconds.is_finite(), "{dtype:?}: {seconds}");
        }
    }
}
