//! Buffers: made by the allocator, and given back when the device no longer uses them.

use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ash::vk;
use gpu_allocator::vulkan::{
    Allocation, AllocationCreateDesc, AllocationScheme, Allocator, AllocatorCreateDesc,
};
use gpu_allocator::{AllocationError, AllocationSizes, MemoryLocation};

use crate::error::{Called, VulkanError};
use crate::gpu::Shared;
use crate::instance::Instance;
use crate::settings::Faults;

/// Blocks begin small, as phones and integrated GPUs have little memory, and grow as more are asked
/// for.
const DEVICE_BLOCK: u64 = 8 << 20;
const DEVICE_BLOCK_MAX: u64 = 256 << 20;
const HOST_BLOCK: u64 = 4 << 20;
const HOST_BLOCK_MAX: u64 = 64 << 20;

/// The device's memory.
pub(crate) struct Memory {
    allocator: Mutex<Option<Allocator>>,
    used: AtomicU64,
    next: AtomicU64,
    limit: Option<u64>,
}

impl Memory {
    pub(crate) fn new(
        instance: &Instance,
        device: &ash::Device,
        physical: vk::PhysicalDevice,
        faults: Faults,
    ) -> Result<Self, VulkanError> {
        let sizes = AllocationSizes::new(DEVICE_BLOCK, HOST_BLOCK)
            .with_max_device_memblock_size(DEVICE_BLOCK_MAX)
            .with_max_host_memblock_size(HOST_BLOCK_MAX);
        let allocator = Allocator::new(&AllocatorCreateDesc {
            instance: instance.raw.clone(),
            device: device.clone(),
            physical_device: physical,
            debug_settings: Default::default(),
            buffer_device_address: false,
            allocation_sizes: sizes,
        })
        .map_err(|e| out_of_memory(0, &e))?;
        let allocator = Mutex::new(Some(allocator));
        Ok(Self { allocator, used: 0.into(), next: 0.into(), limit: faults.memory })
    }

    /// Gives everything back to the device, which must be idle.
    pub(crate) fn close(&self) {
        self.lock().take();
    }

    fn lock(&self) -> MutexGuard<'_, Option<Allocator>> {
        self.allocator.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn claim(&self, bytes: u64) -> Result<(), VulkanError> {
        let used = self.used.fetch_add(bytes, Ordering::Relaxed) + bytes;
        match self.limit {
            Some(limit) if used > limit => {
                self.used.fetch_sub(bytes, Ordering::Relaxed);
                let reason = format!("{} of {limit} bytes are in use", used - bytes);
                Err(VulkanError::OutOfMemory { asked: bytes, reason })
            }
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Memory({} bytes in use)", self.used.load(Ordering::Relaxed))
    }
}

/// One buffer with memory of its own.
pub(crate) struct Block {
    pub(crate) raw: vk::Buffer,
    /// Its size: a multiple of four.
    pub(crate) bytes: u64,
    /// No other buffer of the device ever has this number.
    pub(crate) id: u64,
    allocation: Option<Allocation>,
    graveyard: Arc<Graveyard>,
}

impl Block {
    /// `bytes` bytes, rounded up to a multiple of four.
    pub(crate) fn new(
        graveyard: &Arc<Graveyard>,
        bytes: u64,
        location: MemoryLocation,
    ) -> Result<Self, VulkanError> {
        let memory = &graveyard.shared.memory;
        let bytes = bytes.max(4).next_multiple_of(4);
        memory.claim(bytes)?;
        let made = make(&graveyard.shared, bytes, location);
        let (raw, allocation) = made.inspect_err(|_| {
            memory.used.fetch_sub(bytes, Ordering::Relaxed);
        })?;
        let id = memory.next.fetch_add(1, Ordering::Relaxed);
        let graveyard = Arc::clone(graveyard);
        Ok(Self { raw, bytes, id, allocation: Some(allocation), graveyard })
    }

    /// The memory itself, where the host can see it; else nothing.
    pub(crate) fn host(&mut self) -> &mut [u8] {
        let bytes = self.bytes as usize;
        let slice = self.allocation.as_mut().and_then(Allocation::mapped_slice_mut);
        slice.and_then(|s| s.get_mut(..bytes)).unwrap_or_default()
    }
}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Block({}: {} bytes)", self.id, self.bytes)
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        let (raw, bytes) = (self.raw, self.bytes);
        self.graveyard.lock().push(Dead { raw, bytes, allocation: self.allocation.take() });
    }
}

