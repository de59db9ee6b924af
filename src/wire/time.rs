//! Times on the wire: RFC 3339 text in, RFC 3339 UTC with milliseconds out.
//!
//! Works on the calendar rather than on [`jiff::Timestamp`], whose last instant lies a day before the
//! `9999-12-31T23:59:59Z` that producers like to write for "never".

use std::fmt;

use jiff::SignedDuration;
use jiff::civil::{DateTime, date};
use serde::{Serialize, Serializer};

use crate::engine::job::Timestamp;

const EPOCH: DateTime = date(1970, 1, 1).at(0, 0, 0, 0);

/// 0000-01-01T00:00:00.000Z, the first instant that RFC 3339 can write.
const MIN_MS: i64 = -62_167_219_200_000;
/// 9999-12-31T23:59:59.999Z, the last one.
const MAX_MS: i64 = 253_402_300_799_999;

/// Reads RFC 3339 with its offset; `None` for anything else. What is finer than a millisecond is cut off.
pub fn parse(text: &str) -> Option<Timestamp> {
    let (stamp, rest) = text.split_at_checked("0000-00-00T00:00:00".len())?;
    let (fraction, offset) = rest.split_at_checked(rest.find(['Z', 'z', '+', '-'])?)?;
    let since_epoch = civil(stamp)?.duration_since(EPOCH);
    let since_epoch = since_epoch + milliseconds(fraction)? - utc_offset(offset)?;
    bounded(i64::try_from(since_epoch.as_millis()).ok()?)
}

/// `None` past the year 9999, which is what milliseconds taken for seconds look like.
pub fn from_unix_seconds(seconds: u64) -> Option<Timestamp> {
    bounded(i64::try_from(seconds).ok()?.checked_mul(1000)?)
}

fn bounded(ms: i64) -> Option<Timestamp> {
    (MIN_MS..=MAX_MS).contains(&ms).then_some(Timestamp(ms))
}

/// `2026-11-21T18:10:00`, its length already right.
fn civil(stamp: &str) -> Option<DateTime> {
    let separator =
        |at: usize, allowed: &[u8]| allowed.contains(stamp.as_bytes().get(at)?).then_some(());
    separator(4, b"-")?;
    separator(7, b"-")?;
    separator(10, b"Tt")?;
    separator(13, b":")?;
    separator(16, b":")?;
    let part = |from: usize, to: usize| digits(stamp.get(from..to)?);
    let part_i8 = |from, to| i8::try_from(part(from, to)?).ok();
    // A leap second has no number of its own in Unix time: it is the second before it.
    let second = part_i8(17, 19).map(|second| if second == 60 { 59 } else { second })?;
    let (hour, minute) = (part_i8(11, 13)?, part_i8(14, 16)?);
    DateTime::new(
        part(0, 4)?,
        part_i8(5, 7)?,
        part_i8(8, 10)?,
        hour,
        minute,
        second,
        0,
    )
    .ok()
}

/// Nothing, or `.` and any number of digits.
fn milliseconds(fraction: &str) -> Option<SignedDuration> {
    if fraction.is_empty() {
        return Some(SignedDuration::ZERO);
    }
    let decimals = fraction
        .strip_prefix('.')
        .filter(|decimals| !decimals.is_empty())?;
    if !decimals.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let ms = decimals
        .bytes()
        .chain(*b"00")
        .take(3)
        .fold(0, |ms, b| ms * 10 + i64::from(b - b'0'));
    Some(SignedDuration::from_millis(ms))
}

/// `Z` or `±hh:mm`.
fn utc_offset(offset: &str) -> Option<SignedDuration> {
    if offset.eq_ignore_ascii_case("z") {
        return Some(SignedDuration::ZERO);
    }
    let (sign, hours_minutes) = offset.split_at_checked(1)?;
    let (hours, minutes) = hours_minutes.split_once(':')?;
    if hours.len() != 2 || minutes.len() != 2 {
        return None;
    }
    let (hours, minutes) = (digits(hours)?, digits(minutes)?);
    if hours > 23 || minutes > 59 {
        return None;
    }
    let east = SignedDuration::from_mins(i64::from(hours) * 60 + i64::from(minutes));
    Some(if sign == "-" { -east } else { east })
}

