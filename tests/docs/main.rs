//! What the pages say is so: links lead somewhere, samples are what the code reads and writes, commands and targets exist,
//! defaults are the defaults.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot read the pages has failed"
)]

mod foreign;
mod guard;
#[path = "../support/left_out.rs"]
mod left_out;
mod targets;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use clockout::engine::job::{JobId, Timestamp};
use clockout::pbx::sim;
use clockout::settings::{Arguments, Settings};
use clockout::wire::{self, Incoming};

/// Fewest underscores in the name of a test: it is a sentence. Other names are shorter.
const SENTENCE: usize = 4;

#[test]
fn every_link_leads_somewhere() {
    for (page, text) in pages() {
        let folder = top().join(&page).parent().unwrap().to_owned();
        for target in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            let file = target.split('#').next().unwrap();
            let local = !file.is_empty() && !file.starts_with("http");
            assert!(!local || folder.join(file).exists(), "{page}: {target}");
        }
    }
}

#[test]
fn every_job_in_the_docs_is_a_valid_job() {
    let settings = wire::job::Settings {
        max_age: None,
        dry_run: false,
    };
    let mut seen = 0;
    for (page, text) in pages() {
        let lines = json_blocks(&text).flat_map(str::lines);
        for sample in lines.filter(|line| line.starts_with("{\"job_id\"")) {
            let message = Incoming::bare(sample.as_bytes().to_vec());
            let mut name = || JobId::parse("none").unwrap();
            let job = wire::job::parse(&message, &settings, Timestamp(0), &mut name);
            assert!(job.is_ok(), "{page}: {sample}");
            seen += 1;
        }
    }
    assert!(seen >= 2, "the samples were not found");
}

/// The lists that are put to `/sim/faults`, and the effects in the table of the page on the simulated PBX.
#[test]
fn every_fault_in_the_docs_is_one_that_the_simulated_pbx_takes() {
    let mut seen = 0;
    for page in ["docs/pbx-sim.md", "docs/integrating.md"] {
        let text = read(page);
        let lists = text.split("-d '[").skip(1);
        let lists = lists.map(|rest| format!("[{}", rest.split('\'').next().unwrap()));
        let cells = text.lines().filter_map(|line| line.strip_prefix("| `{"));
        let effects = cells.map(|rest| format!("{{{}", rest.split('`').next().unwrap()));
        let rules = effects.map(|effect| format!(r#"[{{"match":{{}},"effect":{effect}}}]"#));
        for rules in lists.chain(rules) {
            let read: Result<Vec<sim::Rule>, _> = serde_json::from_str(&rules);
            assert!(read.is_ok(), "{page}: {rules}: {read:?}");
            seen += 1;
        }
    }
    assert!(seen >= 12, "only {seen} were found");
}

#[test]
fn an_outcome_in_the_docs_has_the_fields_of_the_schema() {
    let schema = wire::schema::outcome().to_value();
    let fields: BTreeSet<&String> = schema["properties"].as_object().unwrap().keys().collect();
    let text = read("README.md");
    let sample = json_blocks(&text)
        .find(|sample| sample.starts_with("{\"outcome_id\""))
        .unwrap();
    let sample: serde_json::Value = serde_json::from_str(sample).unwrap();
    let shown: BTreeSet<&String> = sample.as_object().unwrap().keys().collect();
    assert_eq!(shown, fields);
}

#[test]
fn every_command_and_target_in_the_docs_exists() {
    let help = Command::new(env!("CARGO_BIN_EXE_clockout"))
        .arg("--help")
        .output()
        .unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let makefile = read("Makefile");
    for (page, text) in pages().filter(|(page, _)| page != "docs/contract.md") {
        for command in words_after(
            &text,
            &["`clockout ", "release/clockout ", "debug/clockout "],
        ) {
            assert!(
                help.contains(&format!("  {command} ")),
                "{page}: clockout {command}"
            );
        }
        for target in words_after(&text, &["`make ", "\nmake "]) {
            assert!(
                makefile.contains(&format!("\n{target}:")),
                "{page}: make {target}"
            );
        }
    }
}

#[test]
fn every_test_that_the_docs_name_exists() {
    let sources: String = files("rs").map(|(_, text)| text).collect();
    let mut seen = 0;
    for (page, text) in pages() {
        let quoted = text.split('`').skip(1).step_by(2);
        for name in quoted.filter(|quoted| is_sentence(quoted)) {
            assert!(sources.contains(&format!("fn {name}(")), "{page}: {name}");
            seen += 1;
        }
    }
    assert!(seen >= 20, "the names were not found");
}

fn is_sentence(quoted: &str) -> bool {
    let of_a_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    quoted.chars().all(of_a_name) && quoted.matches('_').count() >= SENTENCE
}

/// CONTRACT §7: the README shows some of the defaults, the example file all of them.
#[test]
fn the_defaults_in_the_readme_are_those_of_the_example() {
    let example: toml::Table = toml::from_str(&read("clockout.example.toml")).unwrap();
    let text = read("README.md");
    let rows = text
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let mut seen = 0;
    for (key, rest) in rows.filter(|(key, rest)| key.contains('.') && rest.starts_with(" | ")) {
        let (section, name) = key.split_once('.').unwrap();
        let shown = rest.split('|').nth(1).unwrap().trim().trim_matches('`');
        assert_eq!(example[section][name].to_string(), shown, "{key}");
        seen += 1;
    }
    assert!(seen >= 7, "the table was not found");
}

/// A block that names no PBX gets one.
#[test]
fn all_settings_in_the_docs_are_taken_by_the_worker() {
    let example = read("clockout.example.toml");
    let example = [("clockout.example.toml".to_owned(), example)];
    let of_pages = pages().flat_map(|(page, text)| {
        let blocks = blocks(&text, "toml").map(|block| (page.clone(), block.to_owned()));
        blocks.collect::<Vec<_>>()
    });
    let mut seen = 0;
    for (page, block) in of_pages.chain(example) {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), &block).unwrap();
        let arguments = Arguments {
            config: Some(file.path().to_owned()),
            ..Arguments::default()
        };
        let url = ("CLOCKOUT_PBX_BASE_URL", "https://pbx.example");
        let given = [url].map(|(name, value)| (OsString::from(name), OsString::from(value)));
        let taken = Settings::load(&arguments, given);
        assert!(taken.is_ok(), "{page}: {taken:?} in\n{block}");
        seen += 1;
    }
    assert!(seen >= 4, "only {seen} were found");
}

