//! Looks at what stands, and at what the user may do, as the worker will need both. Changes nothing.
//!
//! Only what stands already is declared: RabbitMQ compares it with that, and leaves it as it is.

use std::time::Duration;

use lapin::{Channel, Connection};
use tokio::time::timeout;

use super::{
    Exchange, Queue, TopologyError, bindings, exchanges, open_channel, queues, rights,
    stand_exchange, stand_queue,
};
use crate::broker::Settings;

/// Longest wait for an answer: a quorum queue without a leader gives none.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// One finding for each exchange and queue, and for the rights beside those to declare them.
pub(in crate::broker) async fn inspect(
    connection: &Connection,
    settings: &Settings,
) -> Vec<Result<String, TopologyError>> {
    let names = &settings.names;
    let mut others = Vec::new();
    for queue in queues(names, settings.delivery_limit.get()) {
        others.push(inspect_queue(connection, queue, settings.declare).await);
    }
    others.extend(inspect_rights(connection, settings).await);
    // Last: RabbitMQ 3 closes the connection over a type of exchange that it does not know.
    let mut findings = Vec::new();
    for exchange in exchanges(names) {
        findings.push(inspect_exchange(connection, exchange, settings.declare).await);
    }
    findings.extend(others);
    findings
}

async fn inspect_exchange(
    connection: &Connection,
    exchange: Exchange,
    declare: bool,
) -> Result<String, TopologyError> {
    let thing = format!("exchange `{}`", exchange.name);
    let stand = async |channel: &Channel, declare: bool| {
        stand_exchange(channel, exchange.clone(), declare).await
    };
    let may_declare = async |channel: &Channel| rights::declare_exchange(channel, &exchange).await;
    let stands = look(connection, &thing, stand, may_declare, declare).await?;
    Ok(describe(&thing, declare, stands.map(|()| String::new())))
}

async fn inspect_queue(
    connection: &Connection,
    queue: Queue,
    declare: bool,
) -> Result<String, TopologyError> {
    let thing = format!("queue `{}`", queue.name);
    let stand =
        async |channel: &Channel, declare: bool| stand_queue(channel, queue.clone(), declare).await;
    let may_declare = async |channel: &Channel| rights::declare_queue(channel, &queue).await;
    let stands = look(connection, &thing, stand, may_declare, declare).await?;
    let counts = stands.map(|queue| {
        let (messages, consumers) = (queue.message_count(), queue.consumer_count());
        format!(" ({messages} waiting, {consumers} consuming)")
    });
    Ok(describe(&thing, declare, counts))
}

/// What stands, and as it should if that is for the worker to say; `None` if nothing stands and the worker may declare it.
async fn look<T>(
    connection: &Connection,
    thing: &str,
    stand: impl AsyncFn(&Channel, bool) -> Result<T, TopologyError>,
    may_declare: impl AsyncFnOnce(&Channel) -> Result<(), TopologyError>,
    declare: bool,
) -> Result<Option<T>, TopologyError> {
    let passively = async |channel: &Channel| stand(channel, false).await;
    match ask(connection, thing, passively).await {
        Ok(stands) if !declare => Ok(Some(stands)),
        Ok(_) => {
            let compared = async |channel: &Channel| stand(channel, true).await;
            ask(connection, thing, compared).await.map(Some)
        }
        Err(TopologyError::Missing { .. }) if declare => {
            ask(connection, thing, may_declare).await?;
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn describe(thing: &str, declare: bool, stands: Option<String>) -> String {
    match stands {
        Some(detail) if declare => format!("{thing} stands as it should{detail}"),
        Some(detail) => format!("{thing} stands{detail}"),
        None => format!("{thing} is not there yet; the worker may declare it"),
    }
}

/// Each right that is missing, or that none is.
async fn inspect_rights(
    connection: &Connection,
    settings: &Settings,
) -> Vec<Result<String, TopologyError>> {
    let names = &settings.names;
    let mut answers = Vec::new();
    for binding in bindings(names).filter(|_| settings.declare) {
        let thing = binding.to_string();
        let bind = async |channel: &Channel| rights::bind(channel, binding).await;
        answers.push(ask(connection, &thing, bind).await);
    }
    for exchange in [&names.results_exchange, &names.dead_exchange] {
        let publish = async |channel: &Channel| rights::publish(channel, exchange).await;
        answers.push(ask(connection, exchange, publish).await);
    }
    for queue in names.jobs_queues() {
        let consume = async |channel: &Channel| rights::consume(channel, &queue).await;
        answers.push(ask(connection, &queue, consume).await);
    }
    let missing = answers.into_iter().filter_map(Result::err);
    let missing: Vec<_> = missing.map(Err).collect();
    if missing.is_empty() {
        let may = "this user may consume jobs, and publish outcomes and dead letters";
        return vec![Ok(may.to_owned())];
    }
    missing
}

/// Asks on a channel of its own, as RabbitMQ closes a channel with what it refuses.
async fn ask<T>(
    connection: &Connection,
    thing: &str,
    question: impl AsyncFnOnce(&Channel) -> Result<T, TopologyError>,
) -> Result<T, TopologyError> {
    let answer = async {
        let channel = open_channel(connection).await?;
        question(&channel).await
    };
    let mute = || TopologyError::Mute {
        thing: thing.to_owned(),
    };
    timeout(ANSWER_MAX, answer)
        .await
        .unwrap_or_else(|_| Err(mute()))
}
