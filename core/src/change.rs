//! One change of one slot of one object: the unit that is logged, replicated, merged and undone.
//!
//! A **slot** is the smallest thing that two people can disagree about: an attribute's value, one element's membership
//! in a set, or whether the object is there at all. Since sets are logged element by element, they merge without a
//! rule of their own.

use crate::id::{AttributeId, EntityId, Hash, NodeId, ObjectId, Position, TransactionId};
use crate::schema::SchemaDef;
use crate::time::Timestamp;
use crate::value::Value;

/// Whether the object is there; a slot that every object has. See [`Life`].
pub const LIFE: AttributeId = AttributeId(1);

/// A place in an object that holds one value.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Slot {
    /// The attribute, the many-to-many relation, or [`LIFE`].
    pub attribute: AttributeId,
    /// For a relation: the element. It is a member where the value is `true`, and not where it is nothing.
    pub element: Option<ObjectId>,
}

impl Slot {
    /// The slot of an attribute.
    #[must_use]
    pub const fn attribute(attribute: AttributeId) -> Self {
        Self { attribute, element: None }
    }

    /// The slot of an element in a set.
    #[must_use]
    pub const fn element(relation: AttributeId, element: ObjectId) -> Self {
        Self { attribute: relation, element: Some(element) }
    }

    /// The slot that says whether the object is there.
    pub const LIFE: Self = Self::attribute(LIFE);
}

/// Whether an object is there. Objects are never erased, only marked deleted; only an object whose making was refused
/// or rolled back is absent again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Life {
    /// Never made, or its making was taken back.
    Absent,
    /// There.
    Alive,
    /// Marked deleted; can come back.
    Deleted,
}

impl Life {
    /// As the value of the slot [`LIFE`].
    #[must_use]
    pub const fn value(self) -> Value {
        match self {
            Self::Absent => Value::Null,
            Self::Alive => Value::Integer(1),
            Self::Deleted => Value::Integer(2),
        }
    }

    /// From the value of the slot [`LIFE`]; anything unknown counts as absent.
    #[must_use]
    pub const fn of(value: &Value) -> Self {
        match value {
            Value::Integer(1) => Self::Alive,
            Value::Integer(2) => Self::Deleted,
            _ => Self::Absent,
        }
    }
}

/// One change: what its author saw, and what it became.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// The object.
    pub object: ObjectId,
    /// Its concrete entity, so that a change can be judged without the object.
    pub entity: EntityId,
    /// Where in the object.
    pub slot: Slot,
    /// The value that its author saw.
    pub old: Value,
    /// The value that its author set.
    pub new: Value,
}

impl Change {
    /// Whether it makes its object: nothing was there before.
    #[must_use]
    pub fn is_making(&self) -> bool {
        self.slot == Slot::LIFE && self.old.is_null()
    }
}

/// A transaction: one save, as made at its origin and never altered afterwards.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Transaction {
    /// Its name.
    pub id: TransactionId,
    /// How far its author's node knew the authoritative log.
    pub base: Position,
    /// Who saved.
    pub author: ObjectId,
    /// The clock of the node where it was made.
    pub time: Timestamp,
    /// How far that clock was ahead of the head office's, in microseconds, as last measured.
    pub clock_offset_micros: Option<i64>,
    /// What the author said about it.
    pub description: String,
    /// The import or other run that it is part of.
    pub run: Option<TransactionId>,
    /// The schema that holds from here on, where the transaction changes it.
    pub schema: Option<SchemaDef>,
    /// In the order in which they apply; the making of an object comes before its values.
    pub changes: Vec<Change>,
}

/// A place in the authoritative log: which transaction, and what the head office made of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// The place.
    pub position: Position,
    /// Hash of the entry before; zero in front of the first.
    pub previous: Hash,
    /// The head office that wrote the entry.
    pub head: NodeId,
    /// The transaction.
    pub transaction: TransactionId,
    /// Its hash.
    pub transaction_hash: Hash,
    /// When the head office wrote the entry; never runs backwards along the log.
    pub committed_at: Timestamp,
    /// What became of the transaction.
    pub outcome: Outcome,
}

/// What the head office made of a transaction.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It applies, but for what stands here.
    Accepted {
        /// Changes that apply otherwise than their author made them; in the order of their indexes.
        overrides: Vec<Override>,
        /// Changes that the head office adds: records of conflicts, objects that come back.
        extra: Vec<Change>,
    },
    /// Nothing of it applies.
    Refused {
        /// A code as in [`crate::failure::Failure`].
        code: String,
        /// Why, in words.
        reason: String,
    },
}

impl Outcome {
    /// The outcome of a transaction that applies as its author made it.
    pub const PLAIN: Self = Self::Accepted { overrides: Vec::new(), extra: Vec::new() };
}

/// One change of a transaction that the head office took otherwise than its author made it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Override {
    /// Index among the changes of the transaction.
    pub index: u32,
    /// What stood there at the head office.
    pub old: Value,
    /// What stands there now; `None` where the change was left out.
    pub new: Option<Value>,
}

/// The changes that really happened, in order: those of the transaction with the overrides in their places, then those
/// that the head office added. Nothing for a refused transaction.
#[must_use]
pub fn effective(changes: &[Change], outcome: &Outcome) -> Vec<Change> {
    let Outcome::Accepted { overrides, extra } = outcome else { return Vec::new() };
    let mut overrides = overrides.iter().peekable();
    let mut result = Vec::with_capacity(changes.len() + extra.len());
    for (index, change) in changes.iter().enumerate() {
        match overrides.next_if(|found| found.index as usize == index) {
            None => result.push(change.clone()),
            Some(Override { old, new: Some(new), .. }) => {
                result.push(Change { old: old.clone(), new: new.clone(), ..change.clone() });
            }
            Some(Override { new: None, .. }) => {}
        }
    }
    result.extend_from_slice(extra);
    result
}

/// Who touched an object, when and where.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stamp {
    /// By the clock of the node where it was saved.
    pub time: Timestamp,
    /// The author.
    pub user: ObjectId,
    /// The node.
    pub node: NodeId,
}

impl Transaction {
    /// Who made its changes, when and where.
    #[must_use]
    pub const fn stamp(&self) -> Stamp {
        Stamp { time: self.time, user: self.author, node: self.id.node }
    }
}

impl Entry {
    /// Who made the changes that the head office added, when and where.
    #[must_use]
    pub const fn stamp(&self) -> Stamp {
        Stamp { time: self.committed_at, user: crate::id::system::USER_SYSTEM, node: self.head }
    }
}

/// What is known of an object beside its values.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ObjectMeta {
    /// Its making.
    pub created: Stamp,
    /// Its last change.
    pub changed: Stamp,
    /// The number of the position of its last change; `None` while that change is pending.
    pub version: Option<u64>,
    /// Whether it is there.
    pub life: Life,
}
