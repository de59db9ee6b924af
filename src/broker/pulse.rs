//! Asks RabbitMQ, every so often, how the jobs queues stand: the session's sign of life.
//!
//! RabbitMQ says nothing when it merely stops delivering, so a subscription that died unheard looks like a queue without
//! jobs. Whoever holds the answer against what was delivered can tell the two apart; nothing is decided here.

use std::time::Duration;

use futures_util::future::BoxFuture;
use lapin::types::ShortString;
use lapin::{Channel, Connection};
use tokio::time::{Interval, MissedTickBehavior, interval, timeout};

use super::depth::{Depth, depth};
use super::{Settings, short};

/// Longest wait for RabbitMQ's answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Why the session is over: what does not answer this will hardly deliver.
#[derive(Debug, thiserror::Error)]
pub(super) enum PulseError {
    #[error("RabbitMQ did not say within {} s how the jobs queue stands", ANSWER_TIMEOUT.as_secs())]
    NoAnswer,
    #[error("RabbitMQ did not say how its jobs queues stand: {0}")]
    Channel(#[from] lapin::Error),
}

type Asked = BoxFuture<'static, Result<Vec<Depth>, PulseError>>;

pub(super) struct Pulses {
    channel: Channel,
    queues: Vec<ShortString>,
    every: Interval,
    /// The question that is not answered yet.
    asked: Option<Asked>,
}

impl Pulses {
    pub(super) async fn new(
        connection: &Connection,
        settings: &Settings,
        queues: &[String],
    ) -> Result<Self, PulseError> {
        let mut every = interval(settings.pulse_every);
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Self {
            channel: connection.create_channel().await?,
            queues: queues.iter().map(|queue| short(queue)).collect(),
            every,
            asked: None,
        })
    }

    /// The next answer, for each of the queues in their order. Nothing is lost if the wait is given up.
    pub(super) async fn next(&mut self) -> Result<Vec<Depth>, PulseError> {
        let asked = match &mut self.asked {
            Some(asked) => asked,
            none => {
                self.every.tick().await;
                none.insert(Box::pin(ask(self.channel.clone(), self.queues.clone())))
            }
        };
        let depths = asked.await;
        self.asked = None;
        depths
    }
}

async fn ask(channel: Channel, queues: Vec<ShortString>) -> Result<Vec<Depth>, PulseError> {
    let mut depths = Vec::with_capacity(queues.len());
    for queue in queues {
        let asked = timeout(ANSWER_TIMEOUT, depth(&channel, queue)).await;
        depths.push(asked.map_err(|_| PulseError::NoAnswer)??);
    }
    Ok(depths)
}
