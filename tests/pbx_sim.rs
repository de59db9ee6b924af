//! The promise of the simulated PBX: clockout's own client meets every kind of answer there is, switched on over HTTP,
//! and the log tells what happened.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "the helpers of a test fail it, too"
)]

use std::net::SocketAddr;
use std::time::Duration;

use clockout::engine::batch::{Batch, BatchId, Cause};
use clockout::engine::job::{Action, Agent, PbxQueue};
use clockout::engine::verdict::{Answer, CallResult};
use clockout::pbx::client::{Basic, Client, Settings};
use clockout::pbx::sim::{Options, Sim};
use clockout::pbx::texts;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

async fn start(options: Options) -> (Sim, Client) {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let sim = Sim::start(any, options).await.unwrap();
    let client = Client::new(&settings(&sim)).unwrap();
    (sim, client)
}

fn settings(sim: &Sim) -> Settings {
    Settings {
        base_url: sim.url(),
        ca_pem: None,
        identity_pem: None,
        api_key: None,
        basic: None,
        connect_timeout: Duration::from_secs(3),
        timeout: Duration::from_secs(10),
        texts: texts::Settings::default(),
    }
}

fn queue(number: &str) -> PbxQueue {
    PbxQueue::parse(number).unwrap()
}

fn agent(number: &str) -> Agent {
    Agent::parse(number).unwrap()
}

/// 570 and 553 on queue 10000.
fn batch(action: Action) -> Batch {
    let lane = (queue("10000"), action);
    Batch::new(
        BatchId(1),
        lane,
        Cause::Full,
        agent("570"),
        vec![agent("553")],
    )
}

/// One request over a connection of its own: status and body.
async fn request(sim: &Sim, method: &str, path: &str, headers: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(sim.addr()).await.unwrap();
    let length = body.len();
    let head = format!("{method} {path} HTTP/1.1\r\nhost: sim\r\nconnection: close\r\n");
    let request = format!("{head}{headers}content-length: {length}\r\n\r\n{body}");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).await.unwrap();
    let (head, body) = reply.split_once("\r\n\r\n").expect("a whole reply");
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, body.to_owned())
}

async fn get(sim: &Sim, path: &str) -> Value {
    let (status, body) = request(sim, "GET", path, "", "").await;
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).unwrap()
}

async fn put(sim: &Sim, path: &str, body: Value) {
    let (status, why) = request(sim, "PUT", path, "", &body.to_string()).await;
    assert_eq!(status, 204, "{why}");
}

/// Answer and text per agent, in the order of their numbers.
fn items(result: CallResult) -> Vec<(String, Answer, String)> {
    let CallResult::Answered(mut items) = result else {
        return Vec::new();
    };
    items.sort_by_key(|item| item.agent);
    let item = |item: &clockout::engine::verdict::ItemAnswer| {
        let text = item.message.as_deref().unwrap_or_default();
        (item.agent.to_string(), item.answer, text.to_owned())
    };
    items.iter().map(item).collect()
}

fn both(answer: Answer, text: &str) -> Vec<(String, Answer, String)> {
    ["553", "570"]
        .map(|agent| (agent.to_owned(), answer, text.to_owned()))
        .into()
}

const JSON: &str = "content-type: application/json\r\n";

#[tokio::test]
async fn the_documented_request_gets_the_documented_reply_byte_for_byte() {
    let (sim, _) = start(Options::default()).await;
    for (service, body, reply) in [
        (
            "batchpauseagent",
            include_str!("fixtures/pause_request.json"),
            include_str!("fixtures/pause_reply.json"),
        ),
        (
            "batchremoveagent",
            include_str!("fixtures/remove_request.json"),
            include_str!("fixtures/remove_reply.json"),
        ),
    ] {
        let path = format!("/api/v4/pbx/queues/{service}");
        let (status, given) = request(&sim, "POST", &path, JSON, body).await;
        let compact: String = reply
            .lines()
            .map(|line| line.trim().replacen("\": ", "\":", 1))
            .collect();
        assert_eq!((status, given), (200, compact));
    }
}

