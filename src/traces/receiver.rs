//! The receiver of spans: one batch, one `POST …/v1/traces`. With the PBX's client the only user of reqwest.
//!
//! Never tries twice and follows no redirect: whether to try again is [`super::exporter`]'s decision.

use std::error::Error;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Collected, Limited};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message as _;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Body, StatusCode};
use secrecy::ExposeSecret;

use super::{Header, Settings};

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
    /// Worth another try.
    #[error("{0}")]
    Passing(String),
    /// The receiver will never take this batch.
    #[error("{0}")]
    Lasting(String),
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
        // Whoever comes first installs it for the process; it is the same provider everywhere.
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();
        let builder = reqwest::Client::builder()
            .user_agent(concat!("clockout/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .http1_only()
            .default_headers(headers(settings)?)
            .timeout(settings.timeout);
        // Looking for the system's certificates would fail in a container that needs none.
        let builder = if settings.endpoint.starts_with("https:") {
            builder
        } else {
            builder.tls_certs_only([])
        };
        let http = builder.build();
        Ok(Self {
            http: http.map_err(|error| Unusable::Tls(root_cause(&error)))?,
            url: format!("{}/v1/traces", settings.endpoint),
        })
    }

    /// Ends within [`Settings::timeout`], whatever the receiver does.
    pub(super) async fn post(&self, body: Bytes) -> Result<Rejected, Failure> {
        let unanswered = |error: reqwest::Error| Failure::Passing(root_cause(&error));
        let post = self.http.post(&self.url).body(body);
        let answer = post.send().await.map_err(unanswered)?;
        let status = answer.status();
        let body = Limited::new(Body::from(answer), ANSWER_BYTES_MAX);
        // Read to its end in any case, so that the connection can be used again.
        let body = body.collect().await.map(Collected::to_bytes);
        match status {
            StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => Err(Failure::Passing(format!("HTTP {status}"))),
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

/// The innermost cause, in words: the outer ones repeat the address.
fn root_cause(error: &reqwest::Error) -> String {
    let causes = std::iter::successors(error.source(), |&cause| cause.source());
    let innermost = causes.last();
    innermost.map_or_else(|| "no answer in time".to_owned(), ToString::to_string)
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTracePartialSuccess;

    use super::*;

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
