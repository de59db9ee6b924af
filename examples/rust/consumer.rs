//! Hears from clockout what became of each agent, on a durable queue of its own.
//!
//! ```text
//! consumer QUEUE PATTERN [COUNT]
//! consumer crm.outcomes '*.failed.#'
//! ```
//!
//! PATTERN is held against `<action>.<status>.<pbx>.<queue>`. Ends after COUNT outcomes, or never. What comes while it is
//! not running waits in the queue.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "an example, which talks to whoever started it"
)]

use std::collections::{HashSet, VecDeque};
use std::env;

use anyhow::{Context as _, bail};
use futures_util::StreamExt as _;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicQosOptions, QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Connection, ConnectionProperties, Consumer};
use serde::Deserialize;

const PREFETCH: u16 = 100;
const REMEMBERED: usize = 10_000;

/// What this example wants to know of it; docs/schemas/outcome.json has all.
#[derive(Debug, Deserialize)]
struct Outcome {
    #[serde(rename = "outcome_id")]
    id: String,
    action: Option<String>,
    queue: Option<String>,
    agent: Option<String>,
    status: String,
    code: String,
    message: Option<String>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let (queue, pattern, count) = match arguments.as_slice() {
        [queue, pattern] => (queue, pattern, usize::MAX),
        [queue, pattern, count] => (queue, pattern, count.parse()?),
        _ => bail!("usage: consumer QUEUE PATTERN [COUNT]"),
    };
    let url = env::var("AMQP_URL").unwrap_or("amqp://guest:guest@127.0.0.1:5672/%2f".into());
    let connection = Connection::connect(&url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    let mut deliveries = subscribe(&channel, queue, pattern).await?;
    println!("listening");

    let mut seen = Seen::default();
    let mut handled = 0;
    while handled < count {
        let delivery = deliveries
            .next()
            .await
            .context("RabbitMQ ended the subscription")??;
        let outcome: Outcome = serde_json::from_slice(&delivery.data)?;
        if seen.is_new(&outcome.id) {
            handle(&outcome);
            handled += 1;
        }
        // Only now: what is not acknowledged comes again.
        delivery.ack(BasicAckOptions::default()).await?;
    }
    connection.close(200, "done".into()).await?;
    Ok(())
}

async fn subscribe(channel: &Channel, queue: &str, pattern: &str) -> lapin::Result<Consumer> {
    let exchange = env::var("RESULTS_EXCHANGE").unwrap_or("clockout.results".into());
    let mut arguments = FieldTable::default();
    arguments.insert(
        "x-queue-type".into(),
        AMQPValue::LongString("quorum".into()),
    );
    let table = FieldTable::default;
    channel
        .queue_declare(queue.into(), QueueDeclareOptions::durable(), arguments)
        .await?;
    channel
        .queue_bind(
            queue.into(),
            exchange.as_str().into(),
            pattern.into(),
            QueueBindOptions::default(),
            table(),
        )
        .await?;
    channel
        .basic_qos(PREFETCH, BasicQosOptions::default())
        .await?;
    let by_hand = BasicConsumeOptions::default();
    channel
        .basic_consume(queue.into(), "".into(), by_hand, table())
        .await
}

/// Here goes what you do with it, before it is acknowledged.
fn handle(outcome: &Outcome) {
    let part = |part: &Option<String>| part.clone().unwrap_or("_".to_owned());
    let Outcome { status, code, .. } = outcome;
    println!(
        "{} {}/{}: {status}, {code}: {}",
        part(&outcome.action),
        part(&outcome.queue),
        part(&outcome.agent),
        part(&outcome.message),
    );
}

/// An outcome can come twice, with the same id. A database with a unique key remembers longer than this does.
#[derive(Debug, Default)]
struct Seen {
    ids: HashSet<String>,
    oldest_first: VecDeque<String>,
}

impl Seen {
    fn is_new(&mut self, id: &str) -> bool {
        let is_new = self.ids.insert(id.to_owned());
        if is_new {
            self.oldest_first.push_back(id.to_owned());
            if self.ids.len() > REMEMBERED
                && let Some(oldest) = self.oldest_first.pop_front()
            {
                self.ids.remove(&oldest);
            }
        }
        is_new
    }
}
