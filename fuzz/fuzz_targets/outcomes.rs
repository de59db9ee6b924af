//! Whatever is published to the results exchange: read or left out, and on one line that no terminal obeys.
#![no_main]

use clockout::unprintable::{is_unprintable, json_line};
use clockout::wire::told::Outcome;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|body: &[u8]| {
    if let Ok(outcome) = Outcome::read(body) {
        let known = outcome.status();
        assert!(known.is_none_or(|status| status.as_str() == outcome.status));
    }
    let line = json_line(&String::from_utf8_lossy(body));
    assert!(!line.contains(is_unprintable), "{line:?}");
    if let Ok(value) = serde_json::from_slice::<Value>(body) {
        let shown = serde_json::from_str::<Value>(&line).expect("JSON stays JSON");
        assert_eq!(shown, value);
    }
});
