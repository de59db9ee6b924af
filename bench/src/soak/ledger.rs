//! Which jobs were told, and how often.

use std::fmt;

use serde::Serialize;

use super::jobs::{Schedule, owed};

/// Outcomes heard, by the number of their job.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    heard: Vec<u16>,
    outcomes: u64,
    jobs_told: usize,
}

/// The balance.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Told {
    jobs: usize,
    outcomes: u64,
    outcomes_owed: u64,
    /// Jobs that lack an outcome.
    untold: usize,
    /// Jobs that got more outcomes than they are owed, which is allowed, but should not be without a lost connection.
    overtold: usize,
}

impl Ledger {
    /// `None`: an outcome of no job of ours.
    pub(super) fn note(&mut self, number: Option<usize>) {
        self.outcomes += 1;
        let Some(number) = number else { return };
        if self.heard.len() <= number {
            self.heard.resize(number + 1, 0);
        }
        if let Some(heard) = self.heard.get_mut(number) {
            *heard = heard.saturating_add(1);
            self.jobs_told += usize::from(*heard == owed(number));
        }
    }

    pub(super) fn outcomes(&self) -> u64 {
        self.outcomes
    }

    /// Jobs that got all outcomes that they are owed.
    pub(super) fn jobs_told(&self) -> usize {
        self.jobs_told
    }

    pub(super) fn told(&self, schedule: Schedule) -> Told {
        let heard = |n| self.heard.get(n).copied().unwrap_or(0);
        let numbers = 0..schedule.jobs();
        Told {
            jobs: schedule.jobs(),
            outcomes: self.outcomes,
            outcomes_owed: numbers.clone().map(|n| u64::from(owed(n))).sum(),
            untold: schedule.jobs() - self.jobs_told,
            overtold: numbers.filter(|n| heard(*n) > owed(*n)).count(),
        }
    }
}

impl Told {
    pub(super) fn holds(self) -> bool {
        self.untold == 0
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            jobs,
            outcomes,
            outcomes_owed,
            untold,
            overtold,
        } = self;
        write!(
            f,
            "{jobs} jobs, {outcomes} outcomes of {outcomes_owed} owed; {untold} jobs untold, {overtold} told too often"
        )
    }
}
