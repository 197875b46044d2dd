//! Which devices there are, what each can do, and which one is meant.

use core::ffi::CStr;
use core::fmt;

use ash::{khr, vk};

use crate::bfloat;
use crate::error::{Called, VulkanError};
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
    pub(crate) tick: f32,
    pub(crate) family: u32,
    pub(crate) memory_model: bool,
    pub(crate) subgroup_control: bool,
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

/// `None` for a device without Vulkan 1.2 or without a queue that computes.
fn inspect(
    instance: &Instance,
    raw: vk::PhysicalDevice,
) -> Result<Option<DeviceInfo>, VulkanError> {
    let call = &instance.raw;
    // SAFETY: `raw` comes from this instance.
    let version = unsafe { call.get_physical_device_properties(raw) }.api_version;
    let version = (vk::api_version_major(version), vk::api_version_minor(version));
    // SAFETY: as above.
    let families = unsafe { call.get_physical_device_queue_family_properties(raw) };
    let computes = |f: &vk::QueueFamilyProperties| f.queue_flags.contains(vk::QueueFlags::COMPUTE);
    let (Some(family), true) = (families.iter().position(computes), version >= (1, 2)) else {
        return Ok(None);
    };
    let extensions = Extensions::of(instance, raw)?;
    let mut subgroup = vk::PhysicalDeviceSubgroupProperties::default();
    let mut driver = vk::PhysicalDeviceDriverProperties::default();
    let mut properties =
        vk::PhysicalDeviceProperties2::default().push_next(&mut subgroup).push_next(&mut driver);
    // SAFETY: both structures are known to Vulkan 1.2, which the device has.
    unsafe { call.get_physical_device_properties2(raw, &mut properties) };
    let properties = properties.properties;
    let features = Features::of(instance, raw, version, &extensions);
    let (f16_matrices, bf16_matrices) = matrices(instance, raw, &features)?;
    let limits = properties.limits;
    let bits = families.get(family).map_or(0, |f| f.timestamp_valid_bits);
    Ok(Some(DeviceInfo {
        name: text(properties.device_name_as_c_str().ok()),
        driver: format!(
            "{} {}",
            text(driver.driver_name_as_c_str().ok()),
            text(driver.driver_info_as_c_str().ok())
        ),
        kind: properties.device_type.into(),
        vulkan: version,
        memory: memory(instance, raw),
        binding: u64::from(limits.max_storage_buffer_range),
        shared: limits.max_compute_shared_memory_size,
        invocations: limits
            .max_compute_work_group_invocations
            .min(limits.max_compute_work_group_size[0]),
        subgroup: subgroup.subgroup_size,
        half_storage: features.half_storage,
        f16_matrices,
        bf16_matrices,
        timestamps: bits > 0 && limits.timestamp_period > 0.0,
        align: limits.min_storage_buffer_offset_alignment.max(16),
        bindings: limits.max_per_stage_descriptor_storage_buffers,
        tick: limits.timestamp_period,
        family: family as u32,
        memory_model: features.memory_model,
        subgroup_control: features.subgroup_control,
        timeline: features.timeline,
        ids: (properties.vendor_id, properties.device_id, properties.pipeline_cache_uuid),
        raw,
    }))
}

/// The optional extensions a device has.
struct Extensions {
    matrices: bool,
    bf16: bool,
}

impl Extensions {
    fn of(instance: &Instance, raw: vk::PhysicalDevice) -> Result<Self, VulkanError> {
        // SAFETY: `raw` comes from this instance.
        let all = unsafe { instance.raw.enumerate_device_extension_properties(raw) }
            .called("vkEnumerateDeviceExtensionProperties")?;
        let has = |name: &CStr| all.iter().any(|e| e.extension_name_as_c_str() == Ok(name));
        Ok(Self { matrices: has(khr::cooperative_matrix::NAME), bf16: has(bfloat::NAME) })
    }
}

struct Features {
    half_storage: bool,
    timeline: bool,
    memory_model: bool,
    subgroup_control: bool,
    matrices: bool,
    bf16: bool,
}

