//! Whatever is lost, the broker side comes back to consuming, in an epoch of its own.

use lapin::options::QueueDeleteOptions;
use tokio::net::TcpListener;

use super::*;
use crate::support::{Node, free_port, place};

pub async fn delete_jobs_queue(rabbit: &Rabbit, place: &Place) {
    rabbit
        .channel()
        .await
        .queue_delete(
            place.names.jobs.as_str().into(),
            QueueDeleteOptions::default(),
        )
        .await
        .unwrap();
}

/// Proves that jobs come in and outcomes go out.
async fn prove_it_works(side: &mut Side, place: &Place) {
    let rabbit = Rabbit::connect(&place.url).await;
    send_jobs(&rabbit, place, 1).await;
    let deliveries = side.deliveries(1).await;
    assert_eq!(deliveries[0].ticket.epoch, side.epoch);
    side.publish(vec![outcome(1, "pause.succeeded.default.1")])
        .await;
    assert_eq!(side.told(1).await, [(TellId(1), Published::Confirmed)]);
    side.settle(tickets(&deliveries), Disposition::Ack).await;
}

#[tokio::test]
async fn a_killed_rabbitmq_is_awaited_and_used_again() {
    let node = Node::start();
    let place = node.place();
    let mut side = Side::consuming(settings(&place)).await;
    let first = side.epoch;
    prove_it_works(&mut side, &place).await;
    // RabbitMQ writes down where a new quorum queue's log lies half a second late; killed before, it loses the queue.
    node.ctl(&["eval", "[dets:sync(Table) || Table <- dets:all()]."]);
    node.kill();
    side.lost().await;
    let why = side
        .until(|event| match event {
            Event::Unreachable { why } => Some(why),
            _ => None,
        })
        .await;
    assert!(why.contains("is RabbitMQ running"), "{why}");
    node.start_again();
    side.subscribed().await;
    assert!(side.epoch > first);
    prove_it_works(&mut side, &place).await;
    side.close().await;
}

#[tokio::test]
async fn the_nodes_of_a_cluster_take_turns() {
    let nodes = [Node::start(), Node::start()];
    let places = [nodes[0].place(), nodes[1].place()];
    let nowhere = format!("amqp://guest:guest@127.0.0.1:{}/%2f", free_port());
    let mut three = settings(&places[0]);
    three.addresses.first = address(&nowhere);
    three.addresses.others = vec![address(&places[0].url), address(&places[1].url)];
    let mut side = Side::consuming(three).await;
    prove_it_works(&mut side, &places[0]).await;
    nodes[0].stop();
    side.subscribed().await;
    prove_it_works(&mut side, &places[1]).await;
    nodes[0].start_again();
    nodes[1].stop();
    side.subscribed().await;
    prove_it_works(&mut side, &places[0]).await;
}

// Of its own threads, as heartbeats go on while RabbitMQ's command line takes its time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_closed_by_an_operator_are_built_again() {
    let node = Node::start();
    let place = node.place();
    let mut side = Side::consuming(settings(&place)).await;
    node.close_all_connections();
    let why = side.lost().await;
    assert!(why.contains("closed by a test"), "{why}");
    side.subscribed().await;
    prove_it_works(&mut side, &place).await;
}

#[tokio::test]
async fn a_deleted_jobs_queue_is_declared_and_consumed_again() {
    let place = place();
    let mut side = Side::consuming(settings(&place)).await;
    let rabbit = Rabbit::connect(&place.url).await;
    delete_jobs_queue(&rabbit, &place).await;
    let why = side.lost().await;
    assert!(why.contains("queue"), "{why}");
    side.subscribed().await;
    prove_it_works(&mut side, &place).await;
}

#[tokio::test]
async fn a_deleted_results_exchange_is_declared_and_used_again() {
    let place = place();
    let mut side = Side::consuming(settings(&place)).await;
    let rabbit = Rabbit::connect(&place.url).await;
    rabbit
        .channel()
        .await
        .exchange_delete(
            place.names.results.as_str().into(),
            lapin::options::ExchangeDeleteOptions::default(),
        )
        .await
        .unwrap();
    side.publish(vec![outcome(1, "nowhere")]).await;
    let why = side.lost().await;
    assert!(why.contains("no exchange"), "{why}");
    side.subscribed().await;
    prove_it_works(&mut side, &place).await;
}

#[tokio::test]
async fn closing_ends_at_once_even_while_nothing_answers() {
    let mute = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut place = place();
    place.url = format!("amqp://u:p@{}", mute.local_addr().unwrap());
    let side = Side::start(settings(&place));
    let (peer, _) = within("the attempt to connect", mute.accept())
        .await
        .unwrap();
    side.close().await;
    drop(peer);
}

#[tokio::test]
async fn a_mute_peer_is_given_up_and_let_go() {
    let mute = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut place = place();
    let address = mute.local_addr().unwrap();
    place.url = format!("amqp://u:p@{address}/%2f?connection_timeout=300");
    let mut side = Side::start(settings(&place));
    let (mut peer, _) = within("the attempt to connect", mute.accept())
        .await
        .unwrap();
    let why = unreachable(&mut side).await;
    assert!(why.contains("does not answer"), "{why}");
    let mut nowhere = tokio::io::sink();
    let end = tokio::io::copy(&mut peer, &mut nowhere);
    within("our end of the connection to close", end).await.ok();
}

async fn unreachable(side: &mut Side) -> String {
    side.until(|event| match event {
        Event::Unreachable { why } => Some(why),
        _ => None,
    })
    .await
}

#[tokio::test]
async fn a_wrong_password_is_told_without_the_password() {
    let mut place = place();
    place.url = place.url.replace("guest:guest", "guest:hunter2");
    let why = unreachable(&mut Side::start(settings(&place))).await;
    assert!(why.contains("refuses the login of user `guest`"), "{why}");
    assert!(!why.contains("hunter2"), "{why}");
}

#[tokio::test]
async fn a_virtual_host_that_is_not_there_is_named() {
    let mut place = place();
    let end = place.url.rfind('/').unwrap();
    place.url.replace_range(end.., "/nowhere");
    let why = unreachable(&mut Side::start(settings(&place))).await;
    assert!(why.contains("virtual host `nowhere`"), "{why}");
}
