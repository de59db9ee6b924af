//! What an operator may have the worker do: pause and resume consuming, close the breaker, flush a PBX queue.
//!
//! Only where the settings allow it, and only for who knows the token. Passes orders on and waits for the word that they
//! are done, with a bound; what follows from an order is the worker's business.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::header::{AUTHORIZATION, HOST, ORIGIN, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Extension, Router};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep, timeout};

use super::server::Client;
use super::{Shared, json, problem};
use crate::engine::job::PbxQueue;
use crate::telemetry::field;
use crate::unprintable::is_unprintable;

/// Orders that may wait for the worker.
const ORDERS_MAX: usize = 8;

/// Longest wait for the worker to carry an order out.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long a wrong token waits for its answer, so that guessing is slow.
const WRONG_TOKEN_WAIT: Duration = Duration::from_millis(500);

const BODY_BYTES_MAX: usize = 4096;
const WHO_CHARS_MAX: usize = 64;

/// What the worker is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Take no new jobs; what is held goes on.
    Pause,
    Resume,
    CloseBreaker,
    /// Let what waits for this PBX queue leave now.
    Flush(PbxQueue),
}

/// An order, and who gave it.
#[derive(Debug)]
pub struct Asked {
    pub order: Order,
    /// The name that whoever asked goes by, 1 to 64 printable characters; not proved in any way.
    pub who: String,
    pub peer: SocketAddr,
    /// Takes what was done, in words.
    pub done: oneshot::Sender<String>,
}

/// The operator's side of the orders. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Actions {
    token: Arc<SecretString>,
    orders: mpsc::Sender<Asked>,
}

impl Actions {
    /// For those who know `token`; the worker takes the orders from the receiver.
    pub fn new(token: SecretString) -> (Self, mpsc::Receiver<Asked>) {
        let (orders, asked) = mpsc::channel(ORDERS_MAX);
        let token = Arc::new(token);
        (Self { token, orders }, asked)
    }

    fn is_allowed(&self, headers: &HeaderMap) -> bool {
        let given = headers.get(AUTHORIZATION).map(HeaderValue::as_bytes);
        let given = given.and_then(|given| given.strip_prefix(b"Bearer "));
        let token = self.token.expose_secret().as_bytes();
        given.is_some_and(|given| given.ct_eq(token).into())
    }
}

/// What a request says beside its path.
#[derive(Debug, Deserialize)]
struct Request {
    who: String,
    /// Of a flush.
    queue: Option<String>,
}

#[derive(Debug, Serialize)]
struct Done {
    done: String,
}

