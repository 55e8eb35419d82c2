//! From a draft with names to changes with ids, each applied to the topmost layer as it is found, so that later parts
//! of a draft see earlier ones.

use std::collections::{BTreeSet, HashMap};

use jiff::tz::TimeZone;
use mytism_core::change::{Change, Life, Slot, Stamp};
use mytism_core::failure::{Failure, nearest};
use mytism_core::id::{AttributeId, EntityId, ObjectId};
use mytism_core::input;
use mytism_core::operation::{ChangeRequest, ChangeTarget, Input, ReferenceInput, SaveRequest};
use mytism_core::schema::{Entity, Kind, Member, OnDelete, Schema};
use mytism_core::value::Value;

use crate::constraint::{self, describe};
use crate::contents;
use crate::context::Context;
use crate::error::AppError;
use crate::lane::Work;
use crate::numbers;
use crate::prepare::Drafted;
use crate::record::{About, META};

/// What a request to save asks for; the answer is the labels of new objects with their ids.
pub(crate) fn requested(
    work: &mut Work<'_>,
    context: &Context,
    request: &SaveRequest,
) -> Result<Drafted<Vec<(String, ObjectId)>>, AppError> {
    let mut draft = Draft::new(work, context);
    draft.take(request)?;
    let ids = draft.ids();
    let (changes, stamp) = draft.finish()?;
    let about = About { description: request.description.clone(), ..About::default() };
    Ok(Drafted { about, stamp, changes, answer: ids })
}

/// Changes being gathered.
pub(crate) struct Draft<'w, 'v> {
    pub(crate) work: &'w mut Work<'v>,
    schema: &'v Schema,
    zone: TimeZone,
    stamp: Stamp,
    version: Option<u64>,
    labels: HashMap<String, ObjectId>,
    made: Vec<ObjectId>,
    changes: Vec<Change>,
}

impl<'w, 'v> Draft<'w, 'v> {
    pub(crate) fn new(work: &'w mut Work<'v>, context: &Context) -> Self {
        let stamp = work.stamp(context);
        let version = work.next_version();
        let schema = work.workspace.schema;
        Self {
            schema,
            zone: context.zone.clone(),
            stamp,
            version,
            labels: HashMap::new(),
            made: Vec::new(),
            changes: Vec::new(),
            work,
        }
    }

    /// Takes in a whole request.
    pub(crate) fn take(&mut self, request: &SaveRequest) -> Result<(), AppError> {
        for change in &request.changes {
            if let ChangeTarget::New { label, entity } = &change.target {
                let is_given = |member: &Member| {
                    change.values.iter().any(|(name, value)| *name == member.name && *value != Input::Null)
                };
                numbers::leave_to_lane(self.work, find_entity(self.schema, entity)?, is_given)?;
                self.make(label, entity)?;
            }
        }
        request.changes.iter().try_for_each(|change| self.change(change))
    }

    /// Checks what was gathered and gives it out, with the labels of new objects.
    pub(crate) fn finish(mut self) -> Result<(Vec<Change>, Stamp), AppError> {
        let made = std::mem::take(&mut self.made);
        numbers::fill(&mut self, &made)?;
        let (changes, untouched) = one_per_slot(self.changes);
        untouched.into_iter().try_for_each(|object| self.work.workspace.restore_meta(object))?;
        constraint::check(&mut self.work.workspace, &changes)?;
        numbers::check(self.work, &changes)?;
        Ok((changes, self.stamp))
    }

    /// Labels of new objects and their ids, in the order of the labels.
    pub(crate) fn ids(&self) -> Vec<(String, ObjectId)> {
        let mut ids: Vec<_> = self.labels.iter().map(|(label, id)| (label.clone(), *id)).collect();
        ids.sort_unstable();
        ids
    }

    fn make(&mut self, label: &str, entity: &str) -> Result<(), AppError> {
        let entity = self.entity(entity)?;
        if self.labels.contains_key(label) {
            return Err(Failure::usage("duplicate-label", format!("two new objects have the label \"{label}\"")).into());
        }
        let id = self.make_object(entity)?;
        self.labels.insert(label.to_owned(), id);
        Ok(())
    }

    /// A new object with the defaults of its entity.
    pub(crate) fn make_object(&mut self, entity: &Entity) -> Result<ObjectId, AppError> {
        if entity.is_abstract {
            let message = format!("{} is abstract: only its sub-entities have objects", entity.name);
            return Err(Failure::usage("abstract-entity", message).into());
        }
        let id = self.make_bare(entity.id)?;
        for member in entity.columns().filter(|member| !member.default.is_null()) {
            self.record(id, entity.id, Slot::attribute(member.id), member.default.clone())?;
        }
        Ok(id)
    }

    /// A new object that holds nothing.
    pub(crate) fn make_bare(&mut self, entity: EntityId) -> Result<ObjectId, AppError> {
        let id = self.new_id()?;
        self.made.push(id);
        self.record(id, entity, Slot::LIFE, Life::Alive.value())?;
        Ok(id)
    }

