//! What a node holds at one position, as another one can be compared with it, and the mending of what differs.
//!
//! Entries have their number for a key, objects their id. Both are compared as they are really stored: nothing that was
//! computed before is believed. An object goes with the elements of its sets and with the entries that changed it. What
//! pending transactions touch is left out, since a head office does not know of it, and so is what changed behind the
//! position. Nothing here knows who compares, or how that is told.
//!
//! Where two nodes hold an object otherwise, the log decides ([`by_the_log`]): it is the same at both, and a head office
//! may be the one whose tables were damaged. Only a branch whose history is still arriving takes its word.

mod by_the_log;

use std::collections::{BTreeMap, BTreeSet};

use mytism_core::change::{Outcome, effective};
use mytism_core::id::{Hash, ObjectId, Position};
use mytism_format::object::{self, ObjectState};
use mytism_format::{entry, envelope, hash, transaction};
use mytism_store::{Head, LogRow, QuarantineRow, View, Write};

use crate::App;
use crate::apply::ArrivingEntry;
use crate::error::AppError;
use crate::history;
use crate::lane::Work;
use by_the_log::{Entries, Told, is_right};

/// Things that are read at a time.
const ROWS: u32 = 500;
/// Bytes in one answer, about.
const BYTES: usize = 1 << 20;
/// A branch leaves out no more objects than this.
const WITHOUT_MAX: usize = 1 << 20;

/// All that a node holds at the end of its log, held still.
pub struct Holding {
    view: Box<dyn View>,
    head: Head,
    /// History is looked at behind this entry.
    floor: u64,
    /// Objects that are left out.
    without: BTreeSet<u64>,
}

/// An object as it is held, in bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HeldObject {
    /// Its record.
    pub record: Vec<u8>,
    /// Numbers of the entries above the floor that changed it.
    pub history: Vec<u64>,
}

/// What was wrong in a range, and is mended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Mended {
    /// Things that were not here.
    pub missing: u64,
    /// Things that were otherwise, or should not have been.
    pub different: u64,
    /// Things that are as they should be now.
    pub repaired: u64,
    /// Objects that are as the log says here, and otherwise at the other node.
    pub doubtful: u64,
}

impl Mended {
    /// Both together.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self {
            missing: self.missing + other.missing,
            different: self.different + other.different,
            repaired: self.repaired + other.repaired,
            doubtful: self.doubtful + other.doubtful,
        }
    }
}

impl App {
    /// Holds still what is here, at the end of the log.
    ///
    /// # Errors
    /// When the database cannot be read, or has no log.
    pub fn hold(&self, floor: u64) -> Result<Holding, AppError> {
        let view = self.view()?;
        let head = view.head()?.ok_or_else(|| AppError::failed("empty-log", "the log of this node is empty"))?;
        Ok(Holding { view, head, floor, without: BTreeSet::new() })
    }

