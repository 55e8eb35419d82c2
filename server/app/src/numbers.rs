//! Numbers that never go back: what a node draws from its number ranges when it saves.
//!
//! What was given stands beside the objects, as the *standing* of each range at this node, and only ever goes up:
//! a refusal by the head office takes the object back and not its number. `Next` of the range object follows for
//! people to see; where the two differ, the standing counts.
//!
//! A node gives numbers within a *lease*, whose end it also keeps outside of the database, in a [`Ledger`]: where an
//! older copy of the database is put back, numbers go on above the lease's end. The head office leases to itself and
//! to its branches; it never leases a number twice.
//!
//! 1. `range`: a range object as it stands in the database
//! 2. `standing`: what was given and leased, and how it is kept
//! 3. [`ledger`]: what is kept outside of the database, and what follows from a difference
//! 4. `draw`: a number for a new object, within its save
//! 5. `rule`: what a range may not be changed to
//! 6. `lease`: what branch and head office say to each other
//! 7. `by_hand`: an administrator sets the next number
//! 8. `report`: the ranges, and the numbers that may be missing
//!
//! Nothing here knows a file or a socket.

mod by_hand;
mod draw;
mod lease;
pub mod ledger;
mod range;
mod report;
mod rule;
mod standing;
mod warning;

use mytism_core::id::{AttributeId, EntityId};

use crate::App;

pub(crate) use draw::{fill, leave_to_lane, once_per_range};
pub use ledger::{Ledger, MemoryLedger};
pub(crate) use ledger::{Noted, give_up, note, note_given_up, note_ids, open, secure};
pub(crate) use report::{ranges, void};
pub(crate) use rule::{Arriving, arriving_next, check, without_next};
pub(crate) use standing::{Standings, Use};
pub use warning::OnWarning;
pub(crate) use warning::Reminders;

/// The entity of ranges, and its attributes; fixed by the system's schema files.
const RANGE: EntityId = EntityId(4);
pub(crate) const NAME: AttributeId = AttributeId(400);
const NEXT: AttributeId = AttributeId(401);
const MIN: AttributeId = AttributeId(402);
const MAX: AttributeId = AttributeId(403);
const INCREMENT: AttributeId = AttributeId(404);
const VALID: AttributeId = AttributeId(405);
const NODE: AttributeId = AttributeId(406);

/// How far ahead of its use a node leases numbers and ids.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LeasePolicy {
    /// Days of the node's own use that a lease is good for, 1 … 3,650.
    pub days: u32,
    /// Numbers in a lease at least, 1 … 1,000,000.
    pub numbers: u64,
    /// Days of its own use for which a branch keeps ids of objects in stock, 1 … 3,650.
    pub id_days: u32,
}

impl Default for LeasePolicy {
    fn default() -> Self {
        Self { days: 30, numbers: 20, id_days: 30 }
    }
}

impl LeasePolicy {
    /// How many numbers a lease of somebody who used so many within the days has.
    fn count(self, used: u64) -> u64 {
        used.max(self.numbers).max(1)
    }

    fn window_micros(self) -> i64 {
        i64::from(self.days.max(1)).saturating_mul(86_400_000_000)
    }

    pub(crate) fn id_window_micros(self) -> i64 {
        i64::from(self.id_days.max(1)).saturating_mul(86_400_000_000)
    }
}

impl App {
    /// Sets how far ahead this node leases numbers.
    pub fn lease_by(&self, policy: LeasePolicy) {
        self.foundation.reminders.set_policy(policy);
    }

    /// Sets who is told of warnings that must reach a person; those since the start come at once. Must not wait.
    pub fn on_warning(&self, listener: OnWarning) {
        self.foundation.reminders.listen(listener);
    }
}
