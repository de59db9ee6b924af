//! What comes from outside is shown as the text that it is.

use std::sync::Arc;

use clockout::engine::job::Timestamp;
use clockout::engine::verdict::CallResult;
use serde_json::Value;

use crate::browser::Browser;
use crate::played::Played;

const TEXT: &str = r#"<img src=x onerror="window.bitten=1"></td><script>window.bitten=1</script>"#;

#[tokio::test]
async fn a_text_of_the_pbx_is_never_html() {
    let played = Played::start().await;
    played.holds([1]);
    let refused = CallResult::Refused {
        message: Arc::from(TEXT),
    };
    let now = Timestamp(1_795_000_000_000);
    played.called(1, now, &refused);
    played.health.error(now, TEXT);
    let Some(browser) = Browser::open(&played.url()).await else {
        return;
    };
    for id in ["batches", "errors", "pbx-link"] {
        browser.shows(id, TEXT).await;
    }
    assert_eq!(browser.ask("window.bitten").await, Value::Null);
    assert_eq!(
        browser
            .ask("document.querySelectorAll('main img').length")
            .await,
        0
    );
    assert_eq!(browser.complaints().await, Vec::<Value>::new());
}
