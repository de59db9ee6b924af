//! The worker's shell, in the world: starts and ends processes, hands events to the engine, performs its effects.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use clockout::engine::batch::Batch;
use clockout::engine::job::{Epoch, Ticket, Timestamp};
use clockout::engine::verdict::CallResult;
use clockout::engine::{CallId, Effect, Engine, Event, Now, Published, TellId};

use super::{Occurrence, World};
use crate::faults::{chance, up_to};
use crate::oracle::Rarity;
use crate::pbx::Outage;
use crate::producer::Message;

/// The wall clock at virtual time zero, in milliseconds since the Unix epoch.
const WALL_AT_START: u64 = 1_795_000_000_000;

/// One life of the worker.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) number: u32,
    pub(super) engine: Engine,
    /// Deliveries that have come and that the engine has no room for yet.
    pub(super) inbox: VecDeque<(Ticket, Message, bool)>,
    /// The calls under way.
    pub(super) calls: BTreeMap<CallId, Arc<Batch>>,
    deliveries_due: bool,
    /// What it was last told of a shard that has used its part of prefetch up.
    used_up: Option<usize>,
    /// A session that is over, which it has not yet heard: what it says is still meant for that.
    pub(super) behind: Option<Epoch>,
}

impl Process {
    /// Its next delivery that the engine has room for. What comes of a new session waits until it has heard of the old one's end.
    fn next_delivery(&mut self) -> Option<(Ticket, Message, bool)> {
        let is_next = |(ticket, ..): &mut (Ticket, Message, bool)| {
            self.engine.has_room() && self.behind.is_none_or(|epoch| ticket.epoch == epoch)
        };
        self.inbox.pop_front_if(is_next)
    }
}

impl World {
    pub(super) fn start_process(&mut self) {
        self.processes_ever += 1;
        self.say(|| format!("process {} starts", self.processes_ever));
        self.broker.consuming = true;
        self.broker.connect();
        self.process = Some(Process {
            number: self.processes_ever,
            engine: Engine::new(self.swarm.settings.clone(), self.rng.u64(..)),
            inbox: VecDeque::new(),
            calls: BTreeMap::new(),
            deliveries_due: false,
            used_up: None,
            behind: None,
        });
    }

    /// The process is gone, its memory with it; calls that were under way may still be carried out.
    pub(super) fn end_process(&mut self, how: &str) {
        let Some(process) = self.process.take() else {
            return;
        };
        self.say(|| format!("process {} ends: {how}", process.number));
        for batch in process.calls.into_values() {
            if self.rng.bool() {
                self.answer(&batch);
            }
        }
        self.disconnect();
        self.onlooker.void();
        self.oracle.process_ended();
        let pause = up_to(&mut self.rng, Duration::from_secs(2));
        self.after(pause, Occurrence::ProcessStarts);
    }

    /// The news of it may come late: then the next session may stand before the worker knows of the end of this one.
    pub(super) fn lose_channel(&mut self) {
        let Some(epoch) = self.broker.epoch() else {
            return;
        };
        let Some(process) = self
            .process
            .as_mut()
            .filter(|process| process.behind.is_none())
        else {
            return;
        };
        let number = process.number;
        process.behind = Some(epoch);
        self.disconnect();
        let back = if let Some(rng) = &mut self.late_news {
            let news = up_to(rng, Duration::from_secs(2));
            let back = up_to(rng, Duration::from_millis(100));
            self.after(news, Occurrence::LossHeard { process: number });
            back
        } else {
            self.hear_of_loss();
            up_to(&mut self.rng, Duration::from_secs(5))
        };
        self.after(back, Occurrence::Reconnected { process: number });
    }

    pub(super) fn hear_of_loss(&mut self) {
        let Some(process) = &mut self.process else {
            return;
        };
        let Some(epoch) = process.behind.take() else {
            return;
        };
        process.inbox.retain(|(ticket, ..)| ticket.epoch != epoch);
        process.used_up = None;
        self.onlooker.void();
        self.step(Event::ChannelLost { epoch });
    }

    /// Ends the session; some of what was said on it is no longer heard.
    fn disconnect(&mut self) {
        let heard = self.rng.usize(0..=self.broker.settling());
        let done = self.broker.disconnect(heard);
        self.onlooker.acknowledged(&done);
        if let Some(rng) = &mut self.late_news {
            self.onlooker.session_ended(rng);
        }
        if let Some(process) = &mut self.process {
            process.deliveries_due = false;
        }
    }

