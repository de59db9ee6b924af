//! What a worker says of itself at `/status`, and how it stands in words.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use jiff::SignedDuration;
use serde::Deserialize;

use super::worker::Unheard;
use crate::cli::terminal::{self, Tone, counted, painted};

/// Seconds that a rate is the mean of.
const RATE_SECONDS: usize = 10;

/// As far as it is shown.
#[derive(Debug, Deserialize)]
pub(super) struct Report {
    worker: String,
    pbx: String,
    version: String,
    uptime_seconds: u32,
    dry_run: bool,
    verdict: Verdict,
    reasons: Vec<Reason>,
    not_ready_since: Option<String>,
    stalled: Option<String>,
    broker: Broker,
    breaker: Breaker,
    jobs_ready: Option<u64>,
    dead: Dead,
    held: u64,
    calls_in_flight: u64,
    /// The busiest first.
    pub(super) queues: Vec<Queue>,
    totals: Totals,
    history: History,
    /// Latest first, here and below.
    pub(super) failures: Vec<Failure>,
    pub(super) last_errors: Vec<LastError>,
}

#[derive(Debug, Deserialize)]
struct Verdict {
    state: State,
    words: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Good,
    Warn,
    Bad,
}

impl State {
    fn tone(self) -> Tone {
        match self {
            Self::Good => Tone::Good,
            Self::Warn => Tone::Doubtful,
            Self::Bad => Tone::Bad,
        }
    }
}

#[derive(Debug, Deserialize)]
struct Reason {
    message: String,
}

#[derive(Debug, Deserialize)]
struct Broker {
    connected: bool,
    subscribed: bool,
    reconnects: u64,
}

#[derive(Debug, Deserialize)]
struct Breaker {
    reason: Option<String>,
    next_probe: Option<String>,
}

/// The queue of dead letters, and how many wait there.
#[derive(Debug, Deserialize)]
struct Dead {
    queue: String,
    ready: Option<u64>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Queue {
    #[serde(rename = "queue")]
    pub(super) number: String,
    pub(super) waiting: usize,
    pub(super) in_flight: usize,
    pub(super) retrying: usize,
}

#[derive(Debug, Deserialize)]
struct Totals {
    outcomes: BTreeMap<String, u64>,
    dead_letters: u64,
}

/// Per second, oldest first.
#[derive(Debug, Deserialize)]
struct History {
    received: Vec<u64>,
    outcomes: Vec<u64>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Failure {
    pub(super) at: String,
    pub(super) action: Option<String>,
    pub(super) queue: Option<String>,
    pub(super) code: String,
    pub(super) message: Option<String>,
    pub(super) count: u64,
}

#[derive(Debug, Deserialize)]
pub(super) struct LastError {
    pub(super) at: String,
    pub(super) message: String,
}

impl Report {
    pub(super) fn read(json: &str) -> Result<Self, Unheard> {
        let mut report: Self = serde_json::from_str(json)?;
        let load = |queue: &Queue| queue.waiting + queue.in_flight;
        report
            .queues
            .sort_by_cached_key(|queue| (Reverse(load(queue)), queue.number.clone()));
        report.last_errors.reverse();
        Ok(report)
    }

    /// How the worker stands, in a few lines.
    pub(super) fn head(&self) -> String {
        let uptime = SignedDuration::from_secs(self.uptime_seconds.into());
        let (worker, pbx) = (
            terminal::printable(&self.worker),
            terminal::printable(&self.pbx),
        );
        let version = &self.version;
        let dry_run = if self.dry_run {
            " (dry run: never called)"
        } else {
            ""
        };
        let state = self.verdict.state;
        let mut lines = vec![
            format!("clockout {version}, {worker}, PBX {pbx}{dry_run}, up {uptime:#}"),
            painted(self.words(), state.tone()),
        ];
        let why = self.reasons.iter().map(|reason| &reason.message);
        let why = self.stalled.iter().chain(why);
        lines.extend(why.map(|why| format!("  {}", terminal::printable(why))));
        let mut line = |name: &str, text: &str| lines.push(format!("{name:<11}{text}"));
        line("RabbitMQ", &self.broker());
        line("breaker", &self.breaker());
        line("waiting", &self.waiting());
        let (held, calls) = (
            counted(self.held, "job"),
            counted(self.calls_in_flight, "call"),
        );
        line("held", &format!("{held}, {calls} under way"));
        let (jobs, told) = (rate(&self.history.received), rate(&self.history.outcomes));
        line("per second", &format!("{jobs:.1} jobs, {told:.1} outcomes"));
        line("outcomes", &self.outcomes());
        line("dead", &self.dead());
        lines.join("\n") + "\n"
    }

