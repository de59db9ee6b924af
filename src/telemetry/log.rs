//! The log: one line per event on standard error, as text or JSON.
//!
//! Text from outside cannot forge a line: whatever is unprintable in a message or field is escaped, in both formats.

use std::fmt::{self, Write};
use std::io::IsTerminal;
use std::str::FromStr;

use tracing::field::Field;
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::format::{Writer, debug_fn};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry, reload};

use crate::unprintable::{is_unprintable, json_line};

/// How a log line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    #[default]
    Text,
    Json,
}

/// The text is no log format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be \"text\" or \"json\"")]
pub struct BadFormat;

impl FromStr for Format {
    type Err = BadFormat;

    fn from_str(text: &str) -> Result<Self, BadFormat> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(BadFormat),
        }
    }
}

/// Which events are written: directives such as `info` or `warn,clockout::broker=debug`, known to be readable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter(String);

/// The text is no log filter.
#[derive(Debug, thiserror::Error)]
#[error(
    "must be a level (error, warn, info, debug, trace) or target=level pairs, separated by commas: {0}"
)]
pub struct BadFilter(#[from] tracing_subscriber::filter::ParseError);

impl Filter {
    pub fn parse(text: &str) -> Result<Self, BadFilter> {
        let filter = EnvFilter::builder().parse(text)?;
        if filter.max_level_hint() == Some(LevelFilter::OFF) {
            return Ok(Self(text.to_owned()));
        }
        // lapin warns of each returned message with its whole body, which names agents, and calls it an error when a queue
        // is looked for in vain; what does matter, the broker side says itself. Put first, this gives way to whatever the
        // operator says of lapin.
        Ok(Self(format!("lapin=off,{text}")))
    }

    fn directives(&self) -> EnvFilter {
        EnvFilter::builder().parse_lossy(&self.0)
    }
}

impl Default for Filter {
    fn default() -> Self {
        Self("lapin=off,info".to_owned())
    }
}

/// Settings `log.*` (CONTRACT §7).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settings {
    pub format: Format,
    pub filter: Filter,
}

/// The process has a log already.
#[derive(Debug, thiserror::Error)]
#[error("the log cannot be set up twice: {0}")]
pub struct AlreadySet(#[from] tracing_subscriber::util::TryInitError);

/// Changes which events the process's log shows.
#[derive(Debug)]
pub struct Switch(reload::Handle<EnvFilter, Registry>);

impl Switch {
    pub fn set(&self, filter: &Filter) {
        // Fails only where the log is gone, and then there is nothing to filter.
        self.0.reload(filter.directives()).ok();
    }
}

/// Sends the process's events to standard error, from now on. Once per process.
pub fn init(settings: &Settings) -> Result<Switch, AlreadySet> {
    let colours = std::io::stderr().is_terminal();
    let (subscriber, switch) = subscriber(settings, colours, std::io::stderr);
    subscriber.try_init()?;
    Ok(switch)
}

fn subscriber<W>(
    settings: &Settings,
    colours: bool,
    writer: W,
) -> (impl Subscriber + Send + Sync, Switch)
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let (filter, handle) = reload::Layer::new(settings.filter.directives());
    let lines = tracing_subscriber::fmt::layer().with_writer(writer);
    let lines = match settings.format {
        Format::Text => lines
            .with_ansi(colours)
            .fmt_fields(debug_fn(escaped_field).delimited(" "))
            .boxed(),
        Format::Json => {
            let lines = lines.json().flatten_event(true);
            lines.map_event_format(Escaping).boxed()
        }
    };
    let lines = lines.with_filter(filter_fn(|event| !is_frame_of_lapin(event)));
    let subscriber = tracing_subscriber::registry().with(filter).with(lines);
    (subscriber, Switch(handle))
}

/// At this level lapin writes each frame that it sends, the login with its password among them: whatever the filter says, no
/// log holds a secret.
fn is_frame_of_lapin(event: &Metadata<'_>) -> bool {
    *event.level() == Level::TRACE && event.target().split("::").next() == Some("lapin")
}

