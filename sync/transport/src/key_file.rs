//! The file of a private key: how it is written so that neither a crash nor a neighbour gets at it.
//!
//! It does not know what the bytes are.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// More than any key; what is longer is another file.
const KEY_FILE_BYTES_MAX: u64 = 64 * 1024;
/// Permission bits that let group and others in.
const OPEN_TO_OTHERS: u32 = 0o077;

/// Why a key file could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// There is none.
    #[error("there is no node key at {}: the project was not set up here, or keys/ was lost; it is in no backup, so put back the copy that was kept of it", path.display())]
    Missing {
        /// Of the file.
        path: PathBuf,
    },
    /// Others can read it.
    #[error("{} has mode {mode:04o}, so others can get at the private key of this node: chmod {wanted:04o} {}", path.display(), path.display())]
    OpenToOthers {
        /// Of the file or directory.
        path: PathBuf,
        /// What it has.
        mode: u32,
        /// What it should have.
        wanted: u32,
    },
    /// A key is there already.
    #[error("there is a node key at {} already: move it away first if another shall take its place", path.display())]
    Present {
        /// Of the file.
        path: PathBuf,
    },
    /// The content is no key.
    #[error("{} holds no Ed25519 key pair: put back the copy that was kept of it", path.display())]
    Malformed {
        /// Of the file.
        path: PathBuf,
    },
    /// The operating system refused a step.
    #[error("cannot {step} {}: {cause}", path.display())]
    Io {
        /// What was tried, as a verb.
        step: &'static str,
        /// With which file or directory.
        path: PathBuf,
        /// Why not.
        cause: io::Error,
    },
}

/// Reads a file that only its owner can get at.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, KeyFileError> {
    let file = File::open(path).map_err(|cause| match cause.kind() {
        io::ErrorKind::NotFound => KeyFileError::Missing { path: path.to_owned() },
        _ => io_error("open", path)(cause),
    })?;
    // Asked of the open file, so that it cannot be exchanged between the question and the reading.
    let metadata = file.metadata().map_err(io_error("look at", path))?;
    refuse_open(path, metadata.mode(), 0o600)?;
    let directory = directory_of(path);
    refuse_open(directory, fs::metadata(directory).map_err(io_error("look at", directory))?.mode(), 0o700)?;
    if !metadata.is_file() || metadata.len() > KEY_FILE_BYTES_MAX {
        return Err(KeyFileError::Malformed { path: path.to_owned() });
    }
    let mut bytes = Vec::new();
    file.take(KEY_FILE_BYTES_MAX).read_to_end(&mut bytes).map_err(io_error("read", path))?;
    Ok(bytes)
}

/// Writes a new file, whole or not at all, durable on return.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), KeyFileError> {
    let directory = directory_of(path);
    prepare_directory(directory)?;
    let temporary = temporary_name(path);
    // Left over from a crash; one project directory has one owner at a time, so nobody else is at it now.
    match fs::remove_file(&temporary) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => {
            return Err(io_error("remove", &temporary)(cause));
        }
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary)
        .map_err(io_error("create", &temporary))?;
    file.write_all(bytes).map_err(io_error("write", &temporary))?;
    file.sync_all().map_err(io_error("flush", &temporary))?;
    // Unlike a rename, a link takes no other file's place, whoever made that in the meantime.
    let placed = fs::hard_link(&temporary, path);
    fs::remove_file(&temporary).map_err(io_error("remove", &temporary))?;
    placed.map_err(|cause| match cause.kind() {
        io::ErrorKind::AlreadyExists => KeyFileError::Present { path: path.to_owned() },
        _ => io_error("create", path)(cause),
    })?;
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(io_error("flush", directory))
}

fn prepare_directory(directory: &Path) -> Result<(), KeyFileError> {
    match DirBuilder::new().mode(0o700).create(directory) {
        Err(cause) if cause.kind() != io::ErrorKind::AlreadyExists => {
            return Err(io_error("create", directory)(cause));
        }
        _ => {}
    }
    refuse_open(directory, fs::metadata(directory).map_err(io_error("look at", directory))?.mode(), 0o700)
}

