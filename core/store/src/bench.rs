//! The plain engine doing the work of a node, to measure against.
//!
//! A [`Replay`] takes from the finished database of a node the rows that a run added, and writes the very same rows
//! into a fresh database of the same schema: one connection, the settings of the node's own, statements prepared once,
//! as many commits as the node made and the same rows in each. Nothing else is done: nothing is checked, hashed or read.
//! The rows lie in a flat file meanwhile, so that neither side has them in memory beforehand.
//!
//! It adds rows and changes none, so a run that is to be replayed makes objects and leaves them alone; other runs are
//! refused, and so is a replay that ends with other numbers of rows than the node. It has no clock: whoever measures is
//! told of each [`Step`].

pub mod postgres;
pub mod queries;
mod rows;

use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::{Path, PathBuf};

use mytism_core::schema::Schema;
use rusqlite::types::Value as Sql;
use rusqlite::{Connection, OpenFlags, Statement, Transaction, TransactionBehavior, params, params_from_iter};

use crate::sqlite::names::{Names, quoted};
use crate::sqlite::{self, SqliteStore};
use crate::{Batch, StoreError, Write};
use rows::Row;

/// What one commit of the node held, beside the rows that are found in its database.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Group {
    /// Entries of the log.
    pub entries: u64,
    /// Values put under keys; later commits wrote over them, so they cannot be found in the database.
    pub puts: Vec<(&'static str, Vec<u8>)>,
}

impl Group {
    /// What a batch is to a replay.
    #[must_use]
    pub fn of(batch: &Batch) -> Self {
        let mut group = Self::default();
        for write in batch {
            match write {
                Write::Log(_) => group.entries += 1,
                Write::Put { key, value } => group.puts.push((key, value.clone())),
                _ => {}
            }
        }
        group
    }
}

/// A run of a node: everything behind an entry of the log, in the commits in which it became durable.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Run {
    /// Number of the last entry before the run.
    pub after: u64,
    /// Its commits in their order.
    pub groups: Vec<Group>,
}

/// What a replay has just done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// Read the rows of a group from the flat file.
    Read,
    /// Written the rows and made them durable.
    Committed,
}

/// What a replay did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Replayed {
    /// Rows written.
    pub rows: u64,
    /// Commits.
    pub commits: u64,
}

/// A run, ready to be done again by the plain engine.
pub struct Replay {
    connection: Connection,
    source: PathBuf,
    rows: PathBuf,
    statements: Vec<String>,
}

impl Replay {
    /// Makes a fresh database in the directory `target`, with all that the one in the directory `source` held before
    /// the run, and puts the rows of the run into a flat file beside it. No node may have either of them open.
    ///
    /// # Errors
    /// When `source` is in use, `target` holds a database, the run did other things than adding objects, or its groups
    /// do not lead to the end of the log; when the disk refuses.
    pub fn prepare(source: &Path, target: &Path, run: &Run) -> Result<Self, StoreError> {
        let node = SqliteStore::open(source)?;
        let schema = node.schema();
        drop(SqliteStore::create(target, std::sync::Arc::clone(&schema))?);
        let copy = Copy::between(&target.join(sqlite::FILE), &source.join(sqlite::FILE), &schema, run.after)?;
        copy.check(run)?;
        copy.rows_before()?;
        let rows = target.join("rows");
        copy.rows_of_run(run, &rows)?;
        let statements = copy.tables.iter().map(|table| table.insert.clone()).collect();
        copy.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        drop(copy);
        drop(node);
        let connection = sqlite::connect(&target.join(sqlite::FILE), OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        Ok(Self { connection, source: source.to_owned(), rows, statements })
    }

    /// Does the run; `step` is called twice for each group. Call it once, since all rows are there afterwards.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn run(&self, step: &mut dyn FnMut(Step)) -> Result<Replayed, StoreError> {
        let mut statements: Vec<Statement<'_>> =
            self.statements.iter().map(|sql| self.connection.prepare(sql)).collect::<Result<_, _>>()?;
        let file = File::open(&self.rows).map_err(|source| self.file_error("cannot read", source))?;
        let mut file = BufReader::with_capacity(1 << 20, file);
        let mut done = Replayed::default();
        let mut group = Vec::new();
        while rows::read(&mut file, &mut group).map_err(|source| self.file_error("cannot read", source))? {
            step(Step::Read);
            let transaction = Transaction::new_unchecked(&self.connection, TransactionBehavior::Immediate)?;
            for row in &group {
                let statement = statements.get_mut(usize::from(row.table)).ok_or_else(damaged)?;
                statement.execute(params_from_iter(&row.values))?;
            }
            transaction.commit()?;
            step(Step::Committed);
            done.rows += group.len() as u64;
            done.commits += 1;
        }
        Ok(done)
    }

