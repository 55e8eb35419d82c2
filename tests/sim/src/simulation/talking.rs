//! Lines in the run: who reaches whom, what arrives, what an end wants done, and how a line ends.

use mytism_core::time::Timestamp;
use mytism_format::transaction::peek;
use mytism_proto::PeerMessage;
use mytism_server::replica::{Errand, perform};
use mytism_sync::branch_end::BranchEnd;
use mytism_sync::greeting::Judgement;
use mytism_sync::head_end::HeadEnd;
use mytism_sync::{Done, Effect, Job, Violation};

use super::{Event, Simulation};
use crate::lines::{Fate, Line, Way};

/// After so many microseconds without a sign of life a line counts as gone.
const SILENCE: u64 = 3_000_000;
/// Ids that a branch keeps in stock.
const ID_RESERVE: u64 = 200;

type Told = Result<(), Violation>;

impl Line {
    fn on_message(&mut self, at: Way, message: PeerMessage, now: Timestamp, out: &mut Vec<Effect>) -> Told {
        match at {
            Way::Up => self.head_end.as_mut().map_or(Ok(()), |end| end.on_message(message, now, out)),
            Way::Down => self.branch_end.as_mut().map_or(Ok(()), |end| end.on_message(message, now, out)),
        }
    }

    fn on_done(&mut self, at: Way, done: Done, now: Timestamp, out: &mut Vec<Effect>) -> Told {
        match at {
            Way::Up => self.head_end.as_mut().map_or(Ok(()), |end| end.on_done(done, now, out)),
            Way::Down => self.branch_end.as_mut().map_or(Ok(()), |end| end.on_done(done, now, out)),
        }
    }
}

impl Simulation {
    /// A branch tries to reach the head office.
    pub(super) fn connect(&mut self, at: usize, process: u64) {
        if at >= self.nodes.len() {
            return;
        }
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
        let mut effects = Vec::new();
        if let Some(end) = &mut line.branch_end {
            end.start(&mut effects);
        }
        self.lines.insert(id, line);
        self.counters.add("line opened");
        self.carry(id, Way::Down, effects, Ok(()));
        // Nobody waits for an answer without end.
        let late = self.now + 3 * SILENCE;
        self.at(late, Event::Greeted(id));
    }

    /// A branch that got no answer to its greeting gives up.
    pub(super) fn greeted(&mut self, id: u64) {
        let is_waiting = |line: &Line| line.branch_end.as_ref().is_some_and(BranchEnd::is_greeting);
        if self.lines.get(&id).is_some_and(is_waiting) {
            self.close(id, Way::Down, "no greeting came");
        }
    }

    /// The node at an end of a line, and its process.
    const fn place(line: &Line, at: Way) -> (usize, u64) {
        match at {
            Way::Up => line.head,
            Way::Down => line.branch,
        }
    }

    /// Carries out what an end wants; `at` is the way that leads to it.
    fn carry(&mut self, id: u64, at: Way, effects: Vec<Effect>, told: Told) {
        for effect in effects {
            match effect {
                Effect::Send(message) => self.send(id, at.back(), &message),
                Effect::Do(job) => {
                    let Some(line) = self.lines.get(&id) else { return };
                    let place = Self::place(line, at);
                    self.soon(3_000, Event::Work(id, at, place, job));
                }
                Effect::Close => self.close(id, at, "all is said"),
            }
        }
        if let Err(violation) = told {
            self.counters.add(&format!("line ended by {}", violation.code));
            self.send(id, at.back(), &violation.reject());
            self.close(id, at, violation.code);
        }
        self.has_talked(id);
    }

    /// A branch that talks with the head office knows what it is. A head office that was put back knows when it has talked
    /// with all branches, or when a new reign has begun.
    fn has_talked(&mut self, id: u64) {
        let Some(line) = self.lines.get(&id) else { return };
        let (branch, head) = (line.branch.0, line.head.0);
        if line.branch_end.as_ref().is_some_and(BranchEnd::is_talking) {
            self.is_unsure[branch] = self.is_twin(branch);
            self.is_estranged[branch] = false;
        }
        if self.is_unsure[head] && line.head_end.as_ref().is_some_and(HeadEnd::is_talking) {
            self.heard.insert(branch);
            self.is_unsure[head] = self.heard.len() + 1 < self.nodes.len();
        }
    }

    fn send(&mut self, id: u64, way: Way, message: &PeerMessage) {
        let Some(line) = self.lines.get_mut(&id) else { return };
        if let Some(name) = told_of(message) {
            self.counters.add(name);
        }
        let bytes = message.encode().expect("what is said can be sent");
        let cable = &mut self.cables[line.branch.0];
        let was_dead = line.is_dead;
        let (fate, befell) = line.fate(cable, way, message.is_feed(), self.now, &mut self.dice);
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
        let Some(line) = self.lines.get_mut(&id) else { return };
        let (at, process) = Self::place(line, way);
        // It was on its way when the line was cut.
        if !self.cables[line.branch.0].is_open(way, self.now) {
            let was_dead = std::mem::replace(&mut line.is_dead, true);
            self.lost(id, was_dead);
            return;
        }
        if self.nodes[at].process != process || self.nodes[at].running().is_none() {
            return;
        }
        let message = PeerMessage::decode(bytes).expect("what was sent can be read");
        if let PeerMessage::Reject { code, .. } = &message {
            self.close(id, way, code);
            return;
        }
        if way == Way::Up && matches!(message, PeerMessage::Hello { .. }) && !self.enter(id) {
            return;
        }
        let now = self.clock(at);
        let Some(line) = self.lines.get_mut(&id) else { return };
        let mut effects = Vec::new();
        let told = line.on_message(way, message, now, &mut effects);
        self.carry(id, way, effects, told);
    }

