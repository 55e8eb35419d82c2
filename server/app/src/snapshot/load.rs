//! Filling the database of a new node: every part is checked before anything of it is believed, and the end must be
//! what the head office said that it is.

use std::sync::Arc;

use mytism_core::change::{Outcome, effective};
use mytism_core::id::{BlockId, Hash, ObjectId, Position};
use mytism_format::manifest::{Content, Manifest, Part};
use mytism_format::object::{self, ObjectState};
use mytism_format::{entry, envelope, hash, kind, transaction};
use mytism_store::{Batch, Filling, Head, LogRow, QuarantineRow, Store, StoreError, Write};

use super::pieces;
use crate::error::AppError;
use crate::foundation::Identity;
use crate::history;
use crate::start::branch_writes;

/// A part that grows beyond this when it is unpacked is refused.
const RAW_BYTES_MAX: u64 = 256 << 20;

/// What a part holds, ready to be written.
pub enum Unpacked {
    /// Objects.
    Objects(Vec<ObjectState>),
    /// Bytes of entries.
    Log(Vec<u8>),
}

/// Checks and unpacks a part; takes about as long as writing it.
///
/// # Errors
/// When it is another part than the manifest says, damaged, or of a newer program.
pub fn unpack(part: &Part, stored: &[u8]) -> Result<Unpacked, AppError> {
    if hash::chunk(stored) != part.hash {
        return Err(damaged("a part of it was altered"));
    }
    let length =
        usize::try_from(part.raw_bytes.min(RAW_BYTES_MAX)).map_err(|_| damaged("a part of it is too large"))?;
    let raw = zstd::bulk::decompress(stored, length)
        .map_err(|error| damaged(&format!("a part of it cannot be unpacked: {error}")))?;
    if raw.len() as u64 != part.raw_bytes {
        return Err(damaged("a part of it has another length than its manifest says"));
    }
    match part.content {
        Content::Log => Ok(Unpacked::Log(raw)),
        Content::Objects => {
            let objects = read_objects(&raw)?;
            if objects.len() as u64 != part.count {
                return Err(damaged("a part of it holds another number of objects than its manifest says"));
            }
            Ok(Unpacked::Objects(objects))
        }
    }
}

fn read_objects(bytes: &[u8]) -> Result<Vec<ObjectState>, AppError> {
    let mut objects = Vec::new();
    for record in envelope::run(bytes) {
        let record = record?;
        if record.header.kind == kind::OBJECT {
            objects.push(object::read(record.body)?);
        } else if !record.header.may_skip() {
            return Err(AppError::failed("unknown-record", "the snapshot holds a record of a newer program"));
        }
    }
    Ok(objects)
}

fn damaged(how: &str) -> AppError {
    AppError::failed("damaged-snapshot", format!("the snapshot is damaged: {how}"))
}

/// Fills the empty database of a new branch.
pub struct Loader {
    filling: Box<dyn Filling>,
    /// What the manifest says, where there is one: the log begins at its end then, and the history comes later.
    stated: Option<Stated>,
    head: Option<Head>,
    objects: u64,
}

struct Stated {
    position: Position,
    cluster: Hash,
    objects: u64,
}

