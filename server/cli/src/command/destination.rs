//! The file that a command writes: under another name until it is whole, so that it is there whole or not at all. It
//! does not know what is written.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use mytism_core::failure::Failure;
use mytism_server::project::room;
use tempfile::{Builder, NamedTempFile};

use crate::interrupt;

/// A file beside the one that is wanted, taken away again where it is not finished.
pub(super) struct Destination {
    temporary: NamedTempFile,
    /// The file whose place it takes; where a link was named, what the link leads to.
    place: PathBuf,
    wanted: PathBuf,
}

impl Destination {
    /// Begins to write.
    ///
    /// # Errors
    /// `wrong-file` where something else than an ordinary file is wanted, `file-error` where it cannot be written there.
    pub(super) fn create(wanted: &Path) -> Result<Self, Failure> {
        let Some(name) = wanted.file_name().filter(|_| !wanted.is_dir()) else {
            return Err(Failure::usage("wrong-file", format!("{} is no name of a file", wanted.display())));
        };
        let there = fs::metadata(wanted).ok();
        // A device or a pipe must not make way for a file.
        if there.as_ref().is_some_and(|there| !there.is_file()) {
            return Err(Failure::usage("wrong-file", format!("{} is no ordinary file", wanted.display()))
                .hint("name a file; `query` writes to the standard output"));
        }
        let place = fs::canonicalize(wanted).unwrap_or_else(|_| wanted.to_owned());
        let directory = place.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // Nobody can put a link under a name that nobody knows before.
        let temporary = Builder::new()
            .prefix(&format!(".{}.", name.to_string_lossy()))
            .suffix(".part")
            .permissions(Permissions::from_mode(0o666))
            .tempfile_in(directory)
            .map_err(|error| unwritable(wanted, &error))?;
        interrupt::remove_unfinished(temporary.path().to_owned())?;
        if let Some(there) = there {
            let kept = temporary.as_file().set_permissions(there.permissions());
            kept.map_err(|error| unwritable(wanted, &error))?;
        }
        Ok(Self { temporary, place, wanted: wanted.to_owned() })
    }

    /// What is written.
    pub(super) fn file(&self) -> &File {
        self.temporary.as_file()
    }

    /// All of it is there: it takes its place, durably.
    ///
    /// # Errors
    /// `file-error`; nothing has changed then.
    pub(super) fn publish(self) -> Result<(), Failure> {
        let done = self.temporary.as_file().sync_all();
        let done = done.and_then(|()| self.temporary.persist(&self.place).map(drop).map_err(|failed| failed.error));
        done.map_err(|error| unwritable(&self.wanted, &error))
    }
}

/// Why a file cannot be written.
pub(super) fn unwritable(path: &Path, error: &io::Error) -> Failure {
    let message = format!("cannot write {}: {error}", path.display());
    if error.kind() == io::ErrorKind::StorageFull {
        return Failure::failed("disk-full", message).hint(room(path));
    }
    Failure::failed("file-error", message).hint("check that its directory exists and may be written")
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::fs::symlink;

    use super::*;

    fn write(path: &Path, content: &str) -> Result<(), Failure> {
        let destination = Destination::create(path)?;
        destination.file().write_all(content.as_bytes()).unwrap();
        destination.publish()
    }

    #[test]
    fn it_is_there_whole_or_not_at_all() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a.txt");
        let begun = Destination::create(&path).unwrap();
        begun.file().write_all(b"half").unwrap();
        assert!(!path.exists());
        drop(begun);
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
        write(&path, "whole").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "whole");
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
    }

    #[test]
    fn two_at_once_do_not_mix() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a.txt");
        let (one, other) = (Destination::create(&path).unwrap(), Destination::create(&path).unwrap());
        one.file().write_all(b"one").unwrap();
        other.file().write_all(b"other").unwrap();
        one.publish().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "one");
        other.publish().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "other");
    }

    #[test]
    fn links_and_permissions_stay() {
        let root = tempfile::tempdir().unwrap();
        let (path, link) = (root.path().join("a.txt"), root.path().join("link"));
        fs::write(&path, "before").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        symlink(&path, &link).unwrap();
        write(&link, "after").unwrap();
        assert!(link.is_symlink());
        assert_eq!(fs::read_to_string(&path).unwrap(), "after");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn what_is_no_file_stays() {
        let root = tempfile::tempdir().unwrap();
        let check = |path: &Path, code: &str| assert_eq!(write(path, "x").unwrap_err().code, code, "{path:?}");
        check(Path::new("/dev/null"), "wrong-file");
        check(root.path(), "wrong-file");
        check(Path::new("/"), "wrong-file");
        check(&root.path().join("missing").join("a"), "file-error");
    }
}
