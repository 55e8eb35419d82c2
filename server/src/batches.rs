//! Pieces of the log that many branches want after the same commit: read once and encoded once for all of them.
//!
//! A piece is named by what it follows and by the end of the log at that commit, so nobody gets an older one than he
//! would read himself. It is kept for a moment, which is all that this takes; what a slow branch has still to get lies in
//! memory once, however many there are. Whoever is far behind reads alone until he is near, so that he takes the place
//! of nothing that others want. It knows no line and no store.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use mytism_core::id::{Hash, Position};
use mytism_proto::{PeerMessage, ProtoError};
use mytism_sync::{LogItem, ROWS};
use tokio::sync::OnceCell;

/// Who lacks more entries than this reads alone: they do not fit one message.
pub(crate) const NEAR: u64 = ROWS as u64;
/// So long a piece is handed out.
const FRESH: Duration = Duration::from_millis(500);
/// Pieces of either kind that are kept at most, each about as large as a message.
const KEPT: usize = 4;

/// A piece of the log.
pub(crate) type Items = Arc<Vec<LogItem>>;
/// A message as bytes.
pub(crate) type Frame = Arc<Vec<u8>>;

/// See the module.
#[derive(Default)]
pub(crate) struct Batches {
    read: Kept<(u64, Position), OnceCell<Items>>,
    encoded: Kept<(Hash, usize, Position), Mutex<Option<Frame>>>,
    counts: Counts,
}

/// How often something was really done since the start.
#[derive(Default)]
struct Counts {
    read: AtomicU64,
    encoded: AtomicU64,
}

/// Places of values that were made in the last moments, by what they are made of.
struct Kept<K, V>(Mutex<VecDeque<Piece<K, V>>>);

struct Piece<K, V> {
    key: K,
    since: Instant,
    value: Arc<V>,
}

impl<K, V> Default for Kept<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<K: PartialEq, V: Default> Kept<K, V> {
    /// The place of a value, which whoever comes first fills while the others wait.
    fn place(&self, key: K) -> Arc<V> {
        let mut pieces = locked(&self.0);
        pieces.retain(|piece| piece.since.elapsed() < FRESH);
        if let Some(known) = pieces.iter().find(|piece| piece.key == key) {
            return Arc::clone(&known.value);
        }
        let value = Arc::default();
        pieces.push_back(Piece { key, since: Instant::now(), value: Arc::clone(&value) });
        if pieces.len() > KEPT {
            pieces.pop_front();
        }
        value
    }

    fn age(&self) {
        locked(&self.0).retain(|piece| piece.since.elapsed() < FRESH);
    }
}

impl Batches {
    /// The log behind a number, as it is at a commit. A reading that fails is tried again by the next who waits.
    pub(crate) async fn log_behind<E, R>(
        &self,
        after: u64,
        commit: Position,
        read: impl FnOnce() -> R,
    ) -> Result<Items, E>
    where
        R: Future<Output = Result<Items, E>>,
    {
        let place = self.read.place((after, commit));
        let counted = || {
            self.counts.read.fetch_add(1, Ordering::Relaxed);
            read()
        };
        place.get_or_try_init(counted).await.map(Arc::clone)
    }

    /// A message as bytes. Entries with all that belongs to them are the same for every branch, but for the moment of
    /// sending, which is when they were encoded.
    pub(crate) fn encoded(&self, message: &PeerMessage) -> Result<Frame, ProtoError> {
        let PeerMessage::Entries { entries, checksum, head, .. } = message else {
            return message.encode().map(Arc::new);
        };
        if entries.iter().any(|frame| frame.transaction.is_none()) {
            // What one branch has itself is left out for it alone.
            return self.encode(message);
        }
        let place = self.encoded.place((*checksum, entries.len(), *head));
        let mut known = locked(&place);
        if let Some(frame) = &*known {
            return Ok(Arc::clone(frame));
        }
        let frame = self.encode(message)?;
        *known = Some(Arc::clone(&frame));
        Ok(frame)
    }

    fn encode(&self, message: &PeerMessage) -> Result<Frame, ProtoError> {
        self.counts.encoded.fetch_add(1, Ordering::Relaxed);
        message.encode().map(Arc::new)
    }

