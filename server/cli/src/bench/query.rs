//! Queries over a million orders, beside statements written by hand on the tables of the same engine.
//!
//! Expected cost of one query beside the statement itself, sketched before the first run: reading the text and checking
//! it against the schema 10 µs, compiling 5 µs, a view 5 µs on SQLite and two ways to the server on PostgreSQL (60 µs),
//! since a view begins a transaction and fixes what it sees. What is the same for every row is small beside a million of
//! them, and for 50 rows. So it should take at most 1.3 times as long, or 20 µs more, whichever is more.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mytism_app::App;
use mytism_app::surroundings::Machine;
use mytism_core::failure::Failure;
use mytism_core::id::ObjectId;
use mytism_core::operation::{Input, Output as Out, QueryRequest, Reply, Request};
use mytism_core::schema::Schema;
use mytism_store::bench::queries::{Plain, Question};
use mytism_store::postgres::{PoolOptions, PostgresOptions, PostgresStore};
use mytism_store::sqlite::{Durability, SqliteStore};
use mytism_store::{Store, StoreError};
use serde_json::json;

use super::Settings;
use super::figures::{Figures, Round};
use super::machine::{Scratch, fdatasync_per_s, with_memory};
use super::node::{Node, failure, schema};
use super::postgres::{Single, installed};

/// Rows of one import.
const ROWS: u64 = 1_000;
/// Queries of each side at least, however long they take.
const QUERIES: usize = 3;

/// What is varied.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Parameters {
    /// Orders that there are.
    pub(super) orders: u64,
    /// On a server in the place of the embedded engine.
    pub(super) postgres: bool,
}

/// The questions with the texts in which a node is asked, and their names.
const QUESTIONS: [(Question, &str, &str); 5] = [
    (
        Question::ById,
        "by id",
        "select OrderID, OrderDate, Freight, ShipName, ShipAddress, ShipCity, ShipCountry from Order where id = $a",
    ),
    (
        Question::Page,
        "50 by index",
        "select OrderID, Freight, ShipCity from Order where OrderID between $a and $b order by OrderID",
    ),
    (Question::Count, "count", "select count(*) as n from Order where Customer.id = $a"),
    (
        Question::Path,
        "path",
        "select OrderID, Employee.ReportsTo.LastName from Order where OrderID between $a and $b order by OrderID",
    ),
    (
        Question::Aggregate,
        "aggregate",
        "select ShipCity, count(*) as n, sum(Freight) as f, avg(Freight) as m, max(Freight) as x from Order \
         group by ShipCity order by ShipCity",
    ),
];

/// Where the database is.
enum Place {
    Directory(PathBuf),
    Server(Single),
}

impl Place {
    fn make(scratch: &Scratch, postgres: bool) -> Result<Self, Failure> {
        if !postgres {
            return Ok(Self::Directory(scratch.child("node")?));
        }
        let programs = installed().ok_or_else(|| {
            let failure = Failure::failed("bench-postgres", "PostgreSQL is not installed");
            failure.hint("install it, or measure without --store")
        })?;
        Ok(Self::Server(Single::start(&programs, scratch.path().join("server"))?))
    }

    fn store(&self, scratch: &Scratch, schema: &Arc<Schema>) -> Result<Arc<dyn Store>, StoreError> {
        match self {
            Self::Directory(directory) => {
                let store = SqliteStore::create(directory, Arc::clone(schema))?;
                store.set_durability(Durability::None)?;
                Ok(Arc::new(store))
            }
            Self::Server(server) => {
                let options = PostgresOptions::new(&server.address(), None, None, PoolOptions::default())?;
                Ok(Arc::new(PostgresStore::create(scratch.path(), &options, Arc::clone(schema))?))
            }
        }
    }

    fn plain(&self, schema: &Schema, question: Question) -> Result<Plain, StoreError> {
        match self {
            Self::Directory(directory) => Plain::sqlite(directory, schema, question),
            Self::Server(server) => Plain::postgres(&server.address(), schema, question),
        }
    }
}

/// Measures node and plain engine in turn, for each question.
pub(super) fn run(parameters: Parameters, settings: &Settings) -> Result<Vec<Figures>, Failure> {
    let scratch = Scratch::new(&settings.directory)?;
    let schema = schema(scratch.path())?;
    let place = Place::make(&scratch, parameters.postgres)?;
    let store = place.store(&scratch, &schema).map_err(|error| error.failure())?;
    let app = App::create_head_office(store, Arc::clone(&schema), Arc::new(Machine::default()), "bench");
    let node = Node::of(app.map_err(failure)?, scratch.path().to_owned());
    node.take_blocks(parameters.orders)?;
    let customers = node.customers()?;
    node.employees()?;
    let batches = (0..parameters.orders).step_by(usize::try_from(ROWS).unwrap_or(1));
    batches.map(|first| first..(first + ROWS).min(parameters.orders)).try_for_each(|part| node.import_taken(part))?;
    if let Place::Server(server) = &place {
        server.settle()?;
    }
    let ids = ids(&node)?;
    let asked = Asked { node, place, schema, parameters, customer: customers.first().copied(), ids };
    let all = QUESTIONS.iter().map(|question| asked.measured(question, &scratch, settings)).collect();
    asked.node.app.stop();
    all
}

