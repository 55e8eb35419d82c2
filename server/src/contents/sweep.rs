//! Once a day: what nothing names goes from the vault, and what only the history names comes into it.
//!
//! The log is never changed, and whatever was undone or lost a conflict can be taken back, so a content that an entry
//! names is needed for ever. What goes is what no entry ever named: files that were brought and never saved, and
//! transfers that broke off. As long as the history is not all here, nothing goes.
//!
//! Which contents the log names is kept in a file with the entry up to which that is known: a line `= HASH` for each,
//! a line `@ NUMBER HASH` for the entry. So the log is read once and not every day. A file that is lost or torn costs
//! that again.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use mytism_app::AppError;
use mytism_core::failure::Failure;
use mytism_core::id::Hash;
use mytism_vault::{Grace, Swept};

use super::failure;
use super::watch::{lacking, unnoted};
use crate::node::Shared;

/// Pause before the first look after a start, which has enough to do.
const FIRST: Duration = Duration::from_secs(10);
/// Between two looks at whether something is to do.
const PAUSE: Duration = Duration::from_secs(60);
/// Between two times that it is done.
const DAILY: Duration = Duration::from_secs(86_400);
/// Between two steps through the log, so that others reach the disk as well.
const BREATH: Duration = Duration::from_millis(2);
/// While contents are on their way, what came of them stays so many times as long.
const UNDER_WAY: u32 = 4;

/// Works until the node stops.
pub(crate) async fn run(shared: Arc<Shared>, file: PathBuf) {
    let mut stopping = shared.stopping();
    let mut pause = FIRST;
    loop {
        tokio::select! {
            () = stopping.wait() => return,
            () = tokio::time::sleep(pause) => {}
        }
        pause = PAUSE;
        if !is_due(&file) {
            continue;
        }
        let (work, file) = (Arc::clone(&shared), file.clone());
        // A panic has been reported where it happened.
        match tokio::task::spawn_blocking(move || sweep(&work, &file)).await {
            Ok(Ok(Some(swept))) if swept.files > 0 => tracing::info!(
                "{} contents of files that nothing ever named were removed, {} bytes in all",
                swept.contents,
                swept.bytes
            ),
            Ok(Err(failure)) => tracing::warn!("contents of files that nothing names cannot be removed: {failure}"),
            Ok(Ok(_)) | Err(_) => {}
        }
    }
}

/// Whether it was not done within a day.
fn is_due(file: &Path) -> bool {
    let done = fs::metadata(file).and_then(|metadata| metadata.modified());
    // A time that lies ahead is one of another clock.
    done.map_or(true, |done| done.elapsed().map_or(true, |passed| passed >= DAILY))
}

/// Does it; nothing where it cannot be known yet what is needed, or the node goes down.
fn sweep(shared: &Shared, path: &Path) -> Result<Option<Swept>, Failure> {
    let (app, contents) = (&shared.app, &shared.contents);
    let failed = |error: AppError| error.failure();
    if app.history_begin().map_err(failed)?.is_some() {
        return Ok(None);
    }
    let grace = shared.live().files_grace;
    let staged = if contents.wanted.count() == 0 { grace } else { grace * UNDER_WAY };
    // What was untouched before the log was looked through: whoever names one of these later touches it.
    let mut unneeded = contents.vault.untouched(grace).map_err(|error| failure(&error))?;
    let unwritten = |error: io::Error| unnoted(&error);
    let mut known = Known::open(path, &mut unneeded).map_err(unwritten)?;
    if let Some((number, hash)) = known.end
        && app.entry_hash(number).map_err(failed)? != Some(hash)
    {
        // The log goes another way since.
        known = Known::begin(path).map_err(unwritten)?;
    }
    while let Some(named) = app.contents_after(known.end.map_or(0, |(number, _)| number)).map_err(failed)? {
        if shared.is_stopping() {
            return Ok(None);
        }
        contents.wanted.add_of_history(&lacking(contents, &named.blobs)).map_err(unwritten)?;
        let hashes: HashSet<Hash> = named.blobs.iter().map(mytism_core::blob::Blob::hash).collect();
        known.add(&hashes, named.end).map_err(unwritten)?;
        unneeded.retain(|hash| !hashes.contains(hash));
        std::thread::sleep(BREATH);
    }
    known.finish().map_err(unwritten)?;
    leave_what_waits_or_stands(shared, &mut unneeded).map_err(failed)?;
    contents.vault.sweep(&unneeded, Grace { contents: grace, staged }).map(Some).map_err(|error| failure(&error))
}

