//! `/livez`, `/readyz`, `/metrics`, `/status` and a page: what operators and their tools see of a running worker.
//!
//! Reads what the worker published and never asks the worker: a worker that hangs is what `/livez` is there to report.
//! Changes nothing, but for the actions that the settings may allow.

mod actions;
mod health;
mod history;
mod live;
mod page;
mod recent;
mod server;
mod status;
mod verdict;

pub use actions::{Actions, Asked, Order};
pub use health::{Broker, Health, QUEUES_MAX, Reason, ReasonCode, Snapshot};
pub use recent::Recent;
pub use server::serve;
pub use status::Identity;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::telemetry::Metrics;
use history::History;
use live::Live;
use server::Client;
use status::{Liveness, Problem, Readiness, Status};

/// Settings `http.*` (CONTRACT §7). An empty `http.listen` means that there are none, and no listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    pub listen: SocketAddr,
}

/// The address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot listen on http.listen = \"{listen}\"; set another address, or \"\" to turn the endpoints off"
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
    /// `None`: nobody may change anything.
    pub actions: Option<Actions>,
}

pub async fn bind(settings: Settings) -> Result<TcpListener, BindError> {
    let listen = settings.listen;
    let refused = |source| BindError { listen, source };
    TcpListener::bind(listen).await.map_err(refused)
}

/// What all connections share.
#[derive(Debug, Clone)]
struct Shared {
    view: View,
    history: Arc<Mutex<History>>,
    live: Live,
}

impl Shared {
    fn new(view: View, stop: CancellationToken) -> Self {
        Self {
            view,
            history: Arc::default(),
            live: Live::new(stop),
        }
    }

    fn second_passed(&self) {
        let totals = self.view.metrics.totals();
        self.history().note(&totals);
        if self.live.has_viewers()
            && let Ok(status) = self.status()
        {
            self.live.show(status);
        }
    }

    /// As JSON on one line.
    fn status(&self) -> serde_json::Result<String> {
        let history = self.history().clone();
        serde_json::to_string(&Status::of(&self.view, history))
    }

    fn history(&self) -> MutexGuard<'_, History> {
        // Whatever was cut short by a panic elsewhere, it only spoils the plot.
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn router(shared: Shared) -> Router {
    Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/status", get(status))
        .route("/events", get(events))
        .merge(page::routes())
        .merge(actions::routes())
        .method_not_allowed_fallback(only_get)
        .fallback(not_found)
        .with_state(shared)
}

async fn livez(State(shared): State<Shared>) -> Response {
    let liveness = Liveness::of(&shared.view.health);
    json(good_if(liveness.alive), &liveness)
}

async fn readyz(State(shared): State<Shared>) -> Response {
    let readiness = Readiness::of(&shared.view.health.snapshot());
    json(good_if(readiness.ready), &readiness)
}

async fn status(State(shared): State<Shared>) -> Response {
    written(StatusCode::OK, shared.status())
}

async fn events(State(shared): State<Shared>, Extension(client): Extension<Client>) -> Response {
    let Ok(now) = shared.status() else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let Some(stream) = shared.live.stream(now) else {
        return problem(
            StatusCode::SERVICE_UNAVAILABLE,
            "as many look at this page as may at a time",
        );
    };
    client.stay();
    stream
}

async fn metrics(State(shared): State<Shared>) -> Response {
    let view = shared.view;
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
        "there are /, /livez, /readyz, /metrics and /status",
    )
}

async fn only_get() -> Response {
    problem(
        StatusCode::METHOD_NOT_ALLOWED,
        "only GET is answered here, or under /actions/ only POST",
    )
}

fn good_if(good: bool) -> StatusCode {
    if good {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    }
}

fn problem(status: StatusCode, error: impl Into<String>) -> Response {
    let error = error.into();
    json(status, &Problem { error })
}

fn json(status: StatusCode, value: &impl Serialize) -> Response {
    written(status, serde_json::to_string(value))
}

fn written(status: StatusCode, json: serde_json::Result<String>) -> Response {
    match json {
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
