//! What a number range may not be, and not be changed to. The same function checks a save here and a transaction that
//! arrives at the head office, after all changes of the transaction have happened.

use std::collections::BTreeMap;

use mytism_core::change::{Change, Life, Slot};
use mytism_core::failure::Failure;
use mytism_core::id::ObjectId;
use mytism_core::number::{Bounds, Number};
use mytism_core::value::Value;
use mytism_format::object::ObjectState;

use super::range::Range;
use super::{MAX, MIN, NAME, NEXT, NODE, RANGE};
use crate::error::AppError;
use crate::lane::Work;

/// Checks the ranges that some changes touch.
///
/// # Errors
/// The first thing that does not hold, as a refusal; [`AppError::LaneOnly`] beside the commit lane.
pub(crate) fn check(work: &mut Work<'_>, changes: &[Change]) -> Result<(), AppError> {
    let mut touched: BTreeMap<ObjectId, Vec<&Change>> = BTreeMap::new();
    for change in changes.iter().filter(|change| change.entity == RANGE) {
        touched.entry(change.object).or_default().push(change);
    }
    // What was given and leased is known for certain in the lane alone.
    if !touched.is_empty() && !work.may_draw() {
        return Err(AppError::LaneOnly);
    }
    for (id, changes) in touched {
        let Some(state) = work.workspace.object(id)?.cloned() else { continue };
        check_one(work, &state, &changes)?;
    }
    Ok(())
}

fn check_one(work: &mut Work<'_>, state: &ObjectState, changes: &[&Change]) -> Result<(), AppError> {
    let changed = |attribute| changes.iter().any(|change| change.slot == Slot::attribute(attribute));
    let lives = changed(Slot::LIFE.attribute);
    let furthest = work.state.numbers.get(state.id).and_then(super::standing::Standing::furthest);
    if state.meta.life != Life::Alive {
        return match furthest {
            Some(_) if lives => {
                let range = Range::read(state)?;
                let message = format!("numbers of the range {} were given, so it cannot be deleted", range.name);
                Err(Failure::refused("number-range-in-use", message).hint("set Valid to false instead").into())
            }
            _ => Ok(()),
        };
    }
    let range = Range::read(state)?;
    check_next(work, &range, lives || changed(NEXT), lives || changed(MIN) || changed(MAX))?;
    let is_new = changes.iter().any(|change| change.is_making());
    if let Some(furthest) = furthest.filter(|_| !is_new) {
        check_given(&range, before(state, changes).as_ref(), furthest)?;
    }
    if lives || [NAME, NODE, MIN, MAX].into_iter().any(changed) {
        check_others(work, &range)?;
    }
    Ok(())
}

/// The range as it was before some changes.
fn before(state: &ObjectState, changes: &[&Change]) -> Option<Range> {
    let mut old = state.clone();
    for change in changes.iter().rev().filter(|change| change.slot != Slot::LIFE) {
        old.set(change.slot, change.old.clone());
    }
    Range::read(&old).ok()
}

fn check_next(work: &Work<'_>, range: &Range, sets_next: bool, sets_bounds: bool) -> Result<(), AppError> {
    let Some(next) = range.next else { return Ok(()) };
    let (name, bounds) = (&range.name, &range.bounds);
    if (sets_next || sets_bounds) && !bounds.contains(next) {
        let message =
            format!("the next number {next} of the range {name} is outside of {} … {}", bounds.min(), bounds.max());
        return Err(AppError::refused("number-range-wrong", message));
    }
    let given = work.state.numbers.get(range.id).and_then(|one| one.given);
    if let Some(given) = given.filter(|given| sets_next && !bounds.direction().is_beyond(next, *given)) {
        let message = format!("the next number of the range {name} cannot be {next}: {given} was given already");
        let hint = "`./mytism numbers set` takes back a number that was drawn by mistake";
        return Err(Failure::refused("number-given", message).hint(hint).into());
    }
    Ok(())
}

