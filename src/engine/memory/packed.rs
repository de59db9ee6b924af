//! An outcome as a few bytes, and back. What a job costs in memory for as long as it is remembered.
//!
//! Numbers are written seven bits at a time, times as they are, texts with their length in front; what may be absent is one
//! more than it is, and zero if absent. Never read by another process, so the form may change at will.

use std::sync::Arc;

use super::super::batch::BatchId;
use super::super::job::{Action, Agent, Echo, JobId, OutcomeId, PbxQueue, Timestamp};
use super::super::outcome::{BatchRef, Code, Conclusion, Outcome};

/// Writes everything but the id, and the echo only if asked to: it may be kept elsewhere.
pub(super) fn pack(outcome: &Outcome, with_echo: bool, into: &mut Vec<u8>) {
    let mut pack = Pack(into);
    pack.bytes(outcome.queue.as_ref().map(PbxQueue::as_bytes));
    pack.bytes(outcome.agent.as_ref().map(Agent::as_bytes));
    pack.time(outcome.requested_at);
    pack.text(outcome.job_id.as_ref().map(JobId::as_str));
    pack.choice(&Action::ALL, outcome.action.as_ref());
    pack.number(u64::from(outcome.dry_run));
    pack.time(Some(outcome.received_at));
    let Conclusion {
        code,
        message,
        attempts,
        batch,
        superseded_by,
        completed_at,
    } = &outcome.conclusion;
    pack.choice(&Code::ALL, Some(code));
    pack.text(message.as_deref());
    pack.number(u64::from(*attempts));
    pack.number(batch.map_or(0, |batch| batch.id.0));
    pack.number(batch.map_or(0, |batch| u64::from(batch.size)));
    pack.text(superseded_by.as_ref().map(JobId::as_str));
    pack.time(Some(*completed_at));
    if with_echo {
        for text in texts(&outcome.echo) {
            pack.text(text);
        }
    }
}

/// Reads what [`pack`] wrote. `echo`: what was kept elsewhere, if anything was. `None` cannot happen for what is whole.
pub(super) fn unpack(id: OutcomeId, packed: &[u8], echo: Option<Arc<Echo>>) -> Option<Outcome> {
    let mut packed = Unpack(packed);
    let queue = packed.text().and_then(|text| PbxQueue::parse(text).ok());
    let agent = packed.text().and_then(|text| Agent::parse(text).ok());
    let requested_at = packed.time();
    let job_id = packed.job_id();
    let action = packed.choice(&Action::ALL);
    let dry_run = packed.number() > 0;
    let received_at = packed.time()?;
    let conclusion = Conclusion {
        code: packed.choice(&Code::ALL)?,
        message: packed.text().map(Arc::from),
        attempts: packed.number_u32(),
        batch: packed.batch(),
        superseded_by: packed.job_id(),
        completed_at: packed.time()?,
    };
    let echo = echo.unwrap_or_else(|| Arc::new(packed.echo()));
    Some(Outcome {
        id,
        job_id,
        action,
        queue,
        agent,
        dry_run,
        requested_at,
        received_at,
        echo,
        conclusion,
    })
}

/// Reads the beginning of what [`pack`] wrote, and no more.
pub(super) fn headline(packed: &[u8]) -> Headline<'_> {
    let mut packed = Unpack(packed);
    Headline {
        queue: packed.bytes(),
        agent: packed.bytes(),
        requested_at: packed.time(),
        job_id: packed.bytes(),
    }
}

/// The beginning of a packed outcome; its texts are only there to be compared, so they stay bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Headline<'a> {
    pub(super) queue: Option<&'a [u8]>,
    pub(super) agent: Option<&'a [u8]>,
    pub(super) requested_at: Option<Timestamp>,
    pub(super) job_id: Option<&'a [u8]>,
}

/// The texts of an echo, in the order in which they are packed.
pub(super) fn texts(echo: &Echo) -> [Option<&str>; 4] {
    let Echo {
        correlation_id,
        reason,
        context,
        traceparent,
    } = echo;
    [correlation_id, reason, context, traceparent].map(Option::as_deref)
}

/// Stands for a time that is absent: no message can name it.
const NEVER: Timestamp = Timestamp(i64::MIN);

struct Pack<'a>(&'a mut Vec<u8>);

