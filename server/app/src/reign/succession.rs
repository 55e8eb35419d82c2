//! A branch takes the place of the head office, and a head office becomes a branch.
//!
//! What the new head office had pending becomes part of its log, in its order; nobody else can decide on it any more.
//! What the old one had and the new one lacks is not lost: whoever has it takes it back from his log when he meets the
//! new head office, and offers it anew.

use mytism_core::change::{Change, Entry, Outcome, Slot};
use mytism_core::id::{Hash, ObjectId, Position};
use mytism_core::value::Value;
use mytism_format::entry;
use mytism_format::hash::Secret;
use mytism_format::transaction;

use super::{Rule, begin};
use crate::App;
use crate::apply;
use crate::cluster;
use crate::context::Context;
use crate::draft::Draft;
use crate::error::AppError;
use crate::lane::Work;
use crate::record::{self, About};
use crate::start::put_identity;

/// Rows of pending transactions that are read at once.
const ROWS: u32 = 1_000;
const BYTES: usize = 4 << 20;

impl App {
    /// Makes this branch the head office: a new reign begins here. Returns the end of its log.
    ///
    /// # Errors
    /// When it is the head office already, or the database cannot be written.
    pub fn promote(&self) -> Result<Position, AppError> {
        self.lane.execute_alone(|work| {
            if work.state.authoritative {
                return Err(AppError::refused("authoritative-already", "this node is the head office already"));
            }
            let epoch = work.state.position().epoch + 1;
            work.state.epoch = epoch;
            accept_pending(work)?;
            work.state.authoritative = true;
            begin(work, epoch)?;
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

/// Lets all that is pending happen as it is seen here.
fn accept_pending(work: &mut Work<'_>) -> Result<(), AppError> {
    let mut after = i64::MIN;
    loop {
        let rows = work.workspace.view()?.pending_after(after, ROWS, BYTES)?;
        let Some(last) = rows.last() else { return Ok(()) };
        after = last.place;
        for row in rows {
            let (id, _, transaction_hash) = transaction::peek(&row.bytes)?;
            let head = work.state.head;
            let new = Entry {
                position: Position { epoch: work.state.epoch, number: work.state.position().number + 1 },
                previous: head.map_or(Hash::default(), |head| head.hash),
                head: work.foundation.identity.node,
                transaction: id,
                transaction_hash,
                committed_at: work.now,
                outcome: Outcome::PLAIN,
            };
            // An entry without leaves has nothing to salt.
            let entry = entry::write(new, &Secret([0; 32]))?;
            apply::apply(work, &entry, None)?;
        }
    }
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
