//! Files that were damaged, exchanged or locked: each is told by its code, and nothing about them is changed.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use mytism_disk_under_test::{Dice, Disk, Trouble};
use mytism_store::sqlite::SqliteStore;
use mytism_store::{Store, StoreError};
use rusqlite::Connection;
use tempfile::TempDir;

use super::work::{Writer, content, schema};

/// A closed database with some commits in it.
fn database() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let schema = schema(tempfile::tempdir().unwrap().path());
    let store = SqliteStore::create(directory.path(), Arc::clone(&schema)).unwrap();
    let (mut writer, mut dice) = (Writer::new(&schema, 4_000), Dice::new(7));
    (0..60).for_each(|_| writer.commit(&store, &mut dice).unwrap());
    drop(store);
    directory
}

/// The content of the files of a database; an empty log of writes says nothing, like none.
fn files(directory: &Path) -> [Vec<u8>; 3] {
    ["objects.db", "objects.db-wal", "objects.db-journal"]
        .map(|name| fs::read(directory.join(name)).unwrap_or_default())
}

/// Damages a database, and looks what opening it says.
#[track_caller]
fn check(damage: impl FnOnce(&Path), expected: &str) {
    let directory = database();
    damage(&directory.path().join("objects.db"));
    let before = files(directory.path());
    let error = SqliteStore::open(directory.path()).err().expect("it is refused");
    let failure = error.failure();
    assert_eq!(failure.code, expected, "{failure:?}");
    assert!(!failure.hint.is_empty() && !failure.message.is_empty());
    assert!(files(directory.path()) == before, "something was changed");
}

fn change(path: &Path, damage: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    damage(&mut bytes);
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_damaged_file_is_told() {
    check(|path| change(path, |bytes| bytes[..16].fill(b'x')), "database-damaged");
    check(|path| change(path, |bytes| bytes[16..40].fill(0xff)), "database-damaged");
    check(|path| change(path, |bytes| bytes[100..4096].fill(0)), "database-damaged");
    check(|path| change(path, |bytes| bytes.truncate(bytes.len() / 2)), "database-damaged");
    check(|path| change(path, |bytes| bytes.truncate(100)), "database-damaged");
    check(|path| fs::write(path, "Dear customers, this is a letter.").unwrap(), "database-damaged");
    check(|path| fs::write(path, vec![0; 100_000]).unwrap(), "database-damaged");
    check(|path| fs::write(path, "").unwrap(), "unfinished-database");
}

#[test]
fn another_file_in_its_place_is_told() {
    check(|path| fs::remove_file(path).unwrap(), "no-project");
    let exchanged = |statements: &'static str| {
        move |path: &Path| {
            fs::remove_file(path).unwrap();
            Connection::open(path).unwrap().execute_batch(statements).unwrap();
        }
    };
    check(exchanged("CREATE TABLE recipes(id INTEGER)"), "database-damaged");
    check(exchanged("CREATE TABLE mytism_meta(key TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID"), "database-damaged");
    check(exchanged("VACUUM"), "unfinished-database");
    check(
        |path| {
            fs::remove_file(path).unwrap();
            fs::create_dir(path).unwrap();
        },
        "file-error",
    );
    let inside =
        |statement: &'static str| move |path: &Path| Connection::open(path).unwrap().execute_batch(statement).unwrap();
    check(inside("UPDATE mytism_meta SET value = x'000000ff' WHERE key = 'format'"), "newer-database");
    check(inside("UPDATE mytism_meta SET value = x'00' WHERE key = 'format'"), "database-damaged");
    check(inside("UPDATE mytism_meta SET value = x'00' WHERE key = 'schema'"), "database-damaged");
    check(inside("DELETE FROM mytism_meta WHERE key = 'schema'"), "database-damaged");
}

/// An empty file beside a log of writes is damage, and the log of writes must stay.
#[test]
fn an_emptied_file_keeps_its_log_of_writes() {
    let unfilled = |path: &Path| {
        let wal = path.with_extension("db-wal");
        let store = SqliteStore::open(path.parent().unwrap()).unwrap();
        Writer::properties_only(&store.schema()).commit(&store, &mut Dice::new(1)).unwrap();
        let log = fs::read(&wal).unwrap();
        drop(store);
        fs::write(wal, log).unwrap();
        fs::write(path, "").unwrap();
    };
    check(unfilled, "database-damaged");
    check(
        |path| {
            unfilled(path);
            fs::remove_file(path).unwrap();
        },
        "no-project",
    );
    let directory = database();
    unfilled(&directory.path().join("objects.db"));
    let schema = schema(tempfile::tempdir().unwrap().path());
    let made = SqliteStore::create(directory.path(), schema);
    assert!(matches!(made, Err(StoreError::Exists { .. })));
}

