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

/// A number of bytes in words.
#[must_use]
pub fn words(bytes: u64) -> String {
    let bytes = bytes as f64;
    match bytes {
        b if b >= 1e9 => format!("{:.2} GB", b / 1e9),
        b if b >= 1e6 => format!("{:.1} MB", b / 1e6),
        b => format!("{:.1} KB", b / 1e3),
    }
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

    #[test]
    fn sizes_have_units() {
        assert_eq!(
            [words(1500), words(2_500_000), words(3_210_000_000)],
            ["1.5 KB", "2.5 MB", "3.21 GB"]
        );
    }
}
