//! Seeded initialisation: the same seed gives the same parameters on every device.

use crate::backend::{AccumOf, Backend};
use crate::buffer::Acc;
use crate::error::Error;
use crate::param::Param;
use crate::scalar::Accum;

/// A small, fast, seeded generator (SplitMix64, Steele et al. 2014): integer arithmetic only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Rng {
    /// The whole state: save it to go on where one left off.
    pub state: u64,
}

impl Rng {
    /// The generator that `seed` names.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The next 64 bits.
    pub const fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.state ^ (self.state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Uniform in [0, 1), a multiple of 2⁻²⁴: exact in `f32`.
    pub fn unit<A: Accum>(&mut self) -> A {
        A::whole((self.next_u64() >> 40) as u32) / A::whole(1 << 24)
    }

    /// Uniform in [−bound, bound).
    pub fn within<A: Accum>(&mut self, bound: A) -> A {
        let unit = self.unit::<A>();
        (unit + unit - A::whole(1)) * bound
    }

    /// Uniform among 0..n; 0 when n is 0.
    pub fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.next_u64()) * n as u128) >> 64) as usize
    }

    /// Puts `items` in random order (Fisher–Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i + 1));
        }
    }
}

/// Fills a parameter `(rows, cols)` from U(−1/√cols, 1/√cols): Kaiming-uniform with a = √5, what
/// PyTorch and PEFT give a linear layer and A.
///
/// # Errors
/// Device errors.
pub fn kaiming_uniform<B: Backend>(
    be: &mut B,
    rng: &mut Rng,
    p: &mut Param<B>,
) -> Result<(), Error<B::Error>> {
    let cols = AccumOf::<B>::whole(p.shape().1.max(1) as u32);
    let bound = AccumOf::<B>::whole(1) / cols.sqrt();
    let mut some = [AccumOf::<B>::default(); 32];
    let mut done = 0;
    while done < p.count() {
        let chunk = some.len().min(p.count() - done);
        let part = some.get_mut(..chunk).unwrap_or_default();
        part.fill_with(|| rng.within(bound));
        be.write::<Acc>(p.value_mut(), done, part)?;
        done += chunk;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_is_splitmix64() {
        let mut rng = Rng::new(1_234_567);
        let first = [rng.next_u64(), rng.next_u64(), rng.next_u64()];
        let published =
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        assert_eq!(first, published);
    }

    #[test]
    fn a_shuffle_keeps_every_item() {
        let mut items: [usize; 50] = core::array::from_fn(|i| i);
        Rng::new(3).shuffle(&mut items);
        let mut sorted = items;
        sorted.sort_unstable();
        assert_ne!(items, sorted);
        assert!(sorted.iter().enumerate().all(|(i, &x)| i == x));
    }

    #[test]
    fn numbers_stay_below_their_bound() {
        let mut rng = Rng::new(5);
        assert!((0..1000).all(|_| rng.within(0.5f64).abs() <= 0.5 && rng.below(7) < 7));
        assert_eq!(rng.below(0), 0);
    }
}
