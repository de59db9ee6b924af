//! One session: a connection to consume and acknowledge on, one to publish on, and the loop that serves the worker
//! until something fails.
//!
//! Two connections, because RabbitMQ blocks publishers when memory or disk run short, and lapin then holds back every
//! frame of that connection, acknowledgements included. Any failure ends the whole session: never is a part repaired,
//! never does a ticket or a publish outlive its session.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::{BoxFuture, try_join_all};
use futures_util::stream::{self, BoxStream};
use lapin::options::BasicAckOptions;
use lapin::types::ShortString;
use lapin::{Channel, Connection, ErrorKind};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tracing::warn;

use super::connection::{ConnectError, Connector};
use super::depth::Depth;
use super::frames::{FRAME_MAX, FRAME_MAX_MIN};
use super::intake::{self, Intake, IntakeError, Taken};
use super::publisher::{Answers, Letter, PublishError, Publisher};
use super::pulse::{Depths, PulseError, Pulses};
use super::receipt::{Frame, Receipts};
use super::topology::{self, LeftOver, TopologyError};
use super::{Command, Event, Publication, Pulse, QueuePulse, Settings, short};
use crate::engine::Disposition;
use crate::engine::job::{Epoch, Ticket};

/// Longest wait for RabbitMQ to answer all that a session begins with, once its connections stand.
const SET_UP_TIMEOUT: Duration = Duration::from_secs(30);

/// Longest that writing acknowledgements may take.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// Longest wait, at the end, for what was commanded to be written and confirmed.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

