//! Compiled kernels: made when first used, kept for the life of the device, and on disk for the
//! next run.

use core::fmt;
use std::collections::HashMap;
use std::io::Cursor;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ash::vk;

use crate::cache;
use crate::error::{Called, VulkanError};
use crate::gpu::Shared;
use crate::kernel::{Code, Kernel};
use crate::select::DeviceInfo;

/// Element types, as the shaders number them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub(crate) enum Kind {
    F32 = 0,
    F16 = 1,
    Bf16 = 2,
}

/// A kernel with the constants it is compiled for: constant 0 is the size of a workgroup.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Special {
    pub(crate) kernel: Kernel,
    pub(crate) constants: Vec<u32>,
}

/// What a dispatch needs of a compiled kernel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pipeline {
    pub(crate) raw: vk::Pipeline,
    pub(crate) layout: vk::PipelineLayout,
    pub(crate) set: vk::DescriptorSetLayout,
}

#[derive(Default)]
struct Made {
    modules: HashMap<(Kernel, bool), vk::ShaderModule>,
    layouts: HashMap<Kernel, (vk::DescriptorSetLayout, vk::PipelineLayout)>,
    pipelines: HashMap<Special, Pipeline>,
}

/// The kernels compiled so far.
pub(crate) struct Pipelines {
    cache: vk::PipelineCache,
    made: Mutex<Made>,
}

impl fmt::Debug for Pipelines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pipelines({})", self.lock().pipelines.len())
    }
}

impl Pipelines {
    pub(crate) fn new(device: &ash::Device, info: &DeviceInfo) -> Result<Self, VulkanError> {
        let saved = cache::load(info).unwrap_or_default();
        let create = vk::PipelineCacheCreateInfo::default().initial_data(&saved);
        // SAFETY: the driver checks the data it once wrote, and starts anew when it does not fit.
        let made = unsafe { device.create_pipeline_cache(&create, None) };
        Ok(Self { cache: made.called("vkCreatePipelineCache")?, made: Mutex::default() })
    }

    fn lock(&self) -> MutexGuard<'_, Made> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The compiled kernel, made now if it is not there yet.
    pub(crate) fn get(&self, shared: &Shared, special: Special) -> Result<Pipeline, VulkanError> {
        let mut made = self.lock();
        if let Some(&found) = made.pipelines.get(&special) {
            return Ok(found);
        }
        let (set, layout) = made.layout(&shared.raw, special.kernel)?;
        let module = made.module(shared, &special)?;
        let raw = self.compile(shared, module, layout, &special)?;
        let pipeline = Pipeline { raw, layout, set };
        made.pipelines.insert(special, pipeline);
        Ok(pipeline)
    }

    fn compile(
        &self,
        shared: &Shared,
        module: vk::ShaderModule,
        layout: vk::PipelineLayout,
        Special { kernel, constants }: &Special,
    ) -> Result<vk::Pipeline, VulkanError> {
        let entries: Vec<_> = (0..constants.len() as u32)
            .map(|i| vk::SpecializationMapEntry { constant_id: i, offset: 4 * i, size: 4 })
            .collect();
        let info = vk::SpecializationInfo::default()
            .map_entries(&entries)
            .data(bytemuck::cast_slice(constants));
        let mut subgroup = vk::PipelineShaderStageRequiredSubgroupSizeCreateInfo::default()
            .required_subgroup_size(shared.info.subgroup);
        let mut stage = vk::PipelineShaderStageCreateInfo::default()
            .stage(vk::ShaderStageFlags::COMPUTE)
            .module(module)
            .name(c"main")
            .specialization_info(&info);
        if *kernel == Kernel::GemmCoop && shared.info.subgroup_control {
            stage = stage
                .flags(vk::PipelineShaderStageCreateFlags::REQUIRE_FULL_SUBGROUPS)
                .push_next(&mut subgroup);
        }
        let create = vk::ComputePipelineCreateInfo::default().stage(stage).layout(layout);
        let create = core::slice::from_ref(&create);
        // SAFETY: module and layout belong to this device; constants are words, as declared.
        let made = unsafe { shared.raw.create_compute_pipelines(self.cache, create, None) };
        let made = made.map_err(|(_, e)| e).called("vkCreateComputePipelines")?;
        made.first().copied().ok_or(VulkanError::Api {
            call: "vkCreateComputePipelines",
            result: vk::Result::INCOMPLETE,
        })
    }

