//! What nodes say to each other and what clients say to a node: two sets of messages, their bytes and their limits.
//!
//! `sync/PROTOCOL.md` says who may say what and when, and lists every message with its number, its limit and its
//! fields; tests here hold the document and the program together. **This crate knows no socket, no clock and no
//! store**: it turns plain types into bytes and back. Whatever bytes come in, the answer is a message or an error, in
//! memory that the limits bound.
//!
//! 1. [`peer`]: what nodes say to each other
//! 2. [`client`]: the requests of clients and their answers; the types themselves are those of
//!    [`mytism_core::operation`]
//! 3. [`frame`]: what a transport must know to read one message off a stream
//!
//! Inside: `kind` is the one table of numbers and limits, `body` puts a body into its envelope and takes it out,
//! `shape` checks bytes before memory is taken for them, `wire` holds the mirrors of the plain types as they are sent.

pub mod client;
pub mod frame;
pub mod peer;

mod body;
mod error;
mod kind;
mod shape;
#[cfg(test)]
mod tests;
mod wire;

pub use client::{Answer, decode_answer, decode_request, encode_answer, encode_request};
pub use error::{Problem, ProtoError};
pub use peer::{CheckDivision, CheckObject, CheckPart, CheckRange, EntryFrame, Part, PeerMessage, Rung};
pub use shape::Misshape;

/// The version of the rules in `PROTOCOL.md` that this program speaks, as in [`PeerMessage::Hello`]. It changes only
/// where old and new cannot talk; new fields and new messages that may be skipped don't change it.
pub const PROTOCOL_VERSION: u16 = 1;
