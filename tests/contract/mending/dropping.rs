//! Dropping dead letters: only those that are meant, and only with `--yes`.

use serde_json::json;

use super::{bury, dead, declare, done, letters_ready};
use crate::support::stage;

#[tokio::test]
async fn without_yes_it_is_only_said_what_would_go() {
    let stage = stage().await;
    declare(&stage).await;
    for (id, code) in [("a", "exhausted"), ("b", "rejected"), ("c", "exhausted")] {
        bury(&stage, id, code).await;
    }
    let said = done(&stage.place, &["drop", "--code", "exhausted"]).await;
    assert!(
        said.out.contains("2 letters would be dropped with --yes"),
        "{}",
        said.out
    );
    letters_ready(&stage, 3).await;

    let said = done(&stage.place, &["drop", "--code", "exhausted", "--json"]).await;
    assert_eq!(
        said.lines(),
        [json!({"letters": 2, "dropped": 0, "dry_run": true})]
    );

    let said = done(
        &stage.place,
        &["drop", "--code", "exhausted", "--yes", "--json"],
    )
    .await;
    assert_eq!(
        said.lines(),
        [json!({"letters": 2, "dropped": 2, "dry_run": false})]
    );
    let left = done(&stage.place, &["list", "--json"]).await;
    assert_eq!(left.job_ids(), ["b"]);
}

#[tokio::test]
async fn letters_are_gone_when_it_says_so_however_many() {
    let stage = stage().await;
    declare(&stage).await;
    for number in 0..1_300 {
        bury(&stage, &number.to_string(), "exhausted").await;
    }
    let said = done(
        &stage.place,
        &["drop", "--all", "--yes", "--now", "--rate", "100000"],
    )
    .await;
    assert_eq!(said.out, "1300 letters dropped\n");
    assert_eq!(stage.rabbit.depth(&stage.place.names.dead).await, Some(0));
}

#[tokio::test]
async fn a_command_that_chooses_no_letters_is_misused() {
    let stage = stage().await;
    for words in [
        &["drop"][..],
        &["drop", "--yes"],
        &["replay"],
        &["replay", "--now"],
        &["replay", "--all", "--rate", "0"],
        &["replay", "--all", "--older-than", "soon"],
        &["show"],
    ] {
        let said = dead(&stage.place, words).await;
        assert_eq!(said.code, Some(2), "{words:?}: {}", said.err);
    }
}
