//! Guards `jobs.shards`: jobs spread over queues of which each has one worker at a time, so that several workers share the
//! work and no agent's order breaks; and that no change of the number loses a job.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::support::{Message, Node, Stage, Worker, left_out, stage};

const PBX_QUEUES: u32 = 12;

/// The jobs of one agent have rising numbers.
fn job(number: u32) -> Value {
    let place = (number % PBX_QUEUES).to_string();
    json!({"job_id": number.to_string(), "action": "pause", "queue": place, "agent": place})
}

async fn started(stage: &Stage, name: &str, shards: u32) -> Worker {
    let worker = stage.worker().set("worker.name", name);
    let worker = worker.set("jobs.shards", &shards.to_string());
    worker.set("jobs.prefetch", "16").start().await
}

const SHARDS: [&str; 3] = [
    "clockout.jobs",
    "clockout.jobs.shard-2",
    "clockout.jobs.shard-3",
];

/// Fails unless each of the jobs has its outcome and no agent's outcomes are out of order; an outcome may be told again.
fn all_in_order(outcomes: &[Value], jobs: u32) {
    let mut told: BTreeMap<u32, &Value> = BTreeMap::new();
    let mut last: BTreeMap<&str, u32> = BTreeMap::new();
    for outcome in outcomes {
        let number = outcome["job_id"].as_str().unwrap().parse().unwrap();
        assert_eq!(outcome["code"], "applied", "{outcome}");
        let id = &outcome["outcome_id"];
        if let Some(before) = told.insert(number, id) {
            assert_eq!(id, before, "job {number} has two outcomes");
        } else {
            let last = last.entry(outcome["agent"].as_str().unwrap()).or_default();
            assert!(*last <= number, "job {number} was done after {last}");
            *last = number;
        }
    }
    let all: BTreeSet<u32> = (0..jobs).collect();
    assert_eq!(told.into_keys().collect::<BTreeSet<_>>(), all);
}

/// Every outcome up to the last of so many jobs, and what else has been told by then.
async fn outcomes_of(stage: &mut Stage, jobs: u32) -> Vec<Value> {
    let mut outcomes = Vec::new();
    let mut done = BTreeSet::new();
    while done.len() < jobs.try_into().unwrap() {
        let outcome = stage.outcomes.next().await.json();
        done.insert(outcome["job_id"].to_string());
        outcomes.push(outcome);
    }
    outcomes.extend(stage.outcomes.rest().await.iter().map(Message::json));
    outcomes
}

fn workers_of(outcomes: &[Value]) -> BTreeSet<&str> {
    let workers = outcomes.iter().map(|outcome| &outcome["worker"]);
    workers.filter_map(Value::as_str).collect()
}

#[tokio::test]
async fn the_jobs_of_a_pbx_queue_keep_to_one_shard() {
    let node = Node::start_for_shards();
    let mut stage = Stage::at(node.place()).await;
    drop(started(&stage, "first", 3).await);
    for _ in 0..2 {
        stage.send_all((0..PBX_QUEUES).map(job)).await;
    }
    let mut depths = Vec::new();
    for shard in SHARDS {
        depths.push(stage.rabbit.depth(shard).await.unwrap());
    }
    assert_eq!(depths.iter().sum::<u32>(), 2 * PBX_QUEUES, "{depths:?}");
    assert!(depths.iter().all(|depth| depth % 2 == 0), "{depths:?}");
    assert!(depths.iter().filter(|depth| **depth > 0).count() > 1);
    let _next = started(&stage, "next", 3).await;
    assert_eq!(stage.outcomes(24).await.len(), 24);
}

#[tokio::test]
async fn jobs_do_not_linger_where_the_part_of_their_shard_is_used_up() {
    let node = Node::start_for_shards();
    let mut stage = Stage::at(node.place()).await;
    // Two jobs of each shard are all that RabbitMQ sends; four times two are less than all.
    let worker = stage.worker().set("jobs.prefetch", "9");
    let worker = worker.set("jobs.shards", "4").set("batch.linger", "10m");
    let _worker = worker.start().await;
    let jobs = (0..6).map(
        |agent| json!({"job_id": agent.to_string(), "action": "pause", "queue": "1", "agent": agent.to_string()}),
    );
    stage.send_all(jobs).await;
    assert_eq!(stage.outcomes(6).await.len(), 6);
}

