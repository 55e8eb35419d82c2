//! A node: its machine, the files of its database, and the process on it, which can die and come back.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mytism_app::App;
use mytism_core::id::NodeId;
use mytism_disk_under_test::{Dice, Disk};
use mytism_store::sqlite::{Durability, SqliteStore};

use crate::machine::{Machine, Mood, Shaky};
use crate::oracle::model::Model;
use crate::oracle::reader::Reader;
use crate::plan::LedgerFate;

/// What makes a database; its shared memory means nothing to anybody else.
const FILES: [&str; 2] = ["objects.db", "objects.db-wal"];

/// The bytes of a database, with what the ledger said.
#[derive(Clone, Debug)]
pub struct Backup {
    files: Vec<(String, Vec<u8>)>,
    /// Of the same moment.
    pub ledger: Option<Vec<u8>>,
}

impl Backup {
    /// What lies in a directory.
    #[must_use]
    pub fn of(directory: &Path, machine: &Machine) -> Self {
        let read = |name: &&str| Some(((*name).to_owned(), std::fs::read(directory.join(name)).ok()?));
        Self { files: FILES.iter().filter_map(read).collect(), ledger: machine.ledger_text() }
    }

    /// Puts it into an empty directory.
    pub fn unpack(&self, directory: &Path) {
        for (name, bytes) in &self.files {
            std::fs::write(directory.join(name), bytes).unwrap();
        }
    }
}

/// See the module.
pub struct Node {
    /// Its name.
    pub name: String,
    /// Its number.
    pub number: NodeId,
    /// What is under it.
    pub machine: Arc<Machine>,
    /// How its disk is.
    pub mood: Arc<Mood>,
    /// The process, while it runs.
    app: Option<App>,
    /// Counts its processes, so that what was meant for one does not reach the next.
    pub process: u64,
    root: PathBuf,
    directories: u32,
    /// The disk under test, where this node has one.
    disk: Option<Disk>,
    powered: bool,
    committed: Arc<AtomicBool>,
    /// What somebody knows of it who reads its journal.
    pub reader: Reader,
    /// What somebody knows of it who reads its log.
    pub model: Model,
}

impl Node {
    /// A node that has not been started, in a directory of its own below `root`.
    #[must_use]
    pub fn new(name: &str, number: NodeId, machine: Machine, root: &Path, backup: &Backup, powered: bool) -> Self {
        let mut node = Self {
            name: name.to_owned(),
            number,
            machine: Arc::new(machine),
            mood: Arc::default(),
            app: None,
            process: 0,
            root: root.join(name),
            directories: 0,
            disk: None,
            powered,
            committed: Arc::default(),
            reader: Reader::default(),
            model: Model::default(),
        };
        node.empty_directory();
        backup.unpack(&node.directory());
        node
    }

    /// Where its database is.
    #[must_use]
    pub fn directory(&self) -> PathBuf {
        self.root.join(self.directories.to_string())
    }

    fn empty_directory(&mut self) {
        if self.directories > 0 {
            std::fs::remove_dir_all(self.directory()).unwrap();
        }
        self.directories += 1;
        std::fs::create_dir_all(self.directory()).unwrap();
    }

    /// The process, while it runs.
    #[must_use]
    pub const fn running(&self) -> Option<&App> {
        self.app.as_ref()
    }

    /// The process of a node that is known to run.
    ///
    /// # Panics
    /// When it does not.
    #[must_use]
    pub fn app(&self) -> &App {
        self.running().expect("the node runs")
    }

    /// Starts the process on what its disk holds.
    pub fn start(&mut self) {
        assert!(self.app.is_none(), "{} runs already", self.name);
        let directory = self.directory();
        if self.powered {
            self.disk = Some(Disk::watch(&directory).unwrap());
        }
        let store =
            SqliteStore::open(&directory).unwrap_or_else(|error| panic!("{} does not open: {error}", self.name));
        store.set_durability(if self.powered { Durability::Full } else { Durability::None }).unwrap();
        let schema = store.schema();
        self.mood = Arc::default();
        let store = Arc::new(Shaky::new(store, Arc::clone(&self.mood)));
        let surroundings = Arc::clone(&self.machine);
        let app = App::open(store, schema, surroundings)
            .unwrap_or_else(|error| panic!("{} does not start: {error:?}", self.name));
        let committed = Arc::clone(&self.committed);
        app.on_commit(Box::new(move |_| committed.store(true, Ordering::Relaxed)));
        self.app = Some(app);
        self.process += 1;
    }

    /// Whether anything was committed since it was asked last.
    #[must_use]
    pub fn has_committed(&self) -> bool {
        self.committed.swap(false, Ordering::Relaxed)
    }

    /// The process ends in order.
    pub fn stop(&mut self) {
        self.app = None;
        self.disk = None;
    }

    /// The process dies. Where the machine is on a disk under test, it loses power: whether it did.
    pub fn die(&mut self, dice: &mut Dice) -> bool {
        self.mood.die();
        self.app = None;
        let Some(disk) = self.disk.take() else { return false };
        let recording = disk.recording();
        drop(disk);
        self.empty_directory();
        recording.lose_power(recording.end(), dice, &self.directory()).unwrap();
        true
    }

    /// A backup as of now.
    #[must_use]
    pub fn back_up(&self) -> Backup {
        Backup::of(&self.directory(), &self.machine)
    }

    /// Puts an older copy of the database in the place of what is there; the process must not run.
    pub fn restore(&mut self, backup: &Backup, ledger: LedgerFate) {
        assert!(self.app.is_none(), "{} runs", self.name);
        self.disk = None;
        self.empty_directory();
        backup.unpack(&self.directory());
        match ledger {
            LedgerFate::Kept => {}
            LedgerFate::PutBack => self.machine = Arc::new(self.machine.with_ledger(backup.ledger.as_deref())),
            LedgerFate::Lost => self.machine = Arc::new(self.machine.with_ledger(None)),
        }
    }
}
