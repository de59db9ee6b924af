//! The world around one engine: virtual time, an agenda of what happens when, and the process that lives and dies.
//!
//! Everything follows from the seed: no clock, no threads, no maps of random order. What is right and wrong is the
//! [`Oracle`]'s business.

mod orders;
mod shell;

use std::collections::BTreeMap;
use std::time::Duration;

use clockout::engine::job::{Epoch, Ticket};
use clockout::engine::{CallId, Event, Published, TellId};
use fastrand::Rng;

use crate::broker::Broker;
use crate::faults::{Swarm, up_to};
use crate::onlooker::Onlooker;
use crate::oracle::{Met, Oracle};
use crate::pbx::{Outage, Pbx};
use crate::producer::Producer;
use orders::Order;
use shell::Process;

/// How long, in virtual time, everything may take to drain once the faults have ended.
const LIVENESS_BOUND: Duration = Duration::from_mins(15);

/// Ticks at one moment after which a deadline counts as one that no tick moves.
const TICKS_AT_ONCE_MAX: u32 = 1_000;

/// Something that is going to happen, unless what it belongs to is over by then.
#[derive(Debug, Clone, Copy)]
enum Occurrence {
    Published,
    DeliveriesArrive {
        epoch: Epoch,
    },
    SettlementsArrive {
        epoch: Epoch,
    },
    Told {
        epoch: Epoch,
        tell: TellId,
        published: Published,
    },
    Buried {
        epoch: Epoch,
        ticket: Ticket,
        published: Published,
    },
    CallEnds {
        process: u32,
        call: CallId,
    },
    Asked {
        process: u32,
    },
    ChannelLost,
    LossHeard {
        process: u32,
    },
    /// The worker has written what it meant to, and ends its session.
    LetGo {
        epoch: Epoch,
    },
    Reconnected {
        process: u32,
    },
    OutageBegins {
        outage: Outage,
    },
    OutageEnds,
    Crashed,
    StopRequested,
    GraceEnded {
        process: u32,
    },
    ProcessStarts,
    Ordered {
        order: Order,
    },
}

pub(crate) struct World {
    trace: bool,
    rng: Rng,
    swarm: Swarm,
    now: Duration,
    agenda: BTreeMap<(Duration, u64), Occurrence>,
    agenda_len_ever: u64,
    producer: Producer,
    broker: Broker,
    pbx: Pbx,
    healed: bool,
    processes_ever: u32,
    process: Option<Process>,
    oracle: Oracle,
    onlooker: Onlooker,
    /// The delays of the news that a channel was lost, where it comes late.
    late_news: Option<Rng>,
}

/// Runs one seed to its end; panics if a promise is broken.
pub(crate) fn run(seed: u64, trace: bool) -> Met {
    let mut world = World::new(seed, trace);
    world.plan_a_dead_queue(seed);
    world.plan();
    world.plan_orders(seed);
    world.pass_until(world.swarm.safety_phase, |_| false);
    world.heal();
    let patience = world.now + LIVENESS_BOUND;
    world.pass_until(patience, World::is_done);
    assert!(
        world.is_done(),
        "still not drained {LIVENESS_BOUND:?} after the faults ended: {}",
        world.pending()
    );
    world.oracle.at_the_end(&world.broker.published, &world.pbx);
    let judged = world.onlooker.judges(&world.pbx);
    Met {
        judged,
        ..world.oracle.met
    }
}

impl World {
    fn new(seed: u64, trace: bool) -> Self {
        let mut rng = Rng::with_seed(seed);
        let swarm = Swarm::of(&mut rng);
        let pbx = Pbx::new(&mut rng, &swarm);
        let world = Self {
            trace,
            now: Duration::ZERO,
            agenda: BTreeMap::new(),
            agenda_len_ever: 0,
            producer: Producer::default(),
            broker: Broker::new(swarm.settings.prefetch.get(), swarm.shards),
            pbx,
            healed: false,
            processes_ever: 0,
            process: None,
            oracle: Oracle::new(swarm.settings.clone()),
            onlooker: Onlooker::default(),
            late_news: late_news(seed),
            rng,
            swarm,
        };
        world.say(|| format!("{:#?}", world.swarm));
        world
    }

    /// Puts what the seed holds on the agenda, over the safety phase.
    fn plan(&mut self) {
        self.after(Duration::ZERO, Occurrence::ProcessStarts);
        let phase = self.swarm.safety_phase;
        // Producers publish in bursts: a shift ends for many at once.
        let mut moment = Duration::ZERO;
        for _ in 0..self.swarm.messages {
            if self.rng.bool() {
                moment = up_to(&mut self.rng, phase);
            }
            self.after(moment, Occurrence::Published);
        }
        for _ in 0..self.swarm.channel_losses {
            let at = up_to(&mut self.rng, phase);
            self.after(at, Occurrence::ChannelLost);
        }
        for _ in 0..self.swarm.crashes {
            let at = up_to(&mut self.rng, phase);
            self.after(at, Occurrence::Crashed);
        }
        for _ in 0..self.swarm.drains {
            let at = up_to(&mut self.rng, phase);
            self.after(at, Occurrence::StopRequested);
        }
        for _ in 0..self.swarm.outages {
            let at = up_to(&mut self.rng, phase);
            let outage = if self.rng.bool() {
                Outage::Transient
            } else {
                Outage::Fault
            };
            self.after(at, Occurrence::OutageBegins { outage });
        }
    }

    /// In every fifth seed, one in which nobody meddles, one of several PBX queues is dead, and jobs enough come for it to be in the
    /// way of others.
    fn plan_a_dead_queue(&mut self, seed: u64) {
        const BEREAVED: u64 = 4;
        if let [queue, _, ..] = self.swarm.queues[..]
            && seed % 5 == BEREAVED
        {
            self.pbx.dead = Some(queue);
            self.swarm.messages = self.rng.usize(80..=200);
        }
    }