    /// Whether every table has as many rows as in the node's database.
    ///
    /// # Errors
    /// When one has not, or a database cannot be read.
    pub fn compare(&self) -> Result<(), StoreError> {
        let source = sqlite::connect(&self.source.join(sqlite::FILE), OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let names = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite^_%' ESCAPE '^'";
        let mut names = source.prepare(names)?;
        let names = names.query_map([], |row| row.get::<_, String>(0))?;
        for name in names {
            let name = name?;
            let sql = format!("SELECT count(*) FROM {}", quoted(&name));
            let count = |connection: &Connection| connection.query_row(&sql, [], |row| row.get::<_, i64>(0));
            let (node, plain) = (count(&source)?, count(&self.connection)?);
            if node != plain {
                let message = format!("the table {name} has {node} rows at the node and {plain} in the plain engine");
                return Err(StoreError::Engine(message));
            }
        }
        Ok(())
    }

    fn file_error(&self, action: &'static str, source: std::io::Error) -> StoreError {
        StoreError::File { action, path: self.rows.clone(), source }
    }
}

fn damaged() -> StoreError {
    StoreError::Damaged("the flat file names a table that is not there".to_owned())
}

/// A table that a run can add rows to.
struct Table {
    /// In quotation marks.
    name: String,
    insert: String,
    key: Key,
}

/// By which column a row belongs to an entry of the log.
enum Key {
    /// The number of the entry.
    Entry(&'static str),
    /// An object, which an entry made.
    Object(&'static str),
    /// The number of the entry, found by the place in the journal.
    Journal,
    /// None: the rows come from [`Group::puts`].
    Put,
}

/// A connection to the fresh database, with the node's beside it as `source`. Its temporary table `made` holds each
/// object that the run made, with the number of the entry that did; `visible` has the rows of the journal by entry.
struct Copy {
    connection: Connection,
    tables: Vec<Table>,
    /// Number of the last entry before the run.
    after: i64,
}

impl Copy {
    fn between(target: &Path, source: &Path, schema: &Schema, after: u64) -> Result<Self, StoreError> {
        let after = number(after)?;
        let connection = sqlite::connect(target, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        let path = source.to_str().ok_or_else(|| {
            StoreError::Engine(format!("the path {} is not UTF-8, which the engine needs here", source.display()))
        })?;
        connection.execute("ATTACH ? AS source", [path])?;
        connection.execute_batch("CREATE TEMP TABLE made(object INTEGER PRIMARY KEY, number INTEGER NOT NULL)")?;
        connection.execute(
            "INSERT INTO made SELECT object, min(number) AS first FROM source.mytism_history
             GROUP BY object HAVING first > ?",
            [after],
        )?;
        connection.execute_batch("CREATE INDEX temp.made_number ON made(number)")?;
        connection.execute_batch("CREATE TEMP TABLE visible(number INTEGER PRIMARY KEY, sequence INTEGER NOT NULL)")?;
        connection.execute(
            "INSERT INTO visible SELECT position, sequence FROM source.mytism_journal WHERE position > ?",
            [after],
        )?;
        let tables = tables(&connection, schema)?;
        Ok(Self { connection, tables, after })
    }

    /// Whether the run can be replayed.
    fn check(&self, run: &Run) -> Result<(), StoreError> {
        let count = |sql: &str, parameters: &[i64]| {
            self.connection.query_row(sql, params_from_iter(parameters), |row| row.get::<_, i64>(0))
        };
        let after = self.after;
        let end = count("SELECT ifnull(max(number), 0) FROM source.mytism_log", &[])?;
        let entries: u64 = run.groups.iter().map(|group| group.entries).sum();
        if number(run.after + entries)? != end {
            let message = format!("the groups lead from entry {after} to {}, the log to {end}", run.after + entries);
            return Err(StoreError::Engine(message));
        }
        let touched = "SELECT count(*) FROM source.mytism_history h LEFT JOIN made m ON m.object = h.object
                       WHERE h.number > ? AND h.number IS NOT m.number";
        let changed = count(touched, &[after])?;
        let pending = count("SELECT count(*) FROM source.mytism_pending", &[])?;
        if changed + pending > 0 {
            let message = format!(
                "the run changed {changed} objects again and left {pending} transactions pending, \
                                   which a replay cannot do"
            );
            return Err(StoreError::Engine(message));
        }
        Ok(())
    }

    /// Copies what was there before the run.
    fn rows_before(&self) -> Result<(), StoreError> {
        let transaction = self.connection.unchecked_transaction()?;
        for table in &self.tables {
            let name = &table.name;
            let earlier = match table.key {
                Key::Entry(column) => format!("WHERE {column} <= {}", self.after),
                Key::Object(column) => format!("WHERE {column} NOT IN (SELECT object FROM made)"),
                Key::Journal => format!("WHERE position <= {}", self.after),
                Key::Put => String::new(),
            };
            transaction
                .execute(&format!("INSERT OR REPLACE INTO main.{name} SELECT * FROM source.{name} {earlier}"), [])?;
        }
        Ok(transaction.commit()?)
    }

    /// Writes the rows of the run into a flat file, group by group.
    fn rows_of_run(&self, run: &Run, path: &Path) -> Result<(), StoreError> {
        let failed = |source| StoreError::File { action: "cannot write", path: path.to_owned(), source };
        let mut file = BufWriter::new(File::create(path).map_err(failed)?);
        let mut readers = self.readers()?;
        let mut last = run.after;
        for group in &run.groups {
            let (after, until) = (number(last)?, number(last + group.entries)?);
            last += group.entries;
            let mut rows = Vec::new();
            for (table, columns, reader) in &mut readers {
                let mut found = reader.query(params![after, until])?;
                while let Some(row) = found.next()? {
                    let values = (0..*columns).map(|column| row.get(column)).collect::<Result<_, _>>()?;
                    rows.push(Row { table: *table, values });
                }
            }
            let put = u8::try_from(self.tables.len().saturating_sub(1)).map_err(|_| too_many_tables())?;
            for (key, value) in &group.puts {
                rows.push(Row { table: put, values: vec![Sql::Text((*key).to_owned()), Sql::Blob(value.clone())] });
            }
            rows::write(&mut file, &rows).map_err(failed)?;
        }
        file.into_inner().map_err(|error| failed(error.into_error()))?;
        Ok(())
    }

    /// For each table that the run added to: its place, its columns, and what finds its rows between two entries.
    fn readers(&self) -> Result<Vec<(u8, usize, Statement<'_>)>, StoreError> {
        let mut readers = Vec::new();
        for (place, table) in self.tables.iter().enumerate() {
            let name = &table.name;
            let (from, number) = match table.key {
                Key::Entry(column) => (format!("source.{name} AS t"), format!("t.{column}")),
                Key::Object(column) => {
                    (format!("made AS m CROSS JOIN source.{name} AS t ON t.{column} = m.object"), "m.number".to_owned())
                }
                Key::Journal => {
                    let from = format!("visible AS m CROSS JOIN source.{name} AS t ON t.sequence = m.sequence");
                    (from, "m.number".to_owned())
                }
                Key::Put => continue,
            };
            let sql = format!("SELECT t.* FROM {from} WHERE {number} > ? AND {number} <= ? ORDER BY {number}");
            let mut reader = self.connection.prepare(&sql)?;
            if reader.exists(params![self.after, i64::MAX])? {
                let place = u8::try_from(place).map_err(|_| too_many_tables())?;
                readers.push((place, reader.column_count(), reader));
            }
        }
        Ok(readers)
    }
}

/// All tables that a run can add rows to, the one for values under keys last.
fn tables(connection: &Connection, schema: &Schema) -> Result<Vec<Table>, StoreError> {
    let names = Names::new(schema);
    let mut found = vec![
        ("mytism_log".to_owned(), Key::Entry("number")),
        ("mytism_history".to_owned(), Key::Object("object")),
        ("mytism_quarantine".to_owned(), Key::Entry("number")),
        ("mytism_object".to_owned(), Key::Object("id")),
        ("mytism_journal".to_owned(), Key::Journal),
    ];
    for entity in schema.entities() {
        if !entity.is_abstract {
            found.push((names.table(entity.id).to_owned(), Key::Object("id")));
        }
        let own_sets = entity.sets().filter(|set| set.declared_in == entity.id);
        found.extend(own_sets.map(|set| (names.set_table(set.id).to_owned(), Key::Object("owner"))));
    }
    found.push(("mytism_meta".to_owned(), Key::Put));
    let mut tables = Vec::with_capacity(found.len());
    for (name, key) in found {
        let name = quoted(&name);
        let columns = connection.prepare(&format!("SELECT * FROM main.{name}"))?.column_count();
        let verb = if matches!(key, Key::Put) { "INSERT OR REPLACE" } else { "INSERT" };
        let insert = format!("{verb} INTO {name} VALUES ({})", vec!["?"; columns].join(", "));
        tables.push(Table { name, insert, key });
    }
    Ok(tables)
}

fn number(number: u64) -> Result<i64, StoreError> {
    i64::try_from(number).map_err(|_| StoreError::Engine(format!("the number {number} is too large")))
}

fn too_many_tables() -> StoreError {
    StoreError::Engine("a replay knows 256 tables at most".to_owned())
}

#[cfg(test)]
mod tests;