/// A buffer that nobody holds any more, but that the device may still use.
#[derive(Debug)]
pub(crate) struct Dead {
    raw: vk::Buffer,
    bytes: u64,
    allocation: Option<Allocation>,
}

/// Where buffers go when they are dropped.
pub(crate) struct Graveyard {
    shared: Arc<Shared>,
    dead: Mutex<Vec<Dead>>,
}

impl Graveyard {
    pub(crate) fn new(shared: &Arc<Shared>) -> Arc<Self> {
        Arc::new(Self { shared: Arc::clone(shared), dead: Mutex::default() })
    }

    /// The buffers that were dropped since the last call.
    pub(crate) fn collect(&self) -> Vec<Dead> {
        core::mem::take(&mut *self.lock())
    }

    /// Gives buffers back that the device no longer uses.
    pub(crate) fn free(&self, dead: impl IntoIterator<Item = Dead>) {
        dead.into_iter().for_each(|dead| release(&self.shared, dead));
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Dead>> {
        self.dead.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Graveyard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Graveyard({} buffers)", self.lock().len())
    }
}

impl Drop for Graveyard {
    /// The recorder holds a share, and waits for the device before it goes: nothing is in use.
    fn drop(&mut self) {
        self.free(self.collect());
    }
}

fn make(
    shared: &Shared,
    bytes: u64,
    location: MemoryLocation,
) -> Result<(vk::Buffer, Allocation), VulkanError> {
    let usage = vk::BufferUsageFlags::STORAGE_BUFFER
        | vk::BufferUsageFlags::TRANSFER_SRC
        | vk::BufferUsageFlags::TRANSFER_DST;
    let info = vk::BufferCreateInfo::default().size(bytes).usage(usage);
    // SAFETY: the device is alive, and `info` is complete.
    let raw = unsafe { shared.raw.create_buffer(&info, None) }.called("vkCreateBuffer")?;
    let placed = place(shared, raw, bytes, location);
    placed.map(|allocation| (raw, allocation)).inspect_err(|_| {
        // SAFETY: made above, and never handed out.
        unsafe { shared.raw.destroy_buffer(raw, None) }
    })
}

/// Memory for a buffer, bound to it.
fn place(
    shared: &Shared,
    raw: vk::Buffer,
    bytes: u64,
    location: MemoryLocation,
) -> Result<Allocation, VulkanError> {
    // SAFETY: `raw` was made by this device.
    let requirements = unsafe { shared.raw.get_buffer_memory_requirements(raw) };
    let mut allocator = shared.memory.lock();
    let Some(allocator) = allocator.as_mut() else {
        return Err(VulkanError::Lost { call: "vkAllocateMemory" });
    };
    let allocation = allocator
        .allocate(&AllocationCreateDesc {
            name: "decora",
            requirements,
            location,
            linear: true,
            allocation_scheme: AllocationScheme::GpuAllocatorManaged,
        })
        .map_err(|e| out_of_memory(bytes, &e))?;
    // SAFETY: the memory is freed only together with the buffer, which is destroyed first.
    let memory = unsafe { allocation.memory() };
    // SAFETY: the allocation was made for this buffer, and neither is bound to anything else.
    unsafe { shared.raw.bind_buffer_memory(raw, memory, allocation.offset()) }
        .called("vkBindBufferMemory")?;
    Ok(allocation)
}

fn release(shared: &Shared, dead: Dead) {
    // SAFETY: whoever calls has waited until the device no longer uses the buffer.
    unsafe { shared.raw.destroy_buffer(dead.raw, None) };
    shared.memory.used.fetch_sub(dead.bytes, Ordering::Relaxed);
    if let (Some(allocator), Some(allocation)) = (shared.memory.lock().as_mut(), dead.allocation) {
        // An allocation is freed once, by the allocator that made it: this cannot fail.
        let _ = allocator.free(allocation);
    }
}

fn out_of_memory(asked: u64, e: &AllocationError) -> VulkanError {
    VulkanError::OutOfMemory { asked, reason: e.to_string() }
}
