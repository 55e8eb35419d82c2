//! Everything that can be written, as data: what a commit does can be looked at, counted and compared before it is
//! done.

use std::sync::Arc;

use mytism_core::change::{ObjectMeta, Slot};
use mytism_core::id::{AttributeId, EntityId, ObjectId};
use mytism_core::schema::Schema;
use mytism_core::value::Value;
use mytism_format::object::ObjectState;

use crate::{JournalRow, LogRow, PendingRow, QuarantineRow};

/// What becomes durable together, in order.
pub type Batch = Vec<Write>;

/// One thing to write.
#[derive(Clone, PartialEq, Debug)]
pub enum Write {
    /// Appends to the authoritative log.
    Log(LogRow),
    /// Adds a transaction that the head office has yet to decide on, at a place that is free.
    Pending(PendingRow),
    /// The transaction at this place is pending no longer.
    Settled(i64),
    /// Takes the last entry off the authoritative log, with what [`Write::History`] and [`Write::Quarantine`] noted.
    Unlog {
        /// Number of the entry.
        number: u64,
        /// The objects that it changed.
        objects: Vec<ObjectId>,
    },
    /// Makes an object with the values of its columns and the elements of its sets.
    Insert(Box<ObjectState>),
    /// Changes an object's bookkeeping and some of its columns.
    Update {
        /// The object.
        object: ObjectId,
        /// Its concrete entity.
        entity: EntityId,
        /// Its bookkeeping.
        meta: ObjectMeta,
        /// The columns that change.
        columns: Vec<(AttributeId, Value)>,
    },
    /// Takes an object away as if it had never been made: its making was refused.
    Remove {
        /// The object.
        object: ObjectId,
        /// Its concrete entity.
        entity: EntityId,
    },
    /// Puts an element into a set or takes it out.
    Element {
        /// The many-to-many relation.
        relation: AttributeId,
        /// Whose set it is.
        owner: ObjectId,
        /// What is put in or taken out.
        element: ObjectId,
        /// Whether it is in from now on.
        present: bool,
    },
    /// Notes that a log entry changed an object.
    History {
        /// The object.
        object: ObjectId,
        /// Number of the entry.
        number: u64,
    },
    /// Notes that a pending transaction touches an object; gone with [`Write::Settled`].
    Touch {
        /// The object.
        object: ObjectId,
        /// Place of the transaction.
        place: i64,
    },
    /// Keeps beside an object what the authoritative log says of a slot; `None` forgets it.
    Underlay {
        /// The object.
        object: ObjectId,
        /// The slot.
        slot: Slot,
        /// Bytes that mean something to the caller.
        value: Option<Vec<u8>>,
    },
    /// Adds a refused transaction to the list.
    Quarantine(QuarantineRow),
    /// Appends to the journal of what became visible here.
    Journal(JournalRow),
    /// Lets a row of the journal tell its changes by itself.
    JournalChanges {
        /// The row.
        sequence: u64,
        /// Stored bytes.
        changes: Vec<u8>,
    },
    /// Forgets the journal up to and with this sequence, but never its last row, which tells where it goes on.
    TrimJournal(u64),
    /// Puts an entry of the log in the place of what is there under its number, which may be nothing; a refusal that was
    /// noted with it is gone.
    MendLog(LogRow),
    /// Puts an object in the place of what is there under its id.
    MendObject {
        /// The object.
        object: ObjectId,
        /// Its bookkeeping, columns and sets; `None` where there is no such object.
        state: Option<Box<ObjectState>>,
        /// Numbers of the entries behind `floor` that changed it.
        history: Vec<u64>,
        /// What is noted of entries up to this one stays.
        floor: u64,
    },
    /// Makes the tables those of another schema, with what is in them. It stands before all that is written under that
    /// schema, and nothing of the batch is about objects.
    Schema {
        /// The schema that holds from here on.
        schema: Arc<Schema>,
        /// Number of the log entry that says so.
        number: u64,
    },
    /// Keeps a value under a key, in the place of what was there.
    Put {
        /// The key.
        key: &'static str,
        /// Bytes that mean something to the caller.
        value: Vec<u8>,
    },
}

/// The schema that a batch leads to, where it changes that, and the number of the entry that says so.
#[must_use]
pub fn schema_of(batch: &Batch) -> Option<(&Arc<Schema>, u64)> {
    batch.iter().find_map(|write| match write {
        Write::Schema { schema, number } => Some((schema, *number)),
        _ => None,
    })
}
