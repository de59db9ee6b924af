//! Guards CONTRACT §6 and §8: `clockout dead`. Whatever one does with the dead letters, and however it is cut short, none is
//! lost that was not meant to go.

mod asking;
mod dropping;
mod listing;
mod replaying;
mod safety;

use std::process::{Command, Output, Stdio};

use futures_util::{StreamExt as _, TryStreamExt as _};
use lapin::BasicProperties;
use lapin::message::Delivery;
use lapin::options::BasicConsumeOptions;
use lapin::types::{AMQPValue, FieldTable};
use serde_json::Value;
use tokio::task::spawn_blocking;

use crate::support::{Place, Stage, json_message, poll, within};

/// What a command printed, and its exit code.
struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Said {
    /// Each line as JSON.
    fn lines(&self) -> Vec<Value> {
        let lines = self.out.lines();
        lines
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect()
    }

    /// Of each line.
    fn job_ids(&self) -> Vec<String> {
        let lines = self.lines().into_iter();
        lines
            .map(|line| line["job_id"].as_str().expect("an id").to_owned())
            .collect()
    }
}

/// `clockout dead …` at this place.
fn command(place: &Place, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_clockout"));
    command
        .arg("dead")
        .args(words)
        .env_clear()
        .env("CLOCKOUT_AMQP_URL", &place.url)
        .env("CLOCKOUT_JOBS_EXCHANGE", &place.names.jobs)
        .env("CLOCKOUT_JOBS_QUEUE", &place.names.jobs)
        .env("CLOCKOUT_DEAD_EXCHANGE", &place.names.dead)
        .env("CLOCKOUT_DEAD_QUEUE", &place.names.dead)
        .stdin(Stdio::null());
    command
}

/// Runs it to its end.
async fn dead(place: &Place, words: &[&str]) -> Said {
    let mut command = command(place, words);
    let run = spawn_blocking(move || command.output());
    let output = within(format_args!("the end of {words:?}"), run).await;
    let Output {
        status,
        stdout,
        stderr,
    } = output.expect("no panic").expect("the binary starts");
    Said {
        code: status.code(),
        out: String::from_utf8(stdout).expect("text"),
        err: String::from_utf8(stderr).expect("text"),
    }
}

/// The same; it has to end well.
async fn done(place: &Place, words: &[&str]) -> Said {
    let said = dead(place, words).await;
    assert_eq!(said.code, Some(0), "{words:?}: {}{}", said.out, said.err);
    said
}

/// Has a worker declare what it needs, and end.
async fn declare(stage: &Stage) {
    let mut worker = stage.worker().start().await;
    worker.signal("TERM");
    worker.ended().await;
}

fn headers(fields: &[(&str, &str)]) -> BasicProperties {
    let mut table = FieldTable::default();
    for (name, value) in fields {
        table.insert((*name).into(), AMQPValue::LongString((*value).into()));
    }
    json_message().with_headers(table)
}

/// Puts a letter into the dead queue as the worker would.
async fn bury_body(stage: &Stage, body: &str, code: &str) {
    let properties = headers(&[
        ("clockout-status", "failed"),
        ("clockout-code", code),
        ("clockout-message", "as it were"),
        ("clockout-agents", "1"),
        ("clockout-attempts", "1"),
        ("clockout-at", "2026-11-21T18:10:00.000Z"),
    ]);
    let exchange = &stage.place.names.dead;
    let (rabbit, body) = (&stage.rabbit, body.as_bytes());
    rabbit.publish(exchange, "10000", body, properties).await;
}

/// The same of a job that pauses agent 1 on queue 10000.
async fn bury(stage: &Stage, job_id: &str, code: &str) {
    let rest = r#""action":"pause","queue":"10000","agent":"1""#;
    let body = format!(r#"{{"job_id":"{job_id}",{rest}}}"#);
    bury_body(stage, &body, code).await;
}

/// Buries so many jobs; their ids, in the order of the letters.
async fn bury_many(stage: &Stage, count: u32) -> Vec<String> {
    let ids: Vec<String> = (0..count).map(|number| format!("j-{number:05}")).collect();
    for ids in ids.chunks(200) {
        let burials = ids.iter().map(|id| bury(stage, id, "exhausted"));
        futures_util::future::join_all(burials).await;
    }
    letters_ready(stage, count).await;
    ids
}

/// All jobs that wait, in their order; takes them.
async fn jobs(stage: &Stage) -> Vec<Delivery> {
    let queue = &stage.place.names.jobs;
    let waiting = stage.rabbit.depth(queue).await.expect("the jobs queue");
    let options = BasicConsumeOptions {
        no_ack: true,
        ..BasicConsumeOptions::default()
    };
    let consumer = stage
        .rabbit
        .channel()
        .await
        .basic_consume(
            queue.as_str().into(),
            "".into(),
            options,
            FieldTable::default(),
        )
        .await
        .expect("a consumer");
    let jobs = consumer.take(waiting.try_into().unwrap()).try_collect();
    within("the jobs", jobs).await.expect("jobs")
}

/// The ids of jobs, in their order.
fn ids(jobs: &[Delivery]) -> Vec<String> {
    let id = |job: &Delivery| {
        let job: Value = serde_json::from_slice(&job.data).expect("JSON");
        job["job_id"].as_str().expect("an id").to_owned()
    };
    jobs.iter().map(id).collect()
}

/// Waits until so many letters are ready in the dead queue.
async fn letters_ready(stage: &Stage, count: u32) {
    let queue = &stage.place.names.dead;
    poll(format_args!("{count} letters in {queue}"), async || {
        (stage.rabbit.depth(queue).await == Some(count)).then_some(())
    })
    .await;
}
