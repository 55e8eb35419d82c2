//! The embedded engine in memory.

use mytism_core::id::ObjectId;
use mytism_core::query::Query;
use mytism_core::schema::Schema;
use mytism_core::value::Value;
use mytism_store::QueryOptions;
use mytism_store::names::quoted;
use mytism_store::sqlite::column::{from_result, to_sql};
use mytism_store::sqlite::ddl::create_tables;
use mytism_store::sqlite::names::Names;
use mytism_store::sqlite::query::{compile, register_functions};
use rusqlite::types::Value as Sql;
use rusqlite::{Connection, params_from_iter};

use super::data::Data;
use super::{Bug, Engine};

#[derive(Default)]
pub(super) struct Sqlite(Option<Connection>);

impl Sqlite {
    fn connection(&self) -> &Connection {
        self.0.as_ref().unwrap()
    }
}

impl Engine for Sqlite {
    fn begin(&mut self, _: &Schema) {
        self.0 = None;
    }

    fn fill(&mut self, schema: &Schema, data: &Data) {
        let connection = Connection::open_in_memory().unwrap();
        register_functions(&connection).unwrap();
        let names = Names::new(schema);
        for statement in create_tables(schema, &names) {
            connection.execute_batch(&statement).unwrap();
        }
        for (id, object) in &data.objects {
            let entity = schema.entity_by_id(object.entity).unwrap();
            let mut columns = vec!["id".to_owned(), "_deleted".to_owned()];
            let mut values = vec![Sql::Integer(id.get()), Sql::Integer(i64::from(object.deleted))];
            for member in entity.columns() {
                columns.push(quoted(names.column(member.id)));
                values.push(to_sql(&member.kind, &object.values[&member.id]));
            }
            let places = vec!["?"; values.len()].join(", ");
            let table = quoted(names.table(entity.id));
            let sql = format!("INSERT INTO {table}({}) VALUES ({places})", columns.join(", "));
            connection.execute(&sql, params_from_iter(values)).unwrap();
        }
        for (set, owner, element) in &data.sets {
            let sql = format!("INSERT INTO {}(owner, element) VALUES (?, ?)", quoted(names.set_table(*set)));
            connection.execute(&sql, (owner.get(), element.get())).unwrap();
        }
        self.0 = Some(connection);
    }

    fn ask(&mut self, schema: &Schema, query: &Query, bug: Option<Bug>) -> (Option<Vec<Vec<Value>>>, String) {
        let compiled = compile(query, schema, &Names::new(schema), QueryOptions::default());
        let sql = bug.map_or_else(|| compiled.sql.clone(), |bug| bug(&compiled.sql));
        let mut statement = self.connection().prepare(&sql).unwrap_or_else(|error| panic!("{error}: {sql}"));
        let mut rows = statement.query(params_from_iter(&compiled.params)).unwrap();
        let mut found = Vec::new();
        loop {
            let row = match rows.next() {
                Ok(Some(row)) => row,
                Ok(None) => break,
                Err(error) if error.to_string().contains("integer overflow") => return (None, compiled.sql),
                Err(error) => panic!("{error}: {sql}"),
            };
            found.push(if query.is_objects() {
                vec![Value::Reference(ObjectId::new(row.get(0).unwrap()).unwrap())]
            } else {
                let columns = compiled.columns.iter().enumerate();
                columns.map(|(at, (_, kind))| from_result(kind, row.get_ref(at).unwrap()).unwrap()).collect()
            });
        }
        (Some(found), format!("{} {:?}", compiled.sql, compiled.params))
    }
}
