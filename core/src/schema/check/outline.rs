//! Who is who: names and ids of entities and members, who inherits from whom, and what clashes.

use std::collections::HashMap;

use super::name::{objection, quoted, suggestion};
use super::{DefPath, Problems};
use crate::id::EntityId;
use crate::schema::{EntityDef, KindDef, MemberDef, SchemaDef};

/// The most entities of a schema.
const ENTITIES_MAX: usize = 4_096;
/// The most attributes and relations of an entity, inherited ones included.
const MEMBERS_MAX: usize = 1_000;
/// The most attributes and relations of all entities, inherited ones counted each time.
const MEMBERS_IN_ALL_MAX: usize = 200_000;
/// The most bytes of words, labels and defaults of all entities, inherited ones counted each time: each entity has its
/// own copy of what it inherits, so that a small file could ask for much memory.
const BYTES_IN_ALL_MAX: usize = 32 << 20;
/// The longest line of ancestors, the entity itself included.
const LINEAGE_MAX: usize = 32;
/// Ids below this are places that every object has.
const ATTRIBUTE_ID_MIN: u32 = 16;
/// Ids fit a signed number of 32 bits, as databases have them.
const ID_MAX: u32 = i32::MAX.unsigned_abs();

/// A definition with its names looked up.
pub(super) struct Outline<'a> {
    /// The definition.
    pub(super) def: &'a SchemaDef,
    /// Ids of the entities, in their order; 0 where one is missing, which is a problem already.
    pub(super) ids: Vec<EntityId>,
    /// For each entity the indices of itself and its ancestors, upwards.
    pub(super) lineages: Vec<Vec<usize>>,
    by_name: HashMap<&'a str, usize>,
    members: HashMap<(usize, &'a str), &'a MemberDef>,
}

/// A name that stands in an entity: one of its members, or the far side of somebody's many-to-many relation.
struct Claim<'a> {
    name: &'a str,
    id: Option<u32>,
    /// Where the name stands in the definition.
    name_at: DefPath,
    /// Where the id stands.
    id_at: DefPath,
}

impl<'a> Outline<'a> {
    /// `None` where the definition is too large to be looked at further.
    pub(super) fn new(def: &'a SchemaDef, problems: &mut Problems) -> Option<Self> {
        if def.entities.len() > ENTITIES_MAX {
            let many = def.entities.len();
            problems.add(DefPath::default(), || {
                format!("{many} entities are more than the {ENTITIES_MAX} that are allowed")
            });
            return None;
        }
        let by_name = entity_names(def, problems);
        let ids = entity_ids(def, problems);
        let lineages = lineages(def, &by_name, problems);
        if !size_is_bearable(def, &lineages, problems) {
            return None;
        }
        let claims = claims(def, &by_name);
        check_member_names(def, &lineages, &claims, problems);
        check_member_ids(def, &claims, problems);
        let members = def
            .entities
            .iter()
            .enumerate()
            .flat_map(|(index, entity)| {
                entity.members.iter().map(move |member| ((index, member.name.as_str()), member))
            })
            .collect();
        Some(Self { def, ids, lineages, by_name, members })
    }

    /// Index and definition of the entity of that name.
    pub(super) fn entity(&self, name: &str) -> Option<(usize, &'a EntityDef)> {
        let index = *self.by_name.get(name)?;
        self.def.entities.get(index).map(|entity| (index, entity))
    }

    /// The id of an entity that was found by [`Outline::entity`].
    pub(super) fn id(&self, entity: usize) -> EntityId {
        self.ids.get(entity).copied().unwrap_or(EntityId(0))
    }

    /// Indices of the entity and its ancestors, upwards.
    pub(super) fn lineage(&self, entity: usize) -> &[usize] {
        self.lineages.get(entity).map_or(&[], Vec::as_slice)
    }

    /// The member of that name which the entity declares or inherits.
    pub(super) fn member(&self, entity: usize, name: &str) -> Option<&'a MemberDef> {
        self.lineage(entity).iter().find_map(|level| self.members.get(&(*level, name)).copied())
    }

    /// All members that the entity declares or inherits.
    pub(super) fn members(&self, entity: usize) -> impl Iterator<Item = &'a MemberDef> {
        let levels = self.lineage(entity).iter().filter_map(|level| self.def.entities.get(*level));
        levels.flat_map(|level| &level.members)
    }

    /// "; did you mean …?" for an entity that is not there.
    pub(super) fn entity_suggestion(&self, wanted: &str) -> String {
        suggestion(wanted, self.def.entities.iter().map(|entity| entity.name.as_str()))
    }
}

