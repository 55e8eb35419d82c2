//! The number ranges as people see them, and the numbers that may be missing: those that a refused transaction drew,
//! and those of a part of a node's life that was lost.
//!
//! A number that an object holds by now is not missing, wherever it came from.

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;
use mytism_core::change::{Change, Slot};
use mytism_core::failure::{Failure, nearest};
use mytism_core::id::{NodeId, ObjectId};
use mytism_core::number::{Direction, Number};
use mytism_core::operation::{NumberRangeLine, Reply, Sink, VoidNumberLine};
use mytism_core::query;
use mytism_core::schema::{Numbering, Schema};
use mytism_core::value::Value;
use mytism_format::transaction;
use mytism_store::{QueryOptions, QueryRow, View};

use super::RANGE;
use super::draw::LOW_PERCENT;
use super::range::Range;
use super::standing::{Gap, Standing, Standings, furthest};
use crate::error::AppError;
use crate::foundation::Identity;
use crate::history;
use crate::output::find_node;

/// Single numbers that a gap is parted into at most; one that is wider than this is shown as a whole.
const GAP_MAX: u64 = 1_000_000;

/// The ranges of all nodes.
pub(crate) fn ranges(
    schema: &Schema,
    view: &dyn View,
    identity: &Identity,
    sink: &mut Sink<'_>,
) -> Result<(), AppError> {
    let standings = Standings::read(view)?;
    let own = find_node(schema, view, identity.node)?.map(|node| node.id);
    for range in all(schema, view)? {
        let standing = standings.get(range.id);
        let is_own = range.node.is_some() && range.node == own;
        let line = range_line(schema, view, &range, is_own, standing, identity)?;
        if sink(Reply::NumberRange(line)).is_err() {
            break;
        }
    }
    Ok(())
}

fn range_line(
    schema: &Schema,
    view: &dyn View,
    range: &Range,
    is_own: bool,
    standing: Option<&Standing>,
    identity: &Identity,
) -> Result<NumberRangeLine, AppError> {
    let bounds = &range.bounds;
    let direction = bounds.direction();
    let given = standing.and_then(|one| one.given).filter(|_| is_own).map(|given| bounds.after(given));
    let next = furthest(direction, given, range.next);
    // Where nothing is said, nothing was given yet, or there is nothing left to say.
    let next = match next {
        Some(next) => direction.further(next, bounds.first()),
        None if standing
            .is_some_and(|one| !bounds.contains(bounds.after(one.furthest().unwrap_or(bounds.first())))) =>
        {
            bounds.after(bounds.last())
        }
        None => bounds.first(),
    };
    let left = bounds.left(next);
    let lease = standing.and_then(|one| one.lease).map(|lease| lease.end);
    let waits = is_own && !identity.authoritative && lease.is_none_or(|end| direction.is_beyond(next, end));
    let state = match () {
        () if range.node.is_none() => "no-node",
        () if !range.is_valid => "invalid",
        () if left == 0 => "used-up",
        () if waits => "waiting",
        () if bounds.percent_before(next) >= LOW_PERCENT => "low",
        () => "valid",
    };
    Ok(NumberRangeLine {
        id: range.id,
        name: range.name.clone(),
        node: node_name(schema, view, range.node)?,
        next: (left > 0).then_some(next),
        left,
        min: bounds.min(),
        max: bounds.max(),
        increment: Number(bounds.increment()),
        leased: lease,
        state: state.to_owned(),
    })
}

/// All ranges that are not deleted, by their names.
fn all(schema: &Schema, view: &dyn View) -> Result<Vec<Range>, AppError> {
    let mut ranges = Vec::new();
    let name = schema.entity_name(RANGE);
    let parsed = query::parse(&format!("from `{name}` r"), schema, &[], &TimeZone::UTC).map_err(Failure::from)?;
    view.query(&parsed, QueryOptions::default(), &mut |row| {
        if let QueryRow::Object(state) = row {
            ranges.extend(Range::read(&state).ok());
        }
        true
    })?;
    ranges.sort_by(|one, other| (&one.name, one.id).cmp(&(&other.name, other.id)));
    Ok(ranges)
}

fn node_name(schema: &Schema, view: &dyn View, node: Option<ObjectId>) -> Result<String, AppError> {
    let name = schema.entity("Node").and_then(|entity| entity.member("Name"));
    let Some((name, node)) = name.zip(node) else { return Ok(String::new()) };
    let state = view.object(node)?;
    Ok(state.and_then(|state| state.get(Slot::attribute(name.id)).text().map(str::to_owned)).unwrap_or_default())
}

