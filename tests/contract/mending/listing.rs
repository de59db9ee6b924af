//! Looking at dead letters: all of them, whoever put them there, and without a trace.

use lapin::BasicProperties;
use lapin::options::{BasicConsumeOptions, BasicQosOptions};
use lapin::types::{AMQPValue, FieldTable};
use serde_json::json;

use super::{bury, dead, declare, done, headers, letters_ready};
use crate::support::{Stage, stage};

/// Three jobs that fail, two of them alike.
async fn three_letters() -> Stage {
    let mut stage = stage().await;
    stage.faults(json!([
        {"match": {"queue": "1"}, "effect": {"item": {"fail": {"text": "No such queue"}}}},
        {"match": {"queue": "2"}, "effect": {"item": {"fail": {"text": "odd"}}}},
    ]));
    let mut worker = stage.worker().start().await;
    for (id, action, queue) in [
        ("a", "pause", "1"),
        ("b", "remove", "2"),
        ("c", "pause", "1"),
    ] {
        stage
            .perform(json!({"job_id": id, "action": action, "queue": queue, "agent": "570"}))
            .await;
    }
    worker.signal("TERM");
    worker.ended().await;
    letters_ready(&stage, 3).await;
    stage
}

#[tokio::test]
async fn letters_are_listed_by_what_went_wrong_and_one_by_one() {
    let stage = three_letters().await;
    let said = done(&stage.place, &["list"]).await;
    let rows: Vec<Vec<&str>> = said
        .out
        .lines()
        .map(|line| line.split('\t').collect())
        .collect();
    let header = ["letters", "status", "code", "text", "oldest", "newest"];
    assert_eq!(rows[0], header, "{}", said.out);
    assert_eq!(
        rows[1][..4],
        ["2", "failed", "no_such_queue", "No such queue"]
    );
    assert_eq!(rows[2][..4], ["1", "failed", "rejected", "odd"]);
    let letters: Vec<_> = rows[5..]
        .iter()
        .map(|row| (row[1], row[3], row[7]))
        .collect();
    let expected = [
        ("no_such_queue", "1", "a"),
        ("rejected", "2", "b"),
        ("no_such_queue", "1", "c"),
    ];
    assert_eq!(letters, expected, "the oldest first: {}", said.out);
    assert!(said.err.contains("3 of 3 letters"), "{}", said.err);
    letters_ready(&stage, 3).await;
}

#[tokio::test]
async fn a_letter_as_json_says_what_failed_and_why() {
    let stage = three_letters().await;
    let said = done(&stage.place, &["list", "--json"]).await;
    assert_eq!(said.job_ids(), ["a", "b", "c"]);
    let mut letter = said.lines().remove(1);
    let name = letter["letter"].take();
    assert!(name.as_str().unwrap().starts_with('@'), "{name}");
    assert!(letter["at"].take().is_string());
    let expected = json!({
        "letter": null, "job_id": "b", "action": "remove", "queue": "2", "agents": ["570"],
        "status": "failed", "code": "rejected", "message": "odd", "attempts": 2, "replays": 0, "at": null,
    });
    assert_eq!(letter, expected);

    let said = done(&stage.place, &["list", "--groups", "--json"]).await;
    let groups = said.lines();
    let counts: Vec<_> = groups.iter().map(|group| &group["letters"]).collect();
    assert_eq!(counts, [2, 1]);
}

#[tokio::test]
async fn only_what_every_filter_lets_pass_is_listed() {
    let stage = three_letters().await;
    let by_name = done(&stage.place, &["list", "--json", "c"]).await.lines();
    let name = by_name[0]["letter"].as_str().unwrap().to_owned();
    for (filters, expected) in [
        (&["--code", "rejected"][..], &["b"][..]),
        (
            &["--code", "rejected,no_such_queue", "--queue", "1"],
            &["a", "c"],
        ),
        (&["--action", "remove"], &["b"]),
        (&["--text", "no such"], &["a", "c"]),
        (&["a", "b", "--newer-than", "1h"], &["a", "b"]),
        (&["--older-than", "1h"], &[]),
        (&[&name], &["c"]),
    ] {
        let words = [&["list", "--json"], filters].concat();
        let said = done(&stage.place, &words).await;
        assert_eq!(said.job_ids(), expected, "{filters:?}");
    }
    let said = dead(&stage.place, &["list", "x"]).await;
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("no dead letter of x"), "{}", said.err);
}

#[tokio::test]
async fn a_letter_is_shown_whole() {
    let stage = stage().await;
    declare(&stage).await;
    bury(&stage, "first", "exhausted").await;
    bury(&stage, "second", "exhausted").await;
    let said = done(&stage.place, &["show", "second"]).await;
    for expected in [
        "job          second\n",
        "text         as it were\n",
        "  content_type: application/json\n",
        "  clockout-attempts: 1\n",
        "\n{\"job_id\":\"second\",\"action\":\"pause\",\"queue\":\"10000\",\"agent\":\"1\"}\n",
    ] {
        assert!(said.out.contains(expected), "{expected}: {}", said.out);
    }
    let letter = done(&stage.place, &["show", "second", "--json"])
        .await
        .lines()
        .remove(0);
    assert_eq!(letter["headers"]["clockout-code"], "exhausted");
    assert_eq!(letter["properties"]["delivery_mode"], 2);
    assert_eq!(letter["routing_key"], "10000");
    assert!(letter["body"].as_str().unwrap().contains("\"second\""));
    let said = dead(&stage.place, &["show", "third"]).await;
    assert_eq!((said.code, said.out.as_str()), (Some(1), ""));
    letters_ready(&stage, 2).await;
}

