//! Publishes the shift end, act by act, and listens to what is told of it.

use std::collections::HashMap;
use std::time::Duration;

use clockout::broker::client::{Client, ClientError, Feed};
use clockout::pbx::sim::Sim;
use tokio::time::{Instant, timeout};

use super::book::Book;
use super::plan::{Act, Plan, Post, Question};
use super::progress::{Progress, Standing};

/// Most jobs published before their confirms are waited for.
const BURST_MAX: usize = 100;

/// Longest wait for everything to be told; what is missing then is found by [`super::verify`].
const PATIENCE: Duration = Duration::from_mins(1);

/// What the shift end is played with.
#[derive(Debug)]
pub(super) struct Stage<'s> {
    pub(super) client: &'s Client,
    pub(super) jobs_exchange: &'s str,
    pub(super) outcomes: Feed,
    pub(super) sim: &'s Sim,
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Played<'p> {
    pub(super) book: Book<'p>,
    pub(super) took: Duration,
    published: HashMap<&'p Question, Instant>,
}

impl Played<'_> {
    /// From the publish of each job to the arrival of its outcome.
    pub(super) fn latencies(&self) -> Vec<Duration> {
        let told = |(question, at): (&&Question, &Instant)| {
            let told = self.book.told(question)?;
            Some(told.first_at.saturating_duration_since(*at))
        };
        self.published.iter().filter_map(told).collect()
    }
}

pub(super) async fn play<'p>(
    plan: &'p Plan,
    mut stage: Stage<'_>,
) -> Result<Played<'p>, ClientError> {
    let mut listener = Listener {
        plan,
        book: Book::new(plan),
        published: HashMap::new(),
        progress: Progress::begin(),
    };
    let began = Instant::now();
    if let Ok(ended) = timeout(PATIENCE, listener.acts(&mut stage)).await {
        ended?;
    }
    let standing = listener.standing(stage.sim);
    listener.progress.end(standing);
    Ok(Played {
        book: listener.book,
        took: began.elapsed(),
        published: listener.published,
    })
}

struct Listener<'p> {
    plan: &'p Plan,
    book: Book<'p>,
    published: HashMap<&'p Question, Instant>,
    progress: Progress,
}

impl<'p> Listener<'p> {
    async fn acts(&mut self, stage: &mut Stage<'_>) -> Result<(), ClientError> {
        for act in &self.plan.acts {
            self.act(act, stage).await?;
        }
        Ok(())
    }

    /// Publishes and listens at once, or the outcomes would seem to come as late as the last publish.
    async fn act(&mut self, act: &'p Act, stage: &mut Stage<'_>) -> Result<(), ClientError> {
        let Stage {
            client,
            jobs_exchange,
            outcomes,
            sim,
        } = stage;
        let mut publishing = std::pin::pin!(publish(client, jobs_exchange, &act.posts));
        let mut is_published = false;
        while !is_published || self.book.tellings() < act.tellings {
            tokio::select! {
                published = &mut publishing, if !is_published => {
                    // A job that is sent again keeps the time of its first publish.
                    for (question, at) in published? {
                        self.published.entry(question).or_insert(at);
                    }
                    is_published = true;
                }
                outcome = outcomes.next() => self.book.note(&outcome?.body, Instant::now()),
                () = self.progress.due() => self.progress.show(self.standing(sim)),
            }
        }
        Ok(())
    }

    fn standing(&self, sim: &Sim) -> Standing {
        Standing {
            told: self.book.tellings(),
            owed: self.plan.tellings(),
            calls: sim.stats().total.calls,
        }
    }
}

/// Says when each question was published.
async fn publish<'p>(
    client: &Client,
    exchange: &str,
    posts: &'p [Post],
) -> Result<Vec<(&'p Question, Instant)>, ClientError> {
    let mut published = Vec::new();
    for burst in posts.chunks(BURST_MAX) {
        let at = Instant::now();
        let questions = burst.iter().flat_map(|post| &post.questions);
        published.extend(questions.map(|question| (question, at)));
        let messages = burst.iter().map(|post| post.message.clone()).collect();
        client.publish(exchange, messages).await?;
    }
    Ok(published)
}
