//! Whether a head office's database agrees with itself: the chain of the log, and the tables as what follows from it.
//!
//! Read with plain SQL and the reading half of the stored formats, beside the running node.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;

use mytism_core::change::{Life, Slot, effective};
use mytism_core::id::{Hash, ObjectId};
use mytism_format::{entry, transaction};
use rusqlite::{Connection, OpenFlags, Transaction};

/// What the log says of an object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Logged {
    is_deleted: bool,
    /// The last entry that changed it.
    version: i64,
}

/// What does not agree; empty where all does.
#[track_caller]
pub(crate) fn findings(database: &Path) -> Vec<String> {
    let mut connection =
        Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY).expect("a database can be read");
    let view = connection.transaction().expect("a database can be read");
    let mut findings = engine(&view);
    let (logged, history) = replay(&view, &mut findings);
    let tables = tables(&view, &mut findings);
    for (id, object) in &logged {
        match tables.get(id) {
            None => findings.push(format!("object {id} is in the log alone: {object:?}")),
            Some(there) if there != object => findings.push(format!("object {id}: log {object:?}, table {there:?}")),
            Some(_) => {}
        }
    }
    findings
        .extend(tables.keys().filter(|id| !logged.contains_key(id)).map(|id| format!("object {id}: not in the log")));
    let kept: BTreeSet<(i64, i64)> = pairs(&view, "SELECT object, number FROM mytism_history");
    findings.extend(kept.symmetric_difference(&history).map(|pair| format!("history: {pair:?} on one side alone")));
    findings
}

/// What the engine finds in its own file.
fn engine(view: &Transaction<'_>) -> Vec<String> {
    let found: String = view.query_row("PRAGMA integrity_check", [], |row| row.get(0)).expect("the engine checks");
    if found == "ok" { Vec::new() } else { vec![found] }
}

/// Reads the log from its beginning; what it says of each object, and which entries changed which objects.
fn replay(view: &Transaction<'_>, findings: &mut Vec<String>) -> (BTreeMap<i64, Logged>, BTreeSet<(i64, i64)>) {
    let mut statement = view
        .prepare("SELECT number, hash, node, incarnation, counter, entry, bytes FROM mytism_log ORDER BY number")
        .expect("there is a log");
    let mut rows = statement.query([]).expect("the log can be read");
    let (mut previous, mut number) = (Hash([0; 32]), 0);
    let (mut objects, mut history, mut made) = (BTreeMap::new(), BTreeSet::new(), HashSet::new());
    while let Some(row) = rows.next().expect("the log can be read") {
        number += 1;
        let hash: [u8; 32] = row.get(1).expect("a hash");
        let name: String = [2, 3, 4].map(|column| row.get::<_, i64>(column).expect("a number").to_string()).join("-");
        let entry = entry::read(row.get(5).expect("bytes")).expect("an entry can be read");
        let saved = transaction::read(row.get(6).expect("bytes")).expect("a transaction can be read");
        let position = entry.entry.position.number;
        let checks = [
            (row.get::<_, i64>(0) == Ok(number) && position == number.unsigned_abs(), "a number is missing"),
            (entry.hash == Hash(hash), "the hash is not that of the entry"),
            (entry.entry.previous == previous, "the chain is broken"),
            (entry.entry.transaction_hash == saved.hash, "it is about another transaction"),
            (saved.transaction.id.to_string() == name, "the transaction has another name"),
        ];
        findings.extend(checks.iter().filter(|(holds, _)| !holds).map(|(_, what)| format!("entry {number}: {what}")));
        previous = entry.hash;
        for change in effective(&saved.transaction.changes, &entry.entry.outcome) {
            let id = change.object.get();
            let object = objects.entry(id).or_insert(Logged { is_deleted: false, version: number });
            object.version = number;
            history.insert((id, number));
            if change.slot == Slot::LIFE {
                object.is_deleted = Life::of(&change.new) == Life::Deleted;
                if Life::of(&change.old) == Life::Absent && !made.insert(change.object) {
                    findings.push(format!("entry {number} makes object {id} again"));
                }
            }
        }
    }
    findings.extend(unmade(&objects, &made));
    (objects, history)
}

fn unmade(objects: &BTreeMap<i64, Logged>, made: &HashSet<ObjectId>) -> Vec<String> {
    let made: HashSet<i64> = made.iter().map(|id| id.get()).collect();
    objects.keys().filter(|id| !made.contains(id)).map(|id| format!("object {id} was never made")).collect()
}

/// All objects in the tables of their entities; each must be in one alone, and in the list of all.
fn tables(view: &Transaction<'_>, findings: &mut Vec<String>) -> HashMap<i64, Logged> {
    let names = "SELECT name FROM sqlite_schema t WHERE type = 'table' AND name NOT LIKE 'mytism!_%' ESCAPE '!'
                 AND EXISTS (SELECT 1 FROM pragma_table_info(t.name) WHERE name = '_version')";
    let mut statement = view.prepare(names).expect("there is a list of tables");
    let names = statement.query_map([], |row| row.get(0)).expect("tables are listed");
    let names: Vec<String> = names.map(|name| name.expect("a table has a name")).collect();
    let mut objects = HashMap::new();
    for name in names {
        let text = format!("SELECT id, _deleted, _version FROM \"{name}\"");
        let mut statement = view.prepare(&text).expect("a table can be read");
        let row = |row: &rusqlite::Row<'_>| {
            Ok((row.get::<_, i64>(0)?, Logged { is_deleted: row.get(1)?, version: row.get(2)? }))
        };
        for row in statement.query_map([], row).expect("a table can be read") {
            let (id, object) = row.expect("a row can be read");
            if objects.insert(id, object).is_some() {
                findings.push(format!("object {id} is in {name} and in another table"));
            }
        }
    }
    let listed = pairs(view, "SELECT id, 0 FROM mytism_object");
    let there: BTreeSet<(i64, i64)> = objects.keys().map(|id| (*id, 0)).collect();
    findings
        .extend(listed.symmetric_difference(&there).map(|(id, _)| format!("object {id} is listed or kept, not both")));
    objects
}

fn pairs(view: &Transaction<'_>, text: &str) -> BTreeSet<(i64, i64)> {
    let mut statement = view.prepare(text).expect("a table can be read");
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).expect("a table can be read");
    rows.map(|row| row.expect("a row can be read")).collect()
}
