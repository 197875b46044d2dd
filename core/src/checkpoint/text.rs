//! Numbers as text.

use core::ops::RangeInclusive;

pub(super) use crate::safetensors::{DIGITS as DECIMAL, decimal};

/// A number in 16 hexadecimal digits.
pub(super) fn hexadecimal(n: u64, room: &mut [u8; 16]) -> &str {
    for (i, digit) in room.iter_mut().rev().enumerate() {
        let value = (n >> (4 * i)) as u8 & 15;
        *digit = value + if value < 10 { b'0' } else { b'a' - 10 };
    }
    str::from_utf8(room).unwrap_or_default()
}

/// The number that `text` is, in digits and small letters, as many as may be.
pub(super) fn number(text: &str, radix: u8, digits: RangeInclusive<usize>) -> Option<u64> {
    if !digits.contains(&text.len()) {
        return None;
    }
    text.bytes().try_fold(0u64, |n, byte| {
        let value = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            _ => return None,
        };
        let n = n.checked_mul(radix.into())?.checked_add(value.into())?;
        (value < radix).then_some(n)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back() {
        for n in [0, 9, 10, 255, 0x0123_4567_89AB_CDEF, u64::MAX] {
            assert_eq!(number(decimal(n, &mut [0; DECIMAL]), 10, 1..=20), Some(n));
            assert_eq!(number(hexadecimal(n, &mut [0; 16]), 16, 16..=16), Some(n));
        }
        for wrong in ["", "-1", "+1", "1a", "18446744073709551616", "000000000000000000001"] {
            assert_eq!(number(wrong, 10, 1..=20), None, "{wrong}");
        }
        assert_eq!(number("00000000000000FF", 16, 16..=16), None);
    }
}
