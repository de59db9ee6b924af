//! The engine alone: jobs per second through `Engine::step`, and allocations per job.
//!
//! One job's way is four events and what they cause: delivered, called (with 49 others), told, settled. `cargo bench --bench
//! engine` prints the time for [`JOBS`] jobs, jobs per second, and allocations for all of them.

#![allow(
    clippy::unwrap_used,
    reason = "a benchmark that cannot be set up has nothing to measure"
)]

use std::cell::Cell;
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use clockout::engine::batch::Batch;
use clockout::engine::job::{
    Action, Agent, Echo, Epoch, Job, JobHead, JobId, PbxQueue, Ticket, Timestamp,
};
use clockout::engine::verdict::{Answer, CallResult, ItemAnswer};
use clockout::engine::{
    BreakerSettings, Effect, Engine, Event, Now, Policy, Published, RetrySettings, Settings,
};
use divan::counter::ItemsCount;
use divan::{AllocProfiler, Bencher};

#[global_allocator]
static ALLOCATIONS: AllocProfiler<mimalloc::MiMalloc> = AllocProfiler::new(mimalloc::MiMalloc);

/// One prefetch's worth.
const JOBS: usize = 2_000;
const QUEUES: usize = 40;

/// Jobs after which the engine's memory is full.
const FULL: usize = 150_000;

fn main() {
    divan::main();
}

/// A job and its delivery tag.
type Tagged = (u64, Arc<Job>);

#[derive(Debug, Clone, Copy)]
enum Order {
    /// Runs of 50 jobs of one PBX queue, as when a shift ends.
    Runs,
    /// The PBX queues take turns, job by job.
    Interleaved,
}

impl Order {
    fn queue(self, n: usize) -> usize {
        match self {
            Self::Runs => n / 50 % QUEUES,
            Self::Interleaved => n % QUEUES,
        }
    }
}

/// The second shift end of an engine's life.
#[divan::bench(args = [Order::Runs, Order::Interleaved])]
fn shift_end(bencher: Bencher<'_, '_>, order: Order) {
    bencher
        .counter(ItemsCount::new(JOBS))
        .with_inputs(|| {
            let mut engine = Engine::new(settings(), 1);
            work(&mut engine, jobs(0, JOBS, order));
            (engine, jobs(JOBS, JOBS, order))
        })
        .bench_local_values(|(mut engine, jobs)| {
            work(&mut engine, jobs);
            engine
        });
}

/// An engine that remembers as much as it ever will: each job pushes an old one out.
#[divan::bench(args = [Order::Runs, Order::Interleaved])]
fn full_memory(bencher: Bencher<'_, '_>, order: Order) {
    let mut engine = Engine::new(settings(), 1);
    work(&mut engine, jobs(0, FULL, order));
    let made = Cell::new(FULL);
    bencher
        .counter(ItemsCount::new(JOBS))
        .with_inputs(|| jobs(made.replace(made.get() + JOBS), JOBS, order))
        .bench_local_values(|jobs| work(&mut engine, jobs));
}

fn jobs(first: usize, n: usize, order: Order) -> Vec<Tagged> {
    (first as u64 + 1..)
        .zip((first..first + n).map(|n| job(n, order.queue(n))))
        .collect()
}

/// Lets the engine settle all of `jobs`, 500 at a time.
fn work(engine: &mut Engine, jobs: Vec<Tagged>) {
    let (all, mut settled) = (jobs.len(), 0);
    let mut jobs = jobs.into_iter();
    let mut events: Vec<Event> = Vec::with_capacity(600);
    while settled < all {
        for (tag, job) in jobs.by_ref().take(500) {
            let ticket = Ticket {
                epoch: Epoch(1),
                tag,
            };
            settled += step(
                engine,
                Event::Delivered {
                    ticket,
                    job,
                    redelivered: false,
                },
                &mut events,
            );
        }
        while let Some(event) = events.pop() {
            settled += step(engine, event, &mut events);
        }
    }
}

fn step(engine: &mut Engine, event: Event, events: &mut Vec<Event>) -> usize {
    let mut settled = 0;
    let now = Now {
        elapsed: Duration::ZERO,
        wall: Timestamp(1_800_000_000_000),
    };
    for effect in engine.step(now, event) {
        match effect {
            Effect::Call { call, batch } => {
                events.push(Event::CallDone {
                    call,
                    result: answer(&batch),
                });
            }
            Effect::Tell { tell, .. } => {
                events.push(Event::Told {
                    tell,
                    published: Published::Confirmed,
                });
            }
            Effect::Settle { .. } => settled += 1,
            Effect::Bury { .. } | Effect::Intake { .. } | Effect::Count(_) | Effect::Drained => {}
        }
    }
    settled
}

fn answer(batch: &Batch) -> CallResult {
    let item = |agent| ItemAnswer {
        queue: batch.queue,
        agent,
        answer: Answer::Done,
        message: None,
    };
    CallResult::Answered(batch.agents().map(item).collect())
}

fn job(n: usize, queue: usize) -> Arc<Job> {
    let at = Timestamp(1_800_000_000_000);
    let head = JobHead {
        id: JobId::parse(&format!("shift-2291/{n}")).unwrap(),
        action: Action::Pause,
        queue: PbxQueue::parse(&format!("{}", 10_000 + queue)).unwrap(),
        requested_at: Some(at),
        expires_at: Some(Timestamp(at.0 + 3_600_000)),
        received_at: at,
        dry_run: false,
        replay: None,
        echo: Echo::default(),
    };
    Arc::new(Job::new(head, Agent::parse(&format!("{n}")).unwrap(), &[]))
}

fn settings() -> Settings {
    Settings {
        prefetch: NonZeroUsize::new(2000).unwrap(),
        dedup_window: Duration::from_mins(10),
        max_in_flight: NonZeroUsize::new(4).unwrap(),
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