fn refuse_open(path: &Path, mode: u32, wanted: u32) -> Result<(), KeyFileError> {
    let mode = mode & 0o7777;
    if mode & OPEN_TO_OTHERS == 0 {
        Ok(())
    } else {
        Err(KeyFileError::OpenToOthers { path: path.to_owned(), mode, wanted })
    }
}

fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn temporary_name(path: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".new");
    path.with_file_name(name)
}

fn io_error(step: &'static str, path: &Path) -> impl FnOnce(io::Error) -> KeyFileError {
    let path = path.to_owned();
    move |cause| KeyFileError::Io { step, path, cause }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::identity::NodeKey;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_key_survives_its_file() {
        let project = tempfile::tempdir().unwrap();
        let path = project.path().join("keys/node");
        let key = NodeKey::generate().unwrap();
        key.save(&path).unwrap();
        assert_eq!(NodeKey::load(&path).unwrap().public(), key.public());
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        assert_eq!(fs::read_dir(project.path().join("keys")).unwrap().count(), 1, "no temporary file is left");
    }

    #[test]
    fn a_key_is_never_written_over() {
        let project = tempfile::tempdir().unwrap();
        let path = project.path().join("keys/node");
        let key = NodeKey::generate().unwrap();
        key.save(&path).unwrap();
        let again = NodeKey::generate().unwrap().save(&path);
        assert!(matches!(again, Err(KeyFileError::Present { .. })), "{again:?}");
        assert_eq!(NodeKey::load(&path).unwrap().public(), key.public());
    }

    #[test]
    fn what_a_crash_left_behind_does_not_matter() {
        let project = tempfile::tempdir().unwrap();
        let path = project.path().join("keys/node");
        fs::create_dir(project.path().join("keys")).unwrap();
        set_mode(&project.path().join("keys"), 0o700);
        fs::write(temporary_name(&path), "half a").unwrap();
        NodeKey::generate().unwrap().save(&path).unwrap();
        NodeKey::load(&path).unwrap();
    }

    #[test]
    fn open_permissions_are_refused_with_the_command_to_run() {
        let project = tempfile::tempdir().unwrap();
        let directory = project.path().join("keys");
        let path = directory.join("node");
        NodeKey::generate().unwrap().save(&path).unwrap();
        let check = |file: u32, dir: u32, expected: Option<String>| {
            set_mode(&path, file);
            set_mode(&directory, dir);
            let found = NodeKey::load(&path).err().map(|error| error.to_string());
            match expected {
                None => assert_eq!(found, None, "{file:o} {dir:o}"),
                Some(expected) => assert!(found.as_ref().unwrap().ends_with(&expected), "{file:o} {dir:o} {found:?}"),
            }
        };
        check(0o600, 0o700, None);
        check(0o400, 0o700, None);
        check(0o640, 0o700, Some(format!("chmod 0600 {}", path.display())));
        check(0o604, 0o700, Some(format!("chmod 0600 {}", path.display())));
        check(0o600, 0o750, Some(format!("chmod 0700 {}", directory.display())));
        let into_open = NodeKey::generate().unwrap().save(&directory.join("other"));
        assert!(matches!(into_open, Err(KeyFileError::OpenToOthers { .. })), "{into_open:?}");
    }

    #[test]
    fn other_content_is_refused() {
        let project = tempfile::tempdir().unwrap();
        let path = project.path().join("node");
        set_mode(project.path(), 0o700);
        assert!(matches!(NodeKey::load(&path), Err(KeyFileError::Missing { .. })));
        for content in [Vec::new(), b"-----BEGIN PRIVATE KEY-----".to_vec(), vec![0x30; 70_000]] {
            fs::write(&path, content).unwrap();
            set_mode(&path, 0o600);
            assert!(matches!(NodeKey::load(&path), Err(KeyFileError::Malformed { .. })));
        }
    }
}
