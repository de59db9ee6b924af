//! The settings from outside: files, environment and flags in, settings or problems out.

use std::panic::catch_unwind;
use std::path::PathBuf;

use secrecy::ExposeSecret;
use tempfile::TempDir;

use super::*;

const URL: (&str, &str) = ("CLOCKOUT_PBX_BASE_URL", "http://pbx.example");

fn variables(pairs: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
    pairs
        .iter()
        .map(|(name, value)| (name.into(), value.into()))
        .collect()
}

fn load(environment: &[(&str, &str)]) -> Result<Settings, Problems> {
    Settings::load(&Arguments::default(), variables(environment))
}

fn lines(result: Result<Settings, Problems>) -> Vec<String> {
    result
        .unwrap_err()
        .to_string()
        .lines()
        .map(str::to_owned)
        .collect()
}

fn written(text: &str) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("clockout.toml");
    std::fs::write(&path, text).unwrap();
    (dir, path)
}

fn load_file(text: &str, environment: &[(&str, &str)]) -> Result<Settings, Problems> {
    let (_dir, path) = written(text);
    let arguments = Arguments {
        config: Some(path),
        ..Arguments::default()
    };
    Settings::load(&arguments, variables(environment))
}

/// A certificate and its key, in PEM.
fn identity() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(["worker".to_owned()]).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem())
}

/// The one problem of a value, without the key and origin it begins with.
fn problem_of(variable: &str, value: &str) -> String {
    let lines = lines(load(&[URL, (variable, value)]));
    assert_eq!(lines.len(), 1, "{variable}={value}: {lines:#?}");
    lines[0].clone()
}

#[test]
fn every_default_is_the_one_of_contract_7() {
    let defaults = serde_json::to_value(Raw::default()).unwrap();
    let contract = serde_json::json!({
        "amqp": { "url": "amqp://guest:guest@127.0.0.1:5672/%2f", "url_file": null, "urls": [], "urls_file": null,
            "ca_file": null, "cert_file": null, "key_file": null },
        "jobs": { "exchange": "clockout.jobs", "queue": "clockout.jobs", "shards": 1, "prefetch": 4000, "max_age": "1h",
            "dedup_window": "10m", "delivery_limit": 100 },
        "pbx": { "name": "default", "base_url": null, "ca_file": null, "cert_file": null, "key_file": null,
            "api_key": null, "api_key_file": null, "username": null, "username_file": null, "password": null, "password_file": null,
            "connect_timeout": "3s", "timeout": "10s", "max_in_flight": 8, "max_calls_per_second": 0,
            "texts": {
                "absent": ["not there", "not in queue", "not found", "not a member"],
                "no_such_queue": ["no such queue"],
                "not_dynamic": ["not dynamic"],
                "retry": ["operation failed", "try again", "timeout", "busy"] } },
        "batch": { "max_agents": 50, "linger": "200ms" },
        "retry": { "initial": "250ms", "multiplier": 2.0, "max": "10s", "attempts_max": 6 },
        "breaker": { "failures": 5, "cooldown": "5s", "cooldown_max": "60s", "hold_max": "20m" },
        "results": { "exchange": "clockout.results", "queue": "clockout.results", "unroutable": "hold" },
        "dead": { "exchange": "clockout.dead", "queue": "clockout.dead" },
        "topology": { "declare": true },
        "policy": { "actions": ["pause", "remove"], "remove_queues": ["*"], "dry_run": false },
        "http": { "listen": "127.0.0.1:9464", "actions": false, "actions_token": null, "actions_token_file": null },
        "log": { "format": "text", "filter": "info" },
        "traces": { "endpoint": "", "headers": [], "headers_file": null, "timeout": "10s" },
        "shutdown": { "grace": "30s" },
        "watchdog": { "patience": "1m" },
        "worker": { "name": null },
    });
    assert_eq!(defaults, contract);
}

