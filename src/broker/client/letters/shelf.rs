//! One channel's part of the letters that are read: holds what it was delivered until it closes.

use futures_util::{StreamExt, TryStreamExt};
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicCancelOptions, BasicQosOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Connection, Consumer};

use super::super::Why;
use crate::broker::{intake, short};
use crate::engine::job::Epoch;

/// Most letters held; also how many RabbitMQ sends ahead, so this bounds memory.
const HELD_MAX: u16 = 1_000;

#[derive(Debug)]
pub(super) struct Shelf {
    /// Tells its delivery tags from those of the others.
    pub(super) epoch: Epoch,
    channel: Channel,
    consumer: Consumer,
    /// Delivered and not acknowledged.
    held: u16,
    /// Whether anything was ever acknowledged.
    gave: bool,
}

impl Shelf {
    pub(super) async fn open(
        connection: &Connection,
        queue: &str,
        epoch: Epoch,
    ) -> Result<Self, Why> {
        let channel = connection.create_channel().await?;
        channel
            .basic_qos(HELD_MAX, BasicQosOptions { global: false })
            .await?;
        let Epoch(number) = epoch;
        let tag = short(&format!("letters-{number}"));
        let consumer = intake::consume(&channel, queue, &tag, FieldTable::default()).await?;
        Ok(Self {
            epoch,
            channel,
            consumer,
            held: 0,
            gave: false,
        })
    }

    /// Whether nothing more comes before something is acknowledged.
    pub(super) fn is_full(&self) -> bool {
        self.held >= HELD_MAX
    }

    /// How many letters it will give back.
    pub(super) fn held(&self) -> u32 {
        self.held.into()
    }

    /// Waits for the next. Nothing is lost if the wait is given up.
    pub(super) async fn next(&mut self) -> Result<Delivery, Why> {
        let delivery = self.consumer.next().await.ok_or(Why::Cancelled)??;
        self.held += 1;
        Ok(delivery)
    }

    pub(super) async fn acknowledge(&mut self, tag: u64) -> Result<(), Why> {
        let options = BasicAckOptions { multiple: false };
        self.channel.basic_ack(tag, options).await?;
        self.held = self.held.saturating_sub(1);
        self.gave = true;
        Ok(())
    }

    /// Lets no more come. What had come and was not asked for is held like the rest.
    pub(super) async fn stop(&mut self) -> Result<Vec<Delivery>, Why> {
        let options = BasicCancelOptions { nowait: false };
        self.channel
            .basic_cancel(self.consumer.tag(), options)
            .await?;
        // It ends by itself: RabbitMQ's answer came after the last delivery.
        let rest: Vec<Delivery> = (&mut self.consumer).try_collect().await?;
        let more = u16::try_from(rest.len()).unwrap_or(u16::MAX);
        self.held = self.held.saturating_add(more);
        Ok(rest)
    }

    /// Returns once the queue has taken every acknowledgement.
    pub(super) async fn settle(&self, queue: &str) -> Result<(), Why> {
        if self.gave {
            intake::settle(&self.channel, queue, "letters").await?;
        }
        Ok(())
    }

    /// Gives back what is held; an error if RabbitMQ had done so before.
    pub(super) async fn close(self) -> Result<(), Why> {
        let closed = self.channel.close(200, "done".into()).await;
        closed.map_err(Why::TakenBack)
    }
}
