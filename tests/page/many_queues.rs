//! A thousand PBX queues: a few are shown, the filter finds the others, and a change touches what has changed.

use crate::browser::Browser;
use crate::played::Played;

const QUEUES: usize = 1000;
const ROWS: &str = "document.querySelectorAll('#queues tr').length";

#[tokio::test]
async fn a_thousand_queues_do_not_slow_the_page_down() {
    let played = Played::start().await;
    played.holds(1..=QUEUES);
    let Some(browser) = Browser::open(&played.url()).await else {
        return;
    };
    browser
        .shows("queues-shown", "the busiest 50 of 1,000 queues")
        .await;
    assert_eq!(browser.ask(ROWS).await, 50);
    let first = "document.querySelector('#queues th').textContent";
    assert_eq!(browser.ask(first).await, "1000");

    // One queue gets busier: what is written anew is that row, and what changes each second anyway.
    browser
        .ask(
            "(window.touched = 0, new MutationObserver((records) => (window.touched += records.length)).observe(\
             document.getElementById('queues'), {subtree: true, childList: true, characterData: true, attributes: true}))",
        )
        .await;
    played.holds((1..=QUEUES).map(|number| number + usize::from(number == QUEUES)));
    let waiting = "document.querySelector('#queues td').textContent";
    browser.comes(&format!("{waiting} === '1,001'")).await;
    let touched = browser.ask("window.touched").await.as_u64().unwrap();
    assert!(
        (1..=2).contains(&touched),
        "{touched} changes for one number"
    );

    browser
        .ask("document.getElementById('queue-filter').focus()")
        .await;
    browser.press("77").await;
    browser.comes(&format!("{ROWS} === 19")).await;
}

#[tokio::test]
async fn a_reader_without_a_mouse_or_without_a_screen_gets_along() {
    const TAB: &str = "\u{e004}";
    let played = Played::start().await;
    played.holds([1, 2]);
    let Some(browser) = Browser::open(&played.url()).await else {
        return;
    };
    browser.shows("verdict", "All is well").await;
    let focus = "document.activeElement.id || document.activeElement.className";
    for expected in ["skip", "queue-filter", "scroll"] {
        browser.press(TAB).await;
        assert_eq!(browser.ask(focus).await, expected);
    }
    let tree = browser
        .devtools("Accessibility.getFullAXTree", serde_json::json!({}))
        .await;
    let nodes = tree["nodes"].as_array().unwrap();
    let named = |role: &str| -> Vec<&str> {
        let nodes = nodes.iter().filter(|node| node["role"]["value"] == role);
        nodes
            .filter_map(|node| node["name"]["value"].as_str())
            .collect()
    };
    assert_eq!(named("searchbox"), ["Find a queue"]);
    assert!(named("heading").contains(&"PBX queues"));
    assert!(named("region").iter().all(|name| !name.is_empty()));
    let plot = named("image");
    assert!(
        plot.iter()
            .any(|name| name.starts_with("Jobs consumed: 0 per second")),
        "{plot:?}"
    );
}
