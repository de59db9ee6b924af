//! Declares what stands in RabbitMQ (CONTRACT §1), or checks that it stands.
//!
//! Never changes or deletes what stands already: RabbitMQ compares, and what differs is told as an error.

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Channel, Connection, ErrorKind, ExchangeKind};

use super::{Names, Settings, short};

/// How long outcomes that nobody fetched are kept.
const RESULTS_TTL_MS: i32 = 7 * 24 * 60 * 60 * 1000;

const BIND_ALL: &str = "#";

/// Why the topology cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum TopologyError {
    #[error(
        "{thing} stands with other arguments: `{argument}` is {is} and should be {should_be}; \
         delete it when it is empty, or give another name in the settings"
    )]
    Differs {
        thing: String,
        argument: String,
        is: String,
        should_be: String,
    },
    #[error(
        "{thing} is not there: create it, or set topology.declare = true for a user with configure rights"
    )]
    Missing { thing: String },
    #[error("no right to use {thing}: {reply}")]
    Forbidden { thing: String, reply: String },
    #[error("cannot set up {thing}: {source}")]
    Failed { thing: String, source: lapin::Error },
}

const PRECONDITION_FAILED: u16 = 406;
const NOT_FOUND: u16 = 404;
const ACCESS_REFUSED: u16 = 403;

/// One exchange or queue, with the arguments it should have.
struct Queue<'n> {
    name: &'n str,
    exchange: &'n str,
    arguments: FieldTable,
}

/// Declares or checks everything, and stops at the first thing that is wrong.
pub(super) async fn set_up(
    connection: &Connection,
    settings: &Settings,
) -> Result<(), TopologyError> {
    let names = &settings.names;
    let queues = queues(names, settings.delivery_limit.get());
    let channel = connection
        .create_channel()
        .await
        .map_err(|source| TopologyError::Failed {
            thing: "the topology".to_owned(),
            source,
        })?;
    for exchange in [
        &names.jobs_exchange,
        &names.results_exchange,
        &names.dead_exchange,
    ] {
        stand_exchange(&channel, exchange, settings.declare).await?;
    }
    for queue in &queues {
        stand_queue(&channel, queue, settings.declare).await?;
    }
    if settings.declare {
        for queue in &queues {
            bind(&channel, queue).await?;
        }
    }
    // It has done its work; a failure to close it would show on the connection itself.
    drop(channel);
    Ok(())
}

fn queues(names: &Names, delivery_limit: u32) -> Vec<Queue<'_>> {
    let quorum = ("x-queue-type", text("quorum"));
    let delivery_limit = i64::from(delivery_limit);
    let dead = Queue {
        name: &names.dead_queue,
        exchange: &names.dead_exchange,
        arguments: table([quorum.clone()]),
    };
    let results = names.results_queue.as_ref().map(|name| Queue {
        name,
        exchange: &names.results_exchange,
        arguments: table([
            quorum.clone(),
            ("x-message-ttl", AMQPValue::LongInt(RESULTS_TTL_MS)),
        ]),
    });
    let jobs = Queue {
        name: &names.jobs_queue,
        exchange: &names.jobs_exchange,
        arguments: table([
            quorum,
            ("x-single-active-consumer", AMQPValue::Boolean(true)),
            ("x-delivery-limit", AMQPValue::LongLongInt(delivery_limit)),
            ("x-dead-letter-exchange", text(&names.dead_exchange)),
            // RabbitMQ gives this up silently unless the queue also rejects what does not fit.
            ("x-dead-letter-strategy", text("at-least-once")),
            ("x-overflow", text("reject-publish")),
        ]),
    };
    [Some(dead), results, Some(jobs)]
        .into_iter()
        .flatten()
        .collect()
}

