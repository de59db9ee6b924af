//! `clockout demo`: shows the main job on any broker, judges itself, and leaves nothing behind.

use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tokio::task::spawn_blocking;

use crate::support::{Place, place, within};

async fn demo(place: &Place, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_clockout"));
    command
        .arg("demo")
        .args(arguments)
        .env_clear()
        .env("CLOCKOUT_AMQP_URL", &place.url)
        // What a host says of its worker must not change the demonstration.
        .env("CLOCKOUT_POLICY_DRY_RUN", "true")
        .stdin(Stdio::null());
    let run = spawn_blocking(move || command.output());
    let output = within("the end of the demonstration", run).await;
    output.expect("no panic").expect("the binary starts")
}

#[tokio::test]
async fn a_shift_end_is_shown_judged_and_right() {
    let Output {
        status,
        stdout,
        stderr,
    } = demo(&place(), &[]).await;
    let (shown, log) = (
        String::from_utf8_lossy(&stdout),
        String::from_utf8_lossy(&stderr),
    );
    assert!(status.success(), "{shown}\n{log}");
    for expected in [
        "presumed_applied",
        "exhausted",
        "publish to outcome, p99",
        "agents per call",
    ] {
        assert!(shown.contains(expected), "{expected}: {shown}");
    }
    assert!(
        shown
            .trim_end()
            .ends_with("every job got its outcome; the PBX is in the right state"),
        "{shown}"
    );
    assert!(log.contains(" outcomes, "), "{log}");
}

#[tokio::test]
async fn the_summary_as_json_counts_every_agent_once() {
    let output = demo(&place(), &["--json", "--jobs", "200", "--queues", "4"]).await;
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{log}");
    let summary: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(summary["jobs"], 200);
    assert_eq!(summary["faults"], serde_json::json!([]));
    let outcomes = summary["outcomes"].as_array().expect("a list");
    let told: Option<u64> = outcomes.iter().map(|o| o["agents"].as_u64()).sum();
    assert_eq!(told, summary["agents"].as_u64());
}

#[tokio::test]
async fn a_broker_that_is_not_there_is_an_error_and_no_wait() {
    let nowhere = Place {
        url: "amqp://guest:guest@127.0.0.1:1/%2f".to_owned(),
        ..place()
    };
    let output = demo(&nowhere, &[]).await;
    assert_eq!(output.status.code(), Some(1));
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(log.contains("127.0.0.1:1"), "{log}");
}
