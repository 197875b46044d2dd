//! Which devices there are, what each can do, and which one is meant.

use core::fmt;

use ash::vk;

use crate::error::{Called, VulkanError};
use crate::inspect::inspect;
use crate::instance::Instance;

/// What a device is, and what it can do.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DeviceInfo {
    /// The name its driver gives it.
    pub name: String,
    /// Name and version of the driver.
    pub driver: String,
    /// Discrete, integrated, virtual, CPU or other.
    pub kind: DeviceKind,
    /// Major and minor version of Vulkan.
    pub vulkan: (u32, u32),
    /// Bytes of the largest heap of its own memory.
    pub memory: u64,
    /// The largest buffer an operation can take, in bytes.
    pub binding: u64,
    /// Bytes of shared memory in a workgroup.
    pub shared: u32,
    /// Invocations in a workgroup, at most.
    pub invocations: u32,
    /// Invocations in a subgroup.
    pub subgroup: u32,
    /// 16-bit elements can be stored as such.
    pub half_storage: bool,
    /// Shapes (m, n, k) of cooperative matrices of f16, summed in f32.
    pub f16_matrices: Vec<(u32, u32, u32)>,
    /// Shapes (m, n, k) of cooperative matrices of bf16, summed in f32.
    pub bf16_matrices: Vec<(u32, u32, u32)>,
    /// Timestamps can be taken.
    pub timestamps: bool,
    /// What parts of buffers are bound at multiples of: 16 or more, as kernels read vectors.
    pub(crate) align: u64,
    /// Buffers a kernel can bind.
    pub(crate) bindings: u32,
    /// Steps that all loops of an invocation take together: with more, the driver ends them early.
    pub(crate) steps: usize,
    pub(crate) tick: f32,
    pub(crate) family: u32,
    pub(crate) memory_model: bool,
    pub(crate) subgroup_control: bool,
    /// A layer over another interface, such as Metal: must be asked for by name.
    pub(crate) portability: bool,
    pub(crate) timeline: bool,
    pub(crate) ids: (u32, u32, [u8; vk::UUID_SIZE]),
    pub(crate) raw: vk::PhysicalDevice,
}

/// Kinds of devices, fastest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum DeviceKind {
    /// A GPU with memory of its own.
    Discrete,
    /// A GPU that shares the host's memory.
    Integrated,
    /// A GPU lent to a virtual machine.
    Virtual,
    /// Something else.
    Other,
    /// A CPU that runs shaders, such as lavapipe.
    Cpu,
}

impl From<vk::PhysicalDeviceType> for DeviceKind {
    fn from(kind: vk::PhysicalDeviceType) -> Self {
        match kind {
            vk::PhysicalDeviceType::DISCRETE_GPU => Self::Discrete,
            vk::PhysicalDeviceType::INTEGRATED_GPU => Self::Integrated,
            vk::PhysicalDeviceType::VIRTUAL_GPU => Self::Virtual,
            vk::PhysicalDeviceType::CPU => Self::Cpu,
            _ => Self::Other,
        }
    }
}

impl fmt::Display for DeviceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Discrete => "discrete GPU",
            Self::Integrated => "integrated GPU",
            Self::Virtual => "virtual GPU",
            Self::Other => "other device",
            Self::Cpu => "CPU",
        })
    }
}

impl fmt::Display for DeviceInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (major, minor) = self.vulkan;
        let Self { name, kind, driver, subgroup, .. } = self;
        let gib = self.memory as f64 / f64::from(1 << 30);
        let (kib, mib) = (self.shared >> 10, self.binding >> 20);
        write!(f, "{name} ({kind}, {driver}, Vulkan {major}.{minor}): {gib:.1} GiB")?;
        write!(f, ", buffers to {mib} MiB, {kib} KiB shared, subgroups of {subgroup}")?;
        write!(f, ", 16-bit storage: {}", if self.half_storage { "yes" } else { "no" })?;
        for (what, shapes) in [("f16", &self.f16_matrices), ("bf16", &self.bf16_matrices)] {
            let shapes: Vec<String> =
                shapes.iter().map(|(m, n, k)| format!("{m}×{n}×{k}")).collect();
            let shapes = if shapes.is_empty() { "none".into() } else { shapes.join(" ") };
            write!(f, ", {what} matrices: {shapes}")?;
        }
        Ok(())
    }
}

