//! Publishes outcomes and dead letters, mandatory and persistent, and says what the broker made of each.
//!
//! Works in bursts on several channels, so that one burst is confirmed while the next is written. RabbitMQ keeps the
//! order of one channel alone, so what is about an agent takes the same one. A burst is also the barrier by which a
//! returned message finds its publish: lapin hands a returned message to whichever confirm of the channel comes next, so
//! only the burst as a whole says truly what was returned. Decides nothing about what follows from a refusal, and never
//! publishes anything twice.

use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::{BoxFuture, maybe_done};
use futures_util::stream::FuturesUnordered;
use lapin::message::BasicReturnMessage;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionStatus};
use tokio::time::timeout;

use super::receipt::Held;
use crate::engine::job::{Agent, Ticket};
use crate::engine::{Published, TellId};
use crate::wire::{Outgoing, outcome};

const CHANNELS: usize = 3;

/// Most messages published before their confirms are waited for. Each takes some 9 KiB on its way through lapin; larger
/// bursts were no faster.
const BURST_MAX: usize = 128;

/// Longest wait for the confirms of a burst while the broker does not say that it blocks publishers.
const CONFIRM_TIMEOUT: Duration = Duration::from_secs(30);

const PERSISTENT: u8 = 2;

/// Headers with further routing keys of a message.
const ROUTING_KEYS: [&str; 2] = ["CC", "BCC"];

/// Stands for the queue that RabbitMQ makes for the replies to one channel; what it puts in its place has a longer name.
const DIRECT_REPLY: &str = "amq.rabbitmq.reply-to";

/// Why publishing cannot go on; the session is over, and what was not confirmed may or may not have been published.
#[derive(Debug, thiserror::Error)]
pub(super) enum PublishError {
    #[error("RabbitMQ did not confirm a publish within {} s", CONFIRM_TIMEOUT.as_secs())]
    NoConfirm,
    #[error("a publishing channel failed: {0}")]
    Channel(#[from] lapin::Error),
}

/// Whose publish it is.
#[derive(Debug, Clone, Copy)]
enum Asked {
    Tell(TellId),
    Bury(Ticket),
}

/// What a returned message is recognised by. Where two of a burst share it (an outcome told again, dead letters
/// without a message id) one returned of them counts for both: a repeat is allowed, a loss is not.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Mark {
    exchange: ShortString,
    routing_key: ShortString,
    message_id: Option<ShortString>,
}

impl Mark {
    fn of_returned(message: &BasicReturnMessage) -> Self {
        Self {
            exchange: message.exchange.clone(),
            routing_key: message.routing_key.clone(),
            message_id: message.properties.message_id().clone(),
        }
    }
}

/// A message to publish.
#[derive(Debug)]
pub(super) struct Letter {
    asked: Asked,
    /// What is about the same is published in its order.
    about: Option<Agent>,
    exchange: ShortString,
    routing_key: ShortString,
    properties: BasicProperties,
    body: Bytes,
}

impl Letter {
    /// An outcome, with the properties of CONTRACT §5.
    pub(super) fn outcome(exchange: &ShortString, tell: TellId, message: Outgoing) -> Self {
        let mut properties = BasicProperties::default()
            .with_content_type("application/json".into())
            .with_delivery_mode(PERSISTENT)
            .with_message_id(super::short(&message.message_id))
            .with_type(outcome::TYPE.into())
            .with_app_id("clockout".into())
            .with_timestamp(message.timestamp)
            .with_headers(extended(FieldTable::default(), message.headers));
        // A property holds 255 bytes; the body has a longer one whole, and half an id would be a wrong one.
        if let Some(id) = message
            .correlation_id
            .and_then(|id| ShortString::try_new(id).ok())
        {
            properties = properties.with_correlation_id(id);
        }
        Self {
            asked: Asked::Tell(tell),
            about: message.agent,
            exchange: exchange.clone(),
            routing_key: super::short(&message.routing_key),
            properties,
            body: message.body.into(),
        }
    }

