//! What `send` reads, and what it says of what is wrong.

use super::*;

/// Sends what is given on standard input.
async fn send_input(place: &Place, arguments: &[&str], input: &str) -> Finished {
    let arguments = [&["send"], arguments].concat();
    Invocation::at(place, &arguments)
        .input(input)
        .finished()
        .await
}

async fn sent(jobs: &mut Tap) -> Vec<Value> {
    jobs.rest().await.iter().map(Message::json).collect()
}

#[tokio::test]
async fn a_csv_file_has_the_fields_of_a_job_as_columns() {
    let stage = stage().await;
    let mut jobs = jobs(&stage).await;
    let csv = "\
        queue,agents,action,job_id,context,dry_run,reason\r\n\
        010,570 553,remove,j-1,\"{\"\"shift\"\": 7}\",true,\"late, \"\"again\"\"\"\r\n\
        \r\n\
        020,571,pause,,,,\r\n";
    let finished = send_input(&stage.place, &["--csv", "-"], csv).await;
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert_eq!(
        sent(&mut jobs).await,
        [
            json!({
                "queue": "010", "agents": ["570", "553"], "action": "remove", "job_id": "j-1",
                "context": {"shift": 7}, "dry_run": true, "reason": "late, \"again\"",
            }),
            json!({"queue": "020", "agents": ["571"], "action": "pause"}),
        ]
    );
}

#[tokio::test]
async fn json_lines_go_out_byte_for_byte() {
    let stage = stage().await;
    let mut jobs = jobs(&stage).await;
    let job = r#"{"agent":570, "queue":"1","action":"pause","context":{"n": 1.0e5},"other":[1]}"#;
    let input = format!("{job}\n\n  {job}  ");
    let finished = send_input(&stage.place, &["--jsonl", "-"], &input).await;
    assert_eq!(finished.code, Some(0), "{finished:?}");
    let bodies: Vec<Vec<u8>> = jobs.rest().await.into_iter().map(|job| job.body).collect();
    assert_eq!(bodies, [job.as_bytes(), job.as_bytes()]);
}

#[tokio::test]
async fn flags_fill_in_what_the_jobs_of_a_file_do_not_say() {
    let stage = stage().await;
    let mut jobs = jobs(&stage).await;
    let flags = [
        "--csv",
        "-",
        "--action",
        "remove",
        "--reason",
        "shift end",
        "--correlation-id",
        "shift-2291",
    ];
    let csv = "queue,agent,reason\n1,570,\n1,553,ill\n";
    let finished = send_input(&stage.place, &flags, csv).await;
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert_eq!(
        sent(&mut jobs).await,
        [
            json!({
                "action": "remove", "queue": "1", "agent": "570", "reason": "shift end",
                "correlation_id": "shift-2291",
            }),
            json!({
                "action": "remove", "queue": "1", "agent": "553", "reason": "ill",
                "correlation_id": "shift-2291",
            }),
        ]
    );
}

#[tokio::test]
async fn a_single_wrong_row_keeps_all_from_being_sent_and_is_named_by_line_and_column() {
    let stage = stage().await;
    let mut jobs = jobs(&stage).await;
    let csv = "action,queue,agent,expires_at\n\
               pause,10000,570,\n\
               pauze,10000,5 70,tomorrow\n\
               pause,10000\n";
    let finished = send_input(&stage.place, &["--csv", "-"], csv).await;
    assert_eq!(finished.code, Some(2), "{finished:?}");
    assert_eq!(finished.stdout, "");
    let expected = "\
clockout: nothing was sent: 4 problems in standard input
  line 3: action must be \"pause\" or \"remove\", not \"pauze\"
  line 3: agent must be 1 to 32 characters of 0-9 A-Z a-z * # _ + -, not \"5 70\"
  line 3: expires_at must be an RFC 3339 time with its offset, such as 2026-11-21T18:10:00+03:30, not \"tomorrow\"
  line 4: there is no agent: the row has 2 cells, the header 4 columns
";
    assert_eq!(finished.stderr, expected);
    assert!(jobs.rest().await.is_empty());
}

