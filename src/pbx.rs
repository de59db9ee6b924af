//! The PBX: one batch in, one reply per agent out. Knows HTTP and the vendor's JSON; decides nothing about jobs.

pub mod client;
pub mod texts;
