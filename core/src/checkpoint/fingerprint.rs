//! A number that tells one base network from another.

use crate::frozen::Frozen;

/// FNV-1a, 64 bits, over the layers of a base: for each, as little-endian bytes, the rows, columns
/// and number of biases (`u64`), then W row after row and b, every value as `f32`.
///
/// Weights in f16 or bf16 and the same values in f32 have the same fingerprint; values in f64 that
/// round to the same f32 cannot be told apart. It finds mistakes, not malice.
#[must_use]
pub fn fingerprint<'w>(layers: impl IntoIterator<Item = (Frozen<'w>, Option<&'w [f32]>)>) -> u64 {
    let mut hash = 0xCBF2_9CE4_8422_2325;
    for (w, bias) in layers {
        let ((rows, cols), bias) = (w.shape(), bias.unwrap_or_default());
        for n in [rows, cols, bias.len()] {
            hash = add(hash, &(n as u64).to_le_bytes());
        }
        let data = w.data();
        let values = (0..data.len()).filter_map(|i| data.single(i));
        for value in values.chain(bias.iter().copied()) {
            hash = add(hash, &value.to_le_bytes());
        }
    }
    hash
}

fn add(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, &b| (hash ^ u64::from(b)).wrapping_mul(0x0100_0000_01B3))
}

#[cfg(test)]
mod tests {
    use half::f16;

    use super::*;
    use crate::frozen::Format;

    const W: [f32; 6] = [1.0, -2.0, 0.5, 0.0, 3.0, 4.0];
    const B: [f32; 2] = [0.25, -1.0];

    fn of(rows: usize, cols: usize, data: Format<'_>, bias: Option<&[f32]>) -> u64 {
        let w = Frozen::new(rows, cols, data);
        w.map_or(0, |w| fingerprint([(w, bias)]))
    }

    #[test]
    fn no_layers_have_the_offset_of_the_hash() {
        assert_eq!(fingerprint([]), 0xCBF2_9CE4_8422_2325);
        assert_eq!(add(0xCBF2_9CE4_8422_2325, b"foobar"), 0x8594_4171_F739_67E8, "by its authors");
    }

    #[test]
    fn any_bit_and_any_shape_changes_it() {
        let whole = of(2, 3, Format::F32(&W), Some(&B));
        assert_ne!(whole, of(3, 2, Format::F32(&W), Some(&B)));
        assert_ne!(whole, of(2, 3, Format::F32(&W), None));
        for bit in 0..32 {
            let flip = |x: f32| f32::from_bits(x.to_bits() ^ 1 << bit);
            for i in 0..W.len() {
                let mut w = W;
                w[i] = flip(w[i]);
                assert_ne!(whole, of(2, 3, Format::F32(&w), Some(&B)));
            }
            let b = [B[0], flip(B[1])];
            assert_ne!(whole, of(2, 3, Format::F32(&W), Some(&b)));
        }
    }

    #[test]
    fn the_format_makes_no_difference() {
        let (halves, doubles) = (W.map(f16::from_f32), W.map(f64::from));
        let whole = of(2, 3, Format::F32(&W), None);
        assert_eq!(whole, of(2, 3, Format::F16(&halves), None));
        assert_eq!(whole, of(2, 3, Format::F64(&doubles), None));
    }
}
