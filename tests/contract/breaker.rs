//! Guards the breaker of CONTRACT §3: when the PBX is left alone, what its jobs do meanwhile, and how calls resume.

use futures_util::StreamExt as _;
use lapin::options::BasicConsumeOptions;
use lapin::types::FieldTable;
use serde_json::{Value, json};

use crate::support::{Stage, WorkerSetup, poll, stage, within};

/// A worker whose breaker opens at the first failure and soon probes.
fn jumpy(stage: &Stage) -> WorkerSetup {
    stage
        .worker()
        .set("breaker.failures", "1")
        .set("breaker.cooldown", "20ms")
        .set("breaker.cooldown_max", "20ms")
}

fn status(code: u16) -> Value {
    json!({"call": {"status": {"code": code}}})
}

fn job(queue: &str, agents: &[&str]) -> Value {
    json!({"action": "pause", "queue": queue, "agents": agents})
}

#[tokio::test]
async fn what_is_wrong_for_every_job_alike_opens_it_at_once_and_costs_no_job() {
    let mut stage = stage().await;
    let worker = stage.worker().set("retry.attempts_max", "1").start().await;
    for code in [301, 302, 401, 403, 404, 405, 415, 501] {
        stage.faults(json!([{"effect": status(code)}]));
        stage.send(job("1", &[&code.to_string()])).await;
        let why = worker.answers("/readyz", 503).await;
        let reason = why.contains("breaker_open") && why.contains(&code.to_string());
        assert!(reason, "{code}: {why}");

        stage.faults(json!([]));
        assert_eq!(stage.outcomes(1).await[0]["code"], "applied", "{code}");
        worker.ready().await;
    }
    assert!(stage.dead.rest().await.is_empty());
}

#[tokio::test]
async fn failures_in_a_row_over_all_queues_open_it() {
    let stage = stage().await;
    stage.faults(json!([{"effect": status(503)}]));
    let worker = stage
        .worker()
        .set("breaker.failures", "3")
        .set("breaker.cooldown", "1h")
        .set("breaker.cooldown_max", "1h")
        .set("pbx.max_in_flight", "1")
        .start()
        .await;
    let queues = ["1", "2", "3", "4", "5"];
    stage.send_all(queues.map(|queue| job(queue, &["1"]))).await;
    worker.answers("/readyz", 503).await;
    assert_eq!(stage.calls().len(), 3);
}

#[tokio::test]
async fn however_long_the_pbx_is_away_no_attempts_are_used_up() {
    let mut stage = stage().await;
    stage.faults(json!([{"times": 10, "effect": status(503)}]));
    let _worker = jumpy(&stage).set("retry.attempts_max", "2").start().await;
    let outcome = stage.perform(job("1", &["1"])).await;
    assert_eq!(outcome["code"], "applied");
    assert_eq!(outcome["attempts"], 11, "probes show all the same");
}

#[tokio::test]
async fn a_probe_that_failed_comes_back_half_as_large() {
    let mut stage = stage().await;
    stage.faults(json!([{"effect": status(503)}]));
    let _worker = jumpy(&stage).start().await;
    let agents = ["1", "2", "3", "4", "5", "6", "7", "8"];
    stage.send(job("1", &agents)).await;
    stage.called(6).await;
    let sizes: Vec<usize> = stage
        .calls()
        .iter()
        .map(|(_, agents)| agents.len())
        .collect();
    assert_eq!(sizes[..6], [8, 8, 4, 2, 1, 1]);

    stage.faults(json!([]));
    for outcome in stage.outcomes(agents.len()).await {
        assert_eq!(outcome["code"], "applied");
    }
}

#[tokio::test]
async fn a_batch_that_makes_the_pbx_fail_holds_up_nobody_else() {
    let mut stage = stage().await;
    stage.faults(json!([{"match": {"queue": "1", "agent": "5"}, "effect": status(500)}]));
    let _worker = jumpy(&stage).start().await;
    let (poisoned, healthy) = (["1", "2", "3", "4", "5", "6", "7", "8"], ["5", "6"]);
    stage
        .send_all([job("1", &poisoned), job("2", &healthy)])
        .await;
    let others = poisoned.len() - 1 + healthy.len();
    for outcome in stage.outcomes(others).await {
        assert_eq!(outcome["code"], "applied");
        let offender = (&outcome["queue"], &outcome["agent"]) == (&json!("1"), &json!("5"));
        assert!(!offender, "{outcome}");
    }
}

