//! A simulated PBX: a real HTTP server that keeps members and their pauses, and fails as it is told.
//!
//! For tests, demonstrations and trying clockout out. The requests and the successful replies are the vendor's as
//! documented; how its PBX fails is modelled (`docs/pbx-sim.md`). Shares no code with [`super::client`], so that the
//! two cannot be wrong together. No secret of its options is ever shown.

mod call;
mod control;
mod faults;
mod log;
mod pbx;
mod reply;
mod rule;
mod server;
mod state;

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use secrecy::SecretString;
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

pub use self::call::Verb;
pub use self::log::{Load, LoggedCall, Stats};
pub use self::rule::{BadRule, CallFault, Effect, ItemFault, Latency, Match, RetryAfter, Rule};
pub use self::state::Member;

use self::faults::Faults;
use self::log::Log;
use self::state::Queues;
use crate::engine::job::{Agent, PbxQueue};

/// An agent on a queue.
pub type Seat = (PbxQueue, Agent);

/// How the simulated PBX starts.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Of the luck of fault rules with a probability or jitter.
    pub seed: u64,
    /// Of every call, on top of what rules say.
    pub latency: Duration,
    /// Asked for in `X-APIKEY`.
    pub api_key: Option<SecretString>,
    /// User name and password, asked for as HTTP Basic credentials.
    pub basic: Option<(String, SecretString)>,
    /// `None`: every agent is a dynamic member of every queue until it is removed.
    pub members: Option<Vec<Seat>>,
}

/// A simulated PBX that runs; ends, with all its connections, when dropped.
#[derive(Debug)]
pub struct Sim {
    addr: SocketAddr,
    shared: Arc<Shared>,
    _server: AbortOnDropHandle<()>,
}

impl Sim {
    /// Port 0 takes a free one. Fails if `listen` cannot be listened on.
    pub async fn start(listen: SocketAddr, options: Options) -> io::Result<Self> {
        let listener = TcpListener::bind(listen).await?;
        let addr = listener.local_addr()?;
        let shared = Arc::new(Shared::new(options));
        let server = tokio::spawn(server::serve(listener, Arc::clone(&shared)));
        Ok(Self {
            addr,
            shared,
            _server: AbortOnDropHandle::new(server),
        })
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The base address of the PBX, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Replaces the fault rules.
    pub fn set_faults(&self, rules: Vec<Rule>) -> Result<(), BadRule> {
        self.shared.world().faults.replace(rules)
    }

    /// The calls after number `since`, in the order of arrival; 0 for all that are remembered.
    pub fn calls(&self, since: u64) -> Vec<LoggedCall> {
        self.shared.world().log.calls(since).cloned().collect()
    }

    pub fn stats(&self) -> Stats {
        self.shared.world().log.stats()
    }

    /// `None` if the agent was never seen on the queue.
    pub fn member(&self, queue: PbxQueue, agent: Agent) -> Option<Member> {
        let world = self.shared.world();
        world.queues.members().get(&queue)?.get(&agent).copied()
    }
}

/// What all connections share.
#[derive(Debug)]
struct Shared {
    options: Options,
    started: Instant,
    world: Mutex<World>,
}

/// What changes.
#[derive(Debug)]
struct World {
    queues: Queues,
    faults: Faults,
    log: Log,
}

impl Shared {
    fn new(options: Options) -> Self {
        let world = World {
            queues: Queues::new(options.members.as_deref()),
            faults: Faults::new(options.seed),
            log: Log::default(),
        };
        Self {
            options,
            started: Instant::now(),
            world: Mutex::new(world),
        }
    }

    /// Never held across an await.
    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Milliseconds since the start.
    fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}
