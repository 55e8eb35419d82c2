//! A branch's end of a line: says who it is, does what the head office asks for before the two can talk, and then hands
//! over to [`Uplink`].

use mytism_core::id::{Hash, Position};
use mytism_core::time::Timestamp;
use mytism_proto::{EntryFrame, PeerMessage};

use crate::uplink::Uplink;
use crate::{Done, Effect, Job, LogItem, Violation, clock};

/// See the module.
#[derive(Debug)]
pub struct BranchEnd {
    state: State,
    /// What was said of the own log: the name of the cluster and the end.
    cluster: Hash,
    stands_at: u64,
    wants_life: bool,
}

#[derive(Debug)]
enum State {
    /// Finding out who this is.
    Beginning,
    /// The greeting is on its way since then.
    Greeting { asked: Timestamp },
    /// Both talk.
    Talking(Box<Uplink>),
    /// Handing entries to a head office that lost them, and waiting until these are durable there.
    Returning { until: u64 },
    /// An own transaction has another content there; a new life is on its way.
    Waiting,
    /// Doing what was asked for, and then the line ends.
    Ending,
}

impl Default for BranchEnd {
    fn default() -> Self {
        Self::new()
    }
}

impl BranchEnd {
    /// The end of a new line.
    #[must_use]
    pub const fn new() -> Self {
        Self { state: State::Beginning, cluster: Hash([0; 32]), stands_at: 0, wants_life: false }
    }

    /// Begins.
    pub fn start(&mut self, out: &mut Vec<Effect>) {
        out.push(Effect::Do(Job::Introduce));
    }

    /// Whether both talk.
    #[must_use]
    pub const fn is_talking(&self) -> bool {
        matches!(self.state, State::Talking(_))
    }

    /// Whether the greeting has no answer yet. Nobody should wait for that without end.
    #[must_use]
    pub const fn is_greeting(&self) -> bool {
        matches!(self.state, State::Greeting { .. })
    }

    /// From the sending of the last entries to their arrival, see [`Uplink::lag_micros`].
    #[must_use]
    pub fn lag_micros(&self) -> Option<i64> {
        match &self.state {
            State::Talking(uplink) => uplink.lag_micros(),
            _ => None,
        }
    }

    /// Something was saved here, or the log has a new end.
    pub fn on_commit(&mut self, out: &mut Vec<Effect>) {
        if let State::Talking(uplink) = &mut self.state {
            uplink.on_saved(out);
        }
    }

    /// The head office says something.
    ///
    /// # Errors
    /// When it says what it may not say.
    pub fn on_message(&mut self, message: PeerMessage, now: Timestamp, out: &mut Vec<Effect>) -> Result<(), Violation> {
        match (&mut self.state, message) {
            (
                State::Greeting { .. } | State::Talking(_) | State::Waiting,
                PeerMessage::Renew { incarnation, blocks },
            ) => {
                self.state = State::Ending;
                out.push(Effect::Do(Job::Renew { incarnation, blocks }));
            }
            (State::Greeting { asked }, message) => {
                let asked = *asked;
                self.on_answer(&message, asked, now, out)?;
            }
            (State::Talking(uplink), message) => uplink.on_message(message, now, out)?,
            (State::Returning { until }, PeerMessage::Ack { position, .. }) if position.number == *until => {
                out.push(Effect::Do(Job::ReadTail { after: position.number, hash: None }));
            }
            // What was sent before the head office knew.
            (State::Waiting | State::Ending, _) => {}
            (State::Beginning | State::Returning { .. }, _) => return Err(Violation::unexpected("that too early")),
        }
        Ok(())
    }

    fn on_answer(
        &mut self,
        message: &PeerMessage,
        asked: Timestamp,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) -> Result<(), Violation> {
        match message {
            PeerMessage::Welcome { cluster, time, position, .. } => {
                if *cluster != self.cluster {
                    let message = "the head office belongs to another cluster".to_owned();
                    return Err(Violation { code: "other-cluster", message });
                }
                if self.wants_life {
                    self.state = State::Waiting;
                    out.push(Effect::Send(PeerMessage::RenewRequest {}));
                    return Ok(());
                }
                let offset = clock::offset_micros(asked, *time, now);
                out.extend(offset.map(|micros| Effect::Do(Job::NoteClock(micros))));
                let mut uplink = Uplink::new(self.stands_at, position.number, offset.unwrap_or(0));
                uplink.go_on(out);
                self.state = State::Talking(Box::new(uplink));
                out.push(Effect::Do(Job::CountStock));
            }
            PeerMessage::RollBack { to, hash } => {
                self.state = State::Ending;
                out.push(Effect::Do(Job::RollBack { to: *to, hash: *hash }));
            }
            PeerMessage::Recover { after, hash } => {
                self.state = State::Returning { until: after.number };
                out.push(Effect::Do(Job::ReadTail { after: after.number, hash: Some(*hash) }));
            }
            _ => return Err(Violation::unexpected("something else than a welcome")),
        }
        Ok(())
    }

