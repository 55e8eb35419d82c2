//! From changes to a transaction in the log: the last step of every save.
//!
//! At the head office a save becomes an entry of the authoritative log at once. At a branch it becomes a pending
//! transaction on top of what the log says, and what lies under it is kept until the head office has decided.

use std::collections::{BTreeMap, BTreeSet};

use mytism_core::change::{Change, Entry, ObjectMeta, Outcome, Slot, Stamp, Transaction, effective};
use mytism_core::id::{AttributeId, ObjectId, Position, TransactionId};
use mytism_core::journal::Cause;
use mytism_core::operation::{Event, Saved};
use mytism_core::planted::{Bug, is};
use mytism_core::schema::SchemaDef;
use mytism_format::entry;
use mytism_format::hash::Secret;
use mytism_format::object::write_meta;
use mytism_format::transaction::{self, Sealed, StoredTransaction};
use mytism_format::value::value_bytes;
use mytism_store::{Head, LogRow, PendingRow, Write};

use crate::error::AppError;
use crate::foundation::Foundation;
use crate::journal::{self, Seen};
use crate::lane::Work;
use crate::reign;
use crate::workspace::RecentEntry;

/// The place in the underlay where an object's bookkeeping is kept.
pub(crate) const META: Slot = Slot::attribute(AttributeId(2));

/// What a save is, beside its changes.
#[derive(Clone, Debug, Default)]
pub(crate) struct About {
    pub(crate) description: String,
    /// The import that it is part of; `Some(None)` where it begins one.
    pub(crate) run: Option<Option<TransactionId>>,
    pub(crate) schema: Option<SchemaDef>,
}

/// A transaction of this node but for its place in the order, as far as possible sealed already.
pub(crate) struct Content {
    /// Its identity and base are those of the last one that was published; they are set when it is recorded.
    transaction: Transaction,
    /// The first transaction of an import names itself, which it can only when it has a name.
    names_itself: bool,
    sealed: Option<Sealed>,
}

impl Content {
    pub(crate) fn new(
        foundation: &Foundation,
        about: About,
        stamp: Stamp,
        changes: Vec<Change>,
    ) -> Result<Self, AppError> {
        let transaction = Transaction {
            id: TransactionId { node: foundation.identity.node, incarnation: 0, counter: 0 },
            base: foundation.published().state.position(),
            author: stamp.user,
            time: stamp.time,
            clock_offset_micros: foundation.clock.micros(),
            description: about.description,
            run: about.run.flatten(),
            schema: about.schema,
            changes,
        };
        let names_itself = about.run == Some(None);
        let sealed = if names_itself { None } else { Some(seal(foundation, &transaction)?) };
        Ok(Self { transaction, names_itself, sealed })
    }

    pub(crate) fn changes(&self) -> &[Change] {
        &self.transaction.changes
    }

    /// Makes it the next own transaction. Its changes are applied in the topmost layer already.
    pub(crate) fn record(self, work: &mut Work<'_>) -> Result<Saved, AppError> {
        reign::check(&work.state)?;
        let mut transaction = self.transaction;
        (transaction.id.incarnation, transaction.id.counter) = (work.state.incarnation, work.state.counter + 1);
        transaction.base = work.state.position();
        let id = transaction.id;
        if self.names_itself {
            transaction.run = Some(id);
        }
        let sealed = match self.sealed {
            Some(sealed) => sealed,
            None => seal(work.foundation, &transaction)?,
        };
        let stored = transaction::finish(transaction, &sealed)?;
        work.state.counter = id.counter;
        let (time, text) = (stored.transaction.time, stored.transaction.description.clone());
        let position = if work.state.authoritative {
            Some(append(work, stored, Outcome::PLAIN)?.number)
        } else {
            pend(work, &stored)?;
            None
        };
        journal::append(work, Cause::Saved, id, position, &Seen::AsRecorded)?;
        let foundation = work.foundation;
        work.tell(|| Event {
            time,
            kind: "saved".to_owned(),
            peer: foundation.identity.name.clone(),
            transaction: Some(id),
            position,
            text,
        });
        Ok(Saved { transaction: Some(id), position, pending: position.is_none(), ids: Vec::new() })
    }
}

/// Hides what a transaction says behind fresh salts.
pub(crate) fn seal(foundation: &Foundation, transaction: &Transaction) -> Result<Sealed, AppError> {
    Ok(transaction::seal(transaction, &foundation.surroundings.secret()?)?)
}

