//! Leases between head office and branch.
//!
//! A branch tells, at the begin of each line and as its stock goes down, up to where it may give numbers. The head
//! office keeps for each range the furthest number that it ever leased, to whomever, and leases only beyond it. Where a
//! branch does not know its last lease, it lost it: to a broken line, or with a part of its life, in which numbers of
//! that lease may have been given. Nobody can tell the two apart, so the numbers are passed over and listed.

use mytism_core::change::Life;
use mytism_core::id::{NodeId, ObjectId};
use mytism_core::number::{Lease, LeaseWish, Number};
use mytism_core::value::Value;
use mytism_store::View;

use super::range::{Range, node_object};
use super::standing::{Gap, Standings, furthest};
use super::{NODE, RANGE, draw};
use crate::App;
use crate::context::Context;
use crate::draft::Draft;
use crate::error::AppError;
use crate::lane::Work;
use crate::output::find_node;
use crate::record::{self, About};

/// Ranges of one node that are looked at; more than any firm has.
const RANGES_MAX: u32 = 10_000;
/// Numbers that one lease has at most, whatever was used before.
const LEASE_MAX: u64 = 10_000_000;

impl App {
    /// What this branch says of its number ranges. Where no more than half of a lease is left, it wishes another one.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn lease_wishes(&self) -> Result<Vec<LeaseWish>, AppError> {
        let view = self.view()?;
        let (standings, policy) = (Standings::read(&*view)?, self.foundation.reminders.policy());
        let (own, now) = (self.identity().node, self.foundation.surroundings.now());
        let Some(node) = find_node(self.schema(), &*view, own)? else { return Ok(Vec::new()) };
        let mut wishes = Vec::new();
        for id in view.find(RANGE, NODE, &Value::Reference(node.id), RANGES_MAX)? {
            let range = view.object(id)?.and_then(|state| Range::read(&state).ok());
            let Some(range) = range.filter(|range| range.is_valid) else { continue };
            let standing = standings.get(id);
            let (held, given) = (standing.and_then(|one| one.end_for(own)), standing.and_then(|one| one.given));
            let used = standing.map_or(0, |one| one.used.recent(now, policy.window_micros()));
            let wanted = wanted(&range, held, given, policy.count(used));
            wishes.push(LeaseWish { range: id, held, given, wanted });
        }
        Ok(wishes)
    }

    /// Leases numbers to a branch, at the head office, and tells it where it lost a lease.
    ///
    /// # Errors
    /// When this is no head office, or the ledger or the database cannot be written.
    pub fn grant_leases(&self, node: NodeId, wishes: Vec<LeaseWish>) -> Result<Vec<Lease>, AppError> {
        self.lane.execute(move |work| {
            if !work.state.authoritative {
                return Err(AppError::refused("not-authoritative", "only the head office leases numbers"));
            }
            let mut leases = Vec::new();
            for wish in &wishes {
                leases.extend(grant(work, node, wish)?);
            }
            Ok(leases)
        })
    }

    /// Takes leases that the head office granted, at a branch.
    ///
    /// # Errors
    /// When the ledger or the database cannot be written.
    pub fn take_leases(&self, leases: Vec<Lease>) -> Result<(), AppError> {
        self.lane.execute(move |work| leases.iter().try_for_each(|lease| take(work, lease)))
    }

    /// Lets `Next` of the own ranges follow what was drawn while it could not, once nothing is pending. Returns whether
    /// there was anything to do.
    ///
    /// # Errors
    /// When the database cannot be read or written.
    pub fn show_next_numbers(&self) -> Result<bool, AppError> {
        let view = self.view()?;
        if view.pending_count()? > 0 || !lags_behind(&*view, self.identity().node)? {
            return Ok(false);
        }
        drop(view);
        self.lane.execute(show_next)
    }
}

/// How many more numbers are wished.
fn wanted(range: &Range, held: Option<Number>, given: Option<Number>, count: u64) -> u64 {
    let bounds = &range.bounds;
    let direction = bounds.direction();
    let next = furthest(direction, given.map(|given| bounds.after(given)), range.next);
    let next = next.unwrap_or_else(|| bounds.first());
    let all_is_leased = held.is_some_and(|held| !bounds.contains(bounds.after(held)));
    let left = match held {
        Some(held) if !direction.is_beyond(next, held) => {
            bounds.left(next).saturating_sub(bounds.left(bounds.after(held)))
        }
        _ => 0,
    };
    if all_is_leased || !bounds.contains(next) || left > count / 2 { 0 } else { count }
}

