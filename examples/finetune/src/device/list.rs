//! What there is to compute on, in words.

use decora_vulkan::Gpu;

use super::cpu_name;

/// A line for each device: how to ask for it, and what it can do.
#[must_use]
pub fn list() -> String {
    let mut lines = vec![format!("cpu: {}", cpu_name())];
    match Gpu::list() {
        Ok(all) if all.is_empty() => lines.push("no Vulkan device".to_owned()),
        Ok(all) => lines.extend(all.iter().enumerate().map(|(i, info)| format!("{i}: {info}"))),
        Err(e) => lines.push(format!("no Vulkan device: {e}")),
    }
    lines.join("\n")
}
