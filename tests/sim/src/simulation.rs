//! One run: the queue of events in virtual time, and what each of them does to the cluster.

mod faults;
mod judging;
mod talking;
mod twins;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::tz::TimeZone;
use mytism_app::surroundings::Surroundings as _;
use mytism_app::{App, Context, Visible};
use mytism_core::change::Change;
use mytism_core::failure::Failure;
use mytism_core::id::system;
use mytism_core::operation::{Reply, Request, Saved};
use mytism_core::schema::Schema;
use mytism_core::time::Timestamp;
use mytism_core::value::Value;
use mytism_disk_under_test::Dice;
use mytism_sync::Job;

use crate::counters::Counters;
use crate::founding::{cluster, directory};
use crate::lines::{Cable, Line, Way};
use crate::machine::{Machine, Time};
use crate::node::{Backup, Node};
use crate::oracle::account::Account;
use crate::oracle::parted::Parted;
use crate::plan::{Deed, HEALED, plan};
use crate::saves::{REASONS, draft};
use crate::trace::Trace;

/// One run of so many is on disks that tear and drop writes.
const POWERED: u64 = 20;

/// Something that happens at a moment.
enum Event {
    Deed(Deed),
    /// A message arrives.
    Arrive(u64, Way, Vec<u8>),
    /// A node works for its end of a line: the line, which end, the node, its process.
    Work(u64, Way, (usize, u64), Job),
    /// An end notices that the line is gone.
    Notice(u64, Way),
    /// A branch tries to reach the head office.
    Connect(usize, u64),
    /// A process starts.
    Start(usize),
    /// A greeting should have been answered by now.
    Greeted(u64),
    /// Is all in step?
    Settled,
}

/// See the module.
pub struct Simulation {
    now: u64,
    time: Arc<Time>,
    queue: BTreeMap<(u64, u64), Event>,
    events: u64,
    dice: Dice,
    nodes: Vec<Node>,
    head: usize,
    /// Between each node and the head office.
    cables: Vec<Cable>,
    lines: BTreeMap<u64, Line>,
    opened: u64,
    backups: Vec<Option<Backup>>,
    /// Nodes whose disk was put back and whose losses have not been counted.
    put_back: Vec<bool>,
    /// Nodes that cannot know yet that they were put back as a whole: what they give may have been given before.
    is_unsure: Vec<bool>,
    /// Nodes that were put back and have not talked with the head office since.
    is_estranged: Vec<bool>,
    /// Whether the last head office that was put back was so with all that lay beside its database.
    head_is_whole: bool,
    /// Whose history went another way.
    parted: Parted,
    /// Branches that a head office has talked with since it was put back.
    heard: BTreeSet<usize>,
    /// A branch of which there are two, and the place of its copy, the last of all.
    twins: Option<(usize, usize)>,
    /// Head offices whose place was taken while they were down.
    deposed: Vec<bool>,
    schema: Arc<Schema>,
    saves: usize,
    is_healed: bool,
    /// The end of the log when all were in step last.
    in_step: Option<u64>,
    account: Account,
    /// What happened.
    pub counters: Counters,
    /// In detail.
    pub trace: Trace,
    root: tempfile::TempDir,
}

impl Simulation {
    /// A run that has not begun.
    ///
    /// # Panics
    /// When the cluster cannot be made.
    #[must_use]
    pub fn new(seed: u64, prints: bool) -> Self {
        let root = directory();
        let time = Arc::new(Time::default());
        let mut dice = Dice::new(seed);
        let mut nodes = Vec::new();
        for founded in cluster() {
            let ledger = founded.backup.ledger.as_deref();
            let machine = Machine::new(Arc::clone(&time), dice.child(), ledger);
            let powered = seed % POWERED == POWERED - 1;
            let mut node = Node::new(&founded.name, founded.number, machine, root.path(), &founded.backup, powered);
            node.start();
            node.reader = crate::oracle::reader::Reader::of(node.app());
            nodes.push(node);
        }
        let count = nodes.len();
        let schema = Arc::clone(nodes[0].app().schema());
        let mut simulation = Self {
            now: 0,
            time,
            queue: BTreeMap::new(),
            events: 0,
            dice,
            nodes,
            head: 0,
            cables: vec![Cable::default(); count],
            lines: BTreeMap::new(),
            opened: 0,
            backups: vec![None; count],
            put_back: vec![false; count],
            is_unsure: vec![false; count],
            is_estranged: vec![false; count],
            head_is_whole: false,
            parted: Parted::default(),
            heard: BTreeSet::new(),
            twins: None,
            deposed: vec![false; count],
            schema,
            saves: 0,
            is_healed: false,
            in_step: None,
            account: Account::default(),
            counters: Counters::default(),
            trace: Trace::new(prints),
            root,
        };
        for (at, deed) in plan(count, &mut simulation.dice) {
            simulation.at(at, Event::Deed(deed));
        }
        for at in 1..count {
            simulation.soon(10_000, Event::Connect(at, simulation.nodes[at].process));
        }
        simulation
    }

    /// Plays it to its end.
    ///
    /// # Panics
    /// When something does not hold; the message says what.
    pub fn run(&mut self) {
        while let Some(((at, _), event)) = self.queue.pop_first() {
            self.now = at;
            self.time.set(at);
            assert!(at <= HEALED, "liveness: not all are in step after {} s: {}", HEALED / 1_000_000, self.stand());
            if self.happen(event) {
                return;
            }
            self.consequences();
        }
        panic!("liveness: nothing is left to happen, and not all are in step: {}", self.stand());
    }

