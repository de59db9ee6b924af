//! CONTRACT §1: what the worker declares, what it only checks, and what it says of queues that stand otherwise.

use lapin::options::QueueDeclareOptions;
use lapin::types::{AMQPValue, FieldTable};

use super::*;
use crate::support::{Node, place};

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

async fn declare(
    rabbit: &Rabbit,
    queue: &str,
    arguments: &[(&str, AMQPValue)],
) -> lapin::Result<()> {
    let mut table = FieldTable::default();
    for (name, value) in arguments {
        table.insert((*name).into(), value.clone());
    }
    let channel = rabbit.channel().await;
    channel
        .queue_declare(queue.into(), QueueDeclareOptions::durable(), table)
        .await
        .map(drop)
}

#[tokio::test]
async fn the_topology_of_the_contract_is_declared() {
    let place = place();
    let mut side = Side::start(settings(&place));
    side.up().await;
    let rabbit = Rabbit::connect(&place.url).await;
    let quorum = ("x-queue-type", text("quorum"));
    let names = &place.names;
    let jobs = [
        quorum.clone(),
        ("x-single-active-consumer", AMQPValue::Boolean(true)),
        ("x-delivery-limit", AMQPValue::LongInt(100)),
        ("x-dead-letter-exchange", text(&names.dead)),
        ("x-dead-letter-strategy", text("at-least-once")),
        ("x-overflow", text("reject-publish")),
    ];
    declare(&rabbit, &names.jobs, &jobs).await.unwrap();
    let week = AMQPValue::LongInt(7 * 24 * 60 * 60 * 1000);
    let results = [quorum.clone(), ("x-message-ttl", week)];
    declare(&rabbit, &names.results, &results).await.unwrap();
    declare(&rabbit, &names.dead, &[quorum]).await.unwrap();

    for (exchange, queue) in [
        (&names.jobs, &names.jobs),
        (&names.results, &names.results),
        (&names.dead, &names.dead),
    ] {
        rabbit
            .publish(exchange, "any.key", b"{}", BasicProperties::default())
            .await;
        assert_eq!(rabbit.depth(queue).await, Some(1), "{queue}");
    }
}

#[tokio::test]
async fn without_a_results_queue_there_is_none() {
    let place = place();
    let mut without = settings(&place);
    without.names.results_queue = None;
    let mut side = Side::start(without);
    side.up().await;
    let rabbit = Rabbit::connect(&place.url).await;
    assert_eq!(rabbit.depth(&place.names.results).await, None);
    side.close().await;
}

#[tokio::test]
async fn a_queue_with_other_arguments_is_named_with_what_is_and_what_should_be() {
    let place = place();
    let rabbit = Rabbit::connect(&place.url).await;
    let other = [
        ("x-queue-type", text("quorum")),
        ("x-message-ttl", AMQPValue::LongInt(1000)),
    ];
    declare(&rabbit, &place.names.results, &other)
        .await
        .unwrap();
    let mut side = Side::start(settings(&place));
    let why = side
        .until(|event| match event {
            Event::Unusable { why } => Some(why),
            _ => None,
        })
        .await;
    let queue = &place.names.results;
    for part in [
        format!("queue `{queue}` stands with other arguments"),
        "`x-message-ttl` is `1000` and should be `604800000`".to_owned(),
    ] {
        assert!(why.contains(&part), "{why}");
    }
    within("the end of the supervisor", &mut side.broker.task)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_user_without_configure_rights_checks_waits_and_works() {
    let node = Node::start();
    let place = node.place();
    let owner = place.clone();
    node.ctl(&["add_user", "worker", "secret"]);
    node.ctl(&[
        "set_permissions",
        "worker",
        "^$",
        r"^clockout\.(results|dead)$",
        r"^clockout\.jobs$",
    ]);
    let mut bare = settings(&place);
    bare.addresses.first.url =
        SecretString::from(place.url.replace("guest:guest", "worker:secret"));
    bare.declare = false;
    let mut side = Side::start(bare);
    let why = side
        .until(|event| match event {
            Event::Unreachable { why } => Some(why),
            _ => None,
        })
        .await;
    assert!(
        why.contains("exchange `clockout.jobs` is not there"),
        "{why}"
    );

    let mut declaring = Side::start(settings(&owner));
    declaring.up().await;
    declaring.close().await;
    side.command(Command::Intake { open: true }).await;
    side.subscribed().await;
    let rabbit = Rabbit::connect(&owner.url).await;
    send_jobs(&rabbit, &owner, 1).await;
    let job = side.deliveries(1).await;
    side.publish(vec![outcome(1, "pause.succeeded.default.1")])
        .await;
    assert_eq!(side.told(1).await, [(TellId(1), Published::Confirmed)]);
    side.settle(tickets(&job), Disposition::Ack).await;
    side.close().await;
    assert_eq!(rabbit.depth(&owner.names.jobs).await, Some(0));
}
