//! Guards what users copy and compare: the sessions that the pages show, played with the real binary on the stage that each
//! page assumes, print what the pages say.

mod session;

use lapin::BasicProperties;
use serde_json::{Value, json};

use self::session::{Desk, Page, printed_in};
use crate::support::{Stage, json_message, stage};

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
