//! How long ago something was, in the one unit that matters.

use clockout::engine::job::Timestamp;

const UNITS: [(i64, &str); 3] = [(24 * 60 * 60, "d"), (60 * 60, "h"), (60, "m")];

/// Such as `45s`, `12m`, `3h` or `5d`; what is yet to come is `0s`.
pub(super) fn age(now: Timestamp, at: Timestamp) -> String {
    let seconds = now.0.saturating_sub(at.0).max(0) / 1000;
    let unit = UNITS.into_iter().find(|(size, _)| seconds >= *size);
    let (size, name) = unit.unwrap_or((1, "s"));
    format!("{}{name}", seconds / size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_has_one_unit() {
        let cases = [
            (-5, "0s"),
            (0, "0s"),
            (59, "59s"),
            (60, "1m"),
            (3599, "59m"),
            (3600, "1h"),
            (86_399, "23h"),
            (8 * 86_400, "8d"),
        ];
        for (seconds, expected) in cases {
            assert_eq!(age(Timestamp(seconds * 1000), Timestamp(0)), expected);
        }
    }
}
