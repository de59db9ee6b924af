//! Guards CONTRACT §9: the four endpoints in each state of the worker, over real sockets.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what is missing fails the test, as it should"
)]

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use clockout::admin::{self, Broker, Health, Identity, QUEUES_MAX, Snapshot, View};
use clockout::engine::batch::{Batch, BatchId, Cause};
use clockout::engine::job::{Action, Agent, Echo, Job, JobHead, JobId, PbxQueue, Timestamp};
use clockout::engine::outcome::{Code, Conclusion, Outcome};
use clockout::engine::verdict::CallResult;
use clockout::engine::{self, Counted, Disposition, QueueRow};
use clockout::telemetry::Metrics;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// A number that only an agent has here.
const AGENT: &str = "570570";

/// The endpoints of a worker that this test plays.
struct World {
    health: Arc<Health>,
    metrics: Arc<Metrics>,
    address: SocketAddr,
    stop: CancellationToken,
    server: tokio::task::JoinHandle<()>,
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        assert!(
            self.head.contains("content-type: application/json\r\n"),
            "{}",
            self.head
        );
        serde_json::from_str(&self.body).unwrap()
    }

    fn codes(&self) -> Vec<String> {
        let json = self.json();
        let reasons = json["reasons"].as_array().unwrap();
        assert!(
            reasons
                .iter()
                .all(|reason| !reason["message"].as_str().unwrap().is_empty())
        );
        reasons
            .iter()
            .map(|reason| reason["code"].as_str().unwrap().to_owned())
            .collect()
    }
}

impl World {
    async fn born(ago: Duration) -> Self {
        let settings = admin::Settings {
            listen: "127.0.0.1:0".parse().unwrap(),
        };
        let listener = admin::bind(settings).await.unwrap();
        let address = listener.local_addr().unwrap();
        let health = Arc::new(Health::new(Instant::now().checked_sub(ago).unwrap()));
        let metrics = Arc::new(Metrics::new());
        let stop = CancellationToken::new();
        let identity = Arc::new(Identity {
            worker: "w-1".to_owned(),
            pbx: "default".to_owned(),
            dry_run: false,
            dead_queue: "clockout.dead".to_owned(),
        });
        let view = View {
            identity,
            health: Arc::clone(&health),
            metrics: Arc::clone(&metrics),
            runtime: tokio::runtime::Handle::current(),
            actions: None,
        };
        let server = tokio::spawn(admin::serve(listener, view, stop.clone()));
        Self {
            health,
            metrics,
            address,
            stop,
            server,
        }
    }

    async fn new() -> Self {
        Self::born(Duration::ZERO).await
    }

    async fn ask(&self, method: &str, path: &str) -> Answer {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let request =
            format!("{method} {path} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer {
            status,
            head: format!("{head}\r\n"),
            body: body.to_owned(),
        }
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path).await
    }
}

const UP: Broker = Broker {
    connected: true,
    subscribed: true,
};

fn snapshot(broker: Broker, engine: engine::Snapshot) -> Snapshot {
    Snapshot {
        broker,
        engine,
        ..Snapshot::default()
    }
}

#[tokio::test]
async fn a_worker_that_goes_round_is_alive() {
    let world = World::born(Duration::from_hours(1)).await;
    world.health.beat(Duration::from_secs(3599));
    let answer = world.get("/livez").await;
    assert_eq!(
        (answer.status, answer.json()["alive"].as_bool()),
        (200, Some(true))
    );
}

#[tokio::test]
async fn a_worker_silent_for_half_a_minute_is_not_alive() {
    let world = World::born(Duration::from_hours(1)).await;
    world.health.beat(Duration::from_secs(3569));
    let answer = world.get("/livez").await;
    assert_eq!(
        (answer.status, answer.codes()),
        (503, vec!["no_progress".to_owned()])
    );
}

#[tokio::test]
async fn a_lost_broker_does_not_make_a_worker_dead() {
    let world = World::new().await;
    assert_eq!(world.get("/livez").await.status, 200);
    assert_eq!(world.get("/readyz").await.status, 503);
}

