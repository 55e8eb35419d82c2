//! Which objects are in the way of a change of the schema. All of an entity are read where any of its steps asks for
//! that, in pages, and nothing of them is kept but the values that must be unique.

use std::collections::{HashMap, HashSet};

use mytism_core::change::{Life, Slot};
use mytism_core::id::{AttributeId, EntityId, ObjectId};
use mytism_core::schema::{Check, Entity, Kind, Member, Schema, Step};
use mytism_core::value::Value;
use mytism_format::object::ObjectState;
use mytism_store::View;

use crate::constraint;
use crate::error::AppError;

/// Objects that are named for each step.
const NAMED: usize = 20;
/// Objects that are read at once.
const ROWS: u32 = 1_000;

/// The objects that are in the way of a step.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Offending {
    /// How many.
    pub(super) count: u64,
    /// The first of them, with what they hold.
    pub(super) first: Vec<(ObjectId, Value)>,
}

impl Offending {
    fn add(&mut self, object: ObjectId, value: Value) {
        self.count += 1;
        if self.first.len() < NAMED {
            self.first.push((object, value));
        }
    }
}

/// A step with what is in the way of it.
pub(super) type Found = (Step, Offending);

/// See the module.
pub(super) struct Obstacles<'v> {
    view: &'v dyn View,
    next: &'v Schema,
    /// Who holds a value that must be unique.
    holders: HashMap<AttributeId, HashMap<Value, ObjectId>>,
}

impl<'v> Obstacles<'v> {
    pub(super) fn new(view: &'v dyn View, next: &'v Schema) -> Self {
        Self { view, next, holders: HashMap::new() }
    }

    /// Looks at the data for each step.
    pub(super) fn find(mut self, steps: Vec<Step>) -> Result<Vec<Found>, AppError> {
        let mut found: Vec<Found> = steps.into_iter().map(|step| (step, Offending::default())).collect();
        let schema = self.view.schema();
        for entity in schema.entities().filter(|entity| !entity.is_abstract) {
            let asked: Vec<usize> = found
                .iter()
                .enumerate()
                .filter(|(_, (step, _))| step.check.is_some_and(|check| self.concerns(entity, check)))
                .map(|(index, _)| index)
                .collect();
            if !asked.is_empty() {
                self.read(entity, &asked, &mut found)?;
            }
        }
        Ok(found)
    }

    /// Whether objects of an entity can be in the way.
    fn concerns(&self, entity: &Entity, check: Check) -> bool {
        let Some(next) = self.next.entity_by_id(entity.id) else { return false };
        match check {
            Check::Values(member) | Check::Required(member) | Check::Unique(member) | Check::Targets(member) => {
                next.member_by_id(member).is_some()
            }
            Check::Unreferenced(gone) => self.leading_to(entity, gone).next().is_some(),
        }
    }

    /// The members of an entity that stay and may lead to objects of one that goes.
    fn leading_to<'s>(&'s self, entity: &'s Entity, gone: EntityId) -> impl Iterator<Item = &'s Member> {
        let next = self.next.entity_by_id(entity.id);
        let schema = self.view.schema();
        entity.members.iter().filter(move |member| {
            let stays = next.is_some_and(|next| next.member_by_id(member.id).is_some());
            let holds = matches!(member.kind, Kind::ToOne { .. } | Kind::ManyToMany { .. });
            let target = member.kind.target();
            stays && holds && schema.entity_by_id(gone).zip(target).is_some_and(|(gone, target)| gone.is_a(target))
        })
    }

    fn read(&mut self, entity: &Entity, asked: &[usize], found: &mut [Found]) -> Result<(), AppError> {
        let mut after = 0;
        loop {
            let objects = self.view.objects_of(entity.id, after, ROWS)?;
            let Some(last) = objects.last() else { return Ok(()) };
            after = last.id.get();
            for object in &objects {
                for index in asked {
                    let Some((step, offending)) = found.get_mut(*index) else { continue };
                    if let Some(check) = step.check
                        && let Some(value) = self.obstacle(entity, object, check)?
                    {
                        offending.add(object.id, value);
                    }
                }
            }
        }
    }

    /// The value by which an object is in the way of a step.
    fn obstacle(&mut self, entity: &Entity, object: &ObjectState, check: Check) -> Result<Option<Value>, AppError> {
        let next = self.next;
        let member = |id: AttributeId| next.entity_by_id(entity.id).and_then(|entity| entity.member_by_id(id));
        let is_alive = object.meta.life == Life::Alive;
        Ok(match check {
            Check::Values(id) => member(id).and_then(|member| unfit(member, object)),
            Check::Required(id) if is_alive => {
                let value = member(id).map(|member| value_then(entity, member, object));
                value.filter(Value::is_null)
            }
            Check::Unique(id) if is_alive => {
                let value = member(id).map(|member| value_then(entity, member, object)).unwrap_or_default();
                if value.is_null() {
                    return Ok(None);
                }
                let holders = self.holders.entry(id).or_default();
                let other = *holders.entry(value.clone()).or_insert(object.id);
                (other != object.id).then_some(value)
            }
            Check::Targets(id) => match (member(id).map(|member| &member.kind), object.get(Slot::attribute(id))) {
                (Some(Kind::ToOne { target, .. }), Value::Reference(to)) if !self.leads(to, *target)? => {
                    Some(Value::Reference(to))
                }
                _ => None,
            },
            Check::Required(_) | Check::Unique(_) => None,
            // What is deleted may lead to nothing: it is looked at again where it comes back.
            Check::Unreferenced(_) if !is_alive => None,
            Check::Unreferenced(gone) => {
                let leading: HashSet<AttributeId> = self.leading_to(entity, gone).map(|member| member.id).collect();
                self.leads_to_gone(object, &leading, gone)?
            }
        })
    }

    /// Whether an object is one that a reference may lead to.
    fn leads(&self, to: ObjectId, target: EntityId) -> Result<bool, AppError> {
        let entity = self.view.object(to)?.and_then(|state| self.next.entity_by_id(state.entity));
        Ok(entity.is_some_and(|entity| entity.is_a(target)))
    }

    /// The first object of an entity that goes to which one that stays leads.
    fn leads_to_gone(
        &self,
        object: &ObjectState,
        leading: &HashSet<AttributeId>,
        gone: EntityId,
    ) -> Result<Option<Value>, AppError> {
        for (slot, value) in object.slots.iter().filter(|(slot, _)| leading.contains(&slot.attribute)) {
            let Some(to) = slot.element.or_else(|| value.reference()) else { continue };
            if self.view.object(to)?.is_some_and(|state| state.entity == gone) {
                return Ok(Some(Value::Reference(to)));
            }
        }
        Ok(None)
    }
}

/// What an object holds in an attribute afterwards.
fn value_then(entity: &Entity, member: &Member, object: &ObjectState) -> Value {
    if entity.member_by_id(member.id).is_none() {
        return member.default.clone();
    }
    let value = object.get(Slot::attribute(member.id));
    member.kind.adapt(value).unwrap_or_default()
}

/// The value of an object that has no place in what an attribute becomes.
fn unfit(member: &Member, object: &ObjectState) -> Option<Value> {
    let value = object.get(Slot::attribute(member.id));
    let then = member.kind.adapt(value.clone());
    let fits = then.is_some_and(|then| {
        then.is_null() || (constraint::fits(&member.kind, &then) && member.bounds.check(&then).is_ok())
    });
    (!fits).then_some(value)
}
