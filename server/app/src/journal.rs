//! The journal of this node: what became visible here, one row for each transaction and each decision, in the order in
//! which it became visible. Followers read it instead of the log, since at a branch the two differ.
//!
//! A row holds no changes of its own where those of its transaction, or of the entry of the log, are exactly what became
//! visible: that is so wherever nothing pending lies on the objects. So a save costs one short row. Writing happens in
//! the commit lane, in the batch of what it tells of; nothing here decides what becomes visible.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use mytism_core::change::{Change, Life, Outcome, Slot, effective};
use mytism_core::id::{EntityId, NodeId, ObjectId, TransactionId};
use mytism_core::journal::Cause;
use mytism_core::time::Timestamp;
use mytism_core::value::Value;
use mytism_format::journal::{read_changes, write_changes};
use mytism_format::{entry, transaction};
use mytism_store::{JournalRow, StoreError, View, Write};

use crate::error::AppError;
use crate::lane::Work;

/// Bytes of changes after which no further row is read in one go.
const BYTES: usize = 8 << 20;
/// Changes after which no further row is read in one go.
const CHANGES: usize = 20_000;

/// What one transaction, or what was decided on it, made visible at this node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Visible {
    /// Its place in the journal: from 1, without gaps.
    pub sequence: u64,
    /// When, by the clock of this node.
    pub at: Timestamp,
    /// Why.
    pub cause: Cause,
    /// The transaction.
    pub transaction: TransactionId,
    /// The number of its entry in the log; `None` while the head office has not decided.
    pub position: Option<u64>,
    /// What was seen before and is seen now, each slot once at most; nothing where nobody sees a difference. An object
    /// that is gone, since its making was refused, has all its slots here, each going to nothing.
    pub changes: Vec<Change>,
}

/// Which changes a row is about.
pub(crate) enum Seen {
    /// Those of the transaction, or of its entry where it has one.
    AsRecorded,
    /// These.
    Are(Vec<Change>),
}

/// Notes in the topmost layer what a transaction makes visible.
pub(crate) fn append(
    work: &mut Work<'_>,
    cause: Cause,
    transaction: TransactionId,
    position: Option<u64>,
    seen: &Seen,
) -> Result<(), AppError> {
    let changes = match seen {
        Seen::AsRecorded => None,
        Seen::Are(changes) => Some(write_changes(changes)?),
    };
    work.state.journal += 1;
    let (sequence, at) = (work.state.journal, work.now);
    work.workspace.write(Write::Journal(JournalRow { sequence, at, cause, transaction, position, changes }));
    Ok(())
}

/// Why the outcome of a transaction of the node `origin` becomes visible at the node `here`.
pub(crate) fn cause(outcome: &Outcome, origin: NodeId, here: NodeId) -> Cause {
    match outcome {
        Outcome::Refused { .. } => Cause::Refused,
        outcome if *outcome != Outcome::PLAIN => Cause::Merged,
        _ if origin == here => Cause::Accepted,
        _ => Cause::Applied,
    }
}

/// What is seen of an object: whether it is there, its values, and which of some elements are in its sets.
pub(crate) struct Sight {
    entity: EntityId,
    slots: BTreeMap<Slot, Value>,
}

impl Sight {
    /// What is seen now. Nothing is seen of an object that is not there.
    pub(crate) fn of(
        work: &mut Work<'_>,
        object: ObjectId,
        entity: EntityId,
        elements: &[Slot],
    ) -> Result<Self, AppError> {
        let mut sight = Self { entity, slots: BTreeMap::new() };
        let Some(state) = work.workspace.object(object)?.filter(|state| state.meta.life != Life::Absent) else {
            return Ok(sight);
        };
        sight.slots.insert(Slot::LIFE, state.meta.life.value());
        sight.slots.extend(state.slots.iter().cloned());
        for slot in elements.iter().filter(|slot| slot.element.is_some()) {
            let value = work.workspace.slot(object, *slot)?;
            if !value.is_null() {
                sight.slots.insert(*slot, value);
            }
        }
        Ok(sight)
    }

