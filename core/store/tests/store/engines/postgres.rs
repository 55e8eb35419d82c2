//! A PostgreSQL server of the test's own.

use mytism_core::id::ObjectId;
use mytism_core::query::Query;
use mytism_core::schema::Schema;
use mytism_core::value::Value;
use mytism_store::compile::{compile, postgres as dialect};
use mytism_store::names::{Names, quoted};
use mytism_store::postgres::column::{Sql, Stored, from_result, to_parameter, to_sql};
use mytism_store::postgres::ddl::create_bare_tables;
use mytism_store::{QueryOptions, StoreError};
use mytism_testkit::PostgresServer;
use tokio::runtime::Runtime;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, NoTls};

use super::data::Data;
use super::{Bug, Engine};

pub(super) struct Postgres {
    runtime: Runtime,
    client: Client,
}

impl Postgres {
    /// `None` where it is not installed.
    pub(super) fn start() -> Option<Self> {
        let address = PostgresServer::shared()?.database();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (client, connection) = runtime.block_on(tokio_postgres::connect(&address, NoTls)).unwrap();
        runtime.spawn(connection);
        let started = Self { runtime, client };
        for statement in dialect::functions() {
            started.run(&statement);
        }
        // What the program must not depend on.
        started.run("SET TimeZone = 'Asia/Kolkata'; SET DateStyle = 'SQL, DMY'; SET extra_float_digits = 0");
        Some(started)
    }

    fn run(&self, sql: &str) {
        self.runtime.block_on(self.client.batch_execute(sql)).unwrap_or_else(|error| panic!("{error:?}: {sql}"));
    }

    fn insert(&self, table: &str, columns: &[String], values: &[Sql<'_>]) {
        let places: Vec<String> = (1..=values.len()).map(|place| format!("${place}")).collect();
        let sql = format!("INSERT INTO {table}({}) VALUES ({})", columns.join(", "), places.join(", "));
        let params = values.iter().map(|value| value as &(dyn tokio_postgres::types::ToSql + Sync));
        let params: Vec<_> = params.collect();
        self.runtime.block_on(self.client.execute(&sql, &params)).unwrap_or_else(|error| panic!("{error:?}: {sql}"));
    }
}

impl Engine for Postgres {
    fn begin(&mut self, schema: &Schema) {
        self.run("DROP SCHEMA IF EXISTS trial CASCADE; CREATE SCHEMA trial; SET search_path = trial, public");
        for statement in create_bare_tables(schema, &Names::new(schema)) {
            self.run(&statement);
        }
    }

    fn fill(&mut self, schema: &Schema, data: &Data) {
        let names = Names::new(schema);
        self.run("BEGIN");
        for entity in schema.entities() {
            if !entity.is_abstract {
                self.run(&format!("DELETE FROM {}", quoted(names.table(entity.id))));
            }
            for set in entity.sets() {
                self.run(&format!("DELETE FROM {}", quoted(names.set_table(set.id))));
            }
        }
        for (id, object) in &data.objects {
            let entity = schema.entity_by_id(object.entity).unwrap();
            let mut columns = vec!["id".to_owned()];
            let mut values = vec![Sql::Integer(id.get())];
            for kind in ["created", "changed"] {
                columns.extend([format!("_{kind}_time"), format!("_{kind}_user"), format!("_{kind}_node")]);
                values.extend([Sql::Instant(0), Sql::Integer(1), Sql::Integer(1)]);
            }
            columns.extend(["_version".to_owned(), "_deleted".to_owned()]);
            values.extend([Sql::Integer(1), Sql::Bool(object.deleted)]);
            for member in entity.columns() {
                columns.push(quoted(names.column(member.id)));
                values.push(to_sql(&member.kind, &object.values[&member.id]));
            }
            self.insert(&quoted(names.table(entity.id)), &columns, &values);
        }
        for (set, owner, element) in &data.sets {
            let values = [Sql::Integer(owner.get()), Sql::Integer(element.get())];
            self.insert(&quoted(names.set_table(*set)), &["owner".to_owned(), "element".to_owned()], &values);
        }
        self.run("COMMIT");
    }

    fn ask(&mut self, schema: &Schema, query: &Query, bug: Option<Bug>) -> (Option<Vec<Vec<Value>>>, String) {
        let compiled = compile(query, schema, &Names::new(schema), QueryOptions::default(), &dialect::Postgres);
        let sql = bug.map_or_else(|| compiled.sql.clone(), |bug| bug(&compiled.sql));
        let values: Vec<Sql<'_>> =
            compiled.params.iter().map(|bound| to_parameter(&bound.kind, &bound.value)).collect();
        let params: Vec<_> = values.iter().map(|value| value as &(dyn tokio_postgres::types::ToSql + Sync)).collect();
        let shown = format!("{sql} {:?}", compiled.params);
        let rows = match self.runtime.block_on(self.client.query(&sql, &params)) {
            Ok(rows) => rows,
            Err(error) if error.code() == Some(&SqlState::NUMERIC_VALUE_OUT_OF_RANGE) => return (None, shown),
            Err(error) => panic!("{error:?}: {shown}"),
        };
        let mut found = Vec::new();
        for row in rows {
            if query.is_objects() {
                found.push(vec![Value::Reference(ObjectId::new(row.get(0)).unwrap())]);
                continue;
            }
            let columns = compiled.columns.iter().enumerate();
            let values = columns.map(|(at, (_, kind))| from_result(kind, &row.get::<_, Stored<'_>>(at)));
            match values.collect::<Result<Vec<Value>, StoreError>>() {
                Ok(values) => found.push(values),
                Err(StoreError::SumOverflow) => return (None, shown),
                Err(error) => panic!("{error}: {shown}"),
            }
        }
        (Some(found), shown)
    }
}
