//! What docs/hardening.md says of the unit of deploy/systemd, done: a Debian that systemd-nspawn boots runs it, with the
//! network of this machine. In the folder that `make systemd` makes first.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::NamedTempFile;

use crate::support::{PATIENCE, Stage, left_out, poll, stage};

const UNIT: &str = "deploy/systemd/clockout.service";

/// Of this boot.
const JOURNAL: &str = "journalctl --no-pager --boot --unit clockout";

/// Those that systemd gives to `DynamicUser=` (systemd.exec(5)).
const DYNAMIC_USERS: std::ops::RangeInclusive<u32> = 61_184..=65_519;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_unit_run_in_systemd_is_as_locked_down_and_comes_back_as_the_page_says() {
    let Some(root) = env::var_os("CLOCKOUT_TEST_SYSTEMD") else {
        return left_out("nspawn", UNIT, "`make systemd` asks for it, as root");
    };
    let mut stage = stage().await;
    let debian = Debian::boot(PathBuf::from(root), &stage).await;

    debian.run("systemctl daemon-reload && systemctl start clockout");
    assert_eq!(debian.show("ActiveState"), "active");
    stage
        .send_all((0..200).map(|number| pause(1_000 + number)))
        .await;
    let outcomes = stage.outcomes(200).await;
    assert!(outcomes.iter().all(|outcome| outcome["code"] == "applied"));

    let process = format!("/proc/{}", debian.show("MainPID"));
    let status = debian.run(&format!("cat {process}/status"));
    let user: u32 = row(&status, "Uid:").parse().unwrap();
    assert!(DYNAMIC_USERS.contains(&user), "{user}");
    for none in ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"] {
        assert_eq!(row(&status, none), "0000000000000000", "{none}");
    }
    assert_eq!(
        (row(&status, "NoNewPrivs:"), row(&status, "Seccomp:")),
        ("1", "2")
    );
    let mounts = debian.run(&format!("cat {process}/mountinfo"));
    assert!(is_read_only(&mounts, "/"), "{mounts}");
    for own in ["/tmp", "/var/tmp"] {
        assert!(is_private(&mounts, own), "{own}: {mounts}");
    }

    debian.run("systemctl kill --signal KILL clockout");
    debian.comes_back(1).await;
    assert_eq!(stage.perform(pause(1)).await["code"], "applied");
    debian.run("systemctl kill --signal STOP clockout");
    debian.comes_back(2).await;
    assert!(
        debian
            .run("journalctl --unit clockout")
            .contains("Watchdog timeout")
    );
    assert_eq!(stage.perform(pause(2)).await["code"], "applied");

    stage.faults(json!([{"effect": {"latency": {"ms": 2_000, "jitter_ms": 0}}}]));
    let called = stage.calls().len();
    stage.send(pause(3)).await;
    stage.called(called + 1).await;
    debian.run("systemctl stop clockout");
    assert_eq!(
        (debian.show("Result"), debian.show("ExecMainStatus")),
        ("success".to_owned(), "0".to_owned())
    );
    assert_eq!(stage.outcomes(1).await[0]["code"], "applied");

    debian.configure(|settings| settings + "\n[nonsense]\n");
    debian.run("systemctl start clockout || true");
    assert_eq!(
        (debian.show("ActiveState"), debian.show("ExecMainStatus")),
        ("failed".to_owned(), "2".to_owned())
    );
    assert_eq!(debian.show("NRestarts"), "0");
}

fn pause(agent: u32) -> Value {
    json!({"action": "pause", "queue": "10000", "agent": agent.to_string()})
}

/// What stands first beside a name.
fn row<'t>(text: &'t str, name: &str) -> &'t str {
    let mut lines = text.lines().filter_map(|line| line.strip_prefix(name));
    let row = lines
        .next()
        .unwrap_or_else(|| panic!("no {name} in {text}"));
    row.split_whitespace().next().unwrap()
}

/// What `/proc/PID/mountinfo` says of a place (proc(5)): the folder that is mounted there last, and how.
fn mount<'m>(mounts: &'m str, place: &str) -> Option<(&'m str, &'m str)> {
    let mut fields = mounts
        .lines()
        .map(|line| line.split(' ').collect::<Vec<_>>());
    let found = fields.rfind(|fields| fields[4] == place)?;
    Some((found[3], found[5]))
}

fn is_read_only(mounts: &str, place: &str) -> bool {
    mount(mounts, place).is_some_and(|(_, how)| how.split(',').any(|option| option == "ro"))
}

/// Whether it is writable and nobody else's.
fn is_private(mounts: &str, place: &str) -> bool {
    mount(mounts, place).is_some_and(|(folder, how)| {
        folder.contains("systemd-private-") && how.split(',').any(|option| option == "rw")
    })
}

/// A Debian with a systemd of its own; ended when dropped.
struct Debian {
    root: PathBuf,
    container: Child,
    /// What it says is of use only where something fails.
    log: NamedTempFile,
}

