//! Drives an engine: a broker that confirms at once, a PBX that answers at once, and time that stands still until nothing
//! else can happen.

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use clockout::engine::batch::{Batch, Cause};
use clockout::engine::job::{Epoch, Ticket};
use clockout::engine::verdict::{Answer, CallResult, ItemAnswer};
use clockout::engine::{
    BreakerSettings, Effect, Engine, Event, Now, Policy, Published, RetrySettings, Settings,
};

use super::Scenario;
use super::jobs::{self, AT, Tagged};

/// An engine and the world around it.
#[derive(Debug)]
pub struct Rig {
    scenario: Scenario,
    engine: Engine,
    elapsed: Duration,
    /// What the world has answered and the engine has not yet been told.
    events: Vec<Event>,
    /// Jobs handed in so far.
    given: usize,
}

impl Rig {
    pub fn new(scenario: Scenario) -> Self {
        Self {
            scenario,
            engine: Engine::new(settings(), 1),
            elapsed: Duration::ZERO,
            events: Vec::with_capacity(2_500),
            given: 0,
        }
    }

    /// An engine that has done what its scenario wants done before measuring begins.
    pub fn warm(scenario: Scenario) -> Self {
        let mut rig = Self::new(scenario);
        while rig.given < scenario.jobs_before() {
            let jobs = rig.next_jobs();
            rig.settle(jobs);
        }
        rig
    }

    /// The jobs to give to [`Rig::settle`] next.
    pub fn next_jobs(&self) -> Vec<Tagged> {
        jobs::of(self.scenario, self.given, self.scenario.jobs_at_once())
    }

    /// Hands jobs in and lets the engine settle them all.
    pub fn settle(&mut self, jobs: Vec<Tagged>) {
        let mut held = jobs.len();
        self.given += jobs.len();
        for (tag, job) in jobs {
            let epoch = Epoch(1);
            held -= self.step(Event::Delivered {
                ticket: Ticket { epoch, tag },
                job,
                redelivered: false,
            });
        }
        while held > 0 {
            while let Some(event) = self.events.pop() {
                held -= self.step(event);
            }
            if let Some(at) = self.engine.next_deadline().filter(|_| held > 0) {
                self.elapsed = self.elapsed.max(at);
                held -= self.step(Event::Tick);
            }
        }
    }

    /// Returns how many jobs it settled.
    fn step(&mut self, event: Event) -> usize {
        let mut settled = 0;
        let now = Now {
            elapsed: self.elapsed,
            wall: AT,
        };
        for effect in self.engine.step(now, event) {
            match effect {
                Effect::Call { call, batch } => {
                    let result = answer(self.scenario, &batch);
                    self.events.push(Event::CallDone { call, result });
                }
                Effect::Tell { tell, .. } => {
                    let published = Published::Confirmed;
                    self.events.push(Event::Told { tell, published });
                }
                Effect::Settle { .. } => settled += 1,
                Effect::Bury { .. }
                | Effect::Ask { .. }
                | Effect::LetGo
                | Effect::Intake { .. }
                | Effect::Count(_)
                | Effect::Drained => {}
            }
        }
        settled
    }
}

fn answer(scenario: Scenario, batch: &Batch) -> CallResult {
    let busy = scenario == Scenario::Retries && batch.cause != Cause::Retry;
    let item = |agent| ItemAnswer {
        queue: batch.queue,
        agent,
        answer: if busy { Answer::Busy } else { Answer::Done },
        message: None,
    };
    CallResult::Answered(batch.agents().map(item).collect())
}

#[expect(
    clippy::unwrap_used,
    reason = "what cannot be set up has nothing to measure"
)]
fn settings() -> Settings {
    Settings {
        prefetch: NonZeroUsize::new(4000).unwrap(),
        dedup_window: Duration::from_mins(10),
        max_in_flight: NonZeroUsize::new(8).unwrap(),
        max_calls_per_second: None,
        max_agents: NonZeroUsize::new(50).unwrap(),
        linger: Duration::ZERO,
        retry: RetrySettings {
            initial: Duration::from_millis(250),
            multiplier: 2.0,
            max: Duration::from_secs(10),
            attempts_max: NonZeroU32::new(6).unwrap(),
        },
        breaker: BreakerSettings {
            failures: NonZeroU32::new(5).unwrap(),
            cooldown: Duration::from_secs(5),
            cooldown_max: Duration::from_mins(1),
            hold_max: Duration::from_mins(20),
        },
        policy: Policy {
            pause: true,
            remove: true,
            remove_queues: None,
            dry_run: false,
        },
        hold_unroutable: true,
    }
}
