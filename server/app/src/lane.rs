//! The commit lane: the one place that writes.
//!
//! Work arrives as closures over a [`Work`]. Whatever waits when the lane is free forms a group: each closure works on
//! a layer of its own, the accepted layers become one batch, and the batch becomes durable in one commit. Only then is
//! anybody told: the callers that it is done, the watchers what happened. Closures may run twice, since a group whose
//! commit fails is run again one by one, so that one that cannot be written fails alone.
//!
//! Who finds the lane idle runs his own work in it at once; else a thread runs what waits. So a single client pays for
//! no change of threads, and many share commits.

mod answer;
mod core;
mod work;

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread::JoinHandle;

use mytism_core::id::Position;

use self::answer::{Answer, Caller};
use self::core::Core;
use crate::error::AppError;
use crate::foundation::Foundation;
pub(crate) use work::{Places, State, Work};

/// Pieces of work in one group at most.
const GROUP: usize = 256;

/// See the module. Dropping it ends the thread after the work that waits.
pub(crate) struct Lane {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    queue: Mutex<Queue>,
    /// Told when work arrives for the thread, and when the lane is closed.
    arrived: Condvar,
    core: Mutex<Core>,
}

struct Queue {
    tasks: VecDeque<Box<dyn Task>>,
    open: bool,
}

/// Called after each commit, with the end of the log; must not wait.
pub(crate) type OnCommit = Box<dyn Fn(Position) + Send + Sync>;

impl Lane {
    pub(crate) fn start(foundation: Arc<Foundation>, state: State) -> Result<Self, AppError> {
        let queue = Mutex::new(Queue { tasks: VecDeque::new(), open: true });
        let core = Mutex::new(Core::new(foundation, state));
        let shared = Arc::new(Shared { queue, arrived: Condvar::new(), core });
        let of_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("commit".to_owned())
            .spawn(move || of_thread.run())
            .map_err(|error| AppError::failed("no-thread", format!("cannot start the commit thread: {error}")))?;
        Ok(Self { shared, thread: Mutex::new(Some(thread)) })
    }

    /// Runs a closure in the lane and waits until what it did is durable.
    pub(crate) fn execute<T, F>(&self, closure: F) -> Result<T, AppError>
    where
        T: Send + 'static,
        F: FnMut(&mut Work<'_>) -> Result<T, AppError> + Send + 'static,
    {
        self.submit(closure, false)
    }

    /// Like [`Self::execute`], in a group of its own: what it finds in the store is all that there is.
    pub(crate) fn execute_alone<T, F>(&self, closure: F) -> Result<T, AppError>
    where
        T: Send + 'static,
        F: FnMut(&mut Work<'_>) -> Result<T, AppError> + Send + 'static,
    {
        self.submit(closure, true)
    }

    fn submit<T, F>(&self, closure: F, alone: bool) -> Result<T, AppError>
    where
        T: Send + 'static,
        F: FnMut(&mut Work<'_>) -> Result<T, AppError> + Send + 'static,
    {
        let (answer, waiting) = answer::pair();
        self.shared.accept(Box::new(Closure { closure, alone, result: None, answer }))?;
        // Without an answer the work was dropped: the lane closed, or the work itself panicked and was reported.
        waiting.wait().unwrap_or_else(|| Err(stopped()))
    }

    /// Lets the work that waits be done and takes no more.
    pub(crate) fn stop(&self) {
        self.shared.queue().open = false;
        self.shared.arrived.notify_all();
        if let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // A panic of the thread has been reported where it happened.
            let _ended = thread.join();
        }
    }
}

#[cfg(test)]
impl Lane {
    /// Keeps the lane busy until what this returns is dropped.
    pub(crate) fn hold(&self) -> impl Drop + '_ {
        self.shared.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How much work waits for it.
    pub(crate) fn waiting(&self) -> usize {
        self.shared.queue().tasks.len()
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.stop();
    }
}

fn stopped() -> AppError {
    AppError::failed("node-stops", "the node is shutting down")
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes work: runs it at once where the lane is idle, else leaves it to the thread.
    fn accept(&self, task: Box<dyn Task>) -> Result<(), AppError> {
        let mut queue = self.queue();
        if !queue.open {
            return Err(stopped());
        }
        let idle = if queue.tasks.is_empty() { self.try_core() } else { None };
        if let Some(mut core) = idle {
            drop(queue);
            core.run(vec![task]);
        } else {
            queue.tasks.push_back(task);
            drop(queue);
            self.arrived.notify_one();
        }
        Ok(())
    }

    fn try_core(&self) -> Option<MutexGuard<'_, Core>> {
        match self.core.try_lock() {
            Ok(core) => Some(core),
            // A panic in a piece of work changed nothing of the core, which only takes what became durable.
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// The thread: whatever waits, group by group, until the lane is closed and nothing waits.
    fn run(&self) {
        while self.wait() {
            let mut core = self.core.lock().unwrap_or_else(PoisonError::into_inner);
            let group = self.queue().group();
            // The work that panics drops its answers, which tells who waits; the lane goes on.
            let _reported = catch_unwind(AssertUnwindSafe(|| core.run(group)));
        }
        self.core.lock().unwrap_or_else(PoisonError::into_inner).close();
    }

    /// Waits for work; whether there is some.
    fn wait(&self) -> bool {
        let queue = self.queue();
        let queue = self.arrived.wait_while(queue, |queue| queue.open && queue.tasks.is_empty());
        !queue.unwrap_or_else(PoisonError::into_inner).tasks.is_empty()
    }
}

impl Queue {
    /// What can be done together, from the front.
    fn group(&mut self) -> Vec<Box<dyn Task>> {
        let mut group: Vec<Box<dyn Task>> = Vec::new();
        while group.len() < GROUP {
            let Some(next) = self.tasks.pop_front_if(|next| group.is_empty() || !next.is_alone()) else { break };
            let alone = next.is_alone();
            group.push(next);
            if alone {
                break;
            }
        }
        group
    }
}

/// A closure with the place where its result goes, whatever that is.
trait Task: Send {
    /// Whether it must be the only one of its group.
    fn is_alone(&self) -> bool;
    /// Runs it; whether it was accepted.
    fn run(&mut self, work: &mut Work<'_>) -> bool;
    /// Leaves the result to who waits for it; or the error, where the commit failed. He is told with the others.
    fn finish(self: Box<Self>, failed: Option<AppError>) -> Option<Caller>;
}

struct Closure<T, F> {
    closure: F,
    alone: bool,
    result: Option<Result<T, AppError>>,
    answer: Answer<Result<T, AppError>>,
}

impl<T, F> Task for Closure<T, F>
where
    T: Send,
    F: FnMut(&mut Work<'_>) -> Result<T, AppError> + Send,
{
    fn is_alone(&self) -> bool {
        self.alone
    }

    fn run(&mut self, work: &mut Work<'_>) -> bool {
        let result = (self.closure)(work);
        let accepted = result.is_ok();
        self.result = Some(result);
        accepted
    }

    fn finish(self: Box<Self>, failed: Option<AppError>) -> Option<Caller> {
        let result = match (failed, self.result) {
            (_, Some(Err(refused))) => Err(refused),
            (Some(failed), _) => Err(failed),
            (None, Some(done)) => done,
            (None, None) => Err(AppError::failed("internal", "the work was never done")),
        };
        self.answer.give(result)
    }
}
