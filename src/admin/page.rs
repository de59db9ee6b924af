//! The page for people: the files of it, which lie beside this one and are part of the binary.
//!
//! Needs nothing from outside. What it may load and do is said in a content security policy; the texts that it shows are
//! foreign, and it never treats one as HTML.

use axum::Router;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::response::IntoResponse;
use axum::routing::get;

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// Path, content type, content.
type File = (&'static str, &'static str, &'static str);

static FILES: [File; 9] = [
    ("/", HTML, include_str!("page/index.html")),
    ("/page/icon.svg", SVG, include_str!("page/icon.svg")),
    ("/page/style.css", CSS, include_str!("page/style.css")),
    ("/page/main.js", JS, include_str!("page/main.js")),
    ("/page/stream.js", JS, include_str!("page/stream.js")),
    ("/page/rows.js", JS, include_str!("page/rows.js")),
    ("/page/actions.js", JS, include_str!("page/actions.js")),
    ("/page/plot.js", JS, include_str!("page/plot.js")),
    ("/page/words.js", JS, include_str!("page/words.js")),
];

pub(super) fn routes<S>() -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    FILES.iter().fold(Router::new(), |router, file| {
        router.route(file.0, get(move || async move { answer(file) }))
    })
}

fn answer(&(_, content_type, content): &File) -> impl IntoResponse + use<> {
    let headers = [
        (CONTENT_TYPE, content_type),
        (CACHE_CONTROL, "no-store"),
        (CONTENT_SECURITY_POLICY, POLICY),
        (REFERRER_POLICY, "no-referrer"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, content)
}
