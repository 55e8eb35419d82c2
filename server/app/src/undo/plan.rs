//! What undoing a transaction means now: each slot that it changed, what it was, and whether somebody changed it since.
//!
//! What counts is the values, not the log: a slot that is what the transaction made it can be set back, whatever
//! happened meanwhile. The log is asked only who changed what is otherwise.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use mytism_core::change::{Change, Life, Slot, Stamp};
use mytism_core::id::{EntityId, ObjectId, TransactionId};
use mytism_core::value::Value;
use mytism_format::{entry, transaction};
use mytism_store::View;

use super::source::{Place, Source};
use super::{Found, Step};
use crate::apply::stamped;
use crate::constraint::describe;
use crate::error::AppError;
use crate::schema_change::older;
use crate::workspace::Workspace;

/// What a transaction did, by object.
pub(super) type Net = BTreeMap<ObjectId, Touched>;

/// What a transaction did to an object.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Touched {
    entity: EntityId,
    made: Made,
    /// Each slot with what it was first and what it became last.
    slots: BTreeMap<Slot, (Value, Value)>,
}

/// Who made an object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Made {
    /// The transaction itself.
    Here,
    /// Another one of the same run.
    InRun,
    /// It was there before.
    Before,
}

/// Transactions of a run that are kept, since others are compared with them.
const KEPT: usize = 16;

/// See the module.
pub(super) struct Plan<'s> {
    source: &'s Source,
    kept: HashMap<Place, Arc<Net>>,
}

impl<'s> Plan<'s> {
    pub(super) fn new(source: &'s Source) -> Self {
        Self { source, kept: HashMap::new() }
    }

    /// What a transaction did. Of a run, what several did to one slot counts as done by the last of them.
    pub(super) fn net(&mut self, view: &dyn View, place: Place) -> Result<Net, AppError> {
        let mut net = self.kept(view, place)?.as_ref().clone();
        if self.source.parts.len() > 1 {
            for (object, touched) in &mut net {
                self.join(view, place, *object, touched)?;
            }
        }
        Ok(net)
    }

    fn join(&mut self, view: &dyn View, place: Place, object: ObjectId, touched: &mut Touched) -> Result<(), AppError> {
        let places = self.places_of(view, object)?;
        if touched.made == Made::Here || places.len() < 2 {
            return Ok(());
        }
        let mut chains: BTreeMap<Slot, (Value, Place)> = BTreeMap::new();
        for place in places {
            let net = self.kept(view, place)?;
            let Some(other) = net.get(&object) else { continue };
            if other.made == Made::Here {
                touched.made = Made::InRun;
                return Ok(());
            }
            for (slot, (before, _)) in &other.slots {
                chains.entry(*slot).or_insert_with(|| (before.clone(), place)).1 = place;
            }
        }
        for (slot, (before, last)) in chains {
            if last != place {
                touched.slots.remove(&slot);
            } else if let Some(sides) = touched.slots.get_mut(&slot) {
                sides.0 = before;
            }
        }
        touched.slots.retain(|_, (before, then)| before != then);
        Ok(())
    }

    /// What a transaction did, by itself.
    fn kept(&mut self, view: &dyn View, place: Place) -> Result<Arc<Net>, AppError> {
        if let Some(known) = self.kept.get(&place) {
            return Ok(Arc::clone(known));
        }
        let mut net = Net::new();
        // What the schema that holds has no place for cannot be set back.
        let changes = self.source.read(view, place)?.changes;
        for change in changes.into_iter().filter_map(|change| older::change(view.schema(), change)) {
            let makes = change.is_making();
            let Change { object, entity, slot, old, new } = change;
            let fresh = || Touched { entity, made: Made::Before, slots: BTreeMap::new() };
            let touched = net.entry(object).or_insert_with(fresh);
            if makes {
                touched.made = Made::Here;
            }
            touched.slots.entry(slot).or_insert_with(|| (old, Value::Null)).1 = new;
        }
        for touched in net.values_mut() {
            touched.slots.retain(|_, (before, then)| before != then);
        }
        if self.kept.len() >= KEPT {
            self.kept.clear();
        }
        let net = Arc::new(net);
        self.kept.insert(place, Arc::clone(&net));
        Ok(net)
    }

    /// The transactions of the source that changed an object, in their order.
    fn places_of(&self, view: &dyn View, object: ObjectId) -> Result<Vec<Place>, AppError> {
        let logged = view.history_after(object, 0)?.into_iter().map(Place::Logged);
        let pending = view.pending_of(object)?.into_iter().map(Place::Pending);
        let mut places = Vec::new();
        for place in logged.chain(pending) {
            places.extend(self.source.part_at(view, place)?);
        }
        Ok(places)
    }

    /// What is to be done for it, with what stands in the way.
    pub(super) fn steps(&mut self, workspace: &mut Workspace<'_>, net: &Net) -> Result<Vec<Step>, AppError> {
        let mut steps = Vec::new();
        for (object, touched) in net {
            let Some(life) = workspace.object(*object)?.map(|state| state.meta.life) else { continue };
            match (touched.made, life) {
                (Made::Here, Life::Alive) => {
                    self.unmake(workspace, *object, touched.entity, &touched.slots, &mut steps)?;
                }
                (Made::InRun, Life::Alive) | (Made::Before, _) => {
                    for (slot, (before, then)) in &touched.slots {
                        let (object, entity, slot) = (*object, touched.entity, *slot);
                        let (before, then, obstacle) = (before.clone(), then.clone(), None);
                        let now = workspace.slot(object, slot)?;
                        let step = Step { object, entity, slot, before, then, now, obstacle };
                        steps.extend(self.judged(workspace, step)?);
                    }
                }
                // It is gone already.
                (Made::Here | Made::InRun, _) => {}
            }
        }
        self.outside_references(workspace, &mut steps)?;
        Ok(steps)
    }

