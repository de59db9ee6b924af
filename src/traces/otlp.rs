//! Spans as OTLP writes them, with names by OpenTelemetry's conventions where they have one for it, else under `clockout.`.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{
    ResourceSpans, ScopeSpans, Span as Written, SpanFlags, Status,
};
use prost::Message as _;

use super::span::{Call, Span, What};
use crate::engine::job::{Action, Agent, JobId, PbxQueue, Timestamp};
use crate::engine::outcome::Outcome;
use crate::wire::outcome::{Encoder, correlation_id};

const SERVICE: &str = env!("CARGO_PKG_NAME");
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What the spans of one worker have in common.
#[derive(Debug, Clone)]
pub struct Names {
    pub worker: String,
    pub pbx: String,
    pub jobs_queue: String,
    pub results_exchange: String,
}

/// Writes spans.
#[derive(Debug)]
pub(super) struct Writer {
    names: Names,
    encoder: Encoder,
}

impl Writer {
    pub(super) fn new(names: Names, encoder: Encoder) -> Self {
        Self { names, encoder }
    }

    /// A request that tells of `spans`.
    pub(super) fn request(&self, spans: &[Span]) -> ExportTraceServiceRequest {
        let resource = Resource {
            attributes: vec![
                text("service.name", SERVICE),
                text("service.version", VERSION),
                text("service.instance.id", &self.names.worker),
                text("clockout.pbx", &self.names.pbx),
            ],
            ..Resource::default()
        };
        let scope = InstrumentationScope {
            name: SERVICE.to_owned(),
            version: VERSION.to_owned(),
            ..InstrumentationScope::default()
        };
        let scope_spans = ScopeSpans {
            scope: Some(scope),
            spans: spans.iter().map(|span| self.span(span)).collect(),
            ..ScopeSpans::default()
        };
        let resource_spans = ResourceSpans {
            resource: Some(resource),
            scope_spans: vec![scope_spans],
            ..ResourceSpans::default()
        };
        ExportTraceServiceRequest {
            resource_spans: vec![resource_spans],
        }
    }

    /// The same as bytes.
    pub(super) fn body(&self, spans: &[Span]) -> Vec<u8> {
        self.request(spans).encode_to_vec()
    }

    fn span(&self, span: &Span) -> Written {
        let (kind, attributes, failure) = match &span.what {
            What::Job(outcome) => (SpanKind::Consumer, self.job(outcome), went_wrong(outcome)),
            What::Waiting => (SpanKind::Internal, Vec::new(), None),
            What::Call { call, attempt } => {
                let attributes = self.call(call, *attempt);
                (SpanKind::Client, attributes, call.message.as_deref())
            }
            What::Outcome(outcome) => (SpanKind::Producer, self.outcome(outcome), None),
        };
        let start = nanoseconds(span.from);
        let took = u64::try_from(span.took.as_nanos()).unwrap_or(u64::MAX);
        Written {
            trace_id: span.job.context.trace_id.get().to_be_bytes().to_vec(),
            span_id: span.id().get().to_be_bytes().to_vec(),
            parent_span_id: span
                .parent()
                .map_or_else(Vec::new, |id| id.get().to_be_bytes().to_vec()),
            flags: flags(span),
            name: span.name().to_owned(),
            kind: kind.into(),
            start_time_unix_nano: start,
            end_time_unix_nano: start.saturating_add(took),
            attributes,
            status: failure.map(|message| Status {
                code: StatusCode::Error.into(),
                message: message.to_owned(),
            }),
            ..Written::default()
        }
    }

    fn job(&self, outcome: &Outcome) -> Vec<KeyValue> {
        let conclusion = &outcome.conclusion;
        let code = conclusion.code;
        let told = [
            text("messaging.system", "rabbitmq"),
            text("messaging.operation.name", "process"),
            text("messaging.operation.type", "process"),
            text("messaging.destination.name", &self.names.jobs_queue),
            text("clockout.outcome_id", &outcome.id.to_string()),
            text("clockout.status", code.status().as_str()),
            text("clockout.code", code.as_str()),
            number("clockout.attempts", conclusion.attempts),
        ];
        let failed = code.status().is_buried().then_some(code.as_str());
        let job_id = outcome.job_id.as_ref().map(JobId::as_str);
        let known = [
            ("messaging.message.id", job_id),
            ("messaging.message.conversation_id", correlation_id(outcome)),
            ("clockout.action", outcome.action.map(Action::as_str)),
            (
                "clockout.queue",
                outcome.queue.as_ref().map(PbxQueue::as_str),
            ),
            ("clockout.agent", outcome.agent.as_ref().map(Agent::as_str)),
            ("error.type", failed),
        ];
        let known = known.into_iter();
        let known = known.filter_map(|(key, value)| Some(text(key, value?)));
        told.into_iter().chain(known).collect()
    }

    fn call(&self, call: &Call, attempt: u32) -> Vec<KeyValue> {
        let mut attributes = vec![
            text("http.request.method", "POST"),
            text("peer.service", &self.names.pbx),
            text("clockout.batch.id", &call.name),
            number("clockout.batch.size", call.size),
            text("clockout.batch.cause", call.cause.as_str()),
            text("clockout.result", call.kind),
            number("clockout.attempt", attempt),
        ];
        if call.message.is_some() {
            attributes.push(text("error.type", call.kind));
        }
        attributes
    }

    fn outcome(&self, outcome: &Outcome) -> Vec<KeyValue> {
        let routing_key = self.encoder.routing_key(outcome);
        vec![
            text("messaging.system", "rabbitmq"),
            text("messaging.operation.name", "publish"),
            text("messaging.operation.type", "send"),
            text("messaging.destination.name", &self.names.results_exchange),
            text("messaging.rabbitmq.destination.routing_key", &routing_key),
            text("messaging.message.id", &outcome.id.to_string()),
        ]
    }
}

/// Why a job counts as an error: the PBX's own text, or the code in its place.
fn went_wrong(outcome: &Outcome) -> Option<&str> {
    let conclusion = &outcome.conclusion;
    let text = conclusion.message.as_deref();
    let failed = conclusion.code.status().is_buried();
    failed.then(|| text.unwrap_or(conclusion.code.as_str()))
}

/// Those of the trace, and whether the span above is somebody else's.
fn flags(span: &Span) -> u32 {
    let elsewhere = match span.what {
        What::Job(_) => span.parent().is_some(),
        What::Waiting | What::Call { .. } | What::Outcome(_) => false,
    };
    let known = SpanFlags::ContextHasIsRemoteMask as u32;
    let remote = SpanFlags::ContextIsRemoteMask as u32;
    u32::from(span.job.context.flags) | known | if elsewhere { remote } else { 0 }
}

/// Since the Unix epoch.
fn nanoseconds(at: Timestamp) -> u64 {
    u64::try_from(at.0)
        .unwrap_or_default()
        .saturating_mul(1_000_000)
}

fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, Value::StringValue(value.to_owned()))
}

fn number(key: &str, value: u32) -> KeyValue {
    attribute(key, Value::IntValue(value.into()))
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

#[cfg(test)]
mod tests;
