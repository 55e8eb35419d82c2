//! What befalls the cluster.

use super::{Event, Simulation};
use crate::lines::Way;
use crate::machine::Trouble;
use crate::oracle::account::tags;
use crate::oracle::reader::Reader;
use crate::plan::{Fault, LedgerFate};

impl Simulation {
    pub(super) fn fault(&mut self, fault: Fault) {
        self.note(format_args!("fault: {fault:?}"));
        match fault {
            Fault::Cut(at, way, pause) => {
                let until = self.now + pause;
                let ways: &[Way] = match way {
                    None => &[Way::Up, Way::Down],
                    Some(true) => &[Way::Up],
                    Some(false) => &[Way::Down],
                };
                ways.iter().for_each(|way| self.cables[at].cut(*way, until));
                self.counters.add(if way.is_none() { "fault cut both ways" } else { "fault cut one way" });
            }
            Fault::Slow(at, pause, by) => {
                self.cables[at].slow(self.now + pause, by);
                self.counters.add("fault delay");
            }
            Fault::Twice(at, times) => self.cables[at].twice += times,
            Fault::Reorder(at, times) => self.cables[at].late += times,
            Fault::Crash(at, pause) => {
                if self.nodes[at].running().is_some() {
                    self.counters.add("fault crash between commits");
                    self.die(at, pause);
                }
            }
            Fault::Stop(at, pause) => {
                if self.nodes[at].running().is_some() {
                    self.counters.add("node stopped in order");
                    self.nodes[at].stop();
                    self.gone(at, pause);
                }
            }
            Fault::Commit(at, after, trouble) => {
                if self.nodes[at].running().is_some() {
                    self.nodes[at].mood.arm(after, trouble);
                }
            }
            Fault::Clock(at, micros) => {
                self.nodes[at].machine.jump(micros);
                self.counters.add(if micros < 0 { "fault clock back" } else { "fault clock forward" });
            }
            Fault::BackUp(at) => {
                if self.nodes[at].running().is_some() && !self.put_back[at] && !self.is_twin(at) {
                    self.backups[at] = Some(self.nodes[at].back_up());
                }
            }
            Fault::Restore(at, ledger) => self.restore(at, ledger),
            Fault::Promote(at, pause) => self.promote(at, pause),
            Fault::Copy(at) => self.copy(at),
            Fault::Turn(at) => self.turn(at),
            Fault::OneGoes(at) => self.one_goes(at),
            Fault::Join => self.join(),
        }
    }

    /// A process dies and starts again after a while.
    pub(super) fn die(&mut self, at: usize, pause: u64) {
        if self.nodes[at].die(&mut self.dice) {
            self.counters.add("fault lost power");
        }
        self.gone(at, pause);
    }

    /// A process is gone: its ends of lines go with it.
    pub(super) fn gone(&mut self, at: usize, pause: u64) {
        let words = format!("{} is down", self.nodes[at].name);
        self.note(words);
        let ids: Vec<u64> = self.lines.keys().copied().collect();
        for id in ids {
            let Some(line) = self.lines.get_mut(&id) else { continue };
            let other = if line.branch.0 == at {
                line.branch_end = None;
                Way::Up
            } else if line.head.0 == at {
                line.head_end = None;
                Way::Down
            } else {
                continue;
            };
            if line.branch_end.is_none() && line.head_end.is_none() {
                self.lines.remove(&id);
            } else {
                self.soon(2_000_000, Event::Notice(id, other));
            }
        }
        let when = self.now + 1 + pause;
        self.at(when, Event::Start(at));
    }

    pub(super) fn start(&mut self, at: usize) {
        if self.nodes.get(at).is_none_or(|node| node.running().is_some()) {
            return;
        }
        self.nodes[at].start();
        self.counters.add("restart");
        let words = format!("{} is up", self.nodes[at].name);
        self.note(words);
        if std::mem::take(&mut self.put_back[at]) {
            self.nodes[at].reader = Reader::of(self.nodes[at].app());
            self.forgive(self.is_unsure[at]);
            // The note of the process, which lies beside the ledger, says that the database is an older copy.
            if at == self.head && !self.head_is_whole {
                self.nodes[at].app().begin_recovery(None).expect("a head office can wait");
            }
        }
        let rules = self.nodes[at].app().identity().authoritative;
        if std::mem::take(&mut self.deposed[at]) || rules && at != self.head {
            self.nodes[at].app().abdicate().expect("a head office whose place was taken can go");
        }
        let process = self.nodes[at].process;
        self.soon(500_000, Event::Connect(at, process));
    }

