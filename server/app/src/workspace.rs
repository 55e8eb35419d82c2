//! What a commit sees and does before it is written: the store's last state with layers of changes on top.
//!
//! Each transaction of a group works on a layer of its own, which joins the group's when it is accepted and is dropped
//! when it is refused; so one bad transaction is refused alone, and a later one of the group sees what an earlier one
//! did. At the end the lowest layer becomes the batch that the store writes. Nothing here decides anything.

use std::cell::OnceCell;
use std::collections::{BTreeMap, HashMap, HashSet};

use mytism_core::change::{Change, Life, ObjectMeta, Slot, Stamp};
use mytism_core::id::{AttributeId, EntityId, Hash, ObjectId, TransactionId};
use mytism_core::schema::{Kind, Member, Schema};
use mytism_core::value::Value;
use mytism_format::object::ObjectState;
use mytism_store::{Batch, PendingRow, Store, View, Write};

use crate::error::AppError;
use crate::reads::{Key, Seen};
use crate::schema_change::older;

/// See the module.
pub(crate) struct Workspace<'v> {
    /// The schema that holds.
    pub(crate) schema: &'v Schema,
    store: &'v dyn Store,
    /// The state that the last commit left, once somebody looks at it.
    view: OnceCell<Box<dyn View>>,
    /// The lowest is the group's; never empty.
    layers: Vec<Layer>,
    /// Objects as the store has them, read once.
    loaded: HashMap<ObjectId, Option<ObjectState>>,
    /// What else was looked at in the store.
    looked_at: Vec<Key>,
    /// What the entries of this group changed, since the store does not know them yet.
    pub(crate) recent: Vec<RecentEntry>,
    /// Whether the store holds pending transactions, once somebody asked.
    stored_pending: Option<bool>,
}

/// A log entry of the group at work.
pub(crate) struct RecentEntry {
    pub(crate) number: u64,
    pub(crate) transaction: TransactionId,
    pub(crate) hash: Hash,
    pub(crate) stamp: Stamp,
    pub(crate) clock_offset_micros: Option<i64>,
    pub(crate) changes: Vec<Change>,
}

/// The changes of one transaction, or of several that were accepted.
#[derive(Default)]
struct Layer {
    objects: BTreeMap<ObjectId, Option<ObjectState>>,
    elements: BTreeMap<(AttributeId, ObjectId, ObjectId), bool>,
    /// Who may hold a value of an indexed attribute; each is looked at again before it is believed.
    holders: HashMap<(AttributeId, Value), Vec<ObjectId>>,
    /// What lies under pending changes; `None` for what is forgotten.
    underlay: BTreeMap<ObjectId, BTreeMap<Slot, Option<Vec<u8>>>>,
    /// Pending transactions of this group by object, and those that were settled.
    touched: BTreeMap<ObjectId, Vec<i64>>,
    pending: BTreeMap<i64, PendingRow>,
    settled: HashSet<i64>,
    writes: Vec<Write>,
}

/// What was prepared beside the lane: the changes, the objects as they were before them, and keys of all that was
/// looked at.
pub(crate) struct PreparedLayer {
    layer: Layer,
    loaded: HashMap<ObjectId, Option<ObjectState>>,
    pub(crate) reads: Vec<Key>,
}

impl<'v> Workspace<'v> {
    pub(crate) fn new(schema: &'v Schema, store: &'v dyn Store) -> Self {
        Self {
            schema,
            store,
            view: OnceCell::new(),
            layers: vec![Layer::default()],
            loaded: HashMap::new(),
            looked_at: Vec::new(),
            recent: Vec::new(),
            stored_pending: None,
        }
    }

    /// One that stands on a view that is open.
    pub(crate) fn on(schema: &'v Schema, store: &'v dyn Store, view: Box<dyn View>) -> Self {
        Self { view: OnceCell::from(view), ..Self::new(schema, store) }
    }

    /// The state that the last commit left. It is opened when it is first needed; while a group forms, nobody else
    /// commits.
    pub(crate) fn view(&self) -> Result<&dyn View, AppError> {
        if self.view.get().is_none() {
            let _set_only_here = self.view.set(self.store.view()?);
        }
        let view = self.view.get();
        Ok(&**view.ok_or_else(|| AppError::failed("internal", "a view that was opened is not there"))?)
    }