#[test]
fn the_defaults_mean_what_they_say() {
    let settings = load(&[URL]).unwrap();
    assert_eq!(
        settings.broker.addresses.first.shown,
        "amqp://guest@127.0.0.1:5672/%2f"
    );
    assert_eq!(settings.broker.prefetch.get(), 4000);
    assert_eq!(
        settings.broker.names.results_queue.as_deref(),
        Some("clockout.results")
    );
    assert_eq!(settings.pbx.base_url, "http://pbx.example");
    assert!(settings.pbx.api_key.is_none() && settings.pbx.basic.is_none());
    assert_eq!(settings.pbx.texts, pbx::texts::Settings::default());
    assert_eq!(settings.engine.prefetch.get(), 4000);
    assert_eq!(settings.engine.max_calls_per_second, None);
    assert_eq!(settings.engine.linger, Duration::from_millis(200));
    assert!(settings.engine.hold_unroutable);
    assert!(settings.engine.policy.pause && settings.engine.policy.remove);
    assert_eq!(settings.engine.policy.remove_queues, None);
    assert_eq!(settings.jobs.max_age, Some(Duration::from_hours(1)));
    assert_eq!(settings.http_listen, "127.0.0.1:9464".parse().ok());
    assert!(settings.traces.is_none());
    assert_eq!(settings.grace, Duration::from_secs(30));
    assert_eq!(settings.patience, Duration::from_mins(1));
    assert_eq!(settings.broker.pulse_every, Duration::from_secs(15));
    assert_eq!(
        settings.log,
        telemetry::Settings {
            filter: telemetry::Filter::parse("info").unwrap(),
            ..Default::default()
        }
    );
    assert!(
        settings
            .worker_name
            .ends_with(&format!("-{}", std::process::id()))
    );
}

#[test]
fn actions_need_a_token_that_nobody_guesses() {
    const ON: (&str, &str) = ("CLOCKOUT_HTTP_ACTIONS", "true");
    const TOKEN: &str = "CLOCKOUT_HTTP_ACTIONS_TOKEN";
    assert!(load(&[URL]).unwrap().actions_token.is_none());
    let off = load(&[URL, (TOKEN, "0123456789abcdef")]).unwrap();
    assert!(off.actions_token.is_none());
    let on = load(&[URL, ON, (TOKEN, "0123456789abcdef")]).unwrap();
    assert_eq!(
        on.actions_token.unwrap().expose_secret(),
        "0123456789abcdef"
    );
    let missing = lines(load(&[URL, ON]));
    assert!(
        missing[0].starts_with("http.actions_token is missing"),
        "{missing:?}"
    );
    for weak in ["", "tiny-7", "a token with spaces in it"] {
        let lines = lines(load(&[URL, ON, (TOKEN, weak)]));
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].starts_with("http.actions_token"), "{lines:?}");
        assert!(weak.is_empty() || !lines[0].contains(weak), "{lines:?}");
    }
}

#[test]
fn the_example_holds_every_key_with_its_default() {
    let text = include_str!("../../clockout.example.toml");
    let mut given: serde_json::Value = toml::from_str(text).unwrap();
    let mut defaults = serde_json::to_value(Raw::default()).unwrap();
    for section in defaults.as_object_mut().unwrap().values_mut() {
        let section = section.as_object_mut().unwrap();
        let absent: Vec<_> = section
            .iter()
            .filter(|(_, value)| value.is_null())
            .collect();
        for (key, _) in &absent {
            assert!(
                text.contains(&format!("\n# {key} = \"")),
                "{key} has no comment in the example"
            );
        }
        section.retain(|_, value| !value.is_null());
    }
    given["worker"] = serde_json::json!({});
    assert_eq!(given, defaults);
    assert!(load_file(text, &[URL]).is_ok());
}

