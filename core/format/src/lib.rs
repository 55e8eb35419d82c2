//! The bytes that last: what is kept in the log, handed from node to node and hashed.
//!
//! `FORMATS.md` at the top of the repository states each form with byte examples, and tests here keep them true.
//! Stored bytes are kept and handed on word for word and never made again from their meaning, since MessagePack has
//! more than one way to write a thing. **This crate knows no store, no socket and no clock**; secrets are given to it.
//!
//! 1. [`envelope`]: type, version, flags and length around everything
//! 2. [`map`]: bodies, MessagePack maps with short keys that survive new fields
//! 3. [`value`]: one value of an attribute
//! 4. [`hash`]: salted leaves, their tree, chains
//! 5. [`transaction`] and [`entry`]: the two things that the log consists of
//! 6. [`schema`]: a schema as an entry of the log
//! 7. [`object`]: the state of an object, as it stands in a snapshot
//! 8. [`journal`]: changes as a node saw them, as they stand in its own journal
//! 9. [`manifest`]: what a snapshot consists of

pub mod entry;
pub mod envelope;
pub mod hash;
pub mod journal;
pub mod kind;
pub mod manifest;
pub mod map;
pub mod object;
pub mod schema;
pub mod transaction;
pub mod value;

/// Bytes that are not what they should be.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum FormatError {
    /// The bytes end too early.
    #[error("{what} is cut off")]
    Truncated {
        /// What was being read.
        what: &'static str,
    },
    /// Bytes follow where nothing may follow.
    #[error("{count} bytes follow behind {what}")]
    Trailing {
        /// What was read.
        what: &'static str,
        /// How many bytes.
        count: usize,
    },
    /// A record of a type that this program does not know and may not pass over.
    #[error("a record of the unknown type {kind:#06x}; a newer program is needed")]
    UnknownKind {
        /// Its type.
        kind: u16,
    },
    /// A part that this program does not know.
    #[error("{what} is one that this program does not know; a newer program is needed")]
    Newer {
        /// Which part.
        what: &'static str,
    },
    /// A record that may not stand here.
    #[error("{what} does not begin with a record of its type but with {kind:#06x}")]
    Unexpected {
        /// What was being read.
        what: &'static str,
        /// What stands there.
        kind: u16,
    },
    /// A field that must be there is not.
    #[error("{what} lacks the field \"{field}\"")]
    Missing {
        /// The record.
        what: &'static str,
        /// The field.
        field: &'static str,
    },
    /// A field whose value is impossible.
    #[error("{what}: the field \"{field}\" holds an impossible value")]
    Invalid {
        /// The record.
        what: &'static str,
        /// The field.
        field: &'static str,
    },
    /// Something larger than the limits allow.
    #[error("{what} is larger than {limit} allow")]
    TooLarge {
        /// The thing.
        what: &'static str,
        /// The limit, with its unit.
        limit: &'static str,
    },
    /// Contents that don't have the hash that they should have.
    #[error("{what} does not have the hash that stands beside it: it was altered or damaged")]
    HashMismatch {
        /// The thing.
        what: &'static str,
    },
}
