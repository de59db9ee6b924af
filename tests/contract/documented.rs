//! Guards what users copy and compare: the sessions that the pages show, played with the real binary on the stage that each
//! page assumes, print what the pages say.

mod docker;
mod operators;
mod readme;
mod sent;
mod session;
mod systemd;

use std::fs;
use std::path::Path;
use std::process::Command;

use lapin::BasicProperties;
use lapin::options::QueueDeleteOptions;
use serde_json::{Value, json};

use self::session::{Desk, Page, crm_queue, printed_in};
use crate::support::{Invocation, Stage, free_port, json_message, left_out, place, stage};

/// A rule of the simulated PBX: it refuses, in these words, what matches.
fn refusal(matching: &Value, text: &str) -> Value {
    json!({"match": matching, "effect": {"item": {"fail": {"text": text}}}})
}

#[tokio::test]
async fn the_sessions_of_the_page_on_sending_print_what_it_shows() {
    let stage = stage().await;
    stage.faults(json!([refusal(
        &json!({"agent": "553"}),
        "Interface not found"
    )]));
    let worker = stage.worker().start().await;
    let page = Page::read("docs/sending.md");
    let [one, many, wrong, looked_at, watch, made] = page.sessions();
    let desk = Desk::beside(&stage, &worker);
    let mut watching = desk.begin(watch);
    let mut watched = watching.says("following").await;
    for session in [one, many, wrong] {
        desk.play(session).await;
    }
    watched += &watching.rest().await.join("\n");
    desk.hold(&watched, printed_in(watch));
    for session in [looked_at, made] {
        desk.play(session).await;
    }
}

#[tokio::test]
async fn the_sessions_of_the_page_on_mending_print_what_it_shows() {
    let mut stage = stage().await;
    let worker = stage.worker().start().await;
    let locked = refusal(
        &json!({"agent": "553"}),
        "Extension locked by administrator",
    );
    let absent = refusal(&json!({"agent": "601"}), "not in queue");
    let failing = refusal(&json!({"queue": "10001"}), "Operation failed");
    stage.faults(json!([locked, absent, failing]));
    let pause = |agent: &str, queue: &str| {
        format!(
            r#"{{"job_id":"shift-2291/{agent}","action":"pause","queue":"{queue}","agent":"{agent}"}}"#
        )
    };
    let nameless = json_message().with_message_id("4194327081b247fd8face5314f84f14e".into());
    let stop = r#"{"action":"stop","queue":"10003","agent":"602"}"#;
    let remove = r#"{"job_id":"shift-2291/team-b","action":"remove","queue":"10002","agents":["552","553","554"]}"#;
    bury(&mut stage, "10003", stop, nameless).await;
    bury(&mut stage, "10003", &pause("601", "10003"), json_message()).await;
    bury(&mut stage, "10002", remove, json_message()).await;
    for agent in ["570", "571", "572", "573"] {
        bury(&mut stage, "10001", &pause(agent, "10001"), json_message()).await;
    }
    let page = Page::read("docs/mending.md");
    let [
        list,
        show,
        replay,
        replay_team,
        drop,
        drop_for_good,
        scripts,
    ] = page.sessions();
    let desk = Desk::beside(&stage, &worker);
    for session in [list, show, scripts] {
        desk.play(session).await;
    }
    stage.faults(json!([]));
    for session in [replay, replay_team, drop, drop_for_good] {
        desk.play(session).await;
    }
}

/// Publishes a job that fails, and waits for its dead letter.
async fn bury(stage: &mut Stage, queue: &str, job: &str, properties: BasicProperties) {
    stage.send_raw(queue, job.as_bytes(), properties).await;
    stage.dead.next().await;
}

#[tokio::test]
async fn the_sessions_of_the_page_on_shift_ends_print_what_it_shows() {
    let stage = stage().await;
    let worker = stage.worker().start().await;
    let page = Page::read("docs/shift-end.md");
    let desk = Desk::beside(&stage, &worker);
    for session in page.sessions::<3>() {
        desk.play(session).await;
    }
}

