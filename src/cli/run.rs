//! `clockout run`: the worker, until a signal ends it.

mod reload;
mod systemd;
mod traces;

use std::num::NonZeroUsize;
use std::sync::Arc;

use clap::Args;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::{self, JoinHandle};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::{info, warn};
use uuid::Uuid;

use clockout::admin::{self, Actions, Health, View};
use clockout::broker;
use clockout::engine::Engine;
use clockout::pbx::client::Client;
use clockout::settings::{Reader, Settings};
use clockout::telemetry::{self, Metrics};
use clockout::wire::nameless::Nameless;
use clockout::wire::outcome::{self, Encoder};
use clockout::worker::{self, Change, Clock, Ended, Parts, Stop};

use super::{Common, Exit};

/// Work: take jobs, call the PBX, tell what became of them.
///
/// Ends on SIGTERM or SIGINT: takes no more jobs, finishes what it holds within shutdown.grace, gives the rest back to
/// RabbitMQ. A second signal ends it at once. SIGHUP has it read the settings anew: log.filter, batch, retry, pbx.texts
/// and the limits of calls change at once, the rest takes a restart; wrong ones change nothing.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  clockout run --config /etc/clockout/clockout.toml")]
pub(crate) struct Arguments {
    #[command(flatten)]
    common: Common,
}

pub(super) fn execute(arguments: Arguments) -> anyhow::Result<Exit> {
    let (settings, reader) = Reader::start(arguments.common.into())?;
    let log = telemetry::init(&settings.log)?;
    for misfit in settings.misfits() {
        warn!("{misfit}");
    }
    super::block_on(async {
        let stop = Stop::default();
        let (change, changes) = mpsc::channel(1);
        let signals = heed_signals(stop.clone())?;
        let hangups = reload::heed(reader, log, change)?;
        let ended = Box::pin(work(settings, changes, stop)).await;
        signals.abort();
        hangups.abort();
        Ok(match ended? {
            Ended::Drained => Exit::Done,
            Ended::GaveBack => Exit::GaveBack,
        })
    })
}

/// Builds a worker from its settings and lets it work until it is stopped.
pub(super) async fn work(
    settings: Settings,
    changes: mpsc::Receiver<Change>,
    stop: Stop,
) -> anyhow::Result<Ended> {
    let clock = Clock::start();
    let run = Uuid::new_v4();
    let (seed, broker_seed) = run.as_u64_pair();
    let metrics = Arc::new(Metrics::new());
    let health = Arc::new(Health::new(clock.started()));
    let ended = CancellationToken::new();
    // What runs beside the worker ends with it, also where an error ends it.
    let end = ended.clone().drop_guard();
    let encoder = encoder(&settings, run);
    let exporting = traces::start(&settings, &encoder, &metrics, [&ended, &stop.now])?;
    let (traces, exporter) = exporting.unzip();
    let (worker, pbx) = (settings.worker_name, settings.pbx_name);
    let identity = Arc::new(admin::Identity {
        worker: worker.clone(),
        pbx: pbx.clone(),
        dry_run: settings.jobs.dry_run,
        dead_queue: settings.broker.names.dead_queue.clone(),
    });
    let (actions, orders) = match settings.actions_token.map(Actions::new) {
        Some((actions, orders)) => (Some(actions), orders),
        None => (None, mpsc::channel(1).1),
    };
    let view = View {
        identity,
        health: Arc::clone(&health),
        metrics: Arc::clone(&metrics),
        runtime: Handle::current(),
        actions,
    };
    // Ends with this function; before that it never does.
    let _told = AbortOnDropHandle::new(tokio::spawn(systemd::tell(Arc::clone(&health))));
    let served = match settings.http_listen {
        Some(listen) => Some(serve(listen, view, ended).await?),
        None => None,
    };
    info!(
        "clockout {} works as {worker} for PBX {pbx}",
        env!("CARGO_PKG_VERSION")
    );
    let parts = Parts {
        pbx: Client::new(&settings.pbx)?,
        nameless: Nameless::new(run, names_remembered(&settings.engine)),
        engine: Engine::new(settings.engine, seed),
        broker: broker::spawn(settings.broker, broker_seed),
        encoder,
        reading: settings.jobs,
        clock,
        metrics,
        health,
        orders,
        traces,
        grace: settings.grace,
        patience: settings.patience,
        changes,
    };
    let ended = worker::run(parts, stop).await;
    drop(end);
    if let Some(served) = served {
        served.await??;
    }
    if let Some(exporter) = exporter {
        exporter.await?;
    }
    Ok(ended?)
}

fn encoder(settings: &Settings, run: Uuid) -> Encoder {
    let encoder = Encoder::new(outcome::Identity {
        pbx: settings.pbx_name.clone(),
        worker: settings.worker_name.clone(),
        run: run.simple().to_string().chars().take(8).collect(),
    });
    encoder.traced(settings.traces.is_some())
}

/// On a thread of its own, so that a worker that hangs does not keep `/livez` from saying so.
async fn serve(
    listen: std::net::SocketAddr,
    view: View,
    stop: CancellationToken,
) -> anyhow::Result<JoinHandle<std::io::Result<()>>> {
    let listener = admin::bind(admin::Settings { listen }).await?;
    info!(
        "probes, metrics and a page for people at http://{}",
        listener.local_addr()?
    );
    let listener = listener.into_std()?;
    let runtime = super::runtime()?;
    Ok(task::spawn_blocking(move || {
        runtime.block_on(async {
            admin::serve(TcpListener::from_std(listener)?, view, stop).await;
            Ok(())
        })
    }))
}

/// Enough for every job held, twice: before and after a lost connection.
fn names_remembered(engine: &clockout::engine::Settings) -> NonZeroUsize {
    engine
        .prefetch
        .saturating_mul(NonZeroUsize::MIN.saturating_add(1))
}

/// The first SIGTERM or SIGINT drains, the second ends at once.
fn heed_signals(stop: Stop) -> anyhow::Result<JoinHandle<()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(tokio::spawn(async move {
        for token in [stop.drain, stop.now] {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            token.cancel();
        }
    }))
}
