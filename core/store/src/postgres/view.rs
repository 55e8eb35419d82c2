//! Reading: a connection of the pool with an open transaction, so that everything is seen as one commit left it.
//!
//! The transaction is not a read-only one: what is laid over a view is made of temporary views, which the engine refuses
//! there. Nothing else is written in it, and it is never committed.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use mytism_core::change::Slot;
use mytism_core::id::{AttributeId, EntityId, Hash, NodeId, ObjectId, Position, TransactionId};
use mytism_core::query::Query;
use mytism_core::schema::Schema;
use mytism_core::time::Timestamp;
use mytism_core::value::Value;
use mytism_format::object::ObjectState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Row, SimpleQueryMessage};

use super::opening::{FORMAT_KEY, SCHEMA_KEY};
use super::overlay::Overlay;
use super::read::{self, JOURNAL_COLUMNS, LOG_COLUMNS, PENDING_COLUMNS, get, small, unsigned};
use super::session::{Pooled, Session};
use super::writer::older;
use super::{Shared, check, ddl};
use crate::names::quoted;
use crate::{
    Explanation, Head, JournalRow, LogRow, OtherObject, PendingRow, QuarantineRow, QueryOptions, QueryRow, StoreError,
    View,
};

mod objects;

/// What stands in the places of a statement.
pub(super) type Params<'p> = &'p [&'p (dyn ToSql + Sync)];

/// Begins a view and fixes what it sees.
const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT commits FROM mytism_writer";

pub(super) struct PostgresView {
    pub(super) shared: Arc<Shared>,
    /// `None` only while it is dropped.
    session: Option<Pooled>,
    overlay: Option<Overlay>,
}

impl PostgresView {
    pub(super) fn open(shared: &Arc<Shared>) -> Result<Self, StoreError> {
        let known = shared.commits.load(Ordering::Acquire);
        let session = shared.engine.wait(async {
            // A connection may have broken since it was last used, as all of them when a server restarts.
            loop {
                let session = shared.readers.take().await?;
                match begin(&session).await {
                    Ok(commits) if commits < known => {
                        session.spend();
                        return Err(older(&shared.name, known, commits));
                    }
                    Ok(_) => return Ok(session),
                    Err(error) if session.is_sound() => {
                        session.spend();
                        return Err(error);
                    }
                    Err(_) => {}
                }
            }
        })?;
        Ok(Self { shared: Arc::clone(shared), session: Some(session), overlay: None })
    }

    pub(super) fn session(&self) -> Result<&Session, StoreError> {
        self.session.as_deref().ok_or_else(|| StoreError::Engine("the view is closed".to_owned()))
    }

    pub(super) fn rows(&self, sql: &str, params: Params<'_>) -> Result<Vec<Row>, StoreError> {
        Ok(self.shared.engine.wait(self.session()?.query(sql, params))?)
    }

    fn list<T>(
        &self,
        sql: &str,
        params: Params<'_>,
        read: impl Fn(&Row) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        self.rows(sql, params)?.iter().map(read).collect()
    }

    fn one<T>(
        &self,
        sql: &str,
        params: Params<'_>,
        read: impl Fn(&Row) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        self.rows(sql, params)?.first().map(read).transpose()
    }

    pub(super) fn number(&self, sql: &str, params: Params<'_>) -> Result<u64, StoreError> {
        Ok(self.one(sql, params, unsigned)?.unwrap_or(0))
    }

    /// The first number of the log for which a condition on its entry does not hold, less one; `None` where the log is
    /// empty. The condition holds up to a place and not behind it, so halving finds it without an index.
    fn last_with(&self, column: &str, at_most: i64) -> Result<Option<(u64, u64, u64)>, StoreError> {
        let ends = "SELECT min(number), max(number) FROM mytism_log";
        let ends = self.one(ends, &[], |row| Ok((get::<Option<i64>>(row, 0)?, get::<Option<i64>>(row, 1)?)))?;
        let Some((Some(first), Some(last))) = ends else { return Ok(None) };
        let (first, last) = (first.cast_unsigned(), last.cast_unsigned());
        let sql = format!("SELECT {column} FROM mytism_log WHERE number = $1");
        let (mut until, mut after) = (first.saturating_sub(1), last);
        while until < after {
            let middle = until + (after - until).div_ceil(2);
            let found = self.one(&sql, &[&stored(middle)], |row| get::<i64>(row, 0))?;
            if found.is_some_and(|found| found > at_most) {
                after = middle - 1;
            } else {
                until = middle;
            }
        }
        Ok(Some((first, until, last)))
    }
}

async fn begin(session: &Session) -> Result<i64, StoreError> {
    let answers = session.client.simple_query(BEGIN).await?;
    let row = answers.iter().find_map(|answer| match answer {
        SimpleQueryMessage::Row(row) => row.get(0).and_then(|text| text.parse().ok()),
        _ => None,
    });
    row.ok_or_else(|| StoreError::Damaged("mytism_writer has no row".to_owned()))
}

impl Drop for PostgresView {
    fn drop(&mut self) {
        if let Some(session) = self.session.take() {
            if self.overlay.is_some() {
                // It saw other objects than there are.
                session.spend();
            }
            self.shared.engine.spawn(async move {
                if session.client.batch_execute("ROLLBACK").await.is_err() {
                    session.spend();
                }
            });
        }
    }
}

/// Rows in an order, at most so many and no more once they hold so many bytes together; one at least, so that nobody
/// waits for ever behind a large one. Their sizes are known without reading them.
fn until_full(columns: &str, table: &str, size: &str, condition: &str, order: &str) -> String {
    let key = columns.split(',').next().unwrap_or_default();
    let way = format!("{key} {order}");
    format!(
        "SELECT {columns} FROM (
             SELECT *, sum(weight) OVER (ORDER BY {way}) - weight AS before FROM (
                 SELECT *, ({size})::bigint AS weight FROM {table} WHERE {condition} ORDER BY {way} LIMIT $2) first) sized
         WHERE before < $3 ORDER BY {way}"
    )
}

