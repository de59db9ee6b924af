//! The jobs that the pages show as JSON, sent to a real worker, and the outcomes that they show for them.

use jiff::{Timestamp, ToSpan as _};
use regex::Regex;
use serde_json::Value;

use super::session::Page;
use crate::support::{json_message, stage};

const PAGES: [&str; 4] = [
    "README.md",
    "docs/contract.md",
    "docs/integrating.md",
    "docs/shift-end.md",
];

/// What is another at each run.
const OF_A_RUN: [&str; 4] = ["batch", "received_at", "completed_at", "worker"];

/// A stage for each page, as some name different jobs alike.
#[tokio::test]
async fn every_job_in_the_pages_is_applied_and_told_as_they_show() {
    let (mut jobs, mut outcomes) = (0, 0);
    for name in PAGES {
        let page = Page::read(name);
        let samples = page.blocks("json").into_iter().flat_map(str::lines);
        let samples = samples.filter(|sample| sample.contains("\"action\""));
        let (shown, sent): (Vec<&str>, Vec<&str>) =
            samples.partition(|sample| sample.contains("\"outcome_id\""));
        jobs += sent.len();
        outcomes += shown.len();

        let mut stage = stage().await;
        let _worker = stage.worker().start().await;
        let mut heard = Vec::new();
        for body in sent {
            let job: Value = serde_json::from_str(body).unwrap();
            let key = job["queue"].as_str().unwrap();
            let body = in_time(body);
            stage.send_raw(key, body.as_bytes(), json_message()).await;
            let agents = job["agents"].as_array().map_or(1, Vec::len);
            for outcome in stage.outcomes(agents).await {
                assert_eq!(outcome["code"], "applied", "{name}: {outcome}");
                heard.push(outcome);
            }
        }
        for shown in shown {
            let shown: Value = serde_json::from_str(shown).unwrap();
            let id = &shown["outcome_id"];
            let told = heard.iter().find(|outcome| outcome["outcome_id"] == *id);
            let told = told.unwrap_or_else(|| panic!("{name}: no {id} among {heard:?}"));
            assert_eq!(of_any_run(told), of_any_run(&shown), "{name}");
        }
        assert!(stage.outcomes.rest().await.is_empty(), "{name}");
    }
    assert_eq!((jobs, outcomes), (5, 2), "found in the pages");
}

/// The job with its times tomorrow: a page's own are past.
fn in_time(job: &str) -> String {
    let day = Regex::new(r"\d{4}-\d\d-\d\d").unwrap();
    let tomorrow = (Timestamp::now() + 24.hours()).to_string();
    let tomorrow = day.find(&tomorrow).unwrap().as_str();
    let day_of_a_time = Regex::new(r#""\d{4}-\d\d-\d\dT"#).unwrap();
    let moved = day_of_a_time.replace_all(job, format!("\"{tomorrow}T"));
    moved.into_owned()
}

/// What an outcome says, whenever and wherever it was made.
fn of_any_run(outcome: &Value) -> Value {
    let mut outcome = outcome.clone();
    for field in OF_A_RUN {
        outcome.as_object_mut().unwrap().remove(field).unwrap();
    }
    outcome
}
