//! A node that can be closed and opened again, with commits that can be slowed down so that saves meet in one group.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use mytism_app::snapshot::Loader;
use mytism_app::surroundings::Machine;
use mytism_app::{App, AppError, ArrivingEntry, Context, Identity};
use mytism_core::id::NodeId;
use mytism_core::schema::Schema;
use mytism_disk_under_test::Dice;
use mytism_format::transaction;
use mytism_store::sqlite::{Durability, SqliteStore};
use mytism_store::{Batch, LogRow, PendingRow, Store, StoreError, View};

pub(super) struct Place {
    app: Option<App>,
    directory: tempfile::TempDir,
    weather: Arc<Weather>,
    durability: Durability,
}

/// What goes on around all nodes.
#[derive(Default)]
struct Weather {
    /// While it is set, each commit takes a moment longer.
    slow: AtomicBool,
    /// While it is not 0, one of so many commits fails.
    failing: AtomicUsize,
    commits: AtomicUsize,
}

/// A store whose disk is full now and then.
struct Moody {
    store: SqliteStore,
    weather: Arc<Weather>,
}

impl Store for Moody {
    fn view(&self) -> Result<Box<dyn View>, StoreError> {
        self.store.view()
    }

    fn commit(&self, batch: &Batch) -> Result<(), StoreError> {
        let failing = self.weather.failing.load(Ordering::Relaxed);
        if failing > 0 && self.weather.commits.fetch_add(1, Ordering::Relaxed).is_multiple_of(failing) {
            return Err(StoreError::Full("it is said".to_owned()));
        }
        self.store.commit(batch)
    }

    fn bytes(&self) -> u64 {
        self.store.bytes()
    }
}

impl Place {
    pub(super) fn head() -> Self {
        Self::head_in(tempfile::tempdir().unwrap(), Durability::None)
    }

    /// A head office in a directory that is empty.
    pub(super) fn head_in(directory: tempfile::TempDir, durability: Durability) -> Self {
        let elsewhere = tempfile::tempdir().unwrap();
        let file = elsewhere.path().join("chance.xml");
        std::fs::write(&file, include_str!("schema.xml")).unwrap();
        let schema = Arc::new(mytism_schema::project(Some(&file)).unwrap());
        let weather = Arc::default();
        let store = SqliteStore::create(directory.path(), Arc::clone(&schema)).unwrap();
        let store = moody(store, &weather, durability);
        let app = App::create_head_office(store, schema, Arc::new(Machine::default()), "head").unwrap();
        Self { app: None, directory, weather, durability }.with(app)
    }

    /// A new branch of this head office, which may be saving meanwhile.
    pub(super) fn branch(&self, name: &str) -> Self {
        self.branch_in(name, tempfile::tempdir().unwrap(), Durability::None)
    }

    /// The same in a directory that is empty.
    pub(super) fn branch_in(&self, name: &str, directory: tempfile::TempDir, durability: Durability) -> Self {
        let head = self.app();
        head.add_node(&Context::local(), name, 14, &"0".repeat(64)).unwrap();
        let known = head.known_node(name).unwrap().unwrap();
        let enrolled = head.enrol(known.node, &format!("{:064}", known.node.0)).unwrap();
        let store = SqliteStore::create(directory.path(), Arc::clone(head.schema())).unwrap();
        let store = moody(store, &self.weather, durability);
        let mut loader = Loader::new(Arc::clone(&store));
        let mut snapshot = head.snapshot().unwrap();
        while let Some(part) = snapshot.next_objects().unwrap() {
            loader.objects(&part.bytes).unwrap();
        }
        while let Some(part) = snapshot.next_entries().unwrap() {
            loader.entries(&part.bytes).unwrap();
        }
        let (node, incarnation) = (enrolled.node, enrolled.incarnation);
        let identity = Identity { name: name.to_owned(), node, incarnation, authoritative: false };
        loader.finish(&identity, &enrolled.blocks, snapshot.head.position, snapshot.head.hash).unwrap();
        let app = App::open(store, Arc::clone(head.schema()), Arc::new(Machine::default())).unwrap();
        Self { app: None, directory, weather: Arc::clone(&self.weather), durability }.with(app)
    }

