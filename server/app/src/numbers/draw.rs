//! A number for a new object, drawn within the save that makes it: a save that fails takes its numbers back.

use std::collections::{BTreeMap, HashMap};

use jiff::tz::TimeZone;
use mytism_core::change::{Change, Slot};
use mytism_core::id::ObjectId;
use mytism_core::number::Number;
use mytism_core::schema::{Entity, Member, Numbering};
use mytism_core::time::Date;
use mytism_core::value::Value;

use super::range::{Range, node_object};
use super::{NEXT, RANGE};
use crate::draft::Draft;
use crate::error::AppError;
use crate::lane::Work;

/// Numbers in a row that are passed over since objects hold them already.
const PASSED_MAX: u32 = 1_000;

/// Leaves a piece of work that is done beside the commit lane, where it will have to draw numbers: beside it a number
/// could be drawn and not used. `is_given` says whether a new object of the entity brings a value for an attribute. Asked
/// before the object gets an id, so that no id is drawn in vain.
///
/// # Errors
/// [`AppError::LaneOnly`].
pub(crate) fn leave_to_lane(
    work: &mut Work<'_>,
    entity: &Entity,
    is_given: impl Fn(&Member) -> bool,
) -> Result<(), AppError> {
    if work.may_draw() {
        return Ok(());
    }
    for (_, numbering) in entity.numbered().filter(|(member, _)| !is_given(member)) {
        if own_range(work, &numbering.range)? != Err(Lack::Missing) {
            return Err(AppError::LaneOnly);
        }
    }
    Ok(())
}

/// Gives each object that a draft made the numbers that nobody gave it.
///
/// # Errors
/// Where an attribute must have a value and there is no number for it.
pub(crate) fn fill(draft: &mut Draft<'_, '_>, made: &[ObjectId]) -> Result<(), AppError> {
    let schema = draft.work.workspace.schema;
    let mut drawn = BTreeMap::new();
    for id in made {
        let Some(state) = draft.work.workspace.alive(*id)?.cloned() else { continue };
        let Some(entity) = schema.entity_by_id(state.entity) else { continue };
        for (member, numbering) in entity.numbered() {
            let slot = Slot::attribute(member.id);
            if !state.get(slot).is_null() {
                continue;
            }
            if !draft.work.may_draw() && own_range(draft.work, &numbering.range)? != Err(Lack::Missing) {
                return Err(AppError::LaneOnly);
            }
            if let Some(value) = draw(draft.work, entity, member, numbering, &mut drawn)? {
                draft.record(*id, entity.id, slot, value)?;
            }
        }
    }
    for (id, next) in drawn {
        follow(draft, id, next)?;
    }
    Ok(())
}

/// Lets `Next` of a range follow what was drawn. At a branch only while nothing of the range is pending: each pending
/// change of one object makes every entry that arrives for it dearer, and the next draw brings the news anyway.
pub(super) fn follow(draft: &mut Draft<'_, '_>, range: ObjectId, next: Option<Number>) -> Result<(), AppError> {
    let is_head_office = draft.work.state.authoritative;
    if is_head_office || draft.work.workspace.pending_of(range)?.is_empty() {
        let value = next.map_or(Value::Null, |next| Value::Integer(next.0));
        draft.record(range, RANGE, Slot::attribute(NEXT), value)?;
    }
    Ok(())
}

/// The changes of several drafts with one change for each range in the place of many.
pub(crate) fn once_per_range(changes: Vec<Change>) -> Vec<Change> {
    let is_next = |change: &Change| change.entity == RANGE && change.slot == Slot::attribute(NEXT);
    let last: HashMap<ObjectId, Value> =
        changes.iter().filter(|change| is_next(change)).map(|change| (change.object, change.new.clone())).collect();
    if last.is_empty() {
        return changes;
    }
    let mut first = last;
    let once = changes.into_iter().filter_map(|change| {
        if !is_next(&change) {
            return Some(change);
        }
        first.remove(&change.object).map(|new| Change { new, ..change })
    });
    once.collect()
}

