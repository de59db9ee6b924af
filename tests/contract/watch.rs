//! Guards CONTRACT §8 for `watch`: what it shows, what it leaves out, and how it ends.

use lapin::BasicProperties;
use serde_json::{Value, json};

use crate::support::{Invocation, Running, Stage, stage};

/// A command that listens already.
async fn watch(stage: &Stage, arguments: &[&str]) -> Running {
    let arguments = [&["watch"], arguments].concat();
    let mut watch = Invocation::at(&stage.place, &arguments).start();
    watch.says("following outcomes").await;
    watch
}

/// An outcome of the agent, as a worker would tell it.
async fn tell(stage: &Stage, agent: &str, differing: Value) {
    let mut outcome = json!({
        "outcome_id": "00000000-0000-0000-0000-000000000000", "job_id": format!("job-{agent}"),
        "correlation_id": "shift", "action": "pause", "queue": "10", "agent": agent, "status": "succeeded",
        "code": "applied", "message": "Paused successfully", "completed_at": "2026-11-21T18:10:01.999Z",
    });
    let fields = outcome.as_object_mut().unwrap();
    if let Value::Object(differing) = differing {
        fields.extend(differing);
    }
    let part = |field: &str| fields[field].as_str().unwrap_or("_").to_owned();
    let key = format!(
        "{}.{}.default.{}",
        part("action"),
        part("status"),
        part("queue")
    );
    let body = outcome.to_string();
    let exchange = &stage.place.names.results;
    let publish = stage
        .rabbit
        .publish(exchange, &key, body.as_bytes(), BasicProperties::default());
    publish.await;
}

#[tokio::test]
async fn outcomes_of_the_worker_are_shown_as_they_come_and_nobody_misses_them() {
    let mut stage = stage().await;
    let _worker = stage.worker().start().await;
    let mut watch = watch(&stage, &["--count", "1"]).await;
    let job = json!({"job_id": "j", "action": "pause", "queue": "10", "agent": "570"});
    let told = stage.perform(job).await;
    let line = watch.line().await;
    let columns: Vec<&str> = line.split('\t').collect();
    let [completed_at, rest @ ..] = columns.as_slice() else {
        panic!("{line}");
    };
    assert_eq!(told["completed_at"], *completed_at);
    assert_eq!(
        rest,
        [
            "pause",
            "10",
            "570",
            "succeeded",
            "applied",
            "j",
            "Paused successfully"
        ]
    );
    assert_eq!(watch.ended().await.code(), Some(0));
    let kept = stage.rabbit.depth(&stage.place.names.results).await;
    assert_eq!(kept, Some(1), "the catch-all queue has it still");
}

#[tokio::test]
async fn an_outcome_is_shown_if_it_passes_every_filter() {
    let stage = stage().await;
    let filters = [
        &["--action", "remove"][..],
        &["--status", "failed,unknown"],
        &["--queue", "20"],
        &["--agent", "5", "--agent", "6"],
        &["--job-id", "a/b c"],
        &["--correlation-id", "early"],
    ];
    let mut watches = Vec::new();
    for filter in filters {
        watches.push(watch(&stage, &[filter, &["--count", "1"]].concat()).await);
    }
    let all: Vec<&str> = filters.into_iter().flatten().copied().collect();
    let mut strict = watch(&stage, &[&all[..], &["--count", "1"]].concat()).await;

    tell(&stage, "1", json!({})).await;
    tell(&stage, "2", json!({"action": "remove"})).await;
    tell(&stage, "3", json!({"status": "unknown"})).await;
    tell(&stage, "4", json!({"queue": "20"})).await;
    tell(&stage, "5", json!({})).await;
    tell(&stage, "7", json!({"job_id": "a/b c"})).await;
    tell(&stage, "8", json!({"correlation_id": "early"})).await;
    tell(
        &stage,
        "6",
        json!({
            "action": "remove", "status": "failed", "queue": "20", "job_id": "a/b c", "correlation_id": "early"
        }),
    )
    .await;
    for (watch, agent) in watches.iter_mut().zip(["2", "3", "4", "5", "7", "8"]) {
        let line = watch.line().await;
        assert_eq!(line.split('\t').nth(3), Some(agent), "{line}");
        assert_eq!(watch.ended().await.code(), Some(0));
    }
    let line = strict.line().await;
    assert_eq!(line.split('\t').nth(3), Some("6"), "{line}");
}

