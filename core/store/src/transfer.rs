//! Everything that a database holds, from one engine into another: for a copy in a file, and for a project that moves.
//!
//! What is read goes through one digest, whatever the engine: where the digest of both sides is the same, so is all that
//! they hold. Knows the engines by their traits only.

use std::path::Path;
use std::sync::Arc;

use mytism_core::id::{Hash, ObjectId};
use mytism_core::schema::Schema;
use mytism_format::hash;
use mytism_format::object::ObjectState;

use crate::sqlite::SqliteFilling;
use crate::{Batch, Filling, StoreError, View, Write};

/// Rows that are read at once, and bytes after which they are no more.
const ROWS: u32 = 1_000;
const BYTES: usize = 8 << 20;

/// A database that takes everything.
pub trait Target: Filling {
    /// Keeps a value under a key.
    ///
    /// # Errors
    /// When the database cannot be written.
    fn put(&mut self, key: &str, value: &[u8]) -> Result<(), StoreError>;
}

/// How much a database holds, and the digest of all of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Content {
    /// Objects, deleted ones included.
    pub objects: u64,
    /// Entries of the log.
    pub entries: u64,
    /// Transactions that are pending.
    pub pending: u64,
    /// Rows of the journal.
    pub journal: u64,
    /// Over all of that and everything else.
    pub digest: Hash,
}

/// One thing that is read.
enum Part<'p> {
    Objects(&'p [ObjectState]),
    Writes(&'p Batch),
    Kept(&'p str, &'p [u8]),
}

/// What a database holds. All of it is read.
///
/// # Errors
/// When the database cannot be read.
pub fn content(view: &dyn View, progress: &mut dyn FnMut(u64, u64)) -> Result<Content, StoreError> {
    walk(view, progress, &mut |_| Ok(()))
}

/// Puts everything of a view into a database that is being filled; what it was is told as read.
///
/// # Errors
/// When one cannot be read or the other not be written.
pub fn copy(
    view: &dyn View,
    target: &mut dyn Target,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Content, StoreError> {
    walk(view, progress, &mut |part| match part {
        Part::Objects(objects) => target.objects(objects),
        Part::Writes(batch) => target.write(batch),
        Part::Kept(key, value) => target.put(key, value),
    })
}

/// Copies everything that a view sees to a file of the embedded engine, which is not there yet.
///
/// # Errors
/// When the view cannot be read or the file not be written. Nothing is left of it then.
pub fn to_file(
    view: &dyn View,
    schema: &Arc<Schema>,
    path: &Path,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(), StoreError> {
    let mut filling = Box::new(SqliteFilling::create_file(path, Arc::clone(schema))?);
    let filled = copy(view, &mut *filling, progress).and_then(|_| filling.finish());
    if filled.is_err() {
        // The failure is what is reported.
        let _remains = std::fs::remove_file(path);
    }
    filled
}

fn walk(
    view: &dyn View,
    progress: &mut dyn FnMut(u64, u64),
    each: &mut dyn FnMut(Part<'_>) -> Result<(), StoreError>,
) -> Result<Content, StoreError> {
    let mut walk = Walk { view, progress, each, digest: Hash([0; 32]), done: 0, all: 0 };
    let (first, last) = (view.log_begin()?, view.head()?.map_or(0, |head| head.position.number));
    let (journal_first, journal_last) = view.journal_bounds()?;
    let entries = if first == 0 { 0 } else { last - first + 1 };
    let journal = if journal_first == 0 { 0 } else { journal_last - journal_first + 1 };
    walk.all = view.object_count()? + entries + journal;
    for (key, value) in view.kept()? {
        walk.part(Part::Kept(&key, &value))?;
    }
    let objects = walk.objects()?;
    let entries = walk.log()?;
    walk.history()?;
    let quarantine: Batch = view.quarantine()?.into_iter().map(Write::Quarantine).collect();
    walk.part(Part::Writes(&quarantine))?;
    let pending = walk.pending()?;
    let journal = walk.journal()?;
    Ok(Content { objects, entries, pending, journal, digest: walk.digest })
}

struct Walk<'w> {
    view: &'w dyn View,
    progress: &'w mut dyn FnMut(u64, u64),
    each: &'w mut dyn FnMut(Part<'_>) -> Result<(), StoreError>,
    digest: Hash,
    done: u64,
    all: u64,
}

impl Walk<'_> {
    fn part(&mut self, part: Part<'_>) -> Result<(), StoreError> {
        let mut bytes = self.digest.0.to_vec();
        match &part {
            Part::Objects(objects) => objects.iter().try_for_each(|object| object_bytes(&mut bytes, object))?,
            Part::Writes(batch) => batch.iter().for_each(|write| write_bytes(&mut bytes, write)),
            Part::Kept(key, value) => [key.as_bytes(), value].iter().for_each(|field| field_bytes(&mut bytes, field)),
        }
        self.digest = hash::chunk(&bytes);
        (self.each)(part)
    }

    fn told(&mut self, rows: usize) {
        self.done += rows as u64;
        (self.progress)(self.done.min(self.all), self.all);
    }

    fn objects(&mut self) -> Result<u64, StoreError> {
        let (mut after, mut count) = (0, 0);
        loop {
            let objects = self.view.objects_after(after, ROWS)?;
            let Some(last) = objects.last() else { return Ok(count) };
            after = last.id.get();
            count += objects.len() as u64;
            // One by one, so that the digest does not depend on how many came at once.
            for object in &objects {
                self.part(Part::Objects(std::slice::from_ref(object)))?;
            }
            self.told(objects.len());
        }
    }

    fn log(&mut self) -> Result<u64, StoreError> {
        let (mut after, mut count) = (0, 0);
        loop {
            let rows = self.view.log_after(after, ROWS, BYTES)?;
            let Some(last) = rows.last() else { return Ok(count) };
            after = last.position.number;
            let batch: Batch = rows.into_iter().map(Write::Log).collect();
            count += batch.len() as u64;
            self.singly(&batch)?;
            self.told(batch.len());
        }
    }

    fn history(&mut self) -> Result<(), StoreError> {
        let mut after = (0, 0);
        loop {
            let rows = self.view.history_rows(after, ROWS)?;
            let Some((object, number)) = rows.last() else { return Ok(()) };
            after = (object.get(), *number);
            let batch: Batch = rows.into_iter().map(|(object, number)| Write::History { object, number }).collect();
            self.singly(&batch)?;
        }
    }

    /// Pending transactions with what they touch and what lies under it.
    fn pending(&mut self) -> Result<u64, StoreError> {
        let (mut after, mut count) = (i64::MIN, 0);
        loop {
            let rows = self.view.pending_after(after, ROWS, BYTES)?;
            let Some(last) = rows.last() else { break };
            after = last.place;
            count += rows.len() as u64;
            self.singly(&rows.into_iter().map(Write::Pending).collect())?;
        }
        let mut behind = 0;
        loop {
            let objects = self.view.pending_objects(behind, ROWS)?;
            let Some(last) = objects.last() else { return Ok(count) };
            behind = last.get();
            for object in objects {
                self.touched(object)?;
            }
        }
    }

    fn touched(&mut self, object: ObjectId) -> Result<(), StoreError> {
        let places = self.view.pending_of(object)?.into_iter().map(|place| Write::Touch { object, place });
        let under = self.view.underlay(object)?;
        let under = under.into_iter().map(|(slot, value)| Write::Underlay { object, slot, value: Some(value) });
        self.part(Part::Writes(&places.chain(under).collect()))
    }

    fn journal(&mut self) -> Result<u64, StoreError> {
        let (mut after, mut count) = (0, 0);
        loop {
            let rows = self.view.journal_after(after, ROWS, BYTES)?;
            let Some(last) = rows.last() else { return Ok(count) };
            after = last.sequence;
            let batch: Batch = rows.into_iter().map(Write::Journal).collect();
            count += batch.len() as u64;
            self.singly(&batch)?;
            self.told(batch.len());
        }
    }

    /// Digests each row by itself, so that the digest does not depend on how many came at once, and hands them on
    /// together.
    fn singly(&mut self, batch: &Batch) -> Result<(), StoreError> {
        for write in batch {
            let mut bytes = self.digest.0.to_vec();
            write_bytes(&mut bytes, write);
            self.digest = hash::chunk(&bytes);
        }
        (self.each)(Part::Writes(batch))
    }
}

/// An object with its slots in order.
fn object_bytes(out: &mut Vec<u8>, object: &ObjectState) -> Result<(), StoreError> {
    let mut object = object.clone();
    object.slots.sort_by_key(|(slot, _)| (slot.attribute, slot.element));
    Ok(mytism_format::object::write(out, &object)?)
}

fn field_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend((bytes.len() as u64).to_be_bytes());
    out.extend(bytes);
}

