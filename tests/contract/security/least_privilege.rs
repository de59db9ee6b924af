//! The RabbitMQ users of `docs/hardening.md`, with the rights that stand there and no others.

use std::fs;
use std::path::Path;

use lapin::options::{BasicConsumeOptions, BasicPublishOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use serde_json::{Value, json};

use crate::support::{Invocation, Node, Place, Rabbit, Stage};

const PAGE: &str = "docs/hardening.md";

/// Who has which rights, by the first column of the page's table.
const CHECKS: &str = "worker, `topology.declare = false`";
const DECLARES: &str = "worker, `topology.declare = true`";
const CHECKS_SHARDS: &str = "the first with `jobs.shards` over 1";
const DECLARES_SHARDS: &str = "the second with `jobs.shards` over 1";
const PRODUCES: &str = "producer, `clockout send`";
const LOOKS_ON: &str = "`clockout watch`, `send --wait`";
const MENDS: &str = "who mends (`clockout dead`)";

fn page() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE)).unwrap()
}

/// Configure, write, read, as the page's table has them.
fn rights(who: &str) -> [String; 3] {
    let start = format!("| {who} | ");
    let page = page();
    let row = page.lines().find_map(|line| line.strip_prefix(&start));
    let row = row.unwrap_or_else(|| panic!("{PAGE}: no {who:?}"));
    let mut rights: Vec<String> = Vec::new();
    for cell in row.trim_end_matches(" |").split(" | ") {
        let right = match cell {
            "the same" => rights.last().unwrap().clone(),
            // In a table a bar is escaped.
            pattern => pattern.trim_matches('`').replace(r"\|", "|"),
        };
        rights.push(right);
    }
    rights.try_into().unwrap()
}

/// The node's place as another user sees it.
fn user(node: &Node, name: &str, who: &str) -> Place {
    node.ctl(&["add_user", name, "word"]);
    let [configure, write, read] = &rights(who);
    node.ctl(&["set_permissions", name, configure, write, read]);
    let mut place = node.place();
    place.url = place.url.replace("guest:guest", &format!("{name}:word"));
    place
}

#[test]
fn the_commands_on_the_page_make_a_user_with_the_rights_of_its_first_row() {
    let node = Node::start();
    let page = page();
    let commands = page.lines();
    let commands = commands.filter_map(|line| line.strip_prefix("rabbitmqctl "));
    let commands: Vec<Vec<String>> = commands.filter_map(shlex::split).collect();
    assert_eq!(commands.len(), 2);
    for words in &commands {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        node.ctl(&words);
    }
    node.ctl(&["authenticate_user", "clockout", "PASSWORD"]);
    let list = ["list_user_permissions", "clockout", "--silent"];
    let listed = node.ctl(&[&list[..], &["--formatter", "json"]].concat());
    let listed: Value = serde_json::from_str(&listed).unwrap();
    let [configure, write, read] = rights(CHECKS);
    assert_eq!(
        listed,
        json!([{"vhost": "/", "configure": configure, "write": write, "read": read}])
    );
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
    for (name, who, declare) in [
        ("declares", DECLARES_SHARDS, "true"),
        ("checks", CHECKS_SHARDS, "false"),
    ] {
        let worker = stage.worker().set("amqp.url", &user(&node, name, who).url);
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