#[test]
fn all_problems_are_told_at_once() {
    let file = "[jobs]\nprefetch = 0\nprefech = 1\n[retry]\nmultiplier = inf\n[nonsense]\n";
    let environment = [
        ("CLOCKOUT_BATCH_LINGER", "200"),
        ("CLOCKOUT_PBX_MAX_IN_FLIGHT", "many"),
        ("CLOCKOUT_PBX_APIKEY", "hush"),
    ];
    let (_dir, path) = written(file);
    let arguments = Arguments {
        config: Some(path.clone()),
        ..Arguments::default()
    };
    let problems = Settings::load(&arguments, variables(&environment)).unwrap_err();
    let lines: Vec<_> = problems.to_string().lines().map(str::to_owned).collect();
    let at = path.display();
    for start in [
        format!("jobs.prefetch ({at}:2) is 0; expected a whole number from 1 to 65535"),
        format!("jobs.prefech ({at}:3) is not a setting; expected a known key; the nearest is jobs.prefetch"),
        format!("retry.multiplier ({at}:5) does not fit"),
        format!("nonsense ({at}:6) is not a setting"),
        "batch.linger (CLOCKOUT_BATCH_LINGER) is \"200\"; expected a whole number with a unit".to_owned(),
        "pbx.max_in_flight (CLOCKOUT_PBX_MAX_IN_FLIGHT) does not fit; expected a whole number".to_owned(),
        "CLOCKOUT_PBX_APIKEY is not a setting; expected a known key; the nearest is CLOCKOUT_PBX_API_KEY".to_owned(),
        "pbx.base_url is missing; expected http://".to_owned(),
    ] {
        assert!(lines.iter().any(|line| line.starts_with(&start)), "{start}\nnot in {lines:#?}");
    }
    assert_eq!(lines.len(), 8, "{lines:#?}");
}

#[test]
fn each_value_out_of_range_is_a_problem_of_its_own() {
    for (variable, values) in [
        ("CLOCKOUT_JOBS_PREFETCH", ["0", "65536", "-1"].as_slice()),
        ("CLOCKOUT_JOBS_DELIVERY_LIMIT", &["0"]),
        ("CLOCKOUT_JOBS_SHARDS", &["0", "65"]),
        ("CLOCKOUT_RESULTS_QUEUE", &["clockout.jobs.shard-2"]),
        ("CLOCKOUT_DEAD_QUEUE", &["clockout.jobs.shard-64"]),
        ("CLOCKOUT_DEAD_EXCHANGE", &["clockout.jobs.shards"]),
        ("CLOCKOUT_JOBS_EXCHANGE", &["", "amq.topic"]),
        ("CLOCKOUT_JOBS_MAX_AGE", &["1", "", "1w", "366d"]),
        ("CLOCKOUT_JOBS_QUEUE", &["clockout.results", "a\nb"]),
        ("CLOCKOUT_RESULTS_EXCHANGE", &["clockout.jobs"]),
        ("CLOCKOUT_RESULTS_UNROUTABLE", &["drop"]),
        ("CLOCKOUT_PBX_NAME", &["", "a\tb"]),
        (
            "CLOCKOUT_PBX_BASE_URL",
            &["", "pbx", "http://pbx/api/v3", "http://u:p@pbx"],
        ),
        ("CLOCKOUT_PBX_API_KEY", &["", "a\nb"]),
        ("CLOCKOUT_PBX_PASSWORD", &["x"]),
        ("CLOCKOUT_PBX_USERNAME", &["", "a:b"]),
        ("CLOCKOUT_PBX_TIMEOUT", &["0s"]),
        ("CLOCKOUT_PBX_MAX_IN_FLIGHT", &["0"]),
        ("CLOCKOUT_PBX_MAX_CALLS_PER_SECOND", &["-1"]),
        ("CLOCKOUT_PBX_TEXTS_RETRY", &["['']"]),
        ("CLOCKOUT_PBX_CA_FILE", &["/nonexistent"]),
        ("CLOCKOUT_BATCH_MAX_AGENTS", &["0"]),
        ("CLOCKOUT_RETRY_MULTIPLIER", &["0.9", "-2", "1e9", "NaN"]),
        ("CLOCKOUT_RETRY_MAX", &["249ms", "0s"]),
        ("CLOCKOUT_RETRY_ATTEMPTS_MAX", &["0"]),
        ("CLOCKOUT_BREAKER_COOLDOWN_MAX", &["4s"]),
        ("CLOCKOUT_BREAKER_FAILURES", &["0"]),
        ("CLOCKOUT_POLICY_ACTIONS", &["pause,delete"]),
        ("CLOCKOUT_POLICY_REMOVE_QUEUES", &["*,100", "a b"]),
        ("CLOCKOUT_POLICY_DRY_RUN", &["yes"]),
        ("CLOCKOUT_HTTP_LISTEN", &["localhost", ":9464", "9464"]),
        ("CLOCKOUT_LOG_FORMAT", &["yaml"]),
        ("CLOCKOUT_LOG_FILTER", &["clockout=loud"]),
        (
            "CLOCKOUT_TRACES_ENDPOINT",
            &["127.0.0.1:4318", "http://k:s@h", "http://h/v1/traces"],
        ),
        (
            "CLOCKOUT_TRACES_HEADERS",
            &["key", "a b: c", "key:", "key: é"],
        ),
        ("CLOCKOUT_TRACES_HEADERS_FILE", &["/nonexistent"]),
        ("CLOCKOUT_TRACES_TIMEOUT", &["0s"]),
        ("CLOCKOUT_SHUTDOWN_GRACE", &["soon"]),
        ("CLOCKOUT_WORKER_NAME", &[""]),
        (
            "CLOCKOUT_AMQP_URL",
            &["", "amqp://u:p@[::1]/%2f", "http://localhost"],
        ),
        ("CLOCKOUT_AMQP_URLS", &["amqp://a,http://b", "[\"\"]"]),
        ("CLOCKOUT_AMQP_URLS_FILE", &["/nonexistent"]),
        ("CLOCKOUT_AMQP_CERT_FILE", &["/nonexistent"]),
        ("CLOCKOUT_PBX_KEY_FILE", &["/nonexistent"]),
    ] {
        for value in values {
            let key = variable.trim_start_matches("CLOCKOUT_").to_lowercase();
            let lines = lines(load(&[URL, (variable, value)]));
            let named = |line: &String| {
                line.split(' ')
                    .next()
                    .is_some_and(|k| k.replace('.', "_") == key)
            };
            assert!(lines.iter().any(named), "{variable}={value}: {lines:#?}");
        }
    }
}

