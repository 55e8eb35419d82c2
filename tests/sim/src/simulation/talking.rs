//! Lines in the run: who reaches whom, what arrives, what an end wants done, and how a line ends.

use mytism_proto::PeerMessage;
use mytism_server::replica::{Errand, perform};
use mytism_sync::branch_end::BranchEnd;
use mytism_sync::greeting::Judgement;
use mytism_sync::{Done, Effect, Job, Violation};

use super::{Event, Simulation};
use crate::lines::{Fate, Line, Way};

/// Ids that a branch keeps in stock.
const ID_RESERVE: u64 = 200;
/// After so many microseconds without a sign of life a line counts as gone.
const SILENCE: u64 = 3_000_000;

impl Simulation {
    /// A branch tries to reach the head office.
    pub(super) fn connect(&mut self, at: usize, process: u64) {
        let is_meant = self.nodes[at].process == process && self.nodes[at].running().is_some() && at != self.head;
        let is_connected = self.lines.values().any(|line| line.branch == (at, process) && line.branch_end.is_some());
        if !is_meant || is_connected {
            return;
        }
        let cable = &self.cables[at];
        let is_open = cable.is_open(Way::Up, self.now) && cable.is_open(Way::Down, self.now);
        if !is_open || self.nodes[self.head].running().is_none() {
            self.soon(1_000_000, Event::Connect(at, process));
            return;
        }
        self.opened += 1;
        let id = self.opened;
        let head = (self.head, self.nodes[self.head].process);
        let mut line = Line::new((at, process), head);
        let (mut end, mut effects) = (BranchEnd::new(), Vec::new());
        end.start(&mut effects);
        line.branch_end = Some(end);
        self.lines.insert(id, line);
        self.counters.add("line opened");
        self.carry(id, Way::Down, effects);
    }

    /// The node at an end of a line, and its process.
    fn place(line: &Line, at: Way) -> (usize, u64) {
        match at {
            Way::Up => line.head,
            Way::Down => line.branch,
        }
    }

