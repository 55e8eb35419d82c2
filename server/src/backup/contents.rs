//! The contents of files in backups. A content never changes, so all backups of a project share one place for them, in
//! which each stands once, and a backup lists which of them it wants.
//!
//! What is in a file of a vault is for the vault to know: here they are copied as they stand, under their names.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use mytism_core::failure::Failure;

use super::manifest::damaged;
use super::{Phase, Progress, Step, plain, sync, unreadable};
use crate::config::{FILE_NAME, Process, explain};
use crate::project::{Project, file_failure, make_directory};

/// The directories of a vault that hold what is whole, in the order in which they are listed: what comes meanwhile has
/// its chunks before its recipe, and a chunk may go from the second one to the last.
const SHELVES: [&str; 3] = ["recipes", "chunks", "whole"];
/// Of these, each file stands for one content.
const CONTENTS: [&str; 2] = ["whole", "recipes"];
/// Where the contents of all backups are, beside them.
const STORE: &str = ".contents";
/// The list of those that a backup wants, below the project directory.
pub(super) const LIST: &str = "contents";
/// No file of a vault is larger, not even the recipe of a content of some TB.
const FILE_BYTES_MAX: u64 = 1 << 30;

/// Where the contents of the backups are among which one lies.
pub(super) fn store_of(backup: &Path) -> PathBuf {
    backup.parent().unwrap_or(Path::new(".")).join(STORE)
}

/// Where a node keeps the contents of its files by its configuration, of which the directory may be another one than the
/// project's; nothing where that is no directory of this machine.
pub(super) fn vault(project: &Project, configuration: &Path) -> Option<PathBuf> {
    let text = fs::read_to_string(configuration.join(FILE_NAME)).unwrap_or_default();
    let (settings, _) = explain(&text, FILE_NAME, &Process::of(project.directory()));
    let root = settings.into_iter().find(|one| one.key.section == "DBMan" && one.key.name == "filesRoot")?.value;
    (!root.is_empty() && !root.contains("://")).then(|| project.directory().join(root))
}

/// The files of a vault: below which names, and their bytes.
pub(super) struct Files(Vec<(String, u64)>);

impl Files {
    /// What is in a vault now; nothing where there is none.
    pub(super) fn of(vault: &Path) -> Result<Self, Failure> {
        let mut found = Vec::new();
        for shelf in SHELVES {
            for folder in names(&vault.join(shelf))? {
                let below = format!("{shelf}/{folder}");
                for name in names(&vault.join(&below))? {
                    let path = format!("{below}/{name}");
                    // What is taken away at this moment is of no object any longer.
                    if let Ok(metadata) = fs::metadata(vault.join(&path)) {
                        found.push((path, metadata.len()));
                    }
                }
            }
        }
        found.sort();
        Ok(Self(found))
    }

    /// As a list, a line each.
    pub(super) fn to_text(&self) -> String {
        self.0.iter().map(|(path, bytes)| format!("{bytes} {path}\n")).collect()
    }

