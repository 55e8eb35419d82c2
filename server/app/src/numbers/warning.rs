//! Warnings about numbers and ids that must reach a person: told once, not with each save.
//!
//! They are told at once, whatever becomes of the save that noticed: that a range is at its end stays true when the
//! save is refused.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use mytism_core::operation::Event;

use super::{LeasePolicy, Noted};
use crate::foundation::Foundation;

/// Takes a warning in words; must not wait.
pub type OnWarning = Box<dyn Fn(&str) + Send + Sync>;

/// What is remembered about numbers beside the data, as long as the process runs.
#[derive(Default)]
pub(crate) struct Reminders {
    policy: Mutex<LeasePolicy>,
    told: Mutex<Told>,
    /// What the ledger says of ids.
    noted: Mutex<Noted>,
    /// Bytes that were added to the ledger since it was written as a whole.
    notes: AtomicUsize,
}

#[derive(Default)]
struct Told {
    listener: Option<OnWarning>,
    /// Told while nobody listened.
    early: Vec<String>,
    /// What was said last about each matter.
    last: BTreeMap<String, String>,
}

impl Reminders {
    /// Warnings that wait for a listener at most.
    const EARLY: usize = 100;

    pub(super) fn set_policy(&self, policy: LeasePolicy) {
        *self.policy.lock().unwrap_or_else(PoisonError::into_inner) = policy;
    }

    pub(crate) fn policy(&self) -> LeasePolicy {
        *self.policy.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the ledger says of ids.
    pub(crate) fn noted(&self) -> MutexGuard<'_, Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn notes(&self) -> usize {
        self.notes.load(Ordering::Relaxed)
    }

    pub(super) fn begin_notes(&self) {
        self.notes.store(0, Ordering::Relaxed);
    }

    pub(super) fn add_notes(&self, bytes: usize) {
        self.notes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn listen(&self, listener: OnWarning) {
        let mut told = self.told();
        told.early.drain(..).for_each(|text| listener(&text));
        told.listener = Some(listener);
    }

    /// A matter is in order again: the next warning about it is a new one.
    pub(crate) fn settle(&self, matter: &str) {
        self.told().last.remove(matter);
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Foundation {
    /// Warns, unless the same was said last about this matter.
    pub(crate) fn warn_once(&self, matter: &str, text: String) {
        let mut told = self.reminders.told();
        if told.last.get(matter) == Some(&text) {
            return;
        }
        told.last.insert(matter.to_owned(), text.clone());
        match &told.listener {
            Some(listener) => listener(&text),
            None if told.early.len() < Reminders::EARLY => told.early.push(text.clone()),
            None => {}
        }
        drop(told);
        if !self.watchers.is_empty() {
            self.watchers.publish(&[Event {
                time: self.surroundings.now(),
                kind: "warning".to_owned(),
                peer: String::new(),
                transaction: None,
                position: None,
                text,
            }]);
        }
    }
}
