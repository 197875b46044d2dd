//! Which elements a forward pass drops: a function of seed and position.

/// The dropout mask of one forward pass: element i is kept when [`Dropout::keeps`] says so.
///
/// A function of seed and position alone, so that backward (and any other device) sees the same
/// mask without storing it.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Dropout {
    /// The probability that an element is dropped, in [0, 1).
    pub p: f64,
    /// Which mask. Another forward pass wants another one.
    pub seed: u64,
}

impl Dropout {
    /// An element is dropped when its hash is below this.
    #[must_use]
    pub fn threshold(&self) -> u32 {
        (self.p * 4_294_967_296.0) as u32
    }

    /// What kept elements are multiplied by: 1/(1 − p).
    #[must_use]
    pub fn scale(&self) -> f64 {
        1.0 / (1.0 - self.p)
    }

    /// Whether the element at row·cols + col = `index` is kept.
    ///
    /// h = mix(mix(index·0x9E3779B9 ⊕ low half of the seed) ⊕ high half), where mix is the
    /// finaliser of MurmurHash3; 32-bit arithmetic throughout.
    #[must_use]
    #[inline]
    pub fn keeps(&self, index: u32) -> bool {
        let h = mix(index.wrapping_mul(0x9E37_79B9) ^ self.seed as u32);
        mix(h ^ (self.seed >> 32) as u32) >= self.threshold()
    }
}

#[inline]
const fn mix(mut h: u32) -> u32 {
    h ^= h >> 16;
    h = h.wrapping_mul(0x85EB_CA6B);
    h ^= h >> 13;
    h = h.wrapping_mul(0xC2B2_AE35);
    h ^ (h >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropout_drops_the_share_it_was_told_to() {
        let drop = Dropout { p: 0.25, seed: 0x1234_5678_9ABC_DEF0 };
        let kept = (0..100_000).filter(|&i| drop.keeps(i)).count();
        assert!((74_000..76_000).contains(&kept), "{kept} of 100000 kept at p = 0.25");
        let other = Dropout { seed: drop.seed + (1 << 32), ..drop };
        let differ = (0..1000).filter(|&i| drop.keeps(i) != other.keeps(i)).count();
        assert!(differ > 250, "the high half of the seed counts: {differ}");
        assert!((0..1000).all(|i| Dropout { p: 0.0, ..drop }.keeps(i)));
    }
}
