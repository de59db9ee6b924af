//! Sends what the worker put into the queue, in batches, and gives up what the receiver does not take.
//!
//! The worker never waits for it. Every batch has an end: it is taken, or dropped after a few tries; and so has the exporter
//! itself, soon after the worker.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::otlp::Writer;
use super::receiver::{Failure, Receiver};
use super::span::Span;
use crate::telemetry::{Metrics, field};

/// Most spans in a request.
const BATCH_MAX: usize = 512;

/// How long the first span of a request waits for more.
const GATHERING: Duration = Duration::from_secs(1);

/// Waits between the tries to send a request.
const WAITS: [Duration; 4] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
];

/// How long the exporter may go on after the worker.
const GOODBYE: Duration = Duration::from_secs(2);

/// Sends spans to their receiver.
#[derive(Debug)]
pub struct Exporter {
    told: mpsc::Receiver<Span>,
    /// What is being sent; empty between requests.
    batch: Vec<Span>,
    writer: Writer,
    receiver: Receiver,
    metrics: Arc<Metrics>,
    /// The last request was not taken.
    failing: bool,
}

impl Exporter {
    pub(super) fn new(
        told: mpsc::Receiver<Span>,
        writer: Writer,
        receiver: Receiver,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            told,
            batch: Vec::with_capacity(BATCH_MAX),
            writer,
            receiver,
            metrics,
            failing: false,
        }
    }

    /// Sends until the worker's side is gone and everything is sent; at most 2 s after `ended`, and no longer than until
    /// `at_once`.
    pub async fn run(mut self, ended: CancellationToken, at_once: CancellationToken) {
        let too_late = async {
            ended.cancelled().await;
            sleep(GOODBYE).await;
        };
        tokio::select! {
            () = self.export() => {}
            () = too_late => {}
            () = at_once.cancelled() => {}
        }
        self.drop_spans(self.batch.len() + self.told.len());
    }

    async fn export(&mut self) {
        while self.gather().await {
            self.deliver().await;
            self.batch.clear();
        }
    }

    /// Waits for spans, and a while for more; `false` if there will be none.
    async fn gather(&mut self) -> bool {
        let Self { told, batch, .. } = self;
        if told.recv_many(batch, BATCH_MAX).await == 0 {
            return false;
        }
        let more = async {
            while batch.len() < BATCH_MAX {
                let room = BATCH_MAX - batch.len();
                if told.recv_many(batch, room).await == 0 {
                    break;
                }
            }
        };
        timeout(GATHERING, more).await.unwrap_or_default();
        true
    }

    async fn deliver(&mut self) {
        let body = Bytes::from(self.writer.body(&self.batch));
        let mut waits = WAITS.into_iter();
        loop {
            match self.receiver.post(body.clone()).await {
                Ok(rejected) => {
                    self.note_taken();
                    let all = u64::try_from(self.batch.len()).unwrap_or(u64::MAX);
                    let dropped = rejected.spans.min(all);
                    if dropped > 0 {
                        let why = rejected.why;
                        warn!(
                            { field::WHY } = why,
                            "the receiver of traces rejects {dropped} spans: {why}"
                        );
                    }
                    self.metrics.spans_dropped(dropped);
                    self.metrics.spans_exported(all - dropped);
                    return;
                }
                Err(failure) => {
                    self.note_failure(&failure);
                    let again = waits.next().and_then(|wait| failure.wait(wait));
                    match again {
                        Some(wait) => sleep(wait).await,
                        None => return self.drop_spans(self.batch.len()),
                    }
                }
            }
        }
    }

    /// One line when it begins to fail, one when it is over.
    fn note_failure(&mut self, why: &Failure) {
        if !std::mem::replace(&mut self.failing, true) {
            let url = &self.receiver.url;
            warn!({ field::WHY } = %why, "traces do not reach {url}, spans get lost: {why}");
        }
    }

    fn note_taken(&mut self) {
        if std::mem::take(&mut self.failing) {
            info!("traces reach {} again", self.receiver.url);
        }
    }

    fn drop_spans(&self, count: usize) {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        self.metrics.spans_dropped(count);
    }
}
