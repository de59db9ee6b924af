//! A RabbitMQ client that plays the producers and the consumers of outcomes and dead letters.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io;
use std::iter::once;
use std::time::Duration;

use futures_util::StreamExt as _;
use lapin::options::{
    BasicConsumeOptions, BasicPublishOptions, ConfirmSelectOptions, ExchangeDeclareOptions,
    ExchangeDeleteOptions, QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{
    BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, Consumer,
    ExchangeKind,
};
use serde_json::Value;
use tokio::time::timeout;

use super::{Place, within};

/// Longest that a node may take to let a client in, before the next is tried.
const CONNECT_MAX: Duration = Duration::from_secs(5);

pub struct Rabbit {
    /// Closes when dropped.
    connection: Connection,
    channel: Channel,
}

/// Hears everything that an exchange gets, from the moment it was made.
pub struct Tap {
    exchange: String,
    channel: Channel,
    consumer: Consumer,
}

#[derive(Debug)]
pub struct Message {
    pub routing_key: String,
    pub properties: BasicProperties,
    /// As text, whatever their type.
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

/// The properties of a job as the contract asks for them.
pub fn json_message() -> BasicProperties {
    BasicProperties::default()
        .with_content_type("application/json".into())
        .with_delivery_mode(2)
}

/// A connection by way of the first node that lets a client in; else what the last one said.
pub async fn connect(place: &Place) -> lapin::Result<Connection> {
    let mut said = None;
    for url in once(&place.url).chain(&place.other_urls) {
        let attempt = Connection::connect(url, ConnectionProperties::default());
        let attempt = timeout(CONNECT_MAX, attempt).await;
        match attempt.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into())) {
            Ok(connection) => return Ok(connection),
            Err(why) => said = Some(why),
        }
    }
    Err(said.expect("there is one node at least"))
}

impl Rabbit {
    pub async fn connect(url: &str) -> Rabbit {
        let connection = within("a connection", async {
            Connection::connect(url, ConnectionProperties::default()).await
        })
        .await
        .expect("the broker takes a client");
        let channel = connection.create_channel().await.unwrap();
        channel
            .confirm_select(ConfirmSelectOptions::default())
            .await
            .unwrap();
        Rabbit {
            connection,
            channel,
        }
    }

    /// Returns once the broker has confirmed the message.
    pub async fn publish(
        &self,
        exchange: &str,
        key: &str,
        body: &[u8],
        properties: BasicProperties,
    ) {
        publish(&self.channel, exchange, key, body, properties).await;
    }

    /// Makes the exchange as the worker will, and listens to all of it.
    pub async fn tap(&self, exchange: &str) -> Tap {
        let channel = self.connection.create_channel().await.unwrap();
        channel
            .exchange_declare(
                exchange.into(),
                ExchangeKind::Topic,
                ExchangeDeclareOptions {
                    durable: true,
                    ..ExchangeDeclareOptions::default()
                },
                FieldTable::default(),
            )
            .await
            .unwrap();
        let queue = channel
            .queue_declare(
                "".into(),
                QueueDeclareOptions::exclusive(),
                FieldTable::default(),
            )
            .await
            .unwrap();
        let queue = queue.name().clone();
        channel
            .queue_bind(
                queue.clone(),
                exchange.into(),
                "#".into(),
                QueueBindOptions::default(),
                FieldTable::default(),
            )
            .await
            .unwrap();
        let consumer = channel
            .basic_consume(
                queue,
                "".into(),
                BasicConsumeOptions {
                    no_ack: true,
                    ..BasicConsumeOptions::default()
                },
                FieldTable::default(),
            )
            .await
            .unwrap();
        Tap {
            exchange: exchange.to_owned(),
            channel,
            consumer,
        }
    }

    /// Messages ready in a queue (those delivered and not yet acknowledged are not); `None` if there is no such queue.
    pub async fn depth(&self, queue: &str) -> Option<u32> {
        let channel = self.connection.create_channel().await.unwrap();
        let passive = QueueDeclareOptions {
            passive: true,
            ..QueueDeclareOptions::default()
        };
        let queue = channel
            .queue_declare(queue.into(), passive, FieldTable::default())
            .await
            .ok()?;
        Some(queue.message_count())
    }

