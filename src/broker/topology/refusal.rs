//! What keeps the topology from standing, in words: read from RabbitMQ's replies.

use lapin::ErrorKind;

use super::SPREADING;

/// Why the topology cannot be used.
#[derive(Debug, thiserror::Error)]
pub(in crate::broker) enum TopologyError {
    #[error(
        "{thing} stands with other arguments: {difference}; delete it when it is empty, or give another name in the settings"
    )]
    Differs {
        thing: String,
        difference: Difference,
    },
    #[error(
        "{thing} is not there: create it, or set topology.declare = true for a user with configure rights"
    )]
    Missing { thing: String },
    #[error(
        "RabbitMQ does not know exchanges of type {SPREADING}, which jobs.shards needs: run `rabbitmq-plugins enable \
         rabbitmq_consistent_hash_exchange` on every node, or set jobs.shards = 1"
    )]
    NoPlugin,
    #[error("no right to {doing}: give it with `rabbitmqctl set_permissions` ({reply})")]
    Forbidden { doing: String, reply: String },
    #[error("RabbitMQ says nothing of {thing}: are most nodes of its cluster up?")]
    Mute { thing: String },
    #[error("cannot set up {thing}: {source}")]
    Failed { thing: String, source: lapin::Error },
}

impl TopologyError {
    /// Whether no waiting mends it: somebody must change what stands, or the settings.
    pub(in crate::broker) fn is_lasting(&self) -> bool {
        matches!(self, Self::Differs { .. } | Self::NoPlugin)
    }

    /// The same of an attempt that was about more than to set up the thing, or about less.
    pub(super) fn when(self, doing: &str, thing: &str) -> Self {
        if let Self::Forbidden { reply, .. } = self {
            let doing = format!("{doing} {thing}");
            return Self::Forbidden { doing, reply };
        }
        self
    }
}

const PRECONDITION_FAILED: u16 = 406;
const NOT_FOUND: u16 = 404;
const ACCESS_REFUSED: u16 = 403;
/// What RabbitMQ 3 says to an exchange type that it does not know; it closes the connection.
const COMMAND_INVALID: u16 = 503;

/// What lapin says of an attempt to set up `thing`.
pub(in crate::broker) fn explain(thing: String, error: lapin::Error) -> TopologyError {
    let ErrorKind::ProtocolError(refusal) = error.kind() else {
        return TopologyError::Failed {
            thing,
            source: error,
        };
    };
    let reply = refusal.get_message().to_string();
    match refusal.get_id() {
        PRECONDITION_FAILED => match Difference::read(&reply) {
            Some(difference) => TopologyError::Differs { thing, difference },
            None if reply.contains(SPREADING) => TopologyError::NoPlugin,
            None => TopologyError::Failed {
                thing,
                source: error,
            },
        },
        COMMAND_INVALID if reply.contains(SPREADING) => TopologyError::NoPlugin,
        NOT_FOUND => TopologyError::Missing { thing },
        ACCESS_REFUSED => TopologyError::Forbidden {
            doing: format!("use {thing}"),
            reply,
        },
        _ => TopologyError::Failed {
            thing,
            source: error,
        },
    }
}

/// How a queue or exchange that stands differs from what is asked for.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{argument}` is {is} and should be {should_be}")]
pub struct Difference {
    /// The argument that differs.
    pub argument: String,
    pub is: String,
    pub should_be: String,
}

impl Difference {
    /// Reads RabbitMQ's `inequivalent arg 'x-delivery-limit' for queue 'q' in vhost '/': received the value '100' of type
    /// 'signedint' but current is the value '50' of type 'long'`. `None` of any other words.
    #[must_use]
    pub fn read(reply: &str) -> Option<Self> {
        let (_, rest) = reply.split_once("inequivalent arg '")?;
        let (argument, rest) = rest.split_once('\'')?;
        let (_, rest) = rest.split_once(": received ")?;
        let (should_be, is) = rest.split_once(" but current is ")?;
        Some(Self {
            argument: argument.to_owned(),
            is: value(is),
            should_be: value(should_be),
        })
    }
}

/// `the value 'x' of type 't'`, `'x'` or `none`, as RabbitMQ words it.
fn value(words: &str) -> String {
    match words.split('\'').nth(1) {
        Some(quoted) => format!("`{quoted}`"),
        None => "not set".to_owned(),
    }
}

/// Whether RabbitMQ has nothing against who asks, only against the thing: it is not there, or it cannot be so.
pub(super) fn is_about_the_thing(error: &lapin::Error) -> bool {
    let ErrorKind::ProtocolError(refusal) = error.kind() else {
        return false;
    };
    matches!(refusal.get_id(), NOT_FOUND | PRECONDITION_FAILED)
}

/// Whether RabbitMQ refuses because of the thing of this name.
pub(super) fn names(error: &lapin::Error, name: &str) -> bool {
    let ErrorKind::ProtocolError(refusal) = error.kind() else {
        return false;
    };
    let quoted = format!("'{name}'");
    refusal.get_message().as_str().contains(&quoted)
}

/// Whether RabbitMQ says that a thing is not there, or that it is not ours to look at.
pub(super) fn is_out_of_sight(error: &lapin::Error) -> bool {
    let ErrorKind::ProtocolError(refusal) = error.kind() else {
        return false;
    };
    matches!(refusal.get_id(), NOT_FOUND | ACCESS_REFUSED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rabbitmqs_words_for_other_arguments_are_understood() {
        let reply = |end: &str| {
            format!("PRECONDITION_FAILED - inequivalent arg 'x' for queue 'q' in vhost '/': {end}")
        };
        let cases = [
            (
                "received the value '100' of type 'signedint' but current is the value '50' of type 'long'",
                Some(("`50`", "`100`")),
            ),
            (
                "received the value 'quorum' of type 'longstr' but current is none",
                Some(("not set", "`quorum`")),
            ),
            (
                "received none but current is the value '5' of type 'long'",
                Some(("`5`", "not set")),
            ),
            (
                "received 'true' but current is 'false'",
                Some(("`false`", "`true`")),
            ),
            ("something else", None),
        ];
        for (end, expected) in cases {
            let expected = expected.map(|(is, should_be)| Difference {
                argument: "x".to_owned(),
                is: is.to_owned(),
                should_be: should_be.to_owned(),
            });
            assert_eq!(Difference::read(&reply(end)), expected, "{end}");
        }
    }
}