    /// What became of it, slot by slot; whether the object is there comes first.
    pub(crate) fn became(&self, object: ObjectId, now: &Self) -> Vec<Change> {
        let slots: BTreeSet<Slot> = self.slots.keys().chain(now.slots.keys()).copied().collect();
        let value = |of: &Self, slot| of.slots.get(&slot).cloned().unwrap_or_default();
        let change = |slot| Change { object, entity: self.entity, slot, old: value(self, slot), new: value(now, slot) };
        slots.into_iter().map(change).filter(|change| change.old != change.new).collect()
    }
}

/// The rows behind `after` with what became visible; at most `rows`, fewer where they hold very many changes.
pub(crate) fn read(view: &dyn View, after: u64, rows: u32) -> Result<Vec<Visible>, AppError> {
    let (first, last) = view.journal_bounds()?;
    if after > last {
        let message = format!("the journal of this node ends at {last}, before {after}");
        let failure = mytism_core::failure::Failure::refused("journal-ahead", message);
        return Err(failure.hint("the cursor is of another node or of a copy that went on; begin anew").into());
    }
    if after + 1 < first {
        let message = format!("the journal of this node begins at {first}; what followed {after} is gone");
        let hint = format!("read the objects as they are now, then follow behind {}", first - 1);
        return Err(mytism_core::failure::Failure::refused("journal-trimmed", message).hint(hint).into());
    }
    let mut read = Vec::new();
    let mut count = 0;
    for row in view.journal_after(after, rows, BYTES)? {
        let visible = visible(view, &row)?;
        count += visible.changes.len();
        read.push(visible);
        if count >= CHANGES {
            break;
        }
    }
    Ok(read)
}

/// What a row tells.
pub(crate) fn visible(view: &dyn View, row: &JournalRow) -> Result<Visible, AppError> {
    let changes = match (&row.changes, row.position) {
        (Some(bytes), _) => read_changes(bytes)?,
        (None, Some(number)) => decided(view, number)?,
        (None, None) => own(view, row.transaction)?,
    };
    let JournalRow { sequence, at, cause, transaction, position, .. } = *row;
    Ok(Visible { sequence, at, cause, transaction, position, changes: one_per_slot(changes) })
}

/// What an entry of the log did.
fn decided(view: &dyn View, number: u64) -> Result<Vec<Change>, AppError> {
    let row = view.log_row(number)?.ok_or_else(|| missing(&format!("entry {number}")))?;
    let outcome = entry::read(row.entry)?.entry.outcome;
    Ok(effective(&transaction::read(row.bytes)?.transaction.changes, &outcome))
}

/// What was saved here, whatever the head office made of it meanwhile.
fn own(view: &dyn View, id: TransactionId) -> Result<Vec<Change>, AppError> {
    let pending = match view.pending_place(id)? {
        Some(place) => view.pending(place)?.map(|row| row.bytes),
        None => None,
    };
    let bytes = match (pending, view.log_number(id)?) {
        (Some(bytes), _) => Some(bytes),
        (None, Some(number)) => view.log_row(number)?.map(|row| row.bytes),
        (None, None) => None,
    };
    Ok(transaction::read(bytes.ok_or_else(|| missing(&format!("transaction {id}")))?)?.transaction.changes)
}

fn missing(what: &str) -> AppError {
    StoreError::Damaged(format!("the journal tells of {what}, which is not there")).into()
}

/// The first value before and the last one behind, for each slot where they differ; in the order of the first changes.
fn one_per_slot(changes: Vec<Change>) -> Vec<Change> {
    let mut places: HashMap<(ObjectId, Slot), usize> = HashMap::with_capacity(changes.len());
    let mut kept: Vec<Change> = Vec::with_capacity(changes.len());
    for change in changes {
        let place = *places.entry((change.object, change.slot)).or_insert(kept.len());
        match kept.get_mut(place) {
            Some(known) => known.new = change.new,
            None => kept.push(change),
        }
    }
    kept.retain(|change| change.old != change.new);
    kept
}

