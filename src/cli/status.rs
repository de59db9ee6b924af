//! `clockout status`: how a running worker stands, once, or again and again like `top`.

mod picture;
mod report;
mod worker;

use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clockout::settings;
use tokio::time::{MissedTickBehavior, interval};

use super::signals::Signals;
use super::{Exit, terminal};
use report::Report;
use worker::{Unheard, Worker};

/// How often a terminal is drawn anew, which is how often the worker itself counts.
const REDRAW: Duration = Duration::from_secs(1);

/// To a screen of its own and back, without a cursor meanwhile; to its top, and what is below it erased.
const SCREEN_BEGINS: &str = "\x1b[?1049h\x1b[?25l";
const SCREEN_ENDS: &str = "\x1b[?25h\x1b[?1049l";
const TOP: &str = "\x1b[H\x1b[J";

/// Show how a running worker stands: held and under way per PBX queue, breaker, rates, failures, errors.
///
/// On a terminal it goes on until Ctrl-C; in a pipe, and with --json, it answers once.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  clockout status --url http://127.0.0.1:9464")]
pub(crate) struct Arguments {
    /// The settings file whose http.listen says where the worker is; else the one that `CLOCKOUT_CONFIG` names.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Where the worker listens, instead of what the settings say.
    #[arg(long, value_name = "URL")]
    url: Option<Worker>,

    /// Print what /status answers, as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn execute(arguments: Arguments) -> anyhow::Result<Exit> {
    let json = arguments.json;
    let worker = worker(arguments)?;
    let first = worker.status().await?;
    if json {
        terminal::print_line(first.trim_end())?;
    } else if terminal::is_watched() {
        watch(&worker, Report::read(&first)?).await?;
    } else {
        picture::print(&Report::read(&first)?)?;
    }
    Ok(Exit::Done)
}

fn worker(arguments: Arguments) -> anyhow::Result<Worker> {
    if let Some(worker) = arguments.url {
        return Ok(worker);
    }
    let told = settings::Arguments {
        config: arguments.config,
        ..settings::Arguments::default()
    };
    let listen = settings::http_listen(&told)?.ok_or(Unheard::Off)?;
    Ok(format!("http://{}", reachable(listen)).parse()?)
}

/// Who listens everywhere is also here.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip @ (IpAddr::V4(_) | IpAddr::V6(_)) => ip,
    };
    SocketAddr::new(ip, listen.port())
}

/// Draws until Ctrl-C. A worker that has gone may come back.
async fn watch(worker: &Worker, first: Report) -> anyhow::Result<()> {
    let mut signals = Signals::heed()?;
    let mut redraw = interval(REDRAW);
    redraw.set_missed_tick_behavior(MissedTickBehavior::Delay);
    redraw.reset();
    let _screen = Screen::begin()?;
    draw(&first, None)?;
    let mut latest = first;
    loop {
        tokio::select! {
            () = signals.next() => return Ok(()),
            _ = redraw.tick() => {}
        }
        let asked = worker.status().await;
        match asked.and_then(|status| Report::read(&status)) {
            Ok(report) => {
                draw(&report, None)?;
                latest = report;
            }
            Err(why) => draw(&latest, Some(&why))?,
        }
    }
}

/// A picture as large as the terminal; what cannot be heard any more is said above what was heard last.
fn draw(report: &Report, unheard: Option<&Unheard>) -> io::Result<()> {
    let mut out = terminal::stdout();
    write!(out, "{TOP}")?;
    if let Some(why) = unheard {
        writeln!(out, "{}", terminal::painted(why, terminal::Tone::Bad))?;
    }
    let mut room = terminal::size();
    // Below the last line stands the cursor.
    room.lines = room.lines.saturating_sub(1 + u16::from(unheard.is_some()));
    write!(out, "{}", picture::fitted(report, room))?;
    out.flush()
}

/// The terminal's second screen, until it is dropped.
struct Screen;

impl Screen {
    fn begin() -> io::Result<Self> {
        write!(io::stdout(), "{SCREEN_BEGINS}")?;
        Ok(Self)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // A terminal that is gone needs no cursor.
        write!(io::stdout(), "{SCREEN_ENDS}").ok();
        io::stdout().flush().ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_that_listens_everywhere_is_asked_here() {
        for (listen, asked) in [
            ("0.0.0.0:9464", "127.0.0.1:9464"),
            ("[::]:1", "[::1]:1"),
            ("192.0.2.7:80", "192.0.2.7:80"),
        ] {
            assert_eq!(reachable(listen.parse().unwrap()).to_string(), asked);
        }
    }
}