fn entity_names<'a>(def: &'a SchemaDef, problems: &mut Problems) -> HashMap<&'a str, usize> {
    let mut by_name = HashMap::new();
    for (index, entity) in def.entities.iter().enumerate() {
        let at = DefPath::of_entity(index).field("name");
        if let Some(objection) = objection(&entity.name) {
            problems.add(at, || objection);
        } else if by_name.contains_key(entity.name.as_str()) {
            problems.add(at, || format!("there are two entities {}", entity.name));
        } else {
            by_name.insert(entity.name.as_str(), index);
        }
    }
    by_name
}

fn entity_ids(def: &SchemaDef, problems: &mut Problems) -> Vec<EntityId> {
    let mut owners = HashMap::new();
    for (index, entity) in def.entities.iter().enumerate() {
        let at = DefPath::of_entity(index).field("id");
        check_id(entity.id, 1, &entity.name, at, &mut owners, problems);
    }
    def.entities.iter().map(|entity| EntityId(entity.id.unwrap_or_default())).collect()
}

fn check_id<'a>(
    id: Option<u32>,
    min: u32,
    owner: &'a str,
    at: DefPath,
    owners: &mut HashMap<u32, &'a str>,
    problems: &mut Problems,
) {
    let Some(id) = id else {
        problems.add(at, || format!("{} has no id; ids are given before a schema is checked", quoted(owner)));
        return;
    };
    if id < min || id > ID_MAX {
        problems.add(at, || format!("the id {id} of {} is not within {min} … {ID_MAX}", quoted(owner)));
    } else if let Some(other) = owners.get(&id) {
        problems.add(at, || format!("the id {id} of {} is that of {} already", quoted(owner), quoted(other)));
    } else {
        owners.insert(id, owner);
    }
}

fn lineages(def: &SchemaDef, by_name: &HashMap<&str, usize>, problems: &mut Problems) -> Vec<Vec<usize>> {
    let parents: Vec<Option<usize>> = def
        .entities
        .iter()
        .map(|entity| entity.extends.as_deref().and_then(|parent| by_name.get(parent).copied()))
        .collect();
    let mut lineages = Vec::with_capacity(def.entities.len());
    for (index, entity) in def.entities.iter().enumerate() {
        let at = DefPath::of_entity(index).field("extends");
        if let (Some(parent), None) = (&entity.extends, parents.get(index).copied().flatten()) {
            problems.add(at, || {
                let others = def.entities.iter().filter(|other| other.name != entity.name);
                let suggestion = suggestion(parent, others.map(|other| other.name.as_str()));
                format!("{} extends {}, which is no entity{suggestion}", entity.name, quoted(parent))
            });
        }
        lineages.push(lineage(def, &parents, index, problems));
    }
    lineages
}

/// The entity and its ancestors, upwards; ends before it would run in a circle.
fn lineage(def: &SchemaDef, parents: &[Option<usize>], index: usize, problems: &mut Problems) -> Vec<usize> {
    let at = DefPath::of_entity(index).field("extends");
    let mut lineage = vec![index];
    let mut level = index;
    while let Some(parent) = parents.get(level).copied().flatten() {
        if parent == index && lineage.iter().min() == Some(&index) {
            // The circle is named once, at the first of its entities.
            problems.add(at, || {
                let names = lineage.iter().chain([&index]).filter_map(|level| def.entities.get(*level));
                let names: Vec<&str> = names.map(|entity| entity.name.as_str()).collect();
                format!("entities inherit in a circle: {}", names.join(" extends "))
            });
        }
        if lineage.contains(&parent) {
            break;
        }
        if lineage.len() == LINEAGE_MAX {
            problems.add(at, || format!("more than {LINEAGE_MAX} entities inherit from one another"));
            break;
        }
        lineage.push(parent);
        level = parent;
    }
    lineage
}

