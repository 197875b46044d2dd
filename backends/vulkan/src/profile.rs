//! How long each kernel took.

use core::fmt;

/// One run of a kernel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) stem: &'static str,
    pub(crate) flops: u64,
    pub(crate) bytes: u64,
}

/// What one kernel took in all.
#[derive(Clone, Debug, PartialEq)]
pub struct KernelTime {
    /// The kernel's name: that of its shader.
    pub kernel: &'static str,
    /// How often it ran.
    pub runs: u64,
    /// The time all runs took, in seconds.
    pub seconds: f64,
    /// Floating-point operations of all runs.
    pub flops: u64,
    /// Bytes of their operands, each once.
    pub bytes: u64,
}

/// The time of every kernel, measured by the device. As text: a table, the slowest first.
///
/// A kernel's time is that between two timestamps round it. Kernels that do not depend on each
/// other may overlap, so that the sum can exceed the time that passed.
#[derive(Clone, Debug)]
pub struct Profile {
    /// The kernels that ran.
    pub kernels: Vec<KernelTime>,
    /// Nanoseconds in one tick of the device's clock.
    tick: f64,
}

impl Profile {
    pub(crate) fn new(tick: f32) -> Self {
        Self { kernels: Vec::new(), tick: f64::from(tick) }
    }

    pub(crate) fn add(&mut self, Sample { stem, flops, bytes }: Sample, ticks: u64) {
        let found = self.kernels.iter().position(|k| k.kernel == stem);
        let at = found.unwrap_or(self.kernels.len());
        if found.is_none() {
            let empty = KernelTime { kernel: stem, runs: 0, seconds: 0.0, flops: 0, bytes: 0 };
            self.kernels.push(empty);
        }
        if let Some(kernel) = self.kernels.get_mut(at) {
            kernel.runs += 1;
            kernel.seconds += ticks as f64 * self.tick * 1e-9;
            kernel.flops += flops;
            kernel.bytes += bytes;
        }
    }

    /// The time of all kernels, in seconds.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.kernels.iter().map(|k| k.seconds).sum()
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut kernels: Vec<&KernelTime> = self.kernels.iter().collect();
        kernels.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
        let all = self.seconds();
        writeln!(f, "kernel                     runs       ms  share    GB/s   GFLOP/s")?;
        for KernelTime { kernel, runs, seconds, flops, bytes } in kernels {
            let per_second = |amount: u64| amount as f64 / seconds.max(1e-12) * 1e-9;
            let (ms, share) = (seconds * 1e3, seconds / all.max(1e-12) * 100.0);
            let (gb, gflop) = (per_second(*bytes), per_second(*flops));
            writeln!(f, "{kernel:<24} {runs:>6} {ms:>8.3} {share:>5.1}% {gb:>7.1} {gflop:>9.1}")?;
        }
        write!(f, "all                             {:>8.3}", all * 1e3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_a_kernel_add_up() {
        let mut profile = Profile::new(2.0);
        let sample = |stem| Sample { stem, flops: 100, bytes: 40 };
        profile.add(sample("gemm"), 500);
        profile.add(sample("axpy"), 50);
        profile.add(sample("gemm"), 500);
        let gemm = profile.kernels.iter().find(|k| k.kernel == "gemm");
        assert!(gemm.is_some_and(|k| k.runs == 2 && k.flops == 200 && k.bytes == 80));
        assert!((profile.seconds() - 2.1e-6).abs() < 1e-12);
        let text = profile.to_string();
        let rows: Vec<&str> = text.lines().collect();
        assert!(rows.len() == 4 && rows[1].starts_with("gemm"), "the slowest first: {text}");
    }
}
