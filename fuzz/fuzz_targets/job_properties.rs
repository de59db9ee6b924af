//! Whatever the AMQP properties beside a small job: a job within the contract's lengths, or an `invalid` outcome whose text can be
//! repeated.
#![no_main]

use clockout::engine::job::{Epoch, JobId, Ticket, Timestamp};
use clockout::wire::outcome::{Encoder, Identity};
use clockout::wire::{Incoming, job};
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;

const BODY: &[u8] = br#"{"action":"pause","queue":"1","agent":"1"}"#;

#[derive(Debug, Arbitrary)]
struct Properties {
    message_id: Option<String>,
    correlation_id: Option<String>,
    timestamp: Option<u64>,
    traceparent: Option<String>,
    replay: Option<u32>,
    max_age_seconds: Option<u32>,
}

fuzz_target!(|properties: Properties| {
    let message = Incoming {
        ticket: Ticket {
            epoch: Epoch(1),
            tag: 1,
        },
        redelivered: false,
        body: BODY.into(),
        message_id: properties.message_id,
        correlation_id: properties.correlation_id,
        timestamp: properties.timestamp,
        traceparent: properties.traceparent,
        replay: properties.replay,
    };
    let max_age = properties.max_age_seconds;
    let settings = job::Settings {
        max_age: max_age.map(|seconds| std::time::Duration::from_secs(seconds.into())),
        dry_run: false,
    };
    let mut name = || JobId::parse("made-up").expect("a good id");
    if let Err(outcome) = job::parse(&message, &settings, Timestamp(0), &mut name) {
        let text = outcome.conclusion.message.as_deref().expect("words");
        assert!(text.len() < 1024 && !text.chars().any(char::is_control));
        let identity = Identity {
            pbx: "p".to_owned(),
            worker: "w".to_owned(),
            run: "r".to_owned(),
        };
        let told = Encoder::new(identity).traced(true).encode(&outcome);
        for (name, value) in told.headers {
            assert!(!value.chars().any(char::is_control), "{name}: {value:?}");
        }
    }
});
