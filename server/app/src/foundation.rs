//! What a node's inside stands on, shared by the commit lane and all who prepare work beside it.

use std::collections::BTreeSet;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};

use mytism_core::id::{NodeId, Position};
use mytism_core::operation::Event;
use mytism_core::schema::Schema;
use mytism_store::Store;

use crate::allotment::Allotment;
use crate::behaviour::Behaviour;
use crate::clock::ClockOffset;
use crate::contents::Contents;
use crate::desks::Desks;
use crate::interest::Interests;
use crate::journal::News;
use crate::lane::{OnCommit, State};
use crate::numbers::Reminders;
use crate::surroundings::Surroundings;

/// Who this node is, as long as it runs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Who {
    pub(crate) name: String,
    pub(crate) node: NodeId,
}

/// Who this node is at a moment.
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

/// See the module.
pub(crate) struct Foundation {
    pub(crate) store: Arc<dyn Store>,
    schemas: Generation,
    pub(crate) surroundings: Arc<dyn Surroundings>,
    pub(crate) identity: Who,
    pub(crate) watchers: Watchers,
    /// Where work is prepared.
    pub(crate) desks: Desks,
    pub(crate) news: News,
    pub(crate) interests: Interests,
    pub(crate) reminders: Reminders,
    pub(crate) clock: ClockOffset,
    /// Branches all of whose log was here when they came, since this process began.
    pub(crate) met: Mutex<BTreeSet<NodeId>>,
    /// Who knows which contents of files are here.
    pub(crate) contents: OnceLock<Arc<dyn Contents>>,
    allotment: Mutex<Allotment>,
    published: RwLock<Arc<Published>>,
    behaviours: RwLock<Vec<Arc<dyn Behaviour>>>,
    listener: RwLock<Option<OnCommit>>,
}

/// A schema that held while this process ran, and the one that took its place. None of them goes before the process
/// does, so that work that began under one can end under it.
struct Generation {
    schema: Arc<Schema>,
    next: OnceLock<Box<Self>>,
}

impl Generation {
    const fn of(schema: Arc<Schema>) -> Self {
        Self { schema, next: OnceLock::new() }
    }

    fn last(&self) -> &Self {
        let mut last = self;
        while let Some(next) = last.next.get() {
            last = next;
        }
        last
    }
}

/// What the last group left behind.
pub(crate) struct Published {
    /// The schema under which it was written.
    pub(crate) schema: Arc<Schema>,
    /// Number of the group; groups count up from the start of the program.
    pub(crate) group: u64,
    pub(crate) state: State,
}

impl Foundation {
    pub(crate) fn new(
        store: Arc<dyn Store>,
        schema: Arc<Schema>,
        surroundings: Arc<dyn Surroundings>,
        identity: Who,
        allotment: Allotment,
        clock: ClockOffset,
        state: State,
    ) -> Self {
        Self {
            store,
            schemas: Generation::of(Arc::clone(&schema)),
            surroundings,
            identity,
            watchers: Watchers::default(),
            desks: Desks::new(),
            news: News::at(state.journal),
            interests: Interests::default(),
            reminders: Reminders::default(),
            clock,
            met: Mutex::default(),
            contents: OnceLock::new(),
            allotment: Mutex::new(allotment),
            published: RwLock::new(Arc::new(Published { schema, group: 0, state })),
            behaviours: RwLock::default(),
            listener: RwLock::default(),
        }
    }

    /// Who this node is as the last group left it.
    pub(crate) fn identity_now(&self) -> Identity {
        self.published().state.identity(&self.identity)
    }

    /// The ids that this node may give out. Held for moments only.
    pub(crate) fn allotment(&self) -> MutexGuard<'_, Allotment> {
        self.allotment.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the last group left. A view that is opened afterwards shows that group, or a later one.
    pub(crate) fn published(&self) -> Arc<Published> {
        Arc::clone(&self.published.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// A group has become durable.
    pub(crate) fn publish(&self, group: u64, state: State) {
        let published = Published { schema: Arc::clone(self.schema()), group, state };
        *self.published.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(published);
    }

    /// The schema that holds.
    pub(crate) fn schema(&self) -> &Arc<Schema> {
        &self.schemas.last().schema
    }

    /// Another schema holds, and the tables of the store are those of it. Only who holds the lane says so.
    pub(crate) fn adopt(&self, schema: Arc<Schema>) {
        // The last one has no next: nobody else adds one.
        let _added = self.schemas.last().next.set(Box::new(Generation::of(schema)));
    }

    /// Sets who is told after each commit.
    pub(crate) fn on_commit(&self, listener: OnCommit) {
        *self.listener.write().unwrap_or_else(PoisonError::into_inner) = Some(listener);
    }

    /// Tells the end of the log after a commit.
    pub(crate) fn committed(&self, end: Position) {
        if let Some(listener) = &*self.listener.read().unwrap_or_else(PoisonError::into_inner) {
            listener(end);
        }
    }

    pub(crate) fn add_behaviour(&self, behaviour: Arc<dyn Behaviour>) {
        self.behaviours.write().unwrap_or_else(PoisonError::into_inner).push(behaviour);
    }

    /// Those that are asked about each save, in the order in which they were added.
    pub(crate) fn behaviours(&self) -> Vec<Arc<dyn Behaviour>> {
        self.behaviours.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
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
