//! Branches that knew another history than the log.
//!
//! A head office that is put back from an older copy may decide on something before it notices what it lost. Then the
//! log and the lost part have entries of the same numbers in the same reign, and the base of a transaction does not tell
//! which of them its author saw. So it is noted from where on the log of a branch went another way when it came, and of
//! which reign that log was: whatever such a branch brings from then was saved by people who saw nothing of this log
//! behind that place.

use mytism_core::id::{NodeId, Position};
use mytism_store::{View, Write};

use crate::App;
use crate::error::AppError;

/// As bytes: node (u32), reign (u32) and entry (u64) of each, big-endian, one behind the other.
const KEY: &str = "parted";

impl App {
    /// Notes that the log of a branch, which ended in the reign `epoch`, went another way behind `common`. Where the log
    /// here tells by its reigns what was history, nothing is noted.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn note_parted(&self, node: NodeId, epoch: u32, common: Position) -> Result<(), AppError> {
        self.lane.execute_alone(move |work| {
            let view = work.workspace.view()?;
            let is_told = view.later_reign(epoch)?.is_some_and(|first| first <= common.number.saturating_add(1));
            let mut bytes = view.get(KEY)?.unwrap_or_default();
            if is_told || read(&bytes).any(|known| known == (node, epoch, common.number)) {
                return Ok(());
            }
            bytes.extend(node.0.to_be_bytes());
            bytes.extend(epoch.to_be_bytes());
            bytes.extend(common.number.to_be_bytes());
            work.workspace.write(Write::Put { key: KEY, value: bytes });
            Ok(())
        })
    }
}

/// The last entry that somebody at a branch can have seen who saved in a reign.
pub(crate) fn seen_at(view: &dyn View, node: NodeId, epoch: u32) -> Result<u64, AppError> {
    let bytes = view.get(KEY)?.unwrap_or_default();
    let seen = read(&bytes).filter(|(other, last, _)| *other == node && epoch <= *last).map(|(_, _, number)| number);
    Ok(seen.min().unwrap_or(u64::MAX))
}

fn read(bytes: &[u8]) -> impl Iterator<Item = (NodeId, u32, u64)> {
    bytes.as_chunks::<16>().0.iter().filter_map(|chunk| {
        let (node, rest) = chunk.split_first_chunk::<4>()?;
        let (epoch, number) = rest.split_first_chunk::<4>()?;
        let number = u64::from_be_bytes(number.try_into().ok()?);
        Some((NodeId(u32::from_be_bytes(*node)), u32::from_be_bytes(*epoch), number))
    })
}