/// The end of the journal, for who waits for more.
pub(crate) struct News {
    end: Mutex<End>,
    changed: Condvar,
}

struct End {
    sequence: u64,
    nobody_waits: bool,
}

impl News {
    /// The journal ends there so far.
    pub(crate) fn at(sequence: u64) -> Self {
        Self { end: Mutex::new(End { sequence, nobody_waits: false }), changed: Condvar::new() }
    }

    /// The journal has grown, and what it says is durable.
    pub(crate) fn publish(&self, sequence: u64) {
        let mut end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        if end.sequence != sequence {
            end.sequence = sequence;
            self.changed.notify_all();
        }
    }

    /// Lets all go who wait, and nobody wait any longer.
    pub(crate) fn close(&self) {
        self.end.lock().unwrap_or_else(PoisonError::into_inner).nobody_waits = true;
        self.changed.notify_all();
    }

    /// Waits until the journal is longer than `after`, at most for a while.
    pub(crate) fn wait(&self, after: u64, at_most: Duration) {
        let end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        let shorter = |end: &mut End| end.sequence <= after && !end.nobody_waits;
        // Who is woken looks for himself.
        let _woken = self.changed.wait_timeout_while(end, at_most, shorter);
    }
}

#[cfg(test)]
mod tests {
    use mytism_core::id::AttributeId;

    use super::*;

    fn change(object: i64, attribute: u32, old: i64, new: i64) -> Change {
        let value = |number| if number == 0 { Value::Null } else { Value::Integer(number) };
        let (object, slot) = (ObjectId::new(object).unwrap(), Slot::attribute(AttributeId(attribute)));
        Change { object, entity: EntityId(1), slot, old: value(old), new: value(new) }
    }

    #[test]
    fn each_slot_is_told_once() {
        let check = |given: &[(i64, u32, i64, i64)], expected: &[(i64, u32, i64, i64)]| {
            let list = |of: &[(i64, u32, i64, i64)]| of.iter().map(|(o, a, x, v)| change(*o, *a, *x, *v)).collect();
            let expected: Vec<Change> = list(expected);
            assert_eq!(one_per_slot(list(given)), expected, "{given:?}");
        };
        check(&[], &[]);
        check(&[(1, 20, 0, 5), (1, 21, 0, 6), (1, 20, 5, 7)], &[(1, 20, 0, 7), (1, 21, 0, 6)]);
        check(&[(1, 20, 3, 5), (1, 20, 5, 3)], &[]);
        check(&[(1, 20, 3, 3), (2, 20, 3, 4)], &[(2, 20, 3, 4)]);
    }

    #[test]
    fn causes_are_told_from_the_side_of_the_node() {
        let refused = Outcome::Refused { code: "c".into(), reason: "r".into() };
        let merged = Outcome::Accepted { overrides: Vec::new(), extra: vec![change(1, 20, 0, 1)] };
        let (here, there) = (NodeId(2), NodeId(3));
        let check = |outcome: &Outcome, origin, expected| assert_eq!(cause(outcome, origin, here), expected);
        check(&Outcome::PLAIN, here, Cause::Accepted);
        check(&Outcome::PLAIN, there, Cause::Applied);
        check(&merged, here, Cause::Merged);
        check(&merged, there, Cause::Merged);
        check(&refused, here, Cause::Refused);
        check(&refused, there, Cause::Refused);
    }

    #[test]
    fn who_waits_is_woken() {
        const LONG: Duration = Duration::from_secs(600);
        let news = News::at(4);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| news.wait(4, LONG));
            news.publish(5);
            waiting.join().unwrap();
        });
        news.wait(4, LONG);
        news.wait(5, Duration::ZERO);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| news.wait(5, LONG));
            news.close();
            waiting.join().unwrap();
        });
        news.wait(5, LONG);
    }
}