impl Features {
    fn of(
        instance: &Instance,
        raw: vk::PhysicalDevice,
        version: (u32, u32),
        extensions: &Extensions,
    ) -> Self {
        let mut v11 = vk::PhysicalDeviceVulkan11Features::default();
        let mut v12 = vk::PhysicalDeviceVulkan12Features::default();
        let mut control = vk::PhysicalDeviceSubgroupSizeControlFeatures::default();
        let mut matrices = vk::PhysicalDeviceCooperativeMatrixFeaturesKHR::default();
        let mut bf16 = bfloat::Features::default();
        let mut all =
            vk::PhysicalDeviceFeatures2::default().push_next(&mut v11).push_next(&mut v12);
        if version >= (1, 3) {
            all = all.push_next(&mut control);
        }
        if extensions.matrices {
            all = all.push_next(&mut matrices);
        }
        if extensions.bf16 {
            all = all.push_next(&mut bf16);
        }
        // SAFETY: every structure in the chain belongs to Vulkan 1.2 or to an extension that is there.
        unsafe { instance.raw.get_physical_device_features2(raw, &mut all) };
        let model = v12.vulkan_memory_model == vk::TRUE;
        let matrices =
            matrices.cooperative_matrix == vk::TRUE && model && v12.shader_float16 == vk::TRUE;
        Self {
            half_storage: v11.storage_buffer16_bit_access == vk::TRUE,
            timeline: v12.timeline_semaphore == vk::TRUE,
            memory_model: model,
            subgroup_control: control.subgroup_size_control == vk::TRUE
                && control.compute_full_subgroups == vk::TRUE,
            matrices,
            bf16: matrices && bf16.matrices == vk::TRUE,
        }
    }
}

fn text(s: Option<&CStr>) -> String {
    s.map_or_else(|| "?".into(), |s| s.to_string_lossy().into_owned())
}

type Shapes = Vec<(u32, u32, u32)>;

/// The shapes of cooperative matrices of f16 and of bf16.
fn matrices(
    instance: &Instance,
    raw: vk::PhysicalDevice,
    features: &Features,
) -> Result<(Shapes, Shapes), VulkanError> {
    if !features.matrices {
        return Ok(Default::default());
    }
    let call = khr::cooperative_matrix::Instance::new(&instance.entry, &instance.raw);
    // SAFETY: the extension is there, or `Features::of` would have said no.
    let all = unsafe { call.get_physical_device_cooperative_matrix_properties(raw) }
        .called("vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR")?;
    let f16 = shapes_of(&all, vk::ComponentTypeKHR::FLOAT16);
    let bf16 = if features.bf16 { shapes_of(&all, bfloat::COMPONENT) } else { Vec::new() };
    Ok((f16, bf16))
}

/// Shapes with operands of this type, summed in f32, one matrix to a subgroup.
fn shapes_of(
    all: &[vk::CooperativeMatrixPropertiesKHR<'_>],
    operand: vk::ComponentTypeKHR,
) -> Shapes {
    let sum = vk::ComponentTypeKHR::FLOAT32;
    all.iter()
        .filter(|p| (p.a_type, p.b_type) == (operand, operand))
        .filter(|p| (p.c_type, p.result_type) == (sum, sum))
        .filter(|p| p.scope == vk::ScopeKHR::SUBGROUP && p.saturating_accumulation == vk::FALSE)
        .map(|p| (p.m_size, p.n_size, p.k_size))
        .collect()
}

fn memory(instance: &Instance, raw: vk::PhysicalDevice) -> u64 {
    // SAFETY: `raw` comes from this instance.
    let memory = unsafe { instance.raw.get_physical_device_memory_properties(raw) };
    let local = |h: &&vk::MemoryHeap| h.flags.contains(vk::MemoryHeapFlags::DEVICE_LOCAL);
    memory.memory_heaps_as_slice().iter().filter(local).map(|h| h.size).max().unwrap_or(0)
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
            tick: 1.0,
            family: 0,
            memory_model: true,
            subgroup_control: true,
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