    /// Saves what was compiled, and destroys it. The device must be idle.
    pub(crate) fn close(&self, device: &ash::Device, info: &DeviceInfo) {
        // SAFETY: the cache belongs to this device.
        if let Ok(data) = unsafe { device.get_pipeline_cache_data(self.cache) } {
            cache::save(info, &data);
        }
        let made = core::mem::take(&mut *self.lock());
        for pipeline in made.pipelines.values() {
            // SAFETY: the device is idle, and nothing here is used again.
            unsafe { device.destroy_pipeline(pipeline.raw, None) };
        }
        for (set, layout) in made.layouts.into_values() {
            // SAFETY: as above.
            unsafe { device.destroy_pipeline_layout(layout, None) };
            // SAFETY: as above.
            unsafe { device.destroy_descriptor_set_layout(set, None) };
        }
        for module in made.modules.into_values() {
            // SAFETY: as above.
            unsafe { device.destroy_shader_module(module, None) };
        }
        // SAFETY: as above.
        unsafe { device.destroy_pipeline_cache(self.cache, None) };
    }
}

impl Made {
    fn layout(
        &mut self,
        device: &ash::Device,
        kernel: Kernel,
    ) -> Result<(vk::DescriptorSetLayout, vk::PipelineLayout), VulkanError> {
        if let Some(&found) = self.layouts.get(&kernel) {
            return Ok(found);
        }
        let binding = |i| {
            vk::DescriptorSetLayoutBinding::default()
                .binding(i)
                .descriptor_type(vk::DescriptorType::STORAGE_BUFFER)
                .descriptor_count(1)
                .stage_flags(vk::ShaderStageFlags::COMPUTE)
        };
        let bindings: Vec<_> = (0..kernel.bindings().len() as u32).map(binding).collect();
        let info = vk::DescriptorSetLayoutCreateInfo::default().bindings(&bindings);
        // SAFETY: `info` is complete.
        let set = unsafe { device.create_descriptor_set_layout(&info, None) }
            .called("vkCreateDescriptorSetLayout")?;
        let range = vk::PushConstantRange::default()
            .stage_flags(vk::ShaderStageFlags::COMPUTE)
            .size(kernel.push() as u32);
        let (sets, ranges) = ([set], [range]);
        let info = vk::PipelineLayoutCreateInfo::default()
            .set_layouts(&sets)
            .push_constant_ranges(&ranges);
        // SAFETY: `info` is complete, and `set` was made above.
        let layout = unsafe { device.create_pipeline_layout(&info, None) };
        let layout = layout.called("vkCreatePipelineLayout").inspect_err(|_| {
            // SAFETY: made above, and never handed out.
            unsafe { device.destroy_descriptor_set_layout(set, None) }
        })?;
        self.layouts.insert(kernel, (set, layout));
        Ok((set, layout))
    }

    fn module(
        &mut self,
        shared: &Shared,
        special: &Special,
    ) -> Result<vk::ShaderModule, VulkanError> {
        let bf16 = special.constants.get(1) == Some(&(Kind::Bf16 as u32));
        let (variant, code) = match special.kernel.code() {
            Code::Storage { halves, .. } if shared.info.half_storage => (true, halves),
            Code::Storage { words, .. } => (false, words),
            Code::Matrices { bf16: code, .. } if bf16 => (true, code),
            Code::Matrices { f16, .. } => (false, f16),
        };
        let key = (special.kernel, variant);
        if let Some(&found) = self.modules.get(&key) {
            return Ok(found);
        }
        let words = ash::util::read_spv(&mut Cursor::new(code)).map_err(|_| VulkanError::Api {
            call: "vkCreateShaderModule",
            result: vk::Result::ERROR_INVALID_SHADER_NV,
        })?;
        let info = vk::ShaderModuleCreateInfo::default().code(&words);
        // SAFETY: the code was made by a compiler for the features this device was opened with.
        let module = unsafe { shared.raw.create_shader_module(&info, None) }
            .called("vkCreateShaderModule")?;
        self.modules.insert(key, module);
        Ok(module)
    }
}