/// All that is in one of the writes that are made here.
fn write_bytes(out: &mut Vec<u8>, write: &Write) {
    let mut number = |number: i64| out.extend(number.to_be_bytes());
    match write {
        Write::Log(row) => {
            number(row.position.number.cast_signed());
            number(row.position.epoch.into());
            number(row.committed_at.micros());
            number(row.transaction.node.0.into());
            number(row.transaction.incarnation.into());
            number(row.transaction.counter.cast_signed());
            [&row.hash.0[..], &row.entry, &row.bytes].iter().for_each(|bytes| field_bytes(out, bytes));
        }
        Write::History { object, number: entry } => {
            number(object.get());
            number(entry.cast_signed());
        }
        Write::Quarantine(row) => {
            number(row.number.cast_signed());
            [&row.code, &row.reason].iter().for_each(|text| field_bytes(out, text.as_bytes()));
        }
        Write::Pending(row) => {
            number(row.place);
            number(row.transaction.node.0.into());
            number(row.transaction.incarnation.into());
            number(row.transaction.counter.cast_signed());
            field_bytes(out, &row.bytes);
        }
        Write::Touch { object, place } => {
            number(object.get());
            number(*place);
        }
        Write::Underlay { object, slot, value } => {
            number(object.get());
            number(slot.attribute.0.into());
            number(slot.element.map_or(0, ObjectId::get));
            field_bytes(out, value.as_deref().unwrap_or_default());
        }
        Write::Journal(row) => {
            number(row.sequence.cast_signed());
            number(row.at.micros());
            number(row.cause.code().into());
            number(row.transaction.node.0.into());
            number(row.transaction.incarnation.into());
            number(row.transaction.counter.cast_signed());
            number(row.position.map_or(-1, u64::cast_signed));
            number(i64::from(row.changes.is_some()));
            field_bytes(out, row.changes.as_deref().unwrap_or_default());
        }
        // Nothing of this is read.
        Write::Settled(_)
        | Write::Unlog { .. }
        | Write::Insert(_)
        | Write::Update { .. }
        | Write::Remove { .. }
        | Write::Element { .. }
        | Write::JournalChanges { .. }
        | Write::TrimJournal(_)
        | Write::Schema { .. }
        | Write::MendLog(_)
        | Write::MendObject { .. }
        | Write::Put { .. } => {}
    }
}
