//! What was sent and what was heard, as it happens. Judges nothing.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::sync::{Mutex, MutexGuard};
use std::time::Instant;

use lapin::BasicProperties;
use lapin::types::FieldTable;
use serde::Deserialize;
use tokio::sync::Notify;

use crate::jobs;
use crate::oracle::{Account, Broken, Job, Kind, Place, Promise, Sent, Told};
use crate::tap::Overheard;

/// Shared by who sends, who hears and who judges.
pub struct Record {
    seed: u64,
    inner: Mutex<Inner>,
    heard: Notify,
}

#[derive(Debug, Default)]
pub struct Inner {
    pub account: Account,
    /// One for each job of the account.
    pub postings: Vec<Posting>,
    /// When an outcome came that had come before, and that no repeated job asked for.
    pub repeats: Vec<Instant>,
    pub outcomes: usize,
    /// The worker that told the latest.
    pub teller: Option<String>,
    /// Acknowledgements that passed on the link to RabbitMQ.
    pub acknowledged: usize,
    owed: usize,
    told: usize,
    /// Outcomes of which a confirm has passed there: job, and agent's place in it.
    confirmed: BTreeSet<(usize, usize)>,
    /// Jobs that were acknowledged before all of theirs were.
    hasty: BTreeSet<usize>,
}

/// How a job was published.
#[derive(Debug)]
pub struct Posting {
    pub body: Vec<u8>,
    /// When it was about to be published for the first time.
    pub at: Instant,
    /// How often it was. Each time, its outcomes are told.
    pub times: usize,
}

/// The part of an outcome that is judged.
#[derive(Debug, Deserialize)]
pub struct Outcome {
    #[serde(rename = "outcome_id")]
    id: String,
    job_id: Option<String>,
    action: Option<String>,
    queue: Option<String>,
    agent: Option<String>,
    status: String,
    code: String,
    attempts: u64,
    worker: String,
}

impl Record {
    pub fn new(seed: u64) -> Record {
        Record {
            seed,
            inner: Mutex::default(),
            heard: Notify::new(),
        }
    }

    pub fn look(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("nobody panics with it")
    }

    /// Takes note of a job that is about to be sent for the first time.
    pub fn send(&self, job: Job, posting: Posting) {
        let mut inner = self.look();
        let sent = Sent::new(job);
        inner.owed += sent.told.len();
        inner.account.sent.push(sent);
        inner.postings.push(posting);
    }

    /// Takes note that these are about to be published, once more where they were before.
    pub fn publish(&self, numbers: &[usize]) {
        let mut inner = self.look();
        for &number in numbers {
            inner.postings[number].times += 1;
        }
    }

    /// Takes note of an outcome's body. `redelivered`: the broker may have given us this very message before, so it is no
    /// repeat of the worker's.
    pub fn hear(&self, body: &[u8], redelivered: bool) {
        let outcome: Outcome = serde_json::from_slice(body).expect("an outcome is JSON");
        let mut inner = self.look();
        inner.outcomes += 1;
        inner.teller = Some(outcome.worker.clone());
        let Some((told, times_asked)) = inner.slot(self.seed, &outcome) else {
            inner.account.strangers.push(format!("{outcome:?}"));
            return;
        };
        let Outcome {
            id, code, status, ..
        } = &outcome;
        told.hear(id, code, status, outcome.attempts);
        told.last_at = Some(Instant::now());
        let (is_first, is_repeat) = (told.times == 1, told.times > times_asked);
        if is_first {
            inner.told += 1;
        }
        if is_repeat && !redelivered {
            inner.repeats.push(Instant::now());
        }
        drop(inner);
        self.heard.notify_waiters();
    }

    /// The same, of what may be a copy of an outcome heard elsewhere: then it says nothing.
    pub fn hear_copy(&self, body: &[u8]) {
        let outcome: Outcome = serde_json::from_slice(body).expect("an outcome is JSON");
        let times = self
            .look()
            .slot(self.seed, &outcome)
            .map(|(told, _)| told.times);
        if times == Some(0) {
            self.hear(body, false);
        }
    }