    /// Carries out what an end wants; `at` is the way that leads to it.
    pub(super) fn carry(&mut self, id: u64, at: Way, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Send(message) => self.send(id, at.back(), &message),
                Effect::Do(job) => {
                    let Some(line) = self.lines.get(&id) else { return };
                    let place = Self::place(line, at);
                    self.soon(3_000, Event::Work(id, at, place, job));
                }
                Effect::Close => self.close(id, at, "what was asked for is done"),
            }
        }
    }

    fn send(&mut self, id: u64, way: Way, message: &PeerMessage) {
        let Some(line) = self.lines.get_mut(&id) else { return };
        let bytes = message.encode().expect("what is said can be sent");
        let cable = &mut self.cables[line.branch.0];
        let was_dead = line.is_dead;
        let (fate, befell) = line.fate(cable, way, self.now, &mut self.dice);
        if let Some(name) = befell {
            self.counters.add(name);
        }
        match fate {
            Fate::Arrives(moments) => {
                for moment in moments {
                    self.at(moment, Event::Arrive(id, way, bytes.clone()));
                }
            }
            Fate::Lost => self.lost(id, was_dead),
        }
    }

    /// A message was lost: nothing that is sent behind it arrives, and both ends notice that some time.
    fn lost(&mut self, id: u64, was_dead: bool) {
        self.counters.add("message lost");
        if !was_dead {
            for end in [Way::Up, Way::Down] {
                let at = self.now + SILENCE + self.dice.throw() % 1_000_000;
                self.at(at, Event::Notice(id, end));
            }
        }
    }

    /// A message arrives at an end.
    pub(super) fn arrive(&mut self, id: u64, way: Way, bytes: &[u8]) {
        let Some(line) = self.lines.get(&id) else { return };
        let (at, process) = Self::place(line, way);
        // It was on its way when the line was cut.
        if !self.cables[line.branch.0].is_open(way, self.now) {
            let was_dead = line.is_dead;
            if let Some(line) = self.lines.get_mut(&id) {
                line.is_dead = true;
            }
            self.lost(id, was_dead);
            return;
        }
        if self.nodes[at].process != process || self.nodes[at].running().is_none() {
            return;
        }
        let message = PeerMessage::decode(bytes).expect("what was sent can be read");
        let now = self.clock(at);
        if let PeerMessage::Reject { code, .. } = &message {
            self.counters.add(&format!("line rejected by {code}"));
            self.close(id, way, code);
            return;
        }
        let Some(line) = self.lines.get_mut(&id) else { return };
        let mut effects = Vec::new();
        let taken = match (way, &mut line.head_end, &mut line.branch_end) {
            (Way::Up, Some(end), _) => end.on_message(message, now, &mut effects),
            (Way::Down, _, Some(end)) => end.on_message(message, now, &mut effects),
            _ => return,
        };
        self.carry(id, way, effects);
        self.judge_line(id, way, taken);
    }

    /// A node works for an end of a line. It does so even where the line has ended meanwhile, as a process does.
    pub(super) fn work(&mut self, id: u64, at: Way, (place, process): (usize, u64), job: Job) {
        let node = &self.nodes[place];
        if node.process != process || node.mood.is_dead() {
            return;
        }
        let Some(app) = node.running() else { return };
        let Some(line) = self.lines.get(&id) else { return };
        let peer = self.nodes[Self::place(line, at.back()).0].number;
        let name = node.name.clone();
        let errand = Errand { peer, run: process, id_reserve: ID_RESERVE };
        let done = perform(app, &errand, job).map_err(|error| error.failure());
        let now = self.clock(place);
        match done {
            Ok(done) => {
                if let Done::Judged(Judgement::Welcome(_)) = done {
                    self.give_way(id);
                }
                if let Done::Applied { position, hash, .. } = &done {
                    let words = format!("{name} knows {position} {hash:.12}");
                    self.note(words);
                }
                if matches!(done, Done::Applied { .. }) && self.dice.percent(8) {
                    self.look(place);
                }
                let Some(line) = self.lines.get_mut(&id) else { return };
                let mut effects = Vec::new();
                let taken = match (at, &mut line.head_end, &mut line.branch_end) {
                    (Way::Up, Some(end), _) => end.on_done(done, now, &mut effects),
                    (Way::Down, _, Some(end)) => end.on_done(done, now, &mut effects),
                    _ => return,
                };
                self.carry(id, at, effects);
                self.judge_line(id, at, taken);
            }
            Err(failure) => {
                self.counters.add(&format!("line ended by {}", failure.code));
                let reject = PeerMessage::Reject { code: failure.code.clone(), message: failure.message.clone() };
                self.send(id, at.back(), &reject);
                self.close(id, at, &failure.to_string());
            }
        }
    }

    /// An end that finds its peer at fault says so and closes.
    fn judge_line(&mut self, id: u64, at: Way, taken: Result<(), Violation>) {
        let Err(violation) = taken else { return };
        self.counters.add(&format!("line ended by {}", violation.code));
        self.send(id, at.back(), &violation.reject());
        self.close(id, at, violation.code);
    }

    /// An older line of the same branch gives way.
    fn give_way(&mut self, id: u64) {
        let branch = self.lines.get(&id).map(|line| line.branch.0);
        let older = self
            .lines
            .iter()
            .filter(|(other, line)| **other != id && Some(line.branch.0) == branch && line.head_end.is_some());
        for other in older.map(|(other, _)| *other).collect::<Vec<_>>() {
            self.close(other, Way::Up, "the branch opened another line");
        }
    }

    /// An end of a line is closed; the other one hears of it, sooner or later.
    pub(super) fn close(&mut self, id: u64, at: Way, reason: &str) {
        let Some(line) = self.lines.get_mut(&id) else { return };
        let is_gone = match at {
            Way::Up => line.head_end.take().is_none(),
            Way::Down => line.branch_end.take().is_none(),
        };
        let (branch, head) = (line.branch, line.head);
        let is_over = line.branch_end.is_none() && line.head_end.is_none();
        let is_open = !line.is_dead && self.cables[branch.0].is_open(at.back(), self.now);
        if is_over {
            self.lines.remove(&id);
        }
        if is_gone {
            return;
        }
        let names = (&self.nodes[branch.0].name, &self.nodes[head.0].name);
        let words = format!("line {id} of {} to {}, {at:?} end: {reason}", names.0, names.1);
        self.note(words);
        if !is_over {
            let wait = if is_open { 100_000 } else { SILENCE };
            self.soon(wait, Event::Notice(id, at.back()));
        }
        if at == Way::Down {
            self.soon(1_000_000, Event::Connect(branch.0, branch.1));
        }
    }

    /// The ends at a node hear of a commit there.
    pub(super) fn tell_of_commit(&mut self, at: usize) {
        let place = (at, self.nodes[at].process);
        let of_node = |line: &Line| line.branch == place || line.head == place;
        let ids: Vec<u64> = self.lines.iter().filter(|(_, line)| of_node(line)).map(|(id, _)| *id).collect();
        if ids.is_empty() || self.nodes[at].mood.is_dead() {
            return;
        }
        let head = self.nodes[at].app().view().and_then(|view| Ok(view.head()?)).unwrap_or_default();
        let position = head.map(|head| head.position).unwrap_or_default();
        for id in ids {
            let Some(line) = self.lines.get_mut(&id) else { continue };
            let (mut effects, is_head) = (Vec::new(), line.head == place);
            match (is_head, &mut line.head_end, &mut line.branch_end) {
                (true, Some(end), _) => end.on_commit(position, &mut effects),
                (false, _, Some(end)) => end.on_commit(&mut effects),
                _ => {}
            }
            self.carry(id, if is_head { Way::Up } else { Way::Down }, effects);
        }
    }
}
