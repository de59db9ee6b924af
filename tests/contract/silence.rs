//! Guards against the silent death: a process that runs, a connection that stands, and nothing that moves. However the
//! worker is cut off from its jobs, it comes back by itself, or `/livez` says that it cannot. More of it: a broker that is killed
//! and restarted in `broker/losses.rs`, a worker that never found its broker in `standby.rs`.

mod filter;

use std::io::{BufRead as _, BufReader, Write as _};
use std::sync::Arc;

use lapin::options::{
    ExchangeDeleteOptions, QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use serde_json::{Value, json};
use tempfile::NamedTempFile;
use tokio::sync::Mutex;

use crate::support::{Node, Place, Rabbit, Stage, Worker, WorkerSetup, poll, stage};
use filter::{BASIC_ACK, BASIC_CANCEL, BASIC_DELIVER, BASIC_PUBLISH, Filter};

fn job(agent: u32) -> Value {
    json!({"action": "pause", "queue": "1", "agent": agent.to_string()})
}

/// Whatever happened to it: a job that is sent now is done.
async fn works(stage: &mut Stage, agent: u32) {
    stage.send(job(agent)).await;
    let agent = agent.to_string();
    loop {
        let outcome = stage.outcomes.next().await.json();
        if outcome["agent"] == agent {
            assert_eq!(outcome["code"], "applied");
            return;
        }
    }
}

/// A worker that soon loses its patience, with a filter between it and the broker.
async fn filtered(stage: &Stage) -> (Filter, WorkerSetup) {
    let filter = Filter::start(&stage.place.url).await;
    let worker = stage.worker().set("amqp.url", &filter.url);
    (filter, worker.set("watchdog.patience", "1s"))
}

/// `/livez` goes red and says this.
async fn dies_of(worker: &Worker, what: &str) {
    let why = worker.answers("/livez", 503).await;
    assert!(why.contains("no_progress") && why.contains(what), "{why}");
}

#[tokio::test]
async fn deliveries_that_stop_unheard_are_missed_and_come_again_over_new_connections() {
    let mut stage = stage().await;
    let (filter, worker) = filtered(&stage).await;
    let worker = worker.set("jobs.prefetch", "1").start().await;
    works(&mut stage, 1).await;
    filter.swallow(&[BASIC_DELIVER]);
    stage.send_all((2..5).map(job)).await;
    dies_of(&worker, "none is delivered").await;
    assert!(
        worker
            .log()
            .contains("building the connections to RabbitMQ anew")
    );

    filter.swallow(&[]);
    for _ in 2..5 {
        assert_eq!(stage.outcomes.next().await.json()["code"], "applied");
    }
    worker.answers("/livez", 200).await;
    worker.ready().await;
    assert_eq!(stage.calls().len(), 4);
}

#[tokio::test]
async fn deliveries_that_never_came_are_missed_too() {
    let mut stage = stage().await;
    let (filter, worker) = filtered(&stage).await;
    filter.swallow(&[BASIC_DELIVER]);
    let worker = worker.set("jobs.prefetch", "1").start().await;
    stage.send_all((1..4).map(job)).await;
    built_anew(&worker).await;
    filter.swallow(&[]);
    stage.outcomes(3).await;
    worker.answers("/livez", 200).await;
}

#[tokio::test]
async fn a_standby_that_sees_jobs_wait_takes_none_from_a_worker_that_is_busy() {
    let stage = stage().await;
    stage.faults(json!([{"effect": {"call": {"hang": {}}}}]));
    let busy = stage.worker().set("pbx.timeout", "10m");
    let _busy = busy.set("jobs.prefetch", "1").start().await;
    stage.send_all((1..4).map(job)).await;
    stage.called(1).await;
    let standby = stage.worker().set("watchdog.patience", "1s").start().await;
    built_anew(&standby).await;
    standby.ready().await;
    standby.answers("/livez", 200).await;
    assert_eq!(stage.calls().len(), 1);
    stage.jobs_ready(2).await;
}

/// Its watchdog has it build its connections anew.
async fn built_anew(worker: &Worker) {
    poll("connections built anew", async || {
        let log = worker.log();
        let anew = log.contains("building the connections to RabbitMQ anew");
        anew.then_some(())
    })
    .await;
}

/// Between reply and outcome: the broker never hears of it.
#[tokio::test]
async fn a_worker_killed_between_reply_and_outcome_leaves_the_job_to_be_done_again_and_told_once() {
    let mut stage = stage().await;
    let (filter, worker) = filtered(&stage).await;
    let mut killed = worker.set("watchdog.patience", "1h").start().await;
    filter.swallow_from_clients(&[BASIC_PUBLISH]);
    stage.send(job(1)).await;
    filter.has_swallowed_one_of_clients().await;
    killed.signal("KILL");
    killed.ended().await;
    assert_eq!(stage.calls().len(), 1);

    let _next = stage.worker().start().await;
    assert_eq!(stage.outcomes.next().await.json()["code"], "applied");
    assert_eq!(stage.calls().len(), 2);
    assert!(stage.outcomes.rest().await.is_empty());
}

/// Between outcome and acknowledgement: no confirm, so no acknowledgement.
#[tokio::test]
async fn a_worker_killed_between_outcome_and_acknowledgement_leaves_the_job_to_be_told_again() {
    let mut stage = stage().await;
    let (filter, worker) = filtered(&stage).await;
    let mut killed = worker.set("watchdog.patience", "1h").start().await;
    killed.ready().await;
    filter.swallow(&[BASIC_ACK]);
    let mut job = job(1);
    job["job_id"] = json!("j");
    let first = stage.perform(job).await;
    killed.signal("KILL");
    killed.ended().await;

    filter.swallow(&[]);
    let next = stage.worker().start().await;
    let again = stage.outcomes.next().await.json();
    assert_eq!(again["outcome_id"], first["outcome_id"]);
    next.shows("clockout_jobs_settled_total{disposition=\"ack\"} 1")
        .await;
    assert!(stage.outcomes.rest().await.is_empty());
    assert_eq!(stage.rabbit.depth(&stage.place.names.jobs).await, Some(0));
}

#[tokio::test]
async fn confirms_that_never_come_are_missed_and_the_outcome_is_told_again() {
    let mut stage = stage().await;
    let (filter, worker) = filtered(&stage).await;
    let worker = worker.start().await;
    filter.swallow(&[BASIC_ACK]);
    let first = stage.perform(job(1)).await;
    dies_of(&worker, "confirms nothing").await;

    filter.swallow(&[]);
    worker
        .shows("clockout_jobs_settled_total{disposition=\"ack\"} 1")
        .await;
    worker.answers("/livez", 200).await;
    for again in stage.outcomes.rest().await {
        assert_eq!(again.json()["outcome_id"], first["outcome_id"]);
    }
    assert_eq!(stage.calls().len(), 1);
}

#[tokio::test]
async fn outcomes_that_are_refused_are_published_over_new_connections_and_nobody_dies_of_it() {
    let mut stage = stage().await;
    let worker = stage.worker().set("watchdog.patience", "1s").start().await;
    let full = bind_full_queue(&stage.rabbit, &stage.place).await;
    let first = stage.perform(job(1)).await;
    // Where a rebuild does not help, the process counts as dead at the second; not for this.
    poll("two rebuilds", async || {
        let log = worker.log();
        (log.matches("RabbitMQ refuses everything").count() > 1).then_some(())
    })
    .await;
    worker.answers("/livez", 200).await;
    let lines = worker.log().matches("RabbitMQ refused outcomes").count();
    assert!(lines < 4, "{}", worker.log());

    let channel = stage.rabbit.channel().await;
    let gone = channel.queue_delete(full.as_str().into(), QueueDeleteOptions::default());
    gone.await.unwrap();
    worker
        .shows("clockout_jobs_settled_total{disposition=\"ack\"} 1")
        .await;
    for again in stage.outcomes.rest().await {
        assert_eq!(again.json()["outcome_id"], first["outcome_id"]);
    }
    assert_eq!(stage.calls().len(), 1);
}

#[tokio::test]
async fn a_cancelled_consumer_that_nobody_told_is_missed() {
    let mut stage = stage().await;
    let (filter, worker) = filtered(&stage).await;
    let _worker = worker.start().await;
    works(&mut stage, 1).await;
    filter.swallow(&[BASIC_CANCEL]);
    delete_jobs_queue(&stage.rabbit, &stage.place).await;
    filter.has_swallowed_one().await;
    declare_jobs_queue(&stage.rabbit, &stage.place).await;
    filter.swallow(&[]);
    works(&mut stage, 2).await;
}

#[tokio::test]
async fn a_loop_that_does_not_turn_is_told_by_livez() {
    let stage = stage().await;
    let worker = stage.worker().set("watchdog.patience", "1s");
    let worker = worker.set("log.filter", "info,clockout::worker=debug");
    let (pipe, stderr) = std::io::pipe().unwrap();
    let log = NamedTempFile::new().unwrap();
    let mut file = log.reopen().unwrap();
    let taking = Arc::new(Mutex::new(()));
    let turn = Arc::clone(&taking);
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines() {
            drop(turn.blocking_lock());
            writeln!(file, "{}", line.unwrap()).unwrap();
        }
    });
    let worker = worker.spawn_logging_to(stderr, log);
    worker.ready().await;
    // A log that nobody takes stops whoever writes it once the pipe is full, after some 64 KiB: the worker's loop, here, and
    // nobody else, with a line for each job.
    let untaken = taking.lock().await;
    stage.send_all((0..1_000).map(job)).await;
    dies_of(&worker, "loop is silent").await;
    drop(untaken);
    worker.answers("/livez", 200).await;
}

