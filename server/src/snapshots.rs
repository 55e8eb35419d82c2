//! The snapshots of a head office: made when a branch asks for one, used again while it is young, kept while somebody
//! reads it.
//!
//! Each is a directory of the number of its position under `data/snapshots`. One that is being made has another name,
//! and what was broken off is taken away at the next start. What stands in them is not known here.

use std::collections::HashMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use mytism_app::snapshot::directory::{self, manifest_file, read_manifest};
use mytism_app::{App, AppError};
use mytism_core::failure::Failure;
use mytism_core::id::Hash;
use mytism_format::manifest::Manifest;

use crate::project::{file_failure, make_directory};

/// A snapshot is used again for so long, so that branches that join one after another share one.
const YOUNG: Duration = Duration::from_secs(10 * 60);
/// And while no more entries follow it: they come one by one to the branch, which costs more than objects do.
const TAIL: u64 = 20_000;

/// See the module.
pub(crate) struct Snapshots {
    place: PathBuf,
    /// How many read each one.
    readers: Mutex<HashMap<PathBuf, usize>>,
    /// Held while one is made.
    making: Mutex<()>,
}

/// A snapshot that stays as long as this does.
pub(crate) struct Held {
    snapshots: Arc<Snapshots>,
    directory: PathBuf,
}

impl Snapshots {
    /// Those of a node whose data stand there. What was left half made is taken away.
    pub(crate) fn at(data: &Path) -> Arc<Self> {
        let place = data.join("snapshots");
        for path in list(&place) {
            if number(&path).is_none() || !manifest_file(&path).exists() {
                remove(&path);
            }
        }
        Arc::new(Self { place, readers: Mutex::default(), making: Mutex::default() })
    }

    /// A snapshot that is young enough, made anew where there is none. Waits while another one is made.
    ///
    /// # Errors
    /// When the database cannot be read or the disk refuses.
    pub(crate) fn latest(self: &Arc<Self>, app: &App) -> Result<Held, AppError> {
        let making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        let newest = list(&self.place).into_iter().filter_map(|path| Some((number(&path)?, path))).max();
        if let Some((number, path)) = newest
            && is_fit(app, number, &path)?
        {
            return Ok(self.hold(path));
        }
        let made = self.make(app)?;
        let held = self.hold(made);
        drop(making);
        self.tidy_up(&held.directory);
        Ok(held)
    }

    fn make(&self, app: &App) -> Result<PathBuf, AppError> {
        let began = std::time::Instant::now();
        make_directory(&self.place)?;
        let new = self.place.join("new");
        remove(&new);
        make_directory(&new)?;
        let manifest = app.write_snapshot(&new, &mut |_, _| {})?;
        let path = self.place.join(manifest.position.number.to_string());
        self.forget(&path);
        fs::rename(&new, &path).map_err(|error| file_failure("rename", &new, &error))?;
        tracing::info!(
            "a snapshot of {} objects at entry {} took {:.1} s",
            manifest.objects,
            manifest.position,
            began.elapsed().as_secs_f64()
        );
        Ok(path)
    }

    fn readers(&self) -> MutexGuard<'_, HashMap<PathBuf, usize>> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hold(self: &Arc<Self>, directory: PathBuf) -> Held {
        *self.readers().entry(directory.clone()).or_default() += 1;
        Held { snapshots: Arc::clone(self), directory }
    }

    /// Takes all away that nobody reads, but for one.
    fn tidy_up(&self, but: &Path) {
        let readers = self.readers();
        list(&self.place)
            .iter()
            .filter(|path| *path != but && !readers.contains_key(*path))
            .for_each(|path| remove(path));
    }

    /// Takes one away where another takes its name: one of the same position is damaged or too old. Whoever reads it is
    /// told that parts are missing.
    fn forget(&self, path: &Path) {
        remove(path);
        self.readers().remove(path);
    }

    /// Takes away what is too old to be used again and read by nobody.
    pub(crate) fn age(&self) {
        let Ok(_nobody_makes) = self.making.try_lock() else { return };
        let readers = self.readers();
        list(&self.place)
            .iter()
            .filter(|path| !is_young(path) && !readers.contains_key(*path))
            .for_each(|path| remove(path));
    }
}

impl Held {
    /// The stored bytes of its manifest.
    ///
    /// # Errors
    /// When they cannot be read.
    pub(crate) fn manifest(&self) -> Result<Vec<u8>, Failure> {
        let path = manifest_file(&self.directory);
        fs::read(&path).map_err(|error| file_failure("read", &path, &error))
    }

