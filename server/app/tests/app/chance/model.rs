//! What a node must show, worked out anew from its log and its pending transactions, as plainly as it can be said: one
//! change after the other, nothing kept that could be stale. It shares only the reading of bytes with the product.

use std::collections::{BTreeMap, BTreeSet};

use mytism_core::change::{Change, Life, ObjectMeta, Outcome, Slot, Stamp};
use mytism_core::id::{AttributeId, EntityId, Hash, NodeId, ObjectId, TransactionId, system};
use mytism_core::value::Value;
use mytism_format::object::{ObjectState, read_meta};
use mytism_format::value::read_value;
use mytism_format::{entry, transaction};
use mytism_store::{LogRow, View};

/// Where a branch keeps the bookkeeping that lies under pending changes.
const META: Slot = Slot::attribute(AttributeId(2));

/// An object as the model has it.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Thing {
    pub(super) entity: EntityId,
    pub(super) meta: ObjectMeta,
    pub(super) slots: BTreeMap<Slot, Value>,
}

impl Thing {
    fn new(entity: EntityId, stamp: Stamp) -> Self {
        let meta = ObjectMeta { created: stamp, changed: stamp, version: None, life: Life::Absent };
        Self { entity, meta, slots: BTreeMap::new() }
    }

    pub(super) fn get(&self, slot: Slot) -> Value {
        if slot == Slot::LIFE { self.meta.life.value() } else { self.slots.get(&slot).cloned().unwrap_or_default() }
    }

    fn set(&mut self, change: &Change, stamp: Stamp, version: Option<u64>) {
        if change.slot == Slot::LIFE {
            self.meta.life = Life::of(&change.new);
        } else if change.new.is_null() {
            self.slots.remove(&change.slot);
        } else {
            self.slots.insert(change.slot, change.new.clone());
        }
        (self.meta.changed, self.meta.version) = (stamp, version);
    }
}

pub(super) type Things = BTreeMap<ObjectId, Thing>;

fn happen(things: &mut Things, change: &Change, stamp: Stamp, version: Option<u64>) {
    things.entry(change.object).or_insert_with(|| Thing::new(change.entity, stamp)).set(change, stamp, version);
}

/// One entry of the log with what it did.
pub(super) struct Step {
    pub(super) number: u64,
    pub(super) id: TransactionId,
    /// The last entry that its author saw and that is history.
    pub(super) base: u64,
    /// Whether he saw later ones in a former reign, which are none.
    pub(super) saw_more: bool,
    pub(super) head: NodeId,
    pub(super) changes: Vec<Change>,
    pub(super) outcome: Outcome,
    pub(super) description: String,
    /// What happened, with what stood there before.
    pub(super) effects: Vec<(Change, Value)>,
}

/// The authoritative state at one node as far as it knows the log.
#[derive(Default)]
pub(super) struct Model {
    pub(super) things: Things,
    pub(super) steps: Vec<Step>,
    /// Every object that any transaction ever named.
    pub(super) named: BTreeSet<ObjectId>,
    last: Hash,
    hashes: BTreeMap<u64, Hash>,
    epochs: Vec<u32>,
}

impl Model {
    /// Takes in what the log gained.
    pub(super) fn follow(&mut self, view: &dyn View) {
        let end = view.head().unwrap().unwrap();
        let is_known = self.hashes.get(&end.position.number).is_none_or(|hash| *hash == end.hash);
        if end.position.number < self.steps.len() as u64 || !is_known {
            // It was taken back, so all is worked out anew.
            let named = std::mem::take(&mut self.named);
            *self = Self { named, ..Self::default() };
        }
        let known = self.steps.len() as u64;
        for row in view.log_after(known, u32::MAX, usize::MAX).unwrap() {
            self.take(row);
        }
    }

    fn take(&mut self, row: LogRow) {
        let number = row.position.number;
        assert_eq!(number, self.steps.len() as u64 + 1, "the log has no gaps");
        let read = entry::read(row.entry).unwrap();
        assert_eq!((read.hash, read.entry.previous), (row.hash, self.last), "the chain at {number}");
        self.last = row.hash;
        self.hashes.insert(number, row.hash);
        let (entry, stored) = (read.entry, transaction::read(row.bytes).unwrap());
        assert_eq!((entry.transaction_hash, entry.transaction), (stored.hash, stored.transaction.id), "at {number}");
        let (author, office) = (
            stored.transaction.stamp(),
            Stamp { time: entry.committed_at, user: system::USER_SYSTEM, node: entry.head },
        );
        let mut happened: Vec<(Change, Stamp)> = Vec::new();
        if let Outcome::Accepted { overrides, extra } = &entry.outcome {
            for (index, change) in stored.transaction.changes.iter().enumerate() {
                match overrides.iter().find(|found| found.index as usize == index) {
                    None => happened.push((change.clone(), author)),
                    Some(found) => happened.extend(found.new.clone().map(|new| {
                        let old = found.old.clone();
                        (Change { old, new, ..change.clone() }, author)
                    })),
                }
            }
            happened.extend(extra.iter().map(|change| (change.clone(), office)));
        }
        let mut effects = Vec::new();
        for (change, stamp) in happened {
            let before = self.things.get(&change.object).map_or(Value::Null, |thing| thing.get(change.slot));
            happen(&mut self.things, &change, stamp, Some(number));
            effects.push((change, before));
        }
        let tx = stored.transaction;
        self.epochs.push(entry.position.epoch);
        // What a log of a former reign said behind its end here is no history.
        let later = self.epochs.iter().position(|epoch| *epoch > tx.base.epoch).map_or(u64::MAX, |index| index as u64);
        self.named.extend(tx.changes.iter().map(|change| change.object));
        self.named.extend(effects.iter().map(|(change, _)| change.object));
        self.steps.push(Step {
            number,
            id: tx.id,
            base: tx.base.number.min(later),
            saw_more: tx.base.number > later,
            head: entry.head,
            changes: tx.changes,
            outcome: entry.outcome,
            description: tx.description,
            effects,
        });
    }

