//! Whoever reads standard output may have seen enough, as `head` has: then commands do what they were asked for all the
//! same, and that is no failure.

use serde_json::json;

use crate::support::{Finished, Invocation, Stage, stage};

const ROWS: &str = "action,queue,agent\npause,1,7\npause,1,8\npause,1,9\n";

async fn unread(stage: &Stage, arguments: &[&str]) -> Finished {
    let command = Invocation::at(&stage.place, arguments)
        .environment("CLOCKOUT_PBX_BASE_URL", stage.pbx.url())
        .input(ROWS);
    command.unread().finished().await
}

#[tokio::test]
async fn commands_that_nobody_reads_do_all_they_were_asked_for() {
    let mut stage = stage().await;
    // So that there is something to list and to drop.
    let failing =
        json!({"match": {"agent": "7"}, "effect": {"item": {"fail": {"text": "No such queue"}}}});
    stage.faults(json!([failing]));
    let worker = stage.worker().start().await;
    let finished = unread(&stage, &["send", "--csv", "-", "--json"]).await;
    assert_eq!(finished.code, Some(0), "{finished:?}");
    stage.outcomes.take(3).await;
    worker
        .shows(r#"clockout_dead_letters_total{code="no_such_queue"} 1"#)
        .await;
    // One of the three fails, which is what it ends with.
    let finished = unread(&stage, &["send", "--csv", "-", "--json", "--wait"]).await;
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert_eq!(finished.stderr, "");
    stage.outcomes.take(3).await;
    worker
        .shows(r#"clockout_dead_letters_total{code="no_such_queue"} 2"#)
        .await;
    let url = worker.url();
    for arguments in [
        &["check"][..],
        &["check", "--json"],
        &["status", "--url", &url],
        &["status", "--url", &url, "--json"],
        &["dead", "list"],
        &["dead", "list", "--json"],
        &["dead", "list", "--json", "--groups"],
        &["dead", "drop", "--all"],
        &["dead", "drop", "--all", "--yes"],
    ] {
        let finished = unread(&stage, arguments).await;
        assert_eq!(finished.code, Some(0), "{arguments:?}: {finished:?}");
        assert!(!finished.stderr.contains("roken pipe"), "{finished:?}");
    }
    let left = Invocation::at(&stage.place, &["dead", "list", "--json"]);
    assert_eq!(left.finished().await.stdout, "");
}