    /// Whether a branch is let in. An older line of the same process gives way; another process of the same node that is
    /// connected keeps its place.
    fn enter(&mut self, id: u64) -> bool {
        let Some(line) = self.lines.get(&id) else { return false };
        let (branch, head) = (line.branch, line.head);
        let number = self.nodes[branch.0].number;
        let of_node = |line: &Line| self.nodes[line.branch.0].number == number;
        let others = self
            .lines
            .iter()
            .filter(|(other, line)| **other != id && line.head == head && of_node(line) && line.head_end.is_some());
        let others: Vec<(u64, bool)> = others
            .map(|(other, line)| (*other, line.branch.0 != branch.0 && line.branch_end.is_some() && !line.is_dead))
            .collect();
        if others.iter().any(|(_, keeps)| *keeps) {
            self.counters.add("line ended by node-connected-twice");
            let message = "another process of this node is connected".to_owned();
            self.send(id, Way::Down, &PeerMessage::Reject { code: "node-connected-twice".to_owned(), message });
            self.close(id, Way::Up, "node-connected-twice");
            return false;
        }
        for (other, _) in others {
            self.close(other, Way::Up, "the branch opened another line");
        }
        true
    }

    /// A node works for an end of a line. It does so even where the line has ended meanwhile, as a process does.
    pub(super) fn work(&mut self, id: u64, at: Way, (place, process): (usize, u64), job: Job) {
        let Some(node) = self.nodes.get(place) else { return };
        if node.process != process || node.mood.is_dead() {
            return;
        }
        let Some(app) = node.running() else { return };
        let Some(line) = self.lines.get(&id) else { return };
        let peer = self.nodes[Self::place(line, at.back()).0].number;
        let name = node.name.clone();
        let errand = Errand { peer, run: process, id_reserve: ID_RESERVE };
        let counted = match &job {
            Job::RollBack { .. } => Some("entries rolled back"),
            Job::Renew { .. } => Some("life renewed"),
            Job::TakeBack(_) => Some("tail taken back"),
            _ => None,
        };
        let (claim, brought) = match &job {
            Job::Judge(claim) => (Some((claim.node, claim.position.epoch)), Vec::new()),
            Job::Admit(offered) => (None, offered.iter().filter_map(|bytes| peek(bytes).ok()).collect()),
            _ => (None, Vec::new()),
        };
        let done = perform(app, &errand, job);
        match &done {
            Ok(Done::Judged(Judgement::Instead(said))) => {
                if let (Some((node, epoch)), PeerMessage::RollBack { to, .. }) = (claim, &**said) {
                    self.parted.told(node, epoch, to.number);
                }
            }
            Ok(Done::Admitted) => self.parted.brought(peer, brought.into_iter().map(|(name, ..)| name)),
            _ => {}
        }
        let now = self.clock(place);
        match done {
            Ok(done) => {
                if let Some(counted) = counted {
                    self.counters.add(counted);
                    let waiting = self.waiting(place);
                    self.note(format_args!("{name}: {counted}, {waiting}"));
                }
                if let Done::Applied { position, hash, .. } = &done {
                    let words = format!("{name} knows {position} {hash:.12}");
                    self.note(words);
                    if self.dice.percent(8) {
                        self.look(place);
                    }
                }
                let Some(line) = self.lines.get_mut(&id) else { return };
                let mut effects = Vec::new();
                let told = line.on_done(at, done, now, &mut effects);
                self.carry(id, at, effects, told);
            }
            Err(error) => {
                let failure = error.failure();
                self.counters.add(&format!("line ended by {}", failure.code));
                let reject = PeerMessage::Reject { code: failure.code.clone(), message: failure.message.clone() };
                self.send(id, at.back(), &reject);
                self.close(id, at, &failure.to_string());
            }
        }
    }

    /// What is pending at a node, by name.
    fn waiting(&self, at: usize) -> String {
        let Some(app) = self.nodes[at].running() else { return String::new() };
        let rows = app.view().and_then(|view| Ok(view.pending_after(i64::MIN, 200, usize::MAX)?)).unwrap_or_default();
        let names: Vec<String> = rows.into_iter().map(|row| row.transaction.to_string()).collect();
        format!("pending: {}", names.join(" "))
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
            let mut effects = Vec::new();
            let way = if line.head == place { Way::Up } else { Way::Down };
            match way {
                Way::Up => line.head_end.iter_mut().for_each(|end| end.on_commit(position, &mut effects)),
                Way::Down => line.branch_end.iter_mut().for_each(|end| end.on_commit(&mut effects)),
            }
            self.carry(id, way, effects, Ok(()));
        }
    }
}

/// What is worth counting of what is said.
const fn told_of(message: &PeerMessage) -> Option<&'static str> {
    match message {
        PeerMessage::RollBack { .. } => Some("said roll back"),
        PeerMessage::Renew { .. } => Some("said renew"),
        PeerMessage::RenewRequest { .. } => Some("said fork"),
        PeerMessage::Recover { .. } => Some("said recover"),
        _ => None,
    }
}
