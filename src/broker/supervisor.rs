//! Builds a session, serves until it is lost, waits, builds the next: for ever, from the first start on. The nodes of a
//! cluster take turns, and only when none of them can be used is there a wait.
//!
//! Gives up in one case only: what stands in RabbitMQ contradicts the settings before a session ever stood, which no
//! waiting mends. Ends at [`Command::Close`], whatever it is waiting for.

use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::nodes::Nodes;
use super::session::{Desk, Session, SessionError};
use super::topology::LeftOver;
use super::{Command, Event, Settings};
use crate::engine::job::Epoch;

const WAIT_MIN: Duration = Duration::from_millis(200);
const WAIT_MAX: Duration = Duration::from_secs(5);

/// A session that stood this long ends a row of failures.
const STEADY_AFTER: Duration = WAIT_MAX;

/// Of the first session that ever stands.
pub(super) const FIRST_EPOCH: Epoch = Epoch(1);

pub(super) async fn run(settings: Settings, seed: u64, mut epoch: Epoch, mut desk: Desk) {
    let mut nodes = match Nodes::new(&settings) {
        Ok(nodes) => nodes,
        Err(why) => {
            let why = why.to_string();
            return desk.tell(Event::Unusable { why }).await;
        }
    };
    let mut backoff = Backoff::new(seed);
    let mut left_over = LeftOver::default();
    let mut failed_in_a_row = 0;
    loop {
        let building = Session::build(nodes.current(), &settings, epoch, &mut left_over);
        let Some(built) = desk.unless_closed(building).await else {
            break;
        };
        match built {
            Ok(session) => {
                let address = nodes.current().address();
                tracing::info!(epoch = epoch.0, "connected to RabbitMQ at {address}");
                failed_in_a_row = 0;
                let Err(why) = serve(session, epoch, &mut desk, &mut backoff).await else {
                    break;
                };
                let meant = matches!(why, SessionError::LetGo);
                let why = why.to_string();
                if meant {
                    tracing::info!(epoch = epoch.0, "{why}");
                } else {
                    tracing::warn!(epoch = epoch.0, why, "lost RabbitMQ: {why}");
                }
                desk.tell(Event::Lost { epoch, why }).await;
                epoch = Epoch(epoch.0.wrapping_add(1));
            }
            Err(SessionError::Topology(why)) if why.is_lasting() && epoch == FIRST_EPOCH => {
                let why = why.to_string();
                return desk.tell(Event::Unusable { why }).await;
            }
            Err(why) => {
                let why = why.to_string();
                tracing::warn!(why, "cannot use RabbitMQ yet, trying again: {why}");
                desk.tell(Event::Unreachable { why }).await;
                failed_in_a_row += 1;
            }
        }
        nodes.pass_on();
        if failed_in_a_row % nodes.count() != 0 {
            continue;
        }
        if desk.unless_closed(sleep(backoff.wait())).await.is_none() {
            break;
        }
    }
    desk.tell(Event::Closed).await;
}

/// `Ok`: closed at the worker's wish.
async fn serve(
    mut session: Session,
    epoch: Epoch,
    desk: &mut Desk,
    backoff: &mut Backoff,
) -> Result<(), SessionError> {
    desk.tell(Event::Up { epoch }).await;
    {
        let mut run = std::pin::pin!(session.run(desk));
        if let Ok(end) = timeout(STEADY_AFTER, &mut run).await {
            end?;
        } else {
            backoff.reset();
            run.await?;
        }
    }
    session.close().await;
    Ok(())
}

impl Desk {
    /// Does `work` while there is no session; `None` if the worker wants the end before it is done.
    async fn unless_closed<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return Some(done),
                command = self.commands.recv() => match command {
                    Some(Command::Intake { open }) => self.intake_open = open,
                    Some(Command::Finish) => self.finishing = true,
                    // Of an epoch that is over, like everything said before `Up`.
                    Some(Command::Publish { .. } | Command::Settle { .. } | Command::LetGo { .. }) => {}
                    Some(Command::Close) | None => return None,
                },
            }
        }
    }
}

/// Waits between attempts: doubling, each somewhere in the upper half of its ceiling, so that many workers that lost
/// the same broker do not come back as one.
struct Backoff {
    random: fastrand::Rng,
    ceiling: Duration,
}

impl Backoff {
    fn new(seed: u64) -> Self {
        Self {
            random: fastrand::Rng::with_seed(seed),
            ceiling: WAIT_MIN,
        }
    }

    fn wait(&mut self) -> Duration {
        let wait = self.ceiling.mul_f64(0.5 + self.random.f64() / 2.0);
        self.ceiling = (self.ceiling * 2).min(WAIT_MAX);
        wait
    }

    fn reset(&mut self) {
        self.ceiling = WAIT_MIN;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_their_bound_and_start_over_after_a_reset() {
        let mut backoff = Backoff::new(3);
        let mut ceiling = WAIT_MIN;
        for _ in 0..12 {
            let wait = backoff.wait();
            assert!(wait >= ceiling / 2 && wait <= ceiling, "{wait:?}");
            ceiling = (ceiling * 2).min(WAIT_MAX);
        }
        assert_eq!(ceiling, WAIT_MAX);
        backoff.reset();
        assert!(backoff.wait() <= WAIT_MIN);
    }

    #[test]
    fn workers_with_other_seeds_wait_differently() {
        assert_ne!(Backoff::new(1).wait(), Backoff::new(2).wait());
        assert_eq!(Backoff::new(1).wait(), Backoff::new(1).wait());
    }
}