    fn restore(&mut self, at: usize, ledger: LedgerFate) {
        // One that took the place of another later is no head office in its backup.
        if at == self.head && at != 0 || self.is_twin(at) {
            return;
        }
        let Some(backup) = self.backups[at].take() else { return };
        if self.nodes[at].running().is_some() {
            self.nodes[at].stop();
            self.gone(at, 500_000);
        }
        self.nodes[at].restore(&backup, ledger);
        self.put_back[at] = true;
        self.is_estranged[at] = true;
        self.is_unsure[at] = ledger != LedgerFate::Kept || at == self.head;
        let is_head = at == self.head;
        if is_head {
            self.heard.clear();
            self.head_is_whole = ledger == LedgerFate::PutBack;
        }
        self.counters.add(if is_head { "fault old backup of the head office" } else { "fault old backup of a branch" });
        self.counters.add(match ledger {
            LedgerFate::Kept => "fault backup without ledger",
            LedgerFate::PutBack => "fault backup with ledger",
            LedgerFate::Lost => "fault lost ledger",
        });
    }

    /// A branch takes the place of the head office, which is gone for so long and becomes a branch then.
    fn promote(&mut self, at: usize, pause: u64) {
        if at == self.head || self.nodes[at].running().is_none() || self.is_twin(at) {
            return;
        }
        // Nobody promotes a branch that was put back and has not caught up: names that wait there were used before.
        let view = self.nodes[at].app().view().unwrap();
        let identity = self.nodes[at].app().identity();
        let rows = view.pending_after(i64::MIN, u32::MAX, usize::MAX).unwrap();
        let is_of_earlier_life = |row: &mytism_store::PendingRow| {
            row.transaction.node == identity.node && row.transaction.incarnation < identity.incarnation
        };
        let is_behind = rows.iter().any(is_of_earlier_life);
        drop(view);
        if is_behind || self.is_estranged[at] {
            return;
        }
        let old = self.head;
        if let Err(error) = self.nodes[at].app().promote() {
            self.note(format_args!("no promotion: {error}"));
            return;
        }
        self.counters.add("fault promotion of a branch");
        if self.nodes[old].running().is_some() {
            self.die(old, pause);
        }
        self.deposed[old] = true;
        self.head = at;
        let process = self.nodes[at].process;
        let ids = self.lines.iter().filter(|(_, line)| line.branch == (at, process)).map(|(id, _)| *id);
        for id in ids.collect::<Vec<_>>() {
            self.close(id, Way::Down, "this node is the head office by now");
        }
    }

    /// What nobody holds any longer is nobody's fault.
    pub(super) fn forgive(&mut self, with_ledger: bool) {
        let mut kept = std::collections::BTreeSet::new();
        for at in 0..self.nodes.len() {
            let node = &mut self.nodes[at];
            let was_down = node.running().is_none();
            if was_down {
                node.start();
            }
            kept.extend(tags(&*node.app().view().unwrap()));
            if was_down {
                node.stop();
            }
        }
        let forgiven = self.account.forgive(&kept, with_ledger);
        self.counters.more("save lost with a disk", forgiven);
    }

    /// From here on nothing is wrong.
    pub(super) fn heal(&mut self) {
        self.note("all is whole");
        self.is_healed = true;
        if let Some((first, _)) = self.twins {
            self.one_goes(first);
        }
        self.cables.iter_mut().for_each(crate::lines::Cable::heal);
        for at in 0..self.nodes.len() {
            self.nodes[at].mood.calm();
            if self.nodes[at].running().is_none() {
                self.start(at);
            }
        }
        self.soon(1_000_000, Event::Settled);
    }
}

/// The counter of a trouble.
pub(crate) const fn name(trouble: Trouble) -> &'static str {
    match trouble {
        Trouble::DieBefore => "fault crash before a commit",
        Trouble::DieAfter => "fault crash after a commit",
        Trouble::FailBefore => "fault commit fails before it took effect",
        Trouble::FailAfter => "fault commit fails after it took effect",
        Trouble::Full(_) => "fault disk full",
    }
}