/// The recipe's script with a roster of two PBX queues.
#[tokio::test]
async fn the_script_of_the_page_on_shift_ends_sends_what_the_roster_says() {
    if let Err(why) = prepare_python() {
        return left_out("python", "the script of docs/shift-end.md", why);
    }
    let mut stage = stage().await;
    let _worker = stage.worker().start().await;
    let page = Page::read("docs/shift-end.md");
    let [script] = page.blocks("bash")[..] else {
        panic!("one script");
    };
    let folder = tempfile::tempdir().unwrap();
    let roster = folder.path().join("roster");
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/run");
    let script = script
        .replace("/opt/clockout/examples/run", example.to_str().unwrap())
        .replace(
            "/opt/shift-end/roster",
            &format!("bash {}", roster.display()),
        );
    let run = |action: &'static str| {
        let run = Invocation::of("bash", &stage.place, &["-c", &script, "send", action]);
        let run = run.environment("AMQP_URL", &stage.place.url);
        run.environment("JOBS_EXCHANGE", &stage.place.names.jobs)
    };

    for (says, sends) in [("exit 1", false), ("exit 0", true)] {
        fs::write(&roster, says).unwrap();
        let ended = run("pause").finished().await;
        assert_eq!((ended.code == Some(0), ended.stdout.as_str()), (sends, ""));
    }
    let says = "[[ $1 == *-late ]] && echo 10000:570,553 && echo 10001:602";
    fs::write(&roster, says).unwrap();
    let runs = ["pause", "remove"].map(run);
    for (action, run) in ["pause", "remove"].into_iter().zip(runs) {
        let ended = run.finished().await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let outcomes = stage.outcomes(3).await;
        let mut done: Vec<String> = outcomes.iter().map(in_short).collect();
        done.sort();
        let expected = ["10000/553", "10000/570", "10001/602"];
        let expected = expected.map(|agent| format!("{action} {agent} applied"));
        assert_eq!(done, expected);
    }
}

/// Action, PBX queue and agent, and the code.
fn in_short(outcome: &Value) -> String {
    let text = |field: &str| outcome[field].as_str().unwrap().to_owned();
    let [action, queue, agent, code] = ["action", "queue", "agent", "code"].map(text);
    format!("{action} {queue}/{agent} {code}")
}

#[tokio::test]
async fn the_sessions_of_the_page_on_the_simulated_pbx_print_what_it_shows() {
    let page = Page::read("docs/pbx-sim.md");
    let [start, sessions @ ..] = page.sessions::<5>();
    let desk = Desk::at(&place(), &format!("127.0.0.1:{}", free_port()));
    let mut sim = desk.begin(start);
    desk.hold(&sim.line().await, printed_in(start));
    for session in sessions {
        desk.play(session).await;
    }
}

#[tokio::test]
async fn the_sessions_of_the_page_on_examples_print_what_it_shows() {
    if let Err(why) = prepare_python() {
        return left_out("python", "examples/README.md", why);
    }
    let stage = stage().await;
    let worker = stage.worker().start().await;
    let page = Page::read("examples/README.md");
    let [hear, send] = page.sessions();
    let desk = Desk::beside(&stage, &worker);
    let mut consumer = desk.begin(hear);
    assert!(page.has_line(&consumer.line().await));
    desk.play(send).await;
    // In any order.
    for _ in 0..2 {
        let heard = consumer.line().await;
        assert!(page.has_line(&heard), "{heard}");
    }
    delete_crm_queue(&stage).await;
}

/// From nothing to the first job: the page brings its own PBX and its own worker.
#[tokio::test]
async fn the_sessions_for_integrators_print_what_their_page_shows() {
    if let Err(why) = prepare_python() {
        return left_out("python", "docs/integrating.md", why);
    }
    let place = place();
    let page = Page::read("docs/integrating.md");
    let [simulate, check, run, hear, send, fail] = page.sessions();
    let pbx = format!("127.0.0.1:{}", free_port());
    let desk = Desk::at(&place, &pbx).with("CLOCKOUT_WORKER_NAME", "callcentre-1");
    let mut sim = desk.begin(simulate);
    desk.hold(&sim.line().await, printed_in(simulate));
    desk.play(check).await;
    let stage = Stage::at(place.clone()).await;
    let mut worker = desk.begin(run);
    let log = worker.says("connected to RabbitMQ").await;
    desk.hold(&log, printed_in(run));
    let mut consumer = desk.begin(hear);
    desk.hold(&consumer.line().await, printed_in(hear));
    for session in [send, fail] {
        desk.play(session).await;
        for _ in 0..2 {
            let heard = consumer.line().await;
            assert!(page.has_line(&heard), "{heard}");
        }
    }
    delete_crm_queue(&stage).await;
}

/// What the examples in Python need; `Err` says why it cannot be had.
fn prepare_python() -> Result<(), String> {
    let prepare = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/prepare");
    let prepared = Command::new(prepare).arg("python").output().unwrap();
    let said = String::from_utf8_lossy(&prepared.stderr);
    let done = prepared.status.success().then_some(());
    done.ok_or_else(|| said.trim().to_owned())
}

async fn delete_crm_queue(stage: &Stage) {
    let (queue, options) = (crm_queue(&stage.place), QueueDeleteOptions::default());
    let channel = stage.rabbit.channel().await;
    channel.queue_delete(queue.into(), options).await.unwrap();
}
