//! The loop: outside events into the engine, its effects out to the broker and the PBX.
//!
//! Owns the tasks, the clock and the drain, and no policy. Nothing here waits for a peer: what is to be sent gathers in
//! the [`Outbox`] until the broker side has room, and every spawned call comes back as an event.

mod answers;
mod clock;
mod orders;
mod outbox;
mod report;
mod watchdog;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::{self, JoinError, JoinSet};
use tokio::time::{self, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use crate::admin::{self, Asked, Health, QUEUES_MAX};
use crate::broker::{self, Broker};
use crate::engine::batch::Batch;
use crate::engine::job::{Epoch, JobId, Timestamp};
use crate::engine::verdict::CallResult;
use crate::engine::{Counted, Effect, Engine, Event, Tuning};
use crate::pbx::client::{Client, Trouble};
use crate::pbx::texts;
use crate::telemetry::{Metrics, field};
use crate::traces::Traces;
use crate::wire::nameless::Nameless;
use crate::wire::outcome::Encoder;
use crate::wire::{Incoming, job};

use answers::Answers;
pub use clock::Clock;
use outbox::{Note, Outbox};
use watchdog::{Stall, Vitals, Watchdog};

/// How often the loop goes round at least, and the counts per PBX queue are published.
const BEAT: Duration = Duration::from_secs(1);

/// How long the broker side may take to close once everything is settled.
const CLOSE_MAX: Duration = Duration::from_secs(5);

/// What a worker is made of.
#[derive(Debug)]
pub struct Parts {
    pub engine: Engine,
    pub broker: Broker,
    pub pbx: Client,
    pub encoder: Encoder,
    pub reading: job::Settings,
    pub nameless: Nameless,
    pub clock: Clock,
    pub metrics: Arc<Metrics>,
    pub health: Arc<Health>,
    /// What operators ask for; a closed channel where nobody may.
    pub orders: mpsc::Receiver<Asked>,
    /// `None`: no spans.
    pub traces: Option<Traces>,
    /// Longest that a drain takes: `shutdown.grace`.
    pub grace: Duration,
    /// Longest that nothing moves: `watchdog.patience`.
    pub patience: Duration,
    /// Comes with the settings that have changed.
    pub changes: mpsc::Receiver<Change>,
}

/// The settings that a worker takes while it works.
#[derive(Debug, Clone)]
pub struct Change {
    pub tuning: Tuning,
    pub texts: texts::Settings,
}

/// How a worker is stopped from outside.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    /// Stop taking jobs, finish what is held, end.
    pub drain: CancellationToken,
    /// End at once.
    pub now: CancellationToken,
}

/// How a worker ended that was asked to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Everything that it held is done.
    Drained,
    /// Jobs went back to RabbitMQ undone: the grace period ran out, the broker was lost, or it was cut short.
    GaveBack,
}

/// Why a worker ended that was not asked to.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error("{0}")]
    Unusable(String),
    #[error("the broker side ended by itself; this is a defect of clockout")]
    BrokerEnded,
}

/// Works until it is stopped.
pub async fn run(parts: Parts, stop: Stop) -> Result<Ended, Failure> {
    // Boxed, as it holds all that a worker is made of.
    Box::pin(Worker::new(parts).work(&stop)).await
}

/// What the task of a call comes back with.
#[derive(Debug)]
struct Reply {
    result: CallResult,
    began: Timestamp,
    took: Duration,
}

#[derive(Debug)]
struct Worker {
    parts: Parts,
    outbox: Outbox,
    /// Delivered, but the engine has no room yet. At most prefetch.
    backlog: VecDeque<Incoming>,
    calls: JoinSet<Reply>,
    /// The call that each task makes: all that is left of one that panicked.
    called: HashMap<task::Id, Arc<Batch>>,
    /// At most one, as the engine asks again only when it knows.
    asks: JoinSet<Option<Trouble>>,
    connection: admin::Broker,
    epoch: Option<Epoch>,
    watchdog: Watchdog,
    /// Of the session that stands.
    pulse: Option<broker::Pulse>,
    /// Signs of life of the broker side, for the watchdog to see them move.
    signs: u64,
    outcomes: Answers,
    letters: Answers,
    /// What the engine last said of it.
    intake_open: bool,
    gave_back: bool,
    drained: bool,
    published: admin::Snapshot,
}

