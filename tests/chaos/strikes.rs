//! Carries faults out, and takes them back.

mod broker;
mod pbx;
mod workers;

use tokio::time::sleep;

use crate::fault::{Fault, LinkFault, Side};
use crate::oracle::Broken;
use crate::proxy::{Blow, Link, Weather};
use crate::run::Stage;
use crate::schedule::Strike;

pub use pbx::rules;
pub use workers::retire;

/// Lets a strike happen from its beginning to its end; what it broke at once.
pub async fn carry_out(strike: &Strike, stage: &mut Stage<'_>) -> Vec<Broken> {
    let mut broken = Vec::new();
    for fault in &strike.faults {
        match *fault {
            Fault::Broker(fault) => broker::begin(fault, strike, stage).await,
            Fault::Pbx(fault) => stage.set_pbx(Some(fault)).await,
            Fault::Link(side, fault) => begin_on_link(fault, link(stage, side), strike.luck),
            Fault::Worker(fault) => {
                sleep(strike.until_worker()).await;
                broken.extend(workers::strike(fault, strike, stage).await);
            }
        }
    }
    sleep(strike.lasts.saturating_sub(strike.until_worker())).await;
    for fault in strike.faults.iter().rev() {
        match *fault {
            Fault::Broker(fault) => broker::end(fault, stage).await,
            Fault::Pbx(_) => stage.set_pbx(None).await,
            Fault::Link(side, _) => link(stage, side).weather(Weather::Fair),
            Fault::Worker(_) => workers::end(stage),
        }
    }
    broken
}

fn link<'s>(stage: &'s Stage<'_>, side: Side) -> &'s Link {
    match side {
        Side::BrokerLink => &stage.world.broker_link,
        _ => &stage.world.pbx_link,
    }
}

fn begin_on_link(fault: LinkFault, link: &Link, luck: u64) {
    match fault {
        LinkFault::Cut => link.strike(Blow::Reset),
        LinkFault::CutInMidFrame => {
            // Less than most frames and requests have.
            let bytes = usize::try_from(luck % 500).unwrap_or_default() + 1;
            link.strike(Blow::ResetAfter(bytes));
        }
        LinkFault::HalfOpen => link.strike(Blow::HalfOpen),
        LinkFault::Frozen => link.weather(Weather::Frozen),
        LinkFault::Delayed => link.weather(Weather::Delayed),
        LinkFault::Throttled => link.weather(Weather::Throttled),
        LinkFault::Refused => {
            link.weather(Weather::Refused);
            link.strike(Blow::Reset);
        }
    }
}
