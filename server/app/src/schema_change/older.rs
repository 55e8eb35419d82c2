//! What was saved under an earlier schema, as the one that holds has it.

use mytism_core::change::{Change, Life, Slot, Stamp, Transaction};
use mytism_core::id::EntityId;
use mytism_core::schema::{Kind, Schema};
use mytism_core::value::Value;
use mytism_format::transaction::StoredTransaction;

use super::Last;
use crate::error::AppError;
use crate::lane::Work;

/// A value of a slot, as the schema has it; `None` where it has no place for it.
pub(crate) fn value(schema: &Schema, entity: EntityId, slot: Slot, value: Value) -> Option<Value> {
    let entity = schema.entity_by_id(entity)?;
    if slot == Slot::LIFE {
        return Some(value);
    }
    let kind = &entity.member_by_id(slot.attribute)?.kind;
    if slot.element.is_some() != matches!(kind, Kind::ManyToMany { .. }) {
        return None;
    }
    kind.adapt(value)
}

/// A change whose two values the schema has a place for.
pub(crate) fn change(schema: &Schema, change: Change) -> Option<Change> {
    let Change { object, entity, slot, old, new } = change;
    let (old, new) = (value(schema, entity, slot, old)?, value(schema, entity, slot, new)?);
    Some(Change { object, entity, slot, old, new })
}

/// The transaction with its values as the schema has them, where any of them is otherwise. What has no place stays as it
/// is, to be refused.
pub(crate) fn transaction(schema: &Schema, stored: &StoredTransaction) -> Option<StoredTransaction> {
    let changes = &stored.transaction.changes;
    let as_now = |one: &Change| change(schema, one.clone()).unwrap_or_else(|| one.clone());
    // Numbers of another scale are equal, and have another form.
    let is_as_it_was = |one: &Change| {
        let now = as_now(one);
        same_form(&now.old, &one.old) && same_form(&now.new, &one.new)
    };
    if changes.iter().all(is_as_it_was) {
        return None;
    }
    let changes = changes.iter().map(as_now).collect();
    let transaction = Transaction { changes, ..stored.transaction.clone() };
    Some(StoredTransaction { transaction, ..stored.clone() })
}

fn same_form(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Decimal(one), Value::Decimal(other)) => one.scale() == other.scale() && one == other,
        (one, other) => one == other,
    }
}

/// Gives objects that a transaction made the defaults of attributes which it could not know to be required. Returns these
/// changes, which have happened.
pub(crate) fn fill_in(
    work: &mut Work<'_>,
    made_under: u64,
    changes: &[Change],
    own: Stamp,
    number: Option<u64>,
) -> Result<Vec<Change>, AppError> {
    let schema = work.workspace.schema;
    let mut added = Vec::new();
    let made = changes.iter().filter(|one| one.is_making());
    for Change { object, entity, .. } in made {
        let Some(state) = work.workspace.object(*object)?.filter(|state| state.meta.life == Life::Alive) else {
            continue;
        };
        let required = schema.entity_by_id(*entity).into_iter().flat_map(|found| found.columns()).filter(|member| {
            let slot = Slot::attribute(member.id);
            member.not_null && !member.default.is_null() && state.get(slot).is_null()
        });
        let lacking: Vec<_> = required.map(|member| (Slot::attribute(member.id), member.default.clone())).collect();
        let untouched = lacking
            .into_iter()
            .filter(|(slot, _)| !changes.iter().any(|one| (one.object, one.slot) == (*object, *slot)));
        for (slot, new) in untouched {
            if made_under >= Last::stored(work.workspace.view()?)?.number {
                return Ok(added);
            }
            let filled = Change { object: *object, entity: *entity, slot, old: Value::Null, new };
            work.workspace.apply(&filled, own, number)?;
            added.push(filled);
        }
    }
    Ok(added)
}
