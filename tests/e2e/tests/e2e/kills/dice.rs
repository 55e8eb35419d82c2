//! Chance that can be had again: the same seed throws the same numbers.

use std::time::{SystemTime, UNIX_EPOCH};

/// Splitmix: small, and good enough to choose moments.
#[derive(Debug)]
pub(crate) struct Dice {
    seed: u64,
    state: u64,
}

impl Dice {
    /// With the seed that `MYTISM_SEED` names, else another one each time. It is told where the test fails.
    pub(crate) fn from_environment() -> Self {
        let given = std::env::var("MYTISM_SEED").ok().and_then(|seed| seed.parse().ok());
        let clock = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |time| u64::from(time.subsec_nanos()));
        let seed = given.unwrap_or_else(clock);
        Self { seed, state: seed }
    }

    fn throw(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`, which must not be 0.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.throw() % end
    }

    /// Dice of their own for a thread, so that threads don't disturb each other's numbers.
    pub(crate) fn child(&mut self) -> Self {
        let state = self.throw();
        Self { seed: self.seed, state }
    }
}

impl Drop for Dice {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("throw the same dice again with MYTISM_SEED={}", self.seed);
        }
    }
}