    /// Holds a node against the law: what it shows is the authoritative state with its pending transactions on top,
    /// and beneath each pending change it keeps what the log says.
    pub(super) fn check(&mut self, view: &dyn View, what: &str) {
        self.follow(view);
        let mut seen = self.things.clone();
        let mut on_top: BTreeMap<ObjectId, BTreeSet<Slot>> = BTreeMap::new();
        for row in view.pending_after(i64::MIN, u32::MAX, usize::MAX).unwrap() {
            let tx = transaction::read(row.bytes).unwrap().transaction;
            for change in &tx.changes {
                happen(&mut seen, change, tx.stamp(), None);
                let slots = on_top.entry(change.object).or_default();
                slots.insert(META);
                if change.slot != Slot::LIFE {
                    slots.insert(change.slot);
                }
            }
        }
        self.named.extend(on_top.keys());
        compare(&seen, view, what);
        for object in &self.named {
            let slots = on_top.remove(object).unwrap_or_default();
            self.check_under(*object, &slots, view, what);
            if seen.get(object).is_none_or(|thing| thing.meta.life == Life::Absent) {
                assert!(view.object(*object).unwrap().is_none(), "{what}: {object:?} is there");
            }
        }
    }

    fn check_under(&self, object: ObjectId, slots: &BTreeSet<Slot>, view: &dyn View, what: &str) {
        let thing = self.things.get(&object);
        let under = view.underlay(object).unwrap();
        assert_eq!(&under.iter().map(|(slot, _)| *slot).collect::<BTreeSet<_>>(), slots, "{what}: under {object:?}");
        for (slot, bytes) in under {
            if slot == META {
                let kept = if bytes.is_empty() { None } else { Some(read_meta(&bytes).unwrap()) };
                assert_eq!(kept, thing.map(|thing| thing.meta), "{what}: bookkeeping under {object:?}");
            } else {
                let expected = thing.map_or(Value::Null, |thing| thing.get(slot));
                assert_eq!(read_value(&bytes).unwrap(), expected, "{what}: under {object:?} {slot:?}");
            }
        }
    }

    /// What the history index must say: each object with the entries that changed it.
    pub(super) fn check_history(&self, view: &dyn View, what: &str) {
        let mut history: BTreeMap<ObjectId, Vec<u64>> = BTreeMap::new();
        for step in &self.steps {
            let objects: BTreeSet<_> = step.effects.iter().map(|(change, _)| change.object).collect();
            objects.into_iter().for_each(|object| history.entry(object).or_default().push(step.number));
        }
        for object in &self.named {
            let expected = history.remove(object).unwrap_or_default();
            assert_eq!(view.history_after(*object, 0).unwrap(), expected, "{what}: history of {object:?}");
            assert!(view.pending_of(*object).unwrap().is_empty(), "{what}: pending changes of {object:?}");
        }
    }
}

fn compare(seen: &Things, view: &dyn View, what: &str) {
    let shown: BTreeMap<ObjectId, ObjectState> =
        view.objects_after(0, u32::MAX).unwrap().into_iter().map(|state| (state.id, state)).collect();
    for (id, thing) in seen.iter().filter(|(_, thing)| thing.meta.life != Life::Absent) {
        let state = shown.get(id).unwrap_or_else(|| panic!("{what}: {id:?} is missing; expected {thing:?}"));
        let slots: BTreeMap<Slot, Value> = state.slots.iter().cloned().collect();
        let state = Thing { entity: state.entity, meta: state.meta, slots };
        assert_eq!(&state, thing, "{what}: {id:?} is shown as on the left");
    }
    for (id, state) in &shown {
        let there = seen.get(id).is_some_and(|thing| thing.meta.life != Life::Absent);
        assert!(there, "{what}: {id:?} is shown and should not be there: {state:?}");
    }
}
