//! Entities, attributes and relations, in two forms: a [`SchemaDef`] as somebody wrote it, and a [`Schema`] that has
//! been checked and can be asked quickly. A `Schema` cannot be made any other way than from a definition without
//! problems, so whoever holds one need not check again.
//!
//! Names are labels of a schema version; what is stored and sent are the numeric ids.

mod bounds;
mod check;
mod difference;
mod fitting;

use std::collections::{BTreeMap, HashMap};

use crate::id::{AttributeId, EntityId, EnumId};
use crate::number::Pattern;
use crate::value::Value;

pub use bounds::{Bounds, TextPattern};
pub use check::{DefPath, SchemaProblem};
pub use difference::{Action, Check, Step, difference};

/// A schema as written: names refer to names, and nothing is checked yet.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SchemaDef {
    /// What the project calls it, `trade`.
    pub name: String,
    /// Which version of it, `1`.
    pub version: String,
    /// In the order of the files.
    pub entities: Vec<EntityDef>,
    /// The largest ids that were ever given, where those of what is there are smaller: what was dropped keeps its id.
    pub given: GivenIds,
}

/// Ids that are never given again; 0 for none.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct GivenIds {
    /// Of an entity.
    pub entity: u32,
    /// Of an attribute, a relation or a far side.
    pub member: u32,
}

impl SchemaDef {
    /// The largest id that an entity ever had.
    #[must_use]
    pub fn last_entity(&self) -> u32 {
        self.entities.iter().filter_map(|entity| entity.id).chain([self.given.entity]).max().unwrap_or(0)
    }

    /// The largest id that an attribute, a relation or a far side ever had.
    #[must_use]
    pub fn last_member(&self) -> u32 {
        self.member_ids().chain([self.given.member]).max().unwrap_or(0)
    }

    /// The ids of all attributes, relations and far sides.
    pub fn member_ids(&self) -> impl Iterator<Item = u32> {
        self.entities.iter().flat_map(|entity| &entity.members).flat_map(|member| {
            let far_side = match &member.kind {
                KindDef::ManyToMany { inverse_id, .. } => *inverse_id,
                _ => None,
            };
            [member.id, far_side].into_iter().flatten()
        })
    }
}

/// An entity as written.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct EntityDef {
    /// Numeric id; `None` until the head office gives one.
    pub id: Option<u32>,
    /// Unique among entities, case-sensitive.
    pub name: String,
    /// The entity that this one inherits from.
    pub extends: Option<String>,
    /// Whether only sub-entities have objects.
    pub is_abstract: bool,
    /// For screens; the name serves where it is missing.
    pub label: Option<String>,
    /// The attribute by which imports and references find an object.
    pub key: Option<String>,
    /// The attribute that stands for an object in lists; the key serves where it is missing.
    pub display: Option<String>,
    /// What becomes of conflicts in the attributes that it declares and that name no rule.
    pub conflict: Option<ConflictRule>,
    /// Attributes and relations in the order of the file.
    pub members: Vec<MemberDef>,
}

/// An attribute or relation as written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MemberDef {
    /// Numeric id; `None` until the head office gives one.
    pub id: Option<u32>,
    /// Unique within the entity and its ancestors, case-sensitive.
    pub name: String,
    /// For screens.
    pub label: Option<String>,
    /// What it holds.
    pub kind: KindDef,
    /// Whether a value must be there.
    pub not_null: bool,
    /// Whether no two objects may hold the same value; nothing may stand many times.
    pub unique: bool,
    /// Whether conditions on it are answered by an index.
    pub indexed: bool,
    /// The value of a new object that gives none, as text in the form of an import.
    pub default: Option<String>,
    /// The number ranges from which a new object that gives none gets its value.
    pub number: Option<NumberDef>,
    /// What its values must keep to.
    pub bounds: BoundsDef,
    /// What becomes of conflicts; where it is missing, what the entity says.
    pub conflict: Option<ConflictRule>,
}

