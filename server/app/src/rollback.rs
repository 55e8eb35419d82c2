//! Entries of the log taken back, at a branch whose head office goes on without them.
//!
//! The log is taken back entry by entry, the newest first, as far as both know the same. The transaction of each entry
//! becomes pending again, whoever made it and whatever had become of it, below all that is pending already: so users go
//! on to see what they saw, and each of them is decided on anew. What a head office added or held against them goes.
//!
//! It happens in steps of a bounded size, each a commit that leaves a node which is whole.

use std::collections::{BTreeMap, BTreeSet};

use mytism_core::change::{Change, Entry, Stamp};
use mytism_core::failure::Failure;
use mytism_core::id::{EntityId, Hash, ObjectId, Position};
use mytism_core::journal::Cause;
use mytism_format::transaction::{self, StoredTransaction};
use mytism_format::{entry, journal as stored_journal};
use mytism_store::{Head, LogRow, PendingRow, StoreError, View, Write};

use crate::App;
use crate::apply::stamped;
use crate::error::AppError;
use crate::history;
use crate::journal::{self, Seen};
use crate::lane::Work;
use crate::stack::Ground;

/// Entries that one step takes back at most, bytes of them, and changes.
const STEP: (usize, usize, usize) = (500, 4 << 20, 20_000);
/// Rows of the journal that are looked at together, and bytes.
const ROWS: (u32, usize) = (1_000, 8 << 20);

impl App {
    /// Takes back all entries of the log above `to`, whose hash must be this one; returns the end of the log. What is
    /// taken back is pending from then on.
    ///
    /// # Errors
    /// When this is the head office, or the log here has another entry at `to` or none; nothing was changed then. Or when
    /// the database cannot be written: then a part is taken back, and the same call goes on with it.
    pub fn roll_back(&self, to: Position, hash: Hash) -> Result<Position, AppError> {
        loop {
            let end = self.lane.execute_alone(move |work| step(work, to.number, hash))?;
            if end.number <= to.number {
                return Ok(end);
            }
        }
    }
}

/// An entry that is taken back.
struct Taken {
    number: u64,
    stored: StoredTransaction,
    /// What had come of it.
    happened: Vec<(Change, Stamp)>,
}

impl Taken {
    fn read(row: LogRow) -> Result<Self, AppError> {
        let number = row.position.number;
        let entry: Entry = entry::read(row.entry)?.entry;
        let stored = transaction::read(row.bytes)?;
        let happened = stamped(&entry, &stored.transaction);
        Ok(Self { number, stored, happened })
    }

    fn objects(&self) -> BTreeSet<ObjectId> {
        self.happened.iter().map(|(change, _)| change.object).collect()
    }
}

/// Takes back some of the entries above a number; returns where the log ends then.
fn step(work: &mut Work<'_>, to: u64, hash: Hash) -> Result<Position, AppError> {
    if work.state.authoritative {
        return Err(AppError::refused("not-a-branch", "the head office takes nothing of its log back"));
    }
    let view = work.workspace.view()?;
    history::check_behind(view, to.saturating_sub(1))?;
    if view.log_row(to)?.is_none_or(|row| row.hash != hash) {
        let message = format!("the log of the head office differs from the one here at {to} already");
        return Err(AppError::refused("histories-differ", message));
    }
    let taken = newest(work, to)?;
    let (Some(first), Some(last)) = (taken.last(), taken.first()) else { return Ok(work.state.position()) };
    let (first, last, id) = (first.number, last.number, first.stored.transaction.id);
    keep_journal(work, first, last)?;
    let mut grounds = grounds(work, &taken)?;
    let mut before = BTreeMap::new();
    for (object, ground) in &grounds {
        before.insert(*object, ground.sight(work)?);
    }
    for one in &taken {
        take_back(work, one, &mut grounds);
    }
    date_back(work, &taken, first, &mut grounds)?;
    let mut seen = Vec::new();
    for (object, ground) in &grounds {
        ground.lay(work)?;
        if let Some(before) = before.remove(object) {
            seen.extend(before.became(*object, &ground.sight(work)?));
        }
    }
    work.state.head = Some(head(work, first - 1)?);
    journal::append(work, Cause::RolledBack, id, Some(first), &Seen::Are(seen))?;
    Ok(work.state.position())
}

/// The newest entries above a number, the newest first.
fn newest(work: &Work<'_>, to: u64) -> Result<Vec<Taken>, AppError> {
    let view = work.workspace.view()?;
    let (mut taken, mut bytes, mut changes) = (Vec::new(), 0, 0);
    let mut number = work.state.position().number;
    while number > to && taken.len() < STEP.0 && bytes < STEP.1 && changes < STEP.2 {
        let row = view.log_row(number)?.ok_or_else(|| lacks(number))?;
        bytes += row.bytes.len() + row.entry.len();
        let one = Taken::read(row)?;
        if one.stored.transaction.schema.is_some() {
            let message = format!("entry {number} changed the schema, which cannot be taken back");
            let failure = Failure::refused("schema-ahead", message);
            return Err(failure
                .hint("the head office lacks a change of the schema that this branch has: set the branch up again")
                .into());
        }
        changes += one.happened.len() + one.stored.transaction.changes.len();
        taken.push(one);
        number -= 1;
    }
    Ok(taken)
}

