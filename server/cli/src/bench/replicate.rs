//! A branch that was away catches up with its head office.
//!
//! Expected cost of one transaction of an order with ten values, sketched before the first run:
//!
//! - 1.6 KB of transaction and entry read at the head office and handed on: 2 µs
//! - both parsed, 13 salted hashes with the 12 of their tree and 5 more checked: 10 to 15 µs
//! - eleven changes folded into one object, which is looked for and not there: 5 to 10 µs
//! - the same four rows and seven index entries as at the head office: 25 µs
//!
//! and of one batch of about 600 (1 MiB): one fdatasync, which is nothing for each. Reading at the head office goes on
//! while the branch writes, so it should reach about half of the plain engine, which reads its rows from a flat file.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, SyncSender};
use std::time::Instant;

use mytism_app::ArrivingEntry;
use mytism_core::failure::Failure;
use mytism_store::sqlite::Durability;
use serde_json::json;

use super::Settings;
use super::figures::{Figures, Round};
use super::machine::{Scratch, fdatasync_per_s, with_memory};
use super::node::{Node, failure, schema};
use super::plain;

/// Entries and bytes in one message to a branch, and messages under way, as the lines between nodes have them.
const ROWS: u32 = 1_000;
const BYTES: usize = 1 << 20;
const UNDER_WAY: usize = 4;
/// Threads that fill the head office beforehand.
const FILLERS: u64 = 16;

/// What is varied.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Parameters {
    /// Transactions that the branch lacks.
    pub(super) transactions: u64,
}

impl fmt::Display for Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "replicate")
    }
}

/// Measures branch and plain engine in turn.
pub(super) fn run(parameters: Parameters, settings: &Settings) -> Result<Figures, Failure> {
    let scratch = Scratch::new(&settings.directory)?;
    let schema = schema(scratch.path())?;
    let head = Node::head_office(scratch.child("head")?, &schema, Durability::None)?;
    let directories = (0..settings.rounds).map(|number| scratch.child(&format!("branch{number}")));
    let branches = head.branches(directories.collect::<Result<_, _>>()?)?;
    fill(&head, parameters.transactions)?;
    let rounds = (0..).zip(branches).map(|(number, branch)| round(&head, branch, number, &scratch));
    let rounds = rounds.collect::<Result<Vec<_>, _>>()?;
    Ok(Figures::of("replicate", parameters.to_string(), vec![("way", json!("in-process"))], &rounds))
}

/// Saves so many orders at the head office.
fn fill(head: &Node, transactions: u64) -> Result<(), Failure> {
    let customers = head.customers()?;
    let next = AtomicU64::new(0);
    std::thread::scope(|scope| {
        let filler = || {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= transactions {
                    return Ok(());
                }
                head.order(100_000 + number, &customers)?;
            }
        };
        let threads: Vec<_> = (0..FILLERS).map(|_| scope.spawn(filler)).collect();
        let panicked = |_| Failure::failed("internal", "a client of the measurement panicked");
        threads.into_iter().try_for_each(|thread| thread.join().map_err(panicked)?)
    })
}

fn round(head: &Node, branch: Node, number: u32, scratch: &Scratch) -> Result<Round, Failure> {
    let before_node = fdatasync_per_s(scratch.path())?;
    let after = branch.begin()?;
    let until = head.position()?;
    let began = Instant::now();
    let (waits, memory) = with_memory(|| catch_up(head, &branch, after));
    let (waits, took) = (waits?, began.elapsed());
    if branch.position()? != until {
        return Err(Failure::failed("internal", "the branch did not reach the end of the log"));
    }
    let directory = branch.directory.clone();
    let run = branch.end(after);
    let before_raw = fdatasync_per_s(scratch.path())?;
    let raw = plain::run(&directory, &scratch.child(&format!("plain{number}"))?, &run)?;
    Ok(Round {
        n: until - after,
        commits: raw.commits,
        node: took,
        raw: raw.reading + raw.writing,
        waits,
        memory,
        fdatasync_per_s: [before_node, before_raw],
    })
}

/// Hands the log down to the branch, and waits until all of it is durable there. Returns how long each batch took, in
/// microseconds.
fn catch_up(head: &Node, branch: &Node, after: u64) -> Result<Vec<u32>, Failure> {
    std::thread::scope(|scope| {
        let (sender, receiver) = mpsc::sync_channel(UNDER_WAY);
        let reader = scope.spawn(move || read(head, after, &sender));
        let mut waits = Vec::new();
        for batch in receiver {
            let began = Instant::now();
            branch.app.apply(batch).map_err(failure)?;
            waits.push(u32::try_from(began.elapsed().as_micros()).unwrap_or(u32::MAX));
        }
        reader.join().map_err(|_| Failure::failed("internal", "the reader of the measurement panicked"))??;
        Ok(waits)
    })
}

fn read(head: &Node, mut after: u64, to: &SyncSender<Vec<ArrivingEntry>>) -> Result<(), Failure> {
    loop {
        let view = head.app.view().map_err(failure)?;
        let rows = view.log_after(after, ROWS, BYTES).map_err(|error| error.failure())?;
        let Some(last) = rows.last() else { return Ok(()) };
        after = last.position.number;
        let entry = |row: mytism_store::LogRow| ArrivingEntry { entry: row.entry, transaction: Some(row.bytes) };
        if to.send(rows.into_iter().map(entry).collect()).is_err() {
            // The branch has failed and says why.
            return Ok(());
        }
    }
}
