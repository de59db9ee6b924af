//! Hears outcomes as any consumer of them may: on a queue of its own, bound to the results exchange.

use anyhow::Result;
use clockout::broker::client::{Client, Feed};
use serde::Deserialize;

use super::jobs;

#[derive(Debug)]
pub(crate) struct Listener {
    feed: Feed,
    _connection: Client,
}

#[derive(Debug, Deserialize)]
struct Outcome {
    job_id: Option<String>,
}

impl Listener {
    pub(super) async fn open(client: Client, exchange: &str) -> Result<Self> {
        Ok(Self {
            feed: client.follow(exchange, &["#"]).await?,
            _connection: client,
        })
    }

    /// Waits for the next outcome and tells the number of its job; `None` if that is not ours. Nothing is lost if the wait
    /// is given up.
    pub(crate) async fn next(&mut self) -> Result<Option<usize>> {
        let received = self.feed.next().await?;
        let outcome: Outcome = serde_json::from_slice(&received.body)?;
        Ok(outcome.job_id.as_deref().and_then(jobs::number))
    }
}
