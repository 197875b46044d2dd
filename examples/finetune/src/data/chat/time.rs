//! The date, for templates that say it.

use std::time::{SystemTime, UNIX_EPOCH};

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] =
    ["Thursday", "Friday", "Saturday", "Sunday", "Monday", "Tuesday", "Wednesday"];

/// The time now in UTC as `format` asks, as C's `strftime` does; a letter that is not one of
/// `aAbBdeFHImMpSyY%` stays as it is. After `%-` a number has no zero before it.
pub(super) fn strftime_now(format: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    strftime(format, now)
}

fn strftime(format: &str, seconds: u64) -> String {
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    let name = |names: &[&'static str], i: u64| names.get(i as usize).copied().unwrap_or_default();
    let short = |name: &str| name.get(..3).unwrap_or_default().to_owned();
    let hour = second / 3600;
    let mut text = String::new();
    let mut letters = format.chars();
    while let Some(c) = letters.next() {
        let mut letter = if c == '%' { letters.next() } else { None };
        let bare = letter == Some('-');
        if bare {
            letter = letters.next();
        }
        let two = |n: u64| if bare { n.to_string() } else { format!("{n:02}") };
        text += &match letter {
            None if bare => "%-".to_owned(),
            None => c.to_string(),
            Some('a') => short(name(&DAYS, days % 7)),
            Some('A') => name(&DAYS, days % 7).to_owned(),
            Some('b') => short(name(&MONTHS, month - 1)),
            Some('B') => name(&MONTHS, month - 1).to_owned(),
            Some('d') => two(day),
            Some('e') => format!("{day:2}"),
            Some('F') => format!("{year}-{month:02}-{day:02}"),
            Some('H') => two(hour),
            Some('I') => two((hour + 11) % 12 + 1),
            Some('m') => two(month),
            Some('M') => two(second / 60 % 60),
            Some('p') => (if hour < 12 { "AM" } else { "PM" }).to_owned(),
            Some('S') => two(second % 60),
            Some('y') => two(year % 100),
            Some('Y') => year.to_string(),
            Some('%') => '%'.to_string(),
            Some(other) if bare => format!("%-{other}"),
            Some(other) => format!("%{other}"),
        };
    }
    text
}

/// Year, month and day (from 1) of a number of days after 1970-01-01 (Hinnant, *chrono-compatible
/// low-level date algorithms*).
fn civil(days: u64) -> (u64, u64, u64) {
    let z = days + 719_468;
    let (era, day_of_era) = (z / 146_097, z % 146_097);
    let year = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (era * 400 + year + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(strftime("%d %b %Y", 0), "01 Jan 1970");
        assert_eq!(strftime("%-d %-m %e %F %Q %-Q", 0), "1 1  1 1970-01-01 %Q %-Q");
        assert_eq!(
            strftime("%A %-d %B %y %I:%M:%S %p %%", 951_827_696),
            "Tuesday 29 February 00 12:34:56 PM %"
        );
        assert_eq!(strftime("%a %Y-%m-%d %H", 4_102_444_799), "Thu 2099-12-31 23");
    }
}
