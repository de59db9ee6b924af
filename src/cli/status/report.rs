//! What a worker says of itself at `/status`, and how it is shown.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::{self, Write as _};

use jiff::SignedDuration;
use serde::Deserialize;

use super::worker::Unheard;
use crate::cli::terminal::{self, Cell, Table, Tone, painted};

/// Seconds that a rate is the mean of.
const RATE_SECONDS: usize = 10;

/// Rows of failures, and of errors, on a terminal.
const TROUBLES_MAX: usize = 5;

/// Lines of a picture beside the rows of its tables: what stands above them, and their borders and headers.
const OTHER_LINES: usize = 18;

/// As far as it is shown.
#[derive(Debug, Deserialize)]
pub(super) struct Report {
    worker: String,
    pbx: String,
    version: String,
    uptime_seconds: u32,
    ready: bool,
    reasons: Vec<Reason>,
    stalled: Option<String>,
    broker: Broker,
    breaker: Breaker,
    held: usize,
    calls_in_flight: usize,
    queues: Vec<Queue>,
    totals: Totals,
    history: History,
    failures: Vec<Failure>,
    last_errors: Vec<LastError>,
}

#[derive(Debug, Deserialize)]
struct Reason {
    code: String,
    message: String,
}

impl Reason {
    /// For what somebody wanted so.
    fn wanted(&self) -> Option<&'static str> {
        match self.code.as_str() {
            "paused" => Some("paused"),
            "draining" => Some("stopping"),
            _ => None,
        }
    }
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
}

#[derive(Debug, Deserialize)]
struct Queue {
    #[serde(rename = "queue")]
    number: String,
    waiting: usize,
    in_flight: usize,
    retrying: usize,
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
struct Failure {
    at: String,
    action: Option<String>,
    queue: Option<String>,
    code: String,
    message: Option<String>,
    count: u64,
}

#[derive(Debug, Deserialize)]
struct LastError {
    at: String,
    message: String,
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

    /// To standard output, in so many lines; `None`: all of it.
    pub(super) fn print(&self, lines_max: Option<usize>) -> io::Result<()> {
        let troubles_max = lines_max.map_or(usize::MAX, |_| TROUBLES_MAX);
        let troubles =
            self.failures.len().min(TROUBLES_MAX) + self.last_errors.len().min(TROUBLES_MAX);
        let queues_max = lines_max.map_or(usize::MAX, |lines| {
            lines.saturating_sub(OTHER_LINES + self.reasons.len() + troubles)
        });
        self.print_head()?;
        print_if_any(&self.busiest(queues_max))?;
        print_if_any(&self.failures(troubles_max))?;
        print_if_any(&self.errors(troubles_max))
    }

    fn print_head(&self) -> io::Result<()> {
        let mut out = terminal::stdout();
        let uptime = SignedDuration::from_secs(self.uptime_seconds.into());
        let (worker, pbx) = (
            terminal::printable(&self.worker),
            terminal::printable(&self.pbx),
        );
        let version = &self.version;
        writeln!(
            out,
            "clockout {version}, {worker}, PBX {pbx}, up {uptime:#}"
        )?;
        let (word, tone) = self.verdict();
        writeln!(out, "{}", painted(word, tone))?;
        let why = self.reasons.iter().map(|reason| &reason.message);
        for why in self.stalled.iter().chain(why) {
            writeln!(out, "  {}", terminal::printable(why))?;
        }
        let mut line = |name: &str, text: &dyn Display| writeln!(out, "{name:<11}{text}");
        line("RabbitMQ", &self.broker())?;
        line("breaker", &self.breaker())?;
        let (held, calls) = (self.held, self.calls_in_flight);
        line(
            "held",
            &format_args!("{held} jobs, {calls} calls under way"),
        )?;
        let (jobs, told) = (rate(&self.history.received), rate(&self.history.outcomes));
        line(
            "per second",
            &format_args!("{jobs:.1} jobs, {told:.1} outcomes"),
        )?;
        line("outcomes", &self.outcomes())
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
        format!("{}; lost and back {reconnects} times", painted(word, tone))
    }

    fn breaker(&self) -> String {
        match &self.breaker.reason {
            None => painted("closed, calls are made", Tone::Good),
            Some(why) => {
                let why = terminal::printable(why);
                painted(format_args!("open, no calls are made: {why}"), Tone::Bad)
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
        format!(
            "{}; dead letters since the start: {}",
            told.join(", "),
            self.totals.dead_letters
        )
    }

    fn verdict(&self) -> (&'static str, Tone) {
        if self.stalled.is_some() {
            return ("stuck: to be restarted", Tone::Bad);
        }
        if self.ready {
            return ("all is well", Tone::Good);
        }
        let wanted: Option<Vec<_>> = self.reasons.iter().map(Reason::wanted).collect();
        // Of several the worker names the weightiest last.
        match wanted.as_deref() {
            Some([.., word]) => (word, Tone::Doubtful),
            Some([]) | None => ("in trouble", Tone::Bad),
        }
    }

    fn busiest(&self, most: usize) -> Table<4> {
        let mut table = Table::new(["PBX queue", "waiting", "of them retrying", "under way"]);
        for queue in self.queues.iter().take(most) {
            table.add([
                Cell::text(&queue.number),
                Cell::number(queue.waiting),
                Cell::number(queue.retrying),
                Cell::number(queue.in_flight),
            ]);
        }
        table
    }

    fn failures(&self, most: usize) -> Table<5> {
        let mut table = Table::new(["last failed", "times", "job", "code", "message"]);
        for failure in self.failures.iter().take(most) {
            let job = match (&failure.action, &failure.queue) {
                (Some(action), Some(queue)) => format!("{action} on {queue}"),
                _ => "not readable".to_owned(),
            };
            table.add([
                Cell::text(&failure.at),
                Cell::number(failure.count),
                Cell::text(&job),
                Cell::text(&failure.code).toned(Tone::Bad),
                Cell::text(failure.message.as_deref().unwrap_or_default()),
            ]);
        }
        table
    }

    fn errors(&self, most: usize) -> Table<2> {
        let mut table = Table::new(["last error", ""]);
        for error in self.last_errors.iter().take(most) {
            table.add([Cell::text(&error.at), Cell::text(&error.message)]);
        }
        table
    }
}

fn print_if_any<const N: usize>(table: &Table<N>) -> io::Result<()> {
    if table.is_empty() {
        return Ok(());
    }
    table.print()
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
}
