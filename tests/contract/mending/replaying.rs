//! Replaying dead letters: their jobs are carried out again, whatever became of them before.

use serde_json::{Value, json};

use super::{bury, bury_body, dead, declare, done, ids, jobs, letters_ready};
use crate::support::{Stage, stage};

fn fails() -> Value {
    json!([{"effect": {"item": {"fail": {"text": "No such queue"}}}}])
}

/// A stage where a job has just failed, and no worker; its outcome.
async fn failed(job: Value) -> (Stage, Value) {
    let mut stage = stage().await;
    stage.faults(fails());
    let mut worker = stage.worker().start().await;
    let outcome = stage.perform(job).await;
    stage.dead.next().await;
    worker.signal("TERM");
    worker.ended().await;
    stage.faults(json!([]));
    (stage, outcome)
}

fn job() -> Value {
    json!({"job_id": "j", "action": "pause", "queue": "10000", "agent": "570"})
}

#[tokio::test]
async fn a_replayed_job_is_carried_out_though_its_failure_is_remembered() {
    let mut stage = stage().await;
    stage.faults(fails());
    let _worker = stage.worker().start().await;
    let first = stage.perform(job()).await;
    let letter = stage.dead.next().await;
    stage.faults(json!([]));
    let said = done(&stage.place, &["replay", "j"]).await;
    assert!(said.out.starts_with("1 letter replayed"), "{}", said.out);
    let second = stage.outcomes.next().await.json();
    assert_eq!(
        (&second["job_id"], &second["code"]),
        (&json!("j"), &json!("applied"))
    );
    assert_ne!(first["outcome_id"], second["outcome_id"]);
    assert!(letter.headers.contains_key("clockout-code"));
    letters_ready(&stage, 0).await;
}

#[tokio::test]
async fn a_job_that_fails_again_is_a_letter_again_counted_up() {
    let mut stage = stage().await;
    stage.faults(fails());
    let _worker = stage.worker().start().await;
    let mut ids = vec![stage.perform(job()).await["outcome_id"].clone()];
    let body = stage.dead.next().await.body;
    for replay in ["1", "2"] {
        letters_ready(&stage, 1).await;
        done(&stage.place, &["replay", "--all", "--yes"]).await;
        ids.push(stage.outcomes.next().await.json()["outcome_id"].clone());
        let letter = stage.dead.next().await;
        assert_eq!(letter.headers["clockout-replay"], replay);
        assert_eq!(letter.body, body);
    }
    ids.dedup();
    assert_eq!(ids.len(), 3, "each try has its own outcome");
    letters_ready(&stage, 1).await;
    let listed = done(&stage.place, &["list", "--json"]).await.lines();
    assert_eq!(listed[0]["replays"], 2);
}

#[tokio::test]
async fn a_replayed_job_is_as_it_came_but_for_the_count() {
    let (mut stage, _) = failed(job()).await;
    done(&stage.place, &["replay", "j"]).await;
    let message = jobs(&stage).await.remove(0);
    assert_eq!(message.data, job().to_string().into_bytes());
    assert_eq!(message.routing_key.as_str(), "10000");
    let headers = message.properties.headers().as_ref().unwrap();
    let names: Vec<_> = headers
        .inner()
        .keys()
        .map(lapin::types::ShortString::as_str)
        .collect();
    assert_eq!(
        names
            .iter()
            .filter(|name| name.starts_with("clockout-"))
            .count(),
        1
    );
    assert!(names.contains(&"clockout-replay"), "{names:?}");
    assert!(stage.dead.rest().await.is_empty());
}

#[tokio::test]
async fn a_worker_that_knows_nothing_of_the_failure_does_the_job_too() {
    let (mut stage, _) = failed(job()).await;
    let _worker = stage.worker().start().await;
    done(&stage.place, &["replay", "j"]).await;
    assert_eq!(stage.outcomes.next().await.json()["code"], "applied");
}

#[tokio::test]
async fn times_stay_as_they_were_unless_now_is_asked_for() {
    let mut stage = stage().await;
    let _worker = stage.worker().start().await;
    for (id, flags, code) in [("j", &[][..], "expired"), ("k", &["--now"], "applied")] {
        let mut late = job();
        late["job_id"] = json!(id);
        late["requested_at"] = json!("2026-11-21T18:10:00+03:30");
        late["expires_at"] = json!("2026-11-21T18:11:00+03:30");
        bury_body(&stage, &late.to_string(), "exhausted").await;
        letters_ready(&stage, 1).await;
        done(&stage.place, &[&["replay", id], flags].concat()).await;
        let outcome = stage.outcomes.next().await.json();
        assert_eq!(outcome["code"], code);
        let stays = outcome["requested_at"] == "2026-11-21T14:40:00.000Z";
        assert_eq!(stays, flags.is_empty(), "{outcome}");
    }
}

