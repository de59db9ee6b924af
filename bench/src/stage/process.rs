//! What a process and its children use: processor time, memory, file handles; and what the machine has left.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context as _, Result};
use procfs::CurrentSI as _;
use procfs::net::TcpState;
use procfs::process::{FDTarget, Process, all_processes};

/// The name of the processes that run Erlang, and so RabbitMQ.
const ERLANG: &str = "beam.smp";

/// Looks at one process and all that descend from it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Meter {
    root: i32,
}

/// Of a whole tree of processes, at one moment.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    /// Processor time, in user and kernel mode.
    pub(crate) cpu: Duration,
    /// The most memory that was ever resident, in bytes; pages that processes share count for each of them.
    pub(crate) memory_peak: u64,
    /// Memory resident now, in bytes.
    pub(crate) memory: u64,
    pub(crate) threads: u64,
    pub(crate) handles: u64,
}

/// Processor time since the machine started that nobody used, of all its cores together.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Unused {
    pub(crate) idle: Duration,
    /// Idle as well, but somebody waited for a disk.
    pub(crate) disk: Duration,
}

impl Unused {
    pub(crate) fn read() -> Result<Self> {
        let total = procfs::KernelStats::current()?.total;
        Ok(Self {
            idle: total.idle_duration(),
            disk: total.iowait_duration().unwrap_or_default(),
        })
    }
}

impl Meter {
    pub(crate) fn of(pid: u32) -> Result<Self> {
        Ok(Self {
            root: pid.try_into()?,
        })
    }

    /// The broker that listens on a TCP port of this machine; if that port only leads to a container, the youngest broker
    /// there is.
    pub(crate) fn of_broker(port: u16) -> Result<Self> {
        let listening: Vec<u64> = procfs::net::tcp()?
            .into_iter()
            .chain(procfs::net::tcp6().unwrap_or_default())
            .filter(|entry| entry.state == TcpState::Listen && entry.local_address.port() == port)
            .map(|entry| entry.inode)
            .collect();
        let listens = |process: &Process| {
            process.fd().is_ok_and(|mut handles| {
                handles.any(|handle| {
                    matches!(handle.map(|handle| handle.target), Ok(FDTarget::Socket(inode)) if listening.contains(&inode))
                })
            })
        };
        let brokers = all_processes()?
            .flatten()
            .filter_map(|process| Some((process.stat().ok()?, process)))
            .filter(|(stat, _)| stat.comm == ERLANG);
        let broker = brokers.max_by_key(|(stat, process)| (listens(process), stat.starttime));
        let (_, broker) = broker.context("no process of RabbitMQ can be seen")?;
        Ok(Self { root: broker.pid })
    }

    pub(crate) fn read(self) -> Result<Usage> {
        let page = procfs::page_size();
        let mut sum = Usage::default();
        for process in self.tree()? {
            // A child may end while we look.
            let (Ok(stat), Ok(status), Ok(threads)) =
                (process.stat(), process.status(), process.tasks())
            else {
                continue;
            };
            // By thread, as only there the time is told in nanoseconds.
            let times = threads
                .flatten()
                .filter_map(|thread| thread.schedstat().ok());
            sum.cpu += times
                .map(|time| Duration::from_nanos(time.sum_exec_runtime))
                .sum::<Duration>();
            sum.memory += stat.rss * page;
            sum.memory_peak += status.vmhwm.unwrap_or_default() * 1024;
            sum.threads += status.threads;
            sum.handles += process.fd_count().unwrap_or_default() as u64;
        }
        Ok(sum)
    }

    fn tree(self) -> Result<Vec<Process>> {
        let mut by_parent: HashMap<i32, Vec<Process>> = HashMap::new();
        for process in all_processes()?.flatten() {
            if let Ok(stat) = process.stat() {
                by_parent.entry(stat.ppid).or_default().push(process);
            }
        }
        let mut tree = vec![Process::new(self.root).context("the process is gone")?];
        let mut next = 0;
        while let Some(parent) = tree.get(next).map(|process| process.pid) {
            tree.extend(by_parent.remove(&parent).unwrap_or_default());
            next += 1;
        }
        Ok(tree)
    }
}
