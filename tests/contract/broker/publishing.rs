//! Outcomes and dead letters: what is confirmed, refused or returned is said of the right one.

use bytes::Bytes;
use lapin::options::{QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};

use super::*;
use crate::support::{Node, place, poll};

async fn unbind(rabbit: &Rabbit, queue: &str, exchange: &str) {
    rabbit
        .channel()
        .await
        .queue_unbind(
            queue.into(),
            exchange.into(),
            "#".into(),
            FieldTable::default(),
        )
        .await
        .unwrap();
}

#[tokio::test]
async fn a_returned_outcome_is_found_among_many_published_at_once() {
    let place = place();
    let mut side = Side::start(settings(&place));
    side.up().await;
    let rabbit = Rabbit::connect(&place.url).await;
    unbind(&rabbit, &place.names.results, &place.names.results).await;
    let channel = rabbit.channel().await;
    channel
        .queue_bind(
            place.names.results.as_str().into(),
            place.names.results.as_str().into(),
            "pause.#".into(),
            QueueBindOptions::default(),
            FieldTable::default(),
        )
        .await
        .unwrap();

    let keys = ["pause.succeeded.default.1", "remove.succeeded.default.1"];
    for round in 0..10 {
        let publications = (0..200)
            .map(|n| outcome(round * 200 + n, keys[usize::try_from(n % 3 % 2).unwrap()]))
            .collect();
        side.publish(publications).await;
    }
    for (tell, published) in side.told(2000).await {
        let expected = match tell.0 % 200 % 3 % 2 {
            0 => Published::Confirmed,
            _ => Published::Returned,
        };
        assert_eq!(published, expected, "{tell:?}");
    }
}

#[tokio::test]
async fn an_outcome_carries_the_properties_of_the_contract() {
    let place = place();
    let rabbit = Rabbit::connect(&place.url).await;
    let mut tap = rabbit.tap(&place.names.results).await;
    let mut side = Side::start(settings(&place));
    side.up().await;
    side.publish(vec![outcome(1, "pause.succeeded.default.10000")])
        .await;
    assert_eq!(side.told(1).await, [(TellId(1), Published::Confirmed)]);
    let message = tap.next().await;
    assert_eq!(message.routing_key, "pause.succeeded.default.10000");
    assert_eq!(message.body, b"{\"tell\":1}");
    let mut headers = FieldTable::default();
    headers.insert("status".into(), AMQPValue::LongString("succeeded".into()));
    assert_eq!(
        message.properties,
        BasicProperties::default()
            .with_content_type("application/json".into())
            .with_delivery_mode(2)
            .with_message_id("outcome-1".into())
            .with_correlation_id("correlation".into())
            .with_type("clockout.outcome.v1".into())
            .with_app_id("clockout".into())
            .with_timestamp(1_795_000_000)
            .with_headers(headers)
    );
}

#[tokio::test]
async fn what_a_full_queue_rejects_is_refused() {
    let place = place();
    let rabbit = Rabbit::connect(&place.url).await;
    let mut without_queue = settings(&place);
    without_queue.names.results_queue = None;
    let mut side = Side::start(without_queue);
    side.up().await;
    let mut full = FieldTable::default();
    full.insert("x-max-length".into(), AMQPValue::LongInt(0));
    full.insert(
        "x-overflow".into(),
        AMQPValue::LongString("reject-publish".into()),
    );
    let channel = rabbit.channel().await;
    let queue = channel
        .queue_declare("".into(), QueueDeclareOptions::exclusive(), full)
        .await
        .unwrap();
    channel
        .queue_bind(
            queue.name().clone(),
            place.names.results.as_str().into(),
            "#".into(),
            QueueBindOptions::default(),
            FieldTable::default(),
        )
        .await
        .unwrap();
    side.publish(vec![outcome(1, "a"), outcome(2, "b")]).await;
    let expected = [1, 2].map(|tell| (TellId(tell), Published::Refused));
    assert_eq!(side.told(2).await, expected);
}

