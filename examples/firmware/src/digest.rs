//! A hash of every bit that was computed: two machines agree when their digests do.

/// FNV-1a over 32-bit words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest(u64);

impl Default for Digest {
    fn default() -> Self {
        Self(0xCBF2_9CE4_8422_2325)
    }
}

impl Digest {
    /// Takes one more number.
    pub fn add(&mut self, x: f32) {
        self.0 = (self.0 ^ u64::from(x.to_bits())).wrapping_mul(0x0100_0000_01B3);
    }

    /// Takes more numbers.
    pub fn extend(&mut self, all: &[f32]) {
        all.iter().for_each(|&x| self.add(x));
    }

    /// The hash so far.
    #[must_use]
    pub const fn value(&self) -> u64 {
        self.0
    }
}