impl Pack<'_> {
    fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            let [low, ..] = number.to_le_bytes();
            self.0.push(low | 0x80);
            number >>= 7;
        }
        let [last, ..] = number.to_le_bytes();
        self.0.push(last);
    }

    /// `None` is 0, and everything else one more than it is.
    fn option(&mut self, number: Option<usize>) {
        self.number(number.map_or(0, |number| number as u64 + 1));
    }

    fn choice<T: PartialEq>(&mut self, all: &[T], choice: Option<&T>) {
        self.option(choice.and_then(|choice| all.iter().position(|one| one == choice)));
    }

    fn time(&mut self, time: Option<Timestamp>) {
        let Timestamp(millis) = time.unwrap_or(NEVER);
        self.0.extend_from_slice(&millis.to_le_bytes());
    }

    fn bytes(&mut self, bytes: Option<&[u8]>) {
        self.option(bytes.map(<[u8]>::len));
        self.0.extend_from_slice(bytes.unwrap_or_default());
    }

    fn text(&mut self, text: Option<&str>) {
        self.bytes(text.map(str::as_bytes));
    }
}

/// Reads on from where it stands; what is not there any more reads as zero or absent.
struct Unpack<'a>(&'a [u8]);

impl<'a> Unpack<'a> {
    fn number(&mut self) -> u64 {
        let mut number = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let Some((byte, rest)) = self.0.split_first() else {
                break;
            };
            self.0 = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if *byte < 0x80 {
                break;
            }
        }
        number
    }

    fn number_u32(&mut self) -> u32 {
        u32::try_from(self.number()).unwrap_or_default()
    }

    fn option(&mut self) -> Option<usize> {
        usize::try_from(self.number()).ok()?.checked_sub(1)
    }

    fn choice<T: Copy>(&mut self, all: &[T]) -> Option<T> {
        all.get(self.option()?).copied()
    }

    fn time(&mut self) -> Option<Timestamp> {
        let (millis, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(Timestamp(i64::from_le_bytes(*millis))).filter(|time| *time != NEVER)
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let len = self.option()?;
        let (bytes, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(bytes)
    }

    fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }

    fn job_id(&mut self) -> Option<JobId> {
        JobId::parse(self.text()?).ok()
    }

    fn batch(&mut self) -> Option<BatchRef> {
        let (id, size) = (BatchId(self.number()), self.number_u32());
        (size > 0).then_some(BatchRef { id, size })
    }

    fn echo(&mut self) -> Echo {
        Echo {
            correlation_id: self.text().map(Box::from),
            reason: self.text().map(Box::from),
            context: self.text().map(Box::from),
            traceparent: self.text().map(Box::from),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::job::Job;
    use super::*;

    fn full() -> Outcome {
        let job = Job::sample("shift-2291/570", Action::Remove, &["0570"]);
        let mut outcome = (*Outcome::sample(&job, 0, Code::Superseded, 300)).clone();
        outcome.requested_at = Some(Timestamp(-1));
        outcome.received_at = Timestamp(1_800_000_000_000);
        outcome.dry_run = true;
        outcome.echo = Arc::new(Echo {
            correlation_id: Some("".into()),
            reason: Some("Schichtende, früher".into()),
            context: None,
            traceparent: Some("00-1-2-01".into()),
        });
        outcome.conclusion.message = Some("x".repeat(300).into());
        outcome.conclusion.superseded_by = JobId::parse("b").ok();
        let id = BatchId(u64::MAX);
        outcome.conclusion.batch = Some(BatchRef { id, size: 50 });
        outcome
    }

    fn packed(outcome: &Outcome, with_echo: bool) -> Vec<u8> {
        let mut bytes = Vec::new();
        pack(outcome, with_echo, &mut bytes);
        bytes
    }

    /// CONTRACT §4.7: the same outcome is told again.
    #[test]
    fn an_outcome_comes_back_as_it_was() {
        let full = full();
        let bytes = packed(&full, true);
        assert_eq!(unpack(full.id, &bytes, None).as_ref(), Some(&full));
        let bytes = packed(&full, false);
        let echo = Some(Arc::clone(&full.echo));
        assert_eq!(unpack(full.id, &bytes, echo).as_ref(), Some(&full));

        let mut empty = full;
        (empty.job_id, empty.action, empty.queue, empty.agent) = (None, None, None, None);
        (empty.requested_at, empty.echo) = (None, Arc::default());
        (empty.conclusion.message, empty.conclusion.batch) = (None, None);
        empty.conclusion.superseded_by = None;
        for code in Code::ALL {
            empty.conclusion.code = code;
            let bytes = packed(&empty, true);
            assert_eq!(unpack(empty.id, &bytes, None).as_ref(), Some(&empty));
        }
    }

    #[test]
    fn the_headline_is_the_beginning() {
        let outcome = full();
        let bytes = packed(&outcome, true);
        let headline = headline(&bytes);
        assert_eq!(
            (headline.queue, headline.agent),
            (Some(&b"1"[..]), Some(&b"0570"[..]))
        );
        assert_eq!(headline.requested_at, outcome.requested_at);
        assert_eq!(headline.job_id, Some(&b"shift-2291/570"[..]));
    }
}