#[tokio::test]
async fn readiness_follows_what_the_worker_publishes() {
    let world = World::new().await;
    let fine = engine::Snapshot::default;
    let cancelled = Broker {
        connected: true,
        subscribed: false,
    };
    let states = [
        (
            snapshot(Broker::default(), fine()),
            vec!["broker_disconnected"],
        ),
        (snapshot(cancelled, fine()), vec!["not_subscribed"]),
        (snapshot(UP, fine()), vec![]),
        (
            snapshot(
                cancelled,
                engine::Snapshot {
                    breaker_open: Some("401 Unauthorized".into()),
                    ..fine()
                },
            ),
            vec!["breaker_open"],
        ),
        (
            snapshot(
                UP,
                engine::Snapshot {
                    unroutable: 1,
                    ..fine()
                },
            ),
            vec!["results_unroutable"],
        ),
        (
            snapshot(
                cancelled,
                engine::Snapshot {
                    draining: true,
                    ..fine()
                },
            ),
            vec!["draining"],
        ),
    ];
    for (state, expected) in states {
        world.health.publish(state);
        let answer = world.get("/readyz").await;
        assert_eq!(answer.codes(), expected);
        assert_eq!(answer.json()["ready"], expected.is_empty());
        assert_eq!(answer.status, if expected.is_empty() { 200 } else { 503 });
    }
}

const NOW: Timestamp = Timestamp(1_795_000_000_000);

/// The outcome of a pause that the PBX refused in these words.
fn rejected(text: &str) -> Arc<Outcome> {
    rejected_on("10000", text)
}

fn rejected_on(queue: &str, text: &str) -> Arc<Outcome> {
    let head = JobHead {
        id: JobId::parse("shift").unwrap(),
        action: Action::Pause,
        queue: PbxQueue::parse(queue).unwrap(),
        requested_at: None,
        expires_at: None,
        received_at: NOW,
        dry_run: false,
        replay: None,
        echo: Echo::default(),
    };
    let job = Job::new(head, Agent::parse(AGENT).unwrap(), &[]);
    let conclusion = Conclusion {
        code: Code::Rejected,
        message: Some(text.into()),
        attempts: 2,
        batch: None,
        superseded_by: None,
        completed_at: NOW,
    };
    Arc::new(Outcome::of(&job, job.targets()[0], conclusion))
}

/// A call for one agent, in vain.
fn call_in_vain(number: u64, health: &Health, metrics: &Metrics) {
    let lane = (PbxQueue::parse("10000").unwrap(), Action::Pause);
    let agent = Agent::parse(AGENT).unwrap();
    let batch = Batch::new(BatchId(number), lane, Cause::Linger, agent, vec![]);
    metrics.batch(&batch);
    let refused = CallResult::Refused {
        message: "no".into(),
    };
    let took = Duration::from_millis(20);
    metrics.call(Action::Pause, &refused, took);
    health.recent.called(NOW, &batch, &refused, took);
}

fn one_of_everything(
    World {
        health, metrics, ..
    }: &World,
) {
    metrics.received();
    let outcome = rejected("No such agent");
    health.recent.told_of(&outcome);
    health.recent.told_of(&outcome);
    metrics.count(&Counted::Told {
        outcome: Arc::clone(&outcome),
        since: NOW,
    });
    call_in_vain(1, health, metrics);
    metrics.count(&Counted::Buried(outcome));
    metrics.settled(Disposition::Ack, Duration::from_millis(300));
    metrics.lost(3);
    metrics.count(&Counted::Unroutable);
    metrics.reconnected();
    metrics.ready(9);
    metrics.dead_ready(Some(7));
    metrics.connected(true);
    metrics.spans_exported(12);
    metrics.spans_dropped(5);
    metrics.observe(&engine::Snapshot {
        held: 7,
        breaker_open: Some("401".into()),
        ..Default::default()
    });
}

