//! Where a node keeps its objects, its log and what it has yet to hand on: one trait, and the engines behind it.
//!
//! A store holds and finds, it decides nothing: it does not know what a conflict, a right or a head office is. Whoever
//! writes gives it a [`Batch`], which becomes durable whole or not at all. **Only this crate contains SQL**, and it
//! knows no socket, no clock and no script.
//!
//! 1. [`Store`], [`View`] and [`Filling`]: the promises
//! 2. [`batch`]: everything that can be written
//! 3. [`compile`] and [`names`]: queries and names of tables, for every engine
//! 4. [`sqlite`]: the embedded engine
//! 5. [`postgres`]: the engine behind a server
//! 6. [`transfer`]: everything, from one engine into another
//! 7. [`bench`]: the plain engine doing the work of a node, to measure against

pub mod batch;
pub mod bench;
pub mod compile;
mod error;
mod lock;
pub mod names;
pub mod postgres;
mod reshape;
pub mod sqlite;
pub mod transfer;
mod unnoted;

use std::path::Path;
use std::sync::Arc;

use mytism_core::change::Slot;
use mytism_core::id::{AttributeId, EntityId, Hash, NodeId, ObjectId, Position, TransactionId};
use mytism_core::journal::Cause;
use mytism_core::query::Query;
use mytism_core::schema::Schema;
use mytism_core::time::Timestamp;
use mytism_core::value::Value;
use mytism_format::object::ObjectState;

pub use batch::{Batch, Write};
pub use error::StoreError;

/// A database of one node. One process writes it; a lock held by the store says so.
///
/// All functions block until they are done: callers run on threads of their own.
pub trait Store: Send + Sync {
    /// A view of everything as the last commit left it. It stays as it is while others commit.
    ///
    /// # Errors
    /// When the database cannot be read.
    fn view(&self) -> Result<Box<dyn View>, StoreError>;

    /// Makes a batch durable. When this returns, it survives the loss of power; when it fails, nothing of it is there.
    ///
    /// # Errors
    /// When the database cannot be written: full, read-only, damaged.
    fn commit(&self, batch: &Batch) -> Result<(), StoreError>;

    /// Bytes of the database on disk, with its log of writes.
    fn bytes(&self) -> u64;
}

/// A database of one node that is being filled for the first time, by one who has all that shall stand in it. Nothing
/// of it can be read before the end, and what is broken off is thrown away.
pub trait Filling: Send {
    /// Adds objects, those of one entity in the order of their ids for the sake of speed.
    ///
    /// # Errors
    /// When the schema does not know what they hold, or the database cannot be written.
    fn objects(&mut self, objects: &[ObjectState]) -> Result<(), StoreError>;

    /// Adds anything else.
    ///
    /// # Errors
    /// When the database cannot be written.
    fn write(&mut self, batch: &Batch) -> Result<(), StoreError>;

    /// Ends it. When this returns, all of it survives the loss of power and can be opened.
    ///
    /// # Errors
    /// When an object was added twice, or the database cannot be written.
    fn finish(self: Box<Self>) -> Result<(), StoreError>;
}

/// Everything as one commit left it. Dropping it lets the database forget that state.
pub trait View: Send {
    /// The last entry of the authoritative log that is known here; `None` before the first.
    ///
    /// # Errors
    /// When the database cannot be read, as for all functions here.
    fn head(&self) -> Result<Option<Head>, StoreError>;

    /// Log entries behind `after`, in order: at most `rows`, and no more once they hold `bytes` together.
    ///
    /// # Errors
    /// When the database cannot be read.
    fn log_after(&self, after: u64, rows: u32, bytes: usize) -> Result<Vec<LogRow>, StoreError>;

    /// Log entries before `before`, the last one first: at most `rows`, and no more once they hold `bytes` together.
    ///
    /// # Errors
    /// When the database cannot be read.
    fn log_before(&self, before: u64, rows: u32, bytes: usize) -> Result<Vec<LogRow>, StoreError>;

    /// Number of the first log entry that is known here; 0 where there is none. That of a node whose history is still on
    /// its way is not 1.
    ///
    /// # Errors
    /// When the database cannot be read.
    fn log_begin(&self) -> Result<u64, StoreError>;

    /// The log entry of that number.
    ///
    /// # Errors
    /// When the database cannot be read.
    fn log_row(&self, number: u64) -> Result<Option<LogRow>, StoreError>;

