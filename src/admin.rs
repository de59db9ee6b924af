//! `/livez`, `/readyz`, `/metrics` and `/status`: what operators and their tools see of a running worker.
//!
//! Reads what the worker published, changes nothing, and never asks the worker: a worker that hangs is what `/livez`
//! is there to report.

mod health;
mod status;

pub use health::{Broker, Health, QUEUES_MAX, Reason, ReasonCode, Snapshot};
pub use status::Identity;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Serialize;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::telemetry::Metrics;
use status::{Liveness, Problem, Readiness, Status};

/// Settings `http.*` (CONTRACT §7). An empty `http.listen` means that there are none, and no listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    pub listen: SocketAddr,
}

/// How long clients that keep their connection open may hold up the end.
const GOODBYE: Duration = Duration::from_secs(1);

/// The address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot listen on http.listen = \"{listen}\": {source}; set another address, or \"\" to turn the endpoints off"
)]
pub struct BindError {
    listen: SocketAddr,
    source: std::io::Error,
}

/// What the endpoints show.
#[derive(Debug, Clone)]
pub struct View {
    pub identity: Arc<Identity>,
    pub health: Arc<Health>,
    pub metrics: Arc<Metrics>,
}

pub async fn bind(settings: Settings) -> Result<TcpListener, BindError> {
    let listen = settings.listen;
    let refused = |source| BindError { listen, source };
    TcpListener::bind(listen).await.map_err(refused)
}

/// Answers until `stop` is cancelled.
pub async fn serve(
    listener: TcpListener,
    view: View,
    stop: CancellationToken,
) -> std::io::Result<()> {
    let server =
        axum::serve(listener, router(view)).with_graceful_shutdown(stop.clone().cancelled_owned());
    let patience = async {
        stop.cancelled().await;
        tokio::time::sleep(GOODBYE).await;
    };
    tokio::select! {
        ended = server => ended,
        () = patience => Ok(()),
    }
}

fn router(view: View) -> Router {
    Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/status", get(status))
        .method_not_allowed_fallback(only_get)
        .fallback(not_found)
        .with_state(view)
}

async fn livez(State(view): State<View>) -> Response {
    let liveness = Liveness::of(&view.health);
    json(good_if(liveness.alive), &liveness)
}

async fn readyz(State(view): State<View>) -> Response {
    let readiness = Readiness::of(&view.health.snapshot());
    json(good_if(readiness.ready), &readiness)
}

async fn status(State(view): State<View>) -> Response {
    let View {
        identity,
        health,
        metrics,
    } = view;
    json(StatusCode::OK, &Status::of(&identity, &health, &metrics))
}

async fn metrics(State(view): State<View>) -> Response {
    match view.metrics.render() {
        Ok(text) => answer(
            StatusCode::OK,
            "text/plain; version=0.0.4; charset=utf-8",
            text,
        ),
        Err(_) => problem(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the metrics cannot be written",
        ),
    }
}

async fn not_found() -> Response {
    problem(
        StatusCode::NOT_FOUND,
        "there are /livez, /readyz, /metrics and /status",
    )
}

async fn only_get() -> Response {
    problem(StatusCode::METHOD_NOT_ALLOWED, "only GET is answered here")
}

fn good_if(good: bool) -> StatusCode {
    if good {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    }
}

fn problem(status: StatusCode, error: &'static str) -> Response {
    json(status, &Problem { error })
}

fn json(status: StatusCode, value: &impl Serialize) -> Response {
    match serde_json::to_string(value) {
        Ok(body) => answer(status, "application/json", body),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

fn answer(status: StatusCode, content_type: &'static str, body: String) -> Response {
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static(content_type)),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (status, headers, body).into_response()
}
