//! What moves over one line: counted for `status`, timed, and told in the log of the node, a line a batch.
//!
//! Arrows tell the direction as the log of every node has it: `>>>>` to the head office, `<<<<` from it. Time is given
//! in; the clock of a branch is brought in line with the head office's by the measured offset.

use std::collections::VecDeque;
use std::fmt;

use mytism_core::id::{Position, TransactionId};
use mytism_core::operation::Moved;
use mytism_core::time::Timestamp;
use mytism_format::{entry, transaction};
use mytism_proto::EntryFrame;

use crate::peers::Peers;

/// One line.
pub(crate) struct Traffic<'p> {
    peers: &'p Peers,
    /// Name of the other node.
    name: &'p str,
    /// When the line came up; what was committed before has waited for it, and says nothing about the line.
    since: Timestamp,
    /// By how many microseconds the own clock is ahead of the head office's.
    offset_micros: i64,
    /// Entries on their way to a branch.
    sent: VecDeque<Batch>,
    /// Entries that are being applied.
    applying: Option<Batch>,
    /// The end of the head office's log, as a branch was told.
    head: u64,
    /// The last transaction that was offered, and when it was saved by the head office's clock.
    offered: Option<(TransactionId, Timestamp)>,
}

/// Entries or transactions that move together.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Batch {
    count: u64,
    /// The first one and the last one.
    transactions: (TransactionId, TransactionId),
    /// Places in the log, where they have any.
    positions: Option<(Position, Position)>,
    /// When they were committed or saved.
    times: (Timestamp, Timestamp),
}

impl fmt::Display for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { count, transactions: (first, last), positions, times: (from, to) } = self;
        match positions {
            Some((first, last)) if first == last => write!(f, "1 entry, {first}, ")?,
            Some((first, last)) => write!(f, "{count} entries, {first} to {last}, ")?,
            None if first == last => write!(f, "1 transaction, ")?,
            None => write!(f, "{count} transactions, ")?,
        }
        if first == last {
            return write!(f, "{first} of {from}");
        }
        write!(f, "{first} of {from} to {last} of {to}")
    }
}

impl Batch {
    fn of_entries(frames: &[EntryFrame]) -> Option<Self> {
        let read = |frame: &EntryFrame| entry::read(frame.entry.clone()).ok().map(|stored| stored.entry);
        let (first, last) = (read(frames.first()?)?, read(frames.last()?)?);
        Some(Self {
            count: frames.len() as u64,
            transactions: (first.transaction, last.transaction),
            positions: Some((first.position, last.position)),
            times: (first.committed_at, last.committed_at),
        })
    }

    fn of_transactions(offered: &[Vec<u8>]) -> Option<Self> {
        let read = |bytes: &Vec<u8>| {
            let (id, _, _) = transaction::peek(bytes).ok()?;
            Some((id, transaction::about(bytes).ok()?.0.time))
        };
        let (first, last) = (read(offered.first()?)?, read(offered.last()?)?);
        let count = offered.len() as u64;
        Some(Self { count, transactions: (first.0, last.0), positions: None, times: (first.1, last.1) })
    }

    /// The last number in the log.
    fn end(&self) -> u64 {
        self.positions.map_or(0, |(_, last)| last.number)
    }

    fn last_at(&self, time: Timestamp) -> Option<Moved> {
        Some(Moved { transaction: self.transactions.1, time })
    }
}

/// A span on the screen and in the log. Clocks are measured to some microseconds, so a span may come out below nothing.
fn milliseconds(from: Timestamp, to: Timestamp) -> f64 {
    let micros = to.micros().saturating_sub(from.micros());
    std::time::Duration::from_micros(u64::try_from(micros).unwrap_or_default()).as_secs_f64() * 1e3
}

fn moved_by(time: Timestamp, micros: i64) -> Timestamp {
    Timestamp::saturating_from_micros(time.micros().saturating_sub(micros))
}

impl<'p> Traffic<'p> {
    /// A line that came up now.
    pub(crate) fn new(peers: &'p Peers, name: &'p str, now: Timestamp) -> Self {
        Self {
            peers,
            name,
            since: now,
            offset_micros: 0,
            sent: VecDeque::new(),
            applying: None,
            head: 0,
            offered: None,
        }
    }

    /// The own clock was measured.
    pub(crate) const fn on_offset(&mut self, micros: i64) {
        self.offset_micros = micros;
    }

