//! The replies of the simulated PBX, spelt as the vendor documents them.

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use serde::Serialize;

use super::Seat;

pub(super) type Reply = Response<Full<Bytes>>;

/// One agent's part; the fields in the documented order.
#[derive(Serialize)]
pub(super) struct Item {
    agent: String,
    message: String,
    ok: u8,
    queue: String,
}

impl Item {
    pub(super) fn new((queue, agent): Seat, result: Result<&str, &str>) -> Self {
        let (Ok(message) | Err(message)) = result;
        Self {
            agent: agent.to_string(),
            message: message.to_owned(),
            ok: u8::from(result.is_ok()),
            queue: queue.to_string(),
        }
    }
}

#[derive(Serialize)]
struct Envelope<'a, Data> {
    success: u8,
    message: &'a str,
    data: Data,
}

#[derive(Serialize)]
struct Data {
    #[serde(rename = "Data")]
    items: Vec<Item>,
    ok: u8,
}

/// `success` stays 1 when items fail, `data.ok` does not: modelled, no such reply is documented.
pub(super) fn items(items: Vec<Item>) -> Reply {
    let ok = u8::from(items.iter().all(|item| item.ok == 1));
    let envelope = Envelope {
        success: 1,
        message: "",
        data: Data { items, ok },
    };
    json(StatusCode::OK, &envelope)
}

pub(super) fn refusal(status: StatusCode, message: &str) -> Reply {
    let data: [Item; 0] = [];
    let envelope = Envelope {
        success: 0,
        message,
        data,
    };
    json(status, &envelope)
}

pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Reply {
    match serde_json::to_vec(value) {
        Ok(body) => reply(status, "application/json", body.into()),
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

/// What the PBX's web server says of an address that it does not know.
pub(super) fn unknown_address() -> Reply {
    let page =
        "<html><head><title>404 Not Found</title></head><body><h1>Not Found</h1></body></html>\n";
    reply(StatusCode::NOT_FOUND, "text/html", page.into())
}

pub(super) fn text(status: StatusCode, text: String) -> Reply {
    reply(status, "text/plain; charset=utf-8", text.into())
}

fn reply(status: StatusCode, content_type: &'static str, body: Bytes) -> Reply {
    let mut reply = Response::new(Full::new(body));
    *reply.status_mut() = status;
    let content_type = HeaderValue::from_static(content_type);
    reply.headers_mut().insert(CONTENT_TYPE, content_type);
    reply
}
