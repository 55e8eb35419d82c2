//! All that a node holds at one position, in parts: read at the head office, written at a new branch.
//!
//! The position is fixed before the first part is read, since all parts come from one view. Nothing that belongs to the
//! head office alone is part of it: no accounts' secrets beside those in objects, no blocks of ids, no identity.
//!
//! 1. [`Snapshot`]: reading it part by part
//! 2. [`directory`]: a materialised one, whose parts are files under the hash of their content
//! 3. [`Loader`]: filling the database of a new node with it

pub mod directory;
mod load;

use std::collections::VecDeque;

use mytism_core::id::{EntityId, ObjectId};
use mytism_format::object::{self, ObjectState};
use mytism_store::{Head, LogRow, View};

use crate::App;
use crate::error::AppError;

pub(crate) use load::read_entry;
pub use load::{Loader, Unpacked, unpack};

/// Objects that are read from the database at a time.
const ROWS: u32 = 256;
/// A part ends behind an object with an id of this kind, so that parts are the same wherever the objects are: with one
/// of so many ids, as it comes by chance.
const BORDER: u64 = 8_192;
/// Objects in a part at most, and bytes past which it is full.
const OBJECTS: (u64, usize) = (32_768, 4 << 20);
/// Entries in one part, and the bytes past which it is full.
const ENTRIES: (u32, usize) = (2_000, 4 << 20);

/// Reads a snapshot part by part.
pub struct Snapshot {
    view: Box<dyn View>,
    /// The end of the log at which it was taken.
    pub head: Head,
    /// What is still to be read; the first one is being read.
    entities: VecDeque<EntityId>,
    last_object: i64,
    parting: Parting,
    last_entry: u64,
}

/// Makes parts of objects. Needs no view, so it can do so beside the reading.
#[derive(Default)]
struct Parting {
    /// Objects that were read and are in no part yet.
    ahead: VecDeque<ObjectState>,
    /// The part that is not full yet.
    part: Part,
}

/// Bytes of a part with the number of things in it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
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
        let head = view.head()?.ok_or_else(empty_log)?;
        let mut entities: Vec<_> = view.schema().entities().filter(|entity| !entity.is_abstract).collect();
        entities.sort_unstable_by_key(|entity| entity.id);
        let entities = entities.into_iter().map(|entity| entity.id).collect();
        Ok(Snapshot { view, head, entities, last_object: 0, parting: Parting::default(), last_entry: 0 })
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

    /// The next objects, all of one entity and in the order of their ids; `None` when there are no more.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn next_objects(&mut self) -> Result<Option<Part>, AppError> {
        loop {
            if let Some(part) = self.parting.full()? {
                return Ok(Some(part));
            }
            match self.read_on()? {
                Some(objects) if objects.is_empty() => {
                    if let Some(part) = self.parting.rest() {
                        return Ok(Some(part));
                    }
                }
                Some(objects) => self.parting.add(objects),
                None => return Ok(None),
            }
        }
    }

    /// The next objects of the entity that is being read, and nothing where these were all; `None` behind the last
    /// entity.
    fn read_on(&mut self) -> Result<Option<Vec<ObjectState>>, AppError> {
        let Some(entity) = self.entities.front() else { return Ok(None) };
        let objects = self.view.objects_of(*entity, self.last_object, ROWS)?;
        if let Some(last) = objects.last() {
            self.last_object = last.id.get();
        } else {
            self.entities.pop_front();
            self.last_object = 0;
        }
        Ok(Some(objects))
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
        entries(&rows).map(Some)
    }

    /// The last entry alone, to which all later ones are chained.
    fn last_entry(&self) -> Result<Part, AppError> {
        let row = self.view.log_row(self.head.position.number)?.ok_or_else(empty_log)?;
        entries(&[row])
    }
}

impl Parting {
    fn add(&mut self, objects: Vec<ObjectState>) {
        self.ahead.extend(objects);
    }

    /// A part that ends where it should; `None` when more objects are needed for one.
    fn full(&mut self) -> Result<Option<Part>, AppError> {
        while let Some(state) = self.ahead.pop_front() {
            let part = &mut self.part;
            object::write(&mut part.bytes, &state)?;
            part.count += 1;
            if is_border(state.id) || part.count >= OBJECTS.0 || part.bytes.len() >= OBJECTS.1 {
                return Ok(self.rest());
            }
        }
        Ok(None)
    }

    /// The last part of an entity, which ends with its objects; `None` where it would be empty.
    fn rest(&mut self) -> Option<Part> {
        let part = std::mem::take(&mut self.part);
        (part.count > 0).then_some(part)
    }
}

/// Whether a part ends behind an object. Ids that follow one another fall apart here as if by chance.
const fn is_border(id: ObjectId) -> bool {
    let mut mixed = id.get().cast_unsigned();
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (mixed ^ (mixed >> 31)).is_multiple_of(BORDER)
}

/// Entries of the log in the form of [`Snapshot::next_entries`].
pub(crate) fn entries(rows: &[LogRow]) -> Result<Part, AppError> {
    let mut bytes = Vec::new();
    for piece in rows.iter().flat_map(|row| [&row.entry, &row.bytes]) {
        let length = u32::try_from(piece.len())
            .map_err(|_| AppError::failed("too-large", "an entry of the log is larger than 4 GiB"))?;
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(piece);
    }
    Ok(Part { bytes, count: rows.len() as u64 })
}

/// The entries of such bytes: entry and transaction.
pub(crate) fn pieces(mut bytes: &[u8]) -> impl Iterator<Item = Result<(&[u8], &[u8]), AppError>> {
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let pair = piece(bytes).and_then(|(entry, rest)| Ok((entry, piece(rest)?)));
        Some(match pair {
            Ok((entry, (transaction, rest))) => {
                bytes = rest;
                Ok((entry, transaction))
            }
            Err(error) => {
                bytes = &[];
                Err(error)
            }
        })
    })
}

fn piece(bytes: &[u8]) -> Result<(&[u8], &[u8]), AppError> {
    let cut = || AppError::failed("damaged-snapshot", "a part of the snapshot is cut off");
    let (length, rest) = bytes.split_first_chunk::<4>().ok_or_else(cut)?;
    rest.split_at_checked(u32::from_be_bytes(*length) as usize).ok_or_else(cut)
}

fn empty_log() -> AppError {
    AppError::failed("empty-log", "the log of the head office is empty")
}