#[test]
fn an_age_within_which_no_batch_leaves_is_refused_by_both_names() {
    for (variable, value, age, linger) in [
        ("CLOCKOUT_JOBS_MAX_AGE", "199ms", "199ms", "200ms"),
        ("CLOCKOUT_BATCH_LINGER", "61m", "1h", "61m"),
    ] {
        let problems = load(&[URL, (variable, value)]).unwrap_err().to_string();
        let from = if age == value {
            format!(" ({variable})")
        } else {
            String::new()
        };
        assert_eq!(
            problems,
            format!(
                "jobs.max_age{from} is {age:?}, shorter than batch.linger; expected at least {linger:?}, or \"0s\""
            )
        );
    }
    for max_age in ["0s", "200ms"] {
        assert!(load(&[URL, ("CLOCKOUT_JOBS_MAX_AGE", max_age)]).is_ok());
    }
}

#[test]
fn off_and_none_can_be_said() {
    let settings = load(&[
        URL,
        ("CLOCKOUT_HTTP_LISTEN", ""),
        ("CLOCKOUT_RESULTS_QUEUE", ""),
        ("CLOCKOUT_RESULTS_UNROUTABLE", "discard"),
        ("CLOCKOUT_JOBS_MAX_AGE", "0s"),
        ("CLOCKOUT_BATCH_LINGER", "0s"),
        ("CLOCKOUT_POLICY_ACTIONS", "pause"),
        ("CLOCKOUT_POLICY_REMOVE_QUEUES", "100, 0200"),
        ("CLOCKOUT_PBX_TEXTS_RETRY", ""),
        ("CLOCKOUT_PBX_MAX_CALLS_PER_SECOND", "20"),
        ("CLOCKOUT_PBX_USERNAME", "clockout"),
    ])
    .unwrap();
    assert_eq!(settings.http_listen, None);
    assert_eq!(settings.broker.names.results_queue, None);
    assert!(!settings.engine.hold_unroutable);
    assert_eq!(settings.jobs.max_age, None);
    assert_eq!(settings.engine.linger, Duration::ZERO);
    assert!(settings.engine.policy.pause && !settings.engine.policy.remove);
    let queues: Vec<_> = settings
        .engine
        .policy
        .remove_queues
        .iter()
        .flatten()
        .map(engine::job::PbxQueue::as_str)
        .collect();
    assert_eq!(queues, ["100", "0200"]);
    assert!(settings.pbx.texts.retry.is_empty());
    assert_eq!(
        settings
            .engine
            .max_calls_per_second
            .map(std::num::NonZero::get),
        Some(20)
    );
    assert_eq!(settings.pbx.basic.unwrap().password.expose_secret(), "");
}

