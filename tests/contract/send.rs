//! Guards CONTRACT §8 for `send`: what is published, in which order, and that nothing is where anything is wrong.

mod input;
mod waiting;

use std::time::{Duration, Instant};

use lapin::ExchangeKind;
use lapin::options::ExchangeDeclareOptions;
use lapin::types::FieldTable;
use serde_json::{Value, json};

use crate::support::{
    Finished, Invocation, Message, Node, Place, Rabbit, Stage, Tap, place, stage,
};

const JOB: [&str; 7] = [
    "send", "--action", "pause", "--queue", "0100", "--agent", "570",
];

/// What is published to the jobs exchange of a stage, in place of a worker.
async fn jobs(stage: &Stage) -> Tap {
    stage.rabbit.tap(&stage.place.names.jobs).await
}

async fn send(place: &Place, arguments: &[&str]) -> Finished {
    let arguments = [&["send"], arguments].concat();
    Invocation::at(place, &arguments).finished().await
}

fn rows(count: usize) -> String {
    let rows = (0..count).map(|agent| format!("pause,1,{agent}\n"));
    format!("action,queue,agent\n{}", rows.collect::<String>())
}

#[tokio::test]
async fn a_job_of_flags_is_published_as_the_contract_asks() {
    let stage = stage().await;
    let mut jobs = jobs(&stage).await;
    let more = [
        "--reason",
        "shift end",
        "--job-id",
        "j-1",
        "--expires-in",
        "1d",
    ];
    let finished = Invocation::at(&stage.place, &[&JOB[..], &more].concat());
    let finished = finished.finished().await;
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert_eq!(finished.stdout, "sent job j-1\n");
    let sent = jobs.next().await;
    assert_eq!(sent.routing_key, "0100");
    let text = |text: &Option<lapin::types::ShortString>| text.as_ref().map(ToString::to_string);
    let properties = &sent.properties;
    assert_eq!(*properties.delivery_mode(), Some(2));
    assert_eq!(
        text(properties.content_type()).as_deref(),
        Some("application/json")
    );
    assert_eq!(text(properties.message_id()).as_deref(), Some("j-1"));
    let mut job = sent.json();
    let expires_at = job["expires_at"].take();
    let expires_at = clockout::wire::time::parse(expires_at.as_str().unwrap()).unwrap();
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
    let left_ms = expires_at.0 - i64::try_from(now.as_millis()).unwrap();
    let day_ms = 24 * 60 * 60 * 1000;
    assert!((day_ms - 300_000..=day_ms).contains(&left_ms), "{left_ms}");
    assert_eq!(
        job,
        json!({
            "action": "pause", "queue": "0100", "agent": "570", "reason": "shift end", "job_id": "j-1",
            "expires_at": null,
        })
    );
}

#[tokio::test]
async fn several_agents_are_one_job_and_a_job_without_an_id_gets_one_beside_it() {
    let stage = stage().await;
    let mut jobs = jobs(&stage).await;
    let both = [&JOB[..], &["--agent", "553", "--json"]].concat();
    let finished = Invocation::at(&stage.place, &both).finished().await;
    let sent = jobs.next().await;
    assert_eq!(
        sent.json(),
        json!({"action": "pause", "queue": "0100", "agents": ["570", "553"]})
    );
    let id = sent.properties.message_id().as_ref().unwrap().to_string();
    let line: Value = serde_json::from_str(&finished.stdout).unwrap();
    assert_eq!(
        line,
        json!({"job_id": id, "action": "pause", "queue": "0100", "agents": ["570", "553"]})
    );
    assert!(jobs.rest().await.is_empty());
}

#[tokio::test]
async fn jobs_arrive_in_the_order_of_the_file_however_many() {
    const COUNT: usize = 1_000;
    let stage = stage().await;
    let mut jobs = jobs(&stage).await;
    let finished = Invocation::at(&stage.place, &["send", "--csv", "-"]);
    let finished = finished.input(rows(COUNT)).finished().await;
    assert_eq!(finished.stdout, "sent 1000 jobs for 1000 agents\n");
    assert_eq!(finished.stderr, "", "no progress where nobody looks");
    let sent = jobs.take(COUNT).await;
    let agents = sent.iter().map(|job| job.json()["agent"].to_string());
    let expected = (0..COUNT).map(|agent| format!("\"{agent}\""));
    assert!(agents.eq(expected));
}

