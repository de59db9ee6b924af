//! Durations as people write them: a whole number and one unit.

use std::time::Duration;

/// How a duration is written, as a regular expression for the schema.
pub(super) const PATTERN: &str = "^[0-9]+(ms|s|m|h|d)$";

/// The same in words.
pub(super) const FORM: &str =
    "a whole number with a unit: \"250ms\", \"10s\", \"5m\", \"1h\", \"7d\"";

/// Longest duration anybody may set. Far below what a clock can add without overflow.
pub(super) const MAX: Duration = Duration::from_hours(365 * 24);

/// Reads `"250ms"`, `"10s"`, `"5m"`, `"1h"`, `"7d"` up to [`MAX`]; `None` for everything else.
pub fn parse(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let unit_millis: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    let millis = number.parse::<u64>().ok()?.checked_mul(unit_millis)?;
    Some(Duration::from_millis(millis)).filter(|duration| *duration <= MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_number_with_a_unit_is_a_duration() {
        for (text, millis) in [
            ("0s", 0),
            ("250ms", 250),
            ("10s", 10_000),
            ("5m", 300_000),
            ("1h", 3_600_000),
            ("7d", 604_800_000),
            ("365d", 31_536_000_000),
        ] {
            assert_eq!(parse(text), Some(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for text in [
            "",
            "10",
            "s",
            "1.5s",
            "-1s",
            "+1s",
            " 1s",
            "1 s",
            "1S",
            "1s ",
            "1h30m",
            "1w",
            "366d",
            "99999999999999999999s",
            "9999999999999999999d",
            "١s",
            "ééé",
        ] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }
}
