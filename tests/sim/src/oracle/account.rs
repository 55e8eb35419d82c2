//! What was told to users, and where it is: each save that was acknowledged, each id and each number that was given.
//!
//! A save is known by its description, which no other has, since its name may change: the transaction of a life that
//! another copy of the node lived too gets a new one.

use std::collections::{BTreeMap, BTreeSet};

use mytism_core::change::Outcome;
use mytism_core::id::ObjectId;
use mytism_store::View;

use super::model::Model;

/// A save that was acknowledged.
#[derive(Clone, Debug)]
pub struct Promise {
    /// Its description.
    pub tag: String,
    /// Whether every disk that held it was lost before anybody else had it.
    pub is_forgiven: bool,
}

/// See the module.
#[derive(Default)]
pub struct Account {
    /// In the order in which they were given.
    pub promises: Vec<Promise>,
    ids: BTreeMap<ObjectId, String>,
    numbers: BTreeMap<i64, String>,
}

impl Account {
    /// A save was acknowledged.
    pub fn acknowledged(&mut self, tag: &str) {
        self.promises.push(Promise { tag: tag.to_owned(), is_forgiven: false });
    }

    /// It gave ids to new objects.
    ///
    /// # Panics
    /// When one of them was given before.
    pub fn gave(&mut self, tag: &str, ids: &[(String, ObjectId)]) {
        for (_, id) in ids {
            let before = self.ids.insert(*id, tag.to_owned());
            assert!(before.is_none(), "id {id} was given to {tag} and before that to {before:?}");
        }
    }

    /// A number was given.
    ///
    /// # Panics
    /// When it was given before.
    pub fn drawn(&mut self, number: i64, to: &str) {
        let before = self.numbers.insert(number, to.to_owned());
        assert!(before.is_none(), "number {number} was given to {to} and before that to {before:?}");
    }

    /// A disk was put back: what nobody holds any longer is nobody's fault. `kept` are the saves that somebody holds.
    /// Where the ledger went with the disk, nobody can know what those saves gave either.
    pub fn forgive(&mut self, kept: &BTreeSet<String>, with_ledger: bool) -> u64 {
        let mut forgiven = 0;
        if with_ledger {
            self.ids.retain(|_, tag| kept.contains(tag));
            self.numbers.retain(|_, tag| kept.contains(tag));
        }
        for promise in self.promises.iter_mut().filter(|promise| !promise.is_forgiven) {
            if !kept.contains(&promise.tag) {
                promise.is_forgiven = true;
                forgiven += 1;
            }
        }
        forgiven
    }

    /// Every promise was kept: what was acknowledged stands in the log, once, with what its author did.
    ///
    /// # Panics
    /// When one was not.
    pub fn check(&self, model: &Model) {
        let mut logged: BTreeMap<&str, u64> = BTreeMap::new();
        // A name that was given to another transaction stays behind with nothing in it.
        for step in model.steps.iter().filter(|step| is_tag(&step.description) && !step.changes.is_empty()) {
            if let Some(before) = logged.insert(&step.description, step.number) {
                panic!("{} stands in the log at {before} and {}", step.description, step.number);
            }
        }
        for promise in self.promises.iter().filter(|promise| !promise.is_forgiven) {
            assert!(logged.contains_key(promise.tag.as_str()), "{} was acknowledged and is lost", promise.tag);
        }
    }

    /// How many were acknowledged.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.promises.len()
    }
}

/// Whether a description is that of a simulated save.
#[must_use]
pub fn is_tag(description: &str) -> bool {
    description.starts_with("save ")
}

/// The saves that stand in the log or are pending at a node.
///
/// # Panics
/// When it cannot be read.
#[must_use]
pub fn tags(view: &dyn View) -> BTreeSet<String> {
    let read = |bytes| {
        let transaction = mytism_format::transaction::read(bytes).unwrap().transaction;
        if transaction.changes.is_empty() { String::new() } else { transaction.description }
    };
    let logged = view.log_after(0, u32::MAX, usize::MAX).unwrap().into_iter().map(|row| read(row.bytes));
    let pending = view.pending_after(i64::MIN, u32::MAX, usize::MAX).unwrap().into_iter().map(|row| read(row.bytes));
    logged.chain(pending).filter(|tag| is_tag(tag)).collect()
}

/// The rows of the quarantine are those that the log refused.
///
/// # Panics
/// When they differ.
pub fn quarantine(model: &Model, view: &dyn View, name: &str) {
    let refused = model.steps.iter().filter_map(|step| match &step.outcome {
        Outcome::Refused { code, reason } => Some((step.number, code.clone(), reason.clone())),
        Outcome::Accepted { .. } => None,
    });
    let kept = view.quarantine().unwrap().into_iter().map(|row| (row.number, row.code, row.reason));
    assert_eq!(kept.collect::<Vec<_>>(), refused.collect::<Vec<_>>(), "quarantine at {name}");
}
