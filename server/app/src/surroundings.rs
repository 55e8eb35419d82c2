//! What the node takes from the machine: the time, randomness, and a note outside of the database. Given in, so that a
//! test can decide all of them.

use std::time::{SystemTime, UNIX_EPOCH};

use mytism_core::time::Timestamp;
use mytism_format::hash::Secret;
use ring::rand::{SecureRandom, SystemRandom};

use crate::error::AppError;
use crate::numbers::{Ledger, MemoryLedger};

/// The clock, the source of randomness, and the ledger.
pub trait Surroundings: Send + Sync {
    /// The time.
    fn now(&self) -> Timestamp;

    /// What of the numbers stands outside of the database.
    fn ledger(&self) -> &dyn Ledger;

    /// Fills bytes with randomness that nobody can guess.
    ///
    /// # Errors
    /// When the system has none to give.
    fn random(&self, bytes: &mut [u8]) -> Result<(), AppError>;

    /// A fresh secret for the salts of a record.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    fn secret(&self) -> Result<Secret, AppError> {
        let mut bytes = [0; 32];
        self.random(&mut bytes)?;
        Ok(Secret(bytes))
    }
}

/// Those of the machine.
#[derive(Debug)]
pub struct Machine {
    random: SystemRandom,
    ledger: Box<dyn Ledger>,
}

impl Machine {
    /// Those of the machine, with a ledger that outlives the process.
    #[must_use]
    pub fn with_ledger(ledger: impl Ledger + 'static) -> Self {
        Self { random: SystemRandom::new(), ledger: Box::new(ledger) }
    }
}

impl Default for Machine {
    /// With a ledger that ends with the process: for nodes that live no longer.
    fn default() -> Self {
        Self::with_ledger(MemoryLedger::default())
    }
}

impl Surroundings for Machine {
    fn now(&self) -> Timestamp {
        let micros = match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_micros()).unwrap_or(i64::MAX),
            Err(before) => i64::try_from(before.duration().as_micros()).map_or(i64::MIN, |micros| -micros),
        };
        Timestamp::saturating_from_micros(micros)
    }

    fn ledger(&self) -> &dyn Ledger {
        &*self.ledger
    }

    fn random(&self, bytes: &mut [u8]) -> Result<(), AppError> {
        self.random.fill(bytes).map_err(|_| AppError::failed("no-randomness", "the system has no randomness to give"))
    }
}
