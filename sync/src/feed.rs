//! The head office's side of one branch: sends it the log from where it stands, as fast as it confirms, and takes in
//! what it offers, one batch at a time.

use std::collections::VecDeque;

use mytism_core::id::{NodeId, Position, TransactionId};
use mytism_core::number::Lease;
use mytism_core::time::Timestamp;
use mytism_proto::{EntryFrame, PeerMessage};

use crate::{Effect, Job, LogItem, Violation, WINDOW};

/// See the module.
#[derive(Debug)]
pub struct Feed {
    peer: NodeId,
    /// The end of the log here.
    head: Position,
    /// Sent up to here.
    sent: u64,
    /// Confirmed up to here.
    confirmed: u64,
    /// Messages on their way: the last number in each, and its bytes.
    under_way: VecDeque<(u64, usize)>,
    bytes_under_way: usize,
    /// Whether the store was asked for a piece of the log and has not answered.
    reading: bool,
    /// Transactions that the branch offered in this session, so that it need not get them back.
    offered: Option<(TransactionId, u64)>,
    /// Offers that wait until the one before is decided on.
    waiting: VecDeque<Vec<Vec<u8>>>,
    bytes_waiting: usize,
    admitting: bool,
    /// Whether ids or leases are looked for; who asks again meanwhile gets the one answer.
    giving_block: bool,
    granting: bool,
}

impl Feed {
    /// A branch that stands at a number of the log.
    #[must_use]
    pub fn new(peer: NodeId, stands_at: u64, head: Position) -> Self {
        Self {
            peer,
            head,
            sent: stands_at,
            confirmed: stands_at,
            under_way: VecDeque::new(),
            bytes_under_way: 0,
            reading: false,
            offered: None,
            waiting: VecDeque::new(),
            bytes_waiting: 0,
            admitting: false,
            giving_block: false,
            granting: false,
        }
    }

    /// How many entries the branch has not confirmed.
    #[must_use]
    pub const fn backlog(&self) -> u64 {
        self.head.number.saturating_sub(self.confirmed)
    }

    /// Begins, or goes on where something may have changed.
    pub fn go_on(&mut self, out: &mut Vec<Effect>) {
        if !self.reading && self.sent < self.head.number && self.bytes_under_way < WINDOW {
            self.reading = true;
            out.push(Effect::Do(Job::ReadLog { after: self.sent }));
        }
    }

    /// The log here has a new end.
    pub fn on_committed(&mut self, head: Position, out: &mut Vec<Effect>) {
        self.head = self.head.max(head);
        self.go_on(out);
    }

    /// The piece of the log that was asked for.
    pub fn on_log(&mut self, items: &[LogItem], now: Timestamp, out: &mut Vec<Effect>) {
        self.reading = false;
        let Some(last) = items.last() else { return };
        let (number, checksum) = (last.position.number, last.hash);
        let entries: Vec<_> = items.iter().map(|item| self.frame(item)).collect();
        let bytes = entries.iter().map(EntryFrame::bytes).sum();
        self.sent = number;
        self.under_way.push_back((number, bytes));
        self.bytes_under_way += bytes;
        out.push(Effect::Send(PeerMessage::Entries { entries, checksum, head: self.head, sent: now }));
        self.go_on(out);
    }

    /// What the branch offered in this session it still has, since it keeps it until it sees the outcome.
    fn frame(&self, item: &LogItem) -> EntryFrame {
        let has_it = self.offered.is_some_and(|(first, last)| {
            let id = item.transaction;
            (id.node, id.incarnation) == (first.node, first.incarnation) && (first.counter..=last).contains(&id.counter)
        });
        EntryFrame { entry: item.entry.clone(), transaction: if has_it { None } else { Some(item.bytes.clone()) } }
    }

