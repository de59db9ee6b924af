//! Guards what is handed out to deploy the worker with: every setting in it is one, and the judges of systemd units,
//! manifests and Compose files have nothing to say, where they can be had.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on should panic and say where"
)]

#[path = "support/left_out.rs"]
mod left_out;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use clockout::settings::{Arguments, Settings};
use left_out::left_out;
use regex::Regex;

const FILES: [&str; 9] = [
    "README.md",
    "docker-compose.yml",
    "Dockerfile",
    "deploy/kubernetes/README.md",
    "deploy/kubernetes/deployment.yaml",
    "deploy/systemd/clockout.service",
    "docs/hardening.md",
    "docs/integrating.md",
    "docs/operating.md",
];

/// Each manifest, as its judge names it.
const MANIFESTS: [&str; 5] = [
    "deployment.yaml",
    "disruption.yaml",
    "settings.yaml",
    "scaledobject.yaml: ScaledObject",
    "scaledobject.yaml: TriggerAuthentication",
];

#[test]
fn every_variable_that_is_set_for_a_worker_is_a_setting() {
    for file in FILES {
        let text = read(file);
        let names = text.split(|c: char| !c.is_ascii_uppercase() && c != '_');
        let names = names.filter(|name| name.starts_with("CLOCKOUT_") && !name.ends_with('_'));
        for name in names.filter(|name| !name.starts_with("CLOCKOUT_TEST_")) {
            let given = [(OsString::from(name), OsString::from("/"))];
            let problems = match Settings::load(&Arguments::default(), given) {
                Ok(_) => continue,
                Err(problems) => problems.0,
            };
            let unknown = problems.iter().any(|problem| problem.key == name);
            assert!(!unknown, "{file}: {name} is no setting");
        }
    }
}

/// Where nothing is said in the shell.
#[test]
fn what_the_compose_file_sets_by_default_is_valid() {
    let text = read("docker-compose.yml");
    let given = text.lines().filter_map(|line| {
        let (name, value) = line.trim().split_once(": ")?;
        let default = value.strip_prefix("${")?.strip_suffix('}')?;
        let (_, default) = default.split_once(":-")?;
        let given = (OsString::from(name), OsString::from(default));
        name.starts_with("CLOCKOUT_").then_some(given)
    });
    if let Err(problems) = Settings::load(&Arguments::default(), given) {
        panic!("{problems}");
    }
}

/// The file that the manifests bring is one that the worker takes.
#[test]
fn the_settings_among_the_manifests_are_valid() {
    settings_among_the_manifests();
}

fn settings_among_the_manifests() -> Settings {
    let manifest = read("deploy/kubernetes/settings.yaml");
    let (_, block) = manifest.split_once("clockout.toml: |\n").unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    let lines: Vec<&str> = block.lines().map(str::trim_start).collect();
    fs::write(file.path(), lines.join("\n")).unwrap();
    let arguments = Arguments {
        config: Some(file.path().to_owned()),
        ..Arguments::default()
    };
    Settings::load(&arguments, []).unwrap_or_else(|problems| panic!("{problems}"))
}

#[test]
fn kubernetes_and_keda_would_take_the_manifests() {
    let check = Command::new(top().join("scripts/check-manifests")).output();
    let check = check.expect("the script starts");
    if check.status.code() == Some(3) {
        let why = String::from_utf8_lossy(&check.stderr);
        return left_out(
            "python",
            "the manifests, whose schemas cannot be installed",
            why,
        );
    }
    let said = String::from_utf8_lossy(&check.stdout);
    assert!(check.status.success(), "{check:?}");
    for manifest in MANIFESTS {
        let passed = format!("{manifest} passed");
        assert!(said.contains(&passed), "no {passed:?} in {said}");
    }
}

#[test]
fn the_scaled_object_is_about_the_deployment_and_the_queues_of_its_settings() {
    let scaled = read("deploy/kubernetes/keda/scaledobject.yaml");
    let deployment = read("deploy/kubernetes/deployment.yaml");
    let scaled_name = after(&scaled, "scaleTargetRef:\n    name: ");
    let name = after(&deployment, "kind: Deployment\nmetadata:\n  name: ");
    assert_eq!(scaled_name, name);

    let settings = settings_among_the_manifests();
    let names = settings.broker.names;
    let queue = names.jobs_queue;
    let queues = Regex::new(after(&scaled, "queueName: ")).unwrap();
    for shard in ["", ".shard-1", ".shard-63"] {
        assert!(
            queues.is_match(&format!("{queue}{shard}")),
            "{queue}{shard}"
        );
    }
    for other in names.results_queue.iter().chain([&names.dead_queue]) {
        assert!(!queues.is_match(other), "{other}");
    }
}

