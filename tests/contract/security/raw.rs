//! Publishes what no client library writes: properties of any bytes.

use lapin::uri::AMQPUri;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const METHOD: u8 = 1;
const HEADER: u8 = 2;
const BODY: u8 = 3;

/// Class and method of the broker's `basic.ack`, with which it confirms.
const ACK: [u8; 4] = [0, 60, 0, 80];

/// Sends a message to an exchange, with a routing key, and returns once the broker has it; `properties` are the flags and
/// what follows them.
pub async fn publish(url: &str, to: (&str, &[u8]), properties: &[u8], body: &[u8]) {
    let uri: AMQPUri = url.parse().expect("a URL");
    let address = (uri.authority.host.as_str(), uri.authority.port);
    let mut stream = TcpStream::connect(address).await.expect("RabbitMQ there");
    let login = uri.authority.userinfo;
    let login = format!("\0{}\0{}", login.username, login.password);
    let size = u32::try_from(body.len()).expect("a small body");
    let header = [
        &[0, 60, 0, 0, 0, 0, 0, 0],
        &size.to_be_bytes()[..],
        properties,
    ]
    .concat();
    let (exchange, key) = to;
    let publish = [&[0, 0], &short(exchange.as_bytes())[..], &short(key), &[0]].concat();
    let start_ok = [
        &[0; 4],
        &short(b"PLAIN")[..],
        &long(&login),
        &short(b"en_US"),
    ]
    .concat();
    let parts = [
        b"AMQP\0\0\x09\x01".to_vec(),
        method(0, [10, 11], &start_ok),
        method(0, [10, 31], &[0, 1, 0, 2, 0, 0, 0, 0]),
        method(
            0,
            [10, 40],
            &[&short(uri.vhost.as_bytes())[..], &[0, 0]].concat(),
        ),
        method(1, [20, 10], &[0]),
        method(1, [85, 10], &[0]),
        method(1, [60, 40], &publish),
        frame(HEADER, 1, &header),
        frame(BODY, 1, body),
    ];
    stream.write_all(&parts.concat()).await.expect("sent");
    loop {
        let mut start = [0; 7];
        stream.read_exact(&mut start).await.expect("an answer");
        let [.., a, b, c, d] = start;
        let mut rest = vec![0; u32::from_be_bytes([a, b, c, d]) as usize + 1];
        stream.read_exact(&mut rest).await.expect("all of it");
        if rest.starts_with(&ACK) {
            return;
        }
    }
}

fn frame(kind: u8, channel: u8, payload: &[u8]) -> Vec<u8> {
    let size = u32::try_from(payload.len()).expect("a small frame");
    [
        &[kind, 0, channel],
        &size.to_be_bytes()[..],
        payload,
        &[0xce],
    ]
    .concat()
}

fn method(channel: u8, [class, method]: [u8; 2], arguments: &[u8]) -> Vec<u8> {
    frame(
        METHOD,
        channel,
        &[&[0, class, 0, method], arguments].concat(),
    )
}

fn short(text: &[u8]) -> Vec<u8> {
    let size = u8::try_from(text.len()).expect("a short text");
    [&[size], text].concat()
}

fn long(text: &str) -> Vec<u8> {
    let size = u32::try_from(text.len()).expect("a text");
    [&size.to_be_bytes(), text.as_bytes()].concat()
}