    /// How many pieces were read, and how many encoded, since the start.
    #[cfg(test)]
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.counts.read.load(Ordering::Relaxed), self.counts.encoded.load(Ordering::Relaxed))
    }

    /// Forgets what nobody will ask for any more.
    pub(crate) fn age(&self) {
        self.read.age();
        self.encoded.age();
    }
}

#[cfg(test)]
mod tests {
    use mytism_core::id::{NodeId, TransactionId};
    use mytism_core::time::Timestamp;
    use mytism_proto::EntryFrame;
    use tokio::task::JoinSet;

    use super::*;

    fn at(number: u64) -> Position {
        Position { epoch: 1, number }
    }

    fn items(numbers: std::ops::RangeInclusive<u64>) -> Items {
        let item = |number| LogItem {
            position: at(number),
            hash: Hash([7; 32]),
            transaction: TransactionId { node: NodeId(1), incarnation: 1, counter: number },
            entry: vec![1],
            bytes: vec![2],
        };
        Arc::new(numbers.map(item).collect())
    }

    fn entries(number: u8, transaction: Option<Vec<u8>>) -> PeerMessage {
        PeerMessage::Entries {
            entries: vec![EntryFrame { entry: vec![1], transaction }],
            checksum: Hash([number; 32]),
            head: at(u64::from(number)),
            sent: Timestamp::saturating_from_micros(1),
        }
    }

    #[tokio::test]
    async fn a_thousand_branches_are_sent_what_was_read_and_encoded_once() {
        let batches = Arc::new(Batches::default());
        let mut branches = JoinSet::new();
        for _ in 0..1_000 {
            let batches = Arc::clone(&batches);
            branches.spawn(async move {
                let read = || async {
                    // The others come meanwhile.
                    tokio::task::yield_now().await;
                    Ok::<_, ()>(items(7..=7))
                };
                let read = batches.log_behind(6, at(7), read).await.unwrap();
                assert_eq!(read, items(7..=7));
                batches.encoded(&entries(7, Some(vec![2]))).unwrap()
            });
        }
        let frames = branches.join_all().await;
        assert_eq!(batches.counts(), (1, 1));
        assert!(frames.iter().all(|frame| Arc::ptr_eq(frame, &frames[0])), "it lies in memory once");
        let decoded = PeerMessage::decode(&frames[0]).unwrap();
        assert_eq!(decoded, entries(7, Some(vec![2])));
    }

    #[tokio::test]
    async fn after_the_next_commit_it_is_read_anew_and_what_failed_is_tried_again() {
        let batches = Batches::default();
        let read = |number| async move { Ok::<_, ()>(items(7..=number)) };
        assert_eq!(batches.log_behind(6, at(7), || async { Err::<Items, _>(1) }).await, Err(1));
        assert_eq!(batches.log_behind(6, at(7), || read(7)).await, Ok(items(7..=7)));
        assert_eq!(batches.log_behind(6, at(8), || read(8)).await, Ok(items(7..=8)), "nobody gets an older one");
        assert_eq!(batches.counts().0, 3);
    }

    #[test]
    fn what_one_branch_has_itself_is_left_out_for_it_alone() {
        let batches = Batches::default();
        let frame = |message: &PeerMessage| batches.encoded(message).unwrap();
        let all = frame(&entries(7, Some(vec![2])));
        assert!(!Arc::ptr_eq(&all, &frame(&entries(7, None))));
        assert!(!Arc::ptr_eq(&all, &frame(&entries(8, Some(vec![2])))));
        assert!(Arc::ptr_eq(&all, &frame(&entries(7, Some(vec![2])))));
        assert_eq!(batches.counts().1, 3);
    }

    #[test]
    fn no_more_is_kept_than_a_few_pieces() {
        let batches = Batches::default();
        let frames: Vec<_> = (0..50).map(|number| batches.encoded(&entries(number, Some(vec![2]))).unwrap()).collect();
        let kept = frames.iter().filter(|frame| Arc::strong_count(frame) > 1).count();
        assert_eq!(kept, KEPT);
    }
}
