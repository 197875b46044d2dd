//! Writing a file: its header piece by piece, then the data as it comes.

use super::{METADATA, PREFIX};

/// Digits of the largest number.
pub(crate) const DIGITS: usize = 20;
/// Bytes of an element.
const WIDTH: usize = size_of::<f32>();
/// Elements that go to a sink at a time.
const CHUNK: usize = 32;

/// Where bytes go.
pub type Sink<'s, E> = dyn FnMut(&[u8]) -> Result<(), E> + 's;

/// A header that is being written: metadata first, then the tensors in the order of their data.
/// Names, keys and texts are written as they stand, so they must have no `"`, `\` or control
/// characters ([`is_plain`](Header::is_plain)).
///
/// The format's own library writes tensors in ascending order of their names; in this order its
/// bytes and these are the same.
///
/// Its functions are kept out of line: a header is written once, and code is dear on a device.
pub struct Header<'s, E> {
    sink: &'s mut Sink<'s, E>,
    state: State,
    /// Bytes of data so far.
    offset: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Start,
    Metadata,
    Tensors,
}

impl<E> core::fmt::Debug for Header<'_, E> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Header").field("offset", &self.offset).finish_non_exhaustive()
    }
}

impl<'s, E> Header<'s, E> {
    fn new(sink: &'s mut Sink<'s, E>) -> Self {
        Self { sink, state: State::Start, offset: 0 }
    }

    /// Whether text can stand in a header as it is.
    #[must_use]
    pub fn is_plain(text: &str) -> bool {
        !text.bytes().any(|b| b < b' ' || b == b'"' || b == b'\\')
    }

    /// A key of the metadata and its text. Metadata after a tensor is left out.
    ///
    /// # Errors
    /// Those of the sink.
    #[inline(never)]
    pub fn metadata(&mut self, key: &str, text: &str) -> Result<(), E> {
        let before = match self.state {
            State::Start => [r#"{""#, METADATA, r#"":{""#],
            State::Metadata => [r#",""#, "", ""],
            State::Tensors => return Ok(()),
        };
        self.state = State::Metadata;
        self.all(&before)?;
        self.all(&[key, r#"":""#, text, r#"""#])
    }

    /// A tensor of `f32`, its name in parts, the sizes of its dimensions outermost first.
    ///
    /// # Errors
    /// Those of the sink.
    #[inline(never)]
    pub fn tensor(&mut self, name: &[&str], sizes: &[usize]) -> Result<(), E> {
        let before = match self.state {
            State::Start => r#"{""#,
            State::Metadata => r#"},""#,
            State::Tensors => r#",""#,
        };
        self.state = State::Tensors;
        self.all(&[before])?;
        self.all(name)?;
        self.all(&[r#"":{"dtype":"F32","shape":["#])?;
        self.numbers(sizes)?;
        self.all(&[r#"],"data_offsets":["#])?;
        let bytes = sizes.iter().fold(WIDTH, |bytes, &n| bytes.saturating_mul(n));
        let from = self.offset;
        self.offset = from.saturating_add(bytes);
        self.numbers(&[from, self.offset])?;
        self.all(&["]}"])
    }

    fn end(&mut self) -> Result<(), E> {
        self.all(&[match self.state {
            State::Start => "{}",
            State::Metadata => "}}",
            State::Tensors => "}",
        }])
    }

    #[inline(never)]
    fn all(&mut self, texts: &[&str]) -> Result<(), E> {
        texts.iter().try_for_each(|text| (self.sink)(text.as_bytes()))
    }

    fn numbers(&mut self, numbers: &[usize]) -> Result<(), E> {
        for (i, &n) in numbers.iter().enumerate() {
            let mut room = [0; DIGITS];
            self.all(&[if i > 0 { "," } else { "" }, decimal(n as u64, &mut room)])?;
        }
        Ok(())
    }
}

/// Writes the length of a header and the header that `describe` makes, which is called twice and
/// must make the same each time. The data follows: every tensor in order, with [`write_floats`].
///
/// # Errors
/// Those of the sink and of `describe`.
pub fn write_header<E>(
    sink: &mut Sink<'_, E>,
    mut describe: impl FnMut(&mut Header<'_, E>) -> Result<(), E>,
) -> Result<(), E> {
    let (text, _) = measure(&mut describe)?;
    let padded = text.next_multiple_of(PREFIX);
    sink(&(padded as u64).to_le_bytes())?;
    let mut header = Header::new(sink);
    describe(&mut header)?;
    header.end()?;
    let spaces = [b' '; PREFIX];
    sink(spaces.get(..padded - text).unwrap_or_default())
}

/// Bytes of the whole file that begins with the header that `describe` makes.
///
/// # Errors
/// Those of `describe`.
pub fn file_len<E>(
    mut describe: impl FnMut(&mut Header<'_, E>) -> Result<(), E>,
) -> Result<usize, E> {
    let (text, data) = measure(&mut describe)?;
    Ok(PREFIX + text.next_multiple_of(PREFIX) + data)
}

/// Writes elements of a tensor.
///
/// # Errors
/// Those of the sink.
pub fn write_floats<E>(
    sink: &mut Sink<'_, E>,
    values: impl IntoIterator<Item = f32>,
) -> Result<(), E> {
    let (mut room, mut used) = ([[0; WIDTH]; CHUNK], 0);
    for value in values {
        if let Some(to) = room.get_mut(used) {
            *to = value.to_le_bytes();
        }
        used += 1;
        if used == CHUNK {
            sink(room.as_flattened())?;
            used = 0;
        }
    }
    sink(room.get(..used).unwrap_or_default().as_flattened())
}

/// Bytes of the header's text, and of the data.
fn measure<E>(
    describe: &mut impl FnMut(&mut Header<'_, E>) -> Result<(), E>,
) -> Result<(usize, usize), E> {
    let mut text = 0;
    let mut count = |bytes: &[u8]| {
        text += bytes.len();
        Ok(())
    };
    let mut header = Header::new(&mut count);
    describe(&mut header)?;
    header.end()?;
    let data = header.offset;
    Ok((text, data))
}

/// A number in decimal digits.
#[inline(never)]
pub(crate) fn decimal(n: u64, room: &mut [u8; DIGITS]) -> &str {
    *room = [b'0'; DIGITS];
    // Doubled digit by digit, for each bit: devices of 32 bits divide numbers of 64 in a kilobyte of
    // code.
    for bit in (0..u64::BITS - n.leading_zeros()).rev() {
        let mut carry = (n >> bit) as u8 & 1;
        for digit in room.iter_mut().rev() {
            let double = 2 * (*digit - b'0') + carry;
            carry = u8::from(double > 9);
            *digit = b'0' + double - 10 * carry;
        }
    }
    let from = room.iter().position(|&digit| digit != b'0').unwrap_or(DIGITS - 1);
    room.get(from..).and_then(|digits| str::from_utf8(digits).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_digits() {
        for (n, text) in [(0, "0"), (10, "10"), (u64::MAX, "18446744073709551615")] {
            assert_eq!(decimal(n, &mut [0; DIGITS]), text);
        }
    }
}
