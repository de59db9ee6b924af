//! One HTTP request at a time, for what the tests ask of the processes they started.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: String,
}

/// Asks the server on this port of the loopback; `None` if none listens, or it does not answer in full.
pub async fn ask(port: u16, method: &str, path: &str, body: &str) -> Option<Answer> {
    ask_with(port, (method, path), "", body).await
}

/// The same with more headers, each with the end of its line.
pub async fn ask_with(
    port: u16,
    (method, path): (&str, &str),
    headers: &str,
    body: &str,
) -> Option<Answer> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{headers}content-length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some(Answer {
        status: head.split_whitespace().nth(1)?.parse().ok()?,
        body: body.to_owned(),
    })
}