#[test]
fn headers_for_the_receiver_of_traces_come_from_the_environment_or_a_file() {
    const ENDPOINT: (&str, &str) = ("CLOCKOUT_TRACES_ENDPOINT", "http://127.0.0.1:4318/");
    let (_dir, path) = written("Authorization: Bearer hush\n\nX-Scope-OrgID: call-centre\n");
    for headers in [
        (
            "CLOCKOUT_TRACES_HEADERS",
            "Authorization:Bearer hush, X-Scope-OrgID: call-centre",
        ),
        ("CLOCKOUT_TRACES_HEADERS_FILE", path.to_str().unwrap()),
    ] {
        let traces = load(&[URL, ENDPOINT, headers]).unwrap().traces.unwrap();
        assert_eq!(traces.endpoint, "http://127.0.0.1:4318");
        let headers = traces.headers.iter();
        let headers: Vec<_> = headers
            .map(|header| (header.name.as_str(), header.value.expose_secret()))
            .collect();
        assert_eq!(
            headers,
            [
                ("Authorization", "Bearer hush"),
                ("X-Scope-OrgID", "call-centre")
            ]
        );
    }
}

#[test]
fn flags_override_the_environment_and_that_the_file() {
    let file = "[amqp]\nurl = \"amqp://a:a@file\"\n[pbx]\nname = \"file\"\nbase_url = \"http://file\"\n[jobs]\nprefetch = 1\n";
    let (_dir, path) = written(file);
    let environment = [
        ("CLOCKOUT_CONFIG", path.to_str().unwrap()),
        ("CLOCKOUT_PBX_NAME", "environment"),
        ("CLOCKOUT_AMQP_URL", "amqp://a:a@environment"),
    ];
    let arguments = Arguments {
        amqp_url: Some("amqp://a:a@flag".to_owned()),
        ..Arguments::default()
    };
    let settings = Settings::load(&arguments, variables(&environment)).unwrap();
    assert_eq!(settings.broker.addresses.first.shown, "amqp://a@flag");
    assert_eq!(settings.pbx_name, "environment");
    assert_eq!(settings.pbx.base_url, "http://file");
    assert_eq!(settings.engine.prefetch.get(), 1);
}

#[test]
fn the_config_flag_goes_before_the_variable() {
    let (_dir, path) = written("[pbx]\nname = \"flag\"\n");
    let arguments = Arguments {
        config: Some(path),
        ..Arguments::default()
    };
    let settings = Settings::load(
        &arguments,
        variables(&[URL, ("CLOCKOUT_CONFIG", "/nonexistent")]),
    );
    assert_eq!(settings.unwrap().pbx_name, "flag");
    assert!(problem_of("CLOCKOUT_CONFIG", "/nonexistent").contains("cannot be read"));
    assert!(load(&[URL, ("CLOCKOUT_CONFIG", "")]).is_ok());
}

