//! What must hold after a transaction: required values, unique values, references that lead to objects. One function
//! checks a save before it is made, a transaction that arrives, and a row of an import.

use mytism_core::change::{Change, Life, Slot};
use mytism_core::id::{EntityId, ObjectId};
use mytism_core::schema::{Entity, Kind, Member};
use mytism_core::value::Value;

use crate::error::AppError;
use crate::record::by_object;
use crate::workspace::Workspace;

/// Checks the state that some changes led to, in the topmost layer.
///
/// # Errors
/// The first thing that does not hold, as a refusal.
pub(crate) fn check(workspace: &mut Workspace<'_>, changes: &[Change]) -> Result<(), AppError> {
    for (id, changes) in by_object(changes) {
        check_object(workspace, id, &changes)?;
    }
    Ok(())
}

fn check_object(workspace: &mut Workspace<'_>, id: ObjectId, changes: &[&Change]) -> Result<(), AppError> {
    let schema = workspace.schema;
    let Some(state) = workspace.object(id)?.cloned() else { return Ok(()) };
    let entity = schema.entity_by_id(state.entity).ok_or_else(|| unknown_entity(state.entity))?;
    let life_changes = changes.iter().any(|change| change.slot == Slot::LIFE);
    if state.meta.life != Life::Alive {
        for change in changes {
            check_target_of_deleted(workspace, entity, change)?;
        }
        return if life_changes { check_nobody_refers(workspace, id, entity) } else { Ok(()) };
    }
    if life_changes {
        for member in entity.columns() {
            check_value(workspace, id, entity, member, &state.get(Slot::attribute(member.id)))?;
        }
    }
    for change in changes.iter().filter(|change| change.slot != Slot::LIFE) {
        let Some(member) = entity.member_by_id(change.slot.attribute) else { continue };
        match (change.slot.element, &member.kind) {
            (Some(element), Kind::ManyToMany { target }) if !change.new.is_null() => {
                check_target(workspace, id, member, *target, element)?;
            }
            (None, _) if !life_changes => check_value(workspace, id, entity, member, &state.get(change.slot))?,
            _ => {}
        }
    }
    Ok(())
}

/// Checks that a change that was made elsewhere is about something that there can be: the object's own entity, a slot
/// that it has, a value that the slot can hold.
///
/// # Errors
/// What there cannot be, as a refusal.
pub(crate) fn check_slot(workspace: &mut Workspace<'_>, change: &Change) -> Result<(), AppError> {
    let entity = workspace.schema.entity_by_id(change.entity).ok_or_else(|| unknown_entity(change.entity))?;
    let there = workspace.object(change.object)?.filter(|object| object.meta.life != Life::Absent);
    let there = there.map(|object| object.entity);
    let is_making = change.is_making();
    if is_making == there.is_some() {
        let fault = if is_making { "is there already" } else { "is not there" };
        return Err(AppError::refused("unknown-object", format!("object {} {fault}", change.object)));
    }
    if entity.is_abstract || there.is_some_and(|there| there != entity.id) {
        let message = format!("object {} is not of the entity {}", change.object, entity.name);
        return Err(AppError::refused("wrong-entity", message));
    }
    let wrong = |name: &str| {
        let message = format!("{}.{name} cannot hold {} \"{}\"", entity.name, change.new.kind_name(), change.new);
        AppError::refused("wrong-value", message)
    };
    if change.slot == Slot::LIFE {
        return if Life::of(&change.new) == Life::Absent { Err(wrong("(deleted)")) } else { Ok(()) };
    }
    let member = entity.member_by_id(change.slot.attribute).ok_or_else(|| {
        let message = format!("{} has no attribute #{} in this schema", entity.name, change.slot.attribute);
        AppError::refused("unknown-attribute", message)
    })?;
    let fitting = match (change.slot.element, &member.kind) {
        (Some(_), Kind::ManyToMany { .. }) => matches!(change.new, Value::Null | Value::Bool(true)),
        (None, kind) if kind.is_column() => change.new.is_null() || fits(kind, &change.new),
        _ => false,
    };
    if fitting { Ok(()) } else { Err(wrong(&member.name)) }
}

fn check_value(
    workspace: &mut Workspace<'_>,
    id: ObjectId,
    entity: &Entity,
    member: &Member,
    value: &Value,
) -> Result<(), AppError> {
    if value.is_null() {
        if member.not_null {
            let message = format!("{} of {} must have a value", member.name, describe(workspace, id)?);
            return Err(AppError::refused("value-required", message));
        }
        return Ok(());
    }
    if !fits(&member.kind, value) {
        let message = format!("{}.{} cannot hold {} \"{value}\"", entity.name, member.name, value.kind_name());
        return Err(AppError::refused("wrong-value", message));
    }
    if let Err(misfit) = member.bounds.check(value) {
        return Err(AppError::refused("out-of-bounds", format!("{}.{}: {misfit}", entity.name, member.name)));
    }
    if let (Kind::ToOne { target, .. }, Value::Reference(to)) = (&member.kind, value) {
        check_target(workspace, id, member, *target, *to)?;
    }
    if member.unique {
        let holders = workspace.holders(member.declared_in, member.id, value)?;
        if let Some(other) = holders.into_iter().find(|holder| *holder != id) {
            let message = format!(
                "{}.{} must be unique, and \"{value}\" is held by {} already",
                entity.name,
                member.name,
                describe(workspace, other)?
            );
            return Err(AppError::refused("duplicate-value", message));
        }
    }
    Ok(())
}

