//! The lines to other nodes, as `status` and those who watch see them.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use mytism_core::operation::PeerStatus;

/// States of all lines by the name of the other node.
#[derive(Debug, Default)]
pub(crate) struct Peers(Mutex<BTreeMap<String, PeerStatus>>);

/// A line carries messages.
pub(crate) const CONNECTED: &str = "connected";
/// A line is being looked for.
pub(crate) const CONNECTING: &str = "connecting";

impl Peers {
    /// Changes what is known of a line.
    pub(crate) fn update(&self, name: &str, change: impl FnOnce(&mut PeerStatus)) {
        let mut lines = self.lines();
        let line = lines.entry(name.to_owned()).or_insert_with(|| PeerStatus {
            name: name.to_owned(),
            state: CONNECTING.to_owned(),
            ..PeerStatus::default()
        });
        change(line);
    }

    /// All of them, in the order of their names.
    pub(crate) fn all(&self) -> Vec<PeerStatus> {
        self.lines().values().cloned().collect()
    }

    fn lines(&self) -> MutexGuard<'_, BTreeMap<String, PeerStatus>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
