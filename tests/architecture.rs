//! The house stays as it was laid out: import arrows, one reader of environment and files, libraries behind their own door,
//! and a first paragraph in every file.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot read the sources has failed"
)]

use std::fs;
use std::path::{Path, PathBuf};

/// A module of the crate, and which others it may import.
type Arrow = (&'static str, &'static [&'static str]);

const ARROWS: [Arrow; 12] = [
    ("engine", &[]),
    ("http_client", &[]),
    ("unprintable", &[]),
    ("wire", &["engine", "unprintable"]),
    ("broker", &["engine", "wire"]),
    ("pbx", &["engine", "http_client", "unprintable"]),
    ("telemetry", &["engine", "unprintable"]),
    ("admin", &["engine", "telemetry", "unprintable"]),
    ("traces", &["engine", "http_client", "telemetry", "wire"]),
    (
        "worker",
        &[
            "admin",
            "broker",
            "engine",
            "pbx",
            "telemetry",
            "traces",
            "wire",
        ],
    ),
    (
        "settings",
        &[
            "admin",
            "broker",
            "engine",
            "pbx",
            "telemetry",
            "traces",
            "wire",
        ],
    ),
    (
        "cli",
        &[
            "admin",
            "broker",
            "engine",
            "pbx",
            "settings",
            "telemetry",
            "traces",
            "unprintable",
            "wire",
            "worker",
        ],
    ),
];

/// A name, and the beginnings of the paths where it may stand.
type Door = (&'static str, &'static [&'static str]);

/// Where each name may stand, beside its own crate's line in `Cargo.toml`.
const DOORS: [Door; 9] = [
    ("lapin::", &["src/broker"]),
    (
        "async_rs::",
        &["src/broker/runtime.rs", "src/broker/connection.rs"],
    ),
    (
        "reqwest::",
        &[
            "src/http_client",
            "src/pbx/client",
            "src/traces/receiver.rs",
        ],
    ),
    ("opentelemetry_proto::", &["src/traces"]),
    ("backoff::", &["src/engine/retry.rs"]),
    ("axum::", &["src/admin"]),
    ("std::env::", &["src/settings"]),
    (
        "std::fs",
        &[
            "src/settings",
            "src/cli/send/input.rs",
            // Nothing but tests, of the pages.
            "src/cli/examples.rs",
        ],
    ),
    ("anyhow::", &["src/cli"]),
];

#[test]
fn imports_follow_the_arrows() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let Some((module, allowed)) = ARROWS.iter().find(|(name, _)| *name == module_of(&path))
        else {
            continue;
        };
        for line in code(&text) {
            for imported in imports(line) {
                if imported != *module && !allowed.contains(&imported.as_str()) {
                    wrong.push(format!("{}: {module} imports {imported}", path.display()));
                }
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn each_library_stays_behind_its_own_door() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        for (name, doors) in DOORS {
            let inside = doors
                .iter()
                .any(|door| path.to_string_lossy().starts_with(door));
            if !inside && code(&text).any(|line| line.contains(name)) {
                wrong.push(format!("{}: {name} belongs to {doors:?}", path.display()));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn every_file_begins_with_what_it_is_for() {
    let silent: Vec<_> = sources()
        .into_iter()
        .filter(|(_, text)| !text.starts_with("//! "))
        .map(|(path, _)| path)
        .collect();
    assert_eq!(silent, Vec::<PathBuf>::new());
}

#[test]
fn every_module_has_its_arrows() {
    let known: Vec<&str> = ARROWS
        .iter()
        .map(|(name, _)| *name)
        .chain(["lib", "main"])
        .collect();
    let unknown: Vec<_> = sources()
        .into_iter()
        .map(|(path, _)| module_of(&path))
        .filter(|module| !known.contains(&module.as_str()))
        .collect();
    assert_eq!(unknown, Vec::<String>::new());
}

/// Every source file, by its path from the top, in order.
fn sources() -> Vec<(PathBuf, String)> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    let mut folders = vec![top.join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path.strip_prefix(top).unwrap().to_owned(), text));
            }
        }
    }
    assert!(found.len() > 40, "the sources were not found");
    found.sort();
    found
}

/// `src/engine/lane.rs` and `src/engine.rs` are of `engine`.
fn module_of(path: &Path) -> String {
    let name = path
        .components()
        .nth(1)
        .unwrap()
        .as_os_str()
        .to_string_lossy();
    name.trim_end_matches(".rs").to_owned()
}

/// The lines that are neither comments nor in-module tests.
fn code(text: &str) -> impl Iterator<Item = &str> {
    let lines = text.lines().map(str::trim_start);
    lines
        .take_while(|line| *line != "#[cfg(test)]")
        .filter(|line| !line.starts_with("//"))
}

/// The crate's modules that a line names, also in a list: `use crate::{broker, wire};`.
fn imports(line: &str) -> Vec<String> {
    let named = |rest: &str| -> Vec<String> {
        let list = match rest.strip_prefix('{') {
            Some(list) => list.split('}').next().unwrap_or_default(),
            None => rest,
        };
        let parts: Vec<&str> = if rest.starts_with('{') {
            list.split(',').collect()
        } else {
            vec![list]
        };
        parts
            .into_iter()
            .map(|part| {
                part.trim()
                    .chars()
                    .take_while(char::is_ascii_lowercase)
                    .collect()
            })
            .filter(|name: &String| ARROWS.iter().any(|(module, _)| module == name))
            .collect()
    };
    let roots = ["crate::", "clockout::"];
    roots
        .iter()
        .flat_map(|root| line.split(root).skip(1))
        .flat_map(named)
        .collect()
}

#[test]
fn an_import_is_seen_wherever_it_stands() {
    assert_eq!(imports("use crate::engine::job::Job;"), ["engine"]);
    assert_eq!(
        imports("use crate::{broker, wire::Incoming};"),
        ["broker", "wire"]
    );
    assert_eq!(
        imports("fn f(x: clockout::settings::Problems, y: crate::pbx::Client)"),
        ["pbx", "settings"]
    );
    assert!(imports("use std::fmt; // nothing of ours").is_empty());
}