    /// Takes note of what passed between a worker and RabbitMQ.
    pub fn overhear(&self, overheard: &Overheard) {
        let mut inner = self.look();
        match overheard {
            Overheard::Confirmed(body) => {
                // A dead letter is none.
                let outcome = serde_json::from_slice::<Outcome>(body).ok();
                let place = outcome.and_then(|outcome| inner.place(self.seed, &outcome));
                inner.confirmed.extend(place);
            }
            Overheard::Acknowledged(body) => {
                let number = jobs::number_in(self.seed, body).expect("a job that was sent");
                let owed = inner.account.sent[number].told.len();
                let is_confirmed = |place| inner.confirmed.contains(&(number, place));
                if !(0..owed).all(is_confirmed) {
                    inner.hasty.insert(number);
                }
                inner.acknowledged += 1;
            }
        }
    }

    /// Takes note of a dead letter; it has the properties of its job.
    pub fn bury(&self, properties: &BasicProperties) {
        let mut inner = self.look();
        let headers = properties.headers().as_ref().map(FieldTable::inner);
        if headers.is_some_and(|headers| headers.contains_key("x-death")) {
            let why = format!("dead-lettered by RabbitMQ itself: {properties:?}");
            inner.account.strangers.push(why);
        }
        match inner.sent_as(self.seed, properties) {
            Some(sent) => sent.letters += 1,
            None => inner
                .account
                .strangers
                .push(format!("a dead letter: {properties:?}")),
        }
    }

    /// Takes note of a job that no worker will take any more, by the properties of its message.
    pub fn leave(&self, message: &BasicProperties) {
        let mut inner = self.look();
        if let Some(sent) = inner.sent_as(self.seed, message) {
            sent.is_left = true;
        }
    }

    /// Takes note that jobs queues are gone, with what was in them.
    pub fn lose(&self) {
        let mut inner = self.look();
        inner.account.deletions.push(Instant::now());
        for sent in &mut inner.account.sent {
            sent.is_lost |= !sent.is_untold() && sent.letters == 0;
        }
    }

    /// The numbers of the jobs that lack outcomes; and of all later ones of their agents, so that order holds when
    /// they are sent again.
    pub fn missed(&self) -> Vec<usize> {
        let inner = self.look();
        let mut late: BTreeSet<Place<'_>> = BTreeSet::new();
        let mut missed = Vec::new();
        for sent in &inner.account.sent {
            let queue = sent.job.queue.as_str();
            let places = || sent.job.agents.iter().map(|agent| (queue, agent.as_str()));
            if sent.is_untold() || places().any(|place| late.contains(&place)) {
                missed.push(sent.job.number);
                late.extend(places());
            }
        }
        missed
    }

    /// Waits until every agent of every job that was sent has an outcome.
    pub async fn all_told(&self) {
        self.once(|inner| inner.told == inner.owed).await;
    }

    /// Waits for the outcomes of a job that was sent after so many others, and for which the PBX was called.
    pub async fn told_beyond(&self, sent: usize) {
        let is_called = |told: &Told| told.attempts > 0;
        let is_done = |sent: &Sent| !sent.is_untold() && sent.told.iter().any(is_called);
        self.once(|inner| inner.account.sent.iter().skip(sent).any(is_done))
            .await;
    }

    async fn once(&self, holds: impl Fn(&Inner) -> bool) {
        loop {
            let heard = self.heard.notified();
            tokio::pin!(heard);
            // Before the look, or what is heard right after it would be missed.
            heard.as_mut().enable();
            if holds(&self.look()) {
                return;
            }
            heard.await;
        }
    }

    /// What is still owed, in words, for who waits in vain.
    pub fn pending(&self) -> String {
        let inner = self.look();
        let untold = inner.account.sent.iter().filter(|sent| sent.is_untold());
        let numbers: Vec<_> = untold
            .clone()
            .take(20)
            .map(|sent| sent.job.number)
            .collect();
        let (jobs, sent) = (untold.count(), inner.account.sent.len());
        format!("{jobs} of {sent} jobs lack outcomes, the first of them {numbers:?}")
    }
}