    /// A dead letter: the original message with `headers` added (CONTRACT §6).
    pub(super) fn dead(
        exchange: &ShortString,
        (ticket, about): (Ticket, Option<Agent>),
        held: &Held,
        headers: Vec<(&'static str, String)>,
    ) -> Self {
        let copy = republished(&held.properties);
        let original = copy.headers().clone().unwrap_or_default();
        let properties = copy
            .with_delivery_mode(PERSISTENT)
            .with_headers(extended(original, headers));
        Self {
            asked: Asked::Bury(ticket),
            about,
            exchange: exchange.clone(),
            routing_key: held.routing_key.clone(),
            properties,
            body: held.body.clone(),
        }
    }

    fn mark(&self) -> Mark {
        Mark {
            exchange: self.exchange.clone(),
            routing_key: self.routing_key.clone(),
            message_id: self.properties.message_id().clone(),
        }
    }
}

/// What the broker said of a burst.
#[derive(Debug, Default)]
pub(super) struct Answers {
    pub(super) told: Vec<(TellId, Published)>,
    pub(super) buried: Vec<(Ticket, Published)>,
}

/// A burst that is answered, and the outlet that is free again.
type Burst = BoxFuture<'static, Result<(usize, Channel, Answers), PublishError>>;

/// A channel, and what waits for it.
struct Outlet {
    /// `None` while a burst is under way.
    channel: Option<Channel>,
    /// Bounded by what the worker holds: it has at most one publish for each outcome and dead letter.
    waiting: VecDeque<Letter>,
}

pub(super) struct Publisher {
    connection: ConnectionStatus,
    outlets: Vec<Outlet>,
    under_way: FuturesUnordered<Burst>,
}

impl Publisher {
    pub(super) async fn new(connection: &Connection) -> Result<Self, PublishError> {
        let mut outlets = Vec::with_capacity(CHANNELS);
        for _ in 0..CHANNELS {
            let channel = connection.create_channel().await?;
            channel
                .confirm_select(ConfirmSelectOptions { nowait: false })
                .await?;
            outlets.push(Outlet {
                channel: Some(channel),
                waiting: VecDeque::new(),
            });
        }
        Ok(Self {
            connection: connection.status().clone(),
            outlets,
            under_way: FuturesUnordered::new(),
        })
    }

    pub(super) fn push(&mut self, letter: Letter) {
        let outlet = self.outlets.get_mut(outlet(letter.about));
        if let Some(outlet) = outlet {
            outlet.waiting.push_back(letter);
        }
    }

    /// Nothing waits, and nothing is unconfirmed.
    pub(super) fn is_idle(&self) -> bool {
        let waiting = |outlet: &Outlet| !outlet.waiting.is_empty();
        self.under_way.is_empty() && !self.outlets.iter().any(waiting)
    }

    /// Publishes what waits, as far as channels are free, and waits for the next burst that is answered; for ever while
    /// there is none. Nothing is lost if the wait is given up.
    pub(super) async fn next(&mut self) -> Result<Answers, PublishError> {
        for (number, outlet) in self.outlets.iter_mut().enumerate() {
            if !outlet.waiting.is_empty()
                && let Some(channel) = outlet.channel.take()
            {
                let size = outlet.waiting.len().min(BURST_MAX);
                let letters = outlet.waiting.drain(..size).collect();
                let connection = self.connection.clone();
                self.under_way.push(Box::pin(async move {
                    let answers = publish(connection, &channel, letters).await?;
                    Ok((number, channel, answers))
                }));
            }
        }
        match self.under_way.next().await {
            Some(burst) => {
                let (number, channel, answers) = burst?;
                if let Some(outlet) = self.outlets.get_mut(number) {
                    outlet.channel = Some(channel);
                }
                Ok(answers)
            }
            None => std::future::pending().await,
        }
    }
}

/// The number of the outlet that letters about `agent` take.
fn outlet(agent: Option<Agent>) -> usize {
    let hash = BuildHasherDefault::<DefaultHasher>::new().hash_one(agent);
    usize::try_from(hash % CHANNELS as u64).unwrap_or_default()
}

async fn publish(
    connection: ConnectionStatus,
    channel: &Channel,
    letters: Vec<Letter>,
) -> Result<Answers, PublishError> {
    let asked: Vec<(Asked, Mark)> = letters.iter().map(|l| (l.asked, l.mark())).collect();
    let confirms = {
        let mut confirms = pin!(write_all(channel, letters));
        loop {
            match timeout(CONFIRM_TIMEOUT, &mut confirms).await {
                Ok(confirms) => break confirms?,
                // Memory or disk alarm: RabbitMQ reads nothing from us, and says when it is over.
                Err(_) if connection.blocked() => {}
                Err(_) => return Err(PublishError::NoConfirm),
            }
        }
    };
    Ok(answers(asked, confirms))
}

/// Publishes all, then waits for the confirms in their order: by the time the first has come, most of the others have, and
/// nobody was woken for them. (Joined, the futures wake the task twice for each message.)
async fn write_all(channel: &Channel, letters: Vec<Letter>) -> lapin::Result<Vec<Confirmation>> {
    let mut publishes: Vec<_> = letters
        .into_iter()
        .map(|letter| Box::pin(maybe_done(write(channel, letter))))
        .collect();
    for publish in &mut publishes {
        // lapin queues the frames at the first poll, and what this task waits for comes below.
        let _written = publish
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()));
    }
    let mut confirms = Vec::with_capacity(publishes.len());
    for mut publish in publishes {
        publish.as_mut().await;
        confirms.extend(publish.as_mut().take_output().transpose()?);
    }
    Ok(confirms)
}

