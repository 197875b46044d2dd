//! An emulated NOR flash in borrowed bytes, as strict as the flash of a microcontroller with error
//! correction: a word is written once between two erases. It can lose power at any operation.

use core::fmt;
use core::ops::Range;

use decora::init::Rng;
use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash, check_erase, check_read,
    check_write,
};

use crate::store::Mapped;

/// What an erased byte reads as.
pub const ERASED: u8 = 0xFF;

/// Why the flash refused an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum NorError {
    /// An address or a length between two words or two sectors.
    Alignment,
    /// An address outside the flash.
    Bounds,
    /// A write to a word that does not read as erased. Words before it were written.
    NotErased {
        /// The word's address.
        address: u32,
    },
    /// Power is lost: the operation took effect in part, or not at all.
    PowerLost,
}

impl fmt::Display for NorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Alignment => f.write_str("address: found between two words or two sectors"),
            Self::Bounds => f.write_str("address: found outside the flash"),
            Self::NotErased { address } => {
                write!(f, "word at {address}: found written, expected erased")
            }
            Self::PowerLost => f.write_str("power is lost"),
        }
    }
}

impl core::error::Error for NorError {}

impl NorFlashError for NorError {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            Self::Alignment => NorFlashErrorKind::NotAligned,
            Self::Bounds => NorFlashErrorKind::OutOfBounds,
            Self::NotErased { .. } | Self::PowerLost => NorFlashErrorKind::Other,
        }
    }
}

impl From<NorFlashErrorKind> for NorError {
    fn from(kind: NorFlashErrorKind) -> Self {
        match kind {
            NorFlashErrorKind::NotAligned => Self::Alignment,
            _ => Self::Bounds,
        }
    }
}

/// A flash of `bytes.len()` bytes that erases `SECTOR` bytes at a time and writes `WORD`. A word
/// that reads as erased counts as erased: the emulation keeps no state but the bytes. Only where `CUTS`
/// can it lose power: a device has no use for that.
#[derive(Debug)]
pub struct Nor<'m, const SECTOR: usize = 4096, const WORD: usize = 4, const CUTS: bool = false> {
    bytes: &'m mut [u8],
    operations: u32,
    cut: Option<Cut>,
}

/// When power is lost, and how what was under way then is torn.
#[derive(Clone, Copy, Debug)]
struct Cut {
    after: u32,
    rng: Rng,
}

impl<'m, const SECTOR: usize, const WORD: usize> Nor<'m, SECTOR, WORD, true> {
    /// The flash that `bytes` are, until power is lost: `after` operations succeed; the next takes
    /// effect in part, in a way that `seed` determines; it and all later ones answer
    /// [`NorError::PowerLost`]. Each word written and each sector erased is an operation.
    pub const fn losing_power(bytes: &'m mut [u8], after: u32, seed: u64) -> Self {
        Self { bytes, operations: 0, cut: Some(Cut { after, rng: Rng::new(seed) }) }
    }
}

impl<'m, const SECTOR: usize, const WORD: usize, const CUTS: bool> Nor<'m, SECTOR, WORD, CUTS> {
    /// The flash that `bytes` are.
    pub const fn new(bytes: &'m mut [u8]) -> Self {
        Self { bytes, operations: 0, cut: None }
    }

    /// How many operations there were, the torn one included.
    #[must_use]
    pub const fn operations(&self) -> u32 {
        self.operations
    }

    fn powered(&self) -> Result<(), NorError> {
        match self.cut {
            Some(cut) if CUTS && self.operations > cut.after => Err(NorError::PowerLost),
            _ => Ok(()),
        }
    }

    /// Counts an operation; gives the generator to tear it with if power is lost in it.
    fn operate(&mut self) -> Result<Option<Rng>, NorError> {
        self.powered()?;
        self.operations = self.operations.saturating_add(1);
        Ok(self.cut.filter(|cut| CUTS && self.operations > cut.after).map(|cut| cut.rng))
    }

    fn at(&mut self, range: Range<usize>) -> Result<&mut [u8], NorError> {
        self.bytes.get_mut(range).ok_or(NorError::Bounds)
    }

    fn write_word(&mut self, at: usize, word: &[u8]) -> Result<(), NorError> {
        if self.at(at..at + word.len())?.iter().any(|&byte| byte != ERASED) {
            return Err(NorError::NotErased { address: at as u32 });
        }
        let torn = self.operate()?;
        let cells = self.at(at..at + word.len())?;
        let Some(mut rng) = torn else {
            cells.copy_from_slice(word);
            return Ok(());
        };
        for (cell, &byte) in cells.iter_mut().zip(word) {
            *cell &= byte | rng.next_u64() as u8;
        }
        Err(NorError::PowerLost)
    }

