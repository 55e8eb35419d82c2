//! What happened to the files of a directory, in order, and the trouble that they shall have.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::vfs;

/// How much had happened: a point in a recording.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Moment(pub usize);

/// A file, whatever it is called: one that is deleted and made again is another one.
pub(crate) type FileId = usize;

/// One thing that happened.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// A file was made.
    Create { file: FileId, name: String },
    /// A name was taken away.
    Delete { name: String },
    /// Bytes were written.
    Write { file: FileId, offset: usize, bytes: Arc<[u8]> },
    /// A file was cut, or made longer with zeros.
    Truncate { file: FileId, length: usize },
    /// A sync of a file returned with success.
    Sync { file: FileId },
    /// A sync of a file failed.
    SyncFailed { file: FileId },
    /// The directory was synced.
    SyncDirectory,
}

/// What happened in a directory since it is watched.
#[derive(Clone, Debug)]
pub struct Recording {
    /// The files that were there at the beginning, which are safe on the disk.
    pub(crate) before: BTreeMap<String, (FileId, Arc<[u8]>)>,
    pub(crate) steps: Vec<Step>,
}

impl Recording {
    /// The end of it.
    #[must_use]
    pub fn end(&self) -> Moment {
        Moment(self.steps.len())
    }

    /// How many syncs of files succeeded.
    #[must_use]
    pub fn syncs(&self) -> usize {
        self.steps.iter().filter(|step| matches!(step, Step::Sync { .. })).count()
    }

    /// How often bytes were written to files of that name.
    #[must_use]
    pub fn writes(&self, name: &str) -> usize {
        let mut files: Vec<FileId> = self.before.get(name).map(|(file, _)| *file).into_iter().collect();
        let mut count = 0;
        for step in &self.steps {
            match step {
                Step::Create { file, name: made } if made == name => files.push(*file),
                Step::Write { file, .. } if files.contains(file) => count += 1,
                _ => {}
            }
        }
        count
    }
}

/// How a disk fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trouble {
    /// No file can be made or grow; what is there can be written over.
    Full,
    /// Nothing can be changed or synced.
    Failing,
    /// One sync fails, whatever is around it succeeds.
    Sync,
    /// Files can only be opened to read them; those that are open stay as they are.
    ReadOnly,
}

/// A directory that is watched as long as this lives.
pub struct Disk {
    pub(crate) watched: Arc<Watched>,
}

impl Disk {
    /// Watches a directory from here on. No database in it may be open.
    ///
    /// # Errors
    /// When the directory or a file in it cannot be read.
    pub fn watch(directory: &Path) -> std::io::Result<Self> {
        let directory = directory.canonicalize()?;
        let mut state = State::default();
        for entry in std::fs::read_dir(&directory)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if entry.file_type()?.is_file() && !name.ends_with("-shm") {
                state.found(&name, std::fs::read(entry.path())?);
            }
        }
        let watched = Arc::new(Watched { directory, state: Mutex::new(state) });
        vfs::install();
        directories().push(Arc::downgrade(&watched));
        Ok(Self { watched })
    }

    /// The point where the recording is now.
    #[must_use]
    pub fn now(&self) -> Moment {
        Moment(self.watched.state().steps.len())
    }

    /// Everything that happened.
    #[must_use]
    pub fn recording(&self) -> Recording {
        let state = self.watched.state();
        Recording { before: state.before.clone(), steps: state.steps.clone() }
    }

    /// From here on syncs succeed and do nothing: what a disk does whose cache lies.
    pub fn lie(&self) {
        self.watched.state().lies = true;
    }

    /// Lets so many changes pass (for [`Trouble::Sync`]: so many syncs) and then be in trouble.
    pub fn trouble(&self, trouble: Trouble, after: usize) {
        let mut state = self.watched.state();
        (state.trouble, state.refused) = (Some((trouble, after)), 0);
    }

    /// Ends the trouble. Returns how often it was felt.
    #[must_use]
    pub fn relieve(&self) -> usize {
        let mut state = self.watched.state();
        state.trouble = None;
        std::mem::take(&mut state.refused)
    }
}

