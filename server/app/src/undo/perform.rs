//! Doing the steps of an undo in a layer, as far as what must hold allows.

use std::collections::BTreeMap;

use mytism_core::change::{Change, Life, Slot, Stamp};
use mytism_core::failure::Failure;
use mytism_core::id::ObjectId;

use super::{Found, Step};
use crate::constraint;
use crate::error::AppError;
use crate::kept;
use crate::record::by_object;
use crate::workspace::Workspace;

/// Sets back, in a layer on top of the topmost one that then joins it, what nothing stands in the way of. An object that
/// could not be as it was is left whole, and its steps get the refusal as their obstacle; since another one may then not
/// be as it was either, this goes on until all that is set back may be so.
pub(super) fn settle(
    workspace: &mut Workspace<'_>,
    steps: &mut [Step],
    stamp: Stamp,
    version: Option<u64>,
) -> Result<Vec<Change>, AppError> {
    loop {
        workspace.begin();
        let changes = set_back(workspace, steps, stamp, version)?;
        let mut refused: BTreeMap<ObjectId, Failure> = BTreeMap::new();
        for (object, changes) in by_object(&changes) {
            let changes: Vec<Change> = changes.into_iter().cloned().collect();
            match kept::check(&changes).and_then(|()| constraint::check(workspace, &changes)) {
                Ok(()) => {}
                Err(AppError::Refused(failure)) => drop(refused.insert(object, failure)),
                Err(error) => return Err(error),
            }
        }
        if refused.is_empty() {
            workspace.accept();
            return Ok(changes);
        }
        workspace.roll_back();
        for step in steps.iter_mut().filter(|step| step.obstacle.is_none()) {
            if let Some(failure) = refused.get(&step.object) {
                let (code, message) = (failure.code.clone(), failure.message.clone());
                step.obstacle = Some(Found { code, message, by: None });
            }
        }
    }
}

/// Objects come back before anything refers to them, and go when nothing does any longer.
fn set_back(
    workspace: &mut Workspace<'_>,
    steps: &[Step],
    stamp: Stamp,
    version: Option<u64>,
) -> Result<Vec<Change>, AppError> {
    let order = |step: &&Step| match (step.slot, Life::of(&step.before)) {
        (Slot::LIFE, Life::Alive) => 0,
        (Slot::LIFE, _) => 2,
        _ => 1,
    };
    let mut free: Vec<&Step> = steps.iter().filter(|step| step.obstacle.is_none()).collect();
    free.sort_by_key(order);
    let mut changes = Vec::with_capacity(free.len());
    for step in free {
        let (object, entity, slot) = (step.object, step.entity, step.slot);
        let change = Change { object, entity, slot, old: step.now.clone(), new: step.before.clone() };
        workspace.apply(&change, stamp, version)?;
        changes.push(change);
    }
    Ok(changes)
}