/// `name=value`, or the bare message, without what is unprintable.
fn escaped_field(writer: &mut Writer<'_>, field: &Field, value: &dyn fmt::Debug) -> fmt::Result {
    if field.name() != "message" {
        write!(writer, "{field}=")?;
    }
    write!(OneLine(writer), "{value:?}")
}

/// Passes text on with what is unprintable escaped.
struct OneLine<'w, 'b>(&'w mut Writer<'b>);

impl Write for OneLine<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for part in text.split_inclusive(is_unprintable) {
            let mut chars = part.chars();
            match chars.next_back() {
                Some(last) if is_unprintable(last) => {
                    write!(self.0, "{}{}", chars.as_str(), last.escape_default())?;
                }
                Some(_) | None => self.0.write_str(part)?,
            }
        }
        Ok(())
    }
}

/// JSON escapes no more by itself than it must.
struct Escaping<F>(F);

impl<S, N, F> FormatEvent<S, N> for Escaping<F>
where
    S: Subscriber + for<'s> LookupSpan<'s>,
    N: for<'w> FormatFields<'w> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut json = String::new();
        self.0
            .format_event(context, Writer::new(&mut json), event)?;
        writeln!(writer, "{}", json_line(json.trim_end()))
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What is written of the events that `say` emits.
    fn written(format: Format, filter: &str, say: impl FnOnce()) -> String {
        let paper = Paper::default();
        let settings = Settings {
            format,
            filter: Filter::parse(filter).unwrap(),
        };
        let pen = paper.clone();
        let (log, _) = subscriber(&settings, false, move || pen.clone());
        tracing::subscriber::with_default(log, say);
        let bytes = paper.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    const FORGED: &str =
        "refused\n2026-01-01T00:00:00Z INFO all well\r\x1b[2J\u{85}\u{9b}1m\u{202e}lla";

    #[test]
    fn text_from_outside_cannot_forge_a_line() {
        for format in [Format::Text, Format::Json] {
            let log = written(format, "info", || {
                let span = tracing::info_span!("call", why = %FORGED);
                let _inside = span.enter();
                tracing::info!(why = %FORGED, again = FORGED, "the PBX said {FORGED}");
            });
            assert_eq!(log.lines().count(), 1, "{log}");
            assert!(!log.trim_end().contains(is_unprintable), "{log:?}");
        }
    }

    #[test]
    fn text_has_no_colours_unless_asked() {
        let log = written(Format::Text, "info", || {
            tracing::info!(held = 3, "jobs held");
        });
        assert!(
            log.ends_with("INFO clockout::telemetry::log::tests: jobs held held=3\n"),
            "{log:?}"
        );
    }

    #[test]
    fn json_has_fields_at_the_top() {
        let log = written(Format::Json, "info", || {
            tracing::info!({ crate::telemetry::field::QUEUE } = "10000", "call made");
        });
        let line: serde_json::Value = serde_json::from_str(&log).unwrap();
        assert_eq!(
            (&line["message"], &line["queue"], &line["level"]),
            (&"call made".into(), &"10000".into(), &"INFO".into())
        );
    }

    #[test]
    fn lapin_is_quiet_until_the_filter_names_it() {
        let says = |filter| {
            let log = written(
                Format::Text,
                filter,
                || tracing::error!(target: "lapin::channel", "no queue"),
            );
            !log.is_empty()
        };
        assert!(!says("info"));
        assert!(!says("trace"));
        assert!(says("info,lapin=warn"));
        assert!(says("lapin::channel=debug"));
    }

    #[test]
    fn lapin_never_says_what_its_frames_hold() {
        let log = written(Format::Text, "lapin=trace", || {
            tracing::trace!(target: "lapin::io_loop", "will write hush-password");
            tracing::debug!(target: "lapin::heartbeat", "sent");
        });
        assert!(log.contains("sent") && !log.contains("hush"), "{log}");
    }

    #[test]
    fn off_is_silent() {
        assert_eq!(
            written(
                Format::Text,
                "off",
                || tracing::error!(target: "lapin", "gone")
            ),
            ""
        );
    }

    #[test]
    fn a_filter_that_cannot_be_read_says_what_it_should_be() {
        let problem = Filter::parse("clockout=loud").unwrap_err().to_string();
        assert!(problem.contains("must be a level"), "{problem}");
    }
}
