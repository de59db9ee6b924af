//! What RabbitMQ says and clockout reads itself: its greeting, however it comes in pieces, and its words for a queue that
//! stands with other arguments.
#![no_main]

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use clockout::broker::{Difference, greeting};
use futures::executor::block_on;
use futures::io::{AsyncRead, AsyncWrite};
use libfuzzer_sys::fuzz_target;

/// A node that says this, a piece at a time, and takes whatever it is told.
struct Node<'b> {
    says: &'b [u8],
    piece: usize,
}

fuzz_target!(|input: (u8, &[u8], &str)| {
    let (piece, says, reply) = input;
    let piece = usize::from(piece) + 1;
    if let Ok(Some(version)) = block_on(greeting::read(Node { says, piece })) {
        let version = version.to_string();
        assert!(version.chars().count() <= 40 && !version.contains(char::is_control));
    }
    if let Some(Difference { argument, is, should_be }) = Difference::read(reply) {
        assert!(reply.contains(&argument));
        for value in [is, should_be] {
            assert!(value == "not set" || reply.contains(value.trim_matches('`')));
        }
    }
});

impl AsyncRead for Node<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let count = self.says.len().min(self.piece).min(buffer.len());
        let (now, later) = self.says.split_at(count);
        buffer[..count].copy_from_slice(now);
        self.says = later;
        Poll::Ready(Ok(count))
    }
}

impl AsyncWrite for Node<'_> {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
