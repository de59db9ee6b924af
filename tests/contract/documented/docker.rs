//! What the pages do with Docker, done: Compose brings up what they promise, and the container of docs/hardening.md is as
//! locked down as it says. On the ports of docker-compose.yml, with an image that `make docker` builds first.

use std::env;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use tempfile::NamedTempFile;

use super::session::Page;
use crate::support::{left_out, poll};

const CLOCKOUT: &str = env!("CARGO_BIN_EXE_clockout");

/// As `docker-compose.yml` names them, for whoever looks from outside and from inside.
const BROKER: &str = "amqp://guest:guest@127.0.0.1:5672/%2f";
const BROKER_INSIDE: &str = "amqp://guest:guest@rabbitmq:5672/%2f";

const HARDENED: &str = "clockout-hardened";

/// Which user a process in the container has, whether it can write, and what the first of them may do.
const LOOK: &str =
    "id -u; grep -E '^(Cap|NoNewPrivs:|Seccomp:)' /proc/1/status; touch /tmp/x 2>&1; true";

#[tokio::test]
async fn what_the_pages_start_in_docker_does_a_job_and_is_as_locked_down_as_they_say() {
    if env::var_os("CLOCKOUT_TEST_DOCKER").is_none() {
        let what = "what the pages start in Docker, and the Dockerfile";
        return left_out("docker", what, "`make docker` asks for it");
    }
    let help = shell("docker run --rm clockout --help");
    assert!(text(&help).contains("Usage: clockout"), "{help:?}");

    let page = Page::read("docs/integrating.md");
    let [up] = page.blocks("bash")[..] else {
        panic!("one command");
    };
    let compose = Compose::begin(up);
    poll("a worker that Compose started", async || {
        let mut status = Command::new(CLOCKOUT);
        status.args(["status", "--json", "--url", "http://127.0.0.1:9464"]);
        let status = text(&status.output().unwrap());
        status.contains(r#""subscribed":true"#).then_some(())
    })
    .await;
    pause("570");
    compose.run("stop clockout");
    let worker = compose.run("ps --all --quiet clockout");
    assert_eq!(inspect(worker.trim(), "{{.State.ExitCode}}"), "0");

    let rabbitmq = compose.run("ps --quiet rabbitmq");
    let networks = "{{range $name, $_ := .NetworkSettings.Networks}}{{$name}}{{end}}";
    let network = inspect(rabbitmq.trim(), networks);
    let secrets = tempfile::tempdir().unwrap();
    for (name, secret) in [("pbx_api_key", "any"), ("amqp_url", BROKER_INSIDE)] {
        fs::write(secrets.path().join(name), secret).unwrap();
    }
    let page = Page::read("docs/hardening.md");
    let mut commands = page.blocks("bash").into_iter();
    let run = commands.find(|block| block.starts_with("docker run "));
    let beside = format!("docker run --detach --name {HARDENED} --network {network} ");
    let run = run
        .expect("the command for a container")
        .replace("docker run ", &beside)
        .replace("/etc/clockout/secrets", secrets.path().to_str().unwrap())
        .replace("https://pbx.example", "http://pbx:8088");
    let _hardened = Removed(HARDENED);
    shell(&run);
    poll("a healthy container", async || {
        let health = inspect(HARDENED, "{{.State.Health.Status}}");
        (health == "healthy").then_some(())
    })
    .await;
    pause("571");
    let seen = shell(&format!("docker exec {HARDENED} bash -c \"{LOOK}\""));
    let seen = text(&seen);
    for expected in [
        "10001\n",
        "CapInh:\t0000000000000000\n",
        "CapPrm:\t0000000000000000\n",
        "CapEff:\t0000000000000000\n",
        "CapBnd:\t0000000000000000\n",
        "CapAmb:\t0000000000000000\n",
        "NoNewPrivs:\t1\n",
        "Seccomp:\t2\n",
        "Read-only file system",
    ] {
        assert!(seen.contains(expected), "no {expected:?} in {seen}");
    }
    shell(&format!("docker stop {HARDENED}"));
    assert_eq!(inspect(HARDENED, "{{.State.ExitCode}}"), "0");
}

/// An agent is paused by whichever worker is there, and told so.
fn pause(agent: &str) {
    let mut command = Command::new(CLOCKOUT);
    command
        .args(["send", "--action", "pause", "--queue", "10000", "--wait"])
        .args(["--agent", agent, "--amqp-url", BROKER]);
    let sent = command.output().unwrap();
    let is_applied = sent.status.success() && text(&sent).contains("succeeded\tapplied\t1\n");
    assert!(is_applied, "{sent:?}");
}

/// What a page's command of Compose has started; ended and removed with its data when dropped.
struct Compose {
    up: Child,
    /// As a plugin of Docker, or the program that it was before.
    program: &'static str,
    /// What it says is of use only where something fails.
    log: NamedTempFile,
}

impl Compose {
    fn begin(line: &str) -> Compose {
        let plugin = Command::new("docker").args(["compose", "version"]).output();
        let program = match plugin {
            Ok(version) if version.status.success() => "docker compose",
            Ok(_) | Err(_) => "docker-compose",
        };
        let log = NamedTempFile::new().unwrap();
        let line = line.replace("docker compose", program);
        let up = bash(&format!("exec {line}"))
            .stdin(Stdio::null())
            .stdout(log.reopen().unwrap())
            .stderr(log.reopen().unwrap())
            .spawn()
            .expect("bash starts");
        Compose { up, program, log }
    }

    fn run(&self, arguments: &str) -> String {
        text(&shell(&format!(
            "{} --profile sim {arguments}",
            self.program
        )))
    }
}

impl Drop for Compose {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let said = fs::read_to_string(self.log.path()).unwrap_or_default();
            eprintln!("Compose said:\n{said}");
        }
        let down = format!("{} --profile sim down --volumes", self.program);
        // `up` ends with what it started.
        drop(bash(&down).output());
        drop(self.up.wait());
    }
}

/// A container that is to be gone afterwards.
struct Removed(&'static str);

impl Drop for Removed {
    fn drop(&mut self) {
        drop(bash(&format!("docker rm --force {}", self.0)).output());
    }
}

fn inspect(container: &str, format: &str) -> String {
    let seen = shell(&format!("docker inspect --format '{format}' {container}"));
    text(&seen).trim().to_owned()
}

/// Runs a line, which has to succeed.
#[track_caller]
fn shell(line: &str) -> Output {
    let output = bash(line).output().expect("bash starts");
    assert!(output.status.success(), "{line}: {output:?}");
    output
}

fn bash(line: &str) -> Command {
    let mut bash = Command::new("bash");
    bash.args(["-c", line])
        // What `make up` has started is another project.
        .env("COMPOSE_PROJECT_NAME", "clockout-test")
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")));
    bash
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}
