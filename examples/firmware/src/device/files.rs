//! The files of the machine that runs the emulator or debugger, over semihosting: they stand in for
//! the wire over which adapters come and go.

use cortex_m_semihosting::syscall;

/// Open to read bytes, and to write them anew (as `fopen` numbers its modes).
const READ: usize = 1;
const WRITE: usize = 5;
/// What the host answers when it cannot.
const FAILED: usize = usize::MAX;
/// The longest name, with the zero at its end.
const NAME: usize = 64;
/// Bytes that are read at a time.
const CHUNK: usize = 64;

/// An open file of the host; closed when dropped.
struct File(usize);

impl File {
    fn open(name: &str, mode: usize) -> Option<Self> {
        let mut bytes = [0u8; NAME];
        bytes.get_mut(..name.len())?.copy_from_slice(name.as_bytes());
        // The host reads the name up to its length; the zero after it is there for hosts that do not.
        bytes.get(name.len())?;
        // SAFETY: the host reads `name.len()` bytes and a zero at `bytes`, which lives through the call.
        let handle = unsafe { syscall!(OPEN, bytes.as_ptr(), mode, name.len()) };
        (handle != FAILED).then_some(Self(handle))
    }
}

impl Drop for File {
    fn drop(&mut self) {
        // SAFETY: the handle is that of an open file, and is not used again.
        unsafe { syscall!(CLOSE, self.0) };
    }
}

/// Whether there is such a file.
pub(super) fn exists(name: &str) -> bool {
    File::open(name, READ).is_some()
}

/// Gives the file's bytes to `take`, until it wants no more.
pub(super) fn read(name: &str, take: &mut dyn FnMut(&[u8]) -> bool) {
    let Some(file) = File::open(name, READ) else { return };
    loop {
        let mut bytes = [0u8; CHUNK];
        // SAFETY: the host writes at most `CHUNK` bytes to `bytes`, which lives through the call.
        let missing = unsafe { syscall!(READ, file.0, bytes.as_mut_ptr(), CHUNK) };
        let some = bytes.get(..CHUNK.saturating_sub(missing)).unwrap_or_default();
        if some.is_empty() || !take(some) {
            return;
        }
    }
}

/// Writes the file; `false` when the host did not take all of it.
pub(super) fn write(name: &str, bytes: &[u8]) -> bool {
    let Some(file) = File::open(name, WRITE) else { return false };
    // SAFETY: the host reads `bytes.len()` bytes at `bytes`, which lives through the call.
    let missing = unsafe { syscall!(WRITE, file.0, bytes.as_ptr(), bytes.len()) };
    missing == 0
}
