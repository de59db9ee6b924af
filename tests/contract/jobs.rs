//! Guards CONTRACT §2: what a job may look like, and which code each kind of wrong job gets.

use serde_json::{Value, json};

use crate::support::{json_message, stage};

#[tokio::test]
async fn every_malformed_job_gets_its_code_and_a_dead_letter_and_harms_no_neighbour() {
    let mut stage = stage().await;
    let _worker = stage.worker().start().await;
    let too_many: Vec<String> = (0..501).map(|agent| agent.to_string()).collect();
    let pause = |change: Value| {
        let mut job = json!({"action": "pause", "queue": "10000", "agent": "570"});
        for (field, value) in change.as_object().unwrap() {
            job[field] = value.clone();
        }
        job.to_string()
    };
    let cases = [
        ("malformed_json", "no json".to_owned()),
        ("malformed_json", String::new()),
        ("malformed_json", "[1, 2]".to_owned()),
        ("missing_field", pause(json!({"action": null}))),
        ("missing_field", pause(json!({"queue": null}))),
        ("missing_field", pause(json!({"agent": null}))),
        ("unknown_action", pause(json!({"action": "unpause"}))),
        ("bad_value", pause(json!({"action": 7}))),
        ("bad_value", pause(json!({"queue": ""}))),
        ("bad_value", pause(json!({"queue": "1 0"}))),
        ("bad_value", pause(json!({"queue": "1".repeat(33)}))),
        ("bad_value", pause(json!({"queue": -1}))),
        ("bad_value", pause(json!({"queue": 1.5}))),
        ("bad_value", pause(json!({"agent": "5/70"}))),
        ("bad_value", pause(json!({"agents": ["570"]}))),
        ("bad_value", pause(json!({"agent": null, "agents": []}))),
        (
            "bad_value",
            pause(json!({"agent": null, "agents": too_many})),
        ),
        ("bad_value", pause(json!({"job_id": ""}))),
        ("bad_value", pause(json!({"job_id": "j".repeat(129)}))),
        (
            "bad_value",
            pause(json!({"requested_at": "2026-11-21T18:10:00"})),
        ),
        ("bad_value", pause(json!({"expires_at": "tomorrow"}))),
        ("bad_value", pause(json!({"reason": "r".repeat(257)}))),
        ("bad_value", pause(json!({"context": []}))),
        (
            "bad_value",
            pause(json!({"context": {"c": "c".repeat(4096)}})),
        ),
        ("bad_value", pause(json!({"dry_run": "yes"}))),
        (
            "unsupported_field",
            pause(json!({"not_before": "2026-11-21T18:10:00Z"})),
        ),
        (
            "too_large",
            pause(json!({"padding": "p".repeat(64 * 1024)})),
        ),
    ];
    for (code, body) in cases {
        stage
            .send_raw("10000", body.as_bytes(), json_message())
            .await;
        let outcome = stage.outcomes.next().await.json();
        let got = (&outcome["status"], &outcome["code"]);
        assert_eq!(got, (&json!("invalid"), &json!(code)), "{body:.200}");
        assert_eq!(stage.dead.next().await.body, body.as_bytes());
    }
    let not_utf8 = b"{\"action\": \"pause\", \"queue\": \"1\", \"agent\": \"\xff\"}";
    stage.send_raw("1", not_utf8, json_message()).await;
    assert_eq!(stage.outcomes(1).await[0]["code"], "malformed_json");

    let neighbour = json!({"action": "pause", "queue": "10000", "agent": "570"});
    assert_eq!(stage.perform(neighbour).await["code"], "applied");
    assert_eq!(stage.calls().len(), 1);
}

#[tokio::test]
async fn what_a_job_may_leave_out_or_say_loosely_is_understood() {
    let mut stage = stage().await;
    let _worker = stage.worker().start().await;
    let jobs = [
        json!({"action": "pause", "queue": 10000, "agent": 570}),
        json!({"action": "pause", "queue": "10000", "agents": ["571"], "agent": null}),
        json!({"action": "pause", "queue": "10000", "agent": "572", "colour": "unknown field"}),
        json!({"action": "remove", "queue": "00*#_+-az", "agent": "0570", "reason": null}),
    ];
    for job in jobs {
        let outcome = stage.perform(job.clone()).await;
        assert_eq!(outcome["code"], "applied", "{job}");
    }
    assert_eq!(stage.calls()[3].1, ["0570"], "leading zeros count");
}

#[tokio::test]
async fn a_repeated_agent_is_folded_and_each_agent_gets_its_own_outcome() {
    let mut stage = stage().await;
    let _worker = stage.worker().start().await;
    let agents = ["570", "571", "570"];
    let job = json!({"job_id": "j", "action": "pause", "queue": "1", "agents": agents});
    stage.send(job).await;
    let mut told: Vec<Value> = stage.outcomes(2).await;
    told.sort_by_key(|outcome| outcome["agent"].to_string());
    let agents: Vec<&Value> = told.iter().map(|outcome| &outcome["agent"]).collect();
    assert_eq!(agents, ["570", "571"]);
    assert_ne!(told[0]["outcome_id"], told[1]["outcome_id"]);
    assert_eq!(stage.calls().len(), 1);
    assert!(stage.outcomes.rest().await.is_empty());
}

#[tokio::test]
async fn what_the_body_does_not_say_comes_from_the_amqp_properties() {
    let mut stage = stage().await;
    let _worker = stage.worker().start().await;
    let properties = json_message()
        .with_message_id("message-7".into())
        .with_correlation_id("shift-7".into())
        .with_timestamp(1_700_000_000);
    let job = json!({"action": "pause", "queue": "1", "agent": "2", "expires_at": "2100-01-01T00:00:00Z"});
    stage
        .send_raw("1", job.to_string().as_bytes(), properties)
        .await;
    let outcome = stage.outcomes.next().await.json();
    assert_eq!(outcome["job_id"], "message-7");
    assert_eq!(outcome["correlation_id"], "shift-7");
    assert_eq!(outcome["requested_at"], "2023-11-14T22:13:20.000Z");
}

#[tokio::test]
async fn a_job_past_its_time_expires_without_a_call() {
    let mut stage = stage().await;
    let _worker = stage.worker().start().await;
    let late = [
        json!({"expires_at": "2020-01-01T00:00:00+03:30"}),
        // Older than jobs.max_age.
        json!({"requested_at": "2020-01-01T00:00:00Z"}),
    ];
    for mut job in late {
        job["action"] = json!("pause");
        job["queue"] = json!("1");
        job["agent"] = json!("2");
        let outcome = stage.perform(job).await;
        let got = (&outcome["status"], &outcome["code"], &outcome["attempts"]);
        assert_eq!(got, (&json!("expired"), &json!("expired"), &json!(0)));
    }
    assert!(stage.calls().is_empty());
    assert!(stage.dead.rest().await.is_empty());
}

#[tokio::test]
async fn a_dry_run_does_everything_except_the_call() {
    let mut stage = stage().await;
    let _worker = stage.worker().start().await;
    let job = json!({"action": "remove", "queue": "1", "agent": "2", "dry_run": true});
    let outcome = stage.perform(job).await;
    assert_eq!(
        (&outcome["status"], &outcome["code"]),
        (&json!("dry_run"), &json!("dry_run"))
    );
    assert_eq!(outcome["dry_run"], true);
    assert!(stage.calls().is_empty());
}
