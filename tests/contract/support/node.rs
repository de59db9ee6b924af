//! A private RabbitMQ node of the installed server, run by `scripts/rabbitmq-node`.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::broker::{Names, Place};
use super::keeper::Keeper;

/// A node that one test owns: to stop, kill, freeze and start again.
pub struct Node {
    folder: PathBuf,
    /// `None` while stopped.
    keeper: Option<Keeper>,
}

/// A node that nobody but its keeper looks after.
pub fn keep() -> Result<Keeper, String> {
    Keeper::start(command(&fresh_folder()))
}

impl Node {
    pub fn start() -> Node {
        Node::start_with("")
    }

    /// `extra` is added to `rabbitmq.conf`; with `ssl_options` there, the node listens for TLS too.
    pub fn start_with(extra: &str) -> Node {
        let folder = fresh_folder();
        std::fs::write(folder.join("extra.conf"), extra).expect("a folder of our own");
        let mut node = Node {
            folder,
            keeper: None,
        };
        node.start_again();
        node
    }

    /// The default virtual host, for a client or a worker.
    pub fn place(&self) -> Place {
        Place {
            url: format!("amqp://guest:guest@127.0.0.1:{}/%2f", self.number("amqp")),
            names: Names::default(),
            shared: false,
        }
    }

    pub fn tls_port(&self) -> u32 {
        self.number("tls")
    }

    /// Orderly; what is durable stays for [`Node::start_again`].
    pub fn stop(&mut self) {
        self.end_by("TERM");
    }

    /// As by a power failure; what is durable stays for [`Node::start_again`].
    pub fn kill(&mut self) {
        self.end_by("KILL");
    }

    /// The same node, the same ports, the same data.
    pub fn start_again(&mut self) {
        assert!(self.keeper.is_none(), "the node runs already");
        self.keeper = Some(Keeper::start(command(&self.folder)).expect("the node starts"));
    }

    /// Sockets stay open and nothing answers, until [`Node::thaw`].
    pub fn freeze(&self) {
        signal(self.number("pid"), "STOP");
    }

    pub fn thaw(&self) {
        signal(self.number("pid"), "CONT");
    }

    pub fn close_all_connections(&self) {
        self.ctl(&["close_all_connections", "closed by a test"]);
    }

    /// Raises or clears the memory alarm, which blocks every connection that publishes.
    pub fn set_memory_alarm(&self, on: bool) {
        let watermark = if on { "1MB" } else { "1GB" };
        self.ctl(&["set_vm_memory_high_watermark", "absolute", watermark]);
    }

    /// `rabbitmqctl`; what it printed.
    pub fn ctl(&self, arguments: &[&str]) -> String {
        let done = Command::new(self.folder.join("rabbitmqctl"))
            .args(arguments)
            .output()
            .expect("rabbitmqctl runs");
        assert!(done.status.success(), "rabbitmqctl {arguments:?}: {done:?}");
        String::from_utf8_lossy(&done.stdout).into_owned()
    }

    fn number(&self, key: &str) -> u32 {
        let keeper = self.keeper.as_ref().expect("the node runs");
        keeper.number(key)
    }

    fn end_by(&mut self, name: &str) {
        signal(self.number("pid"), name);
        let mut keeper = self.keeper.take().expect("the node runs");
        keeper.wait();
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if self.keeper.is_none() {
            // Nobody holds the folder of a stopped node; that it cannot be removed is no test's failure.
            drop(std::fs::remove_dir_all(&self.folder));
        }
    }
}

/// Sends a signal to a process that this run started.
pub fn signal(pid: u32, name: &str) {
    let done = Command::new("sh")
        .args(["-c", &format!("kill -s {name} {pid}")])
        .status();
    assert!(done.is_ok_and(|status| status.success()), "kill {name}");
}

fn command(folder: &Path) -> Command {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/rabbitmq-node");
    let mut command = Command::new(script);
    command.arg(folder);
    command
}

/// Removed by the node's keeper.
fn fresh_folder() -> PathBuf {
    tempfile::Builder::new()
        .prefix("clockout-node-")
        .tempdir()
        .expect("a folder for the node")
        .keep()
}