    /// The entry before the first one that is here, behind which a branch compares: the history before may still be on
    /// its way.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn log_floor(&self) -> Result<u64, AppError> {
        Ok(self.history_begin()?.map_or(0, |first| first - 1))
    }

    /// Puts entries in the places of those in a range of numbers, in one commit. What came is checked before.
    ///
    /// # Errors
    /// When they are damaged or not those of the range, or the database cannot be written.
    pub fn mend_log(&self, after: u64, to: u64, arrived: Vec<ArrivingEntry>) -> Result<Mended, AppError> {
        let mut rows: BTreeMap<u64, (LogRow, Option<QuarantineRow>)> = BTreeMap::new();
        let mut last: Option<(u64, Hash)> = None;
        for one in arrived {
            let (row, refusal, previous) = verified(one)?;
            let number = row.position.number;
            let follows = last.is_none_or(|(before, hash)| number == before + 1 && previous == hash);
            if number <= after || number > to || !follows {
                return Err(AppError::failed("damaged-entry", format!("entry {} does not follow", row.position)));
            }
            last = Some((number, row.hash));
            rows.insert(number, (row, refusal));
        }
        let rows: Vec<_> = rows.into_values().collect();
        self.lane.execute_alone(move |work| mend_log(work, &rows))
    }

    /// Puts objects in the places of those in a range of ids, in one commit; but for those that changed here behind
    /// `position` or are touched by what is pending.
    ///
    /// # Errors
    /// When what came is damaged, or the database cannot be written.
    pub fn mend_objects(
        &self,
        (after, to): (u64, u64),
        position: Position,
        floor: u64,
        arrived: Vec<HeldObject>,
    ) -> Result<Mended, AppError> {
        let mut theirs = BTreeMap::new();
        for one in arrived {
            let state = read_record(&one.record)?;
            theirs.insert(state.id.get().unsigned_abs(), (state, one.history));
        }
        self.lane.execute_alone(move |work| mend_objects(work, (after, to), position, floor, &theirs))
    }

    /// Reads the whole log of this node and checks that it holds together: every entry and transaction against its hash,
    /// each against the one before. Returns how many were read, and those that are wrong.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn check_log(&self) -> Result<(u64, Mended), AppError> {
        let holding = self.hold(0)?;
        let (mut count, mut found) = (0, Mended::default());
        let mut last: Option<(u64, Hash)> = None;
        while last.map_or(0, |(number, _)| number) < holding.head.position.number {
            let after = last.map_or(0, |(number, _)| number);
            let rows = holding.view.log_after(after, ROWS, BYTES)?;
            if rows.is_empty() {
                break;
            }
            for row in rows {
                count += 1;
                let number = row.position.number;
                let (hash, arriving) =
                    (row.hash, ArrivingEntry { entry: row.entry.clone(), transaction: Some(row.bytes.clone()) });
                found.missing += number.saturating_sub(last.map_or(number, |(before, _)| before + 1));
                let is_good = verified(arriving).is_ok_and(|(read, _, previous)| {
                    read == row && last.is_none_or(|(before, hash)| before + 1 != number || previous == hash)
                });
                found.different += u64::from(!is_good);
                last = Some((number, hash));
            }
        }
        Ok((count, found))
    }
}

/// Reads an entry with its transaction, and checks both against each other: its row, its refusal where it is one, and
/// the hash of the entry before.
fn verified(one: ArrivingEntry) -> Result<(LogRow, Option<QuarantineRow>, Hash), AppError> {
    let damaged = |error: &mytism_format::FormatError| AppError::arrived_damaged("damaged-entry", error);
    let stored = entry::read(one.entry).map_err(|error| damaged(&error))?;
    let bytes = one.transaction.unwrap_or_default();
    let made = transaction::read(bytes).map_err(|error| damaged(&error))?;
    let entry = stored.entry;
    let position = entry.position;
    if made.hash != entry.transaction_hash || made.transaction.id != entry.transaction {
        return Err(AppError::failed("damaged-entry", format!("entry {position} names another transaction")));
    }
    let refusal = match entry.outcome {
        Outcome::Refused { code, reason } => Some(QuarantineRow { number: position.number, code, reason }),
        Outcome::Accepted { .. } => None,
    };
    let row = LogRow {
        position,
        hash: stored.hash,
        transaction: entry.transaction,
        committed_at: entry.committed_at,
        entry: stored.bytes,
        bytes: made.bytes,
    };
    Ok((row, refusal, entry.previous))
}

fn mend_log(work: &mut Work<'_>, rows: &[(LogRow, Option<QuarantineRow>)]) -> Result<Mended, AppError> {
    let mut mended = Mended::default();
    let mut writes = Vec::new();
    let end = work.state.position().number;
    let view = work.workspace.view()?;
    let refusals: BTreeMap<u64, QuarantineRow> = view.quarantine()?.into_iter().map(|row| (row.number, row)).collect();
    for (row, refusal) in rows {
        let number = row.position.number;
        if number > end {
            continue;
        }
        let is_there = view.log_marks(number - 1, 1)?.first().is_some_and(|(found, _)| *found == number);
        let found = if is_there { view.log_row(number).unwrap_or_default() } else { None };
        if found.as_ref() == Some(row) && refusals.get(&number) == refusal.as_ref() {
            continue;
        }
        mended.missing += u64::from(!is_there);
        mended.different += u64::from(is_there);
        mended.repaired += 1;
        writes.push(Write::MendLog(row.clone()));
        writes.extend(refusal.clone().map(Write::Quarantine));
    }
    writes.into_iter().for_each(|write| work.workspace.write(write));
    Ok(mended)
}

