//! Somebody who knows a node by its journal alone: what he was shown first, and row by row what became visible since.

use std::collections::BTreeMap;

use mytism_app::Context;
use mytism_app::follower::Start;
use mytism_core::change::{Life, Slot};
use mytism_core::id::ObjectId;
use mytism_core::journal::Cause;
use mytism_core::operation::SaveRequest;
use mytism_core::value::Value;
use mytism_store::View;

use super::place::Place;
use super::saves;
use mytism_disk_under_test::Dice;

type Shown = BTreeMap<ObjectId, BTreeMap<Slot, Value>>;

/// See the module.
#[derive(Default)]
pub(super) struct Reader {
    shown: Shown,
    /// The last row that was read.
    sequence: u64,
    /// The last entry of the log that a row was about, and the last own save of each life.
    position: u64,
    counters: BTreeMap<u32, u64>,
    /// How far a named follower at the same node is.
    follower: u64,
}

impl Reader {
    /// Of a branch that has just joined; a head office is known from the beginning.
    pub(super) fn of(place: &Place) -> Self {
        let view = place.app().view().unwrap();
        assert_eq!(view.journal_bounds().unwrap(), (0, 0));
        let position = view.head().unwrap().unwrap().position.number;
        Self { shown: shown(&*view), position, ..Self::default() }
    }

    /// Of a node on another database than the one that he knows.
    pub(super) fn anew(place: &Place) -> Self {
        let view = place.app().view().unwrap();
        let position = view.head().unwrap().unwrap().position.number;
        let life = place.app().identity().incarnation;
        let counters = BTreeMap::from([(life, view.last_counter(place.node(), life).unwrap())]);
        let sequence = view.journal_bounds().unwrap().1;
        let follower = place.app().follow("chance", Start::Beginning).unwrap().cursor();
        Self { shown: shown(&*view), sequence, position, counters, follower }
    }

    /// Reads on, and holds what he knows against what the node shows.
    pub(super) fn check(&mut self, place: &Place, dice: &mut Dice) {
        let name = &place.app().identity().name;
        loop {
            let rows = place.app().visible_after(self.sequence, rows(dice, 40)).unwrap();
            if rows.is_empty() {
                break;
            }
            rows.iter().for_each(|row| self.take(row, place));
        }
        let view = place.app().view().unwrap();
        assert_eq!(view.journal_bounds().unwrap().1, self.sequence, "{name}");
        assert_eq!(view.head().unwrap().unwrap().position.number, self.position, "{name}: each entry has its row");
        let life = place.app().identity().incarnation;
        let counter = self.counters.get(&life).copied().unwrap_or(0);
        assert_eq!(view.last_counter(place.node(), life).unwrap(), counter, "{name}: each save has its row");
        let now = shown(&*view);
        for object in now.keys().chain(self.shown.keys()) {
            assert_eq!(self.shown.get(object), now.get(object), "{name}: {object:?} as told and as shown");
        }
    }

    fn take(&mut self, row: &mytism_app::Visible, place: &Place) {
        let (name, own) = (&place.app().identity().name, row.transaction.node == place.node());
        assert_eq!(row.sequence, self.sequence + 1, "{name}: no gap");
        self.sequence = row.sequence;
        match row.position {
            Some(first) if row.cause == Cause::RolledBack => {
                assert!((1..=self.position).contains(&first), "{name}: nothing is taken back that was not there");
                self.position = first - 1;
            }
            Some(position) => {
                assert_eq!(position, self.position + 1, "{name}: entries in their order, each once");
                self.position = position;
            }
            None => {}
        }
        if row.cause == Cause::Saved {
            let counter = self.counters.entry(row.transaction.incarnation).or_default();
            assert_eq!(row.transaction.counter, *counter + 1, "{name}: own saves in their order, each once");
            *counter = row.transaction.counter;
            assert_eq!(row.position.is_some(), place.app().identity().authoritative, "{name}: {row:?}");
        }
        assert!(own || row.cause != Cause::Saved && row.cause != Cause::Accepted, "{name}: {row:?}");
        assert!(!own || row.cause != Cause::Applied, "{name}: {row:?}");
        for change in &row.changes {
            assert_ne!(change.old, change.new, "{name}: {row:?}");
            let slots = self.shown.entry(change.object).or_default();
            assert_eq!(slots.get(&change.slot).cloned().unwrap_or_default(), change.old, "{name}: {change:?} {row:?}");
            if change.new.is_null() {
                slots.remove(&change.slot);
            } else {
                slots.insert(change.slot, change.new.clone());
            }
        }
        self.shown.retain(|_, slots| !slots.is_empty());
        let whole = |slots: &BTreeMap<Slot, Value>| slots.contains_key(&Slot::LIFE);
        assert!(self.shown.values().all(whole), "{name}: what is gone is gone as a whole, {row:?}");
    }

    /// Lets the named follower take a step, and perhaps save something with it.
    pub(super) fn follow(&mut self, place: &Place, dice: &mut Dice) -> Option<saves::Told> {
        let mut follower = place.app().follow("chance", Start::Beginning).unwrap();
        assert_eq!(follower.cursor(), self.follower, "the cursor is as durable as a save");
        let rows = follower.step(rows(dice, 25)).unwrap();
        let sequences: Vec<u64> = rows.iter().map(|row| row.sequence).collect();
        let expected: Vec<u64> = (self.follower + 1..).take(sequences.len()).collect();
        assert_eq!(sequences, expected, "each row once, in order");
        let to = *sequences.last()?;
        // Who stops here sees the same rows again.
        match dice.below(100) {
            0..20 => None,
            20..60 => {
                follower.advance(to).unwrap();
                self.follower = to;
                None
            }
            _ => {
                let request: SaveRequest = saves::draft(place.app(), dice);
                let words = request.description.clone();
                let saved = follower.save(to, &Context::local(), request);
                self.follower = if saved.is_ok() { to } else { self.follower };
                saved.ok().and_then(|saved| saved.transaction).map(|id| saves::Told { id, words })
            }
        }
    }
}

/// All that a node shows.
fn shown(view: &dyn View) -> Shown {
    let objects = view.objects_after(0, u32::MAX).unwrap().into_iter();
    objects
        .map(|state| {
            assert_ne!(state.meta.life, Life::Absent);
            let life = (Slot::LIFE, state.meta.life.value());
            (state.id, state.slots.into_iter().chain([life]).collect())
        })
        .collect()
}

/// So many rows, from 1 up.
fn rows(dice: &mut Dice, end: usize) -> u32 {
    u32::try_from(1 + dice.below(end)).unwrap()
}