fn lacks(number: u64) -> AppError {
    StoreError::Damaged(format!("the log lacks the entry {number}")).into()
}

fn head(work: &Work<'_>, number: u64) -> Result<Head, AppError> {
    let row = work.workspace.view()?.log_row(number)?.ok_or_else(|| lacks(number))?;
    Ok(Head { position: row.position, hash: row.hash, committed_at: row.committed_at })
}

/// What the log says of all objects that some entries or their transactions are about, before it changes.
fn grounds(work: &mut Work<'_>, taken: &[Taken]) -> Result<BTreeMap<ObjectId, Ground>, AppError> {
    let mut grounds: BTreeMap<ObjectId, Ground> = BTreeMap::new();
    let changes = |one: &'_ Taken| -> Vec<(ObjectId, EntityId, _)> {
        let happened = one.happened.iter().map(|(change, _)| change);
        let all = happened.chain(&one.stored.transaction.changes);
        all.map(|change| (change.object, change.entity, change.slot)).collect()
    };
    for (object, entity, slot) in taken.iter().flat_map(changes) {
        let ground = Ground::among(&mut grounds, work, object, entity)?;
        ground.look_at(work, slot)?;
    }
    Ok(grounds)
}

fn take_back(work: &mut Work<'_>, one: &Taken, grounds: &mut BTreeMap<ObjectId, Ground>) {
    for (change, _) in one.happened.iter().rev() {
        if let Some(ground) = grounds.get_mut(&change.object) {
            ground.take_back(change);
        }
    }
    let place = work.state.places.below();
    let (transaction, bytes) = (one.stored.transaction.id, one.stored.bytes.clone());
    work.workspace.pend(PendingRow { place, transaction, bytes });
    for change in &one.stored.transaction.changes {
        work.workspace.touch(change.object, place);
    }
    let objects = one.objects().into_iter().collect();
    work.workspace.write(Write::Unlog { number: one.number, objects });
}

/// Gives the objects that are still there the author and the number of the last change before an entry.
fn date_back(
    work: &Work<'_>,
    taken: &[Taken],
    first: u64,
    grounds: &mut BTreeMap<ObjectId, Ground>,
) -> Result<(), AppError> {
    let view = work.workspace.view()?;
    let mut entries: BTreeMap<u64, BTreeSet<ObjectId>> = BTreeMap::new();
    let changed: BTreeSet<ObjectId> = taken.iter().flat_map(Taken::objects).collect();
    for object in changed.into_iter().filter(|object| grounds.get(object).is_some_and(Ground::is_known)) {
        let last = view.last_change(object, first - 1)?.ok_or_else(|| {
            history::lacking(view, || {
                let message = format!("the history lacks the entry before {first} that changed object {object} last");
                StoreError::Damaged(message).into()
            })
        })?;
        entries.entry(last).or_default().insert(object);
    }
    for (number, objects) in entries {
        let row = Taken::read(view.log_row(number)?.ok_or_else(|| lacks(number))?)?;
        for (change, stamp) in row.happened.iter().filter(|(change, _)| objects.contains(&change.object)) {
            if let Some(ground) = grounds.get_mut(&change.object) {
                ground.last_changed(*stamp, number);
            }
        }
    }
    Ok(())
}

/// Lets rows of the journal tell by themselves what entries changed that are about to go.
fn keep_journal(work: &mut Work<'_>, first: u64, last: u64) -> Result<(), AppError> {
    let mut writes = Vec::new();
    let view = work.workspace.view()?;
    let mut before = u64::MAX;
    'rows: loop {
        let rows = view.journal_before(before, ROWS.0, ROWS.1)?;
        let Some(oldest) = rows.last() else { break };
        before = oldest.sequence;
        for row in rows {
            // Entries become visible in their order, and what was taken back before is kept already.
            let Some(number) = row.position else { continue };
            if number < first {
                break 'rows;
            }
            if number <= last && row.changes.is_none() {
                writes.push(kept(view, &row)?);
            }
        }
    }
    writes.into_iter().for_each(|write| work.workspace.write(write));
    Ok(())
}

/// What makes a row of the journal tell its changes by itself.
pub(crate) fn kept(view: &dyn View, row: &mytism_store::JournalRow) -> Result<Write, AppError> {
    let changes = stored_journal::write_changes(&journal::visible(view, row)?.changes)?;
    Ok(Write::JournalChanges { sequence: row.sequence, changes })
}
