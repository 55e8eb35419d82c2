//! What a preparation relied on, and what has moved since: how saves that are prepared side by side come out as if
//! they had been made one after another.
//!
//! Whoever prepares beside the commit lane notes a key for all that it looked at: an object, the elements of a set, who
//! holds a value, the objects of an entity. The lane notes the same keys for all that its groups change, with the
//! number of the group. A preparation holds as long as none of its keys was changed after the group that its view
//! shows. This is optimistic concurrency control with backward validation (Kung and Robinson, 1981).
//!
//! A key is a hash. Where two things share one, a save is prepared again without need; it never passes by mistake.
//! Nothing here knows what an object is.

use std::collections::hash_map::DefaultHasher;
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hash, Hasher};

use mytism_core::id::{AttributeId, EntityId, ObjectId};
use mytism_core::value::Value;

/// Something that can be looked at and changed.
#[derive(Clone, Copy, Hash, Debug)]
pub(crate) enum Seen<'a> {
    /// An object: its values, its bookkeeping, whether it is there.
    Object(ObjectId),
    /// The elements of a set.
    Set(AttributeId, ObjectId),
    /// Which objects hold a value in an indexed attribute.
    Holders(AttributeId, &'a Value),
    /// All objects of a concrete entity.
    Entity(EntityId),
}

impl Seen<'_> {
    pub(crate) fn key(self) -> Key {
        // The keys of this hasher are fixed, so that the same thing has the same key in every thread.
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        Key(hasher.finish())
    }
}

/// What stands for something that was looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Key(u64);

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0);
    }
}

/// A key is a hash already.
#[derive(Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}

/// What the last groups changed. It remembers so many changes, and holds whatever lies further back for changed.
pub(crate) struct Moved {
    last: HashMap<Key, u64, BuildHasherDefault<AsItIs>>,
    order: VecDeque<(u64, Key)>,
    /// Groups up to this one are not remembered as a whole.
    forgotten: u64,
    kept: usize,
}

impl Moved {
    /// Changes that are remembered: those of some seconds under load, in about 3 MiB.
    const KEPT: usize = 1 << 16;

    pub(crate) fn new() -> Self {
        Self::keeping(Self::KEPT)
    }

    fn keeping(kept: usize) -> Self {
        Self { last: HashMap::default(), order: VecDeque::new(), forgotten: 0, kept }
    }

    /// A group changed something. Groups come in the order of their numbers.
    pub(crate) fn note(&mut self, group: u64, key: Key) {
        if self.last.insert(key, group) == Some(group) {
            return;
        }
        self.order.push_back((group, key));
        while self.order.len() > self.kept {
            let Some((group, key)) = self.order.pop_front() else { break };
            self.forgotten = self.forgotten.max(group);
            if self.last.get(&key) == Some(&group) {
                self.last.remove(&key);
            }
        }
    }

    /// What the group `group` changed, where that is remembered as a whole. It must be the last one.
    pub(crate) fn changed_by(&self, group: u64) -> Option<impl Iterator<Item = Key>> {
        let last = self.order.iter().rev().take_while(move |(number, _)| *number == group);
        if group <= self.forgotten { None } else { Some(last.map(|(_, key)| *key)) }
    }

    /// Whether any of the keys was changed by a group after `group`, as far as is remembered; what is not counts as
    /// changed.
    pub(crate) fn any_since(&self, group: u64, mut keys: impl Iterator<Item = Key>) -> bool {
        group < self.forgotten || keys.any(|key| self.last.get(&key).is_some_and(|last| *last > group))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(numbers: &[u64]) -> Vec<Key> {
        numbers.iter().map(|number| Key(*number)).collect()
    }

    #[test]
    fn what_changed_after_the_view_has_moved_and_nothing_else() {
        let mut moved = Moved::keeping(100);
        moved.note(1, Key(10));
        moved.note(2, Key(20));
        moved.note(3, Key(10));
        for (since, looked_at, expected) in [
            (0, &[10][..], true),
            (2, &[10], true),
            (3, &[10], false),
            (1, &[20], true),
            (2, &[20], false),
            (2, &[20, 10], true),
            (0, &[30], false),
            (0, &[], false),
        ] {
            let found = moved.any_since(since, keys(looked_at).into_iter());
            assert_eq!(found, expected, "{looked_at:?} since {since}");
        }
    }

    #[test]
    fn the_last_group_tells_what_it_changed() {
        let mut moved = Moved::keeping(3);
        let changed =
            |moved: &Moved, group| moved.changed_by(group).map(|keys| keys.map(|key| key.0).collect::<Vec<_>>());
        moved.note(1, Key(10));
        moved.note(2, Key(20));
        moved.note(2, Key(10));
        moved.note(2, Key(20));
        assert_eq!(changed(&moved, 2), Some(vec![10, 20]));
        assert_eq!(changed(&moved, 3), Some(vec![]));
        (0..4).for_each(|number| moved.note(3, Key(number)));
        assert_eq!(changed(&moved, 3), None, "more than is remembered");
    }

    #[test]
    fn what_is_forgotten_counts_as_moved() {
        let mut moved = Moved::keeping(3);
        for group in 1..=5 {
            moved.note(group, Key(group));
        }
        assert!(moved.any_since(1, keys(&[99]).into_iter()), "group 2 is forgotten");
        assert!(!moved.any_since(2, keys(&[99]).into_iter()));
        assert!(moved.any_since(2, keys(&[3]).into_iter()));
    }

    #[test]
    fn a_key_that_changes_often_is_remembered_with_its_last_change() {
        let mut moved = Moved::keeping(2);
        for group in 1..=9 {
            moved.note(group, Key(1));
        }
        assert!(moved.any_since(8, keys(&[1]).into_iter()));
        assert!(!moved.any_since(9, keys(&[1]).into_iter()));
    }

    #[test]
    fn different_things_have_different_keys() {
        let id = |number| ObjectId::new(number).unwrap();
        let (one, other) = (Value::from("a"), Value::from("b"));
        let seen = [
            Seen::Object(id(1)),
            Seen::Object(id(2)),
            Seen::Set(AttributeId(1), id(1)),
            Seen::Set(AttributeId(2), id(1)),
            Seen::Holders(AttributeId(1), &one),
            Seen::Holders(AttributeId(1), &other),
            Seen::Entity(EntityId(1)),
        ];
        let keys: std::collections::HashSet<_> = seen.iter().map(|seen| seen.key()).collect();
        assert_eq!(keys.len(), seen.len());
    }
}
