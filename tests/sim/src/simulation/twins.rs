//! Branches that come to be in a run: a copy of a branch that is started beside it, and a branch that joins.
//!
//! While a branch lives twice, neither of both can know what the other gives, so their ids and numbers are not noted;
//! what stands in the log must be unique all the same.

use std::sync::Arc;

use mytism_core::id::NodeId;

use super::{Event, Simulation};
use crate::founding::{BRANCHES, join};
use crate::lines::{Cable, Way};
use crate::machine::Machine;
use crate::node::{Backup, Node};
use crate::oracle::reader::Reader;

impl Simulation {
    /// Whether a node is one of two that are the same.
    pub(super) fn is_twin(&self, at: usize) -> bool {
        self.twins.is_some_and(|(first, second)| at == first || at == second)
    }

    /// Somebody saves at a node; where there are two of it, at either.
    pub(super) fn save_at(&mut self, at: usize) {
        let at = match self.twins {
            Some((first, second)) if first == at && self.dice.percent(50) => second,
            _ => at,
        };
        self.save(at);
    }

    /// The machine of a branch is copied with all that is on it, and the copy is started.
    pub(super) fn copy(&mut self, at: usize) {
        // What waits at one that does not know yet that it was put back would be saved anew by both.
        let is_put_back = self.put_back[at] || self.is_estranged[at];
        if self.twins.is_some() || at == self.head || self.nodes[at].running().is_none() || is_put_back {
            return;
        }
        let backup = self.nodes[at].back_up();
        let (name, number) = (format!("{}, copied", self.nodes[at].name), self.nodes[at].number);
        self.backups[at] = None;
        let second = self.add(&name, number, &backup);
        self.twins = Some((at, second));
        for twin in [at, second] {
            self.is_unsure[twin] = true;
            self.is_estranged[twin] = true;
        }
        self.counters.add("fault copy of a branch beside it");
        self.turn(at);
    }

    /// The line of one of two that are the same is cut, or both are; the other is whole.
    pub(super) fn turn(&mut self, at: usize) {
        let Some((first, second)) = self.twins.filter(|(first, _)| *first == at) else { return };
        let reaches = self.dice.below(5);
        for (twin, is_cut) in [(first, [0, 1, 4].contains(&reaches)), (second, [2, 3, 4].contains(&reaches))] {
            self.cables[twin].heal();
            if is_cut {
                [Way::Up, Way::Down].iter().for_each(|way| self.cables[twin].cut(*way, u64::MAX));
            }
        }
    }

    /// One of two that are the same is switched off for good, with what only it held.
    pub(super) fn one_goes(&mut self, at: usize) {
        let Some((first, second)) = self.twins.filter(|(first, _)| *first == at) else { return };
        for twin in [first, second] {
            if self.nodes[twin].running().is_some() {
                self.nodes[twin].stop();
                self.gone(twin, 300_000);
            }
        }
        let process = self.nodes[first].process.max(self.nodes[second].process);
        if self.dice.percent(50) {
            self.nodes.swap(first, second);
        }
        self.nodes[first].process = process;
        self.drop_last();
        self.twins = None;
        // It may not know yet what the other did in their name.
        for marks in [&mut self.put_back, &mut self.is_unsure, &mut self.is_estranged] {
            marks[first] = true;
        }
        let words = format!("{} stays", self.nodes[first].name);
        self.note(words);
        self.start(first);
    }

    /// A branch joins whose account the head office has.
    pub(super) fn join(&mut self) {
        let (head, is_waiting) = (self.head, self.is_unsure[self.head]);
        // The copy of a branch is the last of all until it goes.
        let name = format!("b{}", BRANCHES + 1);
        let is_here = self.nodes.iter().any(|node| node.name == name);
        if is_here || is_waiting || self.twins.is_some() || self.nodes[head].running().is_none() {
            return;
        }
        self.nodes[head].mood.calm();
        let machine = Arc::new(Machine::new(Arc::clone(&self.time), self.dice.child(), None));
        let home = self.root.path().join("joining");
        let number = join(self.nodes[head].app(), &self.schema, &name, &home, &machine);
        let backup = Backup::of(&home, &machine);
        self.add(&name, number, &backup);
        self.counters.add("fault branch joins");
    }

    /// A node more, which starts at once.
    fn add(&mut self, name: &str, number: NodeId, backup: &Backup) -> usize {
        let at = self.nodes.len();
        let machine = Machine::new(Arc::clone(&self.time), self.dice.child(), backup.ledger.as_deref());
        let mut node = Node::new(name, number, machine, self.root.path(), backup, false);
        node.start();
        node.reader = Reader::of(node.app());
        let process = node.process;
        self.nodes.push(node);
        self.cables.push(Cable::default());
        self.backups.push(None);
        for marks in [&mut self.put_back, &mut self.is_unsure, &mut self.is_estranged, &mut self.deposed] {
            marks.push(false);
        }
        let words = format!("{name} is there");
        self.note(words);
        self.soon(500_000, Event::Connect(at, process));
        at
    }

    fn drop_last(&mut self) {
        self.nodes.pop();
        self.cables.pop();
        self.backups.pop();
        for marks in [&mut self.put_back, &mut self.is_unsure, &mut self.is_estranged, &mut self.deposed] {
            marks.pop();
        }
        let gone = self.nodes.len();
        self.heard.remove(&gone);
        self.lines.retain(|_, line| line.branch.0 != gone);
    }
}