    /// An id for a new object; one that an object has already, since this database is an older copy, is passed over.
    fn new_id(&mut self) -> Result<ObjectId, AppError> {
        loop {
            let id = self.work.draw_id()?;
            if self.work.workspace.object(id)?.is_none() {
                return Ok(id);
            }
        }
    }

    fn change(&mut self, request: &ChangeRequest) -> Result<(), AppError> {
        let id = match &request.target {
            ChangeTarget::Object(id) => *id,
            ChangeTarget::New { label, .. } => self.label(label)?,
        };
        let entity = self.entity_of(id)?;
        for (name, expected) in &request.expect {
            self.expect(id, entity, name, expected)?;
        }
        if request.delete == Some(false) {
            self.record(id, entity.id, Slot::LIFE, Life::Alive.value())?;
        }
        for (name, value) in &request.values {
            let member = member(entity, name)?;
            self.set(id, entity, member, value)?;
        }
        if request.delete == Some(true) {
            self.delete(id, entity.id)?;
        }
        Ok(())
    }

    /// Sets one attribute or set from what was written.
    pub(crate) fn set(
        &mut self,
        id: ObjectId,
        entity: &Entity,
        member: &Member,
        given: &Input,
    ) -> Result<(), AppError> {
        match &member.kind {
            Kind::ManyToMany { target } => self.set_elements(id, entity, member.id, *target, given),
            _ => {
                let value = self.value(entity, member, given)?;
                contents::check_here(self.work, &value)?;
                self.record(id, entity.id, Slot::attribute(member.id), value)
            }
        }
    }

    fn value(&mut self, entity: &Entity, member: &Member, given: &Input) -> Result<Value, AppError> {
        if let (Kind::ToOne { .. }, Input::Reference(reference)) = (&member.kind, given) {
            return self.reference(reference).map(Value::Reference);
        }
        input::value(&member.kind, given, &self.zone).map_err(|misfit| {
            let message = format!("{}.{}: {misfit}", entity.name, member.name);
            Failure::usage("wrong-value", message).into()
        })
    }

    fn set_elements(
        &mut self,
        id: ObjectId,
        entity: &Entity,
        relation: AttributeId,
        target: EntityId,
        given: &Input,
    ) -> Result<(), AppError> {
        let (add, remove) = match given {
            Input::List(list) => {
                let wanted = self.references(list)?;
                let there = self.work.workspace.elements(relation, id)?;
                let gone = there.into_iter().filter(|element| !wanted.contains(element)).collect();
                (wanted, gone)
            }
            Input::Difference { add, remove } => (self.references(add)?, self.references(remove)?),
            Input::Null => (Vec::new(), self.work.workspace.elements(relation, id)?),
            _ => {
                let target = self.schema.entity_name(target);
                let message = format!("{}: a list of references to {target} is expected", entity.name);
                return Err(Failure::usage("wrong-value", message).into());
            }
        };
        for element in remove {
            self.record(id, entity.id, Slot::element(relation, element), Value::Null)?;
        }
        for element in add {
            self.record(id, entity.id, Slot::element(relation, element), Value::Bool(true))?;
        }
        Ok(())
    }

    fn references(&mut self, list: &[ReferenceInput]) -> Result<Vec<ObjectId>, AppError> {
        list.iter().map(|reference| self.reference(reference)).collect()
    }

    fn reference(&mut self, reference: &ReferenceInput) -> Result<ObjectId, AppError> {
        match reference {
            ReferenceInput::Id(id) => Ok(*id),
            ReferenceInput::Label(label) => self.label(label),
            ReferenceInput::Key { entity, attribute, value } => {
                let entity = self.entity(entity)?;
                let member = member(entity, attribute)?;
                let wanted = self.value(entity, member, value)?;
                self.by_key(entity, member, &wanted)?.ok_or_else(|| {
                    let message = format!("there is no {} whose {} is {wanted}", entity.name, member.name);
                    Failure::refused("unknown-reference", message).into()
                })
            }
        }
    }

    /// The object that holds a value of a unique attribute; one that the head office knows before one that it does not.
    pub(crate) fn by_key(
        &mut self,
        entity: &Entity,
        member: &Member,
        value: &Value,
    ) -> Result<Option<ObjectId>, AppError> {
        let holders = self.work.workspace.holders(entity.id, member.id, value)?;
        if let [only] = holders[..] {
            return Ok(Some(only));
        }
        for id in &holders {
            let is_settled = self.work.workspace.object(*id)?.is_some_and(|object| object.meta.version.is_some());
            // With a pending edit on top it has no version, but what lies under the edit is known.
            let lies_under = self.work.workspace.underlay(*id)?.get(&META).is_some_and(|meta| !meta.is_empty());
            if is_settled || lies_under {
                return Ok(Some(*id));
            }
        }
        Ok(holders.first().copied())
    }