/// Why there is no number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Lack {
    Missing,
    Invalid,
    UsedUp,
    LeaseUsedUp,
}

impl Lack {
    fn words(self, name: &str, node: &str) -> String {
        match self {
            Self::Missing => format!("no number range {name} belongs to {node}"),
            Self::Invalid => format!("the number range {name} of {node} is not valid"),
            Self::UsedUp => format!("the number range {name} of {node} is used up"),
            Self::LeaseUsedUp => {
                format!("{node} has given all numbers of the range {name} that the head office leased to it")
            }
        }
    }

    const fn hint(self) -> &'static str {
        match self {
            Self::Missing => "make an object of the entity NumberRange with this name and node, or give a number",
            Self::Invalid => "set Valid of the range, or give a number",
            Self::UsedUp => "widen the range, or give a number",
            Self::LeaseUsedUp => "let the node reach the head office, or give a number",
        }
    }
}

/// A value for one attribute; nothing where there is no number and the attribute may be empty. `drawn` gathers what
/// comes next in each range that was drawn from.
fn draw(
    work: &mut Work<'_>,
    entity: &Entity,
    member: &Member,
    numbering: &Numbering,
    drawn: &mut BTreeMap<ObjectId, Option<Number>>,
) -> Result<Option<Value>, AppError> {
    let name = &numbering.range;
    let found = own_range(work, name)?;
    let mut passed = 0;
    let lack = loop {
        let range = match &found {
            Ok(range) => range,
            Err(lack) => break *lack,
        };
        let number = match next_number(work, range) {
            Ok(number) => number,
            Err(lack) => break lack,
        };
        let value = written(work, numbering, number)?;
        let next = range.bounds.after(number);
        drawn.insert(range.id, range.bounds.contains(next).then_some(next));
        let is_held = member.unique && !work.workspace.holders(member.declared_in, member.id, &value)?.is_empty();
        if !is_held {
            warn_of_the_end(work, range, number);
            return Ok(Some(value));
        }
        passed += 1;
        if passed > PASSED_MAX {
            let message =
                format!("{PASSED_MAX} numbers of the range {name} up to {number} are held by objects already");
            let failure = mytism_core::failure::Failure::refused("numbers-taken", message);
            return Err(failure.hint("set the next number beyond them: `./mytism numbers set`").into());
        }
    };
    let words = lack.words(name, &work.foundation.identity.name);
    work.foundation.warn_once(&matter(name), words.clone());
    if member.not_null {
        let message = format!("{} of the new {} needs a number, but {words}", member.name, entity.name);
        return Err(mytism_core::failure::Failure::refused("no-number", message).hint(lack.hint()).into());
    }
    Ok(None)
}

/// The range of that name which belongs to this node.
fn own_range(work: &mut Work<'_>, name: &str) -> Result<Result<Range, Lack>, AppError> {
    let Some(node) = node_object(&mut work.workspace, work.foundation.identity.node)? else {
        return Ok(Err(Lack::Missing));
    };
    let own = Range::named(&mut work.workspace, name)?.into_iter().find(|range| range.node == Some(node));
    Ok(match own {
        None => Err(Lack::Missing),
        Some(range) if !range.is_valid => Err(Lack::Invalid),
        Some(range) => Ok(range),
    })
}

/// The number that comes next by what is known here, whoever may give it; may lie outside of the range.
pub(super) fn due(work: &Work<'_>, range: &Range) -> Number {
    let bounds = &range.bounds;
    let direction = bounds.direction();
    let own = work.foundation.identity.node;
    let standing = work.state.numbers.get(range.id);
    // Numbers that another node may give, since the range was its own, are passed over.
    let foreign = standing.and_then(|one| one.lease).filter(|lease| lease.holder != own).map(|lease| lease.end);
    let given = standing.and_then(|one| one.given);
    let behind = super::standing::furthest(direction, given, foreign).map(|number| bounds.after(number));
    let next = super::standing::furthest(direction, behind, range.next).unwrap_or_else(|| bounds.first());
    direction.further(next, bounds.first())
}