    /// Whether this was the end.
    fn happen(&mut self, event: Event) -> bool {
        match event {
            Event::Deed(Deed::Save(at)) => self.save_at(at),
            Event::Deed(Deed::Look(at)) => self.look(at),
            Event::Deed(Deed::Fault(fault)) => self.fault(fault),
            Event::Deed(Deed::Heal) => self.heal(),
            Event::Arrive(line, way, bytes) => self.arrive(line, way, &bytes),
            Event::Work(line, at, process, job) => self.work(line, at, process, job),
            Event::Notice(line, at) => self.close(line, at, "the other end is gone"),
            Event::Connect(at, process) => self.connect(at, process),
            Event::Start(at) => self.start(at),
            Event::Greeted(line) => self.greeted(line),
            Event::Settled => return self.settled(),
        }
        false
    }

    /// What follows from what has just happened: processes that died in a commit, ends that must hear of commits.
    fn consequences(&mut self) {
        for at in 0..self.nodes.len() {
            for trouble in self.nodes[at].mood.felt() {
                self.counters.add(faults::name(trouble));
                self.note(format_args!("{trouble:?} at {at}"));
            }
            if self.nodes[at].running().is_some() && self.nodes[at].mood.is_dead() {
                let pause = self.dice.throw() % 3_000_000;
                self.die(at, pause);
            }
            if self.nodes[at].has_committed() && self.nodes[at].running().is_some() {
                self.tell_of_commit(at);
            }
        }
    }

    fn at(&mut self, at: u64, event: Event) {
        self.events += 1;
        self.queue.insert((at.max(self.now), self.events), event);
    }

    fn soon(&mut self, within: u64, event: Event) {
        let at = self.now + 1 + self.dice.throw() % within.max(1);
        self.at(at, event);
    }

    fn note(&mut self, line: impl std::fmt::Display) {
        self.trace.note(self.now, line);
    }

    fn clock(&self, at: usize) -> Timestamp {
        self.nodes[at].machine.now()
    }

    fn save(&mut self, at: usize) {
        if self.nodes[at].running().is_none() {
            self.counters.add("save at a node that is down");
            return;
        }
        // Whoever puts a head office back lets nobody in before its branches have been heard.
        if at == self.head && self.is_unsure[at] {
            self.counters.add("save held back at a restored head office");
            return;
        }
        self.read(at);
        self.saves += 1;
        let tag = format!("save {} at {}", self.saves, self.nodes[at].name);
        let node = &self.nodes[at];
        let request = draft(&node.reader.shown, &self.schema, &tag, &mut self.dice);
        let answer = call(node.app(), Request::Save(request));
        match answer {
            Ok(Saved { transaction: Some(id), ids, .. }) => {
                self.note(format_args!("{tag}: {id}, {} new", ids.len()));
                self.counters.add("save acknowledged");
                self.account.acknowledged(&tag);
                let rows = self.read(at);
                if !self.is_unsure[at] {
                    self.account.gave(&tag, &ids);
                    let own = rows.iter().filter(|row| row.transaction == id);
                    self.drawn(&tag, own.flat_map(|row| &row.changes));
                }
            }
            Ok(_) => self.note(format_args!("{tag}: nothing changed")),
            Err(failure) => self.unsaved(&tag, &failure),
        }
    }

    fn unsaved(&mut self, tag: &str, failure: &Failure) {
        self.note(format_args!("{tag}: {}", failure.code));
        let code = failure.code.as_str();
        if REASONS.contains(&code) {
            self.counters.add("save refused");
        } else if ["recovering", "deposed"].contains(&code) {
            self.counters.add("save refused while recovering");
        } else {
            assert!(["disk-full", "disk-error"].contains(&code), "save: {tag} fails: {failure:?}");
            self.counters.add("save failed");
        }
    }

    /// The reader of a node reads on; gives back the rows.
    fn read(&mut self, at: usize) -> Vec<Visible> {
        if self.nodes[at].mood.is_dead() {
            return Vec::new();
        }
        let mut reader = std::mem::take(&mut self.nodes[at].reader);
        let rows = self.nodes[at].running().map(|app| reader.follow(app));
        self.nodes[at].reader = reader;
        rows.unwrap_or_default()
    }

    /// Numbers that a save drew are noted.
    fn drawn<'c>(&mut self, tag: &str, changes: impl Iterator<Item = &'c Change>) {
        let number = self.schema.entity("Bill").and_then(|bill| bill.member("Number")).map(|member| member.id);
        for change in changes.filter(|change| Some(change.slot.attribute) == number) {
            if let (Value::Null, Value::Integer(drawn)) = (&change.old, &change.new) {
                self.account.drawn(*drawn, tag);
                self.counters.add("number drawn");
            }
        }
    }
}

fn call(app: &App, request: Request) -> Result<Saved, Failure> {
    let context = Context { user: system::USER_ADMIN, zone: TimeZone::UTC };
    let mut saved = None;
    app.call(&context, request, &mut |reply| {
        if let Reply::Saved(one) = reply {
            saved = Some(one);
        }
        Ok(())
    })?;
    Ok(saved.expect("a save is answered"))
}