    /// What was written on this session is heard; what was acknowledged meanwhile is written.
    pub(super) fn settle(&mut self) {
        let done = self.broker.hear(self.broker.settling());
        self.onlooker.acknowledged(&done);
        self.broker.write();
        if self.broker.settling() > 0 {
            self.expect_settlements();
        }
    }

    fn expect_settlements(&mut self) {
        let latency = up_to(&mut self.rng, Duration::from_millis(20));
        if let Some(epoch) = self.broker.epoch() {
            self.after(latency, Occurrence::SettlementsArrive { epoch });
        }
    }

    /// Tells the engine when a shard has used its part of prefetch up, and when none has any more.
    pub(super) fn tell_of_used_up(&mut self) {
        let part = self.broker.used_up();
        if let Some(process) = &mut self.process
            && process.behind.is_none()
            && process.used_up != part
        {
            process.used_up = part;
            self.step(Event::PartUsedUp { part });
        }
    }

    pub(super) fn request_stop(&mut self) {
        let Some(process) = self.process.as_ref().map(|process| process.number) else {
            return;
        };
        let grace = up_to(&mut self.rng, Duration::from_secs(30));
        self.after(grace, Occurrence::GraceEnded { process });
        self.step(Event::StopRequested);
    }

    /// Sees to it that what can be delivered will be.
    pub(super) fn expect_deliveries(&mut self) {
        let Some(epoch) = self.broker.epoch().filter(|_| self.broker.can_deliver()) else {
            return;
        };
        let Some(process) = self
            .process
            .as_mut()
            .filter(|process| !process.deliveries_due)
        else {
            return;
        };
        process.deliveries_due = true;
        let latency = up_to(&mut self.rng, Duration::from_millis(5));
        self.after(latency, Occurrence::DeliveriesArrive { epoch });
    }

    /// Takes some of the deliveries that the broker has for it.
    pub(super) fn receive(&mut self) {
        let Some(process) = &mut self.process else {
            return;
        };
        process.deliveries_due = false;
        for _ in 0..self.rng.usize(1..=20) {
            process.inbox.extend(self.broker.deliver());
        }
    }

    /// Hands one delivery in, if there is one and the engine has room for it.
    pub(super) fn hand_in(&mut self) -> bool {
        let wall = self.now().wall;
        let next = self.process.as_mut().and_then(Process::next_delivery);
        let Some((ticket, message, redelivered)) = next else {
            return false;
        };
        self.step(message.delivered(ticket, redelivered, wall));
        true
    }

    pub(super) fn end_call(&mut self, call: CallId) {
        let Some(batch) = self
            .process
            .as_mut()
            .and_then(|process| process.calls.remove(&call))
        else {
            return;
        };
        let result = self.answer(&batch);
        self.step(Event::CallDone { call, result });
    }

    /// A PBX that is wrong for every job says so to a call about nobody; of any other fault that says nothing.
    pub(super) fn answer_ask(&mut self) {
        let wrong = matches!(self.pbx.outage, Some(Outage::Fault));
        let away = wrong.then(|| "401".into());
        let retry_after = None;
        self.step(Event::Asked { away, retry_after });
    }

    fn answer(&mut self, batch: &Batch) -> CallResult {
        let rates = (!self.healed).then_some(&self.swarm.rates);
        self.onlooker.called(self.now, batch);
        self.pbx.call(&mut self.rng, rates, batch)
    }