type Theirs = BTreeMap<u64, (ObjectState, Vec<u64>)>;

fn mend_objects(
    work: &mut Work<'_>,
    (after, to): (u64, u64),
    position: Position,
    floor: u64,
    theirs: &Theirs,
) -> Result<Mended, AppError> {
    let mut mended = Mended::default();
    let mut writes = Vec::new();
    let schema = work.workspace.schema;
    let view = work.workspace.view()?;
    let ours = found_between(view, after, to)?;
    let mut entries = history::check_whole(view).is_ok().then(|| Entries::of(view));
    let ids: BTreeSet<u64> = ours.keys().chain(theirs.keys()).copied().collect();
    for id in ids {
        let Some(object) = ObjectId::new(key(id)).filter(|_| id > after && id <= to) else { continue };
        let history = view.history_after(object, floor)?;
        let moved_on = history.iter().any(|number| *number > position.number);
        if moved_on || !view.pending_of(object)?.is_empty() {
            continue;
        }
        let good = theirs.get(&id);
        let state = ours.get(&id).and_then(Option::as_ref);
        let is_good = match (ours.get(&id), good) {
            (None, None) => true,
            (Some(Some(state)), Some((good, numbers))) => state == good && history == *numbers,
            _ => false,
        };
        if is_good {
            continue;
        }
        let others: BTreeSet<u64> = good.into_iter().flat_map(|(_, numbers)| numbers.iter().copied()).collect();
        let good = if let Some(entries) = &mut entries {
            if is_right(entries, object, state, &others)? {
                mended.doubtful += 1;
                continue;
            }
            Told::of(entries, object, &others)?.map(|told| told.filled(schema, good.map(|one| &one.0)))
        } else {
            good.cloned()
        };
        mended.missing += u64::from(state.is_none());
        mended.different += u64::from(state.is_some());
        mended.repaired += 1;
        let (state, history) = good.map(|(state, history)| (Box::new(state), history)).unzip();
        writes.push(Write::MendObject { object, state, history: history.unwrap_or_default(), floor });
    }
    writes.into_iter().for_each(|write| work.workspace.write(write));
    Ok(mended)
}

/// What is stored of the objects behind an id and up to another one.
fn found_between(view: &dyn View, after: u64, to: u64) -> Result<BTreeMap<u64, Option<ObjectState>>, AppError> {
    let mut between = BTreeMap::new();
    let mut last = after;
    loop {
        let found = view.objects_found(key(last), ROWS)?;
        let Some((end, _)) = found.last() else { return Ok(between) };
        last = end.get().unsigned_abs();
        let found = found.into_iter().map(|(id, state)| (id.get().unsigned_abs(), state));
        between.extend(found.filter(|(id, _)| *id <= to));
        if last >= to {
            return Ok(between);
        }
    }
}

/// Ids are below 2^53.
fn key(id: u64) -> i64 {
    i64::try_from(id).unwrap_or(i64::MAX)
}

fn read_record(record: &[u8]) -> Result<ObjectState, AppError> {
    let one = envelope::run(record).next().transpose()?;
    let wrong = || AppError::failed("damaged-object", "an object arrived that is none");
    Ok(object::read(one.ok_or_else(wrong)?.body)?)
}

impl Holding {
    /// Where the log ends.
    #[must_use]
    pub const fn position(&self) -> Position {
        self.head.position
    }

    /// Leaves out objects.
    ///
    /// # Errors
    /// When they are too many.
    pub fn leave_out(&mut self, objects: impl IntoIterator<Item = u64>) -> Result<(), AppError> {
        self.without.extend(objects);
        if self.without.len() <= WITHOUT_MAX {
            return Ok(());
        }
        let message = format!("more than {WITHOUT_MAX} objects are changing, too many to compare");
        Err(AppError::failed("too-much-moves", message))
    }