/// CONTRACT §9: every name, every label.
#[tokio::test]
async fn metrics_have_the_names_and_labels_of_the_contract() {
    let world = World::new().await;
    one_of_everything(&world);
    let answer = world.get("/metrics").await;
    assert!(
        answer
            .head
            .contains("content-type: text/plain; version=0.0.4; charset=utf-8\r\n"),
        "{}",
        answer.head
    );
    let lines: Vec<&str> = answer.body.lines().collect();
    for expected in [
        "# TYPE clockout_jobs_received_total counter",
        "clockout_jobs_received_total 1",
        r#"clockout_jobs_settled_total{disposition="ack"} 1"#,
        r#"clockout_jobs_settled_total{disposition="give_back"} 0"#,
        r#"clockout_jobs_settled_total{disposition="lost"} 3"#,
        r#"clockout_outcomes_total{action="pause",status="failed",code="rejected"} 1"#,
        r#"clockout_outcomes_total{action="remove",status="succeeded",code="already_absent"} 0"#,
        r#"clockout_outcomes_total{action="_",status="invalid",code="malformed_json"} 0"#,
        r#"clockout_pbx_calls_total{action="pause",result="refused"} 1"#,
        r#"clockout_pbx_calls_total{action="remove",result="answered"} 0"#,
        r#"clockout_pbx_calls_total{action="remove",result="transient"} 0"#,
        r#"clockout_pbx_calls_total{action="remove",result="ambiguous"} 0"#,
        r#"clockout_pbx_calls_total{action="remove",result="fault"} 0"#,
        "# TYPE clockout_pbx_call_seconds histogram",
        r#"clockout_pbx_call_seconds_count{action="pause"} 1"#,
        "# TYPE clockout_batch_agents histogram",
        r#"clockout_batch_agents_sum{action="pause",cause="linger"} 1.0"#,
        "# TYPE clockout_job_seconds histogram",
        r#"clockout_job_seconds_bucket{le="0.5"} 1"#,
        "# TYPE clockout_jobs_held gauge",
        "clockout_jobs_held 7",
        "clockout_jobs_ready 9",
        "clockout_breaker_open 1",
        "clockout_broker_connected 1",
        "clockout_broker_reconnects_total 1",
        r#"clockout_dead_letters_total{code="rejected"} 1"#,
        r#"clockout_dead_letters_total{code="ambiguous"} 0"#,
        "clockout_dead_letters_ready 7.0",
        "clockout_outcomes_unroutable_total 1",
        r#"clockout_spans_total{result="exported"} 12"#,
        r#"clockout_spans_total{result="dropped"} 5"#,
        concat!(
            r#"clockout_build_info{version=""#,
            env!("CARGO_PKG_VERSION"),
            r#""} 1"#
        ),
    ] {
        assert!(
            lines.contains(&expected),
            "no line {expected} in\n{}",
            answer.body
        );
    }
    assert!(!answer.body.contains(AGENT) && !answer.body.contains("10000"));
}

#[tokio::test]
async fn the_gauge_of_tasks_follows_those_that_live() {
    let world = World::new().await;
    let tasks = async || -> usize {
        let body = world.get("/metrics").await.body;
        let mut lines = body.lines();
        let value = lines.find_map(|line| line.strip_prefix("clockout_tasks "));
        value.unwrap().parse().unwrap()
    };
    let before = tasks().await;
    let mut more = tokio::task::JoinSet::new();
    for _ in 0..10 {
        more.spawn(std::future::pending::<()>());
    }
    // A connection's own task may or may not have gone by now.
    assert!(tasks().await.abs_diff(before + 10) <= 1);
    more.shutdown().await;
    assert!(tasks().await.abs_diff(before) <= 1);
}

