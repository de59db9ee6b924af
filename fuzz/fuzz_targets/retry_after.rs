//! Whatever stands in `Retry-After`: nobody is held up by it for longer than the most.
#![no_main]

use std::time::{Duration, SystemTime};

use clockout::http_client::retry_after::{RETRY_AFTER_MAX, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u32, &str)| {
    let (seconds, header) = input;
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.into());
    let wait = parse(header, now);
    assert!(wait.is_none_or(|wait| wait <= RETRY_AFTER_MAX));
    if let Ok(asked) = header.parse::<u64>() {
        assert_eq!(wait, Some(Duration::from_secs(asked).min(RETRY_AFTER_MAX)));
    }
});
