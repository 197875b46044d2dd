//! The queue behind the contract: operations are recorded, submitted as few times as possible, and
//! waited for only when something is read.

use core::fmt;
use std::collections::VecDeque;
use std::sync::Arc;

use ash::vk;

use crate::commands::{barrier, record};
use crate::error::{Called, VulkanError};
use crate::gpu::Shared;
use crate::hazard::{Access, Hazards, Use};
use crate::memory::{Block, Graveyard};
use crate::pipelines::Special;
use crate::profile::{Profile, Sample};
use crate::slot::Slot;

/// Submissions that may be outstanding; the next one waits for the oldest. Without a bound, a
/// training loop that never reads would fill the host's memory with work.
const OUTSTANDING: usize = 64;

/// Part of a buffer, bound to a kernel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window<'a> {
    pub(crate) block: &'a Block,
    pub(crate) start: u64,
    pub(crate) end: u64,
}

impl Window<'_> {
    pub(crate) fn used(&self, access: Access) -> Use {
        Use { id: self.block.id, start: self.start, end: self.end, access }
    }
}

/// One run of a kernel.
#[derive(Debug)]
pub(crate) struct Dispatch<'a> {
    pub(crate) special: Special,
    pub(crate) windows: &'a [Window<'a>],
    pub(crate) push: &'a [u8],
    pub(crate) groups: [u32; 3],
    /// Floating-point operations.
    pub(crate) flops: u64,
}

/// Records operations, and submits them.
pub(crate) struct Recorder {
    pub(crate) shared: Arc<Shared>,
    pub(crate) graveyard: Arc<Graveyard>,
    pool: vk::CommandPool,
    timeline: vk::Semaphore,
    /// The number of the last submission, which is what the semaphore will be.
    submitted: u64,
    current: Option<Slot>,
    pub(crate) outstanding: VecDeque<Slot>,
    idle: Vec<Slot>,
    hazards: Hazards,
    /// Floating-point operations recorded since the last submission.
    work: u64,
    /// Bytes staged in what is outstanding.
    pub(crate) staged: u64,
    pub(crate) readback: Option<Block>,
    profile: Profile,
    /// The call that found the device lost.
    lost: Option<&'static str>,
}

impl Recorder {
    pub(crate) fn new(shared: &Arc<Shared>) -> Result<Self, VulkanError> {
        let flags = vk::CommandPoolCreateFlags::RESET_COMMAND_BUFFER;
        let info = vk::CommandPoolCreateInfo::default()
            .flags(flags)
            .queue_family_index(shared.info.family);
        // SAFETY: `info` is complete; `drop` destroys the pool.
        let pool =
            unsafe { shared.raw.create_command_pool(&info, None) }.called("vkCreateCommandPool")?;
        let mut kind =
            vk::SemaphoreTypeCreateInfo::default().semaphore_type(vk::SemaphoreType::TIMELINE);
        let info = vk::SemaphoreCreateInfo::default().push_next(&mut kind);
        // SAFETY: timeline semaphores were enabled; `drop` destroys it.
        let timeline = unsafe { shared.raw.create_semaphore(&info, None) };
        let timeline = timeline.called("vkCreateSemaphore").inspect_err(|_| {
            // SAFETY: made above, and never used.
            unsafe { shared.raw.destroy_command_pool(pool, None) }
        })?;
        Ok(Self {
            shared: Arc::clone(shared),
            graveyard: Graveyard::new(shared),
            pool,
            timeline,
            submitted: 0,
            current: None,
            outstanding: VecDeque::new(),
            idle: Vec::new(),
            hazards: Hazards::default(),
            work: 0,
            staged: 0,
            readback: None,
            profile: Profile::new(shared.info.tick),
            lost: None,
        })
    }

    /// Runs a kernel.
    pub(crate) fn dispatch(&mut self, run: Dispatch<'_>) -> Result<(), VulkanError> {
        self.alive()?;
        let shared = Arc::clone(&self.shared);
        let stem = run.special.kernel.stem();
        let accesses = run.special.kernel.bindings();
        let pipeline = shared.pipelines.get(&shared, run.special)?;
        if self.work > 0 && self.work.saturating_add(run.flops) > shared.work_limit() {
            self.submit()?;
        }
        let uses: Vec<Use> =
            run.windows.iter().zip(accesses).map(|(w, &access)| w.used(access)).collect();
        let commands = self.ordered(&uses)?;
        let bytes = run.windows.iter().map(|w| w.end - w.start).sum();
        let slot = self.slot()?;
        let timer = slot.start(&shared, Sample { stem, flops: run.flops, bytes });
        let set = slot.descriptors(&shared, &pipeline, run.windows)?;
        record(&shared, commands, &pipeline, set, run.push, run.groups);
        if let Some(timer) = timer {
            slot.stop(&shared, timer);
        }
        self.work += run.flops;
        Ok(())
    }

    /// The commands being recorded, after a barrier if `uses` need one.
    pub(crate) fn ordered(&mut self, uses: &[Use]) -> Result<vk::CommandBuffer, VulkanError> {
        let commands = self.slot()?.commands;
        if self.hazards.barrier_before(uses) && self.shared.count_barrier() {
            barrier(&self.shared, commands);
        }
        Ok(commands)
    }

