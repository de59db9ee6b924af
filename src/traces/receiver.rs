//! The receiver of spans: one batch, one `POST …/v1/traces`.
//!
//! Whether to try again is [`super::exporter`]'s decision.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Collected, Limited};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message as _;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Body, StatusCode};
use secrecy::ExposeSecret;

use super::{Header, Settings};
use crate::http_client::{self, Trust};

/// Longest answer that is read, in bytes; it says at most what was not taken, and why.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Longest text of a receiver's that is passed on, in characters.
const WHY_CHARS_MAX: usize = 200;

/// The settings cannot make a client. No variant repeats a value: there may be a secret in it.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    #[error("traces.headers must be \"name: value\" of printable ASCII")]
    Headers,
    #[error("TLS cannot be set up for traces.endpoint: {0}")]
    Tls(String),
}

/// Why a batch was not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// Worth another try, not before `retry_after` if the receiver names one (OTLP, "Retryable Response Codes").
    #[error("{why}")]
    Passing {
        why: String,
        retry_after: Option<Duration>,
    },
    /// The receiver will never take this batch.
    #[error("{0}")]
    Lasting(String),
}

impl Failure {
    /// How long to leave the receiver alone before the next try, of which `least` would have been enough; `None` if there
    /// is to be none.
    pub(super) fn wait(&self, least: Duration) -> Option<Duration> {
        match self {
            Self::Passing { retry_after, .. } => {
                Some(retry_after.map_or(least, |asked| asked.max(least)))
            }
            Self::Lasting(_) => None,
        }
    }
}

/// What a receiver that took a batch did not take of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Rejected {
    pub(super) spans: u64,
    pub(super) why: String,
}

#[derive(Debug)]
pub(super) struct Receiver {
    http: reqwest::Client,
    pub(super) url: String,
}

impl Receiver {
    pub(super) fn new(settings: &Settings) -> Result<Self, Unusable> {
        let (scheme, _) = settings.endpoint.split_once(':').unwrap_or_default();
        let http = http_client::builder(Trust::by_scheme(scheme))
            .default_headers(headers(settings)?)
            .timeout(settings.timeout)
            .build();
        Ok(Self {
            http: http.map_err(|error| Unusable::Tls(root_cause(&error)))?,
            url: format!("{}/v1/traces", settings.endpoint),
        })
    }

    /// Ends within [`Settings::timeout`], whatever the receiver does.
    pub(super) async fn post(&self, body: Bytes) -> Result<Rejected, Failure> {
        let unanswered = |error: reqwest::Error| Failure::Passing {
            why: root_cause(&error),
            retry_after: None,
        };
        let post = self.http.post(&self.url).body(body);
        let answer = post.send().await.map_err(unanswered)?;
        let status = answer.status();
        let retry_after = http_client::retry_after(answer.headers());
        let body = Limited::new(Body::from(answer), ANSWER_BYTES_MAX);
        // Read to its end in any case, so that the connection can be used again.
        let body = body.collect().await.map(Collected::to_bytes);
        match status {
            StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => Err(Failure::Passing {
                why: format!("HTTP {status}"),
                retry_after,
            }),
            // What it says then is only of use where it can be read.
            _ if status.is_success() => Ok(rejected(body.unwrap_or_default())),
            _ => Err(Failure::Lasting(format!("HTTP {status}"))),
        }
    }
}

fn headers(settings: &Settings) -> Result<HeaderMap, Unusable> {
    let mut headers = HeaderMap::new();
    for Header { name, value } in &settings.headers {
        let name = HeaderName::try_from(name).map_err(|_| Unusable::Headers)?;
        let value = HeaderValue::try_from(value.expose_secret());
        let mut value = value.map_err(|_| Unusable::Headers)?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    let protobuf = HeaderValue::from_static("application/x-protobuf");
    headers.insert(CONTENT_TYPE, protobuf);
    Ok(headers)
}

fn rejected(answer: Bytes) -> Rejected {
    let answer = ExportTraceServiceResponse::decode(answer).unwrap_or_default();
    let part = answer.partial_success.unwrap_or_default();
    Rejected {
        spans: part.rejected_spans.try_into().unwrap_or_default(),
        why: part.error_message.chars().take(WHY_CHARS_MAX).collect(),
    }
}

fn root_cause(error: &reqwest::Error) -> String {
    http_client::root_cause(error).unwrap_or_else(|| "no answer in time".to_owned())
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTracePartialSuccess;

    use super::*;

    #[test]
    fn a_receiver_that_names_a_time_is_left_alone_until_then() {
        let seconds = Duration::from_secs;
        for (asked, least, wait) in [
            (None, seconds(2), seconds(2)),
            (Some(seconds(30)), seconds(2), seconds(30)),
            (Some(seconds(1)), seconds(2), seconds(2)),
        ] {
            let failure = Failure::Passing {
                why: String::new(),
                retry_after: asked,
            };
            assert_eq!(failure.wait(least), Some(wait));
        }
        assert_eq!(Failure::Lasting(String::new()).wait(seconds(2)), None);
    }

    #[test]
    fn what_a_receiver_did_not_take_is_read_off_its_answer() {
        let answer = ExportTraceServiceResponse {
            partial_success: Some(ExportTracePartialSuccess {
                rejected_spans: 3,
                error_message: "too old".to_owned(),
            }),
        };
        let expected = Rejected {
            spans: 3,
            why: "too old".to_owned(),
        };
        assert_eq!(rejected(answer.encode_to_vec().into()), expected);
        for all_taken in [&b""[..], b"{}", b"<html>"] {
            assert_eq!(rejected(Bytes::from_static(all_taken)).spans, 0);
        }
    }
}
