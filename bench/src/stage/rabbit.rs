//! The broker: queues made anew for every run, jobs put in, outcomes counted.

use anyhow::{Context as _, Result, ensure};
use clockout::broker::{Settings, client::Client};
use futures_util::future::try_join_all;
use lapin::options::{
    BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};

use super::process::Meter;

/// Where everyone but clockout takes jobs from: clockout's queue has a single active consumer, which would keep a second
/// process of a peer from working.
pub(crate) const PEERS_QUEUE: &str = "bench.jobs";

/// Jobs published before their confirms are waited for.
const PRELOAD_BURST: usize = 1_000;

#[derive(Debug)]
pub(crate) struct Rabbit {
    pub(crate) url: String,
    pub(crate) version: String,
    settings: Settings,
    connection: Connection,
    channel: Channel,
    pub(crate) meter: Meter,
}

/// A job as it lies in a queue.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) body: Vec<u8>,
    pub(crate) properties: BasicProperties,
}

impl Message {
    pub(crate) fn json(body: Vec<u8>) -> Self {
        let properties = BasicProperties::default()
            .with_content_type("application/json".into())
            .with_delivery_mode(2);
        Self { body, properties }
    }
}

impl Rabbit {
    pub(crate) async fn connect(url: &str, settings: Settings) -> Result<Self> {
        let connection = Connection::connect(url, ConnectionProperties::default()).await?;
        let channel = connection.create_channel().await?;
        channel
            .confirm_select(ConfirmSelectOptions { nowait: false })
            .await?;
        let port = reqwest::Url::parse(url)?.port().unwrap_or(5672);
        let meter = Meter::of_listener(port).context("the broker must run on this machine")?;
        let version = version(&meter.command_line()?);
        Ok(Self {
            url: url.to_owned(),
            version,
            settings,
            connection,
            channel,
            meter,
        })
    }

    pub(crate) fn jobs_queue(&self) -> &str {
        &self.settings.names.jobs_queue
    }

    pub(crate) fn results_exchange(&self) -> &str {
        &self.settings.names.results_exchange
    }

    pub(crate) fn results_queue(&self) -> Result<&str> {
        self.settings
            .names
            .results_queue
            .as_deref()
            .context("the bench counts outcomes in results.queue")
    }

    /// Empties the stage: all queues are made anew, as clockout makes them.
    pub(crate) async fn clear(&self) -> Result<()> {
        let client = Client::connect(&self.settings, "bench").await?;
        client.delete(&self.settings.names).await?;
        client.set_up(&self.settings).await?;
        client.close().await;
        let delete = QueueDeleteOptions {
            if_unused: false,
            if_empty: false,
            nowait: false,
        };
        self.channel
            .queue_delete(PEERS_QUEUE.into(), delete)
            .await?;
        let declare = QueueDeclareOptions {
            passive: false,
            durable: true,
            exclusive: false,
            auto_delete: false,
            nowait: false,
        };
        let mut quorum = FieldTable::default();
        quorum.insert(
            "x-queue-type".into(),
            AMQPValue::LongString("quorum".into()),
        );
        self.channel
            .queue_declare(PEERS_QUEUE.into(), declare, quorum)
            .await?;
        Ok(())
    }

    /// Leaves the results exchange without a queue.
    pub(crate) async fn unbind_results(&self) -> Result<()> {
        let delete = QueueDeleteOptions {
            if_unused: false,
            if_empty: false,
            nowait: false,
        };
        self.channel
            .queue_delete(self.results_queue()?.into(), delete)
            .await?;
        Ok(())
    }

    /// Puts messages into a queue, confirmed.
    pub(crate) async fn fill(
        &self,
        queue: &str,
        messages: impl Iterator<Item = Message>,
    ) -> Result<()> {
        let mut messages = messages.peekable();
        while messages.peek().is_some() {
            let burst = messages
                .by_ref()
                .take(PRELOAD_BURST)
                .map(|message| self.put(queue, message));
            try_join_all(burst).await?;
        }
        Ok(())
    }

    /// Puts one message into a queue, confirmed.
    pub(crate) async fn put(&self, queue: &str, message: Message) -> Result<()> {
        let options = BasicPublishOptions {
            mandatory: true,
            immediate: false,
        };
        let confirm = self
            .channel
            .basic_publish(
                "".into(),
                queue.into(),
                options,
                &message.body,
                message.properties,
            )
            .await?
            .await?;
        ensure!(confirm.is_ack(), "the broker took no message for {queue}");
        Ok(())
    }

    /// Messages that are ready in a queue, and its consumers.
    pub(crate) async fn look(&self, queue: &str) -> Result<(u32, u32)> {
        let passive = QueueDeclareOptions {
            passive: true,
            durable: true,
            exclusive: false,
            auto_delete: false,
            nowait: false,
        };
        let queue = self
            .channel
            .queue_declare(queue.into(), passive, FieldTable::default())
            .await?;
        Ok((queue.message_count(), queue.consumer_count()))
    }
}

/// RabbitMQ's folder has its version in its name, and stands in its command line.
fn version(command_line: &[String]) -> String {
    let after = command_line
        .iter()
        .find_map(|word| word.split_once("rabbitmq_server-"));
    let version = after.and_then(|(_, rest)| rest.split('/').next());
    version.unwrap_or("unknown").to_owned()
}
