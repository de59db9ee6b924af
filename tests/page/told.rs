//! What the page says where it has little to show: why it is not told, of which day a time is, and how long ago the PBX
//! answered.

use std::sync::Arc;
use std::time::SystemTime;

use clockout::engine::job::Timestamp;
use clockout::engine::verdict::CallResult;

use crate::browser::Browser;
use crate::played::Played;

#[tokio::test]
async fn a_viewer_who_finds_no_seat_is_told_why_and_gets_the_next_that_is_free() {
    let played = Played::start().await;
    played.holds([1]);
    let mut streams = Vec::new();
    for _ in 0..8 {
        let mut stream = played.get("/events").await;
        assert_eq!(stream.status().await, 200);
        streams.push(stream);
    }
    let Some(browser) = Browser::open(&played.url()).await else {
        return;
    };
    browser
        .shows("verdict", "No word from the worker yet")
        .await;
    browser
        .shows("reasons", "as many look at this page as may at a time")
        .await;
    drop(streams);
    browser.shows("verdict", "All is well").await;
}

#[tokio::test]
async fn what_is_old_is_shown_as_old_and_stays_readable() {
    let played = Played::start().await;
    played.holds([1, 2]);
    played
        .health
        .error(Timestamp(0), "the PBX cannot be reached");
    let Some(browser) = Browser::open(&played.url()).await else {
        return;
    };
    browser.shows("errors", "the PBX cannot be reached").await;
    played.stop.cancel();
    browser
        .shows("verdict", "No word from the worker any more")
        .await;
    browser.look_over("silent").await;
}

#[tokio::test]
async fn a_time_of_another_day_has_its_day() {
    let played = Played::start().await;
    played.holds([1]);
    played.health.error(Timestamp(0), "long ago");
    let Some(browser) = Browser::open(&played.url()).await else {
        return;
    };
    // 1969 or 1970, by the browser's time zone.
    browser.shows("errors", ", 19").await;
}

#[tokio::test]
async fn a_pbx_that_refuses_a_batch_has_answered_and_an_old_answer_is_no_good_news() {
    let played = Played::start().await;
    played.holds([1]);
    let Some(browser) = Browser::open(&played.url()).await else {
        return;
    };
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now = i64::try_from(now.unwrap().as_millis()).unwrap();
    let three_hours = 3 * 60 * 60 * 1000;
    played.called(
        1,
        Timestamp(now - three_hours),
        &CallResult::Answered(vec![]),
    );
    let tone = "document.getElementById('pbx-link').dataset.tone ?? ''";
    browser.shows("pbx-link", "last answered 3 h ago").await;
    assert_eq!(browser.ask(tone).await, "");

    let message = Arc::from("Agents expected");
    played.called(2, Timestamp(now), &CallResult::Refused { message });
    let said = "✓ answered within the last minute, in 5 ms, refusing a batch: Agents expected";
    browser.shows("pbx-link", said).await;
    assert_eq!(browser.ask(tone).await, "good");

    let failed = CallResult::Transient {
        message: Arc::from("HTTP 503"),
        retry_after: None,
    };
    played.called(3, Timestamp(now), &failed);
    let said = "✗ failed within the last minute: HTTP 503";
    browser.shows("pbx-link", said).await;
    assert_eq!(browser.ask(tone).await, "bad");
}