/// Damage somewhere inside is told as damage when it is met, by whoever meets it; nothing panics.
#[test]
fn damage_inside_is_told_when_it_is_met() {
    let directory = database();
    let whole = fs::read(directory.path().join("objects.db")).unwrap();
    let mut told = 0;
    for seed in 0..60 {
        let mut dice = Dice::new(seed);
        let mut bytes = whole.clone();
        let page = 4096 * (1 + dice.below(bytes.len() / 4096 - 1));
        match dice.below(3) {
            0 => bytes[page..page + 4096].fill(0),
            1 => bytes[page..page + 4096].iter_mut().for_each(|byte| *byte = dice.throw().to_le_bytes()[0]),
            _ => (0..20).for_each(|_| bytes[page + dice.below(16)] = dice.throw().to_le_bytes()[0]),
        }
        fs::write(directory.path().join("objects.db"), bytes).unwrap();
        if let Err(error) = use_everything(directory.path(), &mut dice) {
            let code = error.failure().code;
            assert!(["database-damaged", "newer-database"].contains(&code.as_str()), "seed {seed}: {error:?}");
            told += 1;
        }
    }
    // Some pages hold nothing that anybody looks at.
    assert!(told > 25, "{told}");
}

fn use_everything(directory: &Path, dice: &mut Dice) -> Result<(), StoreError> {
    let store = SqliteStore::open(directory)?;
    let view = store.view()?;
    view.head()?;
    view.objects_after(0, u32::MAX)?;
    view.log_after(0, u32::MAX, usize::MAX)?;
    view.pending_after(i64::MIN, u32::MAX, usize::MAX)?;
    view.quarantine()?;
    for id in 70_000..70_200 {
        let object = mytism_core::id::ObjectId::new(id).unwrap();
        view.history_after(object, 0)?;
        view.underlay(object)?;
        view.pending_of(object)?;
    }
    Writer::properties_only(&store.schema()).commit(&store, dice)
}

#[test]
fn a_database_in_use_is_told() {
    let directory = database();
    let store = SqliteStore::open(directory.path()).unwrap();
    let second = SqliteStore::open(directory.path()).err().unwrap();
    assert_eq!(second.failure().code, "project-in-use");
    let other = Connection::open(directory.path().join("objects.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut writer = Writer::properties_only(&store.schema());
    let busy = writer.commit(&store, &mut Dice::new(1)).unwrap_err();
    assert_eq!(busy.failure().code, "database-busy");
    drop(other);
    writer.commit(&store, &mut Dice::new(1)).unwrap();
}

#[test]
fn a_database_that_may_only_be_read_is_told() {
    let directory = database();
    let before = files(directory.path());
    let disk = Disk::watch(directory.path()).unwrap();
    disk.trouble(Trouble::ReadOnly, 0);
    let error = SqliteStore::open(directory.path()).err().unwrap();
    assert_eq!(error.failure().code, "read-only");
    assert!(disk.relieve() > 0);
    assert!(files(directory.path()) == before, "something was changed");
    let held = content(directory.path()).unwrap();
    drop(SqliteStore::open(directory.path()).unwrap());
    assert_eq!(content(directory.path()).unwrap(), held);
}

/// A database as a killed process leaves it: with a log of writes.
fn killed() -> TempDir {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let schema = schema(tempfile::tempdir().unwrap().path());
    let store = SqliteStore::create(from.path(), Arc::clone(&schema)).unwrap();
    let (mut writer, mut dice) = (Writer::new(&schema, 4_000), Dice::new(7));
    (0..30).for_each(|_| writer.commit(&store, &mut dice).unwrap());
    for name in ["objects.db", "objects.db-wal"] {
        fs::copy(from.path().join(name), to.path().join(name)).unwrap();
    }
    to
}

/// Damages the log of writes; whether the database opens then.
fn opens(damage: impl FnOnce(&mut Vec<u8>)) -> bool {
    let directory = killed();
    change(&directory.path().join("objects.db-wal"), damage);
    let before = files(directory.path());
    match SqliteStore::open(directory.path()) {
        Ok(_) => true,
        Err(error) => {
            assert_eq!(error.failure().code, "database-damaged");
            assert!(files(directory.path()) == before, "something was changed");
            false
        }
    }
}

/// Commits that were safe are not dropped in silence; only the end of the log may be what a loss of power left.
#[test]
fn a_damaged_log_of_writes_is_told() {
    const FRAME: usize = 24 + 4096;
    let frames = (fs::metadata(killed().path().join("objects.db-wal")).unwrap().len() - 32) / FRAME as u64;
    let frames = usize::try_from(frames).unwrap();
    assert!(frames > 100, "{frames}");
    assert!(opens(|_| ()));
    for frame in [0, 1, 7, frames / 2, frames - 20] {
        for at in [0, 4, 8, 16, 24, 2_000, FRAME - 1] {
            assert!(!opens(|log| log[32 + frame * FRAME + at] ^= 0x10), "frame {frame}, byte {at}");
        }
        assert!(!opens(|log| log[32 + frame * FRAME..][..FRAME].fill(0)), "frame {frame}");
    }
    for at in [0, 9, 17, 25] {
        assert!(!opens(|log| log[at] ^= 0x10), "byte {at} of the header");
    }
    // What nobody followed upon may have been under way.
    assert!(opens(|log| log[32 + (frames - 1) * FRAME + 24] ^= 0x10));
    assert!(opens(|log| log.truncate(32 + (frames - 1) * FRAME + 500)));
    assert!(opens(|log| log.extend([7; 10_000])));
}
