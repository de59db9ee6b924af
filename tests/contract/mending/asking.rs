//! On a terminal, a replay of more than named jobs shows what it is about to do and asks; in a pipe nobody is asked.

use super::{bury, bury_body, declare, letters_ready};
use crate::support::{Finished, Invocation, Stage, stage};

async fn two_letters() -> Stage {
    let stage = stage().await;
    declare(&stage).await;
    for id in ["a", "b"] {
        bury(&stage, id, "exhausted").await;
    }
    letters_ready(&stage, 2).await;
    stage
}

/// What a terminal showed, for somebody who types this.
async fn replay(stage: &Stage, what: &[&str], typed: &str) -> Finished {
    let words = [&["dead", "replay"], what].concat();
    let replay = Invocation::at(&stage.place, &words).on_a_terminal();
    replay.input(typed).finished().await
}

#[tokio::test]
async fn a_replay_of_many_is_done_if_whoever_is_asked_agrees() {
    let stage = two_letters().await;
    for (typed, code, left) in [("n\n", 1, 2), ("\n", 1, 2), ("y\n", 0, 0)] {
        let replay = replay(&stage, &["--all"], typed).await;
        // A terminal of no size breaks the words of a table.
        for shown in ["┌", "replay 2 letters? [y/N]"] {
            assert!(replay.stdout.contains(shown), "{shown} in {replay:?}");
        }
        assert_eq!(replay.code, Some(code), "{replay:?}");
        letters_ready(&stage, left).await;
    }
}

#[tokio::test]
async fn whom_a_replay_would_reach_besides_those_that_failed_is_said_before_it_asks() {
    let stage = two_letters().await;
    let team = r#"{"job_id":"c","action":"remove","queue":"10000","agents":["1","2","3"]}"#;
    bury_body(&stage, team, "rejected").await;
    letters_ready(&stage, 3).await;
    let replay = replay(&stage, &["--all", "--now"], "n\n").await;
    for words in ["did not fail: 2;", "--failed-only", "with --now"] {
        let warned = replay.stdout.find(words);
        assert!(warned.is_some(), "{words} in {replay:?}");
        assert!(
            warned < replay.stdout.find("replay 3 letters?"),
            "{replay:?}"
        );
    }
    letters_ready(&stage, 3).await;
}

#[tokio::test]
async fn nobody_is_asked_about_named_jobs_nor_with_yes() {
    let stage = two_letters().await;
    for (what, left) in [(&["a"][..], 1), (&["--all", "--yes"], 0)] {
        let replay = replay(&stage, what, "").await;
        assert!(!replay.stdout.contains('?'), "{replay:?}");
        assert_eq!(replay.code, Some(0), "{replay:?}");
        letters_ready(&stage, left).await;
    }
}
