//! Ends workers, well or badly, and starts others in their place.

use std::time::Duration;

use tokio::time::timeout;

use crate::fault::WorkerFault;
use crate::oracle::{Broken, Promise};
use crate::run::Stage;
use crate::schedule::Strike;
use crate::world::Crew;

/// Longest wait for the moment at which a worker is to be killed; then any moment does.
const MOMENT_MAX: Duration = Duration::from_secs(2);

/// Longest that a worker may take to end: the longest grace, and what it takes to say goodbye to a mute broker.
const END_MAX: Duration = Duration::from_secs(30);

pub(super) async fn strike(
    fault: WorkerFault,
    strike: &Strike,
    stage: &mut Stage<'_>,
) -> Vec<Broken> {
    let world = stage.world;
    match fault {
        WorkerFault::Killed => {}
        WorkerFault::KilledAtReply => {
            timeout(MOMENT_MAX, world.pbx_link.answered()).await.ok();
        }
        WorkerFault::KilledAtConfirm => {
            let confirmed = world.broker_link.confirmed();
            timeout(MOMENT_MAX, confirmed).await.ok();
        }
        WorkerFault::Rolled => return roll(&mut stage.crew).await,
    }
    // Those that stand by get no reply and no confirm.
    let teller = stage.record.look().teller.clone();
    let at_work = teller.and_then(|name| stage.crew.number(&name));
    let anyone = usize::try_from(strike.luck).unwrap_or(usize::MAX) % stage.crew.size();
    let victim = match fault {
        WorkerFault::KilledAtReply | WorkerFault::KilledAtConfirm => at_work.unwrap_or(anyone),
        WorkerFault::Killed | WorkerFault::Rolled => anyone,
    };
    stage.crew.worker(victim).signal("KILL");
    stage.killed = Some(victim);
    Vec::new()
}

pub(super) fn end(stage: &mut Stage<'_>) {
    if let Some(victim) = stage.killed.take() {
        stage.crew.replace(victim);
    }
}

async fn roll(crew: &mut Crew) -> Vec<Broken> {
    let mut broken = Vec::new();
    for number in 0..crew.size() {
        broken.extend(retire(crew, number).await);
        crew.replace(number);
    }
    broken
}

/// Ends a worker in good order; what is wrong with how it ended.
pub async fn retire(crew: &mut Crew, number: usize) -> Option<Broken> {
    let worker = crew.worker(number);
    worker.signal("TERM");
    let how = match timeout(END_MAX, worker.ended()).await {
        // Grace may run out while other things go wrong.
        Ok(status) if matches!(status.code(), Some(0 | 3)) => return None,
        Ok(status) => format!("worker {number} ended with {status} at SIGTERM"),
        Err(_) => {
            worker.signal("KILL");
            format!("worker {number} did not end within {END_MAX:?} of SIGTERM")
        }
    };
    Some(Broken::new(Promise::Drain, how))
}