    fn erase_sector(&mut self, at: usize) -> Result<(), NorError> {
        let torn = self.operate()?;
        let cells = self.at(at..at + SECTOR)?;
        let Some(mut rng) = torn else {
            cells.fill(ERASED);
            return Ok(());
        };
        tear_erase(cells, &mut rng);
        Err(NorError::PowerLost)
    }
}

/// Leaves a sector as a lost erase can: its middle or its ends erased; the rest as it was, or with
/// some more bits erased, or all 0 (many parts program before they erase), or undefined.
fn tear_erase(cells: &mut [u8], rng: &mut Rng) {
    let (from, to) = (rng.below(cells.len() + 1), rng.below(cells.len() + 1));
    let (style, inside) = (rng.below(4), from <= to);
    let (from, to) = (from.min(to), from.max(to));
    for (i, cell) in cells.iter_mut().enumerate() {
        let noise = rng.next_u64() as u8;
        *cell = match style {
            _ if (from..to).contains(&i) == inside => ERASED,
            0 => *cell,
            1 => *cell | noise,
            2 => 0,
            _ => noise,
        };
    }
}

impl<const SECTOR: usize, const WORD: usize, const CUTS: bool> ErrorType
    for Nor<'_, SECTOR, WORD, CUTS>
{
    type Error = NorError;
}

impl<const SECTOR: usize, const WORD: usize, const CUTS: bool> ReadNorFlash
    for Nor<'_, SECTOR, WORD, CUTS>
{
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorError> {
        self.powered()?;
        check_read(self, offset, bytes.len())?;
        let at = offset as usize;
        bytes.copy_from_slice(self.at(at..at + bytes.len())?);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.bytes.len()
    }
}

impl<const SECTOR: usize, const WORD: usize, const CUTS: bool> NorFlash
    for Nor<'_, SECTOR, WORD, CUTS>
{
    const WRITE_SIZE: usize = WORD;
    const ERASE_SIZE: usize = SECTOR;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), NorError> {
        self.powered()?;
        check_erase(self, from, to)?;
        (from as usize..to as usize).step_by(SECTOR).try_for_each(|at| self.erase_sector(at))
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorError> {
        self.powered()?;
        check_write(self, offset, bytes.len())?;
        let words = (offset as usize..).step_by(WORD);
        words.zip(bytes.chunks(WORD)).try_for_each(|(at, word)| self.write_word(at, word))
    }
}

impl<const SECTOR: usize, const WORD: usize, const CUTS: bool> Mapped
    for Nor<'_, SECTOR, WORD, CUTS>
{
    fn bytes(&self) -> &[u8] {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_written_once_between_two_erases() {
        let mut bytes = [0; 1024];
        let mut nor = Nor::<512, 4>::new(&mut bytes);
        assert_eq!(nor.write(512, &[1; 8]), Err(NorError::NotErased { address: 512 }));
        assert_eq!(nor.erase(512, 1024), Ok(()));
        assert_eq!(nor.write(512, &[1; 8]), Ok(()));
        assert_eq!(nor.write(516, &[0; 4]), Err(NorError::NotErased { address: 516 }));
        assert_eq!(nor.operations(), 3);
        assert_eq!((bytes[511], bytes[512], bytes[519], bytes[520]), (0, 1, 1, ERASED));
    }

    #[test]
    fn addresses_are_checked() {
        let mut bytes = [ERASED; 1024];
        let mut nor = Nor::<512, 4>::new(&mut bytes);
        assert_eq!(nor.write(2, &[0; 4]), Err(NorError::Alignment));
        assert_eq!(nor.write(4, &[0; 3]), Err(NorError::Alignment));
        assert_eq!(nor.write(1020, &[0; 8]), Err(NorError::Bounds));
        assert_eq!(nor.erase(0, 256), Err(NorError::Alignment));
        assert_eq!(nor.erase(512, 1536), Err(NorError::Bounds));
        assert_eq!(nor.read(1023, &mut [0; 2]), Err(NorError::Bounds));
        assert_eq!(nor.operations(), 0);
    }

    #[test]
    fn power_is_lost_for_good_and_torn_words_only_lose_bits() {
        for seed in 0..100 {
            let mut bytes = [ERASED; 512];
            let mut nor = Nor::<512, 4, true>::losing_power(&mut bytes, 1, seed);
            assert_eq!(nor.write(0, &[0x5A; 12]), Err(NorError::PowerLost));
            assert_eq!(nor.erase(0, 512), Err(NorError::PowerLost));
            assert_eq!(nor.read(0, &mut [0]), Err(NorError::PowerLost));
            assert_eq!(nor.operations(), 2);
            assert_eq!(bytes[..4], [0x5A; 4]);
            assert!(bytes[4..8].iter().all(|&byte| byte & 0x5A == 0x5A));
            assert!(bytes[8..].iter().all(|&byte| byte == ERASED));
        }
    }
}
