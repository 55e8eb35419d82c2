//! What the node takes from the machine: the time and randomness. Given in, so that a test can decide both.

use std::time::{SystemTime, UNIX_EPOCH};

use mytism_core::time::Timestamp;
use mytism_format::hash::Secret;
use ring::rand::{SecureRandom, SystemRandom};

use crate::error::AppError;

/// The clock and the source of randomness.
pub trait Surroundings: Send + Sync {
    /// The time.
    fn now(&self) -> Timestamp;

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
}

impl Default for Machine {
    fn default() -> Self {
        Self { random: SystemRandom::new() }
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

    fn random(&self, bytes: &mut [u8]) -> Result<(), AppError> {
        self.random.fill(bytes).map_err(|_| AppError::failed("no-randomness", "the system has no randomness to give"))
    }
}
