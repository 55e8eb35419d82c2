//! An import of customers in batches of a thousand rows, while others save orders: how many rows a second, and how long
//! the others wait meanwhile.
//!
//! Expected cost of one row of eleven cells, sketched before the first run: 8 µs to draft and check it with one look-up
//! of its key, 4 µs to encode and hash it, both beside the commit lane; 8 µs for two rows and three index entries; for a
//! batch one fdatasync. So 40,000 rows a second and more where nobody else works, and for the others a wait of one
//! batch's writing, 10 to 20 ms, at worst of two.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use mytism_app::Context;
use mytism_core::failure::Failure;
use mytism_core::id::{ObjectId, TransactionId};
use mytism_core::operation::{ImportBatch, Reply, Request};
use mytism_store::sqlite::Durability;
use serde_json::json;

use super::Settings;
use super::figures::{Figures, Round};
use super::machine::{Scratch, fdatasync_per_s, with_memory};
use super::node::{Node, schema};
use super::plain;

/// Rows of one batch, as the command line sends them.
const BATCH: u64 = 1_000;
/// Threads that save meanwhile, with a pause between two saves, as people do.
const OTHERS: u32 = 4;
const PAUSE: Duration = Duration::from_millis(5);

/// What is varied.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Parameters {
    /// Rows of the file.
    pub(super) rows: u64,
}

impl fmt::Display for Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "import, {} k rows", self.rows / 1_000)
    }
}

/// Measures node and plain engine in turn. The waits are those of the others.
pub(super) fn run(parameters: Parameters, settings: &Settings) -> Result<Figures, Failure> {
    let rounds = (0..settings.rounds).map(|_| round(parameters, settings)).collect::<Result<Vec<_>, _>>()?;
    let fields = vec![("others", json!(OTHERS)), ("unit", json!("rows/s"))];
    Ok(Figures::of("import", parameters.to_string(), fields, &rounds))
}

fn round(parameters: Parameters, settings: &Settings) -> Result<Round, Failure> {
    let scratch = Scratch::new(&settings.directory)?;
    let schema = schema(scratch.path())?;
    let node = Node::head_office(scratch.child("node")?, &schema, Durability::Full)?;
    let customers = node.customers()?;
    let before_node = fdatasync_per_s(scratch.path())?;
    let after = node.begin()?;
    let (imported, memory) = with_memory(|| with_others(&node, &customers, || import(&node, parameters.rows)));
    let (took, waits) = imported?;
    let directory = node.directory.clone();
    let run = node.end(after);
    let before_raw = fdatasync_per_s(scratch.path())?;
    let raw = plain::run(&directory, &scratch.child("plain")?, &run)?;
    Ok(Round {
        n: parameters.rows,
        commits: raw.commits,
        node: took,
        raw: raw.writing,
        waits,
        memory,
        fdatasync_per_s: [before_node, before_raw],
    })
}

/// Does something while others save. Returns how long it took, and how long each of their saves did, in microseconds.
fn with_others(
    node: &Node,
    customers: &[ObjectId],
    work: impl FnOnce() -> Result<(), Failure>,
) -> Result<(Duration, Vec<u32>), Failure> {
    let (over, numbers) = (AtomicBool::new(false), AtomicU64::new(100_000));
    let saving = || {
        let mut waits = Vec::new();
        while !over.load(Ordering::Relaxed) {
            let asked = Instant::now();
            node.order(numbers.fetch_add(1, Ordering::Relaxed), customers)?;
            waits.push(u32::try_from(asked.elapsed().as_micros()).unwrap_or(u32::MAX));
            std::thread::sleep(PAUSE);
        }
        Ok(waits)
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..OTHERS).map(|_| scope.spawn(saving)).collect();
        let began = Instant::now();
        let done = work();
        let took = began.elapsed();
        over.store(true, Ordering::Relaxed);
        let mut waits = Vec::new();
        for thread in threads {
            let ended: Result<Vec<u32>, Failure> =
                thread.join().map_err(|_| Failure::failed("internal", "a client of the measurement panicked"))?;
            waits.extend(ended?);
        }
        done.map(|()| (took, waits))
    })
}

fn import(node: &Node, rows: u64) -> Result<(), Failure> {
    let mut run: Option<TransactionId> = None;
    for first in (0..rows).step_by(usize::try_from(BATCH).unwrap_or(1)) {
        let batch = ImportBatch {
            run,
            description: "import of customers.csv".to_owned(),
            entity: "Customer".to_owned(),
            key: None,
            columns: COLUMNS.map(str::to_owned).to_vec(),
            rows: (first..rows.min(first + BATCH)).map(row).collect(),
            mode: mytism_core::operation::ImportMode::Insert,
            skip_bad_rows: true,
            dry_run: false,
            notation: None,
            whole: None,
            preview: None,
        };
        node.app.call(&Context::local(), Request::Import(batch), &mut |reply| {
            if let Reply::Imported(imported) = reply {
                run = imported.run;
            }
            Ok(())
        })?;
    }
    Ok(())
}

const COLUMNS: [&str; 11] = [
    "CustomerID",
    "CompanyName",
    "ContactName",
    "ContactTitle",
    "Address",
    "City",
    "Region",
    "PostalCode",
    "Country",
    "Phone",
    "Fax",
];

fn row(number: u64) -> Vec<Option<String>> {
    [
        Some(format!("K{number:07}")),
        Some(format!("Handel Nummer {number}")),
        Some(format!("Person {}", number % 977)),
        Some("Einkauf".to_owned()),
        Some(format!("Speicherstraße {}", number % 300)),
        Some("Hamburg".to_owned()),
        None,
        Some(format!("{:05}", 20_000 + number % 1000)),
        Some("Deutschland".to_owned()),
        Some(format!("040-{number}")),
        None,
    ]
    .into()
}
