//! The stack: what is seen of an object is what the log says with all pending transactions on top, the lowest place
//! first. What the log says is kept beside the object, slot by slot, where a pending transaction touches it.
//!
//! [`Ground`] is what the log says of one object. Who changes that, or what lies on it, lays it again.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use mytism_core::change::{Change, Life, ObjectMeta, Slot, Stamp};
use mytism_core::id::{EntityId, ObjectId};
use mytism_core::planted::{Bug, is};
use mytism_core::value::Value;
use mytism_format::object::read_meta;
use mytism_format::transaction;
use mytism_format::value::{read_value, value_bytes};

use crate::error::AppError;
use crate::journal::Sight;
use crate::lane::Work;
use crate::record::{META, by_object, meta_bytes};
use crate::schema_change::older;

/// See the module.
pub(crate) struct Ground {
    object: ObjectId,
    entity: EntityId,
    /// `None` where the log does not know the object.
    meta: Option<ObjectMeta>,
    /// Those that may be seen otherwise than they were.
    slots: BTreeMap<Slot, Value>,
    /// What is kept beside the object so far.
    under: BTreeMap<Slot, Vec<u8>>,
}

impl Ground {
    /// Of an object as it is, with the slots that pending transactions touch.
    pub(crate) fn of(work: &mut Work<'_>, object: ObjectId, entity: EntityId) -> Result<Self, AppError> {
        let under = work.workspace.underlay(object)?;
        // What lies under pending changes, and what is seen where none lie on top.
        let meta = match under.get(&META) {
            Some(bytes) if bytes.is_empty() => None,
            Some(bytes) => Some(read_meta(bytes)?),
            None => work.workspace.object(object)?.map(|state| state.meta),
        };
        let mut slots: BTreeMap<Slot, Value> = BTreeMap::new();
        for (slot, bytes) in under.iter().filter(|(slot, _)| **slot != META) {
            slots.insert(*slot, read_value(bytes)?);
        }
        let meta = meta.filter(|meta| meta.life != Life::Absent);
        Ok(Self { object, entity, meta, slots, under })
    }

