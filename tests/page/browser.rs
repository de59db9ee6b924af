//! A headless Chromium, driven through chromedriver: opens the page, waits for what it shows, looks at it in light and
//! dark, wide and narrow.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fantoccini::elements::Element;
use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper::Method;
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::{Mutex, MutexGuard};
use url::{ParseError, Url};

use crate::axe;
use crate::support::{free_port, left_out, poll};

/// One at a time: a browser wants a processor for itself.
static TURN: Mutex<()> = Mutex::const_new(());

/// Where pictures of the page are put, if that is set.
const PICTURES: &str = "CLOCKOUT_PICTURES";

pub struct Browser {
    client: Client,
    driver: Driver,
    _profile: TempDir,
    _turn: MutexGuard<'static, ()>,
}

/// What a reader's screen is like.
#[derive(Debug, Clone, Copy)]
pub struct Screen {
    pub scheme: &'static str,
    pub width: u32,
}

/// A wide one and a phone, each in light and in dark.
pub const SCREENS: [Screen; 4] = [
    Screen::new("light", 1280),
    Screen::new("dark", 1280),
    Screen::new("light", 390),
    Screen::new("dark", 390),
];

/// Cells, and tables in their frames, that are wider than they have room; the headings of cards are for screen readers.
const CUT_OFF: &str = "Array.from(document.querySelectorAll('.scroll, tbody :is(th, td)')).filter((it) => \
                       it.scrollWidth > it.clientWidth).map((it) => it.textContent)";

/// Of all that is in the page; `scrollHeight` is never below that of the screen.
const HEIGHT: &str = "Math.ceil(document.body.getBoundingClientRect().height)";

impl Screen {
    const fn new(scheme: &'static str, width: u32) -> Screen {
        Screen { scheme, width }
    }
}

impl Browser {
    /// Opens the page at this address; `None`, said on standard error, where there is no Chromium.
    pub async fn open(url: &str) -> Option<Browser> {
        let turn = TURN.lock().await;
        let driver = Driver::start()?;
        let profile = tempfile::tempdir().unwrap();
        let capabilities = json!({
            "goog:chromeOptions": {"args": [
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--hide-scrollbars",
                format!("--user-data-dir={}", profile.path().display()),
            ]},
            "goog:loggingPrefs": {"browser": "ALL"},
        });
        let Value::Object(capabilities) = capabilities else {
            unreachable!("an object")
        };
        let address = format!("http://127.0.0.1:{}", driver.port);
        let client = poll("chromedriver", async || {
            ClientBuilder::new(HttpConnector::new())
                .capabilities(capabilities.clone())
                .connect(&address)
                .await
                .ok()
        })
        .await;
        client.goto(url).await.unwrap();
        Some(Browser {
            client,
            driver,
            _profile: profile,
            _turn: turn,
        })
    }

    /// The value of an expression in the page.
    pub async fn ask(&self, expression: &str) -> Value {
        let script = format!("return ({expression});");
        self.client.execute(&script, vec![]).await.unwrap()
    }

    /// Waits until an expression is true in the page.
    pub async fn comes(&self, expression: &str) {
        poll(format_args!("in the page: {expression}"), async || {
            (self.ask(expression).await == true).then_some(())
        })
        .await;
    }

    /// Waits until the element holds this text.
    pub async fn shows(&self, id: &str, text: &str) {
        let text = Value::from(text);
        self.comes(&format!(
            "document.getElementById('{id}').textContent.includes({text})"
        ))
        .await;
    }

