//! CONTRACT §8, `check`: finds each fault that would keep a worker from its work, says what to do, and changes nothing.

mod pbx;
mod rights;

use std::net::SocketAddr;

use clockout::pbx::sim::{Options, Sim};
use lapin::options::QueueDeclareOptions;
use lapin::types::{AMQPValue, FieldTable};
use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use crate::broker::tls::{authority, identity};
use crate::support::{self, Node, Place, Rabbit, WorkerSetup, free_port, place, stage, within};

/// What a check printed, and how it ended.
struct Checked {
    code: Option<i32>,
    shown: String,
}

impl Checked {
    #[track_caller]
    fn is_good(&self) {
        assert_eq!(self.code, Some(0), "{}", self.shown);
        assert!(!self.shown.contains('✗'), "{}", self.shown);
    }

    /// Ended with 1 over one fault, which has all these words.
    #[track_caller]
    fn finds(&self, words: &[&str]) {
        assert_eq!(self.code, Some(1), "{}", self.shown);
        let faults: Vec<_> = self
            .shown
            .lines()
            .filter(|line| line.starts_with('✗'))
            .collect();
        assert_eq!(faults.len(), 1, "{}", self.shown);
        self.says(words);
    }

    /// One line has all these words.
    #[track_caller]
    fn says(&self, words: &[&str]) {
        let mut lines = self.shown.lines();
        let said = lines.any(|line| words.iter().all(|word| line.contains(word)));
        assert!(said, "{words:?} in {}", self.shown);
    }
}

async fn check_with(setup: &WorkerSetup, arguments: &[&str]) -> Checked {
    let mut command = setup.command(&[&["check"], arguments].concat());
    let output = within(
        "the end of the check",
        spawn_blocking(move || command.output()),
    )
    .await;
    let output = output.expect("no panic").expect("the binary starts");
    let log = String::from_utf8(output.stderr).unwrap();
    assert_eq!(log, "", "a check that ended has nothing for standard error");
    Checked {
        code: output.status.code(),
        shown: String::from_utf8(output.stdout).unwrap(),
    }
}

async fn check(setup: &WorkerSetup) -> Checked {
    check_with(setup, &[]).await
}

/// A PBX that takes every call.
async fn pbx() -> Sim {
    let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
    Sim::start(any_port, Options::default()).await.unwrap()
}

/// The exchanges and queues of the contract that stand at this place.
async fn standing(place: &Place) -> Vec<String> {
    let rabbit = Rabbit::connect(&place.url).await;
    let names = &place.names;
    let mut standing = Vec::new();
    for name in [&names.jobs, &names.results, &names.dead] {
        if rabbit.depth(name).await.is_some() {
            standing.push(format!("queue {name}"));
        }
        if rabbit.has_exchange(name).await {
            standing.push(format!("exchange {name}"));
        }
    }
    standing
}

#[tokio::test]
async fn a_virtual_host_that_has_nothing_yet_is_good_and_has_nothing_afterwards() {
    let (place, pbx) = (place(), pbx().await);
    let checked = check(&WorkerSetup::new(&place, &pbx.url())).await;
    checked.is_good();
    for thing in ["exchange", "queue"] {
        checked.says(&[thing, &place.names.jobs, "not there yet", "may declare it"]);
    }
    checked.says(&["lets user `guest` into virtual host", "RabbitMQ "]);
    checked.says(&[&pbx.url(), "answered", "without credentials"]);
    assert_eq!(standing(&place).await, Vec::<String>::new());
    assert_eq!(pbx.calls(0), []);
}

#[tokio::test]
async fn beside_a_worker_and_its_jobs_all_is_good_and_stays_as_it_was() {
    let mut stage = stage().await;
    let mut worker = stage.worker().start().await;
    worker.signal("TERM");
    worker.ended().await;
    stage
        .send(json!({"action": "pause", "queue": "1", "agent": "1"}))
        .await;
    let checked = check(&stage.worker()).await;
    checked.is_good();
    let queue = format!("queue `{}`", stage.place.names.jobs);
    checked.says(&[&queue, "stands as it should", "1 waiting, 0 consuming"]);
    stage.jobs_ready(1).await;
    assert_eq!(stage.calls(), []);
    let _worker = stage.worker().start().await;
    assert_eq!(stage.outcomes.next().await.json()["code"], "applied");
    check(&stage.worker()).await.says(&[&queue, "1 consuming"]);
}

#[tokio::test]
async fn what_keeps_a_worker_out_of_rabbitmq_is_named() {
    let (place, pbx) = (place(), pbx().await);
    let setup = WorkerSetup::new(&place, &pbx.url());
    let nowhere = format!("amqp://guest:guest@127.0.0.1:{}/%2f", free_port());
    let password = place.url.replace("guest:guest", "guest:hush");
    let vhost = format!("{}-of-nobody", place.url);
    for (url, words) in [
        (&nowhere, ["refuses connections", "is RabbitMQ running"]),
        (&password, ["refuses the login of user `guest`", "correct"]),
        (
            &vhost,
            ["does not let user `guest` into virtual host", "create it"],
        ),
    ] {
        let checked = check(&setup.clone().set("amqp.url", url)).await;
        checked.finds(&words);
        assert!(!checked.shown.contains("hush"), "{}", checked.shown);
        // The other side is looked at all the same.
        checked.says(&[&pbx.url(), "answered"]);
    }
}