async fn stand_exchange(channel: &Channel, name: &str, declare: bool) -> Result<(), TopologyError> {
    let options = ExchangeDeclareOptions {
        passive: !declare,
        durable: true,
        auto_delete: false,
        internal: false,
        nowait: false,
    };
    channel
        .exchange_declare(
            short(name),
            ExchangeKind::Topic,
            options,
            FieldTable::default(),
        )
        .await
        .map_err(|error| explain(format!("exchange `{name}`"), error))
}

async fn stand_queue(
    channel: &Channel,
    queue: &Queue<'_>,
    declare: bool,
) -> Result<(), TopologyError> {
    let options = QueueDeclareOptions {
        passive: !declare,
        durable: true,
        exclusive: false,
        auto_delete: false,
        nowait: false,
    };
    channel
        .queue_declare(short(queue.name), options, queue.arguments.clone())
        .await
        .map(drop)
        .map_err(|error| explain(format!("queue `{}`", queue.name), error))
}

async fn bind(channel: &Channel, queue: &Queue<'_>) -> Result<(), TopologyError> {
    channel
        .queue_bind(
            short(queue.name),
            short(queue.exchange),
            BIND_ALL.into(),
            QueueBindOptions { nowait: false },
            FieldTable::default(),
        )
        .await
        .map_err(|error| {
            let (queue, exchange) = (queue.name, queue.exchange);
            explain(
                format!("the binding of queue `{queue}` to exchange `{exchange}`"),
                error,
            )
        })
}

fn explain(thing: String, error: lapin::Error) -> TopologyError {
    let ErrorKind::ProtocolError(refusal) = error.kind() else {
        return TopologyError::Failed {
            thing,
            source: error,
        };
    };
    let reply = refusal.get_message().to_string();
    match refusal.get_id() {
        PRECONDITION_FAILED => match difference(&reply) {
            Some((argument, is, should_be)) => TopologyError::Differs {
                thing,
                argument,
                is,
                should_be,
            },
            None => TopologyError::Failed {
                thing,
                source: error,
            },
        },
        NOT_FOUND => TopologyError::Missing { thing },
        ACCESS_REFUSED => TopologyError::Forbidden { thing, reply },
        _ => TopologyError::Failed {
            thing,
            source: error,
        },
    }
}

/// Reads RabbitMQ's `inequivalent arg 'x-delivery-limit' for queue 'q' in vhost '/': received the value '100' of type
/// 'signedint' but current is the value '50' of type 'long'` as (argument, what it is, what it should be).
fn difference(reply: &str) -> Option<(String, String, String)> {
    let (_, rest) = reply.split_once("inequivalent arg '")?;
    let (argument, rest) = rest.split_once('\'')?;
    let (_, rest) = rest.split_once(": received ")?;
    let (should_be, is) = rest.split_once(" but current is ")?;
    Some((argument.to_owned(), value(is), value(should_be)))
}

/// `the value 'x' of type 't'`, `'x'` or `none`, as RabbitMQ words it.
fn value(words: &str) -> String {
    match words.split('\'').nth(1) {
        Some(quoted) => format!("`{quoted}`"),
        None => "not set".to_owned(),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rabbitmqs_words_for_other_arguments_are_understood() {
        let reply = |end: &str| {
            format!("PRECONDITION_FAILED - inequivalent arg 'x' for queue 'q' in vhost '/': {end}")
        };
        let cases = [
            (
                "received the value '100' of type 'signedint' but current is the value '50' of type 'long'",
                Some(("`50`", "`100`")),
            ),
            (
                "received the value 'quorum' of type 'longstr' but current is none",
                Some(("not set", "`quorum`")),
            ),
            (
                "received none but current is the value '5' of type 'long'",
                Some(("`5`", "not set")),
            ),
            (
                "received 'true' but current is 'false'",
                Some(("`false`", "`true`")),
            ),
            ("something else", None),
        ];
        for (end, expected) in cases {
            let expected =
                expected.map(|(is, should)| ("x".to_owned(), is.to_owned(), should.to_owned()));
            assert_eq!(difference(&reply(end)), expected, "{end}");
        }
    }
}
