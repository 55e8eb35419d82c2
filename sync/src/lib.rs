//! The replica: what a head office and a branch say to each other, free of input and output.
//!
//! Messages, ends of log and answers of the store go in; messages to send and work to do come out as [`Effect`]s. **It
//! knows no socket, no disk, no clock and no randomness**, so the same code runs between real processes and in a
//! simulator. Whoever drives it carries out the effects in their order.
//!
//! 1. [`greeting`]: may these two talk at all
//! 2. [`feed`]: the head office's side of one branch
//! 3. [`uplink`]: a branch's side
//! 4. [`clock`]: how far apart their clocks are
//!
//! Both sides bound what is under way: no more than [`WINDOW`] bytes are sent before the other side has confirmed that
//! they are durable, so a slow or silent peer costs no more memory than that.

pub mod clock;
pub mod feed;
pub mod greeting;
pub mod uplink;

use mytism_core::id::{Hash, Position, TransactionId};
use mytism_core::number::{Lease, LeaseWish};
use mytism_proto::PeerMessage;

/// Bytes on their way to a peer that it has not confirmed.
pub const WINDOW: usize = 4 << 20;
/// Bytes in one message of entries or offers, about.
pub const MESSAGE: usize = 1 << 20;
/// Rows in one message of entries or offers.
pub const ROWS: u32 = 1_000;

/// A log entry as the store gives it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogItem {
    /// Its place.
    pub position: Position,
    /// Its hash.
    pub hash: Hash,
    /// The transaction.
    pub transaction: TransactionId,
    /// Stored bytes of the entry.
    pub entry: Vec<u8>,
    /// Stored bytes of the transaction.
    pub bytes: Vec<u8>,
}

/// A transaction that the head office has not decided on, as the store gives it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PendingItem {
    /// Its place among them.
    pub place: i64,
    /// Stored bytes.
    pub bytes: Vec<u8>,
}

/// What the driver has to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Effect {
    /// Send a message.
    Send(PeerMessage),
    /// Read the log behind a number and give it to [`feed::Feed::on_log`].
    ReadLog {
        /// The last number that is not wanted.
        after: u64,
    },
    /// Let the head office decide on transactions, then call [`feed::Feed::on_admitted`].
    Admit(Vec<Vec<u8>>),
    /// Find a block of ids for the branch and give it to [`feed::Feed::on_block`].
    GiveBlock,
    /// Apply entries, then call [`uplink::Uplink::on_applied`].
    Apply(Vec<mytism_proto::EntryFrame>),
    /// Read the pending transactions above a place and give them to [`uplink::Uplink::on_pending`].
    ReadPending {
        /// The last place that is not wanted.
        after: i64,
    },
    /// Sign the transactions and send them as [`PeerMessage::Offer`].
    Offer(Vec<Vec<u8>>),
    /// Add blocks to the own ids.
    TakeBlocks(Vec<i64>),
    /// Lease numbers to the branch as it wishes and give the leases to [`feed::Feed::on_leases`].
    GrantLeases(Vec<LeaseWish>),
    /// Take leases of numbers.
    TakeLeases(Vec<Lease>),
}

/// A peer that breaks the rules; the connection ends.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{message}")]
pub struct Violation {
    /// A kebab-case word as in [`mytism_core::failure::Failure`].
    pub code: &'static str,
    /// In words.
    pub message: String,
}

impl Violation {
    /// A peer said something that it may not say now.
    #[must_use]
    pub fn unexpected(what: &str) -> Self {
        Self { code: "unexpected-message", message: format!("the peer said {what}, which has no place here") }
    }

    /// For the peer.
    #[must_use]
    pub fn reject(&self) -> PeerMessage {
        PeerMessage::Reject { code: self.code.to_owned(), message: self.message.clone() }
    }
}