/// The word that follows each of `marks`.
fn words_after<'a>(text: &'a str, marks: &[&str]) -> Vec<&'a str> {
    let rests = marks.iter().flat_map(|mark| text.split(*mark).skip(1));
    let word = |rest: &'a str| {
        let end = rest
            .find(|c: char| !c.is_ascii_lowercase() && c != '-')
            .unwrap_or(rest.len());
        &rest[..end]
    };
    rests.map(word).filter(|word| !word.is_empty()).collect()
}

/// The blocks of JSON, whose objects stand on a line each.
fn json_blocks(text: &str) -> impl Iterator<Item = &str> {
    blocks(text, "json")
}

/// What stands in the blocks of a language.
fn blocks<'t>(text: &'t str, language: &str) -> impl Iterator<Item = &'t str> {
    let opening = format!("```{language}\n");
    let rests: Vec<&str> = text.split(&opening).skip(1).collect();
    let blocks = rests.into_iter();
    blocks.filter_map(|rest| rest.split("\n```").next())
}

/// Every page, by its path from the top.
fn pages() -> impl Iterator<Item = (String, String)> {
    files("md")
}

/// Folders that a build or a package manager makes.
const MADE: [&str; 3] = ["target", "node_modules", "vendor"];

/// Every file with this extension that nobody else has made.
fn files(extension: &str) -> impl Iterator<Item = (String, String)> {
    let mut folders = vec![PathBuf::new()];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(top().join(&folder)).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            let path = folder.join(&name);
            if entry.file_type().unwrap().is_dir() {
                if !name.starts_with('.') && !MADE.contains(&name.as_str()) {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|found| found == extension) {
                found.push(path.to_str().unwrap().to_owned());
            }
        }
    }
    found.into_iter().map(|path| {
        let text = read(&path);
        (path, text)
    })
}

fn read(page: &str) -> String {
    fs::read_to_string(top().join(page)).unwrap()
}

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}
