//! Queries written by hand on the tables of a node, to measure its own against. They use what the engine gives: one
//! connection, statements prepared once, values bound, every column read.

use std::path::Path;

use mytism_core::schema::Schema;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, params_from_iter};
use tokio::runtime::Runtime;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, NoTls, Statement};

use crate::StoreError;
use crate::names::{Names, quoted};
use crate::postgres::column::Stored;
use crate::sqlite;

/// A question about the orders of the demo.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Question {
    /// Seven columns of one order; the value is its id.
    ById,
    /// Three columns of orders between two numbers.
    Page,
    /// How many orders a customer has; the value is its id.
    Count,
    /// The numbers of orders between two numbers, with the name of the superior of who took them.
    Path,
    /// Orders, their freight, its mean and the largest, by city.
    Aggregate,
}

impl Question {
    /// The statement for an engine that writes the places of values and the bool false so.
    fn sql(self, names: &Names, schema: &Schema, place: &str, alive: &str) -> Option<String> {
        let table = |entity: &str| schema.entity(entity).map(|found| quoted(names.table(found.id)));
        let column = |entity: &str, member: &str| {
            let found = schema.entity(entity)?.member(member)?;
            Some(quoted(names.column(found.id)))
        };
        let of_order = |member: &str| column("Order", member);
        let (orders, employees, number) = (table("Order")?, table("Employee")?, of_order("OrderID")?);
        let (freight, city) = (of_order("Freight")?, of_order("ShipCity")?);
        let between = format!("{number} BETWEEN {place}1 AND {place}2");
        Some(match self {
            Self::ById => {
                let columns = ["OrderID", "OrderDate", "Freight", "ShipName", "ShipAddress", "ShipCity", "ShipCountry"];
                let columns: Vec<String> = columns.into_iter().map(of_order).collect::<Option<_>>()?;
                format!("SELECT {} FROM {orders} WHERE id = {place}1 AND {alive}", columns.join(", "))
            }
            Self::Page => {
                format!(
                    "SELECT {number}, {freight}, {city} FROM {orders} WHERE {between} AND {alive} ORDER BY {number}"
                )
            }
            Self::Count => {
                format!("SELECT count(*) FROM {orders} WHERE {} = {place}1 AND {alive}", of_order("Customer")?)
            }
            Self::Path => format!(
                "SELECT o.{number}, s.{} FROM {orders} o LEFT JOIN {employees} e ON e.id = o.{} \
                 LEFT JOIN {employees} s ON s.id = e.{} WHERE o.{between} AND {} ORDER BY o.{number}",
                column("Employee", "LastName")?,
                of_order("Employee")?,
                column("Employee", "ReportsTo")?,
                alive.replace("_deleted", "o._deleted"),
            ),
            Self::Aggregate => format!(
                "SELECT {city}, count(*), sum({freight}), avg({freight}), max({freight}) FROM {orders} \
                 WHERE {alive} GROUP BY {city} ORDER BY {city}"
            ),
        })
    }
}

/// The plain engine below a node.
pub enum Plain {
    /// A second connection to the file of the embedded engine, and its statement.
    Sqlite(Connection, String),
    /// A connection to the server, and its statement.
    Postgres(Box<(Runtime, Client, Statement)>),
}

impl Plain {
    /// Beside a node on the embedded engine in a directory.
    ///
    /// # Errors
    /// When the schema is not that of the demo, or the database cannot be opened.
    pub fn sqlite(directory: &Path, schema: &Schema, question: Question) -> Result<Self, StoreError> {
        let connection = sqlite::connect(&directory.join(sqlite::FILE), OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let sql = question.sql(&Names::new(schema), schema, "?", "_deleted = 0").ok_or_else(foreign)?;
        Ok(Self::Sqlite(connection, sql))
    }

    /// Beside a node on the server of an address.
    ///
    /// # Errors
    /// When the schema is not that of the demo, or the server cannot be reached.
    pub fn postgres(address: &str, schema: &Schema, question: Question) -> Result<Self, StoreError> {
        let sql = question.sql(&Names::new(schema), schema, "$", "NOT _deleted").ok_or_else(foreign)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.map_err(|error| StoreError::Engine(error.to_string()))?;
        let (client, connection) = runtime.block_on(tokio_postgres::connect(address, NoTls))?;
        runtime.spawn(connection);
        let statement = runtime.block_on(client.prepare(&sql))?;
        Ok(Self::Postgres(Box::new((runtime, client, statement))))
    }

    /// Asks once; how many rows came.
    ///
    /// # Errors
    /// When the engine refuses.
    pub fn ask(&self, values: &[i64]) -> Result<u64, StoreError> {
        let mut count = 0;
        match self {
            Self::Sqlite(connection, sql) => {
                let mut statement = connection.prepare_cached(sql)?;
                let columns = statement.column_count();
                let mut rows = statement.query(params_from_iter(values))?;
                while let Some(row) = rows.next()? {
                    for column in 0..columns {
                        std::hint::black_box::<ValueRef<'_>>(row.get_ref(column)?);
                    }
                    count += 1;
                }
            }
            Self::Postgres(parts) => {
                let (runtime, client, statement) = &**parts;
                let params: Vec<&(dyn ToSql + Sync)> =
                    values.iter().map(|value| value as &(dyn ToSql + Sync)).collect();
                for row in runtime.block_on(client.query(statement, &params))? {
                    for column in 0..row.len() {
                        std::hint::black_box::<Stored<'_>>(row.try_get(column)?);
                    }
                    count += 1;
                }
            }
        }
        Ok(count)
    }
}

fn foreign() -> StoreError {
    StoreError::Engine("the schema is not that of the demo".to_owned())
}