    /// Work is done.
    ///
    /// # Errors
    /// When the work was not asked for.
    pub fn on_done(&mut self, done: Done, now: Timestamp, out: &mut Vec<Effect>) -> Result<(), Violation> {
        match (&mut self.state, done) {
            (State::Beginning, Done::Introduced { hello, wants_life }) => {
                self.wants_life = wants_life;
                if let PeerMessage::Hello { cluster, position, .. } = &*hello {
                    (self.cluster, self.stands_at) = (*cluster, position.number);
                }
                self.state = State::Greeting { asked: now };
                out.push(Effect::Send(*hello));
            }
            (State::Ending, Done::Noted) => out.push(Effect::Close),
            (State::Returning { .. }, Done::Tail(tail)) => self.on_tail(tail, now, out),
            (State::Talking(_), Done::Forked) => {
                self.state = State::Waiting;
                out.push(Effect::Send(PeerMessage::RenewRequest {}));
            }
            (State::Talking(uplink), done) => on_work(uplink, done, out)?,
            // What was under way when the line took another turn.
            (State::Waiting | State::Ending | State::Returning { .. } | State::Greeting { .. }, _) => {}
            (State::Beginning, _) => return Err(Violation::unexpected("the result of other work")),
        }
        Ok(())
    }

    fn on_tail(&mut self, tail: Option<Vec<LogItem>>, now: Timestamp, out: &mut Vec<Effect>) {
        let differs = tail.is_none();
        let items = tail.unwrap_or_default();
        let Some(last) = items.last() else {
            out.push(Effect::Send(PeerMessage::TailEnd { differs }));
            return;
        };
        let (head, checksum): (Position, Hash) = (last.position, last.hash);
        self.state = State::Returning { until: head.number };
        let frame = |item: LogItem| EntryFrame { entry: item.entry, transaction: Some(item.bytes) };
        let entries = items.into_iter().map(frame).collect();
        out.push(Effect::Send(PeerMessage::Entries { entries, checksum, head, sent: now }));
    }
}