/// Makes an own transaction of changes that are applied in the topmost layer already.
pub(crate) fn own(work: &mut Work<'_>, about: About, stamp: Stamp, changes: Vec<Change>) -> Result<Saved, AppError> {
    Content::new(work.foundation, about, stamp, changes)?.record(work)
}

/// Appends an entry for a transaction to the authoritative log. The changes are applied already.
pub(crate) fn append(work: &mut Work<'_>, stored: StoredTransaction, outcome: Outcome) -> Result<Position, AppError> {
    let last = work.state.position();
    let new = Entry {
        position: Position { epoch: work.state.epoch, number: last.number + 1 },
        previous: work.state.head.map(|head| head.hash).unwrap_or_default(),
        head: work.foundation.identity.node,
        transaction: stored.transaction.id,
        transaction_hash: stored.hash,
        committed_at: work.now,
        outcome,
    };
    // An entry without leaves has nothing to salt.
    let secret = if new.outcome == Outcome::PLAIN { Secret([0; 32]) } else { work.foundation.surroundings.secret()? };
    let entry = entry::write(new, &secret)?;
    let StoredTransaction { bytes, hash, transaction } = stored;
    let (stamp, clock_offset_micros) = (transaction.stamp(), transaction.clock_offset_micros);
    let happened = if entry.entry.outcome == Outcome::PLAIN {
        transaction.changes
    } else {
        effective(&transaction.changes, &entry.entry.outcome)
    };
    let position = entry.entry.position;
    log(
        work,
        entry,
        bytes,
        RecentEntry {
            number: position.number,
            transaction: transaction.id,
            hash,
            stamp,
            clock_offset_micros,
            changes: happened,
        },
    );
    Ok(position)
}

/// Writes an entry of the authoritative log with its index, and moves the end of the log. `bytes` are those of the
/// transaction, `happened` says what it came to.
pub(crate) fn log(work: &mut Work<'_>, entry: entry::StoredEntry, bytes: Vec<u8>, happened: RecentEntry) {
    let position = entry.entry.position;
    let committed_at = entry.entry.committed_at;
    let hash = entry.hash;
    let transaction = happened.transaction;
    work.workspace.write(Write::Log(LogRow { position, hash, transaction, committed_at, entry: entry.bytes, bytes }));
    let mut objects: BTreeSet<ObjectId> = happened.changes.iter().map(|change| change.object).collect();
    if is(Bug::HistoryIncomplete) && objects.len() > 2 {
        objects.pop_last();
    }
    for object in objects {
        work.workspace.write(Write::History { object, number: position.number });
    }
    work.workspace.recent.push(happened);
    work.state.head = Some(Head { position, hash, committed_at });
    work.state.epoch = position.epoch;
}

/// Lays a transaction on top of what the authoritative log says.
fn pend(work: &mut Work<'_>, stored: &StoredTransaction) -> Result<(), AppError> {
    let id = stored.transaction.id;
    let place = work.state.places.above();
    work.workspace.pend(PendingRow { place, transaction: id, bytes: stored.bytes.clone() });
    for (object, changes) in by_object(&stored.transaction.changes) {
        let under = work.workspace.underlay(object)?;
        if !under.contains_key(&META) && !is(Bug::BookkeepingNotKept) {
            let meta = work.workspace.object_before(object)?.map(|object| object.meta);
            work.workspace.set_underlay(object, META, Some(meta_bytes(meta.as_ref())));
        }
        // Where a slot changes twice, as by two rows of an import, only the first knows what lies under both.
        let mut kept: BTreeSet<Slot> = under.into_keys().collect();
        for change in changes.iter().filter(|change| change.slot != Slot::LIFE) {
            if kept.insert(change.slot) && !is(Bug::UnderlayNotKept) {
                work.workspace.set_underlay(object, change.slot, Some(value_bytes(&change.old)));
            }
        }
        work.workspace.touch(object, place);
    }
    Ok(())
}

/// Changes by object, each in their order.
pub(crate) fn by_object(changes: &[Change]) -> BTreeMap<ObjectId, Vec<&Change>> {
    let mut objects: BTreeMap<ObjectId, Vec<&Change>> = BTreeMap::new();
    for change in changes {
        objects.entry(change.object).or_default().push(change);
    }
    objects
}

/// The bookkeeping as it is kept under pending changes; empty for an object that is not there.
pub(crate) fn meta_bytes(meta: Option<&ObjectMeta>) -> Vec<u8> {
    meta.map(write_meta).unwrap_or_default()
}
