//! What the pages show for other programs to read: scripts, crontabs, queries.

use std::process::Command;

use clockout::wire;
use regex::Regex;

use super::left_out::left_out;
use super::{blocks, pages};

#[test]
fn every_script_in_the_docs_can_be_read_by_its_shell() {
    let mut seen = 0;
    for (page, text) in pages() {
        for script in blocks(&text, "bash") {
            assert_readable(&page, script);
            seen += 1;
        }
    }
    assert!(seen >= 12, "only {seen} were found");
}

/// Times, a user and a command, in which cron takes no `%` for itself.
#[test]
fn every_line_of_a_crontab_in_the_docs_is_one_that_cron_reads() {
    let line_of_cron = Regex::new(r"^[\d*,/-]+( +[\d*,/-]+){4} +[a-z]+ +([^%]+)$").unwrap();
    let mut seen = 0;
    for (page, text) in pages() {
        let lines = blocks(&text, "cron").flat_map(str::lines);
        let is_job = |line: &&str| !line.starts_with(|c: char| c == '#' || c.is_ascii_uppercase());
        for line in lines.filter(is_job) {
            let parts = line_of_cron.captures(line);
            let parts = parts.unwrap_or_else(|| panic!("{page}: {line}"));
            assert_readable(&page, &parts[2]);
            seen += 1;
        }
    }
    assert!(seen >= 2, "the crontab was not found");
}

fn assert_readable(page: &str, script: &str) {
    let mut bash = Command::new("bash");
    let run = bash.args(["-n", "-c", script]).output().unwrap();
    assert!(run.status.success(), "{page}: {run:?}");
}

/// As a consumer would store them: each field a column.
#[test]
fn every_query_in_the_docs_can_be_asked_of_outcomes() {
    const ASK: &str = "import sqlite3, sys\ndb = sqlite3.connect(':memory:')\nfor query in sys.argv[1:]: db.execute(query)";
    let schema = wire::schema::outcome().to_value();
    let fields = schema["properties"].as_object().unwrap().keys();
    let fields: Vec<&str> = fields.map(String::as_str).collect();
    let table = format!("create table outcomes ({})", fields.join(", "));
    let mut seen = 0;
    for (page, text) in pages() {
        for query in blocks(&text, "sql") {
            let mut python = Command::new("python3");
            let run = match python.args(["-c", ASK, &table, query]).output() {
                Ok(run) => run,
                Err(why) => return left_out("python", "the queries in the docs", why),
            };
            assert!(run.status.success(), "{page}: {run:?}");
            seen += 1;
        }
    }
    assert!(seen >= 1, "the queries were not found");
}
