//! What the pages show for other programs to read: scripts, crontabs, queries.

use std::process::Command;

use clockout::wire;
use regex::Regex;

use super::left_out::left_out;
use super::{blocks, pages, read};

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
    let jobs = jobs_of_cron();
    assert!(jobs.len() >= 2, "the crontab was not found");
    for (page, command) in jobs {
        assert_readable(&page, &command);
    }
}

/// By the shell of cron, in which sending fails until it is to succeed, and nothing really waits.
#[test]
fn a_line_of_a_crontab_in_the_docs_tries_three_times_and_no_oftener() {
    let mut done = Vec::new();
    for (page, command) in jobs_of_cron() {
        for (succeeds_at, waits) in [(1, 0), (2, 1), (3, 2), (4, 3)] {
            let given = format!(
                "sleep() {{ echo waits; }}; send() {{ echo $1; [ $((tries += 1)) = {succeeds_at} ]; }}"
            );
            let command = command.replace("/opt/shift-end/send", "send");
            let script = format!("{given}; {command}");
            let run = Command::new("sh").args(["-c", &script]).output().unwrap();
            assert!(run.stderr.is_empty(), "{page}: {run:?}");
            let printed = String::from_utf8(run.stdout).unwrap();
            let (waited, sent): (Vec<&str>, Vec<&str>) =
                printed.lines().partition(|line| *line == "waits");
            assert_eq!(waited.len(), waits, "{page}: {script}: {printed}");
            assert_eq!(
                sent.len(),
                succeeds_at.min(3),
                "{page}: {script}: {printed}"
            );
            done.extend(sent.into_iter().map(str::to_owned));
        }
    }
    done.dedup();
    assert_eq!(done, ["pause", "remove"]);
}

/// The commands in all crontabs, each with its page; panics at a line that cron would not read.
fn jobs_of_cron() -> Vec<(String, String)> {
    let line_of_cron = Regex::new(r"^[\d*,/-]+( +[\d*,/-]+){4} +[a-z]+ +([^%]+)$").unwrap();
    let mut jobs = Vec::new();
    for (page, text) in pages() {
        let lines = blocks(&text, "cron").flat_map(str::lines);
        let is_job = |line: &&str| !line.starts_with(|c: char| c == '#' || c.is_ascii_uppercase());
        for line in lines.filter(is_job) {
            let parts = line_of_cron.captures(line);
            assert!(parts.is_some(), "{page}: {line}");
            jobs.extend(parts.map(|parts| (page.clone(), parts[2].to_owned())));
        }
    }
    jobs
}

fn assert_readable(page: &str, script: &str) {
    let mut bash = Command::new("bash");
    let run = bash.args(["-n", "-c", script]).output().unwrap();
    assert!(run.status.success(), "{page}: {run:?}");
}

/// Of outcomes as a consumer would store them, each field a column: done, failed, and failed at another shift end.
#[test]
fn the_query_in_the_docs_finds_who_has_not_left() {
    const ASK: &str = "import sqlite3, sys\ndb = sqlite3.connect(':memory:')\nfor ask in sys.argv[1:]:\n    for row in db.execute(ask): print(*row)";
    let schema = wire::schema::outcome().to_value();
    let fields = schema["properties"].as_object().unwrap().keys();
    let fields: Vec<&str> = fields.map(String::as_str).collect();
    let table = format!("create table outcomes ({})", fields.join(", "));
    let rows = "insert into outcomes (correlation_id, queue, agent, action, status, code) values
        ('shift-2291', '10000', '570', 'pause', 'succeeded', 'applied'),
        ('shift-2291', '10000', '553', 'pause', 'failed', 'not_member'),
        ('shift-2290', '10000', '602', 'pause', 'failed', 'rejected')";
    let page = read("docs/shift-end.md");
    let query = blocks(&page, "sql").next().unwrap();
    let mut python = Command::new("python3");
    let run = match python.args(["-c", ASK, &table, rows, query]).output() {
        Ok(run) => run,
        Err(why) => return left_out("python", "the query in the docs", why),
    };
    assert!(run.status.success(), "{run:?}");
    let found = String::from_utf8(run.stdout).unwrap();
    assert_eq!(found, "553 10000 pause failed not_member\n");
}
