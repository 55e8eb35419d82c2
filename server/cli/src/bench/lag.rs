//! How long a save at the head office takes to a branch's disk, both real processes, at a modest rate; beside it
//! PostgreSQL's logical replication at the same rate, where it is installed.
//!
//! Expected: two changes of processes, one read and one commit: about a millisecond where the disk syncs in a tenth of
//! one.

use std::fmt;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use mytism_core::failure::Failure;
use mytism_core::operation::{Closed, Operations, Reply, Request};
use serde_json::{Value as Json, json};

use super::Settings;
use super::catch_up::beside;
use super::commit::FIRST;
use super::figures::{Figures, Round};
use super::machine::{Scratch, fdatasync_per_s};
use super::processes::Elsewhere;

/// Between two saves.
const PAUSE: Duration = Duration::from_millis(20);

/// What is varied: nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Parameters;

impl fmt::Display for Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "lag")
    }
}

/// Measures once, for as long as three rounds.
pub(super) fn run(parameters: Parameters, settings: &Settings) -> Result<Figures, Failure> {
    let scratch = Scratch::new(&settings.directory)?;
    let head = Elsewhere::head_office(&scratch)?;
    let customers = head.customers()?;
    let branch = head.branch(&scratch, "branch")?;
    let before = fdatasync_per_s(scratch.path())?;
    let rows = u64::try_from((settings.time * settings.rounds).as_millis() / PAUSE.as_millis()).unwrap_or(1).max(1);
    let (sender, arrived) = mpsc::channel();
    let watcher = branch.client()?;
    let watching = std::thread::spawn(move || {
        // It ends with the node, or when nobody listens.
        let _ended = watcher.call(Request::Watch, &mut |reply| match reply {
            Reply::Event(event) if event.kind == "received" => {
                let now = jiff::Timestamp::now().as_microsecond();
                sender.send(now.saturating_sub(event.time.micros())).map_err(|_| Closed)
            }
            _ => Ok(()),
        });
    });
    let mut save = head.saver(&customers)?;
    let began = Instant::now();
    // The first ones open what is opened once.
    let warm = 20;
    for number in 0..rows + warm {
        save(FIRST + number)?;
        std::thread::sleep(PAUSE);
    }
    let took = began.elapsed();
    let late = |_| Failure::failed("bench-too-slow", "what was saved does not arrive at the branch");
    let mut waits = Vec::new();
    for number in 0..rows + warm {
        let wait = arrived.recv_timeout(Duration::from_secs(30)).map_err(late)?;
        if number >= warm {
            waits.push(u32::try_from(wait.max(0)).unwrap_or(u32::MAX));
        }
    }
    drop((save, arrived, branch, head));
    // It has ended with the node.
    let _ended = watching.join();
    let lag = beside(&settings.directory, |pair| pair.lag(rows, PAUSE))?;
    let fields = vec![
        ("beside", lag.map_or(Json::Null, |_| json!("postgresql"))),
        ("raw_p50_ms", json!(lag.map(|(half, _)| half))),
        ("raw_p99_ms", json!(lag.map(|(_, most)| most))),
    ];
    let round = Round { n: rows, node: took, waits, fdatasync_per_s: [before, before], ..Round::default() };
    let title = match lag {
        Some((half, most)) => format!("{parameters} (PG {half:.1}/{most:.1})"),
        None => parameters.to_string(),
    };
    Ok(Figures::of("lag", title, fields, &[round]))
}
