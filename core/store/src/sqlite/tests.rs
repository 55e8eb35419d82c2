//! The journal as it is written and read, and databases of former formats.

use std::path::Path;

use mytism_core::id::{Hash, NodeId, ObjectId, Position, TransactionId};
use mytism_core::journal::Cause;
use mytism_core::time::Timestamp;
use tempfile::TempDir;

use super::*;
use crate::{JournalRow, LogRow, PendingRow, QuarantineRow, Write};

/// As version 0.1.0 made it.
const FORMAT_1: &str = include_str!("../../../../tests/compat/v1/database.sql");

fn store() -> (TempDir, SqliteStore) {
    let directory = tempfile::tempdir().unwrap();
    let schema = Arc::new(mytism_schema::project(None).unwrap());
    let store = SqliteStore::create(directory.path(), schema).unwrap();
    (directory, store)
}

fn row(sequence: u64, at: i64, changes: Option<usize>) -> JournalRow {
    JournalRow {
        sequence,
        at: Timestamp::from_micros(at).unwrap(),
        cause: Cause::Merged,
        transaction: TransactionId { node: NodeId(2), incarnation: 3, counter: sequence + 100 },
        position: sequence.is_multiple_of(2).then_some(sequence / 2),
        changes: changes.map(|bytes| vec![7; bytes]),
    }
}

fn sequences(store: &SqliteStore, after: u64, rows: u32, bytes: usize) -> Vec<u64> {
    store.view().unwrap().journal_after(after, rows, bytes).unwrap().iter().map(|row| row.sequence).collect()
}

#[test]
fn the_journal_is_read_as_it_was_written() {
    let (directory, store) = store();
    assert_eq!(store.view().unwrap().journal_bounds().unwrap(), (0, 0));
    assert_eq!(sequences(&store, 0, 10, usize::MAX), [0; 0]);
    let rows = [row(1, -5, None), row(2, 9, Some(0)), row(3, 7, Some(3))];
    let before = store.view().unwrap();
    store.commit(&rows.clone().map(Write::Journal).to_vec()).unwrap();
    assert_eq!(before.journal_after(0, 10, usize::MAX).unwrap(), [], "a view stays as it is");
    drop(before);
    drop(store);
    let store = SqliteStore::open(directory.path()).unwrap();
    let view = store.view().unwrap();
    assert_eq!(view.journal_after(0, 10, usize::MAX).unwrap(), rows);
    assert_eq!(view.journal_bounds().unwrap(), (1, 3));
    let backwards = view.journal_before(3, 10, usize::MAX).unwrap();
    assert_eq!(backwards, [rows[1].clone(), rows[0].clone()]);
    store.commit(&vec![Write::JournalChanges { sequence: 1, changes: vec![4] }]).unwrap();
    let told = store.view().unwrap().journal_before(2, 10, usize::MAX).unwrap();
    assert_eq!(told, [JournalRow { changes: Some(vec![4]), ..rows[0].clone() }]);
    assert!(store.commit(&vec![Write::Journal(row(3, 7, None))]).is_err(), "no place is given twice");
}

#[test]
fn the_journal_is_read_in_parts() {
    let (_directory, store) = store();
    let batch = (1..=6).map(|number| Write::Journal(row(number, 0, Some(100)))).collect();
    store.commit(&batch).unwrap();
    let check = |after, rows, bytes, expected: &[u64]| {
        assert_eq!(sequences(&store, after, rows, bytes), expected, "{after} {rows} {bytes}");
    };
    check(0, 2, usize::MAX, &[1, 2]);
    check(2, 9, usize::MAX, &[3, 4, 5, 6]);
    check(2, 9, 101, &[3, 4]);
    check(2, 9, 100, &[3]);
    check(2, 9, 0, &[3]);
    check(6, 9, usize::MAX, &[]);
    check(u64::MAX, 9, usize::MAX, &[]);
}

#[test]
fn trimming_keeps_the_last_row() {
    let (_directory, store) = store();
    let batch = (1..=5).map(|number| Write::Journal(row(number, 10 * number.cast_signed(), None))).collect();
    store.commit(&batch).unwrap();
    let aged =
        |before, rows| store.view().unwrap().journal_aged(Timestamp::from_micros(before).unwrap(), rows).unwrap();
    for (before, rows, expected) in [(10, 9, 0), (11, 9, 1), (45, 9, 4), (45, 2, 2), (999, 9, 5), (999, 0, 0)] {
        assert_eq!(aged(before, rows), expected, "{before} {rows}");
    }
    let trim = |up_to| {
        store.commit(&vec![Write::TrimJournal(up_to)]).unwrap();
        store.view().unwrap().journal_bounds().unwrap()
    };
    assert_eq!(trim(0), (1, 5));
    assert_eq!(trim(2), (3, 5));
    assert_eq!(aged(45, 1), 3);
    assert_eq!(trim(99), (5, 5));
    assert_eq!(trim(i64::MAX.unsigned_abs()), (5, 5));
}

