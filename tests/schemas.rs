//! What machines read of the contract: the JSON Schemas in `docs/schemas` are those that the code makes, the AsyncAPI
//! document says the same, and every example in the pages is valid.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot read the pages has failed"
)]

#[path = "support/left_out.rs"]
mod left_out;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use clockout::engine::DeadLetter;
use clockout::engine::job::{Action, Agent, Echo, JobId, OutcomeId, PbxQueue, Timestamp};
use clockout::engine::outcome::{Code, Conclusion, Outcome};
use clockout::wire::outcome::{Encoder, Identity};
use clockout::wire::{self, Outgoing, dead_letter};
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
fn the_asyncapi_document_has_the_headers_keys_and_type_of_an_outcome() {
    let document: Value = serde_json::from_str(&read(ASYNC_API)).unwrap();
    let message = &document["components"]["messages"]["outcome"];
    let encoder = Encoder::new(Identity {
        pbx: "default".to_owned(),
        worker: "pbx-1-worker-1".to_owned(),
        run: "d712fa4d".to_owned(),
    });
    let whole = encoder.encode(&outcome_of_a_job());
    let least = encoder.encode(&outcome_of_what_is_no_job());
    assert_eq!(names(&message["headers"]["properties"]), named(&whole));
    assert_eq!(listed(&message["headers"]["required"]), named(&least));
    let kind = &message["bindings"]["amqp"]["messageType"];
    assert_eq!(kind, wire::outcome::TYPE);

    let channel = &document["channels"]["outcomes"];
    let form = channel["address"].as_str().unwrap();
    for (told, [action, status, queue]) in [
        (&whole, ["pause", "succeeded", "10000"]),
        (&least, ["_", "invalid", "_"]),
    ] {
        let parts = [("action", action), ("status", status), ("queue", queue)];
        let key = parts.iter().fold(form.to_owned(), |key, (part, value)| {
            key.replace(&format!("{{{part}}}"), value)
        });
        assert_eq!(told.routing_key, key.replace("{pbx}", "default"));
    }
    let actions = Action::ALL.map(Action::as_str).into_iter().chain(["_"]);
    let allowed = listed(&channel["parameters"]["action"]["enum"]);
    assert_eq!(allowed, actions.map(str::to_owned).collect());
}

#[test]
fn the_asyncapi_document_has_the_headers_of_jobs_and_dead_letters() {
    let document: Value = serde_json::from_str(&read(ASYNC_API)).unwrap();
    let headers = |message: &str| &document["components"]["messages"][message]["headers"];
    let of_jobs = [wire::trace_context::HEADER, dead_letter::REPLAY];
    let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let expected: BTreeSet<String> = set(&of_jobs);
    assert_eq!(names(&headers("job")["properties"]), expected);
    // A letter has those of its job beside its own.
    let expected: BTreeSet<String> = set(&[&of_jobs[..], &dead_letter::HEADERS].concat());
    assert_eq!(names(&headers("deadLetter")["properties"]), expected);
    let expected: BTreeSet<String> = set(&dead_letter::HEADERS);
    assert_eq!(listed(&headers("deadLetter")["required"]), expected);

    let schema = jsonschema::draft7::new(headers("deadLetter")).unwrap();
    for agents in [vec![], vec![Agent::parse("570").unwrap()]] {
        let letter = DeadLetter {
            code: Code::NotMember,
            message: None,
            agents,
            attempts: 2,
            at: AT,
        };
        let written = dead_letter::headers(&letter).into_iter();
        let written: BTreeMap<&str, String> = written.collect();
        fits(&schema, &serde_json::to_value(written).unwrap(), ASYNC_API);
    }
}

const AT: Timestamp = Timestamp(1_795_284_600_000);

/// With all that can be known.
fn outcome_of_a_job() -> Outcome {
    Outcome {
        id: OutcomeId::of("j", "10000", "570", "pause", None),
        job_id: JobId::parse("j").ok(),
        action: Some(Action::Pause),
        queue: PbxQueue::parse("10000").ok(),
        agent: Agent::parse("570").ok(),
        dry_run: false,
        requested_at: None,
        received_at: AT,
        echo: Arc::new(Echo {
            traceparent: Some("00-1-2-01".into()),
            ..Echo::default()
        }),
        conclusion: Conclusion {
            code: Code::Applied,
            message: None,
            attempts: 1,
            batch: None,
            superseded_by: None,
            completed_at: AT,
        },
    }
}

fn outcome_of_what_is_no_job() -> Outcome {
    let job = outcome_of_a_job();
    Outcome {
        job_id: None,
        action: None,
        queue: None,
        agent: None,
        echo: Arc::default(),
        conclusion: Conclusion {
            code: Code::MalformedJson,
            ..job.conclusion
        },
        ..job
    }
}

fn named(told: &Outgoing) -> BTreeSet<String> {
    let headers = told.headers.iter();
    headers.map(|(name, _)| (*name).to_owned()).collect()
}

fn names(object: &Value) -> BTreeSet<String> {
    object.as_object().unwrap().keys().cloned().collect()
}

fn listed(list: &Value) -> BTreeSet<String> {
    let list = list.as_array().unwrap().iter();
    list.map(|one| one.as_str().unwrap().to_owned()).collect()
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
