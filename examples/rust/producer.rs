//! Sends jobs to clockout, one per PBX queue, and is sure that RabbitMQ has them.
//!
//! ```text
//! producer SHIFT ACTION QUEUE:AGENT[,AGENT...]...
//! producer shift-2291 pause 10000:570,553 10001:602
//! ```
//!
//! Ends with 0 once every job is stored in a queue. After anything else run it again with the same arguments: a job is
//! known again by its `job_id` and not done twice.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "an example, which talks to whoever started it"
)]

use std::env;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use jiff::{SignedDuration, Timestamp};
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties};
use serde::Serialize;

const PERSISTENT: u8 = 2;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<ExitCode> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let (shift, action, orders) = match arguments.as_slice() {
        [shift, action, orders @ ..] if !orders.is_empty() => (shift, action, orders),
        _ => bail!("usage: producer SHIFT ACTION QUEUE:AGENT[,AGENT...]..."),
    };
    let url = env::var("AMQP_URL").unwrap_or("amqp://guest:guest@127.0.0.1:5672/%2f".into());
    let exchange = env::var("JOBS_EXCHANGE").unwrap_or("clockout.jobs".into());

    let connection = Connection::connect(&url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    channel
        .confirm_select(ConfirmSelectOptions::default())
        .await?;
    let mut refused = 0;
    for order in orders {
        let job = make_job(shift, action, order)?;
        // One by one: lapin may hand a returned message to another publish that waits at the same time.
        if let Some(why) = publish(&channel, &exchange, &job).await? {
            eprintln!("{}: {why}", job.id);
            refused += 1;
        }
    }
    connection.close(200, "done".into()).await?;

    let all = orders.len();
    println!("confirmed: {} of {all} jobs", all - refused);
    Ok(ExitCode::from(u8::from(refused > 0)))
}

/// docs/schemas/job.json has all that there is to say.
#[derive(Debug, Serialize)]
struct Job<'a> {
    #[serde(rename = "job_id")]
    id: String,
    correlation_id: &'a str,
    action: &'a str,
    queue: &'a str,
    agents: Vec<&'a str>,
    reason: &'static str,
    expires_at: String,
}

fn make_job<'a>(shift: &'a str, action: &'a str, order: &'a str) -> anyhow::Result<Job<'a>> {
    let (queue, agents) = order.split_once(':').context("QUEUE:AGENT")?;
    // Later than this it would hit the next shift.
    let expires_at = Timestamp::now() + SignedDuration::from_mins(10);
    Ok(Job {
        id: format!("{shift}/{queue}/{action}"),
        correlation_id: shift,
        action,
        queue,
        agents: agents.split(',').collect(),
        reason: "shift end",
        expires_at: expires_at.to_string(),
    })
}

/// `None` once RabbitMQ has stored the job in a queue; else why it has not.
async fn publish(
    channel: &Channel,
    exchange: &str,
    job: &Job<'_>,
) -> anyhow::Result<Option<&'static str>> {
    let options = BasicPublishOptions {
        mandatory: true,
        ..BasicPublishOptions::default()
    };
    let properties = BasicProperties::default()
        .with_content_type("application/json".into())
        .with_delivery_mode(PERSISTENT);
    let body = serde_json::to_vec(job)?;
    let confirm = channel
        .basic_publish(
            exchange.into(),
            job.queue.into(),
            options,
            &body,
            properties,
        )
        .await?;
    Ok(match confirm.await? {
        Confirmation::Ack(None) => None,
        Confirmation::Ack(Some(_)) => Some("returned, no queue takes it"),
        Confirmation::Nack(_) | Confirmation::NotRequested => Some("RabbitMQ could not store it"),
    })
}
