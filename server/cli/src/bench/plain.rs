//! The plain engine's side: the rows of a run once more, with a clock beside it.

use std::path::Path;
use std::time::{Duration, Instant};

use mytism_core::failure::Failure;
use mytism_store::StoreError;
use mytism_store::bench::{Replay, Run, Step};

/// What the plain engine took.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Took {
    /// Reading rows from a flat file.
    pub(super) reading: Duration,
    /// Writing them and making them durable.
    pub(super) writing: Duration,
    /// Commits.
    pub(super) commits: u64,
}

/// Does a run again in the directory `target`, from the database that it left in `source`; both end with the same rows,
/// or it fails.
pub(super) fn run(source: &Path, target: &Path, run: &Run) -> Result<Took, Failure> {
    let failure = |error: StoreError| error.failure();
    let replay = Replay::prepare(source, target, run).map_err(failure)?;
    let mut took = Took::default();
    let mut last = Instant::now();
    let mut step = |step| {
        let now = Instant::now();
        let part = match step {
            Step::Read => &mut took.reading,
            Step::Committed => &mut took.writing,
        };
        *part += now - std::mem::replace(&mut last, now);
    };
    let replayed = replay.run(&mut step).map_err(failure)?;
    took.commits = replayed.commits;
    replay.compare().map_err(failure)?;
    Ok(took)
}