#[tokio::test]
async fn as_json_each_outcome_is_a_line_as_it_was_told() {
    let mut stage = stage().await;
    let mut watch = watch(&stage, &["--json", "--count", "2"]).await;
    tell(&stage, "1", json!({"message": "two\nlines"})).await;
    let exchange = stage.place.names.results.clone();
    let spread = b"{\"outcome_id\":\"o\",\n \"status\":\"failed\",\"code\":\"rejected\",\"completed_at\":\"\"}";
    let publish = stage.rabbit.publish(
        &exchange,
        "_.failed.default._",
        spread,
        BasicProperties::default(),
    );
    publish.await;
    let told = stage.outcomes.next().await.body;
    assert_eq!(watch.line().await.as_bytes(), told);
    let second: Value = serde_json::from_str(&watch.line().await).unwrap();
    assert_eq!(second["code"], "rejected");
    assert!(watch.rest().await.is_empty());
}

#[tokio::test]
async fn what_is_no_outcome_is_left_out() {
    let stage = stage().await;
    let mut watch = watch(&stage, &["--count", "1"]).await;
    let exchange = stage.place.names.results.clone();
    let publish = stage
        .rabbit
        .publish(&exchange, "a.b.c.d", b"hello", BasicProperties::default());
    publish.await;
    tell(&stage, "1", json!({})).await;
    assert!(watch.line().await.contains("job-1"));
    watch.says("left out what is no outcome: a.b.c.d").await;
}

#[tokio::test]
async fn it_ends_with_0_on_a_signal_and_when_nobody_reads_any_more() {
    let stage = stage().await;
    for signal in ["INT", "TERM"] {
        let watch = watch(&stage, &[]).await;
        watch.signal(signal);
        assert_eq!(watch.ended().await.code(), Some(0), "{signal}");
    }
    let mut watch = watch(&stage, &[]).await;
    tell(&stage, "1", json!({})).await;
    watch.line().await;
    watch.close_stdout();
    // The reader of the pipe goes with the line that finds nobody waiting for it.
    for agent in ["2", "3"] {
        tell(&stage, agent, json!({})).await;
    }
    let ended = crate::support::poll("the end", async || {
        tell(&stage, "4", json!({})).await;
        watch.has_ended()
    })
    .await;
    assert_eq!(ended.code(), Some(0));
}

#[tokio::test]
async fn an_exchange_that_is_not_there_is_an_error_that_says_what_to_do() {
    let stage = stage().await;
    let command = Invocation::at(&stage.place, &["watch"]);
    let command = command.environment("CLOCKOUT_RESULTS_EXCHANGE", "elsewhere");
    let finished = command.finished().await;
    assert_eq!(finished.code, Some(1), "{finished:?}");
    let expected = "there is no exchange `elsewhere`: start the worker";
    assert!(finished.stderr.contains(expected), "{finished:?}");
}

#[tokio::test]
async fn colour_is_for_terminals_that_want_it() {
    let stage = stage().await;
    for (name, value, is_coloured) in [("TERM", "xterm", true), ("NO_COLOR", "1", false)] {
        let command = Invocation::at(&stage.place, &["watch", "--count", "1"]);
        let mut watch = command.on_a_terminal().environment(name, value).start();
        // A terminal shows both outputs as one.
        while !watch.line().await.contains("following outcomes") {}
        tell(&stage, "570", json!({})).await;
        let line = watch.line().await;
        let ending = format!("{:<10}  {:<16}", "succeeded", "applied");
        let expected = if is_coloured {
            format!("\u{1b}[32m{ending}\u{1b}[0m")
        } else {
            format!("  {ending}  ")
        };
        assert!(line.contains(&expected), "{name}: {line:?}");
        assert_eq!(line.contains('\u{1b}'), is_coloured, "{line:?}");
    }
}