    /// Lets the engine take one step, under the oracle's eyes, and performs its effects in order.
    pub(super) fn step(&mut self, event: Event) {
        let now = self.now();
        let Some(process) = &mut self.process else {
            return;
        };
        if self.trace {
            trace(now, "->", &event);
        }
        self.oracle.sees(now, &event);
        let effects: Vec<Effect> = process.engine.step(now, event).collect();
        for effect in &effects {
            if self.trace {
                trace(now, "  <-", effect);
            }
            self.oracle.judges(now, effect);
        }
        self.oracle.looks_at(now, &process.engine);
        for effect in effects {
            self.perform(effect);
        }
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Intake { open } => self.broker.consuming = open,
            Effect::Call { call, batch } => {
                let Some(process) = &mut self.process else {
                    return;
                };
                process.calls.insert(call, batch);
                let process = process.number;
                let latency = up_to(&mut self.rng, self.swarm.call_latency);
                self.after(latency, Occurrence::CallEnds { process, call });
            }
            Effect::Ask { .. } => {
                let Some(process) = &self.process else {
                    return;
                };
                let process = process.number;
                let latency = up_to(&mut self.rng, self.swarm.call_latency);
                self.after(latency, Occurrence::Asked { process });
            }
            Effect::LetGo => self.let_go(),
            Effect::Tell { tell, outcome } => {
                let published = self.publish();
                if self.said_to().is_some() {
                    self.onlooker.published(tell, &outcome, published);
                }
                self.answer_publish(|epoch| Occurrence::Told {
                    epoch,
                    tell,
                    published,
                });
            }
            Effect::Bury { ticket, .. } => {
                if let Some(message) = self.broker.held(ticket) {
                    self.onlooker.buried(ticket, message);
                }
                let published = self.publish();
                self.answer_publish(|epoch| Occurrence::Buried {
                    epoch,
                    ticket,
                    published,
                });
            }
            Effect::Settle {
                ticket,
                disposition,
                ..
            } => {
                if self
                    .broker
                    .epoch()
                    .is_some_and(|epoch| epoch > ticket.epoch)
                {
                    self.oracle.met.rarities.insert(Rarity::SettledTooLate);
                }
                self.broker.settle(ticket, disposition);
                // Where news comes late, acknowledgements gather while others are written.
                if self.late_news.is_none() {
                    self.broker.write();
                }
                self.expect_settlements();
            }
            Effect::Count(_) => {}
            Effect::Drained => {
                self.broker.write();
                self.settle();
                self.end_process("drained");
            }
        }
    }

    /// What was said before is written first, and more may be said and heard meanwhile.
    fn let_go(&mut self) {
        if let Some(epoch) = self.said_to() {
            let latency = up_to(&mut self.rng, Duration::from_secs(1));
            self.after(latency, Occurrence::LetGo { epoch });
        }
    }

    /// The session that hears what the worker says. What is meant for one that is over no other heeds.
    fn said_to(&self) -> Option<Epoch> {
        let behind = self
            .process
            .as_ref()
            .is_some_and(|process| process.behind.is_some());
        self.broker.epoch().filter(|_| !behind)
    }

    fn publish(&mut self) -> Published {
        let rates = &self.swarm.rates;
        if !self.healed && chance(&mut self.rng, rates.publish_refused) {
            return Published::Refused;
        }
        if !self.healed && chance(&mut self.rng, rates.publish_returned) {
            return Published::Returned;
        }
        Published::Confirmed
    }

    /// The answer comes in its own time, and never if there is no session or it ends first.
    fn answer_publish(&mut self, answer: impl Fn(Epoch) -> Occurrence) {
        if let Some(epoch) = self.said_to() {
            let latency = up_to(&mut self.rng, self.swarm.confirm_latency);
            self.after(latency, answer(epoch));
        }
    }

    /// The broker answers for an outcome.
    pub(super) fn tell(&mut self, tell: TellId, published: Published) {
        let is_let_go = published == Published::Returned && !self.swarm.settings.hold_unroutable;
        if published == Published::Confirmed || is_let_go {
            self.onlooker.confirmed(tell);
        }
        self.step(Event::Told { tell, published });
    }

    /// It answers for a dead letter.
    pub(super) fn bury(&mut self, ticket: Ticket, published: Published) {
        if published == Published::Confirmed {
            self.onlooker.finds_letter(ticket);
        }
        self.step(Event::Buried { ticket, published });
    }

    pub(super) fn now(&self) -> Now {
        let wall = WALL_AT_START + u64::try_from(self.now.as_millis()).unwrap_or(u64::MAX);
        Now {
            elapsed: self.now,
            wall: Timestamp(i64::try_from(wall).unwrap_or(i64::MAX)),
        }
    }

    /// Prints a line of the trace, if this seed is traced.
    pub(super) fn say(&self, line: impl Fn() -> String) {
        if self.trace {
            trace(self.now(), "==", &format_args!("{}", line()));
        }
    }
}

fn trace(now: Now, arrow: &str, what: &impl Debug) {
    println!("{:>12.6}s {arrow} {what:?}", now.elapsed.as_secs_f64());
}