    /// Marks an object deleted, with what the relations that lead to it say. That nothing refers to it any longer is
    /// checked at the end, since a later part of the draft may see to that.
    pub(crate) fn delete(&mut self, id: ObjectId, entity: EntityId) -> Result<(), AppError> {
        if self.work.workspace.alive(id)?.is_none() {
            return Ok(());
        }
        self.record(id, entity, Slot::LIFE, Life::Deleted.value())?;
        let referring: Vec<_> = self.schema.referring(entity).collect();
        for (referrer, member) in referring {
            let Kind::ToOne { on_delete, .. } = member.kind else { continue };
            if on_delete == OnDelete::Refuse {
                continue;
            }
            for holder in self.work.workspace.holders(referrer.id, member.id, &Value::Reference(id))? {
                let entity = self.entity_of(holder)?.id;
                match on_delete {
                    OnDelete::Clear => self.record(holder, entity, Slot::attribute(member.id), Value::Null)?,
                    OnDelete::Cascade => self.delete(holder, entity)?,
                    OnDelete::Refuse => {}
                }
            }
        }
        Ok(())
    }

    /// Notes a change and lets it happen in the layer; one that changes nothing is none.
    pub(crate) fn record(
        &mut self,
        object: ObjectId,
        entity: EntityId,
        slot: Slot,
        new: Value,
    ) -> Result<(), AppError> {
        let old = self.work.workspace.slot(object, slot)?;
        if old == new {
            return Ok(());
        }
        let change = Change { object, entity, slot, old, new };
        self.work.workspace.apply(&change, self.stamp, self.version)?;
        self.changes.push(change);
        Ok(())
    }

    fn expect(&mut self, id: ObjectId, entity: &Entity, name: &str, expected: &Input) -> Result<(), AppError> {
        let member = member(entity, name)?;
        let expected = self.value(entity, member, expected)?;
        let found = self.work.workspace.slot(id, Slot::attribute(member.id))?;
        if found == expected {
            return Ok(());
        }
        let what = describe(&mut self.work.workspace, id)?;
        let message = format!("{name} of {what} is \"{found}\" by now, \"{expected}\" was expected");
        Err(Failure::refused("conflict", message)
            .hint("load the object again and decide which value shall stay")
            .into())
    }

    fn label(&self, label: &str) -> Result<ObjectId, AppError> {
        self.labels.get(label).copied().ok_or_else(|| {
            Failure::usage("unknown-label", format!("no new object of this draft has the label \"{label}\"")).into()
        })
    }

    fn entity(&self, name: &str) -> Result<&'v Entity, AppError> {
        find_entity(self.schema, name)
    }

    /// The entity of an object that is there, deleted or not.
    pub(crate) fn entity_of(&mut self, id: ObjectId) -> Result<&'v Entity, AppError> {
        let schema = self.schema;
        let there = self.work.workspace.object(id)?.filter(|object| object.meta.life != Life::Absent);
        let entity = there.and_then(|object| schema.entity_by_id(object.entity));
        entity.ok_or_else(|| Failure::refused("unknown-object", format!("there is no object {id}")).into())
    }
}

/// What was changed twice is one change, and what came back to where it was is none. The second list is of objects of
/// which no change is left.
fn one_per_slot(changes: Vec<Change>) -> (Vec<Change>, BTreeSet<ObjectId>) {
    let mut places: HashMap<(ObjectId, Slot), usize> = HashMap::with_capacity(changes.len());
    let mut result: Vec<Change> = Vec::with_capacity(changes.len());
    for change in changes {
        match places.get(&(change.object, change.slot)).and_then(|place| result.get_mut(*place)) {
            Some(first) => first.new = change.new,
            None => {
                places.insert((change.object, change.slot), result.len());
                result.push(change);
            }
        }
    }
    let undone = result.iter().filter(|change| change.old == change.new);
    let mut untouched: BTreeSet<ObjectId> = undone.map(|change| change.object).collect();
    if !untouched.is_empty() {
        result.retain(|change| change.old != change.new);
        for change in &result {
            untouched.remove(&change.object);
        }
    }
    (result, untouched)
}

/// The entity of that name.
pub(crate) fn find_entity<'s>(schema: &'s Schema, name: &str) -> Result<&'s Entity, AppError> {
    schema.entity(name).ok_or_else(|| {
        let failure = Failure::usage("unknown-entity", format!("the schema has no entity \"{name}\""));
        let names = schema.entities().map(|entity| entity.name.as_str());
        with_nearest(failure, name, names).into()
    })
}

/// The attribute or relation of that name.
pub(crate) fn member<'s>(entity: &'s Entity, name: &str) -> Result<&'s Member, AppError> {
    entity.member(name).ok_or_else(|| {
        let failure = Failure::usage("unknown-attribute", format!("{} has no attribute \"{name}\"", entity.name));
        with_nearest(failure, name, entity.members.iter().map(|member| member.name.as_str())).into()
    })
}

fn with_nearest<'a>(failure: Failure, name: &str, names: impl Iterator<Item = &'a str>) -> Failure {
    match nearest(name, names) {
        Some(near) => failure.hint(format!("did you mean \"{near}\"?")),
        None => failure,
    }
}
