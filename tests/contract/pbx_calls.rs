//! Guards CONTRACT §3: what follows from each way in which a PBX call can end.

use serde_json::{Value, json};

use crate::support::{Stage, WorkerSetup, stage};

/// A worker that gives up after three calls and whose breaker stays out of the way.
fn persistent(stage: &Stage) -> WorkerSetup {
    stage
        .worker()
        .set("retry.attempts_max", "3")
        .set("breaker.failures", "1000")
}

#[tokio::test]
async fn each_answer_about_one_agent_leads_to_its_outcome() {
    let fail = |text: &str| json!({"item": {"fail": {"text": text}}});
    let missing = json!({"item": {"missing": {"applied": false}}});
    let cases = [
        (
            "pause",
            fail("Agent not there"),
            None,
            "failed/not_member/1",
        ),
        (
            "remove",
            fail("not in queue"),
            None,
            "succeeded/already_absent/1",
        ),
        (
            "pause",
            fail("NO SUCH QUEUE"),
            None,
            "failed/no_such_queue/1",
        ),
        (
            "remove",
            fail("Member not dynamic"),
            None,
            "failed/not_dynamic/1",
        ),
        (
            "pause",
            fail("Operation failed"),
            Some(1),
            "succeeded/applied/2",
        ),
        (
            "pause",
            fail("please try again"),
            None,
            "failed/exhausted/3",
        ),
        ("remove", fail("no idea"), Some(1), "succeeded/applied/2"),
        ("remove", fail("no idea"), None, "failed/rejected/2"),
        ("pause", missing.clone(), Some(2), "succeeded/applied/3"),
        ("pause", missing, None, "unknown/unreported/3"),
    ];
    check(&cases).await;
}

#[tokio::test]
async fn each_end_of_a_whole_call_leads_to_its_outcome() {
    let refuse =
        |http: u16, text: &str| json!({"call": {"refuse_batch": {"http": http, "text": text}}});
    let status = |code: u16| json!({"call": {"status": {"code": code}}});
    let garbage = json!({"call": {"garbage": {"applied": false}}});
    let cases = [
        ("pause", refuse(200, "bad batch"), None, "failed/rejected/_"),
        ("pause", refuse(400, "bad batch"), None, "failed/rejected/_"),
        (
            "remove",
            refuse(200, "busy"),
            Some(1),
            "succeeded/applied/2",
        ),
        ("pause", status(503), Some(2), "succeeded/applied/3"),
        ("pause", status(429), None, "failed/exhausted/3"),
        (
            "pause",
            json!({"call": "drop_before"}),
            Some(1),
            "succeeded/applied/2",
        ),
        (
            "remove",
            json!({"call": "drop_after"}),
            Some(1),
            "succeeded/presumed_applied/2",
        ),
        ("remove", garbage.clone(), Some(1), "succeeded/applied/2"),
        ("pause", garbage, None, "unknown/ambiguous/3"),
    ];
    check(&cases).await;
}

/// Action, what goes wrong, how often (`None`: always), and `status/code/attempts` (`_`: any).
type Case<'a> = (&'a str, Value, Option<u32>, &'a str);

async fn check(cases: &[Case<'_>]) {
    let mut stage = stage().await;
    let _worker = persistent(&stage).start().await;
    for (number, (action, effect, times, expected)) in cases.iter().enumerate() {
        stage.faults(json!([{"times": times, "effect": effect}]));
        // A queue of its own, so that no case waits for another.
        let queue = number.to_string();
        let outcome = stage
            .perform(json!({"action": action, "queue": queue, "agent": "570"}))
            .await;
        let text = |field: &str| outcome[field].as_str().unwrap().to_owned();
        let attempts = if expected.ends_with('_') {
            "_".to_owned()
        } else {
            outcome["attempts"].to_string()
        };
        let got = [text("status"), text("code"), attempts].join("/");
        assert_eq!(got, *expected, "{action} {effect} {times:?}: {outcome}");
    }
}

#[tokio::test]
async fn of_a_refused_batch_only_the_offender_fails() {
    for http in [200, 400] {
        let mut stage = stage().await;
        stage.faults(json!([
            {"match": {"agent": "5"}, "effect": {"call": {"refuse_batch": {"http": http, "text": "5 is odd"}}}},
        ]));
        let _worker = persistent(&stage).start().await;
        let agents: Vec<String> = (1..=8).map(|agent| agent.to_string()).collect();
        stage
            .send(json!({"action": "remove", "queue": "1", "agents": agents}))
            .await;
        for outcome in stage.outcomes(8).await {
            let expected = if outcome["agent"] == "5" {
                ("failed", "rejected")
            } else {
                ("succeeded", "applied")
            };
            let end = (&outcome["status"], &outcome["code"]);
            assert_eq!(end, (&json!(expected.0), &json!(expected.1)), "{outcome}");
            if outcome["agent"] == "5" {
                assert_eq!(outcome["message"], "5 is odd");
            }
        }
        let sizes: Vec<usize> = stage.calls().iter().map(|call| call.1.len()).collect();
        assert_eq!(sizes, [8, 4, 4, 2, 1, 1, 2], "HTTP {http}");
    }
}

#[tokio::test]
async fn only_what_was_not_done_is_sent_again() {
    let mut stage = stage().await;
    stage.faults(json!([
        {"match": {"agent": "2"}, "times": 1, "effect": {"item": {"fail": {"text": "busy"}}}},
        {"match": {"agent": "3"}, "times": 1, "effect": {"item": {"missing": {"applied": true}}}},
    ]));
    let _worker = persistent(&stage).start().await;
    stage
        .send(json!({"action": "pause", "queue": "1", "agents": ["1", "2", "3"]}))
        .await;
    stage.outcomes(3).await;
    let again: Vec<String> = stage
        .calls()
        .into_iter()
        .skip(1)
        .flat_map(|call| call.1)
        .collect();
    assert!(!again.contains(&"1".to_owned()), "{again:?}");
    assert_eq!(again.len(), 2);
}

#[tokio::test]
async fn a_fault_that_hits_every_job_alike_burns_none_and_new_jobs_stay_in_the_broker() {
    let mut stage = stage().await;
    stage.faults(json!([{"effect": {"call": {"status": {"code": 401}}}}]));
    let worker = stage.worker().start().await;
    stage
        .send(json!({"job_id": "first", "action": "pause", "queue": "1", "agent": "1"}))
        .await;
    worker.answers("/readyz", 503).await;
    stage
        .send(json!({"job_id": "second", "action": "pause", "queue": "1", "agent": "2"}))
        .await;
    stage.jobs_ready(1).await;
    assert!(stage.outcomes.rest().await.is_empty());

    stage.faults(json!([]));
    for outcome in stage.outcomes(2).await {
        assert_eq!(outcome["code"], "applied");
    }
    worker.ready().await;
    assert!(stage.dead.rest().await.is_empty());
}

#[tokio::test]
async fn the_words_of_a_pbx_are_settings() {
    let mut stage = stage().await;
    let worker = stage.worker().set("pbx.texts.not_dynamic", "fest, static");
    let _worker = worker.start().await;
    stage.faults(json!([{"effect": {"item": {"fail": {"text": "Agent ist FEST zugeordnet"}}}}]));
    let outcome = stage
        .perform(json!({"action": "remove", "queue": "1", "agent": "1"}))
        .await;
    assert_eq!(outcome["code"], "not_dynamic");
    assert_eq!(outcome["message"], "Agent ist FEST zugeordnet");
}
