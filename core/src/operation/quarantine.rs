//! What is asked and answered about refused transactions. It knows no log and no schema: a refusal is a number here.

use super::{Input, StampView};
use crate::id::TransactionId;

/// A refused transaction.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct QuarantineLine {
    /// The transaction.
    pub transaction: TransactionId,
    /// The place of the refusal in the log, which is its number.
    pub position: u64,
    /// A code as in [`crate::failure::Failure`].
    pub code: String,
    /// Why.
    pub reason: String,
    /// What its author said about it.
    pub description: String,
    /// Who, when and where.
    pub stamp: StampView,
    /// The refused transaction that made an object which this one refers to or changes.
    pub builds_on: Option<TransactionId>,
    /// What became of it; `None` while nobody has settled it.
    pub settled: Option<Settled>,
}

/// What became of a refusal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settled {
    /// `retried`, `edited` (retried with other values) or `discarded`.
    pub action: String,
    /// Who, when and where.
    pub stamp: StampView,
}

/// What shall become of a refused transaction.
#[derive(Clone, PartialEq, Debug)]
pub struct SettleRequest {
    /// The place of the refusal in the log.
    pub number: u64,
    /// What to do.
    pub action: Settling,
    /// Values in the place of those that were refused, each under `ENTITY.ATTRIBUTE` or `ID.ATTRIBUTE`; for a retry.
    pub set: Vec<(String, Input)>,
}

/// What is done with a refusal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Settling {
    /// The same changes are saved anew, on what stands there now.
    Retry,
    /// It is marked as settled, and nothing else happens.
    Discard,
}
