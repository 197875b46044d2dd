//! One opened device, which any number of backends can share.

use core::ffi::CStr;
use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use ash::{khr, vk};

use crate::bfloat;
use crate::error::{Called, VulkanError};
use crate::instance::Instance;
use crate::memory::Memory;
use crate::pipelines::Pipelines;
use crate::select::{self, DeviceInfo, DeviceKind};
use crate::settings::Settings;

/// An opened GPU, with its compiled kernels. Cheap to clone: all clones are the same device.
///
/// Any number of [`Vulkan`](crate::Vulkan) backends can work on it, each from its own thread.
#[derive(Clone, Debug)]
pub struct Gpu {
    pub(crate) shared: Arc<Shared>,
}

impl Gpu {
    /// The devices of this machine, in the order of their numbers.
    ///
    /// # Errors
    /// [`VulkanError::NoDriver`] where there is no Vulkan.
    pub fn list() -> Result<Vec<DeviceInfo>, VulkanError> {
        select::devices(&Instance::new(false)?)
    }

    /// The device that the environment asks for (see [`Settings::from_env`]), or else the fastest
    /// kind there is.
    ///
    /// # Errors
    /// As [`Gpu::with`].
    pub fn open() -> Result<Self, VulkanError> {
        Self::with(Settings::from_env())
    }

    /// The device that `settings` asks for.
    ///
    /// # Errors
    /// [`VulkanError::NoDriver`], [`VulkanError::NoDevice`], [`VulkanError::NoValidation`] and
    /// [`VulkanError::Unsupported`], each saying what is missing.
    pub fn with(settings: Settings) -> Result<Self, VulkanError> {
        let instance = Instance::new(settings.validation)?;
        let all = select::devices(&instance)?;
        let info = select::choose(&all, settings.device.as_deref())?;
        Ok(Self { shared: Arc::new(Shared::new(instance, info, settings)?) })
    }

    /// The name the driver gives the device.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.shared.info.name
    }

    /// What the device is, and what it can do within the limits it was opened with.
    #[must_use]
    pub fn info(&self) -> &DeviceInfo {
        &self.shared.info
    }

    /// What the validation layer said so far. Nothing, if all is well, or if it is off.
    #[must_use]
    pub fn messages(&self) -> Vec<String> {
        self.shared.instance.messages.all()
    }

    /// How many times work was submitted to the device.
    #[must_use]
    pub fn submissions(&self) -> u64 {
        self.shared.submissions.load(Ordering::Relaxed)
    }

    /// How many barriers were recorded.
    #[must_use]
    pub fn barriers(&self) -> u64 {
        self.shared.barriers.load(Ordering::Relaxed)
    }
}

/// What all users of a device share.
pub(crate) struct Shared {
    pub(crate) raw: ash::Device,
    pub(crate) info: DeviceInfo,
    pub(crate) settings: Settings,
    pub(crate) memory: Memory,
    pub(crate) pipelines: Pipelines,
    queue: Mutex<vk::Queue>,
    submissions: AtomicU64,
    barriers: AtomicU64,
    /// Must outlive the device.
    instance: Instance,
}

impl Shared {
    fn new(
        instance: Instance,
        mut info: DeviceInfo,
        settings: Settings,
    ) -> Result<Self, VulkanError> {
        restrict(&mut info, &settings);
        if let Some(what) = lacks(&info) {
            return Err(VulkanError::Unsupported { device: info.name, what });
        }
        let raw = open(&instance, &info)?;
        let memory = Memory::new(&instance, &raw, info.raw, settings.faults);
        let parts = memory.and_then(|m| Ok((m, Pipelines::new(&raw, &info)?)));
        let (memory, pipelines) = parts.inspect_err(|_| {
            // SAFETY: nothing made from the device is left.
            unsafe { raw.destroy_device(None) }
        })?;
        // SAFETY: `open` asked for one queue of this family.
        let queue = Mutex::new(unsafe { raw.get_device_queue(info.family, 0) });
        let (submissions, barriers) = (0.into(), 0.into());
        Ok(Self { raw, info, settings, memory, pipelines, queue, submissions, barriers, instance })
    }

    /// Submits one batch of work.
    pub(crate) fn submit(&self, work: &vk::SubmitInfo<'_>) -> Result<(), VulkanError> {
        let number = self.submissions.fetch_add(1, Ordering::Relaxed) + 1;
        if self.settings.faults.lose_at.is_some_and(|at| number >= at) {
            return Err(VulkanError::Lost { call: "vkQueueSubmit" });
        }
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: the lock keeps other threads away from the queue; what `work` names is alive, as
        // its recorder waits for the device before it lets go of anything.
        unsafe { self.raw.queue_submit(*queue, core::slice::from_ref(work), vk::Fence::null()) }
            .called("vkQueueSubmit")
    }

