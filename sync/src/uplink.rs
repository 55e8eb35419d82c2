//! A branch's side: applies the log of the head office as it comes and confirms it, offers what was saved here, and
//! asks for ids before they run out.

use std::collections::VecDeque;

use mytism_core::id::{Hash, Position};
use mytism_core::number::LeaseWish;
use mytism_core::planted::{Bug, is};
use mytism_core::time::Timestamp;
use mytism_proto::{EntryFrame, PeerMessage};

use crate::{Effect, Job, PendingItem, Violation, WINDOW};

/// See the module.
#[derive(Debug)]
pub struct Uplink {
    /// Batches of entries that wait until the one before is applied.
    waiting: VecDeque<Vec<EntryFrame>>,
    bytes_waiting: usize,
    applying: bool,
    /// The last place that was offered in this session.
    offered: Option<i64>,
    /// Offered transactions whose outcome has not come: place and bytes.
    under_way: VecDeque<(i64, usize)>,
    bytes_under_way: usize,
    /// Whether the store was asked for pending transactions and has not answered.
    reading: bool,
    /// Whether there may be pending transactions that were not read.
    more: bool,
    /// The end of the head office's log when the line began. Before that is reached nothing is offered: what the head
    /// office has under the name of a pending transaction must arrive first, with its content.
    offer_from: u64,
    asked_for_block: bool,
    /// Whether the head office was told in this session which leases are held here.
    told_leases: bool,
    asked_for_leases: bool,
    lag_micros: Option<i64>,
    clock_offset_micros: i64,
}

impl Uplink {
    /// A new session with a head office whose log ends at a number and behind whose clock the own one is ahead by so many
    /// microseconds. Everything pending is offered again: the head office knows what it has seen.
    #[must_use]
    pub const fn new(stands_at: u64, head: u64, clock_offset_micros: i64) -> Self {
        Self {
            waiting: VecDeque::new(),
            bytes_waiting: 0,
            applying: false,
            offered: None,
            under_way: VecDeque::new(),
            bytes_under_way: 0,
            reading: false,
            more: true,
            offer_from: if head > stands_at { head } else { 0 },
            asked_for_block: false,
            told_leases: false,
            asked_for_leases: false,
            lag_micros: None,
            clock_offset_micros,
        }
    }

    /// From the sending of the last entries to their arrival, in microseconds: by both clocks, of which the difference is
    /// taken off.
    #[must_use]
    pub const fn lag_micros(&self) -> Option<i64> {
        self.lag_micros
    }

    /// Begins, or goes on where something may have changed.
    pub fn go_on(&mut self, out: &mut Vec<Effect>) {
        if self.more && !self.reading && self.offer_from == 0 && self.bytes_under_way < WINDOW {
            self.reading = true;
            self.more = false;
            out.push(Effect::Do(Job::ReadPending { after: self.offered }));
        }
    }

    /// Something was saved here.
    pub fn on_saved(&mut self, out: &mut Vec<Effect>) {
        self.more = !is(Bug::WakeupLost);
        self.go_on(out);
    }

    /// The pending transactions that were asked for.
    pub fn on_pending(&mut self, items: Vec<PendingItem>, out: &mut Vec<Effect>) {
        self.reading = false;
        if let Some(last) = items.last() {
            self.offered = Some(last.place);
            // There may be more than one answer holds.
            self.more = true;
            for item in &items {
                self.under_way.push_back((item.place, item.bytes.len()));
                self.bytes_under_way += item.bytes.len();
            }
            let transactions = items.into_iter().map(|item| item.bytes).collect();
            out.push(Effect::Send(PeerMessage::Offer { transactions, signature: Vec::new() }));
        }
        self.go_on(out);
    }

    /// The head office says something.
    ///
    /// # Errors
    /// When it says what it may not say.
    pub fn on_message(&mut self, message: PeerMessage, now: Timestamp, out: &mut Vec<Effect>) -> Result<(), Violation> {
        match message {
            PeerMessage::Entries { entries, sent, .. } => {
                self.lag_micros =
                    Some(now.micros().saturating_sub(sent.micros()).saturating_sub(self.clock_offset_micros));
                let bytes: usize = entries.iter().map(EntryFrame::bytes).sum();
                if self.bytes_waiting + bytes > 2 * WINDOW + mytism_proto::frame::BODY_MAX as usize {
                    let message = "more is sent than the window holds".to_owned();
                    return Err(Violation { code: "window-exceeded", message });
                }
                self.bytes_waiting += bytes;
                self.waiting.push_back(entries);
                self.apply(out);
            }
            PeerMessage::BlockGrant { blocks } => {
                self.asked_for_block = false;
                out.push(Effect::Do(Job::TakeBlocks(blocks)));
            }
            PeerMessage::LeaseGrant { leases } => {
                self.asked_for_leases = false;
                if !leases.is_empty() {
                    out.push(Effect::Do(Job::TakeLeases(leases)));
                }
            }
            PeerMessage::Ping { sent } => out.push(Effect::Send(PeerMessage::Pong { ping: sent, time: now })),
            PeerMessage::Pong { .. } => {}
            _ => return Err(Violation::unexpected("a message of the other side")),
        }
        Ok(())
    }