async fn write(channel: &Channel, letter: Letter) -> lapin::Result<Confirmation> {
    let options = BasicPublishOptions {
        mandatory: true,
        immediate: false,
    };
    channel
        .basic_publish(
            letter.exchange,
            letter.routing_key,
            options,
            &letter.body,
            letter.properties,
        )
        .await?
        .await
}

fn answers(asked: Vec<(Asked, Mark)>, confirms: Vec<Confirmation>) -> Answers {
    let accepted: Vec<bool> = confirms.iter().map(Confirmation::is_ack).collect();
    let returned: HashSet<Mark> = confirms
        .into_iter()
        .filter_map(Confirmation::take_message)
        .map(|message| Mark::of_returned(&message))
        .collect();
    let mut answers = Answers::default();
    for ((asked, mark), accepted) in asked.into_iter().zip(accepted) {
        let published = if !accepted {
            Published::Refused
        } else if returned.contains(&mark) {
            Published::Returned
        } else {
            Published::Confirmed
        };
        match asked {
            Asked::Tell(tell) => answers.told.push((tell, published)),
            Asked::Bury(ticket) => answers.buried.push((ticket, published)),
        }
    }
    answers
}

fn extended(mut table: FieldTable, headers: Vec<(&'static str, String)>) -> FieldTable {
    for (name, value) in headers {
        table.insert(name.into(), AMQPValue::LongString(value.into()));
    }
    table
}

/// The properties of a message to publish again, but for what would undo it: RabbitMQ drops a message whose `expiration`
/// passes, and closes the channel on a `user_id` that is not the publisher's own, on a reply that only the channel which
/// waits for it may ask for, and on further routing keys that are no array. A producer can bring these in: of a header that is
/// there twice RabbitMQ looks at the first, and lapin keeps the last; and what comes by AMQP 1.0 RabbitMQ does not check.
pub(super) fn republished(original: &BasicProperties) -> BasicProperties {
    type Property = (
        Option<ShortString>,
        fn(BasicProperties, ShortString) -> BasicProperties,
    );
    let texts: [Property; 7] = [
        (
            original.content_type().clone(),
            BasicProperties::with_content_type,
        ),
        (
            original.content_encoding().clone(),
            BasicProperties::with_content_encoding,
        ),
        (
            original.correlation_id().clone(),
            BasicProperties::with_correlation_id,
        ),
        (
            (original.reply_to().clone()).filter(|queue| queue.as_str() != DIRECT_REPLY),
            BasicProperties::with_reply_to,
        ),
        (
            original.message_id().clone(),
            BasicProperties::with_message_id,
        ),
        (original.kind().clone(), BasicProperties::with_type),
        (original.app_id().clone(), BasicProperties::with_app_id),
    ];
    let mut copy = BasicProperties::default();
    for (text, with) in texts {
        if let Some(text) = text {
            copy = with(copy, text);
        }
    }
    if let Some(priority) = *original.priority() {
        copy = copy.with_priority(priority);
    }
    if let Some(timestamp) = *original.timestamp() {
        copy = copy.with_timestamp(timestamp);
    }
    if let Some(headers) = original.headers() {
        copy = copy.with_headers(acceptable(headers));
    }
    copy
}

fn acceptable(headers: &FieldTable) -> FieldTable {
    let refused = |(name, value): &(&ShortString, &AMQPValue)| {
        ROUTING_KEYS.contains(&name.as_str()) && value.as_array().is_none()
    };
    let mut accepted = FieldTable::default();
    for (name, value) in headers.inner().iter().filter(|header| !refused(header)) {
        accepted.insert(name.clone(), value.clone());
    }
    accepted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::job::Epoch;

    const TICKET: Ticket = Ticket {
        epoch: Epoch(1),
        tag: 9,
    };

    #[test]
    fn a_dead_letter_is_the_original_with_headers_added() {
        let mut headers = FieldTable::default();
        headers.insert("crm".into(), AMQPValue::LongInt(7));
        let held = Held {
            queue: 0,
            body: Bytes::from_static(b"not json"),
            properties: BasicProperties::default()
                .with_message_id("m-1".into())
                .with_type("crm.job".into())
                .with_priority(4)
                .with_delivery_mode(1)
                .with_headers(headers.clone()),
            routing_key: "10000".into(),
        };
        let letter = Letter::dead(
            &"clockout.dead".into(),
            (TICKET, None),
            &held,
            vec![("clockout-code", "malformed_json".to_owned())],
        );
        headers.insert(
            "clockout-code".into(),
            AMQPValue::LongString("malformed_json".into()),
        );
        assert_eq!(letter.body, held.body);
        assert_eq!(letter.routing_key, held.routing_key);
        assert_eq!(
            letter.properties,
            held.properties
                .with_delivery_mode(PERSISTENT)
                .with_headers(headers)
        );
    }

    #[test]
    fn a_dead_letter_neither_expires_nor_claims_another_user() {
        let held = Held {
            queue: 0,
            body: Bytes::new(),
            properties: BasicProperties::default()
                .with_expiration("1000".into())
                .with_user_id("crm".into()),
            routing_key: ShortString::default(),
        };
        let letter = Letter::dead(&"clockout.dead".into(), (TICKET, None), &held, Vec::new());
        assert_eq!(letter.properties.expiration(), &None);
        assert_eq!(letter.properties.user_id(), &None);
    }

    fn dead(properties: BasicProperties) -> BasicProperties {
        let held = Held {
            queue: 0,
            body: Bytes::new(),
            properties,
            routing_key: ShortString::default(),
        };
        Letter::dead(&"clockout.dead".into(), (TICKET, None), &held, Vec::new()).properties
    }

    #[test]
    fn a_dead_letter_has_no_further_routing_keys_that_rabbitmq_refuses() {
        let keys = AMQPValue::FieldArray(vec![AMQPValue::LongString("2".into())].into());
        let mut headers = FieldTable::default();
        headers.insert("CC".into(), keys.clone());
        headers.insert("BCC".into(), AMQPValue::LongString("2".into()));
        headers.insert("cc".into(), AMQPValue::Void);
        let dead = dead(BasicProperties::default().with_headers(headers));
        let mut left = FieldTable::default();
        left.insert("CC".into(), keys);
        left.insert("cc".into(), AMQPValue::Void);
        assert_eq!(*dead.headers(), Some(left));
    }

    #[test]
    fn a_dead_letter_asks_for_no_reply_that_only_its_producer_could_get() {
        for (asked, left) in [
            ("amq.rabbitmq.reply-to", None),
            (
                "amq.rabbitmq.reply-to.g1h2",
                Some("amq.rabbitmq.reply-to.g1h2"),
            ),
            ("crm", Some("crm")),
        ] {
            let dead = dead(BasicProperties::default().with_reply_to(asked.into()));
            assert_eq!(*dead.reply_to(), left.map(ShortString::from), "{asked}");
        }
    }
}
