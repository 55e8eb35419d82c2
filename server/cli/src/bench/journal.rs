//! A follower's step over a thousand saves, behind a journal that is long and behind one that is empty.
//!
//! Expected cost of a step, sketched before the first run: for each row one look-up in the journal's own order, one of its
//! entry in the log, and reading and verifying 1.6 KB of entry and transaction with some 25 hashes: 15 to 20 µs. What
//! lies before adds one level or two to the tree of the journal, of which each step goes down once. So both sides should
//! take the same time, within noise.
//!
//! Old rows point to entries that are there and are written straight into the database, many in one commit.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mytism_app::App;
use mytism_app::surroundings::Machine;
use mytism_core::failure::Failure;
use mytism_core::id::{NodeId, TransactionId};
use mytism_core::journal::Cause;
use mytism_core::schema::Schema;
use mytism_core::time::Timestamp;
use mytism_store::sqlite::{Durability, SqliteStore};
use mytism_store::{JournalRow, Store, StoreError, Write};
use serde_json::json;

use super::Settings;
use super::figures::{Figures, Round};
use super::machine::{Scratch, fdatasync_per_s, with_memory};
use super::node::{Node, failure, schema};

/// Saves that a step finds.
const SAVES: u32 = 1_000;
/// Steps of each side in one round, in turn.
const STEPS: u32 = 20;

/// What is varied.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Parameters {
    /// Rows that the long journal has before.
    pub(super) rows: u64,
}

impl fmt::Display for Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.rows / 1_000_000, self.rows) {
            (0, rows) => write!(f, "journal, {rows} rows"),
            (millions, _) => write!(f, "journal, {millions} M rows"),
        }
    }
}

/// Measures steps behind a long and a short journal in turn. The short one stands in the place of the plain engine.
pub(super) fn run(parameters: Parameters, settings: &Settings) -> Result<Figures, Failure> {
    let scratch = Scratch::new(&settings.directory)?;
    let schema = schema(scratch.path())?;
    let long = Followed::new(&scratch.child("long")?, &schema, parameters.rows)?;
    let short = Followed::new(&scratch.child("short")?, &schema, 0)?;
    let rounds = (0..settings.rounds).map(|_| round(&scratch, &long, &short)).collect::<Result<Vec<_>, _>>()?;
    Ok(Figures::of("journal", parameters.to_string(), vec![("rows", json!(parameters.rows))], &rounds))
}

fn round(scratch: &Scratch, long: &Followed, short: &Followed) -> Result<Round, Failure> {
    let before = fdatasync_per_s(scratch.path())?;
    let (measured, memory) = with_memory(|| {
        let (mut node, mut raw, mut waits) = (Duration::ZERO, Duration::ZERO, Vec::new());
        for _ in 0..STEPS {
            let took = long.step()?;
            waits.push(u32::try_from(took.as_micros()).unwrap_or(u32::MAX));
            node += took;
            raw += short.step()?;
        }
        Ok::<_, Failure>((node, raw, waits))
    });
    let (node, raw, waits) = measured?;
    let n = u64::from(STEPS * SAVES);
    Ok(Round { n, commits: 0, node, raw, waits, memory, fdatasync_per_s: [before, before] })
}

/// A head office whose journal somebody follows.
struct Followed {
    app: App,
    /// The row behind which the saves stand.
    cursor: u64,
}

impl Followed {
    fn new(directory: &Path, schema: &Arc<Schema>, rows: u64) -> Result<Self, Failure> {
        let node = Node::head_office(directory.to_owned(), schema, Durability::None)?;
        let customers = node.customers()?;
        let entry = node.position()?;
        node.app.stop();
        drop(node);
        let store = SqliteStore::open(directory).map_err(|error| error.failure())?;
        fill(&store, rows, entry).map_err(|error| error.failure())?;
        let machine = Arc::new(Machine::default());
        let app = App::open(Arc::new(store), Arc::clone(schema), machine).map_err(failure)?;
        let node = Node::of(app, directory.to_owned());
        let cursor = node.app.cursor_of(mytism_app::follower::Start::End).map_err(failure)?;
        for number in 0..u64::from(SAVES) {
            node.order(100_000 + number, &customers)?;
        }
        Ok(Self { app: node.app, cursor })
    }

    /// How long a step takes.
    fn step(&self) -> Result<Duration, Failure> {
        let began = Instant::now();
        let rows = self.app.visible_after(self.cursor, SAVES).map_err(failure)?;
        let took = began.elapsed();
        let changes: usize = rows.iter().map(|row| row.changes.len()).sum();
        // An order has ten values, and is there.
        if rows.len() == SAVES as usize && changes == rows.len() * 11 {
            return Ok(took);
        }
        let message = format!("a step found {} rows with {changes} changes, not {SAVES} orders", rows.len());
        Err(Failure::failed("internal", message))
    }
}

/// Appends so many rows that all point to one entry.
fn fill(store: &SqliteStore, rows: u64, entry: u64) -> Result<(), StoreError> {
    const AT_ONCE: u64 = 20_000;
    store.set_durability(Durability::None)?;
    let (_, last) = store.view()?.journal_bounds()?;
    let transaction = TransactionId { node: NodeId(1), incarnation: 1, counter: entry };
    let row = |sequence| {
        let at = Timestamp::saturating_from_micros(0);
        Write::Journal(JournalRow {
            sequence,
            at,
            cause: Cause::Saved,
            transaction,
            position: Some(entry),
            changes: None,
        })
    };
    let mut next = last + 1;
    let end = last + rows;
    while next <= end {
        let until = end.min(next + AT_ONCE - 1);
        store.commit(&(next..=until).map(row).collect())?;
        next = until + 1;
    }
    Ok(())
}
