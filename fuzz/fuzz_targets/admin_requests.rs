//! Whatever is asked of a worker's endpoints by one who knows the token: an answer, in JSON where it says so; an order is passed
//! on only under a name that can be shown; the token is repeated to nobody.
#![no_main]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use clockout::admin::{self, Actions, Health, Identity, Order, View};
use clockout::telemetry::Metrics;
use clockout::unprintable::is_unprintable;
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use serde::de::IgnoredAny;
use tokio::runtime::Runtime;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// No number of a PBX queue, which an answer may repeat.
const TOKEN: &str = "not/a/queue/number";

/// The endpoints of a worker that does what it is asked, and what drives them.
static ENDPOINTS: LazyLock<(Runtime, SocketAddr)> = LazyLock::new(|| {
    let runtime = Runtime::new().expect("a runtime");
    let address = runtime.block_on(async {
        let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
        let listener = admin::bind(admin::Settings { listen: any_port }).await;
        let listener = listener.expect("a port");
        let address = listener.local_addr().expect("it is bound");
        let (actions, mut asked) = Actions::new(TOKEN.into());
        tokio::spawn(async move {
            while let Some(asked) = asked.recv().await {
                assert!(!asked.who.contains(is_unprintable), "{:?}", asked.who);
                let done = match asked.order {
                    Order::Flush(queue) => queue.to_string(),
                    Order::Pause | Order::Resume | Order::CloseBreaker => "done".to_owned(),
                };
                let _gone = asked.done.send(done);
            }
        });
        let view = View {
            identity: Arc::new(Identity {
                worker: "w-1".to_owned(),
                pbx: "default".to_owned(),
                dry_run: false,
                dead_queue: "clockout.dead".to_owned(),
            }),
            health: Arc::new(Health::new(Instant::now())),
            metrics: Arc::new(Metrics::new()),
            runtime: tokio::runtime::Handle::current(),
            actions: Some(actions),
        };
        tokio::spawn(admin::serve(listener, view, CancellationToken::new()));
        address
    });
    (runtime, address)
});

#[derive(Debug, Arbitrary)]
enum Target<'a> {
    Pause,
    Resume,
    CloseBreaker,
    Flush,
    Status,
    Metrics,
    Live,
    Other(&'a str),
}

#[derive(Debug, Arbitrary)]
struct Request<'a> {
    target: Target<'a>,
    reads: bool,
    /// One header more.
    header: (&'a str, &'a str),
    body: &'a [u8],
}

fuzz_target!(|request: Request<'_>| {
    let path = match request.target {
        Target::Pause => "/actions/pause",
        Target::Resume => "/actions/resume",
        Target::CloseBreaker => "/actions/close-breaker",
        Target::Flush => "/actions/flush",
        Target::Status => "/status",
        Target::Metrics => "/metrics",
        Target::Live => "/livez",
        Target::Other(path) => path,
    };
    // The page's stream goes on and on.
    if path.contains("events") {
        return;
    }
    let method = if request.reads { "GET" } else { "POST" };
    let (name, value) = request.header;
    let more = if name.is_empty() {
        String::new()
    } else {
        format!("{name}: {value}\r\n")
    };
    let length = request.body.len();
    // A wrong token would wait half a second for its answer; tests stand for it.
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: worker\r\nconnection: close\r\nauthorization: Bearer {TOKEN}\r\n\
         content-length: {length}\r\n{more}\r\n"
    );
    let mut stream = TcpStream::connect(ENDPOINTS.1).expect("the endpoints listen");
    let patience = Some(Duration::from_secs(10));
    stream.set_read_timeout(patience).expect("a patience");
    // It may answer, and close, before it has read all.
    let _sent = stream
        .write_all(head.as_bytes())
        .and_then(|()| stream.write_all(request.body));
    let mut answer = Vec::new();
    if stream.read_to_end(&mut answer).is_ok() && !answer.is_empty() {
        let answer = String::from_utf8(answer).expect("an answer in UTF-8");
        let (head, body) = answer
            .split_once("\r\n\r\n")
            .expect("an answer with a head");
        assert!(!answer.contains(TOKEN), "{answer}");
        let json = head.contains("application/json");
        assert!(
            !json || serde_json::from_str::<IgnoredAny>(body).is_ok(),
            "{answer}"
        );
    }
});
