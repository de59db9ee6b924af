//! OpenTelemetry traces: what each agent of each job went through, sent to a receiver of OTLP over HTTP (`traces.*`).
//!
//! Spans are made after the fact, from what the worker knows anyway. The worker puts them into a queue and never waits: what
//! finds no room is dropped and counted. `span` says which spans there are, `otlp` writes them, `exporter` sends them by way of
//! `receiver`, on a thread of its own.

mod exporter;
mod otlp;
mod receiver;
mod span;

use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use tokio::sync::mpsc;

use crate::engine::batch::Batch;
use crate::engine::job::Timestamp;
use crate::engine::verdict::CallResult;
use crate::engine::{Counted, Rider};
use crate::telemetry::Metrics;
use crate::wire::outcome::Encoder;
use otlp::Writer;
use receiver::Receiver;
use span::{Call, Span};

pub use exporter::Exporter;
pub use otlp::Names;
pub use receiver::Unusable;

/// Most spans that wait to be sent; each takes some hundred bytes, and the outcome that it tells of.
const WAITING_MAX: usize = 8192;

/// Settings `traces.*` (CONTRACT §7). An empty `traces.endpoint` means that there are none, and no spans.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `http` or `https`, host, perhaps a port and a path, as they stand in front of `/v1/traces`; no slash at the end.
    pub endpoint: String,
    /// Sent with every request, beside those of the protocol.
    pub headers: Vec<Header>,
    /// One request, connecting included.
    pub timeout: Duration,
}

/// A header of a request.
#[derive(Debug, Clone)]
pub struct Header {
    pub name: String,
    pub value: SecretString,
}

/// The worker's side: takes note of what happens.
#[derive(Debug)]
pub struct Traces {
    spans: mpsc::Sender<Span>,
    metrics: Arc<Metrics>,
    /// Names calls as outcomes do.
    encoder: Encoder,
}

impl Traces {
    /// Beside it the exporter, which is to run until this is dropped.
    pub fn new(
        settings: &Settings,
        names: Names,
        encoder: Encoder,
        metrics: Arc<Metrics>,
    ) -> Result<(Self, Exporter), Unusable> {
        let (spans, told) = mpsc::channel(WAITING_MAX);
        let receiver = Receiver::new(settings)?;
        let writer = Writer::new(names, encoder.clone());
        let exporter = Exporter::new(told, writer, receiver, Arc::clone(&metrics));
        let traces = Self {
            spans,
            metrics,
            encoder,
        };
        Ok((traces, exporter))
    }

    /// Something became certain, and where it is an outcome, its job is over.
    pub fn count(&self, counted: &Counted, now: Timestamp) {
        match counted {
            Counted::Told { outcome, since } => self.put(span::told(outcome, *since, now)),
            Counted::Buried(_) | Counted::Unroutable => {}
        }
    }

    /// A call ended that began at `began` and was made for `riders`.
    pub fn called<'r>(
        &self,
        batch: &Batch,
        result: &CallResult,
        (began, took): (Timestamp, Duration),
        riders: impl Iterator<Item = Rider<'r>>,
    ) {
        let call = Arc::new(Call {
            name: self.encoder.call_name(batch.id).to_string(),
            size: batch.size(),
            cause: batch.cause,
            kind: result.kind(),
            message: result.message().cloned(),
            began,
            took,
        });
        for rider in riders {
            self.put(span::called(&call, rider));
        }
    }

    fn put(&self, spans: impl Iterator<Item = Span>) {
        for span in spans {
            if self.spans.try_send(span).is_err() {
                self.metrics.spans_dropped(1);
            }
        }
    }
}
