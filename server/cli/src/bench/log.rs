//! Saves behind a long log, and behind a short one with the same objects: what is old must not make what is new dearer.
//!
//! Expected, sketched before the first run: the indexes of the log and of the histories are a level or two deeper; all
//! else is the same. So a save should take less than a tenth longer behind a million changes.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use mytism_app::App;
use mytism_app::surroundings::Machine;
use mytism_core::failure::Failure;
use mytism_core::id::ObjectId;
use mytism_core::schema::Schema;
use mytism_store::sqlite::{Durability, SqliteStore};
use serde_json::json;

use super::Settings;
use super::figures::{Figures, Round};
use super::machine::{Scratch, fdatasync_per_s, with_memory};
use super::node::{Node, failure, schema};

/// Orders that there are, and that are changed again and again.
const ORDERS: u64 = 1_000;
/// Changes of one order in one save.
const CHANGES: u64 = 10;
/// Threads that fill the log.
const FILLERS: u64 = 16;
/// Saves of each side before the other has its turn.
const TURN: u64 = 100;

/// What is varied.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Parameters {
    /// Changes that stand in the long log.
    pub(super) changes: u64,
}

impl fmt::Display for Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "log, {} M changes", self.changes / 1_000_000)
    }
}

/// Measures saves behind both in turn. The short log stands in the place of the plain engine. What starting a node on
/// the long one takes stands beside.
pub(super) fn run(parameters: Parameters, settings: &Settings) -> Result<Figures, Failure> {
    let scratch = Scratch::new(&settings.directory)?;
    let schema = schema(scratch.path())?;
    let (long, start) = filled(&scratch.child("long")?, &schema, parameters.changes / CHANGES)?;
    let (short, _) = filled(&scratch.child("short")?, &schema, 0)?;
    let numbers = AtomicU64::new(100_000_000);
    let rounds = (0..settings.rounds).map(|_| round(&scratch, [&long, &short], &numbers, settings.time));
    let rounds = rounds.collect::<Result<Vec<_>, _>>()?;
    let fields = vec![("changes", json!(parameters.changes)), ("start_ms", json!(start.as_secs_f64() * 1e3))];
    Ok(Figures::of("log", parameters.to_string(), fields, &rounds))
}

/// A node whose orders were changed so many times together, and how long it took to start.
fn filled(directory: &Path, schema: &Arc<Schema>, saves: u64) -> Result<((Node, Vec<ObjectId>), Duration), Failure> {
    let node = Node::head_office(directory.to_owned(), schema, Durability::None)?;
    let customers = node.customers()?;
    let orders = (0..ORDERS).map(|number| node.order(number, &customers)).collect::<Result<Vec<_>, _>>()?;
    let next = AtomicU64::new(0);
    std::thread::scope(|scope| {
        let filler = || -> Result<(), Failure> {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= saves {
                    return Ok(());
                }
                let order = orders.get(usize::try_from(number % ORDERS).unwrap_or(0)).copied();
                let order = order.ok_or_else(|| Failure::failed("internal", "there are no orders"))?;
                node.change(order, number)?;
            }
        };
        let threads: Vec<_> = (0..FILLERS).map(|_| scope.spawn(filler)).collect();
        let panicked = |_| Failure::failed("internal", "a client of the measurement panicked");
        let filled: Result<(), Failure> = threads.into_iter().try_for_each(|thread| thread.join().map_err(panicked)?);
        filled
    })?;
    node.app.stop();
    drop(node);
    let began = Instant::now();
    let store = SqliteStore::open(directory).map_err(|error| error.failure())?;
    let app = App::open(Arc::new(store), Arc::clone(schema), Arc::new(Machine::default())).map_err(failure)?;
    let took = began.elapsed();
    Ok(((Node::of(app, directory.to_owned()), customers), took))
}

fn round(
    scratch: &Scratch,
    [long, short]: [&(Node, Vec<ObjectId>); 2],
    numbers: &AtomicU64,
    time: Duration,
) -> Result<Round, Failure> {
    let before = fdatasync_per_s(scratch.path())?;
    let (measured, memory) = with_memory(|| {
        let (mut node, mut raw, mut waits, mut n) = (Duration::ZERO, Duration::ZERO, Vec::new(), 0);
        while node + raw < time {
            for _ in 0..TURN {
                let took = save(long, numbers)?;
                waits.push(u32::try_from(took.as_micros()).unwrap_or(u32::MAX));
                node += took;
            }
            for _ in 0..TURN {
                raw += save(short, numbers)?;
            }
            n += TURN;
        }
        Ok::<_, Failure>((node, raw, waits, n))
    });
    let (node, raw, waits, n) = measured?;
    Ok(Round { n, commits: n, node, raw, waits, memory, fdatasync_per_s: [before, before] })
}

fn save((node, customers): &(Node, Vec<ObjectId>), numbers: &AtomicU64) -> Result<Duration, Failure> {
    let asked = Instant::now();
    node.order(numbers.fetch_add(1, Ordering::Relaxed), customers)?;
    Ok(asked.elapsed())
}
