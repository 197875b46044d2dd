//! The checksum of files: CRC-32C (Castagnoli), which finds every change of up to three bits in a
//! file of any length a device has room for.

/// The reversed polynomial.
const POLYNOMIAL: u32 = 0x82F6_3B78;

/// A checksum under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Crc(u32);

impl Crc {
    pub(super) const fn new() -> Self {
        Self(u32::MAX)
    }

    /// Takes the next bytes. Bit by bit: whether a table is worth its flash is the compiler's choice.
    pub(super) fn update(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 ^= u32::from(byte);
            for _ in 0..8 {
                self.0 = (self.0 >> 1) ^ (POLYNOMIAL & (self.0 & 1).wrapping_neg());
            }
        }
    }

    pub(super) const fn value(self) -> u32 {
        !self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_crc_32c() {
        let mut crc = Crc::new();
        crc.update(b"1234");
        crc.update(b"56789");
        assert_eq!(crc.value(), 0xE306_9283);
    }
}