#[tokio::test]
async fn each_metric_is_described_once_and_under_its_own_name() {
    let world = World::new().await;
    let body = world.get("/metrics").await.body;
    let described = |line: &str| Some(line.strip_prefix("# TYPE ")?.split(' ').next()?.to_owned());
    let names: Vec<String> = body.lines().filter_map(described).collect();
    let mut unique = names.clone();
    unique.sort();
    unique.dedup();
    assert_eq!((names.len(), unique.len()), (18, 18));
    for sample in body.lines().filter(|line| !line.starts_with('#')) {
        assert!(
            names.iter().any(|name| sample.starts_with(name)),
            "{sample}"
        );
    }
}

/// CONTRACT §9 in `docs/contract.md` and `/metrics` name the same metrics.
#[tokio::test]
async fn the_documented_metrics_are_those_that_are_shown() {
    let body = World::new().await.get("/metrics").await.body;
    let shown = body
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    let rows = include_str!("../docs/contract.md").lines();
    let documented = rows.filter_map(|row| row.strip_prefix("| `")?.split('`').next());
    let documented = documented.filter(|name| name.starts_with("clockout_"));
    assert_eq!(
        shown.collect::<BTreeSet<_>>(),
        documented.collect::<BTreeSet<_>>()
    );
}

#[tokio::test]
async fn status_tells_what_is_held_and_what_went_wrong() {
    let world = World::born(Duration::from_secs(90)).await;
    one_of_everything(&world);
    let queue = PbxQueue::parse("0100").unwrap();
    let row = QueueRow {
        queue,
        waiting: 3,
        in_flight: 2,
        retrying: 1,
    };
    let engine = engine::Snapshot {
        held: 6,
        calls_in_flight: 1,
        breaker_open: Some("401 Unauthorized".into()),
        ..Default::default()
    };
    world.health.publish(Snapshot {
        broker: UP,
        engine,
        queues: vec![row],
        jobs_ready: Some(9),
        dead_ready: Some(7),
        not_ready_since: Some(NOW),
        next_probe: Some(Timestamp(NOW.0 + 5000)),
    });
    world.health.beat(Duration::from_secs(90));
    world.health.error(NOW, "the PBX says 401 Unauthorized");
    let mut status = world.get("/status").await.json();
    assert!(status["uptime_seconds"].take().as_u64() >= Some(90));
    let history = status["history"].take();
    for series in ["received", "outcomes", "failures"] {
        assert!(history[series].is_array(), "{history}");
    }
    let expected = json!({
        "worker": "w-1", "pbx": "default", "version": env!("CARGO_PKG_VERSION"), "uptime_seconds": null,
        "dry_run": false, "verdict": {"state": "bad", "words": "In trouble"}, "ready": false,
        "reasons": [{"code": "breaker_open", "message": "no calls are made, the PBX fails: 401 Unauthorized"}],
        "not_ready_since": "2026-11-18T11:06:40.000Z", "stalled": null,
        "broker": {"connected": true, "subscribed": true, "reconnects": 1},
        "breaker": {"open": true, "reason": "401 Unauthorized", "next_probe": "2026-11-18T11:06:45.000Z"},
        "jobs_ready": 9, "dead": {"queue": "clockout.dead", "ready": 7},
        "held": 6, "calls_in_flight": 1, "paused": false, "actions": false,
        "queues": [{"queue": "0100", "waiting": 3, "in_flight": 2, "retrying": 1}],
        "totals": {
            "received": 1,
            "settled": {"ack": 1, "give_back": 0, "lost": 3},
            "outcomes": {
                "succeeded": 0, "failed": 1, "superseded": 0, "expired": 0, "invalid": 0, "unknown": 0, "dry_run": 0
            },
            "outcomes_unroutable": 1,
            "dead_letters": 1,
        },
        "history": null,
        "batches": [{
            "at": "2026-11-18T11:06:40.000Z", "batch": 1, "queue": "10000", "action": "pause", "cause": "linger",
            "agents": 1, "done": 0, "attempt": 1, "waited_ms": 0, "took_ms": 20, "result": "refused", "message": "no"
        }],
        "failures": [{
            "at": "2026-11-18T11:06:40.000Z", "action": "pause", "queue": "10000", "status": "failed",
            "code": "rejected", "message": "No such agent", "attempts": 2, "count": 2
        }],
        "last_errors": [{"at": "2026-11-18T11:06:40.000Z", "message": "the PBX says 401 Unauthorized"}],
    });
    assert_eq!(status, expected);
}

