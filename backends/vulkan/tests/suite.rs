//! The suite on the Vulkan device that `DECORA_DEVICE` names, or else the fastest there is: in every
//! scalar, with less than the device can do, and watched for writes behind the ends of buffers.
//! `tests/run` leaves out what is named `unlimited`, as `decora-check` tries the same there.

mod common;

use std::sync::LazyLock;

use decora::{bf16, f16};
use decora_conformance::ops;
use decora_conformance::strict::Strict;
use decora_vulkan::{Gpu, GpuScalar, Limits, Settings, Vulkan};

type Device = LazyLock<Option<Gpu>>;

static WHOLE: Device = LazyLock::new(|| common::gpu(Settings::from_env()));

static SMALL: Device = LazyLock::new(|| {
    let mut limits = Limits::default();
    limits.no_half_storage = true;
    limits.portable_only = true;
    limits.weight = Some(1 << 10);
    limits.work = Some(100_000);
    common::gpu(Settings::from_env().within(limits))
});

fn on<T: GpuScalar>(gpu: &Gpu) -> Vulkan<T> {
    Vulkan::new(gpu).expect("a backend on a device that was opened")
}

/// One test for each property, which does nothing where there is no device: `common::gpu` has said
/// so, or has made it an error.
macro_rules! properties {
    ($device:ident, $scalar:ty, $module:ident: $($property:ident)*) => {
        $(
            #[test]
            fn $property() {
                if let Some(gpu) = &*$device {
                    decora_conformance::$module::$property(&|| on::<$scalar>(gpu)).assert_ok();
                }
            }
        )*
    };
}

macro_rules! suite {
    ($name:ident, $device:ident, $scalar:ty) => {
        mod $name {
            use super::*;
            decora_conformance::each_of_backend!([properties] $device, $scalar,);
            decora_conformance::each_of_network!([properties] $device, $scalar,);
            decora_conformance::each_of_adapters!([properties] $device, $scalar,);
            decora_conformance::each_of_mlp!([properties] $device, $scalar,);
        }
    };
}

suite!(unlimited_single, WHOLE, f32);
suite!(unlimited_half_precision, WHOLE, f16);
suite!(unlimited_brain_float, WHOLE, bf16);
suite!(small_single, SMALL, f32);
suite!(small_half_precision, SMALL, f16);
suite!(small_brain_float, SMALL, bf16);

/// What transformers need, with less than the device can do; with all that it can do, `decora-check` tries
/// it.
mod small_sequences {
    use super::*;
    decora_conformance::each_of_sequence!([properties] SMALL, f32,);
}

/// Products and reductions write nothing behind the ends of their buffers.
#[test]
fn guard_bands_stay_whole() {
    let Some(gpu) = &*WHOLE else { return };
    let make = || Strict::new(on::<f32>(gpu));
    for property in [ops::col_sum, ops::affine_grad, ops::row_dot, ops::gain, ops::adamw] {
        property(&make).assert_ok();
    }
}
