//! What is to be undone: one transaction, or all of a run, in the log or pending.

use std::collections::BTreeMap;

use mytism_core::change::{Change, Outcome, effective};
use mytism_core::failure::Failure;
use mytism_core::id::TransactionId;
use mytism_format::{entry, transaction};
use mytism_store::View;

use crate::error::AppError;
use crate::history;
use crate::numbers;

/// Rows that are read at once, and bytes.
const ROWS: u32 = 1_000;
const BYTES: usize = 4 << 20;

/// Where a transaction is found.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) enum Place {
    /// In the log, under its number.
    Logged(u64),
    /// Pending, at its place.
    Pending(i64),
}

/// See the module.
///
/// A node goes on while an undo works: what was pending when it was looked for may be in the log by the time it is read.
/// So a pending place stands for its transaction wherever that is by then.
pub(super) struct Source {
    /// The transaction, or the first of the run.
    id: TransactionId,
    /// In the order in which they are undone: the last one first.
    pub(super) parts: Vec<Place>,
    /// The same with their names, to be asked for.
    places: BTreeMap<Place, TransactionId>,
    /// Where those were that were pending.
    pending: BTreeMap<TransactionId, i64>,
    /// The newest entry of the log when they were looked for.
    head: u64,
    /// Whether it is a run.
    pub(super) is_run: bool,
    /// What its author said.
    pub(super) description: String,
}

impl Source {
    pub(super) fn find(view: &dyn View, id: TransactionId) -> Result<Self, AppError> {
        let place = place(view, id)?;
        let found = read(view, place, id)?;
        if found.transaction.schema.is_some() {
            let message = format!("{id} brought the schema, which cannot be undone");
            return Err(AppError::refused("undo-schema", message));
        }
        let is_run = found.transaction.run == Some(id);
        let places = if is_run { run(view, id, place)? } else { BTreeMap::from([(place, id)]) };
        let pending = places.iter().filter_map(|(place, name)| match place {
            Place::Pending(place) => Some((*name, *place)),
            Place::Logged(_) => None,
        });
        let pending = pending.collect();
        if let (Some(reason), false) = (&found.refusal, is_run) {
            let message = format!("the head office refused {id}, so there is nothing to undo: {reason}");
            return Err(AppError::refused("nothing-to-undo", message));
        }
        let parts = places.keys().rev().copied().collect();
        let head = view.head()?.map_or(0, |head| head.position.number);
        Ok(Self { id, parts, places, pending, head, is_run, description: found.transaction.description })
    }

    /// The part that stands at a place now, under the place where it was found; `None` for what is no part.
    pub(super) fn part_at(&self, view: &dyn View, place: Place) -> Result<Option<Place>, AppError> {
        if self.places.contains_key(&place) {
            return Ok(Some(place));
        }
        let Place::Logged(number) = place else { return Ok(None) };
        if number <= self.head {
            return Ok(None);
        }
        let was = view.log_row(number)?.and_then(|row| self.pending.get(&row.transaction).copied());
        Ok(was.map(Place::Pending))
    }

    /// Reads a part of it.
    pub(super) fn read(&self, view: &dyn View, part: Place) -> Result<Read, AppError> {
        read(view, part, self.places.get(&part).copied().unwrap_or(self.id))
    }
}

/// A transaction with what became of it.
pub(super) struct Read {
    pub(super) transaction: mytism_core::change::Transaction,
    /// Why nothing of it happened, where nothing did.
    refusal: Option<String>,
    /// What of it happened, but for the next numbers of ranges, which never go back.
    pub(super) changes: Vec<Change>,
}

/// Reads a transaction, which is the one of that name where it was pending.
fn read(view: &dyn View, place: Place, name: TransactionId) -> Result<Read, AppError> {
    let gone = || Failure::refused("unknown-transaction", "a transaction is not here any longer");
    match place {
        Place::Logged(number) => {
            let row = view.log_row(number)?.ok_or_else(gone)?;
            let outcome = entry::read(row.entry)?.entry.outcome;
            let mut transaction = transaction::read(row.bytes)?.transaction;
            let changes = std::mem::take(&mut transaction.changes);
            let changes = if outcome == Outcome::PLAIN { changes } else { effective(&changes, &outcome) };
            let refusal = match outcome {
                Outcome::Refused { reason, .. } => Some(reason),
                Outcome::Accepted { .. } => None,
            };
            Ok(Read { transaction, refusal, changes: numbers::without_next(changes) })
        }
        Place::Pending(place) => {
            let Some(row) = view.pending(place)?.filter(|row| row.transaction == name) else {
                let number = view.log_number(name)?.ok_or_else(gone)?;
                return read(view, Place::Logged(number), name);
            };
            let mut transaction = transaction::read(row.bytes)?.transaction;
            let changes = std::mem::take(&mut transaction.changes);
            Ok(Read { transaction, refusal: None, changes: numbers::without_next(changes) })
        }
    }
}

fn place(view: &dyn View, id: TransactionId) -> Result<Place, AppError> {
    if let Some(number) = view.log_number(id)? {
        return Ok(Place::Logged(number));
    }
    match view.pending_place(id)? {
        Some(place) => Ok(Place::Pending(place)),
        None => Err(history::lacking(view, || {
            let message = format!("no transaction {id} is known here");
            let hint = "`history ID` tells the transactions of an object; `import` prints the name of an import";
            Failure::refused("unknown-transaction", message).hint(hint).into()
        })),
    }
}

fn same_life(one: TransactionId, other: TransactionId) -> bool {
    (one.node, one.incarnation) == (other.node, other.incarnation)
}

/// All transactions of a run that were not refused, with their names. They come from one node, in the log behind the
/// first.
fn run(view: &dyn View, id: TransactionId, first: Place) -> Result<BTreeMap<Place, TransactionId>, AppError> {
    let of_run = |row: TransactionId, bytes: &[u8]| -> Result<bool, AppError> {
        Ok(same_life(row, id) && transaction::about(bytes)?.1 == Some(id))
    };
    let mut places = BTreeMap::new();
    if let Place::Logged(number) = first {
        let mut after = number - 1;
        loop {
            let rows = view.log_after(after, ROWS, BYTES)?;
            let Some(last) = rows.last() else { break };
            after = last.position.number;
            for row in rows {
                let number = row.position.number;
                if of_run(row.transaction, &row.bytes)?
                    && !matches!(entry::read(row.entry)?.entry.outcome, Outcome::Refused { .. })
                {
                    places.insert(Place::Logged(number), row.transaction);
                }
            }
        }
    }
    let mut after = match first {
        Place::Pending(place) => place - 1,
        Place::Logged(_) => i64::MIN,
    };
    loop {
        let rows = view.pending_after(after, ROWS, BYTES)?;
        let Some(last) = rows.last() else { return Ok(places) };
        after = last.place;
        for row in rows {
            if of_run(row.transaction, &row.bytes)? {
                places.insert(Place::Pending(row.place), row.transaction);
            }
        }
    }
}
