//! axe-core, the usual judge of web pages: what it has against the page that the browser shows.

use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;

use serde_json::{Value, json};

use crate::browser::Browser;
use crate::support::left_out;

/// Its rules for WCAG 2.0 to 2.2, levels A and AA; contrast of colours is among them.
const RULES: [&str; 5] = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];

/// The script itself; `None`, said on standard error, where it cannot be had.
static SCRIPT: LazyLock<Option<String>> = LazyLock::new(|| {
    let fetch = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/axe-core");
    let fetch = Command::new(fetch).output().unwrap();
    if fetch.status.code() == Some(3) {
        let why = String::from_utf8_lossy(&fetch.stderr);
        left_out(
            "node",
            "the page before axe-core, which cannot be fetched",
            why,
        );
        return None;
    }
    let path = String::from_utf8(fetch.stdout).unwrap();
    Some(std::fs::read_to_string(path.trim()).unwrap())
});

/// Each breach, with where it is and what would mend it; none where the script cannot be had.
pub async fn objections(browser: &Browser) -> Vec<String> {
    let Some(script) = SCRIPT.as_deref() else {
        return Vec::new();
    };
    if browser.ask("typeof axe").await == "undefined" {
        evaluate(browser, script).await;
    }
    let options = json!({"runOnly": RULES, "resultTypes": ["violations"]});
    let judgement = evaluate(browser, &format!("axe.run({options})")).await;
    assert_ne!(judgement["passes"], json!([]), "nothing was judged");
    let violations = judgement["violations"].as_array().unwrap().iter();
    violations.flat_map(objections_of).collect()
}

fn objections_of(violation: &Value) -> Vec<String> {
    let nodes = violation["nodes"].as_array().unwrap().iter();
    nodes
        .map(|node| {
            let (rule, how) = (&violation["id"], &node["failureSummary"]);
            format!("{rule} at {}: {how}", node["target"])
        })
        .collect()
}

/// The value that a script comes to. By the browser's own tools, to which the page's policy does not apply.
async fn evaluate(browser: &Browser, script: &str) -> Value {
    let parameters = json!({"expression": script, "awaitPromise": true, "returnByValue": true});
    let mut answer = browser.devtools("Runtime.evaluate", parameters).await;
    assert_eq!(answer["exceptionDetails"], Value::Null, "axe-core failed");
    answer["result"]["value"].take()
}
