//! One seed, from its first job until everything has settled and is judged.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::{sleep, timeout};

use crate::fault::PbxFault;
use crate::flow::{Flow, Orders, Volume};
use crate::hearing::Hearing;
use crate::jobs::Jobs;
use crate::oracle::{self, Action, Broken, Pbx, Place, Promise};
use crate::record::{Inner, Record};
use crate::report::{Findings, Struck};
use crate::schedule::{PBX_TIMEOUT, Schedule, Strike};
use crate::strikes;
use crate::support::{Node, Rabbit};
use crate::world::{self, Crew, World};

/// Longest from a fault's end until a job that was sent after it is carried out and told.
const RECOVERY_MAX: Duration = Duration::from_mins(2);

/// Longest from the end of all faults until everything is told.
const SETTLING_MAX: Duration = Duration::from_mins(5);

/// From the end of all faults until it is looked for outcomes that only the catch-all has; and from then on.
const CATCH_ALL_AFTER: Duration = Duration::from_mins(1);

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
    /// The worker that is dead at the moment, if one was killed.
    pub killed: Option<usize>,
    vhost: String,
    pbx_latency: Duration,
}

pub async fn run(world: &World, seed: u64, schedule: &Schedule, jobs: usize) -> Findings {
    let vhost = format!("seed-{seed}");
    let place = {
        let vhost = vhost.clone();
        world.obey(move |node| node.place_on(&vhost)).await
    };
    let record = Arc::new(Record::new(seed));
    world.broker_link.report_to(&record);
    let jobs_of_seed = Jobs::new(seed, schedule.pbx_queues);
    let (flow, orders) = Flow::new(&place, &record, jobs_of_seed);
    let mut stage = Stage {
        world,
        crew: world.crew(&vhost, schedule),
        hearing: Hearing::start(&place, &record).await,
        record,
        orders,
        killed: None,
        jobs_queues: place.names.jobs_queues(schedule.shards),
        vhost,
        pbx_latency: schedule.pbx_latency,
    };
    world.pbx.reset().await;
    stage.set_pbx(None).await;
    stage.set_rights(true).await;
    stage.crew.ready().await;
    let mut flow = tokio::spawn(flow.run(Volume {
        jobs,
        pace: schedule.length() / u32::try_from(jobs).unwrap_or(u32::MAX),
    }));

    let mut broken = Vec::new();
    let struck = stage.strike_all(schedule, &mut broken).await;
    stage.orders.enough();
    // What the workers do not declare again cannot be published to.
    if let Ok(sent) = timeout(SETTLING_MAX + for_each(jobs), &mut flow).await {
        sent.expect("the flow does not panic");
    } else {
        flow.abort();
        let how = "not every job could be published".to_owned();
        broken.push(Broken::new(Promise::Settling, how));
    }
    let settling = stage.settle(&mut broken).await;
    for number in 0..stage.crew.size() {
        broken.extend(strikes::retire(&mut stage.crew, number).await);
    }
    broken.extend(stage.remains(&place.url).await);
    stage.end(struck, broken, settling, schedule).await
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

    async fn strike_all(&mut self, schedule: &Schedule, broken: &mut Vec<Broken>) -> Vec<Struck> {
        let mut struck = Vec::new();
        for (number, strike) in schedule.strikes.iter().enumerate() {
            sleep(strike.after).await;
            let began = Instant::now();
            broken.extend(strikes::carry_out(strike, self).await);
            let ended = Instant::now();
            let is_last = number + 1 == schedule.strikes.len();
            let recovery = if strike.recover || is_last {
                recover(strike, &self.record, broken).await
            } else {
                None
            };
            struck.push(Struck {
                faults: strike.faults.clone(),
                began,
                ended,
                repeated_outcomes: 0,
                repeated_calls: 0,
                recovery,
            });
            // It is settled that the seed has failed; to settle by the next strike, too, can take minutes each.
            if !broken.is_empty() {
                break;
            }
        }
        struck
    }

    async fn settle(&self, broken: &mut Vec<Broken>) -> Duration {
        let end = Instant::now();
        let longest = SETTLING_MAX + for_each(self.record.look().account.sent.len());
        let told = async {
            // By then all has come that comes to the consumer's own queue, or nearly.
            while timeout(CATCH_ALL_AFTER, self.record.all_told())
                .await
                .is_err()
            {
                self.hearing.hear_catch_all().await;
            }
        };
        if timeout(longest, told).await.is_err() {
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
        struck: Vec<Struck>,
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
        let excused = record.open_in(&hand_overs(&struck, schedule));
        let (handed_over, judged): (Vec<Broken>, Vec<Broken>) =
            oracle::judge(&record.account, &pbx)
                .into_iter()
                .partition(|broken| broken.is_handed_over(&excused));
        broken.extend(judged);
        broken.extend(record.hasty());
        let left_open = oracle::left_open(&record.account)
            .difference(&excused)
            .count();
        let judged = record.account.stories().len() - excused.len() - left_open;
        Findings {
            jobs: record.account.sent.len(),
            agents: record.owed(),
            outcomes: record.outcomes,
            acknowledged: record.acknowledged,
            pbx_calls: pbx.calls.len(),
            settling,
            judged,
            judged_among_several: if schedule.workers > 1 { judged } else { 0 },
            left_open,
            excused: excused.len(),
            handed_over: handed_over.len(),
            struck: attribute(struck, &record, &pbx, world),
            broken,
            logs: crew.logs(),
        }
    }
}

async fn recover(strike: &Strike, record: &Record, broken: &mut Vec<Broken>) -> Option<Duration> {
    let (end, sent) = (Instant::now(), record.look().account.sent.len());
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

/// When order may break: from the beginning of what breaks it until that is recovered from, if need be together with what came
/// after it, and the last call is over of a worker that was taken over from.
fn hand_overs(struck: &[Struck], schedule: &Schedule) -> Vec<RangeInclusive<Instant>> {
    let mut recovered = None;
    let mut spans = Vec::new();
    for struck in struck.iter().rev() {
        let recovery = struck.recovery.map(|recovery| struck.ended + recovery);
        recovered = recovery.or(recovered);
        let mut faults = struck.faults.iter();
        if faults.any(|fault| schedule.breaks_order(*fault)) {
            let end = recovered.unwrap_or_else(Instant::now) + PBX_TIMEOUT;
            spans.push(struck.began..=end);
        }
    }
    spans
}

/// Counts every repeat for the latest strike that had begun by then.
fn attribute(mut struck: Vec<Struck>, record: &Inner, pbx: &Pbx, world: &World) -> Vec<Struck> {
    let latest = |struck: &[Struck], at: Instant| {
        let place = struck.partition_point(|struck| struck.began <= at);
        place.checked_sub(1)
    };
    for &at in &record.repeats {
        if let Some(place) = latest(&struck, at) {
            struck[place].repeated_outcomes += 1;
        }
    }
    // Calls that each agent's jobs explain.
    let mut jobs: BTreeMap<(Place<'_>, Action), usize> = BTreeMap::new();
    for (place, story) in record.account.stories() {
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
                    if let Some(place) = latest(&struck, at) {
                        struck[place].repeated_calls += 1;
                    }
                }
            }
        }
    }
    struck
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::{BrokerFault, Fault, WorkerFault};
    use crate::oracle::{Job, Kind};
    use crate::record::Posting;

    fn at(second: u64, start: Instant) -> Instant {
        start + Duration::from_secs(second)
    }

    /// A strike that lasted from one second to another.
    fn struck(fault: Fault, [began, ended]: [Instant; 2], recovery: Option<u64>) -> Struck {
        Struck {
            faults: vec![fault],
            began,
            ended,
            repeated_outcomes: 0,
            repeated_calls: 0,
            recovery: recovery.map(Duration::from_secs),
        }
    }

    #[test]
    fn order_may_break_from_the_beginning_of_a_fault_until_it_is_recovered_from_and_a_call_is_over()
    {
        let start = Instant::now();
        let second = |second| at(second, start);
        let mut schedule = Schedule::of(0, 0, "", Some(1));
        schedule.workers = 2;
        let cut = Fault::Broker(BrokerFault::ConnectionsClosed);
        let killed = Fault::Worker(WorkerFault::Killed);
        let struck = [
            struck(killed, [second(10), second(11)], Some(1)),
            struck(cut, [second(20), second(21)], None),
            struck(killed, [second(30), second(31)], Some(2)),
            struck(cut, [second(40), second(41)], Some(3)),
        ];
        let spans = [
            second(40)..=second(44) + PBX_TIMEOUT,
            second(20)..=second(33) + PBX_TIMEOUT,
        ];
        assert_eq!(hand_overs(&struck, &schedule), spans);
        schedule.workers = 1;
        assert_eq!(hand_overs(&struck, &schedule), []);
    }

    #[test]
    fn only_an_agent_with_an_open_job_is_excused() {
        let start = Instant::now();
        let second = |second| at(second, start);
        let record = Record::new(0);
        let lives = [
            (10, Some(19)),
            (10, Some(20)),
            (20, None),
            (30, None),
            (31, None),
        ];
        for (number, (sent, told)) in lives.into_iter().enumerate() {
            let job = Job {
                number,
                kind: Kind::Sound,
                action: Action::Pause,
                queue: "1".to_owned(),
                agents: vec![number.to_string()],
            };
            let mut posting = Posting::new(&job, "id");
            posting.at = second(sent);
            record.send(job, posting);
            record.look().account.sent[number].told[0].last_at = told.map(second);
        }
        let record = record.look();
        let excused = record.open_in(&[second(20)..=second(30)]);
        assert_eq!(
            Vec::from_iter(excused),
            [("1", "1"), ("1", "2"), ("1", "3")]
        );
    }
}
