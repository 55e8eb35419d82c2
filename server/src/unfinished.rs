//! The note that a project is being made: durable before anything else is, gone when the project is whole. It tells
//! what a broken-off `init` left, which may be taken away, from the data of a node that lost its configuration, which
//! may not.
//!
//! A node that ever worked has noted its life ([`Project::incarnation_file`]), and one that is whole has a configuration
//! with its number; where either is there, this note means nothing. It does not know what is being made.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use mytism_core::failure::Failure;

use crate::project::{Project, file_failure, make_directory};

const TEXT: &[u8] = b"A head office is being made here. Where no program is at it, `./mytism init` begins anew.\n";

/// See the module. Held while the project is made, so that nobody else makes one at the same place.
pub(crate) struct Unfinished {
    path: PathBuf,
    _lock: File,
}

impl Unfinished {
    /// Notes that a project is being made. What a broken-off attempt left is taken away. `refuse` says whether a project
    /// may be made here at all.
    ///
    /// # Errors
    /// When it may not, the data of a project are there, somebody else is making one, or the disk refuses.
    pub(crate) fn begin(project: &Project, refuse: fn(&Project) -> Result<(), Failure>) -> Result<Self, Failure> {
        refuse(project)?;
        let path = note(project);
        let was_noted = is_noted(project);
        if !was_noted && (project.data().exists() || project.key_file().exists()) {
            return Err(project.without_configuration());
        }
        make_directory(&project.state())?;
        let lock = lock(project, &path)?;
        // Whoever held it until now may have finished.
        refuse(project)?;
        write(project, &lock).map_err(|error| file_failure("write", &path, &error))?;
        if was_noted {
            take_away(project)?;
        }
        Ok(Self { path, _lock: lock })
    }

    /// The project is whole.
    ///
    /// # Errors
    /// When the disk refuses.
    pub(crate) fn finish(self) -> Result<(), Failure> {
        fs::remove_file(&self.path).map_err(|error| file_failure("remove", &self.path, &error))
    }
}

/// Whether the making of a project was broken off, or is under way.
pub(crate) fn is_noted(project: &Project) -> bool {
    note(project).exists()
}

/// Takes away what a broken-off `init` left, if that is all that there is.
///
/// # Errors
/// When somebody is still at it, or the disk refuses.
pub(crate) fn clear(project: &Project) -> Result<(), Failure> {
    if project.refuse_living().is_err() || !is_noted(project) {
        return Ok(());
    }
    Unfinished::begin(project, Project::refuse_living)?.finish()
}

fn note(project: &Project) -> PathBuf {
    project.state().join("unfinished")
}

fn lock(project: &Project, path: &Path) -> Result<File, Failure> {
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(path);
    let file = file.map_err(|error| file_failure("open", path, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            let message = format!("another program is making a project in {}", project.directory().display());
            Err(Failure::failed("project-in-use", message).hint("wait until it is done"))
        }
        Err(TryLockError::Error(error)) => Err(file_failure("lock", path, &error)),
    }
}

/// The note, its name and those of the directories above it must be there before the first key and the first data.
fn write(project: &Project, mut note: &File) -> io::Result<()> {
    note.set_len(0)?;
    note.write_all(TEXT)?;
    note.sync_all()?;
    let directory = project.directory();
    for directory in [Some(project.state().as_path()), Some(directory), directory.parent()].into_iter().flatten() {
        let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
        match File::open(directory).and_then(|directory| directory.sync_all()) {
            // One may be allowed to make a directory in another without reading it.
            Err(error) if error.kind() != ErrorKind::PermissionDenied => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

fn take_away(project: &Project) -> Result<(), Failure> {
    let key = project.key_file();
    let data = project.data();
    let removed = [(fs::remove_dir_all(&data), data), (fs::remove_file(&key), key)];
    for (result, path) in removed {
        match result {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(file_failure("remove", &path, &error)),
            _ => {}
        }
    }
    Ok(())
}