    /// The stored bytes of a part. One that is missing or damaged spoils the snapshot: nobody gets it any more.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn part(&self, hash: Hash) -> Result<Option<Vec<u8>>, AppError> {
        let part = directory::read_part(&self.directory, hash)?;
        if part.is_none() && read_manifest(&self.directory)?.is_some_and(|manifest| holds(&manifest, hash)) {
            tracing::warn!("the snapshot in {} is damaged and is not used any more", self.directory.display());
            remove(&manifest_file(&self.directory));
        }
        Ok(part)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut readers = self.snapshots.readers();
        if let Some(count) = readers.get_mut(&self.directory) {
            *count -= 1;
            if *count == 0 {
                readers.remove(&self.directory);
            }
        }
    }
}

fn holds(manifest: &Manifest, hash: Hash) -> bool {
    manifest.parts.iter().any(|part| part.hash == hash)
}

/// Whether a snapshot may be given to one more branch: it is whole and young, and what follows it in this very log is
/// short.
fn is_fit(app: &App, number: u64, path: &Path) -> Result<bool, AppError> {
    // One that cannot be read is made anew.
    let Ok(Some(manifest)) = read_manifest(path) else { return Ok(false) };
    let view = app.view()?;
    let end = view.head()?.map_or(0, |head| head.position.number);
    let is_ours = view.log_row(number)?.is_some_and(|row| row.hash == manifest.hash);
    Ok(is_ours && end.saturating_sub(number) <= TAIL && is_young(path))
}

fn is_young(path: &Path) -> bool {
    let made = fs::metadata(manifest_file(path)).and_then(|found| found.modified());
    // A clock that was set back makes none younger than now.
    made.is_ok_and(|made| SystemTime::now().duration_since(made).is_ok_and(|age| age < YOUNG))
}

/// The position of a snapshot, which is the name of its directory.
fn number(path: &Path) -> Option<u64> {
    path.file_name()?.to_str()?.parse().ok()
}

fn list(place: &Path) -> Vec<PathBuf> {
    let found = fs::read_dir(place).into_iter().flatten();
    found.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect()
}

fn remove(path: &Path) {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            tracing::warn!("cannot remove {}: {error}", path.display());
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use mytism_app::surroundings::Machine;
    use mytism_store::sqlite::SqliteStore;

    use super::*;

    fn app(directory: &Path) -> App {
        let schema = Arc::new(mytism_schema::project(None).unwrap());
        let store = Arc::new(SqliteStore::create(directory, Arc::clone(&schema)).unwrap());
        App::create_head_office(store, schema, Arc::new(Machine::default()), "hamburg").unwrap()
    }

    fn names(place: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            list(place).iter().map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_young_one_is_used_again_and_an_old_one_goes_when_nobody_reads_it() {
        let directory = tempfile::tempdir().unwrap();
        let app = app(directory.path());
        let snapshots = Snapshots::at(directory.path());
        let first = snapshots.latest(&app).unwrap();
        let made = fs::metadata(manifest_file(&first.directory)).unwrap().modified().unwrap();
        assert_eq!(snapshots.latest(&app).unwrap().directory, first.directory);
        assert_eq!(
            fs::metadata(manifest_file(&first.directory)).unwrap().modified().unwrap(),
            made,
            "it was not made anew"
        );
        let old = SystemTime::now() - 2 * YOUNG;
        fs::File::options().write(true).open(manifest_file(&first.directory)).unwrap().set_modified(old).unwrap();
        snapshots.age();
        assert_eq!(names(&snapshots.place), ["2"], "somebody reads it");
        let directory = first.directory.clone();
        drop(first);
        snapshots.age();
        assert!(!directory.exists());
    }

    #[test]
    fn what_is_damaged_is_told_and_made_anew() {
        let directory = tempfile::tempdir().unwrap();
        let app = app(directory.path());
        let snapshots = Snapshots::at(directory.path());
        let held = snapshots.latest(&app).unwrap();
        let part = directory::understand(&held.manifest().unwrap()).unwrap().parts[0].hash;
        assert!(held.part(part).unwrap().is_some());
        assert!(held.part(Hash([7; 32])).unwrap().is_none(), "one that it does not have");
        assert!(manifest_file(&held.directory).exists());
        fs::write(directory::part_file(&held.directory, part), "x").unwrap();
        assert!(held.part(part).unwrap().is_none());
        let again = snapshots.latest(&app).unwrap();
        assert!(again.part(part).unwrap().is_some());
    }

    #[test]
    fn what_was_broken_off_is_taken_away_at_the_next_start() {
        let directory = tempfile::tempdir().unwrap();
        let app = app(directory.path());
        drop(Snapshots::at(directory.path()).latest(&app).unwrap());
        let place = directory.path().join("snapshots");
        for name in ["new", "7"] {
            make_directory(&place.join(name)).unwrap();
            fs::write(place.join(name).join("part"), "x").unwrap();
        }
        let snapshots = Snapshots::at(directory.path());
        assert_eq!(names(&place), ["2"]);
        // One of a log that went on otherwise is not used.
        fs::rename(place.join("2"), place.join("1")).unwrap();
        drop(snapshots.latest(&app).unwrap());
        assert_eq!(names(&place), ["2"]);
    }
}
