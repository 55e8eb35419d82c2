//! What becomes of a change that arrives at the head office after others were made. Pure: the caller looks up what
//! has happened since, this decides.

use rust_decimal::Decimal;

use crate::change::{Life, Slot};
use crate::planted::{Bug, is};
use crate::schema::{ConflictRule, Kind};
use crate::time::Timestamp;
use crate::value::Value;

/// A node whose clock is measured to be off by more, in microseconds, is not believed about times: ten minutes.
pub const CLOCK_OFFSET_MAX_MICROS: i64 = 600_000_000;

/// When a value was set, as far as a clock can tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Moment {
    /// By the clock of the node where it was set.
    pub time: Timestamp,
    /// How far that clock was ahead of the head office's; what was never measured counts as right.
    pub offset_micros: Option<i64>,
}

impl Moment {
    /// The time by the head office's clock; `None` where that of the node is off by more than
    /// [`CLOCK_OFFSET_MAX_MICROS`].
    fn corrected(self) -> Option<i64> {
        let offset = if is(Bug::ClockOffsetIgnored) { 0 } else { self.offset_micros.unwrap_or(0) };
        let is_near = offset.unsigned_abs() <= CLOCK_OFFSET_MAX_MICROS.unsigned_abs();
        is_near.then(|| self.time.micros().saturating_sub(offset))
    }

    /// Whether this is later. A time that is not believed is earlier than one that is.
    fn is_after(self, other: Self) -> bool {
        match (self.corrected(), other.corrected()) {
            (Some(this), Some(other)) => this > other,
            (this, None) => this.is_some(),
            (None, Some(_)) => false,
        }
    }
}

/// What the head office knows about the slot that an arriving change is about.
#[derive(Clone, Debug)]
pub struct Meeting<'a> {
    /// Which slot.
    pub slot: Slot,
    /// The rule of its attribute.
    pub rule: ConflictRule,
    /// What its attribute holds; `None` where that is not known, then there are no sums.
    pub kind: Option<&'a Kind>,
    /// The value that the arriving change's author saw.
    pub base: &'a Value,
    /// The value that he set.
    pub theirs: &'a Value,
    /// The value at the head office now.
    pub ours: &'a Value,
    /// Whether somebody whose work the author had not seen changed this slot after his base.
    pub changed_since: bool,
    /// Whether the author's own node set what the head office has now, after all others.
    pub own_last: bool,
    /// When the arriving value was set.
    pub their_moment: Moment,
    /// When the value at the head office was set, where that is known.
    pub our_moment: Option<Moment>,
}

/// The decision.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// The arriving value is set.
    Apply,
    /// The value is there already; nothing is to be done and it is no conflict.
    Same,
    /// What the head office has stays, the other value is kept beside it.
    KeepOurs,
    /// The arriving value is set, what the head office had is kept beside it.
    TakeTheirs,
    /// Both count, this is the sum. No conflict.
    Sum(Value),
}

/// The default rule in one sentence: *what the head office already has stays, the other value is kept beside it*. For
/// the others see [`ConflictRule`].
///
/// Elements of sets never conflict, since two people can only have wanted the same. An object that one side deleted
/// and the other changed stays, whatever the rule: here that is a deletion that meets a living object; the mirror case,
/// a change that meets a deleted object, is for the caller, since it is about another slot.
#[must_use]
pub fn decide(meeting: &Meeting<'_>) -> Verdict {
    let is_value = meeting.slot.element.is_none() && meeting.slot != Slot::LIFE;
    // Before it is asked whether the values are equal: who each took five out of ten have taken ten.
    if is_value && meeting.rule == ConflictRule::Sum && !is(Bug::SumIgnored) && meeting.ours != meeting.base {
        match sum(meeting) {
            Some(sum) if sum == *meeting.ours => return Verdict::Same,
            Some(sum) => return Verdict::Sum(sum),
            None => {}
        }
    }
    if meeting.theirs == meeting.ours {
        return Verdict::Same;
    }
    let unseen = meeting.changed_since || meeting.ours != meeting.base;
    if !unseen || meeting.slot.element.is_some() || is_making(meeting) {
        return Verdict::Apply;
    }
    let rule = if is_value { meeting.rule } else { ConflictRule::Authoritative };
    // The one place where a rule is asked which of two values stays.
    match rule {
        ConflictRule::Authoritative => Verdict::KeepOurs,
        // There and back again: nothing is left to be added.
        ConflictRule::Sum if meeting.ours == meeting.base => Verdict::Apply,
        ConflictRule::Sum => Verdict::KeepOurs,
        // Who goes on from his own value is in conflict with nobody.
        ConflictRule::Branch | ConflictRule::Later if meeting.own_last => Verdict::Apply,
        ConflictRule::Branch => Verdict::TakeTheirs,
        ConflictRule::Later => match meeting.our_moment {
            Some(ours) if meeting.their_moment.is_after(ours) => Verdict::TakeTheirs,
            _ => Verdict::KeepOurs,
        },
    }
}

/// Whether the change makes an object that is not there: nobody can have made it before.
fn is_making(meeting: &Meeting<'_>) -> bool {
    meeting.slot == Slot::LIFE && Life::of(meeting.ours) == Life::Absent
}

/// What the head office has with the difference that the author made; nothing counts as 0. `None` where that does not
/// fit the attribute.
fn sum(meeting: &Meeting<'_>) -> Option<Value> {
    match meeting.kind? {
        Kind::Integer => {
            let whole = |value: &Value| if value.is_null() { Some(0) } else { value.integer().map(i128::from) };
            let sum = whole(meeting.ours)? + whole(meeting.theirs)? - whole(meeting.base)?;
            i64::try_from(sum).ok().map(Value::Integer)
        }
        Kind::Decimal { precision, scale } => {
            let exact = |value: &Value| match value {
                Value::Null => Some(0),
                Value::Decimal(number) if number.scale() == *scale => Some(number.mantissa()),
                _ => None,
            };
            let sum = exact(meeting.ours)? + exact(meeting.theirs)? - exact(meeting.base)?;
            let limit = 10_u128.checked_pow(*precision)?;
            let fits = sum.unsigned_abs() < limit;
            fits.then(|| Decimal::try_from_i128_with_scale(sum, *scale).ok().map(Value::Decimal)).flatten()
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
