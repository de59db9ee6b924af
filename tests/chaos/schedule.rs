//! What a seed decides before anything starts: the worker's settings, and what goes wrong, when and for how long. Pure.

use std::time::Duration;

use fastrand::Rng;

use crate::fault::{BrokerFault, Fault, Side};

/// Longest that a worker waits for the PBX.
pub const PBX_TIMEOUT: Duration = Duration::from_secs(1);

/// Everything that happens to one run.
#[derive(Debug)]
pub struct Schedule {
    pub workers: usize,
    /// Queues that jobs are spread over.
    pub shards: u16,
    /// By their keys in CONTRACT §7.
    pub settings: Vec<(&'static str, String)>,
    pub pbx_queues: usize,
    /// Of every call, on top of what goes wrong.
    pub pbx_latency: Duration,
    pub strikes: Vec<Strike>,
}

/// One or two faults that strike together.
#[derive(Debug)]
pub struct Strike {
    /// Of quiet before it.
    pub after: Duration,
    pub faults: Vec<Fault>,
    pub lasts: Duration,
    /// Whether the next one waits until this one is recovered from.
    pub recover: bool,
    /// Decides what is left open: which worker, how many bytes.
    pub luck: u64,
}

impl Schedule {
    /// `only`: nothing else goes wrong than what has one of these, between commas, in its name. `shards`: so many, whatever
    /// the seed would draw.
    pub fn of(seed: u64, strikes: usize, only: &str, shards: Option<u16>) -> Schedule {
        let mut rng = Rng::with_seed(seed);
        let rng = &mut rng;
        let further = Further::draw(seed);
        let faults: Vec<Fault> = Fault::ALL
            .into_iter()
            .filter(|fault| only.split(',').any(|part| fault.to_string().contains(part)))
            .collect();
        // Each seed leaves out about half of what can go wrong: what one fault hides from us in one seed, another shows.
        // In one of four nothing goes wrong but with the workers: there, order must hold between them.
        let workers_only = rng.u32(0..4) == 0;
        let drawn = |fault: &Fault| rng.bool() && (fault.side() == Side::Worker || !workers_only);
        let mut drawn: Vec<Fault> = faults.iter().copied().filter(drawn).collect();
        if drawn.is_empty() {
            drawn = faults;
        }
        assert!(
            !drawn.is_empty(),
            "nothing that goes wrong is called {only:?}"
        );
        // Often one alone: its order is judged whatever else goes wrong.
        let workers = *rng.choice(&[1, 1, 1, 2, 2, 3]).expect("not empty");
        let patience = if workers > 1 {
            NO_WATCHDOG
        } else {
            further.patience
        };
        Schedule {
            workers,
            shards: shards.unwrap_or(further.shards),
            settings: settings(rng, patience),
            pbx_queues: rng.usize(2..=40),
            pbx_latency: Duration::from_millis(rng.u64(0..=10)),
            strikes: (0..strikes).map(|_| Strike::of(rng, &drawn)).collect(),
        }
    }

    /// Whether an agent whose job is open when this goes wrong may be called out of order. The jobs of an agent keep to one
    /// queue, and that goes from one worker to another only when the one before has ended. But where that only loses its
    /// connection or its breaker opens, the next worker begins while it still finishes a call. What comes while a shard is
    /// missing goes to others, where the next ones do not wait for it; and so may what comes after a restart of RabbitMQ, which
    /// leads jobs to shards by the order in which it recovers their bindings.
    pub fn breaks_order(&self, fault: Fault) -> bool {
        use BrokerFault::{JobsQueueDeleted, Killed, Restarted};
        let moves_jobs = matches!(fault, Fault::Broker(JobsQueueDeleted | Killed | Restarted));
        (self.shards > 1 && moves_jobs) || (self.workers > 1 && fault.side() != Side::Worker)
    }

