//! Deliveries and settlements: each job is settled once, on the channel it came from, and none by mistake.

use super::*;
use crate::support::{Node, place, poll};

#[tokio::test]
async fn everything_acknowledged_is_gone_and_nothing_else() {
    let place = place();
    let mut side = Side::consuming(settings(&place)).await;
    let rabbit = Rabbit::connect(&place.url).await;
    send_jobs(&rabbit, &place, 60).await;
    let deliveries = side.deliveries(60).await;
    let bodies: Vec<_> = deliveries.iter().map(|d| d.body.clone()).collect();
    assert_eq!(&bodies[0][..], b"job 0");
    assert_eq!(&bodies[59][..], b"job 59");

    // Out of order and with a gap: 7 stays held, 8 goes back at the end.
    let tickets = tickets(&deliveries);
    let (mut acks, mut rest) = (tickets.clone(), Vec::new());
    rest.extend(acks.drain(7..9));
    acks.rotate_left(23);
    side.command(Command::Intake { open: false }).await;
    side.until(|event| matches!(event, Event::Subscribed { subscribed: false }).then_some(()))
        .await;
    side.settle(acks, Disposition::Ack).await;
    side.settle([rest[1]], Disposition::GiveBack).await;
    side.close().await;

    let mut next = Side::consuming(settings(&place)).await;
    let mut back = next.deliveries(2).await;
    back.sort_by(|a, b| a.body.cmp(&b.body));
    assert_eq!(&back[0].body[..], b"job 7");
    assert_eq!(&back[1].body[..], b"job 8");
    assert!(back.iter().all(|delivery| delivery.redelivered));
    next.settle(super::tickets(&back), Disposition::Ack).await;
    next.close().await;
    assert_eq!(rabbit.depth(&place.names.jobs).await, Some(0));
}

#[tokio::test]
async fn acknowledgements_that_rabbitmq_keeps_back_are_not_lost_by_closing() {
    let node = Node::start();
    // By default its channel keeps back what is beyond 32 that the queue has not answered.
    node.ctl(&[
        "eval",
        "application:set_env(rabbit, quorum_commands_soft_limit, 2).",
    ]);
    let place = node.place();
    let mut side = Side::consuming(settings(&place)).await;
    let rabbit = Rabbit::connect(&place.url).await;
    send_jobs(&rabbit, &place, 60).await;
    let tickets = tickets(&side.deliveries(60).await);
    // The first stays held, so that each of the others is acknowledged by itself.
    side.settle(tickets[1..].to_vec(), Disposition::Ack).await;
    side.close().await;
    poll("what was not acknowledged", async || {
        let depth = rabbit.depth(&place.names.jobs).await?;
        (depth > 0).then_some(depth)
    })
    .await;
    assert_eq!(rabbit.depth(&place.names.jobs).await, Some(1));
}

#[tokio::test]
async fn a_ticket_of_an_earlier_session_settles_nothing() {
    let place = place();
    let rabbit = Rabbit::connect(&place.url).await;
    let mut side = Side::consuming(settings(&place)).await;
    send_jobs(&rabbit, &place, 1).await;
    let first = side.deliveries(1).await;
    losses::delete_jobs_queue(&rabbit, &place).await;
    side.lost().await;
    side.subscribed().await;
    send_jobs(&rabbit, &place, 1).await;
    let second = side.deliveries(1).await;
    assert_eq!(first[0].ticket.tag, second[0].ticket.tag);
    assert_ne!(first[0].ticket.epoch, second[0].ticket.epoch);

    side.settle(tickets(&first), Disposition::Ack).await;
    side.close().await;
    poll("the unsettled job to be ready again", async || {
        (rabbit.depth(&place.names.jobs).await == Some(1)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn intake_shuts_and_opens_without_losing_what_is_held() {
    let place = place();
    let rabbit = Rabbit::connect(&place.url).await;
    let mut side = Side::consuming(settings(&place)).await;
    send_jobs(&rabbit, &place, 3).await;
    let held = side.deliveries(3).await;
    side.command(Command::Intake { open: false }).await;
    side.until(|event| matches!(event, Event::Subscribed { subscribed: false }).then_some(()))
        .await;
    send_jobs(&rabbit, &place, 2).await;
    assert_eq!(rabbit.depth(&place.names.jobs).await, Some(2));

    side.command(Command::Intake { open: true }).await;
    let more = side.deliveries(2).await;
    assert_eq!(held[0].ticket.epoch, more[0].ticket.epoch);
    side.settle(tickets(&held), Disposition::Ack).await;
    side.settle(tickets(&more), Disposition::Ack).await;
    side.close().await;
    assert_eq!(rabbit.depth(&place.names.jobs).await, Some(0));
}

#[tokio::test]
async fn no_more_than_prefetch_is_taken_before_something_is_settled() {
    let place = place();
    let rabbit = Rabbit::connect(&place.url).await;
    let mut small = settings(&place);
    small.prefetch = NonZeroU16::new(4).unwrap();
    let mut side = Side::consuming(small).await;
    send_jobs(&rabbit, &place, 6).await;
    let taken = side.deliveries(4).await;
    assert_eq!(rabbit.depth(&place.names.jobs).await, Some(2));
    side.settle(tickets(&taken), Disposition::Ack).await;
    side.deliveries(2).await;
}
