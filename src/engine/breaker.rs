//! Whether the PBX is called at all: closed (calls pass), open (none does), half-open (one probe does).
//!
//! One breaker for the worker's one PBX. Knows nothing of lanes; time is passed in.

use std::sync::Arc;
use std::time::Duration;

use super::{BreakerSettings, CallId};

/// Failed probes of a PBX queue after which another agent of it is unlikely to fare better.
const PROBES_PER_QUEUE: usize = 3;

#[derive(Debug)]
pub(super) struct Breaker {
    settings: BreakerSettings,
    state: State,
    /// Why it last opened; kept until it closes.
    reason: Arc<str>,
    /// Probes that failed, one after the other, each in a way that may be its own.
    fruitless: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// `failures`: consecutive failed calls, over all PBX queues.
    Closed {
        failures: u32,
    },
    Open {
        until: Duration,
        cooldown: Duration,
    },
    /// The cool-down is over; the next call is the probe.
    Ajar {
        cooldown: Duration,
    },
    /// The probe is under way.
    Probing {
        probe: CallId,
        cooldown: Duration,
    },
}

/// What the breaker allows now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Permit {
    Call,
    Probe,
    Nothing,
}

/// Which calls a failure would meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meets {
    /// Perhaps only this one.
    This,
    /// Every other one alike: the breaker opens at once.
    All,
}

/// How a call failed.
#[derive(Debug)]
pub(super) struct Failure<'a> {
    pub(super) meets: Meets,
    pub(super) message: &'a Arc<str>,
    pub(super) retry_after: Option<Duration>,
}

impl Breaker {
    pub(super) fn new(settings: BreakerSettings) -> Self {
        Self {
            settings,
            state: State::Closed { failures: 0 },
            reason: Arc::from(""),
            fruitless: 0,
        }
    }

    pub(super) fn permit(&self) -> Permit {
        match self.state {
            State::Closed { .. } => Permit::Call,
            State::Ajar { .. } => Permit::Probe,
            State::Open { .. } | State::Probing { .. } => Permit::Nothing,
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed { .. })
    }

    /// Why it is not closed.
    pub(super) fn reason(&self) -> Option<&Arc<str>> {
        (!self.is_closed()).then_some(&self.reason)
    }

    /// Whether probing has come round among so many agents, or often enough among their PBX queues, has slowed down as far as it
    /// goes, and has proved nothing: it may be that the PBX fails for these alone.
    pub(super) fn needs_others(&self, agents: usize, queues: usize) -> bool {
        let slowest = match self.state {
            State::Closed { .. } => false,
            State::Open { cooldown, .. }
            | State::Ajar { cooldown }
            | State::Probing { cooldown, .. } => cooldown >= self.settings.cooldown_max,
        };
        slowest && self.fruitless > agents.min(queues.saturating_mul(PROBES_PER_QUEUE))
    }

    pub(super) fn deadline(&self) -> Option<Duration> {
        match self.state {
            State::Open { until, .. } => Some(until),
            State::Closed { .. } | State::Ajar { .. } | State::Probing { .. } => None,
        }
    }

    /// Ends a cool-down that is over.
    pub(super) fn tick(&mut self, now: Duration) {
        if let State::Open { until, cooldown } = self.state
            && now >= until
        {
            self.state = State::Ajar { cooldown };
        }
    }

    pub(super) fn probe_left(&mut self, probe: CallId) {
        if let State::Ajar { cooldown } = self.state {
            self.state = State::Probing { probe, cooldown };
        }
    }

    /// This probe told nothing: another one may leave at once.
    pub(super) fn let_another_probe(&mut self, probe: CallId) {
        if let State::Probing {
            probe: last,
            cooldown,
        } = self.state
            && last == probe
        {
            self.state = State::Ajar { cooldown };
        }
    }

    /// Somebody says so, whatever the PBX has done so far.
    pub(super) fn close(&mut self) {
        self.state = State::Closed { failures: 0 };
        self.fruitless = 0;
    }

    /// The PBX answered `call`, whatever it said of the agents.
    pub(super) fn landed(&mut self, call: CallId) {
        match self.state {
            State::Closed { .. } => self.close(),
            State::Probing { probe, .. } if probe == call => self.close(),
            // It left before the breaker opened: old news.
            State::Open { .. } | State::Ajar { .. } | State::Probing { .. } => {}
        }
    }

    /// `call` failed.
    pub(super) fn failed(&mut self, now: Duration, call: CallId, failure: &Failure<'_>) {
        match self.state {
            State::Closed { failures } => {
                let failures = failures + 1;
                let opens = failure.meets == Meets::All || failures >= self.settings.failures.get();
                if opens {
                    self.open(now, self.settings.cooldown, failure);
                } else {
                    self.state = State::Closed { failures };
                }
            }
            State::Probing { probe, cooldown } if probe == call => {
                self.fruitless = match failure.meets {
                    Meets::This => self.fruitless.saturating_add(1),
                    Meets::All => 0,
                };
                self.open(now, cooldown.saturating_mul(2), failure);
            }
            // It left before the breaker opened: old news.
            State::Open { .. } | State::Ajar { .. } | State::Probing { .. } => {}
        }
    }