    /// How long its strikes last at least.
    pub fn length(&self) -> Duration {
        self.strikes.iter().map(|s| s.after + s.lasts).sum()
    }
}

impl Strike {
    /// How long what else goes wrong has done so when the workers' fault comes: so they end with what gathers meanwhile.
    pub fn until_worker(&self) -> Duration {
        let is_workers = |fault: &Fault| fault.side() == Side::Worker;
        if self.faults.len() > 1 && self.faults.iter().any(is_workers) {
            // Not of the bits that choose the worker.
            let part = u32::try_from(self.luck >> 32).unwrap_or_default();
            self.lasts.mul_f64(f64::from(part) / f64::from(u32::MAX))
        } else {
            Duration::ZERO
        }
    }

    fn of(rng: &mut Rng, drawn: &[Fault]) -> Strike {
        let first = *rng.choice(drawn).expect("something goes wrong");
        let second = rng
            .choice(drawn)
            .copied()
            .filter(|second| rng.u32(0..3) == 0 && second.side() != first.side());
        let mut faults: Vec<Fault> = [Some(first), second].into_iter().flatten().collect();
        // The workers come last: so they start, end and work while the other thing goes wrong.
        faults.sort_by_key(|fault| fault.side());
        let longest_ms = faults.iter().map(|fault| fault.longest_ms()).max();
        Strike {
            after: Duration::from_millis(rng.u64(0..2_000)),
            lasts: Duration::from_millis(rng.u64(0..=longest_ms.unwrap_or_default())),
            recover: rng.u32(0..3) > 0,
            luck: rng.u64(..),
            faults,
        }
    }
}

/// A patience that outlasts every run: what the watchdog would mend is to be seen. Several workers have none, as a rebuild
/// loses a connection, and over that order does not hold from one to the next; on a busy machine it comes without a fault.
const NO_WATCHDOG: &str = "1h";

/// What does not depend on how much goes wrong; from a stream of its own.
struct Further {
    shards: u16,
    /// Of one worker's watchdog, which in every other seed has no occasion.
    patience: &'static str,
}

impl Further {
    fn draw(seed: u64) -> Self {
        let mut rng = Rng::with_seed(!seed);
        Self {
            shards: *rng.choice(&[1, 1, 1, 2, 3, 4]).expect("not empty"),
            patience: rng.choice(&["5s", NO_WATCHDOG]).expect("not empty"),
        }
    }
}

fn settings(rng: &mut Rng, patience: &str) -> Vec<(&'static str, String)> {
    let mut any = |choices: &[&str]| (*rng.choice(choices).expect("not empty")).to_owned();
    vec![
        ("jobs.prefetch", any(&["20", "200", "2000"])),
        ("batch.max_agents", any(&["1", "10", "50", "200"])),
        ("batch.linger", any(&["0s", "20ms", "200ms"])),
        ("pbx.max_in_flight", any(&["1", "4", "16"])),
        ("retry.attempts_max", any(&["3", "6", "20"])),
        ("breaker.failures", any(&["2", "5"])),
        // Impatient, so that much happens in little time.
        ("pbx.connect_timeout", "500ms".to_owned()),
        ("pbx.timeout", format!("{}s", PBX_TIMEOUT.as_secs())),
        ("retry.initial", "20ms".to_owned()),
        ("retry.max", "500ms".to_owned()),
        ("breaker.cooldown", "100ms".to_owned()),
        ("breaker.cooldown_max", "1s".to_owned()),
        ("watchdog.patience", patience.to_owned()),
        ("shutdown.grace", any(&["1s", "10s"])),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::{PbxFault, WorkerFault};

    #[test]
    fn a_worker_ends_amid_what_else_goes_wrong_and_at_once_if_nothing_does() {
        let killed = Fault::Worker(WorkerFault::Killed);
        let mut strike = Strike {
            after: Duration::ZERO,
            faults: vec![Fault::Pbx(PbxFault::Slow), killed],
            lasts: Duration::from_secs(4),
            recover: true,
            luck: u64::MAX / 4,
        };
        let amid = strike.until_worker();
        assert!(amid > Duration::from_millis(900) && amid < Duration::from_millis(1_100));
        strike.faults = vec![killed];
        assert_eq!(strike.until_worker(), Duration::ZERO);
    }
}
