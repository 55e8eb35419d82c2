//! A new life of a node that runs: its transactions count from 1 again under a new name, and nothing that the life before
//! was given is given out any longer.
//!
//! A node gets one where its database is an older copy, or where another copy of it spoke under its name: what the
//! life before gave cannot be known here as a whole. One whose notes beside the database are gone asks for it by itself.

use mytism_core::id::BlockId;
use mytism_store::Write;

use crate::App;
use crate::error::AppError;
use crate::lane::Work;
use crate::numbers;
use crate::start::put_identity;

/// Where it is kept that a new life is wanted; empty where none is.
const WANTED: &str = "wants-life";

/// Keeps that a new life is wanted.
pub(crate) fn want() -> Write {
    Write::Put { key: WANTED, value: vec![1] }
}

impl App {
    /// Whether this branch cannot know what its present life has given, and so should begin a new one.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn wants_life(&self) -> Result<bool, AppError> {
        Ok(self.view()?.get(WANTED)?.is_some_and(|value| !value.is_empty()))
    }

    /// Begins the life `incarnation` of this branch, whose new objects get ids from these blocks alone. What is pending
    /// stays pending under its names; leases of numbers are given up. A life that has begun begins no second time: then
    /// the blocks are added.
    ///
    /// # Errors
    /// When this is the head office, or the node is in a later life already; or when the database cannot be written.
    pub fn renew(&self, incarnation: u32, blocks: Vec<BlockId>) -> Result<(), AppError> {
        self.lane.execute_alone(move |work| renew(work, incarnation, &blocks))
    }
}

fn renew(work: &mut Work<'_>, incarnation: u32, blocks: &[BlockId]) -> Result<(), AppError> {
    if work.state.authoritative {
        return Err(AppError::refused("not-a-branch", "the head office begins a new life by itself"));
    }
    let present = work.state.incarnation;
    if incarnation < present {
        let message = format!("the life {incarnation} of this node is past, it is in its life {present}");
        return Err(AppError::refused("old-incarnation", message));
    }
    if incarnation == present {
        let mut allotment = work.foundation.allotment();
        blocks.iter().for_each(|block| allotment.ids.add(*block));
        return Ok(());
    }
    begin(work, incarnation)?;
    work.workspace.write(Write::Put { key: WANTED, value: Vec::new() });
    work.foundation.allotment().ids.only(blocks);
    work.foundation.reminders.settle("ids");
    give_up_numbers(work);
    Ok(())
}

/// Gives up the leases of numbers of the life before, and says what may be missing.
pub(crate) fn give_up_numbers(work: &mut Work<'_>) {
    let (node, now) = (work.foundation.identity.node, work.now);
    for (matter, text) in numbers::give_up(&mut work.state.numbers, node, now) {
        work.foundation.warn_once(&matter, text);
    }
}

/// Begins a life, but for its ids.
pub(crate) fn begin(work: &mut Work<'_>, incarnation: u32) -> Result<(), AppError> {
    work.state.incarnation = incarnation;
    work.state.counter = work.workspace.view()?.last_counter(work.foundation.identity.node, incarnation)?;
    let identity = work.state.identity(&work.foundation.identity);
    work.workspace.write(put_identity(&identity));
    Ok(())
}
