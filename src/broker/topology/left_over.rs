//! Shards that a larger `jobs.shards` has left over. Jobs may still wait in them, so they are consumed like the others,
//! while no more jobs are led to them.
//!
//! Finds them by their names, and deletes none: that is the operator's, once they are empty.

use lapin::Connection;

use super::refusal::{explain, is_out_of_sight};
use super::{TopologyError, open_channel};
use crate::broker::depth::depth;
use crate::broker::{Names, short};

/// What has been found so far.
#[derive(Debug, Default)]
pub(in crate::broker) struct LeftOver {
    /// `None`: nobody has looked.
    shards: Option<Vec<String>>,
}

impl LeftOver {
    /// The shards after the last one in use, up to the first that does not stand. Where there was none there will be none,
    /// as a change of the number begins with a new process: RabbitMQ, which logs each look as an error, is spared more.
    pub(in crate::broker) async fn find(
        &mut self,
        connection: &Connection,
        names: &Names,
    ) -> Result<&[String], TopologyError> {
        if self.shards.as_ref().is_none_or(|found| !found.is_empty()) {
            self.shards = Some(search(connection, names).await?);
        }
        Ok(self.shards.as_deref().unwrap_or_default())
    }
}

async fn search(connection: &Connection, names: &Names) -> Result<Vec<String>, TopologyError> {
    let mut found = Vec::new();
    for number in names.shards.get().saturating_add(1).. {
        let shard = names.shard(number);
        let Some(jobs) = jobs_in(connection, &shard).await? else {
            break;
        };
        tracing::info!(
            shard,
            jobs,
            "queue `{shard}` is left over from a larger jobs.shards. Jobs in it, which are taken too: {jobs}. Delete it when \
             it is empty"
        );
        found.push(shard);
    }
    Ok(found)
}

/// `None` if there is no such queue. Asks on a channel of its own, which RabbitMQ closes then.
async fn jobs_in(connection: &Connection, queue: &str) -> Result<Option<u32>, TopologyError> {
    let channel = open_channel(connection).await?;
    match depth(&channel, short(queue)).await {
        Ok(depth) => Ok(Some(depth.ready)),
        Err(error) if is_out_of_sight(&error) => Ok(None),
        Err(error) => Err(explain(format!("queue `{queue}`"), error)),
    }
}