/// What was given or leased stays what it was: the range keeps its name and its way, and goes on holding those numbers.
fn check_given(range: &Range, before: Option<&Range>, furthest: Number) -> Result<(), AppError> {
    let Some(before) = before else { return Ok(()) };
    let in_use = |message: String, hint: &str| Err(Failure::refused("number-range-in-use", message).hint(hint).into());
    let (name, bounds, old) = (&before.name, &range.bounds, &before.bounds);
    if range.name != *name {
        return in_use(format!("numbers of the range {name} were given, so it keeps its name"), "make a new range");
    }
    if bounds.direction() != old.direction() {
        return in_use(format!("numbers of the range {name} were given, so it cannot turn round"), "make a new range");
    }
    let loses = |number: Number| old.contains(number) && !bounds.contains(number);
    if loses(old.first()) || loses(furthest) {
        let message = format!(
            "numbers of the range {name} from {} to {furthest} were given or leased, so they must stay in it",
            old.first()
        );
        return in_use(message, "widen the range, or shorten it behind these numbers");
    }
    Ok(())
}

/// No two ranges of one name belong to one node, or have a number in common.
fn check_others(work: &mut Work<'_>, range: &Range) -> Result<(), AppError> {
    let others = Range::named(&mut work.workspace, &range.name)?;
    for other in others.iter().filter(|other| other.id != range.id) {
        if other.node == range.node {
            let message = format!("this node has a number range {} already, object {}", range.name, other.id);
            return Err(Failure::refused("number-range-exists", message).hint("change that one").into());
        }
        if range.bounds.overlaps(&other.bounds) {
            let shown = |bounds: &Bounds| format!("{} … {}", bounds.min(), bounds.max());
            let message = format!(
                "the number ranges {} of two nodes overlap: {} here, {} in object {}",
                range.name,
                shown(&range.bounds),
                shown(&other.bounds),
                other.id
            );
            return Err(Failure::refused("number-range-overlap", message).hint("let them lie side by side").into());
        }
    }
    Ok(())
}

/// Whether a change among all of its transaction is a `Next` that follows what was drawn. With other changes of the range
/// it is the work of a person.
fn only_follows(changes: &[Change], change: &Change) -> bool {
    let next = Slot::attribute(NEXT);
    let is_next = change.entity == RANGE && change.slot == next;
    is_next && changes.iter().all(|other| other.object != change.object || other.slot == next)
}

/// The changes of a transaction without those of `Next` that follow what was drawn: numbers are not taken back with what
/// they were drawn for.
pub(crate) fn without_next(changes: Vec<Change>) -> Vec<Change> {
    let follows: Vec<bool> = changes.iter().map(|change| only_follows(&changes, change)).collect();
    changes.into_iter().zip(follows).filter(|(_, follows)| !follows).map(|(change, _)| change).collect()
}

/// What becomes of a `Next` that arrives at the head office.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Arriving {
    /// It is no `Next` of a range, or there is nothing special about it.
    Ordinary,
    /// It is set, without a conflict.
    Take,
    /// It is left out, without a conflict.
    Leave,
}

/// `Next` that only follows what was drawn is never a conflict: the further one stays. One that no longer fits the range
/// is left out, since the save that drew it must not fail for it. `changes` are all of the transaction.
pub(crate) fn arriving_next(
    work: &mut Work<'_>,
    changes: &[Change],
    change: &Change,
    is_conflict: bool,
) -> Result<Arriving, AppError> {
    if !only_follows(changes, change) {
        return Ok(Arriving::Ordinary);
    }
    let Some(range) = Range::find(&mut work.workspace, change.object)? else { return Ok(Arriving::Ordinary) };
    let (theirs, ours) = match (&change.new, range.next) {
        (Value::Integer(theirs), ours) => (Number(*theirs), ours),
        // Nothing more to give is further than any number, unless the range grew meanwhile.
        _ if is_conflict => return Ok(Arriving::Leave),
        _ => return Ok(Arriving::Ordinary),
    };
    // What was given here lies further already, as after a restore that passed numbers over.
    let given = work.state.numbers.get(range.id).and_then(|one| one.given);
    let is_behind = given.is_some_and(|given| !range.bounds.direction().is_beyond(theirs, given));
    if is_behind || !range.bounds.contains(theirs) {
        return Ok(Arriving::Leave);
    }
    if !is_conflict {
        return Ok(Arriving::Ordinary);
    }
    let is_further = ours.is_none_or(|ours| range.bounds.direction().is_beyond(theirs, ours));
    Ok(if is_further { Arriving::Take } else { Arriving::Leave })
}
