//! The replica: what a head office and a branch say to each other, free of input and output.
//!
//! Messages, ends of log and results of [`Job`]s go in; messages to send and jobs to do come out as [`Effect`]s. **It
//! knows no socket, no disk, no clock and no randomness**, so the same code runs between real processes and in a
//! simulator. Whoever drives it carries out the effects in their order.
//!
//! 1. [`branch_end`] and [`head_end`]: the two ends of a line, from the first message to the last
//! 2. [`greeting`]: what a head office says to a branch that knocks
//! 3. [`feed`] and [`uplink`]: the two ends once both agree on what was
//! 4. [`clock`]: how far apart their clocks are
//! 5. [`check`]: whether both hold the same
//!
//! Both sides bound what is under way: no more than [`WINDOW`] bytes are sent before the other side has confirmed that
//! they are durable, so a slow or silent peer costs no more memory than that.

pub mod branch_end;
pub mod check;
pub mod clock;
pub mod feed;
pub mod greeting;
pub mod head_end;
pub mod uplink;

use std::sync::Arc;

use mytism_core::id::{Hash, Position, TransactionId};
use mytism_core::number::{Lease, LeaseWish};
use mytism_proto::{EntryFrame, PeerMessage};

use crate::greeting::{Claim, Judgement};

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
    /// Its place in the order in which they lie upon one another.
    pub place: i64,
    /// Stored bytes.
    pub bytes: Vec<u8>,
}

/// What the driver has to do, in this order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Effect {
    /// Send a message. An offer has no signature yet: that is for who holds the key.
    Send(PeerMessage),
    /// Do work, and give its result to the end that asked for it. Several may be under way at once.
    Do(Job),
    /// Close the line once all is sent, and come again soon.
    Close,
}

/// Work in the store of a node, that of a branch first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Job {
    /// Say who this is and what it has: [`Done::Introduced`].
    Introduce,
    /// Keep by how many microseconds the own clock is ahead: [`Done::Noted`].
    NoteClock(i64),
    /// Apply entries: [`Done::Applied`] or [`Done::Forked`].
    Apply(Vec<EntryFrame>),
    /// Read pending transactions behind a place: [`Done::Pending`].
    ReadPending {
        /// The last place that is not wanted; nothing for all.
        after: Option<i64>,
    },
    /// Add blocks to the own ids: [`Done::Stocked`].
    TakeBlocks(Vec<i64>),
    /// Take leases of numbers: [`Done::Noted`].
    TakeLeases(Vec<Lease>),
    /// Count ids and numbers: [`Done::Stock`].
    CountStock,
    /// Let the ranges show what was drawn: [`Done::Noted`].
    ShowNextNumbers,
    /// Take back what is above an entry: [`Done::Noted`].
    RollBack {
        /// The last entry that stays.
        to: Position,
        /// Its hash.
        hash: Hash,
    },
    /// Begin a new life: [`Done::Noted`].
    Renew {
        /// The life.
        incarnation: u32,
        /// Its ids.
        blocks: Vec<i64>,
    },
    /// Read the log behind an entry, for a head office that lost it: [`Done::Tail`].
    ReadTail {
        /// The last number that is not wanted.
        after: u64,
        /// What the entry there must be; nothing where that is known.
        hash: Option<Hash>,
    },
    /// At the head office: judge a branch: [`Done::Judged`].
    Judge(Box<Claim>),
    /// Read the log behind a number: [`Done::Log`].
    ReadLog {
        /// The last number that is not wanted.
        after: u64,
    },
    /// Decide on transactions: [`Done::Admitted`] or [`Done::Forked`].
    Admit(Vec<Vec<u8>>),
    /// Find a block of ids for the branch: [`Done::Block`].
    GiveBlock,
    /// Lease numbers to the branch as it wishes: [`Done::Leases`].
    GrantLeases(Vec<LeaseWish>),
    /// Find a new life for the branch: [`Done::Life`].
    GiveLife,
    /// Take entries back that a restored head office lost: [`Done::Taken`].
    TakeBack(Vec<EntryFrame>),
    /// The branch has told all that it has: [`Done::Noted`].
    NoteAnswer {
        /// Whether its log goes another way.
        differs: bool,
        /// The reign in which it ends.
        epoch: u32,
    },
}

/// What work came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Done {
    /// Who this is.
    Introduced {
        /// A [`PeerMessage::Hello`].
        hello: Box<PeerMessage>,
        /// Whether this node cannot know what its life has given, and so should begin a new one.
        wants_life: bool,
    },
    /// Nothing that the conversation has to know.
    Noted,
    /// Entries are applied and durable.
    Applied {
        /// The end of the log.
        position: Position,
        /// Its hash.
        hash: Hash,
        /// The last place among the transactions of this node that were settled, if there is one.
        settled: Option<i64>,
    },
    /// An own transaction has another content at the other side. Nothing was changed.
    Forked,
    /// Pending transactions, fewer than there are only where they fill a message.
    Pending(Vec<PendingItem>),
    /// There are more ids than before.
    Stocked,
    /// Ids and numbers.
    Stock {
        /// Ids that are left.
        ids: u64,
        /// Ids that should be in stock.
        ids_wanted: u64,
        /// What is held of the own ranges.
        wishes: Vec<LeaseWish>,
    },
    /// A piece of the log; nothing where it goes another way.
    Tail(Option<Vec<LogItem>>),
    /// What is to be said to a branch.
    Judged(Judgement),
    /// A piece of the log, which others may be given too.
    Log(Arc<Vec<LogItem>>),
    /// The transactions are decided on, and their entries are in the log.
    Admitted,
    /// Blocks of ids for the branch.
    Block(Vec<i64>),
    /// Leases of numbers for the branch.
    Leases(Vec<Lease>),
    /// A new life for the branch.
    Life {
        /// The life.
        incarnation: u32,
        /// Its ids.
        blocks: Vec<i64>,
    },
    /// The log of the head office ends here by now.
    Taken {
        /// The end of the log.
        position: Position,
        /// Its hash.
        hash: Hash,
    },
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
