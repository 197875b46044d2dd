//! Memory: one slice, lent by the caller and handed out from its front; or the heap.

use core::fmt;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};

use decora::buffer::Buffer;
use decora::scalar::{Element, Scalar};

use crate::error::CpuError;
use crate::products::{Portable, Products};

/// A CPU as a device: activations of type `T`, products computed as `K` says.
///
/// [`Cpu::new`] works over one borrowed slice and never allocates: on a microcontroller that slice
/// is a `static`, its length known at compile time.
///
/// ```
/// use decora::backend::Backend;
/// use decora::buffer::Acc;
/// use decora_cpu::Cpu;
///
/// let mut arena = [0.0f32; 8];
/// let mut cpu = Cpu::<f32>::new(&mut arena);
/// let buf = cpu.alloc::<Acc>(8)?;
/// let more = cpu.alloc::<Acc>(1).unwrap_err();
/// assert_eq!(more.to_string(), "out of memory: 1 words asked for, 0 left in the arena");
/// # Ok::<(), decora_cpu::CpuError>(())
/// ```
pub struct Cpu<'m, T: Scalar, K: Products = Portable> {
    memory: Memory<'m, T>,
    products: PhantomData<K>,
}

enum Memory<'m, T: Scalar> {
    Arena(&'m mut [T::Accum]),
    #[cfg(feature = "alloc")]
    Heap,
}

impl<'m, T: Scalar> Cpu<'m, T, Portable> {
    /// A device over borrowed memory, with the portable kernels: bit-identical from run to run and
    /// from machine to machine.
    pub fn new(arena: &'m mut [T::Accum]) -> Self {
        Self { memory: Memory::Arena(arena), products: PhantomData }
    }
}

#[cfg(feature = "alloc")]
impl<T: Scalar> Cpu<'static, T, Portable> {
    /// As [`Cpu::new`], with memory from the heap, given back when a buffer is dropped.
    #[must_use]
    pub fn heap() -> Self {
        Self { memory: Memory::Heap, products: PhantomData }
    }
}

/// The fast path: see [`Cpu::fast`].
#[cfg(feature = "std")]
pub type FastCpu<T> = Cpu<'static, T, crate::Blocked>;

#[cfg(feature = "std")]
impl<T: Scalar> FastCpu<T> {
    /// The fast path: blocked, SIMD, threaded products, memory from the heap. Bit-identical from
    /// run to run on one machine; sums in another order than the portable kernels.
    #[must_use]
    pub fn fast() -> Self {
        Self { memory: Memory::Heap, products: PhantomData }
    }
}

impl<'m, T: Scalar, K: Products> Cpu<'m, T, K> {
    /// Words left in the arena; `None` on the heap.
    #[must_use]
    pub fn left(&self) -> Option<usize> {
        match &self.memory {
            Memory::Arena(free) => Some(free.len()),
            #[cfg(feature = "alloc")]
            Memory::Heap => None,
        }
    }

    #[inline(never)]
    pub(crate) fn take<E: Element>(&mut self, len: usize) -> Result<Storage<'m, E>, CpuError> {
        match &mut self.memory {
            Memory::Arena(free) => Ok(Storage::Lent(carve(free, len)?)),
            #[cfg(feature = "alloc")]
            Memory::Heap => Ok(Storage::Owned(Aligned::new(len))),
        }
    }
}

/// `len` zeroed elements from the front of `free`, in whole words.
fn carve<'m, A: Element, E: Element>(
    free: &mut &'m mut [A],
    len: usize,
) -> Result<&'m mut [E], CpuError> {
    let words = len.saturating_mul(size_of::<E>()).div_ceil(size_of::<A>());
    let left = free.len();
    let short = CpuError::OutOfMemory { asked: words.into(), left: left.into() };
    if words > left {
        return Err(short);
    }
    let (taken, rest) = core::mem::take(free).split_at_mut(words);
    *free = rest;
    taken.fill(A::default());
    let elements = bytemuck::try_cast_slice_mut(taken).map_err(|_| short)?;
    elements.get_mut(..len).ok_or(short)
}

impl<T: Scalar, K: Products> fmt::Debug for Cpu<'_, T, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cpu<{}, {}>, words left: {:?}", T::NAME, K::NAME, self.left())
    }
}

/// The memory of one buffer.
#[derive(Debug)]
pub enum Storage<'m, E> {
    /// Part of the arena.
    Lent(&'m mut [E]),
    /// From the heap.
    #[cfg(feature = "alloc")]
    Owned(Aligned<E>),
}

/// Memory from the heap that begins with a cache line: threads that write to neighbouring columns of
/// a matrix then need not wait for each other's lines.
#[cfg(feature = "alloc")]
#[derive(Debug)]
pub struct Aligned<E> {
    all: alloc::vec::Vec<E>,
    skip: usize,
}

#[cfg(feature = "alloc")]
impl<E: Element> Aligned<E> {
    fn new(len: usize) -> Self {
        const LINE: usize = 64;
        let spare = LINE / size_of::<E>().max(1);
        let mut all = alloc::vec![E::default(); len + spare];
        let skip = all.as_ptr().align_offset(LINE).min(spare);
        all.truncate(skip + len);
        Self { all, skip }
    }
}

impl<E> Deref for Storage<'_, E> {
    type Target = [E];
    fn deref(&self) -> &[E] {
        match self {
            Self::Lent(s) => s,
            #[cfg(feature = "alloc")]
            Self::Owned(v) => v.all.get(v.skip..).unwrap_or_default(),
        }
    }
}

impl<E> DerefMut for Storage<'_, E> {
    fn deref_mut(&mut self) -> &mut [E] {
        match self {
            Self::Lent(s) => s,
            #[cfg(feature = "alloc")]
            Self::Owned(v) => v.all.get_mut(v.skip..).unwrap_or_default(),
        }
    }
}

impl<E: Element> Buffer for Storage<'_, E> {
    fn len(&self) -> usize {
        self.deref().len()
    }
}