    fn with(mut self, app: App) -> Self {
        let weather = Arc::clone(&self.weather);
        app.on_commit(Box::new(move |_| {
            if weather.slow.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_micros(800));
            }
        }));
        self.app = Some(app);
        self
    }

    /// Lets commits at all nodes take longer, and one of so many fail; 0 for none.
    pub(super) fn weather(&self, slow: bool, failing: usize) {
        self.weather.slow.store(slow, Ordering::Relaxed);
        self.weather.failing.store(failing, Ordering::Relaxed);
    }

    pub(super) fn app(&self) -> &App {
        self.app.as_ref().unwrap()
    }

    pub(super) fn schema(&self) -> &Schema {
        self.app().schema()
    }

    pub(super) fn node(&self) -> NodeId {
        self.app().identity().node
    }

    /// A copy of the database as it is now.
    pub(super) fn backup(&self) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        for name in ["objects.db", "objects.db-wal"] {
            let from = self.directory.path().join(name);
            if from.exists() {
                std::fs::copy(from, directory.path().join(name)).unwrap();
            }
        }
        directory
    }

    /// The node on a copy of its database, with no ledger beside it.
    pub(super) fn put_back(self, backup: tempfile::TempDir) -> Self {
        let Self { app, directory, weather, durability } = self;
        drop((app, directory));
        let store = SqliteStore::open(backup.path()).unwrap();
        let schema = store.schema();
        let store = moody(store, &weather, durability);
        let app = App::open(store, schema, Arc::new(Machine::default())).unwrap();
        Self { app: None, directory: backup, weather, durability }.with(app)
    }

    /// Closes the database and opens it again.
    pub(super) fn restart(self) -> Self {
        let schema = Arc::clone(self.app().schema());
        let Self { app, directory, weather, durability } = self;
        drop(app);
        let store = moody(SqliteStore::open(directory.path()).unwrap(), &weather, durability);
        let app = App::open(store, schema, Arc::new(Machine::default())).unwrap();
        Self { app: None, directory, weather, durability }.with(app)
    }

    /// Hands the first pending transactions of a branch up to this head office.
    pub(super) fn take_from(&self, branch: &Self, dice: &mut Dice) {
        let rows = rows(12, dice);
        let pending = branch.app().view().unwrap().pending_after(i64::MIN, rows, usize::MAX).unwrap();
        // What others made is known to a head office of the same reign.
        let reign = self.app().view().unwrap().head().unwrap().unwrap().position.epoch;
        let is_offered = |row: &PendingRow| {
            row.transaction.node == branch.node() || transaction::peek(&row.bytes).unwrap().1.epoch < reign
        };
        let offered = pending.into_iter().filter(is_offered);
        let mut offered: Vec<Vec<u8>> = offered.map(|row| row.bytes).collect();
        if dice.percent(20) {
            offered.extend(offered.clone());
        }
        for _ in 0..1 + usize::from(dice.percent(20)) {
            if let Err(error) = self.app().admit(branch.node(), offered.clone()) {
                // A copy has yet to hear that its names are taken.
                assert!(["disk-full", "forked-transaction"].contains(&error.failure().code.as_str()), "{error:?}");
            }
        }
    }

    /// Hands some entries of this head office down to a branch.
    pub(super) fn give_to(&self, branch: &Self, dice: &mut Dice) {
        let known = branch.app().view().unwrap().head().unwrap().unwrap().position.number;
        let again = if dice.percent(25) { dice.below(4) as u64 } else { 0 };
        let rows = rows(30, dice);
        let rows = self.app().view().unwrap().log_after(known.saturating_sub(again), rows, usize::MAX).unwrap();
        let identity = branch.app().identity();
        let own = (identity.node, identity.incarnation);
        let with_content = dice.percent(20);
        let arriving = |row: LogRow| ArrivingEntry {
            entry: row.entry,
            transaction: ((row.transaction.node, row.transaction.incarnation) != own || with_content)
                .then_some(row.bytes),
        };
        let entries: Vec<_> = rows.into_iter().map(arriving).collect();
        for _ in 0..1 + usize::from(dice.percent(15)) {
            or_full(branch.app().apply(entries.clone()));
        }
    }
}

fn rows(most: usize, dice: &mut Dice) -> u32 {
    u32::try_from(1 + dice.below(most)).unwrap()
}

fn moody(store: SqliteStore, weather: &Arc<Weather>, durability: Durability) -> Arc<dyn Store> {
    store.set_durability(durability).unwrap();
    Arc::new(Moody { store, weather: Arc::clone(weather) })
}

/// What a full disk refused is tried again some other time.
fn or_full<T>(result: Result<T, AppError>) {
    if let Err(error) = result {
        assert_eq!(error.failure().code, "disk-full", "{error:?}");
    }
}
