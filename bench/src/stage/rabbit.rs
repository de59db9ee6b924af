//! The broker: queues made anew for every run, jobs put in, outcomes counted.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use clockout::broker::{Settings, client::Client};
use futures_util::future::try_join_all;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use lapin::options::{
    BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions, QueueDeleteOptions,
    QueuePurgeOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use tokio::time::{self, Instant};

use super::listener::Listener;
use super::process::Meter;
use super::{PATIENCE, greeting};

/// Where everyone but clockout takes jobs from: clockout's queue has a single active consumer, which would keep a second
/// process of a peer from working.
pub(crate) const PEERS_QUEUE: &str = "bench.jobs";

/// Most messages published and not yet confirmed.
const OPEN_MAX: usize = 1_000;

#[derive(Debug)]
pub(crate) struct Rabbit {
    pub(crate) url: String,
    pub(crate) versions: BTreeMap<String, String>,
    settings: Settings,
    _connection: Connection,
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
        let address = reqwest::Url::parse(url)?;
        let (host, port) = (
            address.host_str().unwrap_or("127.0.0.1"),
            address.port().unwrap_or(5672),
        );
        let versions = greeting::versions(host, port).await?;
        let meter = Meter::of_broker(port).context("the broker must run on this machine")?;
        Ok(Self {
            url: url.to_owned(),
            versions,
            settings,
            _connection: connection,
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
        let begun = Instant::now();
        // RabbitMQ gives up on deleting a long quorum queue after a while, with an error, and deletes it nevertheless.
        while let Err(error) = self.try_clear().await {
            ensure!(begun.elapsed() < PATIENCE, error);
        }
        Ok(())
    }

    async fn try_clear(&self) -> Result<()> {
        let client = self.client().await?;
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

    /// Hears the outcomes from now on.
    pub(crate) async fn listen(&self) -> Result<Listener> {
        Listener::open(self.client().await?, self.results_exchange()).await
    }

    async fn client(&self) -> Result<Client> {
        Ok(Client::connect(&self.settings, "bench").await?)
    }

    /// Throws away what lies in the queues that nobody reads here: outcomes and dead letters.
    pub(crate) async fn purge(&self) -> Result<()> {
        for queue in [self.results_queue()?, &self.settings.names.dead_queue] {
            let purge = QueuePurgeOptions { nowait: false };
            self.channel.queue_purge(queue.into(), purge).await?;
        }
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
                .take(OPEN_MAX)
                .map(|message| self.put(queue, message));
            try_join_all(burst).await?;
        }
        Ok(())
    }

    /// Puts each message into a queue when its time after `begin` has come, whatever became of those before.
    pub(crate) async fn put_on_time(
        &self,
        queue: &str,
        begin: Instant,
        messages: impl Iterator<Item = (Duration, Message)>,
    ) -> Result<()> {
        let due = stream::iter(messages).then(|(after, message)| async move {
            time::sleep_until(begin + after).await;
            message
        });
        due.map(|message| self.put(queue, message))
            .buffer_unordered(OPEN_MAX)
            .try_collect()
            .await
    }

    /// Puts one message into a queue, confirmed.
    async fn put(&self, queue: &str, message: Message) -> Result<()> {
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
