//! A name of which two transactions exist: one is pending here, another one stands in the log of the head office.
//!
//! That happens where a database is an older copy, or two copies of a node spoke. Both transactions were acknowledged,
//! so both shall stay. The one in the log keeps the name. The one that is pending, with all of its life that follow and
//! all that build on objects which they make, becomes a transaction of this node's present life: with the same author,
//! time and words, and with fresh ids for what it makes.
//!
//! Counters of a life must rise along the stack. So where transactions of the present life are pending above, all that get
//! new names go on top, and with them whatever changes what they change, so that values stay in their order; else each
//! stays where it is.

use std::collections::{BTreeMap, BTreeSet};

use mytism_core::change::{Change, Slot, Transaction};
use mytism_core::id::{ObjectId, TransactionId};
use mytism_core::journal::Cause;
use mytism_core::value::Value;
use mytism_format::transaction;
use mytism_store::{PendingRow, Write};

use crate::error::AppError;
use crate::journal::{self, Seen};
use crate::lane::Work;
use crate::record::seal;
use crate::rollback::kept;
use crate::stack::Ground;

/// New names that a warning tells.
const TOLD: usize = 10;
/// Rows of the journal that are looked at together, and bytes.
const ROWS: (u32, usize) = (1_000, 8 << 20);

/// Gives the pending transaction of that name another one, and all that must get one with it.
pub(crate) fn rename(work: &mut Work<'_>, forked: TransactionId) -> Result<(), AppError> {
    let forks = Forks::find(work, forked)?;
    keep_journal(work, &forks)?;
    let ids = forks.made.iter().map(|object| Ok((*object, work.draw_id()?)));
    let ids: BTreeMap<ObjectId, ObjectId> = ids.collect::<Result<_, AppError>>()?;
    let mut grounds = Grounds::default();
    let (mut names, mut anew) = (BTreeMap::new(), Vec::new());
    for (place, old) in &forks.found {
        let counter = work.state.counter + 1;
        let (node, incarnation) = (work.foundation.identity.node, work.state.incarnation);
        work.state.counter = counter;
        names.insert(old.id, TransactionId { node, incarnation, counter });
        let new = renamed(old, &ids, &names);
        for change in old.changes.iter().chain(&new.changes) {
            grounds.look_at(work, change)?;
        }
        anew.push((*place, new));
    }
    let before = grounds.sights(work)?;
    for (place, new) in anew {
        let place = if forks.go_on_top { (place, work.state.places.above()) } else { (place, place) };
        restack(work, place, new)?;
    }
    fill_holes(work, &forks, &names)?;
    let seen = grounds.lay(work, before)?;
    note(work, &names, seen)?;
    warn(work, &names);
    Ok(())
}

/// What gets new names.
#[derive(Default)]
struct Forks {
    /// With their places, the lowest first.
    found: Vec<(i64, Transaction)>,
    /// The objects that they make.
    made: BTreeSet<ObjectId>,
    go_on_top: bool,
    /// What they change.
    slots: BTreeSet<(ObjectId, Slot)>,
    objects: BTreeSet<ObjectId>,
}

impl Forks {
    fn find(work: &mut Work<'_>, forked: TransactionId) -> Result<Self, AppError> {
        let present = (work.foundation.identity.node, work.state.incarnation);
        let life = (forked.node, forked.incarnation);
        let is_forked = |id: TransactionId| (id.node, id.incarnation) == life && id.counter >= forked.counter;
        let above: Vec<(i64, TransactionId)> =
            work.workspace.pending_names()?.into_iter().skip_while(|(_, id)| !is_forked(*id)).collect();
        let go_on_top = above.iter().any(|(_, id)| (id.node, id.incarnation) == present);
        let mut forks = Self { go_on_top, ..Self::default() };
        for (place, id) in above {
            let Some(row) = work.workspace.pending(place)? else { continue };
            let found = transaction::read(row.bytes)?.transaction;
            if is_forked(id) || found.changes.iter().any(|change| forks.is_built_on(change)) {
                forks.add(place, found);
            }
        }
        Ok(forks)
    }

    fn add(&mut self, place: i64, found: Transaction) {
        for change in &found.changes {
            if is_making(change) {
                self.made.insert(change.object);
            }
            self.slots.insert((change.object, change.slot));
            self.objects.insert(change.object);
        }
        self.found.push((place, found));
    }

