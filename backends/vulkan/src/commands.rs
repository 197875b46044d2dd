//! Commands as they are recorded: barriers, and runs of kernels.

use ash::vk;

use crate::gpu::Shared;
use crate::pipelines::Pipeline;

/// Stages whose operations conflict with each other: all that this crate records.
const STAGES: vk::PipelineStageFlags = vk::PipelineStageFlags::from_raw(
    vk::PipelineStageFlags::COMPUTE_SHADER.as_raw() | vk::PipelineStageFlags::TRANSFER.as_raw(),
);

/// All that comes after waits for all that came before.
pub(crate) fn barrier(shared: &Shared, commands: vk::CommandBuffer) {
    let written = vk::AccessFlags::SHADER_WRITE | vk::AccessFlags::TRANSFER_WRITE;
    let used = written | vk::AccessFlags::SHADER_READ | vk::AccessFlags::TRANSFER_READ;
    let memory = vk::MemoryBarrier::default().src_access_mask(written).dst_access_mask(used);
    pipeline_barrier(shared, commands, STAGES, memory);
}

/// What was copied becomes visible to the host.
pub(crate) fn to_host(shared: &Shared, commands: vk::CommandBuffer) {
    let memory = vk::MemoryBarrier::default()
        .src_access_mask(vk::AccessFlags::TRANSFER_WRITE)
        .dst_access_mask(vk::AccessFlags::HOST_READ);
    pipeline_barrier(shared, commands, vk::PipelineStageFlags::HOST, memory);
}

fn pipeline_barrier(
    shared: &Shared,
    commands: vk::CommandBuffer,
    to: vk::PipelineStageFlags,
    memory: vk::MemoryBarrier<'_>,
) {
    let none = vk::DependencyFlags::empty();
    // SAFETY: `commands` is being recorded.
    unsafe { shared.raw.cmd_pipeline_barrier(commands, STAGES, to, none, &[memory], &[], &[]) };
}

/// A run of `pipeline` on what `set` binds.
pub(crate) fn record(
    shared: &Shared,
    commands: vk::CommandBuffer,
    pipeline: &Pipeline,
    set: vk::DescriptorSet,
    push: &[u8],
    [x, y, z]: [u32; 3],
) {
    let (device, point) = (&shared.raw, vk::PipelineBindPoint::COMPUTE);
    // SAFETY: `commands` is being recorded; the pipeline lives as long as the device.
    unsafe { device.cmd_bind_pipeline(commands, point, pipeline.raw) };
    // SAFETY: the set was written for this layout, and its pool is not reset before the device is
    // done.
    unsafe { device.cmd_bind_descriptor_sets(commands, point, pipeline.layout, 0, &[set], &[]) };
    let stage = vk::ShaderStageFlags::COMPUTE;
    // SAFETY: the layout has a range of exactly these bytes.
    unsafe { device.cmd_push_constants(commands, pipeline.layout, stage, 0, push) };
    // SAFETY: the counts are within the device's limits: `Launch` sees to that.
    unsafe { device.cmd_dispatch(commands, x, y, z) };
}
