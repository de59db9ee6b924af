//! What RabbitMQ sends, however it comes in pieces: never longer once it is defused, and lapin's parser, which reads by recursion,
//! takes what is left of any nesting.
#![no_main]

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use amq_protocol::frame::parse_frame;
use clockout::broker::frames::{FRAME_MAX, Frames};
use futures::executor::block_on;
use futures::io::{AsyncRead, AsyncReadExt};
use libfuzzer_sys::fuzz_target;

/// A node that says this, a piece at a time.
struct Node<'b> {
    says: &'b [u8],
    piece: usize,
}

fuzz_target!(|input: (u8, bool, &[u8])| {
    let (piece, framed, says) = input;
    // Most bytes are no header; so half of the inputs are made one.
    let says = if framed { header(says) } else { says.to_vec() };
    let piece = usize::from(piece) + 1;
    // Half of the inputs, small as they are, lose headers.
    let frame_max = if piece % 2 == 0 { FRAME_MAX } else { 128 };
    let mut frames = Frames::new(Node { says: &says, piece }, frame_max);
    let mut defused = Vec::new();
    if block_on(frames.read_to_end(&mut defused)).is_ok() {
        assert!(defused.len() <= says.len());
        let mut rest = &defused[..];
        while let Ok((after, frame)) = parse_frame(rest) {
            drop(frame);
            rest = after;
        }
    }
});

fn header(payload: &[u8]) -> Vec<u8> {
    let size = u32::try_from(payload.len()).expect("a small input");
    [&[2, 0, 1], &size.to_be_bytes()[..], payload, &[0xce]].concat()
}

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
