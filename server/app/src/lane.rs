//! The commit lane: the one thread that writes.
//!
//! Work arrives as closures over a [`Work`]. Whatever waits when the lane is free forms a group: each closure works on
//! a layer of its own, the accepted layers become one batch, and the batch becomes durable in one commit. Only then is
//! anybody told: the callers that it is done, the watchers what happened. Closures may run twice, since a group whose
//! commit fails is run again one by one, so that one that cannot be written fails alone.

use std::sync::mpsc::{self, Receiver, Sender, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use mytism_core::id::{NodeId, ObjectId, Position};
use mytism_core::operation::Event;
use mytism_core::schema::Schema;
use mytism_core::time::Timestamp;
use mytism_store::{Head, Store, Write};

use crate::cluster::{Accounts, Blocks};
use crate::error::AppError;
use crate::ids::Ids;
use crate::surroundings::Surroundings;
use crate::workspace::Workspace;

/// Saves in one group at most.
const GROUP: usize = 256;

/// Who this node is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Identity {
    /// Its name.
    pub name: String,
    /// Its number.
    pub node: NodeId,
    /// Which life of it.
    pub incarnation: u32,
    /// Whether its log is *the* order.
    pub authoritative: bool,
}

/// What the lane needs to work.
pub(crate) struct Foundation {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) schema: Arc<Schema>,
    pub(crate) surroundings: Arc<dyn Surroundings>,
    pub(crate) identity: Identity,
    pub(crate) watchers: Watchers,
}

/// Those who want to know what happened.
#[derive(Default)]
pub(crate) struct Watchers(Mutex<Vec<SyncSender<Event>>>);

impl Watchers {
    /// Events waiting for one watcher at most; one that is slower loses the newest.
    const WAITING: usize = 10_000;

    pub(crate) fn subscribe(&self) -> Receiver<Event> {
        let (sender, receiver) = mpsc::sync_channel(Self::WAITING);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(sender);
        receiver
    }

    pub(crate) fn publish(&self, events: &[Event]) {
        if events.is_empty() {
            return;
        }
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|watcher| {
            events
                .iter()
                .all(|event| !matches!(watcher.try_send(event.clone()), Err(mpsc::TrySendError::Disconnected(_))))
        });
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }
}

/// What the lane knows by heart, so that it need not read it for each save.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct State {
    /// The end of the authoritative log.
    pub(crate) head: Option<Head>,
    /// The last counter given to an own transaction.
    pub(crate) counter: u64,
    /// Object ids to give out.
    pub(crate) ids: Ids,
    /// Who owns which block of ids; known at the head office alone.
    pub(crate) blocks: Blocks,
    /// Accounts that nobody has used yet; known at the head office alone.
    pub(crate) accounts: Accounts,
}

impl State {
    /// The place of the last entry.
    pub(crate) fn position(&self) -> Position {
        self.head.map_or(Position { epoch: 1, number: 0 }, |head| head.position)
    }
}

/// What a closure works with.
pub(crate) struct Work<'v> {
    pub(crate) foundation: &'v Foundation,
    pub(crate) workspace: Workspace<'v>,
    pub(crate) state: State,
    /// The time for all that the group writes: that of the clock, but never before the last entry's.
    pub(crate) now: Timestamp,
    events: Vec<Event>,
}

impl Work<'_> {
    /// An id for a new object. The head office gives itself a block when it has none left.
    pub(crate) fn draw_id(&mut self) -> Result<ObjectId, AppError> {
        let identity = &self.foundation.identity;
        if identity.authoritative && self.state.ids.left() == 0 {
            self.state.ids.add(self.state.blocks.give(identity.node)?);
        }
        self.state.ids.draw()
    }

    /// Tells the watchers, once it is durable. The event is made only where somebody watches.
    pub(crate) fn tell(&mut self, event: impl FnOnce() -> Event) {
        if !self.foundation.watchers.is_empty() {
            self.events.push(event());
        }
    }
}

/// See the module. Dropping it ends the thread after the work that waits.
pub(crate) struct Lane {
    queue: Mutex<Option<Sender<Box<dyn Task>>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    committed: Arc<Committed>,
}

/// Called after each commit, with the end of the log; must not wait.
pub(crate) type OnCommit = Box<dyn Fn(Position) + Send + Sync>;

#[derive(Default)]
struct Committed {
    listener: Mutex<Option<OnCommit>>,
}

impl Lane {
    pub(crate) fn start(foundation: Arc<Foundation>, state: State) -> Result<Self, AppError> {
        let (queue, tasks) = mpsc::channel();
        let committed = Arc::<Committed>::default();
        let listener = Arc::clone(&committed);
        let thread = std::thread::Builder::new()
            .name("commit".to_owned())
            .spawn(move || run(&foundation, state, &tasks, &listener))
            .map_err(|error| AppError::failed("no-thread", format!("cannot start the commit thread: {error}")))?;
        Ok(Self { queue: Mutex::new(Some(queue)), thread: Mutex::new(Some(thread)), committed })
    }