    /// The head office sends entries of its log, which ends at `head`.
    pub(crate) fn on_sent(&mut self, frames: &[EntryFrame], head: Position, now: Timestamp) {
        let Some(batch) = Batch::of_entries(frames) else { return };
        tracing::info!("<<<< to {}: {batch}; {} left", self.name, head.number.saturating_sub(batch.end()));
        self.peers.update(self.name, |peer| {
            peer.sent += batch.count;
            peer.last_sent = batch.last_at(now);
        });
        self.sent.push_back(batch);
    }

    /// The branch says that entries up to here are durable; `left` are not.
    pub(crate) fn on_acknowledged(&mut self, position: Position, left: u64, now: Timestamp) {
        let (mut count, mut last) = (0, None);
        while let Some(batch) = self.sent.pop_front_if(|batch| batch.end() <= position.number) {
            count += batch.count;
            last = Some(batch.times.1);
        }
        self.peers.moved(self.name, count, left);
        if let Some(committed) = last.filter(|committed| *committed >= self.since) {
            self.peers.update(self.name, |peer| peer.lag_ms = Some(milliseconds(committed, now)));
        }
    }

    /// A branch got entries, and was told where the log of the head office ends.
    pub(crate) const fn on_told(&mut self, head: Position) {
        self.head = head.number;
    }

    /// A branch applies entries.
    pub(crate) fn on_applying(&mut self, frames: &[EntryFrame]) {
        if let Some((wanted, saved)) = self.offered
            && let Some(decided) = decided_at(frames, wanted)
        {
            self.offered = None;
            if saved >= moved_by(self.since, self.offset_micros) {
                self.peers.update(self.name, |peer| peer.offer_lag_ms = Some(milliseconds(saved, decided)));
            }
        }
        self.applying = Batch::of_entries(frames);
    }

    /// They are durable.
    pub(crate) fn on_applied(&mut self, now: Timestamp) {
        let Some(batch) = self.applying.take() else { return };
        let here = moved_by(now, self.offset_micros);
        let lag = milliseconds(batch.times.1, here);
        let behind = self.head.saturating_sub(batch.end());
        tracing::info!("<<<< from {}: {batch}; durable here {lag:.1} ms later, {behind} left", self.name);
        let is_fresh = batch.times.1 >= moved_by(self.since, self.offset_micros);
        self.peers.update(self.name, |peer| {
            peer.received += batch.count;
            peer.last_received = batch.last_at(now);
            peer.behind = Some(behind);
            if is_fresh {
                peer.lag_ms = Some(lag);
            }
        });
        self.peers.moved(self.name, batch.count, behind);
    }

    /// A branch offers transactions.
    pub(crate) fn on_offering(&mut self, offered: &[Vec<u8>], now: Timestamp) {
        let Some(batch) = Batch::of_transactions(offered) else { return };
        tracing::info!(">>>> to {}: {batch}", self.name);
        self.offered = Some((batch.transactions.1, moved_by(batch.times.1, self.offset_micros)));
        self.peers.update(self.name, |peer| {
            peer.sent += batch.count;
            peer.last_sent = batch.last_at(now);
        });
    }

    /// The head office is offered transactions.
    pub(crate) fn on_offered(&mut self, offered: &[Vec<u8>], now: Timestamp) {
        let Some(batch) = Batch::of_transactions(offered) else { return };
        tracing::info!(">>>> from {}: {batch}", self.name);
        self.peers.update(self.name, |peer| {
            peer.received += batch.count;
            peer.last_received = batch.last_at(now);
        });
    }

    /// The head office decides on transactions: the last one, and when it was saved by its own clock.
    pub(crate) fn saved_last(offered: &[Vec<u8>]) -> Option<Timestamp> {
        let stored = transaction::read(offered.last()?.clone()).ok()?;
        let made = stored.transaction;
        Some(moved_by(made.time, made.clock_offset_micros.unwrap_or(0)))
    }

    /// What the head office decided on is durable; the last one was saved then.
    pub(crate) fn on_decided(&self, saved: Option<Timestamp>, now: Timestamp) {
        if let Some(saved) = saved.filter(|saved| *saved >= self.since) {
            self.peers.update(self.name, |peer| peer.offer_lag_ms = Some(milliseconds(saved, now)));
        }
    }
}

/// When the head office decided on a transaction, if it is among entries.
fn decided_at(frames: &[EntryFrame], wanted: TransactionId) -> Option<Timestamp> {
    frames.iter().rev().find_map(|frame| {
        let entry = entry::read(frame.entry.clone()).ok()?.entry;
        (entry.transaction == wanted).then_some(entry.committed_at)
    })
}
