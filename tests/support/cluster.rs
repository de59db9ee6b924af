//! Three RabbitMQ nodes of the installed server that form one cluster, on the loopback.

use std::path::PathBuf;
use std::time::Instant;

use super::PATIENCE;
use super::broker::Place;
use super::node::{self, Node};

/// A node that is cut off from the majority pauses.
const SETTINGS: &str = "cluster_partition_handling = pause_minority\n";

const NODES: usize = 3;

pub struct Cluster {
    nodes: Vec<Node>,
    /// In Erlang.
    names: Vec<String>,
}

impl Cluster {
    /// `Err` if the server is not installed.
    pub fn start() -> Result<Cluster, String> {
        let mut cluster = Cluster {
            nodes: Vec::new(),
            names: Vec::new(),
        };
        let mut first: Option<PathBuf> = None;
        for _ in 0..NODES {
            let folder = node::fresh_folder();
            std::fs::write(folder.join("extra.conf"), SETTINGS).expect("a folder of our own");
            let node = Node::start_beside(&folder, first.as_deref())?;
            let name = node.ctl(&["eval", "node()."]);
            cluster.names.push(name.trim().to_owned());
            cluster.nodes.push(node);
            first.get_or_insert(folder);
        }
        cluster.await_all();
        Ok(cluster)
    }

    /// The default virtual host, by way of any node.
    pub fn place(&self) -> Place {
        let mut place = self.nodes[0].place();
        let others = self.nodes[1..].iter().map(|node| node.place().url);
        place.other_urls = others.collect();
        place
    }

    pub fn node(&self, number: usize) -> &Node {
        &self.nodes[number]
    }

    /// The number of the node on whose port of the loopback a client sits.
    pub fn on_port(&self, port: u16) -> usize {
        let ports = self.nodes.iter().map(Node::port);
        let mut found = ports.enumerate().filter(|(_, other)| *other == port);
        found.next().expect("a port of the cluster").0
    }

    /// The number of the node that leads a quorum queue. Ask while all are up.
    pub fn leader(&self, queue: &str) -> usize {
        let rows = self.nodes[0].ctl(&["list_queues", "name", "leader"]);
        let leader = rows
            .lines()
            .find_map(|row| row.strip_prefix(queue)?.strip_prefix('\t'));
        let leader = leader
            .unwrap_or_else(|| panic!("no leader of {queue} in {rows}"))
            .trim();
        let is_leader = |name: &String| name.trim_matches('\'') == leader;
        self.names
            .iter()
            .position(is_leader)
            .expect("a node of the cluster")
    }

    /// How many nodes have a copy of a quorum queue.
    pub fn copies(&self, queue: &str) -> usize {
        let rows = self.nodes[0].ctl(&["list_queues", "name", "members"]);
        let members = rows
            .lines()
            .find_map(|row| row.strip_prefix(queue)?.strip_prefix('\t'));
        let members = members.unwrap_or_else(|| panic!("no members of {queue} in {rows}"));
        copies_in(members)
    }

    /// Loses the connections between this node and the others, and lets none come up again. All at once: a node that sees
    /// it gone, and hears that another still has it, pauses too.
    pub fn cut_off(&self, number: usize) {
        let cut = format!(
            "Others = [{}], [erlang:set_cookie(Node, cut) || Node <- Others], \
             [erlang:disconnect_node(Node) || Node <- Others].",
            self.others(number)
        );
        self.nodes[number].ctl(&["eval", &cut]);
    }

    /// Takes [`Cluster::cut_off`] back and waits until all nodes are one cluster again.
    pub fn heal(&self, number: usize) {
        let heal = format!(
            "[erlang:set_cookie(Node, erlang:get_cookie()) || Node <- [{}]].",
            self.others(number)
        );
        self.nodes[number].ctl(&["eval", &heal]);
        self.await_all();
    }

    /// Waits until every node is up and every copy of every quorum queue at work. A node is up before its copies are; to
    /// take the next one away meanwhile would leave a queue without its majority.
    pub fn await_all(&self) {
        for node in &self.nodes {
            await_online(node);
        }
        let began = Instant::now();
        loop {
            let rows = self.quorum_queues();
            // Each copy is named twice.
            if rows.lines().all(|row| copies_in(row) == 2 * NODES) {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "copies are missing: {rows}");
        }
    }

    /// A line for each: its name, where its copies are, and where they are at work.
    pub fn quorum_queues(&self) -> String {
        let rows = self.nodes[0].ctl_when_up(&["list_queues", "name", "members", "online"]);
        let quorum = rows.lines().filter(|row| copies_in(row) > 0);
        quorum.collect::<Vec<_>>().join("\n")
    }

    fn others(&self, number: usize) -> String {
        let others = self.names.iter().enumerate();
        let others = others.filter(|(other, _)| *other != number);
        let others: Vec<&str> = others.map(|(_, name)| name.as_str()).collect();
        others.join(", ")
    }
}

/// Waits until this node sees all of them.
fn await_online(node: &Node) {
    node.ctl_when_up(&["await_online_nodes", &NODES.to_string()]);
}

/// How many nodes are named in an Erlang term.
fn copies_in(term: &str) -> usize {
    term.matches("clockout-").count()
}
