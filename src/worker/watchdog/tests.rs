//! Each case is a story: what the worker shows from second to second, and what the watchdog makes of it.

use super::*;

const PATIENCE: Duration = Duration::from_mins(1);

/// A worker that is well: connected, subscribed, nothing to do, a pulse each second.
struct Worker {
    second: u64,
    connected: bool,
    subscribed: bool,
    pulse: Pulse,
    breathing: bool,
    signs: u64,
    outcomes: Standing,
    letters: Standing,
    engine: engine::Snapshot,
    watchdog: Watchdog,
}

impl Worker {
    fn well() -> Self {
        let queue = QueuePulse {
            ready: 0,
            consumers: 1,
            delivered: 0,
            room: true,
        };
        Self {
            second: 0,
            connected: true,
            subscribed: true,
            pulse: Pulse {
                queues: vec![queue],
                dead: None,
                blocked: false,
            },
            breathing: true,
            signs: 0,
            outcomes: Standing::default(),
            letters: Standing::default(),
            engine: engine::Snapshot::default(),
            watchdog: Watchdog::new(PATIENCE),
        }
    }

    /// Has been served, so that it is no standby.
    fn served() -> Self {
        let mut worker = Self::well();
        worker.queue().delivered = 1;
        worker.quiet(1);
        worker
    }

    fn queue(&mut self) -> &mut QueuePulse {
        &mut self.pulse.queues[0]
    }

    /// Lets a second pass.
    fn second(&mut self) -> Option<Stall> {
        self.second += 1;
        self.signs += u64::from(self.breathing);
        let vitals = Vitals {
            connected: self.connected,
            subscribed: self.subscribed,
            pulse: Some(&self.pulse).filter(|_| self.connected),
            signs: self.signs,
            publishing: [self.outcomes, self.letters],
            engine: &self.engine,
        };
        self.watchdog
            .look(Duration::from_secs(self.second), &vitals)
    }

    /// Nothing is to be done for so many seconds, and the process lives.
    fn quiet(&mut self, seconds: u64) {
        for _ in 0..seconds {
            assert_eq!(self.second(), None, "second {}", self.second);
            assert_eq!(self.hopeless(), None, "second {}", self.second);
        }
    }

    /// RabbitMQ refuses for so many seconds, and that is borne.
    fn refused_for(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.outcomes.answered += 1;
            self.quiet(1);
        }
    }

    /// Patience runs out once and again: a rebuild, then a rebuild that comes with death.
    fn stalls_with(&mut self, stall: Stall) {
        self.quiet(60);
        assert_eq!(self.second(), Some(stall));
        assert_eq!(self.hopeless(), None);
        for _ in 1..60 {
            assert_eq!(self.second(), None);
        }
        assert_eq!(self.second(), Some(stall));
        assert_eq!(self.hopeless(), Some(stall));
    }

    fn hopeless(&self) -> Option<Stall> {
        self.watchdog.hopeless()
    }
}

#[test]
fn jobs_that_wait_while_none_is_delivered() {
    let mut worker = Worker::served();
    worker.queue().ready = 3;
    worker.stalls_with(Stall::JobsWait);
    // More of them is no movement; a delivery is.
    worker.queue().ready = 4;
    worker.second();
    assert_eq!(worker.hopeless(), Some(Stall::JobsWait));
    worker.queue().delivered = 2;
    worker.quiet(60);
}

#[test]
fn a_count_older_than_the_delivery_beside_it_makes_no_standby() {
    let mut worker = Worker::well();
    (worker.queue().ready, worker.queue().delivered) = (1, 1);
    worker.quiet(2);
    worker.queue().ready = 0;
    worker.quiet(2);
    worker.queue().ready = 3;
    worker.stalls_with(Stall::JobsWait);
}

#[test]
fn jobs_that_wait_while_rabbitmq_knows_no_consumer() {
    let mut worker = Worker::well();
    (worker.queue().ready, worker.queue().consumers) = (1, 0);
    worker.stalls_with(Stall::JobsWait);
}

#[test]
fn a_worker_that_was_never_served_tries_anew_ever_more_rarely_and_never_dies_of_it() {
    let mut worker = Worker::well();
    worker.queue().ready = 3;
    worker.quiet(1);
    for minutes in [1, 2, 4, 8] {
        worker.quiet(60 * minutes - 1);
        assert_eq!(worker.second(), Some(Stall::Unserved), "{minutes}");
        assert_eq!(worker.hopeless(), None);
    }
    // Somebody takes one.
    worker.queue().ready = 2;
    worker.quiet(60 * 16 + 1);
    assert_eq!(worker.second(), Some(Stall::Unserved));
}

