//! What two databases differ in, read with plain SQL and told in words.
//!
//! Nodes that are in step hold the same log, and what follows from it, to the byte. A node's own affairs may differ: its
//! settings and stock of ids (`mytism_meta`), and its journal (`mytism_journal`). What a branch keeps only until the head
//! office has decided must be gone.

use std::cmp::Ordering;
use std::path::Path;

use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags};

/// What belongs to one node alone: its settings, and in which order and for what cause things became visible there.
const OWN: &[&str] = &["mytism_meta", "mytism_journal"];
/// What is there only while something waits.
const EMPTY: &[&str] = &["mytism_pending", "mytism_pending_object", "mytism_underlay"];
/// Differences of one table that are told one by one.
const TOLD_MAX: usize = 10;
/// Characters of a value that are told.
const CHARACTERS_MAX: usize = 60;

/// The differences of two databases, at most some a table; empty when they hold the same. Both are read as one commit
/// left them, so their nodes may run.
#[must_use]
#[track_caller]
pub fn compare(a: &Path, b: &Path) -> Vec<String> {
    let mut sides = [open(a), open(b)];
    let mut differences = Vec::new();
    let [a, b] = sides.each_mut().map(|side| side.transaction().expect("a database can be read"));
    let (ours, theirs) = (tables(&a), tables(&b));
    for name in ours.iter().filter(|name| !theirs.contains(name)) {
        differences.push(format!("the table {name} is only in A"));
    }
    for name in theirs.iter().filter(|name| !ours.contains(name)) {
        differences.push(format!("the table {name} is only in B"));
    }
    for name in ours.iter().filter(|name| theirs.contains(name) && !OWN.contains(&name.as_str())) {
        if EMPTY.contains(&name.as_str()) {
            differences.extend(not_empty(&a, name, "A"));
            differences.extend(not_empty(&b, name, "B"));
        } else {
            differences.extend(compare_table(&Table::read(&a, name), &Table::read(&b, name)));
        }
    }
    differences
}

