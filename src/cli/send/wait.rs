//! Follows the outcomes of what is sent, while it is sent and after.

use std::io;
use std::pin::pin;
use std::time::Duration;

use anyhow::Context as _;
use clockout::broker::client::{Feed, Received};
use clockout::wire::told::Outcome;
use indicatif::ProgressBar;
use tokio::time::{Instant, sleep_until};

use super::ledger::Ledger;
use super::post::Post;
use crate::cli::outcome::json_line;
use crate::cli::signals::Signals;
use crate::cli::terminal;

const UNHEARD: &str = "all is sent, but its outcomes cannot be followed to the end";

/// A listener to the outcomes of what is about to be sent.
pub(super) struct Wait {
    pub(super) feed: Feed,
    pub(super) ledger: Ledger,
    /// How long no outcome of ours may come before there is no hope for the rest.
    pub(super) timeout: Duration,
    pub(super) bar: ProgressBar,
    /// Whether to print the outcomes as they come.
    pub(super) json: bool,
}

impl Wait {
    /// Sends everything and listens until all is told, none has come for too long, or a signal ends it.
    pub(super) async fn through(
        mut self,
        mut post: Post<'_>,
        signals: &mut Signals,
    ) -> anyhow::Result<Ledger> {
        self.while_sending(&mut post, signals).await?;
        self.after_sending(signals).await?;
        self.bar.finish_and_clear();
        Ok(self.ledger)
    }

    /// The first outcomes are told long before the last job of a long input is sent.
    async fn while_sending(
        &mut self,
        post: &mut Post<'_>,
        signals: &mut Signals,
    ) -> anyhow::Result<()> {
        let mut sending = pin!(post.send_all(signals));
        loop {
            tokio::select! {
                sent = &mut sending => return Ok(sent?),
                received = self.feed.next() => match received {
                    Ok(received) => self.hear(&received).map(drop)?,
                    Err(lost) => {
                        // Sending fails of the same, and says how far it came.
                        sending.await?;
                        return Err(lost).context(UNHEARD);
                    }
                },
            }
        }
    }

    async fn after_sending(&mut self, signals: &mut Signals) -> anyhow::Result<()> {
        let mut patience = Instant::now() + self.timeout;
        while self.ledger.owed() > 0 {
            tokio::select! {
                received = self.feed.next() => {
                    if self.hear(&received.context(UNHEARD)?)? {
                        patience = Instant::now() + self.timeout;
                    }
                }
                () = sleep_until(patience) => break,
                () = signals.next() => break,
            }
        }
        Ok(())
    }

    /// Whether it is an outcome that was owed.
    fn hear(&mut self, received: &Received) -> io::Result<bool> {
        let outcome = Outcome::read(&received.body).ok();
        if !outcome.is_some_and(|outcome| self.ledger.note(outcome)) {
            return Ok(false);
        }
        self.bar.inc(1);
        if self.json {
            terminal::print_line(json_line(&received.body))?;
        }
        Ok(true)
    }
}
