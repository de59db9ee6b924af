//! Traces, if the settings ask for them: the worker's side of them, and the exporter on a thread of its own.

use std::sync::Arc;

use tokio::task::{self, JoinHandle};
use tokio_util::sync::CancellationToken;

use clockout::settings::Settings;
use clockout::telemetry::Metrics;
use clockout::traces::{Names, Traces};
use clockout::wire::outcome::Encoder;

/// The worker's side, and the exporter's thread.
type Started = (Traces, JoinHandle<()>);

/// The thread ends after the worker's side was dropped: when all is sent, little later than `ended`, or `at_once`.
pub(super) fn start(
    settings: &Settings,
    encoder: &Encoder,
    metrics: &Arc<Metrics>,
    [ended, at_once]: [&CancellationToken; 2],
) -> anyhow::Result<Option<Started>> {
    let Some(traces) = &settings.traces else {
        return Ok(None);
    };
    let names = Names {
        worker: settings.worker_name.clone(),
        pbx: settings.pbx_name.clone(),
        jobs_queue: settings.broker.names.jobs_queue.clone(),
        results_exchange: settings.broker.names.results_exchange.clone(),
    };
    let (traces, exporter) = Traces::new(traces, names, encoder.clone(), Arc::clone(metrics))?;
    let runtime = crate::cli::runtime()?;
    let (ended, at_once) = (ended.clone(), at_once.clone());
    let thread = task::spawn_blocking(move || {
        runtime.block_on(exporter.run(ended, at_once));
        // A resolver that hangs would keep the process from ending.
        runtime.shutdown_background();
    });
    Ok(Some((traces, thread)))
}
