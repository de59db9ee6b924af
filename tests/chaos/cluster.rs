//! A cluster of three nodes, of which one at a time fails while jobs flow: the same oracle as for one node.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::timeout;

use crate::flow::{Flow, Volume};
use crate::hearing::Hearing;
use crate::jobs::Jobs;
use crate::oracle;
use crate::record::Record;
use crate::support::{Cluster, Place, Rabbit, Worker, WorkerSetup, left_out};
use crate::world::PbxProcess;

const SEED: u64 = 1;
const JOBS: usize = 2_000;
const PACE: Duration = Duration::from_millis(10);

/// Longest from a fault, or its end, until the outcome of a job that was sent after it.
const RECOVERY_MAX: Duration = Duration::from_mins(2);

/// Longest from the end of all faults until everything is told.
const SETTLING_MAX: Duration = Duration::from_mins(2);

/// Blocks: the links of other tests must not wait for it.
async fn obey<T: Send + 'static>(
    cluster: &Arc<Cluster>,
    order: impl FnOnce(&Cluster) -> T + Send + 'static,
) -> T {
    let cluster = Arc::clone(cluster);
    let order = tokio::task::spawn_blocking(move || order(&cluster));
    order.await.expect("the cluster obeys")
}

async fn recovered(what: &str, record: &Record, cluster: &Arc<Cluster>) {
    let (start, sent) = (Instant::now(), record.look().account.sent.len());
    if timeout(RECOVERY_MAX, record.told_beyond(sent))
        .await
        .is_err()
    {
        // First, as a node that is away cannot be asked.
        eprintln!("{what}: {}", record.pending());
        panic!("{what}: {}", obey(cluster, Cluster::quorum_queues).await);
    }
    println!("{what}: outcomes again after {:?}", start.elapsed());
}

/// The port of RabbitMQ that the worker says it is connected to.
fn port_of(worker: &Worker) -> u16 {
    let log = worker.log();
    let (_, rest) = log
        .rsplit_once("connected to RabbitMQ at amqp://guest@127.0.0.1:")
        .unwrap();
    rest.split('/').next().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_that_loses_one_node_after_another_loses_no_job() {
    let started = tokio::task::spawn_blocking(Cluster::start).await.unwrap();
    let cluster = match started {
        Ok(cluster) => Arc::new(cluster),
        Err(why) => return left_out("rabbitmq", "the loss of nodes of a cluster", why),
    };
    let place = cluster.place();
    let pbx = PbxProcess::start();
    let record = Arc::new(Record::new(SEED));
    let (flow, orders) = Flow::new(&place, &record, Jobs::new(SEED, 20));
    let worker = WorkerSetup::new(&place, &pbx.url())
        .set("retry.attempts_max", "20")
        // RabbitMQ 3.10 may refuse on a channel for as long as a node is away. What then helps is the watchdog.
        .set("watchdog.patience", "20s");
    let mut worker = worker.start().await;
    let _hearing = Hearing::start(&place, &record).await;
    let jobs_queue = place.names.jobs.clone();
    let copies = obey(&cluster, move |cluster| cluster.copies(&jobs_queue)).await;
    assert_eq!(copies, 3);
    // RabbitMQ confirms a declaration before all copies are at work.
    obey(&cluster, Cluster::await_all).await;
    let flow = tokio::spawn(flow.run(Volume {
        jobs: JOBS,
        pace: PACE,
    }));
    recovered("at the start", &record, &cluster).await;

    for (what, leads) in [("leader killed", true), ("follower killed", false)] {
        let queue = place.names.jobs.clone();
        let struck = obey(&cluster, move |cluster| {
            let leader = cluster.leader(&queue);
            let struck = if leads { leader } else { (leader + 1) % 3 };
            cluster.node(struck).kill();
            struck
        })
        .await;
        recovered(what, &record, &cluster).await;
        obey(&cluster, move |cluster| {
            cluster.node(struck).start_again();
            cluster.await_all();
        })
        .await;
        recovered("back again", &record, &cluster).await;
    }
    let cut_off = cluster.on_port(port_of(&worker));
    obey(&cluster, move |cluster| cluster.cut_off(cut_off)).await;
    recovered("the worker's node cut off", &record, &cluster).await;
    assert_ne!(cluster.on_port(port_of(&worker)), cut_off);
    obey(&cluster, move |cluster| cluster.heal(cut_off)).await;
    recovered("healed", &record, &cluster).await;

    orders.enough();
    let published = timeout(SETTLING_MAX, flow).await;
    published
        .expect("all is published")
        .expect("the flow does not panic");
    let told = timeout(SETTLING_MAX, record.all_told()).await;
    assert!(told.is_ok(), "{}", record.pending());
    let log = worker.log();
    for stall in log.lines().filter(|line| line.contains(" ERROR ")) {
        println!("{stall}");
    }
    worker.signal("TERM");
    assert_eq!(worker.ended().await.code(), Some(0));
    assert_eq!(jobs_left(&place).await, Some(0));
    let seen = pbx.seen().await;
    let broken = oracle::judge(&record.look().account, &seen);
    assert!(broken.is_empty(), "{broken:#?}");
}

async fn jobs_left(place: &Place) -> Option<u32> {
    Rabbit::connect(&place.url)
        .await
        .depth(&place.names.jobs)
        .await
}
