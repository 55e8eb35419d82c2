//! How far this node's clock is ahead of the head office's, as last measured; every transaction that is made here says it.
//!
//! Who measures is outside; this keeps the figure, and keeps it in the database too, so that a branch that starts while
//! its line is down does not forget it.

use std::sync::{Mutex, PoisonError};

use mytism_store::{View, Write};

use crate::App;
use crate::error::AppError;

/// Key in the database; eight bytes, big-endian, microseconds.
const KEY: &str = "clock-offset";
/// By so many microseconds a figure may differ from the one that the database keeps.
const KEPT_WITHIN: u64 = 1_000_000;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct ClockOffset(Mutex<Figures>);

#[derive(Clone, Copy, Debug, Default)]
struct Figures {
    measured: Option<i64>,
    kept: Option<i64>,
}

impl ClockOffset {
    /// As the database has it.
    pub(crate) fn stored(view: &dyn View) -> Result<Self, AppError> {
        let bytes = view.get(KEY)?.and_then(|bytes| bytes.try_into().ok());
        let kept = bytes.map(i64::from_be_bytes);
        Ok(Self(Mutex::new(Figures { measured: kept, kept })))
    }

    /// In microseconds; nothing where it was never measured, as at a head office, whose clock is the measure.
    pub(crate) fn micros(&self) -> Option<i64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).measured
    }

    /// Takes a new figure; whether the database should keep it.
    fn take(&self, micros: i64) -> bool {
        let mut figures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        figures.measured = Some(micros);
        figures.kept.is_none_or(|kept| kept.abs_diff(micros) > KEPT_WITHIN)
    }

    fn keep(&self, micros: i64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).kept = Some(micros);
    }
}

impl App {
    /// This node's clock was measured to be so many microseconds ahead of the head office's.
    ///
    /// # Errors
    /// When the database cannot be written. The figure holds until the node stops all the same.
    pub fn note_clock_offset(&self, micros: i64) -> Result<(), AppError> {
        if self.foundation.clock.take(micros) {
            self.lane.execute(move |work| {
                work.workspace.write(Write::Put { key: KEY, value: micros.to_be_bytes().to_vec() });
                Ok(())
            })?;
            self.foundation.clock.keep(micros);
        }
        Ok(())
    }
}
