//! Whether a database is whole: its pages, its tables, the chain of its log; and in what two of them differ.
//!
//! All of it reads in order and holds little at a time, since a database may be far larger than memory. Nothing is
//! mended here, and it does not know who asks.

use std::collections::{BTreeMap, HashSet};

use mytism_core::change::{Life, Slot};
use mytism_core::failure::Failure;
use mytism_core::id::{EntityId, Hash, ObjectId, Position, system};
use mytism_core::schema::Schema;
use mytism_core::value::Value;
use mytism_format::object::ObjectState;
use mytism_format::{entry, transaction};
use mytism_store::{LogRow, View};

use crate::App;
use crate::error::AppError;

/// Entries that are looked at together, and the bytes past which they are enough.
const ENTRIES: (u32, usize) = (2_000, 4 << 20);
/// Objects that are looked at together.
const OBJECTS: u32 = 256;

/// What a database holds that was found to be whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sound {
    /// Entries of its log.
    pub entries: u64,
    /// Objects that are not deleted.
    pub objects: u64,
    /// Transactions that wait for the head office.
    pub pending: u64,
}

/// How many objects of an entity differ between two databases.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Difference {
    /// Name of the entity.
    pub entity: String,
    /// There afterwards, and not before.
    pub appear: u64,
    /// There before, and not afterwards.
    pub disappear: u64,
    /// There before and afterwards, with other values.
    pub change: u64,
}

impl App {
    /// Reads the whole database and checks it: files and tables, the chain of the log, each entry with its transaction.
    /// `progress` is told how many entries of how many are done.
    ///
    /// # Errors
    /// `database-damaged` with what was found, or that it cannot be read.
    pub fn prove(&self, progress: &mut dyn FnMut(u64, u64)) -> Result<Sound, AppError> {
        let view = self.view()?;
        let damages = view.damages()?;
        if !damages.is_empty() {
            return Err(damaged(damages.join("\n")));
        }
        let entries = chain(&*view, progress)?;
        Ok(Sound { entries, objects: view.object_count()?, pending: waiting(&*view)? })
    }
}

impl App {
    /// Compares the tables with the schema.
    ///
    /// # Errors
    /// `database-damaged` with what is missing, or that the database cannot be read.
    pub fn check_tables(&self) -> Result<(), AppError> {
        let found = self.view()?.foreign_tables()?;
        if found.is_empty() { Ok(()) } else { Err(damaged(found.join("\n"))) }
    }

    /// Looks for the users, groups and the node without which no node works.
    ///
    /// # Errors
    /// `database-damaged` with those that are missing, or that the database cannot be read.
    pub fn check_initial_data(&self) -> Result<(), AppError> {
        let view = self.view()?;
        let mut missing = Vec::new();
        for (id, what) in FIRST_OBJECTS {
            if !view.object(id)?.is_some_and(|object| is_alive(&object)) {
                missing.push(format!("{what} (object {id}) is missing"));
            }
        }
        if missing.is_empty() { Ok(()) } else { Err(damaged(missing.join("\n"))) }
    }

    /// Whether the database holds a log that replication can go on from: its last entry is the one that it says it is.
    /// Returns its place.
    ///
    /// # Errors
    /// `database-damaged`, or that the database cannot be read.
    pub fn check_start_of_replication(&self) -> Result<Position, AppError> {
        let view = self.view()?;
        let head = view.head()?.ok_or_else(|| damaged("the log is empty".to_owned()))?;
        let row = view.log_row(head.position.number)?;
        let read = row.map(|row| entry::read(row.entry)).transpose()?;
        match read {
            Some(read) if read.hash == head.hash && read.entry.position == head.position => Ok(head.position),
            _ => Err(damaged(format!("the last entry of the log, {}, is not what it should be", head.position))),
        }
    }
}

/// Objects that every cluster has.
const FIRST_OBJECTS: [(ObjectId, &str); 4] = [
    (system::USER_SYSTEM, "the user System"),
    (system::USER_ADMIN, "the user Admin"),
    (system::GROUP_ADMINS, "the group Admins"),
    (system::GROUP_USERS, "the group Users"),
];

fn damaged(message: String) -> AppError {
    Failure::failed("database-damaged", message).hint("restore the last good backup").into()
}

/// Follows the log from the first entry that is here to its last; returns how many there are.
fn chain(view: &dyn View, progress: &mut dyn FnMut(u64, u64)) -> Result<u64, AppError> {
    let total = view.head()?.map_or(0, |head| head.position.number);
    // A node whose history is still on its way begins in the middle.
    let begin = view.log_begin()?.max(1);
    let (mut number, mut hash) = (begin - 1, (begin == 1).then(Hash::default));
    loop {
        let rows = view.log_after(number, ENTRIES.0, ENTRIES.1)?;
        if rows.is_empty() {
            return Ok(number + 1 - begin);
        }
        for row in rows {
            let linked = link(row, number, hash)?;
            (number, hash) = (linked.0, Some(linked.1));
        }
        progress(number, total);
    }
}

