//! What `send --wait` hears, shows and ends with.

use super::*;

const AGENTS: &str = "job_id,action,queue,agent\na,remove,1,570\nb,remove,1,553\n";

async fn send_and_wait(stage: &Stage, more: &[&str], input: &str) -> Finished {
    let arguments = [&["send", "--csv", "-", "--wait"], more].concat();
    let command = Invocation::at(&stage.place, &arguments);
    command.input(input).finished().await
}

#[tokio::test]
async fn it_ends_with_0_and_a_table_when_all_succeeded() {
    let stage = stage().await;
    let _worker = stage.worker().start().await;
    let finished = send_and_wait(&stage, &[], AGENTS).await;
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert_eq!(
        finished.stdout,
        "status\tcode\tagents\nsucceeded\tapplied\t2\n"
    );
    // The same jobs again are told again.
    let again = send_and_wait(&stage, &[], AGENTS).await;
    assert_eq!((again.code, again.stdout), (Some(0), finished.stdout));
}

#[tokio::test]
async fn it_ends_with_1_when_a_job_failed_and_shows_which_and_why() {
    let stage = stage().await;
    stage.faults(json!([{"match": {"agent": "553"}, "effect": {"item": {"fail": {"text": "No such queue"}}}}]));
    let _worker = stage.worker().start().await;
    let finished = send_and_wait(&stage, &[], AGENTS).await;
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert_eq!(
        finished.stdout,
        "status\tcode\tagents\nfailed\tno_such_queue\t1\nsucceeded\tapplied\t1\n\
         job_id\taction\tqueue\tagent\tstatus\tcode\tmessage\n\
         b\tremove\t1\t553\tfailed\tno_such_queue\tNo such queue\n"
    );
}

#[tokio::test]
async fn of_many_that_did_not_succeed_it_shows_the_first_and_says_how_many_more() {
    let stage = stage().await;
    let _jobs = jobs(&stage).await;
    let finished = send_and_wait(&stage, &["--timeout", "100ms"], &rows(23)).await;
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert_eq!(finished.stdout.matches("no outcome\t\t\n").count(), 20);
    assert_eq!(finished.stderr, "… and 3 more; --json has all\n");
}

#[tokio::test]
async fn as_json_it_prints_the_outcomes_as_they_were_told() {
    let mut stage = stage().await;
    let _worker = stage.worker().start().await;
    let finished = send_and_wait(&stage, &["--json"], AGENTS).await;
    assert_eq!(finished.code, Some(0), "{finished:?}");
    let told = stage.outcomes.take(2).await.into_iter();
    let mut told: Vec<String> = told
        .map(|outcome| String::from_utf8(outcome.body).unwrap())
        .collect();
    let mut lines: Vec<&str> = finished.stdout.lines().collect();
    // Each queue has its own order of what comes from several channels.
    told.sort_unstable();
    lines.sort_unstable();
    assert_eq!(lines, told);
}

#[tokio::test]
async fn a_dry_run_of_the_jobs_own_is_what_was_asked_for() {
    let stage = stage().await;
    let _worker = stage.worker().start().await;
    let csv = "action,queue,agent,dry_run\npause,1,2,true\n";
    let finished = send_and_wait(&stage, &[], csv).await;
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert!(
        finished.stdout.contains("dry_run\tdry_run\t1"),
        "{finished:?}"
    );
    assert!(stage.calls().is_empty());
}

#[tokio::test]
async fn what_nobody_tells_in_time_is_missing_and_ends_with_1() {
    let stage = stage().await;
    let _jobs = jobs(&stage).await;
    let patience = ["--timeout", "100ms"];
    let finished = send_and_wait(&stage, &patience, AGENTS).await;
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert_eq!(
        finished.stdout,
        "status\tcode\tagents\nno outcome\t\t2\n\
         job_id\taction\tqueue\tagent\tstatus\tcode\tmessage\n\
         a\tremove\t1\t570\tno outcome\t\t\n\
         b\tremove\t1\t553\tno outcome\t\t\n"
    );
    let json = send_and_wait(&stage, &[&patience[..], &["--json"]].concat(), AGENTS).await;
    assert_eq!(json.code, Some(1), "{json:?}");
    let lines = json.stdout.lines();
    let missing: Vec<Value> = lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(missing.len(), 2);
    assert_eq!(
        missing[1],
        json!({"job_id": "b", "action": "remove", "queue": "1", "agent": "553", "status": null})
    );
}

#[tokio::test]
async fn what_is_told_of_other_jobs_is_left_alone() {
    let stage = stage().await;
    let _worker = stage.worker().start().await;
    let mut waiting = Invocation::at(&stage.place, &["watch", "--count", "3"]).start();
    waiting.says("following").await;
    stage
        .send(json!({"job_id": "theirs", "action": "pause", "queue": "1", "agent": "9"}))
        .await;
    let finished = send_and_wait(&stage, &["--json"], AGENTS).await;
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert!(!finished.stdout.contains("theirs"), "{finished:?}");
    assert_eq!(waiting.rest().await.len(), 3);
}
