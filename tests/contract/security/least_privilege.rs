//! The RabbitMQ users of `docs/hardening.md`, with the rights that stand there and no others.

use lapin::options::{BasicConsumeOptions, BasicPublishOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use serde_json::json;

use crate::support::{Invocation, Node, Place, Rabbit, Stage};

/// Configure, write, read; of a worker that declares its topology itself.
const DECLARES: [&str; 3] = [
    r"^clockout\.(jobs|results|dead)$",
    r"^clockout\.(jobs|results|dead)$",
    r"^clockout\.(jobs|results|dead)$",
];

/// Of a worker that finds it standing.
const CHECKS: [&str; 3] = ["^$", r"^clockout\.(results|dead)$", r"^clockout\.jobs$"];

/// The same with `jobs.shards`.
const DECLARES_SHARDS: [&str; 3] = [
    r"^clockout\.(jobs(\.shards|\.shard-\d+)?|results|dead)$",
    r"^clockout\.(jobs(\.shards|\.shard-\d+)?|results|dead)$",
    r"^clockout\.(jobs(\.shards|\.shard-\d+)?|results|dead)$",
];

const CHECKS_SHARDS: [&str; 3] = [
    "^$",
    r"^clockout\.(results|dead)$",
    r"^clockout\.jobs(\.shard-\d+)?$",
];

/// Of a producer.
const PRODUCES: [&str; 3] = ["^$", r"^clockout\.jobs$", "^$"];

/// Of `watch` and `send --wait`.
const LOOKS_ON: [&str; 3] = [
    r"^amq\.gen-",
    r"^(amq\.gen-.*|clockout\.jobs)$",
    r"^(amq\.gen-.*|clockout\.results)$",
];

/// Of who mends.
const MENDS: [&str; 3] = ["^$", r"^clockout\.(jobs|dead)$", r"^clockout\.dead$"];

/// The node's place as another user sees it.
fn user(node: &Node, name: &str, rights: [&str; 3]) -> Place {
    node.ctl(&["add_user", name, "word"]);
    node.ctl(&[&["set_permissions", name], &rights[..]].concat());
    let mut place = node.place();
    place.url = place.url.replace("guest:guest", &format!("{name}:word"));
    place
}

#[tokio::test]
async fn the_documented_rights_are_enough_and_no_more_than_that() {
    let node = Node::start();
    let (declaring, checking) = (
        user(&node, "declares", DECLARES),
        user(&node, "checks", CHECKS),
    );
    let producing = user(&node, "produces", PRODUCES);
    let mut stage = Stage::at(node.place()).await;
    stage.faults(json!([
        {"match": {"agent": "2"}, "effect": {"item": {"fail": {"text": "no such queue"}}}},
    ]));
    let producer = Rabbit::connect(&producing.url).await;
    for (place, declare) in [(&declaring, "true"), (&checking, "false")] {
        let worker = stage.worker().set("amqp.url", &place.url);
        let mut worker = worker.set("topology.declare", declare).start().await;
        for (agent, code) in [("1", "applied"), ("2", "no_such_queue")] {
            let job = json!({"action": "pause", "queue": "1", "agent": agent}).to_string();
            let properties = crate::support::json_message();
            producer
                .publish("clockout.jobs", "1", job.as_bytes(), properties)
                .await;
            assert_eq!(stage.outcomes.next().await.json()["code"], code);
        }
        stage.dead.next().await;
        worker.signal("TERM");
        assert_eq!(worker.ended().await.code(), Some(0));
    }

    for (name, place) in [("checks", &checking), ("produces", &producing)] {
        let rabbit = Rabbit::connect(&place.url).await;
        for queue in ["clockout.results", "clockout.dead"] {
            let channel = rabbit.channel().await;
            let consumed = channel.basic_consume(
                queue.into(),
                "".into(),
                BasicConsumeOptions::default(),
                FieldTable::default(),
            );
            forbidden(name, consumed.await.map(drop));
        }
        let channel = rabbit.channel().await;
        let declared = channel.queue_declare(
            "another".into(),
            QueueDeclareOptions::durable(),
            FieldTable::default(),
        );
        forbidden(name, declared.await.map(drop));
    }
    let rabbit = Rabbit::connect(&checking.url).await;
    let channel = rabbit.channel().await;
    let options = lapin::options::ConfirmSelectOptions::default();
    channel.confirm_select(options).await.unwrap();
    let published = channel.basic_publish(
        "clockout.jobs".into(),
        "1".into(),
        BasicPublishOptions::default(),
        b"{}",
        lapin::BasicProperties::default(),
    );
    forbidden("checks", published.await.unwrap().await.map(drop));
}

#[tokio::test]
async fn the_documented_rights_are_enough_for_shards() {
    let node = Node::start_for_shards();
    let mut stage = Stage::at(node.place()).await;
    for (name, rights, declare) in [
        ("declares", DECLARES_SHARDS, "true"),
        ("checks", CHECKS_SHARDS, "false"),
    ] {
        let worker = stage
            .worker()
            .set("amqp.url", &user(&node, name, rights).url);
        let worker = worker.set("jobs.shards", "3");
        let mut worker = worker.set("topology.declare", declare).start().await;
        let jobs = (1..=12)
            .map(|queue: u32| json!({"action": "pause", "queue": queue.to_string(), "agent": "1"}));
        stage.send_all(jobs).await;
        for outcome in stage.outcomes(12).await {
            assert_eq!(outcome["code"], "applied", "{name}: {outcome}");
        }
        worker.signal("TERM");
        assert_eq!(worker.ended().await.code(), Some(0), "{name}");
    }
}

fn forbidden(user: &str, done: lapin::Result<()>) {
    let error = done.expect_err(user).to_string();
    assert!(
        error.contains("ACCESS_REFUSED") || error.contains("ACCESS-REFUSED"),
        "{user}: {error}"
    );
}

#[tokio::test]
async fn the_documented_rights_are_enough_to_send_and_to_look_on() {
    let node = Node::start();
    let (producing, looking_on) = (
        user(&node, "produces", PRODUCES),
        user(&node, "looks_on", LOOKS_ON),
    );
    let stage = Stage::at(node.place()).await;
    let _worker = stage.worker().start().await;
    let mut watch = Invocation::at(&looking_on, &["watch", "--count", "2"]).start();
    watch.says("following outcomes").await;
    let job = ["send", "--action", "pause", "--queue", "1", "--agent", "2"];
    let sent = Invocation::at(&producing, &job).finished().await;
    assert_eq!(sent.code, Some(0), "{sent:?}");
    let job = [&job[..], &["--wait"]].concat();
    let waited = Invocation::at(&looking_on, &job).finished().await;
    assert_eq!(waited.code, Some(0), "{waited:?}");
    assert_eq!(watch.ended().await.code(), Some(0));
}

#[tokio::test]
async fn the_documented_rights_are_enough_to_mend_and_no_more_than_that() {
    let node = Node::start();
    let mending = user(&node, "mends", MENDS);
    let mut stage = Stage::at(node.place()).await;
    stage.faults(json!([{"effect": {"item": {"fail": {"text": "no such queue"}}}}]));
    let mut worker = stage.worker().start().await;
    for id in ["a", "b"] {
        let job = json!({"job_id": id, "action": "pause", "queue": "1", "agent": "1"});
        stage.perform(job).await;
        stage.dead.next().await;
    }
    worker.signal("TERM");
    worker.ended().await;

    // Letters that were looked at ten times are renewed at the next look.
    let looks = vec![&["dead", "list"][..]; 11];
    let others = [
        &["dead", "show", "a"][..],
        &["dead", "replay", "a"],
        &["dead", "drop", "b", "--yes"],
    ];
    for words in [looks, others.to_vec()].concat() {
        let ended = Invocation::at(&mending, words).finished().await;
        assert_eq!(ended.code, Some(0), "{words:?}: {ended:?}");
    }
    assert_eq!(stage.dead.take(2).await.len(), 2, "renewed");
    assert_eq!(stage.rabbit.depth("clockout.dead").await, Some(0));
    assert_eq!(stage.rabbit.depth("clockout.jobs").await, Some(1));

    let rabbit = Rabbit::connect(&mending.url).await;
    for queue in ["clockout.jobs", "clockout.results"] {
        let channel = rabbit.channel().await;
        let consumed = channel.basic_consume(
            queue.into(),
            "".into(),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        );
        forbidden("mends", consumed.await.map(drop));
    }
}