#[tokio::test]
async fn what_is_said_for_another_epoch_is_not_published() {
    let place = place();
    let rabbit = Rabbit::connect(&place.url).await;
    let mut tap = rabbit.tap(&place.names.results).await;
    let mut side = Side::start(settings(&place));
    let Epoch(epoch) = side.up().await;
    side.command(Command::Publish {
        epoch: Epoch(epoch + 1),
        publications: vec![outcome(1, "void")],
    })
    .await;
    side.publish(vec![outcome(2, "valid")]).await;
    side.told(1).await;
    let heard: Vec<_> = tap
        .rest()
        .await
        .into_iter()
        .map(|m| m.routing_key)
        .collect();
    assert_eq!(heard, ["valid"]);
}

#[tokio::test]
async fn a_dead_letter_is_the_original_message_with_headers_added() {
    let place = place();
    let rabbit = Rabbit::connect(&place.url).await;
    let listener = Rabbit::connect(&place.url).await;
    let mut tap = listener.tap(&place.names.dead).await;
    let mut side = Side::consuming(settings(&place)).await;
    let mut headers = FieldTable::default();
    headers.insert("crm-tenant".into(), AMQPValue::LongInt(12));
    let original = BasicProperties::default()
        .with_message_id("shift-1".into())
        .with_type("crm.job".into())
        .with_user_id("guest".into())
        .with_expiration("600000".into())
        .with_headers(headers);
    rabbit
        .publish(&place.names.jobs, "10000", b"\xff not json", original)
        .await;
    let job = side.deliveries(1).await.remove(0);
    assert_eq!(job.body, Bytes::from_static(b"\xff not json"));
    let letter = |ticket| Publication::DeadLetter {
        ticket,
        agent: None,
        headers: vec![("clockout-code", "malformed_json".to_owned())],
    };
    side.publish(vec![letter(job.ticket)]).await;
    assert_eq!(side.buried().await, (job.ticket, Published::Confirmed));

    let message = tap.next().await;
    assert_eq!(message.routing_key, "10000");
    assert_eq!(message.body, b"\xff not json");
    assert_eq!(message.headers["clockout-code"], "malformed_json");
    assert_eq!(message.headers["crm-tenant"], "12");
    let properties = message.properties;
    assert_eq!(properties.message_id(), &Some("shift-1".into()));
    assert_eq!(properties.kind(), &Some("crm.job".into()));
    assert_eq!(properties.delivery_mode(), &Some(2));
    assert_eq!(properties.expiration(), &None);

    drop((tap, listener));
    unbind(&rabbit, &place.names.dead, &place.names.dead).await;
    poll("the tap's queue to go", async || {
        side_returns(&place).await.then_some(())
    })
    .await;
    side.publish(vec![letter(job.ticket)]).await;
    assert_eq!(side.buried().await, (job.ticket, Published::Returned));
}

/// Whether a message to the dead exchange finds no queue.
async fn side_returns(place: &Place) -> bool {
    let rabbit = Rabbit::connect(&place.url).await;
    let channel = rabbit.channel().await;
    channel
        .confirm_select(lapin::options::ConfirmSelectOptions::default())
        .await
        .unwrap();
    let options = lapin::options::BasicPublishOptions {
        mandatory: true,
        immediate: false,
    };
    let confirm = channel
        .basic_publish(
            place.names.dead.as_str().into(),
            "probe".into(),
            options,
            b"",
            BasicProperties::default(),
        )
        .await
        .unwrap();
    confirm.await.unwrap().take_message().is_some()
}

#[tokio::test]
async fn a_memory_alarm_delays_outcomes_and_costs_no_session() {
    let node = Node::start();
    let place = node.place();
    let mut side = Side::consuming(settings(&place)).await;
    let epoch = side.epoch;
    let rabbit = Rabbit::connect(&place.url).await;
    send_jobs(&rabbit, &place, 1).await;
    let held = side.deliveries(1).await;
    // Only a connection that has published before is told of an alarm.
    side.publish(vec![outcome(1, "before")]).await;
    side.told(1).await;

    node.set_memory_alarm(true);
    side.publish(vec![outcome(2, "during")]).await;
    side.settle(tickets(&held), Disposition::Ack).await;
    poll(
        "the acknowledgement to pass despite the alarm",
        async || {
            let unacked = node.ctl(&["list_queues", "-q", "name", "messages"]);
            unacked
                .contains(&format!("{}\t0", place.names.jobs))
                .then_some(())
        },
    )
    .await;
    node.set_memory_alarm(false);
    assert_eq!(side.told(1).await, [(TellId(2), Published::Confirmed)]);
    assert_eq!(side.epoch, epoch);
}
