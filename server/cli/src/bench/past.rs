//! A query of the past over 100,000 orders, beside the same query of the present.
//!
//! Expected cost, sketched before the first run: for each change since then its transaction read and checked (5 to 10 µs
//! where each has one of its own), one look at the history and one at the entry that changed the order before (10 to
//! 20 µs), and one temporary row (5 µs); beside that a connection that is opened anew and five temporary things, 1 ms.
//! So ten changes should cost 1 to 2 ms, 1,000 about 30 ms, and 100,000 about 3 s less what transactions with many
//! changes save. The query itself lists 20 orders by their numbers, found by an index: it should be as fast
//! as ever, but for a look through the temporary rows. (Orders found over their customers, or ordered or summed up without
//! such a condition, are all read: some tenths of a microsecond each.)

use std::fmt;
use std::time::{Duration, Instant};

use mytism_core::failure::Failure;
use mytism_core::operation::{QueryRequest, Reply, Request};
use mytism_store::sqlite::Durability;
use serde_json::json;

use super::Settings;
use super::figures::{Figures, Round};
use super::machine::{Scratch, fdatasync_per_s, with_memory};
use super::node::{Node, schema};

/// Rows of one import, and changes in one save where there are more.
const ROWS: u64 = 1_000;
/// Queries of the past at least, however long they take.
const QUERIES: u64 = 3;

/// What is varied.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Parameters {
    /// Orders that there are.
    pub(super) orders: u64,
    /// Of which so many were changed between then and now, each once.
    pub(super) changes: u64,
}

impl fmt::Display for Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "past, {} changes", self.changes)
    }
}

/// Measures the past and the present in turn.
pub(super) fn run(parameters: Parameters, settings: &Settings) -> Result<Figures, Failure> {
    let scratch = Scratch::new(&settings.directory)?;
    let schema = schema(scratch.path())?;
    let node = Node::head_office(scratch.child("node")?, &schema, Durability::None)?;
    node.customers()?;
    (0..parameters.orders / ROWS).try_for_each(|batch| node.import_orders(batch * ROWS..(batch + 1) * ROWS))?;
    let then = node.position()?;
    change(&node, parameters.changes)?;
    let rounds = (0..settings.rounds).map(|_| round(&node, then, &scratch, settings.time));
    let rounds = rounds.collect::<Result<Vec<_>, _>>()?;
    let about = vec![("changes", json!(parameters.changes)), ("unit", json!("queries/s"))];
    Ok(Figures::of("past", parameters.to_string(), about, &rounds))
}

/// Changes so many orders, up to 1,000 in saves of their own, else 1,000 in each.
fn change(node: &Node, changes: u64) -> Result<(), Failure> {
    let at_once = if changes > ROWS { ROWS } else { 1 };
    for first in (0..changes).step_by(usize::try_from(at_once).unwrap_or(1)) {
        node.move_orders(first..first + at_once)?;
    }
    Ok(())
}

fn round(node: &Node, then: u64, scratch: &Scratch, time: Duration) -> Result<Round, Failure> {
    let disk = fdatasync_per_s(scratch.path())?;
    let as_of = then.to_string();
    let began = Instant::now();
    let (waits, memory) = with_memory(|| {
        let mut waits = Vec::new();
        while began.elapsed() < time || (waits.len() as u64) < QUERIES {
            waits.push(ask(node, Some(&as_of))?);
        }
        Ok::<_, Failure>(waits)
    });
    let (waits, past) = (waits?, began.elapsed());
    let began = Instant::now();
    (0..waits.len()).try_for_each(|_| ask(node, None).map(drop))?;
    Ok(Round {
        n: waits.len() as u64,
        commits: 0,
        node: past,
        raw: began.elapsed(),
        waits,
        memory,
        fdatasync_per_s: [disk, disk],
    })
}

/// Asks once; in microseconds.
fn ask(node: &Node, as_of: Option<&str>) -> Result<u32, Failure> {
    let began = Instant::now();
    let text =
        "select OrderID, Freight, Customer.CompanyName from Order where OrderID between 500 and 519 order by OrderID";
    let request = QueryRequest { text: text.to_owned(), as_of: as_of.map(str::to_owned), ..QueryRequest::default() };
    let mut rows = 0;
    node.call(Request::Query(request), &mut |reply| {
        rows += u32::from(matches!(reply, Reply::Row(_)));
        Ok(())
    })?;
    if rows > 0 {
        return Ok(u32::try_from(began.elapsed().as_micros()).unwrap_or(u32::MAX));
    }
    Err(Failure::failed("internal", "a query of the measurement found nothing"))
}
