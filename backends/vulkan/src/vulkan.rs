//! The backend, and what all its operations are made of.

use core::fmt;
use core::marker::PhantomData;

use bytemuck::Pod;
use decora::buffer::{Role, RoleKind};
use decora::mat::Layout;
use decora::scalar::Scalar;
use half::{bf16, f16};

use crate::buffer::VulkanBuf;
use crate::error::VulkanError;
use crate::gpu::Gpu;
use crate::kernel::Kernel;
use crate::memory::Block;
use crate::pipelines::{Kind, Special};
use crate::profile::Profile;
use crate::recorder::{Dispatch, Recorder, Window};
use crate::select::DeviceKind;

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for half::f16 {}
    impl Sealed for half::bf16 {}
}

/// What activations can be made of on a GPU: `f32`, `f16` or `bf16`. Sums are `f32`.
pub trait GpuScalar: Scalar<Accum = f32> + sealed::Sealed {
    #[doc(hidden)]
    const HALF: Option<bool>;
}

impl GpuScalar for f32 {
    const HALF: Option<bool> = None;
}

impl GpuScalar for f16 {
    const HALF: Option<bool> = Some(false);
}

impl GpuScalar for bf16 {
    const HALF: Option<bool> = Some(true);
}

/// The number the shaders know a type by.
pub(crate) const fn kind<T: GpuScalar>() -> Kind {
    match T::HALF {
        None => Kind::F32,
        Some(false) => Kind::F16,
        Some(true) => Kind::Bf16,
    }
}

/// Groups in one dimension that every device can start.
pub(crate) const GROUPS: usize = 65_535;
/// Invocations in a group, where the device has that many.
const LANES: u32 = 256;
/// The same on a CPU, where invocations that wait for each other cost most.
const LANES_OF_CPU: u32 = 64;

/// A GPU as a device: activations of type `T`, everything else in `f32`.
///
/// Operations are recorded, and submitted when something is read: a training step is one
/// submission, unless it is large (see the crate's page).
///
/// ```no_run
/// use decora::backend::Backend;
/// use decora::buffer::Acc;
/// use decora_vulkan::{Gpu, Vulkan};
///
/// let gpu = Gpu::open()?;
/// println!("{}", gpu.info());
/// let mut be = Vulkan::<f32>::new(&gpu)?;
/// let mut buf = be.alloc::<Acc>(3)?;
/// be.write::<Acc>(&mut buf, 0, &[1.0, 2.0, 3.0])?;
/// # Ok::<(), decora_vulkan::VulkanError>(())
/// ```
pub struct Vulkan<T: GpuScalar> {
    pub(crate) recorder: Recorder,
    pub(crate) scratch: Option<Block>,
    scalar: PhantomData<T>,
}

/// An operand, bound: what the kernel sees of the buffer, and where in that the operand lies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operand<'b> {
    pub(crate) window: Window<'b>,
    /// The number of its first element, in the window.
    pub(crate) off: u32,
    pub(crate) at: Layout,
    pub(crate) kind: Kind,
}

impl<T: GpuScalar> Vulkan<T> {
    /// A backend on `gpu`: its own order of operations, its own memory.
    ///
    /// # Errors
    /// Out of memory; device errors.
    pub fn new(gpu: &Gpu) -> Result<Self, VulkanError> {
        let recorder = Recorder::new(&gpu.shared)?;
        Ok(Self { recorder, scratch: None, scalar: PhantomData })
    }

    /// The time of every kernel since the last call, when [`Settings::profile`](crate::Settings)
    /// was on; empty, when it was off or the device takes no timestamps. Waits for the device.
    ///
    /// # Errors
    /// Device errors.
    pub fn profile(&mut self) -> Result<Profile, VulkanError> {
        self.recorder.profile()
    }

    /// Hands what was recorded to the device, without waiting for it.
    ///
    /// # Errors
    /// Device errors.
    pub fn submit(&mut self) -> Result<(), VulkanError> {
        self.recorder.submit()
    }

    /// Waits until the device has done everything.
    ///
    /// # Errors
    /// Device errors.
    pub fn finish(&mut self) -> Result<(), VulkanError> {
        self.recorder.finish()
    }

    /// Whether half-precision activations take two bytes; else each takes a word.
    pub(crate) fn packed(&self) -> bool {
        T::HALF.is_some() && self.recorder.shared.info.half_storage
    }

    /// Bytes of an element with this role.
    pub(crate) fn width(&self, role: RoleKind) -> u64 {
        if role == RoleKind::Act && self.packed() { 2 } else { 4 }
    }

