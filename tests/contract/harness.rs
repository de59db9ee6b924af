//! Guards the tests' own promise: each plays alone on its broker, and a node survives what tests do to it.

use std::pin::pin;
use std::time::Duration;

use lapin::BasicProperties;
use serde_json::json;
use tokio::time::timeout;

use crate::support::{Node, Rabbit, Stage, stage};

#[tokio::test]
async fn what_one_stage_publishes_no_other_stage_hears() {
    let (mut one, mut other) = (stage().await, stage().await);
    let exchange = one.place.names.results.clone();
    one.rabbit
        .publish(&exchange, "a.b", b"{}", BasicProperties::default())
        .await;
    assert_eq!(one.outcomes.next().await.routing_key, "a.b");
    assert!(other.outcomes.rest().await.is_empty());
}

#[tokio::test]
async fn a_node_comes_back_on_the_same_port_with_what_was_durable() {
    let node = Node::start();
    let rabbit = Rabbit::connect(&node.place().url).await;
    drop(rabbit.tap("durable-exchange").await);
    for end in [Node::kill, Node::stop] {
        end(&node);
        node.start_again();
        assert!(node.ctl(&["list_exchanges"]).contains("durable-exchange"));
        Rabbit::connect(&node.place().url).await;
    }
}

#[tokio::test]
async fn a_frozen_node_confirms_nothing_until_it_thaws() {
    let node = Node::start();
    let rabbit = Rabbit::connect(&node.place().url).await;
    let mut tap = rabbit.tap("e").await;
    node.freeze();
    let publish = rabbit.publish("e", "key", b"", BasicProperties::default());
    let mut publish = pin!(publish);
    assert!(
        timeout(Duration::from_millis(300), &mut publish)
            .await
            .is_err()
    );
    node.thaw();
    publish.await;
    assert_eq!(tap.next().await.routing_key, "key");
}

#[tokio::test]
async fn a_tap_tells_apart_what_was_and_what_was_not_published() {
    let mut stage: Stage = stage().await;
    let exchange = stage.place.names.dead.clone();
    let body = json!({"n": 1}).to_string();
    for key in ["first", "second"] {
        stage
            .rabbit
            .publish(&exchange, key, body.as_bytes(), BasicProperties::default())
            .await;
    }
    assert_eq!(stage.dead.next().await.json()["n"], 1);
    let rest = stage.dead.rest().await;
    let keys: Vec<&str> = rest.iter().map(|m| m.routing_key.as_str()).collect();
    assert_eq!(keys, ["second"]);
}
