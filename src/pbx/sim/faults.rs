//! What goes wrong at the simulated PBX: rules, switchable while it runs, and their luck, from a seed.
//!
//! Chance is drawn per PBX queue, so that a run whose calls per queue repeat has the same faults, however the calls of
//! different queues interleave.

use std::collections::HashMap;
use std::hash::BuildHasher as _;
use std::time::Duration;

use super::call::{Call, Verb};
use super::rule::{BadRule, CallFault, Effect, ItemFault, Latency, RULES_MAX, Rule};
use crate::engine::job::PbxQueue;

/// What is to happen to one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) latency: Duration,
    pub(super) call: Option<CallFault>,
    /// One for each item of the call.
    pub(super) items: Vec<Option<ItemFault>>,
}

/// The rules that stand.
#[derive(Debug)]
pub(super) struct Faults {
    seed: u64,
    rules: Vec<Rule>,
    luck: HashMap<PbxQueue, fastrand::Rng>,
}

impl Faults {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            seed,
            rules: Vec::new(),
            luck: HashMap::new(),
        }
    }

    pub(super) fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Replaces the rules, and starts luck anew from the seed.
    pub(super) fn replace(&mut self, rules: Vec<Rule>) -> Result<(), BadRule> {
        if rules.len() > RULES_MAX {
            return Err(BadRule::TooMany);
        }
        rules.iter().try_for_each(Rule::check)?;
        self.rules = rules;
        self.luck.clear();
        Ok(())
    }

    /// The status that stands for every call of this action, and its text: a call that names nobody meets it, too. Uses nothing up.
    pub(super) fn for_nobody(&self, verb: Verb) -> Option<(u16, String)> {
        let stand = |rule: &&Rule| rule.times != Some(0) && rule.matching.covers_all(verb);
        self.rules
            .iter()
            .filter(stand)
            .find_map(|rule| match &rule.effect {
                Effect::Call(CallFault::Status { code, body, .. }) => Some((*code, body.clone())),
                Effect::Call(_) | Effect::Item(_) | Effect::Latency(_) => None,
            })
    }

    /// Decides about one call, and uses up the `times` of the rules that take effect.
    pub(super) fn plan(&mut self, call: &Call) -> Plan {
        let mut plan = Plan {
            latency: Duration::ZERO,
            call: None,
            items: vec![None; call.items.len()],
        };
        if let Some(&(queue, _)) = call.items.first() {
            let seed = self.seed;
            let luck = self.luck.entry(queue).or_insert_with(|| {
                let hasher = foldhash::fast::FixedState::with_seed(seed);
                fastrand::Rng::with_seed(hasher.hash_one(queue))
            });
            for rule in &mut self.rules {
                add(rule, call, &mut plan, luck);
            }
        }
        plan
    }
}

/// Adds to `plan` what `rule` does to `call`.
fn add(rule: &mut Rule, call: &Call, plan: &mut Plan, luck: &mut fastrand::Rng) {
    let matching = &rule.matching;
    let covers = |item: &_| matching.covers(call.verb, item);
    match &rule.effect {
        Effect::Item(fault) => {
            for (item, planned) in call.items.iter().zip(&mut plan.items) {
                if planned.is_none()
                    && covers(item)
                    && strikes(&mut rule.times, matching.probability, luck)
                {
                    *planned = Some(fault.clone());
                }
            }
        }
        Effect::Call(fault) => {
            if plan.call.is_none()
                && call.items.iter().any(covers)
                && strikes(&mut rule.times, matching.probability, luck)
            {
                plan.call = Some(fault.clone());
            }
        }
        Effect::Latency(Latency { ms, jitter_ms }) => {
            if call.items.iter().any(covers) && strikes(&mut rule.times, matching.probability, luck)
            {
                let jitter = luck.u32(0..=*jitter_ms);
                plan.latency += Duration::from_millis(u64::from(*ms) + u64::from(jitter));
            }
        }
    }
}

/// Whether a rule that matches takes effect now.
fn strikes(times: &mut Option<u64>, probability: Option<f64>, luck: &mut fastrand::Rng) -> bool {
    let strikes = *times != Some(0) && probability.is_none_or(|odds| luck.f64() < odds);
    if strikes {
        *times = times.map(|left| left - 1);
    }
    strikes
}

#[cfg(test)]
mod tests;
