//! What lapin runs on: Tokio, with streams that are not Tokio's own.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

use async_rs::traits::Reactor;
use async_rs::util::RuntimeParts;
use async_rs::{Runtime, Tokio};
use futures_util::Stream;
use futures_util::io::{AsyncRead, AsyncWrite};
use lapin::tcp::AsyncTcpStream;

use super::frames::{FRAME_MAX, Frames};

/// What a connection reads frames from, TLS included.
pub(super) type Transport = Frames<AsyncTcpStream<<Tokio as Reactor>::TcpStream>>;

/// The runtime that this is called in, for connections over a [`Transport`].
pub(super) fn current() -> Runtime<RuntimeParts<Tokio, Framed>> {
    let tokio = Tokio::current();
    RuntimeParts::new(tokio.clone(), Framed(tokio)).into()
}

/// Tokio, but for the type of stream: lapin takes no other than its reactor's.
#[derive(Debug, Clone)]
pub(super) struct Framed(Tokio);

impl Reactor for Framed {
    type TcpStream = Transport;
    type Sleep = <Tokio as Reactor>::Sleep;

    fn register<H: Read + Write + AsFd + AsRawFd + Send + 'static>(
        &self,
        socket: H,
    ) -> io::Result<impl AsyncRead + AsyncWrite + Send + Unpin + 'static> {
        self.0.register(socket)
    }

    fn sleep(&self, duration: Duration) -> Self::Sleep {
        self.0.sleep(duration)
    }

    fn interval(&self, duration: Duration) -> impl Stream<Item = Instant> + Send + 'static {
        self.0.interval(duration)
    }

    fn tcp_connect_addr(
        &self,
        address: SocketAddr,
    ) -> impl Future<Output = io::Result<Self::TcpStream>> + Send + 'static {
        let connected = self.0.tcp_connect_addr(address);
        async {
            let stream = AsyncTcpStream::Plain(connected.await?);
            Ok(Frames::new(stream, FRAME_MAX))
        }
    }
}
