//! Sends letters in their order: a burst at a time, each confirmed before the next.

use std::fmt;
use std::io;

use clockout::broker::client::{Client, ClientError};
use clockout::engine::job::Job;

use super::letter::{Letter, Letters, Unfit};
use crate::cli::pace::Pace;
use crate::cli::signals::Signals;

/// What is being sent, and how far it is.
pub(super) struct Post<'s> {
    pub(super) client: &'s Client,
    pub(super) exchange: &'s str,
    pub(super) letters: Letters<'s>,
    pub(super) pace: Pace,
    /// How many jobs there are in all.
    pub(super) jobs: u64,
    pub(super) confirmed: Confirmed,
}

/// How many jobs RabbitMQ has confirmed.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Confirmed {
    jobs: u64,
    /// Where the last of them stands in its file.
    line: Option<u64>,
}

impl Post<'_> {
    /// Sends all that is left, up to a signal.
    pub(super) async fn send_all(&mut self, signals: &mut Signals) -> Result<(), Unsent> {
        while self.send_some(signals).await?.is_some() {}
        Ok(())
    }

    /// Sends the next few jobs and returns them once RabbitMQ has confirmed them; `None` after the last.
    pub(super) async fn send_some(
        &mut self,
        signals: &mut Signals,
    ) -> Result<Option<Vec<Job>>, Unsent> {
        let letters: Result<Vec<Letter>, Unfit> =
            self.letters.by_ref().take(self.pace.burst()).collect();
        let letters = letters.map_err(|unfit| self.unsent(0, unfit))?;
        let Some(line) = letters.last().map(|letter| letter.line) else {
            return Ok(None);
        };
        tokio::select! {
            biased; // Or without a rate no signal would ever be heard.
            () = signals.next() => return Err(self.unsent(0, Cause::Interrupted)),
            () = self.pace.turn() => {}
        }
        let letters = letters.into_iter();
        let (jobs, messages): (Vec<_>, Vec<_>) =
            letters.map(|letter| (letter.job, letter.message)).unzip();
        let published = self.client.publish(self.exchange, messages).await;
        published.map_err(|why| self.unsent(jobs.len(), why))?;
        self.confirmed.jobs += jobs.len() as u64;
        self.confirmed.line = line;
        Ok(Some(jobs))
    }

    fn unsent(&self, in_doubt: usize, cause: impl Into<Cause>) -> Unsent {
        Unsent {
            confirmed: self.confirmed,
            jobs: self.jobs,
            in_doubt,
            cause: cause.into(),
        }
    }
}

/// Not all was sent.
#[derive(Debug, thiserror::Error)]
pub(super) struct Unsent {
    confirmed: Confirmed,
    jobs: u64,
    /// How many of the jobs after those confirmed RabbitMQ may have taken, or not.
    in_doubt: usize,
    #[source]
    cause: Cause,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum Cause {
    #[error("interrupted")]
    Interrupted,
    #[error("the input has changed since it was checked")]
    Changed,
    #[error("the input cannot be read any further: {0}")]
    Unread(io::Error),
    #[error(transparent)]
    Broker(#[from] ClientError),
}

impl From<Unfit> for Cause {
    fn from(unfit: Unfit) -> Self {
        match unfit {
            Unfit::Unread(why) => Self::Unread(why),
            Unfit::Wrong { .. } => Self::Changed,
        }
    }
}

impl fmt::Display for Unsent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Confirmed { jobs, line } = self.confirmed;
        write!(f, "sent and confirmed: {jobs} of {} jobs", self.jobs)?;
        if let Some(line) = line {
            write!(f, ", up to line {line}")?;
        }
        match self.in_doubt {
            0 => Ok(()),
            in_doubt => write!(f, "; in doubt: the next {in_doubt}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_sent_says_what_was_and_what_is_in_doubt() {
        let confirmed = Confirmed {
            jobs: 300,
            line: Some(301),
        };
        let unsent = Unsent {
            confirmed,
            jobs: 1000,
            in_doubt: 100,
            cause: Cause::Changed,
        };
        assert_eq!(
            unsent.to_string(),
            "sent and confirmed: 300 of 1000 jobs, up to line 301; in doubt: the next 100"
        );
    }
}
