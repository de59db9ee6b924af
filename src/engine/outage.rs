//! A long outage of the PBX: what is held goes back to RabbitMQ before RabbitMQ takes it back itself, and from then on the
//! PBX is asked by calls about nobody.
//!
//! RabbitMQ closes the channel of a consumer that holds a delivery for half an hour, and counts each return against the
//! delivery limit (RabbitMQ docs, consumers, acknowledgement timeout; quorum queues, poison messages). So jobs go back once,
//! and do not come again for a probe that is known to fail; but to be told that their time has passed, they do.

use std::sync::Arc;
use std::time::Duration;

use super::batch::BatchId;
use super::breaker::{Failure, Meets};
use super::job::Action;
use super::{CallId, Effect, Engine};

#[derive(Debug, Default)]
pub(super) struct Outage {
    /// What was held is to go back; the session that it belongs to has not ended yet, and nobody is called meanwhile.
    letting_go: bool,
    /// Nothing is taken until the PBX may be back, not even for a probe.
    asleep: bool,
    /// When the first job expires of those that went back.
    wake_at: Option<Duration>,
    /// What the last such call was for; they take turns, as one path may be denied and the other not.
    asked_for: Option<Action>,
    /// The call about nobody that is under way, as the breaker knows it.
    asking: Option<CallId>,
}

impl Outage {
    pub(super) fn is_asleep(&self) -> bool {
        self.asleep
    }

    pub(super) fn is_letting_go(&self) -> bool {
        self.letting_go
    }

    /// Jobs may be taken again.
    pub(super) fn wake(&mut self) {
        self.asleep = false;
        self.wake_at = None;
    }

    /// The breaker is closed: what is still being asked does not matter any more.
    pub(super) fn is_over(&mut self) {
        self.wake();
        self.asking = None;
    }

    pub(super) fn wake_at(&self) -> Option<Duration> {
        self.wake_at
    }

    /// `expiry`: when the first of the jobs expires that were held.
    pub(super) fn session_ended(&mut self, expiry: Option<Duration>) {
        if std::mem::take(&mut self.letting_go) && self.asleep {
            self.wake_at = expiry;
        }
    }
}

impl Engine {
    /// When what is held has been held for too long; `None` while the breaker is closed, and while a probe is under way.
    pub(super) fn let_go_at(&self) -> Option<Duration> {
        let busy = self.outage.letting_go || !self.in_flight.is_empty();
        if self.breaker.is_closed() || busy || self.is_draining() {
            return None;
        }
        let since = self.acks.first_since()?;
        Some(since.saturating_add(self.settings.breaker.hold_max))
    }

    pub(super) fn let_go(&mut self) {
        self.outage.letting_go = true;
        self.outage.asleep = true;
        // What is finished would come again otherwise.
        self.acknowledge(true);
        self.effects.push(Effect::LetGo);
    }

    /// Asks the PBX in place of a probe, for which nothing is held.
    pub(super) fn ask(&mut self) {
        if !self.outage.asleep || self.is_draining() {
            return;
        }
        let call = BatchId(self.next_call);
        self.next_call += 1;
        self.outage.asking = Some(call);
        self.pace.called(self.now);
        self.breaker.probe_left(call);
        let policy = &self.settings.policy;
        let removes = policy.remove && self.outage.asked_for == Some(Action::Pause);
        let action = if policy.pause && !removes {
            Action::Pause
        } else {
            Action::Remove
        };
        self.outage.asked_for = Some(action);
        self.effects.push(Effect::Ask { action });
    }

    /// `away`: why the PBX would take no call at all; `None` if only a job can tell.
    pub(super) fn asked(&mut self, away: Option<&Arc<str>>, retry_after: Option<Duration>) {
        self.pace.hold(self.now, retry_after.unwrap_or_default());
        let Some(call) = self.outage.asking.take() else {
            return;
        };
        if let Some(message) = away {
            let failure = Failure {
                meets: Meets::All,
                message,
                retry_after,
            };
            self.breaker.failed(self.now, call, &failure);
        } else {
            self.outage.wake();
            self.breaker.let_another_probe(call);
        }
    }
}
