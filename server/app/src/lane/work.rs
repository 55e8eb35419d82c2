//! What a piece of work has at hand, in the lane or beside it.

use mytism_core::change::Stamp;
use mytism_core::id::{OBJECT_ID_MAX, ObjectId, Position};
use mytism_core::operation::Event;
use mytism_core::time::Timestamp;
use mytism_store::{Batch, Head, View};

use crate::cluster::Accounts;
use crate::context::Context;
use crate::error::AppError;
use crate::follower::Followers;
use crate::foundation::{Foundation, Identity, Who};
use crate::numbers::Standings;
use crate::reads::{Key, Moved};
use crate::reign::Rule;
use crate::workspace::Workspace;

/// So many ids are few, whatever was used before.
const FEW_IDS: u64 = 1_000;

/// What the lane knows by heart, so that it need not read it for each save.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct State {
    /// Which life of the node it is.
    pub(crate) incarnation: u32,
    /// Whether its log is *the* order.
    pub(crate) authoritative: bool,
    /// The end of the authoritative log.
    pub(crate) head: Option<Head>,
    /// The last counter given to an own transaction of this life.
    pub(crate) counter: u64,
    /// The ends of the stack of pending transactions.
    pub(crate) places: Places,
    /// The last row of the journal.
    pub(crate) journal: u64,
    /// How far the followers of the journal are.
    pub(crate) followers: Followers,
    /// Accounts that nobody has used yet; known at the head office alone.
    pub(crate) accounts: Accounts,
    /// What was given and leased of number ranges.
    pub(crate) numbers: Standings,
    /// The reign of the entries that are written next.
    pub(crate) epoch: u32,
    /// Whether a head office decides.
    pub(crate) rule: Rule,
}

/// The lowest place that a pending transaction ever got, and the highest one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Places {
    lowest: i64,
    highest: i64,
}

impl Places {
    /// Of a stack that lies between these ends.
    pub(crate) fn of(ends: Option<(i64, i64)>) -> Self {
        ends.map_or(Self { lowest: 1, highest: 0 }, |(lowest, highest)| Self { lowest, highest })
    }

    /// The same, but for the places that were given meanwhile.
    pub(super) fn with(self, other: Self) -> Self {
        Self { lowest: self.lowest.min(other.lowest), highest: self.highest.max(other.highest) }
    }

    /// A place above all others.
    pub(crate) const fn above(&mut self) -> i64 {
        self.highest = self.highest.saturating_add(1);
        self.highest
    }

    /// A place below all others.
    pub(crate) const fn below(&mut self) -> i64 {
        self.lowest = self.lowest.saturating_sub(1);
        self.lowest
    }
}

impl State {
    /// Who the node is in this state.
    pub(crate) fn identity(&self, who: &Who) -> Identity {
        let Who { name, node } = who.clone();
        Identity { name, node, incarnation: self.incarnation, authoritative: self.authoritative }
    }

    /// The place of the last entry.
    pub(crate) fn position(&self) -> Position {
        self.head.map_or(Position { epoch: 1, number: 0 }, |head| head.position)
    }

    /// Whether both stand at the same end of the log, the own transactions and the journal, with the same cursors.
    pub(super) fn is_at(&self, other: &Self) -> bool {
        let ends = |state: &Self| (state.head, state.incarnation, state.counter, state.journal);
        ends(self) == ends(other) && self.followers == other.followers
    }
}

/// See the module.
pub(crate) struct Work<'v> {
    pub(crate) foundation: &'v Foundation,
    pub(crate) workspace: Workspace<'v>,
    pub(crate) state: State,
    /// The time for all that is written: that of the clock, but never before the last entry's.
    pub(crate) now: Timestamp,
    place: Place<'v>,
    events: Vec<Event>,
}

/// Where the work is done.
pub(super) enum Place<'v> {
    /// In the lane, where nobody else writes; with what the last groups changed, and the number of the one at work.
    Lane { moved: &'v mut Moved, group: u64 },
    /// Beside it: nothing that goes up for good may be drawn but ids of objects, since the work may be dropped.
    Beside,
    /// For a look at what would happen: the next id is one that no object ever has.
    Practice(i64),
}

