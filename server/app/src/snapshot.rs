//! All that a node holds at one position, in parts: read at the head office, written at a new branch.
//!
//! The position is fixed before the first part is read, since all parts come from one view. Nothing that belongs to the
//! head office alone is part of it: no accounts' secrets beside those in objects, no blocks of ids, no identity.

use std::sync::Arc;

use mytism_core::change::effective;
use mytism_core::id::{BlockId, Hash, ObjectId, Position};
use mytism_format::object::{self, ObjectState};
use mytism_format::{entry, envelope, kind, transaction};
use mytism_store::{Head, LogRow, QuarantineRow, Store, View, Write};

use crate::App;
use crate::error::AppError;
use crate::foundation::Identity;
use crate::start::branch_writes;

/// Objects that are read at a time, and the bytes past which a part is full.
const OBJECTS: (u32, usize) = (256, 2 << 20);
/// Entries in one part, and the bytes past which it is full.
const ENTRIES: (u32, usize) = (2_000, 4 << 20);

/// Reads a snapshot part by part.
pub struct Snapshot {
    view: Box<dyn View>,
    /// The end of the log at which it was taken.
    pub head: Head,
    last_object: i64,
    last_entry: u64,
}

/// Bytes of a part with the number of things in it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Part {
    /// Records one behind the other.
    pub bytes: Vec<u8>,
    /// How many.
    pub count: u64,
}

impl App {
    /// Begins a snapshot. It holds a view of the database open until it is dropped.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn snapshot(&self) -> Result<Snapshot, AppError> {
        let view = self.view()?;
        let head = view.head()?.ok_or_else(|| AppError::failed("empty-log", "the log of the head office is empty"))?;
        Ok(Snapshot { view, head, last_object: 0, last_entry: 0 })
    }
}

impl Snapshot {
    /// How many objects there are about, for showing progress.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn objects(&self) -> Result<u64, AppError> {
        Ok(self.view.object_count()?)
    }

    /// The next objects; `None` when there are no more.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn next_objects(&mut self) -> Result<Option<Part>, AppError> {
        let mut part = Part { bytes: Vec::new(), count: 0 };
        while part.bytes.len() < OBJECTS.1 {
            let objects = self.view.objects_after(self.last_object, OBJECTS.0)?;
            let Some(last) = objects.last() else { break };
            self.last_object = last.id.get();
            for state in &objects {
                object::write(&mut part.bytes, state)?;
            }
            part.count += objects.len() as u64;
        }
        Ok((part.count > 0).then_some(part))
    }

    /// The next entries of the log, each as the length of the entry (u32 big-endian), the entry, the length of the
    /// transaction, the transaction; `None` when there are no more.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn next_entries(&mut self) -> Result<Option<Part>, AppError> {
        let rows = self.view.log_after(self.last_entry, ENTRIES.0, ENTRIES.1)?;
        let Some(last) = rows.last() else { return Ok(None) };
        self.last_entry = last.position.number;
        let mut bytes = Vec::new();
        for row in &rows {
            for piece in [&row.entry, &row.bytes] {
                let length = u32::try_from(piece.len())
                    .map_err(|_| AppError::failed("too-large", "an entry of the log is larger than 4 GiB"))?;
                bytes.extend_from_slice(&length.to_be_bytes());
                bytes.extend_from_slice(piece);
            }
        }
        Ok(Some(Part { bytes, count: rows.len() as u64 }))
    }
}

/// Fills the empty store of a new branch.
pub struct Loader {
    store: Arc<dyn Store>,
    head: Option<Head>,
}

impl Loader {
    /// Begins on an empty store.
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store, head: None }
    }

    /// Writes the objects of a part; returns how many.
    ///
    /// # Errors
    /// When the bytes are damaged or the store cannot be written.
    pub fn objects(&mut self, bytes: &[u8]) -> Result<u64, AppError> {
        let mut batch = Vec::new();
        for record in envelope::run(bytes) {
            let record = record?;
            if record.header.kind == kind::OBJECT {
                let state: ObjectState = object::read(record.body)?;
                batch.push(Write::Insert(Box::new(state)));
            } else if !record.header.may_skip() {
                return Err(AppError::failed("unknown-record", "the snapshot holds a record of a newer program"));
            }
        }
        self.store.commit(&batch)?;
        Ok(batch.len() as u64)
    }

    /// Writes the log entries of a part, after checking that each follows the one before; returns how many.
    ///
    /// # Errors
    /// When the bytes are damaged, the chain is broken, or the store cannot be written.
    pub fn entries(&mut self, mut bytes: &[u8]) -> Result<u64, AppError> {
        let mut batch = Vec::new();
        let mut count = 0;
        while !bytes.is_empty() {
            let (entry_bytes, rest) = piece(bytes)?;
            let (transaction_bytes, rest) = piece(rest)?;
            bytes = rest;
            self.entry(entry_bytes, transaction_bytes, &mut batch)?;
            count += 1;
        }
        self.store.commit(&batch)?;
        Ok(count)
    }

    fn entry(&mut self, entry: &[u8], bytes: &[u8], batch: &mut Vec<Write>) -> Result<(), AppError> {
        let entry = entry::read(entry.to_vec())?;
        let stored = transaction::read(bytes.to_vec())?;
        let position = entry.entry.position;
        let (number, previous) = self.head.map_or((0, Hash::default()), |head| (head.position.number, head.hash));
        if position.number != number + 1 || entry.entry.previous != previous {
            return Err(AppError::failed("broken-chain", format!("the log breaks off before entry {position}")));
        }
        if stored.hash != entry.entry.transaction_hash || stored.transaction.id != entry.entry.transaction {
            return Err(AppError::failed("damaged-entry", format!("entry {position} names another transaction")));
        }
        let changes = effective(&stored.transaction.changes, &entry.entry.outcome);
        let objects: std::collections::BTreeSet<ObjectId> = changes.iter().map(|change| change.object).collect();
        batch.extend(objects.into_iter().map(|object| Write::History { object, number: position.number }));
        if let mytism_core::change::Outcome::Refused { code, reason } = &entry.entry.outcome {
            let row = QuarantineRow { number: position.number, code: code.clone(), reason: reason.clone() };
            batch.push(Write::Quarantine(row));
        }
        let committed_at = entry.entry.committed_at;
        self.head = Some(Head { position, hash: entry.hash, committed_at });
        let transaction = stored.transaction.id;
        let (entry, bytes, hash) = (entry.bytes, stored.bytes, entry.hash);
        batch.push(Write::Log(LogRow { position, hash, transaction, committed_at, entry, bytes }));
        Ok(())
    }

    /// Ends the filling: everything must have led to the position and hash at which the snapshot was taken. Only now
    /// the store is that of a branch.
    ///
    /// # Errors
    /// When the log ends elsewhere, or the store cannot be written.
    pub fn finish(self, identity: &Identity, blocks: &[BlockId], at: Position, hash: Hash) -> Result<(), AppError> {
        match self.head {
            Some(head) if head.position == at && head.hash == hash => {}
            _ => return Err(AppError::failed("incomplete-snapshot", format!("the snapshot does not lead to {at}"))),
        }
        self.store.commit(&branch_writes(identity, blocks))?;
        Ok(())
    }
}

fn piece(bytes: &[u8]) -> Result<(&[u8], &[u8]), AppError> {
    let cut = || AppError::failed("damaged-snapshot", "a part of the snapshot is cut off");
    let (length, rest) = bytes.split_first_chunk::<4>().ok_or_else(cut)?;
    rest.split_at_checked(u32::from_be_bytes(*length) as usize).ok_or_else(cut)
}
