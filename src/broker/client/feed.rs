//! Follows an exchange through a queue of its own, which goes with it: what others do with the same messages is theirs.

use bytes::Bytes;
use futures_util::StreamExt;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicQosOptions, QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Channel, Connection, Consumer};

use super::{ClientError, Why};
use crate::broker::short;

/// Most messages sent to us ahead of being asked for.
const PREFETCH: u16 = 500;

/// Most messages that RabbitMQ keeps for a reader which falls behind; of more, the oldest go. One that has stopped
/// reading must not fill the broker.
const WAITING_MAX: i32 = 200_000;

/// A message that came by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    pub routing_key: String,
    pub body: Bytes,
}

/// The messages of an exchange, from the moment of [`super::Client::follow`].
#[derive(Debug)]
pub struct Feed {
    channel: Channel,
    consumer: Consumer,
    /// The delivery tag of the message handed out last.
    taken: Option<u64>,
}

impl Feed {
    pub(super) async fn open(
        connection: &Connection,
        exchange: &str,
        patterns: &[impl AsRef<str>],
    ) -> Result<Self, Why> {
        let channel = connection.create_channel().await?;
        channel
            .basic_qos(PREFETCH, BasicQosOptions { global: false })
            .await?;
        let options = QueueDeclareOptions {
            passive: false,
            durable: false,
            exclusive: true,
            auto_delete: true,
            nowait: false,
        };
        let server_named = ShortString::default();
        let mut arguments = FieldTable::default();
        arguments.insert("x-max-length".into(), AMQPValue::LongInt(WAITING_MAX));
        let declared = channel
            .queue_declare(server_named.clone(), options, arguments)
            .await?;
        let queue = declared.name();
        for pattern in patterns {
            channel
                .queue_bind(
                    queue.clone(),
                    short(exchange),
                    short(pattern.as_ref()),
                    QueueBindOptions { nowait: false },
                    FieldTable::default(),
                )
                .await
                .map_err(|error| Why::of_exchange(exchange, error))?;
        }
        let options = BasicConsumeOptions {
            no_local: false,
            no_ack: false,
            exclusive: true,
            nowait: false,
        };
        let consumer = channel
            .basic_consume(queue.clone(), server_named, options, FieldTable::default())
            .await?;
        Ok(Self {
            channel,
            consumer,
            taken: None,
        })
    }

    /// The next message; waits for it. To ask for it is to have done with the one before. Nothing is lost if the wait is
    /// given up.
    pub async fn next(&mut self) -> Result<Received, ClientError> {
        // Taken out first: if the wait is given up after the frame has left, the same tag must not be sent again; if it
        // was before, the next acknowledgement covers it.
        if let Some(tag) = self.taken.take() {
            self.channel
                .basic_ack(tag, BasicAckOptions { multiple: true })
                .await
                .map_err(Why::from)?;
        }
        let delivery = self.consumer.next().await.ok_or(Why::Cancelled)?;
        let delivery = delivery.map_err(Why::from)?;
        self.taken = Some(delivery.delivery_tag);
        Ok(Received {
            routing_key: delivery.routing_key.to_string(),
            body: delivery.data.into(),
        })
    }
}
