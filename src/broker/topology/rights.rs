//! What the user may do, found out without doing it: by requests that RabbitMQ can only refuse. It looks at the rights
//! before it looks at the rest, so what else is wrong with a request is told only to those who may make it.

use lapin::Channel;
use lapin::options::{
    BasicConsumeOptions, ExchangeDeclareOptions, ExchangeUnbindOptions, QueueDeclareOptions,
};
use lapin::types::AMQPValue;

use super::refusal::{self, explain};
use super::{Binding, Exchange, Queue, TopologyError, short, table, text, unbind};

/// No exchange of this name stands, and nothing is bound with this key.
const NEVER: &str = "clockout.check.never";

/// Also whether the queue may dead-letter to its exchange, which is a right of whoever declares it.
pub(super) async fn declare_queue(channel: &Channel, queue: &Queue) -> Result<(), TopologyError> {
    let mut arguments = queue.arguments.clone();
    // Must be positive; a queue that is never used would go at once.
    arguments.insert("x-expires".into(), AMQPValue::LongInt(0));
    let options = QueueDeclareOptions::durable();
    let answer = channel
        .queue_declare(short(&queue.name), options, arguments)
        .await;
    judge("declare", &format!("queue `{}`", queue.name), answer)
}

pub(super) async fn declare_exchange(
    channel: &Channel,
    exchange: &Exchange,
) -> Result<(), TopologyError> {
    let options = ExchangeDeclareOptions {
        durable: true,
        ..ExchangeDeclareOptions::default()
    };
    // Must be the name of an exchange.
    let arguments = table([("alternate-exchange", AMQPValue::Boolean(true))]);
    let answer = channel
        .exchange_declare(
            short(&exchange.name),
            exchange.kind.clone(),
            options,
            arguments,
        )
        .await;
    judge("declare", &format!("exchange `{}`", exchange.name), answer)
}

/// Taking a binding away needs the same rights as making it.
pub(super) async fn bind(channel: &Channel, binding: Binding) -> Result<(), TopologyError> {
    let thing = binding.to_string();
    let never = Binding {
        key: NEVER,
        ..binding
    };
    match unbind(channel, never).await {
        Ok(()) | Err(TopologyError::Missing { .. }) => Ok(()),
        Err(error) => Err(error.when("make", &thing)),
    }
}

/// To publish takes the right to write, and so does binding an exchange to another.
pub(super) async fn publish(channel: &Channel, exchange: &str) -> Result<(), TopologyError> {
    let options = ExchangeUnbindOptions { nowait: false };
    let answer = channel
        .exchange_unbind(
            short(exchange),
            NEVER.into(),
            NEVER.into(),
            options,
            table([]),
        )
        .await;
    match answer {
        // It takes the right to read from the other one, too, which was looked at later.
        Err(error) if refusal::names(&error, NEVER) => Ok(()),
        answer => judge("publish to", &format!("exchange `{exchange}`"), answer),
    }
}

pub(super) async fn consume(channel: &Channel, queue: &str) -> Result<(), TopologyError> {
    // Must be a number.
    let arguments = table([("x-priority", text("none"))]);
    let options = BasicConsumeOptions::default();
    let answer = channel
        .basic_consume(short(queue), NEVER.into(), options, arguments)
        .await;
    judge("consume", &format!("queue `{queue}`"), answer)
}

fn judge<T>(doing: &str, thing: &str, answer: lapin::Result<T>) -> Result<(), TopologyError> {
    let Err(error) = answer else { return Ok(()) };
    let is_due = refusal::is_about_the_thing(&error);
    let error = explain(thing.to_owned(), error);
    if is_due && !matches!(error, TopologyError::NoPlugin) {
        return Ok(());
    }
    Err(error.when(doing, thing))
}
