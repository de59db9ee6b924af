//! Whatever the bytes: a job with agents or an `invalid` outcome, and an outcome that is JSON again.
#![no_main]

use clockout::engine::job::{JobId, Timestamp};
use clockout::engine::outcome::Status;
use clockout::wire::outcome::{Encoder, Identity};
use clockout::wire::{Incoming, job};
use libfuzzer_sys::fuzz_target;
use serde::de::IgnoredAny;

fuzz_target!(|body: &[u8]| {
    let message = Incoming::bare(body.to_vec());
    let settings = job::Settings {
        max_age: None,
        dry_run: false,
    };
    let mut name = || JobId::parse("made-up").expect("a good id");
    match job::parse(&message, &settings, Timestamp(0), &mut name) {
        Ok(job) => assert!(!job.targets().is_empty()),
        Err(outcome) => {
            assert_eq!(outcome.status(), Status::Invalid);
            let message = outcome.conclusion.message.as_deref().expect("words");
            assert!(message.len() < 1024 && !message.chars().any(char::is_control));
            let identity = Identity {
                pbx: "p".to_owned(),
                worker: "w".to_owned(),
                run: "r".to_owned(),
            };
            let told = Encoder::new(identity).encode(&outcome);
            assert!(serde_json::from_slice::<IgnoredAny>(&told.body).is_ok());
            assert!(told.routing_key.len() <= 255 && told.routing_key.split('.').count() == 4);
        }
    }
});
