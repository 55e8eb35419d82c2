//! Numeric ids for what has none. Only the head office does this: ids are given once and stay through renames.

use std::collections::{HashMap, HashSet};

use mytism_core::id::SYSTEM_SCHEMA_IDS;
use mytism_core::schema::{EntityDef, KindDef, MemberDef, Schema, SchemaDef};

/// Gives an id to each entity, each member and each far side of a many-to-many relation that has none.
///
/// What `previous` knows under the same entity and member name keeps the id that it has there; an id in the file itself
/// comes before both. New ids count up from 10,000, or from above all ids of `previous`, in the order of the files;
/// entities count on their own, members and far sides share one count. Where the numbers run out ids stay open.
pub fn number(def: &mut SchemaDef, previous: Option<&Schema>) {
    let known: Known<'_> = previous.map_or_else(HashMap::new, |previous| {
        previous.def().entities.iter().map(|entity| (entity.name.as_str(), Former::new(entity))).collect()
    });
    for entity in &mut def.entities {
        let Some(former) = known.get(entity.name.as_str()) else { continue };
        entity.id = entity.id.or(former.entity.id);
        for member in &mut entity.members {
            let Some(former) = former.members.get(member.name.as_str()) else { continue };
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
    let mut entities = Numbers::new(
        former.into_iter().flat_map(|former| &former.entities).filter_map(|entity| entity.id),
        def.entities.iter().filter_map(|entity| entity.id),
    );
    let mut members = Numbers::new(former.into_iter().flat_map(member_ids), member_ids(def));
    for entity in &mut def.entities {
        entity.id = entity.id.or_else(|| entities.next());
        for member in &mut entity.members {
            member.id = member.id.or_else(|| members.next());
            if let Some(id) = far_side_id(member) {
                *id = id.or_else(|| members.next());
            }
        }
    }
}

fn member_ids(def: &SchemaDef) -> impl Iterator<Item = u32> {
    def.entities.iter().flat_map(|entity| &entity.members).flat_map(|member| {
        let far_side = match &member.kind {
            KindDef::ManyToMany { inverse_id, .. } => *inverse_id,
            _ => None,
        };
        [member.id, far_side].into_iter().flatten()
    })
}

/// Hands out numbers that nobody has.
struct Numbers {
    next: Option<u32>,
    taken: HashSet<u32>,
}

impl Numbers {
    /// Begins above all `former` numbers, so that none of what was dropped comes back while something above it is
    /// left, and goes around those that are `taken`.
    fn new(former: impl Iterator<Item = u32>, taken: impl Iterator<Item = u32>) -> Self {
        let above = former.max().map_or(Some(0), |max| max.checked_add(1));
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
