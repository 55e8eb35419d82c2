//! Objects and the answers of queries. Many objects are asked for at once, since each question takes its time on the
//! line.

use std::collections::{BTreeMap, HashMap};
use std::pin::pin;

use futures_util::TryStreamExt;
use mytism_core::id::{AttributeId, EntityId, ObjectId};
use mytism_core::query::Query;
use mytism_format::object::ObjectState;

use super::super::column::{Sql, Stored, from_result, to_parameter};
use super::super::read::{self, damaged, get, object_id, small};
use super::PostgresView;
use crate::compile::postgres::Postgres;
use crate::compile::{compile, used_indexes};
use crate::unnoted::{end_of_page, with_unnoted};
use crate::{Explanation, QueryOptions, QueryRow, StoreError};

/// Objects that are fetched together.
const TOGETHER: usize = 500;

impl PostgresView {
    /// One object, without the elements of its sets.
    pub(super) fn single(&self, object: ObjectId) -> Result<Option<ObjectState>, StoreError> {
        let sql = "SELECT entity FROM mytism_object WHERE id = $1";
        let Some(entity) = self.one(sql, &[&object.get()], |row| small(row, 0).map(EntityId))? else { return Ok(None) };
        Ok(self.load(entity, &[object])?.pop())
    }

    /// Objects of one entity by their ids, without the elements of their sets and in no certain order.
    fn load(&self, entity: EntityId, ids: &[ObjectId]) -> Result<Vec<ObjectState>, StoreError> {
        let statements = self.shared.statements.entity(entity).ok_or_else(|| {
            StoreError::Damaged(format!("there are objects of entity #{entity}, which the schema does not know"))
        })?;
        let ids: Vec<i64> = ids.iter().map(|id| id.get()).collect();
        self.list(&statements.select, &[&ids], |row| read::object(entity, statements, row))
    }