/// The range that somebody named: by its object's id, else by its name, where that of `node` counts.
pub(super) fn named(schema: &Schema, view: &dyn View, text: &str, node: NodeId) -> Result<Range, AppError> {
    let ranges = all(schema, view)?;
    let own = find_node(schema, view, node)?.map(|node| node.id);
    let by_id = text.parse::<ObjectId>().ok().and_then(|id| ranges.iter().find(|range| range.id == id));
    let named = || ranges.iter().filter(|range| range.name == text);
    let found = by_id.or_else(|| named().find(|range| range.node == own)).or_else(|| named().next());
    found.cloned().ok_or_else(|| {
        let failure = Failure::refused("unknown-number-range", format!("there is no number range \"{text}\""));
        let near = nearest(text, ranges.iter().map(|range| range.name.as_str()));
        near.map_or_else(|| failure.clone(), |near| failure.clone().hint(format!("did you mean \"{near}\"?"))).into()
    })
}

/// Tells each number of the ranges of a name that an object holds, deleted ones too.
pub(super) fn each_held(
    schema: &Schema,
    view: &dyn View,
    name: &str,
    each: &mut dyn FnMut(ObjectId, Number),
) -> Result<(), AppError> {
    for entity in schema.entities() {
        let own =
            entity.numbered().filter(|(member, numbering)| numbering.range == name && member.declared_in == entity.id);
        for (member, numbering) in own {
            let text = format!("from `{}` o", entity.name);
            let parsed = query::parse(&text, schema, &[], &TimeZone::UTC).map_err(Failure::from)?;
            let options = QueryOptions { deleted: true, ..QueryOptions::default() };
            view.query(&parsed, options, &mut |row| {
                if let QueryRow::Object(state) = row
                    && let Some(number) = number_of(numbering, &state.get(Slot::attribute(member.id)))
                {
                    each(state.id, number);
                }
                true
            })?;
        }
    }
    Ok(())
}

/// The number that a value of a numbered attribute holds.
fn number_of(numbering: &Numbering, value: &Value) -> Option<Number> {
    match (value, &numbering.pattern) {
        (Value::Integer(number), _) => Some(Number(*number)),
        (Value::Text(text), Some(pattern)) => pattern.number_in(text),
        _ => None,
    }
}

/// Numbers that may be missing, of all ranges or those of one name.
pub(crate) fn void(
    schema: &Schema,
    view: &dyn View,
    identity: &Identity,
    wanted: Option<&str>,
    sink: &mut Sink<'_>,
) -> Result<(), AppError> {
    history::check_whole(view)?;
    let wanted = wanted.map(|text| named(schema, view, text, identity.node)).transpose()?.map(|range| range.name);
    let mut report = Void { schema, view, ranges: all(schema, view)?, held: BTreeMap::new() };
    let is_wanted = |name: &str| wanted.as_deref().is_none_or(|wanted| wanted == name);
    let mut lines = report.refused(&is_wanted)?;
    for gap in &Standings::read(view)?.gaps {
        lines.extend(report.gap(gap, &is_wanted)?);
    }
    for line in lines {
        if sink(Reply::VoidNumber(line)).is_err() {
            break;
        }
    }
    Ok(())
}

struct Void<'v> {
    schema: &'v Schema,
    view: &'v dyn View,
    ranges: Vec<Range>,
    /// Numbers that objects hold, by the name of their ranges, each name read once.
    held: BTreeMap<String, BTreeSet<Number>>,
}

