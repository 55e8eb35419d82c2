//! A number range as it stands in the database.

use mytism_core::change::{Life, Slot};
use mytism_core::id::{AttributeId, EntityId, NodeId, ObjectId};
use mytism_core::number::{Bounds, Number};
use mytism_core::value::Value;
use mytism_format::object::ObjectState;

use super::{INCREMENT, MAX, MIN, NAME, NEXT, NODE, RANGE, VALID};
use crate::error::AppError;
use crate::workspace::Workspace;

/// The entity of nodes and the attribute with their numbers.
const NODE_ENTITY: EntityId = EntityId(3);
const NODE_NUMBER: AttributeId = AttributeId(301);

/// See the module.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Range {
    pub(super) id: ObjectId,
    pub(super) name: String,
    /// The node object to which it belongs.
    pub(super) node: Option<ObjectId>,
    /// What people see as the next number; nothing where the range says nothing about it.
    pub(super) next: Option<Number>,
    pub(super) bounds: Bounds,
    pub(super) is_valid: bool,
}

impl Range {
    /// The range that an object is.
    ///
    /// # Errors
    /// Where its bounds are impossible, as a refusal.
    pub(super) fn read(state: &ObjectState) -> Result<Self, AppError> {
        let get = |attribute| state.get(Slot::attribute(attribute));
        let name = get(NAME).text().unwrap_or_default().to_owned();
        let bounds = Bounds::new(get(MIN).integer(), get(MAX).integer(), get(INCREMENT).integer().unwrap_or(1));
        let bounds = bounds.map_err(|problem| {
            let message = format!("the number range {name} (object {}) cannot be: {problem}", state.id);
            AppError::refused("number-range-wrong", message)
        })?;
        Ok(Self {
            id: state.id,
            name,
            node: get(NODE).reference(),
            next: get(NEXT).integer().map(Number),
            bounds,
            is_valid: get(VALID) == Value::Bool(true),
        })
    }

    /// The range of that id, deleted or not; `None` where there is none, or it cannot be understood.
    pub(super) fn find(workspace: &mut Workspace<'_>, id: ObjectId) -> Result<Option<Self>, AppError> {
        let state = workspace.object(id)?.filter(|state| state.entity == RANGE && state.meta.life != Life::Absent);
        Ok(state.and_then(|state| Self::read(state).ok()))
    }

    /// The ranges of that name which are not deleted.
    pub(super) fn named(workspace: &mut Workspace<'_>, name: &str) -> Result<Vec<Self>, AppError> {
        let holders = workspace.holders(RANGE, NAME, &Value::from(name))?;
        let mut ranges = Vec::with_capacity(holders.len());
        for id in holders {
            ranges.extend(Self::find(workspace, id)?);
        }
        Ok(ranges)
    }
}

/// The object of a node.
pub(super) fn node_object(workspace: &mut Workspace<'_>, node: NodeId) -> Result<Option<ObjectId>, AppError> {
    let number = Value::Integer(i64::from(node.0));
    Ok(workspace.holders(NODE_ENTITY, NODE_NUMBER, &number)?.first().copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ids_are_those_of_the_schema() {
        let schema = mytism_schema::project(None).unwrap();
        let check = |entity: EntityId, name: &str, members: &[(AttributeId, &str)]| {
            let found = schema.entity_by_id(entity).unwrap();
            assert_eq!(found.name, name);
            for (id, name) in members {
                assert_eq!(found.member_by_id(*id).map(|member| member.name.as_str()), Some(*name));
            }
        };
        check(NODE_ENTITY, "Node", &[(NODE_NUMBER, "Number")]);
        let members = [
            (NAME, "Name"),
            (NEXT, "Next"),
            (MIN, "Min"),
            (MAX, "Max"),
            (INCREMENT, "Increment"),
            (VALID, "Valid"),
            (NODE, "Node"),
        ];
        check(RANGE, "NumberRange", &members);
    }
}
