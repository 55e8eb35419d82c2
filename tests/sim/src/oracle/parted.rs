//! Who knew another history than the log: branches that saw what a head office lost while it, put back, did other things
//! under the same numbers. Written down from what is said on the lines.

use std::collections::{BTreeMap, BTreeSet};

use mytism_core::id::{NodeId, TransactionId};

/// See the module.
#[derive(Default)]
pub struct Parted {
    /// Branches that were told to take entries back, the reign in which their logs ended, and the last entry that stayed.
    told: BTreeSet<(NodeId, u32, u64)>,
    /// Who brought a transaction last.
    brought: BTreeMap<TransactionId, NodeId>,
}

impl Parted {
    /// A branch was told to take back what is above an entry.
    pub fn told(&mut self, node: NodeId, epoch: u32, to: u64) {
        self.told.insert((node, epoch, to));
    }

    /// A branch brought transactions, and they were decided on or known.
    pub fn brought(&mut self, node: NodeId, names: impl IntoIterator<Item = TransactionId>) {
        self.brought.extend(names.into_iter().map(|name| (name, node)));
    }

    /// The last entry that the author of a transaction can have seen, as he saved it in a reign.
    #[must_use]
    pub fn seen(&self, name: TransactionId, epoch: u32) -> u64 {
        let node = self.brought.get(&name).copied().unwrap_or(name.node);
        let told = self.told.iter().filter(|(other, last, _)| *other == node && epoch <= *last);
        told.map(|(_, _, to)| *to).min().unwrap_or(u64::MAX)
    }
}
