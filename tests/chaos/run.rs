//! One seed, from its first job until everything has settled and is judged.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::{sleep, timeout};

use crate::fault::PbxFault;
use crate::flow::{Flow, Orders, Volume};
use crate::hearing::Hearing;
use crate::jobs::Jobs;
use crate::oracle::{self, Action, Broken, Pbx, Promise};
use crate::record::{Inner, Place, Record};
use crate::report::{Findings, Struck};
use crate::schedule::{Schedule, Strike};
use crate::strikes;
use crate::support::{Node, Rabbit};
use crate::world::{self, Crew, World};

/// Longest from a fault's end until a job that was sent after it is carried out and told.
const RECOVERY_MAX: Duration = Duration::from_mins(2);

/// Longest from the end of all faults until everything is told.
const SETTLING_MAX: Duration = Duration::from_mins(5);

/// Beyond either, for each job that may come before: a seed may draw a worker that calls for one agent at a time.
const PER_JOB_MAX: Duration = Duration::from_millis(20);

/// Where one seed plays.
pub struct Stage<'w> {
    pub world: &'w World,
    pub crew: Crew,
    pub record: Arc<Record>,
    pub hearing: Hearing,
    pub orders: Orders,
    pub jobs_queues: Vec<String>,
    vhost: String,
    pbx_latency: Duration,
}

/// A strike and when it began.
type Begun = (Instant, Struck);

pub async fn run(world: &World, seed: u64, schedule: &Schedule, jobs: usize) -> Findings {
    let vhost = format!("seed-{seed}");
    let place = {
        let vhost = vhost.clone();
        world.obey(move |node| node.place_on(&vhost)).await
    };
    let record = Arc::new(Record::new(seed));
    let jobs_of_seed = Jobs::new(seed, schedule.pbx_queues);
    let (flow, orders) = Flow::new(&place, &record, jobs_of_seed);
    let mut stage = Stage {
        world,
        crew: world.crew(&vhost, schedule),
        hearing: Hearing::start(&place, &record).await,
        record,
        orders,
        jobs_queues: place.names.jobs_queues(schedule.shards),
        vhost,
        pbx_latency: schedule.pbx_latency,
    };
    world.pbx.reset().await;
    stage.set_pbx(None).await;
    stage.set_rights(true).await;
    stage.crew.ready().await;
    let flow = tokio::spawn(flow.run(Volume {
        jobs,
        pace: schedule.length() / u32::try_from(jobs).unwrap_or(u32::MAX),
    }));

    let mut broken = Vec::new();
    let begun = stage.strike_all(schedule, &mut broken).await;
    stage.orders.enough();
    flow.await.expect("the flow does not panic");
    let settling = stage.settle(&mut broken).await;
    for number in 0..stage.crew.size() {
        broken.extend(strikes::retire(&mut stage.crew, number).await);
    }
    broken.extend(stage.remains(&place.url).await);
    stage.end(begun, broken, settling, schedule).await
}

