//! What goes wrong at the PBX, as rules of the simulated one.

use std::time::Duration;

use serde_json::{Value, json};

use crate::fault::PbxFault;

/// `None`: nothing is out of order.
pub fn rules(fault: Option<PbxFault>, latency: Duration) -> Value {
    let mut rules = fault.map(wrong).unwrap_or_default();
    rules.push(json!({"effect": {"latency": {"ms": latency.as_millis()}}}));
    rules.into()
}

fn wrong(fault: PbxFault) -> Vec<Value> {
    match fault {
        PbxFault::ResetsAfterApplying => vec![call(0.5, &json!("drop_after"))],
        PbxFault::Hangs => vec![
            call(0.2, &json!({"hang": {"applied": true}})),
            call(0.2, &json!({"hang": {"applied": false}})),
        ],
        PbxFault::NeverAnswers => vec![call(1.0, &json!({"hang": {"applied": true}}))],
        PbxFault::ServerErrors => vec![
            call(0.5, &json!({"status": {"code": 503}})),
            call(0.3, &json!({"status": {"code": 500, "body": "<html>"}})),
        ],
        PbxFault::TooManyRequests => {
            let later = json!({"code": 429, "retry_after": {"seconds": 1}});
            vec![call(0.5, &json!({"status": later}))]
        }
        PbxFault::Unauthorized => vec![call(1.0, &json!({"status": {"code": 401}}))],
        PbxFault::ItemsMissing => vec![
            item(0.25, &json!({"missing": {"applied": true}})),
            // Of those that the first rule leaves.
            item(1.0 / 3.0, &json!({"missing": {"applied": false}})),
        ],
        PbxFault::ItemsBusy => vec![item(0.5, &json!({"fail": {"text": "Device is busy"}}))],
        PbxFault::Slow => vec![json!({"effect": {"latency": {"ms": 300, "jitter_ms": 500}}})],
    }
}

fn call(odds: f64, effect: &Value) -> Value {
    json!({"match": {"probability": odds}, "effect": {"call": effect}})
}

fn item(odds: f64, effect: &Value) -> Value {
    json!({"match": {"probability": odds}, "effect": {"item": effect}})
}
