//! Takes deliveries from the jobs queues, in bursts, while it is told to.
//!
//! Never settles anything and never looks into a body. Its channel is the one that [`super::session`] settles on.

mod closing;
mod flow;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream, SelectAll};
use lapin::message::Delivery;
use lapin::options::{BasicCancelOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{BasicProperties, Channel, Connection, Consumer};
use tokio::time::{Instant, timeout};

use super::Settings;
use super::merge::Merge;
use super::receipt::Held;
use crate::engine::job::{Epoch, Ticket};
use crate::wire::{Incoming, dead_letter, trace_context};
use flow::Flow;

/// Most deliveries handed on at once.
const BURST_MAX: usize = 256;

/// Longest wait for RabbitMQ's answer to a request to consume or to stop.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Why deliveries cannot go on; the session is over.
#[derive(Debug, thiserror::Error)]
pub(super) enum IntakeError {
    #[error("RabbitMQ cancelled the consumer of queue `{queue}`; was the queue deleted?")]
    Cancelled { queue: String },
    #[error("RabbitMQ did not answer within {} s when asked to start or stop consuming", ANSWER_TIMEOUT.as_secs())]
    NoAnswer,
    #[error("the jobs channel failed: {0}")]
    Channel(#[from] lapin::Error),
}

#[derive(Debug)]
pub(super) struct Taken {
    /// The place of its queue among the queues.
    pub(super) queue: usize,
    pub(super) delivery: Delivery,
}

/// What comes of one subscription.
enum Word {
    Burst(lapin::Result<Vec<Taken>>),
    /// The last one: the place of its queue.
    End(usize),
}

/// At most one consumer for each queue.
struct Consumers {
    tags: Vec<ShortString>,
    /// Most deliveries that RabbitMQ leaves unsettled, of each queue; 0 where it has no consumer.
    prefetch: Vec<u16>,
    /// The last tag before its deliveries.
    after: u64,
    words: SelectAll<BoxStream<'static, Word>>,
}

pub(super) struct Intake {
    channel: Channel,
    queues: Vec<String>,
    /// Most deliveries of each of them that may be held.
    prefetch: u16,
    consumer_name: String,
    /// How often consuming was begun on this channel; part of the consumer tag. A quorum queue delivers what is held
    /// again, under new delivery tags, to a consumer that comes back under the tag it was cancelled with.
    subscriptions: u64,
    consumers: Option<Consumers>,
    merge: Merge<Taken>,
    flow: Flow,
}

impl Intake {
    /// Opens the jobs channel; consumes nothing yet. Each queue gets its part of the prefetch.
    pub(super) async fn new(
        connection: &Connection,
        settings: &Settings,
        queues: Vec<String>,
    ) -> Result<Self, IntakeError> {
        let channel = connection.create_channel().await?;
        let parts = u16::try_from(queues.len()).unwrap_or(u16::MAX).max(1);
        let prefetch = (settings.prefetch.get() / parts).max(1);
        Ok(Self {
            channel,
            queues,
            prefetch,
            consumer_name: settings.connection_name.clone(),
            subscriptions: 0,
            consumers: None,
            merge: Merge::new(),
            flow: Flow::default(),
        })
    }

    /// The channel that all deliveries came on, to settle them.
    pub(super) fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// How many queues there are.
    pub(super) fn queues(&self) -> usize {
        self.queues.len()
    }

    pub(super) fn is_open(&self) -> bool {
        self.consumers.is_some()
    }

    /// Whether it consumes with less than the whole prefetch, for what was held when it was opened.
    pub(super) fn is_narrowed(&self) -> bool {
        let consumers = self.consumers.iter();
        consumers
            .flat_map(|consumers| &consumers.prefetch)
            .any(|prefetch| *prefetch < self.prefetch)
    }

    /// The tag after which the deliveries are of the subscription that stands.
    pub(super) fn begun_after(&self) -> u64 {
        self.consumers
            .as_ref()
            .map_or(0, |consumers| consumers.after)
    }

    /// The prefetch of a queue that has used it up, with so many held of each queue from the subscription that stands. That a single
    /// queue has used up all of it is no news to anyone.
    pub(super) fn used_up(&self, held: &[usize]) -> Option<usize> {
        let consumers = self.consumers.as_ref()?;
        if held.len() == 1 && !self.is_narrowed() {
            return None;
        }
        let parts = consumers.prefetch.iter().map(|part| usize::from(*part));
        let used_up = |(part, held): &(usize, &usize)| **held >= *part;
        parts.zip(held).find(used_up).map(|(part, _)| part)
    }

    /// Whether another delivery of the queue at this place would come, if it had one, with so many of it held.
    pub(super) fn has_room(&self, place: usize, held: usize) -> bool {
        match &self.consumers {
            Some(consumers) => {
                let prefetch = consumers.prefetch.get(place).copied().unwrap_or_default();
                held < usize::from(prefetch)
            }
            None => self.may_open(&[held]),
        }
    }

    /// Whether few enough are held, of each queue, for a subscription that takes what prefetch leaves to be worth it.
    ///
    /// RabbitMQ counts the prefetch per consumer: what is held from the subscription before counts for nothing, and held may
    /// be twice the prefetch. A quorum queue puts what comes back to it behind what came back before and was not delivered
    /// again. So should everything come back twice in quick succession, it keeps its order only if the next consumer
    /// takes all of it at once.
    pub(super) fn may_open(&self, held: &[usize]) -> bool {
        let most = usize::from(self.prefetch / 2);
        held.iter().all(|held| *held <= most)
    }

    /// Begins to consume; `held` are the deliveries of each queue that are not settled yet, `last` is the tag of the latest. Ask
    /// [`Intake::may_open`] first.
    pub(super) async fn open(&mut self, held: &[usize], last: u64) -> Result<(), IntakeError> {
        let free = |held: &usize| {
            let held = u16::try_from(*held).unwrap_or(u16::MAX);
            // 0 would mean no limit.
            self.prefetch.saturating_sub(held).max(1)
        };
        let prefetch = held.iter().map(free).collect();
        let consumers = answer(self.subscribe(prefetch)).await?;
        self.consumers = Some(Consumers {
            after: last,
            ..consumers
        });
        Ok(())
    }

    /// Consumes with so much prefetch of each queue, and not where it is 0.
    async fn subscribe(&mut self, prefetch: Vec<u16>) -> Result<Consumers, IntakeError> {
        self.subscriptions += 1;
        let ranks = ranks(self.queues.len(), &self.consumer_name);
        let mut tags = Vec::with_capacity(self.queues.len());
        let mut words_of = SelectAll::new();
        let queues = self.queues.iter().zip(&prefetch).zip(ranks).enumerate();
        for (place, ((queue, prefetch), rank)) in queues {
            if *prefetch == 0 {
                continue;
            }
            let mut arguments = FieldTable::default();
            if self.queues.len() > 1 {
                arguments.insert("x-priority".into(), AMQPValue::LongInt(rank));
            }
            // What the consumers of a lost channel held, RabbitMQ 3 gives back in the order of their tags: hence the zeros.
            let tag = format!("{:010}-{rank}-{}", self.subscriptions, self.consumer_name);
            let tag = super::short(&tag);
            self.channel
                .basic_qos(*prefetch, BasicQosOptions { global: false })
                .await?;
            let consumer = consume(&self.channel, queue, &tag, arguments).await?;
            tags.push(tag);
            words_of.push(words(consumer, place));
        }
        Ok(Consumers {
            tags,
            prefetch,
            after: 0,
            words: words_of,
        })
    }

    /// Takes back the subscription. What RabbitMQ had sent until then comes back from here.
    async fn cancel(&mut self) -> Result<Vec<Taken>, IntakeError> {
        let Some(Consumers { tags, words, .. }) = self.consumers.take() else {
            return Ok(Vec::new());
        };
        let stop = async {
            for tag in tags {
                let options = BasicCancelOptions { nowait: false };
                self.channel.basic_cancel(tag, options).await?;
            }
            // The streams end by themselves: RabbitMQ's answer came after the last delivery.
            let words: Vec<Word> = words.collect().await;
            let bursts = words.into_iter().filter_map(|word| match word {
                Word::Burst(burst) => Some(burst),
                Word::End(_) => None,
            });
            let rest: Result<Vec<_>, _> = bursts.collect();
            Ok(rest?)
        };
        let rest: Vec<_> = answer(stop).await?;
        Ok(self.merge.add(rest.into_iter().flatten().map(tagged)))
    }

    /// Returns once the queues themselves have taken every acknowledgement written on this channel, with what they
    /// delivered to that end: nothing, where they have a single active consumer.
    pub(super) async fn settle(&mut self) -> Result<Vec<Taken>, IntakeError> {
        let mut taken = Vec::new();
        for (place, queue) in self.queues.iter().enumerate() {
            let mut passing = settle(&self.channel, queue, &self.consumer_name).await?;
            while let Some(delivery) = passing.next().await {
                let (queue, delivery) = (place, delivery?);
                taken.push(Taken { queue, delivery });
            }
        }
        Ok(self.merge.add(taken.into_iter().map(tagged)))
    }

    /// What has come, at least one; waits for ever while not open. Nothing is lost if the wait is given up.
    pub(super) async fn next(&mut self) -> Result<Vec<Taken>, IntakeError> {
        let Some(consumers) = &mut self.consumers else {
            return std::future::pending().await;
        };
        loop {
            match consumers.words.next().await {
                Some(Word::Burst(burst)) => {
                    let due = self.merge.add(burst?.into_iter().map(tagged));
                    if !due.is_empty() {
                        self.flow.note(Instant::now());
                        return Ok(due);
                    }
                }
                Some(Word::End(place)) => {
                    let queue = self.queues.get(place).cloned().unwrap_or_default();
                    return Err(IntakeError::Cancelled { queue });
                }
                // After the last end, which was an error already.
                None => return std::future::pending().await,
            }
        }
    }
}

/// Returns once the queue itself has taken every acknowledgement written on this channel.
///
/// RabbitMQ's channel passes on only so many before the queue has answered, keeps the others back, and forgets those
/// when it closes. Nothing of AMQP asks for them, but beginning to consume waits for what was passed on; by the time it has
/// ended, what was kept back has followed. Should the queue have no other consumer, at most one delivery comes of it: it is
/// what the returned consumer, which is cancelled, still has to say. Left unread it goes back with the channel.
pub(super) async fn settle(channel: &Channel, queue: &str, name: &str) -> lapin::Result<Consumer> {
    let tag = super::short(&format!("settle-{name}"));
    channel
        .basic_qos(1, BasicQosOptions { global: false })
        .await?;
    let passing = consume(channel, queue, &tag, FieldTable::default()).await?;
    channel
        .basic_cancel(tag, BasicCancelOptions { nowait: false })
        .await?;
    Ok(passing)
}

pub(super) async fn consume(
    channel: &Channel,
    queue: &str,
    tag: &ShortString,
    arguments: FieldTable,
) -> lapin::Result<Consumer> {
    let options = BasicConsumeOptions {
        no_local: false,
        no_ack: false,
        exclusive: false,
        nowait: false,
    };
    channel
        .basic_consume(super::short(queue), tag.clone(), options, arguments)
        .await
}

/// How much this worker wants each of the queues; 1 is the least. Every worker has an order of its own, by which RabbitMQ 4
/// spreads the queues over the workers, once the one before has settled what it holds. RabbitMQ 3 leaves each queue to
/// the worker that came first.
fn ranks(queues: usize, worker: &str) -> Vec<i32> {
    let mut hasher = DefaultHasher::new();
    worker.hash(&mut hasher);
    let mut ranks: Vec<i32> = (1..).take(queues).collect();
    fastrand::Rng::with_seed(hasher.finish()).shuffle(&mut ranks);
    ranks
}

fn words(consumer: Consumer, queue: usize) -> BoxStream<'static, Word> {
    let bursts = consumer.ready_chunks(BURST_MAX).map(move |burst| {
        let taken = |delivery| Taken { queue, delivery };
        Word::Burst(burst.into_iter().map(|read| read.map(taken)).collect())
    });
    bursts
        .chain(stream::once(async move { Word::End(queue) }))
        .boxed()
}

fn tagged(taken: Taken) -> (u64, Taken) {
    (taken.delivery.delivery_tag, taken)
}

async fn answer<T>(asked: impl Future<Output = Result<T, IntakeError>>) -> Result<T, IntakeError> {
    timeout(ANSWER_TIMEOUT, asked)
        .await
        .map_err(|_| IntakeError::NoAnswer)?
}

/// What the worker gets of a delivery, and what stays here in case it becomes a dead letter.
pub(super) fn split(Taken { queue, delivery }: Taken, epoch: Epoch) -> (Incoming, Held) {
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
        traceparent: header(&properties, trace_context::HEADER).and_then(text),
        replay: header(&properties, dead_letter::REPLAY).and_then(count),
    };
    let held = Held {
        body,
        properties,
        routing_key,
        queue,
    };
    (incoming, held)
}