#[tokio::test]
async fn a_rate_is_kept() {
    let stage = stage().await;
    let mut jobs = jobs(&stage).await;
    let command = Invocation::at(&stage.place, &["send", "--csv", "-", "--rate", "20"]);
    let began = Instant::now();
    let finished = command.input(rows(12)).finished().await;
    assert_eq!(finished.code, Some(0), "{finished:?}");
    // Two at once, and two more every 100 ms.
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(500), "{took:?}");
    assert_eq!(jobs.rest().await.len(), 12);
}

#[tokio::test]
async fn an_interruption_says_how_far_it_came_and_that_is_so() {
    let stage = stage().await;
    let mut jobs = jobs(&stage).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("jobs.csv");
    std::fs::write(&file, rows(100_000)).unwrap();
    let arguments = ["send", "--csv", file.to_str().unwrap(), "--rate", "100"];
    let mut running = Invocation::at(&stage.place, &arguments).start();
    jobs.next().await;
    running.signal("INT");
    assert_eq!(running.ended().await.code(), Some(1));
    let count = 1 + jobs.rest().await.len();
    let line = count + 1;
    let expected =
        format!("sent and confirmed: {count} of 100000 jobs, up to line {line}: interrupted");
    running.says(&expected).await;
}

#[tokio::test]
async fn a_broker_that_dies_midway_is_an_error_that_says_how_far_it_came() {
    let node = Node::start();
    let place = node.place();
    let rabbit = Rabbit::connect(&place.url).await;
    let mut jobs = rabbit.tap(&place.names.jobs).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("jobs.csv");
    std::fs::write(&file, rows(10_000)).unwrap();
    let arguments = ["send", "--csv", file.to_str().unwrap(), "--rate", "100"];
    let mut running = Invocation::at(&place, &arguments).start();
    // More than a burst, so that one is confirmed.
    jobs.take(11).await;
    node.kill();
    running.says(" of 10000 jobs, up to line ").await;
    assert_eq!(running.ended().await.code(), Some(1));
}

#[tokio::test]
async fn what_no_queue_takes_is_an_error_that_says_what_to_do() {
    let stage = stage().await;
    let jobs = stage.place.names.jobs.as_str();
    let absent = Invocation::at(&stage.place, &JOB).finished().await;
    assert_eq!(absent.code, Some(1), "{absent:?}");
    let expected = format!("there is no exchange `{jobs}`: start the worker");
    assert!(absent.stderr.contains(&expected), "{absent:?}");

    let channel = stage.rabbit.channel().await;
    let options = ExchangeDeclareOptions {
        durable: true,
        ..ExchangeDeclareOptions::default()
    };
    let arguments = FieldTable::default();
    let declared = channel.exchange_declare(jobs.into(), ExchangeKind::Topic, options, arguments);
    declared.await.unwrap();
    let unbound = Invocation::at(&stage.place, &JOB).finished().await;
    assert_eq!(unbound.code, Some(1), "{unbound:?}");
    let expected =
        format!("no queue takes what is published to exchange `{jobs}`: start the worker");
    assert!(unbound.stderr.contains(&expected), "{unbound:?}");
}

#[tokio::test]
async fn a_broker_that_is_not_there_is_an_error_and_no_wait() {
    let nowhere = Place {
        url: "amqp://guest:guest@127.0.0.1:1/%2f".to_owned(),
        ..place()
    };
    let finished = Invocation::at(&nowhere, &JOB).finished().await;
    assert_eq!(finished.code, Some(1));
    assert!(finished.stderr.contains("127.0.0.1:1"), "{finished:?}");
}

#[tokio::test]
async fn on_a_terminal_a_long_input_shows_its_progress() {
    let stage = stage().await;
    let _jobs = jobs(&stage).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("jobs.csv");
    std::fs::write(&file, rows(2_000)).unwrap();
    let arguments = ["send", "--csv", file.to_str().unwrap()];
    let command = Invocation::at(&stage.place, &arguments).on_a_terminal();
    let finished = command.finished().await;
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert!(finished.stdout.contains(" of 2000 jobs"), "{finished:?}");
}
