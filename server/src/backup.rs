//! Backups of a node, and what becomes of them: made while it runs, proven, put back.
//!
//! A backup is a directory that any tool can copy: a [`manifest`] and parts, each packed and with its hash. It holds the
//! database as one commit left it, what stands beside the database, and the configuration without its secrets; never a
//! key. In reading order:
//!
//! 1. [`manifest`]: what a backup says of itself
//! 2. `make`: a backup of a node, whether it runs or not
//! 3. `plain`: files of a backup that may have come from anywhere; `unpack`: from parts to files again, checked on the way
//! 4. [`verify`]: whether a backup can be restored, by restoring it
//! 5. [`restore`]: beside the data that are there, and then in their place; `place`: where that is, and who may do it;
//!    `switch`: the exchange itself, which is completed at the next start if it was broken off
//! 6. `contents`: the contents of files, which all backups share
//! 7. [`node_setup`]: a branch that is made of a backup of its head office
//!
//! What follows for a cluster from a database that was put back is for the use cases to know.

mod contents;
mod make;
pub mod manifest;
pub mod node_setup;
mod place;
mod plain;
pub mod restore;
mod switch;
mod unpack;
pub mod verify;

use std::fs::{self, File};
use std::path::{Component, Path, PathBuf};

use mytism_core::failure::Failure;

use crate::lock::{Held, hold};
use crate::project::{Project, file_failure};
use manifest::Manifest;

pub(crate) use make::make;
pub(crate) use node_setup::NOT_ENROLLED;
pub(crate) use place::check_user;
pub(crate) use switch::finish;

/// Where the database stands in a backup.
const DATABASE: &str = "data/objects.db";
/// The note of ids and numbers.
const NUMBERS: &str = "state/numbers";
/// The configuration without its secrets.
const CONFIG: &str = "mytism.ini";

/// How far some work is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Step {
    /// What goes on.
    pub phase: Phase,
    /// How much of it is done.
    pub done: u64,
    /// How much there is.
    pub total: u64,
}

/// What goes on with a backup.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// It is made; in bytes.
    Making,
    /// Its parts are checked and unpacked; in bytes.
    Unpacking,
    /// The contents of files are read; in bytes.
    Reading,
    /// The restored log is followed from its first entry; in entries.
    Proving,
}

/// Who wants to know how far some work is.
pub type Progress<'p> = dyn FnMut(Step) + 'p;

/// A backup that is there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listed {
    /// What it says of itself; what is wrong with it where it cannot be read.
    pub manifest: Result<Manifest, Failure>,
    /// The name of its directory.
    pub name: String,
    /// Bytes of its directory, as it was told when it was made; 0 where it cannot be read.
    pub bytes: u64,
    /// When it was last proven to be restorable.
    pub verified: Option<verify::Proof>,
}

/// The backups of a project, the oldest first.
///
/// # Errors
/// When there is no project, or the directory of its backups cannot be read.
pub fn list(directory: &Path) -> Result<Vec<Listed>, Failure> {
    let backups = Project::at(directory).backups();
    let entries = match fs::read_dir(&backups) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(file_failure("read", &backups, &error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| file_failure("read", &backups, &error))?;
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        // Where nobody may see whether it is a backup, that is told as what is wrong with it.
        if !name.starts_with('.') && path.join(manifest::FILE).try_exists().unwrap_or(true) {
            let manifest = Manifest::read(&path);
            let bytes = manifest.as_ref().map_or(0, |manifest| manifest.bytes_in(&path));
            let verified = manifest.as_ref().ok().and_then(|_| verify::Proof::read(&path));
            found.push(Listed { manifest, name, bytes, verified });
        }
    }
    found.sort_by(|one, other| (one.moment(), &one.name).cmp(&(other.moment(), &other.name)));
    Ok(found)
}

impl Listed {
    /// When it was begun. The zone of a machine may change between two backups, so their texts are in no order.
    #[must_use]
    pub fn moment(&self) -> Option<jiff::Timestamp> {
        self.manifest.as_ref().ok()?.made.parse().ok()
    }
}

/// That a directory is the place of a project, or of backups that were brought to a new machine.
///
/// # Errors
/// `no-project`.
pub fn check_place(directory: &Path) -> Result<(), Failure> {
    let project = Project::at(directory);
    if project.backups().is_dir() { Ok(()) } else { project.check_exists() }
}

/// What a backup of a project says of itself.
///
/// # Errors
/// `unknown-backup`, `backup-damaged`, `newer-backup`, or that it cannot be read.
pub fn manifest_of(directory: &Path, name: &str) -> Result<Manifest, Failure> {
    Manifest::read(&find(&Project::at(directory), name)?)
}

/// That a file of a backup cannot be read, which says nothing about what is in it.
fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    let failure = file_failure("read", path, error);
    if error.kind() == std::io::ErrorKind::PermissionDenied {
        return failure.hint("a backup is used by who may read all of its files; nothing was changed");
    }
    failure
}

/// The directory of a backup: by its name among those of the project, or as a path that has more than one part.
///
/// # Errors
/// `unknown-backup`.
pub(crate) fn find(project: &Project, name: &str) -> Result<PathBuf, Failure> {
    let given = Path::new(name);
    let is_name = matches!(given.components().collect::<Vec<_>>()[..], [Component::Normal(_)]);
    let path = if is_name { project.backups().join(given) } else { given.to_owned() };
    // What lies beside it is looked for by its real name.
    let path = fs::canonicalize(&path).unwrap_or(path);
    if path.join(manifest::FILE).try_exists().unwrap_or(true) {
        return Ok(path);
    }
    let message = match path.is_dir() {
        true => format!("{} is no backup, or only a part of one: it has no {}", path.display(), manifest::FILE),
        false => format!("there is no backup {}", path.display()),
    };
    Err(Failure::usage("unknown-backup", message).hint("`./mytism backup list` tells which there are"))
}

/// Makes what was done to the names in a directory survive the loss of power.
fn sync(directory: &Path) -> Result<(), Failure> {
    File::open(directory).and_then(|opened| opened.sync_all()).map_err(|error| file_failure("sync", directory, &error))
}

/// Takes a directory away, where it is there.
fn remove(directory: &Path) -> Result<(), Failure> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(file_failure("remove", directory, &error)),
        _ => Ok(()),
    }
}
