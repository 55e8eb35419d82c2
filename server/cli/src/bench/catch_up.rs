//! A branch that was stopped catches up with its head office, both real processes with a line between them; beside it
//! PostgreSQL's logical replication doing the same, where it is installed.
//!
//! Expected: what `replicate` needs for a transaction inside of one process, and beside it the frames of the line and the
//! head office's reading on the other core. So a little less than `replicate`.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use mytism_core::failure::Failure;

use serde_json::{Value as Json, json};

use super::Settings;
use super::commit::FIRST;
use super::figures::{Figures, Round};
use super::machine::{Scratch, fdatasync_per_s, resident_of};
use super::postgres;
use super::processes::{Elsewhere, status};

/// Connections that fill the head office beforehand.
const FILLERS: u64 = 16;
/// How long the branch may take.
const PATIENCE: Duration = Duration::from_secs(600);

/// What is varied.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Parameters {
    /// Transactions that the branch lacks.
    pub(super) transactions: u64,
}

impl fmt::Display for Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "catch-up")
    }
}

/// Measures once: the work is long enough.
pub(super) fn run(parameters: Parameters, settings: &Settings) -> Result<Figures, Failure> {
    let transactions = parameters.transactions;
    let scratch = Scratch::new(&settings.directory)?;
    let head = Elsewhere::head_office(&scratch)?;
    let mut branch = head.branch(&scratch, "branch")?;
    branch.stop()?;
    fill(&head, transactions)?;
    let before_node = fdatasync_per_s(scratch.path())?;
    let until = status(&head.client()?)?;
    let began = Instant::now();
    branch.start()?;
    let (mut most, client) = ([None; 2], branch.client()?);
    loop {
        let now = status(&client)?;
        most = [(most[0], head.pid), (most[1], branch.pid)].map(|(most, pid)| most.max(resident_of(pid)));
        if now.log_hash == until.log_hash {
            break;
        }
        if began.elapsed() > PATIENCE {
            return Err(Failure::failed("bench-too-slow", "the branch does not catch up"));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let took = began.elapsed();
    drop((client, branch, head));
    let before_raw = fdatasync_per_s(scratch.path())?;
    let beside = beside(&settings.directory, |pair| pair.catch_up(transactions))?;
    let [head_memory, branch_memory] = most;
    let megabytes = |bytes: Option<u64>| bytes.map(|bytes| bytes / 1_000_000);
    let fields = vec![
        ("transactions", json!(transactions)),
        ("way", json!("processes")),
        ("beside", beside.as_ref().map_or(Json::Null, |_| json!("postgresql"))),
        ("head_rss_mb", json!(megabytes(head_memory))),
        ("branch_rss_mb", json!(megabytes(branch_memory))),
    ];
    let round = Round {
        n: transactions,
        commits: 0,
        node: took,
        raw: beside.unwrap_or_default(),
        waits: Vec::new(),
        memory: head_memory.max(branch_memory),
        fdatasync_per_s: [before_node, before_raw],
    };
    Ok(Figures::of("catch-up", parameters.to_string(), fields, &[round]))
}

/// Has PostgreSQL do something, where it is installed.
pub(super) fn beside<T>(
    directory: &Path,
    work: impl FnOnce(&postgres::Pair) -> Result<T, Failure>,
) -> Result<Option<T>, Failure> {
    let Some(programs) = postgres::installed() else { return Ok(None) };
    let path: PathBuf = directory.join(format!("mytism-bench-pg-{}", std::process::id()));
    postgres::Pair::start(&programs, path).and_then(|pair| work(&pair)).map(Some)
}

/// Saves so many orders.
fn fill(head: &Elsewhere, transactions: u64) -> Result<(), Failure> {
    let customers = head.customers()?;
    let next = AtomicU64::new(0);
    std::thread::scope(|scope| {
        let filler = || {
            let mut save = head.saver(&customers)?;
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= transactions {
                    return Ok(());
                }
                save(FIRST + number)?;
            }
        };
        let threads: Vec<_> = (0..FILLERS).map(|_| scope.spawn(filler)).collect();
        let panicked = |_| Failure::failed("internal", "a client of the measurement panicked");
        threads.into_iter().try_for_each(|thread| thread.join().map_err(panicked)?)
    })
}
