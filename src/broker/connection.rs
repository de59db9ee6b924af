//! Opens connections to RabbitMQ: address, TLS, login, deadlines; and says in words what keeps one from standing.
//!
//! Never retries and never lets lapin recover by itself: a lost connection ends its session, and
//! [`super::supervisor`] builds another. Never prints the password.

use std::io;
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd;
use std::time::Duration;

use async_rs::TokioRuntime;
use lapin::tcp::{AsyncTcpStream, RustlsConnector, RustlsConnectorConfig};
use lapin::uri::{AMQPScheme, AMQPUri};
use lapin::{Connection, ConnectionProperties, ErrorKind};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use secrecy::ExposeSecret;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::frames::{FRAME_MAX, Frames};
use super::greeting::{self, Version};
use super::{Address, Settings, Tls, runtime};

/// For TCP and TLS, unless the URL says otherwise (`connection_timeout`, in milliseconds).
const TRANSPORT_TIMEOUT: Duration = Duration::from_secs(10);

/// For RabbitMQ's part of the handshake, once TCP and TLS stand.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Unless the URL says otherwise (`heartbeat`). A silent peer counts as lost after twice as long.
const HEARTBEAT_SECONDS: u16 = 10;

const ACCESS_REFUSED: u16 = 403;
const NOT_ALLOWED: u16 = 530;

/// The settings can never lead to a connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum BadAddress {
    #[error("amqp.url or amqp.urls holds what is no amqp:// or amqps:// URL")]
    Url,
    #[error("amqp.ca_file, amqp.cert_file or amqp.key_file cannot be used: {0}")]
    Pem(#[from] rustls::pki_types::pem::Error),
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] io::Error),
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectError {
    #[error("{address} refuses connections: is RabbitMQ running, and is the port right?")]
    Refused { address: String },
    #[error("{address} does not answer: is it up, and is this its AMQP port?")]
    Mute { address: String },
    #[error("{address} and this worker do not agree on TLS: {reason}")]
    Tls { address: String, reason: String },
    #[error(
        "{address} refuses the login of user `{user}`: correct the user or password in its URL"
    )]
    Login { address: String, user: String },
    #[error(
        "{address} does not let user `{user}` into virtual host `{vhost}`: create it, give the user rights on it, \
         or correct its URL ({reply})"
    )]
    VirtualHost {
        address: String,
        user: String,
        vhost: String,
        reply: String,
    },
    #[error("cannot connect to {address}: {source}")]
    Other {
        address: String,
        source: lapin::Error,
    },
}

/// Opens any number of connections to the same node.
pub(super) struct Connector {
    uri: AMQPUri,
    tls: Option<RustlsConnector>,
    /// lapin agrees with RabbitMQ on this, or on less.
    frame_max: u32,
    name: String,
    /// Without the password.
    address: String,
}

impl Connector {
    pub(super) fn new(settings: &Settings, address: &Address) -> Result<Self, BadAddress> {
        let url = address.url.expose_secret();
        let mut uri: AMQPUri = url.parse().map_err(|_| BadAddress::Url)?;
        if let Some(host) = ipv6_host(url) {
            host.clone_into(&mut uri.authority.host);
        }
        uri.query.heartbeat.get_or_insert(HEARTBEAT_SECONDS);
        let frame_max = frame_max(uri.query.frame_max);
        uri.query.frame_max = Some(frame_max);
        let tls = match uri.scheme {
            AMQPScheme::AMQP => None,
            AMQPScheme::AMQPS => Some(tls_connector(&settings.tls)?),
        };
        Ok(Self {
            uri,
            tls,
            frame_max,
            name: settings.connection_name.clone(),
            address: address.shown.clone(),
        })
    }

    /// Where it connects to, for logs.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// `role` tells the worker's connections apart in RabbitMQ's listings.
    pub(super) async fn connect(&self, role: &str) -> Result<Connection, ConnectError> {
        let name = format!("{} {role}", self.name);
        let properties = ConnectionProperties::default().with_connection_name(name.into());
        let patience = self
            .uri
            .query
            .connection_timeout
            .map_or(TRANSPORT_TIMEOUT, Duration::from_millis);
        let tls = self.tls.clone();
        let frame_max = self.frame_max;
        let (sockets, mut socket) = mpsc::channel(1);
        let uri = self.uri.clone();
        let connect = Connection::connector(
            uri,
            runtime::current(),
            async move |uri: AMQPUri, _| {
                let open = async {
                    let host = uri.authority.host.as_str();
                    let found = tokio::net::lookup_host((host, uri.authority.port)).await?;
                    let addresses: Vec<_> = found.collect();
                    let tokio = TokioRuntime::tokio_current();
                    let stream = AsyncTcpStream::connect(&tokio, addresses).await?;
                    if let AsyncTcpStream::Plain(tcp) = &stream {
                        tcp.get_ref().set_nodelay(true)?;
                        let twin = tcp.get_ref().as_fd().try_clone_to_owned()?;
                        // Full only if lapin were to connect twice, and then the first is the one to shut.
                        sockets.try_send(TcpStream::from(twin)).ok();
                    }
                    match &tls {
                        Some(tls) => stream.into_rustls(tls, host).await,
                        None => Ok(stream),
                    }
                };
                match timeout(patience, open).await {
                    Ok(stream) => Ok(AsyncTcpStream::Plain(Frames::new(stream?, frame_max))),
                    Err(_) => Err(io::Error::from(io::ErrorKind::TimedOut).into()),
                }
            },
            properties,
        );
        if let Ok(connected) = timeout(patience + HANDSHAKE_TIMEOUT, connect).await {
            return connected.map_err(|error| self.explain(error));
        }
        // lapin's thread would wait for the mute peer for as long as the socket stands.
        if let Ok(socket) = socket.try_recv() {
            socket.shutdown(Shutdown::Both).ok();
        }
        Err(ConnectError::Mute {
            address: self.address.clone(),
        })
    }