    /// Begins a layer.
    pub(crate) fn begin(&mut self) {
        self.layers.push(Layer::default());
    }

    /// Drops the topmost layer.
    pub(crate) fn roll_back(&mut self) {
        if self.layers.len() > 1 {
            self.layers.pop();
        }
    }

    /// Lets the topmost layer join the one below.
    pub(crate) fn accept(&mut self) {
        if self.layers.len() < 2 {
            return;
        }
        let Some(top) = self.layers.pop() else { return };
        let below = self.top();
        below.objects.extend(top.objects);
        below.elements.extend(top.elements);
        for (key, holders) in top.holders {
            below.holders.entry(key).or_default().extend(holders);
        }
        for (object, slots) in top.underlay {
            below.underlay.entry(object).or_default().extend(slots);
        }
        if !top.settled.is_empty() {
            let gone = &top.settled;
            below.touched.values_mut().for_each(|places| places.retain(|place| !gone.contains(place)));
            below.pending.retain(|place, _| !gone.contains(place));
        }
        for (object, places) in top.touched {
            below.touched.entry(object).or_default().extend(places);
        }
        below.pending.extend(top.pending);
        below.settled.extend(top.settled);
        below.writes.extend(top.writes);
    }

    fn top(&mut self) -> &mut Layer {
        if self.layers.is_empty() {
            self.layers.push(Layer::default());
        }
        let last = self.layers.len() - 1;
        &mut self.layers[last]
    }

    /// Something to write beside objects.
    pub(crate) fn write(&mut self, write: Write) {
        self.top().writes.push(write);
    }

    /// An object as it is seen now, without the elements of its sets; `None` where it never was.
    pub(crate) fn object(&mut self, id: ObjectId) -> Result<Option<&ObjectState>, AppError> {
        let depth = self.layers.len();
        self.object_below(id, depth)
    }

    /// An object as it was before the topmost layer.
    pub(crate) fn object_before(&mut self, id: ObjectId) -> Result<Option<&ObjectState>, AppError> {
        let depth = self.layers.len() - 1;
        self.object_below(id, depth)
    }

    fn object_below(&mut self, id: ObjectId, depth: usize) -> Result<Option<&ObjectState>, AppError> {
        let found = self.layers.iter().take(depth).rposition(|layer| layer.objects.contains_key(&id));
        if let Some(index) = found {
            return Ok(self.layers.get(index).and_then(|layer| layer.objects.get(&id)).and_then(Option::as_ref));
        }
        if !self.loaded.contains_key(&id) {
            let object = self.view()?.object(id)?;
            self.loaded.insert(id, object);
        }
        Ok(self.loaded.get(&id).and_then(Option::as_ref))
    }

    /// An object that is there and not deleted.
    pub(crate) fn alive(&mut self, id: ObjectId) -> Result<Option<&ObjectState>, AppError> {
        Ok(self.object(id)?.filter(|object| object.meta.life == Life::Alive))
    }

    /// What a slot holds now.
    pub(crate) fn slot(&mut self, object: ObjectId, slot: Slot) -> Result<Value, AppError> {
        let Some(element) = slot.element else {
            return Ok(self.object(object)?.map_or(Value::Null, |state| state.get(slot)));
        };
        let key = (slot.attribute, object, element);
        let held = self.layers.iter().rev().find_map(|layer| layer.elements.get(&key).copied());
        let present = match held {
            Some(present) => present,
            None => {
                self.looked_at.push(Seen::Set(slot.attribute, object).key());
                self.view()?.is_element(slot.attribute, object, element)?
            }
        };
        Ok(if present { Value::Bool(true) } else { Value::Null })
    }