    /// Objects that changed here behind a position, or that pending transactions touch.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn moving(&self, behind: u64) -> Result<BTreeSet<u64>, AppError> {
        let mut moving = BTreeSet::new();
        let mut after = behind;
        loop {
            let rows = self.view.log_after(after, ROWS, BYTES)?;
            let Some(last) = rows.last() else { break };
            after = last.position.number;
            for row in rows {
                let (entry, made) = (entry::read(row.entry)?.entry, transaction::read(row.bytes)?.transaction);
                let changes = effective(&made.changes, &entry.outcome);
                moving.extend(changes.iter().map(|change| change.object.get().unsigned_abs()));
            }
        }
        let mut after = 0;
        loop {
            let touched = self.view.pending_objects(after, ROWS)?;
            let Some(last) = touched.last() else { break };
            after = last.get();
            moving.extend(touched.iter().map(|object| object.get().unsigned_abs()));
        }
        Ok(moving)
    }

    /// The keys of the entries of a range with the digests of what is stored, in order.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn entries(&self, after: u64, to: u64, each: &mut dyn FnMut(u64, &Hash)) -> Result<(), AppError> {
        let mut last = after.max(self.floor);
        loop {
            let marks = self.view.log_marks(last, ROWS)?;
            if marks.is_empty() {
                return Ok(());
            }
            for (number, mark) in marks {
                if number > to {
                    return Ok(());
                }
                last = number;
                each(number, &mark);
            }
        }
    }

    /// The same of objects.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn objects(&self, after: u64, to: u64, each: &mut dyn FnMut(u64, &Hash)) -> Result<(), AppError> {
        self.each_object(after, to, &mut |id, held| {
            let mut bytes = id.to_be_bytes().to_vec();
            if let Some(held) = held {
                bytes.extend_from_slice(&held.record);
                held.history.iter().for_each(|number| bytes.extend_from_slice(&number.to_be_bytes()));
            }
            each(id, &hash::chunk(&bytes));
            true
        })?;
        Ok(())
    }

    /// Goes through the objects of a range until `each` has enough; the last one that it got, or the end of the range.
    fn each_object(
        &self,
        after: u64,
        to: u64,
        each: &mut dyn FnMut(u64, Option<HeldObject>) -> bool,
    ) -> Result<u64, AppError> {
        let mut last = after;
        loop {
            let found = self.view.objects_found(key(last), ROWS)?;
            if found.is_empty() {
                return Ok(to);
            }
            for (object, state) in found {
                let id = object.get().unsigned_abs();
                if id > to {
                    return Ok(to);
                }
                last = id;
                if self.without.contains(&id) {
                    continue;
                }
                let held = state.map(|state| self.held(object, &state)).transpose()?;
                if !each(id, held) {
                    return Ok(last);
                }
            }
        }
    }

    fn held(&self, object: ObjectId, state: &ObjectState) -> Result<HeldObject, AppError> {
        let mut record = Vec::new();
        object::write(&mut record, state)?;
        Ok(HeldObject { record, history: self.view.history_after(object, self.floor)? })
    }

    /// Entries of a range with their transactions, as many as fit into an answer, and up to where that is.
    ///
    /// # Errors
    /// When the database cannot be read, or is damaged there.
    pub fn give_entries(&self, after: u64, to: u64) -> Result<(Vec<ArrivingEntry>, u64), AppError> {
        let rows = self.view.log_after(after, ROWS, BYTES)?;
        let end = rows.last().map_or(to, |last| last.position.number.min(to));
        let given = rows.into_iter().take_while(|row| row.position.number <= to);
        Ok((given.map(|row| ArrivingEntry { entry: row.entry, transaction: Some(row.bytes) }).collect(), end))
    }

    /// Objects of a range, as many as fit into an answer, and up to where that is.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn give_objects(&self, after: u64, to: u64) -> Result<(Vec<HeldObject>, u64), AppError> {
        let (mut given, mut bytes) = (Vec::new(), 0);
        let end = self.each_object(after, to, &mut |_, held| {
            if let Some(held) = held {
                bytes += held.record.len() + 8 * held.history.len();
                given.push(held);
            }
            bytes < BYTES
        })?;
        Ok((given, end))
    }
}
