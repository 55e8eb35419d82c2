//! Each decision of the head office, made again from what stands in its log: what an author knew, what he did not, what
//! the rule of the attribute says, and what became of it. And what must hold of the data after every entry.

use std::collections::{BTreeMap, BTreeSet};

use mytism_core::change::{Change, Life, Outcome, Slot};
use mytism_core::id::{AttributeId, EntityId, ObjectId};
use mytism_core::schema::{ConflictRule, Entity, Kind, Member, Schema};
use mytism_core::time::Timestamp;
use mytism_core::value::Value;
use mytism_store::View;
use rust_decimal::Decimal;

use super::model::{Model, Step, Things};
use super::parted::Parted;
use crate::counters::Counters;

/// A clock that is off by more is not believed.
const BELIEVED_MICROS: u64 = 600_000_000;
/// The reasons for which the head office refuses what a simulated user did.
const REASONS: [&str; 8] = [
    "deposed",
    "duplicate-value",
    "unknown-reference",
    "value-required",
    "still-referenced",
    "unknown-object",
    "object-deleted",
    "deleted-reference",
];
/// `NumberRange.Next`, for which numbers have a rule of their own.
const NEXT: AttributeId = AttributeId(401);

/// Two nodes that have exchanged everything hold the same.
///
/// # Panics
/// When they do not.
pub fn equal(head: &dyn View, branch: &dyn View, what: &str) {
    let objects = |view: &dyn View| {
        let mut objects = view.objects_after(0, u32::MAX).unwrap();
        objects.iter_mut().for_each(|object| object.slots.sort_by_key(|(slot, _)| *slot));
        objects
    };
    for (one, other) in objects(head).into_iter().zip(objects(branch)) {
        assert_eq!(one, other, "equal: head office and {what}");
    }
    assert_eq!(head.object_count().unwrap(), branch.object_count().unwrap(), "equal: {what}");
    assert_eq!(head.quarantine().unwrap(), branch.quarantine().unwrap(), "equal: {what}");
    assert_eq!(branch.pending_count().unwrap(), 0, "equal: {what}");
}

/// What no two objects may share, and where references may lead.
///
/// # Panics
/// When the law is broken.
pub fn constraints(things: &Things, schema: &Schema) {
    for (id, thing) in things.iter().filter(|(_, thing)| thing.meta.life == Life::Alive) {
        let entity = schema.entity_by_id(thing.entity).unwrap();
        for member in entity.columns() {
            let value = thing.get(Slot::attribute(member.id));
            assert!(!(member.not_null && value.is_null()), "{}.{} of {id:?} is empty", entity.name, member.name);
            if let (Kind::ToOne { target, .. }, Value::Reference(to)) = (&member.kind, &value) {
                let found = things.get(to).filter(|found| found.meta.life == Life::Alive);
                let found = found.unwrap_or_else(|| panic!("{}.{} of {id:?} dangles", entity.name, member.name));
                assert!(schema.entity_by_id(found.entity).unwrap().is_a(*target));
            }
        }
        for element in thing.slots.keys().filter_map(|slot| slot.element) {
            let there = things.get(&element).is_some_and(|found| found.meta.life != Life::Absent);
            assert!(there, "{element:?} in a set of {id:?} was never made");
        }
    }
}

/// The decisions of the head office, judged again.
///
/// # Panics
/// When one should have been another.
pub fn decisions(model: &Model, schema: &Schema, parted: &Parted, counters: &mut Counters) {
    let (now, unique) = (Now::default(), Unique::default());
    let mut judge = Judge { schema, parted, now, unique, made: BTreeMap::new() };
    for (index, step) in model.steps.iter().enumerate() {
        let earlier = &model.steps[..index];
        match &step.outcome {
            Outcome::Refused { code, reason } => judge.refusal(earlier, step, (code, reason), counters),
            Outcome::Accepted { .. } if step.id.node != step.head => judge.decision(earlier, step, counters),
            Outcome::Accepted { .. } => {}
        }
        judge.happen(step);
    }
}

