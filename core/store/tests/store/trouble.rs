//! A disk that is full or fails, at each write of a commit in turn: the commit fails with the right words, nothing of
//! it is there, and the next one works once the trouble is over.

use std::path::Path;
use std::sync::Arc;

use mytism_disk_under_test::{Dice, Disk, Trouble};
use mytism_store::sqlite::SqliteStore;
use mytism_store::{Store, StoreError};
use tempfile::TempDir;

use super::work::{Writer, content, flaws, schema};

/// A database with some commits in it, on a disk under test.
struct Place {
    directory: TempDir,
    disk: Disk,
    store: SqliteStore,
    writer: Writer,
    dice: Dice,
}

impl Place {
    fn new(seed: u64) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let disk = Disk::watch(directory.path()).unwrap();
        let schema = schema(tempfile::tempdir().unwrap().path());
        let store = SqliteStore::create(directory.path(), Arc::clone(&schema)).unwrap();
        let mut place = Self { directory, disk, store, writer: Writer::new(&schema, 20_000), dice: Dice::new(seed) };
        (0..5).for_each(|_| place.commit().unwrap());
        place
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        self.writer.commit(&self.store, &mut self.dice)
    }

    /// What a new process finds after the power was lost now.
    fn after_a_loss_of_power(&mut self) -> u64 {
        let directory = tempfile::tempdir().unwrap();
        self.disk.recording().lose_power(self.disk.now(), &mut self.dice, directory.path()).unwrap();
        drop(SqliteStore::open(directory.path()).unwrap());
        content(directory.path()).unwrap()
    }
}

/// Commits with trouble at each step until the trouble comes too late to matter. Returns how many commits failed.
fn each_step(trouble: Trouble, right: fn(&StoreError) -> bool, code: &str) -> usize {
    let mut place = Place::new(1);
    let mut failed = 0;
    for step in 0.. {
        let before = content(place.path()).unwrap();
        place.disk.trouble(trouble, step);
        let result = place.commit();
        let felt = place.disk.relieve();
        match result {
            Ok(()) if felt == 0 => break,
            // A checkpoint that fails is tried again later; the commit stands.
            Ok(()) => {}
            Err(error) => {
                assert!(right(&error), "at step {step}: {error:?}");
                assert_eq!(error.failure().code, code);
                assert_eq!(content(place.path()).unwrap(), before, "at step {step}");
                failed += 1;
            }
        }
        place.commit().unwrap();
        let now = content(place.path()).unwrap();
        assert_eq!(place.after_a_loss_of_power(), now, "at step {step}");
    }
    assert_eq!(flaws(place.path()).unwrap(), "");
    failed
}

#[test]
fn a_full_disk_at_each_write() {
    let failed = each_step(Trouble::Full, |error| matches!(error, StoreError::Full(_)), "disk-full");
    assert!(failed > 3, "{failed}");
}

#[test]
fn a_failing_disk_at_each_write_and_sync() {
    let failed = each_step(Trouble::Failing, |error| matches!(error, StoreError::Disk(_)), "disk-error");
    assert!(failed > 4, "{failed}");
}

/// A commit whose sync fails lies whole in the log of writes, and still must not come back after a loss of power.
#[test]
fn what_was_refused_stays_away() {
    let mut place = Place::new(2);
    for round in 0..20 {
        let before = content(place.path()).unwrap();
        place.disk.trouble(Trouble::Sync, 0);
        assert!(matches!(place.commit(), Err(StoreError::Disk(_))));
        assert_eq!(place.disk.relieve(), 1);
        for _ in 0..5 {
            assert_eq!(place.after_a_loss_of_power(), before, "round {round}: a refused commit is there");
        }
        if round % 3 == 0 {
            place.commit().unwrap();
        }
    }
}

/// Views taken before and during the trouble go on, and nothing is lost when the node is closed in the middle of it.
#[test]
fn reading_goes_on_while_the_disk_is_full() {
    let mut place = Place::new(3);
    let before = place.store.view().unwrap();
    let head = before.head().unwrap();
    place.disk.trouble(Trouble::Full, 0);
    assert!(matches!(place.commit(), Err(StoreError::Full(_))));
    assert_eq!(before.head().unwrap(), head);
    assert_eq!(place.store.view().unwrap().head().unwrap(), head);
    let content_before = content(place.path()).unwrap();
    let Place { directory, disk, store, .. } = place;
    drop((before, store));
    assert!(disk.relieve() > 0);
    drop(SqliteStore::open(directory.path()).unwrap());
    assert_eq!(content(directory.path()).unwrap(), content_before);
}

/// A disk that is full while the database is made: it fails, and can be made when there is room.
#[test]
fn making_a_database_fails_at_each_step() {
    let schema = schema(tempfile::tempdir().unwrap().path());
    let mut failed = 0;
    for trouble in [Trouble::Full, Trouble::Failing] {
        for step in 0.. {
            let directory = tempfile::tempdir().unwrap();
            let disk = Disk::watch(directory.path()).unwrap();
            disk.trouble(trouble, step);
            let made = SqliteStore::create(directory.path(), Arc::clone(&schema));
            let felt = disk.relieve();
            match made {
                Ok(_) if felt == 0 => break,
                Ok(_) => {}
                Err(error) => {
                    let known = ["disk-full", "disk-error", "read-only"];
                    assert!(known.contains(&error.failure().code.as_str()), "at step {step}: {error:?}");
                    let open = SqliteStore::open(directory.path()).err().unwrap().failure().code;
                    assert!(["no-project", "unfinished-database"].contains(&open.as_str()), "at step {step}: {open}");
                    drop(SqliteStore::create(directory.path(), Arc::clone(&schema)).unwrap());
                    failed += 1;
                }
            }
        }
    }
    assert!(failed > 20, "{failed}");
}