/// Draws the next number. The head office extends its lease where that is needed.
fn next_number(work: &mut Work<'_>, range: &Range) -> Result<Number, Lack> {
    let bounds = range.bounds;
    let number = due(work, range);
    if !bounds.contains(number) {
        return Err(Lack::UsedUp);
    }
    let (own, is_head_office) = (work.foundation.identity.node, work.state.authoritative);
    let (policy, now) = (work.foundation.reminders.policy(), work.now);
    let standing = work.state.numbers.of(range.id, bounds.direction());
    let is_leased = standing.end_for(own).is_some_and(|end| !bounds.direction().is_beyond(number, end));
    if !is_leased {
        if !is_head_office {
            return Err(Lack::LeaseUsedUp);
        }
        let count = policy.count(standing.used.recent(now, policy.window_micros()));
        standing.extend(bounds.reach(number, count), own);
    }
    standing.given = Some(number);
    standing.used.add(1, now, policy.window_micros());
    Ok(number)
}

/// The value in which an attribute holds a number.
fn written(work: &mut Work<'_>, numbering: &Numbering, number: Number) -> Result<Value, AppError> {
    Ok(match &numbering.pattern {
        None => Value::Integer(number.0),
        Some(pattern) => {
            let day = if pattern.needs_day() { today(work)? } else { work.now.day_in(&TimeZone::UTC) };
            Value::Text(pattern.write(number, day))
        }
    })
}

/// The setting of the cluster's time zone, and the zone where there is none.
const ZONE: (&str, &str) = ("cluster.timeZone", "Europe/Berlin");

/// The day of the save in the cluster's zone. It is the same at all nodes, wherever their machines stand.
fn today(work: &mut Work<'_>) -> Result<Date, AppError> {
    let schema = work.workspace.schema;
    let setting =
        schema.entity("Setting").and_then(|entity| Some((entity, entity.member("Name")?, entity.member("Value")?)));
    let Some((entity, name, value)) = setting else { return Ok(work.now.day_in(&TimeZone::UTC)) };
    let found = work.workspace.holders(entity.id, name.id, &Value::from(ZONE.0))?;
    let text = match found.first() {
        Some(id) => work.workspace.slot(*id, Slot::attribute(value.id))?,
        None => Value::Null,
    };
    let name = text.text().map_or(ZONE.1, str::trim);
    let zone = TimeZone::get(name).unwrap_or_else(|_| {
        let message = format!("{} names no time zone (\"{name}\"): numbers carry the date of UTC", ZONE.0);
        work.foundation.warn_once(ZONE.0, message);
        TimeZone::UTC
    });
    Ok(work.now.day_in(&zone))
}

/// Percent of a range behind which it is said that it comes to its end.
pub(super) const LOW_PERCENT: u64 = 90;

/// Warns when a number crosses the border of the last tenth, and with the last number.
fn warn_of_the_end(work: &Work<'_>, range: &Range, number: Number) {
    let bounds = &range.bounds;
    let (name, node) = (&range.name, &work.foundation.identity.name);
    let next = bounds.after(number);
    let left = bounds.left(next);
    if left == 0 {
        let text = format!("the number range {name} of {node} is used up: {number} was its last number");
        work.foundation.warn_once(&matter(name), text);
    } else if bounds.percent_before(next) >= LOW_PERCENT {
        if bounds.percent_before(number) < LOW_PERCENT {
            let text =
                format!("{LOW_PERCENT} % of the number range {name} of {node} are given, {left} numbers are left");
            work.foundation.warn_once(&matter(name), text);
        }
    } else {
        work.foundation.reminders.settle(&matter(name));
    }
}

/// What warnings about the ranges of a name are about.
fn matter(name: &str) -> String {
    format!("range {name}")
}
