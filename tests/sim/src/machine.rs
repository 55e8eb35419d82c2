//! What a node takes from the machine under it, decided by the simulator: the time, chance, the ledger, and whether a
//! commit succeeds.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use mytism_app::AppError;
use mytism_app::numbers::{Ledger, MemoryLedger};
use mytism_app::surroundings::Surroundings;
use mytism_core::time::Timestamp;
use mytism_disk_under_test::Dice;
use mytism_store::sqlite::SqliteStore;
use mytism_store::{Batch, Store, StoreError, View};

/// When all runs begin: noon of a day, in microseconds.
const BEGIN: i64 = 1_750_000_000_000_000;

/// The one clock behind all clocks, in microseconds since the begin of the run.
#[derive(Debug, Default)]
pub struct Time(AtomicI64);

impl Time {
    /// Sets it.
    pub fn set(&self, micros: u64) {
        self.0.store(i64::try_from(micros).unwrap(), Ordering::Relaxed);
    }
}

/// A machine. It outlives the processes on it.
#[derive(Debug)]
pub struct Machine {
    time: Arc<Time>,
    ahead: AtomicI64,
    dice: Mutex<Dice>,
    ledger: MemoryLedger,
}

impl Machine {
    /// One whose clock is right, with the text of a ledger where it has one.
    #[must_use]
    pub fn new(time: Arc<Time>, dice: Dice, ledger: Option<&[u8]>) -> Self {
        let kept = MemoryLedger::default();
        if let Some(text) = ledger {
            kept.replace(text).unwrap();
        }
        Self { time, ahead: AtomicI64::new(0), dice: Mutex::new(dice), ledger: kept }
    }

    /// What its ledger says.
    #[must_use]
    pub fn ledger_text(&self) -> Option<Vec<u8>> {
        self.ledger.read().unwrap()
    }

    /// The same machine with the ledger of another day, or none.
    #[must_use]
    pub fn with_ledger(&self, ledger: Option<&[u8]>) -> Self {
        let dice = self.dice.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let machine = Self::new(Arc::clone(&self.time), dice, ledger);
        machine.ahead.store(self.ahead.load(Ordering::Relaxed), Ordering::Relaxed);
        machine
    }

    /// Its clock jumps, in microseconds.
    pub fn jump(&self, micros: i64) {
        self.ahead.fetch_add(micros, Ordering::Relaxed);
    }
}

impl Surroundings for Machine {
    fn now(&self) -> Timestamp {
        let micros = BEGIN + self.time.0.load(Ordering::Relaxed) + self.ahead.load(Ordering::Relaxed);
        Timestamp::saturating_from_micros(micros)
    }

    fn ledger(&self) -> &dyn Ledger {
        &self.ledger
    }

    fn random(&self, bytes: &mut [u8]) -> Result<(), AppError> {
        let mut dice = self.dice.lock().unwrap_or_else(PoisonError::into_inner);
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&dice.throw().to_le_bytes()[..chunk.len()]);
        }
        Ok(())
    }
}

/// What befalls a commit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trouble {
    /// The process dies before anything of it is there.
    DieBefore,
    /// The process dies when all of it is there and nobody was told.
    DieAfter,
    /// It fails.
    FailBefore,
    /// It takes effect and is said to have failed.
    FailAfter,
    /// The disk is full for so many commits.
    Full(u32),
}

/// How the disk of a process is.
#[derive(Debug, Default)]
pub struct Mood {
    /// What happens after so many more commits.
    next: Mutex<Option<(u32, Trouble)>>,
    dead: AtomicBool,
    felt: Mutex<Vec<Trouble>>,
}

impl Mood {
    /// Lets something befall a commit, behind so many others.
    pub fn arm(&self, after: u32, trouble: Trouble) {
        *self.next.lock().unwrap_or_else(PoisonError::into_inner) = Some((after, trouble));
    }

    /// Nothing will befall anything.
    pub fn calm(&self) {
        *self.next.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Whether the process has died in a commit.
    pub fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Relaxed)
    }

    /// It writes nothing from here on.
    pub fn die(&self) {
        self.dead.store(true, Ordering::Relaxed);
    }

    /// What befell commits since it was asked last.
    #[must_use]
    pub fn felt(&self) -> Vec<Trouble> {
        std::mem::take(&mut self.felt.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn befalls(&self) -> Option<Trouble> {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let (after, trouble) = (*next)?;
        if after > 0 {
            *next = Some((after - 1, trouble));
            return None;
        }
        *next = match trouble {
            Trouble::Full(more) if more > 1 => Some((0, Trouble::Full(more - 1))),
            _ => None,
        };
        self.felt.lock().unwrap_or_else(PoisonError::into_inner).push(trouble);
        Some(trouble)
    }
}

/// The store of a process, with a disk that has moods.
pub struct Shaky {
    store: SqliteStore,
    mood: Arc<Mood>,
}

impl Shaky {
    /// A store on such a disk.
    #[must_use]
    pub fn new(store: SqliteStore, mood: Arc<Mood>) -> Self {
        Self { store, mood }
    }
}

fn gone() -> StoreError {
    StoreError::Disk("the process has died".to_owned())
}

impl Store for Shaky {
    fn view(&self) -> Result<Box<dyn View>, StoreError> {
        if self.mood.is_dead() { Err(gone()) } else { self.store.view() }
    }

    fn commit(&self, batch: &Batch) -> Result<(), StoreError> {
        if self.mood.is_dead() {
            return Err(gone());
        }
        let failed = || StoreError::Disk("it is said".to_owned());
        match self.mood.befalls() {
            None => self.store.commit(batch),
            Some(Trouble::Full(_)) => Err(StoreError::Full("it is said".to_owned())),
            Some(Trouble::FailBefore) => Err(failed()),
            Some(Trouble::FailAfter) => self.store.commit(batch).and_then(|()| Err(failed())),
            Some(Trouble::DieBefore) => {
                self.mood.die();
                Err(gone())
            }
            Some(Trouble::DieAfter) => {
                let result = self.store.commit(batch);
                self.mood.die();
                result.and_then(|()| Err(gone()))
            }
        }
    }

    fn bytes(&self) -> u64 {
        // Pages of the engine are no business of the run, and no answer depends on them.
        0
    }
}
