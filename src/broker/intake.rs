//! Takes deliveries from the jobs queue, in bursts, while it is told to.
//!
//! Never settles anything and never looks into a body. Its channel is the one that [`super::session`] settles on.

use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::ReadyChunks;
use lapin::message::Delivery;
use lapin::options::{BasicCancelOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{BasicProperties, Channel, Connection, Consumer};
use tokio::time::timeout;

use super::Settings;
use super::receipt::Held;
use crate::engine::job::{Epoch, Ticket};
use crate::wire::Incoming;

/// Most deliveries handed on at once.
const BURST_MAX: usize = 256;

/// Longest wait for RabbitMQ's answer to a request to consume or to stop.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Why deliveries cannot go on; the session is over.
#[derive(Debug, thiserror::Error)]
pub(super) enum IntakeError {
    #[error("RabbitMQ cancelled the consumer of the jobs queue; was the queue deleted?")]
    Cancelled,
    #[error("RabbitMQ did not answer within {} s when asked to start or stop consuming", ANSWER_TIMEOUT.as_secs())]
    NoAnswer,
    #[error("the jobs channel failed: {0}")]
    Channel(#[from] lapin::Error),
}

#[derive(Debug)]
pub(super) struct Intake {
    channel: Channel,
    queue: ShortString,
    consumer_name: String,
    /// How often consuming was begun on this channel; part of the consumer tag. A quorum queue delivers what is held
    /// again, under new delivery tags, to a consumer that comes back under the tag it was cancelled with.
    subscriptions: u64,
    consumer: Option<ReadyChunks<Consumer>>,
}

impl Intake {
    /// Opens the jobs channel with its prefetch; consumes nothing yet.
    pub(super) async fn new(
        connection: &Connection,
        settings: &Settings,
    ) -> Result<Self, IntakeError> {
        let channel = connection.create_channel().await?;
        channel
            .basic_qos(settings.prefetch.get(), BasicQosOptions { global: false })
            .await?;
        Ok(Self {
            channel,
            queue: super::short(&settings.names.jobs_queue),
            consumer_name: settings.connection_name.clone(),
            subscriptions: 0,
            consumer: None,
        })
    }

    /// The channel that all deliveries came on, to settle them.
    pub(super) fn channel(&self) -> Channel {
        self.channel.clone()
    }

    pub(super) fn is_open(&self) -> bool {
        self.consumer.is_some()
    }

    pub(super) async fn open(&mut self) -> Result<(), IntakeError> {
        self.subscriptions += 1;
        let consumer = timeout(ANSWER_TIMEOUT, self.consume(self.consumer_tag()))
            .await
            .map_err(|_| IntakeError::NoAnswer)??;
        self.consumer = Some(consumer.ready_chunks(BURST_MAX));
        Ok(())
    }

    async fn consume(&self, tag: ShortString) -> lapin::Result<Consumer> {
        let options = BasicConsumeOptions {
            no_local: false,
            no_ack: false,
            exclusive: false,
            nowait: false,
        };
        let queue = self.queue.clone();
        self.channel
            .basic_consume(queue, tag, options, FieldTable::default())
            .await
    }

    /// Stops consuming. What RabbitMQ had sent until then comes back from here.
    pub(super) async fn close(&mut self) -> Result<Vec<Delivery>, IntakeError> {
        let Some(consumer) = self.consumer.take() else {
            return Ok(Vec::new());
        };
        let stop = async {
            self.channel
                .basic_cancel(self.consumer_tag(), BasicCancelOptions { nowait: false })
                .await?;
            // The stream ends by itself: RabbitMQ's answer came after the last delivery.
            let bursts: Vec<_> = consumer.collect().await;
            let rest: Result<Vec<_>, _> = bursts.into_iter().flatten().collect();
            Ok(rest?)
        };
        timeout(ANSWER_TIMEOUT, stop)
            .await
            .map_err(|_| IntakeError::NoAnswer)?
    }

    /// Returns once the queue itself has taken every acknowledgement written on this channel.
    ///
    /// RabbitMQ's channel passes on only so many before the queue has answered, keeps the others back, and forgets those
    /// when it closes. Nothing of AMQP asks for them, but beginning to consume waits for what was passed on; by the time it has
    /// ended, what was kept back has followed.
    pub(super) async fn settle(&self) -> lapin::Result<()> {
        let tag = super::short(&format!("settle-{}", self.consumer_name));
        // Should the queue have no other consumer, at most one delivery comes of it, and goes back unread.
        self.channel
            .basic_qos(1, BasicQosOptions { global: false })
            .await?;
        let passing = self.consume(tag.clone()).await?;
        self.channel
            .basic_cancel(tag, BasicCancelOptions { nowait: false })
            .await?;
        drop(passing);
        Ok(())
    }

    /// What has come, at least one; waits for ever while not open. Nothing is lost if the wait is given up.
    pub(super) async fn next(&mut self) -> Result<Vec<Delivery>, IntakeError> {
        let Some(consumer) = &mut self.consumer else {
            return std::future::pending().await;
        };
        let burst = consumer.next().await.ok_or(IntakeError::Cancelled)?;
        Ok(burst.into_iter().collect::<Result<_, _>>()?)
    }

    fn consumer_tag(&self) -> ShortString {
        super::short(&format!("{}-{}", self.subscriptions, self.consumer_name))
    }
}

/// What the worker gets of a delivery, and what stays here in case it becomes a dead letter.
pub(super) fn split(delivery: Delivery, epoch: Epoch) -> (Incoming, Held) {
    let Delivery {
        delivery_tag: tag,
        routing_key,
        redelivered,
        properties,
        data,
        ..
    } = delivery;
    let body = Bytes::from(data);
    let incoming = Incoming {
        ticket: Ticket { epoch, tag },
        redelivered,
        body: body.clone(),
        message_id: properties.message_id().as_ref().map(ToString::to_string),
        correlation_id: properties
            .correlation_id()
            .as_ref()
            .map(ToString::to_string),
        timestamp: *properties.timestamp(),
        traceparent: header(&properties, "traceparent").and_then(text),
        replay: header(&properties, "clockout-replay").and_then(count),
    };
    let held = Held {
        body,
        properties,
        routing_key,
    };
    (incoming, held)
}

fn header<'p>(properties: &'p BasicProperties, name: &str) -> Option<&'p AMQPValue> {
    properties.headers().as_ref()?.inner().get(name)
}