impl Loader {
    /// Begins on an empty store, with a whole log.
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { filling: Box::new(Through(store)), stated: None, head: None, objects: 0 }
    }

    /// Begins to load a materialised snapshot, whose parts come in the order of its manifest.
    #[must_use]
    pub fn from_manifest(filling: Box<dyn Filling>, manifest: &Manifest) -> Self {
        let Manifest { position, cluster, objects, .. } = *manifest;
        Self { filling, stated: Some(Stated { position, cluster, objects }), head: None, objects: 0 }
    }

    /// Writes what a part holds; returns how many objects or entries.
    ///
    /// # Errors
    /// When it does not follow the part before, or the database cannot be written.
    pub fn load(&mut self, part: &Unpacked) -> Result<u64, AppError> {
        match part {
            Unpacked::Objects(objects) => {
                self.filling.objects(objects)?;
                self.objects += objects.len() as u64;
                Ok(objects.len() as u64)
            }
            Unpacked::Log(bytes) => self.entries(bytes),
        }
    }

    /// Writes the objects of a part; returns how many.
    ///
    /// # Errors
    /// When the bytes are damaged or the store cannot be written.
    pub fn objects(&mut self, bytes: &[u8]) -> Result<u64, AppError> {
        self.load(&Unpacked::Objects(read_objects(bytes)?))
    }

    /// Writes the log entries of a part, after checking that each follows the one before; returns how many.
    ///
    /// # Errors
    /// When the bytes are damaged, the chain is broken, or the store cannot be written.
    pub fn entries(&mut self, bytes: &[u8]) -> Result<u64, AppError> {
        let mut batch = Vec::new();
        let mut count = 0;
        for pair in pieces(bytes) {
            let (entry, transaction) = pair?;
            self.entry(entry, transaction, &mut batch)?;
            count += 1;
        }
        self.filling.write(&batch)?;
        Ok(count)
    }

    fn entry(&mut self, entry: &[u8], bytes: &[u8], batch: &mut Vec<Write>) -> Result<(), AppError> {
        let (row, writes) = read_entry(entry, bytes)?;
        let position = row.position;
        let previous = entry::read(row.entry.clone())?.entry.previous;
        let follows = match (self.head, &self.stated) {
            (Some(head), _) => position.number == head.position.number + 1 && previous == head.hash,
            (None, Some(stated)) => position == stated.position,
            (None, None) => position.number == 1 && previous == Hash::default(),
        };
        if !follows {
            return Err(AppError::failed("broken-chain", format!("the log breaks off before entry {position}")));
        }
        self.head = Some(Head { position, hash: row.hash, committed_at: row.committed_at });
        batch.extend(writes);
        batch.push(Write::Log(row));
        Ok(())
    }

    /// Ends the filling: everything must have led to the position and hash at which the snapshot was taken. Only now
    /// the store is that of a branch.
    ///
    /// # Errors
    /// When the log ends elsewhere, objects are missing, or the store cannot be written.
    pub fn finish(self, identity: &Identity, blocks: &[BlockId], at: Position, hash: Hash) -> Result<(), AppError> {
        let Self { mut filling, stated, head, objects } = self;
        let incomplete = |what: String| AppError::failed("incomplete-snapshot", what);
        match head {
            Some(head) if head.position == at && head.hash == hash => {}
            _ => return Err(incomplete(format!("the snapshot does not lead to {at}"))),
        }
        let mut writes = branch_writes(identity, blocks);
        if let Some(stated) = stated {
            if stated.objects != objects {
                return Err(incomplete(format!("{objects} of {} objects of the snapshot are here", stated.objects)));
            }
            writes.push(history::put_cluster(stated.cluster));
        }
        filling.write(&writes)?;
        filling.finish()?;
        Ok(())
    }
}

/// An entry of the log with its transaction as it stands in the database, and what else its arrival writes.
pub(crate) fn read_entry(entry: &[u8], bytes: &[u8]) -> Result<(LogRow, Vec<Write>), AppError> {
    let entry = entry::read(entry.to_vec())?;
    let stored = transaction::read(bytes.to_vec())?;
    let position = entry.entry.position;
    if stored.hash != entry.entry.transaction_hash || stored.transaction.id != entry.entry.transaction {
        return Err(AppError::failed("damaged-entry", format!("entry {position} names another transaction")));
    }
    let changes = effective(&stored.transaction.changes, &entry.entry.outcome);
    let objects: std::collections::BTreeSet<ObjectId> = changes.iter().map(|change| change.object).collect();
    let history = |object| Write::History { object, number: position.number };
    let mut writes: Vec<Write> = objects.into_iter().map(history).collect();
    if let Outcome::Refused { code, reason } = &entry.entry.outcome {
        let row = QuarantineRow { number: position.number, code: code.clone(), reason: reason.clone() };
        writes.push(Write::Quarantine(row));
    }
    let row = LogRow {
        position,
        hash: entry.hash,
        transaction: stored.transaction.id,
        committed_at: entry.entry.committed_at,
        entry: entry.bytes,
        bytes: stored.bytes,
    };
    Ok((row, writes))
}

/// A database that has its indexes already and is safe after each part.
struct Through(Arc<dyn Store>);

impl Filling for Through {
    fn objects(&mut self, objects: &[ObjectState]) -> Result<(), StoreError> {
        self.0.commit(&objects.iter().map(|object| Write::Insert(Box::new(object.clone()))).collect())
    }

    fn write(&mut self, batch: &Batch) -> Result<(), StoreError> {
        self.0.commit(batch)
    }

    fn finish(self: Box<Self>) -> Result<(), StoreError> {
        Ok(())
    }
}
