//! Saves that go through the socket of a node in another process, and beside them the same saves asked of a node inside
//! of this one: what the protocol and the change of processes cost.
//!
//! Expected, sketched before the first run: for each save two messages of some hundred bytes are written and read, and
//! two processes wake each other; 20 to 40 µs where a core sleeps. One client waits for the disk most of the time; with
//! 32 the work is on the same two cores as the commits, so the protocol takes its share from them.

use std::fmt;
use std::sync::atomic::AtomicU64;

use mytism_core::failure::Failure;
use mytism_store::sqlite::Durability;
use serde_json::json;

use super::Settings;
use super::commit::{FIRST, saves};
use super::figures::{Figures, Round};
use super::machine::{Scratch, fdatasync_per_s, with_memory};
use super::node::{Node, schema};
use super::processes::Elsewhere;

/// What is varied.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Parameters {
    /// Threads that save one order after another, each over a connection of its own.
    pub(super) clients: u32,
}

impl fmt::Display for Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.clients == 1 { "" } else { "s" };
        write!(f, "protocol, {} client{plural}", self.clients)
    }
}

/// Measures both ways in turn. The node inside of this process stands in the place of the plain engine.
pub(super) fn run(parameters: Parameters, settings: &Settings) -> Result<Figures, Failure> {
    let rounds = (0..settings.rounds).map(|_| round(parameters, settings)).collect::<Result<Vec<_>, _>>()?;
    let fields = vec![("clients", json!(parameters.clients))];
    Ok(Figures::of("protocol", parameters.to_string(), fields, &rounds))
}

fn round(parameters: Parameters, settings: &Settings) -> Result<Round, Failure> {
    let scratch = Scratch::new(&settings.directory)?;
    let (clients, time) = (parameters.clients, settings.time);
    let schema = schema(scratch.path())?;
    let elsewhere = Elsewhere::head_office(&scratch)?;
    let customers = elsewhere.customers()?;
    let before = fdatasync_per_s(scratch.path())?;
    let numbers = AtomicU64::new(FIRST);
    let (saved, memory) = with_memory(|| saves(|| elsewhere.saver(&customers), &numbers, clients, time));
    let (took, waits) = saved?;
    drop(elsewhere);
    let node = Node::head_office(scratch.child("node")?, &schema, Durability::Full)?;
    let customers = node.customers()?;
    let before_raw = fdatasync_per_s(scratch.path())?;
    let (raw, direct) = saves(|| Ok(|number| node.order(number, &customers)), &AtomicU64::new(FIRST), clients, time)?;
    node.app.stop();
    let n = waits.len() as u64;
    // Both work for the same time, so what the second one needed for as many saves is worked out.
    let raw = raw.mul_f64(waits.len() as f64 / direct.len().max(1) as f64);
    Ok(Round { n, commits: 0, node: took, raw, waits, memory, fdatasync_per_s: [before, before_raw] })
}
