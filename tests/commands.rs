//! Commands that need no RabbitMQ, as a user or a script runs them: `config`, `completions`, `man`, and help for all.

#![expect(clippy::unwrap_used, reason = "the helpers of a test fail it, too")]

use std::process::{Command, Output};

use serde_json::Value;

fn run(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_clockout"))
        .args(arguments)
        .env_clear()
        .envs(environment.iter().copied())
        .output()
        .unwrap()
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

/// What the command printed; it must have ended with 0 and without a word on standard error.
fn shown(arguments: &[&str], environment: &[(&str, &str)]) -> String {
    let output = run(arguments, environment);
    let log = text(output.stderr);
    assert!(
        output.status.success() && log.is_empty(),
        "{arguments:?}: {log}"
    );
    text(output.stdout)
}

/// As a reader such as `head` does, once it has seen enough.
#[test]
fn what_only_prints_does_not_mind_that_nobody_reads_to_the_end() {
    for arguments in [
        &["completions", "bash"][..],
        &["schema", "job"],
        &["config", "--json"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = Command::new(env!("CARGO_BIN_EXE_clockout"))
            .args(arguments)
            .env_clear()
            .env("CLOCKOUT_PBX_BASE_URL", "http://127.0.0.1:9")
            .stdout(writer)
            .output()
            .unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        assert_eq!(text(output.stderr), "", "{arguments:?}");
    }
}

const SECRET: &str = "hush-hush";

#[test]
fn config_shows_each_setting_with_its_source_and_no_secret() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let toml =
        format!("[pbx]\nname = \"main\"\npassword = \"{SECRET}\"\nusername = \"clockout\"\n");
    std::fs::write(file.path(), toml).unwrap();
    let path = file.path().to_str().unwrap();
    let arguments = [
        "config",
        "--config",
        path,
        "--amqp-url",
        "amqp://u:hush-hush@flag/%2f",
    ];
    let environment = [
        ("CLOCKOUT_PBX_API_KEY", SECRET),
        ("CLOCKOUT_BATCH_LINGER", "1s"),
    ];
    let table = shown(&arguments, &environment);
    let row = |key: &str| -> Vec<&str> {
        let mut rows = table.lines().map(|line| line.split('\t'));
        rows.find_map(|mut cells| (cells.next()? == key).then(|| cells.collect()))
            .unwrap_or_else(|| panic!("{key} in {table}"))
    };
    let second_line = format!("{path}:2");
    for (key, rest) in [
        ("amqp.url", ["\"amqp://u@flag/%2f\"", "--amqp-url"]),
        ("batch.linger", ["\"1s\"", "CLOCKOUT_BATCH_LINGER"]),
        ("batch.max_agents", ["50", "default"]),
        ("pbx.api_key", ["(hidden)", "CLOCKOUT_PBX_API_KEY"]),
        ("pbx.name", ["\"main\"", &second_line]),
    ] {
        assert_eq!(row(key), rest);
    }
    assert!(!table.contains(SECRET), "{table}");

    let whole = shown(&[&arguments[..], &["--json"]].concat(), &environment);
    assert!(!whole.contains(SECRET), "{whole}");
    let whole: Value = serde_json::from_str(&whole).unwrap();
    for (key, value, source) in [
        ("amqp.url", "amqp://u@flag/%2f".into(), "command line"),
        ("batch.linger", "1s".into(), "environment"),
        ("batch.max_agents", 50.into(), "default"),
        ("pbx.api_key", Value::Null, "environment"),
        ("pbx.name", "main".into(), "file"),
    ] {
        assert_eq!(
            (&whole[key]["value"], &whole[key]["source"]),
            (&value, &source.into())
        );
    }
    assert_eq!(whole["pbx.password"]["hidden"], true);
}

#[test]
fn config_tells_what_is_wrong_and_shows_the_rest() {
    let output = run(&["config"], &[("CLOCKOUT_BATCH_LINGER", "soon")]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(output.stderr).contains("batch.linger"));
    assert!(text(output.stdout).contains("batch.max_agents"));
}

#[test]
fn every_shell_gets_completions_of_every_command() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = shown(&["completions", shell], &[]);
        for word in ["check", "pbx-sim", "amqp-url"] {
            assert!(script.contains(word), "{word} for {shell}");
        }
    }
    let output = run(&["completions", "cmd.exe"], &[]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn there_is_a_manual_page_for_each_command() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(shown(&["man", folder.path().to_str().unwrap()], &[]), "");
    let page = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    let mut names = vec!["clockout.1".to_owned()];
    let mut read = 0;
    while let Some(name) = names.pop() {
        let text = page(&name);
        assert!(
            text.contains(".SH EXTRA\nExample"),
            "{name} shows no example: {text}"
        );
        // The pages of the commands below are named as `clockout\-check(1)`.
        let below = text
            .split_whitespace()
            .filter_map(|word| word.strip_suffix("(1)"));
        names.extend(below.map(|page| page.replace('\\', "") + ".1"));
        read += 1;
    }
    let written = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(read, written, "each page is named by the one above");
    assert!(page("clockout-dead-replay.1").contains("clockout dead replay \\-\\-code"));
    assert!(page("clockout-check.1").contains("Changes nothing"));
    let output = run(&["man", "/nonexistent"], &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(output.stderr).contains("/nonexistent"));
}