#[track_caller]
fn open(path: &Path) -> Connection {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(path, flags).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn tables(database: &Connection) -> Vec<String> {
    let list =
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite!_%' ESCAPE '!' ORDER BY name";
    let mut statement = database.prepare(list).expect("a database has a list of tables");
    let names = statement.query_map([], |row| row.get(0)).expect("tables are listed");
    names.map(|name| name.expect("a table has a name")).collect()
}

fn not_empty(database: &Connection, table: &str, side: &str) -> Option<String> {
    let rows = Table::read(database, table).rows.len();
    (rows > 0).then(|| format!("{table}: {rows} rows in {side}, where nothing may wait"))
}

/// A table with all that is in it, in the order of its key.
struct Table {
    name: String,
    columns: Vec<String>,
    /// Places of the columns that make up the key.
    key: Vec<usize>,
    rows: Vec<Vec<Value>>,
}

impl Table {
    #[track_caller]
    fn read(database: &Connection, name: &str) -> Self {
        let mut statement =
            database.prepare("SELECT name, pk FROM pragma_table_info(?1) ORDER BY cid").expect("columns are listed");
        let described = statement.query_map([name], |row| Ok((row.get::<_, String>(0)?, row.get::<_, u32>(1)?)));
        let described: Vec<_> =
            described.expect("columns are listed").map(|column| column.expect("a column has a name")).collect();
        let mut key: Vec<_> =
            described.iter().map(|(_, place)| *place).enumerate().filter(|(_, place)| *place > 0).collect();
        key.sort_unstable_by_key(|(_, place)| *place);
        let columns: Vec<String> = described.into_iter().map(|(column, _)| column).collect();
        let select = format!("SELECT * FROM \"{}\"", name.replace('"', "\"\""));
        let mut statement = database.prepare(&select).expect("a table can be read");
        let count = columns.len();
        let rows =
            statement.query_map([], |row| (0..count).map(|place| row.get(place)).collect::<Result<Vec<Value>, _>>());
        let mut rows: Vec<_> = rows.expect("a table can be read").map(|row| row.expect("a row can be read")).collect();
        let key: Vec<usize> = key.into_iter().map(|(column, _)| column).collect();
        rows.sort_by(|a, b| order(a, b, &key));
        Self { name: name.to_owned(), columns, key, rows }
    }

    /// A row by its key, in words.
    fn named(&self, row: &[Value]) -> String {
        let parts = self.key.iter().map(|place| format!("{} {}", self.columns[*place], told(&row[*place])));
        format!("{} {}", self.name, parts.collect::<Vec<_>>().join(", "))
    }
}

fn compare_table(a: &Table, b: &Table) -> Vec<String> {
    if a.columns != b.columns {
        return vec![format!("{}: the columns are {:?} in A and {:?} in B", a.name, a.columns, b.columns)];
    }
    let mut found = Vec::new();
    let (mut ours, mut theirs) = (a.rows.iter().peekable(), b.rows.iter().peekable());
    loop {
        match (ours.peek(), theirs.peek()) {
            (None, None) => break,
            (Some(x), Some(y)) => match order(x, y, &a.key) {
                Ordering::Equal => {
                    found.extend(compare_row(a, x, y));
                    ours.next();
                    theirs.next();
                }
                Ordering::Less => found.extend(ours.next().map(|row| format!("{} is only in A", a.named(row)))),
                Ordering::Greater => found.extend(theirs.next().map(|row| format!("{} is only in B", a.named(row)))),
            },
            (Some(_), None) => found.extend(ours.next().map(|row| format!("{} is only in A", a.named(row)))),
            (None, Some(_)) => found.extend(theirs.next().map(|row| format!("{} is only in B", a.named(row)))),
        }
    }
    if found.len() > TOLD_MAX {
        let more = found.len() - TOLD_MAX;
        found.truncate(TOLD_MAX);
        found.push(format!("{}: {more} more", a.name));
    }
    found
}

fn compare_row(table: &Table, x: &[Value], y: &[Value]) -> Option<String> {
    let differ = table.columns.iter().zip(x.iter().zip(y)).filter(|(_, (x, y))| x != y);
    let parts: Vec<_> =
        differ.map(|(column, (x, y))| format!("{column} is {} in A and {} in B", told(x), told(y))).collect();
    (!parts.is_empty()).then(|| format!("{}: {}", table.named(x), parts.join("; ")))
}

/// The order of two rows by their keys.
fn order(a: &[Value], b: &[Value], key: &[usize]) -> Ordering {
    let pairs = key.iter().map(|place| order_of_values(&a[*place], &b[*place]));
    pairs.fold(Ordering::Equal, Ordering::then)
}

/// Any order serves, as long as it is one.
fn order_of_values(a: &Value, b: &Value) -> Ordering {
    let rank = |value: &Value| match value {
        Value::Null => 0,
        Value::Integer(_) => 1,
        Value::Real(_) => 2,
        Value::Text(_) => 3,
        Value::Blob(_) => 4,
    };
    match (a, b) {
        (Value::Integer(a), Value::Integer(b)) => a.cmp(b),
        (Value::Real(a), Value::Real(b)) => a.total_cmp(b),
        (Value::Text(a), Value::Text(b)) => a.cmp(b),
        (Value::Blob(a), Value::Blob(b)) => a.cmp(b),
        _ => rank(a).cmp(&rank(b)),
    }
}

fn told(value: &Value) -> String {
    let text = match value {
        Value::Null => "nothing".to_owned(),
        Value::Integer(number) => number.to_string(),
        Value::Real(number) => number.to_string(),
        Value::Text(text) => format!("{text:?}"),
        Value::Blob(bytes) => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
    };
    match text.char_indices().nth(CHARACTERS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLES: &str = "CREATE TABLE Customer(id INTEGER PRIMARY KEY, City TEXT);
        CREATE TABLE Group_Members(owner INTEGER, element INTEGER, PRIMARY KEY(owner, element)) WITHOUT ROWID;
        CREATE TABLE mytism_meta(key TEXT PRIMARY KEY, value BLOB);
        CREATE TABLE mytism_log(number INTEGER PRIMARY KEY, hash BLOB);
        CREATE TABLE mytism_underlay(object INTEGER PRIMARY KEY);
        INSERT INTO Customer VALUES (1, 'Bonn'), (2, NULL);
        INSERT INTO Group_Members VALUES (1, 2), (1, 3);
        INSERT INTO mytism_log VALUES (1, x'00ff');";

    #[track_caller]
    fn check(only_in_b: &str, expected: &[&str]) {
        let directory = tempfile::tempdir().unwrap();
        let [a, b] = ["a", "b"].map(|name| directory.path().join(name));
        for (path, more) in [(&a, ""), (&b, only_in_b)] {
            let database = Connection::open(path).unwrap();
            database.execute_batch("PRAGMA journal_mode = WAL").unwrap();
            database.execute_batch(TABLES).unwrap();
            database.execute_batch(more).unwrap();
        }
        assert_eq!(compare(&a, &b), expected, "{only_in_b}");
    }

    #[test]
    fn equal_databases_have_no_differences() {
        check("", &[]);
        check("INSERT INTO mytism_meta VALUES ('node', x'02')", &[]);
    }

    #[test]
    fn rows_and_values_are_compared() {
        check(
            "UPDATE Customer SET City = 'Köln' WHERE id = 1",
            &["Customer id 1: City is \"Bonn\" in A and \"Köln\" in B"],
        );
        check("UPDATE Customer SET City = '' WHERE id = 2", &["Customer id 2: City is nothing in A and \"\" in B"]);
        check(
            "INSERT INTO Customer VALUES (3, 'X'); DELETE FROM Customer WHERE id = 1",
            &["Customer id 1 is only in A", "Customer id 3 is only in B"],
        );
        check(
            "DELETE FROM Group_Members WHERE element = 3; INSERT INTO Group_Members VALUES (0, 3)",
            &["Group_Members owner 0, element 3 is only in B", "Group_Members owner 1, element 3 is only in A"],
        );
        check("UPDATE mytism_log SET hash = x'00fe'", &["mytism_log number 1: hash is 00ff in A and 00fe in B"]);
    }

    #[test]
    fn what_waits_is_told() {
        let expected = "mytism_underlay: 2 rows in B, where nothing may wait";
        check("INSERT INTO mytism_underlay VALUES (1), (2)", &[expected]);
    }

    #[test]
    fn tables_are_compared() {
        check("CREATE TABLE Extra(id INTEGER)", &["the table Extra is only in B"]);
        check(
            "ALTER TABLE mytism_log ADD COLUMN x",
            &["mytism_log: the columns are [\"number\", \"hash\"] in A and [\"number\", \"hash\", \"x\"] in B"],
        );
    }

    #[test]
    fn many_differences_are_counted() {
        let numbers = (10..110).map(|number| format!("({number}, '')")).collect::<Vec<_>>().join(", ");
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a");
        let database = Connection::open(&path).unwrap();
        database.execute_batch(TABLES).unwrap();
        let empty = Table::read(&database, "Customer");
        database.execute_batch(&format!("INSERT INTO Customer VALUES {numbers}")).unwrap();
        let found = compare_table(&empty, &Table::read(&database, "Customer"));
        assert_eq!((found.len(), found[TOLD_MAX].as_str()), (TOLD_MAX + 1, "Customer: 90 more"));
    }
}
