//! How tests get a device: also those of other crates, which take this file by its path.

use decora_vulkan::{Gpu, Settings, VulkanError};

/// The device that `settings` or else the environment asks for. Without any, the test is skipped,
/// and says so; unless `DECORA_REQUIRE` has the word `vulkan`.
pub(crate) fn gpu(settings: Settings) -> Option<Gpu> {
    let settings = match (&settings.device, Settings::from_env().device) {
        (None, Some(device)) => settings.on(device),
        _ => settings,
    };
    let missing = match Gpu::with(settings) {
        Ok(gpu) => return Some(gpu),
        Err(e @ (VulkanError::NoDriver { .. } | VulkanError::NoDevice { wanted: None, .. })) => e,
        Err(e) => panic!("{e}"),
    };
    let required = std::env::var("DECORA_REQUIRE").unwrap_or_default();
    let required = required.split_whitespace().any(|word| word == "vulkan");
    assert!(!required, "vulkan must not be skipped here: {missing}");
    eprintln!("SKIPPED: {missing}");
    None
}
