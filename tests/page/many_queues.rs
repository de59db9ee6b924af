//! A thousand PBX queues: a few are shown, the filter finds the others, and a change touches what has changed.

use crate::browser::Browser;
use crate::played::Played;

const QUEUES: usize = 1000;
const ROWS: &str = "document.querySelectorAll('#queues tr').length";
const FIRST: &str = "document.querySelector('#queues th').textContent";

/// Counts from here on what changes in the table, and knows the rows that it has now.
const WATCH: &str = "(window.touched = 0, window.known = new Set(document.querySelectorAll('#queues tr')), \
                     new MutationObserver((records) => (window.touched += records.length)).observe(\
                     document.getElementById('queues'), \
                     {subtree: true, childList: true, characterData: true, attributes: true}))";
/// How much that was since it was asked last.
const TOUCHED: &str = "[window.touched, window.touched = 0][0]";
const REBUILT: &str = "Array.from(document.querySelectorAll('#queues tr')).filter((row) => !window.known.has(row)).length";

async fn count(browser: &Browser, what: &str) -> u64 {
    browser.ask(what).await.as_u64().unwrap()
}

/// How long the page's own thread was busy so far.
async fn busy_ms(browser: &Browser) -> f64 {
    let none = serde_json::json!({});
    browser.devtools("Performance.enable", none.clone()).await;
    let seen = browser.devtools("Performance.getMetrics", none).await;
    let mut metrics = seen["metrics"].as_array().unwrap().iter();
    let busy = metrics.find(|metric| metric["name"] == "TaskDuration");
    busy.unwrap()["value"].as_f64().unwrap() * 1000.0
}

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
    assert_eq!(browser.ask(FIRST).await, "1000");

    // One queue gets busier: what is written anew is that row, and what changes each second anyway.
    browser.ask(WATCH).await;
    played.holds((1..=QUEUES).map(|number| number + usize::from(number == QUEUES)));
    let waiting = "document.querySelector('#queues td').textContent";
    browser.comes(&format!("{waiting} === '1,001'")).await;
    let touched = count(&browser, TOUCHED).await;
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
async fn a_shift_end_on_a_thousand_queues_touches_only_the_rows_that_are_shown() {
    let played = Played::start().await;
    played.holds(1..=QUEUES);
    let Some(browser) = Browser::open(&played.url()).await else {
        return;
    };
    browser.comes(&format!("{ROWS} === 50")).await;
    browser.ask(WATCH).await;
    let busy_before = busy_ms(&browser).await;
    // All queues get busier, and each of the busiest shows it by one number.
    for round in 1..=3 {
        played.holds((1..=QUEUES).map(|number| number + round));
        let waiting = "document.querySelector('#queues td').textContent";
        browser.comes(&format!("{waiting} === '1,00{round}'")).await;
        assert_eq!(count(&browser, TOUCHED).await, 50);
        assert_eq!(count(&browser, REBUILT).await, 0);
    }
    // For who asks how quick that is; how long is the machine's affair, and no test's.
    let each = (busy_ms(&browser).await - busy_before) / 3.0;
    println!("an update of {QUEUES} PBX queues kept the page busy for {each:.1} ms");
    // Others are the busiest now: as many rows leave and come as are shown.
    played.holds((1..=QUEUES).rev());
    browser.comes(&format!("{FIRST} === '1'")).await;
    assert_eq!(count(&browser, TOUCHED).await, 100);
    assert_eq!(count(&browser, REBUILT).await, 50);
    assert_eq!(browser.ask(ROWS).await, 50);
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
