//! Which rule meets which call, and for how long.

use super::*;
use crate::engine::job::Agent;
use crate::pbx::sim::Verb;

fn call(queue: &str, agents: &[&str]) -> Call {
    let queue = PbxQueue::parse(queue).unwrap();
    let item = |agent: &&str| (queue, Agent::parse(agent).unwrap());
    Call {
        verb: Verb::Pause,
        items: agents.iter().map(item).collect(),
    }
}

fn faults(rules: &str) -> Faults {
    let mut faults = Faults::new(7);
    faults
        .replace(serde_json::from_str(rules).unwrap())
        .unwrap();
    faults
}

#[test]
fn a_call_fault_strikes_the_call_that_holds_the_agent_and_then_no_more() {
    let mut faults =
        faults(r#"[{"match":{"queue":"1","agent":"3"},"times":2,"effect":{"call":"drop_after"}}]"#);
    assert_eq!(faults.plan(&call("1", &["2"])).call, None);
    assert_eq!(faults.plan(&call("2", &["3"])).call, None);
    for _ in 0..2 {
        let plan = faults.plan(&call("1", &["2", "3"]));
        assert_eq!(plan.call, Some(CallFault::DropAfter));
    }
    assert_eq!(faults.plan(&call("1", &["3"])).call, None);
    assert_eq!(faults.rules()[0].times, Some(0));
}

#[test]
fn an_item_fault_strikes_only_the_items_that_match() {
    let mut faults = faults(
        r#"[{"match":{"agent":"3"},"effect":{"item":{"fail":{"text":"busy"}}}},
            {"times":1,"effect":{"item":{"missing":{}}}}]"#,
    );
    let fail = ItemFault::Fail {
        text: "busy".to_owned(),
    };
    let missing = ItemFault::Missing { applied: false };
    let plan = faults.plan(&call("1", &["2", "3", "4"]));
    assert_eq!(plan.items, [Some(missing), Some(fail), None]);
}

#[test]
fn the_action_of_a_rule_must_be_the_calls() {
    let mut faults = faults(r#"[{"match":{"action":"remove"},"effect":{"call":"drop_before"}}]"#);
    assert_eq!(faults.plan(&call("1", &["2"])).call, None);
    let remove = Call {
        verb: Verb::Remove,
        ..call("1", &["2"])
    };
    assert_eq!(faults.plan(&remove).call, Some(CallFault::DropBefore));
}

#[test]
fn latencies_add_up() {
    let mut faults = faults(
        r#"[{"effect":{"latency":{"ms":5}}},{"effect":{"latency":{"ms":10,"jitter_ms":3}}}]"#,
    );
    for _ in 0..50 {
        let latency = faults.plan(&call("1", &["2"])).latency.as_millis();
        assert!((15..=18).contains(&latency), "{latency}");
    }
}

#[test]
fn the_same_seed_has_the_same_luck_however_queues_interleave() {
    const RULES: &str = r#"[{"match":{"probability":0.5},"effect":{"call":"drop_before"}}]"#;
    let strikes = |faults: &mut Faults, queue| faults.plan(&call(queue, &["1"])).call.is_some();
    let mut alone = faults(RULES);
    let expected: Vec<bool> = (0..100).map(|_| strikes(&mut alone, "1")).collect();
    let mut mixed = faults(RULES);
    let found: Vec<bool> = (0..100)
        .map(|_| {
            strikes(&mut mixed, "2");
            strikes(&mut mixed, "1")
        })
        .collect();
    assert_eq!(found, expected);
    let hits = expected.iter().filter(|hit| **hit).count();
    assert!((30..70).contains(&hits), "{hits}");
}

#[test]
fn a_rule_that_cannot_be_meant_is_refused_and_changes_nothing() {
    let mut faults = faults(r#"[{"effect":{"call":"drop_before"}}]"#);
    for (rules, why) in [
        (
            r#"[{"match":{"probability":1.5},"effect":{"call":"drop_before"}}]"#,
            BadRule::Probability,
        ),
        (
            r#"[{"effect":{"call":{"refuse_batch":{"http":500,"text":""}}}}]"#,
            BadRule::RefusalStatus,
        ),
        (
            r#"[{"effect":{"call":{"status":{"code":199}}}}]"#,
            BadRule::Status,
        ),
    ] {
        let rules: Vec<Rule> = serde_json::from_str(rules).unwrap();
        assert_eq!(faults.replace(rules), Err(why));
    }
    let rule = faults.rules()[0].clone();
    assert_eq!(
        faults.replace(vec![rule; RULES_MAX + 1]),
        Err(BadRule::TooMany)
    );
    assert_eq!(faults.rules().len(), 1);
}

#[test]
fn a_misspelt_rule_is_no_rule() {
    for rules in [
        r#"[{"effects":{"call":"drop_before"}}]"#,
        r#"[{"match":{"agents":"1"},"effect":{"call":"drop_before"}}]"#,
        r#"[{"effect":{"call":"drop"}}]"#,
        r#"[{"effect":{"call":{"hang":{"apply":true}}}}]"#,
        r#"[{"effect":{"latency":{"ms":1},"call":"drop_before"}}]"#,
    ] {
        assert!(serde_json::from_str::<Vec<Rule>>(rules).is_err(), "{rules}");
    }
}