/// What follows a mark on its line.
fn after<'t>(text: &'t str, mark: &str) -> &'t str {
    let (_, rest) = text
        .split_once(mark)
        .unwrap_or_else(|| panic!("no {mark:?}"));
    rest.lines().next().unwrap()
}

#[test]
fn systemd_would_take_the_unit_and_finds_it_locked_down() {
    let version = Command::new("systemd-analyze").arg("--version").output();
    if let Err(why) = version {
        return left_out("systemd", "deploy/systemd/clockout.service", why);
    }
    // What is verified includes that the program is there.
    let unit = read("deploy/systemd/clockout.service");
    let unit = unit.replace("/usr/local/bin/clockout", env!("CARGO_BIN_EXE_clockout"));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clockout.service");
    fs::write(&path, unit).unwrap();
    for arguments in [
        &["verify"][..],
        &["security", "--offline=true", "--threshold=20"],
    ] {
        let run = Command::new("systemd-analyze")
            .args(arguments)
            .arg(&path)
            .output()
            .unwrap();
        // What it warns of, but takes, it says there.
        let warned = String::from_utf8_lossy(&run.stderr);
        assert!(
            run.status.success() && warned.is_empty(),
            "{arguments:?}: {warned}"
        );
    }
}

/// The recipe's units, with a program that is there.
#[test]
fn systemd_would_take_the_units_in_the_recipes() {
    let page = read("docs/shift-end.md");
    let folder = tempfile::tempdir().unwrap();
    let units = page.split("```ini\n# /etc/systemd/system/").skip(1);
    let units: Vec<PathBuf> = units
        .map(|rest| {
            let (name, rest) = rest.split_once(['\n', ',']).unwrap();
            let unit = rest.split_once('[').unwrap().1.split("```").next().unwrap();
            let unit = format!("[{unit}").replace("/opt/shift-end/send", "/bin/true");
            let path = folder.path().join(name.replace('@', "@pause"));
            fs::write(&path, unit).unwrap();
            path
        })
        .collect();
    assert_eq!(units.len(), 2);
    let mut verify = Command::new("systemd-analyze");
    let run = match verify.arg("verify").args(&units).output() {
        Ok(run) => run,
        Err(why) => return left_out("systemd", "the units of shift-end.md", why),
    };
    assert!(run.status.success() && run.stderr.is_empty(), "{run:?}");
}

#[test]
fn systemd_understands_every_calendar_in_the_recipes() {
    let page = read("docs/shift-end.md");
    let calendars = page.split("OnCalendar=").skip(1);
    let calendars: Vec<&str> = calendars
        .filter_map(|rest| rest.split(['\n', '`']).next())
        .collect();
    assert_eq!(calendars.len(), 2);
    for calendar in calendars {
        let mut analyze = Command::new("systemd-analyze");
        let run = match analyze.args(["calendar", calendar]).output() {
            Ok(run) => run,
            Err(why) => return left_out("systemd", "the calendars of shift-end.md", why),
        };
        assert!(run.status.success(), "{calendar}: {run:?}");
    }
}

#[test]
fn compose_would_take_its_file_with_any_profile() {
    // As a plugin of Docker, and as the program that it was before.
    let Some(compose) = [&["docker", "compose"][..], &["docker-compose"]]
        .into_iter()
        .find(|compose| run_compose(compose, &["version"]).is_ok_and(|run| run.status.success()))
    else {
        return left_out(
            "compose",
            "docker-compose.yml",
            "neither plugin nor program",
        );
    };
    for profiles in [&[][..], &["sim"], &["sim", "watch"]] {
        let flags = profiles.iter().flat_map(|profile| ["--profile", profile]);
        let arguments: Vec<&str> = flags.chain(["config", "--quiet"]).collect();
        let run = run_compose(compose, &arguments).unwrap();
        assert!(run.status.success(), "{compose:?} {profiles:?}: {run:?}");
    }
}

fn run_compose(compose: &[&str], arguments: &[&str]) -> std::io::Result<Output> {
    let (program, first) = compose.split_first().unwrap();
    let mut command = Command::new(program);
    command.args(first).args(arguments).current_dir(top());
    command.output()
}

fn read(file: &str) -> String {
    fs::read_to_string(top().join(file)).unwrap_or_else(|why| panic!("{file}: {why}"))
}

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}
