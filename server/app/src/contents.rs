//! Contents of files, as far as saves name them. Where they are kept, others know: this asks them whether a content is
//! here before an own save may name it, and tells them which contents the log and the objects name. What arrives from
//! another node is never asked about: its contents follow.

use std::sync::Arc;

use mytism_core::blob::Blob;
use mytism_core::change::Outcome;
use mytism_core::failure::Failure;
use mytism_core::id::{Hash, ObjectId};
use mytism_core::schema::Kind;
use mytism_core::value::Value;
use mytism_format::{entry, transaction};

use crate::App;
use crate::draft::{find_entity, member};
use crate::error::AppError;
use crate::lane::Work;

/// Entries that are looked through at once, and the bytes past which no further one is.
const ENTRIES: (u32, usize) = (500, 4 << 20);
/// Objects that are looked through at once.
const OBJECTS: u32 = 500;

/// Where the contents of files are kept.
pub trait Contents: Send + Sync {
    /// Bytes of a content; `None` where it is not here.
    fn bytes_of(&self, content: Hash) -> Option<u64>;
}

/// Contents that some entries of the log name, and the last of these entries.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Named {
    /// In the order of the log; one may stand here more than once.
    pub blobs: Vec<Blob>,
    /// Number and hash of the last entry.
    pub end: (u64, Hash),
}

impl App {
    /// Sets who knows which contents are here. Before that, every content counts as here.
    pub fn keep_contents(&self, contents: Arc<dyn Contents>) {
        // Set once, when the node starts.
        let _known = self.foundation.contents.set(contents);
    }

    /// The contents that the next entries behind a place of the log name, also those that were refused or lost a
    /// conflict; `None` at its end.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn contents_after(&self, after: u64) -> Result<Option<Named>, AppError> {
        let rows = self.view()?.log_after(after, ENTRIES.0, ENTRIES.1)?;
        let Some(end) = rows.last().map(|row| (row.position.number, row.hash)) else { return Ok(None) };
        let mut blobs = Vec::new();
        for row in rows {
            let outcome = entry::read(row.entry)?.entry.outcome;
            let extra = if let Outcome::Accepted { extra, .. } = outcome { extra } else { Vec::new() };
            let changes = transaction::read(row.bytes)?.transaction.changes;
            blobs.extend(changes.into_iter().chain(extra).filter_map(|change| held(change.new)));
        }
        Ok(Some(Named { blobs, end }))
    }

    /// The contents that the next objects behind an id hold, deleted ones too, and the id of the last of these objects;
    /// `None` where there are no more.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn contents_of_objects(&self, after: i64) -> Result<Option<(Vec<Blob>, i64)>, AppError> {
        let objects = self.view()?.objects_after(after, OBJECTS)?;
        let Some(last) = objects.last().map(|object| object.id.get()) else { return Ok(None) };
        let values = objects.into_iter().flat_map(|object| object.slots);
        Ok(Some((values.filter_map(|(_, value)| held(value)).collect(), last)))
    }

    /// The contents that the next pending transactions above a place name, and the place of the last of these; `None`
    /// where there are no more.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn contents_of_pending(&self, after: i64) -> Result<Option<(Vec<Blob>, i64)>, AppError> {
        let rows = self.view()?.pending_after(after, ENTRIES.0, ENTRIES.1)?;
        let Some(last) = rows.last().map(|row| row.place) else { return Ok(None) };
        let mut blobs = Vec::new();
        for row in rows {
            let changes = transaction::read(row.bytes)?.transaction.changes;
            blobs.extend(changes.into_iter().filter_map(|change| held(change.new)));
        }
        Ok(Some((blobs, last)))
    }

    /// The hash of an entry of the log.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn entry_hash(&self, number: u64) -> Result<Option<Hash>, AppError> {
        Ok(self.view()?.log_row(number)?.map(|row| row.hash))
    }

    /// What an attribute of an object holds, where that is the content of a file.
    ///
    /// # Errors
    /// `unknown-object`, `unknown-attribute`, `no-blob` where the attribute is of another kind, `nothing-there` where it
    /// holds nothing.
    pub fn blob_of(&self, object: ObjectId, attribute: &str) -> Result<Blob, AppError> {
        let schema = self.schema();
        let state = self.view()?.object(object)?;
        let missing = || AppError::refused("unknown-object", format!("there is no object {object}"));
        let state = state.ok_or_else(missing)?;
        let entity = find_entity(schema, &schema.entity_name(state.entity))?;
        let member = member(entity, attribute)?;
        if member.kind != Kind::Blob {
            let message =
                format!("{}.{} is of type {} and holds no file", entity.name, member.name, member.kind.name());
            return Err(Failure::usage("no-blob", message).into());
        }
        let value = state.slots.into_iter().find(|(slot, _)| slot.attribute == member.id).map(|(_, value)| value);
        value.and_then(held).ok_or_else(|| {
            AppError::refused("nothing-there", format!("{} of {} {object} holds nothing", member.name, entity.name))
        })
    }
}

fn held(value: Value) -> Option<Blob> {
    if let Value::Blob(blob) = value { Some(*blob) } else { None }
}

/// Refuses a value that names a content that is not here.
pub(crate) fn check_here(work: &Work<'_>, value: &Value) -> Result<(), AppError> {
    let (Some(contents), Some(blob)) = (work.foundation.contents.get(), value.blob()) else { return Ok(()) };
    let fault = match contents.bytes_of(blob.hash()) {
        Some(bytes) if bytes == blob.bytes() => return Ok(()),
        Some(bytes) => format!("has {bytes} bytes and not {}", blob.bytes()),
        None => "is not at this node".to_owned(),
    };
    let message = format!("the content {} of \"{}\" {fault}", blob.hash(), blob.name());
    let hint = "give the file itself, as {\"file\":\"path\"}, or wait until its content has come";
    Err(Failure::refused("unknown-content", message).hint(hint).into())
}