    /// The step with what stands in the way of it; none where there is nothing to do.
    fn judged(&mut self, workspace: &mut Workspace<'_>, step: Step) -> Result<Option<Step>, AppError> {
        if step.now == step.before || (step.now != step.then && self.is_of_run(workspace, &step)?) {
            return Ok(None);
        }
        let obstacle = if step.now == step.then { None } else { Some(self.changed_since(workspace, &step)?) };
        Ok(Some(Step { obstacle, ..step }))
    }

    /// An object that was made goes, unless somebody has worked on it since.
    fn unmake(
        &mut self,
        workspace: &mut Workspace<'_>,
        object: ObjectId,
        entity: EntityId,
        slots: &BTreeMap<Slot, (Value, Value)>,
        steps: &mut Vec<Step>,
    ) -> Result<(), AppError> {
        let mut held: BTreeMap<Slot, Value> = BTreeMap::new();
        held.extend(workspace.object(object)?.into_iter().flat_map(|state| state.slots.iter().cloned()));
        let schema = workspace.schema;
        for set in schema.entity_by_id(entity).iter().flat_map(|found| found.sets()) {
            let elements = workspace.elements(set.id, object)?.into_iter();
            held.extend(elements.map(|element| (Slot::element(set.id, element), Value::Bool(true))));
        }
        let mut obstructed = false;
        let made = slots.keys().filter(|slot| **slot != Slot::LIFE);
        let all: std::collections::BTreeSet<Slot> = made.chain(held.keys()).copied().collect();
        for slot in all {
            let then = slots.get(&slot).map_or(Value::Null, |(_, then)| then.clone());
            let now = held.get(&slot).cloned().unwrap_or_default();
            let step = Step { object, entity, slot, before: Value::Null, then, now, obstacle: None };
            if step.now != step.then && !self.is_of_run(workspace, &step)? {
                let obstacle = Some(self.changed_since(workspace, &step)?);
                steps.push(Step { obstacle, ..step });
                obstructed = true;
            }
        }
        if !obstructed {
            let (alive, deleted) = (Life::Alive.value(), Life::Deleted.value());
            let (slot, obstacle) = (Slot::LIFE, None);
            steps.push(Step { object, entity, slot, before: deleted, then: alive.clone(), now: alive, obstacle });
        }
        Ok(())
    }

    /// Whether a value that a transaction of a run did not leave is there by another one of the same run, which sees to
    /// it.
    fn is_of_run(&mut self, workspace: &mut Workspace<'_>, step: &Step) -> Result<bool, AppError> {
        if self.source.parts.len() < 2 {
            return Ok(false);
        }
        for place in self.places_of(workspace.view()?, step.object)? {
            let net = self.kept(workspace.view()?, place)?;
            let sides = net.get(&step.object).and_then(|touched| touched.slots.get(&step.slot));
            if sides.is_some_and(|(before, then)| step.now == *before || step.now == *then) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn changed_since(&self, workspace: &mut Workspace<'_>, step: &Step) -> Result<Found, AppError> {
        let by = self.last_change(workspace, step.object, step.slot)?;
        let message = format!("{} was changed since", describe(workspace, step.object)?);
        Ok(Found { code: "changed-since".to_owned(), message, by })
    }

    /// Who changed a slot last, the source aside, as far as this node knows.
    fn last_change(
        &self,
        workspace: &mut Workspace<'_>,
        object: ObjectId,
        slot: Slot,
    ) -> Result<Option<(Stamp, TransactionId)>, AppError> {
        let meets = |change: &Change| (change.object, change.slot) == (object, slot);
        for place in workspace.pending_of(object)?.into_iter().rev() {
            let Some(row) = workspace.pending(place)? else { continue };
            let other = transaction::read(row.bytes)?.transaction;
            let of_source = self.source.part_at(workspace.view()?, Place::Pending(place))?.is_some();
            if other.changes.iter().any(meets) && !of_source {
                return Ok(Some((other.stamp(), other.id)));
            }
        }
        for number in workspace.view()?.history_after(object, 0)?.into_iter().rev() {
            if self.source.part_at(workspace.view()?, Place::Logged(number))?.is_some() {
                continue;
            }
            let Some(row) = workspace.view()?.log_row(number)? else { continue };
            let other = transaction::read(row.bytes)?.transaction;
            let happened = stamped(&entry::read(row.entry)?.entry, &other);
            if let Some((_, stamp)) = happened.into_iter().rev().find(|(change, _)| meets(change)) {
                return Ok(Some((stamp, other.id)));
            }
        }
        Ok(None)
    }

    /// Marks the objects of a run that cannot go, since something outside of the run refers to them. What refers to them
    /// within the run is set back before.
    pub(super) fn outside_references(&self, workspace: &mut Workspace<'_>, steps: &mut [Step]) -> Result<(), AppError> {
        let schema = workspace.schema;
        let going = steps.iter_mut().filter(|step| step.slot == Slot::LIFE && Life::of(&step.before) == Life::Deleted);
        for step in going {
            for (referrer, member) in schema.referring(step.entity) {
                for holder in workspace.holders(referrer.id, member.id, &Value::Reference(step.object))? {
                    if step.obstacle.is_none() && self.places_of(workspace.view()?, holder)?.is_empty() {
                        let message = format!(
                            "{} of {} refers to {}",
                            member.name,
                            describe(workspace, holder)?,
                            describe(workspace, step.object)?
                        );
                        let by = self.last_change(workspace, holder, Slot::attribute(member.id))?;
                        step.obstacle = Some(Found { code: "still-referenced".to_owned(), message, by });
                    }
                }
            }
        }
        Ok(())
    }
}