    /// Sets who is told after each commit.
    pub(crate) fn on_commit(&self, listener: OnCommit) {
        *self.committed.listener.lock().unwrap_or_else(PoisonError::into_inner) = Some(listener);
    }

    /// Runs a closure in the lane and waits until what it did is durable.
    pub(crate) fn execute<T, F>(&self, closure: F) -> Result<T, AppError>
    where
        T: Send + 'static,
        F: FnMut(&mut Work<'_>) -> Result<T, AppError> + Send + 'static,
    {
        let (answer, receiver) = mpsc::sync_channel(1);
        let task: Box<dyn Task> = Box::new(Closure { closure, result: None, answer });
        let stopped = || AppError::failed("node-stops", "the node is shutting down");
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner).clone();
        queue.ok_or_else(stopped)?.send(task).map_err(|_| stopped())?;
        receiver.recv().map_err(|_| stopped())?
    }

    /// Lets the work that waits be done and ends the thread.
    pub(crate) fn stop(&self) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // A panic of the thread has been reported where it happened.
            let _ended = thread.join();
        }
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A closure with the place where its result goes, whatever that is.
trait Task: Send {
    /// Runs it; whether it was accepted.
    fn run(&mut self, work: &mut Work<'_>) -> bool;
    /// Gives the result to who waits for it; or the error, where the commit failed.
    fn finish(self: Box<Self>, failed: Option<AppError>);
}

struct Closure<T, F> {
    closure: F,
    result: Option<Result<T, AppError>>,
    answer: SyncSender<Result<T, AppError>>,
}

impl<T, F> Task for Closure<T, F>
where
    T: Send,
    F: FnMut(&mut Work<'_>) -> Result<T, AppError> + Send,
{
    fn run(&mut self, work: &mut Work<'_>) -> bool {
        let result = (self.closure)(work);
        let accepted = result.is_ok();
        self.result = Some(result);
        accepted
    }

    fn finish(self: Box<Self>, failed: Option<AppError>) {
        let result = match (failed, self.result) {
            (_, Some(Err(refused))) => Err(refused),
            (Some(failed), _) => Err(failed),
            (None, Some(done)) => done,
            (None, None) => Err(AppError::failed("internal", "the work was never done")),
        };
        // Who asked may be gone by now; what was done stands.
        let _gone = self.answer.send(result);
    }
}

fn run(foundation: &Foundation, mut state: State, tasks: &Receiver<Box<dyn Task>>, committed: &Committed) {
    while let Ok(first) = tasks.recv() {
        let mut group = vec![first];
        group.extend(tasks.try_iter().take(GROUP - 1));
        state = match commit(foundation, &state, &mut group) {
            Ok(next) => {
                finish(group, None);
                next
            }
            Err(error) if group.len() == 1 => {
                finish(group, Some(error));
                state
            }
            Err(_) => one_by_one(foundation, state, group),
        };
        if let Some(listener) = &*committed.listener.lock().unwrap_or_else(PoisonError::into_inner) {
            listener(state.position());
        }
    }
}

fn one_by_one(foundation: &Foundation, mut state: State, group: Vec<Box<dyn Task>>) -> State {
    for task in group {
        let mut alone = vec![task];
        match commit(foundation, &state, &mut alone) {
            Ok(next) => {
                state = next;
                finish(alone, None);
            }
            Err(error) => finish(alone, Some(error)),
        }
    }
    state
}

fn finish(group: Vec<Box<dyn Task>>, failed: Option<AppError>) {
    let mut failed = failed;
    for task in group {
        task.finish(failed.take());
    }
}

/// Runs the tasks of a group and writes what they did. Returns the state that then holds.
fn commit(foundation: &Foundation, state: &State, group: &mut [Box<dyn Task>]) -> Result<State, AppError> {
    let view = foundation.store.view()?;
    let now = foundation.surroundings.now();
    let now = state.head.map_or(now, |head| now.max(head.committed_at));
    let mut work = Work {
        foundation,
        now,
        workspace: Workspace::new(&foundation.schema, &*view),
        state: state.clone(),
        events: Vec::new(),
    };
    for task in group {
        let before = (work.state.clone(), work.events.len(), work.workspace.recent.len());
        work.workspace.begin();
        if task.run(&mut work) {
            work.workspace.accept();
        } else {
            work.workspace.roll_back();
            work.state = before.0;
            work.events.truncate(before.1);
            work.workspace.recent.truncate(before.2);
        }
    }
    let Work { mut workspace, state: next, events, .. } = work;
    if next.ids != state.ids {
        workspace.write(Write::Put { key: Ids::KEY, value: next.ids.to_bytes() });
    }
    if next.accounts != state.accounts {
        workspace.write(Write::Put { key: Accounts::KEY, value: next.accounts.to_bytes() });
    }
    if next.blocks != state.blocks {
        workspace.write(Write::Put { key: Blocks::KEY, value: next.blocks.to_bytes() });
    }
    let batch = workspace.into_batch();
    drop(view);
    if !batch.is_empty() {
        foundation.store.commit(&batch)?;
    }
    foundation.watchers.publish(&events);
    Ok(next)
}
