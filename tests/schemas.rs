//! What machines read of the contract: the JSON Schemas in `docs/schemas` are those that the code makes, the AsyncAPI
//! document says the same, and every example in the pages is valid.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot read the pages has failed"
)]

#[path = "support/left_out.rs"]
mod left_out;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use jsonschema::Validator;
use serde_json::{Deserializer, Value};

use left_out::left_out;

const ASYNC_API: &str = "docs/asyncapi.json";

#[test]
fn the_kept_schemas_are_those_that_the_command_prints() {
    for subject in ["job", "outcome", "config"] {
        let run = Command::new(env!("CARGO_BIN_EXE_clockout"))
            .args(["schema", subject])
            .output()
            .unwrap();
        let printed = String::from_utf8(run.stdout).unwrap();
        let same = read(&format!("docs/schemas/{subject}.json")) == printed;
        assert!(same, "docs/schemas/{subject}.json is old: make schemas");
    }
}

#[test]
fn every_job_and_outcome_in_the_pages_fits_its_schema() {
    let (job, outcome) = (schema("job"), schema("outcome"));
    let (mut jobs, mut outcomes) = (0, 0);
    for (page, block) in blocks("json") {
        for sample in Deserializer::from_str(&block).into_iter::<Value>() {
            let sample = sample.unwrap_or_else(|why| panic!("{page}: {why} in {block}"));
            if sample.get("outcome_id").is_some() {
                fits(&outcome, &sample, &page);
                outcomes += 1;
            } else if sample.get("action").is_some() {
                fits(&job, &sample, &page);
                jobs += 1;
            }
        }
    }
    assert!(jobs >= 5 && outcomes >= 2, "{jobs} and {outcomes} found");
}

#[test]
fn all_settings_in_the_pages_fit_their_schema() {
    let config = schema("config");
    let example = [(
        "clockout.example.toml".to_owned(),
        read("clockout.example.toml"),
    )];
    for (page, text) in blocks("toml").into_iter().chain(example) {
        let settings: toml::Value = toml::from_str(&text).unwrap();
        fits(&config, &serde_json::to_value(settings).unwrap(), &page);
    }
}

#[test]
fn the_asyncapi_document_names_what_the_settings_and_schemas_name() {
    let document: Value = serde_json::from_str(&read(ASYNC_API)).unwrap();
    let defaults: toml::Table = toml::from_str(&read("clockout.example.toml")).unwrap();
    for (channel, section) in [
        ("jobs", "jobs"),
        ("outcomes", "results"),
        ("deadLetters", "dead"),
    ] {
        let exchange = &document["channels"][channel]["bindings"]["amqp"]["exchange"]["name"];
        assert_eq!(exchange.as_str(), defaults[section]["exchange"].as_str());
    }
    let outcome: Value = serde_json::from_str(&read("docs/schemas/outcome.json")).unwrap();
    assert_eq!(
        document["channels"]["outcomes"]["parameters"]["status"]["enum"],
        outcome["properties"]["status"]["enum"]
    );
}

#[test]
fn every_reference_and_example_of_the_asyncapi_document_holds() {
    let document: Value = serde_json::from_str(&read(ASYNC_API)).unwrap();
    let mut references = Vec::new();
    collect(&document, "$ref", &mut references);
    for reference in references {
        let reference = reference.as_str().unwrap();
        let found = match reference.strip_prefix('#') {
            Some(pointer) => document.pointer(pointer).is_some(),
            None => top().join("docs").join(reference).exists(),
        };
        assert!(found, "{reference} leads nowhere");
    }
    let mut seen = 0;
    for subject in ["job", "outcome"] {
        let message = &document["components"]["messages"][subject];
        for example in message["examples"].as_array().unwrap() {
            fits(&schema(subject), &example["payload"], ASYNC_API);
            seen += 1;
        }
    }
    assert!(seen >= 4, "the examples were not found");
}

#[test]
fn asyncapi_itself_takes_the_document() {
    let fetch = Command::new(top().join("scripts/asyncapi-schema")).output();
    let fetch = fetch.unwrap();
    if fetch.status.code() == Some(3) {
        let why = String::from_utf8_lossy(&fetch.stderr);
        return left_out("node", "AsyncAPI's schema, which cannot be fetched", why);
    }
    let path = String::from_utf8(fetch.stdout).unwrap();
    let schema = serde_json::from_str(&read(path.trim())).unwrap();
    let document = serde_json::from_str(&read(ASYNC_API)).unwrap();
    let schema = jsonschema::draft7::new(&schema).unwrap();
    fits(&schema, &document, ASYNC_API);
}

/// Every value under a key of this name, however deep.
fn collect<'v>(value: &'v Value, name: &str, found: &mut Vec<&'v Value>) {
    found.extend(value.get(name));
    let parts = value.as_object().into_iter().flat_map(|map| map.values());
    for part in parts.chain(value.as_array().into_iter().flatten()) {
        collect(part, name, found);
    }
}

fn fits(schema: &Validator, sample: &Value, place: &str) {
    let problems: Vec<String> = schema
        .iter_errors(sample)
        .map(|problem| format!("{}: {problem}", problem.instance_path()))
        .collect();
    assert!(problems.is_empty(), "{place}: {problems:?} in {sample}");
}

fn schema(subject: &str) -> Validator {
    let schema = serde_json::from_str(&read(&format!("docs/schemas/{subject}.json"))).unwrap();
    jsonschema::draft202012::options()
        .should_validate_formats(true)
        .build(&schema)
        .unwrap()
}

/// Every block of this language in the pages, and the page it stands in.
fn blocks(language: &str) -> Vec<(String, String)> {
    let mut blocks = Vec::new();
    for page in pages() {
        let text = read(&page);
        for rest in text.split(&format!("\n```{language}\n")).skip(1) {
            let block = rest.split("\n```").next().unwrap();
            blocks.push((page.clone(), block.to_owned()));
        }
    }
    blocks
}

/// Every Markdown file beside the README and in `docs` and `examples`.
fn pages() -> Vec<String> {
    let folders = ["", "docs", "examples"].into_iter();
    let files = folders.flat_map(|folder| {
        let entries = fs::read_dir(top().join(folder)).unwrap();
        entries.map(move |entry| Path::new(folder).join(entry.unwrap().file_name()))
    });
    let pages = files.filter(|file| file.extension().is_some_and(|end| end == "md"));
    pages.map(|page| page.display().to_string()).collect()
}

fn read(file: &str) -> String {
    fs::read_to_string(top().join(file)).unwrap_or_else(|why| panic!("{file}: {why}"))
}

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}
