//! How a device is opened.

use std::env;

use crate::select::DeviceKind;

/// How a device is opened. Every field has a default; [`Settings::from_env`] reads them from the
/// environment.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Settings {
    /// Which device: its number in [`Gpu::list`](crate::Gpu::list), or a part of its name. The
    /// default is the fastest kind there is.
    pub device: Option<String>,
    /// Turns the validation layer on, synchronisation validation included; see
    /// [`Gpu::messages`](crate::Gpu::messages).
    pub validation: bool,
    /// Measures the time of every kernel; see [`Vulkan::profile`](crate::Vulkan::profile).
    pub profile: bool,
    /// Does without what some devices lack, to test on one that has it.
    pub limits: Limits,
    /// Trouble to be in, to test that it is survived.
    pub faults: Faults,
}

/// Limits that are smaller than the device's own, and choices that are not its own.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Limits {
    /// No 16-bit storage: half-precision elements take a word each.
    pub no_half_storage: bool,
    /// No cooperative matrices.
    pub no_cooperative_matrix: bool,
    /// Only the portable products.
    pub portable_only: bool,
    /// Kernels and tiles are chosen as for a device of this kind.
    pub kind: Option<DeviceKind>,
    /// The largest buffer that can be bound, in bytes.
    pub binding: Option<u64>,
    /// The largest part of a frozen weight that lies in one buffer, in bytes.
    pub weight: Option<u64>,
    /// How many floating-point operations one submission may hold.
    pub work: Option<u64>,
    /// How many steps all loops of an invocation may take together.
    pub steps: Option<usize>,
}

/// Faults to inject.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Faults {
    /// The device is lost at this submission, counted from 1.
    pub lose_at: Option<u64>,
    /// More than this many bytes of buffers are out of memory.
    pub memory: Option<u64>,
    /// The barrier of this number, counted from 0, is left out.
    pub skip_barrier: Option<u64>,
}

impl Settings {
    /// `DECORA_DEVICE`: number or part of a name. `DECORA_VALIDATION` and `DECORA_PROFILE`: on when
    /// set to anything but 0.
    #[must_use]
    pub fn from_env() -> Self {
        let text = |name| env::var(name).ok().filter(|v| !v.trim().is_empty());
        let on = |name| text(name).is_some_and(|v| v.trim() != "0");
        Self {
            device: text("DECORA_DEVICE"),
            validation: on("DECORA_VALIDATION"),
            profile: on("DECORA_PROFILE"),
            ..Self::default()
        }
    }

    /// With this device.
    #[must_use]
    pub fn on(mut self, device: impl Into<String>) -> Self {
        self.device = Some(device.into());
        self
    }

    /// With the validation layer.
    #[must_use]
    pub fn validated(mut self) -> Self {
        self.validation = true;
        self
    }

    /// With the time of every kernel measured.
    #[must_use]
    pub fn profiled(mut self) -> Self {
        self.profile = true;
        self
    }

    /// Within these limits.
    #[must_use]
    pub fn within(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// With these faults.
    #[must_use]
    pub fn with_faults(mut self, faults: Faults) -> Self {
        self.faults = faults;
        self
    }
}
