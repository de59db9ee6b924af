//! The engine alone: jobs per second through `Engine::step`, and allocations per job.
//!
//! One job's way is four events and what they cause: delivered, called (with 49 others), told, settled. `cargo bench --bench
//! engine` prints the time for [`JOBS`] jobs, jobs per second, and allocations for all of them.

#![allow(
    clippy::unwrap_used,
    reason = "a benchmark that cannot be set up has nothing to measure"
)]

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
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

const JOBS: usize = 20_000;
const QUEUES: usize = 40;

fn main() {
    divan::main();
}

/// Runs of 50 jobs of one PBX queue, as when a shift ends.
#[divan::bench]
fn in_runs(bencher: Bencher<'_, '_>) {
    measure(bencher, |n| n / 50 % QUEUES);
}

/// The PBX queues take turns, job by job.
#[divan::bench]
fn interleaved(bencher: Bencher<'_, '_>) {
    measure(bencher, |n| n % QUEUES);
}

fn measure(bencher: Bencher<'_, '_>, queue: impl Fn(usize) -> usize + Sync) {
    bencher
        .counter(ItemsCount::new(JOBS))
        .with_inputs(|| {
            let jobs: Vec<_> = (0..JOBS).map(|n| job(n, queue(n))).collect();
            (Engine::new(settings(), 1), jobs)
        })
        .bench_local_values(|(mut engine, jobs)| {
            let mut settled = 0;
            let mut jobs = (1..).zip(jobs);
            while settled < JOBS {
                let mut events: Vec<Event> = Vec::with_capacity(500);
                events.extend(jobs.by_ref().take(500).map(|(tag, job)| Event::Delivered {
                    ticket: Ticket {
                        epoch: Epoch(1),
                        tag,
                    },
                    job,
                    redelivered: false,
                }));
                // What neither fills a batch nor has company to come leaves when its linger is over.
                events.push(Event::Tick);
                while let Some(event) = events.pop() {
                    settled += step(&mut engine, event, &mut events);
                }
            }
            engine
        });
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
