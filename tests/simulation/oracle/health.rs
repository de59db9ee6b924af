//! When a call may leave at all: the breaker, `Retry-After`, calls per second.

use std::collections::BTreeMap;
use std::time::Duration;

use clockout::engine::batch::{Batch, Cause};
use clockout::engine::job::PbxQueue;
use clockout::engine::verdict::CallResult;
use clockout::engine::{Settings, Snapshot};

use super::Moment;

/// What the PBX's answers so far mean for the next call.
#[derive(Debug, Default)]
pub(super) struct Health {
    /// When the calls of the last second started.
    recent: Vec<Duration>,
    /// A `Retry-After` holds back every call until then.
    held_back_until: Duration,
    failures_in_a_row: u32,
    /// When calls for a PBX queue failed while the breaker was closed, since one landed.
    failing: BTreeMap<PbxQueue, Vec<Duration>>,
    /// When a call last landed, for whichever.
    last_landed: Option<Duration>,
    /// What is held is going back; the session has not ended yet.
    letting_go: bool,
    /// What was held went back in this outage.
    asleep: bool,
    /// What the engine said of its breaker after the last step.
    pub(super) open: bool,
    /// What the events and effects of this step mean for the breaker.
    step: Step,
}

#[derive(Debug, Default)]
struct Step {
    /// A probe came back with an answer.
    landed: bool,
    /// The breaker has to open.
    opens: bool,
    /// A call left that is no probe.
    called: bool,
}

impl Health {
    pub(super) fn check_call(&mut self, moment: Moment<'_>, batch: &Batch) {
        assert!(!self.letting_go, "a call for what is going back");
        self.pace(moment);
        self.step.called |= batch.cause != Cause::Probe;
    }

    fn pace(&mut self, moment: Moment<'_>) {
        let now = moment.now.elapsed;
        assert!(
            now >= self.held_back_until,
            "a call before the end of a Retry-After"
        );
        self.recent
            .retain(|&start| start + Duration::from_secs(1) > now);
        self.recent.push(now);
        if let Some(limit) = moment.settings.max_calls_per_second {
            let within = u32::try_from(self.recent.len()).is_ok_and(|calls| calls <= limit.get());
            assert!(within, "too many calls in a second");
        }
    }

    /// A call for this PBX queue ended; `is_probe`: one that the breaker waits for.
    pub(super) fn take_note(
        &mut self,
        moment: Moment<'_>,
        queue: PbxQueue,
        is_probe: bool,
        result: &CallResult,
    ) {
        let landed = matches!(result, CallResult::Answered(_) | CallResult::Refused { .. });
        match result {
            CallResult::Answered(_) | CallResult::Refused { .. } => {
                self.failures_in_a_row = 0;
                self.step.landed = is_probe;
            }
            CallResult::Transient { retry_after, .. } => {
                self.hold_back(moment, *retry_after);
                self.fail(moment);
            }
            CallResult::Ambiguous { .. } => self.fail(moment),
            CallResult::Fault { retry_after, .. } => {
                self.hold_back(moment, *retry_after);
                self.step.opens = true;
            }
        }
        let now = moment.now.elapsed;
        if landed {
            self.last_landed = Some(now);
        }
        if self.open || self.step.opens {
            self.failing.clear();
        } else if landed {
            self.failing.remove(&queue);
        } else {
            self.failing.entry(queue).or_default().push(now);
        }
    }

    /// Whether enough calls to open a breaker have failed in a row for this PBX queue, over as long as it would wait at most,
    /// and another queue's landed between the last two of them.
    pub(super) fn fails_alone(&self, moment: Moment<'_>, queue: PbxQueue) -> bool {
        let breaker = &moment.settings.breaker;
        let Some(failed) = self.failing.get(&queue) else {
            return false;
        };
        let mut latest = failed.iter().rev();
        let (Some(&first), Some(&last), Some(&before)) =
            (failed.first(), latest.next(), latest.next())
        else {
            return false;
        };
        let enough = u32::try_from(failed.len()).is_ok_and(|n| n >= breaker.failures.get());
        let alone = self.last_landed.is_some_and(|landed| landed >= before);
        enough && alone && last >= first + breaker.cooldown_max
    }

    /// Only in an outage so long that what was held went back, and at the pace of any call.
    pub(super) fn check_ask(&mut self, moment: Moment<'_>) {
        assert!(self.asleep, "asks though nothing was given back");
        self.pace(moment);
    }

    pub(super) fn asked(&mut self, away: bool) {
        self.asleep &= away;
    }

    pub(super) fn check_let_go(&mut self, moment: Moment<'_>, oldest: Option<Duration>) {
        assert!(self.open, "gives back while the breaker is closed");
        let until = oldest.map(|oldest| oldest + moment.settings.breaker.hold_max);
        let long = until.is_some_and(|until| moment.now.elapsed >= until);
        assert!(
            long,
            "gives back what was held for a short time, or nothing"
        );
        self.asleep = true;
        self.letting_go = true;
    }

    pub(super) fn session_ended(&mut self) {
        self.letting_go = false;
    }

    fn fail(&mut self, moment: Moment<'_>) {
        self.failures_in_a_row += 1;
        self.step.opens = self.failures_in_a_row >= moment.settings.breaker.failures.get();
    }

    fn hold_back(&mut self, moment: Moment<'_>, retry_after: Option<Duration>) {
        let until = moment.now.elapsed + retry_after.unwrap_or_default();
        self.held_back_until = self.held_back_until.max(until);
    }

    /// Somebody closed the breaker: whatever the PBX has done so far does not count any more.
    pub(super) fn closed(&mut self) {
        self.open = false;
        self.failures_in_a_row = 0;
        self.failing.clear();
    }

    /// Whether nothing but a lane or a slot could hold a call back now.
    pub(super) fn permits(&self, moment: Moment<'_>) -> bool {
        let unpaced = moment.settings.max_calls_per_second.is_none();
        !self.open && !self.letting_go && unpaced && moment.now.elapsed >= self.held_back_until
    }

    /// The breaker opens when it must, closes only for a probe that landed, and lets nothing else through meanwhile.
    pub(super) fn check_breaker(&mut self, snapshot: &Snapshot, settings: &Settings) {
        let open = snapshot.breaker_open.is_some();
        let step = std::mem::take(&mut self.step);
        if self.open {
            assert!(
                open || step.landed,
                "the breaker closed though no probe landed"
            );
            assert!(
                !(open && step.called),
                "a call that is no probe, while the breaker is open"
            );
        } else {
            let (row, limit) = (self.failures_in_a_row, settings.breaker.failures);
            assert_eq!(
                open, step.opens,
                "the breaker, after {row} failures in a row of {limit}"
            );
        }
        if self.open && !open {
            self.failures_in_a_row = 0;
        }
        self.asleep &= open;
        self.open = open;
    }
}