#[tokio::test]
async fn each_node_is_tried_and_the_rest_looked_at_by_way_of_one_that_answers() {
    let (place, pbx) = (place(), pbx().await);
    let port = free_port();
    let urls = format!("amqp://guest:guest@127.0.0.1:{port}/%2f,{}", place.url);
    let setup = WorkerSetup::new(&place, &pbx.url()).unset("amqp.url");
    let checked = check(&setup.set("amqp.urls", &urls)).await;
    checked.finds(&["refuses connections", &port.to_string()]);
    checked.says(&["queue", &place.names.jobs, "may declare it"]);
}

#[tokio::test]
async fn a_queue_with_other_arguments_is_named_with_what_is_and_what_should_be() {
    let (place, pbx) = (place(), pbx().await);
    let rabbit = Rabbit::connect(&place.url).await;
    let mut arguments = FieldTable::default();
    let quorum = AMQPValue::LongString("quorum".into());
    arguments.insert("x-queue-type".into(), quorum);
    arguments.insert("x-message-ttl".into(), AMQPValue::LongInt(1000));
    let queue = place.names.results.as_str();
    let channel = rabbit.channel().await;
    channel
        .queue_declare(queue.into(), QueueDeclareOptions::durable(), arguments)
        .await
        .unwrap();
    let checked = check(&WorkerSetup::new(&place, &pbx.url())).await;
    checked.finds(&[
        queue,
        "`x-message-ttl` is `1000` and should be `604800000`",
        "delete it",
    ]);
    assert_eq!(standing(&place).await, [format!("queue {queue}")]);
}

#[tokio::test]
async fn shards_need_their_plugin() {
    let pbx = pbx().await;
    for (node, is_good) in [(Node::start(), false), (Node::start_for_shards(), true)] {
        let place = node.place();
        let setup = WorkerSetup::new(&place, &pbx.url()).set("jobs.shards", "2");
        let checked = check(&setup).await;
        if is_good {
            checked.is_good();
        } else {
            checked.finds(&["rabbitmq-plugins enable rabbitmq_consistent_hash_exchange"]);
        }
        checked.says(&["queue `clockout.jobs.shard-2`", "may declare it"]);
        assert_eq!(standing(&place).await, Vec::<String>::new());
    }
}

#[tokio::test]
async fn tls_takes_the_right_authority_on_both_sides() {
    let (ours, pbx) = (authority(), pbx().await);
    let server = identity(&ours);
    let node = Node::start_with_tls(&support::Tls {
        ca: ours.pem(),
        certificate: server.cert_pem,
        key: server.key_pem,
        demands_client_certificate: false,
    });
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, pem: String| {
        let file = folder.path().join(name);
        std::fs::write(&file, pem).unwrap();
        file.to_str().unwrap().to_owned()
    };
    let (right, wrong) = (file("right", ours.pem()), file("wrong", authority().pem()));
    let port = node.tls_port();
    let secure = format!("amqps://guest:guest@localhost:{port}/%2f");
    let setup = WorkerSetup::new(&node.place(), &pbx.url()).set("amqp.url", &secure);
    check(&setup.clone().set("amqp.ca_file", &right))
        .await
        .is_good();
    let checked = check(&setup.set("amqp.ca_file", &wrong)).await;
    checked.finds(&["do not agree on TLS", "invalid peer certificate"]);
}

#[tokio::test]
async fn wrong_settings_are_all_told_and_end_with_2() {
    let setup = WorkerSetup::new(&place(), "ftp://pbx").set("batch.linger", "soon");
    let checked = check(&setup).await;
    assert_eq!(checked.code, Some(2));
    for key in ["✗ pbx.base_url", "✗ batch.linger"] {
        checked.says(&[key, "expected"]);
    }
    assert_eq!(checked.shown.lines().count(), 2, "{}", checked.shown);
}

#[tokio::test]
async fn what_works_otherwise_than_one_might_think_is_said_and_no_fault() {
    let pbx = pbx().await;
    let setup = WorkerSetup::new(&place(), &pbx.url()).set("policy.dry_run", "true");
    let checked = check(&setup).await;
    checked.is_good();
    checked.says(&["! policy.dry_run is true", "leave it out"]);
}

#[tokio::test]
async fn a_script_reads_what_was_found_as_json() {
    let pbx = pbx().await;
    let setup = WorkerSetup::new(&place(), &pbx.url()).set("policy.dry_run", "true");
    let checked = check_with(&setup, &["--json"]).await;
    let whole: Value = serde_json::from_str(&checked.shown).unwrap();
    assert_eq!((checked.code, &whole["ok"]), (Some(0), &json!(true)));
    let findings = whole["findings"].as_array().unwrap();
    for (about, result) in [
        ("settings", "ok"),
        ("settings", "advice"),
        ("broker", "ok"),
        ("pbx", "ok"),
    ] {
        let mut findings = findings.iter();
        let found = findings.any(|f| f["about"] == about && f["result"] == result);
        assert!(found, "{about}: {result} in {whole}");
    }
    let checked = check_with(&setup.set("pbx.base_url", "ftp://pbx"), &["--json"]).await;
    let whole: Value = serde_json::from_str(&checked.shown).unwrap();
    assert_eq!((checked.code, &whole["ok"]), (Some(2), &json!(false)));
    assert_eq!(whole["findings"][0]["result"], "fault");
}