/// A filled node and its plain engine.
struct Asked {
    node: Node,
    place: Place,
    schema: Arc<Schema>,
    parameters: Parameters,
    customer: Option<ObjectId>,
    /// Of all orders.
    ids: Vec<i64>,
}

impl Asked {
    fn measured(
        &self,
        (question, name, text): &(Question, &str, &str),
        scratch: &Scratch,
        settings: &Settings,
    ) -> Result<Figures, Failure> {
        let plain = self.place.plain(&self.schema, *question).map_err(|error| error.failure())?;
        let values = |number: usize| {
            let number = number.wrapping_mul(7919) % self.ids.len().saturating_sub(50).max(1);
            let signed = i64::try_from(number).unwrap_or(0);
            match question {
                Question::ById => self.ids.get(number).copied().into_iter().collect(),
                Question::Count => self.customer.map(ObjectId::get).into_iter().collect(),
                Question::Page | Question::Path => vec![signed, signed + 49],
                Question::Aggregate => Vec::new(),
            }
        };
        // Both have been asked once before.
        self.ask(text, &values(0))?;
        plain.ask(&values(0)).map_err(|error| error.failure())?;
        let rounds = (0..settings.rounds).map(|_| {
            let disk = fdatasync_per_s(scratch.path())?;
            let ((took, waits), memory) = {
                let (done, memory) = with_memory(|| timed(settings.time, |number| self.ask(text, &values(number))));
                (done?, memory)
            };
            let mut raw = Duration::ZERO;
            for number in 0..waits.len() {
                let began = Instant::now();
                let rows = plain.ask(&values(number)).map_err(|error| error.failure())?;
                raw += began.elapsed();
                if rows == 0 {
                    return Err(empty());
                }
            }
            let (n, fdatasync_per_s) = (waits.len() as u64, [disk, disk]);
            Ok(Round { n, commits: 0, node: took, raw, waits, memory, fdatasync_per_s })
        });
        let rounds = rounds.collect::<Result<Vec<_>, Failure>>()?;
        let store = if self.parameters.postgres { "postgres" } else { "sqlite" };
        let more =
            rounds.iter().map(|round| (round.node.as_secs_f64() - round.raw.as_secs_f64()) / round.n.max(1) as f64);
        let more = more.fold(f64::INFINITY, f64::min) * 1e6;
        let about = vec![
            ("query", json!(name)),
            ("store", json!(store)),
            ("orders", json!(self.parameters.orders)),
            ("unit", json!("queries/s")),
            ("more_us", json!((more * 10.0).round() / 10.0)),
        ];
        let title = if self.parameters.postgres { format!("query, {name}, PG") } else { format!("query, {name}") };
        Ok(Figures::of("query", title, about, &rounds))
    }

    fn ask(&self, text: &str, values: &[i64]) -> Result<(), Failure> {
        let params = ["a", "b"].into_iter().zip(values);
        let params = params.map(|(name, value)| (name.to_owned(), Input::Number(value.to_string())));
        let request = QueryRequest { text: text.to_owned(), params: params.collect(), ..QueryRequest::default() };
        let mut rows = 0;
        self.node.call(Request::Query(request), &mut |reply| {
            rows += u32::from(matches!(reply, Reply::Row(_) | Reply::Object(_)));
            Ok(())
        })?;
        if rows > 0 { Ok(()) } else { Err(empty()) }
    }
}

/// The ids of all orders.
fn ids(node: &Node) -> Result<Vec<i64>, Failure> {
    let mut ids = Vec::new();
    let request = QueryRequest { text: "select id as n from Order".to_owned(), ..QueryRequest::default() };
    node.call(Request::Query(request), &mut |reply| {
        if let Reply::Row(row) = reply
            && let Some((_, Out::Value(value))) = row.first()
        {
            ids.extend(value.integer());
        }
        Ok(())
    })?;
    if ids.is_empty() { Err(empty()) } else { Ok(ids) }
}

fn timed(time: Duration, ask: impl Fn(usize) -> Result<(), Failure>) -> Result<(Duration, Vec<u32>), Failure> {
    let began = Instant::now();
    let mut waits = Vec::new();
    while began.elapsed() < time || waits.len() < QUERIES {
        let asked = Instant::now();
        ask(waits.len())?;
        waits.push(u32::try_from(asked.elapsed().as_micros()).unwrap_or(u32::MAX));
    }
    Ok((began.elapsed(), waits))
}

fn empty() -> Failure {
    Failure::failed("internal", "a query of the measurement found nothing")
}

impl fmt::Display for Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "query, {} orders", self.orders)
    }
}
