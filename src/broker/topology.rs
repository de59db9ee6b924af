//! Declares what stands in RabbitMQ (CONTRACT §1), or checks that it stands.
//!
//! Never changes or deletes a queue or exchange that stands already: RabbitMQ compares, and what differs is told as an
//! error. Only bindings that belong to another `jobs.shards` are taken away.

mod inspection;
mod left_over;
mod refusal;
mod rights;

use std::iter::once;

use lapin::options::{
    ExchangeBindOptions, ExchangeDeclareOptions, ExchangeUnbindOptions, QueueBindOptions,
    QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Channel, Connection, ExchangeKind};

use super::{Names, Settings, short};

pub(super) use inspection::inspect;
pub(super) use left_over::LeftOver;
pub use refusal::Difference;
pub(super) use refusal::{TopologyError, explain};

/// How long outcomes that nobody fetched are kept.
const RESULTS_TTL_MS: i32 = 7 * 24 * 60 * 60 * 1000;

const BIND_ALL: &str = "#";

/// The type of the exchange that spreads jobs over shards by their routing key.
const SPREADING: &str = "x-consistent-hash";

/// The binding key of a shard: its weight. All weigh the same.
const SHARD_WEIGHT: &str = "1";

#[derive(Clone)]
struct Exchange {
    name: String,
    kind: ExchangeKind,
}

/// A queue with the arguments it should have.
#[derive(Clone)]
struct Queue {
    name: String,
    arguments: FieldTable,
}

enum Destination {
    Queue(String),
    Exchange(String),
}

struct Binding {
    source: String,
    destination: Destination,
    key: &'static str,
}

/// Declares or checks everything, and stops at the first thing that is wrong.
pub(super) async fn set_up(
    connection: &Connection,
    settings: &Settings,
    left_over: &[String],
) -> Result<(), TopologyError> {
    let names = &settings.names;
    let channel = open_channel(connection).await?;
    for exchange in exchanges(names) {
        stand_exchange(&channel, exchange, settings.declare).await?;
    }
    for queue in queues(names, settings.delivery_limit.get()) {
        stand_queue(&channel, queue, settings.declare).await?;
    }
    if settings.declare {
        for binding in bindings(names) {
            bind(&channel, binding).await?;
        }
        for binding in outdated_bindings(names, left_over) {
            unbind(&channel, binding).await?;
        }
        // A worker with another number of shards may have taken away ours meanwhile, and jobs must never have no way in.
        bind(&channel, entry(names)).await?;
    }
    // It has done its work; a failure to close it would show on the connection itself.
    drop(channel);
    Ok(())
}

async fn open_channel(connection: &Connection) -> Result<Channel, TopologyError> {
    connection
        .create_channel()
        .await
        .map_err(|source| TopologyError::Failed {
            thing: "the topology".to_owned(),
            source,
        })
}

fn exchanges(names: &Names) -> impl Iterator<Item = Exchange> {
    let topics = [
        &names.jobs_exchange,
        &names.results_exchange,
        &names.dead_exchange,
    ];
    let topics = topics.map(|name| Exchange {
        name: name.clone(),
        kind: ExchangeKind::Topic,
    });
    let spreading = names.is_sharded().then(|| Exchange {
        name: names.shards_exchange(),
        kind: ExchangeKind::Custom(SPREADING.into()),
    });
    topics.into_iter().chain(spreading)
}

fn queues(names: &Names, delivery_limit: u32) -> impl Iterator<Item = Queue> {
    let quorum = ("x-queue-type", text("quorum"));
    let delivery_limit = i64::from(delivery_limit);
    let dead = Queue {
        name: names.dead_queue.clone(),
        arguments: table([quorum.clone()]),
    };
    let results = names.results_queue.clone().map(|name| Queue {
        name,
        arguments: table([
            quorum.clone(),
            ("x-message-ttl", AMQPValue::LongInt(RESULTS_TTL_MS)),
        ]),
    });
    let jobs = table([
        quorum,
        ("x-single-active-consumer", AMQPValue::Boolean(true)),
        ("x-delivery-limit", AMQPValue::LongLongInt(delivery_limit)),
        ("x-dead-letter-exchange", text(&names.dead_exchange)),
        // RabbitMQ gives this up silently unless the queue also rejects what does not fit.
        ("x-dead-letter-strategy", text("at-least-once")),
        ("x-overflow", text("reject-publish")),
    ]);
    let jobs = names.jobs_queues().map(move |name| Queue {
        name,
        arguments: jobs.clone(),
    });
    once(dead).chain(results).chain(jobs)
}