#[tokio::test]
async fn an_agent_for_whom_the_pbx_always_fails_does_not_keep_later_jobs_waiting() {
    let mut stage = stage().await;
    stage.faults(json!([{"match": {"agent": "5"}, "effect": status(500)}]));
    let worker = jumpy(&stage).set("breaker.failures", "2");
    let worker = worker.set("retry.attempts_max", "3").start().await;
    stage.send(job("1", &["5"])).await;
    worker.answers("/readyz", 503).await;
    // By now it was probed alone, more than once, with nobody else to probe with.
    stage.called(5).await;
    stage.send(job("2", &["1"])).await;
    let mut told = stage.outcomes(2).await;
    told.sort_by_key(|outcome| outcome["queue"].to_string());
    let told: Vec<_> = told.iter().map(|it| (&it["agent"], &it["code"])).collect();
    // The PBX answers others: so now its attempts run out.
    assert_eq!(told[0], (&json!("5"), &json!("exhausted")));
    assert_eq!(told[1], (&json!("1"), &json!("applied")));
    worker.ready().await;
}

#[tokio::test]
async fn a_dead_pbx_queue_does_not_keep_later_jobs_waiting_until_all_its_agents_were_probed() {
    let mut stage = stage().await;
    stage.faults(json!([{"match": {"queue": "1"}, "effect": status(503)}]));
    let worker = jumpy(&stage).set("breaker.cooldown", "100ms");
    let worker = worker.set("breaker.cooldown_max", "100ms").start().await;
    let agents: Vec<String> = (1..=100).map(|agent| agent.to_string()).collect();
    let agents: Vec<&str> = agents.iter().map(String::as_str).collect();
    stage.send(job("1", &agents)).await;
    worker.answers("/readyz", 503).await;
    let before = stage.calls().len();
    let outcome = stage.perform(job("2", &["1"])).await;
    assert_eq!(
        (&outcome["queue"], &outcome["code"]),
        (&json!("2"), &json!("applied"))
    );
    let meanwhile = stage.calls().len() - before;
    assert!(meanwhile < 50, "{meanwhile} calls");
}

#[tokio::test]
async fn jobs_whose_time_passes_while_it_is_open_expire() {
    let mut stage = stage().await;
    stage.faults(json!([{"effect": status(401)}]));
    let worker = stage
        .worker()
        .set("breaker.cooldown", "1h")
        .set("breaker.cooldown_max", "1h")
        .set("jobs.max_age", "1s");
    let _worker = worker.start().await;
    let outcome = stage.perform(job("1", &["1"])).await;
    assert_eq!(outcome["status"], "expired");
    assert_eq!(outcome["attempts"], 1);
    assert_eq!(stage.calls().len(), 1);
}

#[tokio::test]
async fn with_nothing_left_to_probe_with_the_next_job_is_the_probe() {
    let mut stage = stage().await;
    stage.faults(json!([{"effect": status(401)}]));
    let worker = jumpy(&stage).set("jobs.max_age", "1s").start().await;
    let outcome = stage.perform(job("1", &["1"])).await;
    assert_eq!(outcome["status"], "expired");

    stage.faults(json!([]));
    let outcome = stage.perform(job("2", &["2"])).await;
    assert_eq!(outcome["code"], "applied");
    worker.ready().await;
}