#[tokio::test]
async fn under_new_ids_jobs_are_new_and_found_by_their_old_ones() {
    let (mut stage, first) = failed(job()).await;
    let _worker = stage.worker().start().await;
    done(&stage.place, &["replay", "--all", "--new-ids"]).await;
    let second = stage.outcomes.next().await.json();
    assert_eq!(second["code"], "applied");
    assert_ne!(second["job_id"], first["job_id"]);
    assert_eq!(second["correlation_id"], "j");
}

#[tokio::test]
async fn agents_who_were_done_can_be_left_alone() {
    let mut stage = stage().await;
    stage.faults(json!([
        {"match": {"agent": "2"}, "effect": {"item": {"fail": {"text": "No such queue"}}}},
    ]));
    let _worker = stage.worker().start().await;
    stage
        .send(json!({"job_id": "j", "action": "pause", "queue": "1", "agents": ["1", "2"]}))
        .await;
    stage.outcomes(2).await;
    letters_ready(&stage, 1).await;
    stage.faults(json!([]));
    let said = done(&stage.place, &["replay", "j", "--failed-only"]).await;
    assert_eq!(said.err, "");
    let outcome = stage.outcomes.next().await.json();
    assert_eq!(
        (&outcome["agent"], &outcome["code"]),
        (&json!("2"), &json!("applied"))
    );
    let last = stage.calls().pop().expect("a call");
    assert_eq!(last.1, ["2"]);
}

#[tokio::test]
async fn whom_a_replay_reaches_besides_those_that_failed_is_said() {
    let stage = stage().await;
    declare(&stage).await;
    let team = r#"{"job_id":"team","action":"remove","queue":"10000","agents":["1","2","3"]}"#;
    bury_body(&stage, team, "rejected").await;
    bury(&stage, "alone", "rejected").await;
    letters_ready(&stage, 2).await;
    let said = done(&stage.place, &["replay", "team", "--now"]).await;
    for words in [
        "did not fail: 2; without --failed-only",
        "with --now",
        "the oldest of these letters is",
    ] {
        assert!(said.err.contains(words), "{words} in {}", said.err);
    }
    let said = done(&stage.place, &["replay", "alone"]).await;
    assert_eq!(said.err, "");
}

#[tokio::test]
async fn a_group_is_replayed_in_its_order_and_the_others_keep_theirs() {
    let stage = stage().await;
    declare(&stage).await;
    for (id, code) in [
        ("a", "rejected"),
        ("b", "exhausted"),
        ("c", "rejected"),
        ("d", "exhausted"),
    ] {
        bury(&stage, id, code).await;
    }
    let said = done(
        &stage.place,
        &["replay", "--code", "rejected", "--rate", "5", "--json"],
    )
    .await;
    assert_eq!(said.lines(), [json!({"replayed": 2, "unchanged": 0})]);
    let left = done(&stage.place, &["list", "--json"]).await;
    assert_eq!(left.job_ids(), ["b", "d"]);
    assert_eq!(ids(&jobs(&stage).await), ["a", "c"]);
}

#[tokio::test]
async fn what_is_no_job_can_be_replayed_too_and_comes_back_invalid() {
    let mut stage = stage().await;
    let _worker = stage.worker().start().await;
    stage
        .send_raw("7", b"no JSON", crate::support::json_message())
        .await;
    stage.outcomes.next().await;
    stage.dead.next().await;
    letters_ready(&stage, 1).await;
    let said = done(&stage.place, &["replay", "--all", "--now"]).await;
    assert!(said.out.contains("as they were"), "{}", said.out);
    assert_eq!(stage.outcomes.next().await.json()["code"], "malformed_json");
    let letter = stage.dead.next().await;
    assert_eq!(letter.body, b"no JSON");
    assert_eq!(letter.headers["clockout-replay"], "1");
}

#[tokio::test]
async fn an_id_that_no_letter_has_is_a_failure_and_the_others_are_replayed() {
    let stage = stage().await;
    declare(&stage).await;
    bury(&stage, "a", "rejected").await;
    let said = dead(&stage.place, &["replay", "a", "x"]).await;
    assert_eq!(said.code, Some(1));
    assert!(said.out.starts_with("1 letter replayed"), "{}", said.out);
    assert!(said.err.contains("no dead letter of x"), "{}", said.err);
}
