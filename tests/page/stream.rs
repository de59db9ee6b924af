//! The files and the stream behind the page, without a browser: what they say of themselves, and their bounds.

use serde_json::Value;

use crate::played::Played;
use crate::support::{poll, within};

#[tokio::test]
async fn the_page_loads_only_what_the_worker_itself_has() {
    let played = Played::start().await;
    let page = played.get("/").await.rest().await;
    let policy =
        "content-security-policy: default-src 'none'; script-src 'self'; style-src 'self';";
    assert!(page.contains(policy), "{page}");
    assert!(!page.contains("unsafe-") && !page.contains("http:") && !page.contains("https:"));
    let linked = ["href=\"", "src=\""].map(|mark| page.split(mark).skip(1));
    let files = linked.into_iter().flatten();
    let files: Vec<&str> = files.filter_map(|rest| rest.split('"').next()).collect();
    assert!(files.contains(&"page/main.js") && files.contains(&"page/style.css"));
    for file in files.iter().filter(|file| file.starts_with("page/")) {
        assert_eq!(played.get(&format!("/{file}")).await.status().await, 200);
    }
}

/// A connection that only asks is ended after three seconds.
#[tokio::test]
async fn the_stream_says_each_second_how_things_stand_and_stays() {
    let played = Played::start().await;
    played.holds([3]);
    let mut stream = played.get("/events").await;
    for _ in 0..5 {
        let status = within("a status", stream.line_after("data: ")).await;
        let status: Value = serde_json::from_str(&status.unwrap()).unwrap();
        assert_eq!(
            (&status["ready"], &status["queues"][0]["waiting"]),
            (&true.into(), &3.into())
        );
    }
}

#[tokio::test]
async fn viewers_keep_no_probe_waiting() {
    let played = Played::start().await;
    let mut streams = Vec::new();
    let mut statuses = Vec::new();
    for _ in 0..20 {
        let mut stream = played.get("/events").await;
        statuses.push(stream.status().await);
        streams.push(stream);
    }
    assert_eq!(statuses[..8], [200; 8]);
    assert_eq!(statuses[8..], [503; 12]);
    assert_eq!(played.get("/livez").await.status().await, 200);
    drop(streams);
    poll("a seat that has become free", async || {
        (played.get("/events").await.status().await == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn streams_end_with_the_worker() {
    let played = Played::start().await;
    let mut stream = played.get("/events").await;
    assert_eq!(stream.status().await, 200);
    played.stop.cancel();
    within("the end of the stream", stream.rest()).await;
    within("the end of the endpoints", played.server)
        .await
        .unwrap();
}
