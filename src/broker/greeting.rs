//! What a node says of itself before anybody has logged in: which product it is, and which version. lapin reads it too, but
//! keeps it to itself.

use std::fmt;
use std::io;

use amq_protocol::frame::{AMQPFrame, parse_frame};
use futures_util::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use lapin::protocol::AMQPClass;
use lapin::protocol::connection::AMQPMethod;
use lapin::types::{AMQPValue, FieldTable};

/// With these bytes a client asks for AMQP 0-9-1.
const PROTOCOL_HEADER: &[u8] = b"AMQP\0\0\x09\x01";

/// Longest greeting that is read; RabbitMQ's takes some 500 bytes.
const GREETING_BYTES_MAX: usize = 16 * 1024;

/// Longest version that is repeated, in characters.
const VERSION_CHARS_MAX: usize = 40;

/// Major and minor of the oldest version that has what the topology needs: quorum queues with a TTL for messages.
const OLDEST: (u32, u32) = (3, 10);

/// A version of RabbitMQ, as the node writes it; short and printable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version(String);

impl Version {
    /// `None` if the node does not call itself RabbitMQ, or tells no version.
    fn of(server: &FieldTable) -> Option<Self> {
        let text = |key| match server.inner().get(key) {
            Some(AMQPValue::LongString(text)) => Some(text.to_string()),
            Some(_) | None => None,
        };
        if text("product")? != "RabbitMQ" {
            return None;
        }
        let version = text("version")?;
        let printable = version.chars().filter(|c| !c.is_control());
        Some(Self(printable.take(VERSION_CHARS_MAX).collect()))
    }

    /// Of a version that cannot be read, nothing is known against it.
    pub(super) fn is_too_old(&self) -> bool {
        let mut numbers = self.0.split('.').map(str::parse::<u32>);
        match (numbers.next(), numbers.next()) {
            (Some(Ok(major)), Some(Ok(minor))) => (major, minor) < OLDEST,
            _ => false,
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Asks for the greeting and reads it. The node takes it for a client that changed its mind.
///
/// # Errors
///
/// The stream's own; that it ends too early; that what comes is no greeting, or one of more than 16 KiB.
pub async fn read(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<Option<Version>> {
    stream.write_all(PROTOCOL_HEADER).await?;
    stream.flush().await?;
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    while bytes.len() < GREETING_BYTES_MAX {
        let count = stream.read(&mut chunk).await?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        bytes.extend_from_slice(chunk.get(..count).unwrap_or_default());
        match parse_frame(bytes.as_slice()) {
            Ok((_, AMQPFrame::Method(_, AMQPClass::Connection(AMQPMethod::Start(start))))) => {
                return Ok(Version::of(&start.server_properties));
            }
            Err(error) if error.is_incomplete() => {}
            Ok(_) | Err(_) => break,
        }
    }
    Err(io::ErrorKind::InvalidData.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_before_the_oldest_is_told_from_later_ones() {
        for (version, too_old) in [
            ("3.9.29", true),
            ("2.8", true),
            ("3.10.0", false),
            ("3.10.8+dfsg", false),
            ("3.13.7", false),
            ("4.0.2", false),
            ("4.3.0-rc.1", false),
            ("unknown", false),
            ("", false),
        ] {
            assert_eq!(
                Version(version.to_owned()).is_too_old(),
                too_old,
                "{version}"
            );
        }
    }

    #[test]
    fn only_rabbitmq_has_a_version_and_it_prints_on_one_line() {
        let said = |product: &str, version: &str| {
            let mut server = FieldTable::default();
            for (key, value) in [("product", product), ("version", version)] {
                server.insert(key.into(), AMQPValue::LongString(value.into()));
            }
            Version::of(&server).map(|version| version.to_string())
        };
        assert_eq!(
            said("RabbitMQ", "3.10.8\n\x1b[2J").as_deref(),
            Some("3.10.8[2J")
        );
        assert_eq!(said("Another", "1.0"), None);
    }
}
