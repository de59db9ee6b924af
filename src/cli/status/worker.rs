//! Asks a running worker over HTTP, plain as its endpoints are. One bounded answer to one request.

use std::io;
use std::str::FromStr;
use std::time::Duration;

use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::HOST;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;
use url::Url;

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Longest answer, in bytes; a thousand PBX queues take about 100 KiB.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Why the worker was not heard.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unheard {
    #[error(
        "http.listen = \"\" turns the worker's endpoints off; name another worker with --url, or turn them on"
    )]
    Off,
    #[error("no worker answers at {url}: {why}; is it running, and is this its http.listen?")]
    Unreachable { url: Url, why: io::Error },
    #[error("what answers at {url} is no worker: {why}")]
    Stranger { url: Url, why: String },
    #[error("what was answered is no status of a worker: {0}")]
    Unreadable(#[from] serde_json::Error),
}

/// The text is no address of a worker.
#[derive(Debug, thiserror::Error)]
#[error("expected http://HOST:PORT, as the endpoints speak plain HTTP")]
pub(super) struct NoAddress;

/// Where a worker's endpoints are.
#[derive(Debug, Clone)]
pub(super) struct Worker {
    url: Url,
    host: String,
    port: u16,
}

impl FromStr for Worker {
    type Err = NoAddress;

    fn from_str(base: &str) -> Result<Self, NoAddress> {
        let mut url = Url::parse(base).map_err(|_| NoAddress)?;
        let host = url.host_str().filter(|_| url.scheme() == "http");
        // Without the brackets of an IPv6 address, which belong to the URL.
        let host = host.ok_or(NoAddress)?.trim_matches(['[', ']']).to_owned();
        let port = url.port_or_known_default().ok_or(NoAddress)?;
        let path = format!("{}/status", url.path().trim_end_matches('/'));
        url.set_path(&path);
        Ok(Self { url, host, port })
    }
}

impl Worker {
    /// What `/status` answers.
    pub(super) async fn status(&self) -> Result<String, Unheard> {
        let unreachable = |why| Unheard::Unreachable {
            url: self.url.clone(),
            why,
        };
        let asked = timeout(PATIENCE, self.ask()).await;
        asked.unwrap_or_else(|_| Err(unreachable(io::ErrorKind::TimedOut.into())))
    }

    async fn ask(&self) -> Result<String, Unheard> {
        let url = || self.url.clone();
        let address = (self.host.as_str(), self.port);
        let stream = TcpStream::connect(address)
            .await
            .map_err(|why| Unheard::Unreachable { url: url(), why })?;
        let stranger = |why: String| Unheard::Stranger { url: url(), why };
        let strange = |error: hyper::Error| stranger(error.to_string());
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(strange)?;
        let request = Request::get(self.url.path())
            .header(HOST, self.url.authority())
            .body(Empty::<Bytes>::new())
            .map_err(|error| stranger(error.to_string()))?;
        let exchange = async {
            let answer = sender.send_request(request).await.map_err(strange)?;
            if !answer.status().is_success() {
                return Err(stranger(format!("it says {}", answer.status())));
            }
            let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX);
            let body = body.collect().await;
            Ok(body
                .map_err(|error| stranger(error.to_string()))?
                .to_bytes())
        };
        tokio::pin!(exchange);
        // The connection moves the exchange on, and may end first or last.
        let body = tokio::select! {
            body = &mut exchange => body?,
            _ = connection => exchange.await?,
        };
        String::from_utf8(body.into()).map_err(|error| stranger(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_that_of_the_endpoints_with_or_without_a_path() {
        for (base, asked) in [
            ("http://127.0.0.1:9464", "http://127.0.0.1:9464/status"),
            ("http://[::1]/", "http://[::1]/status"),
            ("http://proxy/clockout", "http://proxy/clockout/status"),
        ] {
            let worker: Worker = base.parse().unwrap();
            assert_eq!(worker.url.as_str(), asked);
        }
        for base in ["https://127.0.0.1:9464", "file:///status", "127.0.0.1:9464"] {
            assert!(base.parse::<Worker>().is_err(), "{base}");
        }
    }
}
