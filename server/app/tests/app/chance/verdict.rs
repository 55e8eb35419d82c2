//! What must hold when everything has been exchanged, and what must hold of every decision of the head office.

use std::collections::{BTreeMap, BTreeSet};

use mytism_core::change::{Change, Life, Outcome, Slot};
use mytism_core::id::{EntityId, ObjectId, TransactionId};
use mytism_core::schema::{Kind, Schema};
use mytism_core::value::Value;
use mytism_store::View;

use super::model::{Model, Step, Things};
use super::saves::{LINKS, Told};

/// Two nodes that have exchanged everything hold the same.
pub(super) fn equal(head: &dyn View, branch: &dyn View, what: &str) {
    let objects = |view: &dyn View| {
        let mut objects = view.objects_after(0, u32::MAX).unwrap();
        objects.iter_mut().for_each(|object| object.slots.sort_by_key(|(slot, _)| *slot));
        objects
    };
    for (one, other) in objects(head).into_iter().zip(objects(branch)) {
        assert_eq!(one, other, "{what}");
    }
    assert_eq!(head.object_count().unwrap(), branch.object_count().unwrap(), "{what}");
    let log = |view: &dyn View| -> Vec<_> {
        let rows = view.log_after(0, u32::MAX, usize::MAX).unwrap();
        rows.into_iter().map(|row| (row.position, row.hash, row.transaction, row.committed_at)).collect()
    };
    assert_eq!(log(head), log(branch), "{what}");
    assert_eq!(head.quarantine().unwrap(), branch.quarantine().unwrap(), "{what}");
    assert_eq!(branch.pending_count().unwrap(), 0, "{what}");
}

/// Everything that was acknowledged is in the log, once; nothing else is, but what nobody saved by hand.
///
/// A save is known by its words, since a copy of a node may have to give it another name.
pub(super) fn acknowledged(model: &Model, acknowledged: &[Told]) {
    let (mut names, mut logged) = (BTreeMap::new(), BTreeMap::new());
    for step in &model.steps {
        let before = names.insert(step.id, step.number).or(logged.insert(&step.description, step.number));
        if let Some(before) = before.filter(|_| step.description.ends_with(|last: char| last.is_ascii_digit())) {
            let id = model.steps.iter().find(|step| step.number == before).map(|step| step.id.to_string());
            panic!(
                "{} stands in the log at {before} as {id:?} and at {} as {}",
                step.description, step.number, step.id
            );
        }
    }
    let mut told = BTreeSet::new();
    for Told { id, words } in acknowledged {
        assert!(told.insert(words), "{id} was told twice");
        assert!(logged.contains_key(words), "{id} ({words}) was acknowledged and is lost");
    }
    for step in model.steps.iter().filter(|step| step.id.node != step.head) {
        let nobodys = step.description == LINKS || step.description.starts_with("Saved anew as");
        assert!(told.contains(&step.description) || nobodys, "nobody was told of {}", step.id);
    }
}

/// What no two objects may share, and where references may lead.
pub(super) fn constraints(things: &Things, schema: &Schema) {
    let mut held: BTreeMap<(EntityId, String, String), ObjectId> = BTreeMap::new();
    for (id, thing) in things.iter().filter(|(_, thing)| thing.meta.life == Life::Alive) {
        let entity = schema.entity_by_id(thing.entity).unwrap();
        for member in entity.columns() {
            let value = thing.get(Slot::attribute(member.id));
            assert!(!(member.not_null && value.is_null()), "{}.{} of {id:?} is empty", entity.name, member.name);
            if member.unique && !value.is_null() {
                let key = (member.declared_in, member.name.clone(), value.to_string());
                if let Some(other) = held.insert(key.clone(), *id) {
                    panic!("{other:?} and {id:?} share {key:?}");
                }
            }
            if let (Kind::ToOne { target, .. }, Value::Reference(to)) = (&member.kind, &value) {
                let found = things.get(to).filter(|found| found.meta.life == Life::Alive);
                let found = found.unwrap_or_else(|| panic!("{}.{} of {id:?} dangles", entity.name, member.name));
                assert!(schema.entity_by_id(found.entity).unwrap().is_a(*target));
            }
        }
        // Elements of sets stay when they are deleted, so that they are in again when they come back; but they were made.
        for element in thing.slots.keys().filter_map(|slot| slot.element) {
            let there = things.get(&element).is_some_and(|found| found.meta.life != Life::Absent);
            assert!(there, "{element:?} in a set of {id:?} was never made");
        }
    }
}

/// No two transactions made the same object, refused ones included.
pub(super) fn ids(model: &Model) {
    let mut made: BTreeMap<ObjectId, TransactionId> = BTreeMap::new();
    for step in &model.steps {
        let extra = step.effects.iter().map(|(change, _)| change).filter(|change| !step.changes.contains(change));
        let making = |change: &&Change| change.slot == Slot::LIFE && change.old.is_null();
        for change in step.changes.iter().chain(extra).filter(making) {
            let before = made.insert(change.object, step.id);
            assert!(
                before.is_none_or(|id| id == step.id),
                "{:?} was made by {} and {before:?}",
                change.object,
                step.id
            );
        }
    }
}

/// The decisions of the head office, judged again: what an author knew, what he did not, what became of it.
pub(super) fn decisions(model: &Model, schema: &Schema) {
    let mut now = Now::new();
    for (index, step) in model.steps.iter().enumerate() {
        if step.id.node != step.head && !matches!(step.outcome, Outcome::Refused { .. }) {
            decision(&model.steps[..index], step, now.clone(), schema);
        }
        for (change, before) in &step.effects {
            let at = (change.object, change.slot);
            assert_eq!(now.get(&at).unwrap_or(&Value::Null), before);
            assert_eq!(&change.old, before, "the old value of {change:?} in {}", step.id);
            now.insert(at, change.new.clone());
        }
    }
}