/// Why an order was not carried out, as far as is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum Refused {
    #[error("actions are off; http.actions = true turns them on")]
    Off,
    #[error("asked by a page of another site")]
    Foreign,
    #[error("the token is wrong or missing")]
    Token,
    #[error("expected {{\"who\": \"…\"}} with 1 to 64 printable characters")]
    Who,
    #[error("expected {{\"who\": \"…\", \"queue\": \"…\"}} with the number of a PBX queue")]
    Queue,
    #[error("too many orders wait already")]
    Busy,
    #[error("the worker has not answered in time; look at what it does before you ask again")]
    Silent,
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let status = match self {
            Self::Off | Self::Foreign => StatusCode::FORBIDDEN,
            Self::Token => StatusCode::UNAUTHORIZED,
            Self::Who | Self::Queue => StatusCode::BAD_REQUEST,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::Silent => StatusCode::GATEWAY_TIMEOUT,
        };
        let mut response = problem(status, self.to_string());
        if self == Self::Token {
            let challenge = HeaderValue::from_static("Bearer");
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

type Reading = fn(&Request) -> Result<Order, Refused>;

static ACTIONS: [(&str, Reading); 4] = [
    ("/actions/pause", |_| Ok(Order::Pause)),
    ("/actions/resume", |_| Ok(Order::Resume)),
    ("/actions/close-breaker", |_| Ok(Order::CloseBreaker)),
    ("/actions/flush", flush),
];

fn flush(request: &Request) -> Result<Order, Refused> {
    let queue = request.queue.as_deref().ok_or(Refused::Queue)?;
    let queue = PbxQueue::parse(queue).map_err(|_| Refused::Queue)?;
    Ok(Order::Flush(queue))
}

pub(super) fn routes() -> Router<Shared> {
    let routes = ACTIONS.iter().fold(Router::new(), |router, (path, read)| {
        let handler = move |State(shared): State<Shared>,
                            Extension(client): Extension<Client>,
                            headers: HeaderMap,
                            body: Bytes| async move {
            match act(&shared, client.peer, &headers, (&*body, *read)).await {
                Ok(done) => json(StatusCode::OK, &Done { done }),
                Err(refused) => refused.into_response(),
            }
        };
        router.route(path, post(handler))
    });
    routes.layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
}

async fn act(
    shared: &Shared,
    peer: SocketAddr,
    headers: &HeaderMap,
    (body, read): (&[u8], Reading),
) -> Result<String, Refused> {
    let actions = shared.view.actions.as_ref().ok_or(Refused::Off)?;
    if is_foreign(headers) {
        return Err(Refused::Foreign);
    }
    if !actions.is_allowed(headers) {
        sleep(WRONG_TOKEN_WAIT).await;
        tracing::warn!({ field::PEER } = %peer, "an action was asked for from {peer} without the right token");
        return Err(Refused::Token);
    }
    let (order, who) = understood(body, read)?;
    let (done, told) = oneshot::channel();
    let asked = Asked {
        order,
        who,
        peer,
        done,
    };
    actions.orders.try_send(asked).map_err(|_| Refused::Busy)?;
    let told = timeout(PATIENCE, told).await.map_err(|_| Refused::Silent)?;
    told.map_err(|_| Refused::Silent)
}

/// What is asked for, and by whom.
fn understood(body: &[u8], read: Reading) -> Result<(Order, String), Refused> {
    let request: Request = serde_json::from_slice(body).map_err(|_| Refused::Who)?;
    let chars = request.who.chars().take(WHO_CHARS_MAX + 1).count();
    if !(1..=WHO_CHARS_MAX).contains(&chars) || request.who.contains(is_unprintable) {
        return Err(Refused::Who);
    }
    Ok((read(&request)?, request.who))
}

/// Whether a browser asks on behalf of another site's page. The token is what protects; this is a second lock.
fn is_foreign(headers: &HeaderMap) -> bool {
    // What a browser says of the page that asks; a proxy in between changes nothing about it.
    if let Some(site) = headers.get("sec-fetch-site") {
        return site != "same-origin";
    }
    let host = headers.get(HOST).map(HeaderValue::as_bytes);
    headers.get(ORIGIN).is_some_and(|origin| {
        let origin = origin.as_bytes();
        let named = [&b"http://"[..], b"https://"];
        let named = named.iter().find_map(|scheme| origin.strip_prefix(*scheme));
        named != host
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn only_the_whole_token_is_the_token() {
        let (actions, _orders) = Actions::new("0123456789abcdef".into());
        for (given, allowed) in [
            ("Bearer 0123456789abcdef", true),
            ("Bearer 0123456789abcde", false),
            ("Bearer 0123456789abcdef0", false),
            ("Bearer ", false),
            ("0123456789abcdef", false),
            ("Basic 0123456789abcdef", false),
        ] {
            let headers = headers(&[("authorization", given)]);
            assert_eq!(actions.is_allowed(&headers), allowed, "{given}");
        }
        assert!(!actions.is_allowed(&HeaderMap::new()));
    }

    #[test]
    fn a_page_of_another_site_may_not_ask() {
        let host = ("host", "worker:9464");
        for (said, foreign) in [
            (vec![host], false),
            (vec![host, ("origin", "http://worker:9464")], false),
            (vec![host, ("origin", "http://evil.example")], true),
            (vec![host, ("origin", "null")], true),
            (vec![host, ("sec-fetch-site", "cross-site")], true),
            (
                vec![
                    ("origin", "https://proxy"),
                    ("sec-fetch-site", "same-origin"),
                ],
                false,
            ),
        ] {
            assert_eq!(is_foreign(&headers(&said)), foreign, "{said:?}");
        }
    }

    proptest! {
        #[test]
        fn whoever_is_understood_has_a_name_that_can_be_shown(
            who in "(?s)(.|[a-z]|[\u{0}-\u{9f}\u{2020}-\u{2070}]){0,70}",
            queue in proptest::option::of("[0-9]{1,6}|(?s).{0,6}"),
        ) {
            let body = json!({"who": who, "queue": queue, "more": [who]}).to_string();
            let fits = (1..=WHO_CHARS_MAX).contains(&who.chars().count()) && !who.contains(is_unprintable);
            let queue = queue.and_then(|queue| PbxQueue::parse(&queue).ok());
            for (path, read) in ACTIONS {
                let expected = match (fits, path, queue) {
                    (false, _, _) => Err(Refused::Who),
                    (true, "/actions/flush", None) => Err(Refused::Queue),
                    (true, _, _) => Ok(who.as_str()),
                };
                let understood = understood(body.as_bytes(), read);
                let named = understood.as_ref().map(|(_, who)| who.as_str()).map_err(|refused| *refused);
                prop_assert_eq!(named, expected, "{}", path);
                if let Ok((Order::Flush(flushed), _)) = understood {
                    prop_assert_eq!(Some(flushed), queue);
                }
            }
        }

        #[test]
        fn bytes_that_are_no_request_are_refused(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            for (_, read) in ACTIONS {
                prop_assert_eq!(understood(&body, read).err(), Some(Refused::Who));
            }
        }
    }
}