/// In the order to make them: the way in is opened when all beyond it is there.
fn bindings(names: &Names) -> impl Iterator<Item = Binding> {
    let all = |source: &String, queue| Binding {
        source: source.clone(),
        destination: Destination::Queue(queue),
        key: BIND_ALL,
    };
    let dead = all(&names.dead_exchange, names.dead_queue.clone());
    let results = names.results_queue.clone();
    let results = results.map(|queue| all(&names.results_exchange, queue));
    let shards = names.jobs_queues().filter(|_| names.is_sharded());
    once(dead)
        .chain(results)
        .chain(shards.map(|shard| shard_binding(names, shard)))
        .chain(once(entry(names)))
}

/// Those of another number of shards.
fn outdated_bindings(names: &Names, left_over: &[String]) -> Vec<Binding> {
    if names.is_sharded() {
        let shards = left_over.iter();
        let shards = shards.map(|shard| shard_binding(names, shard.clone()));
        once(unsharded_entry(names)).chain(shards).collect()
    } else if left_over.is_empty() {
        Vec::new()
    } else {
        vec![sharded_entry(names)]
    }
}

/// The way of jobs from their exchange to their queue, or to the exchange that spreads them.
fn entry(names: &Names) -> Binding {
    if names.is_sharded() {
        sharded_entry(names)
    } else {
        unsharded_entry(names)
    }
}

fn unsharded_entry(names: &Names) -> Binding {
    Binding {
        source: names.jobs_exchange.clone(),
        destination: Destination::Queue(names.jobs_queue.clone()),
        key: BIND_ALL,
    }
}

fn sharded_entry(names: &Names) -> Binding {
    Binding {
        source: names.jobs_exchange.clone(),
        destination: Destination::Exchange(names.shards_exchange()),
        key: BIND_ALL,
    }
}

fn shard_binding(names: &Names, shard: String) -> Binding {
    Binding {
        source: names.shards_exchange(),
        destination: Destination::Queue(shard),
        key: SHARD_WEIGHT,
    }
}

async fn stand_exchange(
    channel: &Channel,
    exchange: Exchange,
    declare: bool,
) -> Result<(), TopologyError> {
    let options = ExchangeDeclareOptions {
        passive: !declare,
        durable: true,
        auto_delete: false,
        internal: false,
        nowait: false,
    };
    let Exchange { name, kind } = exchange;
    channel
        .exchange_declare(short(&name), kind, options, FieldTable::default())
        .await
        .map_err(|error| explain(format!("exchange `{name}`"), error))
}

/// What stands now: also how many messages wait in it, and how many consumers it has.
async fn stand_queue(
    channel: &Channel,
    queue: Queue,
    declare: bool,
) -> Result<lapin::Queue, TopologyError> {
    let options = QueueDeclareOptions {
        passive: !declare,
        durable: true,
        exclusive: false,
        auto_delete: false,
        nowait: false,
    };
    let Queue { name, arguments } = queue;
    channel
        .queue_declare(short(&name), options, arguments)
        .await
        .map_err(|error| explain(format!("queue `{name}`"), error))
}

async fn bind(channel: &Channel, binding: Binding) -> Result<(), TopologyError> {
    let (source, key) = (short(&binding.source), binding.key.into());
    let none = FieldTable::default();
    let made = match &binding.destination {
        Destination::Queue(queue) => {
            let options = QueueBindOptions { nowait: false };
            channel
                .queue_bind(short(queue), source, key, options, none)
                .await
        }
        Destination::Exchange(exchange) => {
            let options = ExchangeBindOptions { nowait: false };
            channel
                .exchange_bind(short(exchange), source, key, options, none)
                .await
        }
    };
    made.map_err(|error| explain(binding.to_string(), error))
}

/// What is not bound is fine.
async fn unbind(channel: &Channel, binding: Binding) -> Result<(), TopologyError> {
    let (source, key) = (short(&binding.source), binding.key.into());
    let none = FieldTable::default();
    let gone = match &binding.destination {
        Destination::Queue(queue) => channel.queue_unbind(short(queue), source, key, none).await,
        Destination::Exchange(exchange) => {
            let options = ExchangeUnbindOptions { nowait: false };
            channel
                .exchange_unbind(short(exchange), source, key, options, none)
                .await
        }
    };
    gone.map_err(|error| explain(binding.to_string(), error))
}

impl std::fmt::Display for Binding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let source = &self.source;
        let (kind, name) = match &self.destination {
            Destination::Queue(name) => ("queue", name),
            Destination::Exchange(name) => ("exchange", name),
        };
        write!(f, "the binding of {kind} `{name}` to exchange `{source}`")
    }
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

fn table<const N: usize>(arguments: [(&str, AMQPValue); N]) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in arguments {
        table.insert(ShortString::from(name), value);
    }
    table
}
