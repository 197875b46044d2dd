//! Networks whose weights are stored as halves, on a GPU, beside the same weights in `f64` on a CPU.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use decora::safetensors::Dtype;
use decora::sequence::Sequence;
use decora::{bf16, f16};
use decora_cpu::Cpu;
use decora_hub::Weights;
use decora_hub::tensors::{Array, write};
use decora_vulkan::Gpu;

use crate::golden::folder;
use crate::on;
use crate::run::{Case, answers, compare, frozen};

/// What rounding may do to logits, as a share of the largest. With activations in `f32` the stored
/// weights are exact, so that the bound is that of weights in `f32`; else each of some dozens of operations
/// rounds its results by 2⁻¹¹ (f16) or 2⁻⁸ (bf16).
const OF_F32: f64 = 1e-5;
const OF_F16: f64 = 1e-2;
const OF_BF16: f64 = 6e-2;

/// Logits with weights stored as f16 and as bf16: activations in `f32`, and in the type of the weights.
pub(crate) fn check(name: &str, gpu: &Gpu) {
    for dtype in [Dtype::F16, Dtype::Bf16] {
        let dir = tempfile::tempdir().unwrap();
        store(name, dtype, dir.path());
        let case = Case::stored(name, dir.path());
        let expected = both(&case, &mut Cpu::<f64>::heap());
        let against = |found: [Vec<f64>; 2], bound| {
            for (found, expected) in found.iter().zip(&expected) {
                compare(&case, &format!("{dtype:?}, bound {bound}"), found, expected, bound);
            }
        };
        against(both(&case, &mut on::<f32>(gpu)), OF_F32);
        match dtype {
            Dtype::F16 => against(both(&case, &mut on::<f16>(gpu)), OF_F16),
            _ => against(both(&case, &mut on::<bf16>(gpu)), OF_BF16),
        }
    }
}

/// The model's folder, with all its tensors rounded to `dtype`.
fn store(name: &str, dtype: Dtype, to: &Path) {
    fs::copy(folder(name).join("config.json"), to.join("config.json")).unwrap();
    let weights = Weights::open(&folder(name)).unwrap();
    let rounded = |array: Array| Array { dtype, ..array };
    let all = weights.tensors().map(|t| (t.name().to_owned(), rounded(Array::read(&t).unwrap())));
    write(&to.join("model.safetensors"), &all.collect(), BTreeMap::new()).unwrap();
}

/// The answers to both batches.
fn both<B: Sequence>(case: &Case, be: &mut B) -> [Vec<f64>; 2] {
    let mut all = Default::default();
    frozen(case, be, |be, net| all = ["a", "b"].map(|batch| answers(case, be, net, batch).1));
    all
}
