//! HTTP status → what kind of answer it is (CONTRACT §3).

/// What follows from the status alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The body says what became of each agent.
    Reply,
    /// The batch as a whole is refused, unless the body's text asks for another try.
    Refusal,
    /// Another time it may work.
    Transient,
    /// The PBX or its settings are wrong for every job alike.
    Fault,
}

/// 408 and 425 are the only 4xx besides 429 that a mere repetition can mend.
pub(super) fn kind(status: u16) -> Kind {
    match status {
        200..=299 => Kind::Reply,
        300..=399 | 401 | 403 | 404 | 405 | 415 | 501 => Kind::Fault,
        408 | 425 | 429 => Kind::Transient,
        400..=499 => Kind::Refusal,
        _ => Kind::Transient,
    }
}
