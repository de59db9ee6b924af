//! W3C trace context: which span a job comes from, and which span is its own (header `traceparent`).
//!
//! A span is named after its outcome, so that an outcome can point to it before anything has told of the span. Knows nothing
//! of how spans are written or sent.

use std::fmt;
use std::num::{NonZeroU64, NonZeroU128};

use uuid::Uuid;

use crate::engine::job::OutcomeId;
use crate::engine::outcome::Outcome;

/// The header of a message that holds it.
pub const HEADER: &str = "traceparent";

/// Flag: whoever called records this trace, so that others may expect to find all of it.
const SAMPLED: u8 = 1;

/// A span, as others hear of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    pub trace_id: NonZeroU128,
    pub span_id: NonZeroU64,
    pub flags: u8,
}

impl TraceContext {
    /// `None`: the text is no `traceparent`, and whoever got it has to begin a trace of its own. What a later version than 00
    /// has beyond the four parts is not looked at.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let mut part = |digits| hex(parts.next()?, digits);
        let version = part(2)?;
        let (trace_id, span_id, flags) = (part(32)?, part(16)?, part(2)?);
        let more = parts.next().is_some();
        if version == 0xff || (version == 0 && more) {
            return None;
        }
        Some(Self {
            trace_id: NonZeroU128::new(trace_id)?,
            span_id: NonZeroU64::new(span_id.try_into().ok()?)?,
            flags: flags.try_into().ok()?,
        })
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            trace_id,
            span_id,
            flags,
        } = self;
        write!(f, "00-{trace_id:032x}-{span_id:016x}-{flags:02x}")
    }
}

/// Exactly so many digits, in lower case as the standard wants them.
fn hex(text: &str, digits: usize) -> Option<u128> {
    let fits = text.len() == digits
        && text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    u128::from_str_radix(text, 16).ok().filter(|_| fits)
}

/// The span of one agent of one job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JobSpan {
    outcome: OutcomeId,
    pub context: TraceContext,
    /// The producer's span.
    pub parent: Option<NonZeroU64>,
}

impl JobSpan {
    /// The same for the same outcome, always. `None`: the producer's trace is not recorded, so this is not either. A job that
    /// brings no trace begins one whose id is that of its outcome.
    pub fn of(outcome: OutcomeId, traceparent: Option<&str>) -> Option<Self> {
        let span_id = last_half(outcome.0);
        let from = traceparent.and_then(TraceContext::parse);
        let context = match from {
            Some(parent) if parent.flags & SAMPLED == 0 => return None,
            Some(parent) => TraceContext { span_id, ..parent },
            None => TraceContext {
                trace_id: NonZeroU128::new(outcome.0.as_u128()).unwrap_or(NonZeroU128::MIN),
                span_id,
                flags: SAMPLED,
            },
        };
        Some(Self {
            outcome,
            context,
            parent: from.map(|parent| parent.span_id),
        })
    }

    pub fn of_outcome(outcome: &Outcome) -> Option<Self> {
        Self::of(outcome.id, outcome.echo.traceparent.as_deref())
    }

    /// The id of a span beneath this one, the same for the same name.
    pub fn child(&self, name: &str) -> NonZeroU64 {
        last_half(Uuid::new_v5(&self.outcome.0, name.as_bytes()))
    }
}

/// The half that holds the variant, which is never zero.
fn last_half(uuid: Uuid) -> NonZeroU64 {
    NonZeroU64::new(uuid.as_u64_pair().1).unwrap_or(NonZeroU64::MIN)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TRACE: u128 = 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c;
    const SPAN: u64 = 0xb7ad_6b71_6920_3331;
    const SAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn id() -> OutcomeId {
        OutcomeId::of("j-1", "10000", "570", "pause", None)
    }

    #[test]
    fn what_is_no_traceparent_is_none() {
        for text in [
            "",
            "00-1-2-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            // Of this version, nothing may follow.
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-+af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c80319é-b7ad6b7169203331-01",
        ] {
            assert_eq!(TraceContext::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_later_version_is_read_as_far_as_it_is_known() {
        let later = SAMPLED.replacen("00", "cc", 1) + "-what-the-future-brings";
        assert_eq!(TraceContext::parse(&later), TraceContext::parse(SAMPLED));
    }

    #[test]
    fn a_job_goes_on_with_the_trace_of_its_producer() {
        let span = JobSpan::of(id(), Some(SAMPLED)).unwrap();
        assert_eq!(span.context.trace_id.get(), TRACE);
        assert_eq!(span.parent.map(NonZeroU64::get), Some(SPAN));
        assert_ne!(span.context.span_id.get(), SPAN);
        assert_eq!(span.context.flags, 1);
        assert_eq!(JobSpan::of(id(), Some(SAMPLED)), Some(span));
    }

    #[test]
    fn a_job_without_a_trace_begins_one_that_its_outcome_names() {
        for traceparent in [None, Some("00-1-2-01")] {
            let span = JobSpan::of(id(), traceparent).unwrap();
            let outcome = id().to_string().replace('-', "");
            assert_eq!(format!("{:032x}", span.context.trace_id), outcome);
            assert_eq!((span.parent, span.context.flags), (None, 1));
        }
    }

    #[test]
    fn what_the_producer_does_not_record_is_not_recorded() {
        for flags in ["00", "02"] {
            let traceparent = format!("{}{flags}", SAMPLED.strip_suffix("01").unwrap());
            assert_eq!(JobSpan::of(id(), Some(&traceparent)), None);
        }
    }

    #[test]
    fn spans_beneath_a_job_have_names_of_their_own() {
        let span = JobSpan::of(id(), None).unwrap();
        let ids = [span.context.span_id, span.child("a"), span.child("b")];
        assert!(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2]);
        assert_eq!(span.child("a"), ids[1]);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(trace_id in 1_u128.., span_id in 1_u64.., flags: u8) {
            let context = TraceContext {
                trace_id: NonZeroU128::new(trace_id).unwrap(),
                span_id: NonZeroU64::new(span_id).unwrap(),
                flags,
            };
            prop_assert_eq!(TraceContext::parse(&context.to_string()), Some(context));
        }

        #[test]
        fn no_text_is_too_odd(text: String) {
            TraceContext::parse(&text);
        }
    }
}