    /// Number of the last log entry that was written at a time or before; 0 where there is none.
    ///
    /// # Errors
    /// When the database cannot be read.
    fn position_at(&self, time: Timestamp) -> Result<u64, StoreError>;

    /// Number of the log entry of a transaction.
    ///
    /// # Errors
    /// When the database cannot be read.
    fn log_number(&self, transaction: TransactionId) -> Result<Option<u64>, StoreError>;

    /// The largest counter that a life of a node used, in the log or pending; 0 where it used none. Names of forks do not
    /// count.
    ///
    /// # Errors
    /// When the database cannot be read.
    fn last_counter(&self, node: NodeId, incarnation: u32) -> Result<u64, StoreError>;

    /// The latest life of a node that the log knows; 0 where it knows none.
    ///
    /// # Errors
    /// When the database cannot be read.
    fn last_incarnation(&self, node: NodeId) -> Result<u32, StoreError>;

    /// Number of the first log entry of a later epoch than this one.
    ///
    /// # Errors
    /// When the database cannot be read.
    fn later_reign(&self, epoch: u32) -> Result<Option<u64>, StoreError>;

    /// Transactions that the head office has not decided on, above a place, the lowest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    fn pending_after(&self, place: i64, rows: u32, bytes: usize) -> Result<Vec<PendingRow>, StoreError>;

    /// The lowest place and the highest one at which a transaction is pending.
    ///
    /// # Errors
    /// When the database cannot be read.
    fn pending_ends(&self) -> Result<Option<(i64, i64)>, StoreError>;

    /// How many transactions the head office has not decided on.
    ///
    /// # Errors
    /// When the database cannot be read.
    fn pending_count(&self) -> Result<u64, StoreError>;

    /// The one at a place.
    ///
    /// # Errors
    /// When the database cannot be read.
    fn pending(&self, place: i64) -> Result<Option<PendingRow>, StoreError>;

    /// Where a transaction is pending.
    ///
    /// # Errors
    /// When the database cannot be read.
    fn pending_place(&self, transaction: TransactionId) -> Result<Option<i64>, StoreError>;

    /// Places of the pending transactions that touch an object, the lowest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    fn pending_of(&self, object: ObjectId) -> Result<Vec<i64>, StoreError>;

    /// What the authoritative log says of the slots of an object that pending transactions touch, as it was given with
    /// [`Write::Underlay`].
    ///
    /// # Errors
    /// When the database cannot be read.
    fn underlay(&self, object: ObjectId) -> Result<Vec<(Slot, Vec<u8>)>, StoreError>;

    /// An object as it is seen here, without the elements of its sets.
    ///
    /// # Errors
    /// When the database cannot be read.
    fn object(&self, object: ObjectId) -> Result<Option<ObjectState>, StoreError>;

    /// Whether an element is in a set.
    ///
    /// # Errors
    /// When the database cannot be read.
    fn is_element(&self, relation: AttributeId, owner: ObjectId, element: ObjectId) -> Result<bool, StoreError>;

    /// The elements of a set in the order of their ids.
    ///
    /// # Errors
    /// When the database cannot be read.
    fn elements(&self, relation: AttributeId, owner: ObjectId) -> Result<Vec<ObjectId>, StoreError>;

    /// Objects of an entity (with its sub-entities) that are not deleted and hold a value in an indexed attribute; at
    /// most `rows`, in the order of their ids.
    ///
    /// # Errors
    /// When the database cannot be read.
    fn find(
        &self,
        entity: EntityId,
        attribute: AttributeId,
        value: &Value,
        rows: u32,
    ) -> Result<Vec<ObjectId>, StoreError>;

    /// Numbers of the log entries behind `after` that changed an object, in order.
    ///
    /// # Errors
    /// When the database cannot be read.
    fn history_after(&self, object: ObjectId, after: u64) -> Result<Vec<u64>, StoreError>;

    /// What is noted of entries that changed objects, behind an object and an entry, in the order of objects and entries;
    /// at most `rows`.
    ///
    /// # Errors
    /// When the database cannot be read.
    fn history_rows(&self, after: (i64, u64), rows: u32) -> Result<Vec<(ObjectId, u64)>, StoreError>;

    /// Number of the last log entry up to `until` that changed an object.
    ///
    /// # Errors
    /// When the database cannot be read.
    fn last_change(&self, object: ObjectId, until: u64) -> Result<Option<u64>, StoreError>;