#[tokio::test]
async fn after_its_connections_were_closed_it_goes_on() {
    let node = Node::start();
    let stage = Stage::at(node.place()).await;
    let worker = stage.worker().start().await;
    node.close_all_connections();
    let mut stage = Stage::at(node.place()).await;
    works(&mut stage, 1).await;
    worker.shows("clockout_broker_reconnects_total 1").await;
}

#[tokio::test]
async fn after_its_channel_was_closed_for_a_job_held_too_long_it_goes_on() {
    let node = Node::start();
    // RabbitMQ's 30 minutes, looked at each minute.
    for (name, ms) in [("consumer_timeout", 1_000), ("channel_tick_interval", 500)] {
        node.ctl(&[
            "eval",
            &format!("application:set_env(rabbit, {name}, {ms})."),
        ]);
    }
    let mut stage = Stage::at(node.place()).await;
    stage.faults(json!([{"times": 1, "effect": {"latency": {"ms": 5_000}}}]));
    let worker = stage.worker().start().await;
    let outcome = stage.perform(job(1)).await;
    assert_eq!(outcome["code"], "applied");
    assert!(worker.log().contains("lost RabbitMQ"), "{}", worker.log());
    works(&mut stage, 2).await;
    assert_eq!(stage.calls().len(), 2);
}

