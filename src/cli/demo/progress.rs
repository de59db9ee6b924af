//! Shows on standard error how far the shift end is: one line redrawn on a terminal, else a line now and then.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use tokio::time::{self, Instant, Interval, MissedTickBehavior};

const REDRAW: Duration = Duration::from_millis(100);
const NEXT_LINE: Duration = Duration::from_secs(1);

/// What is shown.
#[derive(Debug, Clone, Copy)]
pub(super) struct Standing {
    pub(super) told: usize,
    pub(super) owed: usize,
    pub(super) calls: u64,
}

#[derive(Debug)]
pub(super) struct Progress {
    redraws: bool,
    ticks: Interval,
    began: Instant,
}

impl Progress {
    pub(super) fn begin() -> Self {
        let redraws = io::stderr().is_terminal();
        let mut ticks = time::interval(if redraws { REDRAW } else { NEXT_LINE });
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            redraws,
            ticks,
            began: Instant::now(),
        }
    }

    /// Waits until it is time to show again.
    pub(super) async fn due(&mut self) {
        self.ticks.tick().await;
    }

    /// A terminal that is gone is no reason to stop.
    pub(super) fn show(&self, Standing { told, owed, calls }: Standing) {
        let seconds = self.began.elapsed().as_secs_f64();
        let line = format!("{seconds:4.1} s  {told} of {owed} outcomes, {calls} calls to the PBX");
        if self.redraws {
            write!(io::stderr(), "\r\x1b[2K{line}").ok();
        } else {
            writeln!(io::stderr(), "{line}").ok();
        }
    }

    pub(super) fn end(self, standing: Standing) {
        self.show(standing);
        if self.redraws {
            writeln!(io::stderr()).ok();
        }
    }
}