fn grant(work: &mut Work<'_>, node: NodeId, wish: &LeaseWish) -> Result<Option<Lease>, AppError> {
    let owner = node_object(&mut work.workspace, node)?;
    let is_alive = work.workspace.alive(wish.range)?.is_some();
    let range = Range::find(&mut work.workspace, wish.range)?.filter(|range| is_alive && range.is_valid);
    let Some(range) = range.filter(|range| owner.is_some() && range.node == owner) else { return Ok(None) };
    let bounds = range.bounds;
    let direction = bounds.direction();
    let own = work.foundation.identity.node;
    let standing = work.state.numbers.of(wish.range, direction);
    // Up to here numbers may have been given: by this branch, by another, or by the head office itself, which knows
    // what of its own lease it gave.
    let leased = standing.lease.filter(|lease| lease.holder != own).map(|lease| lease.end);
    let known = furthest(direction, leased, standing.given);
    let is_lost = standing.end_for(node).is_some();
    let base = furthest(direction, known, furthest(direction, wish.held, wish.given));
    let passed = known.filter(|known| wish.held.is_none_or(|held| direction.is_beyond(*known, held)));
    if let Some(base) = base.filter(|base| known != Some(*base)) {
        // The branch knows more than the head office, which then is the older one.
        standing.extend(base, node);
    }
    if wish.wanted == 0 && passed.is_none() {
        return Ok(None);
    }
    let first = base.map_or_else(|| bounds.first(), |base| bounds.after(base));
    let first = furthest(direction, Some(first), range.next).unwrap_or(first);
    let first = direction.further(first, bounds.first());
    let end = bounds.contains(first).then(|| bounds.reach(first, wish.wanted.clamp(1, LEASE_MAX)));
    if let Some(end) = end {
        standing.extend(end, node);
    }
    Ok(Some(Lease { range: wish.range, passed, is_lost: is_lost && passed.is_some(), end }))
}

fn take(work: &mut Work<'_>, lease: &Lease) -> Result<(), AppError> {
    let Some(range) = Range::find(&mut work.workspace, lease.range)? else { return Ok(()) };
    let (own, now) = (work.foundation.identity.node, work.now);
    let direction = range.bounds.direction();
    let standing = work.state.numbers.of(lease.range, direction);
    let known = furthest(direction, standing.end_for(own), standing.given);
    let passed = lease.passed.filter(|passed| known.is_none_or(|known| direction.is_beyond(*passed, known)));
    let behind = standing.given;
    if let Some(passed) = passed {
        standing.given = Some(passed);
    }
    for end in [passed, lease.end].into_iter().flatten() {
        standing.extend(end, own);
    }
    if let Some(passed) = passed.filter(|_| lease.is_lost) {
        work.state.numbers.gaps.push(Gap { range: lease.range, behind, to: passed, time: now });
        let (name, node) = (&range.name, &work.foundation.identity.name);
        let words = behind.map_or_else(String::new, |behind| format!(" behind {behind}"));
        let text = format!(
            "the head office leased numbers of the range {name} up to {passed} to {node}, which does not know it: \
             numbers{words} up to there may have been given (`numbers void` lists them)"
        );
        work.foundation.warn_once(&format!("lease {}", lease.range), text);
    }
    Ok(())
}

/// Ranges of this node whose `Next` is not what comes next.
fn lags_behind(view: &dyn View, own: NodeId) -> Result<bool, AppError> {
    for (id, one) in &Standings::read(view)?.ranges {
        let alive = view.object(*id)?.filter(|state| state.meta.life == Life::Alive && state.entity == RANGE);
        let Some(range) = alive.and_then(|state| Range::read(&state).ok()) else { continue };
        let Some(given) = one.given.filter(|_| one.end_for(own).is_some()) else { continue };
        if is_stale(&range, given) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether `Next` says less than what was given.
fn is_stale(range: &Range, given: Number) -> bool {
    let next = range.bounds.after(given);
    match range.next {
        Some(shown) => range.bounds.direction().is_beyond(next, shown),
        None => range.bounds.contains(next),
    }
}

fn show_next(work: &mut Work<'_>) -> Result<bool, AppError> {
    let node = node_object(&mut work.workspace, work.foundation.identity.node)?;
    let given: Vec<(ObjectId, Number)> =
        work.state.numbers.ranges.iter().filter_map(|(id, one)| Some((*id, one.given?))).collect();
    let mut draft = Draft::new(work, &Context::system());
    for (id, given) in given {
        let is_alive = draft.work.workspace.alive(id)?.is_some();
        let range = Range::find(&mut draft.work.workspace, id)?.filter(|range| is_alive && range.node == node);
        let Some(range) = range.filter(|range| is_stale(range, given)) else { continue };
        let next = range.bounds.after(given);
        draw::follow(&mut draft, id, range.bounds.contains(next).then_some(next))?;
    }
    let (changes, stamp) = draft.finish()?;
    if changes.is_empty() {
        return Ok(false);
    }
    let about = About { description: "Next numbers, as far as they are given".to_owned(), ..About::default() };
    record::own(work, about, stamp, changes)?;
    Ok(true)
}