    /// Whether a change is about an object that one of these makes; or, where they change their place, about anything
    /// that one of them changes.
    fn is_built_on(&self, change: &Change) -> bool {
        let objects = [Some(change.object), change.slot.element, change.old.reference(), change.new.reference()];
        if objects.into_iter().flatten().any(|object| self.made.contains(&object)) {
            return true;
        }
        let changes_slot = |slot| self.slots.contains(&(change.object, slot));
        let comes_or_goes = change.slot == Slot::LIFE && self.objects.contains(&change.object);
        self.go_on_top && (comes_or_goes || changes_slot(change.slot) || changes_slot(Slot::LIFE))
    }
}

/// A transaction under its new name, which is in `names` already.
fn renamed(
    old: &Transaction,
    ids: &BTreeMap<ObjectId, ObjectId>,
    names: &BTreeMap<TransactionId, TransactionId>,
) -> Transaction {
    let object = |object: ObjectId| ids.get(&object).copied().unwrap_or(object);
    let value = |value: &Value| match value {
        Value::Reference(to) => Value::Reference(object(*to)),
        value => value.clone(),
    };
    let name = |id: TransactionId| names.get(&id).copied().unwrap_or(id);
    let changes = old.changes.iter().map(|change| Change {
        object: object(change.object),
        entity: change.entity,
        slot: Slot { element: change.slot.element.map(object), ..change.slot },
        old: value(&change.old),
        new: value(&change.new),
    });
    Transaction { id: name(old.id), run: old.run.map(name), changes: changes.collect(), ..old.clone() }
}

fn is_making(change: &Change) -> bool {
    change.slot == Slot::LIFE && change.old.is_null()
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

/// Puts a transaction in the place of the one that was pending at `from`, or higher.
fn restack(work: &mut Work<'_>, (from, to): (i64, i64), new: Transaction) -> Result<(), AppError> {
    let sealed = seal(work.foundation, &new)?;
    let stored = transaction::finish(new, &sealed)?;
    work.workspace.settle(from);
    put(work, to, &stored)
}

fn put(work: &mut Work<'_>, place: i64, stored: &transaction::StoredTransaction) -> Result<(), AppError> {
    let (transaction, bytes) = (stored.transaction.id, stored.bytes.clone());
    work.workspace.pend(PendingRow { place, transaction, bytes });
    let touched: BTreeSet<ObjectId> = stored.transaction.changes.iter().map(|change| change.object).collect();
    touched.into_iter().for_each(|object| work.workspace.touch(object, place));
    Ok(())
}

/// A transaction of the present life that got a new name leaves an empty one behind: none of a life may be missing.
fn fill_holes(
    work: &mut Work<'_>,
    forks: &Forks,
    names: &BTreeMap<TransactionId, TransactionId>,
) -> Result<(), AppError> {
    let present = (work.foundation.identity.node, work.state.incarnation);
    for (place, old) in forks.found.iter().filter(|(_, old)| (old.id.node, old.id.incarnation) == present) {
        let description = names.get(&old.id).map_or_else(String::new, |new| format!("Saved anew as {new}"));
        let empty = Transaction { changes: Vec::new(), run: None, description, ..old.clone() };
        let sealed = seal(work.foundation, &empty)?;
        put(work, *place, &transaction::finish(empty, &sealed)?)?;
    }
    Ok(())
}

/// Lets rows of the journal tell by themselves what was saved under names that are about to go.
fn keep_journal(work: &mut Work<'_>, forks: &Forks) -> Result<(), AppError> {
    let mut names: BTreeSet<TransactionId> = forks.found.iter().map(|(_, found)| found.id).collect();
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

/// Rows of the journal: under their new names the transactions are saved again; what of it is seen stands in the last.
fn note(
    work: &mut Work<'_>,
    names: &BTreeMap<TransactionId, TransactionId>,
    seen: Vec<Change>,
) -> Result<(), AppError> {
    let mut new: Vec<TransactionId> = names.values().copied().collect();
    new.sort_unstable_by_key(|id| id.counter);
    let mut seen = Some(seen);
    for (left, id) in (0..new.len()).rev().zip(&new) {
        let changes = if left == 0 { seen.take().unwrap_or_default() } else { Vec::new() };
        journal::append(work, Cause::Saved, *id, None, &Seen::Are(changes))?;
    }
    Ok(())
}

fn warn(work: &Work<'_>, names: &BTreeMap<TransactionId, TransactionId>) {
    let pairs: Vec<String> = names.iter().take(TOLD).map(|(old, new)| format!("{old} is {new} now")).collect();
    let more = names.len().saturating_sub(pairs.len());
    let more = if more == 0 { String::new() } else { format!(", and {more} more") };
    let text = format!(
        "the head office knows other transactions under the names of some that wait here, so this node was copied or \
         put back; those that wait got new names: {}{more}",
        pairs.join(", ")
    );
    work.foundation.warn_once("fork", text);
}