#[tokio::test]
async fn whoever_put_a_letter_there_it_can_be_read_and_does_nothing_to_a_terminal() {
    let stage = stage().await;
    declare(&stage).await;
    let mut death = FieldTable::default();
    death.insert(
        "reason".into(),
        AMQPValue::LongString("delivery_limit".into()),
    );
    death.insert(
        "queue".into(),
        AMQPValue::LongString("clockout.jobs".into()),
    );
    let mut of_rabbitmq = FieldTable::default();
    let deaths = vec![AMQPValue::FieldTable(death)];
    of_rabbitmq.insert("x-death".into(), AMQPValue::FieldArray(deaths.into()));
    let mut of_nobody = FieldTable::default();
    let evil = AMQPValue::LongString("\u{1b}]0;owned\u{7}\u{9b}2J".into());
    of_nobody.insert("clockout-message".into(), evil);
    let exchange = &stage.place.names.dead;
    for (body, headers) in [
        (&b"{\"action\":\"pause\"}"[..], of_rabbitmq),
        (b"\x1b[31m\xff no JSON", of_nobody),
    ] {
        let properties = BasicProperties::default().with_headers(headers);
        stage.rabbit.publish(exchange, "7", body, properties).await;
    }

    let letters = done(&stage.place, &["list", "--json", "--queue", "7"])
        .await
        .lines();
    assert_eq!(letters[0]["code"], "delivery_limit");
    assert_eq!(letters[0]["job_id"], json!(null));
    assert_eq!(
        letters[1]["message"], "\u{1b}]0;owned\u{7}\u{9b}2J",
        "as it is"
    );
    let odd = letters[1]["letter"].as_str().unwrap();
    for words in [
        &["list"][..],
        &["list", "--json"],
        &["list", "--groups", "--json"],
        &["show", odd],
        &["show", odd, "--json"],
        &["drop", "--all"],
    ] {
        let said = done(&stage.place, words).await;
        let is_raw = |c: char| c.is_control() && c != '\n' && c != '\t';
        assert!(!said.out.contains(is_raw), "{words:?}: {:?}", said.out);
        assert!(!said.err.contains(is_raw), "{words:?}: {:?}", said.err);
    }
    let shown = done(&stage.place, &["show", odd]).await.out;
    assert!(shown.ends_with("\n\\u{1b}[31m\\xff no JSON\n"), "{shown}");
    let shown = done(&stage.place, &["show", odd, "--json"]).await.lines();
    assert_eq!(shown[0]["body_base64"], "G1szMW3/IG5vIEpTT04=");
}

/// What the worker adds may make its headers longer than clockout reads.
#[tokio::test]
async fn a_letter_whose_job_had_long_headers_still_says_why_it_is_dead() {
    let mut stage = stage().await;
    let mut worker = stage.worker().start().await;
    let long = "x".repeat(65_300);
    let body = br#"{"job_id":"a","action":"pause","queue":"1"}"#;
    let properties = headers(&[("crm", &long)]);
    stage.send_raw("1", body, properties).await;
    assert_eq!(stage.outcomes.next().await.json()["code"], "missing_field");
    worker.signal("TERM");
    worker.ended().await;
    letters_ready(&stage, 1).await;
    let letters = done(&stage.place, &["list", "--json"]).await.lines();
    assert_eq!(letters[0]["status"], "invalid", "{}", letters[0]);
    assert_eq!(letters[0]["code"], "missing_field", "{}", letters[0]);
}

#[tokio::test]
async fn others_who_read_the_queue_are_named() {
    let stage = stage().await;
    declare(&stage).await;
    for id in ["a", "b"] {
        bury(&stage, id, "exhausted").await;
    }
    let channel = stage.rabbit.channel().await;
    channel
        .basic_qos(1, BasicQosOptions::default())
        .await
        .unwrap();
    let queue = stage.place.names.dead.as_str();
    let options = BasicConsumeOptions::default();
    let table = FieldTable::default();
    let _consumer = channel
        .basic_consume(queue.into(), "other".into(), options, table)
        .await
        .unwrap();
    letters_ready(&stage, 1).await;
    let said = done(&stage.place, &["list", "--json"]).await;
    assert!(said.err.contains("others read"), "{}", said.err);
    assert_eq!(said.job_ids(), ["b"], "the other one is held");
}

#[tokio::test]
async fn where_there_is_nothing_that_is_said() {
    let stage = stage().await;
    let said = dead(&stage.place, &["list"]).await;
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("there is no queue"), "{}", said.err);
    declare(&stage).await;
    let said = done(&stage.place, &["list"]).await;
    assert!(said.err.contains("no letters"), "{}", said.err);
    assert_eq!(said.out, "");
    let nowhere = crate::support::Place {
        url: "amqp://guest:guest@127.0.0.1:1/%2f".to_owned(),
        ..stage.place.clone()
    };
    assert_eq!(dead(&nowhere, &["list"]).await.code, Some(1));
}
