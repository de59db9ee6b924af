//! The simulated PBX's HTTP server: connections in, requests to [`super::pbx`] or [`super::control`].

use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::reply::{self, Reply};
use super::{Shared, control, pbx};

/// Most connections at a time; more wait to be accepted.
const CONNECTIONS_MAX: usize = 1_000;

/// Longest request body, in bytes.
const BODY_BYTES_MAX: usize = 1024 * 1024;

/// Pause after a connection could not be accepted (out of file handles, say), so as not to spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The connection is to be closed without a reply.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("closed without a reply, as a fault rule wants it")]
pub(super) struct HangUp;

/// Serves for ever; its connections end with it.
pub(super) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if connections.len() < CONNECTIONS_MAX => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(stream, Arc::clone(&shared)));
                }
                Err(_) => sleep(ACCEPT_PAUSE).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(stream: TcpStream, shared: Arc<Shared>) {
    // Only costs speed where it fails.
    stream.set_nodelay(true).ok();
    let service = service_fn(|request| answer(&shared, request));
    // An error is a caller that went away, or a `HangUp`.
    let io = TokioIo::new(stream);
    http1::Builder::new()
        .serve_connection(io, service)
        .await
        .ok();
}

async fn answer(shared: &Shared, request: Request<Incoming>) -> Result<Reply, HangUp> {
    let (head, body) = request.into_parts();
    let Ok(body) = Limited::new(body, BODY_BYTES_MAX).collect().await else {
        let why = "the body is longer than 1 MiB or broke off";
        return Ok(reply::text(StatusCode::PAYLOAD_TOO_LARGE, why.to_owned()));
    };
    let request: Request<Bytes> = Request::from_parts(head, body.to_bytes());
    match request.uri().path().strip_prefix("/sim/") {
        Some(resource) => Ok(control::answer(shared, resource, &request)),
        None => pbx::answer(shared, &request).await,
    }
}