    /// Objects of several entities; those that cannot be read are not among them.
    fn load_all(&self, wanted: &[(ObjectId, EntityId)]) -> Result<HashMap<ObjectId, ObjectState>, StoreError> {
        let mut by_entity: BTreeMap<EntityId, Vec<ObjectId>> = BTreeMap::new();
        for (id, entity) in wanted {
            by_entity.entry(*entity).or_default().push(*id);
        }
        let mut found = HashMap::with_capacity(wanted.len());
        for (entity, ids) in by_entity {
            match self.load(entity, &ids) {
                Ok(objects) => found.extend(objects.into_iter().map(|object| (object.id, object))),
                Err(StoreError::Damaged(_)) => {
                    // One of them is damaged; the others are still there.
                    for id in ids {
                        match self.load(entity, &[id]) {
                            Ok(objects) => found.extend(objects.into_iter().map(|object| (object.id, object))),
                            Err(StoreError::Damaged(_)) => {}
                            Err(error) => return Err(error),
                        }
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }

    fn with_elements(&self, objects: &mut HashMap<ObjectId, ObjectState>) -> Result<(), StoreError> {
        let mut owners: BTreeMap<AttributeId, Vec<i64>> = BTreeMap::new();
        for object in objects.values() {
            let sets = self.shared.statements.entity(object.entity).map_or(&[][..], |found| &found.sets);
            sets.iter().for_each(|set| owners.entry(*set).or_default().push(object.id.get()));
        }
        for (relation, owners) in owners {
            if let Some(set) = self.shared.statements.set(relation) {
                read::add_elements(objects, relation, &self.rows(&set.scan, &[&owners])?)?;
            }
        }
        Ok(())
    }

    /// Objects in the order of their ids as the registry has them, with the elements of their sets.
    pub(super) fn registered(&self, after: i64, rows: u32) -> Result<Vec<(ObjectId, Option<ObjectState>)>, StoreError> {
        let sql = "SELECT id, entity FROM mytism_object WHERE id > $1 ORDER BY id LIMIT $2";
        let noted = self
            .list(sql, &[&after, &i64::from(rows)], |row| Ok((object_id(get(row, 0)?)?, EntityId(small(row, 1)?))))?;
        let mut objects = self.load_all(&noted)?;
        self.with_elements(&mut objects)?;
        Ok(noted.into_iter().map(|(id, _)| (id, objects.remove(&id))).collect())
    }

    /// As [`Self::registered`], with rows that the registry does not have.
    pub(super) fn all_rows(&self, after: i64, rows: u32) -> Result<Vec<(ObjectId, Option<ObjectState>)>, StoreError> {
        let found = self.registered(after, rows)?;
        let mut unnoted: Vec<i64> = Vec::new();
        let end = end_of_page(&found, rows);
        for entity in self.shared.statements.entities() {
            unnoted.extend(self.list(&entity.unnoted, &[&after, &end, &i64::from(rows)], |row| get::<i64>(row, 0))?);
        }
        with_unnoted(found, unnoted, rows)
    }

    /// Objects of one entity in the order of their ids, with the elements of their sets.
    pub(super) fn scan(&self, entity: EntityId, after: i64, rows: u32) -> Result<Vec<ObjectState>, StoreError> {
        let statements = self.shared.statements.entity(entity);
        let statements =
            statements.ok_or_else(|| StoreError::Engine(format!("the schema has no objects of entity #{entity}")))?;
        let found =
            self.list(&statements.scan, &[&after, &i64::from(rows)], |row| read::object(entity, statements, row))?;
        let order: Vec<ObjectId> = found.iter().map(|object| object.id).collect();
        let mut objects = found.into_iter().map(|object| (object.id, object)).collect();
        self.with_elements(&mut objects)?;
        Ok(order.iter().filter_map(|id| objects.remove(id)).collect())
    }

    /// How the engine would answer a query.
    pub(super) fn explained(&self, query: &Query, options: QueryOptions) -> Result<Explanation, StoreError> {
        let compiled = compile(query, &self.shared.schema, &self.shared.names, options, &Postgres);
        let values: Vec<Sql<'_>> =
            compiled.params.iter().map(|bound| to_parameter(&bound.kind, &bound.value)).collect();
        let values: Vec<_> = values.iter().map(|value| value as &(dyn tokio_postgres::types::ToSql + Sync)).collect();
        let plan = self.list(&format!("EXPLAIN (COSTS OFF) {}", compiled.sql), &values, |row| get::<String>(row, 0))?;
        let indexes = used_indexes(&plan, &self.shared.schema);
        let values = compiled.params.into_iter().map(|bound| bound.value).collect();
        Ok(Explanation { sql: compiled.sql, values, indexes, plan })
    }

    /// Runs a query.
    pub(super) fn answer(
        &self,
        query: &Query,
        options: QueryOptions,
        row: &mut dyn FnMut(QueryRow) -> bool,
    ) -> Result<(), StoreError> {
        let compiled = compile(query, &self.shared.schema, &self.shared.names, options, &Postgres);
        let values: Vec<Sql<'_>> =
            compiled.params.iter().map(|bound| to_parameter(&bound.kind, &bound.value)).collect();
        let mut found = Vec::new();
        self.shared.engine.wait(async {
            let session = self.session()?;
            let statement = session.statement(&compiled.sql).await?;
            let mut rows = pin!(session.client.query_raw(&statement, values.iter()).await?);
            while let Some(answer) = rows.try_next().await? {
                if query.select.is_none() {
                    found.push((object_id(get(&answer, 0)?)?, EntityId(entity_id(&answer)?)));
                    continue;
                }
                let values = compiled.columns.iter().enumerate();
                let values = values.map(|(index, (_, kind))| from_result(kind, &get::<Stored<'_>>(&answer, index)?));
                if !row(QueryRow::Values(values.collect::<Result<_, StoreError>>()?)) {
                    break;
                }
            }
            Ok::<(), StoreError>(())
        })?;
        for part in found.chunks(TOGETHER) {
            let mut objects = self.load_all(part)?;
            for (id, _) in part {
                let object = objects.remove(id).ok_or_else(|| damaged(id.get()))?;
                if !row(QueryRow::Object(Box::new(object))) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

/// The id of an entity, which stands in the text of a query as a number.
fn entity_id(row: &tokio_postgres::Row) -> Result<u32, StoreError> {
    match get::<i32>(row, 1) {
        Ok(number) => u32::try_from(number).map_err(|_| StoreError::Damaged(format!("{number} is no entity"))),
        Err(_) => small(row, 1),
    }
}