    /// The list that was unpacked with a backup; an empty one where it has none.
    pub(super) fn read(unpacked: &Path) -> Result<Self, Failure> {
        let path = unpacked.join(LIST);
        match fs::read_to_string(&path) {
            Ok(text) => Self::from_text(&text),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Self(Vec::new())),
            Err(error) => Err(file_failure("read", &path, &error)),
        }
    }

    /// From such a list.
    fn from_text(text: &str) -> Result<Self, Failure> {
        let line = |line: &str| {
            let (bytes, path) = line.split_once(' ')?;
            let is_below = path.split('/').count() == 3 && !path.contains("..");
            let is_known = SHELVES.iter().any(|shelf| path.split('/').next() == Some(shelf));
            Some((path.to_owned(), bytes.parse().ok().filter(|_| is_below && is_known)?))
        };
        let files: Option<_> = text.lines().map(line).collect();
        files.map(Self).ok_or_else(|| damaged("its list of contents of files cannot be read"))
    }

    /// The hashes of the contents, in hexadecimal digits.
    pub(super) fn names(&self) -> HashSet<&str> {
        let name = |(path, _): &'_ (String, u64)| -> Option<usize> {
            CONTENTS.iter().any(|shelf| path.split('/').next() == Some(shelf)).then(|| path.rfind('/'))?
        };
        self.0.iter().filter_map(|file| file.0.get(name(file)? + 1..)).collect()
    }

    /// How many contents these are.
    pub(super) fn contents(&self) -> u64 {
        let is_one = |path: &str| CONTENTS.iter().any(|shelf| path.split('/').next() == Some(shelf));
        self.0.iter().filter(|(path, _)| is_one(path)).count() as u64
    }

    /// Copies those that are not there yet from one place to another; they are on the disk when this returns. What is
    /// not at the first place either is passed over.
    pub(super) fn copy(&self, from: &Path, to: &Path) -> Result<(), Failure> {
        let mut folders: Vec<PathBuf> = Vec::new();
        for (path, bytes) in &self.0 {
            let (source, target) = (from.join(path), to.join(path));
            if is_at(to, path, *bytes) {
                continue;
            }
            let Some(folder) = target.parent() else { continue };
            make_directory(folder)?;
            let new = folder.join(".new");
            // A chunk that became a content of its own since it was listed.
            let moved = || fs::copy(from.join(path.replacen("chunks/", "whole/", 1)), &new);
            let copied = fs::copy(&source, &new);
            match copied.or_else(|error| if error.kind() == ErrorKind::NotFound { moved() } else { Err(error) }) {
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                copied => copied.map_err(|error| file_failure("copy", &source, &error))?,
            };
            let safe = File::open(&new).and_then(|file| file.sync_all()).and_then(|()| fs::rename(&new, &target));
            safe.map_err(|error| file_failure("write", &target, &error))?;
            if folders.last().is_none_or(|last| last != folder) {
                folders.push(folder.to_owned());
            }
        }
        folders.iter().try_for_each(|folder| sync(folder))
    }

    /// Bytes of those that are not at a place.
    pub(super) fn missing_at(&self, place: &Path) -> u64 {
        sum(self.0.iter().filter(|(path, bytes)| !is_at(place, path, *bytes)))
    }

    /// That each of them is at a place and what it was, but for those that are at another one, which checks what it
    /// holds itself.
    pub(super) fn prove(&self, place: &Path, but: Option<&Path>, progress: &mut Progress<'_>) -> Result<(), Failure> {
        let is_due = |(path, bytes): &&(String, u64)| but.is_none_or(|other| !is_at(other, path, *bytes));
        let total = sum(self.0.iter().filter(is_due));
        let mut done = 0_u64;
        for (path, bytes) in self.0.iter().filter(is_due) {
            if !is_good(place, path, *bytes)? {
                return Err(damaged(&format!("the content of a file, {path}, is missing or not what it was")));
            }
            done = done.saturating_add(*bytes);
            progress(Step { phase: Phase::Reading, done, total });
        }
        Ok(())
    }

    /// Takes those out of the way that are not what they were, so that the next backup puts them there anew if the node
    /// still has them. Returns how many.
    pub(super) fn set_aside(&self, place: &Path) -> u64 {
        let mut count = 0;
        for (path, bytes) in &self.0 {
            let there = place.join(path);
            if !there.exists() || is_good(place, path, *bytes).unwrap_or(true) {
                continue;
            }
            let name = there.file_name().map(|name| format!(".{}.damaged", name.to_string_lossy())).unwrap_or_default();
            match fs::rename(&there, there.with_file_name(name)) {
                Ok(()) => count += 1,
                Err(error) => tracing::warn!("{} is damaged and cannot be set aside: {error}", there.display()),
            }
        }
        count
    }

    /// That each of them is at one of some places, with its bytes.
    pub(super) fn check(&self, places: &[&Path]) -> Result<(), Failure> {
        let missing = self.0.iter().find(|(path, bytes)| !places.iter().any(|place| is_at(place, path, *bytes)));
        missing
            .map_or(Ok(()), |(path, _)| Err(damaged(&format!("the content of a file, {path}, is missing or cut off"))))
    }
}

fn is_at(place: &Path, path: &str, bytes: u64) -> bool {
    fs::metadata(place.join(path)).is_ok_and(|there| there.is_file() && there.len() == bytes)
}

/// Whether a file is at a place and what it was.
fn is_good(place: &Path, path: &str, bytes: u64) -> Result<bool, Failure> {
    use ErrorKind::{FileTooLarge, InvalidInput, NotFound};
    let path_there = place.join(path);
    match plain::read(&path_there, bytes.min(FILE_BYTES_MAX)) {
        Ok(read) => Ok(read.len() as u64 == bytes && mytism_vault::is_as_named(path, &read)),
        Err(error) if [NotFound, InvalidInput, FileTooLarge].contains(&error.kind()) => Ok(false),
        Err(error) => Err(unreadable(&path_there, &error)),
    }
}

