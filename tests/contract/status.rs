//! Guards `clockout status`: it asks a running worker and shows what that says, once in a pipe, again and again on a
//! terminal; and says so where there is no worker.

use std::io::{Read as _, Write as _};
use std::process::{Command, Output, Stdio};

use lapin::options::{QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::{AMQPValue, FieldTable};
use serde_json::{Value, json};

use crate::support::{free_port, poll, stage, within};

const CLOCKOUT: &str = env!("CARGO_BIN_EXE_clockout");

fn status(arguments: &[&str]) -> Output {
    let mut command = Command::new(CLOCKOUT);
    let command = command.arg("status").args(arguments).env_clear();
    command.output().unwrap()
}

#[tokio::test]
async fn in_a_pipe_it_says_once_how_the_worker_stands() {
    let mut stage = stage().await;
    let failing =
        json!({"match": {"agent": "7"}, "effect": {"item": {"fail": {"text": "No such queue"}}}});
    stage.faults(json!([failing]));
    let worker = stage.worker().set("worker.name", "w-1").start().await;
    for agent in ["7", "8"] {
        let job = json!({"job_id": agent, "action": "pause", "queue": "10000", "agent": agent});
        stage.perform(job).await;
    }
    let late = json!({
        "action": "pause", "queue": "10000", "agent": "9", "expires_at": "2026-01-01T00:00:00Z"
    });
    stage.perform(late).await;
    worker
        .shows(r#"clockout_dead_letters_total{code="no_such_queue"} 1"#)
        .await;
    // Counted second by second, and asked of RabbitMQ from time to time.
    let settled = [
        "2 of 3",
        "held       0 jobs",
        "waiting    0 jobs",
        "1 letter in ",
    ];
    let text = poll("a status after all that", async || {
        let output = status(&["--url", &worker.url()]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        let settled = settled.iter().all(|words| text.contains(words));
        settled.then_some(text)
    })
    .await;
    let dead = &stage.place.names.dead;
    for expected in [
        ", w-1, PBX default, up ",
        "\nWorks, but 2 of 3 agents failed lately\n",
        "RabbitMQ   connected and subscribed\n",
        "breaker    closed, calls are made\n",
        "waiting    0 jobs in RabbitMQ\n",
        "held       0 jobs, 0 calls under way\n",
        "outcomes   1 expired, 1 failed, 1 succeeded\n",
        &format!("dead       1 letter in {dead}; since the start: 1\n"),
        "\t1\tpause on 10000\tno_such_queue\tNo such queue\n",
        "\t1\tpause on 10000\texpired\t",
    ] {
        assert!(text.contains(expected), "no {expected:?} in\n{text}");
    }
    assert!(!text.contains('\u{1b}'), "{text:?}");

    let output = status(&["--json", "--url", &worker.url()]);
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&json["worker"], &json["ready"]),
        (&"w-1".into(), &true.into())
    );
}

#[tokio::test]
async fn a_worker_that_somebody_paused_is_paused_and_not_in_trouble() {
    const TOKEN: &str = "a-token-of-this-test";
    let stage = stage().await;
    let worker = stage.worker().set("http.actions", "true");
    let worker = worker.set("http.actions_token", TOKEN).start().await;
    worker.ready().await;
    worker.act("pause", TOKEN, r#"{"who": "Sara"}"#).await;
    worker.answers("/readyz", 503).await;
    poll("the end of the subscription", async || {
        let status = worker.get("/status").await?.body;
        status.contains(r#""subscribed":false"#).then_some(())
    })
    .await;
    let job = json!({"action": "pause", "queue": "10000", "agent": "570"});
    stage.send(job).await;
    let text = poll("what RabbitMQ says of the job", async || {
        let output = status(&["--url", &worker.url()]);
        let text = String::from_utf8(output.stdout).unwrap();
        text.contains("\nwaiting    1 job in RabbitMQ\n")
            .then_some(text)
    })
    .await;
    let expected = "\nPaused\n  no jobs are taken until consuming is resumed\n";
    assert!(text.contains(expected), "{text}");
}

/// What waits was there before the worker, and what RabbitMQ does not say costs nothing but the figure.
#[tokio::test]
async fn dead_letters_are_counted_where_they_wait_and_a_queue_that_is_gone_is_not_known() {
    let mut stage = stage().await;
    stage.faults(json!([{"effect": {"item": {"fail": {"text": "No such queue"}}}}]));
    let mut earlier = stage.worker().start().await;
    let job = json!({"job_id": "a", "action": "pause", "queue": "10000", "agent": "1"});
    assert_eq!(stage.perform(job).await["code"], "no_such_queue");
    stage.dead.next().await;
    earlier.signal("TERM");
    earlier.ended().await;

    let worker = stage.worker().set("watchdog.patience", "2s").start().await;
    let dead = stage.place.names.dead.clone();
    let ready = async |expected: Value| {
        poll(format_args!("{expected} waiting in {dead}"), async || {
            let status: Value = serde_json::from_str(&worker.get("/status").await?.body).unwrap();
            let is = status["dead"] == json!({"queue": dead, "ready": expected});
            is.then_some(status)
        })
        .await
    };
    let said = ready(json!(1)).await;
    assert_eq!(said["totals"]["dead_letters"], 0);
    worker.shows("clockout_dead_letters_ready 1.0").await;

    let channel = stage.rabbit.channel().await;
    let options = QueueDeleteOptions::default();
    channel
        .queue_delete(dead.as_str().into(), options)
        .await
        .unwrap();
    ready(Value::Null).await;
    worker.shows("clockout_dead_letters_ready NaN").await;
    let text = String::from_utf8(status(&["--url", &worker.url()]).stdout).unwrap();
    let said =
        format!("letters in {dead}: not known, as RabbitMQ does not say; since the start: 0");
    assert!(text.contains(&said), "{text}");
    stage.faults(json!([]));
    let job = json!({"job_id": "b", "action": "pause", "queue": "10000", "agent": "1"});
    assert_eq!(stage.perform(job).await["code"], "applied");

    let options = QueueDeclareOptions::durable();
    let mut arguments = FieldTable::default();
    arguments.insert(
        "x-queue-type".into(),
        AMQPValue::LongString("quorum".into()),
    );
    channel
        .queue_declare(dead.as_str().into(), options, arguments)
        .await
        .unwrap();
    let said = ready(json!(0)).await;
    assert_eq!(said["broker"]["reconnects"], 0);
}

#[tokio::test]
async fn a_worker_that_only_pretends_says_so() {
    let mut stage = stage().await;
    let worker = stage.worker().set("policy.dry_run", "true").start().await;
    worker.ready().await;
    let job = json!({"action": "pause", "queue": "10000", "agent": "570"});
    assert_eq!(stage.perform(job).await["status"], "dry_run");
    let text = String::from_utf8(status(&["--url", &worker.url()]).stdout).unwrap();
    for expected in [
        "PBX default (dry run: never called), up",
        "\nDry run: the PBX is never called\n",
    ] {
        assert!(text.contains(expected), "no {expected:?} in\n{text}");
    }
}

#[tokio::test]
async fn where_no_worker_answers_it_fails_and_says_where_it_asked() {
    let port = free_port();
    let output = status(&["--url", &format!("http://127.0.0.1:{port}")]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    let expected = format!("no worker answers at http://127.0.0.1:{port}/status");
    assert!(said.contains(&expected), "{said}");
    assert_eq!(status(&["--url", "https://worker"]).status.code(), Some(2));
}

#[tokio::test]
async fn on_a_terminal_it_is_drawn_anew_until_it_is_interrupted() {
    const TOP: &str = "\u{1b}[H\u{1b}[J";
    const INTERRUPT: &[u8] = b"\x03";
    let stage = stage().await;
    let worker = stage.worker().start().await;
    // In the shell's place: interrupted itself, a shell may say 130 for a command that ended well.
    let command = format!("exec {CLOCKOUT} status --url {}", worker.url());
    let mut terminal = Command::new("script")
        .args(["--quiet", "--return", "--command", &command, "/dev/null"])
        .env("SHELL", "/bin/sh")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut keyboard = terminal.stdin.take().unwrap();
    let mut screen = terminal.stdout.take().unwrap();
    let reading = tokio::task::spawn_blocking(move || {
        let (mut shown, mut bytes) = (String::new(), [0; 4096]);
        let mut interrupted = false;
        while let Ok(count @ 1..) = screen.read(&mut bytes) {
            shown += &String::from_utf8_lossy(&bytes[..count]);
            if shown.matches(TOP).count() >= 3 && !interrupted {
                keyboard.write_all(INTERRUPT).unwrap();
                interrupted = true;
            }
        }
        shown
    });
    let shown = within("three pictures", reading).await.unwrap();
    assert!(shown.contains("All is well"), "{shown}");
    assert_eq!(terminal.wait().unwrap().code(), Some(0));
}
