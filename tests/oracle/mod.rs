//! The oracle: what clockout owes to who looks at it from outside, judged once everything has settled.
//!
//! It knows what was sent, what was told and what the PBX was asked; and nothing of how the worker works. So what it
//! allows is written down here, and only what CONTRACT promises. Chaos and the simulation both ask it.

mod account;
mod order;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

pub use account::{Account, Action, Call, Job, Kind, Member, Pbx, Place, Sent, Told};
pub use order::left_open;

/// A promise that can be broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Promise {
    Outcome,
    Acknowledgement,
    NothingInvented,
    OneId,
    DeadLetter,
    Order,
    Effect,
    NoNeedlessCall,
    Recovery,
    Settling,
    Drain,
}

impl Promise {
    pub const ALL: [Promise; 11] = [
        Promise::Outcome,
        Promise::Acknowledgement,
        Promise::NothingInvented,
        Promise::OneId,
        Promise::DeadLetter,
        Promise::Order,
        Promise::Effect,
        Promise::NoNeedlessCall,
        Promise::Recovery,
        Promise::Settling,
        Promise::Drain,
    ];
}

impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Promise::Outcome => "outcomes missing",
            Promise::Acknowledgement => "jobs acknowledged without a confirmed outcome",
            Promise::NothingInvented => "outcomes and dead letters of nothing that was sent",
            Promise::OneId => "outcomes told under more than one id, or under another's",
            Promise::DeadLetter => "jobs that failed and have no dead letter",
            Promise::Order => "agents whose order was broken",
            Promise::Effect => "agents told as done that the PBX shows otherwise",
            Promise::NoNeedlessCall => "agents called for no job",
            Promise::Recovery => "faults not recovered from in time",
            Promise::Settling => "runs not settled in time",
            Promise::Drain => "workers that did not end as they should",
        })
    }
}

/// A promise that was broken, and how.
#[derive(Debug)]
pub struct Broken {
    pub promise: Promise,
    /// PBX queue and agent, where it was broken for one.
    pub place: Option<(String, String)>,
    pub how: String,
}

impl Broken {
    pub fn new(promise: Promise, how: impl fmt::Display) -> Broken {
        Broken {
            promise,
            place: None,
            how: how.to_string(),
        }
    }

    /// Whether it is the order or the end of one of these.
    pub fn is_handed_over(&self, places: &BTreeSet<Place<'_>>) -> bool {
        let place = self.place.as_ref();
        matches!(self.promise, Promise::Order | Promise::Effect)
            && place.is_some_and(|(queue, agent)| places.contains(&(queue, agent)))
    }
}

/// The codes of what is no valid job.
const INVALID: [&str; 6] = [
    "malformed_json",
    "missing_field",
    "bad_value",
    "unknown_action",
    "unsupported_field",
    "too_large",
];

/// Everything that is wrong with a run that has settled.
pub fn judge(account: &Account, pbx: &Pbx) -> Vec<Broken> {
    let mut broken: Vec<Broken> = account
        .strangers
        .iter()
        .map(|stranger| Broken::new(Promise::NothingInvented, stranger))
        .collect();
    broken.extend(account.sent.iter().flat_map(judge_job));
    broken.extend(judge_ids(&account.sent));
    broken.extend(order::judge(account, pbx));
    broken
}

fn judge_job(sent: &Sent) -> Vec<Broken> {
    let Sent { job, told, .. } = sent;
    let mut broken = Vec::new();
    for told in told {
        let what = format!("{job:?}: {told:?}");
        if told.times == 0 {
            broken.push(Broken::new(Promise::Outcome, &what));
        }
        if told.ids.len() > 1 {
            broken.push(Broken::new(Promise::OneId, &what));
        }
        if told.times > 0 && !told.is_sent_late && !is_fitting(job.kind, told) {
            broken.push(Broken::new(Promise::NothingInvented, &what));
        }
    }
    if sent.is_untold() && !sent.is_left {
        // It is in no queue any more: RabbitMQ was told that it is done.
        let what = format!("{job:?}: {told:?}");
        broken.push(Broken::new(Promise::Acknowledgement, what));
    }
    // A job that a crash brought back may end otherwise the second time.
    let is_buried = |told: &Told| ["failed", "unknown", "invalid"].contains(&told.status.as_str());
    if sent.letters == 0 && !sent.is_lost && told.iter().any(is_buried) {
        let what = format!("{job:?}: {told:?}");
        broken.push(Broken::new(Promise::DeadLetter, what));
    }
    broken
}

/// An outcome's id is its own: whoever drops repeats by it must not drop another's outcome.
fn judge_ids(sent: &[Sent]) -> Vec<Broken> {
    let mut owners: BTreeMap<&str, (&Job, &Told)> = BTreeMap::new();
    let mut broken = Vec::new();
    for Sent { job, told, .. } in sent {
        for told in told.iter().filter(|told| !told.is_sent_late) {
            for id in &told.ids {
                if let Some(other) = owners.insert(id, (job, told)) {
                    let how = format!("{id}: {job:?}: {told:?}, and {other:?}");
                    broken.push(Broken::new(Promise::OneId, how));
                }
            }
        }
    }
    broken
}

/// Whether a job of this kind can end so.
fn is_fitting(kind: Kind, told: &Told) -> bool {
    let only = |codes: &[&str]| told.codes.iter().all(|code| codes.contains(&code.as_str()));
    match kind {
        Kind::Sound | Kind::Repeated | Kind::Expiring(_) => !told
            .codes
            .iter()
            .any(|code| INVALID.contains(&code.as_str()) || code == "dry_run"),
        Kind::DryRun => only(&["dry_run", "superseded", "expired", "forbidden_by_policy"]),
        Kind::Expired => only(&["expired", "superseded", "forbidden_by_policy"]),
        Kind::Bad(code) => only(&[code]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_under_which_two_agents_were_told_is_seen() {
        let told_under = |ids: [&str; 2]| {
            let job = Job {
                number: 0,
                kind: Kind::Sound,
                action: Action::Pause,
                queue: "1".to_owned(),
                agents: vec!["1".to_owned(), "2".to_owned()],
            };
            let mut sent = Sent::new(job);
            for (told, id) in sent.told.iter_mut().zip(ids) {
                told.hear(id, "applied", "succeeded", 1);
                told.hear(id, "applied", "succeeded", 1);
            }
            let broken = judge_ids(&[sent]);
            broken
                .iter()
                .map(|broken| broken.promise)
                .collect::<Vec<_>>()
        };
        assert_eq!(told_under(["a", "b"]), []);
        assert_eq!(told_under(["a", "a"]), [Promise::OneId]);
    }
}
