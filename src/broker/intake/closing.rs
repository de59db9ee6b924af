//! Stops consuming without bringing the jobs out of their order.
//!
//! A delivery that reaches its channel in RabbitMQ after the consumer was cancelled goes back to the queue at once
//! (`rabbit_fifo_client` of 3.10.8 and 4.0.5). There it comes before all that waits, and would come before what the worker holds,
//! too, should that go back later: with a worker that is killed, or merely restarted. So the worker takes it again.
//!
//! To know when it has all of it, and that none went back this time, it takes with a prefetch that is used up: then nothing can
//! be on its way when that consumer is cancelled. And a delivery that is a first one stood behind all that went back.
//!
//! Before it cancels at all, it waits until the queue has answered its acknowledgements: while it owes RabbitMQ's channel more than
//! 32 answers, the channel keeps back what is to go back. And it lets the prefetch fill: those acknowledgements may have
//! brought hundreds of deliveries on their way, and of more than 32 that go back at once, RabbitMQ 3 loses the order.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::{Intake, IntakeError, Taken, answer};

/// A queue that delivers nothing for so long has nothing on its way.
const STILLNESS: Duration = Duration::from_millis(25);

/// Longest wait for that, for what went back, and for the next delivery of a flow.
const PATIENCE: Duration = Duration::from_secs(1);

/// Most deliveries taken again, as the worker may have no room for many.
const AGAIN_MAX: usize = 256;

impl Intake {
    /// Stops consuming; `held` are the deliveries of each queue that are not settled yet. What RabbitMQ had sent until then,
    /// and what is taken again, comes back from here.
    pub(in crate::broker) async fn close(
        &mut self,
        held: &[usize],
    ) -> Result<Vec<Taken>, IntakeError> {
        let mut held = held.to_vec();
        let flows = self.flow.goes_on(Instant::now());
        let mut rest = Vec::new();
        if flows {
            rest = answer(self.settle()).await?;
            count(&mut held, &rest);
            rest.extend(self.fill(&mut held).await?);
        }
        let last = self.cancel().await?;
        if last.is_empty() && !flows {
            return Ok(rest);
        }
        count(&mut held, &last);
        rest.extend(last);
        let is_used_up = |held: &usize| *held >= usize::from(self.prefetch);
        // Of those of which nothing is held, nothing can come back later.
        let unsure = held.iter().map(|held| *held > 0 && !is_used_up(held));
        let mut prefetch: Vec<u16> = unsure.map(u16::from).collect();
        let mut again = 0;
        while again < AGAIN_MAX && prefetch.iter().any(|prefetch| *prefetch > 0) {
            let taken = self.take(&prefetch).await?;
            again += taken.len();
            for (place, prefetch) in prefetch.iter_mut().enumerate() {
                *prefetch = next(*prefetch, taken.iter().filter(|taken| taken.queue == place));
            }
            rest.extend(taken);
        }
        Ok(rest)
    }

    /// Takes what comes until the prefetch of every queue is used up, or the queues are still.
    async fn fill(&mut self, held: &mut [usize]) -> Result<Vec<Taken>, IntakeError> {
        let mut taken = Vec::new();
        let patience = Instant::now() + PATIENCE;
        while held.iter().any(|held| *held < usize::from(self.prefetch)) {
            let until = patience.min(Instant::now() + STILLNESS);
            let Ok(burst) = timeout_at(until, self.next()).await else {
                break;
            };
            let burst = burst?;
            count(held, &burst);
            taken.extend(burst);
        }
        Ok(taken)
    }

    /// Consumes so many deliveries of each queue, or fewer if no more come in time.
    async fn take(&mut self, prefetch: &[u16]) -> Result<Vec<Taken>, IntakeError> {
        self.consumers = Some(answer(self.subscribe(prefetch.to_vec())).await?);
        let most: usize = prefetch.iter().map(|prefetch| usize::from(*prefetch)).sum();
        let mut taken = Vec::with_capacity(most);
        let until = Instant::now() + PATIENCE;
        while taken.len() < most {
            match timeout_at(until, self.next()).await {
                Ok(burst) => taken.extend(burst?),
                Err(_) => break,
            }
        }
        taken.extend(self.cancel().await?);
        Ok(taken)
    }
}

fn count(held: &mut [usize], taken: &[Taken]) {
    for taken in taken {
        if let Some(held) = held.get_mut(taken.queue) {
            *held += 1;
        }
    }
}

/// With how much prefetch to take again from a queue of which `prefetch` allowed these; 0 if there is no need.
fn next<'a>(prefetch: u16, taken: impl Iterator<Item = &'a Taken>) -> u16 {
    let mut count = 0;
    let mut last_is_first = false;
    for Taken { delivery, .. } in taken {
        count += 1;
        last_is_first = !delivery.redelivered;
    }
    match count {
        0 => 0,
        _ if count < usize::from(prefetch) => 1,
        _ if last_is_first => 0,
        _ => prefetch.saturating_mul(2),
    }
}