    /// The elements of a set now.
    pub(crate) fn elements(&mut self, relation: AttributeId, owner: ObjectId) -> Result<Vec<ObjectId>, AppError> {
        self.looked_at.push(Seen::Set(relation, owner).key());
        let mut elements = self.view()?.elements(relation, owner)?;
        for layer in &self.layers {
            for ((_, _, element), present) in layer
                .elements
                .range((relation, owner, ObjectId::system(1))..)
                .take_while(|((r, o, _), _)| (*r, *o) == (relation, owner))
            {
                elements.retain(|found| found != element);
                if *present {
                    elements.push(*element);
                }
            }
        }
        elements.sort_unstable();
        Ok(elements)
    }

    /// Objects that hold a value in an indexed attribute now, are not deleted, and are of an entity or its
    /// sub-entities. More than 100,000 are refused, since none may be left out.
    pub(crate) fn holders(
        &mut self,
        entity: EntityId,
        attribute: AttributeId,
        value: &Value,
    ) -> Result<Vec<ObjectId>, AppError> {
        const ROWS: u32 = 100_000;
        self.looked_at.push(Seen::Holders(attribute, value).key());
        let mut found = self.view()?.find(entity, attribute, value, ROWS)?;
        if found.len() >= ROWS as usize {
            let message = format!("more than {ROWS} objects hold \"{value}\", too many for one save");
            return Err(AppError::refused("too-many-references", message));
        }
        let key = (attribute, value.clone());
        for layer in &self.layers {
            found.extend(layer.holders.get(&key).into_iter().flatten());
        }
        found.sort_unstable();
        found.dedup();
        let mut holders = Vec::with_capacity(found.len());
        for id in found {
            let holds = self.alive(id)?.is_some_and(|object| object.get(Slot::attribute(attribute)) == *value);
            if holds {
                holders.push(id);
            }
        }
        Ok(holders)
    }

    /// Lets a change happen. `stamp` and `version` become those of the object's last change.
    pub(crate) fn apply(&mut self, change: &Change, stamp: Stamp, version: Option<u64>) -> Result<(), AppError> {
        self.put(change.object, change.entity, change.slot, change.new.clone(), stamp)?;
        let top = self.top();
        if let Some(Some(object)) = top.objects.get_mut(&change.object) {
            object.meta.changed = stamp;
            object.meta.version = version;
        }
        Ok(())
    }

    /// Lets a slot hold a value, in the form that the schema has for it; where it has none, nothing happens. An object
    /// that is not there is made, with `stamp` as its making.
    pub(crate) fn put(
        &mut self,
        id: ObjectId,
        entity: EntityId,
        slot: Slot,
        value: Value,
        stamp: Stamp,
    ) -> Result<(), AppError> {
        // What an earlier schema knew has no place in the tables of this one.
        let Some(value) = older::value(self.schema, entity, slot, value) else { return Ok(()) };
        if let Some(element) = slot.element {
            self.top().elements.insert((slot.attribute, id, element), !value.is_null());
        } else if self.member(entity, slot.attribute).is_some_and(is_looked_up) && !value.is_null() {
            self.top().holders.entry((slot.attribute, value.clone())).or_default().push(id);
        }
        let comes_back = slot == Slot::LIFE && Life::of(&value) == Life::Alive;
        let object = self.own(id, entity, stamp)?;
        if slot.element.is_none() {
            object.set(slot, value);
        }
        if comes_back {
            self.list_as_holder(id);
        }
        Ok(())
    }

    /// An object that was deleted in the store is not found there by its values, so it is listed with all of them.
    fn list_as_holder(&mut self, id: ObjectId) {
        let schema = self.schema;
        let top = self.top();
        let Some(Some(object)) = top.objects.get(&id) else { return };
        let entity = schema.entity_by_id(object.entity);
        for (slot, value) in &object.slots {
            if entity.and_then(|entity| entity.member_by_id(slot.attribute)).is_some_and(is_looked_up) {
                top.holders.entry((slot.attribute, value.clone())).or_default().push(id);
            }
        }
    }

    /// Takes an element out of the set of an object that is not there.
    pub(crate) fn take_out(&mut self, owner: ObjectId, relation: AttributeId, element: ObjectId) {
        self.top().elements.insert((relation, owner, element), false);
    }