    /// Ends every fault; what is odd for good stays so.
    fn heal(&mut self) {
        self.say(|| "the faults end".to_owned());
        self.healed = true;
        self.pbx.outage = None;
    }

    fn is_done(&self) -> bool {
        let idle =
            |p: &Process| p.engine.pending().is_none() && p.inbox.is_empty() && p.calls.is_empty();
        self.broker.is_empty()
            && self.broker.settling() == 0
            && self.process.as_ref().is_some_and(idle)
    }

    fn pending(&self) -> String {
        let engine = self
            .process
            .as_ref()
            .map(|process| process.engine.pending());
        format!("{} ready, engine {engine:?}", self.broker.ready())
    }

    fn after(&mut self, wait: Duration, occurrence: Occurrence) {
        self.agenda_len_ever += 1;
        self.agenda
            .insert((self.now + wait, self.agenda_len_ever), occurrence);
    }

    /// Lets time pass until `end`, until nothing more is due, or until `done`.
    fn pass_until(&mut self, end: Duration, done: fn(&Self) -> bool) {
        let mut ticks_at_once = 0;
        while !done(self) {
            self.tell_of_used_up();
            self.expect_deliveries();
            let deadline = self
                .process
                .as_ref()
                .and_then(|process| process.engine.next_deadline());
            // As in the worker: timers that are due come before anything else.
            if deadline.is_some_and(|deadline| deadline <= self.now) {
                ticks_at_once += 1;
                assert!(
                    ticks_at_once < TICKS_AT_ONCE_MAX,
                    "no tick moves the deadline {deadline:?}"
                );
                self.step(Event::Tick);
                continue;
            }
            if self.hand_in() {
                continue;
            }
            let due = self.agenda.first_key_value().map(|(&(due, _), _)| due);
            let Some(next) = due
                .into_iter()
                .chain(deadline)
                .min()
                .filter(|&next| next <= end)
            else {
                break;
            };
            if next > self.now {
                self.now = next;
                ticks_at_once = 0;
            } else if let Some((_, occurrence)) = self.agenda.pop_first() {
                self.happen(occurrence);
            }
        }
    }

    fn happen(&mut self, occurrence: Occurrence) {
        if self.is_void(&occurrence) {
            return;
        }
        match occurrence {
            Occurrence::Published => {
                let now = self.now().wall;
                let message = self.producer.message(&mut self.rng, &self.swarm, now);
                self.say(|| format!("published {message:?}"));
                self.onlooker.sent(&message);
                self.broker.publish(message);
            }
            Occurrence::DeliveriesArrive { .. } => self.receive(),
            Occurrence::SettlementsArrive { .. } => self.settle(),
            Occurrence::Told {
                tell, published, ..
            } => self.tell(tell, published),
            Occurrence::Buried {
                ticket, published, ..
            } => self.bury(ticket, published),
            Occurrence::CallEnds { call, .. } => self.end_call(call),
            Occurrence::Asked { .. } => self.answer_ask(),
            Occurrence::ChannelLost | Occurrence::LetGo { .. } => self.lose_channel(),
            Occurrence::LossHeard { .. } => self.hear_of_loss(),
            Occurrence::Reconnected { .. } => self.broker.connect(),
            Occurrence::OutageBegins { outage } => {
                self.pbx.outage = Some(outage);
                let lasts = up_to(&mut self.rng, Duration::from_mins(1));
                self.after(lasts, Occurrence::OutageEnds);
            }
            Occurrence::OutageEnds => self.pbx.outage = None,
            Occurrence::Crashed => self.end_process("crash"),
            Occurrence::StopRequested => self.request_stop(),
            Occurrence::GraceEnded { .. } => self.step(Event::GraceEnded),
            Occurrence::ProcessStarts => self.start_process(),
            Occurrence::Ordered { order } => self.order(order),
        }
    }

    /// Whether the session, the process or the phase that it belongs to is over.
    fn is_void(&self, occurrence: &Occurrence) -> bool {
        match occurrence {
            Occurrence::DeliveriesArrive { epoch }
            | Occurrence::SettlementsArrive { epoch }
            | Occurrence::LetGo { epoch } => self.broker.epoch() != Some(*epoch),
            // What the broker had answered comes before the news that the session is over.
            Occurrence::Told { epoch, .. } | Occurrence::Buried { epoch, .. } => {
                self.known_epoch() != Some(*epoch)
            }
            Occurrence::CallEnds { process, .. }
            | Occurrence::Asked { process }
            | Occurrence::LossHeard { process }
            | Occurrence::Reconnected { process }
            | Occurrence::GraceEnded { process } => !self.lives(*process),
            Occurrence::ChannelLost
            | Occurrence::OutageBegins { .. }
            | Occurrence::Crashed
            | Occurrence::StopRequested => self.healed,
            Occurrence::Ordered { order } => self.healed && !order.is_a_relief(),
            Occurrence::Published | Occurrence::OutageEnds | Occurrence::ProcessStarts => false,
        }
    }

    /// The epoch of the session that stands, as far as the worker knows.
    fn known_epoch(&self) -> Option<Epoch> {
        let behind = self.process.as_ref().and_then(|process| process.behind);
        behind.or(self.broker.epoch())
    }

    fn lives(&self, number: u32) -> bool {
        self.process
            .as_ref()
            .is_some_and(|process| process.number == number)
    }
}

/// In a third of the seeds, with luck of its own, so that all others keep their meaning.
fn late_news(seed: u64) -> Option<Rng> {
    matches!(seed % 6, 1 | 3).then(|| Rng::with_seed(seed.rotate_left(32)))
}