#[test]
fn a_secret_is_read_from_a_file_without_its_last_line_break() {
    let (_dir, path) = written("hush\n");
    let settings = load(&[URL, ("CLOCKOUT_PBX_API_KEY_FILE", path.to_str().unwrap())]).unwrap();
    assert_eq!(settings.pbx.api_key.unwrap().expose_secret(), "hush");
    let (_dir, path) = written("amqp://a:b@c/d\r\n");
    let settings = load_file(&format!("[amqp]\nurl_file = {path:?}\n"), &[URL]).unwrap();
    assert_eq!(
        settings.broker.addresses.first.url.expose_secret(),
        "amqp://a:b@c/d"
    );
}

#[test]
fn the_nodes_of_a_cluster_are_given_in_place_of_one_url() {
    let shown = |settings: Settings| -> Vec<String> {
        let addresses = settings.broker.addresses;
        let all = std::iter::once(addresses.first).chain(addresses.others);
        all.map(|address| address.shown).collect()
    };
    let three = [URL, ("CLOCKOUT_AMQP_URLS", "amqp://a, amqp://b, amqp://c")];
    let nodes = ["amqp://a", "amqp://b", "amqp://c"];
    assert_eq!(shown(load(&three).unwrap()), nodes);
    let one = "[amqp]\nurl = \"amqp://one\"\n";
    assert_eq!(shown(load_file(one, &three).unwrap()), nodes);
    let (_dir, path) = written("amqp://a\namqp://b\n\namqp://c\n");
    let in_a_file = [URL, ("CLOCKOUT_AMQP_URLS_FILE", path.to_str().unwrap())];
    assert_eq!(shown(load(&in_a_file).unwrap()), nodes);

    let several = "[amqp]\nurls = [\"amqp://a\", \"amqp://b\"]\n";
    let url = ("CLOCKOUT_AMQP_URL", "amqp://one");
    assert_eq!(
        shown(load_file(several, &[URL, url]).unwrap()),
        ["amqp://one"]
    );
    let none = ("CLOCKOUT_AMQP_URLS", "");
    assert_eq!(shown(load_file(one, &[URL, none]).unwrap()), ["amqp://one"]);
}

#[test]
fn one_url_and_several_at_once_are_a_problem_and_so_is_each_that_is_none() {
    let beside = [
        URL,
        ("CLOCKOUT_AMQP_URL", "amqp://a"),
        ("CLOCKOUT_AMQP_URLS", "amqp://a, http://b, c"),
    ];
    let told = lines(load(&beside));
    for start in [
        "amqp.urls (CLOCKOUT_AMQP_URLS) is given beside amqp.url; expected one of the two",
        "amqp.urls (CLOCKOUT_AMQP_URLS) entry 2 has a scheme other than amqp and amqps",
        "amqp.urls (CLOCKOUT_AMQP_URLS) entry 3 is not a URL",
    ] {
        assert!(
            told.iter().any(|line| line.starts_with(start)),
            "{start}\nnot in {told:#?}"
        );
    }
    assert_eq!(told.len(), 3, "{told:#?}");
}

#[test]
fn a_secret_given_twice_in_one_place_is_a_problem() {
    let (_dir, path) = written("hush");
    let path = path.to_str().unwrap();
    let environment = [
        URL,
        ("CLOCKOUT_PBX_API_KEY", "hush"),
        ("CLOCKOUT_PBX_API_KEY_FILE", path),
    ];
    let told = lines(load(&environment));
    assert_eq!(
        told,
        [
            "pbx.api_key_file (CLOCKOUT_PBX_API_KEY_FILE) is given beside pbx.api_key; expected one of the two"
        ]
    );
}

#[test]
fn a_secret_of_a_higher_layer_replaces_both_ways_of_a_lower_one() {
    let (_dir, path) = written("from a file".replace(' ', "-").as_str());
    let file = "[pbx]\napi_key = \"inline\"\n[amqp]\nurl_file = \"/nonexistent\"\n";
    let environment = [
        URL,
        ("CLOCKOUT_PBX_API_KEY_FILE", path.to_str().unwrap()),
        ("CLOCKOUT_AMQP_URL", "amqp://h"),
    ];
    let settings = load_file(file, &environment).unwrap();
    assert_eq!(settings.pbx.api_key.unwrap().expose_secret(), "from-a-file");
    assert_eq!(
        settings.broker.addresses.first.url.expose_secret(),
        "amqp://h"
    );
}