    /// Gives an object the bookkeeping that it had before the topmost layer, since its changes there undid each other.
    pub(crate) fn restore_meta(&mut self, id: ObjectId) -> Result<(), AppError> {
        let before = self.object_before(id)?.map(|object| object.meta);
        if let (Some(meta), Some(Some(object))) = (before, self.top().objects.get_mut(&id)) {
            object.meta = meta;
        }
        Ok(())
    }

    /// Sets an object's bookkeeping as a whole; an absent object is taken away.
    pub(crate) fn put_meta(&mut self, id: ObjectId, entity: EntityId, meta: ObjectMeta) -> Result<(), AppError> {
        let object = self.own(id, entity, meta.created)?;
        let comes_back = object.meta.life != Life::Alive && meta.life == Life::Alive;
        object.meta = meta;
        if meta.life == Life::Absent {
            // Whoever makes an object under this id begins with nothing.
            object.slots.clear();
        }
        if comes_back {
            self.list_as_holder(id);
        }
        Ok(())
    }

    /// The object in the topmost layer, to be changed.
    fn own(&mut self, id: ObjectId, entity: EntityId, stamp: Stamp) -> Result<&mut ObjectState, AppError> {
        let is_of = |state: &ObjectState| state.entity == entity || state.meta.life != Life::Absent;
        if !matches!(self.top().objects.get(&id), Some(Some(state)) if is_of(state)) {
            let state = self.object(id)?.filter(|state| is_of(state)).cloned().unwrap_or_else(|| ObjectState {
                id,
                entity,
                meta: ObjectMeta { created: stamp, changed: stamp, version: None, life: Life::Absent },
                slots: Vec::new(),
            });
            self.top().objects.insert(id, Some(state));
        }
        match self.top().objects.get_mut(&id) {
            Some(Some(state)) => Ok(state),
            _ => Err(AppError::failed("internal", format!("object {id} is not in the layer that was made for it"))),
        }
    }

