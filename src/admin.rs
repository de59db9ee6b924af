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
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use serde::Serialize;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::telemetry::{Metrics, field};
use status::{Liveness, Problem, Readiness, Status};

/// Settings `http.*` (CONTRACT §7). An empty `http.listen` means that there are none, and no listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    pub listen: SocketAddr,
}

/// Most connections at a time; the next wait in the operating system's queue.
const CONNECTIONS_MAX: usize = 64;

/// Longest life of a connection, which serves one request: a client that stalls gives its place to another.
const CONNECTION_TIME: Duration = Duration::from_secs(3);

/// How long requests under way may hold up the end.
const GOODBYE: Duration = Duration::from_secs(1);

/// Pause after a connection that could not be accepted, as when the process has no file descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

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
    /// The worker's, whose tasks are counted.
    pub runtime: Handle,
}

pub async fn bind(settings: Settings) -> Result<TcpListener, BindError> {
    let listen = settings.listen;
    let refused = |source| BindError { listen, source };
    TcpListener::bind(listen).await.map_err(refused)
}

/// Answers until `stop` is cancelled.
pub async fn serve(listener: TcpListener, view: View, stop: CancellationToken) {
    let router = router(view);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if connections.len() < CONNECTIONS_MAX => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(timeout(CONNECTION_TIME, serve_one(stream, router.clone())));
                }
                Err(_) => sleep(ACCEPT_PAUSE).await,
            },
        }
    }
    let finish = async { while connections.join_next().await.is_some() {} };
    // Whoever is not answered by now is a client that stalls.
    timeout(GOODBYE, finish).await.unwrap_or_default();
}

async fn serve_one(stream: TcpStream, router: Router) {
    let service = TowerToHyperService::new(router);
    let connection = http1::Builder::new()
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = connection.await {
        tracing::debug!({ field::WHY } = %error, "a client of the HTTP endpoints left early");
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
        runtime: _,
    } = view;
    json(StatusCode::OK, &Status::of(&identity, &health, &metrics))
}

async fn metrics(State(view): State<View>) -> Response {
    let runtime = view.runtime.metrics();
    view.metrics.tasks(runtime.num_alive_tasks());
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
