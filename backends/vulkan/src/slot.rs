//! What one submission needs for itself: commands, descriptors, staging memory and timestamps.

use std::sync::Arc;

use ash::vk;
use gpu_allocator::MemoryLocation;

use crate::error::{Called, VulkanError};
use crate::gpu::Shared;
use crate::memory::{Block, Dead, Graveyard};
use crate::pipelines::Pipeline;
use crate::profile::{Profile, Sample};
use crate::recorder::Window;

/// Descriptor sets in one pool, each with up to [`BINDINGS`] buffers.
const SETS: u32 = 256;
const BINDINGS: u32 = 9;
/// Runs of kernels in one submission: with more, the device would wait for the host to record them.
const RUNS: u32 = 2048;
/// Runs of kernels that are timed in one submission.
const TIMED: u32 = 1024;
/// The least staging memory taken at a time.
const STAGE: u64 = 256 << 10;
/// Staging memory kept for the next turn.
const KEPT: u64 = 8 << 20;

#[derive(Debug)]
struct Stage {
    block: Block,
    used: u64,
}

/// One submission, being recorded, outstanding or idle.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) commands: vk::CommandBuffer,
    /// Its number, once submitted.
    pub(crate) number: u64,
    /// Buffers that nobody needs once the device is done with this.
    pub(crate) dead: Vec<Dead>,
    pools: Vec<vk::DescriptorPool>,
    sets: u32,
    stages: Vec<Stage>,
    staged: u64,
    timers: Option<vk::QueryPool>,
    samples: Vec<Sample>,
}

/// A measurement that has begun.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timer(u32);

impl Slot {
    pub(crate) fn new(shared: &Shared, pool: vk::CommandPool) -> Result<Self, VulkanError> {
        let info = vk::CommandBufferAllocateInfo::default()
            .command_pool(pool)
            .level(vk::CommandBufferLevel::PRIMARY)
            .command_buffer_count(1);
        // SAFETY: the pool is alive and used by one thread.
        let made = unsafe { shared.raw.allocate_command_buffers(&info) }
            .called("vkAllocateCommandBuffers")?;
        let commands = made.first().copied().unwrap_or_default();
        let timers = match shared.settings.profile && shared.info.timestamps {
            true => Some(timers(shared)?),
            false => None,
        };
        Ok(Self {
            commands,
            number: 0,
            dead: Vec::new(),
            pools: Vec::new(),
            sets: 0,
            stages: Vec::new(),
            staged: 0,
            timers,
            samples: Vec::new(),
        })
    }

    /// Starts to record.
    pub(crate) fn begin(&mut self, shared: &Shared) -> Result<(), VulkanError> {
        for &pool in &self.pools {
            // SAFETY: the device is done with the sets of this slot's last turn.
            unsafe {
                shared.raw.reset_descriptor_pool(pool, vk::DescriptorPoolResetFlags::empty())
            }
            .called("vkResetDescriptorPool")?;
        }
        self.sets = 0;
        let info = vk::CommandBufferBeginInfo::default()
            .flags(vk::CommandBufferUsageFlags::ONE_TIME_SUBMIT);
        // SAFETY: the device is done with the commands; the pool allows a reset.
        unsafe { shared.raw.begin_command_buffer(self.commands, &info) }
            .called("vkBeginCommandBuffer")?;
        if let Some(timers) = self.timers {
            // SAFETY: recording has begun; the pool has this many queries.
            unsafe { shared.raw.cmd_reset_query_pool(self.commands, timers, 0, 2 * TIMED) };
        }
        Ok(())
    }

    /// Recorded in full.
    pub(crate) fn end(&mut self, shared: &Shared) -> Result<(), VulkanError> {
        // SAFETY: recording has begun.
        unsafe { shared.raw.end_command_buffer(self.commands) }.called("vkEndCommandBuffer")
    }

    /// It holds as many runs of kernels as one submission should, or as can be timed in one.
    pub(crate) fn is_full(&self) -> bool {
        self.sets >= RUNS || self.samples.len() >= TIMED as usize
    }