#[test]
fn a_cause_of_a_newer_program_is_no_row() {
    let (_directory, store) = store();
    store.commit(&vec![Write::Journal(row(1, 0, None))]).unwrap();
    store.writer().execute("UPDATE mytism_journal SET cause = 99", []).unwrap();
    assert!(store.view().unwrap().journal_after(0, 9, usize::MAX).is_err());
}

/// A database of format 1.
fn old_database(directory: &Path) {
    let connection = Connection::open(directory.join(FILE)).unwrap();
    connection.pragma_update(None, "journal_mode", "WAL").unwrap();
    connection.execute_batch(FORMAT_1).unwrap();
}

fn tables(directory: &Path) -> Vec<String> {
    let connection = Connection::open(directory.join(FILE)).unwrap();
    let mut statement = connection.prepare("SELECT name, sql FROM sqlite_master ORDER BY name").unwrap();
    let rows = statement
        .query_map([], |row| Ok(format!("{:?} {:?}", row.get::<_, String>(0), row.get::<_, Option<String>>(1))));
    rows.unwrap().collect::<Result<_, _>>().unwrap()
}

fn set_format(directory: &Path, format: &[u8]) {
    let connection = Connection::open(directory.join(FILE)).unwrap();
    connection.execute("UPDATE mytism_meta SET value = ? WHERE key = 'format'", [format]).unwrap();
}

#[test]
fn a_database_of_format_1_gets_what_it_lacks() {
    let directory = tempfile::tempdir().unwrap();
    old_database(directory.path());
    for _ in 0..2 {
        let store = SqliteStore::open(directory.path()).unwrap();
        let view = store.view().unwrap();
        assert_eq!(view.head().unwrap().unwrap().position.number, 3, "what was there stays");
        assert_eq!(view.journal_bounds().unwrap().0, 0);
    }
    let store = SqliteStore::open(directory.path()).unwrap();
    store.commit(&vec![Write::Journal(row(1, 0, None))]).unwrap();
    drop(store);
    let fresh = tempfile::tempdir().unwrap();
    let schema = SqliteStore::open(directory.path()).unwrap().schema();
    drop(SqliteStore::create(fresh.path(), schema).unwrap());
    assert_eq!(tables(directory.path()), tables(fresh.path()), "as if it had been made today");
}

#[test]
fn what_is_pending_in_a_former_database_keeps_its_order() {
    let directory = tempfile::tempdir().unwrap();
    old_database(directory.path());
    let connection = Connection::open(directory.path().join(FILE)).unwrap();
    for counter in [7, 5, 6] {
        let values = (counter, format!("content {counter}").into_bytes());
        connection.execute("INSERT INTO mytism_pending VALUES (?, 2, 3, ?)", values).unwrap();
        connection.execute("INSERT INTO mytism_pending_object VALUES (77, ?)", [counter]).unwrap();
    }
    drop(connection);
    let view = SqliteStore::open(directory.path()).unwrap().view().unwrap();
    let rows = view.pending_after(i64::MIN, 9, usize::MAX).unwrap();
    let expected = [5_i64, 6, 7].map(|counter| pending(counter, 3, counter.unsigned_abs()));
    assert_eq!(rows, expected);
    assert_eq!(view.pending_of(ObjectId::new(77).unwrap()).unwrap(), [5, 6, 7]);
}

/// A transaction of node 2.
fn pending(place: i64, incarnation: u32, counter: u64) -> PendingRow {
    let transaction = TransactionId { node: NodeId(2), incarnation, counter };
    PendingRow { place, transaction, bytes: format!("content {counter}").into_bytes() }
}

#[test]
fn what_is_pending_is_found_by_its_place_and_by_its_name() {
    let (_directory, store) = store();
    assert_eq!(store.view().unwrap().pending_ends().unwrap(), None);
    let rows = [pending(-3, 1, 9), pending(0, 2, 1), pending(4, 1, 8)];
    let object = ObjectId::new(77).unwrap();
    let mut batch: Batch = rows.iter().rev().cloned().map(Write::Pending).collect();
    batch.extend([4, -3].map(|place| Write::Touch { object, place }));
    store.commit(&batch).unwrap();
    let view = store.view().unwrap();
    assert_eq!(view.pending_after(i64::MIN, 9, usize::MAX).unwrap(), rows);
    assert_eq!(view.pending_after(-3, 1, usize::MAX).unwrap(), rows[1..2]);
    assert_eq!((view.pending_count().unwrap(), view.pending_ends().unwrap()), (3, Some((-3, 4))));
    assert_eq!((view.pending(4).unwrap(), view.pending(1).unwrap()), (Some(rows[2].clone()), None));
    assert_eq!(view.pending_place(rows[0].transaction).unwrap(), Some(-3));
    assert_eq!(view.pending_place(TransactionId { counter: 2, ..rows[0].transaction }).unwrap(), None);
    assert_eq!(view.pending_of(object).unwrap(), [-3, 4]);
    assert_eq!((view.last_counter(NodeId(2), 1).unwrap(), view.last_counter(NodeId(2), 2).unwrap()), (9, 1));
    let again = PendingRow { place: 5, ..rows[0].clone() };
    assert!(store.commit(&vec![Write::Pending(again)]).is_err(), "no transaction is pending twice");
    store.commit(&vec![Write::Settled(-3)]).unwrap();
    let view = store.view().unwrap();
    assert_eq!((view.pending_ends().unwrap(), view.pending_of(object).unwrap()), (Some((0, 4)), vec![4]));
}