    /// Objects behind `after` that pending transactions touch, in the order of their ids; at most `rows`.
    ///
    /// # Errors
    /// When the database cannot be read.
    fn pending_objects(&self, after: i64, rows: u32) -> Result<Vec<ObjectId>, StoreError>;

    /// Objects behind `after` in the order of their ids, deleted ones and the elements of sets included; at most `rows`.
    ///
    /// # Errors
    /// When the database cannot be read.
    fn objects_after(&self, after: i64, rows: u32) -> Result<Vec<ObjectState>, StoreError>;

    /// Objects of just this entity behind `after` in the order of their ids, deleted ones and the elements of sets
    /// included; at most `rows`. It does not look for single rows, as [`Self::objects_after`] must.
    ///
    /// # Errors
    /// When the database cannot be read.
    fn objects_of(&self, entity: EntityId, after: i64, rows: u32) -> Result<Vec<ObjectState>, StoreError>;

    /// Entries of the log behind `after`, in order: the number of each, and a digest of all that is really stored of it,
    /// damaged as it may be; at most `rows`.
    ///
    /// # Errors
    /// When the database cannot be read.
    fn log_marks(&self, after: u64, rows: u32) -> Result<Vec<(u64, Hash)>, StoreError>;

    /// Like [`Self::objects_after`], but an object that cannot be read, or is noted without being there, is `None`.
    ///
    /// # Errors
    /// When the database cannot be read.
    fn objects_found(&self, after: i64, rows: u32) -> Result<Vec<(ObjectId, Option<ObjectState>)>, StoreError>;

    /// How many objects are not deleted.
    ///
    /// # Errors
    /// When the database cannot be read.
    fn object_count(&self) -> Result<u64, StoreError>;

    /// Runs a query; rows go to `row` until it returns `false`.
    ///
    /// # Errors
    /// When the database cannot be read, or a sum leaves its range.
    fn query(
        &self,
        query: &Query,
        options: QueryOptions,
        row: &mut dyn FnMut(QueryRow) -> bool,
    ) -> Result<(), StoreError>;

    /// How the engine would answer a query. Nothing of it is run.
    ///
    /// # Errors
    /// When the database cannot be read.
    fn explain(&self, query: &Query, options: QueryOptions) -> Result<Explanation, StoreError>;

    /// Refused transactions in the order of the log.
    ///
    /// # Errors
    /// When the database cannot be read.
    fn quarantine(&self) -> Result<Vec<QuarantineRow>, StoreError>;

    /// Rows of the journal behind `after`, in order: at most `rows`, and no more once their own changes hold `bytes`
    /// together. Its cost does not depend on what lies before.
    ///
    /// # Errors
    /// When the database cannot be read.
    fn journal_after(&self, after: u64, rows: u32, bytes: usize) -> Result<Vec<JournalRow>, StoreError>;

    /// Rows of the journal before `before`, the latest first: at most `rows`, and no more once their own changes hold
    /// `bytes` together.
    ///
    /// # Errors
    /// When the database cannot be read.
    fn journal_before(&self, before: u64, rows: u32, bytes: usize) -> Result<Vec<JournalRow>, StoreError>;

    /// The sequences of the first row of the journal that is kept and of the last; both 0 where it never had any.
    ///
    /// # Errors
    /// When the database cannot be read.
    fn journal_bounds(&self) -> Result<(u64, u64), StoreError>;

    /// Among the first `rows` rows of the journal: the last one that became visible before a time, or 0.
    ///
    /// # Errors
    /// When the database cannot be read.
    fn journal_aged(&self, before: Timestamp, rows: u32) -> Result<u64, StoreError>;

    /// A value kept under a key; see [`Write::Put`].
    ///
    /// # Errors
    /// When the database cannot be read.
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError>;

    /// Everything that is kept under keys, in the order of the keys, but what the store says of itself.
    ///
    /// # Errors
    /// When the database cannot be read.
    fn kept(&self) -> Result<Vec<(String, Vec<u8>)>, StoreError>;

    /// The schema that held then.
    fn schema(&self) -> &Arc<Schema>;

