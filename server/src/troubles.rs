//! Failures of requests, in the log of the node: who asked may be a program that tells nobody.
//!
//! Only what went wrong is told, not what was refused, and the same code not more often than every ten seconds: a disk
//! that is full for a night must not fill the log too.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use mytism_core::failure::{Failure, FailureKind};

/// Between two lines about the same code.
const PAUSE: Duration = Duration::from_secs(10);

/// What was told, by codes.
#[derive(Debug, Default)]
pub(crate) struct Troubles(Mutex<BTreeMap<String, Told>>);

#[derive(Debug)]
struct Told {
    at: Instant,
    /// Failures since then, of which nothing was told.
    kept: u64,
}

impl Troubles {
    /// Tells of a failure, if it is time to.
    pub(crate) fn note(&self, failure: &Failure, now: Instant) {
        if let Some(line) = self.line(failure, now) {
            tracing::warn!("{line}");
        }
    }

    fn line(&self, failure: &Failure, now: Instant) -> Option<String> {
        if failure.kind != FailureKind::Failed {
            return None;
        }
        let mut codes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Failure { code, message, .. } = failure;
        let kept = match codes.get_mut(code) {
            Some(told) if now.saturating_duration_since(told.at) < PAUSE => {
                told.kept += 1;
                return None;
            }
            Some(told) => told.kept,
            None => 0,
        };
        codes.insert(code.clone(), Told { at: now, kept: 0 });
        let before = if kept > 0 { format!(" (and {kept} times before)") } else { String::new() };
        Some(format!("a request failed: {code}: {message}{before}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_trouble_is_told_now_and_then() {
        let (troubles, begun) = (Troubles::default(), Instant::now());
        let check = |failure: Failure, second: u64, expected: Option<&str>| {
            let line = troubles.line(&failure, begun + Duration::from_secs(second));
            assert_eq!(line.as_deref(), expected, "{failure:?} {second}");
        };
        let full = || Failure::failed("disk-full", "no room");
        check(full(), 0, Some("a request failed: disk-full: no room"));
        check(full(), 1, None);
        check(full(), 9, None);
        check(Failure::failed("read-only", "no"), 9, Some("a request failed: read-only: no"));
        check(full(), 10, Some("a request failed: disk-full: no room (and 2 times before)"));
        check(full(), 20, Some("a request failed: disk-full: no room"));
        check(Failure::refused("conflict", "no"), 30, None);
        check(Failure::usage("syntax-error", "no"), 30, None);
    }
}
