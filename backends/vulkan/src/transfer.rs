//! What goes to the device and comes back: buffers, and what they hold.

use std::sync::Arc;

use ash::vk;
use gpu_allocator::MemoryLocation;

use crate::commands::to_host;
use crate::error::VulkanError;
use crate::hazard::Access;
use crate::memory::Block;
use crate::recorder::{Recorder, Window};

/// Bytes on their way to the device that may be outstanding.
const STAGED: u64 = 64 << 20;
/// Bytes in one transfer: while the device copies one, the host fills the next.
const TRANSFER: usize = 4 << 20;

impl Recorder {
    /// A zeroed buffer on the device.
    pub(crate) fn alloc(&mut self, bytes: u64) -> Result<Block, VulkanError> {
        let block = self.room(bytes, MemoryLocation::GpuOnly)?;
        self.fill_zero(&block)?;
        Ok(block)
    }

    /// A buffer on the device that holds anything.
    pub(crate) fn scratch(&mut self, bytes: u64) -> Result<Block, VulkanError> {
        self.room(bytes, MemoryLocation::GpuOnly)
    }

    /// A new buffer; when there is no memory, a second try after everything that was dropped has
    /// been given back.
    fn room(&mut self, bytes: u64, location: MemoryLocation) -> Result<Block, VulkanError> {
        self.alive()?;
        match Block::new(&self.graveyard, bytes, location) {
            Err(VulkanError::OutOfMemory { .. }) => {
                self.finish()?;
                Block::new(&self.graveyard, bytes, location)
            }
            made => made,
        }
    }

    fn fill_zero(&mut self, block: &Block) -> Result<(), VulkanError> {
        let window = Window { block, start: 0, end: block.bytes };
        let commands = self.ordered(&[window.used(Access::Write)])?;
        // SAFETY: recording; the block is alive until the device is done with it (see `Graveyard`).
        unsafe { self.shared.raw.cmd_fill_buffer(commands, block.raw, 0, vk::WHOLE_SIZE, 0) };
        Ok(())
    }

    /// Copies bytes to part of a buffer.
    pub(crate) fn upload(
        &mut self,
        block: &Block,
        offset: u64,
        bytes: &[u8],
    ) -> Result<(), VulkanError> {
        let mut at = offset;
        for part in bytes.chunks(TRANSFER) {
            self.alive()?;
            let to = Window { block, start: at, end: at + part.len() as u64 };
            self.upload_part(to, part)?;
            at = to.end;
            if part.len() == TRANSFER {
                self.submit()?;
            }
        }
        Ok(())
    }

    fn upload_part(&mut self, to: Window<'_>, part: &[u8]) -> Result<(), VulkanError> {
        while self.staged >= STAGED && !self.outstanding.is_empty() {
            self.wait_for_oldest()?;
        }
        let (from, offset) = self.stage(part)?;
        let commands = self.ordered(&[to.used(Access::Write)])?;
        self.staged += part.len() as u64;
        let size = part.len() as u64;
        let region = vk::BufferCopy::default().src_offset(offset).dst_offset(to.start).size(size);
        // SAFETY: recording; both buffers are alive until the device is done with them, and the
        // region lies within both.
        unsafe { self.shared.raw.cmd_copy_buffer(commands, from, to.block.raw, &[region]) };
        Ok(())
    }

    /// Keeps `part` until the device has copied it: where it is. When there is no memory, a second
    /// try after everything that was dropped has been given back.
    fn stage(&mut self, part: &[u8]) -> Result<(vk::Buffer, u64), VulkanError> {
        let graveyard = Arc::clone(&self.graveyard);
        match self.slot()?.stage(&graveyard, part) {
            Err(VulkanError::OutOfMemory { .. }) => {
                self.finish()?;
                self.slot()?.stage(&graveyard, part)
            }
            staged => staged,
        }
    }

    /// Copies part of a buffer to the host: submits what was recorded, and waits.
    pub(crate) fn download(
        &mut self,
        block: &Block,
        offset: u64,
        bytes: &mut [u8],
    ) -> Result<(), VulkanError> {
        let mut at = offset;
        for part in bytes.chunks_mut(TRANSFER) {
            self.alive()?;
            let from = Window { block, start: at, end: at + part.len() as u64 };
            self.download_part(from, part)?;
            at = from.end;
        }
        if bytes.is_empty() { self.finish() } else { Ok(()) }
    }

    fn download_part(&mut self, from: Window<'_>, part: &mut [u8]) -> Result<(), VulkanError> {
        let bytes = part.len() as u64;
        let mut host = match self.readback.take() {
            Some(host) if host.bytes >= bytes => host,
            _ => self.room(bytes.next_power_of_two().max(1 << 16), MemoryLocation::GpuToCpu)?,
        };
        let to = Window { block: &host, start: 0, end: bytes };
        let commands = self.ordered(&[from.used(Access::Read), to.used(Access::Write)])?;
        let region = vk::BufferCopy::default().src_offset(from.start).size(bytes);
        // SAFETY: recording; both buffers are alive until the device is done with them, and the
        // region lies within both.
        unsafe { self.shared.raw.cmd_copy_buffer(commands, from.block.raw, host.raw, &[region]) };
        to_host(&self.shared, commands);
        self.finish()?;
        let copied = host.host().get(..part.len()).unwrap_or_default();
        part.copy_from_slice(copied);
        self.readback = Some(host);
        Ok(())
    }
}