/// What values must keep to, as written.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct BoundsDef {
    /// The least value, as text in the form of an import.
    pub min: Option<String>,
    /// The greatest value.
    pub max: Option<String>,
    /// The regular expression that the whole of a text must match.
    pub pattern: Option<String>,
}

/// Where the value of an attribute is drawn from, as written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NumberDef {
    /// Name of the number ranges; each node draws from its own one.
    pub range: String,
    /// How the number is written, see [`crate::number::Pattern`]; only for strings.
    pub pattern: Option<String>,
}

/// What a member holds, as written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum KindDef {
    /// A line of text of at most so many characters.
    String {
        /// 1 … 16,384 characters.
        max: u32,
    },
    /// Text of any length up to [`crate::value::TEXT_BYTES_MAX`].
    Text,
    /// A whole number.
    Integer,
    /// An exact number.
    Decimal {
        /// Digits in all, 1 … 28.
        precision: u32,
        /// Digits after the point, at most `precision`.
        scale: u32,
    },
    /// A number with a floating point.
    Float,
    /// Yes, no or nothing.
    Bool,
    /// A day.
    Date,
    /// A time of the day.
    Time,
    /// A moment.
    Datetime,
    /// A number that is nowhere else.
    Uuid,
    /// JSON, as it was written.
    Json,
    /// The content of a file.
    Blob,
    /// One word of a list.
    Enum(Vec<EnumWordDef>),
    /// One object of an entity.
    ToOne {
        /// The entity.
        target: String,
        /// What happens to this when the target is deleted.
        on_delete: OnDelete,
    },
    /// All objects of `target` whose attribute `by` refers to this one; holds nothing itself.
    ToMany {
        /// The entity.
        target: String,
        /// Its to-one attribute.
        by: String,
    },
    /// A set of objects of an entity.
    ManyToMany {
        /// The entity.
        target: String,
        /// The name under which the target sees the set of its owners.
        inverse: Option<String>,
        /// Numeric id of that view, from the same numbers as members; `None` until the head office gives one, and
        /// where there is no `inverse`.
        inverse_id: Option<u32>,
    },
}

/// One word of an enumeration, as written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EnumWordDef {
    /// Unique within the list.
    pub id: u32,
    /// Unique within the list; used in imports, queries and JSON.
    pub name: String,
    /// For screens.
    pub label: Option<String>,
}

/// What becomes of a reference whose target is deleted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum OnDelete {
    /// The deletion is refused.
    #[default]
    Refuse,
    /// The reference is emptied.
    Clear,
    /// The object that refers is deleted too.
    Cascade,
}

/// Which value stays where two places, not knowing of each other, set one attribute differently.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ConflictRule {
    /// What the head office already has.
    #[default]
    Authoritative,
    /// The one that arrives.
    Branch,
    /// The one that was set later, by clocks corrected by their measured offsets.
    Later,
    /// Neither: both differences count.
    Sum,
}

impl ConflictRule {
    /// All rules with their words in schema files and in the records of conflicts.
    pub const ALL: [(&'static str, Self); 4] =
        [("authoritative", Self::Authoritative), ("branch", Self::Branch), ("later", Self::Later), ("sum", Self::Sum)];

    /// Its word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Authoritative => "authoritative",
            Self::Branch => "branch",
            Self::Later => "later",
            Self::Sum => "sum",
        }
    }
}

/// A checked schema.
#[derive(Clone, Debug)]
pub struct Schema {
    def: SchemaDef,
    entities: BTreeMap<EntityId, Entity>,
    by_name: HashMap<String, EntityId>,
    owners: HashMap<AttributeId, EntityId>,
}

