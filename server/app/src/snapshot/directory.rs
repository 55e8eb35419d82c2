//! A snapshot as a directory: its parts as files under the hash of their content, and the manifest, which is written
//! last, so that a directory without one is a snapshot that was broken off.
//!
//! Where directories stand, how long they are kept and who gets parts of them is for others to know.

use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc;

use mytism_core::id::Hash;
use mytism_format::hash;
use mytism_format::manifest::{self, Content, Manifest, Part};
use mytism_format::object::ObjectState;
use mytism_store::StoreError;

use crate::error::AppError;
use crate::{App, history};

/// Stored bytes of a part at most: what one message takes, with room for what stands around it.
pub const PART_BYTES_MAX: u64 = 48 << 20;
/// Parts that wait to be written.
const WAITING: usize = 2;
/// Readings of some hundred objects that wait to be packed.
const READ: usize = 32;
/// The fastest level: what it saves on the line is worth its time on any.
const LEVEL: i32 = 1;

impl App {
    /// Writes a snapshot into a directory that exists. It is whole and durable when this returns. `progress` is told how
    /// many objects are written and how many there are about.
    ///
    /// # Errors
    /// When this is not the head office, the database cannot be read or the disk refuses; what is in the directory then
    /// is no snapshot.
    pub fn write_snapshot(&self, directory: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<Manifest, AppError> {
        if !self.identity().authoritative {
            let message = "a snapshot is made at the head office: a branch also shows what nobody has decided on yet";
            return Err(AppError::refused("not-authoritative", message));
        }
        let mut snapshot = self.snapshot()?;
        let head = snapshot.head;
        let total = snapshot.objects()?;
        let schema = mytism_format::schema::write(snapshot.view.schema().def())?;
        let cluster = history::cluster(&*snapshot.view)?;
        let parts = std::thread::scope(|scope| -> Result<Vec<Part>, AppError> {
            let (raw, unpacked) = mpsc::sync_channel::<Read>(READ);
            let (packed, stored) = mpsc::sync_channel::<(Hash, Vec<u8>)>(WAITING);
            // Reading takes about as long as packing, and the disk has a time of its own.
            let packing = scope.spawn(move || pack_all(unpacked, &packed));
            let writing = scope.spawn(move || {
                stored.into_iter().try_for_each(|(hash, bytes)| write_file(&part_file(directory, hash), &bytes))
            });
            let read = read_all(&mut snapshot, &raw, total, progress);
            drop(raw);
            let broke_off = |_| AppError::failed("internal", "writing a snapshot broke off");
            let (parts, written) = (packing.join().map_err(broke_off)?, writing.join().map_err(broke_off)?);
            // Where the next one failed, the one before merely ended.
            written.and(parts).and_then(|parts| read.map(|()| parts))
        })?;
        let of_objects = parts.iter().filter(|part| part.content == Content::Objects);
        let objects = of_objects.map(|part| part.count).sum();
        let manifest = Manifest { cluster, position: head.position, hash: head.hash, schema, objects, parts };
        write_file(&manifest_file(directory), &manifest::write(&manifest)?)?;
        sync_directory(directory)?;
        Ok(manifest)
    }
}

/// What was read.
enum Read {
    /// Objects of one entity; none where these were all.
    Objects(Vec<ObjectState>),
    /// The last entry of the log.
    Log(super::Part),
}

fn read_all(
    snapshot: &mut super::Snapshot,
    raw: &mpsc::SyncSender<Read>,
    total: u64,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(), AppError> {
    let mut done = 0;
    while let Some(objects) = snapshot.read_on()? {
        done += objects.len() as u64;
        if raw.send(Read::Objects(objects)).is_err() {
            return Ok(());
        }
        progress(done, total.max(done));
    }
    let last = snapshot.last_entry()?;
    // The other end tells by itself why it takes no more.
    let _ended = raw.send(Read::Log(last));
    Ok(())
}

fn pack_all(read: mpsc::Receiver<Read>, packed: &mpsc::SyncSender<(Hash, Vec<u8>)>) -> Result<Vec<Part>, AppError> {
    let mut parts = Vec::new();
    let mut parting = super::Parting::default();
    for read in read {
        match read {
            Read::Log(last) => pack(Content::Log, &last, &mut parts, packed)?,
            Read::Objects(objects) => {
                let is_end = objects.is_empty();
                parting.add(objects);
                while let Some(part) = parting.full()? {
                    pack(Content::Objects, &part, &mut parts, packed)?;
                }
                if let Some(part) = if is_end { parting.rest() } else { None } {
                    pack(Content::Objects, &part, &mut parts, packed)?;
                }
            }
        }
    }
    Ok(parts)
}

/// Compresses a part and hands it on. Who takes it tells by itself why he takes no more.
fn pack(
    content: Content,
    raw: &super::Part,
    parts: &mut Vec<Part>,
    packed: &mpsc::SyncSender<(Hash, Vec<u8>)>,
) -> Result<(), AppError> {
    let stored = zstd::bulk::compress(&raw.bytes, LEVEL)
        .map_err(|error| AppError::failed("internal", format!("cannot compress a part of a snapshot: {error}")))?;
    let (bytes, raw_bytes) = (stored.len() as u64, raw.bytes.len() as u64);
    if bytes > PART_BYTES_MAX {
        return Err(AppError::failed("too-large", "an object is too large for a part of a snapshot"));
    }
    let hash = hash::chunk(&stored);
    parts.push(Part { hash, content, count: raw.count, bytes, raw_bytes });
    packed.send((hash, stored)).map_err(|_| AppError::failed("internal", "writing a snapshot broke off"))
}

/// Where the manifest of a snapshot stands.
#[must_use]
pub fn manifest_file(directory: &Path) -> PathBuf {
    directory.join("manifest")
}

/// Where a part of a snapshot stands.
#[must_use]
pub fn part_file(directory: &Path, hash: Hash) -> PathBuf {
    directory.join(hash.to_string())
}

/// Reads the manifest of a snapshot; `None` where the directory holds no whole one.
///
/// # Errors
/// When it is damaged, was written by a newer program, or cannot be read.
pub fn read_manifest(directory: &Path) -> Result<Option<Manifest>, AppError> {
    let path = manifest_file(directory);
    match fs::read(&path) {
        Ok(bytes) => understand(&bytes).map(Some),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(refused("cannot read", path, source)),
    }
}

/// A manifest from its bytes, wherever they come from.
///
/// # Errors
/// When they are damaged or of a newer program.
pub fn understand(bytes: &[u8]) -> Result<Manifest, AppError> {
    manifest::read(bytes).map_err(|error| match error {
        mytism_format::FormatError::UnknownKind { .. } => {
            AppError::failed("newer-snapshot", "the snapshot was made by a newer program: use that one here too")
        }
        error => AppError::failed("damaged-snapshot", format!("the manifest of the snapshot is damaged: {error}")),
    })
}

/// The stored bytes of a part, where they are there as they should be. `None` where they are missing or damaged.
///
/// # Errors
/// When the file cannot be read.
pub fn read_part(directory: &Path, hash: Hash) -> Result<Option<Vec<u8>>, AppError> {
    let path = part_file(directory, hash);
    let length = match fs::metadata(&path) {
        Ok(found) => found.len(),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(refused("cannot read", path, source)),
    };
    if length > PART_BYTES_MAX {
        return Ok(None);
    }
    let bytes = fs::read(&path).map_err(|source| refused("cannot read", path, source))?;
    Ok((hash::chunk(&bytes) == hash).then_some(bytes))
}

/// Writes a part that came from elsewhere, after checking that it is the one. It is durable when this returns.
///
/// # Errors
/// When it is another one, or the disk refuses.
pub fn keep_part(directory: &Path, hash: Hash, stored: &[u8]) -> Result<(), AppError> {
    if hash::chunk(stored) != hash {
        return Err(AppError::failed("damaged-snapshot", "a part of the snapshot was damaged on its way"));
    }
    // A file that is cut off does not have the hash that it is named by, so it needs no second name meanwhile.
    write_file(&part_file(directory, hash), stored)
}

/// Writes the manifest that came from elsewhere.
///
/// # Errors
/// When the disk refuses.
pub fn keep_manifest(directory: &Path, bytes: &[u8]) -> Result<(), AppError> {
    let path = manifest_file(directory);
    let new = path.with_extension("new");
    write_file(&new, bytes)?;
    fs::rename(&new, &path).map_err(|source| refused("cannot rename", new, source))?;
    sync_directory(directory)
}

fn write_file(path: &Path, bytes: &[u8]) -> Result<(), AppError> {
    let write = || {
        let mut file = File::create(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(|source| refused("cannot write", path.to_owned(), source))
}

fn sync_directory(directory: &Path) -> Result<(), AppError> {
    let synced = File::open(directory).and_then(|opened| opened.sync_all());
    synced.map_err(|source| refused("cannot sync", directory.to_owned(), source))
}

fn refused(action: &'static str, path: PathBuf, source: std::io::Error) -> AppError {
    if source.kind() == ErrorKind::StorageFull {
        return StoreError::Full(format!("{action} {}", path.display())).into();
    }
    StoreError::File { action, path, source }.into()
}