#[tokio::test]
async fn failures_that_are_alike_are_one_on_whichever_queues() {
    let world = World::new().await;
    for queue in ["10000", "10100", "10200"] {
        let outcome = rejected_on(queue, "No such agent");
        world.health.recent.told_of(&outcome);
    }
    let status = world.get("/status").await.json();
    let failures = status["failures"].as_array().unwrap();
    assert_eq!(failures.len(), 1, "{failures:?}");
    assert_eq!(failures[0]["count"], 3);
    assert_eq!(failures[0]["queue"], "10200", "of the latest");
}

#[tokio::test]
async fn status_is_bounded() {
    let world = World::new().await;
    let queue = PbxQueue::parse("1").unwrap();
    let row = QueueRow {
        queue,
        waiting: 1,
        in_flight: 0,
        retrying: 0,
    };
    world.health.publish(Snapshot {
        queues: vec![row; QUEUES_MAX + 1],
        ..Default::default()
    });
    for n in 0..25 {
        world.health.error(Timestamp(n), &"é".repeat(10_000));
    }
    for n in 0..50 {
        call_in_vain(n, &world.health, &world.metrics);
        world.health.recent.told_of(&rejected(&format!("no, {n}")));
    }
    let status = world.get("/status").await.json();
    assert_eq!(status["batches"].as_array().unwrap().len(), 30);
    assert_eq!(status["batches"][0]["batch"], 49);
    assert_eq!(status["failures"].as_array().unwrap().len(), 20);
    assert_eq!(status["failures"][0]["message"], "no, 49");
    assert_eq!(status["queues"].as_array().unwrap().len(), QUEUES_MAX);
    let errors = status["last_errors"].as_array().unwrap();
    assert_eq!(
        (errors.len(), errors[0]["at"].as_str()),
        (20, Some("1970-01-01T00:00:00.005Z"))
    );
    assert_eq!(errors[0]["message"].as_str().unwrap().chars().count(), 500);
}

#[tokio::test]
async fn other_paths_and_methods_are_turned_away_in_json() {
    let world = World::new().await;
    let missing = world.get("/agents").await;
    assert_eq!(
        (missing.status, missing.json()["error"].is_string()),
        (404, true)
    );
    let posted = world.ask("POST", "/readyz").await;
    assert_eq!(
        (posted.status, posted.json()["error"].is_string()),
        (405, true)
    );
    assert!(posted.head.contains("allow: GET"), "{}", posted.head);
}

#[tokio::test]
async fn a_taken_address_says_what_to_do() {
    let world = World::new().await;
    let problem = admin::bind(admin::Settings {
        listen: world.address,
    })
    .await
    .unwrap_err()
    .to_string();
    assert!(
        problem.contains(&world.address.to_string()) && problem.contains("\"\" to turn"),
        "{problem}"
    );
}

#[tokio::test]
async fn a_client_that_stays_cannot_hold_up_the_end() {
    let world = World::new().await;
    let mut idle = TcpStream::connect(world.address).await.unwrap();
    idle.write_all(b"GET /livez HT").await.unwrap();
    assert_eq!(world.get("/livez").await.status, 200);
    world.stop.cancel();
    let ended = tokio::time::timeout(Duration::from_secs(5), world.server).await;
    ended.unwrap().unwrap();
}

#[tokio::test]
async fn clients_that_stall_cannot_keep_others_out() {
    let world = World::new().await;
    let mut stalling = Vec::new();
    for _ in 0..100 {
        stalling.push(TcpStream::connect(world.address).await.unwrap());
    }
    assert_eq!(world.get("/livez").await.status, 200);
}
