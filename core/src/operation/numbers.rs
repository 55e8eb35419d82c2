//! Number ranges and numbers that may be missing, as they are told.

use crate::id::{ObjectId, TransactionId};
use crate::number::Number;
use crate::time::Timestamp;

/// A number range.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NumberRangeLine {
    /// Its object.
    pub id: ObjectId,
    /// Its name.
    pub name: String,
    /// Name of the node that it belongs to; empty where it belongs to none.
    pub node: String,
    /// The number that comes next, as far as the node that is asked knows; `None` where none is left.
    pub next: Option<Number>,
    /// How many numbers are left.
    pub left: u64,
    /// The smallest number.
    pub min: Number,
    /// The largest number.
    pub max: Number,
    /// From one number to the next.
    pub increment: Number,
    /// The last number that its node may give without asking the head office, where the node that is asked knows it.
    pub leased: Option<Number>,
    /// `valid`, `low` (a tenth or less is left), `used-up`, `waiting` (for the head office to lease more), `invalid` or
    /// `no-node`.
    pub state: String,
}

/// A run of numbers that no object holds though they were drawn, or may have been.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VoidNumberLine {
    /// Name of the range.
    pub range: String,
    /// Name of the node that it belongs to.
    pub node: String,
    /// The first one.
    pub from: Number,
    /// The last one.
    pub to: Number,
    /// `refused`: the transaction that drew it was refused. `may-be-missing`: given or not in a part of the node's life
    /// that its database does not know.
    pub cause: String,
    /// The refused transaction.
    pub transaction: Option<TransactionId>,
    /// When it was saved, or when the gap was noticed.
    pub time: Timestamp,
}
