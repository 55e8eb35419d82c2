//! A branch takes the place of the head office, and a head office becomes a branch.
//!
//! What the new head office had pending it decides on itself, in its order, as the old one would have done.
//! What the old one had and the new one lacks is not lost: whoever has it takes it back from his log when he meets the
//! new head office, and offers it anew.

use std::collections::BTreeMap;

use mytism_core::change::{Change, Slot};
use mytism_core::id::{ObjectId, Position};
use mytism_core::journal::Cause;
use mytism_core::value::Value;
use mytism_format::transaction::{self, StoredTransaction};

use super::{Rule, begin};
use crate::App;
use crate::admit;
use crate::cluster;
use crate::context::Context;
use crate::draft::Draft;
use crate::error::AppError;
use crate::history;
use crate::journal::{self, Seen, Sight};
use crate::lane::Work;
use crate::record::{self, About};
use crate::stack::Ground;
use crate::start::put_identity;

/// Rows of pending transactions that are read at once.
const ROWS: u32 = 1_000;
const BYTES: usize = 4 << 20;

impl App {
    /// Makes this branch the head office: a new reign begins here. Returns the end of its log.
    ///
    /// # Errors
    /// When it is the head office already, its history is not here whole, or the database cannot be written.
    pub fn promote(&self) -> Result<Position, AppError> {
        self.lane.execute_alone(|work| {
            if work.state.authoritative {
                return Err(AppError::refused("authoritative-already", "this node is the head office already"));
            }
            history::check_whole(work.workspace.view()?)?;
            let epoch = work.state.position().epoch + 1;
            let waiting = withdraw(work)?;
            work.state.authoritative = true;
            begin(work, epoch)?;
            waiting.into_iter().try_for_each(|stored| admit::admit(work, work.foundation.identity.node, stored))?;
            name_head_office(work)?;
            super::warn(work, format!("this node is the head office by now: reign {epoch} begins"));
            Ok(work.state.position())
        })
    }

    /// Makes this head office a branch, since another node took its place. What it has beyond the new one's log it takes
    /// back and offers when it meets it.
    ///
    /// # Errors
    /// When it is a branch already, or the database cannot be written.
    pub fn abdicate(&self) -> Result<(), AppError> {
        self.lane.execute_alone(|work| {
            if !work.state.authoritative {
                return Err(AppError::refused("branch-already", "this node is a branch already"));
            }
            work.state.authoritative = false;
            work.state.rule = Rule::Ruling;
            let identity = work.state.identity(&work.foundation.identity);
            work.workspace.write(put_identity(&identity));
            super::warn(work, "this node is a branch by now".to_owned());
            Ok(())
        })
    }
}

/// Takes all that is pending off what the log says; returns it in its order. Followers of the journal see it go, and
/// come again as it is decided on.
fn withdraw(work: &mut Work<'_>) -> Result<Vec<StoredTransaction>, AppError> {
    let mut withdrawn = Vec::new();
    let mut grounds: BTreeMap<ObjectId, Ground> = BTreeMap::new();
    let mut places = Vec::new();
    let mut after = i64::MIN;
    loop {
        let rows = work.workspace.view()?.pending_after(after, ROWS, BYTES)?;
        let Some(last) = rows.last() else { break };
        after = last.place;
        for row in rows {
            places.push(row.place);
            let stored = transaction::read(row.bytes)?;
            for change in &stored.transaction.changes {
                Ground::among(&mut grounds, work, change.object, change.entity)?.look_at(work, change.slot)?;
            }
            withdrawn.push(stored);
        }
    }
    let Some(first) = withdrawn.first().map(|stored| stored.transaction.id) else { return Ok(withdrawn) };
    let before: Vec<Sight> = grounds.values().map(|ground| ground.sight(work)).collect::<Result<_, _>>()?;
    places.into_iter().for_each(|place| work.workspace.settle(place));
    let mut seen = Vec::new();
    for ((object, ground), before) in grounds.iter().zip(before) {
        ground.lay(work)?;
        seen.extend(before.became(*object, &ground.sight(work)?));
    }
    journal::append(work, Cause::RolledBack, first, None, &Seen::Are(seen))?;
    Ok(withdrawn)
}

/// The nodes show who is the head office.
fn name_head_office(work: &mut Work<'_>) -> Result<(), AppError> {
    let entity = cluster::node_entity(work.workspace.schema)?;
    let (number, flag) = (cluster::attribute(entity, "Number")?, cluster::attribute(entity, "Authoritative")?);
    let own = Value::Integer(i64::from(work.foundation.identity.node.0));
    let own: Vec<ObjectId> = work.workspace.holders(entity.id, number, &own)?;
    let others = work.workspace.holders(entity.id, flag, &Value::Bool(true))?;
    let mut draft = Draft::new(work, &Context::system());
    for (id, is_head) in others.into_iter().map(|id| (id, false)).chain(own.into_iter().map(|id| (id, true))) {
        draft.record(id, entity.id, Slot::attribute(flag), Value::Bool(is_head))?;
    }
    let (changes, stamp): (Vec<Change>, _) = draft.finish()?;
    if !changes.is_empty() {
        let about = About { description: "Another node is the head office".to_owned(), ..About::default() };
        record::own(work, about, stamp, changes)?;
    }
    Ok(())
}
