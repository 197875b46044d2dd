//! What the store knows of a file, and how that is written.

use super::error::StoreError;

/// The version of the encoding, its first byte.
const VERSION: u8 = 1;

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Kind {
    /// An adapter: all that inference needs.
    Adapter,
    /// An adapter and the optimiser's state: all that training needs to go on.
    Checkpoint,
    /// A whole network with an adapter merged into it.
    Merged,
}

/// What the store knows of a file. The one with the highest generation is the file; saving is
/// writing a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Record {
    /// What the file holds.
    pub kind: Kind,
    /// In which of the two banks it lies.
    pub bank: u8,
    /// The number of saves up to this one.
    pub generation: u32,
    /// The length of the file in bytes.
    pub len: u32,
    /// CRC-32C of the file.
    pub crc: u32,
    /// Of the base network that the file belongs to.
    pub fingerprint: u64,
}

impl Record {
    /// The length of an encoded record.
    pub(super) const LEN: usize = 24;

    /// Little-endian: version, kind, bank, 0, generation, length, checksum, fingerprint.
    pub(super) fn encode(&self) -> [u8; Self::LEN] {
        let [g0, g1, g2, g3] = self.generation.to_le_bytes();
        let [l0, l1, l2, l3] = self.len.to_le_bytes();
        let [c0, c1, c2, c3] = self.crc.to_le_bytes();
        let [f0, f1, f2, f3, f4, f5, f6, f7] = self.fingerprint.to_le_bytes();
        let kind = match self.kind {
            Kind::Adapter => 0,
            Kind::Checkpoint => 1,
            Kind::Merged => 2,
        };
        [
            VERSION, kind, self.bank, 0, g0, g1, g2, g3, l0, l1, l2, l3, c0, c1, c2, c3, f0, f1,
            f2, f3, f4, f5, f6, f7,
        ]
    }

    /// The record that `bytes` encode, of a file that fits a bank of `capacity` bytes.
    pub(super) fn decode<E>(bytes: &[u8], capacity: u32) -> Result<Self, StoreError<E>> {
        let &version = bytes.first().ok_or(wrong("length", 0))?;
        if version != VERSION {
            return Err(wrong("version", version.into()));
        }
        let Ok(&whole) = <&[u8; Self::LEN]>::try_from(bytes) else {
            return Err(wrong("length", bytes.len() as u32));
        };
        Self::fields(whole)?.sensible(capacity)
    }

    fn fields<E>(bytes: [u8; Self::LEN]) -> Result<Self, StoreError<E>> {
        let [
            _,
            kind,
            bank,
            _,
            g0,
            g1,
            g2,
            g3,
            l0,
            l1,
            l2,
            l3,
            c0,
            c1,
            c2,
            c3,
            f0,
            f1,
            f2,
            f3,
            f4,
            f5,
            f6,
            f7,
        ] = bytes;
        let kind = match kind {
            0 => Kind::Adapter,
            1 => Kind::Checkpoint,
            2 => Kind::Merged,
            _ => return Err(wrong("kind", kind.into())),
        };
        Ok(Self {
            kind,
            bank,
            generation: u32::from_le_bytes([g0, g1, g2, g3]),
            len: u32::from_le_bytes([l0, l1, l2, l3]),
            crc: u32::from_le_bytes([c0, c1, c2, c3]),
            fingerprint: u64::from_le_bytes([f0, f1, f2, f3, f4, f5, f6, f7]),
        })
    }

    fn sensible<E>(self, capacity: u32) -> Result<Self, StoreError<E>> {
        if self.bank > 1 {
            return Err(wrong("bank", self.bank.into()));
        }
        if self.len > capacity {
            return Err(wrong("file length", self.len));
        }
        Ok(self)
    }
}

const fn wrong<E>(what: &'static str, found: u32) -> StoreError<E> {
    StoreError::Record { what, found }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: Record = Record {
        kind: Kind::Checkpoint,
        bank: 1,
        generation: 0x0102_0304,
        len: 500,
        crc: 0x8765_4321,
        fingerprint: 0x0011_2233_4455_6677,
    };

    #[test]
    fn a_record_reads_back_as_written() {
        assert_eq!(Record::decode::<()>(&RECORD.encode(), 500), Ok(RECORD));
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        let changed = |at: usize, to: u8| {
            let mut bytes = RECORD.encode();
            bytes[at] = to;
            Record::decode::<()>(&bytes, 500)
        };
        assert_eq!(changed(0, 2), Err(wrong("version", 2)));
        assert_eq!(changed(1, 3), Err(wrong("kind", 3)));
        assert_eq!(changed(2, 2), Err(wrong("bank", 2)));
        assert_eq!(changed(8, 0xF5), Err(wrong("file length", 501)));
        assert_eq!(Record::decode::<()>(&RECORD.encode()[..23], 500), Err(wrong("length", 23)));
        assert_eq!(Record::decode::<()>(&[], 500), Err(wrong("length", 0)));
    }
}