#[tokio::test]
async fn a_wrong_line_of_json_keeps_all_from_being_sent() {
    let stage = stage().await;
    let mut jobs = jobs(&stage).await;
    let input =
        "{\"action\":\"pause\",\"queue\":\"1\",\"agent\":\"2\"}\n\n{\"action\":\"pause\",\n{}\n";
    let finished = send_input(&stage.place, &["--jsonl", "-"], input).await;
    assert_eq!(finished.code, Some(2), "{finished:?}");
    for expected in [
        "line 3: the body is not JSON: EOF while parsing a value at column 18",
        "line 4: action is required",
        "line 4: queue is required",
        "line 4: agent or agents is required",
    ] {
        assert!(
            finished.stderr.contains(expected),
            "{expected}: {finished:?}"
        );
    }
    assert!(jobs.rest().await.is_empty());
}

#[tokio::test]
async fn an_input_without_a_job_is_wrong() {
    let place = place();
    for (form, input) in [
        ("--csv", ""),
        ("--csv", "action,queue,agent\n"),
        ("--jsonl", "\n\n"),
    ] {
        for manner in [&[][..], &["--wait"], &["--dry-run"]] {
            let arguments = [&[form, "-"], manner].concat();
            let finished = send_input(&place, &arguments, input).await;
            assert_eq!(finished.code, Some(2), "{arguments:?}: {finished:?}");
            let expected = "clockout: nothing was sent: no jobs in standard input\n";
            assert_eq!(finished.stderr, expected, "{arguments:?}");
            assert_eq!(finished.stdout, "", "{arguments:?}");
        }
    }
}

#[tokio::test]
async fn a_column_that_is_no_field_of_a_job_is_named() {
    let csv = "action,queue,agnet\npause,1,2\n";
    let finished = send_input(&place(), &["--csv", "-"], csv).await;
    assert_eq!(finished.code, Some(2), "{finished:?}");
    let expected = "line 1: column 3 is named \"agnet\", which is no field of a job";
    assert!(finished.stderr.contains(expected), "{finished:?}");
}

#[tokio::test]
async fn wrong_usage_ends_with_2() {
    let place = place();
    for arguments in [
        &["--action", "pause", "--queue", "1"][..],
        &["--action", "unpause", "--queue", "1", "--agent", "2"],
        &["--action", "pause", "--queue", "1 2", "--agent", "2"],
        &["--csv", "a", "--jsonl", "b"],
        &["--csv", "a", "--agent", "2"],
        &["--csv", "/nowhere/jobs.csv"],
    ] {
        let finished = send(&place, arguments).await;
        assert_eq!(finished.code, Some(2), "{arguments:?}: {finished:?}");
        assert_eq!(finished.stdout, "", "{arguments:?}");
    }
    let bare = send(&place, &[]).await;
    let choice = "<--agent <AGENT>|--csv <FILE>|--jsonl <FILE>>";
    assert!(bare.stderr.contains(choice), "{bare:?}");
    let long = "r".repeat(257);
    let finished = send(&place, &[&JOB[1..], &["--reason", &long]].concat()).await;
    assert_eq!(finished.code, Some(2), "{finished:?}");
    let expected = "1 problem in the flags\n  reason must be at most 256 characters";
    assert!(finished.stderr.contains(expected), "{finished:?}");
}

#[tokio::test]
async fn a_dry_run_needs_no_broker_and_prints_what_can_be_sent_as_it_is() {
    let nowhere = Place {
        url: "amqp://127.0.0.1:1".to_owned(),
        ..place()
    };
    let csv = "queue,agent\n1,570\n1,553\n";
    let flags = ["--csv", "-", "--action", "pause", "--dry-run"];
    let first = send_input(&nowhere, &flags, csv).await;
    assert_eq!(first.code, Some(0), "{first:?}");
    assert_eq!(
        first.stdout,
        "{\"action\":\"pause\",\"agent\":\"570\",\"queue\":\"1\"}\n\
         {\"action\":\"pause\",\"agent\":\"553\",\"queue\":\"1\"}\n"
    );
    let again = send_input(&nowhere, &["--jsonl", "-", "--dry-run"], &first.stdout).await;
    assert_eq!(again.stdout, first.stdout);
    let wrong = send_input(&nowhere, &flags, "queue,agent\n1,\n").await;
    assert_eq!(wrong.code, Some(2), "{wrong:?}");
}
