//! What becomes of a change that arrives at the head office after others were made. Pure: the caller looks up what
//! has happened since, this decides.

use crate::change::{Life, Slot};
use crate::value::Value;

/// What the head office knows about the slot that an arriving change is about.
#[derive(Clone, Debug)]
pub struct Meeting<'a> {
    /// Which slot.
    pub slot: Slot,
    /// The value that the arriving change's author saw.
    pub base: &'a Value,
    /// The value that he set.
    pub theirs: &'a Value,
    /// The value at the head office now.
    pub ours: &'a Value,
    /// Whether somebody whose work the author had not seen changed this slot after his base.
    pub changed_since: bool,
}

/// The decision.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// The arriving value is set.
    Apply,
    /// The value is there already; nothing is to be done and it is no conflict.
    Same,
    /// What the head office has stays, the other value is kept beside it.
    KeepOurs,
}

/// The default rule in one sentence: *what the head office already has stays, the other value is kept beside it*.
///
/// Elements of sets never conflict, since two people can only have wanted the same. An object that one side deleted
/// and the other changed stays: here that is a deletion that meets a living object; the mirror case, a change that
/// meets a deleted object, is for the caller, since it is about another slot.
#[must_use]
pub fn decide(meeting: &Meeting<'_>) -> Verdict {
    if meeting.theirs == meeting.ours {
        return Verdict::Same;
    }
    let unseen = meeting.changed_since || meeting.ours != meeting.base;
    if unseen && meeting.slot.element.is_none() && !is_making(meeting) { Verdict::KeepOurs } else { Verdict::Apply }
}

/// Whether the change makes an object that is not there: nobody can have made it before.
fn is_making(meeting: &Meeting<'_>) -> bool {
    meeting.slot == Slot::LIFE && Life::of(meeting.ours) == Life::Absent
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::AttributeId;

    fn check(base: i64, ours: i64, theirs: i64, changed_since: bool, expected: Verdict) {
        let value = |number: i64| if number == 0 { Value::Null } else { Value::Integer(number) };
        let meeting = Meeting {
            slot: Slot::attribute(AttributeId(77)),
            base: &value(base),
            theirs: &value(theirs),
            ours: &value(ours),
            changed_since,
        };
        assert_eq!(decide(&meeting), expected, "base={base} ours={ours} theirs={theirs} {changed_since}");
    }

    #[test]
    fn the_head_office_stays() {
        check(1, 2, 3, true, Verdict::KeepOurs);
        check(0, 2, 3, true, Verdict::KeepOurs);
        check(1, 0, 3, true, Verdict::KeepOurs);
    }

    #[test]
    fn there_and_back_again_is_a_change_too() {
        check(1, 1, 3, true, Verdict::KeepOurs);
    }

    #[test]
    fn what_nobody_touched_is_set() {
        check(1, 1, 3, false, Verdict::Apply);
        check(0, 0, 3, false, Verdict::Apply);
    }

    #[test]
    fn a_value_that_was_never_taken_is_no_base() {
        // The author built on an own value that lost a conflict: nobody else touched the slot since, and still he did
        // not see what stands there.
        check(5, 2, 3, false, Verdict::KeepOurs);
    }

    #[test]
    fn equal_values_are_no_conflict() {
        check(1, 3, 3, true, Verdict::Same);
        check(1, 3, 3, false, Verdict::Same);
    }
}