    /// Copies the whole database, as this view sees it, to a file of the embedded engine that is not there yet. The copy is durable when this
    /// returns; where it fails, nothing is left of it. Others commit meanwhile. `progress` is told bytes that are done
    /// and bytes in all.
    ///
    /// # Errors
    /// When the database cannot be read, or the copy cannot be written.
    fn copy_to(&self, path: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<(), StoreError>;

    /// What is wrong with the files and the tables of the database, in words: pages and indexes that do not fit
    /// together, tables that are not those of the schema. All of it is read.
    ///
    /// # Errors
    /// When the database cannot be read at all.
    fn damages(&self) -> Result<Vec<String>, StoreError>;

    /// The part of [`Self::damages`] about tables: which of the schema are not there as it wants them. Costs the same
    /// however much is in them.
    ///
    /// # Errors
    /// When the database cannot be read.
    fn foreign_tables(&self) -> Result<Vec<String>, StoreError>;

    /// Lets objects be otherwise than they are, for what this view says of objects, sets and queries from here on.
    /// Nothing is stored, log and history stay what they are, and no other view knows of it.
    ///
    /// # Errors
    /// When the schema does not know an entity or a set, or the database cannot be read.
    fn overlay(&mut self, objects: &[OtherObject]) -> Result<(), StoreError>;
}

/// An object as it shall be seen; see [`View::overlay`].
#[derive(Clone, PartialEq, Debug)]
pub struct OtherObject {
    /// Which.
    pub id: ObjectId,
    /// Its concrete entity.
    pub entity: EntityId,
    /// Bookkeeping and columns; `None` where it is not there, nor is anything in its sets. Its life is not
    /// [`mytism_core::change::Life::Absent`].
    pub state: Option<ObjectState>,
    /// Elements of its sets that are otherwise than they are: relation, element, and whether it is in.
    pub elements: Vec<(AttributeId, ObjectId, bool)>,
}

/// The end of the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Head {
    /// Place of the last entry.
    pub position: Position,
    /// Its hash.
    pub hash: Hash,
    /// When it was written.
    pub committed_at: Timestamp,
}

/// An entry of the authoritative log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogRow {
    /// Its place.
    pub position: Position,
    /// Its hash.
    pub hash: Hash,
    /// The transaction.
    pub transaction: TransactionId,
    /// When the head office wrote it.
    pub committed_at: Timestamp,
    /// Stored bytes of the entry.
    pub entry: Vec<u8>,
    /// Stored bytes of the transaction.
    pub bytes: Vec<u8>,
}

/// A transaction that the head office has not decided on. What is seen is what the log says with all of them on top, the
/// lowest place first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PendingRow {
    /// Its place among them.
    pub place: i64,
    /// Its name.
    pub transaction: TransactionId,
    /// Stored bytes.
    pub bytes: Vec<u8>,
}

/// A refused transaction.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct QuarantineRow {
    /// Number of the refusal's entry in the log; the transaction itself stands there.
    pub number: u64,
    /// A code as in [`mytism_core::failure::Failure`].
    pub code: String,
    /// Why.
    pub reason: String,
}

/// What one transaction, or what was decided on it, made visible at this node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JournalRow {
    /// Its place in the journal: from 1, without gaps, in the order in which the rows became visible.
    pub sequence: u64,
    /// When, by the clock of this node.
    pub at: Timestamp,
    /// Why.
    pub cause: Cause,
    /// The transaction.
    pub transaction: TransactionId,
    /// The number of its entry in the log; `None` while the head office has not decided.
    pub position: Option<u64>,
    /// The visible changes as stored bytes, where they are not those of the transaction or of its entry.
    pub changes: Option<Vec<u8>>,
}

/// What a query leaves out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct QueryOptions {
    /// Whether deleted objects are listed too.
    pub deleted: bool,
    /// At most so many rows, beside what the query says.
    pub limit: Option<u64>,
}

/// How a query is answered; see [`View::explain`].
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Explanation {
    /// The statement.
    pub sql: String,
    /// The values that are bound in it, in the order of their places.
    pub values: Vec<Value>,
    /// The indexes that the engine says it uses, with the attribute that each is about.
    pub indexes: Vec<String>,
    /// All that the engine says, line by line.
    pub plan: Vec<String>,
}

/// A row of a query's answer.
#[derive(Clone, PartialEq, Debug)]
pub enum QueryRow {
    /// An object, without the elements of its sets.
    Object(Box<ObjectState>),
    /// Computed values in the order of the query.
    Values(Vec<Value>),
}
