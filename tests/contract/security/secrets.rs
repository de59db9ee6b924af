//! Whatever goes wrong, at whatever log level: nothing that the worker shows holds a password or key.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::support::{Node, Stage, Worker, WorkerSetup};

const BROKER_PASSWORD: &str = "hush-broker-password";
const API_KEY: &str = "hush-api-key";
const USERNAME: &str = "hush-user";
const PASSWORD: &str = "hush-word";
const TRACES_KEY: &str = "hush-traces-key";
const ACTIONS_TOKEN: &str = "hush-actions-token";

/// Everything, also what libraries say.
const EVERYTHING: &str = "trace,lapin=trace,reqwest=trace,hyper=trace,rustls=trace";

/// Each secret, and what it looks like in an HTTP header.
fn secrets() -> Vec<String> {
    let basic = STANDARD.encode(format!("{USERNAME}:{PASSWORD}"));
    let plain = [
        BROKER_PASSWORD,
        API_KEY,
        PASSWORD,
        TRACES_KEY,
        ACTIONS_TOKEN,
    ]
    .map(str::to_owned);
    plain.into_iter().chain([basic]).collect()
}

fn check(what: &str, shown: &str) {
    for secret in secrets() {
        let line = shown.lines().find(|line| line.contains(&secret));
        assert_eq!(line, None, "{secret} in {what}");
    }
}

/// A worker with all secrets there are, that shows all it can.
fn loud(stage: &Stage) -> WorkerSetup {
    stage
        .worker()
        .set("pbx.api_key", API_KEY)
        .set("pbx.username", USERNAME)
        .set("pbx.password", PASSWORD)
        // Nobody listens there: what the client says of that is in the log as well.
        .set("traces.endpoint", "http://127.0.0.1:9")
        .set(
            "traces.headers",
            &format!("authorization: Bearer {TRACES_KEY}"),
        )
        .set("http.actions", "true")
        .set("http.actions_token", ACTIONS_TOKEN)
        .set("log.filter", EVERYTHING)
        .environment("RUST_BACKTRACE", "full")
}

async fn check_all(worker: &Worker) {
    for (token, status) in [(ACTIONS_TOKEN, 200), ("hush-wrong", 401)] {
        let answer = worker.act("resume", token, r#"{"who": "Sara"}"#).await;
        assert_eq!(answer.status, status, "{}", answer.body);
        check("the answer to an action", &answer.body);
    }
    for path in ["/livez", "/readyz", "/status", "/metrics"] {
        let answer = worker.get(path).await.unwrap();
        check(path, &answer.body);
    }
    check("the log", &worker.log());
}

#[tokio::test]
async fn no_secret_shows_while_jobs_succeed_fail_and_find_nobody() {
    let node = Node::start();
    node.ctl(&["add_user", "worker", BROKER_PASSWORD]);
    node.ctl(&["set_permissions", "worker", ".*", ".*", ".*"]);
    let mut stage = Stage::at(node.place()).await;
    let url = node.place().url;
    let url = url.replace("guest:guest", &format!("worker:{BROKER_PASSWORD}"));
    let worker = loud(&stage).set("amqp.url", &url).start().await;
    let job = json!({"action": "pause", "queue": "1", "agent": "1"});
    assert_eq!(stage.perform(job.clone()).await["code"], "applied");
    for effect in [
        json!({"status": {"code": 401}}),
        json!({"status": {"code": 503}}),
        json!({"garbage": {"applied": false}}),
        json!("drop_before"),
    ] {
        stage.faults(json!([{"times": 1, "effect": {"call": effect}}]));
        assert_eq!(stage.perform(job.clone()).await["code"], "applied");
    }
    node.close_all_connections();
    worker.shows("clockout_broker_reconnects_total 1").await;
    node.ctl(&["change_password", "worker", "another"]);
    node.close_all_connections();
    worker.answers("/readyz", 503).await;
    check_all(&worker).await;
    assert!(worker.log().contains("TRACE"), "the log shows everything");
}

#[tokio::test]
async fn no_secret_shows_where_it_was_put_wrongly() {
    let node = Node::start();
    let stage = Stage::at(node.place()).await;
    let wrongly = [
        ("amqp.url", format!("amqp://u:{BROKER_PASSWORD}@:x/%2f")),
        ("amqp.url", format!("{BROKER_PASSWORD}@host")),
        ("amqp.url_file", format!("amqp://u:{BROKER_PASSWORD}@host")),
        ("pbx.base_url", format!("http://u:{PASSWORD}@pbx")),
        ("pbx.api_key", format!("{API_KEY}\n{API_KEY}")),
        ("pbx.api_key_file", API_KEY.to_owned()),
        ("pbx.password_file", PASSWORD.to_owned()),
        ("pbx.apikey", API_KEY.to_owned()),
    ];
    for (key, value) in wrongly {
        let mut worker = loud(&stage).set(key, &value).spawn();
        assert_eq!(worker.ended().await.code(), Some(2), "{key}");
        check(key, &worker.log());
    }
}

#[tokio::test]
async fn no_secret_shows_where_rabbitmq_refuses_it() {
    let node = Node::start();
    let stage = Stage::at(node.place()).await;
    let url = node.place().url;
    let url = url.replace("guest:guest", &format!("guest:{BROKER_PASSWORD}"));
    let worker = loud(&stage).set("amqp.url", &url).spawn();
    worker.answers("/readyz", 503).await;
    while !worker.log().contains("refuses the login") {
        tokio::task::yield_now().await;
    }
    check_all(&worker).await;
}
