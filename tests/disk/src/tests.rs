//! The disk under test, tested: with the engine alone on it, honest settings lose nothing and others do.

use std::path::Path;

use rusqlite::{Connection, ErrorCode};

use super::{Dice, Disk, Moment, Recording, Trouble};

const ROWS: i64 = 40;

/// Writes rows one by one, and returns when each of them was acknowledged.
fn fill(path: &Path, disk: &Disk, journal: &str, synchronous: &str) -> Vec<Moment> {
    let connection = open(path, journal, synchronous);
    connection.pragma_update(None, "wal_autocheckpoint", 12).unwrap();
    connection.execute_batch("CREATE TABLE kept(id INTEGER PRIMARY KEY, text TEXT)").unwrap();
    let row = |id: i64| {
        connection.execute("INSERT INTO kept(text) VALUES (?)", [format!("{id}").repeat(900)]).unwrap();
        disk.now()
    };
    (0..ROWS).map(row).collect()
}

fn open(path: &Path, journal: &str, synchronous: &str) -> Connection {
    let connection = Connection::open(path).unwrap();
    connection.pragma_update(None, "journal_mode", journal).unwrap();
    connection.pragma_update(None, "synchronous", synchronous).unwrap();
    connection
}

/// How many rows a loss of power at that moment left; `None` for a database that cannot be read or is damaged.
fn left(recording: &Recording, at: Moment, seed: u64) -> Option<i64> {
    let directory = tempfile::tempdir().unwrap();
    recording.lose_power(at, &mut Dice::new(seed), directory.path()).unwrap();
    let connection = Connection::open(directory.path().join("db")).ok()?;
    let sound: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).ok()?;
    let count = connection.query_row("SELECT count(*) FROM kept", [], |row| row.get(0)).ok()?;
    (sound == "ok").then_some(count)
}

/// Plays losses of power, and returns how many of them lost what was acknowledged.
fn losses(journal: &str, synchronous: &str, lies: bool) -> usize {
    let directory = tempfile::tempdir().unwrap();
    let disk = Disk::watch(directory.path()).unwrap();
    if lies {
        disk.lie();
    }
    let acknowledged = fill(&directory.path().join("db"), &disk, journal, synchronous);
    let (recording, first) = (disk.recording(), acknowledged[0].0);
    let lost = |seed: &u64| {
        let at = Moment(first + Dice::new(*seed).below(recording.end().0 - first + 1));
        let sure = acknowledged.iter().filter(|moment| **moment <= at).count();
        left(&recording, at, *seed).is_none_or(|rows| usize::try_from(rows).unwrap() < sure)
    };
    (0..60).filter(lost).count()
}

#[test]
fn what_the_engine_promises_holds_and_what_it_does_not_is_lost() {
    for (journal, synchronous, lies, loses) in [
        ("WAL", "FULL", false, false),
        ("DELETE", "EXTRA", false, false),
        ("WAL", "NORMAL", false, true),
        ("WAL", "OFF", false, true),
        ("DELETE", "OFF", false, true),
        ("WAL", "FULL", true, true),
        ("DELETE", "FULL", true, true),
    ] {
        let lost = losses(journal, synchronous, lies);
        assert_eq!(lost > 0, loses, "{journal} {synchronous}, lies: {lies}: {lost} of 60 lost something");
    }
}

#[test]
fn the_same_dice_leave_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let disk = Disk::watch(directory.path()).unwrap();
    fill(&directory.path().join("db"), &disk, "WAL", "NORMAL");
    let image = |seed: u64| {
        let directory = tempfile::tempdir().unwrap();
        let at = Moment(disk.now().0 - 5);
        disk.recording().lose_power(at, &mut Dice::new(seed), directory.path()).unwrap();
        ["db", "db-wal", "db-shm"].map(|name| std::fs::read(directory.path().join(name)).ok())
    };
    assert!((0..20).all(|seed| image(seed) == image(seed)));
    assert!((1..20).any(|seed| image(seed) != image(0)));
}

#[test]
fn trouble_is_felt_and_passes() {
    for (trouble, code) in [(Trouble::Full, ErrorCode::DiskFull), (Trouble::Failing, ErrorCode::SystemIoFailure)] {
        let directory = tempfile::tempdir().unwrap();
        let disk = Disk::watch(directory.path()).unwrap();
        let connection = open(&directory.path().join("db"), "WAL", "FULL");
        connection.execute_batch("CREATE TABLE kept(id INTEGER PRIMARY KEY, text TEXT)").unwrap();
        disk.trouble(trouble, 1);
        let error = connection.execute("INSERT INTO kept(text) VALUES ('a')", []).unwrap_err();
        assert_eq!(error.sqlite_error_code(), Some(code));
        assert!(disk.relieve() > 0);
        connection.execute("INSERT INTO kept(text) VALUES ('a')", []).unwrap();
        assert_eq!(disk.relieve(), 0);
    }
}

#[test]
fn what_was_there_is_safe_and_other_directories_are_left_alone() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    drop(open(&one.path().join("db"), "WAL", "FULL").execute_batch("CREATE TABLE kept(id INTEGER)"));
    let disk = Disk::watch(one.path()).unwrap();
    drop(open(&other.path().join("db"), "WAL", "FULL").execute_batch("CREATE TABLE kept(id INTEGER)"));
    assert_eq!(disk.recording().end(), Moment(0));
    for seed in 0..10 {
        assert_eq!(left(&disk.recording(), Moment(0), seed), Some(0));
    }
    assert_eq!(disk.recording().writes("db"), 0);
    drop(open(&one.path().join("db"), "WAL", "FULL").execute_batch("INSERT INTO kept VALUES (1)"));
    assert!(disk.recording().writes("db") > 0 && disk.recording().syncs() > 0);
}
