//! Where work is prepared beside the commit lane: a few places, each with a view of the store that is kept for a while.
//!
//! Opening a view costs more than most saves look up, and after each commit a new one begins with empty caches. A view
//! that is a few groups old is as good, since whatever was looked at and has moved since is noticed in the lane. There
//! are not many more places than processors: more at once would only hold more views open and wait for each other.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use mytism_store::{Store, View};

use crate::error::AppError;
use crate::foundation::Published;

/// Groups that a view may be behind. Views that are kept for long keep the engine from reusing its log of writes.
const BEHIND: u64 = 32;
/// Writes after which they are closed as well: the larger the engine's log of writes has grown, the longer those wait
/// who save while it is worked off.
const WRITES: usize = 4_096;

/// See the module.
pub(crate) struct Desks {
    free: Mutex<Vec<Desk>>,
    freed: Condvar,
    /// Whether no view is kept, since somebody waits for all of them to end.
    is_cleared: AtomicBool,
}

/// A place, with the view that was last used there.
#[derive(Default)]
struct Desk {
    kept: Option<Seen>,
}

/// A view, and the last group that it is sure to show.
pub(crate) struct Seen {
    pub(crate) published: Arc<Published>,
    pub(crate) view: Box<dyn View>,
}

/// A place that is taken. Dropping it frees it.
pub(crate) struct Seat<'d> {
    desks: &'d Desks,
    desk: Desk,
}

impl Desks {
    pub(crate) fn new() -> Self {
        let processors = std::thread::available_parallelism().map_or(2, usize::from);
        let free = std::iter::repeat_with(Desk::default).take(processors + 2).collect();
        Self { free: Mutex::new(free), freed: Condvar::new(), is_cleared: AtomicBool::new(false) }
    }

    fn free(&self) -> MutexGuard<'_, Vec<Desk>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place; waits where all are taken. The last one that became free comes first, its caches being warm.
    pub(crate) fn sit(&self) -> Seat<'_> {
        let mut free = self.free();
        loop {
            if let Some(desk) = free.pop() {
                return Seat { desks: self, desk };
            }
            free = self.freed.wait(free).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Closes views that nobody uses, so that the engine can reuse its log of writes.
    pub(crate) fn close_views(&self) {
        let closed: Vec<_> = self.free().iter_mut().filter_map(|desk| desk.kept.take()).collect();
        drop(closed);
    }

    /// Closes them, and keeps none while something is done: those that are in use are closed as they come back.
    pub(crate) fn cleared<T>(&self, what: impl FnOnce() -> T) -> T {
        self.is_cleared.store(true, Ordering::SeqCst);
        self.close_views();
        let done = what();
        self.is_cleared.store(false, Ordering::SeqCst);
        done
    }

    /// Whether it is time for that, after so many groups that wrote so much together.
    pub(crate) const fn are_due(groups: u64, writes: usize) -> bool {
        groups >= BEHIND || writes >= WRITES
    }
}

impl Seat<'_> {
    /// The view that is kept here if it is not too old, else one of all that `latest` says.
    pub(crate) fn recent(&mut self, latest: &Arc<Published>, store: &dyn Store) -> Result<Seen, AppError> {
        match self.desk.kept.take() {
            Some(kept)
                if kept.published.group + BEHIND > latest.group
                    && Arc::ptr_eq(&kept.published.schema, &latest.schema) =>
            {
                Ok(kept)
            }
            _ => Self::fresh(latest, store),
        }
    }

    /// A view of all that `latest` says, which was published before this is called.
    pub(crate) fn fresh(latest: &Arc<Published>, store: &dyn Store) -> Result<Seen, AppError> {
        Ok(Seen { published: Arc::clone(latest), view: store.view()? })
    }

    /// Keeps a view for the next one who sits here.
    pub(crate) fn keep(&mut self, seen: Seen) {
        if !self.desks.is_cleared.load(Ordering::SeqCst) {
            self.desk.kept = Some(seen);
        }
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        self.desks.free().push(std::mem::take(&mut self.desk));
        self.desks.freed.notify_one();
    }
}