    /// Counts one barrier; `false` when this one is to be left out.
    pub(crate) fn count_barrier(&self) -> bool {
        let number = self.barriers.fetch_add(1, Ordering::Relaxed);
        self.settings.faults.skip_barrier != Some(number)
    }

    /// How many floating-point operations one submission may hold: a fraction of a second's work,
    /// as drivers end what takes some seconds.
    pub(crate) fn work_limit(&self) -> u64 {
        let usual = match self.info.kind {
            DeviceKind::Discrete => 2_000_000_000_000,
            _ => 100_000_000_000,
        };
        self.settings.limits.work.unwrap_or(usual)
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Gpu({}, {:?}, {:?})", self.info.name, self.memory, self.instance)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // A lost device answers with an error, and is idle all the same.
        // SAFETY: nobody else holds the device any more.
        let _ = unsafe { self.raw.device_wait_idle() };
        self.pipelines.close(&self.raw, &self.info);
        self.memory.close();
        // SAFETY: buffers, pools and semaphores hold this, so they are gone; the rest went above.
        unsafe { self.raw.destroy_device(None) };
    }
}

/// What every operation needs and the device has not.
fn lacks(info: &DeviceInfo) -> Option<&'static str> {
    match info {
        DeviceInfo { timeline: false, .. } => Some("timeline semaphores"),
        DeviceInfo { bindings: 0..6, .. } => Some("six storage buffers in one kernel"),
        DeviceInfo { shared: 0..16_384, .. } => Some("16 KiB of shared memory"),
        _ => None,
    }
}

/// Takes away what the settings say to do without.
fn restrict(info: &mut DeviceInfo, settings: &Settings) {
    let limits = settings.limits;
    info.binding = limits.binding.map_or(info.binding, |limit| limit.min(info.binding));
    info.half_storage &= !limits.no_half_storage;
    info.kind = limits.kind.unwrap_or(info.kind);
    info.steps = limits.steps.map_or(info.steps, |limit| limit.min(info.steps));
    if limits.no_cooperative_matrix || limits.portable_only || !info.half_storage {
        info.f16_matrices.clear();
        info.bf16_matrices.clear();
    }
}

/// The logical device, with the features the kernels use and no others.
fn open(instance: &Instance, info: &DeviceInfo) -> Result<ash::Device, VulkanError> {
    let (f16, bf16) = (!info.f16_matrices.is_empty(), !info.bf16_matrices.is_empty());
    let queue = vk::DeviceQueueCreateInfo::default()
        .queue_family_index(info.family)
        .queue_priorities(&[1.0]);
    let mut v11 = vk::PhysicalDeviceVulkan11Features::default()
        .storage_buffer16_bit_access(info.half_storage);
    let mut v12 = vk::PhysicalDeviceVulkan12Features::default()
        .timeline_semaphore(true)
        .shader_float16(f16 || bf16)
        .vulkan_memory_model(info.memory_model && (f16 || bf16));
    let mut control = vk::PhysicalDeviceSubgroupSizeControlFeatures::default()
        .subgroup_size_control(true)
        .compute_full_subgroups(true);
    let mut matrices =
        vk::PhysicalDeviceCooperativeMatrixFeaturesKHR::default().cooperative_matrix(true);
    let mut bfloat =
        bfloat::Features { kind: vk::TRUE, matrices: vk::TRUE, ..bfloat::Features::default() };
    let mut extensions: Vec<&CStr> = Vec::new();
    let mut create = vk::DeviceCreateInfo::default().push_next(&mut v11).push_next(&mut v12);
    if info.subgroup_control {
        create = create.push_next(&mut control);
    }
    if f16 || bf16 {
        extensions.push(khr::cooperative_matrix::NAME);
        create = create.push_next(&mut matrices);
    }
    if bf16 {
        extensions.push(bfloat::NAME);
        create = create.push_next(&mut bfloat);
    }
    if info.portability {
        extensions.push(khr::portability_subset::NAME);
    }
    let names: Vec<_> = extensions.iter().map(|name| name.as_ptr()).collect();
    let queues = [queue];
    let create = create.queue_create_infos(&queues).enabled_extension_names(&names);
    // SAFETY: every feature and extension was reported by the device; all pointers are to locals.
    unsafe { instance.raw.create_device(info.raw, &create, None) }.called("vkCreateDevice")
}