impl Inner {
    /// Where this outcome belongs, if it names what its job asked for: the job's number, and the agent's place in it.
    fn place(&self, seed: u64, outcome: &Outcome) -> Option<(usize, usize)> {
        let number = jobs::number(seed, outcome.job_id.as_deref()?)?;
        let job = &self.account.sent.get(number)?.job;
        if let Kind::Bad(_) = job.kind {
            return Some((number, 0));
        }
        let asked = outcome.action.as_deref() == Some(job.action.as_str())
            && outcome.queue.as_deref() == Some(&job.queue);
        let agent = outcome.agent.as_deref().filter(|_| asked)?;
        let place = job.agents.iter().position(|named| named == agent)?;
        Some((number, place))
    }

    /// The same, and how often that was asked for.
    fn slot(&mut self, seed: u64, outcome: &Outcome) -> Option<(&mut Told, usize)> {
        let (number, place) = self.place(seed, outcome)?;
        let told = self.account.sent[number].told.get_mut(place)?;
        Some((told, self.postings[number].times))
    }

    /// Jobs that were acknowledged too early, but for those that lack an outcome in the end, which the oracle sees by itself.
    pub fn hasty(&self) -> impl Iterator<Item = Broken> {
        let hasty = self.hasty.iter().map(|number| &self.account.sent[*number]);
        hasty
            .filter(|sent| !sent.is_untold() || sent.is_left)
            .map(|sent| {
                let how = format!("before a confirm: {:?}: {:?}", sent.job, sent.told);
                Broken::new(Promise::Acknowledgement, how)
            })
    }

    /// The job that a message with these properties is, or was.
    fn sent_as(&mut self, seed: u64, properties: &BasicProperties) -> Option<&mut Sent> {
        let id = properties.message_id().as_ref()?;
        self.account.sent.get_mut(jobs::number(seed, id.as_str())?)
    }

    /// The agents that had a job open in one of these spans: sent, and not told for the last time. What is told again later
    /// was not acknowledged, and so may have been with two workers, too.
    pub fn open_in(&self, spans: &[RangeInclusive<Instant>]) -> BTreeSet<Place<'_>> {
        let is_open = |(sent, told): &(&Sent, &Told)| {
            let meets = |span: &RangeInclusive<Instant>| {
                self.postings[sent.job.number].at <= *span.end()
                    && told.last_at.is_none_or(|last| last >= *span.start())
            };
            spans.iter().any(meets)
        };
        let stories = self.account.stories().into_iter();
        let open = stories.filter(|(_, story)| story.iter().any(is_open));
        open.map(|(place, _)| place).collect()
    }

    pub fn owed(&self) -> usize {
        self.owed
    }
}

impl Posting {
    /// Of a job that is about to be published.
    pub fn new(job: &Job, id: &str) -> Posting {
        Posting {
            body: jobs::body(job, id),
            at: Instant::now(),
            times: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::oracle::Action;

    #[test]
    fn a_job_is_acknowledged_too_early_if_any_of_its_outcomes_is_not_confirmed_by_then() {
        let record = Record::new(7);
        let agents = ["1", "2"];
        for number in 0..2 {
            let job = Job {
                number,
                kind: Kind::Sound,
                action: Action::Pause,
                queue: "1".to_owned(),
                agents: agents.map(str::to_owned).to_vec(),
            };
            record.send(job.clone(), Posting::new(&job, &format!("7-{number}")));
        }
        let confirm = |number: usize, agent: &str| {
            let outcome = json!({
                "outcome_id": "", "job_id": format!("7-{number}"), "action": "pause", "queue": "1", "agent": agent,
                "status": "", "code": "", "attempts": 1, "worker": "",
            });
            record.overhear(&Overheard::Confirmed(outcome.to_string().into()));
        };
        let acknowledge = |number: usize| {
            let body = record.look().postings[number].body.clone();
            record.overhear(&Overheard::Acknowledged(body));
        };
        confirm(0, "1");
        confirm(0, "2");
        acknowledge(0);
        confirm(1, "2");
        acknowledge(1);
        confirm(1, "1");
        let mut inner = record.look();
        assert_eq!(inner.acknowledged, 2);
        assert_eq!(inner.hasty, BTreeSet::from([1]));
        for sent in &mut inner.account.sent {
            for told in &mut sent.told {
                told.hear("", "applied", "succeeded", 1);
            }
        }
        assert_eq!(inner.hasty().count(), 1);
    }
}