type Now = BTreeMap<(ObjectId, Slot), Value>;

fn decision(earlier: &[Step], step: &Step, mut now: Now, schema: &Schema) {
    let Outcome::Accepted { overrides, extra } = &step.outcome else { return };
    let mut back = BTreeSet::new();
    for (index, change) in (0..).zip(&step.changes) {
        for object in came_back(earlier, step, change, &now) {
            now.insert((object, Slot::LIFE), Life::Alive.value());
            back.insert(object);
        }
        let at = (change.object, change.slot);
        let ours = now.get(&at).cloned().unwrap_or_default();
        let deletes = is_deletion(change);
        let is_unseen = unseen(earlier, step, |found| match deletes {
            true => found.object == at.0 && !is_deletion(found),
            false => (found.object, found.slot) == at,
        });
        // What stands there as he saw it, in a history that is none, he has seen.
        let is_unseen = is_unseen && !((step.saw_more || is_left(earlier, step, at)) && ours == change.old && !deletes);
        let conflict = (is_unseen || ours != change.old)
            && change.slot.element.is_none()
            && !(change.slot == Slot::LIFE && ours.is_null());
        let found = overrides.iter().find(|found| found.index == index);
        let taken = found.map_or(Some(&change.new), |found| found.new.as_ref());
        let what = format!("{} {change:?} met {ours:?}, unseen {is_unseen}, override {found:?}", step.id);
        if ours == change.new {
            assert_eq!(taken, None, "{what}");
        } else if conflict {
            assert_eq!(taken, None, "{what}");
            assert!(is_recorded(extra, step.id, change, schema), "lost in silence: {what}");
        } else {
            assert_eq!(taken, Some(&change.new), "{what}");
            now.insert(at, change.new.clone());
        }
        assert!(found.is_none_or(|found| found.old == ours), "{what}");
    }
    let record = schema.entity("SyncConflict").unwrap().id;
    let added = extra.iter().filter(|change| change.entity != record).map(|change| change.object).collect();
    assert_eq!(back, added, "what came back by {}", step.id);
}

/// Objects that others deleted unseen, and that a change uses all the same.
fn came_back(earlier: &[Step], step: &Step, change: &Change, now: &Now) -> Vec<ObjectId> {
    if change.slot == Slot::LIFE {
        return Vec::new();
    }
    let added = change.slot.element.filter(|_| !change.new.is_null());
    let used = [Some(change.object), change.new.reference(), added].into_iter().flatten();
    let comes_back = |object: &ObjectId| {
        let deletes = step.changes.iter().any(|other| other.object == *object && is_deletion(other));
        now.get(&(*object, Slot::LIFE)) == Some(&Life::Deleted.value())
            && !deletes
            && unseen(earlier, step, |found| (found.object, found.slot) == (*object, Slot::LIFE))
    };
    used.filter(comes_back).collect()
}

/// Whether another node did something that the author of a transaction had not seen.
fn unseen(earlier: &[Step], step: &Step, meets: impl Fn(&Change) -> bool) -> bool {
    let life = |step: &Step| (step.id.node, step.id.incarnation);
    let others = earlier.iter().filter(|other| other.number > step.base && life(other) != life(step));
    others.flat_map(|other| &other.effects).any(|(found, _)| meets(found))
}

/// Whether another life of the author's node was the last to set a slot that he had not seen.
fn is_left(earlier: &[Step], step: &Step, at: (ObjectId, Slot)) -> bool {
    let others = earlier.iter().rev().filter(|other| {
        other.number > step.base && (other.id.node, other.id.incarnation) != (step.id.node, step.id.incarnation)
    });
    let mut setters = others.filter(|other| other.effects.iter().any(|(found, _)| (found.object, found.slot) == at));
    setters.next().is_some_and(|last| last.id.node == step.id.node)
}

fn is_deletion(change: &Change) -> bool {
    change.slot == Slot::LIFE && Life::of(&change.new) == Life::Deleted
}

/// Whether the entry makes a record of the value that lost.
fn is_recorded(extra: &[Change], id: TransactionId, lost: &Change, schema: &Schema) -> bool {
    let entity = schema.entity("SyncConflict").unwrap();
    let slot = |name: &str| Slot::attribute(entity.member(name).unwrap().id);
    let attribute = match lost.slot {
        Slot::LIFE => "(deleted)".to_owned(),
        slot => schema.entity_by_id(lost.entity).unwrap().member_by_id(slot.attribute).unwrap().name.clone(),
    };
    let mut wanted = vec![
        (slot("Object"), Value::Integer(lost.object.get())),
        (slot("Attribute"), Value::Text(attribute)),
        (slot("Transaction"), Value::Text(id.to_string())),
    ];
    if let Value::Text(text) = &lost.new {
        wanted.push((slot("Other"), Value::Text(text.clone())));
    }
    let records: BTreeSet<ObjectId> =
        extra.iter().filter(|change| change.entity == entity.id).map(|change| change.object).collect();
    records.into_iter().any(|record| {
        let holds = |(slot, value): &(Slot, Value)| {
            extra.iter().any(|change| (change.object, change.slot, &change.new) == (record, *slot, value))
        };
        wanted.iter().all(holds)
    })
}
