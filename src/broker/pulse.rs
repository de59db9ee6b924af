//! Asks RabbitMQ, every so often, how the jobs queues stand: the session's sign of life. And how many dead letters wait,
//! which may stay unanswered.
//!
//! RabbitMQ says nothing when it merely stops delivering, so a subscription that died unheard looks like a queue without
//! jobs. Whoever holds the answer against what was delivered can tell the two apart; nothing is decided here.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use lapin::types::ShortString;
use lapin::{Channel, Connection, ErrorKind};
use tokio::time::{Interval, MissedTickBehavior, interval, timeout};

use super::depth::{Depth, depth};
use super::{Settings, short};

/// Longest wait for RabbitMQ's answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// The same about dead letters, which keep the sign of life waiting.
const DEAD_TIMEOUT: Duration = Duration::from_secs(2);

/// Why the session is over: what does not answer this will hardly deliver.
#[derive(Debug, thiserror::Error)]
pub(super) enum PulseError {
    #[error("RabbitMQ did not say within {} s how the jobs queue stands", ANSWER_TIMEOUT.as_secs())]
    NoAnswer,
    #[error("RabbitMQ did not say how its jobs queues stand: {0}")]
    Channel(#[from] lapin::Error),
}

/// How the queues stand.
pub(super) struct Depths {
    /// Of each jobs queue, in their order.
    pub(super) jobs: Vec<Depth>,
    /// Dead letters that wait; `None` where RabbitMQ does not say.
    pub(super) dead: Option<u32>,
}

type Asked = BoxFuture<'static, Result<Depths, PulseError>>;

pub(super) struct Pulses {
    connection: Arc<Connection>,
    channel: Channel,
    jobs_queues: Vec<ShortString>,
    dead_queue: ShortString,
    every: Interval,
    /// The question that is not answered yet.
    asked: Option<Asked>,
}

impl Pulses {
    pub(super) async fn new(
        connection: &Arc<Connection>,
        settings: &Settings,
        jobs_queues: &[String],
    ) -> Result<Self, PulseError> {
        let mut every = interval(settings.pulse_every);
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Self {
            connection: Arc::clone(connection),
            channel: connection.create_channel().await?,
            jobs_queues: jobs_queues.iter().map(|queue| short(queue)).collect(),
            dead_queue: short(&settings.names.dead_queue),
            every,
            asked: None,
        })
    }

    /// The next answer. Nothing is lost if the wait is given up.
    pub(super) async fn next(&mut self) -> Result<Depths, PulseError> {
        let asked = match &mut self.asked {
            Some(asked) => asked,
            none => {
                self.every.tick().await;
                let jobs = ask(self.channel.clone(), self.jobs_queues.clone());
                let dead = ask_dead(Arc::clone(&self.connection), self.dead_queue.clone());
                none.insert(Box::pin(async {
                    let (jobs, dead) = (jobs.await?, dead.await);
                    Ok(Depths { jobs, dead })
                }))
            }
        };
        let depths = asked.await;
        self.asked = None;
        depths
    }

    /// Whether this is what became of a question about the dead queue, and of nothing else that a session does.
    pub(super) fn asked_in_vain(&self, error: &lapin::Error) -> bool {
        let ErrorKind::ProtocolError(refusal) = error.kind() else {
            return false;
        };
        let queue = format!("queue '{}'", self.dead_queue);
        error.is_amqp_soft_error() && refusal.get_message().as_str().contains(&queue)
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

async fn ask_dead(connection: Arc<Connection>, queue: ShortString) -> Option<u32> {
    let asked = async {
        // A channel of its own: RabbitMQ closes the one that asks for a queue that is not there.
        let channel = connection.create_channel().await?;
        depth(&channel, queue).await
    };
    let depth = timeout(DEAD_TIMEOUT, asked).await.ok()?.ok()?;
    Some(depth.ready)
}
