//! Keeps book of what was published and what was told, against the [`Plan`].
//!
//! Knows outcomes by their JSON alone, as any consumer would.

use std::collections::HashMap;

use clockout::engine::outcome::Code;
use serde::Deserialize;
use tokio::time::Instant;

use super::plan::{Plan, Question};

/// What an outcome says, as far as the demonstration cares.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Outcome {
    #[serde(rename = "outcome_id")]
    pub(super) id: String,
    pub(super) job_id: Option<String>,
    pub(super) agent: Option<String>,
    pub(super) status: String,
    pub(super) code: String,
}

/// The outcome of one question, told at least once.
#[derive(Debug, Clone)]
pub(super) struct Told {
    pub(super) outcome: Outcome,
    pub(super) first_at: Instant,
    pub(super) times: usize,
}

/// What should never be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stray {
    /// No outcome at all.
    Unreadable(String),
    /// Answers nothing that was asked.
    Unasked(Outcome),
    /// Says something else than the first outcome of the same question did.
    Contradiction(Outcome),
}

#[derive(Debug)]
pub(super) struct Book<'p> {
    plan: &'p Plan,
    told: HashMap<&'p Question, Told>,
    strays: Vec<Stray>,
    tellings: usize,
}

impl<'p> Book<'p> {
    pub(super) fn new(plan: &'p Plan) -> Self {
        Self {
            plan,
            told: HashMap::new(),
            strays: Vec::new(),
            tellings: 0,
        }
    }

    /// Notes an outcome that came at `at`.
    pub(super) fn note(&mut self, body: &[u8], at: Instant) {
        match serde_json::from_slice(body) {
            Ok(outcome) => self.note_outcome(outcome, at),
            Err(why) => self.strays.push(Stray::Unreadable(why.to_string())),
        }
    }

    fn note_outcome(&mut self, outcome: Outcome, at: Instant) {
        let question = Question {
            job_id: outcome.job_id.clone().unwrap_or_default(),
            agent: outcome.agent.clone().unwrap_or_default(),
        };
        let Some((question, answer)) = self.plan.answers.get_key_value(&question) else {
            return self.strays.push(Stray::Unasked(outcome));
        };
        let told = self.told.entry(question).or_insert_with(|| Told {
            outcome: outcome.clone(),
            first_at: at,
            times: 0,
        });
        if told.outcome != outcome {
            return self.strays.push(Stray::Contradiction(outcome));
        }
        told.times += 1;
        if told.times <= answer.tellings {
            self.tellings += 1;
        }
    }

    /// How many of the outcomes to be told have been.
    pub(super) fn tellings(&self) -> usize {
        self.tellings
    }

    pub(super) fn told(&self, question: &Question) -> Option<&Told> {
        self.told.get(question)
    }

    pub(super) fn all_told(&self) -> impl Iterator<Item = &Told> {
        self.told.values()
    }

    pub(super) fn strays(&self) -> &[Stray] {
        &self.strays
    }
}

/// `None`: the contract has no such code.
pub(super) fn code(outcome: &Outcome) -> Option<Code> {
    Code::ALL
        .into_iter()
        .find(|code| code.as_str() == outcome.code && code.status().as_str() == outcome.status)
}
