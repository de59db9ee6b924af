//! The PBX: who is a member of which queue and who is paused, and every way of CONTRACT §3 to answer a call.
//!
//! Some agents and queues are odd for good; other faults come call by call and end with the safety phase.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use clockout::engine::batch::Batch;
use clockout::engine::job::{Action, Agent, PbxQueue};
use clockout::engine::verdict::{Answer, CallResult, ItemAnswer};
use fastrand::Rng;

use crate::faults::{Rates, Swarm, chance};
use crate::producer::agents;

/// What an agent is to a PBX queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Member {
    Absent,
    Active,
    Paused,
}

/// How the PBX treats an agent, for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Oddity {
    /// Every batch that holds it is refused as a whole.
    Poison,
    /// Its item is refused.
    Refused,
    /// Its item is busy.
    Busy,
    /// Its item is missing.
    Unreported,
    /// While the faults last, every batch that holds it makes the PBX fail.
    Killer,
}

/// What is wrong with the PBX as a whole, for a while.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Outage {
    Transient,
    Fault,
}

#[derive(Debug)]
pub(crate) struct Pbx {
    members: BTreeMap<(PbxQueue, Agent), Member>,
    odd_agents: BTreeMap<(PbxQueue, Agent), Oddity>,
    odd_queues: BTreeMap<PbxQueue, Answer>,
    pub(crate) outage: Option<Outage>,
    /// A PBX queue that is dead while the faults last: the PBX fails at each of its calls.
    pub(crate) dead: Option<PbxQueue>,
}

impl Pbx {
    pub(crate) fn new(rng: &mut Rng, swarm: &Swarm) -> Self {
        use Oddity::{Busy, Killer, Poison, Refused, Unreported};
        let mut pbx = Self {
            members: BTreeMap::new(),
            odd_agents: BTreeMap::new(),
            odd_queues: BTreeMap::new(),
            outage: None,
            dead: None,
        };
        for &queue in &swarm.queues {
            if chance(rng, swarm.rates.odd_queue) {
                let answer = rng.choice([Answer::NoSuchQueue, Answer::NotDynamic]);
                pbx.odd_queues.extend(answer.map(|answer| (queue, answer)));
            }
            for agent in agents(swarm) {
                let absent = chance(rng, swarm.rates.absent);
                let member = if absent {
                    Member::Absent
                } else {
                    Member::Active
                };
                pbx.members.insert((queue, agent), member);
                if chance(rng, swarm.rates.odd_agent) {
                    let oddity = rng.choice([Poison, Refused, Busy, Unreported, Killer]);
                    pbx.odd_agents
                        .extend(oddity.map(|oddity| ((queue, agent), oddity)));
                }
            }
        }
        pbx
    }

    pub(crate) fn member(&self, queue: PbxQueue, agent: Agent) -> Member {
        self.members
            .get(&(queue, agent))
            .copied()
            .unwrap_or(Member::Absent)
    }

    pub(crate) fn members(&self) -> impl Iterator<Item = (PbxQueue, Agent, Member)> + '_ {
        let members = self.members.iter();
        members.map(|(&(queue, agent), &member)| (queue, agent, member))
    }

    /// Carries a call out, or not, and answers it. `rates` is `None` once the faults have ended.
    pub(crate) fn call(
        &mut self,
        rng: &mut Rng,
        rates: Option<&Rates>,
        batch: &Batch,
    ) -> CallResult {
        if let Some(rates) = rates
            && let Some(failure) = self.failure(rng, rates, batch)
        {
            return failure;
        }
        if batch
            .agents()
            .any(|agent| self.is(Oddity::Poison, batch, agent))
        {
            return CallResult::Refused {
                message: "bad agent".into(),
            };
        }
        let sound = Rates::default();
        self.carry_out(rng, rates.unwrap_or(&sound), batch)
    }

    fn is(&self, oddity: Oddity, batch: &Batch, agent: Agent) -> bool {
        self.odd_agents.get(&(batch.queue, agent)) == Some(&oddity)
    }

    /// A failure of the call as a whole.
    fn failure(&mut self, rng: &mut Rng, rates: &Rates, batch: &Batch) -> Option<CallResult> {
        let seconds = Duration::from_secs(rng.u64(1..=30));
        let retry_after = chance(rng, rates.retry_after).then_some(seconds);
        let killed = batch
            .agents()
            .any(|agent| self.is(Oddity::Killer, batch, agent));
        let outage = match self.outage {
            None if killed || self.dead == Some(batch.queue) || chance(rng, rates.transient) => {
                Some(Outage::Transient)
            }
            None if chance(rng, rates.fault) => Some(Outage::Fault),
            other => other,
        };
        match outage {
            Some(Outage::Transient) => Some(CallResult::Transient {
                message: "503".into(),
                retry_after,
            }),
            Some(Outage::Fault) => Some(CallResult::Fault {
                message: "401".into(),
                retry_after,
            }),
            None if chance(rng, rates.ambiguous) => {
                if rng.bool() {
                    self.carry_out(rng, &Rates::default(), batch);
                }
                Some(CallResult::Ambiguous {
                    message: "timed out".into(),
                })
            }
            None => None,
        }
    }

    fn carry_out(&mut self, rng: &mut Rng, rates: &Rates, batch: &Batch) -> CallResult {
        let mut items = Vec::new();
        for agent in batch.agents() {
            let missing = self.is(Oddity::Unreported, batch, agent) || chance(rng, rates.missing);
            // A missing item says nothing of whether the PBX did it.
            if missing && rng.bool() {
                continue;
            }
            let answer = self.item(rng, rates, batch, agent);
            if !missing {
                items.push(item(batch.queue, agent, answer));
            }
        }
        if chance(rng, rates.foreign) {
            let elsewhere = PbxQueue::parse("999").expect("a queue number");
            let stranger = Agent::parse("999").expect("an agent number");
            items.extend(
                batch
                    .agents()
                    .map(|agent| item(elsewhere, agent, Answer::Done)),
            );
            items.push(item(batch.queue, stranger, Answer::Done));
        }
        rng.shuffle(&mut items);
        CallResult::Answered(items)
    }

    fn item(&mut self, rng: &mut Rng, rates: &Rates, batch: &Batch, agent: Agent) -> Answer {
        if let Some(answer) = self.odd_queues.get(&batch.queue) {
            return *answer;
        }
        if self.is(Oddity::Busy, batch, agent) || chance(rng, rates.busy) {
            return Answer::Busy;
        }
        if self.is(Oddity::Refused, batch, agent) || chance(rng, rates.refused) {
            return Answer::Refused;
        }
        let member = self
            .members
            .entry((batch.queue, agent))
            .or_insert(Member::Absent);
        match (batch.action, *member) {
            (_, Member::Absent) => return Answer::Absent,
            (Action::Pause, _) => *member = Member::Paused,
            (Action::Remove, _) => *member = Member::Absent,
        }
        Answer::Done
    }
}

fn item(queue: PbxQueue, agent: Agent, answer: Answer) -> ItemAnswer {
    let text: Arc<str> = format!("{answer:?} {agent}").into();
    ItemAnswer {
        queue,
        agent,
        answer,
        message: Some(text),
    }
}