fn text(value: &AMQPValue) -> Option<String> {
    let bytes = value.as_long_string()?.as_bytes();
    String::from_utf8(bytes.to_vec()).ok()
}

/// A whole number in whichever of AMQP's kinds the publisher's library chose; text counts too.
fn count(value: &AMQPValue) -> Option<u32> {
    let whole = value
        .as_long_long_int()
        .or_else(|| value.as_long_int().map(i64::from))
        .or_else(|| value.as_long_uint().map(i64::from))
        .or_else(|| value.as_short_int().map(i64::from))
        .or_else(|| value.as_short_uint().map(i64::from))
        .or_else(|| value.as_short_short_int().map(i64::from))
        .or_else(|| value.as_short_short_uint().map(i64::from))
        .or_else(|| text(value)?.parse().ok());
    whole?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivery(headers: &[(&str, AMQPValue)]) -> Delivery {
        let mut table = FieldTable::default();
        for (name, value) in headers {
            table.insert((*name).into(), value.clone());
        }
        let mut delivery = Delivery::mock(
            5,
            "clockout.jobs".into(),
            "10000".into(),
            true,
            b"{}".to_vec(),
        );
        delivery.properties = BasicProperties::default()
            .with_message_id("m-1".into())
            .with_timestamp(1_795_000_000)
            .with_headers(table);
        delivery
    }

    #[test]
    fn a_delivery_comes_with_its_ticket_and_what_its_properties_say() {
        let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let headers = [("traceparent", AMQPValue::LongString(trace.into()))];
        let (incoming, held) = split(delivery(&headers), Epoch(3));
        assert_eq!((incoming.ticket.epoch, incoming.ticket.tag), (Epoch(3), 5));
        assert!(incoming.redelivered);
        assert_eq!(incoming.message_id.as_deref(), Some("m-1"));
        assert_eq!(incoming.correlation_id, None);
        assert_eq!(incoming.timestamp, Some(1_795_000_000));
        assert_eq!(incoming.traceparent.as_deref(), Some(trace));
        assert_eq!(incoming.replay, None);
        assert_eq!(held.routing_key.as_str(), "10000");
        assert_eq!(
            held.body.as_ptr(),
            incoming.body.as_ptr(),
            "one copy of the body"
        );
    }

    #[test]
    fn the_replay_count_is_read_from_any_whole_number_and_nothing_else() {
        let cases = [
            (AMQPValue::LongInt(2), Some(2)),
            (AMQPValue::LongLongInt(3), Some(3)),
            (AMQPValue::ShortShortUInt(4), Some(4)),
            (AMQPValue::LongString("5".into()), Some(5)),
            (AMQPValue::LongInt(-1), None),
            (AMQPValue::LongLongInt(i64::MAX), None),
            (AMQPValue::LongString("many".into()), None),
            (AMQPValue::LongString(vec![0xff].into()), None),
            (AMQPValue::Void, None),
        ];
        for (value, expected) in cases {
            let (incoming, _) = split(delivery(&[("clockout-replay", value.clone())]), Epoch(1));
            assert_eq!(incoming.replay, expected, "{value:?}");
        }
    }
}
