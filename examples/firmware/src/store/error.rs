//! What can go wrong with a store, named by what was found and what was expected.

use core::fmt;

/// What a store can answer on flash errors `E`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum StoreError<E> {
    /// The bytes on the flash are not those that were saved.
    Checksum {
        /// Of the bytes on the flash.
        found: u32,
        /// Of the bytes that were saved.
        expected: u32,
    },
    /// Nothing was saved yet.
    Empty,
    /// The flash failed.
    Flash(E),
    /// The store's part of the flash does not suit it.
    Layout {
        /// What does not.
        what: &'static str,
        /// The value that was given.
        found: u32,
        /// The value that suits: at least this, at most this, or a multiple of it, as `what` says.
        expected: u32,
    },
    /// The file belongs to another base network.
    OtherBase {
        /// The fingerprint of the file's.
        found: u64,
        /// The fingerprint of the one at hand.
        expected: u64,
    },
    /// A record that makes no sense to this version of the store.
    Record {
        /// Which part of it.
        what: &'static str,
        /// What that part says.
        found: u32,
    },
    /// The records cannot be read or written. [`Store::format`](super::Store::format) starts anew.
    Storage(Fault),
    /// More bytes than a bank has room for.
    TooLarge {
        /// How many, as far as they came.
        found: u32,
        /// How many there is room for.
        expected: u32,
    },
}

/// What `sequential-storage` says about the records, flash errors aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Fault {
    /// An item that is longer than any record.
    Buffer,
    /// Neither readable nor repairable.
    Corrupted,
    /// No room is left.
    Full,
    /// Anything else, none of which a correct store and flash bring about.
    Other,
    /// What was stored does not read back.
    Unverified,
}

impl Fault {
    const fn text(self) -> &'static str {
        match self {
            Self::Buffer => "found an item longer than any record",
            Self::Corrupted => "found neither readable nor repairable",
            Self::Full => "found no room",
            Self::Other => "found a fault that should not be",
            Self::Unverified => "found another record than was stored",
        }
    }
}

impl<E: fmt::Debug> fmt::Display for StoreError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Checksum { found, expected } => {
                write!(f, "checksum of the file: found {found:08x}, expected {expected:08x}")
            }
            Self::Empty => f.write_str("store: found empty, expected a file"),
            Self::Flash(e) => write!(f, "flash: {e:?}"),
            Self::Layout { what, found, expected } => {
                write!(f, "{what}: found {found}, expected {expected}")
            }
            Self::OtherBase { found, expected } => {
                write!(f, "base network of the file: found {found:016x}, expected {expected:016x}")
            }
            Self::Record { what, found } => write!(f, "{what} of the record: found {found}"),
            Self::Storage(fault) => write!(f, "records: {}", fault.text()),
            Self::TooLarge { found, expected } => {
                write!(f, "file: found {found} bytes, but there is room for {expected}")
            }
        }
    }
}

impl<E: fmt::Debug> core::error::Error for StoreError<E> {}

impl<E> From<sequential_storage::Error<E>> for StoreError<E> {
    fn from(e: sequential_storage::Error<E>) -> Self {
        use sequential_storage::Error as Theirs;
        Self::Storage(match e {
            Theirs::Storage { value, .. } => return Self::Flash(value),
            Theirs::BufferTooSmall(_) => Fault::Buffer,
            Theirs::Corrupted { .. } => Fault::Corrupted,
            Theirs::FullStorage => Fault::Full,
            _ => Fault::Other,
        })
    }
}