/// What stands where.
#[derive(Default)]
struct Now(BTreeMap<(ObjectId, Slot), Value>);

impl Now {
    fn get(&self, at: (ObjectId, Slot)) -> Value {
        self.0.get(&at).cloned().unwrap_or_default()
    }
}

/// Who holds a unique value: by where the attribute was declared, its name and the value.
#[derive(Default)]
struct Unique(BTreeMap<(EntityId, String, String), BTreeSet<ObjectId>>);

struct Judge<'s> {
    schema: &'s Schema,
    parted: &'s Parted,
    now: Now,
    unique: Unique,
    /// Who made each object.
    made: BTreeMap<ObjectId, String>,
}

/// What should have become of a change.
#[derive(Debug)]
enum Expected {
    Set(Value),
    Same,
    Keep(ConflictRule),
    Take(ConflictRule),
}

/// Who met a change since its author looked: whether anybody else, whether the author's own node was the last, and when
/// the last one was.
#[derive(Debug, Default)]
struct Met {
    by_others: bool,
    own_last: bool,
    moment: Option<(Timestamp, Option<i64>)>,
}

impl Judge<'_> {
    fn member(&self, change: &Change) -> Option<&Member> {
        self.schema.entity_by_id(change.entity).and_then(|entity| entity.member_by_id(change.slot.attribute))
    }

    fn refusal(&self, earlier: &[Step], step: &Step, (code, reason): (&str, &str), counters: &mut Counters) {
        counters.add("outcome refused");
        counters.add(&format!("refused as {code}"));
        assert!(REASONS.contains(&code), "verdict: {} was refused as {code}: {reason}", step.id);
        if code != "duplicate-value" {
            return;
        }
        let wants = |change: &Change| {
            let member = self.member(change).filter(|member| member.unique)?;
            let key = (member.declared_in, member.name.clone(), change.new.to_string());
            let others = self.unique.0.get(&key)?.iter().any(|holder| *holder != change.object);
            (others && !change.new.is_null()).then_some(())
        };
        let base = known_base(earlier, step, self.parted);
        let comes_back = |change: &Change| {
            change.slot == Slot::LIFE && Life::of(&change.new) == Life::Alive
                || !self.came_back(earlier, step, base, change, &Now::default()).is_empty()
        };
        let has_reason = step.changes.iter().any(|change| wants(change).is_some() || comes_back(change));
        assert!(has_reason, "verdict: {} was refused without a reason: {reason}", step.id);
    }

    /// What a step did becomes what is, and no two hold what one may hold.
    fn happen(&mut self, step: &Step) {
        for change in &step.changes {
            if change.slot == Slot::LIFE && change.old.is_null() {
                let by = self.made.insert(change.object, step.id.to_string());
                assert!(by.is_none(), "{:?} was made by {} and {by:?}", change.object, step.id);
            }
        }
        let mut touched = BTreeSet::new();
        for (change, before) in &step.effects {
            let at = (change.object, change.slot);
            assert_eq!(&self.now.get(at), before);
            assert_eq!(&change.old, before, "verdict: the old value of {change:?} in {}", step.id);
            touched.insert((change.object, change.entity));
            self.release(change.object, change.entity);
            self.now.0.insert(at, change.new.clone());
        }
        for (object, entity) in touched {
            self.hold(object, entity, step);
        }
    }

    fn keys(&self, object: ObjectId, entity: EntityId) -> Vec<(EntityId, String, String)> {
        let entity = self.schema.entity_by_id(entity).unwrap();
        let unique = entity.columns().filter(|member| member.unique);
        let key = |member: &Member| {
            let value = self.now.get((object, Slot::attribute(member.id)));
            (!value.is_null()).then(|| (member.declared_in, member.name.clone(), value.to_string()))
        };
        unique.filter_map(key).collect()
    }

    fn release(&mut self, object: ObjectId, entity: EntityId) {
        for key in self.keys(object, entity) {
            self.unique.0.entry(key).or_default().remove(&object);
        }
    }

    fn hold(&mut self, object: ObjectId, entity: EntityId, step: &Step) {
        if Life::of(&self.now.get((object, Slot::LIFE))) != Life::Alive {
            return;
        }
        for key in self.keys(object, entity) {
            let holders = self.unique.0.entry(key.clone()).or_default();
            holders.insert(object);
            assert_eq!(holders.len(), 1, "verdict: {key:?} is held by {holders:?} after {}", step.id);
        }
    }

    fn decision(&self, earlier: &[Step], step: &Step, counters: &mut Counters) {
        let Outcome::Accepted { overrides, extra } = &step.outcome else { return };
        let base = known_base(earlier, step, self.parted);
        let mut own = Now::default();
        let mut back = BTreeSet::new();
        let mut records = 0;
        for (index, change) in (0..).zip(&step.changes) {
            for object in self.came_back(earlier, step, base, change, &own) {
                own.0.insert((object, Slot::LIFE), Life::Alive.value());
                back.insert(object);
                records += 1;
                counters.add("rule kept alive");
                counters.add("outcome brought back");
            }
            let at = (change.object, change.slot);
            let ours = own.0.get(&at).cloned().unwrap_or_else(|| self.now.get(at));
            let found = overrides.iter().find(|found| found.index == index);
            let taken = found.map_or(Some(&change.new), |found| found.new.as_ref());
            assert!(found.is_none_or(|found| found.old == ours), "verdict: {} {found:?} met {ours:?}", step.id);
            if change.slot.attribute != NEXT {
                let met = met(earlier, step, base, change, &ours);
                let expected = self.expected(step, change, &ours, &met);
                let what = format!("verdict: {} {change:?} met {ours:?} {met:?}, {found:?}: {expected:?}", step.id);
                count(&expected, change, &ours, counters);
                match &expected {
                    Expected::Set(value) => assert_eq!(taken, Some(value), "{what}"),
                    Expected::Same => assert_eq!(taken, None, "{what}"),
                    Expected::Keep(_) => {
                        assert_eq!(taken, None, "{what}");
                        assert!(self.is_recorded(extra, step, change, &ours, &change.new), "lost in silence: {what}");
                        records += 1;
                    }
                    Expected::Take(_) => {
                        assert_eq!(taken, Some(&change.new), "{what}");
                        assert!(self.is_recorded(extra, step, change, &change.new, &ours), "lost in silence: {what}");
                        records += 1;
                    }
                }
            }
            if let Some(value) = taken {
                own.0.insert(at, value.clone());
            }
        }
        let record = self.schema.entity("SyncConflict").unwrap().id;
        let added = extra.iter().filter(|change| change.entity != record).map(|change| change.object).collect();
        assert_eq!(back, added, "verdict: what came back by {}", step.id);
        let made = extra.iter().filter(|change| change.entity == record && change.slot == Slot::LIFE).count();
        assert_eq!(made, records, "verdict: records of conflicts in {}", step.id);
        let outcome = if step.outcome == Outcome::PLAIN { "outcome accepted" } else { "outcome merged" };
        counters.add(outcome);
    }

    fn expected(&self, step: &Step, change: &Change, ours: &Value, met: &Met) -> Expected {
        let is_value = change.slot.element.is_none() && change.slot != Slot::LIFE;
        let member = self.member(change).filter(|_| is_value);
        let rule = member.map_or(ConflictRule::Authoritative, |member| member.conflict);
        if rule == ConflictRule::Sum
            && *ours != change.old
            && let Some(sum) = member.and_then(|member| sum(&member.kind, change, ours))
        {
            return if sum == *ours { Expected::Same } else { Expected::Set(sum) };
        }
        let set = || Expected::Set(change.new.clone());
        if change.new == *ours {
            return Expected::Same;
        }
        if !met.by_others && *ours == change.old || change.slot.element.is_some() {
            return set();
        }
        match rule {
            _ if change.slot == Slot::LIFE && ours.is_null() => set(),
            ConflictRule::Sum if *ours == change.old => set(),
            ConflictRule::Sum | ConflictRule::Authoritative => Expected::Keep(ConflictRule::Authoritative),
            ConflictRule::Branch | ConflictRule::Later if met.own_last => set(),
            ConflictRule::Branch => Expected::Take(rule),
            ConflictRule::Later if met.moment.is_some_and(|ours| is_after(step.moment, ours)) => Expected::Take(rule),
            ConflictRule::Later => Expected::Keep(rule),
        }
    }

    /// Objects that others deleted unseen, and that a change uses all the same.
    fn came_back(&self, earlier: &[Step], step: &Step, base: u64, change: &Change, own: &Now) -> Vec<ObjectId> {
        if change.slot == Slot::LIFE {
            return Vec::new();
        }
        let added = change.slot.element.filter(|_| !change.new.is_null());
        let used = [Some(change.object), change.new.reference(), added].into_iter().flatten();
        let comes_back = |object: &ObjectId| {
            let deletes = step.changes.iter().any(|other| other.object == *object && is_deletion(other));
            let at = (*object, Slot::LIFE);
            let life = own.0.get(&at).cloned().unwrap_or_else(|| self.now.get(at));
            let mut since = others_since(earlier, step, base).flat_map(|other| &other.effects);
            life == Life::Deleted.value()
                && !deletes
                && since.any(|(found, _)| (found.object, found.slot) == (*object, Slot::LIFE))
        };
        let mut found: Vec<ObjectId> = used.filter(comes_back).collect();
        found.dedup();
        found
    }

    /// Whether the entry makes a record of both values.
    fn is_recorded(&self, extra: &[Change], step: &Step, lost: &Change, kept: &Value, other: &Value) -> bool {
        let entity = self.schema.entity("SyncConflict").unwrap();
        let slot = |name: &str| Slot::attribute(entity.member(name).unwrap().id);
        let member = self.member(lost);
        let attribute = if lost.slot == Slot::LIFE { "(deleted)" } else { &member.unwrap().name };
        let mut wanted = vec![
            (slot("Object"), Value::Integer(lost.object.get())),
            (slot("Attribute"), Value::Text(attribute.to_owned())),
            (slot("Transaction"), Value::Text(step.id.to_string())),
        ];
        let is_plain = |value: &Value| matches!(value, Value::Text(_) | Value::Integer(_) | Value::Decimal(_));
        for (name, value) in [("Kept", kept), ("Other", other)] {
            if lost.slot != Slot::LIFE && is_plain(value) {
                wanted.push((slot(name), Value::Text(value.to_string())));
            }
        }
        records(extra, entity).into_iter().any(|record| {
            let holds = |(slot, value): &(Slot, Value)| {
                extra.iter().any(|change| (change.object, change.slot, &change.new) == (record, *slot, value))
            };
            wanted.iter().all(holds)
        })
    }
}