/// Bytes of some files; who wrote the list may have been anybody.
fn sum<'f>(files: impl Iterator<Item = &'f (String, u64)>) -> u64 {
    files.fold(0, |sum, (_, bytes)| sum.saturating_add(*bytes))
}

/// The names in a directory; none where there is none.
fn names(directory: &Path) -> Result<Vec<String>, Failure> {
    match fs::read_dir(directory) {
        Ok(entries) => Ok(entries
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .filter(|name| !name.starts_with('.'))
            .collect()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(file_failure("read", directory, &error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_stand_once_and_come_back() {
        let directory = tempfile::tempdir().unwrap();
        let [vault, store, other] = ["vault", "store", "other"].map(|name| directory.path().join(name));
        for (path, text) in
            [("whole/ab/abcd", "one"), ("chunks/cd/cdef", "two"), ("recipes/ef/efab", "three"), ("new/1", "x")]
        {
            make_directory(vault.join(path).parent().unwrap()).unwrap();
            fs::write(vault.join(path), text).unwrap();
        }
        let files = Files::of(&vault).unwrap();
        assert_eq!((files.0.len(), files.contents()), (3, 2));
        assert_eq!(files.check(&[&store]).unwrap_err().code, "backup-damaged");
        files.copy(&vault, &store).unwrap();
        files.check(&[&store]).unwrap();
        assert_eq!(files.names(), HashSet::from(["abcd", "efab"]));
        let read = Files::from_text(&files.to_text()).unwrap();
        assert_eq!(read.0, files.0);
        fs::remove_dir_all(&vault).unwrap();
        read.copy(&store, &other).unwrap();
        assert_eq!(fs::read_to_string(other.join("chunks/cd/cdef")).unwrap(), "two");
        assert!(!other.join("new").exists());
        // One that was cut off is copied anew.
        fs::write(other.join("chunks/cd/cdef"), "t").unwrap();
        assert!(read.check(&[&vault, &other]).is_err());
        read.copy(&store, &other).unwrap();
        read.check(&[&vault, &other]).unwrap();
        assert_eq!(Files::of(&vault).unwrap().0.len(), 0);
        for bad in ["x", "1 /etc/passwd", "1 whole/../x", "x whole/ab/cd", "1 new/ab/cd"] {
            assert_eq!(Files::from_text(bad).map(|_| ()).unwrap_err().code, "backup-damaged", "{bad}");
        }
    }

    #[test]
    fn what_is_not_what_it_was_is_found() {
        let directory = tempfile::tempdir().unwrap();
        let [vault, store] = ["vault", "store"].map(|name| directory.path().join(name));
        let path = format!("whole/ab/{}", mytism_vault::hash_of(b"abc"));
        for place in [&vault, &store] {
            make_directory(place.join(&path).parent().unwrap()).unwrap();
            fs::write(place.join(&path), "abc").unwrap();
        }
        let files = Files::of(&vault).unwrap();
        let mut seen = Vec::new();
        files.prove(&store, None, &mut |step| seen.push((step.done, step.total))).unwrap();
        assert_eq!(seen, [(3, 3)]);
        fs::write(store.join(&path), "abd").unwrap();
        assert_eq!(files.prove(&store, None, &mut |_| {}).unwrap_err().code, "backup-damaged");
        files.check(&[&store]).unwrap();
        files.prove(&store, Some(&vault), &mut |_| {}).unwrap();
        // Set aside, it is put there anew.
        assert_eq!((files.set_aside(&store), files.set_aside(&store)), (1, 0));
        files.copy(&vault, &store).unwrap();
        files.prove(&store, None, &mut |_| {}).unwrap();
        assert_eq!((files.missing_at(&vault), files.missing_at(directory.path())), (0, 3));
        fs::remove_file(store.join(&path)).unwrap();
        assert_eq!(files.prove(&store, None, &mut |_| {}).unwrap_err().code, "backup-damaged");
    }

    #[test]
    fn the_configuration_says_where_contents_are() {
        let directory = tempfile::tempdir().unwrap();
        let project = Project::at(directory.path());
        let vault = |text: &str| {
            fs::write(project.config_file(), text).unwrap();
            vault(&project, project.directory())
        };
        assert_eq!(vault(""), Some(directory.path().join("blobs")));
        assert_eq!(vault("[DBMan]\nfilesRoot = /srv/files\n"), Some(PathBuf::from("/srv/files")));
        assert_eq!(vault("[DBMan]\nfilesRoot = s3://bucket\n"), None);
    }
}
