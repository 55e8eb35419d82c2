//! What is pending here and clashes with an entry of the log: its name stands there for another transaction, or an id
//! that it gave to a new object stands there for another object.
//!
//! That happens where a database is an older copy, or two copies of a node spoke. Both sides were acknowledged, so both
//! shall stay. What is in the log keeps its names and ids. What is pending stays where it is in the stack, with the same
//! author, time and words, but gives way: a transaction whose name is taken, with all of its life that follow, gets the
//! name of a fork; an object whose id may stand for another one gets an id of a fork; and what builds on such an object
//! speaks of it by its new id.
//!
//! Several nodes may hold the same transactions when the same entry arrives. All that is new is computed from what they
//! all have: names, ids and even the bytes become the same everywhere, so that the head office knows each of them when
//! it comes a second time.

use std::collections::{BTreeMap, BTreeSet};

use mytism_core::change::{Change, Slot, Transaction};
use mytism_core::id::{ObjectId, TransactionId};
use mytism_core::journal::Cause;
use mytism_core::value::Value;
use mytism_format::hash;
use mytism_format::transaction::{self, StoredTransaction};
use mytism_store::{PendingRow, StoreError, Write};

use crate::error::AppError;
use crate::journal::{self, Seen};
use crate::lane::Work;
use crate::rollback::kept;
use crate::stack::Ground;

/// New names and ids that a warning tells.
const TOLD: usize = 10;
/// Rows of the journal that are looked at together, and bytes.
const ROWS: (u32, usize) = (1_000, 8 << 20);

/// Why something that is pending cannot stay as it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Clash {
    /// This name has another transaction.
    Name(TransactionId),
    /// This transaction makes an object under an id that stands for another one.
    Object(TransactionId, ObjectId),
}

/// Lets what is pending give way.
pub(crate) fn give_way(work: &mut Work<'_>, clash: Clash) -> Result<(), AppError> {
    let forks = Forks::find(work, clash)?;
    keep_journal(work, &forks)?;
    let mut grounds = Grounds::default();
    let mut anew = Vec::new();
    for (place, old) in &forks.found {
        let new = forks.renamed(&old.transaction);
        for change in old.transaction.changes.iter().chain(&new.changes) {
            grounds.look_at(work, change)?;
        }
        anew.push((*place, forks.sealed(old, new)?));
    }
    let before = grounds.sights(work)?;
    anew.iter().for_each(|(place, new)| restack(work, *place, new));
    let seen = grounds.lay(work, before)?;
    let (Clash::Name(id) | Clash::Object(id, _)) = clash;
    journal::append(work, Cause::RolledBack, id, None, &Seen::Are(seen))?;
    warn(work, &forks);
    Ok(())
}

/// What gives way, and what it is called then.
struct Forks {
    /// What tells this fork from others of the same life.
    mark: u32,
    /// The transactions that change, with their places, the lowest first.
    found: Vec<(i64, StoredTransaction)>,
    names: BTreeMap<TransactionId, TransactionId>,
    ids: BTreeMap<ObjectId, ObjectId>,
}

impl Forks {
    fn find(work: &mut Work<'_>, clash: Clash) -> Result<Self, AppError> {
        let (Clash::Name(first) | Clash::Object(first, _)) = clash;
        let gone = || StoreError::Damaged(format!("transaction {first} is pending no longer"));
        let place = work.workspace.pending_place(first)?.ok_or_else(gone)?;
        let row = work.workspace.pending(place)?.ok_or_else(gone)?;
        let mark = hash::fork_mark(transaction::peek(&row.bytes)?.2);
        let mut forks = Self { mark, found: Vec::new(), names: BTreeMap::new(), ids: BTreeMap::new() };
        if let Clash::Object(_, object) = clash {
            forks.ids.insert(object, hash::fork_object(mark, object));
        }
        let of_life = |id: TransactionId| id.life() == first.life() && id.counter >= first.counter;
        for (place, id) in work.workspace.pending_names()?.into_iter().skip_while(|(_, id)| *id != first) {
            let Some(row) = work.workspace.pending(place)? else { continue };
            let found = transaction::read(row.bytes)?;
            let loses_its_name = matches!(clash, Clash::Name(_)) && of_life(id);
            if loses_its_name {
                forks.names.insert(id, id.of_fork(mark));
                let made = found.transaction.changes.iter().filter(|change| change.is_making());
                forks.ids.extend(made.map(|change| (change.object, hash::fork_object(mark, change.object))));
            }
            if loses_its_name || forks.is_spoken_of(&found.transaction) {
                forks.found.push((place, found));
            }
        }
        Ok(forks)
    }

