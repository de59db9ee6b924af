//! Names for the jobs that bring none: neither `job_id` nor `message_id`.
//!
//! A name has to survive a lost connection, because RabbitMQ then delivers the job again and the engine knows it only
//! by its name (CONTRACT §4.7). All that is left to recognise such a job by is its content; and several jobs may hold
//! the same. Jobs of one agent are acknowledged in the order of their arrival, so those that come again are the ones
//! named last: each takes the newest name of its content that no other took since the connection was lost.

use std::collections::VecDeque;
use std::collections::hash_map::{Entry, HashMap};
use std::hash::BuildHasher;
use std::num::NonZeroUsize;

use foldhash::quality::FixedState;
use uuid::Uuid;

use super::Incoming;
use crate::engine::job::{Epoch, JobId};

/// Makes names and remembers the last of them.
#[derive(Debug)]
pub struct Nameless {
    run: Uuid,
    made: u64,
    capacity: NonZeroUsize,
    names: HashMap<Content, Names, FixedState>,
    /// The content of each remembered name, in the order in which they were made.
    order: VecDeque<Content>,
}

/// What a job is recognised by: a hash, so that remembering it costs little.
type Content = u64;

/// The names of one content, each list in the order in which they were given.
#[derive(Debug)]
struct Names {
    epoch: Epoch,
    /// Given in this epoch: a job of this session has it.
    taken: VecDeque<Uuid>,
    /// Given in earlier epochs only: its job may come again.
    free: VecDeque<Uuid>,
}

impl Nameless {
    /// `run` makes the names of this process differ from those of any other. `capacity` bounds the names remembered;
    /// below the number of jobs held at a time, a job delivered again may get a new name.
    pub fn new(run: Uuid, capacity: NonZeroUsize) -> Self {
        Self {
            run,
            made: 0,
            capacity,
            names: HashMap::default(),
            order: VecDeque::new(),
        }
    }

    /// A name of its own for this message, or the one that it had before its connection was lost.
    pub fn name(&mut self, message: &Incoming) -> JobId {
        let content = content(message);
        let epoch = message.ticket.epoch;
        let names = self
            .names
            .entry(content)
            .or_insert_with(|| Names::new(epoch));
        names.enter(epoch);
        let earlier = if message.redelivered {
            names.free.pop_back()
        } else {
            None
        };
        let name = earlier.unwrap_or_else(|| {
            self.made += 1;
            self.order.push_back(content);
            Uuid::new_v5(&self.run, &self.made.to_be_bytes())
        });
        names.taken.push_back(name);
        if self.order.len() > self.capacity.get() {
            self.forget_oldest();
        }
        name.into()
    }

    fn forget_oldest(&mut self) {
        let Some(content) = self.order.pop_front() else {
            return;
        };
        let Entry::Occupied(mut entry) = self.names.entry(content) else {
            return;
        };
        let names = entry.get_mut();
        if names.free.pop_front().is_none() {
            names.taken.pop_front();
        }
        if names.free.is_empty() && names.taken.is_empty() {
            entry.remove();
        }
    }
}

impl Names {
    fn new(epoch: Epoch) -> Self {
        Self {
            epoch,
            taken: VecDeque::new(),
            free: VecDeque::new(),
        }
    }

    /// A new epoch voids every delivery, so the names given so far are free for those that come again.
    fn enter(&mut self, epoch: Epoch) {
        if self.epoch < epoch {
            self.epoch = epoch;
            self.free.append(&mut self.taken);
        }
    }
}

/// Everything of a message that RabbitMQ repeats when it delivers it again.
fn content(message: &Incoming) -> Content {
    let Incoming {
        ticket: _,
        redelivered: _,
        message_id: _,
        traceparent,
        body,
        correlation_id,
        timestamp,
        replay,
    } = message;
    FixedState::default().hash_one((body, correlation_id, timestamp, traceparent, replay))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::job::Ticket;

    fn nameless(capacity: usize) -> Nameless {
        Nameless::new(Uuid::from_u128(7), NonZeroUsize::new(capacity).unwrap())
    }

    fn delivery(epoch: u32, body: &str) -> Incoming {
        Incoming {
            ticket: Ticket {
                epoch: Epoch(epoch),
                tag: 1,
            },
            ..Incoming::bare(body.to_owned())
        }
    }

    fn again(epoch: u32, body: &str) -> Incoming {
        Incoming {
            redelivered: true,
            ..delivery(epoch, body)
        }
    }

    #[test]
    fn equal_jobs_get_names_of_their_own() {
        let mut names = nameless(9);
        let first = names.name(&delivery(1, "x"));
        assert_ne!(first, names.name(&delivery(1, "x")));
        assert_ne!(
            first,
            names.name(&delivery(2, "x")),
            "a new job after a lost connection"
        );
    }

    #[test]
    fn a_job_that_comes_again_after_a_lost_connection_keeps_its_name() {
        let mut names = nameless(9);
        let (x, y) = (names.name(&delivery(1, "x")), names.name(&delivery(1, "y")));
        assert_eq!(names.name(&again(2, "y")), y);
        assert_eq!(names.name(&again(2, "x")), x);
        assert_eq!(names.name(&again(5, "x")), x, "and again");
    }

    #[test]
    fn each_name_is_taken_once_in_a_session() {
        let mut names = nameless(9);
        let x = names.name(&delivery(1, "x"));
        assert_eq!(names.name(&again(2, "x")), x);
        assert_ne!(
            names.name(&again(2, "x")),
            x,
            "another process had this one before"
        );
    }

    #[test]
    fn the_jobs_that_come_again_take_the_names_given_last() {
        let mut names = nameless(9);
        let acknowledged = names.name(&delivery(1, "x"));
        let mut lost = [names.name(&delivery(1, "x")), names.name(&delivery(1, "x"))];
        let mut found = [names.name(&again(2, "x")), names.name(&again(2, "x"))];
        lost.sort();
        found.sort();
        assert_eq!(found, lost);
        assert!(!found.contains(&acknowledged));
    }

    #[test]
    fn jobs_that_differ_in_anything_repeated_are_told_apart() {
        let mut names = nameless(9);
        let x = names.name(&delivery(1, "x"));
        let text = || Some("t".to_owned());
        for other in [
            Incoming {
                correlation_id: text(),
                ..again(2, "x")
            },
            Incoming {
                traceparent: text(),
                ..again(2, "x")
            },
            Incoming {
                timestamp: Some(1),
                ..again(2, "x")
            },
            Incoming {
                replay: Some(1),
                ..again(2, "x")
            },
        ] {
            assert_ne!(names.name(&other), x);
        }
    }

    #[test]
    fn memory_is_bounded_and_the_oldest_name_goes_first() {
        let mut names = nameless(2);
        let bodies = ["a", "b", "c"];
        let [a, b, c] = bodies.map(|body| names.name(&delivery(1, body)));
        assert_eq!((names.order.len(), names.names.len()), (2, 2));
        assert_eq!(names.name(&again(2, "c")), c);
        assert_eq!(names.name(&again(2, "b")), b);
        assert_ne!(names.name(&again(2, "a")), a);
    }

    #[test]
    fn processes_name_differently() {
        let other = Nameless::new(Uuid::from_u128(8), NonZeroUsize::MIN).name(&delivery(1, "x"));
        assert_ne!(nameless(1).name(&delivery(1, "x")), other);
    }
}