#[tokio::test]
async fn jobs_that_wait_for_it_in_rabbitmq_are_counted() {
    let stage = stage().await;
    stage.faults(json!([{"effect": status(401)}]));
    let worker = stage.worker().set("breaker.cooldown", "1h");
    let worker = worker.set("breaker.cooldown_max", "1h");
    let worker = worker.set("watchdog.patience", "1s").start().await;
    worker.shows("clockout_broker_connected 1").await;
    stage.send(job("1", &["1"])).await;
    worker.answers("/readyz", 503).await;
    // Until RabbitMQ has ended the subscription it still delivers.
    poll("the end of the subscription", async || {
        let status = worker.get("/status").await?.body;
        status.contains(r#""subscribed":false"#).then_some(())
    })
    .await;
    stage.send_all([job("2", &["1"]), job("3", &["1"])]).await;
    worker.shows("clockout_jobs_ready 2").await;
    worker.shows("clockout_breaker_open 1").await;
}

#[tokio::test]
async fn once_it_closes_no_more_jobs_are_held_than_prefetch_allows_and_half_as_many_at_least() {
    let mut stage = stage().await;
    let hang = json!({"call": {"hang": {}}});
    let first: Vec<String> = (2..=10).map(|queue| queue.to_string()).collect();
    let later: Vec<String> = (11..=30).map(|queue| queue.to_string()).collect();
    let jobs = |queues: &[String]| {
        queues
            .iter()
            .map(|queue| job(queue, &["1"]))
            .collect::<Vec<_>>()
    };
    stage.faults(json!([
        {"match": {"queue": "1"}, "times": 1, "effect": status(401)},
        {"match": {"queue": "1"}, "effect": {"latency": {"ms": 0}}},
        {"times": first.len(), "effect": hang},
    ]));
    let worker = stage
        .worker()
        .set("jobs.prefetch", "10")
        .set("pbx.max_in_flight", "64")
        .set("pbx.timeout", "2s")
        .set("breaker.failures", "100");
    let _worker = worker.start().await;
    stage.send_all(jobs(&first)).await;
    stage.called(first.len()).await;
    assert_eq!(stage.perform(job("1", &["1"])).await["attempts"], 2);

    stage.send_all(jobs(&later)).await;
    stage.outcomes(first.len() + later.len()).await;
    let calls = stage.pbx.calls(0);
    let held = calls.iter().skip(first.len() + 2);
    let again = held.take_while(|call| first.contains(&call.queues[0]));
    assert!(
        again.count() >= 4,
        "others came before half of prefetch was free"
    );

    stage.faults(json!([{"effect": hang}]));
    stage.send_all(jobs(&first)).await;
    stage.send_all(jobs(&later)).await;
    stage.called(calls.len() + 5).await;
}

/// What a cancelled consumer was sent and does not get goes back to its queue at once: before what is held, should the worker die.
#[tokio::test]
async fn when_it_has_opened_amid_a_shift_end_and_the_worker_is_killed_the_jobs_are_in_their_order()
{
    const JOBS: usize = 2_000;
    let mut stage = stage().await;
    let worker = stage.worker().set("jobs.prefetch", "200");
    let worker = worker.set("batch.max_agents", "5");
    let mut worker = worker.start().await;
    let (key, number) = (|of: usize| (of % 40 + 1).to_string(), |of: usize| of + 100);
    let jobs: Vec<_> = (0..JOBS)
        .map(|of| job(&key(of), &[&number(of).to_string()]))
        .collect();
    let publish = async {
        for burst in jobs.chunks(20) {
            stage.send_all(burst.to_vec()).await;
        }
    };
    let open = async {
        stage.called(100).await;
        stage.faults(json!([{"effect": status(401)}]));
        poll("the worker to consume no more", async || {
            let body = worker.get("/status").await?.body;
            let status: Value = serde_json::from_str(&body).ok()?;
            (status["broker"]["subscribed"] == json!(false)).then_some(())
        })
        .await;
    };
    tokio::join!(publish, open);
    worker.signal("KILL");
    worker.ended().await;

    // What was told may have been acknowledged.
    let owed = JOBS - stage.outcomes.rest().await.len();
    let left = poll("the jobs to be back", async || {
        let left = stage.rabbit.depth(&stage.place.names.jobs).await?;
        (usize::try_from(left).unwrap() >= owed).then_some(left)
    })
    .await;
    let channel = stage.rabbit.channel().await;
    let consumer = channel.basic_consume(
        stage.place.names.jobs.as_str().into(),
        "".into(),
        BasicConsumeOptions::default(),
        FieldTable::default(),
    );
    let deliveries = consumer.await.unwrap().take(usize::try_from(left).unwrap());
    let jobs = within("the jobs", deliveries.collect::<Vec<_>>()).await;
    let numbers = jobs.into_iter().map(|delivery| {
        let job: Value = serde_json::from_slice(&delivery.unwrap().data).unwrap();
        job["agents"][0].as_str().unwrap().parse::<u32>().unwrap()
    });
    let numbers: Vec<_> = numbers.collect();
    assert!(numbers.is_sorted(), "{numbers:?}");
}
