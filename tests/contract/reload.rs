//! CONTRACT §8, SIGHUP: what may change while the worker works changes, and wrong settings change nothing.

use std::path::Path;

use serde_json::json;

use crate::support::{Stage, Worker, poll, stage};

/// Replaces the worker's settings file and has it read.
fn write(worker: &Worker, file: &Path, toml: &str) {
    std::fs::write(file, toml).unwrap();
    worker.signal("HUP");
}

/// Waits until the worker has said so.
async fn says(worker: &Worker, words: &str) {
    poll(format_args!("{words} in the log"), async || {
        worker.log().contains(words).then_some(())
    })
    .await;
}

/// A worker with this settings file beside the settings of the stage, as far as it leaves them to the file.
async fn worker(stage: &Stage, file: &Path, toml: &str) -> Worker {
    std::fs::write(file, toml).unwrap();
    let left = ["batch.linger", "retry.initial", "retry.max"];
    let setup = left
        .iter()
        .fold(stage.worker(), |setup, key| setup.unset(key));
    let setup = setup.environment("CLOCKOUT_CONFIG", file.to_str().unwrap());
    setup.start().await
}

#[tokio::test]
async fn what_waits_goes_by_the_settings_that_were_read_last() {
    let (mut stage, folder) = (stage().await, tempfile::tempdir().unwrap());
    let file = folder.path().join("clockout.toml");
    let worker = worker(
        &stage,
        &file,
        "batch.linger = \"10m\"\nlog.filter = \"info\"\n",
    )
    .await;
    stage
        .send(json!({"action": "remove", "queue": "1", "agent": "1"}))
        .await;
    worker.shows("clockout_jobs_held 1").await;

    write(
        &worker,
        &file,
        "batch.linger = \"10m\"\nlog.filter = \"debug\"\n",
    );
    says(&worker, "settings read anew: log.filter changed").await;
    // What it holds, each second.
    says(&worker, "DEBUG clockout::worker").await;

    stage.faults(json!([{"effect": {"item": {"fail": {"text": "gone fishing"}}}}]));
    let toml = "batch.linger = \"0s\"\npbx.texts.absent = [\"fishing\"]\nlog.filter = \"info\"\n";
    write(&worker, &file, toml);
    assert_eq!(stage.outcomes.next().await.json()["code"], "already_absent");
    says(
        &worker,
        "batch.linger, log.filter, pbx.texts.absent changed",
    )
    .await;
}

#[tokio::test]
async fn what_waits_for_its_turn_goes_by_the_limits_that_were_read_last() {
    let (stage, folder) = (stage().await, tempfile::tempdir().unwrap());
    let file = folder.path().join("clockout.toml");
    let limits = |calls, agents| {
        format!(
            "batch.linger = \"10m\"\nbatch.max_agents = {agents}\npbx.max_in_flight = {calls}\npbx.timeout = \"10m\"\n"
        )
    };
    stage.faults(json!([{"effect": {"call": {"hang": {"applied": false}}}}]));
    let worker = worker(&stage, &file, &limits(1, 3)).await;
    let jobs = ["1", "2"].map(|queue| {
        ["1", "2"].map(|agent| json!({"action": "pause", "queue": queue, "agent": agent}))
    });
    stage.send_all(jobs.into_iter().flatten()).await;
    worker.shows("clockout_jobs_held 4").await;

    write(&worker, &file, &limits(1, 2));
    stage.called(1).await;
    // The first call does not end.
    write(&worker, &file, &limits(2, 2));
    stage.called(2).await;
}

#[tokio::test]
async fn an_agent_is_tried_again_by_the_settings_that_were_read_last() {
    let (mut stage, folder) = (stage().await, tempfile::tempdir().unwrap());
    let file = folder.path().join("clockout.toml");
    let retry = |initial, attempts| {
        format!(
            "retry.initial = \"{initial}\"\nretry.max = \"1h\"\nretry.attempts_max = {attempts}\n"
        )
    };
    stage.faults(json!([{"effect": {"item": {"fail": {"text": "Try again"}}}}]));
    let worker = worker(&stage, &file, &retry("1h", 6)).await;
    write(&worker, &file, &retry("10ms", 2));
    says(&worker, "settings read anew: ").await;
    let outcome = stage
        .perform(json!({"action": "pause", "queue": "1", "agent": "1"}))
        .await;
    assert_eq!(
        (&outcome["code"], &outcome["attempts"]),
        (&"exhausted".into(), &2.into())
    );
}

#[tokio::test]
async fn wrong_settings_are_refused_as_a_whole_and_the_old_ones_stay() {
    let (mut stage, folder) = (stage().await, tempfile::tempdir().unwrap());
    let file = folder.path().join("clockout.toml");
    let worker = worker(&stage, &file, "batch.linger = \"0s\"\n").await;
    write(
        &worker,
        &file,
        "batch.linger = \"10m\"\nretry.multiplier = 0.5\n",
    );
    says(&worker, "settings refused, the old ones stay").await;
    says(&worker, "retry.multiplier").await;
    let job = json!({"action": "pause", "queue": "1", "agent": "1"});
    assert_eq!(stage.perform(job).await["code"], "applied");

    write(
        &worker,
        &file,
        "batch.linger = \"0s\"\npbx.timeout = \"11s\"\n",
    );
    says(
        &worker,
        "pbx.timeout is different now, which takes a restart",
    )
    .await;
}