    /// A matrix in a buffer.
    pub(crate) fn operand<'b, R: Role>(&self, buf: &'b VulkanBuf<R>, at: Layout) -> Operand<'b> {
        let kind = if R::KIND == RoleKind::Act { kind::<T>() } else { Kind::F32 };
        self.bind(&buf.block, self.width(R::KIND), kind, at)
    }

    /// The first `len` elements of a buffer.
    pub(crate) fn vector<'b, R: Role>(&self, buf: &'b VulkanBuf<R>, len: usize) -> Operand<'b> {
        self.operand(buf, Layout::row_major(0, len, 1))
    }

    /// A matrix of elements of `width` bytes in `block`: what is bound begins where the device
    /// allows it, at or before the first element.
    pub(crate) fn bind<'b>(
        &self,
        block: &'b Block,
        width: u64,
        kind: Kind,
        at: Layout,
    ) -> Operand<'b> {
        let end = at.end() as u64 * width;
        if end == 0 {
            return Operand { window: Window { block, start: 0, end: 4 }, off: 0, at, kind };
        }
        let first = at.offset as u64 * width;
        let start = first - first % self.recorder.shared.info.align;
        let end = end.next_multiple_of(4).min(block.bytes);
        let off = ((first - start) / width) as u32;
        Operand { window: Window { block, start, end }, off, at, kind }
    }

    /// Invocations in a group: a power of two.
    pub(crate) fn lanes(&self) -> u32 {
        let info = &self.recorder.shared.info;
        let usual = if info.kind == DeviceKind::Cpu { LANES_OF_CPU } else { LANES };
        let most = info.invocations.min(usual).max(4);
        1 << most.ilog2()
    }

    /// Runs `kernel`, compiled for the types of its operands and further `constants`, in `groups`.
    pub(crate) fn run<P: Pod>(
        &mut self,
        kernel: Kernel,
        constants: &[u32],
        operands: &[Operand<'_>],
        push: &P,
        groups: [usize; 3],
        flops: usize,
    ) -> Result<(), VulkanError> {
        let lanes = self.lanes();
        let constants = [&[lanes], constants].concat();
        self.launch(Special { kernel, constants }, operands, push, groups, flops)
    }

    /// As [`run`](Vulkan::run), with all constants given.
    pub(crate) fn launch<P: Pod>(
        &mut self,
        special: Special,
        operands: &[Operand<'_>],
        push: &P,
        groups: [usize; 3],
        flops: usize,
    ) -> Result<(), VulkanError> {
        let info = &self.recorder.shared.info;
        if operands.len() > info.bindings as usize {
            let what = "as many storage buffers in one kernel as attention takes (nine)";
            return Err(VulkanError::Unsupported { device: info.name.clone(), what });
        }
        let windows: Vec<Window<'_>> = operands.iter().map(|o| o.window).collect();
        let groups = groups.map(|n| n.clamp(1, GROUPS) as u32);
        let (push, flops) = (bytemuck::bytes_of(push), flops as u64);
        self.recorder.dispatch(Dispatch { special, windows: &windows, push, groups, flops })
    }

    /// As [`run`](Vulkan::run), with an invocation for each of `count` elements; nothing, when there
    /// are none.
    pub(crate) fn run_each<P: Pod>(
        &mut self,
        kernel: Kernel,
        constants: &[u32],
        operands: &[Operand<'_>],
        push: &P,
        count: usize,
    ) -> Result<(), VulkanError> {
        if count == 0 {
            return Ok(());
        }
        let groups = self.spread(count);
        self.run(kernel, constants, operands, push, groups, count)
    }

    /// Groups that give each of `count` elements an invocation.
    pub(crate) fn spread(&self, count: usize) -> [usize; 3] {
        [count.div_ceil(self.lanes() as usize), 1, 1]
    }

    /// Scratch memory for `len` numbers, taken out of the backend for the time of an operation.
    pub(crate) fn take_scratch(&mut self, len: usize) -> Result<Block, VulkanError> {
        let bytes = 4 * len as u64;
        match self.scratch.take() {
            Some(scratch) if scratch.bytes >= bytes => Ok(scratch),
            _ => self.recorder.scratch(bytes.next_power_of_two().max(1 << 12)),
        }
    }
}

impl<T: GpuScalar> fmt::Debug for Vulkan<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Vulkan<{}>({:?})", T::NAME, self.recorder)
    }
}
