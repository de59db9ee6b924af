//! A receiver of OTLP over HTTP that keeps the spans it gets, or one that takes connections and never answers.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use super::within;

/// Ends when dropped.
pub struct Collector {
    pub url: String,
    heard: watch::Receiver<Vec<Span>>,
    _task: AbortOnDropHandle<()>,
}

impl Collector {
    pub async fn start() -> Collector {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (hear, heard) = watch::channel(Vec::new());
        let serve = async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(stream, hear.clone()));
            }
        };
        Collector {
            url,
            heard,
            _task: AbortOnDropHandle::new(tokio::spawn(serve)),
        }
    }

    /// All spans so far, once `enough` of them are there.
    pub async fn spans(&self, what: &str, enough: impl Fn(&[Span]) -> bool) -> Vec<Span> {
        let mut heard = self.heard.clone();
        let spans = heard.wait_for(|spans| enough(spans));
        within(what, spans).await.unwrap().clone()
    }
}

async fn serve(stream: TcpStream, hear: watch::Sender<Vec<Span>>) {
    let service = service_fn(|request| take(request, &hear));
    // An error is a worker that went away.
    drop(
        http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service)
            .await,
    );
}

async fn take(
    request: Request<Incoming>,
    hear: &watch::Sender<Vec<Span>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    assert_eq!(request.uri().path(), "/v1/traces");
    assert_eq!(request.headers()["content-type"], "application/x-protobuf");
    let body = request.collect().await.unwrap().to_bytes();
    let request = ExportTraceServiceRequest::decode(body).unwrap();
    let scopes = request
        .resource_spans
        .into_iter()
        .flat_map(|of| of.scope_spans);
    let spans: Vec<Span> = scopes.flat_map(|scope| scope.spans).collect();
    hear.send_modify(|heard| heard.extend(spans));
    Ok(Response::new(Full::default()))
}

/// An attribute of a span, as text.
pub fn attribute(span: &Span, key: &str) -> Option<String> {
    let has_key = |pair: &&KeyValue| pair.key == key;
    let value = span.attributes.iter().find(has_key)?.value.clone()?.value?;
    Some(match value {
        Value::StringValue(text) => text,
        Value::IntValue(number) => number.to_string(),
        other => format!("{other:?}"),
    })
}

/// An id as `traceparent` writes it.
pub fn hex(id: &[u8]) -> String {
    id.iter()
        .fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}
