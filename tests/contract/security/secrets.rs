//! Whatever goes wrong, at whatever log level: nothing that the worker and the commands show holds a password or key.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::broker::tls::{authority, identity};
use crate::support::{self, Node, Stage, Worker, WorkerSetup, within};

const BROKER_PASSWORD: &str = "hush-broker-password";
const API_KEY: &str = "hush-api-key";
const USERNAME: &str = "hush-user";
const PASSWORD: &str = "hush-word";
const TRACES_KEY: &str = "hush-traces-key";
const ACTIONS_TOKEN: &str = "hush-actions-token";

/// Everything, also what libraries say.
const EVERYTHING: &str = "trace,lapin=trace,reqwest=trace,hyper=trace,rustls=trace";

/// A client certificate and its key in one file, and a part of the key.
static IDENTITY: LazyLock<(PathBuf, String)> = LazyLock::new(|| {
    let made = rcgen::generate_simple_self_signed(["worker".to_owned()]).unwrap();
    let key = made.signing_key.serialize_pem();
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("identity.pem");
    std::fs::write(&path, made.cert.pem() + &key).unwrap();
    (path, key.lines().nth(1).unwrap().to_owned())
});

/// Each secret, what it looks like in an HTTP header, and all of that as the bytes that `Debug` writes.
fn secrets() -> Vec<String> {
    let basic = STANDARD.encode(format!("{USERNAME}:{PASSWORD}"));
    let plain = [
        BROKER_PASSWORD,
        API_KEY,
        PASSWORD,
        TRACES_KEY,
        ACTIONS_TOKEN,
        &IDENTITY.1,
    ]
    .map(str::to_owned);
    let texts = plain.into_iter().chain([basic]);
    texts.flat_map(|text| [as_bytes(&text), text]).collect()
}

fn as_bytes(text: &str) -> String {
    let bytes = format!("{:?}", text.as_bytes());
    bytes.trim_matches(['[', ']']).to_owned()
}

fn check(what: &str, shown: &str) {
    check_for(&secrets(), what, shown);
}

fn check_for(secrets: &[String], what: &str, shown: &str) {
    for secret in secrets {
        let line = shown.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "{secret} in {what}");
    }
}

/// A worker with all secrets there are, that shows all it can.
fn loud(stage: &Stage) -> WorkerSetup {
    let identity = IDENTITY.0.to_str().unwrap();
    stage
        .worker()
        .set("pbx.cert_file", identity)
        .set("pbx.key_file", identity)
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
    for path in ["/", "/livez", "/readyz", "/status", "/metrics"] {
        let answer = worker.get(path).await.unwrap();
        check(path, &answer.body);
    }
    let event = within("an event", first_event(worker)).await;
    check("the stream behind the page", &event);
    check("the log", &worker.log());
}

/// The first that the stream behind the page says.
async fn first_event(worker: &Worker) -> String {
    let url = worker.url();
    let stream = TcpStream::connect(url.trim_start_matches("http://")).await;
    let mut stream = tokio::io::BufReader::new(stream.unwrap());
    let request = b"GET /events HTTP/1.1\r\nhost: localhost\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut said = String::new();
    while !said.contains("\ndata: ") {
        let bytes = stream.read_line(&mut said).await.unwrap();
        assert_ne!(bytes, 0, "the stream goes on after {said}");
    }
    said
}

/// A node, and the address at which a user of its own is let in with [`BROKER_PASSWORD`].
fn node_with_password() -> (Node, String) {
    let node = Node::start();
    node.ctl(&["add_user", "worker", BROKER_PASSWORD]);
    node.ctl(&["set_permissions", "worker", ".*", ".*", ".*"]);
    let url = node.place().url;
    let url = url.replace("guest:guest", &format!("worker:{BROKER_PASSWORD}"));
    (node, url)
}

#[tokio::test]
async fn no_secret_shows_while_jobs_succeed_fail_and_find_nobody() {
    for format in ["text", "json"] {
        all_goes_wrong(format).await;
    }
}