    /// Writes into a field, in place of what is there.
    pub async fn fill(&self, name: &str, text: &str) {
        let field = self.found(&format!("[name={name}]")).await;
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    /// Clicks on a button that can be.
    pub async fn click(&self, name: &str) {
        self.comes(&format!(
            "!document.getElementsByName('{name}')[0].disabled"
        ))
        .await;
        self.click_on(&format!("[name={name}]")).await;
    }

    pub async fn click_on(&self, selector: &str) {
        self.found(selector).await.click().await.unwrap();
    }

    async fn found(&self, selector: &str) -> Element {
        self.client.find(Locator::Css(selector)).await.unwrap()
    }

    /// Presses keys in what has the focus.
    pub async fn press(&self, keys: &str) {
        let focused = self.client.active_element().await.unwrap();
        focused.send_keys(keys).await.unwrap();
    }

    /// Looks at the page on each screen; nothing may stick out of it, be cut off or keep a reader out. Keeps pictures where
    /// they are asked for.
    pub async fn look_over(&self, name: &str) {
        for Screen { scheme, width } in SCREENS {
            let media = json!([{"name": "prefers-color-scheme", "value": scheme}]);
            self.devtools("Emulation.setEmulatedMedia", json!({"features": media}))
                .await;
            self.resize(width, 900).await;
            let seen = self.ask("document.documentElement.scrollWidth").await;
            assert_eq!(seen, width, "the page is wider than its screen");
            assert_eq!(self.ask(CUT_OFF).await, json!([]), "{name}, {width}");
            let objections = axe::objections(self).await;
            assert!(
                objections.is_empty(),
                "{name}, {scheme}, {width}: {objections:#?}"
            );
            if let Ok(folder) = std::env::var(PICTURES) {
                self.fit(width).await;
                let picture = self.client.screenshot().await.unwrap();
                let path = Path::new(&folder).join(format!("{name}-{scheme}-{width}.png"));
                std::fs::write(path, picture).unwrap();
            }
        }
    }

    /// Makes the screen as high as the page, which may grow and shrink meanwhile.
    async fn fit(&self, width: u32) {
        let mut height = self.ask(HEIGHT).await;
        loop {
            self.resize(width, height.clone()).await;
            let now = self.ask(HEIGHT).await;
            if now == height {
                break;
            }
            height = now;
        }
    }

    async fn resize(&self, width: u32, height: impl Into<Value>) {
        let screen = json!({
            "width": width, "height": height.into(), "deviceScaleFactor": 1, "mobile": false
        });
        self.devtools("Emulation.setDeviceMetricsOverride", screen)
            .await;
        self.comes(&format!("innerWidth === {width}")).await;
    }

    /// What the browser has to say against the page: errors of its scripts, breaches of its policy, what it cannot load.
    pub async fn complaints(&self) -> Vec<Value> {
        let log = self.issue("se/log", json!({"type": "browser"})).await;
        let entries = log.as_array().unwrap().iter();
        let bad = entries.filter(|entry| entry["level"] == "SEVERE");
        bad.cloned().collect()
    }

    /// A command of the protocol that the browser's own tools speak.
    pub async fn devtools(&self, method: &str, parameters: Value) -> Value {
        self.issue(
            "goog/cdp/execute",
            json!({"cmd": method, "params": parameters}),
        )
        .await
    }

    async fn issue(&self, path: &'static str, body: Value) -> Value {
        self.client.issue_cmd(Vendor { path, body }).await.unwrap()
    }
}

/// A command of chromedriver's own.
#[derive(Debug)]
struct Vendor {
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for Vendor {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, ParseError> {
        let session = session.unwrap_or_default();
        base.join(&format!("session/{session}/{}", self.path))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.body.to_string()))
    }
}

/// The process of chromedriver, which starts the browser and ends it.
struct Driver {
    process: Child,
    port: u16,
}

impl Driver {
    fn start() -> Option<Driver> {
        let port = free_port();
        let started = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        match started {
            Ok(process) => Some(Driver { process, port }),
            Err(why) => {
                let why = format!("no chromedriver ({why}); Debian: chromium-driver");
                left_out("browser", "the page in a browser", why);
                None
            }
        }
    }
}

impl Drop for Driver {
    /// Asks it to end, as it would leave the browser behind if it were killed.
    fn drop(&mut self) {
        let asked = TcpStream::connect(("127.0.0.1", self.port)).and_then(|mut stream| {
            stream.set_read_timeout(Some(Duration::from_secs(10)))?;
            stream.write_all(b"GET /shutdown HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
            stream.read(&mut [0; 1])
        });
        drop(asked);
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