    /// The branch says something. `ids` are the names of the transactions where it is an offer.
    ///
    /// # Errors
    /// When it says what it may not say.
    pub fn on_message(
        &mut self,
        message: PeerMessage,
        ids: &[TransactionId],
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) -> Result<(), Violation> {
        match message {
            PeerMessage::Ack { position, .. } => self.on_ack(position, out)?,
            PeerMessage::Offer { transactions, .. } => self.on_offer(transactions, ids, out)?,
            PeerMessage::BlockRequest { .. } => {
                if !std::mem::replace(&mut self.giving_block, true) {
                    out.push(Effect::Do(Job::GiveBlock));
                }
            }
            PeerMessage::LeaseRequest { wishes } => {
                if !std::mem::replace(&mut self.granting, true) {
                    out.push(Effect::Do(Job::GrantLeases(wishes)));
                }
            }
            PeerMessage::Ping { sent } => out.push(Effect::Send(PeerMessage::Pong { ping: sent, time: now })),
            PeerMessage::Pong { .. } => {}
            _ => return Err(Violation::unexpected("a message of the other side")),
        }
        Ok(())
    }

    fn on_ack(&mut self, position: Position, out: &mut Vec<Effect>) -> Result<(), Violation> {
        if position.number > self.sent {
            return Err(Violation::unexpected("that it has entries which were never sent"));
        }
        self.confirmed = self.confirmed.max(position.number);
        while let Some((_, bytes)) = self.under_way.pop_front_if(|(number, _)| *number <= position.number) {
            self.bytes_under_way -= bytes;
        }
        self.go_on(out);
        Ok(())
    }

    fn on_offer(
        &mut self,
        transactions: Vec<Vec<u8>>,
        ids: &[TransactionId],
        out: &mut Vec<Effect>,
    ) -> Result<(), Violation> {
        for id in ids {
            // What others made and the branch took back, and what gave way in a fork, is decided on like all else; it may
            // well need it again.
            if id.node != self.peer || id.is_of_fork() {
                continue;
            }
            match &mut self.offered {
                Some((first, last)) if first.incarnation == id.incarnation => *last = (*last).max(id.counter),
                _ => self.offered = Some((*id, id.counter)),
            }
        }
        let bytes: usize = transactions.iter().map(Vec::len).sum();
        // The branch keeps to the same window; one message more may be on its way when it is full.
        if self.bytes_waiting + bytes > 2 * WINDOW + mytism_proto::frame::BODY_MAX as usize {
            return Err(Violation { code: "window-exceeded", message: "more is offered than the window holds".into() });
        }
        self.bytes_waiting += bytes;
        self.waiting.push_back(transactions);
        self.admit(out);
        Ok(())
    }

    fn admit(&mut self, out: &mut Vec<Effect>) {
        if self.admitting {
            return;
        }
        if let Some(next) = self.waiting.pop_front() {
            self.bytes_waiting -= next.iter().map(Vec::len).sum::<usize>();
            self.admitting = true;
            out.push(Effect::Do(Job::Admit(next)));
        }
    }

    /// The batch is decided on, and its entries are in the log.
    pub fn on_admitted(&mut self, out: &mut Vec<Effect>) {
        self.admitting = false;
        self.admit(out);
    }

    /// Leases of numbers for the branch; also said when there are none, so that it may ask again.
    pub fn on_leases(&mut self, leases: Vec<Lease>, out: &mut Vec<Effect>) {
        self.granting = false;
        out.push(Effect::Send(PeerMessage::LeaseGrant { leases }));
    }