#[test]
fn no_secret_is_ever_printed() {
    let (certificate, key) = identity();
    let (_dir, pem) = written(&format!("{certificate}{key}"));
    let pem = pem.to_str().unwrap();
    let environment = [
        URL,
        ("CLOCKOUT_AMQP_URL", "amqps://user:HUSH@h/%2f"),
        ("CLOCKOUT_AMQP_CERT_FILE", pem),
        ("CLOCKOUT_AMQP_KEY_FILE", pem),
        ("CLOCKOUT_PBX_CERT_FILE", pem),
        ("CLOCKOUT_PBX_KEY_FILE", pem),
        ("CLOCKOUT_PBX_API_KEY", "HUSH"),
        ("CLOCKOUT_PBX_USERNAME", "user"),
        ("CLOCKOUT_PBX_PASSWORD", "HUSH"),
        ("CLOCKOUT_HTTP_ACTIONS", "true"),
        ("CLOCKOUT_HTTP_ACTIONS_TOKEN", "HUSHHUSHHUSHHUSH"),
        ("CLOCKOUT_TRACES_ENDPOINT", "http://127.0.0.1:9"),
        ("CLOCKOUT_TRACES_HEADERS", "authorization: Bearer HUSH"),
    ];
    let printed = format!("{:?}", load(&environment).unwrap());
    let panic = catch_unwind(|| load(&environment).unwrap_err()).unwrap_err();
    let panic = panic.downcast_ref::<String>().unwrap();
    assert!(panic.contains("user"), "{panic}");
    for secret in ["HUSH", key.lines().nth(1).unwrap()] {
        for shown in [&printed, panic] {
            assert!(!shown.contains(secret), "{shown}");
        }
        let as_bytes = format!("{:?}", secret.as_bytes());
        assert!(
            !printed.contains(as_bytes.trim_matches(['[', ']'])),
            "{printed}"
        );
    }

    let wrong = [
        ("CLOCKOUT_AMQP_URLS", "amqp://user:HUSH@[::1]/, HUSH"),
        ("CLOCKOUT_PBX_API_KEY", "HUSH\n"),
        ("CLOCKOUT_PBX_PASSWORD", "HUSH"),
        ("CLOCKOUT_PBX_BASE_URL", "http://user:HUSH@pbx"),
        ("CLOCKOUT_PBX_APIKEY", "HUSH"),
        // Mistaken for the variable that takes the secret itself.
        ("CLOCKOUT_PBX_USERNAME_FILE", "HUSH"),
        ("CLOCKOUT_AMQP_KEY_FILE", "HUSH"),
        ("CLOCKOUT_PBX_KEY_FILE", "HUSH"),
    ];
    let problems = load_file(
        "[amqp]\nurl = HUSH\n[pbx]\napi_key = [\"HUSH\"]\npassword = 'HUSH\n",
        &wrong,
    )
    .unwrap_err();
    assert!(problems.0.len() >= 6, "{problems}");
    assert!(
        !format!("{problems} {problems:?}").contains("HUSH"),
        "{problems}"
    );
}

#[test]
fn a_file_that_is_no_toml_is_told_with_its_line() {
    let told = lines(load_file("[jobs]\nprefetch = \n", &[URL]));
    assert!(
        told[0].contains("clockout.toml:2 is not TOML: "),
        "{told:#?}"
    );
    let told = lines(load_file("[pbx]\nbase_url = 5\n\"a\\nb\" = 1\n", &[]));
    assert_eq!(told.len(), 2, "{told:#?}");
    let told = lines(load_file("[batch]\nlinger = 200\n", &[URL]));
    assert!(
        told[0].contains("expected a whole number with a unit"),
        "{told:#?}"
    );
    let told = lines(load_file("jobs = 5\n[pbx]\nname = 7\ntexts = []\n", &[URL]));
    assert_eq!(told.len(), 3, "{told:#?}");
}

