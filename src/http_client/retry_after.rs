//! The `Retry-After` header: seconds or an HTTP date, as a wait from now.

use std::time::{Duration, SystemTime};

/// Longest wait that a PBX may ask for. The engine holds back every call for it, so a date far off, or a PBX whose
/// clock is wrong, must not stop the worker for hours; nor is a receiver of traces waited for any longer.
pub const RETRY_AFTER_MAX: Duration = Duration::from_mins(10);

/// `None` if the header is neither seconds nor a date. A date that is past is a wait of zero.
pub fn parse(header: &str, now: SystemTime) -> Option<Duration> {
    let header = header.trim();
    let wait = match header.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => httpdate::parse_http_date(header)
            .ok()?
            .duration_since(now)
            .unwrap_or_default(),
    };
    Some(wait.min(RETRY_AFTER_MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn seconds_and_dates_are_read_and_capped() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        for (header, wait) in [
            ("0", Some(0)),
            (" 7 ", Some(7)),
            ("86400", Some(600)),
            ("Sun, 06 Nov 1994 08:50:07 GMT", Some(30)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("Sun, 06 Nov 2094 08:49:37 GMT", None),
            ("Sat, 06 Nov 2094 08:49:37 GMT", Some(600)),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(
                parse(header, now),
                wait.map(Duration::from_secs),
                "{header}"
            );
        }
    }

    proptest! {
        #[test]
        fn no_header_holds_a_caller_up_for_longer_than_the_most(
            header in "[ +-]{0,2}[0-9]{0,30}|[A-Za-z0-9 ,:+-]{0,40}|\\PC{0,20}",
            now in 0..=u32::MAX,
        ) {
            let now = SystemTime::UNIX_EPOCH + Duration::from_secs(now.into());
            prop_assert!(parse(&header, now).is_none_or(|wait| wait <= RETRY_AFTER_MAX));
        }
    }
}
