//! What RabbitMQ answers to what is published: counted for the watchdog, and for the log only said when a refusal begins, ever
//! more rarely while it lasts, and when it is over. A queue without a leader refuses thousands in a second.
//!
//! Decides nothing about what follows from an answer. Reads no clock.

use std::time::Duration;

use tracing::{info, warn};

use crate::engine::Published;

/// Wait between the first line of a spell and the second; from then on it doubles.
const LINE_WAIT_MIN: Duration = Duration::from_secs(10);

/// Most time without a line while a spell lasts.
const LINE_WAIT_MAX: Duration = Duration::from_mins(10);

/// A spell is over when nothing of its kind has come for so long, and something else has. More than the usual wait between tries.
const CALM: Duration = Duration::from_mins(1);

/// Of the publishes to one exchange.
#[derive(Debug)]
pub(super) struct Answers {
    /// What is published to it, in words.
    what: &'static str,
    answered: u64,
    taken: u64,
    /// Of this session.
    last: Option<Published>,
    refusals: Spell,
    returns: Spell,
}

/// How publishing to an exchange stands.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Standing {
    /// Answers so far, and how many of them were no refusals.
    pub(super) answered: u64,
    pub(super) taken: u64,
    /// The last answer of this session was a refusal, so something is to be tried again.
    pub(super) refused: bool,
}

impl Answers {
    pub(super) fn to(what: &'static str) -> Self {
        Self {
            what,
            answered: 0,
            taken: 0,
            last: None,
            refusals: Spell::default(),
            returns: Spell::default(),
        }
    }

    pub(super) fn standing(&self) -> Standing {
        Standing {
            answered: self.answered,
            taken: self.taken,
            refused: self.last == Some(Published::Refused),
        }
    }

    pub(super) fn note(&mut self, answers: impl Iterator<Item = Published>) {
        for published in answers {
            self.answered += 1;
            self.taken += u64::from(published != Published::Refused);
            self.last = Some(published);
            match published {
                Published::Confirmed => {}
                Published::Refused => self.refusals.note(),
                Published::Returned => self.returns.note(),
            }
        }
    }

    /// The session is over, and nothing that it published is to be tried again.
    pub(super) fn void(&mut self) {
        self.last = None;
    }

    /// Says what there is to say; called about once a second.
    pub(super) fn speak(&mut self, now: Duration) {
        let what = self.what;
        match self
            .refusals
            .look(now, self.last == Some(Published::Refused))
        {
            Some(Remark::Met { times, seconds }) => warn!(
                times,
                "RabbitMQ refused {what}, {times} in {seconds} s; trying again"
            ),
            Some(Remark::Over) => info!("RabbitMQ refuses {what} no more"),
            None => {}
        }
        match self
            .returns
            .look(now, self.last == Some(Published::Returned))
        {
            Some(Remark::Met { times, seconds }) => warn!(
                times,
                "no queue took {what}, {times} in {seconds} s; check the bindings of the exchange"
            ),
            Some(Remark::Over) => info!("{what} find a queue again"),
            None => {}
        }
    }
}

/// What is to be said of a spell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Remark {
    /// It came so often since the last remark.
    Met {
        times: u64,
        seconds: u64,
    },
    Over,
}

/// A time in which something keeps coming that had better not.
#[derive(Debug, Default)]
struct Spell {
    /// Not yet remarked upon.
    times: u64,
    /// Came after the last look.
    came: bool,
    last: Duration,
    /// When the last remark was made, and how long to keep silent after it; `None` between spells.
    remarked: Option<(Duration, Duration)>,
}

impl Spell {
    fn note(&mut self) {
        self.times += 1;
        self.came = true;
    }

    /// `lasts`: nothing else has come since.
    fn look(&mut self, now: Duration, lasts: bool) -> Option<Remark> {
        if std::mem::take(&mut self.came) {
            self.last = now;
        }
        let (since, wait) = match self.remarked {
            None if self.times == 0 => return None,
            None => (now.saturating_sub(super::BEAT), LINE_WAIT_MIN),
            Some(_) if !lasts && now.saturating_sub(self.last) >= CALM => {
                *self = Self::default();
                return Some(Remark::Over);
            }
            Some((since, wait)) if self.times == 0 || now.saturating_sub(since) < wait => {
                return None;
            }
            Some((since, wait)) => (since, (wait * 2).min(LINE_WAIT_MAX)),
        };
        self.remarked = Some((now, wait));
        Some(Remark::Met {
            times: std::mem::take(&mut self.times),
            seconds: now.saturating_sub(since).as_secs(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFUSED: &[Published] = &[Published::Refused];
    const CONFIRMED: &[Published] = &[Published::Confirmed];

    /// The remarks of an hour, and the seconds in which they are made, if so much is answered in each second.
    fn remarks(answer: impl Fn(u64) -> &'static [Published]) -> Vec<(u64, Remark)> {
        let mut answers = Answers::to("outcomes");
        let second = |second| {
            answers.note(answer(second).iter().copied());
            let Standing { refused, .. } = answers.standing();
            let remark = answers.refusals.look(Duration::from_secs(second), refused);
            Some((second, remark?))
        };
        (1..=3_600).filter_map(second).collect()
    }

    fn met(times: u64, seconds: u64) -> Remark {
        Remark::Met { times, seconds }
    }

    #[test]
    fn a_spell_is_told_when_it_begins_ever_more_rarely_and_when_it_is_over() {
        assert_eq!(remarks(|_| CONFIRMED), []);
        let of_a_minute = remarks(|second| if second <= 60 { REFUSED } else { CONFIRMED });
        let expected = [
            (1, met(1, 1)),
            (11, met(10, 10)),
            (31, met(20, 20)),
            (71, met(29, 40)),
            (120, Remark::Over),
        ];
        assert_eq!(of_a_minute, expected);
    }

    #[test]
    fn one_that_lasts_is_told_every_ten_minutes() {
        let seconds = remarks(|_| REFUSED).into_iter().map(|(at, _)| at);
        let expected = [1, 11, 31, 71, 151, 311, 631, 1_231, 1_831, 2_431, 3_031];
        assert_eq!(seconds.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn what_comes_and_goes_is_one_spell() {
        let remarks = remarks(|second| match second % 59 {
            0 => REFUSED,
            _ => CONFIRMED,
        });
        let over = remarks.iter().filter(|(_, remark)| *remark == Remark::Over);
        assert_eq!(over.count(), 0, "{remarks:?}");
    }

    #[test]
    fn while_nothing_else_comes_it_is_not_over() {
        let once = remarks(|second| if second == 1 { REFUSED } else { &[] });
        assert_eq!(once, [(1, met(1, 1))]);
    }

    #[test]
    fn only_a_refusal_that_nothing_followed_stands() {
        let mut answers = Answers::to("outcomes");
        let mut after = |published: &[Published]| {
            answers.note(published.iter().copied());
            let standing = answers.standing();
            (standing.answered, standing.taken, standing.refused)
        };
        let mixed = [Published::Confirmed, Published::Refused];
        assert_eq!(after(&mixed), (2, 1, true));
        assert_eq!(after(&[]), (2, 1, true));
        assert_eq!(after(&[Published::Returned]), (3, 2, false));
        assert_eq!(after(REFUSED), (4, 2, true));
        answers.void();
        assert!(!answers.standing().refused);
    }
}