    /// Whether a transaction is about something that has another id or name now.
    fn is_spoken_of(&self, found: &Transaction) -> bool {
        let is_about = |change: &Change| {
            let objects = [Some(change.object), change.slot.element, change.old.reference(), change.new.reference()];
            objects.into_iter().flatten().any(|object| self.ids.contains_key(&object))
        };
        found.run.is_some_and(|run| self.names.contains_key(&run)) || found.changes.iter().any(is_about)
    }

    /// A transaction with its new name and the new ids.
    fn renamed(&self, old: &Transaction) -> Transaction {
        let object = |object: ObjectId| self.ids.get(&object).copied().unwrap_or(object);
        let value = |value: &Value| match value {
            Value::Reference(to) => Value::Reference(object(*to)),
            value => value.clone(),
        };
        let name = |id: TransactionId| self.names.get(&id).copied().unwrap_or(id);
        let changes = old.changes.iter().map(|change| Change {
            object: object(change.object),
            entity: change.entity,
            slot: Slot { element: change.slot.element.map(object), ..change.slot },
            old: value(&change.old),
            new: value(&change.new),
        });
        Transaction { id: name(old.id), run: old.run.map(name), changes: changes.collect(), ..old.clone() }
    }

    /// Its bytes, behind salts that follow from those of the old one.
    fn sealed(&self, old: &StoredTransaction, new: Transaction) -> Result<StoredTransaction, AppError> {
        let secret = transaction::secret(&old.bytes)?.of_fork(self.mark);
        Ok(transaction::write(new, &secret)?)
    }
}

/// What the log says of the objects that the transactions were about and are about then.
#[derive(Default)]
struct Grounds(BTreeMap<ObjectId, Ground>);

impl Grounds {
    fn look_at(&mut self, work: &mut Work<'_>, change: &Change) -> Result<(), AppError> {
        let ground = Ground::among(&mut self.0, work, change.object, change.entity)?;
        ground.look_at(work, change.slot)
    }

    fn sights(&self, work: &mut Work<'_>) -> Result<Vec<journal::Sight>, AppError> {
        self.0.values().map(|ground| ground.sight(work)).collect()
    }

    /// Computes anew what is seen; returns what became of it.
    fn lay(&self, work: &mut Work<'_>, before: Vec<journal::Sight>) -> Result<Vec<Change>, AppError> {
        let mut seen = Vec::new();
        for ((object, ground), before) in self.0.iter().zip(before) {
            ground.lay(work)?;
            seen.extend(before.became(*object, &ground.sight(work)?));
        }
        Ok(seen)
    }
}

/// Puts a transaction in the place of the one that was pending there.
fn restack(work: &mut Work<'_>, place: i64, new: &StoredTransaction) {
    work.workspace.settle(place);
    let (transaction, bytes) = (new.transaction.id, new.bytes.clone());
    work.workspace.pend(PendingRow { place, transaction, bytes });
    let touched: BTreeSet<ObjectId> = new.transaction.changes.iter().map(|change| change.object).collect();
    touched.into_iter().for_each(|object| work.workspace.touch(object, place));
}

/// Lets rows of the journal tell by themselves what was saved, before names and contents change.
fn keep_journal(work: &mut Work<'_>, forks: &Forks) -> Result<(), AppError> {
    let mut names: BTreeSet<TransactionId> = forks.found.iter().map(|(_, found)| found.transaction.id).collect();
    names.retain(|id| id.node == work.foundation.identity.node);
    let mut writes: Vec<Write> = Vec::new();
    let view = work.workspace.view()?;
    let mut before = u64::MAX;
    while !names.is_empty() {
        let rows = view.journal_before(before, ROWS.0, ROWS.1)?;
        let Some(oldest) = rows.last() else { break };
        before = oldest.sequence;
        for row in rows.iter().filter(|row| row.position.is_none() && row.changes.is_none()) {
            if names.remove(&row.transaction) {
                writes.push(kept(view, row)?);
            }
        }
    }
    writes.into_iter().for_each(|write| work.workspace.write(write));
    Ok(())
}

fn warn(work: &Work<'_>, forks: &Forks) {
    let names = forks.names.iter().map(|(old, new)| format!("{old} is {new} now"));
    let pairs: Vec<String> = if forks.names.is_empty() {
        forks.ids.iter().map(|(old, new)| format!("the object {old} is {new} now")).collect()
    } else {
        names.collect()
    };
    let more = if pairs.len() <= TOLD { String::new() } else { format!(", and {} more", pairs.len() - TOLD) };
    let told: Vec<String> = pairs.into_iter().take(TOLD).collect();
    let text = format!(
        "the head office knows other transactions or objects under the names of some that wait here, so a node was \
         copied or put back; those that wait got new names: {}{more}",
        told.join(", ")
    );
    work.foundation.warn_once("fork", text);
}
