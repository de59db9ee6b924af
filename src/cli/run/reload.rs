//! SIGHUP: the settings are read anew, and what may change while the worker works changes. Wrong ones are refused as a whole.

use std::io;

use clockout::settings::{Changes, Problems, Reader};
use clockout::telemetry::Switch;
use clockout::worker::Change;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, spawn_blocking};
use tracing::{error, info, warn};

/// Heeds SIGHUP from now on, until the worker ends.
pub(super) fn heed(
    mut reader: Reader,
    log: Switch,
    worker: mpsc::Sender<Change>,
) -> io::Result<JoinHandle<()>> {
    let mut hangup = signal(SignalKind::hangup())?;
    Ok(tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            // The worker shares this thread, and a file may be slow.
            let reading = spawn_blocking(move || {
                let read = reader.again();
                (reader, read)
            });
            let Ok((back, read)) = reading.await else {
                return;
            };
            reader = back;
            match read {
                Ok(changes) => apply(changes, &log, &worker).await,
                Err(problems) => refuse(&problems),
            }
        }
    }))
}

async fn apply(changes: Changes, log: &Switch, worker: &mpsc::Sender<Change>) {
    let Changes {
        settings,
        live,
        fixed,
    } = changes;
    let change = Change {
        tuning: settings.engine.tuning(),
        texts: settings.pbx.texts,
    };
    log.set(&settings.log.filter);
    // A worker that has ended needs no settings.
    worker.send(change).await.ok();
    match live.join(", ").as_str() {
        "" => info!("settings read anew: nothing that can change now is different"),
        keys => info!("settings read anew: {keys} changed"),
    }
    for key in fixed {
        warn!("{key} is different now, which takes a restart; the old value stays");
    }
}

fn refuse(problems: &Problems) {
    error!("settings refused, the old ones stay");
    for problem in &problems.0 {
        error!("{problem}");
    }
}