fn directories() -> MutexGuard<'static, Vec<Weak<Watched>>> {
    static DIRECTORIES: Mutex<Vec<Weak<Watched>>> = Mutex::new(Vec::new());
    DIRECTORIES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Who watches the directory of a file, and what the file is called in it.
pub(crate) fn watcher(path: &Path) -> Option<(Arc<Watched>, String)> {
    let mut known = directories();
    known.retain(|watched| watched.strong_count() > 0);
    let (directory, name) = (path.parent()?, path.file_name()?);
    let found = known.iter().filter_map(Weak::upgrade).find(|watched| watched.directory == directory)?;
    Some((found, name.to_string_lossy().into_owned()))
}

pub(crate) struct Watched {
    directory: PathBuf,
    state: Mutex<State>,
}

impl Watched {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a caller is about to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Change {
    /// Makes a file, or makes one longer.
    Grow,
    /// Changes what is there.
    Within,
    /// Makes it safe.
    Sync,
    /// Opens a file to write it.
    Open,
}

#[derive(Default)]
pub(crate) struct State {
    before: BTreeMap<String, (FileId, Arc<[u8]>)>,
    steps: Vec<Step>,
    /// The file behind each name.
    names: BTreeMap<String, FileId>,
    /// The length of each file.
    lengths: Vec<usize>,
    lies: bool,
    trouble: Option<(Trouble, usize)>,
    refused: usize,
}

impl State {
    fn found(&mut self, name: &str, content: Vec<u8>) {
        let file = self.lengths.len();
        self.lengths.push(content.len());
        self.names.insert(name.to_owned(), file);
        self.before.insert(name.to_owned(), (file, content.into()));
    }

    /// The file of that name; noted as new where there is none.
    pub(crate) fn file(&mut self, name: &str) -> FileId {
        if let Some(file) = self.names.get(name) {
            return *file;
        }
        let file = self.lengths.len();
        self.lengths.push(0);
        self.names.insert(name.to_owned(), file);
        self.steps.push(Step::Create { file, name: name.to_owned() });
        file
    }

    pub(crate) fn delete(&mut self, name: &str, with_directory: bool) {
        self.names.remove(name);
        self.steps.push(Step::Delete { name: name.to_owned() });
        if with_directory {
            self.sync_directory();
        }
    }

    pub(crate) fn write(&mut self, file: FileId, offset: usize, bytes: &[u8]) {
        let end = offset + bytes.len();
        self.lengths[file] = self.lengths[file].max(end);
        self.steps.push(Step::Write { file, offset, bytes: bytes.into() });
    }

    pub(crate) fn grows(&self, file: FileId, end: usize) -> Change {
        if end > self.lengths[file] { Change::Grow } else { Change::Within }
    }

    pub(crate) fn truncate(&mut self, file: FileId, length: usize) {
        self.lengths[file] = length;
        self.steps.push(Step::Truncate { file, length });
    }

    pub(crate) fn sync(&mut self, file: FileId) {
        if !self.lies {
            self.steps.push(Step::Sync { file });
        }
    }

    pub(crate) fn sync_failed(&mut self, file: FileId) {
        self.steps.push(Step::SyncFailed { file });
    }

    pub(crate) fn sync_directory(&mut self) {
        if !self.lies {
            self.steps.push(Step::SyncDirectory);
        }
    }

    /// Whether the trouble that was asked for hits this change.
    pub(crate) fn refuses(&mut self, change: Change) -> Option<Trouble> {
        let (trouble, passing) = self.trouble.as_mut()?;
        let trouble = *trouble;
        if trouble == Trouble::Sync && change != Change::Sync {
            return None;
        }
        if trouble == Trouble::ReadOnly && change != Change::Open {
            return None;
        }
        if trouble != Trouble::ReadOnly && change == Change::Open {
            return None;
        }
        if *passing > 0 {
            *passing -= 1;
            return None;
        }
        if trouble == Trouble::Full && change != Change::Grow {
            return None;
        }
        if trouble == Trouble::Sync {
            self.trouble = None;
        }
        self.refused += 1;
        Some(trouble)
    }
}