    /// Which version of RabbitMQ the node runs, asked on a connection of its own; `None` if it does not tell.
    pub(super) async fn version(&self) -> Option<Version> {
        let ask = async {
            let authority = &self.uri.authority;
            let host = authority.host.as_str();
            let found = tokio::net::lookup_host((host, authority.port)).await?;
            let addresses: Vec<_> = found.collect();
            let tokio = TokioRuntime::tokio_current();
            let stream = AsyncTcpStream::connect(&tokio, addresses).await?;
            let stream = match &self.tls {
                Some(tls) => stream.into_rustls(tls, host).await?,
                None => stream,
            };
            lapin::Result::Ok(greeting::read(Frames::new(stream, self.frame_max)).await?)
        };
        timeout(HANDSHAKE_TIMEOUT, ask).await.ok()?.ok()?
    }

    fn explain(&self, error: lapin::Error) -> ConnectError {
        let address = self.address.clone();
        let user = self.uri.authority.userinfo.username.clone();
        if let ErrorKind::IOError(source) = error.kind() {
            let kind = source.kind();
            if kind == io::ErrorKind::ConnectionRefused {
                return ConnectError::Refused { address };
            }
            if kind == io::ErrorKind::TimedOut {
                return ConnectError::Mute { address };
            }
            if kind == io::ErrorKind::InvalidData {
                let reason = source.to_string();
                return ConnectError::Tls { address, reason };
            }
            // A server that misses our certificate says so after its own handshake is over; where it hangs up before its
            // word is read, a reset is all there is.
            if kind == io::ErrorKind::ConnectionReset && self.tls.is_some() {
                let reason =
                    format!("{source}; does it ask for a client certificate (amqp.cert_file)?");
                return ConnectError::Tls { address, reason };
            }
        }
        if let ErrorKind::ProtocolError(refusal) = error.kind() {
            let code = refusal.get_id();
            if code == ACCESS_REFUSED {
                return ConnectError::Login { address, user };
            }
            if code == NOT_ALLOWED {
                let vhost = self.uri.vhost.clone();
                let reply = refusal.get_message().to_string();
                return ConnectError::VirtualHost {
                    address,
                    user,
                    vhost,
                    reply,
                };
            }
        }
        ConnectError::Other {
            address,
            source: error,
        }
    }
}

/// What to agree to, given what the URL asks for, if anything; 0 asks for frames of any length. Left to itself lapin agrees to
/// whatever RabbitMQ proposes and takes memory for it at once: where that is 0, too, more than there is.
fn frame_max(asked: Option<u32>) -> u32 {
    match asked {
        None | Some(0) => FRAME_MAX,
        Some(most) => most.min(FRAME_MAX),
    }
}

/// The host of a URL that names it by IPv6 address; lapin's own parser turns it into `localhost`.
fn ipv6_host(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?']).next()?;
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    let (address, _) = host.strip_prefix('[')?.split_once(']')?;
    Some(address)
}

/// With a CA of its own it trusts that one alone, and needs none on the system.
fn tls_connector(tls: &Tls) -> Result<RustlsConnector, BadAddress> {
    let roots = match &tls.ca_pem {
        Some(pem) => {
            RustlsConnectorConfig::default().with_parsable_certificates(certificates(pem)?)
        }
        None => RustlsConnectorConfig::new_with_native_certs()?,
    };
    Ok(match &tls.client {
        Some(client) => roots.connector_with_single_cert(
            certificates(&client.cert_pem)?,
            PrivateKeyDer::from_pem_slice(client.key_pem.expose_secret())?,
        )?,
        None => roots.connector_with_no_client_auth()?,
    })
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, rustls::pki_types::pem::Error> {
    CertificateDer::pem_slice_iter(pem).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_host_is_found_and_no_other_is_taken_for_one() {
        let cases = [
            ("amqp://u:p@[2001:db8::1]:5672/v", Some("2001:db8::1")),
            ("amqps://[::1]", Some("::1")),
            ("amqp://u:p@10.0.0.1/", None),
            ("amqp://rabbit.example/%2f?heartbeat=5", None),
        ];
        for (url, host) in cases {
            assert_eq!(ipv6_host(url), host, "{url}");
        }
    }

    #[test]
    fn frames_are_as_short_as_the_url_asks_for_and_never_longer_than_rabbitmq_has_them_by_itself() {
        for (asked, agreed) in [
            (None, 131_072),
            (Some(0), 131_072),
            (Some(65_536), 65_536),
            (Some(131_073), 131_072),
            (Some(u32::MAX), 131_072),
        ] {
            assert_eq!(frame_max(asked), agreed, "{asked:?}");
        }
    }
}