/// Every device of an instance that could run this crate's shaders, in the driver's order.
pub(crate) fn devices(instance: &Instance) -> Result<Vec<DeviceInfo>, VulkanError> {
    // SAFETY: the instance is alive.
    let all = unsafe { instance.raw.enumerate_physical_devices() }
        .called("vkEnumeratePhysicalDevices")?;
    let infos = all.into_iter().map(|raw| inspect(instance, raw));
    Ok(infos.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
}

/// The device that `wanted` means: a number in the list, or a part of a name; without it, the first
/// of the fastest kind.
pub(crate) fn choose(
    devices: &[DeviceInfo],
    wanted: Option<&str>,
) -> Result<DeviceInfo, VulkanError> {
    let chosen = match wanted.map(str::trim) {
        None => devices.iter().min_by_key(|d| d.kind),
        Some(text) => match text.parse::<usize>() {
            Ok(number) => devices.get(number),
            Err(_) => {
                let part = text.to_lowercase();
                devices.iter().find(|d| d.name.to_lowercase().contains(&part))
            }
        },
    };
    let numbered = || devices.iter().enumerate().map(|(i, d)| format!("{i}: {}", d.name));
    let wanted = wanted.map(str::to_owned);
    chosen.cloned().ok_or_else(|| VulkanError::NoDevice { wanted, found: numbered().collect() })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn device(name: &str, kind: DeviceKind) -> DeviceInfo {
        DeviceInfo {
            name: name.into(),
            driver: String::new(),
            kind,
            vulkan: (1, 3),
            memory: 0,
            binding: 1 << 27,
            shared: 1 << 15,
            invocations: 1024,
            subgroup: 32,
            half_storage: true,
            f16_matrices: vec![(16, 16, 16)],
            bf16_matrices: Vec::new(),
            timestamps: true,
            align: 16,
            bindings: 16,
            steps: usize::MAX,
            tick: 1.0,
            family: 0,
            memory_model: true,
            subgroup_control: true,
            portability: false,
            timeline: true,
            ids: Default::default(),
            raw: vk::PhysicalDevice::null(),
        }
    }

    fn name(devices: &[DeviceInfo], wanted: Option<&str>) -> Result<String, VulkanError> {
        choose(devices, wanted).map(|d| d.name)
    }

    #[test]
    fn a_number_a_part_of_a_name_or_the_fastest_kind() {
        let all = [
            device("llvmpipe", DeviceKind::Cpu),
            device("Radeon 780M", DeviceKind::Integrated),
            device("GeForce 4060", DeviceKind::Discrete),
        ];
        assert_eq!(name(&all, None), Ok("GeForce 4060".into()));
        assert_eq!(name(&all, Some("1")), Ok("Radeon 780M".into()));
        assert_eq!(name(&all, Some(" LLVM ")), Ok("llvmpipe".into()));
    }

    #[test]
    fn an_unknown_device_is_named_with_those_there_are() {
        let all = [device("llvmpipe", DeviceKind::Cpu)];
        let error = name(&all, Some("arc")).map_err(|e| e.to_string());
        let expected = "no Vulkan device \"arc\": found 0: llvmpipe (set DECORA_DEVICE)";
        assert_eq!(error, Err(expected.into()));
        assert!(matches!(name(&all, Some("7")), Err(VulkanError::NoDevice { .. })));
        assert!(matches!(name(&[], None), Err(VulkanError::NoDevice { .. })));
    }

    #[test]
    fn a_device_is_shown_with_what_it_can_do() {
        let shown = device("GeForce", DeviceKind::Discrete).to_string();
        assert!(shown.contains("discrete GPU"), "{shown}");
        assert!(shown.ends_with("f16 matrices: 16×16×16, bf16 matrices: none"), "{shown}");
    }
}
