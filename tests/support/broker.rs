//! The run's one broker and a place on it for each test.
//!
//! `CLOCKOUT_TEST_AMQP_URL` if set; else a container, if a Docker engine answers and has or gets the image; else a
//! private node of the installed RabbitMQ; else the tests fail and say what to install.

use std::io::{Write as _, stderr};
use std::iter::once;
use std::sync::{LazyLock, Mutex};

use super::keeper::Keeper;
use super::node;

/// The names of CONTRACT §1; the defaults, except where tests must share a virtual host.
#[derive(Debug, Clone)]
pub struct Names {
    pub jobs: String,
    pub results: String,
    pub dead: String,
}

/// Where one test plays on the broker.
#[derive(Debug, Clone)]
pub struct Place {
    /// With credentials and virtual host.
    pub url: String,
    /// The same by way of the other nodes of a cluster.
    pub other_urls: Vec<String>,
    pub names: Names,
    /// Whether others use the same virtual host, so that what was declared must be deleted.
    pub shared: bool,
}

enum Broker {
    /// Somebody else's, where we can make no virtual hosts.
    Given { url: String },
    Kept {
        keeper: Keeper,
        vhosts_made: usize,
        spare_vhosts: Vec<String>,
    },
}

/// Virtual hosts made at once: starting RabbitMQ's command line costs more than making several.
const VHOSTS_AT_ONCE: usize = 8;

static BROKER: LazyLock<Mutex<Broker>> = LazyLock::new(|| Mutex::new(Broker::find()));

/// A fresh place on the run's broker. The first caller starts it, the others wait for that.
pub fn place() -> Place {
    BROKER.lock().expect("the broker started").place()
}

impl Broker {
    fn find() -> Broker {
        if let Ok(url) = std::env::var("CLOCKOUT_TEST_AMQP_URL") {
            return Broker::Given { url };
        }
        // To name an installed server is to mean it.
        let keeper = match std::env::var("CLOCKOUT_TEST_RABBITMQ_BIN") {
            Ok(_) => node::keep_installed(&node::fresh_folder()),
            Err(_) => node::keep_container(&node::fresh_folder()).or_else(|why| {
                // Past the capture of test output: which broker it was matters for every result.
                let note = format!("no RabbitMQ in Docker ({why}): using the installed one\n");
                stderr().write_all(note.as_bytes()).expect("standard error");
                node::keep_installed(&node::fresh_folder())
            }),
        };
        Broker::Kept {
            keeper: keeper.unwrap_or_else(|why| {
                panic!(
                    "these tests need a RabbitMQ, and there is none ({why}). Any of these will do: a Docker engine \
                     that can get the image rabbitmq:4; RabbitMQ installed (Debian: apt-get install rabbitmq-server; \
                     `make test` does it); CLOCKOUT_TEST_AMQP_URL=amqp://user:password@host:5672/vhost"
                )
            }),
            vhosts_made: 0,
            spare_vhosts: Vec::new(),
        }
    }

    fn place(&mut self) -> Place {
        match self {
            Broker::Given { url } => Place {
                url: url.clone(),
                other_urls: Vec::new(),
                names: Names::prefixed(&format!("test-{:012x}.", fastrand::u64(..1 << 48))),
                shared: true,
            },
            Broker::Kept {
                keeper,
                vhosts_made,
                spare_vhosts,
            } => {
                if spare_vhosts.is_empty() {
                    let next = *vhosts_made..*vhosts_made + VHOSTS_AT_ONCE;
                    *vhosts_made = next.end;
                    *spare_vhosts = next.map(|number| format!("test-{number}")).collect();
                    let make = make_vhosts(spare_vhosts);
                    keeper
                        .order(&["ctl", "eval", &make])
                        .expect("virtual hosts");
                }
                let vhost = spare_vhosts.pop().expect("just filled");
                Place {
                    url: format!(
                        "amqp://guest:guest@127.0.0.1:{}/{vhost}",
                        keeper.port("amqp")
                    ),
                    other_urls: Vec::new(),
                    names: Names::default(),
                    shared: false,
                }
            }
        }
    }
}

/// The words for `rabbitmqctl eval` that make virtual hosts which `guest` may use.
pub(super) fn make_vhosts(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("<<\"{name}\">>")).collect();
    format!(
        "[begin rabbit_vhost:add(Name, <<\"tests\">>), rabbit_auth_backend_internal:set_permissions(<<\"guest\">>, \
         Name, <<\".*\">>, <<\".*\">>, <<\".*\">>, <<\"tests\">>) end || Name <- [{}]].",
        names.join(", ")
    )
}

impl Names {
    /// The queues that jobs wait in where `jobs.shards` is so many.
    pub fn jobs_queues(&self, shards: u16) -> Vec<String> {
        let others = (2..=shards).map(|number| format!("{}.shard-{number}", self.jobs));
        once(self.jobs.clone()).chain(others).collect()
    }

    fn prefixed(prefix: &str) -> Names {
        Names {
            jobs: format!("{prefix}clockout.jobs"),
            results: format!("{prefix}clockout.results"),
            dead: format!("{prefix}clockout.dead"),
        }
    }
}

impl Default for Names {
    fn default() -> Names {
        Names::prefixed("")
    }
}