#[test]
fn a_shard_without_jobs_hides_none_that_nobody_serves() {
    let mut worker = Worker::well();
    let empty = QueuePulse {
        ready: 0,
        consumers: 1,
        delivered: 0,
        room: true,
    };
    worker.pulse.queues.push(empty);
    worker.queue().ready = 3;
    worker.quiet(60);
    assert_eq!(worker.second(), Some(Stall::Unserved));
}

#[test]
fn a_standby_may_idle_beside_one_that_works_and_tries_anew_beside_one_that_does_not() {
    let mut worker = Worker::served();
    for ready in (100..200).rev() {
        worker.queue().ready = ready;
        worker.quiet(1);
    }
    // The other one is slow now, and producers are not. It may be away, too, and this one in its place and cut off.
    for ready in 100..160 {
        worker.queue().ready = ready;
        worker.quiet(1);
    }
    worker.queue().ready = 1_000;
    assert_eq!(worker.second(), Some(Stall::Unserved));
    // What it still holds would be delivered once more.
    worker.engine.held = 1;
    worker.quiet(60);
    worker.engine.held = 0;
    worker.quiet(120);
    assert_eq!(worker.second(), Some(Stall::Unserved));
    assert_eq!(worker.hopeless(), None);
}

#[test]
fn jobs_may_wait_while_prefetch_is_used_up_or_nothing_is_to_be_taken() {
    let mut full = Worker::served();
    (full.queue().ready, full.queue().room) = (9, false);
    full.quiet(500);
    let mut open_breaker = Worker::served();
    open_breaker.queue().ready = 9;
    open_breaker.subscribed = false;
    open_breaker.quiet(500);
}

#[test]
fn publishes_that_are_never_answered() {
    let mut worker = Worker::well();
    worker.engine.publishing = 2;
    worker.stalls_with(Stall::NoConfirm);
    worker.outcomes.answered += 1;
    worker.quiet(60);
}

#[test]
fn publishes_may_wait_while_rabbitmq_blocks_them() {
    let mut worker = Worker::well();
    worker.engine.publishing = 2;
    worker.pulse.blocked = true;
    worker.quiet(500);
}

#[test]
fn what_is_refused_again_and_again_is_taken_elsewhere_ever_more_rarely_and_never_kills() {
    let mut worker = Worker::well();
    worker.outcomes.refused = true;
    worker.refused_for(1);
    for minutes in [1, 2, 4, 8, 16] {
        worker.refused_for(60 * minutes - 1);
        worker.outcomes.answered += 1;
        assert_eq!(worker.second(), Some(Stall::Refused), "{minutes}");
        assert_eq!(worker.hopeless(), None);
    }
    (worker.outcomes.refused, worker.outcomes.taken) = (false, 1);
    worker.quiet(1);
    worker.outcomes.refused = true;
    worker.refused_for(60);
    assert_eq!(worker.second(), Some(Stall::Refused));
}

#[test]
fn what_is_refused_now_and_then_is_no_stall() {
    let mut worker = Worker::well();
    for _ in 0..10 {
        worker.outcomes.refused = true;
        worker.refused_for(59);
        worker.outcomes.taken += 1;
    }
}

#[test]
fn dead_letters_that_are_refused_are_not_made_up_for_by_outcomes_that_are_taken() {
    let mut worker = Worker::well();
    worker.letters.refused = true;
    for _ in 0..60 {
        worker.outcomes.taken += 1;
        worker.quiet(1);
    }
    worker.outcomes.taken += 1;
    assert_eq!(worker.second(), Some(Stall::Refused));
}

#[test]
fn a_slow_broker_is_no_dead_one() {
    let mut worker = Worker::well();
    worker.engine.publishing = 2;
    for _ in 0..10 {
        worker.quiet(59);
        worker.outcomes.answered += 1;
    }
}

#[test]
fn jobs_that_are_held_for_nothing() {
    let mut worker = Worker::well();
    worker.engine.forgotten = true;
    worker.stalls_with(Stall::Forgotten);
}

#[test]
fn a_broker_side_that_says_nothing() {
    let mut worker = Worker::well();
    worker.breathing = false;
    worker.stalls_with(Stall::Silence);
    worker.breathing = true;
    worker.quiet(60);
}

#[test]
fn a_rabbitmq_that_is_away_is_waited_for() {
    let mut worker = Worker::served();
    worker.queue().ready = 3;
    worker.engine.publishing = 1;
    (worker.connected, worker.subscribed) = (false, false);
    worker.breathing = false;
    for _ in 0..20 {
        worker.quiet(75);
        worker.signs += 1;
    }
}

#[test]
fn a_stall_that_ended_long_ago_does_not_count_against_the_next() {
    let mut worker = Worker::well();
    worker.engine.publishing = 1;
    worker.quiet(60);
    assert_eq!(worker.second(), Some(Stall::NoConfirm));
    worker.engine.publishing = 0;
    worker.quiet(60);
    worker.engine.publishing = 1;
    worker.stalls_with(Stall::NoConfirm);
}
