//! Guards what operators are handed to watch the worker with: alert rules, dashboard and runbook speak of metrics that the
//! worker really exports, and of each other.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a test that cannot go on should panic and say where"
)]

#[path = "../support/left_out.rs"]
mod left_out;
mod selector;

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

use clockout::telemetry::Metrics;
use left_out::left_out;
use selector::{Exported, selectors};
use serde_json::{Value, json};

const RULES: &str = "deploy/prometheus/clockout.rules.yml";
const DASHBOARD: &str = "deploy/grafana/clockout.json";
const CONTRACT: &str = "docs/contract.md";
const RUNBOOK: &str = "docs/runbook.md";

#[test]
fn every_selector_of_the_rules_and_the_dashboard_finds_an_exported_series() {
    let exported = Exported::new(&Metrics::new().render().unwrap());
    let mut asked = BTreeSet::new();
    let mut judge = |file: &str, text: &str| {
        for selector in selectors(text) {
            let found = exported.matches(&selector);
            assert!(found, "{file}: the worker exports no {selector:?}");
            asked.insert(exported.metric(selector.name).to_owned());
        }
    };
    judge(RULES, &read(RULES));
    for query in queries(&dashboard()) {
        judge(DASHBOARD, &query);
    }
    let unwatched: Vec<_> = exported.metrics().difference(&asked).collect();
    assert!(unwatched.is_empty(), "nobody looks at {unwatched:?}");
}

#[test]
fn the_contract_names_every_metric_that_is_exported_and_no_other() {
    let exported = Exported::new(&Metrics::new().render().unwrap());
    let contract = read(CONTRACT);
    let rows = after(&contract, "| `clockout_").into_iter();
    let named = rows.map(|row| format!("clockout_{}", row.split('`').next().unwrap()));
    assert_eq!(&named.collect::<BTreeSet<_>>(), exported.metrics());
}

#[test]
fn every_alert_has_its_paragraph_in_the_runbook_and_links_to_it() {
    let rules = read(RULES);
    let alerts = after(&rules, "- alert: ");
    let links = after(&rules, "runbook_url: ");
    let wanted = |alert: &&str| format!("{RUNBOOK}#{}", alert.to_lowercase());
    assert_eq!(links, alerts.iter().map(wanted).collect::<Vec<_>>());

    let runbook = read(RUNBOOK);
    let described: Vec<&str> = after(&runbook, "## ")
        .into_iter()
        .filter(|heading| heading.starts_with("Clockout"))
        .collect();
    assert_eq!(
        described, alerts,
        "the runbook follows the order of the rules"
    );
    for section in runbook.split("\n## ").skip(1) {
        let heading = section.lines().next().unwrap();
        let complete = ["**Means**", "**Look**", "**Do**"].map(|part| section.contains(part));
        assert!(
            !heading.starts_with("Clockout") || complete == [true; 3],
            "{heading} says not what it means, where to look and what to do"
        );
    }
}

#[test]
fn every_alert_is_seen_firing_and_keeping_quiet_in_the_rules_own_tests() {
    let rules = read(RULES);
    let tests = read("deploy/prometheus/clockout.test.yml");
    for alert in after(&rules, "- alert: ") {
        let quiet = format!("alertname: {alert}, exp_alerts: []");
        assert!(tests.contains(&quiet), "{alert} is never seen quiet");
        let fires = format!("alertname: {alert}\n        exp_alerts:\n          - exp_labels:");
        assert!(tests.contains(&fires), "{alert} is never seen firing");
    }
}

#[test]
fn prometheus_takes_the_rules_and_their_tests_pass() {
    for arguments in [
        ["check", "rules", "clockout.rules.yml"],
        ["check", "config", "prometheus.yml"],
        ["test", "rules", "clockout.test.yml"],
    ] {
        promtool(
            &top().join("deploy/prometheus"),
            arguments,
            "the alert rules",
        );
    }
}

/// As recording rules, as promtool reads no dashboards; with something in place of what Grafana fills in.
#[test]
fn prometheus_can_read_every_query_of_the_dashboard() {
    let queries = texts(&dashboard(), &["expr"]);
    assert!(queries.len() >= 25, "only {} were found", queries.len());
    let rules = queries.iter().enumerate().map(|(number, query)| {
        let query = query.replace("$__rate_interval", "1m");
        let query = query.replace("$__range", "1h").replace("$job", "clockout");
        assert!(!query.contains('$'), "something else is filled in: {query}");
        json!({"record": format!("query:{number}"), "expr": query})
    });
    let rules: Vec<Value> = rules.collect();
    let folder = tempfile::tempdir().unwrap();
    // JSON is YAML.
    let file = json!({"groups": [{"name": "dashboard", "rules": rules}]}).to_string();
    fs::write(folder.path().join("dashboard.yml"), file).unwrap();
    let check = ["check", "rules", "dashboard.yml"];
    promtool(folder.path(), check, "the queries of the dashboard");
}

/// Runs it in a folder, to its good end, or says what is left out for want of it.
fn promtool(folder: &Path, arguments: [&str; 3], what: &str) {
    let mut promtool = Command::new("promtool");
    let run = match promtool.args(arguments).current_dir(folder).output() {
        Err(why) if why.kind() == ErrorKind::NotFound => {
            return left_out("promtool", what, "Debian: prometheus");
        }
        run => run.unwrap(),
    };
    let said = [run.stdout, run.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(run.status.success(), "promtool {arguments:?}: {said}");
}

#[test]
fn the_dashboards_panels_are_complete_and_do_not_overlap() {
    let dashboard = dashboard();
    let panels = dashboard["panels"].as_array().unwrap();
    let (mut ids, mut cells) = (BTreeSet::new(), BTreeSet::new());
    for panel in panels {
        let title = panel["title"].as_str().unwrap();
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{title}: id");
        let place = |side: &str| panel["gridPos"][side].as_u64().unwrap();
        for x in place("x")..place("x") + place("w") {
            assert!(x < 24, "{title} does not fit the width");
            for y in place("y")..place("y") + place("h") {
                assert!(cells.insert((x, y)), "{title} lies over another panel");
            }
        }
        if panel["type"] != "row" {
            assert!(panel["description"].is_string(), "{title}: no description");
            assert!(panel["fieldConfig"]["defaults"]["unit"].is_string());
            assert!(!queries(panel).is_empty(), "{title} asks nothing");
        }
    }
}

/// Every query in it, and what fills in its variables, however deep.
fn queries(part: &Value) -> Vec<String> {
    texts(part, &["expr", "query", "definition"])
}

/// Every text under one of these names, however deep.
fn texts(part: &Value, names: &[&str]) -> Vec<String> {
    match part {
        Value::Object(fields) => fields
            .iter()
            .flat_map(|(name, value)| match value {
                Value::String(text) if names.contains(&&**name) => vec![text.clone()],
                value => texts(value, names),
            })
            .collect(),
        Value::Array(items) => items.iter().flat_map(|item| texts(item, names)).collect(),
        _ => Vec::new(),
    }
}

/// What follows `mark` on the lines that begin with it.
fn after<'a>(text: &'a str, mark: &str) -> Vec<&'a str> {
    let lines = text.lines().map(str::trim_start);
    lines.filter_map(|line| line.strip_prefix(mark)).collect()
}

fn dashboard() -> Value {
    serde_json::from_str(&read(DASHBOARD)).unwrap()
}

fn read(file: &str) -> String {
    fs::read_to_string(top().join(file)).unwrap_or_else(|why| panic!("{file}: {why}"))
}

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}