fn records(extra: &[Change], entity: &Entity) -> BTreeSet<ObjectId> {
    extra.iter().filter(|change| change.entity == entity.id).map(|change| change.object).collect()
}

fn count(expected: &Expected, change: &Change, ours: &Value, counters: &mut Counters) {
    let rule = match expected {
        Expected::Set(value) if *value != change.new => "rule sum",
        Expected::Set(_) => return,
        Expected::Same => "rule same",
        Expected::Keep(_) if change.slot == Slot::LIFE && Life::of(ours) == Life::Alive => "rule kept alive",
        Expected::Keep(ConflictRule::Later) => "rule later, kept",
        Expected::Keep(_) => "rule authoritative",
        Expected::Take(ConflictRule::Later) => "rule later, taken",
        Expected::Take(_) => "rule branch",
    };
    counters.add(rule);
}

/// Up to where the author knew the log that is here: what he knew of an earlier epoch counts as far as that is history.
fn known_base(earlier: &[Step], step: &Step, parted: &Parted) -> u64 {
    let Some(later) = earlier.iter().find(|other| other.epoch > step.base.epoch) else { return step.base.number };
    step.base.number.min(later.number - 1).min(parted.seen(step.id, step.base.epoch))
}

fn others_since<'a>(earlier: &'a [Step], step: &'a Step, base: u64) -> impl Iterator<Item = &'a Step> {
    let base = usize::try_from(base).unwrap().min(earlier.len());
    earlier[base..].iter().filter(|other| !is_same_life(other, step))
}