impl Worker {
    fn new(parts: Parts) -> Self {
        let watchdog = Watchdog::new(parts.patience);
        let outbox = Outbox::new(parts.encoder.clone());
        Self {
            parts,
            outbox,
            backlog: VecDeque::new(),
            calls: JoinSet::new(),
            called: HashMap::new(),
            asks: JoinSet::new(),
            connection: admin::Broker::default(),
            epoch: None,
            watchdog,
            pulse: None,
            signs: 0,
            outcomes: Answers::to("outcomes"),
            letters: Answers::to("dead letters"),
            intake_open: true,
            gave_back: false,
            drained: false,
            published: admin::Snapshot::default(),
        }
    }

    async fn work(mut self, stop: &Stop) -> Result<Ended, Failure> {
        let mut beat = time::interval(BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let grace = time::sleep(Duration::MAX);
        tokio::pin!(grace);
        let mut draining = false;
        self.outbox.intake(self.intake_open);
        while !self.drained {
            let commands = self.parts.broker.commands.clone();
            let deadline = self.parts.engine.next_deadline();
            let alarm = self.parts.clock.sleep_until(deadline);
            tokio::select! {
                // Timers before deliveries: a busy broker must not postpone a batch whose linger is over.
                biased;
                () = stop.now.cancelled() => return Ok(Ended::GaveBack),
                () = stop.drain.cancelled(), if !draining => {
                    draining = true;
                    grace.set(time::sleep(self.parts.grace));
                    info!("stopping: no more jobs are taken, what is held is finished");
                    self.outbox.finish();
                    self.step(Event::StopRequested);
                }
                () = &mut grace, if draining => self.end_grace(),
                () = alarm => self.step(Event::Tick),
                _ = beat.tick() => self.beat(),
                Some(asked) = self.parts.orders.recv() => self.obey(asked),
                Some(change) = self.parts.changes.recv() => {
                    self.parts.pbx.set_texts(&change.texts);
                    self.step(Event::Tuned(Box::new(change.tuning)));
                }
                Some(done) = self.calls.join_next_with_id() => self.call_done(done),
                Some(asked) = self.asks.join_next() => self.asked(asked),
                Ok(room) = commands.reserve(), if self.outbox.is_ready() => {
                    self.outbox.send(room, self.epoch);
                }
                event = self.parts.broker.events.recv() => {
                    self.broker_event(event.ok_or(Failure::BrokerEnded)?)?;
                }
            }
            self.take_backlog();
            self.publish_changes();
        }
        self.close(stop).await
    }

    /// One turn of the engine, and the effects of it.
    fn step(&mut self, event: Event) {
        let now = self.parts.clock.now();
        for effect in self.parts.engine.step(now, event) {
            match effect {
                Effect::Intake { open } => {
                    self.intake_open = open;
                    self.outbox.intake(open);
                }
                Effect::Call { call: _, batch } => {
                    self.parts.metrics.batch(&batch);
                    let (pbx, clock) = (self.parts.pbx.clone(), self.parts.clock);
                    let held = Arc::clone(&batch);
                    let task = self.calls.spawn(async move {
                        let began = clock.now();
                        let result = pbx.call(&batch).await;
                        Reply {
                            result,
                            began: began.wall,
                            took: clock.now().elapsed.saturating_sub(began.elapsed),
                        }
                    });
                    self.called.insert(task.id(), held);
                }
                Effect::Ask { action } => {
                    let pbx = self.parts.pbx.clone();
                    self.asks
                        .spawn(async move { pbx.probe(action).await.err() });
                }
                Effect::LetGo => self.outbox.let_go(),
                Effect::Tell { tell, outcome } => {
                    self.outbox.publish(Note::Tell { tell, outcome });
                }
                Effect::Bury { ticket, letter } => {
                    self.outbox.publish(Note::Bury { ticket, letter });
                }
                Effect::Settle {
                    ticket,
                    disposition,
                    held_for,
                } => {
                    self.parts.metrics.settled(disposition, held_for);
                    self.outbox.settle(ticket, disposition);
                }
                Effect::Count(counted) => {
                    self.parts.metrics.count(&counted);
                    report::counted(&self.parts.encoder, &counted);
                    if let Some(traces) = &self.parts.traces {
                        traces.count(&counted, now.wall);
                    }
                    if let Counted::Told { outcome, since: _ } = counted {
                        self.parts.health.recent.told_of(&outcome);
                    }
                }
                Effect::Drained => {
                    self.drained = true;
                    self.gave_back |= !self.backlog.is_empty();
                }
            }
        }
    }

    fn broker_event(&mut self, event: broker::Event) -> Result<(), Failure> {
        match event {
            broker::Event::Up { epoch } => {
                if self.epoch.is_some() {
                    self.parts.metrics.reconnected();
                }
                self.signs += 1;
                self.epoch = Some(epoch);
                self.connection.connected = true;
            }
            broker::Event::Subscribed { subscribed } => self.connection.subscribed = subscribed,
            broker::Event::Delivered { deliveries } => self.backlog.extend(deliveries),
            broker::Event::UsedUp { part } => self.step(Event::PartUsedUp { part }),
            broker::Event::Told { results } => {
                self.outbox.answered(results.len());
                self.outcomes
                    .note(results.iter().map(|(_, published)| *published));
                for (tell, published) in results {
                    self.step(Event::Told { tell, published });
                    self.take_backlog();
                }
            }
            broker::Event::Buried { results } => {
                self.outbox.answered(results.len());
                self.letters
                    .note(results.iter().map(|(_, published)| *published));
                for (ticket, published) in results {
                    self.step(Event::Buried { ticket, published });
                    self.take_backlog();
                }
            }
            broker::Event::Pulse(pulse) => {
                self.signs += 1;
                self.parts.metrics.ready(pulse.ready());
                self.pulse = Some(pulse);
            }
            broker::Event::Lost { epoch, why } => self.lost(epoch, &why),
            broker::Event::Unreachable { why } => {
                self.signs += 1;
                self.remember_error(&why);
            }
            broker::Event::Unusable { why } => return Err(Failure::Unusable(why)),
            broker::Event::Closed => return Err(Failure::BrokerEnded),
        }
        Ok(())
    }

    fn lost(&mut self, epoch: Epoch, why: &str) {
        self.connection = admin::Broker::default();
        self.pulse = None;
        let snapshot = self.parts.engine.snapshot();
        let held = snapshot.held + self.backlog.len();
        self.parts
            .metrics
            .lost(u64::try_from(held).unwrap_or(u64::MAX));
        self.gave_back |= snapshot.draining && held > 0;
        self.backlog.clear();
        self.outbox.void();
        self.outcomes.void();
        self.letters.void();
        self.remember_error(why);
        self.step(Event::ChannelLost { epoch });
    }

    /// Hands deliveries to the engine while it has room, and has not ended.
    fn take_backlog(&mut self) {
        while !self.drained
            && self.parts.engine.has_room()
            && let Some(message) = self.backlog.pop_front()
        {
            self.parts.metrics.received();
            let (ticket, redelivered) = (message.ticket, message.redelivered);
            let now = self.parts.clock.now().wall;
            let nameless = &mut self.parts.nameless;
            let mut name = || -> JobId { nameless.name(&message) };
            let event = match job::parse(&message, &self.parts.reading, now, &mut name) {
                Ok(job) => Event::Delivered {
                    ticket,
                    job: Arc::new(job),
                    redelivered,
                },
                Err(outcome) => Event::Unreadable {
                    ticket,
                    outcome,
                    redelivered,
                },
            };
            self.step(event);
        }
    }

    fn call_done(&mut self, done: Result<(task::Id, Reply), JoinError>) {
        let id = match &done {
            Ok((id, _)) => *id,
            Err(lost) => lost.id(),
        };
        let Some(batch) = self.called.remove(&id) else {
            return;
        };
        let call = batch.id;
        let reply = match done {
            Ok((_, reply)) => reply,
            Err(lost) if lost.is_cancelled() => return,
            Err(_) => {
                error!(
                    { field::BATCH } = %self.parts.encoder.call_name(call),
                    "a call ended in a panic; this is a defect of clockout"
                );
                let message = "the call broke off inside the worker".into();
                Reply {
                    result: CallResult::Ambiguous { message },
                    began: self.parts.clock.now().wall,
                    took: Duration::ZERO,
                }
            }
        };
        let Reply {
            result,
            began,
            took,
        } = reply;
        self.parts.metrics.call(batch.action, &result, took);
        let now = self.parts.clock.now().wall;
        let recent = &self.parts.health.recent;
        recent.called(now, &batch, &result, took);
        if let Some(traces) = &self.parts.traces {
            let riders = self.parts.engine.riders(call);
            traces.called(&batch, &result, (began, took), riders);
        }
        if let Some(problem) = report::call(&self.parts.encoder, &batch, &result, took) {
            self.remember_error(&problem);
        }
        self.step(Event::CallDone { call, result });
    }

    fn asked(&mut self, asked: Result<Option<Trouble>, JoinError>) {
        let trouble = asked.ok().flatten();
        let retry_after = trouble.as_ref().and_then(Trouble::retry_after);
        let away = trouble.filter(Trouble::meets_every_call);
        let away = away.map(|trouble| trouble.to_string().into());
        self.step(Event::Asked { away, retry_after });
    }

    /// For `/status`; what the log says of it is said where it happened.
    fn remember_error(&mut self, message: &str) {
        self.parts
            .health
            .error(self.parts.clock.now().wall, message);
    }

    fn end_grace(&mut self) {
        let held = self.parts.engine.snapshot().held + self.backlog.len();
        warn!(
            held,
            "the grace period is over, and what is held goes back to RabbitMQ; jobs: {held}"
        );
        self.gave_back |= held > 0;
        self.calls.abort_all();
        self.step(Event::GraceEnded);
    }

    fn beat(&mut self) {
        let now = self.parts.clock.now().elapsed;
        self.parts.health.beat(now);
        self.watch(now);
        self.outcomes.speak(now);
        self.letters.speak(now);
        self.publish();
        if let Some(pending) = self.parts.engine.pending() {
            debug!("{pending}");
        }
    }

    /// Looks whether all that should move does, and builds the broker side anew where it does not.
    fn watch(&mut self, now: Duration) {
        let engine = self.parts.engine.snapshot();
        let vitals = Vitals {
            connected: self.connection.connected,
            subscribed: self.connection.subscribed,
            pulse: self.pulse.as_ref(),
            signs: self.signs,
            publishing: [self.outcomes.standing(), self.letters.standing()],
            engine: &engine,
        };
        let stalled = self.watchdog.look(now, &vitals);
        let hopeless = self.watchdog.hopeless();
        self.parts
            .health
            .stalled(hopeless.map(|stall| stall.to_string()));
        if let Some(stall) = stalled {
            let what = "building the connections to RabbitMQ anew";
            if stall == Stall::Unserved {
                warn!("{stall}: {what}");
            } else {
                error!("{stall}: {what}");
            }
            self.parts.broker.rebuild(self.epoch);
            if let Some(epoch) = self.epoch {
                self.lost(epoch, &stall.to_string());
            }
            self.outbox.intake(self.intake_open);
        }
    }

    /// Tells the endpoints and the log what is different now.
    fn publish_changes(&mut self) {
        let engine = self.parts.engine.snapshot();
        self.parts.metrics.observe(&engine);
        self.parts.metrics.connected(self.connection.connected);
        let before = &self.published.engine;
        match (&before.breaker_open, &engine.breaker_open) {
            (None, Some(why)) => warn!("breaker open, no calls are made: {why}"),
            (Some(_), None) => info!("breaker closed, calls go on"),
            (None, None) | (Some(_), Some(_)) => {}
        }
        let notable = before.breaker_open != engine.breaker_open
            || before.unroutable != engine.unroutable
            || before.paused != engine.paused
            || before.draining != engine.draining
            || self.published.broker != self.connection;
        self.published.engine = engine;
        self.published.broker = self.connection;
        if notable {
            self.publish();
        }
    }

    /// All of one moment, so that its parts fit together.
    fn publish(&mut self) {
        self.published.queues = self.parts.engine.queues(QUEUES_MAX);
        self.published.jobs_ready = self.pulse.as_ref().map(broker::Pulse::ready);
        self.published.dead_ready = self.pulse.as_ref().and_then(|pulse| pulse.dead);
        // Here and not with the pulse, as without a connection it is no longer known.
        self.parts.metrics.dead_ready(self.published.dead_ready);
        let now = self.parts.clock.now();
        let ready = self.published.reasons().is_empty();
        let since = self.published.not_ready_since.unwrap_or(now.wall);
        self.published.not_ready_since = Some(since).filter(|_| !ready);
        let next_probe = self.published.engine.next_probe;
        self.published.next_probe = next_probe.map(|at| now.wall_at(at));
        self.parts.health.publish(self.published.clone());
    }

    /// Everything is settled: sends what the outbox still holds and waits for the broker side to close.
    async fn close(mut self, stop: &Stop) -> Result<Ended, Failure> {
        self.outbox.close();
        let commands = self.parts.broker.commands.clone();
        let patience = time::sleep(CLOSE_MAX);
        tokio::pin!(patience);
        loop {
            tokio::select! {
                () = stop.now.cancelled() => return Ok(Ended::GaveBack),
                () = &mut patience => {
                    warn!("RabbitMQ did not close the connection in time");
                    break;
                }
                Ok(room) = commands.reserve(), if self.outbox.is_ready() => {
                    self.outbox.send(room, self.epoch);
                }
                event = self.parts.broker.events.recv() => match event {
                    Some(broker::Event::Closed) | None => break,
                    Some(_) => {}
                }
            }
        }
        let ended = if self.gave_back {
            Ended::GaveBack
        } else {
            Ended::Drained
        };
        info!("stopped");
        Ok(ended)
    }
}
