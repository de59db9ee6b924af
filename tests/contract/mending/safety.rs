//! No letter is lost: not by being looked at, not by a replay that is killed, not where its job goes nowhere.

use std::collections::BTreeSet;
use std::process::Stdio;

use lapin::types::FieldTable;

use super::{bury, bury_many, command, dead, declare, done, ids, jobs, letters_ready};
use crate::support::{Node, Stage, poll, stage};

/// More than one channel holds.
const MANY: u32 = 2_300;

#[tokio::test]
async fn many_letters_are_read_in_their_order_and_stay_in_it() {
    let stage = stage().await;
    declare(&stage).await;
    let buried = bury_many(&stage, MANY).await;
    for _ in 0..2 {
        let said = done(&stage.place, &["list", "--json"]).await;
        assert!(said.job_ids() == buried, "another order, or not all");
        letters_ready(&stage, MANY).await;
    }
    done(&stage.place, &["show", "j-00000"]).await;
    letters_ready(&stage, MANY).await;
    let said = done(&stage.place, &["list", "--json"]).await;
    assert!(said.job_ids() == buried, "another order, or not all");
}

#[tokio::test]
async fn twenty_thousand_letters_are_counted_and_dropped_to_the_last() {
    const ALL: u32 = 20_000;
    let stage = stage().await;
    declare(&stage).await;
    bury_many(&stage, ALL).await;
    let groups = done(&stage.place, &["list", "--groups", "--json"]).await;
    assert_eq!(groups.lines()[0]["letters"], ALL);
    letters_ready(&stage, ALL).await;
    let said = done(&stage.place, &["drop", "--all", "--yes"]).await;
    assert_eq!(said.out, format!("{ALL} letters dropped\n"));
    assert_eq!(stage.rabbit.depth(&stage.place.names.dead).await, Some(0));
}

/// RabbitMQ 4 drops a message that went back 20 times; the policy has older ones do so, too.
#[tokio::test]
async fn however_often_letters_are_looked_at_none_is_dropped() {
    let node = Node::start();
    let limit = ["limit", "^clockout[.]dead$", "{\"delivery-limit\":20}"];
    node.ctl(&[&["set_policy", "--apply-to", "queues"], &limit[..]].concat());
    let stage = Stage::at(node.place()).await;
    declare(&stage).await;
    for id in ["a", "b", "c"] {
        bury(&stage, id, "exhausted").await;
    }
    for time in 0..30 {
        letters_ready(&stage, 3).await;
        let words = match time % 3 {
            0 => &["list", "--json"][..],
            1 => &["show", "a"],
            _ => &["drop", "--all"],
        };
        done(&stage.place, words).await;
    }
    letters_ready(&stage, 3).await;
    let said = done(&stage.place, &["list", "--json"]).await;
    assert_eq!(said.job_ids(), ["a", "b", "c"]);
}

#[tokio::test]
async fn a_replay_that_is_killed_in_the_middle_loses_no_job() {
    const BURST: usize = 100;
    let stage = stage().await;
    declare(&stage).await;
    let buried = bury_many(&stage, MANY).await;
    let dead_queue = stage.place.names.dead.clone();
    for replayed in [200, 900, 1_600] {
        let mut replay = command(&stage.place, &["replay", "--all", "--rate", "1000"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let jobs_queue = &stage.place.names.jobs;
        poll(format_args!("{replayed} jobs"), async || {
            (stage.rabbit.depth(jobs_queue).await? >= replayed).then_some(())
        })
        .await;
        replay.kill().unwrap();
        replay.wait().unwrap();
        // What it held is back.
        let jobs = stage.rabbit.depth(jobs_queue).await.unwrap();
        poll("the other letters", async || {
            (stage.rabbit.depth(&dead_queue).await? + jobs >= MANY).then_some(())
        })
        .await;
    }
    done(&stage.place, &["replay", "--all"]).await;
    assert_eq!(stage.rabbit.depth(&dead_queue).await, Some(0));
    let sent = ids(&jobs(&stage).await);
    let all: BTreeSet<&String> = sent.iter().collect();
    assert!(all.into_iter().eq(&buried), "a job is lost");
    let repeats = sent.len() - buried.len();
    assert!(repeats <= 3 * BURST, "{repeats} jobs were sent twice");
}

#[tokio::test]
async fn a_job_that_a_killed_replay_sent_twice_is_done_once() {
    let mut stage = stage().await;
    let worker = stage.worker().start().await;
    // As after a kill between the job's confirm and the letter's acknowledgement, and another replay.
    for _ in 0..2 {
        bury(&stage, "j", "exhausted").await;
        letters_ready(&stage, 1).await;
        done(&stage.place, &["replay", "j"]).await;
    }
    let outcomes = stage.outcomes(2).await;
    assert_eq!(outcomes[0]["outcome_id"], outcomes[1]["outcome_id"]);
    assert_eq!(stage.calls().len(), 1);
    drop(worker);
}

#[tokio::test]
async fn letters_whose_jobs_go_nowhere_stay() {
    let stage = stage().await;
    declare(&stage).await;
    for id in ["a", "b"] {
        bury(&stage, id, "exhausted").await;
    }
    let channel = stage.rabbit.channel().await;
    let jobs = stage.place.names.jobs.as_str();
    channel
        .queue_unbind(jobs.into(), jobs.into(), "#".into(), FieldTable::default())
        .await
        .unwrap();
    let said = dead(&stage.place, &["replay", "--all"]).await;
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("0 letters replayed"), "{}", said.err);
    letters_ready(&stage, 2).await;
    let said = done(&stage.place, &["list", "--json"]).await;
    assert_eq!(said.job_ids(), ["a", "b"]);
}
