//! What the tests on a Vulkan device share.

use decora_vulkan::{Gpu, VulkanError};

/// Whether there is a Vulkan device. Without one, the test is skipped, and says so; unless
/// `DECORA_REQUIRE` has the word `vulkan`.
pub(crate) fn has_vulkan() -> bool {
    let missing = match Gpu::open() {
        Ok(_) => return true,
        Err(e @ (VulkanError::NoDriver { .. } | VulkanError::NoDevice { wanted: None, .. })) => e,
        Err(e) => panic!("{e}"),
    };
    let required = std::env::var("DECORA_REQUIRE").unwrap_or_default();
    let required = required.split_whitespace().any(|word| word == "vulkan");
    assert!(!required, "vulkan must not be skipped here: {missing}");
    eprintln!("SKIPPED: {missing}");
    false
}