/// Longest wait for word of what broke a channel, once using it has failed.
const CAUSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Longest wait for RabbitMQ to agree to the end.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Why a session could not be built, or is over.
#[derive(Debug, thiserror::Error)]
pub(super) enum SessionError {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(transparent)]
    Topology(#[from] TopologyError),
    #[error(transparent)]
    Intake(#[from] IntakeError),
    #[error(transparent)]
    Publish(#[from] PublishError),
    #[error(transparent)]
    Pulse(#[from] PulseError),
    #[error("RabbitMQ did not answer within {} s while the session was set up", SET_UP_TIMEOUT.as_secs())]
    NoAnswer,
    #[error("acknowledgements could not be written: {0}")]
    Settle(#[from] lapin::Error),
    #[error("acknowledgements could not be written within {} s", .0.as_secs())]
    SettleStuck(Duration),
    #[error("the PBX has been away for long; what was held for it goes back to RabbitMQ")]
    LetGo,
    #[error("the connection was lost: {0}")]
    Connection(lapin::Error),
}

impl SessionError {
    /// Whether it says only that something broke before, not what.
    fn is_aftermath(&self) -> bool {
        std::iter::successors(Some(self as &dyn Error), |&error| error.source())
            .filter_map(|error| error.downcast_ref::<lapin::Error>())
            .any(|error| {
                matches!(
                    error.kind(),
                    ErrorKind::InvalidChannelState(..) | ErrorKind::InvalidConnectionState(_)
                )
            })
    }
}

/// The two ends that join the broker side to the worker. They outlive sessions.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) commands: mpsc::Receiver<Command>,
    pub(super) events: mpsc::Sender<Event>,
    /// What the worker last said of [`Command::Intake`].
    pub(super) intake_open: bool,
    /// Whether the worker has said [`Command::Finish`].
    pub(super) finishing: bool,
}

impl Desk {
    pub(super) async fn tell(&self, event: Event) {
        // A worker that is gone hears nothing, and its end of the commands is closed too, which ends the supervisor.
        self.events.send(event).await.ok();
    }
}

type Writing = BoxFuture<'static, Result<(), SessionError>>;

pub(super) struct Session {
    epoch: Epoch,
    results_exchange: ShortString,
    dead_exchange: ShortString,
    intake: Intake,
    publisher: Publisher,
    receipts: Receipts,
    /// The acknowledgements being written. What is settled meanwhile gathers for the next round.
    settling: Option<Writing>,
    /// What the worker was last told of [`Event::UsedUp`].
    used_up: Option<usize>,
    pulses: Pulses,
    alarms: BoxStream<'static, lapin::Event>,
    consuming: Arc<Connection>,
    publishing: Connection,
}

impl Session {
    pub(super) async fn build(
        connector: &Connector,
        settings: &Settings,
        epoch: Epoch,
        left_over: &mut LeftOver,
    ) -> Result<Self, SessionError> {
        let consuming = connector.connect("intake").await?;
        let publishing = connector.connect("outcomes").await?;
        let most = publishing.configuration().frame_max();
        if most < FRAME_MAX_MIN {
            warn!(
                "RabbitMQ takes frames of {most} bytes at most, which leaves no room for the headers of some dead letters: \
                 set its frame_max to {FRAME_MAX}"
            );
        }
        let set_up = Self::set_up(consuming, publishing, settings, epoch, left_over);
        timeout(SET_UP_TIMEOUT, set_up)
            .await
            .unwrap_or(Err(SessionError::NoAnswer))
    }

    async fn set_up(
        consuming: Connection,
        publishing: Connection,
        settings: &Settings,
        epoch: Epoch,
        left_over: &mut LeftOver,
    ) -> Result<Self, SessionError> {
        let left_over = left_over.find(&consuming, &settings.names).await?;
        topology::set_up(&consuming, settings, left_over).await?;
        let consuming = Arc::new(consuming);
        let jobs_queues = settings.names.jobs_queues();
        let jobs_queues: Vec<_> = jobs_queues.chain(left_over.iter().cloned()).collect();
        // From here on: what looking for shards in vain says of its channel is no failure.
        let alarms =
            stream::select(consuming.events_listener(), publishing.events_listener()).boxed();
        Ok(Self {
            epoch,
            results_exchange: short(&settings.names.results_exchange),
            dead_exchange: short(&settings.names.dead_exchange),
            pulses: Pulses::new(&consuming, settings, &jobs_queues).await?,
            intake: Intake::new(&consuming, settings, jobs_queues).await?,
            publisher: Publisher::new(&publishing).await?,
            receipts: Receipts::new(epoch),
            settling: None,
            used_up: None,
            alarms,
            consuming,
            publishing,
        })
    }

    /// Serves until the worker wants the end (`Ok`) or something fails.
    pub(super) async fn run(&mut self, desk: &mut Desk) -> Result<(), SessionError> {
        match self.serve(desk).await {
            Err(failure) if failure.is_aftermath() => {
                let cause = timeout(CAUSE_TIMEOUT, self.cause()).await;
                Err(cause.ok().flatten().unwrap_or(failure))
            }
            end => end,
        }
    }

    /// What RabbitMQ or the network is known to have done.
    async fn cause(&mut self) -> Option<SessionError> {
        loop {
            let alarm = self.alarms.next().await?;
            if let Err(cause) = heed(alarm, &self.pulses) {
                return Some(cause);
            }
        }
    }

    async fn serve(&mut self, desk: &mut Desk) -> Result<(), SessionError> {
        loop {
            self.turn_intake(desk).await?;
            self.start_settling();
            self.tell_used_up(desk).await;
            tokio::select! {
                command = desk.commands.recv() => match command {
                    Some(Command::Publish { epoch, publications }) => self.publish(epoch, publications),
                    Some(Command::Settle { settlements }) => self.settle(settlements),
                    Some(Command::Intake { open }) => desk.intake_open = open,
                    Some(Command::LetGo { epoch }) => self.let_go(epoch).await?,
                    Some(Command::Finish) => desk.finishing = true,
                    Some(Command::Close) | None => return Ok(()),
                },
                answers = self.publisher.next() => tell_answers(answers?, desk).await,
                written = written(&mut self.settling) => written?,
                burst = self.intake.next(), if !desk.finishing => self.deliver(burst?, desk).await,
                depths = self.pulses.next() => {
                    let pulse = self.pulse(depths?, desk.finishing);
                    desk.tell(Event::Pulse(pulse)).await;
                }
                Some(alarm) = self.alarms.next() => heed(alarm, &self.pulses)?,
            }
        }
    }

    /// Ends the session once what was acknowledged is written: closing the channel gives the rest back in its order.
    async fn let_go(&mut self, epoch: Epoch) -> Result<(), SessionError> {
        if epoch != self.epoch {
            return Ok(());
        }
        if self.settling.is_none() && self.receipts.is_flushed() {
            return Err(SessionError::LetGo);
        }
        let written = async {
            while self.settling.is_some() || !self.receipts.is_flushed() {
                self.start_settling();
                written(&mut self.settling).await?;
            }
            self.intake.settle().await?;
            Ok(())
        };
        timeout(FLUSH_TIMEOUT, written)
            .await
            .map_err(|_| SessionError::SettleStuck(FLUSH_TIMEOUT))
            .flatten()?;
        Err(SessionError::LetGo)
    }

    /// Writes and confirms what was commanded, then closes; both within bounds, and whatever comes of it.
    pub(super) async fn close(mut self) {
        if timeout(FLUSH_TIMEOUT, self.flush()).await.is_err() {
            tracing::warn!("not everything was confirmed by RabbitMQ before closing");
        }
        let close = async |connection: &Connection| {
            timeout(CLOSE_TIMEOUT, connection.close(200, "done".into()))
                .await
                .ok();
        };
        tokio::join!(close(&self.consuming), close(&self.publishing));
    }

    async fn flush(&mut self) {
        loop {
            self.start_settling();
            let publishes_wait = !self.publisher.is_idle() && !self.publishing.status().blocked();
            if self.settling.is_none() && !publishes_wait {
                break;
            }
            let failed = tokio::select! {
                written = written(&mut self.settling) => written.is_err(),
                answers = self.publisher.next(), if publishes_wait => answers.is_err(),
            };
            if failed {
                return;
            }
        }
        // Where it fails, the connection has, and RabbitMQ delivers again what it did not hear of.
        self.intake.settle().await.ok();
    }

    /// Brings consuming in line with what the worker wants of it. A narrowed subscription stays so: to take the whole prefetch
    /// it would have to be cancelled, which hands over to a standby, if there is one, amid the jobs.
    async fn turn_intake(&mut self, desk: &Desk) -> Result<(), SessionError> {
        let all_written = self.receipts.is_flushed() && self.settling.is_none();
        match (self.intake.is_open(), desk.intake_open) {
            _ if desk.finishing => {}
            (false, true) if all_written => self.open_intake(desk).await?,
            (true, false) => {
                self.close_intake(desk).await?;
                desk.tell(Event::Subscribed { subscribed: false }).await;
            }
            (true, true) | (false, _) => {}
        }
        Ok(())
    }

    async fn close_intake(&mut self, desk: &Desk) -> Result<(), SessionError> {
        let held = self.receipts.held_by_queue(self.intake.queues());
        let rest = self.intake.close(&held).await?;
        self.deliver(rest, desk).await;
        Ok(())
    }

    async fn open_intake(&mut self, desk: &Desk) -> Result<(), SessionError> {
        let held = self.receipts.held_by_queue(self.intake.queues());
        if self.intake.may_open(&held) {
            self.intake.open(&held, self.receipts.last()).await?;
            desk.tell(Event::Subscribed { subscribed: true }).await;
        }
        Ok(())
    }

    async fn deliver(&mut self, burst: Vec<Taken>, desk: &Desk) {
        let deliveries: Vec<_> = burst
            .into_iter()
            .map(|taken| {
                let (incoming, held) = intake::split(taken, self.epoch);
                self.receipts.hold(incoming.ticket.tag, held);
                incoming
            })
            .collect();
        if !deliveries.is_empty() {
            desk.tell(Event::Delivered { deliveries }).await;
        }
    }

    async fn tell_used_up(&mut self, desk: &Desk) {
        let queues = self.intake.queues();
        let held = if self.intake.is_narrowed() {
            self.receipts.held_after(self.intake.begun_after(), queues)
        } else {
            self.receipts.held_by_queue(queues)
        };
        let part = self.intake.used_up(&held);
        if part != self.used_up {
            self.used_up = part;
            desk.tell(Event::UsedUp { part }).await;
        }
    }

    fn pulse(&self, depths: Depths, finishing: bool) -> Pulse {
        let held = self.receipts.held_by_queue(self.intake.queues());
        let queue = |(place, (depth, held)): (usize, (Depth, usize))| QueuePulse {
            ready: depth.ready,
            consumers: depth.consumers,
            delivered: self.receipts.held_ever(place),
            room: !finishing && self.intake.has_room(place, held),
        };
        Pulse {
            queues: depths
                .jobs
                .into_iter()
                .zip(held)
                .enumerate()
                .map(queue)
                .collect(),
            dead: depths.dead,
            blocked: self.publishing.status().blocked(),
        }
    }

    fn publish(&mut self, epoch: Epoch, publications: Vec<Publication>) {
        if epoch != self.epoch {
            return;
        }
        for publication in publications {
            match publication {
                Publication::Outcome { tell, message } => {
                    self.publisher
                        .push(Letter::outcome(&self.results_exchange, tell, message));
                }
                Publication::DeadLetter {
                    ticket,
                    agent,
                    headers,
                } => {
                    if let Some(held) = self.receipts.held(ticket) {
                        let of = (ticket, agent);
                        let letter = Letter::dead(&self.dead_exchange, of, held, headers);
                        self.publisher.push(letter);
                    }
                }
            }
        }
    }

    fn settle(&mut self, settlements: Vec<(Ticket, Disposition)>) {
        let all = settlements.len();
        let settled = settlements
            .into_iter()
            .filter(|(ticket, disposition)| match disposition {
                Disposition::Ack => self.receipts.acknowledge(*ticket),
                // A nack would bring it back to us, now behind the jobs that came after it.
                Disposition::GiveBack => self.receipts.held(*ticket).is_some(),
            })
            .count();
        if settled < all {
            let void = all - settled;
            tracing::debug!(
                void,
                "jobs of a lost session that were not settled, as RabbitMQ delivers them again: {void}"
            );
        }
    }

    fn start_settling(&mut self) {
        if self.settling.is_none() && !self.receipts.is_flushed() {
            let channel = self.intake.channel();
            let frames = self.receipts.take_frames();
            self.settling = Some(Box::pin(async move {
                let writes = try_join_all(frames.into_iter().map(|frame| write(&channel, frame)));
                let written = timeout(WRITE_TIMEOUT, writes).await;
                written.map_err(|_| SessionError::SettleStuck(WRITE_TIMEOUT))??;
                Ok(())
            }));
        }
    }
}

async fn write(channel: &Channel, frame: Frame) -> lapin::Result<()> {
    match frame {
        Frame::AckUpTo(tag) => {
            channel
                .basic_ack(tag, BasicAckOptions { multiple: true })
                .await
        }
        Frame::Ack(tag) => {
            channel
                .basic_ack(tag, BasicAckOptions { multiple: false })
                .await
        }
    }
}

/// The end of the writing that is under way; waits for ever while there is none.
async fn written(settling: &mut Option<Writing>) -> Result<(), SessionError> {
    let Some(writing) = settling else {
        return std::future::pending().await;
    };
    let result = writing.await;
    *settling = None;
    result
}

async fn tell_answers(Answers { told, buried }: Answers, desk: &Desk) {
    if !told.is_empty() {
        desk.tell(Event::Told { results: told }).await;
    }
    if !buried.is_empty() {
        desk.tell(Event::Buried { results: buried }).await;
    }
}

fn heed(alarm: lapin::Event, pulses: &Pulses) -> Result<(), SessionError> {
    if let lapin::Event::Error(error) = alarm {
        if pulses.asked_in_vain(&error) {
            return Ok(());
        }
        return Err(SessionError::Connection(error));
    }
    if let lapin::Event::ConnectionBlocked(reason) = alarm {
        tracing::warn!(
            reason,
            "RabbitMQ takes no publishes ({reason}): outcomes wait, and their jobs with them"
        );
    } else if let lapin::Event::ConnectionUnblocked = alarm {
        tracing::info!("RabbitMQ takes publishes again");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use lapin::{ChannelState, ConnectionState};

    use super::*;

    #[test]
    fn what_is_refused_on_a_broken_channel_is_no_reason() {
        let broken = ErrorKind::InvalidChannelState(ChannelState::Closing, "queue.declare");
        assert!(SessionError::from(PulseError::from(lapin::Error::from(broken))).is_aftermath());
        let broken = ErrorKind::InvalidConnectionState(ConnectionState::Error);
        assert!(SessionError::from(lapin::Error::from(broken)).is_aftermath());
        let silent = lapin::Error::from(ErrorKind::MissingHeartbeatError);
        assert!(!SessionError::from(IntakeError::from(silent)).is_aftermath());
        assert!(!SessionError::from(PulseError::NoAnswer).is_aftermath());
    }
}
