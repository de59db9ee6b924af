//! Who is on which queue of the simulated PBX, and what each action does to them.
//!
//! The failure texts are those of Asterisk's queues. The vendor documents none for its API, so they are modelled.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Seat;
use super::call::Verb;
use crate::engine::job::{Agent, PbxQueue};

/// One agent on one queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Member {
    /// `false` once removed.
    pub member: bool,
    pub paused: bool,
    /// A fixed member (`false`) cannot be removed.
    pub dynamic: bool,
}

impl Member {
    const FRESH: Self = Self {
        member: true,
        paused: false,
        dynamic: true,
    };
}

/// A member to put in place from outside.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewMember {
    pub(super) queue: String,
    pub(super) agent: String,
    #[serde(default)]
    pub(super) paused: bool,
    #[serde(default = "yes")]
    pub(super) dynamic: bool,
}

fn yes() -> bool {
    true
}

/// What one action did to one agent; either text stands in the reply.
pub(super) type Applied = Result<&'static str, &'static str>;

/// All queues. Grows with the agents seen, which a test or a demonstration bounds.
#[derive(Debug, Clone)]
pub(super) struct Queues {
    /// Whether an agent not seen before is taken for a dynamic member of whatever queue it is named with.
    auto_members: bool,
    members: BTreeMap<PbxQueue, BTreeMap<Agent, Member>>,
}

impl Queues {
    /// `None`: every agent is a member at first sight.
    pub(super) fn new(members: Option<&[Seat]>) -> Self {
        let mut queues = Self {
            auto_members: members.is_none(),
            members: BTreeMap::new(),
        };
        for &(queue, agent) in members.unwrap_or_default() {
            queues.put(queue, agent, Member::FRESH);
        }
        queues
    }

    pub(super) fn put(&mut self, queue: PbxQueue, agent: Agent, member: Member) {
        self.members.entry(queue).or_default().insert(agent, member);
    }

    pub(super) fn members(&self) -> &BTreeMap<PbxQueue, BTreeMap<Agent, Member>> {
        &self.members
    }

    pub(super) fn apply(&mut self, verb: Verb, queue: PbxQueue, agent: Agent) -> Applied {
        match verb {
            Verb::Pause => self.set_paused(queue, agent, true),
            Verb::Resume => self.set_paused(queue, agent, false),
            Verb::Remove => self.remove(queue, agent),
            Verb::Add => self.add(queue, agent),
        }
    }

    fn set_paused(&mut self, queue: PbxQueue, agent: Agent, paused: bool) -> Applied {
        let member = self.find(queue, agent)?.ok_or("Interface not found")?;
        member.paused = paused;
        Ok(if paused {
            "Paused successfully"
        } else {
            "UnPaused successfully"
        })
    }

    fn remove(&mut self, queue: PbxQueue, agent: Agent) -> Applied {
        let member = self
            .find(queue, agent)?
            .ok_or("Unable to remove interface: Not there")?;
        if !member.dynamic {
            return Err("Member not dynamic");
        }
        *member = Member {
            member: false,
            ..Member::FRESH
        };
        Ok("Removed successfully")
    }

    fn add(&mut self, queue: PbxQueue, agent: Agent) -> Applied {
        let known = self.members.get(&queue).and_then(|queue| queue.get(&agent));
        if known.is_some_and(|known| known.member) {
            return Err("Already there");
        }
        self.put(queue, agent, Member::FRESH);
        Ok("Added successfully")
    }

    /// `Ok(None)`: the queue is there, the agent is not on it.
    fn find(&mut self, queue: PbxQueue, agent: Agent) -> Result<Option<&mut Member>, &'static str> {
        if self.auto_members {
            let queue = self.members.entry(queue).or_default();
            queue.entry(agent).or_insert(Member::FRESH);
        }
        let queue = self.members.get_mut(&queue).ok_or("No such queue")?;
        Ok(queue.get_mut(&agent).filter(|found| found.member))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue() -> PbxQueue {
        PbxQueue::parse("1").unwrap()
    }

    fn agent(number: &str) -> Agent {
        Agent::parse(number).unwrap()
    }

    #[test]
    fn an_agent_at_first_sight_is_a_member_until_it_is_removed() {
        let mut queues = Queues::new(None);
        let mut apply = |verb| queues.apply(verb, queue(), agent("2"));
        assert_eq!(apply(Verb::Pause), Ok("Paused successfully"));
        assert_eq!(apply(Verb::Pause), Ok("Paused successfully"));
        assert_eq!(apply(Verb::Resume), Ok("UnPaused successfully"));
        assert_eq!(apply(Verb::Add), Err("Already there"));
        assert_eq!(apply(Verb::Remove), Ok("Removed successfully"));
        assert_eq!(
            apply(Verb::Remove),
            Err("Unable to remove interface: Not there")
        );
        assert_eq!(apply(Verb::Pause), Err("Interface not found"));
        assert_eq!(apply(Verb::Add), Ok("Added successfully"));
        assert_eq!(apply(Verb::Remove), Ok("Removed successfully"));
    }

    #[test]
    fn with_given_members_only_they_exist() {
        let mut queues = Queues::new(Some(&[(queue(), agent("2"))]));
        let other = PbxQueue::parse("9").unwrap();
        let mut pause = |queue, number| queues.apply(Verb::Pause, queue, agent(number));
        assert_eq!(pause(other, "2"), Err("No such queue"));
        assert_eq!(pause(queue(), "3"), Err("Interface not found"));
        assert_eq!(pause(queue(), "2"), Ok("Paused successfully"));
    }

    #[test]
    fn a_fixed_member_can_be_paused_but_not_removed() {
        let mut queues = Queues::new(Some(&[]));
        let fixed = Member {
            dynamic: false,
            ..Member::FRESH
        };
        queues.put(queue(), agent("2"), fixed);
        let mut apply = |verb| queues.apply(verb, queue(), agent("2"));
        assert_eq!(apply(Verb::Remove), Err("Member not dynamic"));
        assert_eq!(apply(Verb::Pause), Ok("Paused successfully"));
    }
}
