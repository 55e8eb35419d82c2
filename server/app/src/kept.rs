//! Objects that only the node itself makes and changes, since it relies on them: those of the nodes, of which people may
//! only delete one that is gone for good; and the first users, groups and node, which must stay.
//!
//! Asked about every transaction that somebody asks for at this node. It knows nothing of why the node itself changes
//! them; that goes another way, around this one.

use mytism_core::change::{Change, Life, Slot};
use mytism_core::failure::Failure;
use mytism_core::id::{AttributeId, EntityId, ObjectId, system};

use crate::error::AppError;

const NODE: EntityId = EntityId(3);
/// Where a node is reached is for people.
const ADDRESS: AttributeId = AttributeId(307);
/// So is how long an account may still be used.
const UNTIL: AttributeId = AttributeId(306);

/// Without these no node can be.
const FIRST: [(ObjectId, &str); 5] = [
    (system::NODE_HEAD_OFFICE, "the node of the head office"),
    (system::USER_SYSTEM, "the user System"),
    (system::USER_ADMIN, "the user Admin"),
    (system::GROUP_ADMINS, "the group Admins"),
    (system::GROUP_USERS, "the group Users"),
];

/// Whether people may make these changes.
pub(crate) fn check(changes: &[Change]) -> Result<(), AppError> {
    changes.iter().try_for_each(|change| {
        let is_of_people = [ADDRESS, UNTIL].map(Slot::attribute).contains(&change.slot);
        let is_free = is_of_people || (change.slot == Slot::LIFE && !change.old.is_null());
        if change.entity == NODE && !is_free {
            let message = format!("object {} is a node, which the system itself keeps", change.object);
            let hint =
                "a branch is made known with `nodes add`; otherwise only its Address and EnrolmentUntil may be changed";
            return Err(Failure::refused("system-object", message).hint(hint).into());
        }
        let goes = change.slot == Slot::LIFE && Life::of(&change.new) != Life::Alive;
        match FIRST.iter().find(|(id, _)| goes && *id == change.object) {
            Some((_, name)) => {
                let message = format!("{name} is needed by the system and cannot be deleted");
                Err(Failure::refused("system-object", message).into())
            }
            None => Ok(()),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ids_are_those_of_the_schema() {
        let schema = mytism_schema::project(None).unwrap();
        let node = schema.entity("Node").unwrap();
        assert_eq!(node.id, NODE);
        assert_eq!(node.member("Address").map(|member| member.id), Some(ADDRESS));
        assert_eq!(node.member("EnrolmentUntil").map(|member| member.id), Some(UNTIL));
    }
}