    fn apply(&mut self, out: &mut Vec<Effect>) {
        if self.applying {
            return;
        }
        if let Some(next) = self.waiting.pop_front() {
            self.bytes_waiting -= next.iter().map(EntryFrame::bytes).sum::<usize>();
            self.applying = true;
            out.push(Effect::Do(Job::Apply(next)));
        }
    }

    /// Entries are applied and durable. `settled` is the last place among the pending
    /// transactions that they settled, if there is one.
    pub fn on_applied(&mut self, position: Position, hash: Hash, settled: Option<i64>, out: &mut Vec<Effect>) {
        self.applying = false;
        if position.number >= self.offer_from {
            self.offer_from = 0;
        }
        out.push(Effect::Send(PeerMessage::Ack { position, hash }));
        if let Some(settled) = settled {
            while let Some((_, bytes)) = self.under_way.pop_front_if(|(place, _)| *place <= settled) {
                self.bytes_under_way -= bytes;
            }
        }
        self.apply(out);
        self.go_on(out);
    }

    /// So many ids are left. Below `reserve` more are asked for, once.
    pub fn on_ids_left(&mut self, left: u64, reserve: u64, out: &mut Vec<Effect>) {
        if left < reserve && !self.asked_for_block {
            self.asked_for_block = true;
            out.push(Effect::Send(PeerMessage::BlockRequest { free: left }));
        }
    }