impl Void<'_> {
    fn is_held(&mut self, name: &str, number: Number) -> Result<bool, AppError> {
        Ok(self.held_of(name)?.contains(&number))
    }

    fn held_of(&mut self, name: &str) -> Result<&BTreeSet<Number>, AppError> {
        if !self.held.contains_key(name) {
            let mut numbers = BTreeSet::new();
            each_held(self.schema, self.view, name, &mut |_, number| {
                numbers.insert(number);
            })?;
            self.held.insert(name.to_owned(), numbers);
        }
        Ok(self.held.entry(name.to_owned()).or_default())
    }

    /// Numbers of objects whose making was refused.
    fn refused(&mut self, is_wanted: &dyn Fn(&str) -> bool) -> Result<Vec<VoidNumberLine>, AppError> {
        let mut lines = Vec::new();
        for refused in self.view.quarantine()? {
            let Some(row) = self.view.log_row(refused.number)? else { continue };
            let transaction = transaction::read(row.bytes)?.transaction;
            let Some(node) = find_node(self.schema, self.view, transaction.id.node)?.map(|node| node.id) else {
                continue;
            };
            for (name, number) in drawn(self.schema, &transaction.changes) {
                let range = self.ranges.iter().find(|range| range.name == name && range.node == Some(node));
                let is_own = range.is_some_and(|range| range.bounds.contains(number));
                if !is_own || !is_wanted(&name) || self.is_held(&name, number)? {
                    continue;
                }
                lines.push(VoidNumberLine {
                    range: name,
                    node: node_name(self.schema, self.view, Some(node))?,
                    from: number,
                    to: number,
                    cause: "refused".to_owned(),
                    transaction: Some(transaction.id),
                    time: transaction.time,
                });
            }
        }
        Ok(lines)
    }

    /// Runs of numbers in a gap that no object holds.
    fn gap(&mut self, gap: &Gap, is_wanted: &dyn Fn(&str) -> bool) -> Result<Vec<VoidNumberLine>, AppError> {
        let Some(range) = self.ranges.iter().find(|range| range.id == gap.range).cloned() else {
            return Ok(Vec::new());
        };
        if !is_wanted(&range.name) {
            return Ok(Vec::new());
        }
        let bounds = range.bounds;
        let first = gap.behind.map_or_else(|| bounds.first(), |behind| bounds.after(behind));
        let runs = if gap.to.0.abs_diff(first.0) > GAP_MAX {
            vec![(first, gap.to)]
        } else {
            let held = self.held_of(&range.name)?;
            let steps = std::iter::successors(Some(first), |number| Some(bounds.after(*number)));
            let steps =
                steps.take_while(|number| bounds.contains(*number) && !bounds.direction().is_beyond(*number, gap.to));
            runs(steps.filter(|number| !held.contains(number)), |number| bounds.after(number))
        };
        let node = node_name(self.schema, self.view, range.node)?;
        let line = |(from, to)| VoidNumberLine {
            range: range.name.clone(),
            node: node.clone(),
            from,
            to,
            cause: "may-be-missing".to_owned(),
            transaction: None,
            time: gap.time,
        };
        Ok(runs.into_iter().map(line).collect())
    }
}

/// Numbers in order as runs of those that follow one another.
fn runs(numbers: impl Iterator<Item = Number>, after: impl Fn(Number) -> Number) -> Vec<(Number, Number)> {
    let mut runs: Vec<(Number, Number)> = Vec::new();
    for number in numbers {
        match runs.last_mut() {
            Some((_, last)) if after(*last) == number => *last = number,
            _ => runs.push((number, number)),
        }
    }
    runs
}

/// Names of ranges and numbers of the objects that some changes made.
fn drawn(schema: &Schema, changes: &[Change]) -> Vec<(String, Number)> {
    let made: BTreeSet<ObjectId> = changes.iter().filter(|change| change.is_making()).map(|c| c.object).collect();
    let numbered = changes.iter().filter(|change| made.contains(&change.object)).filter_map(|change| {
        let member = schema.entity_by_id(change.entity)?.member_by_id(change.slot.attribute)?;
        let numbering = member.numbering.as_ref()?;
        Some((numbering.range.clone(), number_of(numbering, &change.new)?))
    });
    numbered.collect()
}

impl Standings {
    /// Forgets gaps from a number on, since these numbers will be given again.
    pub(super) fn forget_gaps(&mut self, range: ObjectId, direction: Direction, before: Number) {
        self.gaps.retain_mut(|gap| {
            if gap.range != range || !direction.is_beyond(gap.to, before) {
                return true;
            }
            gap.to = before;
            gap.behind.is_some_and(|behind| direction.is_beyond(before, behind))
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_become_runs() {
        let check = |numbers: &[i64], expected: &[(i64, i64)]| {
            let got = runs(numbers.iter().copied().map(Number), |number| Number(number.0 + 2));
            assert_eq!(got.iter().map(|(from, to)| (from.0, to.0)).collect::<Vec<_>>(), expected);
        };
        check(&[], &[]);
        check(&[1], &[(1, 1)]);
        check(&[1, 3, 7, 9], &[(1, 3), (7, 9)]);
    }
}
