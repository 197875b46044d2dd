//! How much memory the process has taken.

use std::fs;

/// The most memory that the process ever had, in bytes; `None` where the system does not say.
#[must_use]
pub fn peak() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    // The current size where the peak is not counted.
    field(&status, "VmHWM:").or_else(|| field(&status, "VmRSS:"))
}

/// A field of `/proc/self/status` in bytes.
fn field(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_read_in_bytes() {
        let status = "Name:\tdecora\nVmHWM:\t    1234 kB\nVmRSS:\t 99 kB\n";
        assert_eq!(
            (field(status, "VmHWM:"), field(status, "VmRSS:")),
            (Some(1_263_616), Some(101_376))
        );
        assert_eq!(field(status, "VmSwap:"), None);
    }
}
