//! What can go wrong, and on which side of the worker.

use std::fmt;

/// Where a fault strikes. Two faults at once are of different sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    Broker,
    BrokerLink,
    Pbx,
    PbxLink,
    Worker,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    Broker(BrokerFault),
    Pbx(PbxFault),
    /// Of the link on [`Side::BrokerLink`] or [`Side::PbxLink`].
    Link(Side, LinkFault),
    Worker(WorkerFault),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum BrokerFault {
    Restarted,
    Killed,
    Frozen,
    ConnectionsClosed,
    /// Publishers are held back.
    MemoryAlarm,
    /// With all that is in it; producers send what they miss again.
    JobsQueueDeleted,
    /// No queue takes outcomes.
    ResultsQueueDeleted,
    /// The workers' user may do nothing.
    RightsTaken,
    /// The PBX does not answer, and RabbitMQ waits only briefly for acknowledgements.
    ConsumerTimeout,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PbxFault {
    ResetsAfterApplying,
    Hangs,
    NeverAnswers,
    ServerErrors,
    TooManyRequests,
    Unauthorized,
    ItemsMissing,
    ItemsBusy,
    Slow,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LinkFault {
    /// Every connection is reset.
    Cut,
    /// Every connection is reset once a few more bytes have passed.
    CutInMidFrame,
    /// The far side forgets every connection; the near side hears nothing of it.
    HalfOpen,
    Frozen,
    Delayed,
    Throttled,
    /// Cut, and nobody listens.
    Refused,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum WorkerFault {
    /// SIGKILL at any moment.
    Killed,
    /// SIGKILL when the PBX's reply comes in: before its outcomes are told.
    KilledAtReply,
    /// SIGKILL when the broker's confirm comes in: as what it confirms is about to be acknowledged.
    KilledAtConfirm,
    /// SIGTERM to one worker after the other, each followed by a new one.
    Rolled,
}

impl Fault {
    pub const ALL: [Fault; 36] = [
        Fault::Broker(BrokerFault::Restarted),
        Fault::Broker(BrokerFault::Killed),
        Fault::Broker(BrokerFault::Frozen),
        Fault::Broker(BrokerFault::ConnectionsClosed),
        Fault::Broker(BrokerFault::MemoryAlarm),
        Fault::Broker(BrokerFault::JobsQueueDeleted),
        Fault::Broker(BrokerFault::ResultsQueueDeleted),
        Fault::Broker(BrokerFault::RightsTaken),
        Fault::Broker(BrokerFault::ConsumerTimeout),
        Fault::Pbx(PbxFault::ResetsAfterApplying),
        Fault::Pbx(PbxFault::Hangs),
        Fault::Pbx(PbxFault::NeverAnswers),
        Fault::Pbx(PbxFault::ServerErrors),
        Fault::Pbx(PbxFault::TooManyRequests),
        Fault::Pbx(PbxFault::Unauthorized),
        Fault::Pbx(PbxFault::ItemsMissing),
        Fault::Pbx(PbxFault::ItemsBusy),
        Fault::Pbx(PbxFault::Slow),
        Fault::Link(Side::BrokerLink, LinkFault::Cut),
        Fault::Link(Side::BrokerLink, LinkFault::CutInMidFrame),
        Fault::Link(Side::BrokerLink, LinkFault::HalfOpen),
        Fault::Link(Side::BrokerLink, LinkFault::Frozen),
        Fault::Link(Side::BrokerLink, LinkFault::Delayed),
        Fault::Link(Side::BrokerLink, LinkFault::Throttled),
        Fault::Link(Side::BrokerLink, LinkFault::Refused),
        Fault::Link(Side::PbxLink, LinkFault::Cut),
        Fault::Link(Side::PbxLink, LinkFault::CutInMidFrame),
        Fault::Link(Side::PbxLink, LinkFault::HalfOpen),
        Fault::Link(Side::PbxLink, LinkFault::Frozen),
        Fault::Link(Side::PbxLink, LinkFault::Delayed),
        Fault::Link(Side::PbxLink, LinkFault::Throttled),
        Fault::Link(Side::PbxLink, LinkFault::Refused),
        Fault::Worker(WorkerFault::Killed),
        Fault::Worker(WorkerFault::KilledAtReply),
        Fault::Worker(WorkerFault::KilledAtConfirm),
        Fault::Worker(WorkerFault::Rolled),
    ];

    pub fn side(self) -> Side {
        match self {
            Fault::Broker(_) => Side::Broker,
            Fault::Pbx(_) => Side::Pbx,
            Fault::Link(side, _) => side,
            Fault::Worker(_) => Side::Worker,
        }
    }

    /// The longest that it lasts, in milliseconds.
    pub fn longest_ms(self) -> u64 {
        match self {
            // Short and long of the worker's patience: heartbeats every two seconds, two of which may be missed.
            Fault::Broker(
                BrokerFault::Frozen | BrokerFault::MemoryAlarm | BrokerFault::ConsumerTimeout,
            )
            | Fault::Link(Side::BrokerLink, LinkFault::Frozen | LinkFault::HalfOpen) => 7_000,
            Fault::Broker(_) | Fault::Worker(_) => 1_500,
            Fault::Pbx(_) | Fault::Link(..) => 4_000,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Fault::Broker(fault) => match fault {
                BrokerFault::Restarted => "broker: stopped and started",
                BrokerFault::Killed => "broker: killed and started",
                BrokerFault::Frozen => "broker: frozen",
                BrokerFault::ConnectionsClosed => "broker: closes all connections",
                BrokerFault::MemoryAlarm => "broker: memory alarm",
                BrokerFault::JobsQueueDeleted => "broker: jobs queue deleted",
                BrokerFault::ResultsQueueDeleted => "broker: results queue deleted",
                BrokerFault::RightsTaken => "broker: rights taken away",
                BrokerFault::ConsumerTimeout => "broker: consumer timeout",
            },
            Fault::Pbx(fault) => match fault {
                PbxFault::ResetsAfterApplying => "PBX: resets after applying",
                PbxFault::Hangs => "PBX: hangs now and then",
                PbxFault::NeverAnswers => "PBX: never answers",
                PbxFault::ServerErrors => "PBX: 5xx",
                PbxFault::TooManyRequests => "PBX: 429 with Retry-After",
                PbxFault::Unauthorized => "PBX: 401",
                PbxFault::ItemsMissing => "PBX: half of each reply missing",
                PbxFault::ItemsBusy => "PBX: half of the items busy",
                PbxFault::Slow => "PBX: slow",
            },
            Fault::Link(side, fault) => {
                let what = match fault {
                    LinkFault::Cut => "cut",
                    LinkFault::CutInMidFrame => "cut in mid-frame",
                    LinkFault::HalfOpen => "half-open",
                    LinkFault::Frozen => "frozen",
                    LinkFault::Delayed => "delayed",
                    LinkFault::Throttled => "throttled",
                    LinkFault::Refused => "refused",
                };
                let whose = if *side == Side::BrokerLink {
                    "broker"
                } else {
                    "PBX"
                };
                return write!(f, "link to the {whose}: {what}");
            }
            Fault::Worker(fault) => match fault {
                WorkerFault::Killed => "worker: killed",
                WorkerFault::KilledAtReply => "worker: killed as the PBX replies",
                WorkerFault::KilledAtConfirm => "worker: killed as the broker confirms",
                WorkerFault::Rolled => "workers: restarted in turn",
            },
        })
    }
}
