//! The listener: connections and their bounds, and the clock of the page.

use std::net::SocketAddr;
use std::time::Duration;

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::live::STREAM_TIME;
use super::{Shared, View, router};
use crate::telemetry::field;

/// Most connections at a time; the next wait in the operating system's queue.
const CONNECTIONS_MAX: usize = 64;

/// Longest life of a connection, which serves one request: a client that stalls gives its place to another.
const CONNECTION_TIME: Duration = Duration::from_secs(3);

/// How long requests under way may hold up the end.
const GOODBYE: Duration = Duration::from_secs(1);

/// Pause after a connection that could not be accepted, as when the process has no file descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How often the page hears how things stand.
const SECOND: Duration = Duration::from_secs(1);

/// Who asks, over which connection.
#[derive(Debug, Clone)]
pub(super) struct Client {
    pub(super) peer: SocketAddr,
    stays: CancellationToken,
}

impl Client {
    fn new(peer: SocketAddr) -> Self {
        Self {
            peer,
            stays: CancellationToken::new(),
        }
    }

    /// Lets the connection stay as long as a stream may.
    pub(super) fn stay(&self) {
        self.stays.cancel();
    }
}

/// Answers until `stop` is cancelled.
pub async fn serve(listener: TcpListener, view: View, stop: CancellationToken) {
    let shared = Shared::new(view, stop.clone());
    let router = router(shared.clone());
    let mut connections = JoinSet::new();
    let mut seconds = interval(SECOND);
    seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            _ = seconds.tick() => shared.second_passed(),
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if connections.len() < CONNECTIONS_MAX => match accepted {
                Ok((stream, peer)) => {
                    connections.spawn(serve_one(stream, Client::new(peer), router.clone()));
                }
                Err(_) => sleep(ACCEPT_PAUSE).await,
            },
        }
    }
    let finish = async { while connections.join_next().await.is_some() {} };
    // Whoever is not answered by now is a client that stalls.
    timeout(GOODBYE, finish).await.unwrap_or_default();
}

async fn serve_one(stream: TcpStream, client: Client, router: Router) {
    let service = TowerToHyperService::new(router.layer(Extension(client.clone())));
    let connection = http1::Builder::new()
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let mut ended = timeout(CONNECTION_TIME, &mut connection).await;
    if ended.is_err() && client.stays.is_cancelled() {
        ended = timeout(STREAM_TIME, connection).await;
    }
    if let Ok(Err(error)) = ended {
        tracing::debug!({ field::WHY } = %error, "a client of the HTTP endpoints left early");
    }
}
