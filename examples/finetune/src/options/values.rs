//! What stands behind an option: numbers in their ranges, and values that have more than one form.

use core::fmt;
use core::str::FromStr;

use serde::Serialize;

/// A number of steps, said as such or as a share of all.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Amount {
    /// So many.
    Steps(u64),
    /// This share of all, 0 to 1.
    Share(f64),
}

impl Amount {
    /// The number of steps when there are `total`, a share rounded up as in Hugging Face's
    /// `warmup_ratio`.
    #[must_use]
    pub fn of(self, total: u64) -> u64 {
        match self {
            Self::Steps(steps) => steps,
            Self::Share(share) => (share * total as f64).ceil() as u64,
        }
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Steps(steps) => steps.fmt(f),
            Self::Share(share) => share.fmt(f),
        }
    }
}

impl FromStr for Amount {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(steps) = text.parse() {
            return Ok(Self::Steps(steps));
        }
        let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
        share.map(Self::Share).ok_or_else(|| {
            "expected a whole number of steps, or a share of all from 0 to 1".to_owned()
        })
    }
}

/// The linear layers to adapt, by PEFT's rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Target {
    /// Layers whose path is one of these or ends with a dot and one of these.
    Names(Vec<String>),
    /// `all-linear`, or a regular expression that matches a layer's whole path.
    Text(String),
}

/// The word for all linear layers but the head.
pub const ALL_LINEAR: &str = "all-linear";

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let plain = |c: char| c.is_alphanumeric() || "_.,- ".contains(c);
        let names: Vec<_> = text.split(',').map(|n| n.trim().to_owned()).collect();
        if names.iter().any(String::is_empty) {
            return Err(format!(
                "expected names divided by commas, {ALL_LINEAR}, or a regular expression"
            ));
        }
        let is_text = text == ALL_LINEAR || !text.chars().all(plain) || text.contains(".*");
        Ok(if is_text { Self::Text(text.to_owned()) } else { Self::Names(names) })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Names(names) => f.write_str(&names.join(",")),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// Ranks of layers that differ from the others': patterns of paths, in order, and their ranks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct RankPattern(pub Vec<(String, usize)>);

impl FromStr for RankPattern {
    type Err = String;

    /// `q_proj=4,v_proj=8`, or an object `{"q_proj": 4}`. A comma within a pattern is part of it.
    fn from_str(text: &str) -> Result<Self, String> {
        if text.trim_start().starts_with('{') {
            let object: serde_json::Map<_, _> =
                serde_json::from_str(text).map_err(|e| e.to_string())?;
            let rank = |(key, value): (String, serde_json::Value)| pair(&format!("{key}={value}"));
            return object.into_iter().map(rank).collect::<Result<_, _>>().map(Self);
        }
        let mut pairs: Vec<String> = Vec::new();
        let mut open = String::new();
        for part in text.split(',') {
            open.push_str(part);
            if part.contains('=') {
                pairs.push(core::mem::take(&mut open));
            } else {
                open.push(',');
            }
        }
        if !open.is_empty() {
            pairs.push(open);
        }
        pairs.iter().map(|text| pair(text)).collect::<Result<_, _>>().map(Self)
    }
}

fn pair(text: &str) -> Result<(String, usize), String> {
    let (name, rank) = text.rsplit_once('=').unwrap_or((text, ""));
    match rank.trim().parse() {
        Ok(rank) if rank > 0 && !name.trim().is_empty() => Ok((name.trim().to_owned(), rank)),
        _ => Err(format!("{text:?}: expected PATTERN=RANK, with a rank from 1")),
    }
}

/// A number above 0.
///
/// # Errors
/// A text that is none.
pub(super) fn positive(text: &str) -> Result<f64, String> {
    number(text, "a number above 0", |n| n > 0.0)
}

/// A number from 0 up.
///
/// # Errors
/// A text that is none.
pub(super) fn from_zero(text: &str) -> Result<f64, String> {
    number(text, "a number from 0", |n| n >= 0.0)
}

/// A number from 0, less than 1.
///
/// # Errors
/// A text that is none.
pub(super) fn below_one(text: &str) -> Result<f64, String> {
    number(text, "a number from 0, less than 1", |n| (0.0..1.0).contains(&n))
}

/// A number above 0, at most 1.
///
/// # Errors
/// A text that is none.
pub(super) fn share(text: &str) -> Result<f64, String> {
    number(text, "a number above 0, at most 1", |n| n > 0.0 && n <= 1.0)
}

/// A token's id, or the kind of its segment; spaces beside it are left out.
///
/// # Errors
/// A text that is none.
pub(super) fn id(text: &str) -> Result<u32, String> {
    let expected = |_| "expected whole numbers divided by commas".to_owned();
    text.trim().parse().map_err(expected)
}

fn number(text: &str, expected: &str, fits: impl Fn(f64) -> bool) -> Result<f64, String> {
    let number = text.parse().ok().filter(|n: &f64| n.is_finite() && fits(*n));
    number.ok_or_else(|| format!("expected {expected}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_is_a_count_or_a_share() {
        assert_eq!("7".parse(), Ok(Amount::Steps(7)));
        assert_eq!("0.03".parse(), Ok(Amount::Share(0.03)));
        assert_eq!((Amount::Share(0.03).of(101), Amount::Steps(7).of(3)), (4, 7));
        assert!("1.5".parse::<Amount>().is_err() && "-1".parse::<Amount>().is_err());
    }

    #[test]
    fn a_target_is_names_or_a_pattern() {
        let names = |n: &[&str]| Target::Names(n.iter().map(|&n| n.to_owned()).collect());
        assert_eq!("q_proj, v_proj".parse(), Ok(names(&["q_proj", "v_proj"])));
        assert_eq!(
            "model.layers.0.mlp.up_proj".parse(),
            Ok(names(&["model.layers.0.mlp.up_proj"]))
        );
        assert_eq!(ALL_LINEAR.parse(), Ok(Target::Text(ALL_LINEAR.to_owned())));
        for pattern in [r".*\.(q|v)_proj", "model.*proj", r"layers\.\d{1,2}\.q"] {
            assert_eq!(pattern.parse(), Ok(Target::Text(pattern.to_owned())));
        }
        assert!("".parse::<Target>().is_err() && "a,,b".parse::<Target>().is_err());
    }

    #[test]
    fn patterns_of_ranks_may_hold_commas() {
        let ranks = |text: &str| text.parse::<RankPattern>().map(|p| p.0);
        let pair = |name: &str, rank| (name.to_owned(), rank);
        assert_eq!(ranks("q_proj=4,v_proj=8"), Ok(vec![pair("q_proj", 4), pair("v_proj", 8)]));
        assert_eq!(ranks(r"layers\.\d{1,2}\.q=4"), Ok(vec![pair(r"layers\.\d{1,2}\.q", 4)]));
        assert_eq!(ranks(r#"{"q_proj": 4}"#), Ok(vec![pair("q_proj", 4)]));
        for bad in ["q_proj", "q_proj=", "q_proj=0", "=3", "a=1,b", r#"{"q": "x"}"#] {
            assert!(ranks(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn numbers_keep_to_their_ranges() {
        assert_eq!(
            (positive("1e-4"), from_zero("0"), below_one("0.9")),
            (Ok(1e-4), Ok(0.0), Ok(0.9))
        );
        assert!(id(" 7") == Ok(7) && id("x").is_err());
        for bad in ["0", "-1", "nan", "inf", "x"] {
            assert!(positive(bad).is_err(), "{bad}");
        }
        assert!(from_zero("-0.1").is_err() && below_one("1").is_err() && share("1.1").is_err());
    }
}