fn on_work(uplink: &mut Uplink, done: Done, out: &mut Vec<Effect>) -> Result<(), Violation> {
    match done {
        Done::Pending(items) => uplink.on_pending(items, out),
        Done::Applied { position, hash, settled } => {
            uplink.on_applied(position, hash, settled, out);
            out.push(Effect::Do(Job::CountStock));
            out.push(Effect::Do(Job::ShowNextNumbers));
        }
        Done::Stocked => out.push(Effect::Do(Job::CountStock)),
        Done::Stock { ids, ids_wanted, wishes } => {
            uplink.on_ids_left(ids, ids_wanted, out);
            uplink.on_lease_wishes(wishes, out);
        }
        Done::Noted => {}
        _ => return Err(Violation::unexpected("the result of other work")),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use mytism_core::id::{NodeId, TransactionId};

    const CLUSTER: Hash = Hash([1; 32]);

    fn now() -> Timestamp {
        Timestamp::saturating_from_micros(5)
    }

    fn at(number: u64) -> Position {
        Position { epoch: 1, number }
    }

    fn hello(number: u64) -> PeerMessage {
        PeerMessage::Hello {
            protocol: 1,
            cluster: CLUSTER,
            node: NodeId(2),
            incarnation: 1,
            run: 1,
            name: "berlin".into(),
            position: at(number),
            hash: Hash([7; 32]),
            ladder: None,
            newest: None,
        }
    }

    fn welcome(cluster: Hash, number: u64) -> PeerMessage {
        PeerMessage::Welcome {
            protocol: 1,
            cluster,
            node: NodeId(1),
            incarnation: 1,
            run: 1,
            name: "hamburg".into(),
            position: at(number),
            hash: Hash([9; 32]),
            time: now(),
            feed: None,
        }
    }

    /// An end that has greeted, and nothing else.
    fn greeted() -> BranchEnd {
        let (mut end, mut out) = (BranchEnd::new(), Vec::new());
        end.start(&mut out);
        assert_eq!(out, [Effect::Do(Job::Introduce)]);
        out.clear();
        let hello = |number| Box::new(hello(number));
        end.on_done(Done::Introduced { hello: hello(7), wants_life: false }, now(), &mut out).unwrap();
        assert_eq!(out, [Effect::Send(*hello(7))]);
        end
    }

    fn said(end: &mut BranchEnd, message: PeerMessage) -> Vec<Effect> {
        let mut out = Vec::new();
        end.on_message(message, now(), &mut out).unwrap();
        out
    }

    fn done(end: &mut BranchEnd, done: Done) -> Vec<Effect> {
        let mut out = Vec::new();
        end.on_done(done, now(), &mut out).unwrap();
        out
    }

    #[test]
    fn a_welcome_opens_the_conversation() {
        let mut end = greeted();
        let out = said(&mut end, welcome(CLUSTER, 7));
        assert!(end.is_talking() && out.contains(&Effect::Do(Job::ReadPending { after: None })), "{out:?}");
        let mut end = greeted();
        let wrong = end.on_message(welcome(Hash([2; 32]), 7), now(), &mut Vec::new());
        assert_eq!(wrong.unwrap_err().code, "other-cluster");
        let wrong = greeted().on_message(PeerMessage::Done {}, now(), &mut Vec::new());
        assert_eq!(wrong.unwrap_err().code, "unexpected-message");
    }

    #[test]
    fn what_is_asked_for_is_done_before_the_branch_comes_again() {
        let mut end = greeted();
        let (to, hash) = (at(3), Hash([3; 32]));
        assert_eq!(said(&mut end, PeerMessage::RollBack { to, hash }), [Effect::Do(Job::RollBack { to, hash })]);
        assert_eq!(done(&mut end, Done::Noted), [Effect::Close]);
        let mut end = greeted();
        let renew = PeerMessage::Renew { incarnation: 2, blocks: vec![17] };
        let job = Job::Renew { incarnation: 2, blocks: vec![17] };
        assert_eq!(said(&mut end, renew), [Effect::Do(job)]);
        assert_eq!(done(&mut end, Done::Noted), [Effect::Close]);
    }

    #[test]
    fn who_cannot_know_what_it_gave_asks_for_a_new_life() {
        let (mut end, mut out) = (BranchEnd::new(), Vec::new());
        end.start(&mut out);
        let introduced = Done::Introduced { hello: Box::new(hello(7)), wants_life: true };
        end.on_done(introduced, now(), &mut out).unwrap();
        assert_eq!(said(&mut end, welcome(CLUSTER, 7)), [Effect::Send(PeerMessage::RenewRequest {})]);
    }

    #[test]
    fn a_fork_asks_for_a_new_life_and_listens_to_nothing_else() {
        let mut end = greeted();
        said(&mut end, welcome(CLUSTER, 7));
        assert_eq!(done(&mut end, Done::Forked), [Effect::Send(PeerMessage::RenewRequest {})]);
        assert_eq!(said(&mut end, PeerMessage::BlockGrant { blocks: vec![3] }), []);
        assert_eq!(done(&mut end, Done::Noted), [], "work that was under way");
        let job = Job::Renew { incarnation: 2, blocks: vec![17] };
        assert_eq!(said(&mut end, PeerMessage::Renew { incarnation: 2, blocks: vec![17] }), [Effect::Do(job)]);
    }

    #[test]
    fn a_head_office_gets_back_what_it_lost() {
        let mut end = greeted();
        let (after, hash) = (at(5), Hash([5; 32]));
        let read = |after, hash| Effect::Do(Job::ReadTail { after, hash });
        assert_eq!(said(&mut end, PeerMessage::Recover { after, hash }), [read(5, Some(hash))]);
        let item = |number| LogItem {
            position: at(number),
            hash: Hash([9; 32]),
            transaction: TransactionId { node: NodeId(1), incarnation: 1, counter: number },
            entry: vec![1],
            bytes: vec![2],
        };
        let out = done(&mut end, Done::Tail(Some(vec![item(6), item(7)])));
        let [Effect::Send(PeerMessage::Entries { entries, .. })] = &out[..] else { panic!("{out:?}") };
        assert!(entries.iter().all(|frame| frame.transaction.is_some()));
        assert_eq!(said(&mut end, PeerMessage::Ack { position: at(7), hash }), [read(7, None)]);
        let last = done(&mut end, Done::Tail(Some(Vec::new())));
        assert_eq!(last, [Effect::Send(PeerMessage::TailEnd { differs: false })]);

        let mut end = greeted();
        said(&mut end, PeerMessage::Recover { after, hash });
        assert_eq!(done(&mut end, Done::Tail(None)), [Effect::Send(PeerMessage::TailEnd { differs: true })]);
    }
}
