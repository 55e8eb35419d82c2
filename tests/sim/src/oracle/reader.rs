//! Somebody who knows a node by its journal alone: what he was shown first, and row by row what became visible since.

use std::collections::BTreeMap;

use mytism_app::{App, Visible};
use mytism_core::change::{Life, Slot};
use mytism_core::id::{EntityId, ObjectId};
use mytism_core::journal::Cause;
use mytism_core::value::Value;
use mytism_store::View;

/// An object as somebody sees it.
#[derive(Clone, PartialEq, Debug)]
pub struct Sight {
    /// Its concrete entity.
    pub entity: EntityId,
    /// What it holds; whether it is there is a slot as well.
    pub slots: BTreeMap<Slot, Value>,
}

impl Sight {
    /// Whether it is there and not deleted.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.slots.get(&Slot::LIFE).is_some_and(|life| Life::of(life) == Life::Alive)
    }
}

/// See the module.
#[derive(Default)]
pub struct Reader {
    /// What he knows.
    pub shown: BTreeMap<ObjectId, Sight>,
    sequence: u64,
    /// The last entry of the log that a row was about.
    position: u64,
}

impl Reader {
    /// Who looks at a node for the first time.
    ///
    /// # Panics
    /// When it cannot be read.
    #[must_use]
    pub fn of(app: &App) -> Self {
        let view = app.view().unwrap();
        let position = view.head().unwrap().map_or(0, |head| head.position.number);
        Self { shown: shown(&*view), sequence: view.journal_bounds().unwrap().1, position }
    }

    /// Reads on; gives back the rows.
    ///
    /// # Panics
    /// When a row does not follow from what was shown before.
    pub fn follow(&mut self, app: &App) -> Vec<Visible> {
        let mut all = Vec::new();
        loop {
            let rows = app.visible_after(self.sequence, 200).unwrap();
            if rows.is_empty() {
                return all;
            }
            rows.iter().for_each(|row| self.take(row, app));
            all.extend(rows);
        }
    }

    /// Holds what he knows against what the node shows.
    ///
    /// # Panics
    /// When the two differ.
    pub fn check(&self, app: &App) {
        let (view, name) = (app.view().unwrap(), app.identity().name);
        assert_eq!(view.journal_bounds().unwrap().1, self.sequence, "journal: the end at {name}");
        let position = view.head().unwrap().map_or(0, |head| head.position.number);
        assert_eq!(position, self.position, "journal: each entry has its row at {name}");
        let now = shown(&*view);
        for object in now.keys().chain(self.shown.keys()) {
            let (told, shown) = (self.shown.get(object), now.get(object));
            assert_eq!(told, shown, "journal: {object:?} as told and as shown at {name}");
        }
    }

    fn take(&mut self, row: &Visible, app: &App) {
        let identity = app.identity();
        let (name, own) = (&identity.name, row.transaction.node == identity.node);
        assert_eq!(row.sequence, self.sequence + 1, "journal: a gap at {name}");
        self.sequence = row.sequence;
        if row.cause == Cause::RolledBack {
            // Where only what was pending is taken off, the log stays as it is.
            let first = row.position.unwrap_or(self.position + 1);
            assert!(first <= self.position + 1, "journal: {name} took back what was not there: {row:?}");
            self.position = first - 1;
        } else if let Some(position) = row.position {
            assert_eq!(position, self.position + 1, "journal: entries in their order, each once, at {name}: {row:?}");
            self.position = position;
        }
        if row.cause == Cause::Saved {
            assert!(own, "journal: a save of another node at {name}: {row:?}");
        }
        for change in &row.changes {
            let of = || Sight { entity: change.entity, slots: BTreeMap::new() };
            let slots = &mut self.shown.entry(change.object).or_insert_with(of).slots;
            let old = slots.get(&change.slot).cloned().unwrap_or_default();
            assert_eq!(old, change.old, "journal: what was seen before at {name}: {change:?} {row:?}");
            if change.new.is_null() {
                slots.remove(&change.slot);
            } else {
                slots.insert(change.slot, change.new.clone());
            }
        }
        self.shown.retain(|_, sight| !sight.slots.is_empty());
    }
}

/// All that a node shows.
fn shown(view: &dyn View) -> BTreeMap<ObjectId, Sight> {
    let objects = view.objects_after(0, u32::MAX).unwrap().into_iter();
    objects
        .map(|state| {
            let life = (Slot::LIFE, state.meta.life.value());
            (state.id, Sight { entity: state.entity, slots: state.slots.into_iter().chain([life]).collect() })
        })
        .collect()
}
