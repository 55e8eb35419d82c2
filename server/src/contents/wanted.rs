//! Which contents are named here and have not come: asked for now before the newest before the rest, and last what only
//! the history names.
//!
//! The list stands in a file with the entry of the log up to which it was made, so that it outlasts the process. The file
//! only grows while the node runs: a line `+ HASH BYTES` for what is wanted, with `~` where only the history names it, a line `@ NUMBER HASH` for the entry. When
//! it is read, what has come since is left out. A file that is lost or torn costs a look at all objects.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use mytism_core::blob::Blob;
use mytism_core::id::Hash;
use mytism_vault::Vault;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// A content that is wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Want {
    pub(super) content: Hash,
    /// As the value says.
    pub(super) bytes: u64,
}

/// See the module.
pub(super) struct Wanted {
    path: PathBuf,
    list: Mutex<List>,
    /// Told whenever something may have become fetchable.
    news: Notify,
}

/// Who wants a content; the last goes first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Why {
    /// The history, and perhaps nothing that is there now.
    History,
    /// What arrived, or is there.
    Named,
    /// Somebody who waits.
    Asked,
}

/// Why it is wanted, and its place in the order of naming.
type Rank = (Why, u64);

#[derive(Default)]
struct List {
    wants: HashMap<Hash, Entry>,
    /// The highest goes first.
    order: BTreeMap<Rank, Hash>,
    last: u64,
    /// The entry of the log up to which it was made.
    cursor: Option<(u64, Hash)>,
    file: Option<File>,
}

struct Entry {
    want: Want,
    rank: Rank,
    /// Somebody fetches it.
    under_way: bool,
    arrived: u64,
}

impl Wanted {
    /// Reads the list; what the vault has by now is left out. A list that cannot be read is none.
    pub(super) fn open(path: &Path, vault: &Vault) -> Self {
        let mut list = List::default();
        if let Ok(text) = fs::read_to_string(path) {
            list.take_in(&text, vault);
        }
        Self { path: path.to_owned(), list: Mutex::new(list), news: Notify::new() }
    }

    /// The entry of the log up to which the list was made; `None` where there is no list.
    pub(super) fn cursor(&self) -> Option<(u64, Hash)> {
        self.list().cursor
    }

    /// Adds what is named up to an entry, the newest last; durable when this returns.
    pub(super) fn add(&self, wants: &[Want], cursor: Option<(u64, Hash)>) -> io::Result<()> {
        let mut list = self.list();
        let mut text = String::new();
        for want in wants {
            if list.put(*want, Why::Named) {
                text.push_str(&line(*want, Why::Named));
            }
        }
        if let Some((number, hash)) = cursor {
            list.cursor = cursor;
            text.push_str(&format!("@ {number} {hash}\n"));
        }
        list.append(&self.path, &text)?;
        drop(list);
        self.news.notify_waiters();
        Ok(())
    }

    /// Adds what only the history names; durable when this returns.
    pub(super) fn add_of_history(&self, wants: &[Want]) -> io::Result<()> {
        let mut list = self.list();
        let mut text = String::new();
        for want in wants {
            if list.put(*want, Why::History) {
                text.push_str(&line(*want, Why::History));
            }
        }
        if text.is_empty() {
            return Ok(());
        }
        list.append(&self.path, &text)?;
        drop(list);
        self.news.notify_waiters();
        Ok(())
    }

    /// Moves the cursor without a word to the disk: what was named up to there is in the vault or in the list.
    pub(super) fn moved(&self, cursor: (u64, Hash)) {
        self.list().cursor = Some(cursor);
    }

    /// Wants a content ahead of all others, since somebody waits for it.
    pub(super) fn ask_now(&self, blob: &Blob) {
        let want = Want { content: blob.hash(), bytes: blob.bytes() };
        let mut list = self.list();
        let is_new = list.put(want, Why::Asked);
        if is_new && let Err(error) = list.append(&self.path, &line(want, Why::Named)) {
            // It is fetched in this life of the process, and asked for again in the next one.
            tracing::warn!("that {} is wanted cannot be noted: {error}", want.content);
        }
        drop(list);
        self.news.notify_waiters();
    }

    /// The next content to fetch that nobody fetches and of which `may` holds; it counts as under way from now on.
    pub(super) fn next(&self, may: impl Fn(Hash) -> bool) -> Option<Want> {
        let mut list = self.list();
        let is_free = |hash: &Hash| list.wants.get(hash).is_some_and(|entry| !entry.under_way) && may(*hash);
        let found = list.order.values().rev().copied().find(is_free)?;
        let entry = list.wants.get_mut(&found)?;
        entry.under_way = true;
        Some(entry.want)
    }

    /// How many bytes of a content have come.
    pub(super) fn has_come(&self, content: Hash, bytes: u64) {
        if let Some(entry) = self.list().wants.get_mut(&content) {
            entry.arrived = bytes;
        }
    }

    /// As last told with [`Self::has_come`].
    pub(super) fn arrived(&self, content: Hash) -> u64 {
        self.list().wants.get(&content).map_or(0, |entry| entry.arrived)
    }

    /// It is here.
    pub(super) fn done(&self, content: Hash) {
        let mut list = self.list();
        if let Some(entry) = list.wants.remove(&content) {
            list.order.remove(&entry.rank);
        }
        drop(list);
        self.news.notify_waiters();
    }

    /// It could not be fetched; somebody else may try.
    pub(super) fn give_back(&self, content: Hash) {
        if let Some(entry) = self.list().wants.get_mut(&content) {
            entry.under_way = false;
        }
        self.news.notify_waiters();
    }

    pub(super) fn count(&self) -> u64 {
        self.list().wants.len() as u64
    }