    /// What is held of the own number ranges. All of them are told once in a session, so that the head office can say
    /// what was lost; later only when more are wished, and not before the last answer came.
    pub fn on_lease_wishes(&mut self, wishes: Vec<LeaseWish>, out: &mut Vec<Effect>) {
        let wanted = wishes.iter().any(|wish| wish.wanted > 0);
        if wishes.is_empty() || self.asked_for_leases || self.told_leases && !wanted {
            return;
        }
        self.told_leases = true;
        self.asked_for_leases = true;
        out.push(Effect::Send(PeerMessage::LeaseRequest { wishes }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mytism_core::id::ObjectId;
    use mytism_core::number::Lease;

    fn now() -> Timestamp {
        Timestamp::saturating_from_micros(5)
    }

    fn pending(place: i64, size: usize) -> PendingItem {
        PendingItem { place, bytes: vec![0; size] }
    }

    fn entries(count: usize) -> PeerMessage {
        let entries = vec![EntryFrame { entry: vec![0], transaction: None }; count];
        PeerMessage::Entries { entries, checksum: Hash::default(), head: Position::default(), sent: now() }
    }

    #[test]
    fn pending_transactions_are_offered_in_order_and_within_the_window() {
        let mut uplink = Uplink::new(0, 0, 0);
        let mut out = Vec::new();
        uplink.go_on(&mut out);
        assert_eq!(out, [Effect::Do(Job::ReadPending { after: None })]);
        out.clear();
        uplink.on_pending(vec![pending(1, WINDOW / 2), pending(2, WINDOW / 2)], &mut out);
        assert!(
            matches!(&out[..], [Effect::Send(PeerMessage::Offer { transactions, .. })] if transactions.len() == 2),
            "the window is full"
        );
        out.clear();
        uplink.on_saved(&mut out);
        assert!(out.is_empty());
        uplink.on_applied(Position { epoch: 1, number: 1 }, Hash::default(), Some(1), &mut out);
        assert!(
            matches!(
                &out[..],
                [Effect::Send(PeerMessage::Ack { .. }), Effect::Do(Job::ReadPending { after: Some(2) })]
            ),
            "{out:?}"
        );
        out.clear();
        uplink.on_pending(Vec::new(), &mut out);
        assert!(out.is_empty(), "nothing more is there: {out:?}");
        uplink.on_saved(&mut out);
        assert_eq!(out, [Effect::Do(Job::ReadPending { after: Some(2) })]);
    }

    #[test]
    fn a_save_while_the_store_reads_is_not_forgotten() {
        let mut uplink = Uplink::new(0, 0, 0);
        let mut out = Vec::new();
        uplink.go_on(&mut out);
        uplink.on_saved(&mut out);
        out.clear();
        uplink.on_pending(Vec::new(), &mut out);
        assert_eq!(out, [Effect::Do(Job::ReadPending { after: None })]);
    }

    #[test]
    fn what_the_head_office_has_comes_before_what_is_offered() {
        let mut uplink = Uplink::new(3, 9, 0);
        let mut out = Vec::new();
        uplink.go_on(&mut out);
        uplink.on_saved(&mut out);
        uplink.on_applied(Position { epoch: 1, number: 8 }, Hash::default(), None, &mut out);
        assert!(!out.iter().any(|effect| matches!(effect, Effect::Do(Job::ReadPending { .. }))), "{out:?}");
        uplink.on_applied(Position { epoch: 1, number: 9 }, Hash::default(), None, &mut out);
        assert_eq!(out.pop(), Some(Effect::Do(Job::ReadPending { after: None })));
    }

    #[test]
    fn the_lag_is_told_without_the_difference_of_the_clocks() {
        let lag = |ahead| {
            let mut uplink = Uplink::new(0, 0, ahead);
            uplink.on_message(entries(1), Timestamp::saturating_from_micros(1_000_000), &mut Vec::new()).unwrap();
            uplink.lag_micros()
        };
        assert_eq!((lag(0), lag(999_000)), (Some(999_995), Some(995)));
    }

    #[test]
    fn entries_are_applied_one_batch_at_a_time() {
        let mut uplink = Uplink::new(0, 0, 0);
        let mut out = Vec::new();
        uplink.on_message(entries(1), now(), &mut out).unwrap();
        uplink.on_message(entries(2), now(), &mut out).unwrap();
        assert!(matches!(&out[..], [Effect::Do(Job::Apply(first))] if first.len() == 1));
        out.clear();
        uplink.on_applied(Position::default(), Hash::default(), None, &mut out);
        assert!(out.iter().any(|effect| matches!(effect, Effect::Do(Job::Apply(second)) if second.len() == 2)));
        assert!(uplink.on_message(PeerMessage::Done {}, now(), &mut out).is_err());
    }

    #[test]
    fn leases_are_told_once_and_asked_for_one_at_a_time() {
        let wish = |wanted| LeaseWish { range: ObjectId::new(7).unwrap(), held: None, given: None, wanted };
        let mut uplink = Uplink::new(0, 0, 0);
        let mut out = Vec::new();
        uplink.on_lease_wishes(Vec::new(), &mut out);
        assert!(out.is_empty(), "there is nothing to tell");
        uplink.on_lease_wishes(vec![wish(0)], &mut out);
        assert_eq!(out.len(), 1, "all is told once");
        uplink.on_lease_wishes(vec![wish(20)], &mut out);
        assert_eq!(out.len(), 1, "the answer has not come");
        uplink.on_message(PeerMessage::LeaseGrant { leases: Vec::new() }, now(), &mut out).unwrap();
        uplink.on_lease_wishes(vec![wish(0)], &mut out);
        assert_eq!(out.len(), 1, "nothing is wished");
        uplink.on_lease_wishes(vec![wish(0), wish(20)], &mut out);
        assert_eq!(out.len(), 2);
        let lease = Lease { range: ObjectId::new(7).unwrap(), passed: None, is_lost: false, end: None };
        uplink.on_message(PeerMessage::LeaseGrant { leases: vec![lease] }, now(), &mut out).unwrap();
        assert_eq!(out.pop(), Some(Effect::Do(Job::TakeLeases(vec![lease]))));
    }

    #[test]
    fn ids_are_asked_for_once() {
        let mut uplink = Uplink::new(0, 0, 0);
        let mut out = Vec::new();
        uplink.on_ids_left(10, 20, &mut out);
        uplink.on_ids_left(9, 20, &mut out);
        assert_eq!(out.len(), 1);
        uplink.on_message(PeerMessage::BlockGrant { blocks: vec![17] }, now(), &mut out).unwrap();
        uplink.on_ids_left(8, 20, &mut out);
        assert_eq!(out.len(), 3);
    }

    #[test]
    fn a_head_office_that_sends_more_than_the_window_is_told() {
        let mut uplink = Uplink::new(0, 0, 0);
        let mut out = Vec::new();
        let large = || {
            let entries = vec![EntryFrame { entry: vec![0; WINDOW], transaction: None }];
            PeerMessage::Entries { entries, checksum: Hash::default(), head: Position::default(), sent: now() }
        };
        let messages = 4 + mytism_proto::frame::BODY_MAX as usize / WINDOW;
        let mut told = (0..messages).map(|_| uplink.on_message(large(), now(), &mut out));
        let broken = told.find_map(Result::err).expect("the window has an end");
        assert_eq!(broken.code, "window-exceeded");
    }
}
