//! What is read of a reply, and what is not.

use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::pbx::texts;

fn decode(body: &str) -> Decoded {
    super::decode(body.as_bytes(), &texts())
}

fn texts() -> Texts {
    Texts::new(&texts::Settings::default())
}

fn item(queue: &str, agent: &str, answer: Answer, message: Option<&str>) -> ItemAnswer {
    ItemAnswer {
        queue: PbxQueue::parse(queue).unwrap(),
        agent: Agent::parse(agent).unwrap(),
        answer,
        message: message.map(Into::into),
    }
}

fn answered(body: &str) -> Vec<ItemAnswer> {
    let Decoded::Answered(mut items) = decode(body) else {
        panic!("not answered: {body}");
    };
    items.sort_by_key(|item| (item.queue, item.agent));
    items
}

#[test]
fn the_documented_replies_are_done_for_both_agents() {
    for (body, message) in [
        (
            include_str!("../../../tests/fixtures/pause_reply.json"),
            "Paused successfully",
        ),
        (
            include_str!("../../../tests/fixtures/remove_reply.json"),
            "Removed successfully",
        ),
    ] {
        let done = |agent| item("10000", agent, Answer::Done, Some(message));
        assert_eq!(answered(body), [done("553"), done("570")]);
    }
}

#[test]
fn every_lenient_spelling_of_a_done_item_is_done() {
    for one in [
        r#"{"success":true,"data":{"data":[{"queue":"1","agent":"2","ok":true}]}}"#,
        r#"{"success":"1","message":null,"data":{"Data":[{"queue":1,"agents":2,"ok":"1","message":null}],"ok":1}}"#,
        r#"{"data":[{"queue":"1","agent":2,"ok":"True"}]}"#,
        r#"{"success":0,"data":{"Data":[{"queue":1,"agent":" 2 ","ok":1}]}}"#,
        r#"{"success":1,"data":{"Data":[],"data":[{"queue":1,"agent":"2","ok":1}]}}"#,
        "\u{feff}{\"data\":[{\"queue\":1,\"agent\":\"2\",\"ok\":1}]}",
    ] {
        assert_eq!(answered(one), [item("1", "2", Answer::Done, None)], "{one}");
    }
}

#[test]
fn only_a_true_ok_is_done() {
    for ok in [
        "0", "false", r#""0""#, "null", "2", "-1", "1.0", r#""yes""#, "[1]", "{}",
    ] {
        let body =
            format!(r#"{{"success":1,"data":{{"Data":[{{"queue":"1","agent":"2","ok":{ok}}}]}}}}"#);
        assert_eq!(
            answered(&body),
            [item("1", "2", Answer::Refused, None)],
            "{ok}"
        );
    }
    let body = r#"{"success":1,"data":{"Data":[{"queue":"1","agent":"2","message":"Paused successfully"}]}}"#;
    assert_eq!(
        answered(body),
        [item("1", "2", Answer::Refused, Some("Paused successfully"))]
    );
}

#[test]
fn the_text_of_a_failed_item_decides_what_it_means() {
    let body = r#"{"success":1,"data":{"Data":[
        {"queue":"1","agent":"1","ok":0,"message":"Agent not in queue"},
        {"queue":"1","agent":"2","ok":0,"message":"No such queue"},
        {"queue":"1","agent":"3","ok":0,"message":"Member not dynamic"},
        {"queue":"1","agent":"4","ok":0,"message":"Requested operation failed"},
        {"queue":"1","agent":"5","ok":0,"message":"who knows"}],"ok":0}}"#;
    assert_eq!(
        answered(body),
        [
            item("1", "1", Answer::Absent, Some("Agent not in queue")),
            item("1", "2", Answer::NoSuchQueue, Some("No such queue")),
            item("1", "3", Answer::NotDynamic, Some("Member not dynamic")),
            item("1", "4", Answer::Busy, Some("Requested operation failed")),
            item("1", "5", Answer::Refused, Some("who knows")),
        ]
    );
}

#[test]
fn an_item_that_names_nobody_is_skipped() {
    let body = r#"{"success":1,"data":{"Data":[null,1,"x",[],{},{"queue":"1","ok":1},{"agent":"1","ok":1},
        {"queue":"1","agent":"a b","ok":1},{"queue":-1,"agent":"1","ok":1},{"queue":"1","agent":null,"ok":1}]}}"#;
    assert_eq!(answered(body), []);
}

#[test]
fn an_agent_named_twice_is_done_only_if_both_say_so() {
    let body = |first: u8, second: u8| {
        format!(
            r#"{{"data":[{{"queue":"1","agent":"2","ok":{first},"message":"busy"}},{{"queue":1,"agent":2,"ok":{second},"message":"busy"}}]}}"#
        )
    };
    for (first, second, answer) in [
        (1, 1, Answer::Done),
        (1, 0, Answer::Busy),
        (0, 1, Answer::Busy),
    ] {
        assert_eq!(
            answered(&body(first, second)),
            [item("1", "2", answer, Some("busy"))]
        );
    }
}

#[test]
fn success_that_names_nobody_is_an_answer_without_items() {
    for body in [
        r#"{"success":1}"#,
        r#"{"success":true,"data":{"Data":[]}}"#,
        r#"{"success":1,"data":null}"#,
    ] {
        assert_eq!(answered(body), [], "{body}");
    }
}

#[test]
fn no_success_and_no_items_is_a_refusal_with_the_pbxs_text() {
    let refused = |message: Option<&str>, retry| Decoded::Refused {
        message: message.map(Into::into),
        retry,
    };
    assert_eq!(
        decode(r#"{"success":0,"message":"Field 'agent':value is missing","data":[]}"#),
        refused(Some("Field 'agent':value is missing"), false)
    );
    assert_eq!(
        decode(r#"{"success":false,"message":"Requested operation failed","data":{}}"#),
        refused(Some("Requested operation failed"), true)
    );
    assert_eq!(
        decode(r#"{"success":"0","message":null}"#),
        refused(None, false)
    );
}

#[test]
fn anything_else_is_unreadable() {
    for body in [
        "",
        "<html></html>",
        "[]",
        "1",
        "null",
        "{}",
        r#"{"success":1"#,
        r#"{"success":null,"data":[]}"#,
    ] {
        assert!(matches!(decode(body), Decoded::Unreadable(_)), "{body}");
    }
}

#[test]
fn bytes_that_are_no_text_do_not_hide_a_done_item() {
    let body = b"{\"success\":1,\"data\":[{\"queue\":\"1\",\"agent\":\"2\",\"ok\":1,\"message\":\"\xe9\"}]}";
    let Decoded::Answered(items) = super::decode(body, &texts()) else {
        panic!("unreadable");
    };
    assert_eq!(items, [item("1", "2", Answer::Done, Some("\u{fffd}"))]);
}

proptest! {
    #[test]
    fn no_body_makes_it_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
        super::decode(&body, &texts());
    }

    #[test]
    fn no_json_makes_it_panic(
        success in select(vec!["1", "0", "null", "\"1\"", "[]", "-1e300"]),
        key in select(vec!["Data", "data", "x"]),
        number in select(vec!["1", "\"1\"", "null", "{}", "1e99"]),
        ok in select(vec!["1", "0", "[]", "\"\""]),
    ) {
        let item = format!(r#"{{"queue":{number},"agents":{number},"ok":{ok},"message":{number}}}"#);
        decode(&format!(r#"{{"success":{success},"data":{{"{key}":[{item},{number}]}}}}"#));
    }
}
