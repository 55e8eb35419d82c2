//! One group after another: runs its work, writes what came of it, and tells.

use std::sync::Arc;

use mytism_core::planted::{Bug, is};
use mytism_store::batch::schema_of;
use mytism_store::{Batch, Store, Write};

use super::Task;
use super::answer;
use super::work::{Place, Places, State, Work};
use crate::allotment::Allotment;
use crate::cluster::Accounts;
use crate::desks::Desks;
use crate::error::AppError;
use crate::follower::Followers;
use crate::foundation::{Foundation, Identity, Who};
use crate::numbers::{self, Standings};
use crate::reads::Moved;
use crate::reign::Rule;
use crate::start;

/// What only who holds the lane may touch.
pub(super) struct Core {
    foundation: Arc<Foundation>,
    state: State,
    /// Ids and blocks as the database holds them.
    kept: Allotment,
    /// What the last groups changed.
    moved: Moved,
    /// Number of the last group that became durable.
    group: u64,
    /// Groups and writes since the views of the desks were closed.
    since_close: (u64, usize),
    /// Whether a commit failed and the end of the log has not been read again since.
    unsure: bool,
}

impl Core {
    pub(super) fn new(foundation: Arc<Foundation>, state: State) -> Self {
        let kept = foundation.allotment().clone();
        Self { foundation, state, kept, moved: Moved::new(), group: 0, since_close: (0, 0), unsure: false }
    }

    /// Does the work of a group and answers all who wait for it.
    pub(super) fn run(&mut self, mut group: Vec<Box<dyn Task>>) {
        if group.is_empty() {
            return;
        }
        match self.commit(&mut group) {
            Ok(()) => finish(group, None),
            Err(error) if group.len() == 1 => finish(group, Some(error)),
            Err(_) => {
                for task in group {
                    let mut alone = vec![task];
                    let failed = self.commit(&mut alone).err();
                    finish(alone, failed);
                }
            }
        }
        self.foundation.committed(self.state.position());
    }

    /// Lets the database hold exactly what is left of the ids.
    pub(super) fn close(&mut self) {
        let allotment = self.foundation.allotment().clone();
        let batch = allotment.writes(&self.kept);
        // Where it fails, the database stays ahead of the ids, as after a crash.
        if !batch.is_empty() && self.foundation.store.commit(&batch).is_ok() {
            numbers::note_ids(&self.foundation, &allotment.ids);
            numbers::note_given_up(&self.foundation, &allotment.ids);
            self.kept = allotment;
        }
    }

    /// Runs the tasks of a group and writes what they did.
    fn commit(&mut self, group: &mut [Box<dyn Task>]) -> Result<(), AppError> {
        let result = self.attempt(group);
        self.forget_reign();
        result
    }

    /// What is drawn is gone whatever becomes of the work; but the ids of a reign that did not begin are nobody's.
    fn forget_reign(&self) {
        let mut allotment = self.foundation.allotment();
        if allotment.reign != self.kept.reign {
            *allotment = self.kept.clone();
        }
    }