/// The request is what the worker's client sends: `tests/pbx_http.rs` holds that against the same file.
#[tokio::test]
async fn the_request_in_the_contract_gets_the_reply_that_the_contract_shows() {
    let contract = include_str!("../docs/contract.md");
    let line = |start| contract.lines().find(|line| line.starts_with(start));
    let shown = line(r#"{"agents":"#).unwrap();
    assert_eq!(shown, include_str!("fixtures/pause_request.json").trim());
    let (sim, _) = start(Options::default()).await;
    let path = "/api/v4/pbx/queues/batchpauseagent";
    let (status, given) = request(&sim, "POST", path, JSON, shown).await;
    assert_eq!((status, &*given), (200, line(r#"{"success":"#).unwrap()));
}

#[tokio::test]
async fn pausing_and_removing_change_the_state_and_a_second_remove_finds_nobody() {
    let (sim, client) = start(Options::default()).await;
    let pause = client.call(&batch(Action::Pause)).await;
    assert_eq!(items(pause), both(Answer::Done, "Paused successfully"));
    let member = sim.member(queue("10000"), agent("570")).unwrap();
    assert!(member.member && member.paused);

    let remove = client.call(&batch(Action::Remove)).await;
    assert_eq!(items(remove), both(Answer::Done, "Removed successfully"));
    let again = client.call(&batch(Action::Remove)).await;
    let text = "Unable to remove interface: Not there";
    assert_eq!(items(again), both(Answer::Absent, text));
    let state = get(&sim, "/sim/state").await;
    assert_eq!(state["10000"]["553"]["member"], false);

    request(&sim, "DELETE", "/sim/state", "", "").await;
    assert_eq!(get(&sim, "/sim/state").await, json!({}));
}

#[tokio::test]
async fn with_given_members_others_are_unknown() {
    let members = Some(vec![(queue("20"), agent("570"))]);
    let (sim, client) = start(Options {
        members,
        ..Options::default()
    })
    .await;
    let pause = client.call(&batch(Action::Pause)).await;
    assert_eq!(items(pause), both(Answer::NoSuchQueue, "No such queue"));
    let members = json!([{"queue": "10000", "agent": "570", "dynamic": false}, {"queue": "10000", "agent": "553"}]);
    put(&sim, "/sim/members", members).await;
    let remove = items(client.call(&batch(Action::Remove)).await);
    assert_eq!(remove[0].1, Answer::Done);
    assert_eq!(remove[1].1, Answer::NotDynamic);
}

#[tokio::test]
async fn credentials_are_asked_for_as_documented() {
    let options = Options {
        api_key: Some("key".into()),
        basic: Some(("user".to_owned(), "".into())),
        ..Options::default()
    };
    let (sim, stranger) = start(options).await;
    let refused = |message: &str| CallResult::Fault {
        message: message.into(),
        retry_after: None,
    };
    let result = stranger.call(&batch(Action::Pause)).await;
    assert_eq!(result, refused("ApiKey is missing"));

    let mut settings = settings(&sim);
    settings.api_key = Some("wrong".into());
    let result = Client::new(&settings)
        .unwrap()
        .call(&batch(Action::Pause))
        .await;
    assert_eq!(result, refused("ApiKey is invalid"));

    settings.api_key = Some("key".into());
    let result = Client::new(&settings)
        .unwrap()
        .call(&batch(Action::Pause))
        .await;
    assert_eq!(result, refused("BasicAuth is missing"));

    settings.basic = Some(Basic {
        username: "user".to_owned(),
        password: "x".into(),
    });
    let result = Client::new(&settings)
        .unwrap()
        .call(&batch(Action::Pause))
        .await;
    assert_eq!(result, refused("BasicAuth is invalid"));

    settings.basic = Some(Basic {
        username: "user".to_owned(),
        password: "".into(),
    });
    let result = Client::new(&settings)
        .unwrap()
        .call(&batch(Action::Pause))
        .await;
    assert_eq!(items(result).len(), 2);
}

#[tokio::test]
async fn the_documented_errors_have_their_status() {
    let (sim, _) = start(Options::default()).await;
    let pause = "/api/v4/pbx/queues/batchpauseagent";
    for (method, path, headers, body, status, text) in [
        ("POST", pause, JSON, "{", 400, "Unable to parse content"),
        (
            "POST",
            pause,
            JSON,
            "{}",
            200,
            "Field 'agents':value is missing",
        ),
        ("GET", pause, JSON, "", 405, "Method is not allowed"),
        ("POST", pause, "", "{}", 415, "Media type is not allowed"),
        (
            "POST",
            "/api/v4/pbx/queues/nothing",
            JSON,
            "{}",
            501,
            "Requested service does not exist",
        ),
        (
            "POST",
            "//api/v4/pbx/queues/batchpauseagent",
            JSON,
            "{}",
            404,
            "<h1>Not Found</h1>",
        ),
        ("GET", "/sim/nothing", "", "", 404, "<h1>Not Found</h1>"),
    ] {
        let (found, body) = request(&sim, method, path, headers, body).await;
        assert_eq!(found, status, "{method} {path}: {body}");
        assert!(body.contains(text), "{body}");
    }
    let (status, _) = request(&sim, "POST", pause, JSON, &" ".repeat(1024 * 1024 + 1)).await;
    assert_eq!(status, 413);
    assert_eq!(sim.calls(0), [], "what is no call is not logged as one");
}

/// What a pause comes to under one fault, and whether it was applied.
async fn under(effect: Value) -> (CallResult, bool) {
    let (sim, _) = start(Options::default()).await;
    put(&sim, "/sim/faults", json!([{"effect": effect}])).await;
    let mut settings = settings(&sim);
    settings.timeout = Duration::from_millis(300);
    let client = Client::new(&settings).unwrap();
    let result = client.call(&batch(Action::Pause)).await;
    let member = sim.member(queue("10000"), agent("570"));
    (result, member.is_some_and(|member| member.paused))
}

#[tokio::test]
async fn faults_of_items_leave_the_rest_of_the_batch_alone() {
    let (result, applied) = under(json!({"item": {"fail": {"text": "Device is busy"}}})).await;
    assert_eq!(
        (items(result), applied),
        (both(Answer::Busy, "Device is busy"), false)
    );
    let (result, applied) = under(json!({"item": {"missing": {"applied": true}}})).await;
    assert_eq!((result, applied), (CallResult::Answered(Vec::new()), true));

    let (sim, client) = start(Options::default()).await;
    let rule =
        json!([{"match": {"agent": "570"}, "times": 1, "effect": {"item": {"missing": {}}}}]);
    put(&sim, "/sim/faults", rule).await;
    assert_eq!(items(client.call(&batch(Action::Pause)).await).len(), 1);
    assert_eq!(items(client.call(&batch(Action::Pause)).await).len(), 2);
}

#[tokio::test]
async fn each_fault_of_a_call_is_what_it_says() {
    let refuse = json!({"call": {"refuse_batch": {"http": 400, "text": "no"}}});
    let refused = CallResult::Refused {
        message: "no".into(),
    };
    assert_eq!(under(refuse).await, (refused.clone(), false));
    let refuse = json!({"call": {"refuse_batch": {"http": 200, "text": "no"}}});
    assert_eq!(under(refuse).await, (refused, false));

    let transient = |seconds| CallResult::Transient {
        message: "HTTP 503 Service Unavailable".into(),
        retry_after: Some(Duration::from_secs(seconds)),
    };
    let status = json!({"call": {"status": {"code": 503, "retry_after": {"seconds": 7}}}});
    assert_eq!(under(status).await, (transient(7), false));
    let status = json!({"call": {"status": {"code": 503, "retry_after": {"date_in": 86_400}}}});
    assert_eq!(under(status).await, (transient(600), false));

    for (effect, applies) in [
        (json!({"call": "drop_before"}), false),
        (json!({"call": "drop_after"}), true),
        (json!({"call": {"hang": {}}}), false),
        (json!({"call": {"hang": {"applied": true}}}), true),
        (json!({"call": {"garbage": {}}}), false),
        (json!({"call": {"garbage": {"applied": true}}}), true),
    ] {
        let (result, applied) = under(effect.clone()).await;
        assert!(
            matches!(result, CallResult::Ambiguous { .. }),
            "{effect}: {result:?}"
        );
        assert_eq!(applied, applies, "{effect}");
    }
}

#[tokio::test]
async fn faults_are_shown_replaced_and_cleared() {
    let (sim, client) = start(Options::default()).await;
    let rules =
        json!([{"match": {"action": "pause"}, "times": 1, "effect": {"call": "drop_after"}}]);
    put(&sim, "/sim/faults", rules.clone()).await;
    assert_eq!(get(&sim, "/sim/faults").await, rules);
    let bad = json!([{"effect": {"call": "explode"}}]).to_string();
    let (status, why) = request(&sim, "PUT", "/sim/faults", "", &bad).await;
    assert_eq!(status, 400);
    assert!(why.contains("explode"), "{why}");
    request(&sim, "DELETE", "/sim/faults", "", "").await;
    assert_eq!(get(&sim, "/sim/faults").await, json!([]));
    assert_eq!(items(client.call(&batch(Action::Pause)).await).len(), 2);
}

#[tokio::test]
async fn the_log_tells_the_calls_in_order_and_how_they_ended() {
    let (sim, client) = start(Options::default()).await;
    client.call(&batch(Action::Pause)).await;
    let rule = json!([{"effect": {"call": "drop_before"}}]);
    put(&sim, "/sim/faults", rule).await;
    client.call(&batch(Action::Remove)).await;
    let page = get(&sim, "/sim/calls").await;
    assert_eq!((&page["dropped"], &page["next"]), (&json!(0), &json!(2)));
    let [first, second] = page["calls"].as_array().unwrap().as_slice() else {
        unreachable!("two calls: {page}");
    };
    assert_eq!(
        (&first["seq"], &first["action"]),
        (&json!(1), &json!("pause"))
    );
    assert_eq!(first["queues"], json!(["10000"]));
    assert_eq!(first["agents"], json!(["570", "553"]));
    assert_eq!(
        (&first["status"], &second["status"]),
        (&json!(200), &json!(null))
    );
    assert!(second["ended_ms"].is_u64(), "{second}");

    assert_eq!(
        get(&sim, "/sim/calls?since=1").await["calls"],
        json!([second])
    );
    request(&sim, "DELETE", "/sim/calls", "", "").await;
    assert_eq!(
        get(&sim, "/sim/calls").await,
        json!({"dropped": 2, "next": 0, "calls": []})
    );
}

#[tokio::test]
async fn overlapping_calls_of_one_queue_are_counted() {
    let (sim, client) = start(Options::default()).await;
    put(
        &sim,
        "/sim/faults",
        json!([{"effect": {"latency": {"ms": 100}}}]),
    )
    .await;
    let (pause, remove) = (batch(Action::Pause), batch(Action::Remove));
    tokio::join!(client.call(&pause), client.call(&remove));
    client.call(&pause).await;
    let stats = sim.stats();
    assert_eq!((stats.total.calls, stats.total.agents), (3, 6));
    assert_eq!((stats.total.in_flight, stats.total.max_in_flight), (0, 2));
    assert_eq!(stats.queues["10000"].max_in_flight, 2);
}

#[tokio::test]
async fn a_dropped_simulation_stops_listening() {
    let (sim, client) = start(Options::default()).await;
    client.call(&batch(Action::Pause)).await;
    drop(sim);
    // The abort lands when the runtime next turns; until then a call may still find a socket that says nothing.
    let result = client.call(&batch(Action::Pause)).await;
    assert!(!matches!(result, CallResult::Answered(_)), "{result:?}");
}