fn log_rows(condition: &str, order: &str) -> String {
    until_full(LOG_COLUMNS, "mytism_log", "octet_length(entry) + octet_length(bytes)", condition, order)
}

fn journal_rows(condition: &str, order: &str) -> String {
    until_full(JOURNAL_COLUMNS, "mytism_journal", "coalesce(octet_length(changes), 0)", condition, order)
}

impl View for PostgresView {
    fn head(&self) -> Result<Option<Head>, StoreError> {
        let sql = "SELECT number, epoch, hash, committed_at FROM mytism_log ORDER BY number DESC LIMIT 1";
        self.one(sql, &[], |row| {
            Ok(Head {
                position: Position { number: unsigned(row)?, epoch: small(row, 1)? },
                hash: read::hash(row, 2)?,
                committed_at: Timestamp::saturating_from_micros(get(row, 3)?),
            })
        })
    }

    fn log_after(&self, after: u64, rows: u32, bytes: usize) -> Result<Vec<LogRow>, StoreError> {
        let sql = log_rows("number > $1", "ASC");
        self.list(&sql, &[&stored(after), &i64::from(rows), &counted(bytes)], read::log_row)
    }

    fn log_before(&self, before: u64, rows: u32, bytes: usize) -> Result<Vec<LogRow>, StoreError> {
        let sql = log_rows("number < $1", "DESC");
        self.list(&sql, &[&stored(before), &i64::from(rows), &counted(bytes)], read::log_row)
    }

    fn log_begin(&self) -> Result<u64, StoreError> {
        self.number("SELECT number FROM mytism_log ORDER BY number LIMIT 1", &[])
    }

    fn log_row(&self, number: u64) -> Result<Option<LogRow>, StoreError> {
        let sql = format!("SELECT {LOG_COLUMNS} FROM mytism_log WHERE number = $1");
        self.one(&sql, &[&stored(number)], read::log_row)
    }

    fn position_at(&self, time: Timestamp) -> Result<u64, StoreError> {
        // Times never run backwards along the log.
        let found = self.last_with("committed_at", time.micros())?;
        Ok(found.map_or(0, |(first, until, _)| if until < first { 0 } else { until }))
    }

