//! Products large enough for the kernels with large tiles, beside the CPU's.

mod common;

use decora::backend::{Side, Store};
use decora::buffer::{Acc, Act};
use decora::frozen::{Format, Frozen};
use decora::mat::{Mat, MatMut};
use decora::network::Network;
use decora::scalar::{Element, Scalar};
use decora::{bf16, f16};
use decora_conformance::paint::painted;
use decora_cpu::Cpu;
use decora_vulkan::{Settings, Vulkan};

/// Sides beyond a whole number of tiles, in all directions.
const M: usize = 1030;
const N: usize = 1061;
const K: usize = 75;

/// x·Wᵀ, and the same times W, with activations of type `T` and W in the same format.
fn products<T: Scalar, B: Network<Scalar = T>>(mut be: B) -> Vec<f64> {
    let x: Vec<T> = painted(1, M, K).into_iter().map(T::store).collect();
    let w = painted(2, N, K);
    let (w16, wb16): (Vec<f16>, Vec<bf16>) =
        w.iter().map(|&w| (f16::store(w), bf16::store(w))).unzip();
    let w32: Vec<f32> = w.iter().map(|&w| w as f32).collect();
    let format = match T::NAME {
        "f16" => Format::F16(&w16),
        "bf16" => Format::Bf16(&wb16),
        _ => Format::F32(&w32),
    };
    let mut run = || -> Result<Vec<f64>, decora::error::Error<B::Error>> {
        let w = be.weight(Frozen::new(N, K, format)?)?;
        let (mut from, mut y) = (be.alloc::<Act>(M * K)?, be.alloc::<Acc>(M * N)?);
        let mut back = be.alloc::<Act>(M * N)?;
        be.write::<Act>(&mut from, 0, &x)?;
        let one = decora::backend::AccumOf::<B>::store(1.0);
        let (replace, a) = (Store::Replace, Mat::<_, Act>::new(&from, M, K)?);
        let to = MatMut::<_, Acc>::new(&mut y, M, N)?;
        be.gemm_frozen(one, a, &w, Side::Transposed, replace, to)?;
        let to = MatMut::<_, Act>::new(&mut back, M, N)?;
        be.gemm_frozen(one, a, &w, Side::Transposed, replace, to)?;
        let mut found = vec![Default::default(); M * N];
        be.read::<Acc>(&y, 0, &mut found)?;
        let mut narrow = vec![T::default(); M * N];
        be.read::<Act>(&back, 0, &mut narrow)?;
        Ok(found.iter().map(|x| x.load()).chain(narrow.iter().map(|x| x.load())).collect())
    };
    run().unwrap_or_else(|e| panic!("{e}"))
}

/// The numbers of both differ by no more than two orders of summation, and one rounding of what is
/// stored as an activation.
fn beside_the_cpu<T: decora_vulkan::GpuScalar>() {
    let Some(gpu) = common::gpu(Settings::from_env()) else { return };
    let be = Vulkan::<T>::new(&gpu).expect("a backend on a device that was opened");
    let (found, expected) = (products::<T, _>(be), products::<T, _>(Cpu::<T, _>::fast()));
    let (x, w) = (painted(1, M, K), painted(2, N, K));
    for (e, (&found, &expected)) in found.iter().zip(&expected).enumerate() {
        let (i, j, narrow) = (e / N % M, e % N, e >= M * N);
        let size: f64 = (0..K).map(|k| (x[i * K + k] * w[j * K + k]).abs()).sum();
        let order = 2.0 * (K as f64 + 3.0) * f64::from(f32::EPSILON) * size;
        let bound = if narrow { order + T::EPSILON * (expected.abs() + order) } else { order };
        let apart = (found - expected).abs();
        assert!(apart <= bound, "({i}, {j}): found {found}, expected {expected} ± {bound:e}");
    }
}

#[test]
fn single() {
    beside_the_cpu::<f32>();
}

#[test]
fn half_precision() {
    beside_the_cpu::<f16>();
}

#[test]
fn brain_float() {
    beside_the_cpu::<bf16>();
}
