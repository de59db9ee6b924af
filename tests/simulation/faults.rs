//! Swarm options: which faults a seed has, how likely each is, and the settings the worker runs with.
//!
//! Each seed switches about half of the faults off, so that some seeds are all storms and some hold one fault alone;
//! a bug that hides behind another fault in one seed shows itself in the next.

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use clockout::engine::job::PbxQueue;
use clockout::engine::{BreakerSettings, Policy, RetrySettings, Settings, Tuning};
use fastrand::Rng;

/// Likelihoods, in thousandths.
#[derive(Debug, Default)]
pub(crate) struct Rates {
    // Of one call.
    pub(crate) transient: u32,
    pub(crate) ambiguous: u32,
    pub(crate) fault: u32,
    /// Of a transient failure or a fault: that it carries a `Retry-After`.
    pub(crate) retry_after: u32,
    // Of one item of a reply.
    pub(crate) busy: u32,
    pub(crate) refused: u32,
    pub(crate) missing: u32,
    /// An item that nobody asked about.
    pub(crate) foreign: u32,
    // Of one agent or PBX queue, for good.
    pub(crate) absent: u32,
    pub(crate) odd_agent: u32,
    pub(crate) odd_queue: u32,
    // Of one publish.
    pub(crate) publish_refused: u32,
    pub(crate) publish_returned: u32,
    // Of one message.
    pub(crate) remove: u32,
    pub(crate) many_agents: u32,
    pub(crate) repeated: u32,
    pub(crate) id_reused: u32,
    pub(crate) replayed: u32,
    pub(crate) stale: u32,
    pub(crate) expiring: u32,
    pub(crate) unreadable: u32,
    pub(crate) dry_run: u32,
}

/// Everything a seed decides before the first event.
#[derive(Debug)]
pub(crate) struct Swarm {
    pub(crate) settings: Settings,
    pub(crate) rates: Rates,
    pub(crate) queues: Vec<PbxQueue>,
    /// Queues that the jobs are spread over, each with its part of prefetch.
    pub(crate) shards: usize,
    pub(crate) agents_per_queue: usize,
    pub(crate) messages: usize,
    /// How long producers produce and faults happen.
    pub(crate) safety_phase: Duration,
    // How many times, over the safety phase.
    pub(crate) channel_losses: u32,
    pub(crate) crashes: u32,
    pub(crate) drains: u32,
    pub(crate) outages: u32,
    /// The longest that a call takes, a confirm takes.
    pub(crate) call_latency: Duration,
    pub(crate) confirm_latency: Duration,
}

/// True with a likelihood of `per_mille` thousandths.
pub(crate) fn chance(rng: &mut Rng, per_mille: u32) -> bool {
    rng.u32(0..1000) < per_mille
}

/// A duration of `0..=max`, in whole milliseconds.
pub(crate) fn up_to(rng: &mut Rng, max: Duration) -> Duration {
    Duration::from_millis(rng.u64(0..=u64::try_from(max.as_millis()).unwrap_or(u64::MAX)))
}

impl Swarm {
    pub(crate) fn of(rng: &mut Rng) -> Self {
        // One seed in eight has no fault at all: there, promises about time can be held to the millisecond.
        let calm = rng.u32(0..8) == 0;
        let queues: Vec<PbxQueue> = (0..rng.usize(1..=4))
            .map(|n| PbxQueue::parse(&format!("1000{n}")).expect("a queue number"))
            .collect();
        let times = |rng: &mut Rng, max| {
            if calm || rng.bool() {
                0
            } else {
                rng.u32(1..=max)
            }
        };
        let settings = settings(rng, &queues);
        let shards = if rng.bool() { 1 } else { rng.usize(2..=4) };
        Self {
            shards: shards.min(settings.prefetch.get()),
            settings,
            rates: Rates::of(rng, calm),
            queues,
            agents_per_queue: rng.usize(1..=8),
            messages: rng.usize(1..=80),
            safety_phase: Duration::from_secs(rng.u64(1..=90)),
            channel_losses: times(rng, 6),
            crashes: times(rng, 3),
            drains: times(rng, 3),
            outages: times(rng, 2),
            call_latency: Duration::from_millis(rng.u64(1..=2000)),
            confirm_latency: Duration::from_millis(rng.u64(0..=100)),
        }
    }

    /// What somebody changes while the worker works. Calls per second stay, or "at most n in any second" would not hold at
    /// the change; so does how often an agent is called, of which some had more than a lower number.
    pub(crate) fn another_tuning(&self, rng: &mut Rng) -> Tuning {
        let before = self.settings.tuning();
        let RetrySettings { attempts_max, .. } = before.retry;
        let other = settings(rng, &self.queues).tuning();
        Tuning {
            max_calls_per_second: before.max_calls_per_second,
            retry: RetrySettings {
                attempts_max,
                ..other.retry
            },
            ..other
        }
    }
}

impl Rates {
    fn of(rng: &mut Rng, calm: bool) -> Self {
        let mut rate = |max| if rng.bool() { 0 } else { rng.u32(1..=max) };
        let kind = Self {
            remove: 500,
            many_agents: rate(500),
            repeated: rate(200),
            id_reused: rate(100),
            replayed: rate(100),
            stale: rate(300),
            expiring: rate(300),
            unreadable: rate(100),
            dry_run: rate(200),
            absent: rate(200),
            ..Self::default()
        };
        if calm {
            return kind;
        }
        Self {
            transient: rate(400),
            ambiguous: rate(300),
            fault: rate(50),
            retry_after: rate(500),
            busy: rate(300),
            refused: rate(300),
            missing: rate(300),
            foreign: rate(300),
            odd_agent: rate(300),
            odd_queue: rate(300),
            publish_refused: rate(200),
            publish_returned: rate(200),
            ..kind
        }
    }
}

fn settings(rng: &mut Rng, queues: &[PbxQueue]) -> Settings {
    let count = |rng: &mut Rng, max| NonZeroUsize::MIN.saturating_add(rng.usize(0..max));
    let number = |rng: &mut Rng, max| NonZeroU32::MIN.saturating_add(rng.u32(0..max));
    let cooldown = Duration::from_millis(rng.u64(500..=5_000));
    let initial = Duration::from_millis(rng.u64(10..=500));
    Settings {
        prefetch: count(rng, 60),
        dedup_window: Duration::from_secs(rng.u64(0..=600)),
        max_in_flight: count(rng, 4),
        // Divisors of a second, so that "at most n in any second" can be checked exactly.
        max_calls_per_second: rng.choice([None, None, None, NonZeroU32::new(5)]).flatten(),
        max_agents: count(rng, 8),
        linger: rng
            .choice([0, 20, 200, 1000])
            .map_or(Duration::ZERO, Duration::from_millis),
        retry: RetrySettings {
            initial,
            multiplier: 1.0 + rng.f64() * 2.0,
            max: initial * rng.u32(1..=20),
            attempts_max: number(rng, 6),
        },
        breaker: BreakerSettings {
            failures: number(rng, 5),
            cooldown,
            cooldown_max: cooldown * rng.u32(1..=4),
            hold_max: cooldown * 5,
        },
        policy: Policy {
            pause: rng.u32(0..10) > 0,
            remove: rng.u32(0..10) > 0,
            remove_queues: (rng.u32(0..5) == 0).then(|| queues.iter().take(1).copied().collect()),
            dry_run: rng.u32(0..20) == 0,
        },
        hold_unroutable: rng.bool(),
    }
}