    fn attempt(&mut self, group: &mut [Box<dyn Task>]) -> Result<(), AppError> {
        let foundation = Arc::clone(&self.foundation);
        if self.unsure {
            self.state = read_again(&*foundation.store, &foundation.identity, &self.state)?;
            let view = foundation.store.view()?;
            if view.schema() != foundation.schema() {
                foundation.adopt(Arc::clone(view.schema()));
            }
            self.unsure = false;
            foundation.interests.all_changed();
        }
        let number = self.group + 1;
        let place = Place::Lane { moved: &mut self.moved, group: number };
        let mut work = Work::new(&foundation, self.state.clone(), place);
        for task in group {
            work.run(|work| task.run(work));
        }
        let (mut batch, next, events) = work.into_batch();
        if next.incarnation == self.state.incarnation {
            self.forget_reign();
        }
        if next.accounts != self.state.accounts {
            batch.push(Write::Put { key: Accounts::KEY, value: next.accounts.to_bytes() });
        }
        if next.followers != self.state.followers {
            batch.push(Write::Put { key: Followers::KEY, value: next.followers.to_bytes() });
        }
        if next.rule != self.state.rule {
            batch.push(next.rule.write());
        }
        let numbers_before = (next.numbers != self.state.numbers).then(|| self.state.numbers.clone());
        if let Some(before) = &numbers_before {
            numbers::secure(&foundation, before, &next.numbers)?;
            batch.push(Write::Put { key: Standings::KEY, value: next.numbers.to_bytes() });
        }
        let allotment = foundation.allotment().clone();
        let keep = !batch.is_empty() || allotment.has_new_blocks(&self.kept);
        let held = allotment.to_keep(&self.kept).filter(|_| keep).map(|(writes, held)| {
            batch.extend(writes);
            held
        });
        if let Some(held) = &held {
            numbers::note_ids(&foundation, &held.ids);
        }
        if !batch.is_empty() {
            if let Some((schema, _)) = schema_of(&batch) {
                // Views that somebody keeps for later would hold up a database whose tables are made anew.
                foundation.desks.cleared(|| self.write(&batch, &next))?;
                foundation.adopt(Arc::clone(schema));
                foundation.interests.all_changed();
            } else {
                self.write(&batch, &next)?;
            }
            if let Some(before) = &numbers_before {
                numbers::note(&foundation, before, &next.numbers);
            }
            self.group = number;
            self.ring();
            foundation.publish(number, next.clone());
        }
        if let Some(held) = held {
            numbers::note_given_up(&foundation, &held.ids);
            self.kept = held;
        }
        self.state = next;
        foundation.watchers.publish(&events);
        foundation.news.publish(self.state.journal);
        Ok(())
    }

    /// Rings for those who look at what the last group changed.
    fn ring(&self) {
        let interests = &self.foundation.interests;
        if !interests.are_none() {
            match self.moved.changed_by(self.group) {
                Some(keys) => interests.changed(keys),
                None => interests.all_changed(),
            }
        }
    }

    /// Makes a batch durable that leads to the state `next`. Where the engine fails, the end of the log says whether it
    /// happened all the same.
    fn write(&mut self, batch: &Batch, next: &State) -> Result<(), AppError> {
        self.since_close.0 += 1;
        self.since_close.1 += batch.len();
        if Desks::are_due(self.since_close.0, self.since_close.1) {
            self.foundation.desks.close_views();
            self.since_close = (0, 0);
        }
        let Err(error) = self.foundation.store.commit(batch) else { return Ok(()) };
        if is(Bug::AcknowledgedBeforeDurable) {
            return Ok(());
        }
        if is(Bug::UnknownCountsAsFailed) {
            return Err(error.into());
        }
        self.unsure = true;
        let Ok(found) = read_again(&*self.foundation.store, &self.foundation.identity, &self.state) else {
            return Err(error.into());
        };
        self.unsure = false;
        let happened = found.is_at(next) && !self.state.is_at(next);
        self.state = found;
        if happened { Ok(()) } else { Err(error.into()) }
    }
}

/// The end of the log as the database has it, after a commit whose outcome is not known.
fn read_again(store: &dyn Store, who: &Who, state: &State) -> Result<State, AppError> {
    let view = store.view()?;
    let Identity { incarnation, authoritative, .. } = start::identity(&*view)?;
    let known = if incarnation == state.incarnation { state.counter } else { 0 };
    let counter = view.last_counter(who.node, incarnation)?.max(known);
    let places = Places::of(view.pending_ends()?).with(state.places);
    let (journal, followers) = (view.journal_bounds()?.1, Followers::stored(&*view)?);
    let numbers = Standings::read(&*view)?;
    let head = view.head()?;
    let accounts = state.accounts.clone();
    let (epoch, rule) = (head.map_or(1, |head| head.position.epoch), Rule::stored(&*view)?);
    Ok(State { incarnation, authoritative, head, counter, places, journal, followers, accounts, numbers, epoch, rule })
}

fn finish(group: Vec<Box<dyn Task>>, failed: Option<AppError>) {
    let mut failed = failed;
    answer::tell(group.into_iter().filter_map(|task| task.finish(failed.take())).collect());
}
