//! As much JSON as a header has: objects, plain strings, lists of numbers without a sign. No bytes
//! make it panic, which the linker can see: on a device, code that might panic is dear.

/// What is left of a text. Every function takes what it reads from its front, after white space,
/// and answers `None` when something else is there; what is left then is of no use.
#[derive(Debug)]
pub(super) struct Json<'a> {
    rest: &'a [u8],
}

impl<'a> Json<'a> {
    pub(super) const fn new(text: &'a [u8]) -> Self {
        Self { rest: text }
    }

    /// Nothing but white space.
    pub(super) fn end(&mut self) -> Option<()> {
        self.skip_space();
        self.rest.is_empty().then_some(())
    }

    /// An object: `member` gets each key, and takes its value.
    pub(super) fn object(
        &mut self,
        member: &mut dyn FnMut(&mut Self, &'a str) -> Option<()>,
    ) -> Option<()> {
        self.list(*b"{}", &mut |json| {
            let key = json.string()?;
            json.take(b':')?;
            member(json, key)
        })
    }

    /// A list of numbers: the first go to `first`; how many there are.
    pub(super) fn numbers(&mut self, first: &mut [u64]) -> Option<usize> {
        let (mut count, mut first) = (0, first.iter_mut());
        self.list(*b"[]", &mut |json| {
            let number = json.number()?;
            if let Some(to) = first.next() {
                *to = number;
            }
            count += 1;
            Some(())
        })?;
        Some(count)
    }

    /// A string as it stands, its escapes checked but not resolved. Unlike JSON it may have control
    /// characters: who needs to tell one without from one with looks for them.
    #[inline(never)]
    pub(super) fn string(&mut self) -> Option<&'a str> {
        self.take(b'"')?;
        let mut escaped = false;
        let end = self.rest.iter().position(|&byte| {
            let ends = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            ends
        });
        let (text, rest) = self.rest.split_at_checked(end?)?;
        (_, self.rest) = rest.split_first()?;
        check_escapes(text)?;
        str::from_utf8(text).ok()
    }

    /// A number in decimal digits, as JSON has it: no zeros before others.
    fn number(&mut self) -> Option<u64> {
        self.skip_space();
        let mut number = None;
        while let Some((&digit @ b'0'..=b'9', rest)) = self.rest.split_first() {
            number = match number {
                None => Some(0),
                Some(0) => return None,
                Some(n) => u64::checked_mul(n, 10),
            };
            number = Some(number?.checked_add(u64::from(digit - b'0'))?);
            self.rest = rest;
        }
        number
    }

    /// What stands between two brackets, with commas between: `one` takes one of it.
    #[inline(never)]
    fn list(
        &mut self,
        [open, close]: [u8; 2],
        one: &mut dyn FnMut(&mut Self) -> Option<()>,
    ) -> Option<()> {
        self.take(open)?;
        if self.take(close).is_some() {
            return Some(());
        }
        one(self)?;
        while self.take(b',').is_some() {
            one(self)?;
        }
        self.take(close)
    }

    /// This byte; when another is there, it stays.
    #[inline(never)]
    fn take(&mut self, wanted: u8) -> Option<()> {
        self.skip_space();
        let (_, rest) = self.rest.split_first().filter(|(byte, _)| **byte == wanted)?;
        self.rest = rest;
        Some(())
    }

    fn skip_space(&mut self) {
        while let Some((b' ' | b'\t' | b'\n' | b'\r', rest)) = self.rest.split_first() {
            self.rest = rest;
        }
    }
}

/// `Some` when all escapes are those of JSON.
fn check_escapes(mut text: &[u8]) -> Option<()> {
    while let Some((&byte, rest)) = text.split_first() {
        text = if byte == b'\\' { escape(rest)? } else { rest };
    }
    Some(())
}

/// What follows an escape that begins with `text`.
fn escape(text: &[u8]) -> Option<&[u8]> {
    let (kind, rest) = text.split_first()?;
    match kind {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(rest),
        b'u' => match unit(rest)? {
            (0xDC00..=0xDFFF, _) => None,
            (0xD800..=0xDBFF, rest) => match unit(rest.strip_prefix(br"\u")?)? {
                (0xDC00..=0xDFFF, rest) => Some(rest),
                _ => None,
            },
            (_, rest) => Some(rest),
        },
        _ => None,
    }
}

/// A unit of UTF-16 in four hexadecimal digits, and what follows.
fn unit(text: &[u8]) -> Option<(u32, &[u8])> {
    let (digits, rest) = text.split_first_chunk::<4>()?;
    let digits = digits.iter().map(|&digit| char::from(digit).to_digit(16));
    let unit = digits.reduce(|unit, digit| Some(unit? << 4 | digit?))?;
    Some((unit?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn string(text: &str) -> Option<&str> {
        Json::new(text.as_bytes()).string()
    }

    fn numbers(text: &str) -> Option<(usize, [u64; 2])> {
        let mut first = [0; 2];
        let mut json = Json::new(text.as_bytes());
        let count = json.numbers(&mut first)?;
        json.end().map(|()| (count, first))
    }

    #[test]
    fn strings_as_they_stand() {
        assert_eq!(string(" \"\""), Some(""));
        assert_eq!(string("\"é\" x"), Some("é"));
        for escapes in [r#""\\""#, r#""\"a\"""#, r#""\/\b\f\n\r\t""#, r#""\u00e9\uFFFF""#] {
            assert_eq!(string(escapes), escapes.get(1..escapes.len() - 1), "{escapes}");
        }
        assert_eq!(string(r#""\uD83D\ude00""#), Some(r"\uD83D\ude00"));
        for broken in
            ["", "a", "\"", "\"\\\"", "\"\\x\"", "\"\\u12g4\"", "\"\\u+123\"", "\"\\u12\""]
        {
            assert_eq!(string(broken), None, "{broken}");
        }
        for half in [r#""\uDE00""#, r#""\uD83D""#, r#""\uD83Dxxxxxx""#, r#""\uD83D\uD83D""#] {
            assert_eq!(string(half), None, "{half}");
        }
        assert_eq!(Json::new(b"\"\xFF\"").string(), None);
    }

    #[test]
    fn numbers_and_how_many() {
        assert_eq!(numbers(" [ ] "), Some((0, [0, 0])));
        assert_eq!(numbers("[0 , 10\n]"), Some((2, [0, 10])));
        assert_eq!(numbers("[1,2,3,4]"), Some((4, [1, 2])));
        assert_eq!(numbers("[18446744073709551615]"), Some((1, [u64::MAX, 0])));
        let broken = ["", "[", "1", "[1", "[,]", "[,1]", "[1,]", "[1,,2]", "[1 2]", "[1}", "[1]]"];
        let odd = ["[-1]", "[1.0]", "[1e3]", "[01]", "[00]", "[18446744073709551616]", "[[1]]"];
        for text in broken.iter().chain(&odd) {
            assert_eq!(numbers(text), None, "{text}");
        }
    }
}
