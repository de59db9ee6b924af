//! Text from outside is data: it ends no log line, drives no terminal, adds no header and fills no disk.

use lapin::BasicProperties;
use serde_json::json;

use crate::support::{Message, Stage, json_message, stage};

/// A forged log line, a terminal escape in both its forms, a separator that some take for a line's end, a direction override.
const NASTY: &str = "x\r\n2026-01-01T00:00:00Z ERROR forged: all is lost\u{1b}[2J\u{9b}31m\0\u{7f}\u{85}\u{8}\u{202e}dna";

fn long() -> String {
    format!("{NASTY}{}", "very long ".repeat(5_000))
}

/// What a terminal or a line-based reader would obey.
fn obeyed(text: &str) -> Option<char> {
    let turns = |c| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().find(|&c| c.is_control() || turns(c))
}

async fn provoke(stage: &mut Stage) -> Vec<Message> {
    let texts = [NASTY.to_owned(), long()];
    let mut told = Vec::new();
    for text in &texts {
        let short: String = text.chars().take(80).collect();
        let properties = || {
            json_message()
                .with_message_id(short.as_str().into())
                .with_correlation_id(short.as_str().into())
                .with_type(short.as_str().into())
        };
        let jobs = [
            json!({"action": text, "queue": "1", "agent": "1"}),
            json!({"action": "pause", "queue": text, "agent": text}),
            json!({"action": "pause", "queue": "1", "agent": "1", "job_id": text, "correlation_id": text}),
            json!({"action": "pause", "queue": "1", "agent": "1", "expires_at": text, "reason": text}),
            json!({"action": "pause", "queue": "1", "agent": "1", text.as_str(): text}),
        ];
        for job in jobs {
            let body = job.to_string();
            stage.send_raw(&short, body.as_bytes(), properties()).await;
            told.push(stage.outcomes.next().await);
        }
        // What is not even JSON.
        let raw = text.as_bytes();
        stage.send_raw("1", raw, BasicProperties::default()).await;
        told.push(stage.outcomes.next().await);
        // The PBX is no better.
        for (agent, effect) in [
            ("2", json!({"item": {"fail": {"text": text}}})),
            (
                "3",
                json!({"call": {"refuse_batch": {"http": 400, "text": text}}}),
            ),
        ] {
            stage.faults(json!([{"effect": effect}]));
            stage
                .send(json!({"action": "pause", "queue": "1", "agent": agent}))
                .await;
            told.push(stage.outcomes.next().await);
            stage.faults(json!([]));
        }
    }
    told
}

#[tokio::test]
async fn what_outsiders_write_ends_no_log_line_and_adds_no_header() {
    for format in ["text", "json"] {
        let mut stage = stage().await;
        let worker = stage
            .worker()
            .set("log.format", format)
            .set("log.filter", "trace");
        let worker = worker.start().await;
        let told = provoke(&mut stage).await;
        for message in told.iter().chain(&stage.dead.rest().await) {
            for (name, value) in &message.headers {
                assert_eq!(obeyed(value), None, "{name}: {value:?}");
                assert!(value.chars().count() <= 1_000, "{name} is long");
            }
        }
        for message in &told {
            let key = &message.routing_key;
            assert!(key.split('.').count() == 4 && key.len() <= 255, "{key}");
            assert_eq!(obeyed(key), None, "{key:?}");
        }
        let log = worker.log();
        for line in log.lines() {
            assert_eq!(obeyed(line), None, "{line:?}");
            assert!(line.len() < 4_000, "a line of {} bytes", line.len());
            let forged =
                line.starts_with("2026-01-01") || line.starts_with(r#"{"timestamp":"2026-01-01"#);
            assert!(!forged, "{line}");
        }
        for path in ["/status", "/readyz", "/metrics"] {
            let shown = worker.get(path).await.unwrap().body;
            let shown = shown.replace('\n', "");
            assert_eq!(obeyed(&shown), None, "{path}: {shown}");
        }
    }
}
