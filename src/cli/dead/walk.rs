//! A walk through the dead queue: hands out the letters that are chosen and leaves the others where they are.

use std::io::{self, Write as _};

use clockout::broker::client::{Changes, Letter, Letters};
use clockout::engine::job::Timestamp;
use clockout::wire::dead_letter::Account;

use super::Desk;
use super::choice::{self, Choice};
use crate::cli::Exit;
use crate::cli::signals::Signals;
use crate::cli::terminal::printable;

#[derive(Debug)]
pub(super) struct Walk<'d> {
    desk: &'d Desk,
    choice: &'d Choice,
    letters: Letters<'d>,
    /// `None`: a signal ends the process, as there is nothing to say.
    signals: Option<Signals>,
    /// Ids of the choice that no letter had so far.
    missing: Vec<&'d str>,
    interrupted: bool,
}

impl<'d> Walk<'d> {
    pub(super) fn begin(
        letters: Letters<'d>,
        desk: &'d Desk,
        choice: &'d Choice,
        signals: Option<Signals>,
    ) -> anyhow::Result<Self> {
        let others = letters.standing().other_consumers;
        if others > 0 {
            let queue = &desk.names.dead_queue;
            writeln!(
                io::stderr(),
                "others read `{queue}` as well (consumers: {others}): what they hold is not seen here"
            )?;
        }
        Ok(Self {
            desk,
            choice,
            letters,
            signals,
            missing: choice.ids.iter().map(String::as_str).collect(),
            interrupted: false,
        })
    }

    /// When the command began.
    pub(super) fn now(&self) -> Timestamp {
        self.desk.now
    }

    /// How many letters there were when the walk began.
    pub(super) fn all(&self) -> u64 {
        self.letters.standing().letters.into()
    }

    /// The next letter that is chosen; `None` after the last, or when a signal came.
    pub(super) async fn next(&mut self) -> anyhow::Result<Option<(Letter, Account)>> {
        while !self.interrupted {
            let next = tokio::select! {
                next = self.letters.next() => next?,
                () = stopped(&mut self.signals) => {
                    self.interrupted = true;
                    break;
                }
            };
            let Some(letter) = next else {
                break;
            };
            let account = Account::of(&letter.message, letter.routing_key(), &letter.headers());
            if self.choice.fits(&account, self.desk.now) {
                self.missing.retain(|id| !choice::names(id, &account));
                return Ok(Some((letter, account)));
            }
            self.letters.keep(letter).await?;
        }
        Ok(None)
    }

    /// Leaves a letter where it is.
    pub(super) async fn keep(&mut self, letter: Letter) -> anyhow::Result<()> {
        Ok(self.letters.keep(letter).await?)
    }

    /// Takes letters out of the queue, for good.
    pub(super) async fn take(&mut self, letters: Vec<Letter>) -> anyhow::Result<()> {
        Ok(self.letters.take(letters).await?)
    }

    /// Sends letters as jobs, and takes each out of the queue once it is confirmed as one.
    pub(super) async fn replay(&mut self, letters: Vec<(Letter, Changes)>) -> anyhow::Result<()> {
        let exchange = &self.desk.names.jobs_exchange;
        Ok(self.letters.publish(exchange, letters).await?)
    }

    /// Gives back what was not taken. Failed if the walk was cut short, or missed an id that was asked for.
    pub(super) async fn end(self) -> anyhow::Result<Exit> {
        let mut out = io::stderr();
        if self.interrupted {
            self.letters.leave().await?;
            writeln!(out, "interrupted: what was not reached is as it was")?;
            return Ok(Exit::Failed);
        }
        self.letters.close().await?;
        for id in &self.missing {
            writeln!(out, "no dead letter of {}", printable(id))?;
        }
        Ok(if self.missing.is_empty() {
            Exit::Done
        } else {
            Exit::Failed
        })
    }
}

async fn stopped(signals: &mut Option<Signals>) {
    match signals {
        Some(signals) => signals.next().await,
        None => std::future::pending().await,
    }
}