async fn all_goes_wrong(format: &str) {
    let (node, url) = node_with_password();
    let mut stage = Stage::at(node.place()).await;
    let worker = loud(&stage).set("amqp.url", &url).set("log.format", format);
    let worker = worker.start().await;
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
    // A PBX that repeats what it was sent.
    let basic = STANDARD.encode(format!("{USERNAME}:{PASSWORD}"));
    let said = format!("{API_KEY}, {PASSWORD} or {basic} is wrong");
    let refusal = json!({"success": 0, "message": said}).to_string();
    for (times, effect) in [
        (
            1,
            json!({"call": {"status": {"code": 401, "body": refusal}}}),
        ),
        (6, json!({"item": {"fail": {"text": said}}})),
    ] {
        stage.faults(json!([{"times": times, "effect": effect}]));
        let outcome = stage.perform(job.clone()).await;
        check("an outcome", &outcome.to_string());
    }
    let letter = format!("{:?}", stage.dead.next().await);
    check("a dead letter", &letter);
    let told = worker.get("/status").await.unwrap().body;
    assert!(told.contains("[hidden], [hidden] or [hidden] is wrong"));
    node.close_all_connections();
    worker.shows("clockout_broker_reconnects_total 1").await;
    node.ctl(&["change_password", "worker", "another"]);
    node.close_all_connections();
    worker.answers("/readyz", 503).await;
    check_all(&worker).await;
    assert!(worker.log().contains("TRACE"), "the log shows everything");
}

/// The worker talks TLS to RabbitMQ, and to the same node as its PBX: that ends the call at once, as it hears no AMQP.
#[tokio::test]
async fn no_secret_shows_in_what_is_said_of_tls() {
    let ours = authority();
    let (server, client) = (identity(&ours), identity(&ours));
    let node = Node::start_with_tls(&support::Tls {
        ca: ours.pem(),
        certificate: server.cert_pem,
        key: server.key_pem,
        demands_client_certificate: true,
    });
    node.ctl(&["add_user", "worker", BROKER_PASSWORD]);
    node.ctl(&["set_permissions", "worker", ".*", ".*", ".*"]);
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, pem: &str| {
        let file = folder.path().join(name);
        std::fs::write(&file, pem).unwrap();
        file.to_str().unwrap().to_owned()
    };
    let at = format!("localhost:{}", node.tls_port());
    let mut stage = Stage::at(node.place()).await;
    let mut worker = loud(&stage)
        .set(
            "amqp.url",
            &format!("amqps://worker:{BROKER_PASSWORD}@{at}/%2f"),
        )
        .set("pbx.base_url", &format!("https://{at}"))
        .set("retry.attempts_max", "1");
    for (part, pem) in [
        ("ca", &ours.pem()),
        ("cert", &client.cert_pem),
        ("key", &client.key_pem),
    ] {
        let file = file(part, pem);
        for side in ["amqp", "pbx"] {
            worker = worker.set(&format!("{side}.{part}_file"), &file);
        }
    }
    let worker = worker.start().await;
    let job = json!({"action": "pause", "queue": "1", "agent": "1"});
    let told = stage.perform(job).await;
    assert_eq!(told["code"], "ambiguous", "the call went out: {told}");
    check_all(&worker).await;
    let key = client.key_pem.lines().nth(1).unwrap();
    let log = worker.log();
    check_for(&[key.to_owned()], "the log", &log);
    assert!(log.contains("TRACE"), "the log shows everything");
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

#[tokio::test]
async fn no_secret_shows_in_what_commands_print() {
    let (node, url) = node_with_password();
    let mut stage = Stage::at(node.place()).await;
    let right = loud(&stage).set("amqp.url", &url);
    let _worker = right.clone().start().await;
    stage.faults(json!([{"times": 1, "effect": {"item": {"fail": {"text": "No such queue"}}}}]));
    let job = json!({"action": "pause", "queue": "1", "agent": "1"});
    assert_eq!(stage.perform(job.clone()).await["status"], "failed");

    let mut watch = right.command(&["watch", "--count", "1"]);
    let mut watch = watch
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stderr = BufReader::new(watch.stderr.take().unwrap());
    let mut said = String::new();
    stderr.read_line(&mut said).unwrap();
    assert_eq!(stage.perform(job).await["code"], "applied");
    let shown = watch.wait_with_output().unwrap();
    stderr.read_to_string(&mut said).unwrap();
    said += &String::from_utf8(shown.stdout).unwrap();
    assert!(said.contains("applied"), "{said}");
    check("watch", &said);

    let refused = url.replace(BROKER_PASSWORD, &format!("{BROKER_PASSWORD}-wrong"));
    let refused = right.clone().set("amqp.url", &refused);
    for (setup, let_in) in [(&right, true), (&refused, false)] {
        for command in [
            "check",
            "check --json",
            "config",
            "config --json",
            "dead list",
            "dead list --json",
            "send --action pause --queue 1 --agent 2 --wait",
        ] {
            let words: Vec<&str> = command.split(' ').collect();
            let ended = setup.command(&words).output().unwrap();
            let shown = [ended.stdout, ended.stderr].concat();
            let shown = String::from_utf8(shown).unwrap();
            let is_shown = let_in || command.starts_with("config");
            assert_eq!(ended.status.success(), is_shown, "{command}: {shown}");
            check(command, &shown);
        }
    }
}