    /// The one of an object among others, looked for where it is not there.
    pub(crate) fn among<'g>(
        grounds: &'g mut BTreeMap<ObjectId, Self>,
        work: &mut Work<'_>,
        object: ObjectId,
        entity: EntityId,
    ) -> Result<&'g mut Self, AppError> {
        match grounds.entry(object) {
            Entry::Occupied(known) => Ok(known.into_mut()),
            Entry::Vacant(free) => Ok(free.insert(Self::of(work, object, entity)?)),
        }
    }

    /// Looks at a slot too. What is seen of it must be what the log says, unless it is known already.
    pub(crate) fn look_at(&mut self, work: &mut Work<'_>, slot: Slot) -> Result<(), AppError> {
        if slot != Slot::LIFE && !self.slots.contains_key(&slot) {
            self.slots.insert(slot, work.workspace.slot(self.object, slot)?);
        }
        Ok(())
    }

    /// Whether a slot may be seen otherwise than the log says.
    pub(crate) fn covers(&self, slot: Slot) -> bool {
        self.slots.contains_key(&slot)
    }

    /// Whether nothing was pending on the object.
    pub(crate) fn is_bare(&self) -> bool {
        self.under.is_empty()
    }

    /// A change of the log happens.
    pub(crate) fn happen(&mut self, change: &Change, stamp: Stamp, number: u64) {
        let fresh = ObjectMeta { created: stamp, changed: stamp, version: None, life: Life::Absent };
        let meta = self.meta.get_or_insert(fresh);
        (meta.changed, meta.version) = (stamp, Some(number));
        if change.slot == Slot::LIFE {
            meta.life = Life::of(&change.new);
        } else {
            self.slots.insert(change.slot, change.new.clone());
        }
    }

    /// A change of the log did not happen after all.
    pub(crate) fn take_back(&mut self, change: &Change) {
        if change.slot != Slot::LIFE {
            self.slots.insert(change.slot, change.old.clone());
        } else if change.old.is_null() {
            self.meta = None;
        } else if let Some(meta) = &mut self.meta {
            meta.life = Life::of(&change.old);
        }
    }

    /// Says who changed the object last by the log, and in which entry. One that is not there was changed by nobody.
    pub(crate) const fn last_changed(&mut self, stamp: Stamp, number: u64) {
        if let Some(meta) = &mut self.meta {
            (meta.changed, meta.version) = (stamp, Some(number));
        }
    }

    /// Whether the log knows the object.
    pub(crate) const fn is_known(&self) -> bool {
        self.meta.is_some()
    }

    /// What is seen of the object now.
    pub(crate) fn sight(&self, work: &mut Work<'_>) -> Result<Sight, AppError> {
        let elements: Vec<Slot> = self.slots.keys().filter(|slot| slot.element.is_some()).copied().collect();
        Sight::of(work, self.object, self.entity, &elements)
    }

    /// Computes anew what is seen: this with what is pending now on top.
    pub(crate) fn lay(&self, work: &mut Work<'_>) -> Result<(), AppError> {
        let (object, entity) = (self.object, self.entity);
        let pending = pending_changes(work, object)?;
        let seen_as = seen_meta(self.meta, &pending);
        for (slot, value) in &self.slots {
            let on_top = pending.slots.get(slot);
            // What was pending when the schema changed may have no place in it; the head office will refuse it.
            let schema = work.workspace.schema;
            let fitting = on_top.filter(|value| older::value(schema, entity, *slot, (*value).clone()).is_some());
            match (seen_as.filter(|seen_as| seen_as.life != Life::Absent), slot.element) {
                (Some(seen_as), _) => {
                    work.workspace.put(object, entity, *slot, fitting.unwrap_or(value).clone(), seen_as.created)?;
                }
                // An object that is not there has no row that takes its elements with it.
                (None, Some(element)) => work.workspace.take_out(object, slot.attribute, element),
                (None, None) => {}
            }
            self.keep_under(work, *slot, on_top.map(|_| value_bytes(value)));
        }
        self.keep_under(work, META, pending.stamp.map(|_| meta_bytes(self.meta.as_ref())));
        if let Some(seen_as) = seen_as {
            work.workspace.put_meta(object, entity, seen_as)?;
        } else if let Some(state) = work.workspace.object(object)? {
            // Its making was refused and nothing else of it is left.
            let gone = ObjectMeta { life: Life::Absent, ..state.meta };
            work.workspace.put_meta(object, entity, gone)?;
        }
        Ok(())
    }

    fn keep_under(&self, work: &mut Work<'_>, slot: Slot, value: Option<Vec<u8>>) {
        if value.is_some() || self.under.contains_key(&slot) {
            work.workspace.set_underlay(self.object, slot, value);
        }
    }
}

/// What the pending transactions make of an object, the last one winning.
#[derive(Default)]
struct Pending {
    slots: BTreeMap<Slot, Value>,
    life: Option<Life>,
    /// Of the first and the last of them.
    first: Option<Stamp>,
    stamp: Option<Stamp>,
}

fn pending_changes(work: &mut Work<'_>, object: ObjectId) -> Result<Pending, AppError> {
    let mut pending = Pending::default();
    for place in work.workspace.pending_of(object)? {
        let Some(row) = work.workspace.pending(place)? else { continue };
        let stored = transaction::read(row.bytes)?;
        // A transaction that got new ids may be about the object no longer.
        let Some(changes) = by_object(&stored.transaction.changes).remove(&object) else { continue };
        for change in changes {
            if change.slot == Slot::LIFE {
                pending.life = Some(Life::of(&change.new));
            } else {
                pending.slots.insert(change.slot, change.new.clone());
            }
        }
        pending.first.get_or_insert(stored.transaction.stamp());
        pending.stamp = Some(stored.transaction.stamp());
        if is(Bug::StackLaidBare) {
            break;
        }
    }
    Ok(pending)
}

fn seen_meta(meta: Option<ObjectMeta>, pending: &Pending) -> Option<ObjectMeta> {
    let Some(changed) = pending.stamp else { return meta };
    let created = meta.map(|meta| meta.created).or(pending.first)?;
    let life = pending.life.or(meta.map(|meta| meta.life)).unwrap_or(Life::Absent);
    Some(ObjectMeta { created, changed, version: None, life })
}
