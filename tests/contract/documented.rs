//! Guards what users copy and compare: the sessions that the pages show, played with the real binary on the stage that each
//! page assumes, print what the pages say.

mod session;

use std::io::{Write as _, stderr};
use std::path::Path;
use std::process::Command;

use lapin::BasicProperties;
use lapin::options::QueueDeleteOptions;
use serde_json::{Value, json};

use self::session::{Desk, Page, crm_queue, printed_in};
use crate::support::{Stage, free_port, json_message, place, stage};

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
    let _worker = stage.worker().start().await;
    let page = Page::read("docs/sending.md");
    let [one, many, wrong, watch] = page.sessions();
    let desk = Desk::at(&stage.place, &stage.pbx.url());
    let mut watching = desk.begin(watch);
    let mut watched = watching.says("following").await;
    for session in [one, many, wrong] {
        desk.play(session).await;
    }
    watched += &watching.rest().await.join("\n");
    desk.hold(&watched, printed_in(watch));
}

#[tokio::test]
async fn the_sessions_of_the_page_on_mending_print_what_it_shows() {
    let mut stage = stage().await;
    let _worker = stage.worker().start().await;
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
    let [list, show, replay, drop, drop_for_good, scripts] = page.sessions();
    let desk = Desk::at(&stage.place, &stage.pbx.url());
    for session in [list, show, scripts] {
        desk.play(session).await;
    }
    stage.faults(json!([]));
    for session in [replay, drop, drop_for_good] {
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
    let _worker = stage.worker().start().await;
    let page = Page::read("docs/shift-end.md");
    let desk = Desk::at(&stage.place, &stage.pbx.url());
    for session in page.sessions::<3>() {
        desk.play(session).await;
    }
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

/// From nothing to the first job: the page brings its own PBX and its own worker.
#[tokio::test]
async fn the_sessions_for_integrators_print_what_their_page_shows() {
    let prepare = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/prepare");
    let prepared = Command::new(prepare).arg("python").output().unwrap();
    if !prepared.status.success() {
        // Past the capture of test output: what was not run must not look like what passed.
        let note =
            format!("left out: docs/integrating.md, as its Python cannot run: {prepared:?}\n");
        return stderr().write_all(note.as_bytes()).unwrap();
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
    let (queue, options) = (crm_queue(&place), QueueDeleteOptions::default());
    let channel = stage.rabbit.channel().await;
    channel.queue_delete(queue.into(), options).await.unwrap();
}

/// But for `clockout status`: its figures are those of one moment.
#[tokio::test]
async fn the_sessions_of_the_readme_print_what_it_shows() {
    let stage = stage().await;
    stage.faults(json!([refusal(
        &json!({"agent": "553"}),
        "Interface not found"
    )]));
    let _worker = stage.worker().start().await;
    let desk = Desk::at(&stage.place, &stage.pbx.url());
    let [_, many, _, _] = Page::read("docs/sending.md")
        .sessions()
        .map(ToOwned::to_owned);
    desk.lay(&many);
    let page = Page::read("README.md");
    let [send, _status] = page.sessions();
    desk.play(send).await;
}
