//! What comes from RabbitMQ, frame by frame, defused before lapin reads it.
//!
//! lapin takes properties by recursion and its short strings for text; AMQP bounds neither. RabbitMQ hands on what a producer
//! wrote as it is, so a single message could end the process, or every connection that it is delivered on.

mod defuse;

use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::io::{AsyncRead, AsyncWrite};

use defuse::{Found, defuse, kept};

/// Kinds of frames (AMQP 0-9-1, 4.2.3).
const METHOD: u8 = 1;
const HEADER: u8 = 2;
const BODY: u8 = 3;
const HEARTBEAT: u8 = 8;
const KINDS: [u8; 4] = [METHOD, HEADER, BODY, HEARTBEAT];

/// Kind (1), channel (2), size of the payload (4).
const START: usize = 7;

/// Of the size of a payload, a table or an array.
const SIZE: usize = 4;

/// Longest method or header that is waited for. RabbitMQ checks those that it sends against no bound: only what a producer sends,
/// against the one agreed on with that producer, 128 KiB unless the operator has changed it.
const WAITED_MAX: usize = 16 * 1024 * 1024;

/// Longest frame that we agree to, which is what RabbitMQ proposes unless the operator has changed it. lapin holds 64 times what
/// is agreed on, for each connection.
pub const FRAME_MAX: u32 = 128 * 1024;

/// Shortest frames, in bytes, that have room for every dead letter. Half of one is for the headers of a job; those of its dead
/// letter have up to 27 KiB more, for 500 agents and what the PBX said, and do not go into a second one.
pub const FRAME_MAX_MIN: u32 = 64 * 1024;

/// Read at once.
const CHUNK: usize = 16 * 1024;

/// A stream whose frames are [`defuse()`]d.
#[derive(Debug)]
pub struct Frames<S> {
    stream: S,
    bytes: Vec<u8>,
    /// How many of them are handed on.
    given: usize,
    /// How many of them may be.
    ready: usize,
    /// How many that have not come yet may be, too, as they come: so a large body on a slow line is a sign of life.
    passing: usize,
    /// Longest header that keeps all of its table, half of the longest frame: whatever RabbitMQ adds when it delivers again, and we to
    /// a dead letter, has to fit in, too. Beyond what was agreed on lapin and RabbitMQ end the connection.
    header_max: usize,
}

impl<S> Frames<S> {
    /// `stream` has to be at the beginning of a frame. `frame_max` is the longest that we agree to; what RabbitMQ proposes may be
    /// less, or more.
    pub fn new(stream: S, frame_max: u32) -> Self {
        Self {
            stream,
            bytes: Vec::new(),
            given: 0,
            ready: 0,
            passing: 0,
            header_max: half(frame_max),
        }
    }

    /// Defuses what is complete by now.
    fn sift(&mut self) -> io::Result<()> {
        while let Some(kind) = self.bytes.get(self.ready).copied() {
            let rest = self.bytes.get_mut(self.ready..).unwrap_or_default();
            if self.passing > 0 {
                let passed = rest.len().min(self.passing);
                self.passing -= passed;
                self.ready += passed;
                continue;
            }
            if !KINDS.contains(&kind) {
                // As of a server that speaks another protocol: lapin's to refuse.
                self.passing = usize::MAX;
                continue;
            }
            let Some(length) = length(rest) else {
                break;
            };
            if kind == BODY || kind == HEARTBEAT {
                self.passing = length;
                continue;
            }
            if length > WAITED_MAX {
                return Err(io::Error::other("RabbitMQ sends a frame of over 16 MiB"));
            }
            let Some(frame) = rest.get_mut(..length) else {
                break;
            };
            let dropped = match defuse(frame) {
                Some(Found::FrameMax(most)) => {
                    self.header_max = self.header_max.min(half(most));
                    0
                }
                Some(Found::Headers(table)) if length > self.header_max => {
                    self.cut_headers(table, length)
                }
                Some(Found::Headers(_)) | None => 0,
            };
            self.ready += length - dropped;
        }
        Ok(())
    }

    /// Cuts the table at this place of the next frame, which is so long, to what has to be [`kept()`]; by how much it is shorter then.
    fn cut_headers(&mut self, table: Range<usize>, length: usize) -> usize {
        let frame = self.ready;
        let room = self.header_max.saturating_sub(length - table.len());
        let whole = self.bytes.get_mut(frame..frame + length);
        let kept = kept(whole.unwrap_or_default(), table.clone(), room);
        let (left, dropped) = (kept.len(), table.len() - kept.len());
        let place = frame + table.start..frame + table.end;
        self.bytes.splice(place, kept);
        self.set_size(frame + table.start - SIZE, left);
        self.set_size(frame + START - SIZE, length - START - 1 - dropped);
        dropped
    }

    fn set_size(&mut self, at: usize, size: usize) {
        let size = u32::try_from(size).unwrap_or(u32::MAX).to_be_bytes();
        if let Some(place) = self.bytes.get_mut(at..at + SIZE) {
            place.copy_from_slice(&size);
        }
    }
}

impl<S: AsyncRead + Unpin> Frames<S> {
    /// Reads until there is something to hand on, or the stream ends.
    fn poll_fill(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.bytes.drain(..self.given);
        self.ready -= self.given;
        self.given = 0;
        while self.ready == 0 {
            let filled = self.bytes.len();
            self.bytes.resize(filled + CHUNK, 0);
            let room = self.bytes.get_mut(filled..).unwrap_or_default();
            let read = Pin::new(&mut self.stream).poll_read(context, room);
            let count = match &read {
                Poll::Ready(Ok(count)) => *count,
                Poll::Ready(Err(_)) | Poll::Pending => 0,
            };
            self.bytes.truncate(filled + count);
            if ready!(read)? == 0 {
                // What is left is no frame, and lapin's to judge.
                self.ready = filled;
                break;
            }
            self.sift()?;
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Frames<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        room: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if self.given == self.ready {
            ready!(self.poll_fill(context))?;
        }
        let mut ready = self.bytes.get(self.given..self.ready).unwrap_or_default();
        let count = io::Read::read(&mut ready, room)?;
        self.given += count;
        Poll::Ready(Ok(count))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Frames<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_close(context)
    }
}

/// From the frame's start to its end, once that much is known.
fn length(frame: &[u8]) -> Option<usize> {
    let [_, _, _, a, b, c, d] = *frame.first_chunk::<START>()?;
    let payload = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
    Some(payload.saturating_add(START + 1))
}

fn half(frame_max: u32) -> usize {
    usize::try_from(frame_max / 2).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
