//! RabbitMQ nodes that the tests start: of the installed server, or in a container.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use super::broker::{Names, Place, make_vhosts};
use super::container;
use super::keeper::Keeper;

/// A node that one test owns: to stop, kill, freeze and start again.
pub struct Node {
    keeper: Mutex<Keeper>,
}

/// What a node shows and wants to see when a client talks TLS to it; all PEM.
pub struct Tls {
    pub ca: String,
    pub certificate: String,
    pub key: String,
    /// Whether a client without a certificate of `ca` is turned away.
    pub demands_client_certificate: bool,
}

impl Node {
    pub fn start() -> Node {
        Node::start_in(&fresh_folder())
    }

    /// In a cluster with the node of another folder, if one is named; of the installed server, else `Err`.
    pub fn start_beside(folder: &Path, neighbour: Option<&Path>) -> Result<Node, String> {
        let mut command = installed(folder);
        command.args(neighbour);
        let keeper = Mutex::new(Keeper::start(command)?);
        Ok(Node { keeper })
    }

    /// With the plugin that `jobs.shards` needs.
    pub fn start_for_shards() -> Node {
        let folder = fresh_folder();
        let plugins = "[rabbitmq_consistent_hash_exchange].";
        std::fs::write(folder.join("enabled_plugins"), plugins).expect("a folder of our own");
        Node::start_in(&folder)
    }

    /// With a TLS listener beside the plain one.
    pub fn start_with_tls(tls: &Tls) -> Node {
        let folder = fresh_folder();
        let demands = tls.demands_client_certificate;
        let mut settings = vec![
            "ssl_options.verify = verify_peer".to_owned(),
            format!("ssl_options.fail_if_no_peer_cert = {demands}"),
        ];
        for (key, pem) in [
            ("cacertfile", &tls.ca),
            ("certfile", &tls.certificate),
            ("keyfile", &tls.key),
        ] {
            let file = folder.join(key);
            std::fs::write(&file, pem).expect("a folder of our own");
            settings.push(format!("ssl_options.{key} = {}", file.display()));
        }
        let settings = settings.join("\n") + "\n";
        std::fs::write(folder.join("extra.conf"), settings).expect("a folder of our own");
        Node::start_in(&folder)
    }

    /// The default virtual host, for a client or a worker.
    pub fn place(&self) -> Place {
        let port = self.port();
        Place {
            url: format!("amqp://guest:guest@127.0.0.1:{port}/%2f"),
            other_urls: Vec::new(),
            names: Names::default(),
            shared: false,
        }
    }

    /// A virtual host of its own, made anew.
    pub fn place_on(&self, vhost: &str) -> Place {
        self.ctl(&["eval", &make_vhosts(&[vhost.to_owned()])]);
        let port = self.port();
        Place {
            url: format!("amqp://guest:guest@127.0.0.1:{port}/{vhost}"),
            other_urls: Vec::new(),
            names: Names::default(),
            shared: false,
        }
    }

    pub fn port(&self) -> u16 {
        self.keeper().port("amqp")
    }

    pub fn tls_port(&self) -> u16 {
        self.keeper().port("tls")
    }

    /// Orderly; what is durable stays for [`Node::start_again`].
    pub fn stop(&self) {
        self.order(&["stop"]);
    }

    /// As by a power failure; what is durable stays for [`Node::start_again`]. RabbitMQ confirms a declaration before it is
    /// on disk: an exchange declared just before could be gone, and a quorum queue without a leader for ever. So that is
    /// written first.
    pub fn kill(&self) {
        let write = "[dets:sync(Table) || Table <- dets:all()], mnesia:sync_log().";
        self.ctl(&["eval", write]);
        self.order(&["kill"]);
    }

    /// The same node, the same ports, the same data.
    pub fn start_again(&self) {
        self.order(&["start"]);
    }

    /// Sockets stay open and nothing answers, until [`Node::thaw`].
    pub fn freeze(&self) {
        self.order(&["freeze"]);
    }

    pub fn thaw(&self) {
        self.order(&["thaw"]);
    }

    pub fn close_all_connections(&self) {
        self.ctl(&["close_all_connections", "closed by a test"]);
    }

    /// Raises or clears the memory alarm, which blocks every connection that publishes.
    pub fn set_memory_alarm(&self, on: bool) {
        let watermark = if on { "1MB" } else { "1GB" };
        self.ctl(&["set_vm_memory_high_watermark", "absolute", watermark]);
    }

    /// How long a delivery may wait for its acknowledgement; `None`: as RabbitMQ comes. Closes all connections, as
    /// channels learn of it when they open. Then they look every second.
    pub fn set_consumer_timeout(&self, timeout: Option<Duration>) {
        let (timeout, tick) = match timeout {
            Some(timeout) => (timeout, Duration::from_secs(1)),
            None => (Duration::from_mins(30), Duration::from_mins(1)),
        };
        let set = format!(
            "application:set_env(rabbit, consumer_timeout, {}), application:set_env(rabbit, channel_tick_interval, {}).",
            timeout.as_millis(),
            tick.as_millis()
        );
        self.ctl(&["eval", &set]);
        self.close_all_connections();
    }

    /// A user that may do nothing yet; its password is its name.
    pub fn add_user(&self, user: &str) {
        self.ctl(&["add_user", user, user]);
    }

    /// Gives a user all rights on a virtual host, or takes them all.
    pub fn set_rights(&self, vhost: &str, user: &str, all: bool) {
        if all {
            self.ctl(&["set_permissions", "-p", vhost, user, ".*", ".*", ".*"]);
        } else {
            self.ctl(&["clear_permissions", "-p", vhost, user]);
        }
    }

    /// `rabbitmqctl`; what it printed.
    pub fn ctl(&self, arguments: &[&str]) -> String {
        self.order(&[&["ctl"], arguments].concat())
    }

    /// The same of a node that may be down for a moment; its last word.
    pub fn ctl_when_up(&self, arguments: &[&str]) -> String {
        self.order(&[&["ctl-when-up"], arguments].concat())
    }

    /// The installed server before a container, which is slower to start.
    fn start_in(folder: &Path) -> Node {
        let keeper = keep_installed(folder).or_else(|why| {
            keep_container(folder)
                .map_err(|no_container| format!("{why}; in Docker: {no_container}"))
        });
        Node {
            keeper: Mutex::new(keeper.expect("a RabbitMQ node of the test's own")),
        }
    }

    fn order(&self, words: &[&str]) -> String {
        self.keeper().order(words).expect("the node obeys")
    }

    fn keeper(&self) -> MutexGuard<'_, Keeper> {
        self.keeper.lock().expect("no order has failed")
    }
}

/// Starts a node of the installed server.
pub fn keep_installed(folder: &Path) -> Result<Keeper, String> {
    Keeper::start(installed(folder))
}

/// The command that keeps a node of the installed server.
fn installed(folder: &Path) -> Command {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/rabbitmq-node");
    let mut command = Command::new(script);
    command.arg(folder);
    command
}

/// Starts a node in a container; `Err` if no Docker engine answers or it cannot start the image.
pub fn keep_container(folder: &Path) -> Result<Keeper, String> {
    Keeper::start(container::keeper(folder))
}

/// The node's own, removed by its keeper.
pub fn fresh_folder() -> PathBuf {
    let folder = tempfile::Builder::new()
        .prefix("clockout-node-")
        .tempdir()
        .expect("a folder for the node");
    folder.keep()
}