    fn member(&self, entity: EntityId, attribute: AttributeId) -> Option<&'v Member> {
        self.schema.entity_by_id(entity).and_then(|found| found.member_by_id(attribute))
    }

    /// Whether the store holds pending transactions. At the head office it never does, and at a branch in step rarely,
    /// so that looking once spares looking for each object.
    fn has_stored_pending(&mut self) -> Result<bool, AppError> {
        if let Some(known) = self.stored_pending {
            return Ok(known);
        }
        let known = self.view()?.pending_ends()?.is_some();
        self.stored_pending = Some(known);
        Ok(known)
    }

    /// Places of the pending transactions that touch an object now, the lowest first.
    pub(crate) fn pending_of(&mut self, object: ObjectId) -> Result<Vec<i64>, AppError> {
        let mut places = if self.has_stored_pending()? { self.view()?.pending_of(object)? } else { Vec::new() };
        for layer in &self.layers {
            places.retain(|place| !layer.settled.contains(place));
            places.extend(layer.touched.get(&object).into_iter().flatten());
        }
        places.sort_unstable();
        places.dedup();
        Ok(places)
    }

    /// Adds a transaction that the head office has yet to decide on, at a place that is free.
    pub(crate) fn pend(&mut self, row: PendingRow) {
        self.top().pending.insert(row.place, row);
    }

    /// The transaction that is pending at a place, of this group or before.
    pub(crate) fn pending(&self, place: i64) -> Result<Option<PendingRow>, AppError> {
        for layer in self.layers.iter().rev() {
            if let Some(row) = layer.pending.get(&place) {
                return Ok(Some(row.clone()));
            }
            if layer.settled.contains(&place) {
                return Ok(None);
            }
        }
        Ok(self.view()?.pending(place)?)
    }

    /// All that is pending, with its places, the lowest first.
    pub(crate) fn pending_names(&self) -> Result<Vec<(i64, TransactionId)>, AppError> {
        const PAGE: (u32, usize) = (1_000, 4 << 20);
        let mut names: BTreeMap<i64, TransactionId> = BTreeMap::new();
        let mut after = i64::MIN;
        loop {
            let rows = self.view()?.pending_after(after, PAGE.0, PAGE.1)?;
            let Some(last) = rows.last() else { break };
            after = last.place;
            names.extend(rows.into_iter().map(|row| (row.place, row.transaction)));
        }
        for layer in &self.layers {
            names.retain(|place, _| !layer.settled.contains(place));
            names.extend(layer.pending.iter().map(|(place, row)| (*place, row.transaction)));
        }
        Ok(names.into_iter().collect())
    }

    /// The place at which a transaction is pending.
    pub(crate) fn pending_place(&mut self, transaction: TransactionId) -> Result<Option<i64>, AppError> {
        let stored = if self.has_stored_pending()? { self.view()?.pending_place(transaction)? } else { None };
        let of_group = self.layers.iter().rev().flat_map(|layer| layer.pending.values());
        let of_group = of_group.filter(|row| row.transaction == transaction).map(|row| row.place);
        let places: Vec<i64> = of_group.chain(stored).collect();
        for place in places {
            if self.pending(place)?.is_some_and(|row| row.transaction == transaction) {
                return Ok(Some(place));
            }
        }
        Ok(None)
    }

    /// Notes that a pending transaction touches an object.
    pub(crate) fn touch(&mut self, object: ObjectId, place: i64) {
        let top = self.top();
        let places = top.touched.entry(object).or_default();
        if places.last() != Some(&place) {
            places.push(place);
            top.writes.push(Write::Touch { object, place });
        }
    }

    /// Notes that the transaction at a place is pending no longer.
    pub(crate) fn settle(&mut self, place: i64) {
        let top = self.top();
        top.pending.remove(&place);
        top.touched.values_mut().for_each(|places| places.retain(|touching| *touching != place));
        top.settled.insert(place);
        top.writes.push(Write::Settled(place));
    }

    /// What lies under the pending changes of an object.
    pub(crate) fn underlay(&mut self, object: ObjectId) -> Result<BTreeMap<Slot, Vec<u8>>, AppError> {
        let mut under = BTreeMap::new();
        if self.has_stored_pending()? {
            under.extend(self.view()?.underlay(object)?);
        }
        for layer in &self.layers {
            for (slot, value) in layer.underlay.get(&object).into_iter().flatten() {
                match value {
                    Some(value) => under.insert(*slot, value.clone()),
                    None => under.remove(slot),
                };
            }
        }
        Ok(under)
    }

    /// Sets or forgets what lies under a pending change.
    pub(crate) fn set_underlay(&mut self, object: ObjectId, slot: Slot, value: Option<Vec<u8>>) {
        let top = self.top();
        top.writes.push(Write::Underlay { object, slot, value: value.clone() });
        top.underlay.entry(object).or_default().insert(slot, value);
    }

    /// Keys of all that was looked at in the store.
    pub(crate) fn reads(&self) -> impl Iterator<Item = Key> {
        let objects = self.loaded.keys().map(|id| Seen::Object(*id).key());
        objects.chain(self.looked_at.iter().copied())
    }

    /// Notes that all objects of some entities were looked at.
    pub(crate) fn looked_at_entities(&mut self, entities: impl Iterator<Item = EntityId>) {
        self.looked_at.extend(entities.map(|entity| Seen::Entity(entity).key()));
    }

    /// Tells the keys of all that the topmost layer changes.
    pub(crate) fn changed(&self, mut each: impl FnMut(Key)) {
        let Some((top, below)) = self.layers.split_last() else { return };
        for (id, now) in &top.objects {
            each(Seen::Object(*id).key());
            let before = below.iter().rev().find_map(|layer| layer.objects.get(id)).or_else(|| self.loaded.get(id));
            let before = before.and_then(Option::as_ref);
            let Some(entity) = now.as_ref().or(before).map(|state| state.entity) else { continue };
            each(Seen::Entity(entity).key());
            let members = self.schema.entity_by_id(entity).map_or(&[][..], |found| &found.members);
            for member in members.iter().filter(|member| is_looked_up(member)) {
                let held = |state: Option<&ObjectState>| {
                    state.filter(|state| state.meta.life == Life::Alive).map(|s| s.get(Slot::attribute(member.id)))
                };
                let (was, is) = (held(before), held(now.as_ref()));
                if was != is {
                    let values = [was, is].into_iter().flatten().filter(|value| !value.is_null());
                    values.for_each(|value| each(Seen::Holders(member.id, &value).key()));
                }
            }
        }
        for (relation, owner, _) in top.elements.keys() {
            each(Seen::Set(*relation, *owner).key());
        }
    }

    /// What was prepared here, to be taken over by another workspace; and the view, opened where nobody did.
    pub(crate) fn into_prepared(mut self) -> Result<(PreparedLayer, Box<dyn View>), AppError> {
        while self.layers.len() > 1 {
            self.accept();
        }
        let reads = self.reads().collect();
        let layer = self.layers.pop().unwrap_or_default();
        let mut loaded = self.loaded;
        loaded.retain(|id, _| layer.objects.contains_key(id));
        let view = match self.view.into_inner() {
            Some(view) => view,
            None => self.store.view()?,
        };
        Ok((PreparedLayer { layer, loaded, reads }, view))
    }

    /// Takes over what was prepared elsewhere, into the topmost layer. Nothing that it looked at may have moved. The
    /// objects that `changes` are about get their version now.
    pub(crate) fn take_over(&mut self, prepared: PreparedLayer, changes: &[Change], version: Option<u64>) {
        let PreparedLayer { mut layer, loaded, .. } = prepared;
        for (id, state) in loaded {
            self.loaded.entry(id).or_insert(state);
        }
        for change in changes {
            if let Some(Some(object)) = layer.objects.get_mut(&change.object) {
                object.meta.version = version;
            }
        }
        self.layers.push(layer);
        self.accept();
    }

    /// What is to be written, all layers being one.
    pub(crate) fn into_batch(mut self) -> Batch {
        while self.layers.len() > 1 {
            self.accept();
        }
        let group = self.layers.pop().unwrap_or_default();
        let mut batch = group.writes;
        batch.extend(group.pending.into_values().map(Write::Pending));
        for (id, now) in group.objects {
            let before = self.loaded.remove(&id).flatten();
            batch.extend(object_write(id, before, now.filter(|state| state.meta.life != Life::Absent)));
        }
        let elements = group.elements.into_iter();
        batch.extend(elements.map(|((relation, owner, element), present)| Write::Element {
            relation,
            owner,
            element,
            present,
        }));
        batch
    }
}

