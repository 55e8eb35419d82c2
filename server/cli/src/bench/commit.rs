//! Saves, each an order of ten values that refers to a customer, made durable at a head office.
//!
//! Expected cost of one save, sketched before the first run:
//!
//! - 1.3 KB of transaction and 0.3 KB of entry in the log; one row each in the log, the objects, the orders and the
//!   history; seven index entries; the ids that are left
//! - 13 salted hashes of the changes with 12 of the tree over them, 3 of the entry: about 25 times 0.2 µs
//! - one look-up of the order's number and one of the customer
//! - two changes of threads, to the commit lane and back: 10 to 20 µs where a core sleeps
//!
//! and of one commit: 13 to 15 pages of 4 KiB written to the log of writes where one save is in it (four times that, not
//! thirty times, where there are thirty, since new rows lie side by side), and one fdatasync, 0.15 ms on a good disk.
//!
//! So one client should wait for the disk most of the time, and the node reach more than 0.7 of the plain engine. With
//! many clients a commit is shared, the disk matters less, and the work for each save counts: about 40 µs beside the 25
//! to 30 µs that the rows themselves take the engine, partly on another core; 0.6 of the plain engine.

use std::fmt;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use mytism_core::failure::Failure;
use mytism_core::id::ObjectId;
use mytism_store::sqlite::Durability;
use serde_json::json;

use super::Settings;
use super::figures::{Figures, Round};
use super::machine::{Scratch, fdatasync_per_s, with_memory};
use super::node::{Node, schema};
use super::plain;

/// Number of the first order.
pub(super) const FIRST: u64 = 100_000;

/// What is varied.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Parameters {
    /// Threads that save one order after another.
    pub(super) clients: u32,
}

impl fmt::Display for Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.clients == 1 { "" } else { "s" };
        write!(f, "commit, {} client{plural}", self.clients)
    }
}

/// Measures node and plain engine in turn.
pub(super) fn run(parameters: Parameters, settings: &Settings) -> Result<Figures, Failure> {
    let rounds = (0..settings.rounds).map(|_| round(parameters, settings)).collect::<Result<Vec<_>, _>>()?;
    Ok(Figures::of("commit", parameters.to_string(), vec![("clients", json!(parameters.clients))], &rounds))
}

fn round(parameters: Parameters, settings: &Settings) -> Result<Round, Failure> {
    let scratch = Scratch::new(&settings.directory)?;
    let schema = schema(scratch.path())?;
    let node = Node::head_office(scratch.child("node")?, &schema, Durability::Full)?;
    let customers = node.customers()?;
    let before_node = fdatasync_per_s(scratch.path())?;
    let after = node.begin()?;
    let numbers = AtomicU64::new(FIRST);
    let client = || Ok(|number| node.order(number, &customers));
    let (saved, memory) = with_memory(|| saves(client, &numbers, parameters.clients, settings.time));
    let (took, waits) = saved?;
    let directory = node.directory.clone();
    let run = node.end(after);
    let before_raw = fdatasync_per_s(scratch.path())?;
    let raw = plain::run(&directory, &scratch.child("plain")?, &run)?;
    Ok(Round {
        n: waits.len() as u64,
        commits: raw.commits,
        node: took,
        raw: raw.writing,
        waits,
        memory,
        fdatasync_per_s: [before_node, before_raw],
    })
}

/// Saves from so many threads for a while; `client` makes what each thread saves with, `numbers` those of the orders.
/// Returns the time until the last one was durable, and how long each took in microseconds.
pub(super) fn saves<S>(
    client: impl Fn() -> Result<S, Failure> + Sync,
    numbers: &AtomicU64,
    clients: u32,
    time: Duration,
) -> Result<(Duration, Vec<u32>), Failure>
where
    S: FnMut(u64) -> Result<ObjectId, Failure>,
{
    let ready = Barrier::new(clients as usize + 1);
    std::thread::scope(|scope| {
        let client = || {
            // Who cannot connect must not keep the others waiting.
            let save = client();
            ready.wait();
            let mut save = save?;
            let began = Instant::now();
            let mut waits = Vec::new();
            while began.elapsed() < time {
                let asked = Instant::now();
                save(numbers.fetch_add(1, Ordering::Relaxed))?;
                waits.push(u32::try_from(asked.elapsed().as_micros()).unwrap_or(u32::MAX));
            }
            Ok(waits)
        };
        let name = || std::thread::Builder::new().name(format!("client of {clients}"));
        let threads = (0..clients).map(|_| name().spawn_scoped(scope, client)).collect::<Result<Vec<_>, _>>();
        let threads = threads.map_err(|error| Failure::failed("no-thread", error.to_string()))?;
        ready.wait();
        let began = Instant::now();
        let mut waits = Vec::new();
        for thread in threads {
            let ended: Result<Vec<u32>, Failure> =
                thread.join().map_err(|_| Failure::failed("internal", "a client of the measurement panicked"))?;
            waits.extend(ended?);
        }
        Ok((began.elapsed(), waits))
    })
}