/// What another life of a node did its author may not have seen: it was another copy of the database.
fn is_same_life(one: &Step, other: &Step) -> bool {
    one.id.life() == other.id.life()
}

fn met(earlier: &[Step], step: &Step, base: u64, change: &Change, ours: &Value) -> Met {
    let meets = |other: &&Step| {
        other.effects.iter().any(|(found, _)| {
            found.object == change.object
                && if is_deletion(change) { !is_deletion(found) } else { found.slot == change.slot }
        })
    };
    // Where a part of what the author knew is history no more, what that left has to speak for it.
    if base < step.base.number && *ours == change.old && !is_deletion(change) {
        return Met::default();
    }
    let base = usize::try_from(base).unwrap().min(earlier.len());
    let last = earlier[base..].iter().rev().find(meets);
    // What another life of the author's node left waiting lies under what he saved: he went on from it.
    let other = earlier[base..].iter().rev().filter(|other| !is_same_life(other, step)).find(meets);
    if other.is_some_and(|other| other.id.node == step.id.node) && *ours == change.old && !is_deletion(change) {
        return Met::default();
    }
    let by_others = others_since(earlier, step, base as u64).any(|other| meets(&other));
    let before = if *ours == change.old { None } else { earlier[..base].iter().rev().find(meets) };
    Met {
        by_others,
        own_last: last.is_some_and(|last| is_same_life(last, step)),
        moment: last.or(before).map(|step| step.moment),
    }
}

