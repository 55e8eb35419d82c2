//! Whether all is as it must be: a look at one node while it works, and the judgement at the end.

use super::{Event, Simulation};
use crate::oracle::account::quarantine;
use crate::oracle::verdict;

impl Simulation {
    /// Somebody looks closely at a node.
    pub(super) fn look(&mut self, at: usize) {
        if self.nodes[at].running().is_none() || self.nodes[at].mood.is_dead() {
            return;
        }
        self.read(at);
        self.counters.add("look");
        let mut model = std::mem::take(&mut self.nodes[at].model);
        let node = &self.nodes[at];
        node.reader.check(node.app());
        let view = node.app().view().unwrap();
        model.check(&*view, &format!("model: {}", node.name));
        quarantine(&model, &*view, &node.name);
        let words = format!("{} looks right at {:?}", node.name, view.head().unwrap().map(|head| head.hash));
        drop(view);
        self.nodes[at].model = model;
        self.note(words);
    }

    /// How far each node is, in words.
    pub(super) fn stand(&self) -> String {
        let stand = |node: &crate::node::Node| {
            let Some(app) = node.running() else { return format!("{} is down", node.name) };
            match app.view() {
                Ok(view) => {
                    let at = view.head().ok().flatten().map(|head| head.position.to_string()).unwrap_or_default();
                    format!("{} at {at} with {} pending", node.name, view.pending_count().unwrap_or(0))
                }
                Err(error) => format!("{}: {error}", node.name),
            }
        };
        self.nodes.iter().map(stand).collect::<Vec<_>>().join(", ")
    }

    /// Whether all are in step, twice in a row; then judges.
    pub(super) fn settled(&mut self) -> bool {
        let mut ends = Vec::new();
        for node in &self.nodes {
            let view = node.running().map(|app| app.view().unwrap());
            let pending = view.as_ref().is_none_or(|view| view.pending_count().unwrap() > 0);
            ends.push(view.filter(|_| !pending).and_then(|view| view.head().unwrap()));
        }
        let first = ends.first().copied().flatten();
        let in_step = first.is_some() && ends.iter().all(|end| *end == first);
        let number = first.filter(|_| in_step).map(|head| head.position.number);
        let again = number.is_some() && self.in_step == number;
        self.in_step = number;
        if !again {
            self.at(self.now + 500_000, Event::Settled);
            return false;
        }
        self.judge();
        true
    }

    fn judge(&mut self) {
        (0..self.nodes.len()).for_each(|at| self.look(at));
        let head = self.nodes[self.head].app().view().unwrap();
        let model = &self.nodes[self.head].model;
        for node in &self.nodes {
            let view = node.app().view().unwrap();
            verdict::equal(&*head, &*view, &node.name);
            node.model.check_history(&*view, &format!("history: {}", node.name));
        }
        self.account.check(model);
        verdict::constraints(&model.things, &self.schema);
        verdict::decisions(model, &self.schema, &self.parted, &mut self.counters);
        self.counters.more("entry", model.steps.len() as u64);
        let words = format!("{} entries, {} saves acknowledged", model.steps.len(), self.account.count());
        self.note(words);
    }
}
