//! The log below the place at which a new node began: the node works without it, gets it afterwards, the newest first,
//! and says so where an answer would need what is not here yet.
//!
//! What is here stands in the log itself: its first entry. Each piece that arrives must end where that one begins, by
//! number and by hash, so that at last all of it is chained to the entry by which the node was made.

use mytism_core::failure::Failure;
use mytism_core::id::Hash;
use mytism_format::entry;
use mytism_store::{View, Write};

use crate::App;
use crate::error::AppError;
use crate::lane::Work;
use crate::snapshot::{Part, entries, pieces, read_entry};

/// Hash of the first entry of the log, at a node that does not have that entry yet.
const CLUSTER: &str = "cluster";

/// Entries in one piece of history, and the bytes past which it is full. Saves wait while one is written.
const PIECE: (u32, usize) = (500, 1 << 20);

impl App {
    /// Number of the first entry of the log that is here, where others are still missing below it.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn history_begin(&self) -> Result<Option<u64>, AppError> {
        begin(&*self.view()?)
    }

    /// Entries of the log below a number, the last of them the one just below, in the form of
    /// [`crate::snapshot::Snapshot::next_entries`].
    ///
    /// # Errors
    /// When the log does not go back so far here, or the database cannot be read.
    pub fn history_below(&self, below: u64) -> Result<Part, AppError> {
        let mut rows = self.view()?.log_before(below, PIECE.0, PIECE.1)?;
        if rows.first().is_none_or(|row| row.position.number + 1 != below) {
            let message = format!("there is no entry before {below} here");
            return Err(AppError::refused("history-incomplete", message));
        }
        rows.reverse();
        entries(&rows)
    }

    /// Takes a piece of history that ends where the log here begins. Returns the number of the first missing entry's
    /// successor, or `None` once nothing is missing.
    ///
    /// # Errors
    /// When the piece is damaged or does not lead to the log that is here. Nothing of it was taken then.
    pub fn take_history(&self, bytes: &[u8]) -> Result<Option<u64>, AppError> {
        let mut arrived = Vec::new();
        for pair in pieces(bytes) {
            let (entry, transaction) = pair?;
            arrived.push(read_entry(entry, transaction)?);
        }
        // The lane may ask for the work more than once.
        self.lane.execute(move |work| take(work, &arrived))?;
        self.history_begin()
    }
}

fn take(work: &mut Work<'_>, arrived: &[(mytism_store::LogRow, Vec<Write>)]) -> Result<(), AppError> {
    let broken = |number: u64| {
        AppError::failed("broken-chain", format!("the history that arrived breaks off at entry {number}"))
    };
    let view = work.workspace.view()?;
    let Some(begin) = begin(view)? else { return Ok(()) };
    let mut next = view.log_row(begin)?.ok_or_else(|| broken(begin))?;
    let cluster = cluster(view)?;
    let mut writes = Vec::new();
    for (row, others) in arrived.iter().rev() {
        let expected = entry::read(next.entry)?.entry.previous;
        let number = row.position.number;
        if number + 1 != next.position.number || row.hash != expected || (number == 1 && row.hash != cluster) {
            return Err(broken(number));
        }
        writes.extend(others.iter().cloned());
        writes.push(Write::Log(row.clone()));
        next = row.clone();
    }
    writes.into_iter().for_each(|write| work.workspace.write(write));
    Ok(())
}

/// Number of the first entry that is here, where others are missing below it. A node that did not join by a snapshot
/// never lacked them: there the log is damaged, and nothing is on its way.
pub(crate) fn begin(view: &dyn View) -> Result<Option<u64>, AppError> {
    let first = view.log_begin()?;
    let is_on_its_way = first > 1 && view.get(CLUSTER)?.is_some();
    Ok(is_on_its_way.then_some(first))
}

/// That an answer needs nothing that is still on its way.
///
/// # Errors
/// When the history below some entry is not here yet.
pub(crate) fn check_whole(view: &dyn View) -> Result<(), AppError> {
    begin(view)?.map_or(Ok(()), |begin| Err(incomplete(view, begin)))
}

/// That the log behind an entry is here whole, and so are those before that changed what it changed.
///
/// # Errors
/// When the history that this needs is not here yet.
pub fn check_behind(view: &dyn View, number: u64) -> Result<(), AppError> {
    match begin(view)? {
        Some(begin) if number + 1 < begin => Err(incomplete(view, begin)),
        _ => Ok(()),
    }
}

/// The error for what is not here yet, or for what is damaged where all should be here.
pub(crate) fn lacking(view: &dyn View, otherwise: impl FnOnce() -> AppError) -> AppError {
    match begin(view) {
        Ok(Some(begin)) => incomplete(view, begin),
        Ok(None) => otherwise(),
        Err(error) => error,
    }
}

fn incomplete(view: &dyn View, begin: u64) -> AppError {
    let end = view.head().ok().flatten().map_or(begin, |head| head.position.number);
    let message =
        format!("the history before entry {begin} is still on its way: {} of {end} entries are here", end + 1 - begin);
    let hint =
        "it comes by itself while the node runs and reaches the head office; `./mytism status` shows how far it is";
    Failure::refused("history-incomplete", message).hint(hint).into()
}

/// Hash of the first entry of the log: the name of the cluster.
///
/// # Errors
/// When the database cannot be read, or the log is empty.
pub fn cluster(view: &dyn View) -> Result<Hash, AppError> {
    if let Some(first) = view.log_row(1)? {
        return Ok(first.hash);
    }
    let noted = view.get(CLUSTER)?.and_then(|bytes| bytes.try_into().ok());
    noted.map(Hash).ok_or_else(|| AppError::failed("empty-log", "the log of this node is empty"))
}

pub(crate) fn put_cluster(hash: Hash) -> Write {
    Write::Put { key: CLUSTER, value: hash.0.to_vec() }
}