    fn log_number(&self, transaction: TransactionId) -> Result<Option<u64>, StoreError> {
        let sql = "SELECT number FROM mytism_log WHERE node = $1 AND incarnation = $2 AND counter = $3";
        self.one(sql, &name(transaction).each_ref().map(|part| part as &(dyn ToSql + Sync)), unsigned)
    }

    fn last_counter(&self, node: NodeId, incarnation: u32) -> Result<u64, StoreError> {
        let of = |table| {
            let max = "SELECT max(counter) AS counter";
            format!("{max} FROM {table} WHERE node = $1 AND incarnation = $2 AND counter < $3")
        };
        let sql = format!(
            "SELECT coalesce(max(counter), 0) FROM ({} UNION ALL {}) both_of_them",
            of("mytism_log"),
            of("mytism_pending")
        );
        self.number(&sql, &[&i64::from(node.0), &i64::from(incarnation), &TransactionId::FORKS.cast_signed()])
    }

    fn last_incarnation(&self, node: NodeId) -> Result<u32, StoreError> {
        let sql = "SELECT coalesce(max(incarnation), 0) FROM mytism_log WHERE node = $1";
        Ok(u32::try_from(self.number(sql, &[&i64::from(node.0)])?).unwrap_or(u32::MAX))
    }

    fn later_reign(&self, epoch: u32) -> Result<Option<u64>, StoreError> {
        // Epochs never go back along the log.
        let found = self.last_with("epoch", i64::from(epoch))?;
        Ok(found.and_then(|(_, until, last)| (until < last).then_some(until + 1)))
    }

    fn pending_after(&self, place: i64, rows: u32, bytes: usize) -> Result<Vec<PendingRow>, StoreError> {
        let sql = until_full(PENDING_COLUMNS, "mytism_pending", "octet_length(bytes)", "place > $1", "ASC");
        self.list(&sql, &[&place, &i64::from(rows), &counted(bytes)], read::pending_row)
    }

    fn pending_ends(&self) -> Result<Option<(i64, i64)>, StoreError> {
        let sql = "SELECT min(place), max(place) FROM mytism_pending";
        let ends = self.one(sql, &[], |row| Ok((get::<Option<i64>>(row, 0)?, get::<Option<i64>>(row, 1)?)))?;
        Ok(ends.and_then(|(lowest, highest)| lowest.zip(highest)))
    }

    fn pending_count(&self) -> Result<u64, StoreError> {
        self.number("SELECT count(*) FROM mytism_pending", &[])
    }

    fn pending(&self, place: i64) -> Result<Option<PendingRow>, StoreError> {
        let sql = format!("SELECT {PENDING_COLUMNS} FROM mytism_pending WHERE place = $1");
        self.one(&sql, &[&place], read::pending_row)
    }

    fn pending_place(&self, transaction: TransactionId) -> Result<Option<i64>, StoreError> {
        let sql = "SELECT place FROM mytism_pending WHERE node = $1 AND incarnation = $2 AND counter = $3";
        self.one(sql, &name(transaction).each_ref().map(|part| part as &(dyn ToSql + Sync)), |row| get(row, 0))
    }

    fn pending_of(&self, object: ObjectId) -> Result<Vec<i64>, StoreError> {
        let sql = "SELECT place FROM mytism_pending_object WHERE object = $1 ORDER BY place";
        self.list(sql, &[&object.get()], |row| get(row, 0))
    }

    fn underlay(&self, object: ObjectId) -> Result<Vec<(Slot, Vec<u8>)>, StoreError> {
        let sql = "SELECT attribute, element, value FROM mytism_underlay WHERE object = $1 ORDER BY attribute, element";
        self.list(sql, &[&object.get()], |row| {
            let slot = Slot { attribute: AttributeId(small(row, 0)?), element: ObjectId::new(get(row, 1)?) };
            Ok((slot, get(row, 2)?))
        })
    }

    fn object(&self, object: ObjectId) -> Result<Option<ObjectState>, StoreError> {
        self.single(object)
    }

