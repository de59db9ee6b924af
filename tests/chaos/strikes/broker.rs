//! What goes wrong at the broker: with the node itself, with what stands on it, with who may use it.

use std::time::Duration;

use crate::fault::{BrokerFault, PbxFault};
use crate::run::Stage;
use crate::schedule::Strike;
use crate::support::Node;

/// The shortest that channels, which look every second, can tell.
const CONSUMER_TIMEOUT: Duration = Duration::from_secs(1);

pub(super) async fn begin(fault: BrokerFault, strike: &Strike, stage: &Stage<'_>) {
    let world = stage.world;
    match fault {
        BrokerFault::Restarted => world.obey(Node::stop).await,
        BrokerFault::Killed => world.obey(Node::kill).await,
        BrokerFault::Frozen => world.obey(Node::freeze).await,
        BrokerFault::ConnectionsClosed => world.obey(Node::close_all_connections).await,
        BrokerFault::MemoryAlarm => world.obey(|node| node.set_memory_alarm(true)).await,
        BrokerFault::JobsQueueDeleted => stage.orders.lose(lost_queues(strike, stage)).await,
        BrokerFault::ResultsQueueDeleted => stage.hearing.lose_queues().await,
        BrokerFault::RightsTaken => {
            stage.set_rights(false).await;
            // A channel may go on for a while with the rights it remembers; half of the time, none stays open.
            if strike.luck.is_multiple_of(2) {
                world.obey(Node::close_all_connections).await;
            }
        }
        BrokerFault::ConsumerTimeout => {
            stage.set_pbx(Some(PbxFault::NeverAnswers)).await;
            let set = |node: &Node| node.set_consumer_timeout(Some(CONSUMER_TIMEOUT));
            world.obey(set).await;
        }
    }
}

/// Where there are several, one of them or all.
fn lost_queues(strike: &Strike, stage: &Stage<'_>) -> Vec<String> {
    let queues = &stage.jobs_queues;
    let choice = usize::try_from(strike.luck).unwrap_or(usize::MAX) % (queues.len() + 1);
    match queues.get(choice) {
        Some(queue) => vec![queue.clone()],
        None => queues.clone(),
    }
}

pub(super) async fn end(fault: BrokerFault, stage: &Stage<'_>) {
    let world = stage.world;
    match fault {
        BrokerFault::Restarted | BrokerFault::Killed => world.obey(Node::start_again).await,
        BrokerFault::Frozen => world.obey(Node::thaw).await,
        BrokerFault::MemoryAlarm => world.obey(|node| node.set_memory_alarm(false)).await,
        BrokerFault::ResultsQueueDeleted => stage.hearing.listen_again().await,
        BrokerFault::RightsTaken => stage.set_rights(true).await,
        BrokerFault::ConsumerTimeout => {
            world.obey(|node| node.set_consumer_timeout(None)).await;
            stage.set_pbx(None).await;
        }
        BrokerFault::ConnectionsClosed | BrokerFault::JobsQueueDeleted => {}
    }
}
