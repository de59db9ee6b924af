//! Jobs of all kinds, each a function of its number, so that what is owed for it can be told without remembering it.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::stage::jobs::id;
use crate::stage::rabbit::Message;

/// Jobs that come at once at the start of each minute.
const BURST: usize = 4_000;

/// Agents that work anywhere.
const AGENTS: usize = 5_000;

const PBX_QUEUES: usize = 100;

/// So many jobs, at so many per second and a burst each minute.
#[derive(Debug, Clone, Copy)]
pub(super) struct Schedule {
    pub(super) minutes: u32,
    pub(super) rate: u32,
}

/// What a job asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Valid,
    /// Sent twice, so told twice.
    Repeated,
    Expired,
    DryRun,
    UnknownAction,
    NoAgent,
}

impl Kind {
    fn of(n: usize) -> Self {
        match n % 100 {
            0 | 50 => Self::Repeated,
            10 => Self::Expired,
            20 => Self::DryRun,
            30 => Self::UnknownAction,
            40 => Self::NoAgent,
            _ => Self::Valid,
        }
    }
}

impl Schedule {
    pub(super) fn jobs(self) -> usize {
        self.minutes as usize * self.jobs_per_minute()
    }

    /// Every message, and when it is due.
    pub(super) fn messages(self) -> impl Iterator<Item = (Duration, Message)> {
        (0..self.jobs()).flat_map(move |n| {
            let copies = if Kind::of(n) == Kind::Repeated { 2 } else { 1 };
            let message = move || Message::json(body(n).to_string().into_bytes());
            (0..copies).map(move |_| (self.due(n), message()))
        })
    }

    fn jobs_per_minute(self) -> usize {
        BURST + 60 * self.rate as usize
    }

    fn due(self, n: usize) -> Duration {
        let (minute, rest) = (n / self.jobs_per_minute(), n % self.jobs_per_minute());
        let steady = rest.saturating_sub(BURST);
        let seconds = |count: usize| Duration::from_secs(count as u64);
        seconds(60 * minute) + seconds(steady) / self.rate
    }
}

/// Outcomes that the `n`th job must get.
pub(super) fn owed(n: usize) -> u16 {
    match Kind::of(n) {
        Kind::Valid | Kind::Expired | Kind::DryRun => agents(n),
        Kind::Repeated => 2 * agents(n),
        Kind::UnknownAction | Kind::NoAgent => 1,
    }
}

/// One to five.
fn agents(n: usize) -> u16 {
    (1..=5).nth(n / 7 % 5).unwrap_or(1)
}

fn body(n: usize) -> Value {
    let kind = Kind::of(n);
    // Odd strides, so that agents, queues and actions meet in ever new ways.
    let first = n * 7_919 % AGENTS;
    let agent = |i: u16| (100_000 + (first + usize::from(i)) % AGENTS).to_string();
    let agents: Value = (0..agents(n)).map(agent).collect();
    let action = match kind {
        Kind::UnknownAction => "dismiss",
        Kind::Valid | Kind::Repeated | Kind::Expired | Kind::DryRun | Kind::NoAgent => {
            if n.is_multiple_of(9) {
                "remove"
            } else {
                "pause"
            }
        }
    };
    json!({
        "job_id": id(n),
        "action": action,
        "queue": (10_000 + n * 31 % PBX_QUEUES).to_string(),
        "agents": (kind != Kind::NoAgent).then_some(agents),
        "reason": "shift end",
        "requested_at": Timestamp::now().to_string(),
        "expires_at": (kind == Kind::Expired).then_some("2001-01-01T00:00:00Z"),
        "dry_run": kind == Kind::DryRun,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_begins_with_its_burst_and_goes_on_at_the_rate() {
        let schedule = Schedule {
            minutes: 2,
            rate: 200,
        };
        let due = |n| schedule.due(n).as_millis();
        assert_eq!((due(0), due(BURST), due(BURST + 1)), (0, 0, 5));
        assert_eq!(due(BURST + 12_000), 60_000);
        assert_eq!(schedule.jobs(), 2 * (BURST + 12_000));
    }

    #[test]
    fn a_job_names_as_many_agents_as_outcomes_are_owed_for_it() {
        for n in (0..1_000).filter(|n| Kind::of(*n) == Kind::Valid) {
            let named = body(n)["agents"].as_array().unwrap().len();
            assert_eq!(named, usize::from(owed(n)));
        }
    }
}
