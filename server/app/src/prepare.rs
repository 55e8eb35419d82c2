//! The way of every transaction that is made at this node: drafted beside the commit lane, then committed in it.
//!
//! Drafting looks things up, checks and encodes; it runs on the thread of who saves, on a view of the last commit. The
//! lane takes over what came of it if nothing that it looked at has moved since. Else it is drafted again, and the third
//! time in the lane, where nothing moves, so that every save comes to an end. The outcome is that of some serial order,
//! the order of the log.

use std::sync::Arc;

use mytism_core::change::{Change, Stamp};
use mytism_core::operation::Saved;
use mytism_core::schema::Schema;

use crate::behaviour::Saving;
use crate::desks::{Seat, Seen};
use crate::error::AppError;
use crate::foundation::Foundation;
use crate::kept;
use crate::lane::{Lane, Work};
use crate::record::{self, About, Content};
use crate::workspace::PreparedLayer;

/// How a transaction is drafted beside the lane, time after time.
const LOOKS: [Look; 2] = [Look::Recent, Look::Fresh];

/// How new the view is that a draft is made on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Look {
    /// It may lack the last few groups. That is good enough for what is committed, but not for a refusal.
    Recent,
    /// It shows all that was acknowledged before.
    Fresh,
}

/// A transaction as it was drafted, with an answer for who asked for it. The changes have happened in the topmost layer.
pub(crate) struct Drafted<T> {
    pub(crate) about: About,
    pub(crate) stamp: Stamp,
    pub(crate) changes: Vec<Change>,
    pub(crate) answer: T,
}

/// Makes a draft. It may run several times, and must change nothing but what it works with.
pub(crate) trait Drafting<T>: Fn(&mut Work<'_>) -> Result<Drafted<T>, AppError> + Send + Sync + 'static {}
impl<T, F: Fn(&mut Work<'_>) -> Result<Drafted<T>, AppError> + Send + Sync + 'static> Drafting<T> for F {}

/// What became of a draft: what was saved, where there was something to save, and its answer.
pub(crate) type Done<T> = (Option<Saved>, T);

/// Drafts and commits a transaction.
pub(crate) fn commit<T: Send + 'static>(
    foundation: &Foundation,
    lane: &Lane,
    draft: impl Drafting<T>,
) -> Result<Done<T>, AppError> {
    for look in LOOKS {
        let schema = foundation.schema();
        let ended = match beside(foundation, look, &draft) {
            Ok(Beside::Unchanged(answer)) => return Ok((None, answer)),
            Ok(Beside::Prepared(prepared)) => {
                let mut prepared = Some(prepared);
                lane.execute(move |work| prepared.take().ok_or(AppError::Moved)?.commit(work))
            }
            Err(error) => Err(error),
        };
        match ended {
            Err(AppError::Moved) => {}
            Err(AppError::LaneOnly) => break,
            // What was looked at with names of one schema may have been of the other.
            Err(_) if !Arc::ptr_eq(schema, foundation.schema()) => {}
            ended => return ended,
        }
    }
    let inside = move |work: &mut Work<'_>| in_lane(work, &draft);
    // A behaviour asks the store, which does not know what others of the same group did.
    if foundation.behaviours().is_empty() { lane.execute(inside) } else { lane.execute_alone(inside) }
}

/// Drafts and commits a transaction together with something else that happens in the lane: both or neither.
pub(crate) fn commit_with<T: Send + 'static>(
    foundation: &Foundation,
    lane: &Lane,
    draft: impl Drafting<T>,
    also: impl Fn(&mut Work<'_>) -> Result<(), AppError> + Send + 'static,
) -> Result<Done<T>, AppError> {
    let inside = move |work: &mut Work<'_>| {
        let done = in_lane(work, &draft)?;
        also(work).map(|()| done)
    };
    if foundation.behaviours().is_empty() { lane.execute(inside) } else { lane.execute_alone(inside) }
}

/// Drafts without ever committing.
pub(crate) fn practise<T>(foundation: &Foundation, draft: impl Drafting<T>) -> Result<T, AppError> {
    let mut work = Work::practice(foundation, foundation.published().state.clone());
    drafted(&mut work, &draft).map(|drafted| drafted.answer)
}

fn drafted<T>(work: &mut Work<'_>, draft: &impl Drafting<T>) -> Result<Drafted<T>, AppError> {
    let drafted = draft(work)?;
    kept::check(&drafted.changes)?;
    if !drafted.changes.is_empty() {
        for behaviour in work.foundation.behaviours() {
            behaviour.before_save(&mut Saving::new(work, &drafted.changes))?;
        }
    }
    Ok(drafted)
}

fn in_lane<T>(work: &mut Work<'_>, draft: &impl Drafting<T>) -> Result<Done<T>, AppError> {
    let Drafted { about, stamp, changes, answer } = drafted(work, draft)?;
    if changes.is_empty() {
        return Ok((None, answer));
    }
    Ok((Some(record::own(work, about, stamp, changes)?), answer))
}

enum Beside<T> {
    /// There is nothing to save.
    Unchanged(T),
    Prepared(Box<Prepared<T>>),
}

/// A transaction that is ready for the lane.
struct Prepared<T> {
    /// The group that its view shows, or a later one.
    since: u64,
    /// The schema under which it was drafted.
    schema: Arc<Schema>,
    /// The life of the node in which it was drafted, from whose blocks its ids are.
    incarnation: u32,
    layer: PreparedLayer,
    content: Content,
    answer: T,
}

fn beside<T>(foundation: &Foundation, look: Look, draft: &impl Drafting<T>) -> Result<Beside<T>, AppError> {
    let mut seat = foundation.desks.sit();
    // Taken before a view is opened, so that the view shows this group at least.
    let latest = foundation.published();
    let seen = match look {
        Look::Recent => seat.recent(&latest, &*foundation.store)?,
        Look::Fresh => Seat::fresh(&latest, &*foundation.store)?,
    };
    let published = seen.published;
    let is_final = published.group == latest.group;
    let mut work = Work::beside(foundation, published.state.clone(), seen.view);
    if !Arc::ptr_eq(&published.schema, foundation.schema()) {
        return Err(AppError::Moved);
    }
    let drafted = drafted(&mut work, draft);
    let refused = matches!(&drafted, Err(AppError::Refused(_)));
    if refused && !is_final {
        return Err(AppError::Moved);
    }
    let Drafted { about, stamp, changes, answer } = drafted?;
    let (layer, view) = work.workspace.into_prepared()?;
    let (since, incarnation) = (published.group, published.state.incarnation);
    let schema = Arc::clone(&published.schema);
    seat.keep(Seen { published, view });
    drop(seat);
    if changes.is_empty() {
        return if is_final { Ok(Beside::Unchanged(answer)) } else { Err(AppError::Moved) };
    }
    let content = Content::new(foundation, about, stamp, changes)?;
    Ok(Beside::Prepared(Box::new(Prepared { since, schema, incarnation, layer, content, answer })))
}

impl<T> Prepared<T> {
    /// Takes it over into the lane, if nothing has moved.
    fn commit(self, work: &mut Work<'_>) -> Result<Done<T>, AppError> {
        let is_same = work.state.incarnation == self.incarnation && Arc::ptr_eq(&self.schema, work.foundation.schema());
        if !is_same || work.has_moved(self.since, self.layer.reads.iter().copied()) {
            return Err(AppError::Moved);
        }
        let version = work.next_version();
        work.workspace.take_over(self.layer, self.content.changes(), version);
        Ok((Some(self.content.record(work)?), self.answer))
    }
}

#[cfg(test)]
mod tests;