    /// Of an outage also since when.
    fn words(&self) -> String {
        let words = terminal::printable(&self.verdict.words);
        match &self.not_ready_since {
            Some(since) if self.verdict.state == State::Bad => {
                format!("{words} since {}", terminal::printable(since))
            }
            _ => words,
        }
    }

    fn broker(&self) -> String {
        let Broker {
            connected,
            subscribed,
            reconnects,
        } = self.broker;
        let (word, tone) = match (connected, subscribed) {
            (false, _) => ("not connected", Tone::Bad),
            (true, false) => ("connected, taking no jobs", Tone::Doubtful),
            (true, true) => ("connected and subscribed", Tone::Good),
        };
        let word = painted(word, tone);
        match reconnects {
            0 => word,
            _ => format!("{word}; lost and back {}", counted(reconnects, "time")),
        }
    }

    fn waiting(&self) -> String {
        match self.jobs_ready {
            Some(jobs) => format!("{} in RabbitMQ", counted(jobs, "job")),
            None => painted("not known, as RabbitMQ does not say", Tone::Doubtful),
        }
    }

    fn breaker(&self) -> String {
        match &self.breaker.reason {
            None => painted("closed, calls are made", Tone::Good),
            Some(why) => {
                let why = terminal::printable(why);
                let next = match &self.breaker.next_probe {
                    Some(at) => format!("; next probe at {}", terminal::printable(at)),
                    None => String::new(),
                };
                painted(
                    format_args!("open, no calls are made: {why}{next}"),
                    Tone::Bad,
                )
            }
        }
    }

    fn outcomes(&self) -> String {
        let told = self.totals.outcomes.iter().filter(|(_, count)| **count > 0);
        let mut told: Vec<_> = told
            .map(|(status, count)| format!("{count} {status}"))
            .collect();
        if told.is_empty() {
            told.push("none yet".to_owned());
        }
        told.join(", ")
    }

    fn dead(&self) -> String {
        let Dead { queue, ready } = &self.dead;
        let queue = terminal::printable(queue);
        let waiting = match ready {
            Some(0) => format!("0 letters in {queue}"),
            Some(letters) => painted(
                format_args!("{} in {queue}", counted(*letters, "letter")),
                Tone::Doubtful,
            ),
            None => painted(
                format_args!("letters in {queue}: not known, as RabbitMQ does not say"),
                Tone::Doubtful,
            ),
        };
        let since = self.totals.dead_letters;
        format!("{waiting}; since the start: {since}")
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a mean for the eye; counts of a second stay far below 2^52"
)]
fn rate(counts: &[u64]) -> f64 {
    let latest = counts.iter().rev().take(RATE_SECONDS);
    let (seconds, sum) = latest.fold((0_u32, 0), |(seconds, sum), count| {
        (seconds + 1, sum + count)
    });
    sum as f64 / f64::from(seconds.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_the_mean_of_the_latest_seconds() {
        assert!((rate(&[]) - 0.0).abs() < f64::EPSILON);
        assert!((rate(&[1, 2]) - 1.5).abs() < f64::EPSILON);
        let counts: Vec<u64> = (0..20).map(|n| if n < 10 { 1000 } else { 7 }).collect();
        assert!((rate(&counts) - 7.0).abs() < f64::EPSILON);
    }

    #[test]
    fn an_outage_says_since_when_and_when_the_next_probe_is_due() {
        let at = "2026-11-22T20:14:09.131Z";
        let status = serde_json::json!({
            "worker": "w-1", "pbx": "default", "version": "0.1.0", "uptime_seconds": 6, "dry_run": false,
            "verdict": {"state": "bad", "words": "In trouble"}, "reasons": [], "not_ready_since": at,
            "stalled": null, "broker": {"connected": true, "subscribed": false, "reconnects": 0},
            "breaker": {"reason": "HTTP 503", "next_probe": at}, "jobs_ready": 0,
            "dead": {"queue": "clockout.dead", "ready": null}, "held": 0, "calls_in_flight": 0, "queues": [],
            "totals": {"outcomes": {}, "dead_letters": 0}, "history": {"received": [], "outcomes": []},
            "failures": [], "last_errors": [],
        });
        let head = Report::read(&status.to_string()).unwrap().head();
        for expected in [
            "In trouble since 2026-11-22T20:14:09.131Z",
            "open, no calls are made: HTTP 503; next probe at 2026-11-22T20:14:09.131Z",
        ] {
            assert!(head.contains(expected), "{head}");
        }
    }
}