impl Debian {
    /// Installs the unit as its first lines say, with this stage's RabbitMQ and PBX, and boots.
    async fn boot(root: PathBuf, stage: &Stage) -> Debian {
        install(&root);
        let secrets = root.join("etc/clockout/secrets");
        fs::write(secrets.join("amqp_url"), &stage.place.url).unwrap();
        fs::write(secrets.join("pbx_api_key"), "any").unwrap();
        let log = NamedTempFile::new().unwrap();
        let container = Command::new("systemd-nspawn")
            .args(["--boot", "--register=no", "--keep-unit", "--directory"])
            .arg(&root)
            .stdin(Stdio::null())
            .stdout(log.reopen().unwrap())
            .stderr(log.reopen().unwrap())
            .spawn()
            .expect("systemd-nspawn starts");
        let debian = Debian {
            root,
            container,
            log,
        };
        debian.configure(|settings| {
            settings.replace(
                "# base_url = \"https://pbx.example:8088\"",
                &format!("base_url = \"{}\"", stage.pbx.url()),
            )
        });
        poll("a Debian that is up", async || {
            let answer = debian.enter("systemctl is-system-running")?;
            text(&answer).starts_with("running").then_some(())
        })
        .await;
        debian
    }

    /// Writes its settings: those of the example, changed so.
    fn configure(&self, change: impl FnOnce(String) -> String) {
        let settings = self.root.join("etc/clockout/clockout.toml");
        let before = fs::read_to_string(&settings).unwrap();
        let after = change(before.clone());
        assert_ne!(before, after);
        fs::write(settings, after).unwrap();
    }

    /// A property of the unit (systemctl(1), `show`).
    fn show(&self, property: &str) -> String {
        let value = self.run(&format!(
            "systemctl show --value --property {property} clockout"
        ));
        value.trim().to_owned()
    }

    /// Waits until systemd has started it again so many times.
    async fn comes_back(&self, times: u32) {
        poll(format_args!("start {times} after the first"), async || {
            let seen = (self.show("NRestarts"), self.show("ActiveState"));
            (seen == (times.to_string(), "active".to_owned())).then_some(())
        })
        .await;
    }

    /// Runs a line in it, which has to succeed; what it prints.
    #[track_caller]
    fn run(&self, line: &str) -> String {
        let output = self.enter(line).expect("a Debian that is up");
        assert!(output.status.success(), "{line}: {output:?}");
        text(&output)
    }

    /// `None`: it is not set up yet.
    fn enter(&self, line: &str) -> Option<Output> {
        let mut nsenter = Command::new("nsenter");
        nsenter.args(["--all", "--target", &self.leader()?, "bash", "-c", line]);
        Some(nsenter.output().expect("nsenter starts"))
    }

    /// Its process 1, as this machine numbers it. Before that there is a child that only sets it up, and still is on this machine.
    fn leader(&self) -> Option<String> {
        let children = format!("/proc/{0}/task/{0}/children", self.container.id());
        let child = fs::read_to_string(children).ok()?.trim().to_owned();
        let status = fs::read_to_string(format!("/proc/{child}/status")).ok()?;
        let numbers = status
            .lines()
            .find_map(|line| line.strip_prefix("NSpid:"))?;
        let numbers: Vec<&str> = numbers.split_whitespace().collect();
        matches!(numbers[..], [_, .., "1"]).then_some(child)
    }
}

impl Drop for Debian {
    fn drop(&mut self) {
        if thread::panicking() {
            let journal = self.enter(JOURNAL).as_ref().map(text).unwrap_or_default();
            let said = fs::read_to_string(self.log.path()).unwrap_or_default();
            eprintln!("Debian said:\n{said}\n{journal}");
        }
        // It shuts down in good order, which ends the container.
        let terminate = format!("kill -TERM {}", self.container.id());
        drop(Command::new("sh").args(["-c", &terminate]).output());
        let begun = Instant::now();
        while let Ok(None) = self.container.try_wait() {
            if begun.elapsed() > PATIENCE {
                drop(self.container.kill());
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Carries out the lines of the unit by which one installs it, in that folder.
fn install(root: &Path) {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    let unit = fs::read_to_string(repository.join(UNIT)).unwrap();
    let lines = unit.lines().filter_map(|line| line.strip_prefix("#   "));
    let lines: Vec<&str> = lines.filter(|line| line.starts_with("install ")).collect();
    assert_eq!(lines.len(), 5);
    for line in lines {
        let line = line
            .replace(" /usr/local/", &format!(" {}/usr/local/", root.display()))
            .replace(" /etc/", &format!(" {}/etc/", root.display()))
            .replace("target/release/clockout", env!("CARGO_BIN_EXE_clockout"));
        let mut bash = Command::new("bash");
        let done = bash.args(["-c", &line]).current_dir(repository).output();
        assert!(
            done.as_ref().is_ok_and(|done| done.status.success()),
            "{line}: {done:?}"
        );
    }
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}
