//! Numeric ids for what has none. Only the head office does this: ids are given once and stay through renames.

use std::collections::{HashMap, HashSet};

use mytism_core::id::SYSTEM_SCHEMA_IDS;
use mytism_core::schema::{DefPath, EntityDef, GivenIds, KindDef, MemberDef, Schema, SchemaDef};

/// What entities and members were called before, where the files say so.
pub(crate) type FormerNames = HashMap<DefPath, String>;

/// Gives an id to each entity, each member and each far side of a many-to-many relation that has none.
///
/// What `previous` knows under the same entity and member name keeps the id that it has there; an id in the file itself
/// comes before both. New ids count up from 10,000, or from above all ids that were given up to `previous`, in the order
/// of the files; entities count on their own, members and far sides share one count. Where the numbers run out ids stay
/// open.
pub fn number(def: &mut SchemaDef, previous: Option<&Schema>) {
    number_renamed(def, previous, &FormerNames::new());
}

/// The same, where `previous` may know something under another name. A name that it knows comes before a former one, so
/// that a file that was read before can be read again.
pub(crate) fn number_renamed(def: &mut SchemaDef, previous: Option<&Schema>, renamed: &FormerNames) {
    let known: Known<'_> = previous.map_or_else(HashMap::new, |previous| {
        previous.def().entities.iter().map(|entity| (entity.name.as_str(), Former::new(entity))).collect()
    });
    for (index, entity) in def.entities.iter_mut().enumerate() {
        let was = renamed.get(&DefPath::of_entity(index)).map(String::as_str);
        let found = known.get(entity.name.as_str()).or_else(|| known.get(was?));
        // What says its id itself is looked for by that alone.
        let by_id = entity.id.and_then(|id| known.values().find(|former| former.entity.id == Some(id)));
        let Some(former) = by_id.or(found) else { continue };
        entity.id = entity.id.or(former.entity.id);
        for (at, member) in entity.members.iter_mut().enumerate() {
            let was = renamed.get(&DefPath::of_member(index, at)).map(String::as_str);
            let found = former.members.get(member.name.as_str()).or_else(|| former.members.get(was?));
            let Some(former) = found else { continue };
            member.id = member.id.or(former.id);
            let former_far_side = match &former.kind {
                KindDef::ManyToMany { inverse_id, .. } => *inverse_id,
                _ => None,
            };
            if let Some(id) = far_side_id(member) {
                *id = id.or(former_far_side);
            }
        }
    }
    count_up(def, previous);
}

/// The entities of the schema before, by name.
type Known<'a> = HashMap<&'a str, Former<'a>>;

/// An entity of the schema before.
struct Former<'a> {
    entity: &'a EntityDef,
    members: HashMap<&'a str, &'a MemberDef>,
}

impl<'a> Former<'a> {
    fn new(entity: &'a EntityDef) -> Self {
        let members = entity.members.iter().map(|member| (member.name.as_str(), member)).collect();
        Self { entity, members }
    }
}

/// The place for the id of a relation's far side, where it has one.
fn far_side_id(member: &mut MemberDef) -> Option<&mut Option<u32>> {
    match &mut member.kind {
        KindDef::ManyToMany { inverse: Some(_), inverse_id, .. } => Some(inverse_id),
        _ => None,
    }
}

fn count_up(def: &mut SchemaDef, previous: Option<&Schema>) {
    let former = previous.map(Schema::def);
    let (last_entity, last_member) =
        former.map_or((None, None), |former| (Some(former.last_entity()), Some(former.last_member())));
    let mut entities = Numbers::new(last_entity, def.entities.iter().filter_map(|entity| entity.id));
    let mut members = Numbers::new(last_member, def.member_ids());
    for entity in &mut def.entities {
        entity.id = entity.id.or_else(|| entities.next());
        for member in &mut entity.members {
            member.id = member.id.or_else(|| members.next());
            if let Some(id) = far_side_id(member) {
                *id = id.or_else(|| members.next());
            }
        }
    }
    // Only what nothing that is there says by itself is noted.
    def.given = GivenIds::default();
    let above = |last: Option<u32>, here: u32| last.filter(|last| *last > here).unwrap_or(0);
    def.given =
        GivenIds { entity: above(last_entity, def.last_entity()), member: above(last_member, def.last_member()) };
}

/// Hands out numbers that nobody has.
struct Numbers {
    next: Option<u32>,
    taken: HashSet<u32>,
}

impl Numbers {
    /// Begins above the `last` number, so that none of what was dropped comes back while something above it is
    /// left, and goes around those that are `taken`.
    fn new(last: Option<u32>, taken: impl Iterator<Item = u32>) -> Self {
        let above = last.map_or(Some(0), |last| last.checked_add(1));
        Self { next: above.map(|next| next.max(SYSTEM_SCHEMA_IDS)), taken: taken.collect() }
    }

    fn next(&mut self) -> Option<u32> {
        loop {
            let number = self.next?;
            self.next = number.checked_add(1);
            if !self.taken.contains(&number) {
                return Some(number);
            }
        }
    }
}
