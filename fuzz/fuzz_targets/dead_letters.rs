//! Whatever lies in the dead queue: an account of it, and of a sound job another sound job, however it is to differ.
#![no_main]

use clockout::engine::job::{Epoch, JobId, Ticket, Timestamp};
use clockout::wire::dead_letter::{Account, Revival, revived};
use clockout::wire::{Incoming, job};
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value};

const NEW_ID: &str = "new";

#[derive(Debug, Arbitrary)]
struct Letter<'a> {
    body: &'a [u8],
    /// JSON.
    headers: &'a [u8],
    routing_key: &'a str,
    message_id: Option<String>,
    correlation_id: Option<String>,
    renamed: bool,
    now: bool,
    failed_only: bool,
}

fuzz_target!(|letter: Letter<'_>| {
    let headers: Map<String, Value> = serde_json::from_slice(letter.headers).unwrap_or_default();
    let message = |body: &[u8]| Incoming {
        ticket: Ticket {
            epoch: Epoch(1),
            tag: 1,
        },
        redelivered: false,
        body: body.to_vec().into(),
        message_id: letter.message_id.clone(),
        correlation_id: letter.correlation_id.clone(),
        timestamp: None,
        traceparent: None,
        replay: None,
    };
    let original = message(letter.body);
    let account = Account::of(&original, letter.routing_key, &headers);
    serde_json::to_string(&account).expect("an account is JSON");
    let revival = Revival {
        now: letter.now.then_some(Timestamp(1_795_000_000_000)),
        new_id: letter.renamed.then_some(NEW_ID),
        // What a header calls an agent need not be one.
        failed_only: letter.failed_only && !headers.contains_key("clockout-agents"),
    };
    let correlation_id = letter.correlation_id.as_deref();
    let Some(body) = revived(letter.body, &account, correlation_id, &revival) else {
        return;
    };
    let settings = job::Settings {
        max_age: None,
        dry_run: false,
    };
    let parse = |message: &Incoming| {
        let mut name = || JobId::parse("made-up").expect("a good id");
        job::parse(message, &settings, Timestamp(0), &mut name)
    };
    if parse(&original).is_ok() {
        let again = parse(&message(&body)).expect("a sound job stays sound");
        assert!(!letter.renamed || again.id.as_str() == NEW_ID);
    }
});