fn size_is_bearable(def: &SchemaDef, lineages: &[Vec<usize>], problems: &mut Problems) -> bool {
    let before = problems.0.len();
    let own: Vec<usize> = def.entities.iter().map(|entity| entity.members.iter().map(bytes).sum()).collect();
    let (mut in_all, mut bytes_in_all) = (0_usize, 0_usize);
    for (index, lineage) in lineages.iter().enumerate() {
        let levels = lineage.iter().filter_map(|level| def.entities.get(*level));
        let many: usize = levels.map(|level| level.members.len()).sum();
        in_all = in_all.saturating_add(many);
        let levels = lineage.iter().filter_map(|level| own.get(*level));
        bytes_in_all = bytes_in_all.saturating_add(levels.sum());
        if many > MEMBERS_MAX {
            problems.add(DefPath::of_entity(index), || {
                format!("{many} attributes and relations are more than the {MEMBERS_MAX} that an entity may have")
            });
        }
    }
    if in_all > MEMBERS_IN_ALL_MAX {
        problems.add(DefPath::default(), || {
            let many = format!("{in_all} attributes and relations, inherited ones included,");
            format!("{many} are more than the {MEMBERS_IN_ALL_MAX} that are allowed")
        });
    }
    if bytes_in_all > BYTES_IN_ALL_MAX {
        problems.add(DefPath::default(), || {
            let many = format!("{} MiB of words, labels and defaults, inherited ones included,", bytes_in_all >> 20);
            format!("{many} are more than the {} MiB that are allowed", BYTES_IN_ALL_MAX >> 20)
        });
    }
    problems.0.len() == before
}

/// What a member holds in texts, about.
fn bytes(member: &MemberDef) -> usize {
    /// Of one word beside its letters.
    const WORD: usize = 64;
    let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    let words = match &member.kind {
        KindDef::Enum(words) => words.iter().map(|word| WORD + word.name.len() + text(&word.label)).sum(),
        _ => 0,
    };
    member.name.len() + text(&member.label) + text(&member.default) + words
}

fn claims<'a>(def: &'a SchemaDef, by_name: &HashMap<&str, usize>) -> Vec<Vec<Claim<'a>>> {
    let mut claims: Vec<Vec<Claim<'a>>> = Vec::with_capacity(def.entities.len());
    let mut inverses = Vec::new();
    for (index, entity) in def.entities.iter().enumerate() {
        let mut own = Vec::with_capacity(entity.members.len());
        for (member_index, member) in entity.members.iter().enumerate() {
            let at = DefPath::of_member(index, member_index);
            own.push(Claim { name: &member.name, id: member.id, name_at: at.field("name"), id_at: at.field("id") });
            let KindDef::ManyToMany { target, inverse: Some(name), inverse_id } = &member.kind else { continue };
            let claim = Claim { name, id: *inverse_id, name_at: at.field("inverse"), id_at: at.field("inverseId") };
            inverses.extend(by_name.get(target.as_str()).map(|target| (*target, claim)));
        }
        claims.push(own);
    }
    for (target, claim) in inverses {
        if let Some(list) = claims.get_mut(target) {
            list.push(claim);
        }
    }
    claims
}

fn check_member_names(def: &SchemaDef, lineages: &[Vec<usize>], claims: &[Vec<Claim<'_>>], problems: &mut Problems) {
    for (entity, lineage) in def.entities.iter().zip(lineages) {
        let mut taken: HashMap<&str, usize> = HashMap::new();
        for level in lineage.iter().rev() {
            let own = lineage.first() == Some(level);
            for claim in claims.get(*level).into_iter().flatten() {
                // What is wrong with an ancestor is said there, once.
                if let (true, Some(objection)) = (own, objection(claim.name)) {
                    problems.add(claim.name_at, || format!("{}: {objection}", entity.name));
                }
                let Some(first) = taken.insert(claim.name, *level) else { continue };
                let elder = def.entities.get(first).map_or("", |elder| &elder.name);
                if own && first == *level {
                    problems.add(claim.name_at, || format!("{} has two members {}", entity.name, quoted(claim.name)));
                } else if own {
                    let name = quoted(claim.name);
                    problems.add(claim.name_at, || {
                        format!("{} inherits a member {name} from {elder} already", entity.name)
                    });
                }
            }
        }
    }
}

fn check_member_ids(def: &SchemaDef, claims: &[Vec<Claim<'_>>], problems: &mut Problems) {
    let labelled: Vec<(String, &Claim<'_>)> = def
        .entities
        .iter()
        .zip(claims)
        .flat_map(|(entity, list)| list.iter().map(|claim| (format!("{}.{}", entity.name, claim.name), claim)))
        .collect();
    let mut owners = HashMap::new();
    for (label, claim) in &labelled {
        check_id(claim.id, ATTRIBUTE_ID_MIN, label, claim.id_at, &mut owners, problems);
    }
}