impl Stage<'_> {
    /// `None`: nothing is wrong with it.
    pub async fn set_pbx(&self, fault: Option<PbxFault>) {
        let rules = strikes::rules(fault, self.pbx_latency);
        self.world.pbx.set_faults(&rules).await;
    }

    /// All rights on the virtual host to the workers, or none.
    pub async fn set_rights(&self, all: bool) {
        let vhost = self.vhost.clone();
        let set = move |node: &Node| node.set_rights(&vhost, world::USER, all);
        self.world.obey(set).await;
    }

    async fn strike_all(&mut self, schedule: &Schedule, broken: &mut Vec<Broken>) -> Vec<Begun> {
        let mut begun = Vec::new();
        for (number, strike) in schedule.strikes.iter().enumerate() {
            sleep(strike.after).await;
            let at = Instant::now();
            broken.extend(strikes::carry_out(strike, self).await);
            let is_last = number + 1 == schedule.strikes.len();
            let recovery = if strike.recover || is_last {
                recover(strike, &self.record, broken).await
            } else {
                None
            };
            let struck = Struck {
                faults: strike.faults.clone(),
                repeated_outcomes: 0,
                repeated_calls: 0,
                recovery,
            };
            begun.push((at, struck));
        }
        begun
    }

    async fn settle(&self, broken: &mut Vec<Broken>) -> Duration {
        let end = Instant::now();
        let longest = SETTLING_MAX + for_each(self.record.look().sent.len());
        if timeout(longest, self.record.all_told()).await.is_err() {
            let how = format!("{} after {longest:?}", self.record.pending());
            broken.push(Broken::new(Promise::Settling, how));
        }
        end.elapsed()
    }

    /// Jobs that nobody has taken: what was delivered and not acknowledged is back once the workers have ended.
    async fn remains(&self, url: &str) -> Vec<Broken> {
        let rabbit = Rabbit::connect(url).await;
        let mut broken = Vec::new();
        for queue in &self.jobs_queues {
            let left = rabbit.drain(queue).await;
            for job in left.iter().flatten() {
                self.record.leave(job);
            }
            let how = match left {
                Some(left) if left.is_empty() => continue,
                Some(left) => format!("{} jobs left in {queue}", left.len()),
                None => format!("there is no {queue}"),
            };
            broken.push(Broken::new(Promise::Settling, how));
        }
        broken
    }

    /// Judges, and leaves the node as it was.
    async fn end(
        self,
        begun: Vec<Begun>,
        mut broken: Vec<Broken>,
        settling: Duration,
        schedule: &Schedule,
    ) -> Findings {
        let Stage {
            world,
            vhost,
            crew,
            record,
            ..
        } = self;
        let pbx = world.pbx.seen().await;
        world
            .obey(move |node| node.ctl(&["delete_vhost", &vhost]))
            .await;
        let record = record.look();
        broken.extend(oracle::judge(&record, &pbx));
        let handed_over = (!schedule.hands_over_in_order()).then(|| {
            let all = broken.len();
            broken.retain(|broken| !matches!(broken.promise, Promise::Order | Promise::Effect));
            all - broken.len()
        });
        Findings {
            jobs: record.sent.len(),
            agents: record.owed(),
            outcomes: record.outcomes,
            pbx_calls: pbx.calls.len(),
            settling,
            struck: attribute(begun, &record, &pbx, world),
            broken,
            handed_over,
            logs: crew.logs(),
        }
    }
}

async fn recover(strike: &Strike, record: &Record, broken: &mut Vec<Broken>) -> Option<Duration> {
    let (end, sent) = (Instant::now(), record.look().sent.len());
    let longest = RECOVERY_MAX + for_each(sent);
    if timeout(longest, record.told_beyond(sent)).await.is_ok() {
        return Some(end.elapsed());
    }
    let faults = &strike.faults;
    let how = format!("{faults:?}: {} after {longest:?}", record.pending());
    broken.push(Broken::new(Promise::Recovery, how));
    None
}

fn for_each(jobs: usize) -> Duration {
    PER_JOB_MAX * u32::try_from(jobs).unwrap_or(u32::MAX)
}

/// Counts every repeat for the latest strike that had begun by then.
fn attribute(mut begun: Vec<Begun>, record: &Inner, pbx: &Pbx, world: &World) -> Vec<Struck> {
    let latest = |begun: &[Begun], at: Instant| {
        let place = begun.partition_point(|(began, _)| *began <= at);
        place.checked_sub(1)
    };
    for &at in &record.repeats {
        if let Some(place) = latest(&begun, at) {
            begun[place].1.repeated_outcomes += 1;
        }
    }
    // Calls that each agent's jobs explain.
    let mut jobs: BTreeMap<(Place<'_>, Action), usize> = BTreeMap::new();
    for (place, story) in record.stories() {
        for (sent, _) in story {
            *jobs.entry((place, sent.job.action)).or_default() += 1;
        }
    }
    for call in &pbx.calls {
        let at = world.pbx.moment(call.at_ms);
        let queue = call.queues.first().map_or("", String::as_str);
        for agent in &call.agents {
            let left = jobs
                .entry(((queue, agent.as_str()), call.action))
                .or_default();
            match left.checked_sub(1) {
                Some(fewer) => *left = fewer,
                None => {
                    if let Some(place) = latest(&begun, at) {
                        begun[place].1.repeated_calls += 1;
                    }
                }
            }
        }
    }
    begun.into_iter().map(|(_, struck)| struck).collect()
}
