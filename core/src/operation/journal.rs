//! Following what becomes visible at a node: what is asked and what is answered.

use crate::id::{ObjectId, TransactionId};
use crate::operation::Output;
use crate::time::Timestamp;

/// Which rows of the journal are wanted.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ChangesRequest {
    /// A name under which the node keeps a cursor. One that it does not know yet is made known; one that it knows goes on
    /// where it was, whatever else is asked for.
    pub follower: Option<String>,
    /// Behind this row; with the first one that is kept where it is `None`.
    pub after: Option<u64>,
    /// Behind the last row there is, in the place of `after`.
    pub from_now: bool,
    /// At most so many rows, 1 to 10,000; fewer come where they hold very many changes.
    pub rows: u32,
    /// Whether to wait, for some seconds, where there is no row yet.
    pub wait: bool,
}

/// A visible change, or that a row has none.
#[derive(Clone, PartialEq, Debug)]
pub struct ChangeLine {
    /// Place of its row in the journal: from 1, without gaps.
    pub sequence: u64,
    /// Which one it is among those of its row, from 1; 0 where the row has none.
    pub number: u64,
    /// How many the row has.
    pub count: u64,
    /// When the row became visible, by the clock of the node.
    pub time: Timestamp,
    /// Why, as [`crate::journal::Cause::word`] says it.
    pub cause: String,
    /// The transaction.
    pub transaction: TransactionId,
    /// Number of its entry in the log; `None` while the head office has not decided.
    pub position: Option<u64>,
    /// The object; `None` where the row has no change, as for all that follows.
    pub object: Option<ObjectId>,
    /// Name of its entity.
    pub entity: String,
    /// Name of the attribute; empty where the change is about whether the object is there.
    pub attribute: String,
    /// What was seen before.
    pub old: Output,
    /// What is seen now.
    pub new: Output,
}

/// How far somebody is in the journal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reached {
    /// The last row that was given, or the row behind which there was none.
    pub cursor: u64,
    /// The last row there is.
    pub end: u64,
}

/// Rows of an answer that go, and rows that come in their place. Carried out one after another on the rows as they stand
/// then.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Splice {
    /// Where, counted from 0.
    pub at: u64,
    /// So many rows go from there on.
    pub removed: u64,
    /// So many come in their place; they follow.
    pub inserted: u64,
}

/// A follower of the journal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FollowerLine {
    /// Its name.
    pub name: String,
    /// The last row that it has done with.
    pub cursor: u64,
    /// Rows that it has yet to do with.
    pub behind: u64,
    /// When its cursor moved last.
    pub moved: Timestamp,
}