/// A class of objects, with all that it inherits.
#[derive(Clone, PartialEq, Debug)]
pub struct Entity {
    /// Its id.
    pub id: EntityId,
    /// Its name.
    pub name: String,
    /// What it inherits from.
    pub extends: Option<EntityId>,
    /// Whether only sub-entities have objects.
    pub is_abstract: bool,
    /// For screens.
    pub label: String,
    /// The attribute by which imports and references find an object.
    pub key: Option<AttributeId>,
    /// The attribute that stands for an object in lists.
    pub display: Option<AttributeId>,
    /// The entities of which this one is one, itself first, then its ancestors upwards.
    pub lineage: Vec<EntityId>,
    /// This entity, where it is not abstract, and all concrete entities below it; in the order of their ids.
    pub concrete: Vec<EntityId>,
    /// Inherited members first, each level in the order of its file.
    pub members: Vec<Member>,
}

/// An attribute or relation of an entity.
#[derive(Clone, PartialEq, Debug)]
pub struct Member {
    /// Its id.
    pub id: AttributeId,
    /// Its name.
    pub name: String,
    /// For screens.
    pub label: String,
    /// What it holds.
    pub kind: Kind,
    /// Whether a value must be there.
    pub not_null: bool,
    /// Whether no two objects may hold the same value. The range is the entity that declares it, with its sub-entities.
    pub unique: bool,
    /// Whether conditions on it are answered by an index; unique attributes and to-one relations always are.
    pub indexed: bool,
    /// The value of a new object that gives none.
    pub default: Value,
    /// The number ranges from which a new object that gives none gets its value.
    pub numbering: Option<Numbering>,
    /// What its values must keep to.
    pub bounds: Bounds,
    /// What becomes of conflicts.
    pub conflict: ConflictRule,
    /// The entity that declares it.
    pub declared_in: EntityId,
}

/// Where the value of an attribute is drawn from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Numbering {
    /// Name of the number ranges; each node draws from its own one.
    pub range: String,
    /// How the number is written; an integer holds the number itself.
    pub pattern: Option<Pattern>,
}

/// What a member holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A line of text of at most so many characters.
    String {
        /// Characters.
        max: u32,
    },
    /// Text of any length.
    Text,
    /// A whole number.
    Integer,
    /// An exact number.
    Decimal {
        /// Digits in all.
        precision: u32,
        /// Digits after the point.
        scale: u32,
    },
    /// A number with a floating point.
    Float,
    /// Yes, no or nothing.
    Bool,
    /// A day.
    Date,
    /// A time of the day.
    Time,
    /// A moment.
    Datetime,
    /// A number that is nowhere else.
    Uuid,
    /// JSON, as it was written.
    Json,
    /// The content of a file.
    Blob,
    /// One word of a list.
    Enum(Vec<EnumWord>),
    /// One object of an entity.
    ToOne {
        /// The entity.
        target: EntityId,
        /// What happens to this when the target is deleted.
        on_delete: OnDelete,
    },
    /// All objects that refer to this one; holds nothing itself.
    ToMany {
        /// The entity of those objects.
        target: EntityId,
        /// Its to-one attribute.
        by: AttributeId,
    },
    /// A set of objects.
    ManyToMany {
        /// The entity of the elements.
        target: EntityId,
    },
    /// The owners whose many-to-many relation `by` holds this object; holds nothing itself.
    Owners {
        /// The entity that declares the relation.
        target: EntityId,
        /// The relation.
        by: AttributeId,
    },
}

/// One word of an enumeration.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EnumWord {
    /// Its id.
    pub id: EnumId,
    /// Used in imports, queries and JSON.
    pub name: String,
    /// For screens.
    pub label: String,
}

impl Kind {
    /// Whether an object has one value here that stands in its own row.
    #[must_use]
    pub const fn is_column(&self) -> bool {
        !matches!(self, Self::ToMany { .. } | Self::ManyToMany { .. } | Self::Owners { .. })
    }

    /// The entity that this leads to, for the kinds that lead somewhere.
    #[must_use]
    pub const fn target(&self) -> Option<EntityId> {
        match self {
            Self::ToOne { target, .. }
            | Self::ToMany { target, .. }
            | Self::ManyToMany { target }
            | Self::Owners { target, .. } => Some(*target),
            _ => None,
        }
    }

