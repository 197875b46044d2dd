//! The first GPU that is found, or the one that `DECORA_DEVICE` names.

use std::rc::Rc;

use decora::{bf16, f16};
use decora_conformance::check::{Candidate, Devices};
use decora_vulkan::{Gpu, GpuScalar, Vulkan};

/// `vulkan`: `f32`, `f16` and `bf16`. What the validation layer says is a failure.
pub(crate) fn candidate() -> Candidate {
    Candidate::new("vulkan", || {
        let gpu = Rc::new(Gpu::open().map_err(|e| e.to_string())?);
        let devices = Devices::named(gpu.name())
            .sequence(fresh::<f32>(&gpu))
            .sequence(fresh::<f16>(&gpu))
            .sequence(fresh::<bf16>(&gpu));
        Ok(devices.messages(move || gpu.messages()))
    })
}

/// Makes devices. One that cannot be made fails the property it was made for.
fn fresh<T: GpuScalar>(gpu: &Rc<Gpu>) -> impl Fn() -> Vulkan<T> + 'static {
    let gpu = Rc::clone(gpu);
    move || Vulkan::new(&gpu).unwrap_or_else(|e| panic!("{e}"))
}
