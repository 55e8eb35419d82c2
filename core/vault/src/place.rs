//! Where files stand in a vault, and how they become durable. Knows nothing of what is in them.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use mytism_core::id::Hash;

use crate::VaultError;
use crate::error::io_error;

/// A kind of file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Shelf {
    Whole,
    Chunks,
    Recipes,
    Staged,
}

impl Shelf {
    pub(crate) const ALL: [Self; 4] = [Self::Whole, Self::Chunks, Self::Recipes, Self::Staged];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Chunks => "chunks",
            Self::Recipes => "recipes",
            Self::Staged => "staged",
        }
    }
}

/// The directory of a vault.
#[derive(Debug)]
pub(crate) struct Places {
    root: PathBuf,
    /// Counts names of new files.
    serial: AtomicU64,
}

impl Places {
    const NEW: &'static str = "new";
    const DAMAGED: &'static str = "damaged";

    /// Makes what is missing, and drops what was being written when the last process ended.
    pub(crate) fn open(root: &Path) -> Result<Self, VaultError> {
        let new = root.join(Self::NEW);
        match fs::remove_dir_all(&new) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => return Err(io_error("empty", &new)(cause)),
            _ => {}
        }
        let names = Shelf::ALL.map(Shelf::name).into_iter().chain([Self::NEW, Self::DAMAGED]);
        for path in names.map(|name| root.join(name)) {
            fs::create_dir_all(&path).map_err(io_error("make the directory", &path))?;
        }
        Ok(Self { root: root.to_owned(), serial: AtomicU64::new(0) })
    }

    pub(crate) fn path(&self, shelf: Shelf, hash: Hash) -> PathBuf {
        let name = hash.to_string();
        let folder = name.get(..2).unwrap_or_default().to_owned();
        self.root.join(shelf.name()).join(folder).join(name)
    }

    /// Bytes of a file; `None` where there is none.
    pub(crate) fn length(&self, shelf: Shelf, hash: Hash) -> Option<u64> {
        fs::metadata(self.path(shelf, hash)).ok().map(|metadata| metadata.len())
    }

    /// What stands in a file; `None` where there is none.
    pub(crate) fn read(&self, shelf: Shelf, hash: Hash) -> Result<Option<Vec<u8>>, VaultError> {
        let path = self.path(shelf, hash);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(cause) => Err(io_error("read", &path)(cause)),
        }
    }

    /// Writes a file under a name that nobody looks for, and gives it. Durable where that is asked for.
    pub(crate) fn write_new(&self, bytes: &[u8], durable: bool) -> Result<PathBuf, VaultError> {
        let number = self.serial.fetch_add(1, Ordering::Relaxed);
        let path = self.root.join(Self::NEW).join(number.to_string());
        let written = File::create_new(&path).and_then(|mut file| {
            file.write_all(bytes)?;
            if durable { file.sync_all() } else { Ok(()) }
        });
        match written {
            Ok(()) => Ok(path),
            Err(cause) => {
                // Half a file is of no use; where it cannot be removed, the next start does it.
                let _left = fs::remove_file(&path);
                Err(io_error("write", &path)(cause))
            }
        }
    }

    /// Gives a file its name.
    pub(crate) fn put(&self, from: &Path, shelf: Shelf, hash: Hash) -> Result<(), VaultError> {
        let to = self.path(shelf, hash);
        match fs::rename(from, &to) {
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
                if let Some(folder) = to.parent() {
                    fs::create_dir_all(folder).map_err(io_error("make the directory", folder))?;
                }
                fs::rename(from, &to).map_err(io_error("give its name to", &to))
            }
            renamed => renamed.map_err(io_error("give its name to", &to)),
        }
    }

    /// Makes the names in a folder durable, and the folder's own.
    pub(crate) fn sync_folder(&self, shelf: Shelf, hash: Hash) -> Result<(), VaultError> {
        let path = self.path(shelf, hash);
        for folder in path.ancestors().skip(1).take(2) {
            File::open(folder).and_then(|folder| folder.sync_all()).map_err(io_error("make durable", folder))?;
        }
        Ok(())
    }

    /// The directory of the vault.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// See [`sync_all`].
    pub(crate) fn sync_all(&self) -> Result<(), VaultError> {
        sync_all(&self.root)
    }

    pub(crate) fn remove(&self, shelf: Shelf, hash: Hash) -> Result<(), VaultError> {
        let path = self.path(shelf, hash);
        match fs::remove_file(&path) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(io_error("remove", &path)(cause)),
            _ => Ok(()),
        }
    }

    /// Takes a damaged file out of the way, for who wants to look at it.
    pub(crate) fn set_aside(&self, shelf: Shelf, hash: Hash) -> Result<(), VaultError> {
        let path = self.path(shelf, hash);
        match fs::rename(&path, self.root.join(Self::DAMAGED).join(hash.to_string())) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(io_error("set aside", &path)(cause)),
            _ => Ok(()),
        }
    }

    /// Makes a file count as young, since somebody needs it again.
    pub(crate) fn touch(&self, shelf: Shelf, hash: Hash) {
        let path = self.path(shelf, hash);
        // Where that is refused the file keeps its age, and whoever needs it is not done before it is looked for again.
        let _aged = File::open(path).and_then(|file| file.set_modified(SystemTime::now()));
    }

    /// All files of a shelf with their sizes and the times of their last change.
    pub(crate) fn each(
        &self,
        shelf: Shelf,
        each: &mut dyn FnMut(Hash, u64, SystemTime) -> Result<(), VaultError>,
    ) -> Result<(), VaultError> {
        let shelf = self.root.join(shelf.name());
        for folder in fs::read_dir(&shelf).map_err(io_error("list", &shelf))? {
            let folder = folder.map_err(io_error("list", &shelf))?.path();
            for file in fs::read_dir(&folder).map_err(io_error("list", &folder))? {
                let file = file.map_err(io_error("list", &folder))?;
                let hash = file.file_name().to_str().and_then(Hash::from_hex);
                // A file may go while the list is read.
                let (Some(hash), Ok(metadata)) = (hash, file.metadata()) else { continue };
                each(hash, metadata.len(), metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH))?;
            }
        }
        Ok(())
    }
}

/// Makes durable all that was written to the file system of a directory: one call for any number of files.
pub(crate) fn sync_all(root: &Path) -> Result<(), VaultError> {
    let folder = File::open(root).map_err(io_error("open", root))?;
    rustix::fs::syncfs(&folder).map_err(|cause| io_error("make durable", root)(cause.into()))
}