    fn is_element(&self, relation: AttributeId, owner: ObjectId, element: ObjectId) -> Result<bool, StoreError> {
        let Some(set) = self.shared.statements.set(relation) else { return Ok(false) };
        Ok(!self.rows(&set.has, &[&owner.get(), &element.get()])?.is_empty())
    }

    fn elements(&self, relation: AttributeId, owner: ObjectId) -> Result<Vec<ObjectId>, StoreError> {
        let Some(set) = self.shared.statements.set(relation) else { return Ok(Vec::new()) };
        let numbers = self.list(&set.elements, &[&owner.get()], |row| get(row, 0))?;
        Ok(numbers.into_iter().filter_map(ObjectId::new).collect())
    }

    fn find(
        &self,
        entity: EntityId,
        attribute: AttributeId,
        value: &Value,
        rows: u32,
    ) -> Result<Vec<ObjectId>, StoreError> {
        let schema = &self.shared.schema;
        let Some((_, member)) = schema.member_by_id(attribute) else { return Ok(Vec::new()) };
        let concrete = schema.entity_by_id(entity).map_or(&[][..], |found| &found.concrete);
        let bound = super::column::to_sql(&member.kind, value);
        let column = quoted(self.shared.names.column(attribute));
        let place = format!("$1::{}", super::column::bound_type(&member.kind));
        let holds = ddl::holds(&member.kind, &column, &place);
        let mut found = Vec::new();
        for entity in concrete {
            let table = quoted(self.shared.names.table(*entity));
            let sql = format!("SELECT id FROM {table} WHERE {holds} AND NOT _deleted ORDER BY id LIMIT $2");
            found.extend(self.list(&sql, &[&bound, &i64::from(rows)], |row| get::<i64>(row, 0))?);
        }
        found.sort_unstable();
        found.truncate(rows as usize);
        Ok(found.into_iter().filter_map(ObjectId::new).collect())
    }

    fn history_after(&self, object: ObjectId, after: u64) -> Result<Vec<u64>, StoreError> {
        let sql = "SELECT number FROM mytism_history WHERE object = $1 AND number > $2 ORDER BY number";
        self.list(sql, &[&object.get(), &stored(after)], unsigned)
    }

    fn history_rows(&self, after: (i64, u64), rows: u32) -> Result<Vec<(ObjectId, u64)>, StoreError> {
        let sql = "SELECT number, object FROM mytism_history WHERE (object, number) > ($1, $2)
                   ORDER BY object, number LIMIT $3";
        let params: Params<'_> = &[&after.0, &stored(after.1), &i64::from(rows)];
        self.list(sql, params, |row| Ok((read::object_id(get(row, 1)?)?, unsigned(row)?)))
    }

    fn last_change(&self, object: ObjectId, until: u64) -> Result<Option<u64>, StoreError> {
        let sql = "SELECT number FROM mytism_history WHERE object = $1 AND number <= $2 ORDER BY number DESC LIMIT 1";
        self.one(sql, &[&object.get(), &stored(until)], unsigned)
    }

    fn pending_objects(&self, after: i64, rows: u32) -> Result<Vec<ObjectId>, StoreError> {
        let sql = "SELECT DISTINCT object FROM mytism_pending_object WHERE object > $1 ORDER BY object LIMIT $2";
        let found = self.list(sql, &[&after, &i64::from(rows)], |row| get::<i64>(row, 0))?;
        Ok(found.into_iter().filter_map(ObjectId::new).collect())
    }

    fn objects_after(&self, after: i64, rows: u32) -> Result<Vec<ObjectState>, StoreError> {
        let found = self.registered(after, rows)?;
        found.into_iter().map(|(id, object)| object.ok_or_else(|| read::damaged(id.get()))).collect()
    }

    fn objects_of(&self, entity: EntityId, after: i64, rows: u32) -> Result<Vec<ObjectState>, StoreError> {
        self.scan(entity, after, rows)
    }

    fn log_marks(&self, after: u64, rows: u32) -> Result<Vec<(u64, Hash)>, StoreError> {
        self.list(check::MARKS, &[&stored(after), &i64::from(rows)], check::mark)
    }

