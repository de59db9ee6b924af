//! The floor: the least that a worker must do with the broker, and nothing else.
//!
//! Takes messages, publishes for each one a persistent message of the size of an outcome, waits for its confirm,
//! acknowledges in groups. No order, no retry, no PBX, no reading of jobs. Driven the way that gave the most here: two
//! connections, confirms awaited behind the publishing, one acknowledgement for many.

use std::collections::VecDeque;
use std::env;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use futures_util::StreamExt as _;
use lapin::PublisherConfirm;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions,
    ConfirmSelectOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use tokio::signal::unix::{SignalKind, signal};

use crate::contestant::FloorKind;

/// As clockout's default.
const PREFETCH: u16 = 4_000;

/// Deliveries acknowledged together.
const GROUP: u64 = 200;

/// An outcome as clockout writes it.
const OUTCOME: &str = include_str!("floor/outcome.json");

/// Work as little as can be; addresses come from the environment, as for a peer.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[arg(long, value_enum)]
    kind: FloorKind,
    /// End after so many jobs and print jobs per second, from the first delivery to the last acknowledgement.
    #[arg(long)]
    jobs: Option<u64>,
}

pub(crate) async fn execute(arguments: Arguments) -> Result<()> {
    let url = env::var("AMQP_URL").context("AMQP_URL")?;
    let queue = env::var("JOBS_QUEUE").context("JOBS_QUEUE")?;
    let consuming = Connection::connect(&url, ConnectionProperties::default()).await?;
    let intake = consuming.create_channel().await?;
    intake
        .basic_qos(PREFETCH, BasicQosOptions { global: false })
        .await?;
    let outcomes = match arguments.kind {
        FloorKind::Ack => None,
        FloorKind::Publish => Some(Outcomes::open(&url).await?),
    };
    let consumer = intake
        .basic_consume(
            queue.into(),
            "floor".into(),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        )
        .await?;
    let mut terminated = signal(SignalKind::terminate())?;
    tokio::select! {
        rate = work(&intake, consumer, outcomes, arguments.jobs.unwrap_or(u64::MAX)) => println!("{:.0}", rate?),
        _ = terminated.recv() => {}
    }
    consuming.close(200, "done".into()).await?;
    Ok(())
}

async fn work(
    intake: &Channel,
    mut consumer: lapin::Consumer,
    outcomes: Option<Outcomes>,
    jobs: u64,
) -> Result<f64> {
    let mut open: VecDeque<(u64, PublisherConfirm)> = VecDeque::new();
    let mut acknowledged = 0;
    let mut began = None;
    loop {
        let done = tokio::select! {
            biased;
            delivery = consumer.next() => {
                let tag = delivery.context("the broker cancelled the consumer")??.delivery_tag;
                began.get_or_insert_with(Instant::now);
                match &outcomes {
                    Some(outcomes) => { open.push_back((tag, outcomes.publish().await?)); continue }
                    None => tag,
                }
            }
            tag = confirmed(&mut open), if !open.is_empty() => tag?,
        };
        let quiet = outcomes.is_some() && open.is_empty();
        if done - acknowledged >= GROUP || quiet || done >= jobs {
            intake
                .basic_ack(done, BasicAckOptions { multiple: true })
                .await?;
            acknowledged = done;
        }
        if acknowledged >= jobs {
            // What is answered after the acknowledgements has come after them.
            intake
                .basic_qos(PREFETCH, BasicQosOptions { global: false })
                .await?;
            let took = began.map_or(f64::INFINITY, |began| began.elapsed().as_secs_f64());
            #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
            return Ok(jobs as f64 / took);
        }
    }
}

/// The oldest message that is not confirmed yet; there must be one. Nothing is lost if the wait is given up.
async fn confirmed(open: &mut VecDeque<(u64, PublisherConfirm)>) -> Result<u64> {
    let (tag, confirm) = open.front_mut().context("nothing is open")?;
    ensure!(confirm.await?.is_ack(), "the broker took no outcome");
    let tag = *tag;
    open.pop_front();
    Ok(tag)
}

struct Outcomes {
    _connection: Connection,
    channel: Channel,
    exchange: lapin::types::ShortString,
    properties: BasicProperties,
}

impl Outcomes {
    async fn open(url: &str) -> Result<Self> {
        let connection = Connection::connect(url, ConnectionProperties::default()).await?;
        let channel = connection.create_channel().await?;
        channel
            .confirm_select(ConfirmSelectOptions { nowait: false })
            .await?;
        let mut headers = FieldTable::default();
        for (name, value) in [
            ("pbx", "default"),
            ("queue", "10000"),
            ("agent", "100000"),
            ("action", "pause"),
            ("status", "succeeded"),
        ] {
            headers.insert(name.into(), AMQPValue::LongString(value.into()));
        }
        let properties = BasicProperties::default()
            .with_content_type("application/json".into())
            .with_delivery_mode(2)
            .with_message_id("6e9c4b57-6f5c-5f0e-9d49-5f0a4f3f2f0b".into())
            .with_correlation_id("shift-2291/10000".into())
            .with_type("clockout.outcome.v1".into())
            .with_app_id("clockout".into())
            .with_timestamp(1_795_000_000)
            .with_headers(headers);
        let exchange = env::var("RESULTS_EXCHANGE")
            .context("RESULTS_EXCHANGE")?
            .into();
        Ok(Self {
            _connection: connection,
            channel,
            exchange,
            properties,
        })
    }

    async fn publish(&self) -> Result<PublisherConfirm> {
        let key = "pause.succeeded.default.10000".into();
        let options = BasicPublishOptions {
            mandatory: false,
            immediate: false,
        };
        let body = OUTCOME.trim_end().as_bytes();
        Ok(self
            .channel
            .basic_publish(
                self.exchange.clone(),
                key,
                options,
                body,
                self.properties.clone(),
            )
            .await?)
    }
}