/// Digits only: `str::parse` would also take a sign.
fn digits(text: &str) -> Option<i16> {
    text.bytes()
        .all(|b| b.is_ascii_digit())
        .then(|| text.parse().ok())?
}

/// Prints as `2026-11-21T14:40:00.000Z`.
#[derive(Debug, Clone, Copy)]
pub struct Rfc3339(pub Timestamp);

impl fmt::Display for Rfc3339 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let civil = EPOCH.saturating_add(SignedDuration::from_millis(self.0.0));
        write!(f, "{civil:.3}Z")
    }
}

impl Serialize for Rfc3339 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, expected_utc: &str) {
        let read = parse(text).map(|time| Rfc3339(time).to_string());
        assert_eq!(read.as_deref(), Some(expected_utc), "{text}");
    }

    #[test]
    fn a_time_with_its_offset_is_read_into_utc() {
        check("2026-11-21T18:10:00+03:30", "2026-11-21T14:40:00.000Z");
        check("2026-11-21T18:10:00Z", "2026-11-21T18:10:00.000Z");
        check("2026-11-21t18:10:00z", "2026-11-21T18:10:00.000Z");
        check("2026-11-21T00:10:00.5-00:30", "2026-11-21T00:40:00.500Z");
        check(
            "2026-11-21T18:10:00.1239999999999Z",
            "2026-11-21T18:10:00.123Z",
        );
        check("1969-12-31T23:59:59.999Z", "1969-12-31T23:59:59.999Z");
        check("2024-02-29T00:00:00Z", "2024-02-29T00:00:00.000Z");
        check("2016-12-31T23:59:60Z", "2016-12-31T23:59:59.000Z");
    }

    #[test]
    fn never_may_be_written_as_the_last_second_of_the_year_9999() {
        check("9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z");
        check("0000-01-01T00:00:00Z", "0000-01-01T00:00:00.000Z");
    }

    #[test]
    fn anything_else_is_no_time() {
        for text in [
            "",
            "now",
            "1763750000",
            "2026-11-21",
            "2026-11-21T18:10:00",
            "2026-11-21T18:10Z",
            "2026-11-21 18:10:00Z",
            "2026-11-21T18:10:00+0330",
            "2026-11-21T18:10:00+3:30",
            "2026-11-21T18:10:00+24:00",
            "2026-11-21T18:10:00+03:60",
            "2026-11-21T18:10:00++1:30",
            "2026-11-21T18:10:00.Z",
            "2026-11-21T18:10:00,5Z",
            "2026-11-21T18:10:00Z[UTC]",
            "2026-11-21T24:00:00Z",
            "2026-11-21T18:10:61Z",
            "2026-02-29T00:00:00Z",
            "+026-11-21T18:10:00Z",
            "2026-11-21T18:1é:00Z",
            "9999-12-31T23:59:59-00:01",
            "0000-01-01T00:00:00+00:01",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn milliseconds_taken_for_seconds_are_no_time() {
        assert_eq!(
            from_unix_seconds(1_763_750_000),
            Some(Timestamp(1_763_750_000_000))
        );
        assert_eq!(from_unix_seconds(1_763_750_000_000), None);
        assert_eq!(from_unix_seconds(u64::MAX), None);
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(ms in MIN_MS..=MAX_MS) {
            prop_assert_eq!(parse(&Rfc3339(Timestamp(ms)).to_string()), Some(Timestamp(ms)));
        }

        #[test]
        fn no_text_panics(text in "[0-9TtZz:+.é-]{0,32}") {
            let _ = parse(&text);
        }
    }
}
