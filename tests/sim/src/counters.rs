//! How often each thing happened. What never happened was never tested, so a zero among those that are listed is a
//! failure of its own.

use std::collections::BTreeMap;

/// See the module.
#[derive(Clone, Debug)]
pub struct Counters(BTreeMap<String, u64>);

/// What must have happened at least once when a long run ends.
pub const WANTED: &[&str] = &[
    "entries rolled back",
    "fault backup with ledger",
    "fault backup without ledger",
    "fault clock back",
    "fault clock forward",
    "fault branch joins",
    "fault commit fails after it took effect",
    "fault commit fails before it took effect",
    "fault copy of a branch beside it",
    "fault crash after a commit",
    "fault crash before a commit",
    "fault crash between commits",
    "fault cut both ways",
    "fault cut one way",
    "fault delay",
    "fault disk full",
    "fault duplicated message",
    "fault lost ledger",
    "fault lost power",
    "fault old backup of a branch",
    "fault old backup of the head office",
    "fault promotion of a branch",
    "fault reordered message",
    "life renewed",
    "outcome accepted",
    "outcome brought back",
    "outcome merged",
    "outcome refused",
    "rule authoritative",
    "rule branch",
    "rule kept alive",
    "rule later, kept",
    "rule later, taken",
    "rule same",
    "rule sum",
    "save acknowledged",
    "save refused",
    "number drawn",
    "restart",
    "tail taken back",
];

impl Default for Counters {
    fn default() -> Self {
        Self(WANTED.iter().map(|name| ((*name).to_owned(), 0)).collect())
    }
}

impl Counters {
    /// It happened.
    pub fn add(&mut self, name: &str) {
        self.more(name, 1);
    }

    /// It happened so often.
    pub fn more(&mut self, name: &str, times: u64) {
        match self.0.get_mut(name) {
            Some(count) => *count += times,
            None => {
                self.0.insert(name.to_owned(), times);
            }
        }
    }

    /// How often it happened.
    #[must_use]
    pub fn get(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or(0)
    }

    /// Takes in what happened elsewhere.
    pub fn take(&mut self, other: &Self) {
        other.0.iter().for_each(|(name, count)| self.more(name, *count));
    }

    /// All of them, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|(name, count)| (name.as_str(), *count))
    }

    /// What was to happen and never did.
    #[must_use]
    pub fn missing(&self) -> Vec<&'static str> {
        WANTED.iter().filter(|name| self.get(name) == 0).copied().collect()
    }
}