    /// Becomes ready with the next news after this call.
    pub(super) fn news(&self) -> Notified<'_> {
        self.news.notified()
    }

    fn list(&self) -> MutexGuard<'_, List> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn line(want: Want, why: Why) -> String {
    let mark = if why == Why::History { '~' } else { '+' };
    format!("{mark} {} {}\n", want.content, want.bytes)
}

impl List {
    /// Whether it was not in the list before.
    fn put(&mut self, want: Want, why: Why) -> bool {
        self.last += 1;
        let last = self.last;
        if let Some(entry) = self.wants.get_mut(&want.content) {
            // Where it was more urgent before, it keeps its place.
            if why > entry.rank.0 {
                self.order.remove(&entry.rank);
                entry.rank = (why, last);
                self.order.insert(entry.rank, want.content);
            }
            return false;
        }
        let rank = (why, last);
        self.wants.insert(want.content, Entry { want, rank, under_way: false, arrived: 0 });
        self.order.insert(rank, want.content);
        true
    }

    fn take_in(&mut self, text: &str, vault: &Vault) {
        // A line that was cut when the machine went down has no end; what stands behind it was never written.
        for line in text.split_inclusive('\n').map_while(|line| line.strip_suffix('\n')) {
            let words: Vec<&str> = line.split(' ').collect();
            match words.as_slice() {
                [mark @ ("+" | "~"), hash, bytes] => {
                    let Some((content, bytes)) = Hash::from_hex(hash).zip(bytes.parse().ok()) else { return };
                    if !vault.has(content) {
                        let why = if *mark == "~" { Why::History } else { Why::Named };
                        self.put(Want { content, bytes }, why);
                    }
                }
                ["@", number, hash] => {
                    let Some(cursor) = number.parse().ok().zip(Hash::from_hex(hash)) else { return };
                    self.cursor = Some(cursor);
                }
                _ => return,
            }
        }
    }

    /// Appends to the file. The first time it is written anew, without what has come.
    fn append(&mut self, path: &Path, text: &str) -> io::Result<()> {
        if let Some(file) = &mut self.file {
            file.write_all(text.as_bytes())?;
            return file.sync_data();
        }
        let mut whole: String = self
            .order
            .values()
            .filter_map(|hash| self.wants.get(hash))
            .map(|entry| line(entry.want, entry.rank.0))
            .collect();
        if let Some((number, hash)) = self.cursor {
            whole.push_str(&format!("@ {number} {hash}\n"));
        }
        let temporary = path.with_extension("n");
        fs::write(&temporary, whole)?;
        let file = OpenOptions::new().append(true).open(&temporary)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        if let Some(directory) = path.parent() {
            File::open(directory)?.sync_all()?;
        }
        self.file = Some(file);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn want(byte: u8) -> Want {
        Want { content: Hash([byte; 32]), bytes: u64::from(byte) }
    }

    fn blob(byte: u8) -> Blob {
        Blob::new(Hash([byte; 32]), u64::from(byte), "a", "text/plain").unwrap()
    }

    #[test]
    fn what_is_asked_for_goes_before_the_newest_before_the_rest() {
        let root = tempfile::tempdir().unwrap();
        let vault = Vault::open(&root.path().join("blobs")).unwrap();
        let wanted = Wanted::open(&root.path().join("wanted"), &vault);
        wanted.add(&[want(1), want(2), want(3)], Some((7, Hash([9; 32])))).unwrap();
        wanted.ask_now(&blob(1));
        wanted.ask_now(&blob(4));
        let any = |_| true;
        assert_eq!(wanted.next(any), Some(want(4)));
        assert_eq!(wanted.next(|hash| hash != Hash([1; 32])), Some(want(3)));
        assert_eq!([wanted.next(any), wanted.next(any), wanted.next(any)], [Some(want(1)), Some(want(2)), None]);
        wanted.give_back(Hash([2; 32]));
        wanted.done(Hash([3; 32]));
        assert_eq!([wanted.next(any), wanted.next(any)], [Some(want(2)), None]);
        assert_eq!(wanted.count(), 3);
    }

    #[test]
    fn the_list_outlasts_the_process_without_what_has_come() {
        let root = tempfile::tempdir().unwrap();
        let vault = Vault::open(&root.path().join("blobs")).unwrap();
        let path = root.path().join("wanted");
        let wanted = Wanted::open(&path, &vault);
        assert_eq!(wanted.cursor(), None);
        wanted.add(&[want(1)], None).unwrap();
        let mut writer = vault.writer();
        writer.write(b"here").unwrap();
        let (here, _) = writer.finish().unwrap();
        wanted.add(&[Want { content: here, bytes: 4 }, want(2)], Some((7, Hash([9; 32])))).unwrap();
        // The machine went down in the middle of a line.
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"@ 8 aaaa").unwrap();
        let again = Wanted::open(&path, &vault);
        assert_eq!((again.cursor(), again.count()), (Some((7, Hash([9; 32]))), 2));
        again.add(&[want(3)], Some((9, Hash([8; 32])))).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert!(!text.contains(&here.to_string()) && !text.contains("aaaa"), "{text}");
        let third = Wanted::open(&path, &vault);
        assert_eq!((third.cursor(), third.count()), (Some((9, Hash([8; 32]))), 3));
        // The history comes last, also in the next life.
        third.add_of_history(&[want(4), want(3)]).unwrap();
        let fourth = Wanted::open(&path, &vault);
        let order: Vec<_> = std::iter::from_fn(|| fourth.next(|_| true)).collect();
        assert_eq!(order, [want(3), want(2), want(1), want(4)]);
    }
}