    fn open(&mut self, now: Duration, cooldown: Duration, failure: &Failure<'_>) {
        let cooldown = cooldown.min(self.settings.cooldown_max);
        let wait = cooldown.max(failure.retry_after.unwrap_or_default());
        self.state = State::Open {
            until: now.saturating_add(wait),
            cooldown,
        };
        self.reason = Arc::clone(failure.message);
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::super::batch::BatchId;
    use super::*;

    const S: fn(u64) -> Duration = Duration::from_secs;

    fn breaker(failures: u32) -> Breaker {
        Breaker::new(BreakerSettings {
            failures: NonZeroU32::new(failures).unwrap(),
            cooldown: S(5),
            cooldown_max: S(12),
            hold_max: S(1200),
        })
    }

    fn fail(breaker: &mut Breaker, now: Duration, call: u64, meets: Meets, wait: Option<Duration>) {
        let message = &"HTTP 503".into();
        let failure = Failure {
            meets,
            message,
            retry_after: wait,
        };
        breaker.failed(now, BatchId(call), &failure);
    }

    #[test]
    fn only_consecutive_failures_open_it() {
        let mut breaker = breaker(2);
        fail(&mut breaker, S(0), 1, Meets::This, None);
        breaker.landed(BatchId(2));
        fail(&mut breaker, S(0), 3, Meets::This, None);
        assert_eq!(breaker.permit(), Permit::Call);
        fail(&mut breaker, S(0), 4, Meets::This, None);
        assert_eq!(breaker.permit(), Permit::Nothing);
        assert_eq!(breaker.reason().unwrap().as_ref(), "HTTP 503");
    }

    #[test]
    fn a_fault_opens_it_at_once_and_a_landed_probe_closes_it() {
        let mut breaker = breaker(5);
        fail(&mut breaker, S(0), 1, Meets::All, None);
        assert_eq!(breaker.deadline(), Some(S(5)));
        breaker.tick(S(5));
        assert_eq!(breaker.permit(), Permit::Probe);
        breaker.probe_left(BatchId(2));
        assert_eq!(breaker.permit(), Permit::Nothing);
        breaker.landed(BatchId(2));
        assert!(breaker.is_closed());
    }

    #[test]
    fn the_cool_down_doubles_with_each_failed_probe_up_to_its_cap() {
        let mut breaker = breaker(1);
        fail(&mut breaker, S(0), 1, Meets::This, None);
        let mut waits = vec![];
        for n in 2..5 {
            let until = breaker.deadline().unwrap();
            breaker.tick(until);
            breaker.probe_left(BatchId(n));
            fail(&mut breaker, until, n, Meets::This, None);
            waits.push(breaker.deadline().unwrap().saturating_sub(until).as_secs());
        }
        assert_eq!(waits, [10, 12, 12]);
    }

    #[test]
    fn a_call_that_left_before_it_opened_neither_closes_nor_prolongs_it() {
        let mut breaker = breaker(1);
        fail(&mut breaker, S(0), 2, Meets::This, None);
        breaker.landed(BatchId(1));
        fail(&mut breaker, S(3), 1, Meets::This, None);
        assert_eq!(breaker.deadline(), Some(S(5)));
    }

    #[test]
    fn one_that_is_told_to_close_calls_at_once_and_counts_failures_anew() {
        let mut breaker = breaker(2);
        fail(&mut breaker, S(0), 1, Meets::All, None);
        breaker.close();
        assert_eq!((breaker.permit(), breaker.reason()), (Permit::Call, None));
        fail(&mut breaker, S(1), 2, Meets::This, None);
        assert!(breaker.is_closed());
        fail(&mut breaker, S(1), 3, Meets::This, None);
        assert_eq!(breaker.deadline(), Some(S(6)));
    }

    #[test]
    fn a_probe_under_way_when_it_was_told_to_close_is_a_call_like_any_other() {
        let mut breaker = breaker(2);
        fail(&mut breaker, S(0), 1, Meets::All, None);
        breaker.tick(S(5));
        breaker.probe_left(BatchId(2));
        breaker.close();
        fail(&mut breaker, S(6), 2, Meets::This, None);
        assert!(breaker.is_closed());
    }

    #[test]
    fn slow_probes_that_have_come_round_in_vain_ask_for_others_unless_the_failure_meets_all() {
        let mut breaker = breaker(1);
        fail(&mut breaker, S(0), 1, Meets::This, None);
        let mut probe = |call, meets| {
            let until = breaker.deadline().unwrap();
            breaker.tick(until);
            breaker.probe_left(BatchId(call));
            fail(&mut breaker, until, call, meets, None);
            [(1, 1), (2, 1), (9, 1), (9, 2)]
                .map(|(agents, queues)| breaker.needs_others(agents, queues))
        };
        let (yes, no) = (true, false);
        assert_eq!(probe(2, Meets::This), [no, no, no, no]);
        assert_eq!(probe(3, Meets::This), [yes, no, no, no]);
        assert_eq!(probe(4, Meets::This), [yes, yes, no, no]);
        assert_eq!(probe(5, Meets::This), [yes, yes, yes, no]);
        assert_eq!(probe(6, Meets::All), [no, no, no, no]);
    }

    #[test]
    fn probes_that_still_get_slower_ask_for_nobody() {
        let mut breaker = breaker(1);
        fail(&mut breaker, S(0), 1, Meets::This, None);
        breaker.tick(S(5));
        breaker.probe_left(BatchId(2));
        fail(&mut breaker, S(5), 2, Meets::This, None);
        assert!(!breaker.needs_others(0, 0));
    }

    #[test]
    fn a_retry_after_longer_than_the_cool_down_is_waited_for() {
        let mut breaker = breaker(1);
        fail(&mut breaker, S(0), 1, Meets::This, Some(S(30)));
        assert_eq!(breaker.deadline(), Some(S(30)));
    }
}
