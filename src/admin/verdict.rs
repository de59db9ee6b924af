//! How a worker stands, in a few words: the first thing that an operator wants to know.
//!
//! Said here once, so that the page and `clockout status` say the same. Looks at what others found out, and finds out
//! nothing itself.

use serde::Serialize;

use super::health::{Reason, ReasonCode};
use super::history::History;

/// The share of the latest outcomes that may be failures while a worker still counts as well: one of so many.
const FAILURES_ONE_IN: u64 = 10;

/// How good the news is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum State {
    Good,
    /// Wanted so by somebody, or not as it should be without being the worker's fault.
    Warn,
    Bad,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Verdict {
    pub(super) state: State,
    pub(super) words: String,
}

/// What a verdict rests on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Facts<'a> {
    /// Whether `/livez` is red.
    pub(super) stalled: bool,
    /// Why `/readyz` is red; empty while it is not.
    pub(super) reasons: &'a [Reason],
    /// Setting `policy.dry_run`.
    pub(super) dry_run: bool,
    /// Jobs held.
    pub(super) held: usize,
    /// Jobs that wait in RabbitMQ, if it says so.
    pub(super) jobs_ready: Option<u64>,
    pub(super) history: &'a History,
}

impl Verdict {
    pub(super) fn of(facts: Facts<'_>) -> Self {
        let wanted = facts.reasons.iter().map(|reason| wanted(reason.code));
        let wanted: Option<Vec<_>> = wanted.collect();
        let (outcomes, failures) = facts.history.outcomes_and_failures();
        let (state, words) = match wanted.as_deref() {
            _ if facts.stalled => (State::Bad, "Stuck: to be restarted"),
            None => (State::Bad, "In trouble"),
            // Of several the worker names the weightiest last.
            Some([.., word]) => (State::Warn, *word),
            Some([]) if facts.dry_run => (State::Warn, "Dry run: the PBX is never called"),
            Some([]) if failures > 0 && failures * FAILURES_ONE_IN >= outcomes => {
                let words = format!("Works, but {failures} of {outcomes} agents failed lately");
                return Self {
                    state: State::Warn,
                    words,
                };
            }
            Some([]) if !facts.history.is_quiet() => (State::Good, "All is well; jobs flow"),
            Some([]) if facts.held > 0 => (State::Good, "All is well; what is held goes on"),
            Some([]) if facts.jobs_ready == Some(0) => (State::Good, "All is well; nothing to do"),
            // True of a standby as well, while another worker does the work.
            Some([]) => (State::Good, "All is well; no jobs come here just now"),
        };
        let words = words.to_owned();
        Self { state, words }
    }
}

/// The word for what somebody wanted so.
fn wanted(code: ReasonCode) -> Option<&'static str> {
    match code {
        ReasonCode::Paused => Some("Paused"),
        ReasonCode::Draining => Some("Stopping"),
        ReasonCode::BrokerDisconnected
        | ReasonCode::NotSubscribed
        | ReasonCode::BreakerOpen
        | ReasonCode::ResultsUnroutable
        | ReasonCode::NoProgress => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The verdict on a worker that is not ready for these reasons, and of whose latest ten outcomes so many failed.
    fn check(
        (codes, failures): (&[ReasonCode], u64),
        change: fn(&mut Facts<'_>),
        (state, words): (State, &str),
    ) {
        let reason = |&code| Reason {
            code,
            message: String::new(),
        };
        let reasons: Vec<Reason> = codes.iter().map(reason).collect();
        let history = History::with(10, failures);
        let mut facts = Facts {
            stalled: false,
            reasons: &reasons,
            dry_run: false,
            held: 0,
            jobs_ready: None,
            history: &history,
        };
        change(&mut facts);
        let words = words.to_owned();
        assert_eq!(Verdict::of(facts), Verdict { state, words });
    }

    #[test]
    fn the_weightiest_comes_first() {
        use ReasonCode::{BreakerOpen, Draining, Paused};
        use State::{Bad, Good, Warn};
        let as_is = |_: &mut Facts<'_>| {};
        let stalled = |facts: &mut Facts<'_>| facts.stalled = true;
        let dry_run = |facts: &mut Facts<'_>| facts.dry_run = true;
        let busy = |facts: &mut Facts<'_>| facts.held = 1;
        let idle = |facts: &mut Facts<'_>| facts.jobs_ready = Some(0);
        check((&[Paused], 10), stalled, (Bad, "Stuck: to be restarted"));
        check((&[BreakerOpen, Paused], 10), dry_run, (Bad, "In trouble"));
        check((&[Paused, Draining], 10), dry_run, (Warn, "Stopping"));
        check((&[Paused], 10), as_is, (Warn, "Paused"));
        let words = "Dry run: the PBX is never called";
        check((&[], 10), dry_run, (Warn, words));
        let words = "Works, but 9 of 10 agents failed lately";
        check((&[], 9), busy, (Warn, words));
        let words = "Works, but 1 of 10 agents failed lately";
        check((&[], 1), as_is, (Warn, words));
        let words = "All is well; what is held goes on";
        check((&[], 0), busy, (Good, words));
        let words = "All is well; nothing to do";
        check((&[], 0), idle, (Good, words));
        let words = "All is well; no jobs come here just now";
        check((&[], 0), as_is, (Good, words));
    }

    #[test]
    fn jobs_flow_while_some_come() {
        let history = History::receiving();
        let facts = Facts {
            stalled: false,
            reasons: &[],
            dry_run: false,
            held: 0,
            jobs_ready: Some(0),
            history: &history,
        };
        assert_eq!(Verdict::of(facts).words, "All is well; jobs flow");
    }
}