    /// Takes all messages that are ready in a queue, for good; the properties of each. `None` if there is no such queue.
    pub async fn drain(&self, queue: &str) -> Option<Vec<BasicProperties>> {
        let ready = self.depth(queue).await?;
        let channel = self.channel().await;
        let options = BasicConsumeOptions {
            no_ack: true,
            ..BasicConsumeOptions::default()
        };
        let (tag, none) = ("".into(), FieldTable::default());
        let consumer = channel
            .basic_consume(queue.into(), tag, options, none)
            .await
            .unwrap();
        let mut messages = consumer.take(ready.try_into().unwrap());
        let mut drained = Vec::new();
        while let Some(delivery) = within(queue, messages.next()).await {
            drained.push(delivery.unwrap().properties);
        }
        Some(drained)
    }

    pub async fn has_exchange(&self, exchange: &str) -> bool {
        let channel = self.connection.create_channel().await.unwrap();
        let passive = ExchangeDeclareOptions {
            passive: true,
            ..ExchangeDeclareOptions::default()
        };
        let (kind, none) = (ExchangeKind::Topic, FieldTable::default());
        let found = channel.exchange_declare(exchange.into(), kind, passive, none);
        found.await.is_ok()
    }

    /// Anything else that AMQP can do.
    pub async fn channel(&self) -> Channel {
        self.connection.create_channel().await.unwrap()
    }
}

impl Tap {
    /// The next message; waits for it.
    pub async fn next(&mut self) -> Message {
        let delivery = within(
            format_args!("a message on {}", self.exchange),
            self.consumer.next(),
        )
        .await;
        let delivery = delivery
            .expect("the tap stays open")
            .expect("the tap's channel stays open");
        let headers = delivery.properties.headers().iter();
        let headers = headers.flat_map(FieldTable::inner);
        Message {
            routing_key: delivery.routing_key.to_string(),
            headers: headers.map(|(k, v)| (k.to_string(), text(v))).collect(),
            properties: delivery.properties,
            body: delivery.data,
        }
    }

    /// The next `count` messages.
    pub async fn take(&mut self, count: usize) -> Vec<Message> {
        let mut messages = Vec::with_capacity(count);
        while messages.len() < count {
            messages.push(self.next().await);
        }
        messages
    }

    /// All that the exchange got up to now and that was not taken yet.
    pub async fn rest(&mut self) -> Vec<Message> {
        const END: &str = "end-of-the-rest";
        publish(
            &self.channel,
            &self.exchange,
            END,
            b"",
            BasicProperties::default(),
        )
        .await;
        let mut messages = Vec::new();
        loop {
            let message = self.next().await;
            if message.routing_key == END {
                return messages;
            }
            messages.push(message);
        }
    }
}

impl Message {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("a JSON body")
    }
}

async fn publish(
    channel: &Channel,
    exchange: &str,
    key: &str,
    body: &[u8],
    properties: BasicProperties,
) {
    let confirm = channel
        .basic_publish(
            exchange.into(),
            key.into(),
            BasicPublishOptions::default(),
            body,
            properties,
        )
        .await
        .expect("the broker takes a message");
    let confirmation = within(confirmed(exchange, key), confirm).await.unwrap();
    assert!(!matches!(confirmation, Confirmation::Nack(_)), "refused");
}

fn confirmed(exchange: &str, key: &str) -> impl Display {
    format!("the confirm of {key} on {exchange}")
}

fn text(value: &AMQPValue) -> String {
    match value {
        AMQPValue::LongString(text) => text.to_string(),
        AMQPValue::ShortString(text) => text.to_string(),
        AMQPValue::ShortShortInt(number) => number.to_string(),
        AMQPValue::ShortInt(number) => number.to_string(),
        AMQPValue::LongInt(number) => number.to_string(),
        AMQPValue::LongLongInt(number) => number.to_string(),
        other => format!("{other:?}"),
    }
}

/// Deletes what a worker may have declared at this place; for a test's end, where nothing can be awaited.
pub fn delete(place: &Place) {
    let place = place.clone();
    let deleting = std::thread::spawn(move || {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(async {
            let channel = Rabbit::connect(&place.url).await.channel().await;
            for name in [&place.names.jobs, &place.names.results, &place.names.dead] {
                let name = name.as_str();
                let options = QueueDeleteOptions::default();
                channel.queue_delete(name.into(), options).await.unwrap();
                let options = ExchangeDeleteOptions::default();
                channel.exchange_delete(name.into(), options).await.unwrap();
            }
        });
    });
    // A test that has failed leaves what it must; its own message counts.
    drop(deleting.join());
}