fn is_deletion(change: &Change) -> bool {
    change.slot == Slot::LIFE && Life::of(&change.new) == Life::Deleted
}

/// Whether one moment is later than another by the clock of the head office.
fn is_after(one: (Timestamp, Option<i64>), other: (Timestamp, Option<i64>)) -> bool {
    let by_office = |(time, ahead): (Timestamp, Option<i64>)| {
        let ahead = ahead.unwrap_or(0);
        (ahead.unsigned_abs() <= BELIEVED_MICROS).then(|| time.micros() - ahead)
    };
    match (by_office(one), by_office(other)) {
        (Some(one), Some(other)) => one > other,
        (one, None) => one.is_some(),
        (None, Some(_)) => false,
    }
}

/// What is there with what the author added; nothing where that does not fit.
fn sum(kind: &Kind, change: &Change, ours: &Value) -> Option<Value> {
    match kind {
        Kind::Integer => {
            let number = |value: &Value| value.integer().unwrap_or(0);
            let added = number(&change.new).checked_sub(number(&change.old))?;
            number(ours).checked_add(added).map(Value::Integer)
        }
        Kind::Decimal { precision, scale } => {
            let number = |value: &Value| if let Value::Decimal(number) = value { *number } else { Decimal::ZERO };
            let mut sum = number(ours) + number(&change.new) - number(&change.old);
            sum.rescale(*scale);
            let limit = Decimal::from(10_u64.pow(*precision)) / Decimal::from(10_u64.pow(*scale));
            (sum.abs() < limit).then_some(Value::Decimal(sum))
        }
        _ => None,
    }
}
