//! `clockout pbx-sim`: the simulated PBX as a server of its own (`docs/pbx-sim.md`).

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use clockout::engine::job::{Agent, PbxQueue};
use clockout::pbx::sim::{Options, Seat, Sim};
use secrecy::SecretString;
use tokio::signal::unix::{SignalKind, signal};

use super::{Exit, terminal, values};

/// Run a simulated PBX; faults are switched over HTTP, under /sim/faults.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  clockout pbx-sim --listen 127.0.0.1:8088 --latency 20ms --members 10000:570,10000:553"
)]
pub(crate) struct Arguments {
    /// Address to listen on; port 0 takes a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8088")]
    listen: SocketAddr,

    /// Seed of the luck of fault rules.
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,

    /// How long every call takes.
    #[arg(long, value_name = "DURATION", default_value = "0ms", value_parser = values::duration)]
    latency: Duration,

    /// Ask callers for this key in X-APIKEY.
    #[arg(long, value_name = "KEY")]
    api_key: Option<SecretString>,

    /// Ask callers for HTTP Basic credentials.
    #[arg(long, value_name = "NAME")]
    username: Option<String>,

    /// Their password; empty unless given.
    #[arg(long, requires = "username")]
    password: Option<SecretString>,

    /// Only these agents exist, instead of every one on every queue.
    #[arg(long, value_name = "QUEUE:AGENT", value_delimiter = ',', value_parser = seat)]
    members: Option<Vec<Seat>>,
}

/// Prints the address as one line on standard output, then serves until SIGTERM or SIGINT.
pub(super) async fn execute(arguments: Arguments) -> anyhow::Result<Exit> {
    let mut terminated = signal(SignalKind::terminate())?;
    let mut interrupted = signal(SignalKind::interrupt())?;
    let password = arguments.password.unwrap_or_default();
    let options = Options {
        seed: arguments.seed,
        latency: arguments.latency,
        api_key: arguments.api_key,
        basic: arguments.username.map(|username| (username, password)),
        members: arguments.members,
    };
    let sim = Sim::start(arguments.listen, options)
        .await
        .with_context(|| format!("cannot listen on {}", arguments.listen))?;
    terminal::print_line(sim.url())?;
    tokio::select! {
        _ = terminated.recv() => {}
        _ = interrupted.recv() => {}
    }
    Ok(Exit::Done)
}

fn seat(text: &str) -> Result<Seat, String> {
    let (queue, agent) = text.split_once(':').ok_or("give QUEUE:AGENT")?;
    let queue = PbxQueue::parse(queue).map_err(|error| format!("the queue {error}"))?;
    let agent = Agent::parse(agent).map_err(|error| format!("the agent {error}"))?;
    Ok((queue, agent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seat_is_a_queue_and_an_agent() {
        let (queue, agent) = seat("10000:0570").unwrap();
        assert_eq!((queue.as_str(), agent.as_str()), ("10000", "0570"));
        for text in ["10000", "10000:", ":570", "1:2:3", "1:a b"] {
            assert!(seat(text).is_err(), "{text}");
        }
    }
}
