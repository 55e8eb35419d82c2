//! Who waits for something to change, woken by what a commit changed and by nothing else.
//!
//! A waiting one names keys of what it looks at, the same that the commit lane notes for saves that are prepared beside it
//! ([`crate::reads`]). A commit rings for those whose keys it changed before its end is published: so where nobody was
//! rung for, what was looked at is as it was at the published end. Whoever waits for other things costs a commit nothing.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::reads::Key;

/// All who wait.
#[derive(Default)]
pub(crate) struct Interests {
    registered: Mutex<Registered>,
    count: AtomicUsize,
}

#[derive(Default)]
struct Registered {
    by_key: HashMap<Key, Vec<Arc<Bell>>>,
    all: Vec<Arc<Bell>>,
    are_closed: bool,
}

/// One who waits; it is forgotten with this value.
pub(crate) struct Interest<'i> {
    interests: &'i Interests,
    bell: Arc<Bell>,
    keys: Vec<Key>,
}

#[derive(Default)]
struct Bell {
    rung: Mutex<Rung>,
    is_rung: Condvar,
}

/// Why somebody who waited goes on.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) enum Rung {
    /// Nothing happened.
    #[default]
    Not,
    /// Something changed, or may have.
    Changed,
    /// The node goes down.
    Closed,
}

impl Interests {
    /// Somebody who waits for nothing yet.
    pub(crate) fn register(&self) -> Interest<'_> {
        let bell = Arc::new(Bell::default());
        let mut registered = self.lock();
        if registered.are_closed {
            bell.ring(Rung::Closed);
        }
        registered.all.push(Arc::clone(&bell));
        self.count.fetch_add(1, Ordering::SeqCst);
        Interest { interests: self, bell, keys: Vec::new() }
    }

    /// Whether nobody waits.
    pub(crate) fn are_none(&self) -> bool {
        self.count.load(Ordering::SeqCst) == 0
    }

    /// Rings for all who look at one of the keys.
    pub(crate) fn changed(&self, keys: impl Iterator<Item = Key>) {
        let registered = self.lock();
        for key in keys {
            registered.by_key.get(&key).into_iter().flatten().for_each(|bell| bell.ring(Rung::Changed));
        }
    }

    /// Rings for all, since nobody knows what changed.
    pub(crate) fn all_changed(&self) {
        self.lock().all.iter().for_each(|bell| bell.ring(Rung::Changed));
    }

    /// Lets all go: the node goes down.
    pub(crate) fn close(&self) {
        let mut registered = self.lock();
        registered.are_closed = true;
        registered.all.iter().for_each(|bell| bell.ring(Rung::Closed));
    }

    fn lock(&self) -> MutexGuard<'_, Registered> {
        self.registered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Interest<'_> {
    /// Waits for changes of these keys from now on, and for no others.
    pub(crate) fn expect(&mut self, keys: Vec<Key>) {
        if self.keys == keys {
            return;
        }
        let mut registered = self.interests.lock();
        self.forget(&mut registered);
        for key in &keys {
            registered.by_key.entry(*key).or_default().push(Arc::clone(&self.bell));
        }
        self.keys = keys;
    }

    fn forget(&self, registered: &mut Registered) {
        for key in &self.keys {
            if let Some(bells) = registered.by_key.get_mut(key) {
                bells.retain(|bell| !Arc::ptr_eq(bell, &self.bell));
                if bells.is_empty() {
                    registered.by_key.remove(key);
                }
            }
        }
    }

    /// Forgets that something changed: what is looked at from now on shows it.
    pub(crate) fn begin(&self) {
        let mut rung = self.bell.lock();
        if *rung == Rung::Changed {
            *rung = Rung::Not;
        }
    }

    /// Waits until something changed, at most for a while.
    pub(crate) fn wait(&self, at_most: Duration) -> Rung {
        let until = Instant::now() + at_most;
        let mut rung = self.bell.lock();
        while *rung == Rung::Not {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let waited = self.bell.is_rung.wait_timeout(rung, left);
            rung = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        *rung
    }
}

impl Drop for Interest<'_> {
    fn drop(&mut self) {
        let mut registered = self.interests.lock();
        self.forget(&mut registered);
        registered.all.retain(|bell| !Arc::ptr_eq(bell, &self.bell));
        self.interests.count.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Bell {
    fn lock(&self) -> MutexGuard<'_, Rung> {
        self.rung.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ring(&self, why: Rung) {
        let mut rung = self.lock();
        if *rung != Rung::Closed {
            *rung = why;
        }
        self.is_rung.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reads::Seen;
    use mytism_core::id::EntityId;

    const SHORT: Duration = Duration::from_millis(1);

    fn key(number: u32) -> Key {
        Seen::Entity(EntityId(number)).key()
    }

    #[test]
    fn who_looks_elsewhere_is_not_woken() {
        let interests = Interests::default();
        assert!(interests.are_none());
        let (mut one, mut other) = (interests.register(), interests.register());
        one.expect(vec![key(1), key(2)]);
        other.expect(vec![key(2), key(3)]);
        let ring = |number| interests.changed([key(number)].into_iter());
        for (rings, expected) in [(1, (true, false)), (2, (true, true)), (3, (false, true)), (4, (false, false))] {
            ring(rings);
            let woken = |interest: &Interest<'_>| interest.wait(SHORT) == Rung::Changed;
            assert_eq!((woken(&one), woken(&other)), expected, "{rings}");
            one.begin();
            other.begin();
        }
        one.expect(vec![key(9)]);
        ring(1);
        assert_eq!(one.wait(SHORT), Rung::Not, "that is expected no longer");
        interests.all_changed();
        assert_eq!(one.wait(SHORT), Rung::Changed);
        drop((one, other));
        assert!(interests.are_none() && interests.lock().by_key.is_empty());
    }

    #[test]
    fn all_go_when_the_node_goes_down() {
        let interests = Interests::default();
        let waiting = interests.register();
        std::thread::scope(|scope| {
            let waited = scope.spawn(|| waiting.wait(Duration::from_secs(60)));
            interests.close();
            assert_eq!(waited.join().unwrap(), Rung::Closed);
        });
        waiting.begin();
        interests.all_changed();
        assert_eq!((waiting.wait(SHORT), interests.register().wait(SHORT)), (Rung::Closed, Rung::Closed));
    }
}