#[tokio::test]
async fn after_its_jobs_queue_was_deleted_it_goes_on() {
    let mut stage = stage().await;
    let worker = stage.worker().start().await;
    delete_jobs_queue(&stage.rabbit, &stage.place).await;
    worker.shows("clockout_broker_reconnects_total 1").await;
    worker.ready().await;
    works(&mut stage, 1).await;
}

#[tokio::test]
async fn after_a_publish_closed_its_channel_it_goes_on() {
    let stage = stage().await;
    let worker = stage.worker().start().await;
    let results = stage.place.names.results.as_str();
    let channel = stage.rabbit.channel().await;
    let options = ExchangeDeleteOptions::default();
    channel
        .exchange_delete(results.into(), options)
        .await
        .unwrap();
    stage.send(job(1)).await;
    worker
        .shows("clockout_jobs_settled_total{disposition=\"ack\"} 1")
        .await;
    assert!(worker.log().contains("no exchange"), "{}", worker.log());
}

#[tokio::test]
async fn a_queue_that_is_gone_and_not_ours_to_declare_is_named_until_it_is_back() {
    let mut stage = stage().await;
    drop(stage.worker().start().await);
    let worker = stage
        .worker()
        .set("topology.declare", "false")
        .start()
        .await;
    delete_jobs_queue(&stage.rabbit, &stage.place).await;
    worker.answers("/readyz", 503).await;
    poll("the reason in /status", async || {
        let status = worker.get("/status").await?.body;
        status.contains("is not there: create it").then_some(())
    })
    .await;
    worker.answers("/livez", 200).await;
    declare_jobs_queue(&stage.rabbit, &stage.place).await;
    worker.ready().await;
    works(&mut stage, 1).await;
}

#[tokio::test]
async fn told_to_stop_while_it_reconnects_it_stops() {
    let node = Node::start();
    let stage = Stage::at(node.place()).await;
    let mut worker = stage.worker().start().await;
    node.stop();
    worker.answers("/readyz", 503).await;
    worker.signal("TERM");
    assert_eq!(worker.ended().await.code(), Some(0));
}

/// Refuses every outcome, though other queues take it; its name.
async fn bind_full_queue(rabbit: &Rabbit, place: &Place) -> String {
    let mut full = FieldTable::default();
    full.insert("x-max-length".into(), AMQPValue::LongInt(0));
    let overflow = AMQPValue::LongString("reject-publish".into());
    full.insert("x-overflow".into(), overflow);
    let channel = rabbit.channel().await;
    let declared = channel.queue_declare("".into(), QueueDeclareOptions::exclusive(), full);
    let queue = declared.await.unwrap().name().clone();
    let bound = channel.queue_bind(
        queue.clone(),
        place.names.results.as_str().into(),
        "#".into(),
        QueueBindOptions::default(),
        FieldTable::default(),
    );
    bound.await.unwrap();
    queue.as_str().to_owned()
}

async fn delete_jobs_queue(rabbit: &Rabbit, place: &Place) {
    let jobs = place.names.jobs.as_str();
    let options = QueueDeleteOptions::default();
    let channel = rabbit.channel().await;
    channel.queue_delete(jobs.into(), options).await.unwrap();
}

/// As the worker would, bound to its exchange.
async fn declare_jobs_queue(rabbit: &Rabbit, place: &Place) {
    let jobs = place.names.jobs.as_str();
    let mut arguments = FieldTable::default();
    for (name, value) in [
        ("x-queue-type", "quorum"),
        ("x-dead-letter-exchange", &place.names.dead),
        ("x-dead-letter-strategy", "at-least-once"),
        ("x-overflow", "reject-publish"),
    ] {
        arguments.insert(name.into(), AMQPValue::LongString(value.into()));
    }
    arguments.insert("x-single-active-consumer".into(), AMQPValue::Boolean(true));
    arguments.insert("x-delivery-limit".into(), AMQPValue::LongInt(100));
    let channel = rabbit.channel().await;
    let options = QueueDeclareOptions::durable();
    let declared = channel.queue_declare(jobs.into(), options, arguments).await;
    declared.unwrap();
    let bound = channel.queue_bind(
        jobs.into(),
        jobs.into(),
        "#".into(),
        QueueBindOptions::default(),
        FieldTable::default(),
    );
    bound.await.unwrap();
}
