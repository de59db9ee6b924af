//! A PBX of raw bytes: takes a request whole, shows it, and reacts as it is told.

use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// What the peer does once it has read a request.
#[derive(Clone)]
pub(crate) enum Reaction {
    /// Writes these bytes, then closes.
    ReplyAndClose(String),
    /// Writes these bytes and nothing more, without closing.
    Stall(String),
    /// Promises 100 MB and writes them without end, a piece of this size at a time, with a pause after each.
    Endless {
        piece: usize,
        pause: Duration,
    },
    Close,
    Silence,
}

impl Reaction {
    pub(crate) fn reply(bytes: &str) -> Self {
        Self::ReplyAndClose(bytes.to_owned())
    }
}

pub(crate) struct Peer {
    url: String,
    connections: Arc<AtomicUsize>,
    requests: mpsc::Receiver<String>,
    closed: mpsc::Receiver<()>,
}

impl Peer {
    pub(crate) async fn start(reaction: Reaction) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let connections = Arc::new(AtomicUsize::new(0));
        let (request, requests) = mpsc::channel(16);
        let (close, closed) = mpsc::channel(16);
        let count = Arc::clone(&connections);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                count.fetch_add(1, Ordering::SeqCst);
                let (reaction, request, close) = (reaction.clone(), request.clone(), close.clone());
                tokio::spawn(async move {
                    serve(stream, reaction, request).await;
                    close.try_send(()).ok();
                });
            }
        });
        Self {
            url,
            connections,
            requests,
            closed,
        }
    }

    pub(crate) fn url(&self) -> String {
        self.url.clone()
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// The next request, whole.
    pub(crate) async fn request(&mut self) -> String {
        self.requests.recv().await.unwrap()
    }

    /// Waits until the next connection is closed on both sides.
    pub(crate) async fn closed(&mut self) {
        self.closed.recv().await.unwrap();
    }
}

async fn serve(mut stream: TcpStream, reaction: Reaction, requests: mpsc::Sender<String>) {
    let mut read = Vec::new();
    while !is_whole(&read) {
        match stream.read_buf(&mut read).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
    }
    requests
        .try_send(String::from_utf8_lossy(&read).into_owned())
        .ok();
    match reaction {
        Reaction::Close => {}
        Reaction::Silence => std::future::pending::<()>().await,
        Reaction::Stall(bytes) => {
            stream.write_all(bytes.as_bytes()).await.unwrap();
            std::future::pending::<()>().await;
        }
        Reaction::Endless { piece, pause } => {
            let head = "HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\n";
            stream.write_all(head.as_bytes()).await.unwrap();
            while stream.write_all(&vec![b' '; piece]).await.is_ok() {
                tokio::time::sleep(pause).await;
            }
        }
        Reaction::ReplyAndClose(bytes) => {
            if stream.write_all(bytes.as_bytes()).await.is_ok() {
                stream.shutdown().await.ok();
                // Closing with unread bytes would reset; the client closes its side next.
                stream.read_to_end(&mut read).await.ok();
            }
        }
    }
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head.lines().find_map(|line| {
        line.to_lowercase()
            .strip_prefix("content-length: ")?
            .parse()
            .ok()
    });
    body.len() >= length.unwrap_or(0)
}

/// An address at which nobody listens.
pub(crate) async fn unused_url() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

/// A certificate authority that signs client certificates.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// A new client certificate and its key, in PEM.
    pub(crate) fn identity(&self) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["a worker".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        (certificate.pem(), key.serialize_pem())
    }
}

/// The same over TLS, for one connection, with a certificate authority of its own.
pub(crate) struct TlsPeer {
    url: String,
    ca_pem: String,
}

impl TlsPeer {
    pub(crate) fn start(reply: String) -> Self {
        Self::start_with(reply, |_| {})
    }

    /// With another certificate than a good one for `localhost`.
    pub(crate) fn start_with(reply: String, spoil: fn(&mut CertificateParams)) -> Self {
        Self::serve(reply, spoil, WebPkiClientVerifier::no_client_auth())
    }

    /// Answers only to whoever shows a certificate of this authority's.
    pub(crate) fn demanding(reply: String, authority: &Authority) -> Self {
        let mut trusted = RootCertStore::empty();
        trusted.add(authority.0.der().clone()).unwrap();
        let provider = Arc::new(ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(trusted.into(), provider);
        Self::serve(reply, |_| {}, verifier.build().unwrap())
    }

    fn serve(
        mut reply: String,
        spoil: fn(&mut CertificateParams),
        clients: Arc<dyn ClientCertVerifier>,
    ) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        spoil(&mut params);
        let certificate = params.signed_by(&key, &ca).unwrap();

        ring::default_provider().install_default().ok();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = ServerConfig::builder()
            .with_client_cert_verifier(clients)
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!(
            "https://localhost:{}",
            listener.local_addr().unwrap().port()
        );
        // It answers once on each connection. Unless it says so, the next request may come on one that it is about to close.
        if let Some(end_of_status) = reply.find("\r\n") {
            reply.insert_str(end_of_status, "\r\nconnection: close");
        }
        thread::spawn(move || {
            for stream in listener.incoming() {
                let session = ServerConnection::new(Arc::new(config.clone())).unwrap();
                let mut tls = StreamOwned::new(session, stream.unwrap());
                let mut read = Vec::new();
                let mut chunk = [0; 1024];
                while !is_whole(&read) {
                    match tls.read(&mut chunk) {
                        Ok(0) => break,
                        Err(_) => {
                            // Closing with unread bytes would reset, and why it was refused might not arrive.
                            tls.sock.shutdown(Shutdown::Write).ok();
                            tls.sock.read_to_end(&mut read).ok();
                            break;
                        }
                        Ok(count) => read.extend_from_slice(&chunk[..count]),
                    }
                }
                tls.write_all(reply.as_bytes()).ok();
                tls.flush().ok();
            }
        });
        Self {
            url,
            ca_pem: ca.pem(),
        }
    }

    pub(crate) fn url(&self) -> String {
        self.url.clone()
    }

    pub(crate) fn ca_pem(&self) -> String {
        self.ca_pem.clone()
    }
}
