//! The endpoints of a worker that the test plays: it says how things stand, and the page shows it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use clockout::admin::{self, Broker, Health, Identity, Snapshot, View};
use clockout::engine::QueueRow;
use clockout::engine::batch::{Batch, BatchId, Cause};
use clockout::engine::job::{Action, Agent, PbxQueue, Timestamp};
use clockout::engine::verdict::CallResult;
use clockout::telemetry::Metrics;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub struct Played {
    pub health: Arc<Health>,
    pub metrics: Arc<Metrics>,
    pub address: SocketAddr,
    pub stop: CancellationToken,
    pub server: JoinHandle<()>,
}

impl Played {
    pub async fn start() -> Played {
        let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
        let listener = admin::bind(admin::Settings { listen: any_port })
            .await
            .unwrap();
        let address = listener.local_addr().unwrap();
        let health = Arc::new(Health::new(Instant::now()));
        // Its loop goes round for as long as any test lasts.
        health.beat(Duration::from_hours(1));
        let metrics = Arc::new(Metrics::new());
        let view = View {
            identity: Arc::new(Identity {
                worker: "w-1".to_owned(),
                pbx: "default".to_owned(),
                dry_run: false,
                dead_queue: "clockout.dead".to_owned(),
            }),
            health: Arc::clone(&health),
            metrics: Arc::clone(&metrics),
            runtime: tokio::runtime::Handle::current(),
            actions: None,
        };
        let stop = CancellationToken::new();
        let server = tokio::spawn(admin::serve(listener, view, stop.clone()));
        Played {
            health,
            metrics,
            address,
            stop,
            server,
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// The worker is well, and so much waits on PBX queues 1, 2, …
    pub fn holds(&self, waiting: impl IntoIterator<Item = usize>) {
        let row = |(number, waiting): (usize, usize)| QueueRow {
            queue: PbxQueue::parse(&number.to_string()).unwrap(),
            waiting,
            in_flight: 0,
            retrying: 0,
        };
        self.health.publish(Snapshot {
            broker: Broker {
                connected: true,
                subscribed: true,
            },
            queues: (1..).zip(waiting).map(row).collect(),
            ..Snapshot::default()
        });
    }

    /// The call of this number, about an agent of queue 10000, is over.
    pub fn called(&self, number: u64, at: Timestamp, result: &CallResult) {
        let lane = (PbxQueue::parse("10000").unwrap(), Action::Pause);
        let agent = Agent::parse("570").unwrap();
        let batch = Batch::new(BatchId(number), lane, Cause::Full, agent, vec![]);
        let took = Duration::from_millis(5);
        self.health.recent.called(at, &batch, result, took);
    }

    /// A GET whose answer is read line by line.
    pub async fn get(&self, path: &str) -> Answer {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: here\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        Answer(BufReader::new(stream))
    }
}

pub struct Answer(BufReader<TcpStream>);

impl Answer {
    /// The next line, without its end; `None` at the end of the answer.
    pub async fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let bytes = self.0.read_line(&mut line).await.unwrap();
        (bytes > 0).then(|| line.trim_end().to_owned())
    }

    /// The next line that begins so; what stands behind.
    pub async fn line_after(&mut self, start: &str) -> Option<String> {
        loop {
            if let Some(rest) = self.line().await?.strip_prefix(start) {
                return Some(rest.to_owned());
            }
        }
    }

    pub async fn status(&mut self) -> u16 {
        let line = self.line().await.unwrap();
        line.split(' ').nth(1).unwrap().parse().unwrap()
    }

    /// All that is left of it.
    pub async fn rest(&mut self) -> String {
        let mut text = String::new();
        while let Some(line) = self.line().await {
            text += &(line + "\n");
        }
        text
    }
}