#[test]
fn an_entry_that_is_taken_back_leaves_nothing() {
    let (_directory, store) = store();
    let object = ObjectId::new(77).unwrap();
    let logged = |number: u64, epoch| {
        let transaction = TransactionId { node: NodeId(2), incarnation: 1, counter: number };
        let (position, hash, committed_at) =
            (Position { epoch, number }, Hash([1; 32]), Timestamp::from_micros(5).unwrap());
        let row = LogRow { position, hash, transaction, committed_at, entry: vec![1], bytes: vec![2] };
        let refused = QuarantineRow { number, code: "code".into(), reason: "reason".into() };
        [Write::Log(row), Write::History { object, number }, Write::Quarantine(refused)]
    };
    store.commit(&[logged(1, 1), logged(2, 1), logged(3, 4), logged(4, 4)].concat()).unwrap();
    let reigns = |store: &SqliteStore| [0, 1, 2, 4].map(|epoch| store.view().unwrap().later_reign(epoch).unwrap());
    assert_eq!(reigns(&store), [Some(1), Some(3), Some(3), None]);
    let unlog = |number| vec![Write::Unlog { number, objects: vec![object] }];
    store.commit(&unlog(4)).unwrap();
    store.commit(&unlog(3)).unwrap();
    assert_eq!(reigns(&store), [Some(1), None, None, None]);
    let view = store.view().unwrap();
    assert_eq!(view.head().unwrap().unwrap().position.number, 2);
    assert_eq!(view.history_after(object, 0).unwrap(), [1, 2]);
    assert_eq!(view.quarantine().unwrap().len(), 2);
    assert!(store.commit(&unlog(3)).is_err(), "it is gone already");
}

#[test]
fn formats_that_are_not_known_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    old_database(directory.path());
    let check = |format: &[u8], expected: &str| {
        set_format(directory.path(), format);
        let error = SqliteStore::open(directory.path()).err().unwrap();
        assert_eq!(error.failure().code, expected, "{format:?}");
    };
    check(&[0, 0, 0, 99], "newer-database");
    check(&[0, 0, 0, 0], "database-damaged");
    check(&[1], "database-damaged");
    set_format(directory.path(), &[0, 0, 0, 1]);
    assert!(SqliteStore::open(directory.path()).is_ok());
}

#[test]
fn a_copy_holds_what_its_view_saw_though_others_commit() {
    let (directory, store) = store();
    store.commit(&vec![Write::Put { key: "one", value: vec![1; 3_000_000] }]).unwrap();
    let view = store.view().unwrap();
    let mut told = Vec::new();
    let copies = tempfile::tempdir().unwrap();
    let path = copies.path().join(FILE);
    view.copy_to(&path, &mut |done, total| {
        // In the middle of it, and nobody waits.
        store.commit(&vec![Write::Put { key: "one", value: vec![2] }]).unwrap();
        told.push((done, total));
    })
    .unwrap();
    assert!(told.len() > 2 && told.is_sorted(), "{told:?}");
    let (done, total) = told[told.len() - 1];
    assert_eq!((done, total), (std::fs::metadata(&path).unwrap().len(), done));
    assert_eq!(std::fs::read_dir(copies.path()).unwrap().count(), 1, "it is one file");
    assert!(view.copy_to(&path, &mut |_, _| {}).is_err(), "nothing is written over");
    assert!(path.exists());
    assert!(view.copy_to(&copies.path().join("no").join("where"), &mut |_, _| {}).is_err());
    drop(view);
    assert_eq!(store.view().unwrap().get("one").unwrap(), Some(vec![2]));
    drop((store, directory));
    let copy = SqliteStore::open(copies.path()).unwrap();
    assert_eq!(copy.view().unwrap().get("one").unwrap(), Some(vec![1; 3_000_000]));
    assert_eq!(copy.view().unwrap().damages().unwrap(), [""; 0]);
}

#[test]
fn tables_that_are_not_those_of_the_schema_are_told() {
    let (_directory, store) = store();
    assert_eq!(store.view().unwrap().damages().unwrap(), [""; 0]);
    store.writer().execute_batch("DROP VIEW \"User_view\"; ALTER TABLE \"Group\" ADD COLUMN more TEXT").unwrap();
    let found = store.view().unwrap().damages().unwrap();
    assert!(found.len() == 2 && found.iter().any(|text| text.contains("User_view")), "{found:?}");
}
