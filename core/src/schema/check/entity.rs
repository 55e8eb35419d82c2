//! Entities put together from their checked members: what they inherit, their keys, and the far sides of relations.

use super::name::{quoted, suggestion};
use super::outline::Outline;
use super::{DefPath, Problems, member};
use crate::id::{AttributeId, EntityId};
use crate::schema::{Bounds, ConflictRule, Entity, EntityDef, Kind, KindDef, Member, MemberDef};
use crate::value::Value;

/// All entities in the order of the definition; only whole where no problem was found.
pub(super) fn all(outline: &Outline<'_>, problems: &mut Problems) -> Vec<Entity> {
    let mut own: Vec<Vec<Member>> = Vec::with_capacity(outline.def.entities.len());
    for (index, entity) in outline.def.entities.iter().enumerate() {
        let members = entity.members.iter().enumerate().filter_map(|(place, def)| {
            member::checked(outline, index, entity, def, DefPath::of_member(index, place), problems)
        });
        own.push(members.collect());
        check_key(outline, index, entity, problems);
        check_display(outline, index, entity, problems);
        check_conflict(index, entity, problems);
    }
    add_owners(outline, &mut own);
    let concrete = concrete(outline);
    let entities = outline.def.entities.iter().zip(concrete).enumerate();
    entities.map(|(index, (entity, concrete))| assembled(outline, index, entity, &own, concrete)).collect()
}

fn is_column(member: &MemberDef) -> bool {
    !matches!(member.kind, KindDef::ToMany { .. } | KindDef::ManyToMany { .. })
}

fn check_key(outline: &Outline<'_>, index: usize, entity: &EntityDef, problems: &mut Problems) {
    let Some(key) = &entity.key else { return };
    let at = DefPath::of_entity(index).field("key");
    let Some(member) = outline.member(index, key) else {
        problems.add(at, || {
            let unique = outline.members(index).filter(|member| member.unique);
            let suggestion = suggestion(key, unique.map(|member| member.name.as_str()));
            format!("{} has the key {}, which is no attribute of it{suggestion}", entity.name, quoted(key))
        });
        return;
    };
    if !matches!(member.kind, KindDef::String { .. } | KindDef::Integer) {
        problems.add(at, || format!("{} has the key {key}; only a string or an integer can be a key", entity.name));
    } else if !member.unique {
        problems.add(at, || format!("{} has the key {key}, which must be unique", entity.name));
    }
}

fn check_display(outline: &Outline<'_>, index: usize, entity: &EntityDef, problems: &mut Problems) {
    let Some(display) = &entity.display else { return };
    let at = DefPath::of_entity(index).field("display");
    match outline.member(index, display) {
        Some(member) if is_column(member) => {}
        Some(_) => problems.add(at, || {
            format!("{} is displayed by {display}, which holds many objects; an attribute is needed", entity.name)
        }),
        None => problems.add(at, || {
            let columns = outline.members(index).filter(|member| is_column(member));
            let suggestion = suggestion(display, columns.map(|member| member.name.as_str()));
            format!("{} is displayed by {}, which is no attribute of it{suggestion}", entity.name, quoted(display))
        }),
    }
}

/// Not every attribute is a number, so each that is summed says so itself.
fn check_conflict(index: usize, entity: &EntityDef, problems: &mut Problems) {
    if entity.conflict == Some(ConflictRule::Sum) {
        problems.add(DefPath::of_entity(index).field("conflict"), || {
            format!("{} cannot have conflict sum as a whole; give it to single integers and decimals", entity.name)
        });
    }
}

/// Gives the target of each many-to-many relation with an inverse the member that shows its owners.
fn add_owners(outline: &Outline<'_>, own: &mut [Vec<Member>]) {
    for (index, entity) in outline.def.entities.iter().enumerate() {
        for def in &entity.members {
            let KindDef::ManyToMany { target, inverse: Some(name), inverse_id } = &def.kind else { continue };
            let Some((target, _)) = outline.entity(target) else { continue };
            let Some(members) = own.get_mut(target) else { continue };
            let by = AttributeId(def.id.unwrap_or_default());
            members.push(Member {
                id: AttributeId(inverse_id.unwrap_or_default()),
                name: name.clone(),
                label: name.clone(),
                kind: Kind::Owners { target: outline.id(index), by },
                not_null: false,
                unique: false,
                indexed: false,
                default: Value::Null,
                numbering: None,
                bounds: Bounds::default(),
                conflict: ConflictRule::default(),
                declared_in: outline.id(target),
            });
        }
    }
}

/// For each entity the concrete entities that it covers, by their ids.
fn concrete(outline: &Outline<'_>) -> Vec<Vec<EntityId>> {
    let mut concrete = vec![Vec::new(); outline.def.entities.len()];
    for ((entity, lineage), id) in outline.def.entities.iter().zip(&outline.lineages).zip(&outline.ids) {
        for level in lineage.iter().filter(|_| !entity.is_abstract) {
            if let Some(covered) = concrete.get_mut(*level) {
                covered.push(*id);
            }
        }
    }
    for covered in &mut concrete {
        covered.sort_unstable();
    }
    concrete
}

fn assembled(
    outline: &Outline<'_>,
    index: usize,
    entity: &EntityDef,
    own: &[Vec<Member>],
    concrete: Vec<EntityId>,
) -> Entity {
    let lineage = outline.lineage(index);
    let members: Vec<Member> = lineage.iter().rev().filter_map(|level| own.get(*level)).flatten().cloned().collect();
    // The nearest level that names one counts.
    let inherited = |choose: fn(&EntityDef) -> Option<&String>| {
        let name = lineage.iter().filter_map(|level| outline.def.entities.get(*level)).find_map(choose)?;
        members.iter().find(|member| member.name == *name).map(|member| member.id)
    };
    let key = inherited(|level| level.key.as_ref());
    let display = inherited(|level| level.display.as_ref()).or(key);
    Entity {
        id: outline.id(index),
        name: entity.name.clone(),
        extends: lineage.get(1).map(|parent| outline.id(*parent)),
        is_abstract: entity.is_abstract,
        label: entity.label.clone().unwrap_or_else(|| entity.name.clone()),
        key,
        display,
        lineage: lineage.iter().map(|level| outline.id(*level)).collect(),
        concrete,
        members,
    }
}
