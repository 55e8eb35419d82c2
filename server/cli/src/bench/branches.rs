//! What idle branches cost a head office: a thousand of them that only speak, with all streams of a real one, beside one
//! head office in a process of its own. How much memory it takes for each, and how long a save takes until the last of
//! them has it.
//!
//! Expected: four streams, a connection with its keys and a handful of tasks: 100 to 200 kB. A save is read and encoded
//! once and encrypted a thousand times, some ten microseconds each on both sides of the machine: 20 to 50 ms.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use mytism_core::failure::Failure;
use mytism_core::id::{Hash, Position};
use mytism_core::operation::{Operations, Reply, Request};
use mytism_server::quiet::{Crowd, Heard};
use serde_json::json;

use super::Settings;
use super::commit::FIRST;
use super::figures::{Figures, Round};
use super::machine::{Scratch, fdatasync_per_s, resident_of};
use super::processes::{Elsewhere, status};

/// What comes and goes with connecting is over after so long.
const SETTLED: Duration = Duration::from_secs(3);
/// A save that has not come to all after this time does not come.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two saves, so that each goes alone.
const PAUSE: Duration = Duration::from_millis(700);
/// Saves.
const SAVES: u64 = 10;

/// What is varied.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Parameters {
    /// How many branches.
    pub(super) branches: u64,
}

/// Measures once.
pub(super) fn run(Parameters { branches }: Parameters, settings: &Settings) -> Result<Figures, Failure> {
    let scratch = Scratch::new(&settings.directory)?;
    let head = Elsewhere::head_office(&scratch)?;
    let customers = head.customers()?;
    let client = head.client()?;
    let mut crowd = Crowd::join(&accounts(&client, branches)?)?;
    let fdatasync = fdatasync_per_s(scratch.path())?;
    let at = status(&client)?;
    let hash = Hash::from_hex(&at.log_hash).unwrap_or_default();
    let mut position = Position { epoch: at.epoch, number: at.log_position };
    let before = resident_of(head.pid);
    crowd.connect(position, hash)?;
    std::thread::sleep(SETTLED);
    let after = resident_of(head.pid);
    let mut save = head.saver(&customers)?;
    let (mut waits, mut encoded, mut node) = (Vec::new(), 0, Duration::ZERO);
    for number in 0..SAVES {
        let begun = Instant::now();
        save(FIRST + number)?;
        position.number += 1;
        let heard = crowd.heard(position.number, PATIENCE)?;
        let last = heard.iter().map(|one| one.at).max().unwrap_or(begun).saturating_duration_since(begun);
        waits.push(u32::try_from(last.as_micros()).unwrap_or(u32::MAX));
        node += last;
        encoded += encodings(&heard);
        std::thread::sleep(PAUSE);
    }
    let each_kb = before.zip(after).map(|(before, after)| after.saturating_sub(before) / 1_000 / branches.max(1));
    let fields = vec![
        ("unit", json!("saves/s")),
        ("branches", json!(branches)),
        ("kb_per_branch", json!(each_kb)),
        ("saves", json!(SAVES)),
        ("encoded", json!(encoded)),
    ];
    let kilobytes = each_kb.map_or_else(|| "?".to_owned(), |kilobytes| kilobytes.to_string());
    let title = format!("branches, {branches} idle: {kilobytes} kB each, {encoded}/{SAVES} encoded");
    let fdatasync_per_s = [fdatasync, fdatasync];
    let round = Round { n: SAVES, node, waits, memory: after, fdatasync_per_s, ..Round::default() };
    Ok(Figures::of("branches", title, fields, &[round]))
}

/// Makes branches known; their account files.
fn accounts(client: &dyn Operations, branches: u64) -> Result<Vec<String>, Failure> {
    let mut accounts = Vec::new();
    for number in 0..branches {
        let request = Request::AddNode { name: format!("branch{number}"), valid_days: 1 };
        client.call(request, &mut |reply| {
            if let Reply::Account { file } = reply {
                accounts.push(file);
            }
            Ok(())
        })?;
    }
    Ok(accounts)
}

/// How often a head office encoded what came: the bytes tell when that was, and whoever got the same bytes reads the
/// same moment.
fn encodings(heard: &[Heard]) -> usize {
    heard.iter().map(|one| one.sent.micros()).collect::<BTreeSet<_>>().len()
}
