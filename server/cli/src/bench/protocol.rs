//! Saves that go through the socket of a node in another process, and beside them the same saves asked of a node inside
//! of this one: what the protocol and the change of processes cost.
//!
//! Expected, sketched before the first run: for each save two messages of some hundred bytes are written and read, and
//! two processes wake each other; 20 to 40 µs where a core sleeps. One client waits for the disk most of the time; with
//! 32 the work is on the same two cores as the commits, so the protocol takes its share from them.

use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;

use mytism_client::Client;
use mytism_core::failure::Failure;
use mytism_core::id::ObjectId;
use mytism_core::operation::{Operations, Request};
use mytism_server::InitOptions;
use mytism_server::project::Project;
use mytism_server::setup::Ports;
use mytism_store::sqlite::Durability;
use serde_json::json;

use super::Settings;
use super::commit::{FIRST, saves};
use super::figures::{Figures, Round};
use super::machine::{Scratch, fdatasync_per_s, with_memory};
use super::node::{Node, make_customers, make_order, schema};
use crate::command::background;
use crate::node::wait_until_down;

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
    let elsewhere = Elsewhere::start(scratch.child("elsewhere")?, scratch.path().join("trade.xml"))?;
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

/// A head office in a process of its own, which ends with this.
struct Elsewhere {
    project: PathBuf,
}

impl Elsewhere {
    fn start(project: PathBuf, schema: PathBuf) -> Result<Self, Failure> {
        let ports = Ports { tls: Some(0), ..Ports::default() };
        let (schema, name) = (Some(schema), Some("bench".to_owned()));
        mytism_server::init(&InitOptions { directory: project.clone(), schema, name, ports })?;
        background::start(&project)?;
        Ok(Self { project })
    }

    fn client(&self) -> Result<Client, Failure> {
        Client::connect(&Project::at(&self.project).socket())
    }

    fn customers(&self) -> Result<Vec<ObjectId>, Failure> {
        let client = self.client()?;
        make_customers(&mut |request, sink| client.call(request, sink))
    }

    /// Saves orders over a connection of its own.
    fn saver<'c>(
        &self,
        customers: &'c [ObjectId],
    ) -> Result<impl FnMut(u64) -> Result<ObjectId, Failure> + use<'c>, Failure> {
        let client = self.client()?;
        Ok(move |number| make_order(&mut |request, sink| client.call(request, sink), number, customers))
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        // Where it cannot be asked it is gone already; its data are of no use to anybody.
        let _asked = self.client().and_then(|client| client.call(Request::Stop, &mut |_| Ok(())));
        let _down = wait_until_down(&self.project);
    }
}