/// Reads what waits for the head office, which is in no log; returns how many transactions it is.
fn waiting(view: &dyn View) -> Result<u64, AppError> {
    let (mut count, mut after) = (0, i64::MIN);
    loop {
        let rows = view.pending_after(after, ENTRIES.0, ENTRIES.1)?;
        let Some(last) = rows.last() else { return Ok(count) };
        after = last.place;
        for row in rows {
            let wrong =
                |what: &str| damaged(format!("transaction {}, which waits, is damaged: {what}", row.transaction));
            let read = transaction::read(row.bytes).map_err(|error| wrong(&error.to_string()))?;
            if read.transaction.id != row.transaction {
                return Err(wrong("it has another name"));
            }
            count += 1;
        }
    }
}

/// Checks one entry against the one before it, where that is known.
fn link(row: LogRow, number: u64, previous: Option<Hash>) -> Result<(u64, Hash), AppError> {
    let place = row.position;
    let wrong = |what: &str| damaged(format!("the log is damaged at entry {place}: {what}"));
    let read = entry::read(row.entry).map_err(|error| wrong(&error.to_string()))?;
    let stored = transaction::read(row.bytes).map_err(|error| wrong(&error.to_string()))?;
    if place.number != number + 1 || read.entry.position != place {
        return Err(wrong(&format!("it should be number {}", number + 1)));
    }
    if previous.is_some_and(|previous| read.entry.previous != previous) {
        return Err(wrong("it does not follow upon the one before it"));
    }
    if read.hash != row.hash || stored.hash != read.entry.transaction_hash || stored.transaction.id != row.transaction {
        return Err(wrong("its hash, or that of its transaction, is another one"));
    }
    Ok((place.number, read.hash))
}

/// Objects of a view in the order of their ids.
struct Objects<'v> {
    view: &'v dyn View,
    last: i64,
    read: std::vec::IntoIter<ObjectState>,
}

impl<'v> Objects<'v> {
    fn of(view: &'v dyn View) -> Self {
        Self { view, last: 0, read: Vec::new().into_iter() }
    }

    fn next(&mut self) -> Result<Option<ObjectState>, AppError> {
        if let Some(object) = self.read.next() {
            return Ok(Some(object));
        }
        let objects = self.view.objects_after(self.last, OBJECTS)?;
        self.last = objects.last().map_or(self.last, |object| object.id.get());
        self.read = objects.into_iter();
        Ok(self.read.next())
    }
}

#[derive(Default)]
struct Count {
    appear: u64,
    disappear: u64,
    change: u64,
}

/// What becomes of objects where one database takes the place of another, by entity in the order of the names; entities
/// without a difference are left out. Bookkeeping alone is no difference.
///
/// # Errors
/// When one of them cannot be read.
pub fn differences(schema: &Schema, before: &dyn View, after: &dyn View) -> Result<Vec<Difference>, AppError> {
    let (mut old, mut new) = (Objects::of(before), Objects::of(after));
    let (mut ours, mut theirs) = (old.next()?, new.next()?);
    let mut counts: BTreeMap<EntityId, Count> = BTreeMap::new();
    loop {
        let id = |object: &Option<ObjectState>| object.as_ref().map(|object| object.id);
        let Some(next) = id(&ours).into_iter().chain(id(&theirs)).min() else { break };
        let was = taken(&mut ours, next);
        let is = taken(&mut theirs, next);
        if was.is_some() {
            ours = old.next()?;
        }
        if is.is_some() {
            theirs = new.next()?;
        }
        count(&mut counts, was.filter(is_alive), is.filter(is_alive));
    }
    let name = |id| schema.entity_by_id(id).map_or_else(|| format!("#{id}"), |entity| entity.name.clone());
    let mut told: Vec<Difference> = counts
        .into_iter()
        .map(|(id, Count { appear, disappear, change })| Difference { entity: name(id), appear, disappear, change })
        .collect();
    told.sort_by(|one, other| one.entity.cmp(&other.entity));
    Ok(told)
}

fn taken(object: &mut Option<ObjectState>, id: ObjectId) -> Option<ObjectState> {
    object.take_if(|object| object.id == id)
}

fn is_alive(object: &ObjectState) -> bool {
    object.meta.life == Life::Alive
}

fn count(counts: &mut BTreeMap<EntityId, Count>, was: Option<ObjectState>, is: Option<ObjectState>) {
    match (was, is) {
        (None, None) => {}
        (Some(was), None) => counts.entry(was.entity).or_default().disappear += 1,
        (None, Some(is)) => counts.entry(is.entity).or_default().appear += 1,
        (Some(was), Some(is)) => {
            if was.entity != is.entity || !same(&was.slots, &is.slots) {
                counts.entry(is.entity).or_default().change += 1;
            }
        }
    }
}

/// Whether two objects hold the same values, in whatever order.
fn same(one: &[(Slot, Value)], other: &[(Slot, Value)]) -> bool {
    if one == other {
        return true;
    }
    if one.len() != other.len() {
        return false;
    }
    let slots: HashSet<Slot> = one.iter().map(|(slot, _)| *slot).collect();
    slots.len() == one.len() && other.iter().all(|pair| one.contains(pair))
}