#[test]
fn client_certificate_and_key_go_together() {
    let (certificate, key) = identity();
    let (_, another_key) = identity();
    // Without the line break at the end, which not every editor writes.
    let (_dir, certificate) = written(certificate.trim_end());
    let (_dir, broken) = written("-----BEGIN CERTIFICATE-----\n");
    let (_dir, key) = written(&key);
    let (_dir, another_key) = written(&another_key);
    let (_dir, unreadable_key) = written("-----BEGIN ENCRYPTED PRIVATE KEY-----\n");
    let [certificate, broken, key, another_key, unreadable_key] =
        [&certificate, &broken, &key, &another_key, &unreadable_key]
            .map(|path| path.to_str().unwrap());
    for section in ["AMQP", "PBX"] {
        let variable = |name: &str| format!("CLOCKOUT_{section}_{name}_FILE");
        let (cert_file, key_file) = (variable("CERT"), variable("KEY"));
        let named = |name: &str| format!("{}.{name}_file ", section.to_lowercase());
        for (variable, value, name, other) in [
            (&cert_file, certificate, "cert", "key"),
            (&key_file, key, "key", "cert"),
        ] {
            let told = problem_of(variable, value);
            let lacks = format!("is given without {}", named(other).trim_end());
            assert!(
                told.starts_with(&named(name)) && told.contains(&lacks),
                "{told}"
            );
        }
        let both = |certificate, key| load(&[URL, (&cert_file, certificate), (&key_file, key)]);
        for (certificate, key, name, wrong) in [
            (
                certificate,
                "/dev/null",
                "key",
                "a PEM file with a PRIVATE KEY",
            ),
            (
                certificate,
                another_key,
                "key",
                "the key of that certificate",
            ),
            (certificate, unreadable_key, "key", "not encrypted"),
            (broken, key, "cert", "certificates in PEM"),
        ] {
            let told = lines(both(certificate, key));
            assert_eq!(told.len(), 1, "{told:#?}");
            assert!(
                told[0].starts_with(&named(name)) && told[0].contains(wrong),
                "{told:#?}"
            );
        }
        let settings = both(certificate, key).unwrap();
        let identities = (
            settings.broker.tls.client.is_some(),
            settings.pbx.identity_pem.is_some(),
        );
        assert_eq!(identities, (section == "AMQP", section == "PBX"));
        pbx::client::Client::new(&settings.pbx).unwrap();
    }
}

#[test]
fn commands_that_need_only_rabbitmq_need_no_pbx() {
    let settings = BrokerOnly::load(&Arguments::default(), variables(&[])).unwrap();
    assert_eq!(settings.pbx_name, "default");
    let wrong = variables(&[
        ("CLOCKOUT_JOBS_PREFETCH", "0"),
        ("CLOCKOUT_PBX_TIMEOUT", "0"),
    ]);
    assert_eq!(
        BrokerOnly::load(&Arguments::default(), wrong)
            .unwrap_err()
            .0
            .len(),
        2
    );
}

#[test]
fn the_schema_describes_every_key_with_its_default() {
    let schema = schema();
    assert_eq!(
        schema["$schema"],
        "https://json-schema.org/draft/2020-12/schema"
    );
    let defs = schema["$defs"].as_object().unwrap();
    for (name, section) in defs {
        for (key, property) in section["properties"].as_object().unwrap() {
            let described = property.get("description").is_some() || property.get("$ref").is_some();
            assert!(described, "{name}.{key} has no description");
            assert!(
                !property.to_string().contains("null"),
                "{name}.{key}: {property}"
            );
        }
    }
    assert_eq!(defs["Jobs"]["properties"]["prefetch"]["default"], 4000);
    assert_eq!(defs["Jobs"]["properties"]["prefetch"]["maximum"], 65_535);
    assert_eq!(defs["Jobs"]["additionalProperties"], false);
}