    /// Blocks of ids for the branch.
    pub fn on_block(&mut self, blocks: Vec<i64>, out: &mut Vec<Effect>) {
        self.giving_block = false;
        out.push(Effect::Send(PeerMessage::BlockGrant { blocks }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mytism_core::id::Hash;

    fn now() -> Timestamp {
        Timestamp::saturating_from_micros(0)
    }

    fn item(number: u64, node: u32, size: usize) -> LogItem {
        LogItem {
            position: Position { epoch: 1, number },
            hash: Hash([1; 32]),
            transaction: TransactionId { node: NodeId(node), incarnation: 1, counter: number },
            entry: vec![0; 10],
            bytes: vec![0; size],
        }
    }

    fn at(number: u64) -> Position {
        Position { epoch: 1, number }
    }

    #[test]
    fn a_silent_branch_gets_no_more_than_the_window() {
        let mut feed = Feed::new(NodeId(2), 0, at(0));
        let mut out = Vec::new();
        feed.on_committed(at(1_000), &mut out);
        let mut sent = 0;
        let mut number = 0;
        while let Some(Effect::Do(Job::ReadLog { after })) = out.pop() {
            assert_eq!(after, number);
            number += 1;
            sent += 1 << 20;
            feed.on_log(&[item(number, 1, 1 << 20)], now(), &mut out);
            out.retain(|effect| matches!(effect, Effect::Do(Job::ReadLog { .. })));
        }
        assert!((WINDOW..WINDOW + (2 << 20)).contains(&sent), "{sent}");
        feed.on_message(PeerMessage::Ack { position: at(1), hash: Hash([1; 32]) }, &[], now(), &mut out).unwrap();
        assert_eq!(out, [Effect::Do(Job::ReadLog { after: number })]);
        assert_eq!(feed.backlog(), 999);
    }

    #[test]
    fn what_the_branch_offered_comes_back_without_its_content() {
        let mut feed = Feed::new(NodeId(2), 0, at(0));
        let mut out = Vec::new();
        let id = TransactionId { node: NodeId(2), incarnation: 1, counter: 1 };
        let offer = PeerMessage::Offer { transactions: vec![vec![1]], signature: Vec::new() };
        feed.on_message(offer.clone(), &[id], now(), &mut out).unwrap();
        feed.on_message(offer, &[id], now(), &mut out).unwrap();
        assert_eq!(out, [Effect::Do(Job::Admit(vec![vec![1]]))], "one at a time");
        feed.on_admitted(&mut out);
        assert_eq!(out.len(), 2);
        out.clear();
        feed.on_committed(at(2), &mut out);
        out.clear();
        feed.on_log(&[item(1, 2, 5), item(2, 2, 5)], now(), &mut out);
        let Some(Effect::Send(PeerMessage::Entries { entries, .. })) = out.first() else { panic!("{out:?}") };
        assert_eq!(entries.iter().map(|entry| entry.transaction.is_some()).collect::<Vec<_>>(), [false, true]);
    }

    #[test]
    fn a_branch_that_breaks_the_rules_is_told() {
        let mut feed = Feed::new(NodeId(2), 0, at(0));
        let mut out = Vec::new();
        let ack = PeerMessage::Ack { position: at(1), hash: Hash([1; 32]) };
        assert_eq!(feed.on_message(ack, &[], now(), &mut out).unwrap_err().code, "unexpected-message");
        assert!(feed.on_message(PeerMessage::Done {}, &[], now(), &mut out).is_err());
        assert!(out.is_empty());
    }

    #[test]
    fn who_asks_again_before_the_answer_gets_one_answer() {
        let mut feed = Feed::new(NodeId(2), 0, at(0));
        let mut out = Vec::new();
        let ask = |feed: &mut Feed| {
            let mut out = Vec::new();
            for message in [PeerMessage::BlockRequest { free: 0 }, PeerMessage::LeaseRequest { wishes: Vec::new() }] {
                feed.on_message(message, &[], now(), &mut out).unwrap();
            }
            out
        };
        let jobs = [Effect::Do(Job::GiveBlock), Effect::Do(Job::GrantLeases(Vec::new()))];
        assert_eq!(ask(&mut feed), jobs);
        assert_eq!(ask(&mut feed), []);
        feed.on_block(vec![17], &mut out);
        assert_eq!(ask(&mut feed), jobs[..1]);
        feed.on_block(vec![18], &mut out);
        feed.on_leases(Vec::new(), &mut out);
        assert_eq!(ask(&mut feed), jobs);
    }

    #[test]
    fn a_branch_that_offers_more_than_the_window_is_told() {
        let mut feed = Feed::new(NodeId(2), 0, at(0));
        let mut out = Vec::new();
        let id = TransactionId { node: NodeId(2), incarnation: 1, counter: 1 };
        let offer = || PeerMessage::Offer { transactions: vec![vec![0; WINDOW]], signature: Vec::new() };
        let offers = 4 + mytism_proto::frame::BODY_MAX as usize / WINDOW;
        let mut told = (0..offers).map(|_| feed.on_message(offer(), &[id], now(), &mut out));
        let broken = told.find_map(Result::err).expect("the window has an end");
        assert_eq!(broken.code, "window-exceeded");
    }
}
