//! What a broker says of itself when one connects, which lapin keeps to itself.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// AMQP 0-9-1's protocol header.
const HELLO: &[u8] = b"AMQP\0\0\x09\x01";

/// Frame type, channel and size come before a frame's payload.
const FRAME_HEAD: usize = 7;

/// Of RabbitMQ and of the Erlang beneath it.
pub(super) async fn versions(host: &str, port: u16) -> Result<BTreeMap<String, String>> {
    let mut stream = TcpStream::connect((host, port)).await?;
    stream.write_all(HELLO).await?;
    let mut head = [0; FRAME_HEAD];
    stream.read_exact(&mut head).await?;
    let [_, _, _, size @ ..] = head;
    let mut start = vec![0; u32::from_be_bytes(size).try_into()?];
    stream.read_exact(&mut start).await?;
    let said = |key| long_string(&start, key).with_context(|| format!("the broker tells no {key}"));
    let platform = said("platform")?;
    let erlang = platform.trim_start_matches("Erlang/OTP ").to_owned();
    Ok([("rabbitmq", said("version")?), ("erlang", erlang)]
        .map(|(name, version)| (name.to_owned(), version))
        .into())
}

/// The value of a key in an AMQP table: the key's length and the key, `S`, four bytes of length, the text.
fn long_string(table: &[u8], key: &str) -> Option<String> {
    let mut wanted = vec![u8::try_from(key.len()).ok()?];
    wanted.extend(key.bytes());
    wanted.push(b'S');
    let at = table
        .windows(wanted.len())
        .position(|part| part == wanted)?;
    let (size, rest) = table.get(at + wanted.len()..)?.split_first_chunk::<4>()?;
    let text = rest.get(..u32::from_be_bytes(*size).try_into().ok()?)?;
    String::from_utf8(text.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_string_is_found_by_its_key() {
        let table =
            b"\x00\x00\x07productS\x00\x00\x00\x08RabbitMQ\x07versionS\x00\x00\x00\x063.10.8";
        assert_eq!(long_string(table, "version").unwrap(), "3.10.8");
        assert_eq!(long_string(table, "platform"), None);
    }
}
