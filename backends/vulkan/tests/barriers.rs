//! A barrier that is missing does not go unnoticed: synchronisation validation sees it even on a
//! device that happens to run everything in order.

mod common;

use decora::backend::{Backend, Store};
use decora::buffer::Acc;
use decora::mat::{Mat, MatMut};
use decora_vulkan::{Faults, Gpu, Settings, Vulkan, VulkanError};

/// A device with the validation layer on; where there is no such layer, the test is skipped, and
/// says so, unless `DECORA_REQUIRE` has the word `validation`.
fn validated(faults: Faults) -> Option<Gpu> {
    match Gpu::with(Settings::from_env().validated()) {
        Err(e @ VulkanError::NoValidation) => {
            let required = std::env::var("DECORA_REQUIRE").unwrap_or_default();
            assert!(!required.split_whitespace().any(|word| word == "validation"), "{e}");
            eprintln!("SKIPPED: {e}");
            None
        }
        _ => common::gpu(Settings::from_env().validated().with_faults(faults)),
    }
}

/// What the layer says of a chain: a product, read by an axpy, whose result is read by another
/// product; and how many barriers that took.
fn chain(gpu: &Gpu) -> Result<(Vec<String>, u64), decora::error::Error<VulkanError>> {
    let mut be = Vulkan::<f32>::new(gpu)?;
    let before = gpu.barriers();
    let (n, replace) = (24, Store::Replace);
    let mut bufs = [be.alloc::<Acc>(n * n)?, be.alloc::<Acc>(n * n)?, be.alloc::<Acc>(n * n)?];
    be.write::<Acc>(&mut bufs[0], 0, &vec![0.5; n * n])?;
    for _ in 0..2 {
        let [a, b, c] = &mut bufs;
        let x = Mat::<_, Acc>::new(a, n, n)?;
        be.gemm(1.0, x, x, replace, MatMut::<_, Acc>::new(b, n, n)?)?;
        let y = Mat::<_, Acc>::new(b, n, n)?;
        be.axpy(2.0, y, replace, MatMut::<_, Acc>::new(c, n, n)?)?;
        bufs.rotate_left(2);
    }
    be.finish()?;
    Ok((gpu.messages(), gpu.barriers() - before))
}

#[test]
fn every_barrier_is_needed_and_none_is_missing() {
    let Some(gpu) = validated(Faults::default()) else { return };
    let (messages, barriers) = chain(&gpu).expect("a chain of operations");
    assert!(messages.is_empty(), "{messages:?}");
    assert!(barriers >= 4, "{barriers} barriers in a chain of five dependent operations");
    for missing in 0..barriers {
        let mut faults = Faults::default();
        faults.skip_barrier = Some(missing);
        let Some(gpu) = validated(faults) else { return };
        let (messages, _) = chain(&gpu).expect("a chain of operations");
        let hazard = messages.iter().any(|m| m.contains("SYNC-HAZARD"));
        assert!(hazard, "nobody missed barrier {missing}: {messages:?}");
    }
}
