//! What the page says where it has little to show: why it is not told, and of which day a time is.

use clockout::engine::job::Timestamp;

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
