//! Guards what the threat model promises (SECURITY.md): what outsiders send stays data, secrets stay secret, and the worker
//! needs few rights.

mod injection;
mod least_privilege;
mod properties;
mod raw;
mod secrets;

use serde_json::json;
use tokio::net::TcpListener;

use crate::support::otlp::Collector;
use crate::support::{json_message, stage};

#[tokio::test]
async fn no_proxy_of_the_environment_gets_a_call_a_trace_or_their_credentials() {
    let proxy = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", proxy.local_addr().unwrap());
    let mut stage = stage().await;
    let collector = Collector::start().await;
    let mut worker = stage
        .worker()
        .set("pbx.api_key", "hush")
        .set("traces.endpoint", &collector.url)
        .set("traces.headers", "authorization: Bearer hush");
    for name in [
        "http_proxy",
        "HTTP_PROXY",
        "https_proxy",
        "HTTPS_PROXY",
        "all_proxy",
        "ALL_PROXY",
    ] {
        worker = worker.environment(name, &url);
    }
    let _worker = worker.start().await;
    let job = json!({"action": "pause", "queue": "1", "agent": "1"});
    assert_eq!(stage.perform(job).await["code"], "applied");
    collector.spans("a span", |spans| !spans.is_empty()).await;
    let visitors = async {
        tokio::select! {
            biased;
            visitor = proxy.accept() => Some(visitor),
            () = std::future::ready(()) => None,
        }
    };
    assert!(visitors.await.is_none());
}

#[tokio::test]
async fn a_body_that_is_a_bomb_is_one_more_invalid_job() {
    let mut stage = stage().await;
    let _worker = stage.worker().start().await;
    let job = |other: &str| format!(r#"{{"action":"pause","queue":"1","agent":"1",{other}}}"#);
    let deep = 20_000;
    let bombs = [
        ("malformed_json", "[".repeat(60_000)),
        ("malformed_json", r#"{"a":"#.repeat(10_000)),
        (
            "bad_value",
            job(&format!(
                r#""context":{}{}"#,
                "[".repeat(deep),
                "]".repeat(deep)
            )),
        ),
        (
            "bad_value",
            job(&format!(r#""requested_at":1{}"#, "0".repeat(60_000))),
        ),
        (
            "bad_value",
            job(r#""not_a_field":1e999999999,"dry_run":1e999999999"#),
        ),
        (
            "bad_value",
            job(&r#""agents":["1"],"#.repeat(4_000)).replace(",}", "}"),
        ),
        (
            "too_large",
            job(&format!(r#""x":"{}""#, "x".repeat(64 * 1024))),
        ),
        ("malformed_json", "{".repeat(1 << 20)),
    ];
    for (code, body) in bombs {
        stage.send_raw("1", body.as_bytes(), json_message()).await;
        let outcome = stage.outcomes.next().await.json();
        let start = body.get(..60).unwrap();
        assert_eq!(outcome["code"], code, "{start}: {outcome}");
    }
    let harmless = job(&format!(
        r#""other":{}{}"#,
        "[".repeat(deep),
        "]".repeat(deep)
    ));
    stage
        .send_raw("1", harmless.as_bytes(), json_message())
        .await;
    assert_eq!(stage.outcomes.next().await.json()["code"], "applied");
}
