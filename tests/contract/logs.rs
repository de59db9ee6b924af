//! Guards what the log says of work: a line per call and per problem, none per job, with the fields to find it by.

use serde_json::{Value, json};

use crate::support::{Worker, stage};

/// The lines of a worker's log whose message holds `words`.
fn lines(worker: &Worker, words: &str) -> Vec<Value> {
    let log = worker.log();
    let lines = log.lines().map(|line| serde_json::from_str(line).unwrap());
    let says = |line: &Value| line["message"].as_str().unwrap().contains(words);
    lines.filter(says).collect()
}

#[tokio::test]
async fn at_info_a_batch_is_one_line_and_a_problem_is_one_line() {
    let mut stage = stage().await;
    let worker = stage
        .worker()
        .set("log.format", "json")
        .set("batch.linger", "300ms");
    let worker = worker.start().await;
    stage.faults(json!([
        {"match": {"agent": "5"}, "effect": {"item": {"fail": {"text": "no such queue"}}}},
    ]));
    let jobs = (1..=5).map(|agent| {
        let agent = agent.to_string();
        json!({"job_id": agent, "action": "pause", "queue": "10000", "agent": agent})
    });
    stage.send_all(jobs).await;
    let outcomes = stage.outcomes(5).await;
    worker
        .shows(r#"clockout_dead_letters_total{code="no_such_queue"} 1"#)
        .await;
    let batch = &outcomes[0]["batch"]["id"];

    let call = lines(&worker, "agents done");
    assert_eq!(call.len(), 1, "{}", worker.log());
    let call = &call[0];
    assert_eq!((&call["level"], &call["batch"]), (&json!("INFO"), batch));
    assert_eq!(
        (&call["queue"], &call["action"]),
        (&json!("10000"), &json!("pause"))
    );
    let counts = ["agents", "done", "refused"].map(|field| call[field].as_u64());
    assert_eq!(counts, [Some(5), Some(4), Some(1)]);
    assert!(call["ms"].is_u64(), "{call}");

    let letter = lines(&worker, "dead letter");
    assert_eq!(letter.len(), 1, "{}", worker.log());
    let letter = &letter[0];
    assert_eq!(
        (&letter["level"], &letter["batch"]),
        (&json!("WARN"), batch)
    );
    assert_eq!(
        (&letter["queue"], &letter["job_id"]),
        (&json!("10000"), &json!("5"))
    );
    assert_eq!(letter["code"], "no_such_queue");
    assert_eq!(lines(&worker, "outcome told").len(), 0);
}

#[tokio::test]
async fn at_debug_every_outcome_is_a_line_with_its_job_queue_and_batch() {
    let mut stage = stage().await;
    let worker = stage.worker().set("log.format", "json");
    let worker = worker.set("log.filter", "clockout=debug").start().await;
    let job = json!({"job_id": "j-1", "action": "pause", "queue": "10000", "agent": "570"});
    let outcome = stage.perform(job).await;
    worker
        .shows(r#"clockout_jobs_settled_total{disposition="ack"} 1"#)
        .await;
    let told = lines(&worker, "outcome told");
    assert_eq!(told.len(), 1, "{}", worker.log());
    for (field, expected) in [
        ("job_id", &outcome["job_id"]),
        ("queue", &outcome["queue"]),
        ("batch", &outcome["batch"]["id"]),
        ("code", &outcome["code"]),
    ] {
        assert_eq!(&told[0][field], expected, "{field}");
    }
}

/// CONTRACT §3: of an agent that is not there, a remove has nothing left to do.
#[tokio::test]
async fn a_remove_of_absent_agents_counts_as_done() {
    let mut stage = stage().await;
    stage.faults(json!([
        {"match": {}, "effect": {"item": {"fail": {"text": "Agent not in queue"}}}},
    ]));
    let worker = stage.worker().set("log.format", "json").start().await;
    let job = json!({"action": "remove", "queue": "10000", "agent": "570"});
    assert_eq!(stage.perform(job).await["code"], "already_absent");
    assert_eq!(lines(&worker, "1 of 1 agents done").len(), 1);
    let status = worker.get("/status").await.unwrap().body;
    let status: Value = serde_json::from_str(&status).unwrap();
    assert_eq!(status["batches"][0]["done"], 1);
}