    /// The word for this kind in schema files and messages.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::String { .. } => "string",
            Self::Text => "text",
            Self::Integer => "integer",
            Self::Decimal { .. } => "decimal",
            Self::Bool => "bool",
            Self::Date => "date",
            Self::Float => "float",
            Self::Time => "time",
            Self::Datetime => "datetime",
            Self::Uuid => "uuid",
            Self::Json => "json",
            Self::Blob => "blob",
            Self::Enum(_) => "enum",
            Self::ToOne { .. } => "to-one",
            Self::ToMany { .. } | Self::Owners { .. } => "to-many",
            Self::ManyToMany { .. } => "many-to-many",
        }
    }
}

impl Entity {
    /// The member of that name.
    #[must_use]
    pub fn member(&self, name: &str) -> Option<&Member> {
        self.members.iter().find(|member| member.name == name)
    }

    /// The member of that id.
    #[must_use]
    pub fn member_by_id(&self, id: AttributeId) -> Option<&Member> {
        self.members.iter().find(|member| member.id == id)
    }

    /// The members that stand in the object's own row, in order.
    pub fn columns(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(|member| member.kind.is_column())
    }

    /// The attributes whose values are drawn from number ranges, in order.
    pub fn numbered(&self) -> impl Iterator<Item = (&Member, &Numbering)> {
        self.members.iter().filter_map(|member| Some((member, member.numbering.as_ref()?)))
    }

    /// The many-to-many relations that objects of this entity own.
    pub fn sets(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(|member| matches!(member.kind, Kind::ManyToMany { .. }))
    }

    /// Whether objects of this entity are objects of `other` too.
    #[must_use]
    pub fn is_a(&self, other: EntityId) -> bool {
        self.lineage.contains(&other)
    }
}

/// What was made from one definition is the same.
impl PartialEq for Schema {
    fn eq(&self, other: &Self) -> bool {
        self.def == other.def
    }
}

impl Schema {
    /// The definition that this was made from; ids are all given.
    #[must_use]
    pub const fn def(&self) -> &SchemaDef {
        &self.def
    }

    /// All entities in the order of their ids.
    pub fn entities(&self) -> impl Iterator<Item = &Entity> {
        self.entities.values()
    }

    /// The entity of that name.
    #[must_use]
    pub fn entity(&self, name: &str) -> Option<&Entity> {
        self.by_name.get(name).and_then(|id| self.entities.get(id))
    }

    /// The entity of that id.
    #[must_use]
    pub fn entity_by_id(&self, id: EntityId) -> Option<&Entity> {
        self.entities.get(&id)
    }

    /// The member of that id, with the entity that declares it.
    #[must_use]
    pub fn member_by_id(&self, id: AttributeId) -> Option<(&Entity, &Member)> {
        let entity = self.entities.get(self.owners.get(&id)?)?;
        entity.member_by_id(id).map(|member| (entity, member))
    }

    /// The to-one attributes, each with the entity that declares it, that may refer to objects of `entity`.
    pub fn referring(&self, entity: EntityId) -> impl Iterator<Item = (&Entity, &Member)> {
        let lineage = self.entities.get(&entity).map_or(&[][..], |found| &found.lineage);
        self.entities.values().flat_map(move |referrer| {
            let mine = referrer.members.iter().filter(move |member| {
                member.declared_in == referrer.id
                    && matches!(member.kind, Kind::ToOne { target, .. } if lineage.contains(&target))
            });
            mine.map(move |member| (referrer, member))
        })
    }

    /// The name of an entity in a message, also where this schema does not know it.
    #[must_use]
    pub fn entity_name(&self, id: EntityId) -> String {
        self.entities.get(&id).map_or_else(|| format!("#{id}"), |entity| entity.name.clone())
    }
}