/// Whether a value is of the kind, at its scale and within its limits. What was read by [`mytism_core::input`] always
/// is; what comes from elsewhere may not be.
pub(crate) fn fits(kind: &Kind, value: &Value) -> bool {
    match (kind, value) {
        (Kind::String { max }, Value::Text(text)) => text.chars().count() <= *max as usize && is_normal(text),
        (Kind::Decimal { precision, scale }, Value::Decimal(number)) => {
            let digits = number.mantissa().unsigned_abs().checked_ilog10().map_or(0, |log| log + 1);
            number.scale() == *scale && digits <= *precision
        }
        (Kind::Enum(words), Value::Enum(id)) => words.iter().any(|word| word.id == *id),
        (Kind::Text, Value::Text(text)) => is_normal(text),
        (Kind::Json, Value::Json(text)) => is_normal(text) && mytism_core::json::check(text).is_ok(),
        (Kind::Integer, Value::Integer(_))
        | (Kind::Bool, Value::Bool(_))
        | (Kind::Date, Value::Date(_))
        | (Kind::Float, Value::Float(_))
        | (Kind::Time, Value::Time(_))
        | (Kind::Datetime, Value::Datetime(_))
        | (Kind::Uuid, Value::Uuid(_))
        | (Kind::Blob, Value::Blob(_))
        | (Kind::ToOne { .. }, Value::Reference(_)) => true,
        _ => false,
    }
}

fn is_normal(text: &str) -> bool {
    mytism_core::input::normal(text).is_ok_and(|normal| normal == text)
}

fn check_target(
    workspace: &mut Workspace<'_>,
    id: ObjectId,
    member: &Member,
    target: EntityId,
    to: ObjectId,
) -> Result<(), AppError> {
    let schema = workspace.schema;
    let found = workspace.alive(to)?.map(|object| object.entity);
    let fault = match found.and_then(|entity| schema.entity_by_id(entity)) {
        None => "does not exist".to_owned(),
        Some(entity) if !entity.is_a(target) => {
            format!("is of the entity {}, not {}", entity.name, schema.entity_name(target))
        }
        Some(_) => return Ok(()),
    };
    let message = format!("{} of {} refers to object {to}, which {fault}", member.name, describe(workspace, id)?);
    Err(AppError::refused("unknown-reference", message))
}

/// A deleted object can come back, so it may refer to other deleted ones, but not to what was never made.
fn check_target_of_deleted(workspace: &mut Workspace<'_>, entity: &Entity, change: &Change) -> Result<(), AppError> {
    let to = change.slot.element.filter(|_| !change.new.is_null()).or_else(|| change.new.reference());
    let Some((to, member)) = to.zip(entity.member_by_id(change.slot.attribute)) else { return Ok(()) };
    let schema = workspace.schema;
    let there = workspace.object(to)?.filter(|object| object.meta.life != Life::Absent);
    let there = there.and_then(|object| schema.entity_by_id(object.entity));
    if there.zip(member.kind.target()).is_some_and(|(there, target)| there.is_a(target)) {
        return Ok(());
    }
    let message = format!(
        "{} of {} refers to object {to}, which does not exist",
        member.name,
        describe(workspace, change.object)?
    );
    Err(AppError::refused("unknown-reference", message))
}

/// A deletion has emptied or deleted all that its author's node knew to refer to the object. What refers to it still
/// was not known there, whatever the relation says about deletions.
fn check_nobody_refers(workspace: &mut Workspace<'_>, id: ObjectId, entity: &Entity) -> Result<(), AppError> {
    let schema = workspace.schema;
    for (referrer, member) in schema.referring(entity.id) {
        let holders = workspace.holders(referrer.id, member.id, &Value::Reference(id))?;
        let Some(holder) = holders.first() else { continue };
        let message = format!(
            "{} cannot be deleted: {} of {} refers to it{}",
            describe(workspace, id)?,
            member.name,
            describe(workspace, *holder)?,
            if holders.len() > 1 { format!(", and {} more", holders.len() - 1) } else { String::new() }
        );
        return Err(AppError::refused("still-referenced", message));
    }
    Ok(())
}

/// The refusal of an entity that this schema lacks.
pub(crate) fn unknown_entity(entity: EntityId) -> AppError {
    AppError::refused("unknown-entity", format!("the schema of this node has no entity #{entity}"))
}

/// An object in a message: its entity, what stands for it in lists, its id.
pub(crate) fn describe(workspace: &mut Workspace<'_>, id: ObjectId) -> Result<String, AppError> {
    let schema = workspace.schema;
    let Some(state) = workspace.object(id)? else { return Ok(format!("object {id}")) };
    let Some(entity) = schema.entity_by_id(state.entity) else { return Ok(format!("object {id}")) };
    let label = entity.key.or(entity.display).map(|attribute| state.get(Slot::attribute(attribute)));
    Ok(match label.filter(|value| !value.is_null()) {
        Some(label) => format!("{} {label} (object {id})", entity.name),
        None => format!("{} (object {id})", entity.name),
    })
}