    /// What is being recorded; begun now, if nothing is.
    pub(crate) fn slot(&mut self) -> Result<&mut Slot, VulkanError> {
        self.alive()?;
        if self.current.as_ref().is_some_and(Slot::is_full) {
            self.submit()?;
        }
        let slot = match self.current.take() {
            Some(slot) => slot,
            None => self.begin()?,
        };
        Ok(self.current.insert(slot))
    }

    fn begin(&mut self) -> Result<Slot, VulkanError> {
        self.reclaim()?;
        while self.outstanding.len() >= OUTSTANDING {
            self.wait_for_oldest()?;
        }
        let mut slot = match self.idle.pop() {
            Some(slot) => slot,
            None => Slot::new(&self.shared, self.pool)?,
        };
        slot.begin(&self.shared)?;
        Ok(slot)
    }

    /// Hands everything recorded to the device. Waits for nothing.
    pub(crate) fn submit(&mut self) -> Result<(), VulkanError> {
        let Some(mut slot) = self.current.take() else { return Ok(()) };
        slot.end(&self.shared)?;
        slot.number = self.submitted + 1;
        slot.dead = self.graveyard.collect();
        let (commands, timelines, values) = ([slot.commands], [self.timeline], [slot.number]);
        let mut signal =
            vk::TimelineSemaphoreSubmitInfo::default().signal_semaphore_values(&values);
        let work = vk::SubmitInfo::default()
            .command_buffers(&commands)
            .signal_semaphores(&timelines)
            .push_next(&mut signal);
        let outcome = self.shared.submit(&work);
        self.work = 0;
        match self.checked(outcome) {
            Ok(()) => {
                self.submitted = slot.number;
                self.outstanding.push_back(slot);
                Ok(())
            }
            Err(e) => {
                self.retire(slot);
                Err(e)
            }
        }
    }

    /// Submits what was recorded, and waits until the device is done.
    pub(crate) fn finish(&mut self) -> Result<(), VulkanError> {
        self.alive()?;
        self.submit()?;
        self.wait(self.submitted)?;
        self.hazards.settle();
        self.reclaim()?;
        let dead = self.graveyard.collect();
        self.graveyard.free(dead);
        Ok(())
    }

    pub(crate) fn wait_for_oldest(&mut self) -> Result<(), VulkanError> {
        if let Some(oldest) = self.outstanding.front() {
            self.wait(oldest.number)?;
        }
        self.reclaim()
    }

    fn wait(&mut self, number: u64) -> Result<(), VulkanError> {
        let (timelines, values) = ([self.timeline], [number]);
        let info = vk::SemaphoreWaitInfo::default().semaphores(&timelines).values(&values);
        // SAFETY: the semaphore is this recorder's own.
        let outcome = unsafe { self.shared.raw.wait_semaphores(&info, u64::MAX) };
        self.checked(outcome.called("vkWaitSemaphores"))
    }

    /// Takes back what the device is done with.
    fn reclaim(&mut self) -> Result<(), VulkanError> {
        if self.outstanding.is_empty() {
            return Ok(());
        }
        // SAFETY: the semaphore is this recorder's own.
        let done = unsafe { self.shared.raw.get_semaphore_counter_value(self.timeline) };
        let done = self.checked(done.called("vkGetSemaphoreCounterValue"))?;
        while self.outstanding.front().is_some_and(|slot| slot.number <= done) {
            if let Some(mut slot) = self.outstanding.pop_front() {
                slot.collect(&self.shared, &mut self.profile);
                self.retire(slot);
            }
        }
        Ok(())
    }

    /// Makes a slot the device does not use ready for its next turn.
    fn retire(&mut self, mut slot: Slot) {
        self.graveyard.free(core::mem::take(&mut slot.dead));
        self.staged = self.staged.saturating_sub(slot.unstage());
        self.idle.push(slot);
    }

    /// The kernels measured so far.
    pub(crate) fn profile(&mut self) -> Result<Profile, VulkanError> {
        self.finish()?;
        let empty = Profile::new(self.shared.info.tick);
        Ok(core::mem::replace(&mut self.profile, empty))
    }

    pub(crate) fn alive(&self) -> Result<(), VulkanError> {
        self.lost.map_or(Ok(()), |call| Err(VulkanError::Lost { call }))
    }

    fn checked<T>(&mut self, outcome: Result<T, VulkanError>) -> Result<T, VulkanError> {
        if let Err(VulkanError::Lost { call }) = outcome {
            self.lost = Some(call);
        }
        outcome
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { shared, submitted, outstanding, lost, .. } = self;
        let waiting = outstanding.len();
        write!(f, "{shared:?}, {submitted} submissions, {waiting} outstanding, lost: {lost:?}")
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        // When the device is lost, nothing runs any more.
        let _ = self.wait(self.submitted);
        let device = &self.shared.raw;
        let slots = self.current.take().into_iter().chain(self.idle.drain(..));
        for mut slot in slots.chain(self.outstanding.drain(..)) {
            self.graveyard.free(core::mem::take(&mut slot.dead));
            slot.destroy(&self.shared);
        }
        // SAFETY: the device is done with all that was submitted.
        unsafe { device.destroy_semaphore(self.timeline, None) };
        // SAFETY: as above.
        unsafe { device.destroy_command_pool(self.pool, None) };
    }
}