    /// A descriptor set that binds `windows`.
    pub(crate) fn descriptors(
        &mut self,
        shared: &Shared,
        pipeline: &Pipeline,
        windows: &[Window<'_>],
    ) -> Result<vk::DescriptorSet, VulkanError> {
        let number = (self.sets / SETS) as usize;
        if number == self.pools.len() {
            self.pools.push(descriptor_pool(shared)?);
        }
        let pool = self.pools.get(number).copied().unwrap_or_default();
        let layouts = [pipeline.set];
        let info =
            vk::DescriptorSetAllocateInfo::default().descriptor_pool(pool).set_layouts(&layouts);
        // SAFETY: pool and layout are alive.
        let sets = unsafe { shared.raw.allocate_descriptor_sets(&info) }
            .called("vkAllocateDescriptorSets")?;
        self.sets += 1;
        let set = sets.first().copied().unwrap_or_default();
        bind(shared, set, windows);
        Ok(set)
    }

    /// Keeps `bytes` until the device has copied them: where they are.
    pub(crate) fn stage(
        &mut self,
        graveyard: &Arc<Graveyard>,
        bytes: &[u8],
    ) -> Result<(vk::Buffer, u64), VulkanError> {
        let size = (bytes.len() as u64).next_multiple_of(4);
        let fits = |s: &Stage| s.used + size <= s.block.bytes;
        if !self.stages.iter().any(fits) {
            let block = Block::new(graveyard, size.max(STAGE), MemoryLocation::CpuToGpu)?;
            self.stages.push(Stage { block, used: 0 });
        }
        let Some(stage) = self.stages.iter_mut().find(|s| fits(s)) else {
            let reason = "no staging memory".into();
            return Err(VulkanError::OutOfMemory { asked: size, reason });
        };
        let at = stage.used as usize;
        if let Some(place) = stage.block.host().get_mut(at..at + bytes.len()) {
            place.copy_from_slice(bytes);
        }
        stage.used += size;
        self.staged += bytes.len() as u64;
        Ok((stage.block.raw, at as u64))
    }

    /// Makes the staging memory free again; how many bytes were in it.
    pub(crate) fn unstage(&mut self) -> u64 {
        let mut kept = 0;
        self.stages.retain_mut(|stage| {
            stage.used = 0;
            kept += stage.block.bytes;
            kept <= KEPT
        });
        core::mem::take(&mut self.staged)
    }

    /// Begins to measure a kernel, where that was asked for.
    pub(crate) fn start(&mut self, shared: &Shared, sample: Sample) -> Option<Timer> {
        let timers = self.timers?;
        let number = self.samples.len() as u32;
        self.samples.push(sample);
        stamp(shared, self.commands, timers, 2 * number);
        Some(Timer(2 * number + 1))
    }

    /// Ends a measurement.
    pub(crate) fn stop(&mut self, shared: &Shared, Timer(number): Timer) {
        if let Some(timers) = self.timers {
            stamp(shared, self.commands, timers, number);
        }
    }

    /// Adds what was measured to `profile`. The device must be done.
    pub(crate) fn collect(&mut self, shared: &Shared, profile: &mut Profile) {
        let samples = core::mem::take(&mut self.samples);
        let Some(timers) = self.timers.filter(|_| !samples.is_empty()) else { return };
        let mut stamps = vec![0u64; 2 * samples.len()];
        let flags = vk::QueryResultFlags::TYPE_64;
        // SAFETY: all these queries were written by commands the device is done with.
        let read = unsafe { shared.raw.get_query_pool_results(timers, 0, &mut stamps, flags) };
        if read.is_ok() {
            for (sample, stamps) in samples.into_iter().zip(stamps.chunks(2)) {
                if let [start, end] = *stamps {
                    profile.add(sample, end.saturating_sub(start));
                }
            }
        }
    }

    /// Gives back what is not freed together with the command pool.
    pub(crate) fn destroy(self, shared: &Shared) {
        for pool in self.pools {
            // SAFETY: the device is done with its sets.
            unsafe { shared.raw.destroy_descriptor_pool(pool, None) };
        }
        if let Some(timers) = self.timers {
            // SAFETY: the device is done with its queries.
            unsafe { shared.raw.destroy_query_pool(timers, None) };
        }
    }
}

fn descriptor_pool(shared: &Shared) -> Result<vk::DescriptorPool, VulkanError> {
    let size = vk::DescriptorPoolSize::default()
        .ty(vk::DescriptorType::STORAGE_BUFFER)
        .descriptor_count(SETS * BINDINGS);
    let sizes = [size];
    let info = vk::DescriptorPoolCreateInfo::default().max_sets(SETS).pool_sizes(&sizes);
    // SAFETY: `info` is complete; `destroy` destroys the pool.
    unsafe { shared.raw.create_descriptor_pool(&info, None) }.called("vkCreateDescriptorPool")
}

fn bind(shared: &Shared, set: vk::DescriptorSet, windows: &[Window<'_>]) {
    let infos: Vec<[vk::DescriptorBufferInfo; 1]> = windows
        .iter()
        .map(|w| {
            [vk::DescriptorBufferInfo {
                buffer: w.block.raw,
                offset: w.start,
                range: w.end - w.start,
            }]
        })
        .collect();
    let writes: Vec<_> = infos
        .iter()
        .enumerate()
        .map(|(i, info)| {
            vk::WriteDescriptorSet::default()
                .dst_set(set)
                .dst_binding(i as u32)
                .descriptor_type(vk::DescriptorType::STORAGE_BUFFER)
                .buffer_info(info)
        })
        .collect();
    // SAFETY: the set is new, so the device does not use it; ranges lie within their buffers.
    unsafe { shared.raw.update_descriptor_sets(&writes, &[]) };
}

fn timers(shared: &Shared) -> Result<vk::QueryPool, VulkanError> {
    let info = vk::QueryPoolCreateInfo::default()
        .query_type(vk::QueryType::TIMESTAMP)
        .query_count(2 * TIMED);
    // SAFETY: `info` is complete; `destroy` destroys the pool.
    unsafe { shared.raw.create_query_pool(&info, None) }.called("vkCreateQueryPool")
}

fn stamp(shared: &Shared, commands: vk::CommandBuffer, timers: vk::QueryPool, number: u32) {
    let stage = vk::PipelineStageFlags::COMPUTE_SHADER;
    // SAFETY: recording has begun, and the query was reset at its beginning.
    unsafe { shared.raw.cmd_write_timestamp(commands, stage, timers, number) };
}