/// Whether objects are looked up by this attribute while a transaction is checked.
const fn is_looked_up(member: &Member) -> bool {
    // Ranges of one name are looked up to see that they don't overlap.
    member.unique || matches!(member.kind, Kind::ToOne { .. }) || member.id.0 == crate::numbers::NAME.0
}

fn object_write(id: ObjectId, before: Option<ObjectState>, now: Option<ObjectState>) -> Vec<Write> {
    match (before, now) {
        (None, None) => Vec::new(),
        (None, Some(now)) => vec![Write::Insert(Box::new(now))],
        (Some(before), None) => vec![Write::Remove { object: id, entity: before.entity }],
        // Another object got the id, since the one that was made here was given another.
        (Some(before), Some(now)) if before.entity != now.entity => {
            vec![Write::Remove { object: id, entity: before.entity }, Write::Insert(Box::new(now))]
        }
        (Some(before), Some(now)) => {
            let columns = changed_columns(&before, &now);
            if columns.is_empty() && before.meta == now.meta {
                return Vec::new();
            }
            vec![Write::Update { object: id, entity: now.entity, meta: now.meta, columns }]
        }
    }
}

fn changed_columns(before: &ObjectState, now: &ObjectState) -> Vec<(AttributeId, Value)> {
    let gone = before.slots.iter().filter(|(slot, _)| now.get(*slot).is_null()).map(|(slot, _)| (*slot, Value::Null));
    let set = now.slots.iter().filter(|(slot, value)| before.get(*slot) != *value).cloned();
    let mut columns: Vec<_> = gone.chain(set).map(|(slot, value)| (slot.attribute, value)).collect();
    columns.sort_unstable_by_key(|(attribute, _)| *attribute);
    columns
}