impl<'v> Work<'v> {
    /// Work on the last state that was published; `state` must be taken before the workspace looks at the store.
    pub(super) fn new(foundation: &'v Foundation, state: State, place: Place<'v>) -> Self {
        let now = foundation.surroundings.now();
        let now = state.head.map_or(now, |head| now.max(head.committed_at));
        let workspace = Workspace::new(foundation.schema(), &*foundation.store);
        Self { foundation, workspace, state, now, place, events: Vec::new() }
    }

    /// Work that prepares something beside the lane.
    pub(crate) fn beside(foundation: &'v Foundation, state: State, view: Box<dyn View>) -> Self {
        let workspace = Workspace::on(foundation.schema(), &*foundation.store, view);
        Self { workspace, ..Self::new(foundation, state, Place::Beside) }
    }

    /// Work that is never committed.
    pub(crate) fn practice(foundation: &'v Foundation, state: State) -> Self {
        Self::new(foundation, state, Place::Practice(OBJECT_ID_MAX))
    }

    /// Who changes something on whose behalf, now and here.
    pub(crate) fn stamp(&self, context: &Context) -> Stamp {
        Stamp { time: self.now, user: context.user, node: self.foundation.identity.node }
    }

    /// An id for a new object.
    pub(crate) fn draw_id(&mut self) -> Result<ObjectId, AppError> {
        if let Place::Practice(next) = &mut self.place {
            let drawn = ObjectId::new(*next);
            *next -= 1;
            return drawn.ok_or_else(|| AppError::refused("out-of-ids", "there are no ids left to practise with"));
        }
        let foundation = self.foundation;
        let window = foundation.reminders.policy().id_window_micros();
        let mut allotment = foundation.allotment();
        let id = allotment.draw(foundation.identity.node, self.state.authoritative, self.now, window)?;
        let (left, used) = (allotment.ids.left(), allotment.used.recent(self.now, window));
        drop(allotment);
        if !self.state.authoritative && left <= (used / 4).max(FEW_IDS) {
            let node = &foundation.identity.name;
            let text = format!("{node} has few ids for new objects left, and the head office has not given more yet");
            foundation.warn_once("ids", text);
        }
        Ok(id)
    }

    /// Whether anything that some work looked at was changed by a group after `group`. Beside the lane nobody can know.
    pub(crate) fn has_moved(&self, group: u64, keys: impl Iterator<Item = Key>) -> bool {
        match &self.place {
            Place::Lane { moved, .. } => moved.any_since(group, keys),
            Place::Beside | Place::Practice(_) => true,
        }
    }

    /// The version of the objects that a save changes: the number of its entry at the head office, nothing at a branch,
    /// where it is pending.
    pub(crate) fn next_version(&self) -> Option<u64> {
        self.state.authoritative.then(|| self.state.position().number + 1)
    }

    /// Whether numbers may be drawn here: where they are used or taken back, and where nothing is ever committed.
    pub(crate) const fn may_draw(&self) -> bool {
        !matches!(self.place, Place::Beside)
    }

    /// Lets a piece of work of the group happen on a layer of its own; what it did is dropped where it refuses.
    pub(super) fn run(&mut self, task: impl FnOnce(&mut Self) -> bool) {
        let before = (self.state.clone(), self.events.len(), self.workspace.recent.len());
        self.workspace.begin();
        if task(self) {
            if let Place::Lane { moved, group } = &mut self.place {
                self.workspace.changed(|key| moved.note(*group, key));
            }
            self.workspace.accept();
        } else {
            self.workspace.roll_back();
            self.state = before.0;
            self.events.truncate(before.1);
            self.workspace.recent.truncate(before.2);
        }
    }

    /// What was done: what to write, the state that then holds, what to tell.
    pub(super) fn into_batch(self) -> (Batch, State, Vec<Event>) {
        (self.workspace.into_batch(), self.state, self.events)
    }

    /// Tells the watchers, once it is durable. The event is made only where somebody watches.
    pub(crate) fn tell(&mut self, event: impl FnOnce() -> Event) {
        if !self.foundation.watchers.is_empty() {
            self.events.push(event());
        }
    }
}
