//! What a device says it is and can do.

use core::ffi::CStr;

use ash::{khr, vk};

use crate::bfloat;
use crate::error::{Called, VulkanError};
use crate::instance::Instance;
use crate::select::DeviceInfo;

/// `None` for a device without Vulkan 1.2 or without a queue that computes.
pub(crate) fn inspect(
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
    let stamps = families.get(family).is_some_and(|f| f.timestamp_valid_bits > 0);
    let extensions = Extensions::of(instance, raw)?;
    let Properties { properties, subgroup, compute_subgroups, driver } =
        Properties::of(instance, raw, version);
    let features = Features::of(instance, raw, version, &extensions);
    let (f16_matrices, bf16_matrices) = matrices(instance, raw, &features)?;
    let limits = properties.limits;
    let most = limits.max_compute_work_group_size[0];
    Ok(Some(DeviceInfo {
        name: text(properties.device_name_as_c_str().ok()),
        driver,
        kind: properties.device_type.into(),
        vulkan: version,
        memory: memory(instance, raw),
        binding: u64::from(limits.max_storage_buffer_range),
        shared: limits.max_compute_shared_memory_size,
        invocations: limits.max_compute_work_group_invocations.min(most),
        subgroup,
        half_storage: features.half_storage,
        f16_matrices,
        bf16_matrices,
        timestamps: stamps && limits.timestamp_period > 0.0,
        align: limits.min_storage_buffer_offset_alignment.max(16),
        bindings: limits.max_per_stage_descriptor_storage_buffers,
        steps: steps(properties.device_type),
        tick: limits.timestamp_period,
        family: family as u32,
        memory_model: features.memory_model,
        subgroup_control: features.subgroup_control && compute_subgroups,
        portability: extensions.portability,
        timeline: features.timeline,
        ids: (properties.vendor_id, properties.device_id, properties.pipeline_cache_uuid),
        raw,
    }))
}

/// Steps of all loops of an invocation together. Mesa's driver for CPUs ends loops after 65,535
/// (`LP_MAX_TGSI_LOOP_ITERATIONS`, "shared between every loop"), and no driver says how many it allows.
fn steps(kind: vk::PhysicalDeviceType) -> usize {
    match kind {
        vk::PhysicalDeviceType::CPU => 65_535,
        _ => usize::MAX,
    }
}

/// What a device says of itself.
struct Properties {
    properties: vk::PhysicalDeviceProperties,
    /// Invocations in a subgroup.
    subgroup: u32,
    /// Compute shaders can ask for a size of subgroups.
    compute_subgroups: bool,
    /// Name and version.
    driver: String,
}

impl Properties {
    fn of(instance: &Instance, raw: vk::PhysicalDevice, version: (u32, u32)) -> Self {
        let mut subgroup = vk::PhysicalDeviceSubgroupProperties::default();
        let mut driver = vk::PhysicalDeviceDriverProperties::default();
        let mut sizes = vk::PhysicalDeviceSubgroupSizeControlProperties::default();
        let mut all = vk::PhysicalDeviceProperties2::default()
            .push_next(&mut subgroup)
            .push_next(&mut driver);
        if version >= (1, 3) {
            all = all.push_next(&mut sizes);
        }
        // SAFETY: all structures are known to the version of Vulkan that the device has.
        unsafe { instance.raw.get_physical_device_properties2(raw, &mut all) };
        let properties = all.properties;
        let stages = sizes.required_subgroup_size_stages;
        let (name, info) = (driver.driver_name_as_c_str(), driver.driver_info_as_c_str());
        Self {
            properties,
            subgroup: subgroup.subgroup_size,
            compute_subgroups: stages.contains(vk::ShaderStageFlags::COMPUTE),
            driver: format!("{} {}", text(name.ok()), text(info.ok())),
        }
    }
}

/// The optional extensions a device has.
struct Extensions {
    matrices: bool,
    bf16: bool,
    portability: bool,
}

impl Extensions {
    fn of(instance: &Instance, raw: vk::PhysicalDevice) -> Result<Self, VulkanError> {
        // SAFETY: `raw` comes from this instance.
        let all = unsafe { instance.raw.enumerate_device_extension_properties(raw) }
            .called("vkEnumerateDeviceExtensionProperties")?;
        let has = |name: &CStr| all.iter().any(|e| e.extension_name_as_c_str() == Ok(name));
        Ok(Self {
            matrices: has(khr::cooperative_matrix::NAME),
            bf16: has(bfloat::NAME),
            portability: has(khr::portability_subset::NAME),
        })
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