#[tokio::test]
async fn workers_come_and_go_and_every_agent_keeps_its_order() {
    const JOBS: u32 = 600;
    let node = Node::start_for_shards();
    let mut stage = Stage::at(node.place()).await;
    stage.faults(json!([{"effect": {"latency": {"ms": 15, "jitter_ms": 15}}}]));
    let mut first = started(&stage, "first", 4).await;
    let send = async {
        for number in 0..JOBS {
            stage.send(job(number)).await;
        }
    };
    let come_and_go = async {
        stage.called(10).await;
        let mut second = started(&stage, "second", 4).await;
        stage.called(40).await;
        first.signal("TERM");
        assert_eq!(first.ended().await.code(), Some(0));
        stage.called(70).await;
        let third = started(&stage, "third", 4).await;
        stage.called(100).await;
        second.signal("TERM");
        assert_eq!(second.ended().await.code(), Some(0));
        third
    };
    let ((), _third) = tokio::join!(send, come_and_go);
    let outcomes = outcomes_of(&mut stage, JOBS).await;
    all_in_order(&outcomes, JOBS);
    let workers = workers_of(&outcomes);
    assert_eq!(workers, BTreeSet::from(["first", "second", "third"]));
}

/// RabbitMQ 3 leaves every shard to the first worker.
#[tokio::test]
async fn rabbitmq_4_gives_a_new_worker_its_share_of_the_shards() {
    let node = Node::start_for_shards();
    if node.ctl(&["version"]).starts_with('3') {
        let why = "it alone shares shards out";
        return left_out("rabbitmq-4", "a new worker's share of the shards", why);
    }
    let mut stage = Stage::at(node.place()).await;
    let _workers = [
        started(&stage, "first", 8).await,
        started(&stage, "second", 8).await,
    ];
    stage.send_all((0..PBX_QUEUES).map(job)).await;
    let outcomes = outcomes_of(&mut stage, PBX_QUEUES).await;
    assert_eq!(workers_of(&outcomes), BTreeSet::from(["first", "second"]));
}

#[tokio::test]
async fn no_change_of_the_number_of_shards_loses_a_job() {
    const JOBS: u32 = 500;
    let node = Node::start_for_shards();
    let mut stage = Stage::at(node.place()).await;
    stage.faults(json!([{"effect": {"latency": {"ms": 20}}}]));
    let send = async {
        for number in 0..JOBS {
            stage.send(job(number)).await;
        }
    };
    let mut worker = started(&stage, "worker", 1).await;
    let change = async {
        for (shards, calls) in [4, 2, 5, 1].into_iter().zip((12..).step_by(12)) {
            stage.called(calls).await;
            // What is held is finished, and what waits is left for the next.
            worker.signal("TERM");
            assert_eq!(worker.ended().await.code(), Some(0));
            worker = started(&stage, "worker", shards).await;
        }
    };
    tokio::join!(send, change);
    let _last = started(&stage, "last", 3).await;
    let outcomes = outcomes_of(&mut stage, JOBS).await;
    for outcome in &outcomes {
        assert_eq!(outcome["code"], "applied", "{outcome}");
    }
    let each = |field: &str| -> BTreeSet<String> {
        let values = outcomes.iter().map(|outcome| outcome[field].to_string());
        values.collect()
    };
    let (jobs, ids) = (each("job_id").len(), each("outcome_id").len());
    assert_eq!((jobs, ids), (500, 500), "each job has one outcome id");
}

#[tokio::test]
async fn a_missing_plugin_ends_the_start_with_the_command_that_enables_it() {
    let stage = stage().await;
    let worker = stage.worker().set("jobs.shards", "2");
    let mut worker = worker.spawn();
    assert_eq!(worker.ended().await.code(), Some(1));
    let log = worker.log();
    let command = "rabbitmq-plugins enable rabbitmq_consistent_hash_exchange";
    assert!(log.contains(command), "{log}");
}