    fn objects_found(&self, after: i64, rows: u32) -> Result<Vec<(ObjectId, Option<ObjectState>)>, StoreError> {
        self.all_rows(after, rows)
    }

    fn object_count(&self) -> Result<u64, StoreError> {
        self.shared.statements.entities().try_fold(0, |sum, entity| Ok(sum + self.number(&entity.count, &[])?))
    }

    fn query(
        &self,
        query: &Query,
        options: QueryOptions,
        row: &mut dyn FnMut(QueryRow) -> bool,
    ) -> Result<(), StoreError> {
        self.answer(query, options, row)
    }

    fn explain(&self, query: &Query, options: QueryOptions) -> Result<Explanation, StoreError> {
        self.explained(query, options)
    }

    fn quarantine(&self) -> Result<Vec<QuarantineRow>, StoreError> {
        let sql = "SELECT number, code, reason FROM mytism_quarantine ORDER BY number";
        self.list(sql, &[], read::quarantine_row)
    }

    fn journal_after(&self, after: u64, rows: u32, bytes: usize) -> Result<Vec<JournalRow>, StoreError> {
        let sql = journal_rows("sequence > $1", "ASC");
        self.list(&sql, &[&stored(after), &i64::from(rows), &counted(bytes)], read::journal_row)
    }

    fn journal_before(&self, before: u64, rows: u32, bytes: usize) -> Result<Vec<JournalRow>, StoreError> {
        let sql = journal_rows("sequence < $1", "DESC");
        self.list(&sql, &[&stored(before), &i64::from(rows), &counted(bytes)], read::journal_row)
    }

    fn journal_bounds(&self) -> Result<(u64, u64), StoreError> {
        let sql = "SELECT coalesce(min(sequence), 0), coalesce(max(sequence), 0) FROM mytism_journal";
        let bounds = self.one(sql, &[], |row| Ok((unsigned(row)?, get::<i64>(row, 1)?.cast_unsigned())))?;
        Ok(bounds.unwrap_or((0, 0)))
    }

    fn journal_aged(&self, before: Timestamp, rows: u32) -> Result<u64, StoreError> {
        let sql = "SELECT coalesce(max(sequence), 0) FROM (
                       SELECT sequence, at FROM mytism_journal ORDER BY sequence LIMIT $1) first WHERE at < $2";
        self.number(sql, &[&i64::from(rows), &before.micros()])
    }

    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.one("SELECT value FROM mytism_meta WHERE key = $1", &[&key], |row| get(row, 0))
    }

    fn kept(&self) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        let sql = "SELECT key, value FROM mytism_meta WHERE key <> $1 AND key <> $2 ORDER BY key";
        self.list(sql, &[&FORMAT_KEY, &SCHEMA_KEY], |row| Ok((get(row, 0)?, get(row, 1)?)))
    }

    fn schema(&self) -> &Arc<Schema> {
        &self.shared.schema
    }

    fn copy_to(&self, path: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<(), StoreError> {
        crate::transfer::to_file(self, &self.shared.schema, path, progress)
    }

    fn damages(&self) -> Result<Vec<String>, StoreError> {
        check::damages(self)
    }

    fn foreign_tables(&self) -> Result<Vec<String>, StoreError> {
        check::foreign_tables(self)
    }

    fn overlay(&mut self, objects: &[OtherObject]) -> Result<(), StoreError> {
        let mut overlay = self.overlay.take().unwrap_or_default();
        let laid = objects.iter().try_for_each(|object| overlay.lay(self, object));
        self.overlay = Some(overlay);
        laid
    }
}

fn name(transaction: TransactionId) -> [i64; 3] {
    [transaction.node.0.into(), transaction.incarnation.into(), stored(transaction.counter)]
}

/// A number as the engine keeps it; a larger one finds nothing.
pub(super) fn stored(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Bytes as the engine sums them up, which is without a limit.
fn counted(bytes: usize) -> super::column::Sql<'static> {
    let mantissa = i128::from(i64::try_from(bytes.max(1)).unwrap_or(i64::MAX));
    super::column::Sql::Decimal(super::numeric::Numeric { mantissa, scale: 0 })
}