pub(super) fn header<'p>(properties: &'p BasicProperties, name: &str) -> Option<&'p AMQPValue> {
    properties.headers().as_ref()?.inner().get(name)
}

fn text(value: &AMQPValue) -> Option<String> {
    let bytes = value.as_long_string()?.as_bytes();
    String::from_utf8(bytes.to_vec()).ok()
}

/// A whole number in whichever of AMQP's kinds the publisher's library chose; text counts too.
pub(super) fn count(value: &AMQPValue) -> Option<u32> {
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

    fn taken(headers: &[(&str, AMQPValue)]) -> Taken {
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
        Taken { queue: 0, delivery }
    }

    #[test]
    fn a_delivery_comes_with_its_ticket_and_what_its_properties_say() {
        let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let headers = [("traceparent", AMQPValue::LongString(trace.into()))];
        let (incoming, held) = split(taken(&headers), Epoch(3));
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
    fn every_worker_ranks_all_queues_and_always_in_its_own_order() {
        let sorted = |mut ranks: Vec<i32>| {
            ranks.sort_unstable();
            ranks
        };
        assert_eq!(sorted(ranks(8, "one")), [1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(ranks(8, "one"), ranks(8, "one"));
        assert_ne!(ranks(8, "one"), ranks(8, "another"));
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
            let (incoming, _) = split(taken(&[("clockout-replay", value.clone())]), Epoch(1));
            assert_eq!(incoming.replay, expected, "{value:?}");
        }
    }
}
