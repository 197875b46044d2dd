//! Numbers as people read them.

/// A number of bytes in words.
#[must_use]
pub fn bytes(bytes: u64) -> String {
    match bytes as f64 {
        b if b >= 1e9 => format!("{:.2} GB", b / 1e9),
        b if b >= 1e6 => format!("{:.1} MB", b / 1e6),
        b => format!("{:.1} KB", b / 1e3),
    }
}

/// A number of things: `1 file`, `2 files`.
#[must_use]
pub fn count(n: usize, thing: &str) -> String {
    let end = if n == 1 { "" } else { "s" };
    format!("{} {thing}{end}", thousands(n))
}

/// A number with its thousands apart.
#[must_use]
pub fn thousands(n: usize) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Seconds in words.
#[must_use]
pub fn duration(seconds: f64) -> String {
    match seconds {
        s if s >= 5400.0 => format!("{:.1} h", s / 3600.0),
        s if s >= 90.0 => format!("{:.1} min", s / 60.0),
        s => format!("{s:.1} s"),
    }
}

/// Seconds in words, those of a guess: without tenths.
#[must_use]
pub fn rounded(seconds: f64) -> String {
    if seconds < 90.0 { format!("{seconds:.0} s") } else { duration(seconds) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        assert_eq!(
            [bytes(1500), bytes(2_500_000), bytes(3_210_000_000)],
            ["1.5 KB", "2.5 MB", "3.21 GB"]
        );
    }

    #[test]
    fn times_have_units() {
        assert_eq!([1.25, 90.0, 5400.0].map(duration), ["1.2 s", "1.5 min", "1.5 h"]);
        assert_eq!([1.25, 600.0].map(rounded), ["1 s", "10.0 min"]);
    }

    #[test]
    fn numbers_are_read_by_thousands() {
        assert_eq!([0, 999, 1000, 1_234_567].map(thousands), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([count(1, "file"), count(2000, "file")], ["1 file", "2,000 files"]);
    }
}