/// What pending transactions and objects name is needed as well. Of the objects the log should know, but no more than a
/// look at them stands between a defect there and the loss of a file.
fn leave_what_waits_or_stands(shared: &Shared, unneeded: &mut HashSet<Hash>) -> Result<(), AppError> {
    let mut place = i64::MIN;
    while let Some((blobs, last)) = shared.app.contents_of_pending(place)? {
        blobs.iter().for_each(|blob| _ = unneeded.remove(&blob.hash()));
        place = last;
    }
    let mut after = 0;
    while !unneeded.is_empty()
        && let Some((blobs, last)) = shared.app.contents_of_objects(after)?
    {
        blobs.iter().for_each(|blob| _ = unneeded.remove(&blob.hash()));
        after = last;
    }
    Ok(())
}

/// Which contents the log names; see the module.
struct Known {
    file: File,
    /// The entry up to which that is known.
    end: Option<(u64, Hash)>,
}

impl Known {
    /// Reads the file, and takes what it names away from `unneeded`.
    fn open(path: &Path, unneeded: &mut HashSet<Hash>) -> io::Result<Self> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Self::begin(path),
            Err(error) => return Err(error),
        };
        let mut end = None;
        // What stands behind the last entry was not finished, and is added again.
        for line in BufReader::new(file).lines() {
            let Ok(line) = line else { return Self::begin(path) };
            match line.split(' ').collect::<Vec<_>>().as_slice() {
                ["=", hash] => match Hash::from_hex(hash) {
                    Some(hash) => _ = unneeded.remove(&hash),
                    None => return Self::begin(path),
                },
                ["@", number, hash] => end = number.parse().ok().zip(Hash::from_hex(hash)),
                _ => return Self::begin(path),
            }
            if line.starts_with('@') && end.is_none() {
                return Self::begin(path);
            }
        }
        Ok(Self { file: OpenOptions::new().append(true).open(path)?, end })
    }

    /// Knows nothing yet.
    fn begin(path: &Path) -> io::Result<Self> {
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory)?;
        }
        Ok(Self { file: File::create(path)?, end: None })
    }

    /// What the entries up to one name. The names are on the disk when the place of that entry is.
    fn add(&mut self, hashes: &HashSet<Hash>, end: (u64, Hash)) -> io::Result<()> {
        let text: String = hashes.iter().map(|hash| format!("= {hash}\n")).collect();
        self.file.write_all(text.as_bytes())?;
        self.end = Some(end);
        Ok(())
    }

    /// Notes up to where it is known, also that it is known today.
    fn finish(mut self) -> io::Result<()> {
        self.file.sync_all()?;
        if let Some((number, hash)) = self.end {
            self.file.write_all(format!("@ {number} {hash}\n").as_bytes())?;
            self.file.sync_all()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_log_names_is_known_the_next_day() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("state/named");
        let hash = |byte: u8| Hash([byte; 32]);
        assert!(is_due(&path));
        let mut unneeded = HashSet::from([hash(1), hash(2)]);
        let mut known = Known::open(&path, &mut unneeded).unwrap();
        known.add(&HashSet::from([hash(1)]), (7, hash(9))).unwrap();
        known.finish().unwrap();
        assert!(!is_due(&path));
        let again = Known::open(&path, &mut unneeded).unwrap();
        assert_eq!((again.end, &unneeded), (Some((7, hash(9))), &HashSet::from([hash(2)])));
        // What was torn is made anew, and what it may have named wrongly only stays.
        for torn in ["= abc", "@ x y\n", "something\n"] {
            let mut text = fs::read_to_string(&path).unwrap();
            text.push_str(torn);
            fs::write(&path, text).unwrap();
            assert_eq!(Known::open(&path, &mut unneeded).unwrap().end, None, "{torn}");
            assert_eq!(fs::read_to_string(&path).unwrap(), "");
        }
        File::open(&path).unwrap().set_modified(std::time::SystemTime::now() - DAILY).unwrap();
        assert!(is_due(&path));
    }

    #[test]
    fn a_name_without_its_entry_is_read_again() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("named");
        let mut known = Known::begin(&path).unwrap();
        known.add(&HashSet::from([Hash([1; 32])]), (7, Hash([9; 32]))).unwrap();
        drop(known);
        assert_eq!(Known::open(&path, &mut HashSet::new()).unwrap().end, None);
    }
}
