//! The head office's end of a line: judges the branch that knocks, takes back from it what it lost, and then hands over
//! to [`Feed`].

use mytism_core::id::{NodeId, Position, TransactionId};
use mytism_core::time::Timestamp;
use mytism_format::transaction;
use mytism_proto::PeerMessage;

use crate::feed::Feed;
use crate::greeting::{Claim, Judgement};
use crate::{Done, Effect, Job, Violation};

/// See the module.
#[derive(Debug)]
pub struct HeadEnd {
    state: State,
    /// Who the branch says it is.
    peer: NodeId,
    stands_at: Position,
    /// The end of the log here, as far as it was told.
    head: Position,
}

#[derive(Debug)]
enum State {
    /// Nobody has said anything.
    Beginning,
    /// Finding out what to say to the branch.
    Judging,
    /// Both talk.
    Talking(Box<Feed>),
    /// Taking back what was lost; whether something that came is being written.
    Recovering { writing: bool },
    /// Finding a new life for the branch.
    Renewing,
    /// All is said; the branch closes.
    Ending,
    /// The last word is noted, and then the line ends.
    Noting,
}

impl Default for HeadEnd {
    fn default() -> Self {
        Self::new()
    }
}

impl HeadEnd {
    /// The end of a new line.
    #[must_use]
    pub const fn new() -> Self {
        let nowhere = Position { epoch: 0, number: 0 };
        Self { state: State::Beginning, peer: NodeId(0), stands_at: nowhere, head: nowhere }
    }

    /// Whether both talk.
    #[must_use]
    pub const fn is_talking(&self) -> bool {
        matches!(self.state, State::Talking(_))
    }

    /// How many entries the branch has not confirmed, where both talk.
    #[must_use]
    pub fn backlog(&self) -> Option<u64> {
        match &self.state {
            State::Talking(feed) => Some(feed.backlog()),
            _ => None,
        }
    }

    /// The log here has a new end.
    pub fn on_commit(&mut self, head: Position, out: &mut Vec<Effect>) {
        self.head = self.head.max(head);
        if let State::Talking(feed) = &mut self.state {
            feed.on_committed(head, out);
        }
    }

    /// The branch says something. Its key and the signature of an offer are checked already.
    ///
    /// # Errors
    /// When it says what it may not say.
    pub fn on_message(&mut self, message: PeerMessage, now: Timestamp, out: &mut Vec<Effect>) -> Result<(), Violation> {
        match (&mut self.state, message) {
            (
                State::Beginning,
                PeerMessage::Hello { protocol, cluster, node, incarnation, position, hash, ladder, newest, .. },
            ) => {
                (self.peer, self.stands_at, self.state) = (node, position, State::Judging);
                let ladder = ladder.unwrap_or_default();
                let claim = Claim { protocol, cluster, node, incarnation, position, hash, ladder, newest };
                out.push(Effect::Do(Job::Judge(Box::new(claim))));
            }
            (State::Beginning, _) => return Err(Violation::unexpected("something else than a greeting")),
            (State::Talking(_), PeerMessage::RenewRequest {}) => self.renew(out),
            (State::Talking(feed), message) => {
                let ids = offered(&message)?;
                feed.on_message(message, &ids, now, out)?;
            }
            (State::Recovering { writing: writing @ false }, PeerMessage::Entries { entries, .. }) => {
                *writing = true;
                out.push(Effect::Do(Job::TakeBack(entries)));
            }
            (State::Recovering { writing: false }, PeerMessage::TailEnd { differs }) => {
                let epoch = self.stands_at.epoch;
                self.state = State::Noting;
                out.push(Effect::Do(Job::NoteAnswer { differs, epoch }));
            }
            // What was sent before the branch knew.
            (State::Renewing | State::Ending, _) => {}
            (State::Judging | State::Recovering { .. } | State::Noting, _) => {
                return Err(Violation::unexpected("that too early"));
            }
        }
        Ok(())
    }

    fn renew(&mut self, out: &mut Vec<Effect>) {
        self.state = State::Renewing;
        out.push(Effect::Do(Job::GiveLife));
    }

    /// Work is done.
    ///
    /// # Errors
    /// When the two may not talk, or the work was not asked for.
    pub fn on_done(&mut self, done: Done, now: Timestamp, out: &mut Vec<Effect>) -> Result<(), Violation> {
        match (&mut self.state, done) {
            (State::Judging, Done::Judged(judgement)) => self.on_judged(judgement, now, out)?,
            (State::Talking(_), Done::Forked) => self.renew(out),
            (State::Talking(feed), done) => on_work(feed, done, now, out)?,
            (State::Recovering { writing }, Done::Taken { position, hash }) => {
                *writing = false;
                out.push(Effect::Send(PeerMessage::Ack { position, hash }));
            }
            (State::Renewing, Done::Life { incarnation, blocks }) => {
                self.state = State::Ending;
                out.push(Effect::Send(PeerMessage::Renew { incarnation, blocks }));
            }
            (State::Noting, Done::Noted) => out.push(Effect::Close),
            // What was under way when the line took another turn.
            (State::Renewing | State::Ending | State::Noting, _) => {}
            (State::Beginning | State::Judging | State::Recovering { .. }, _) => {
                return Err(Violation::unexpected("the result of other work"));
            }
        }
        Ok(())
    }

    fn on_judged(&mut self, judgement: Judgement, now: Timestamp, out: &mut Vec<Effect>) -> Result<(), Violation> {
        match judgement {
            Judgement::Welcome(mut welcome) => {
                if let PeerMessage::Welcome { time, position, .. } = &mut *welcome {
                    // The branch measures its clock by this answer, so it is told as late as can be.
                    *time = now;
                    self.head = self.head.max(*position);
                }
                out.push(Effect::Send(*welcome));
                let mut feed = Feed::new(self.peer, self.stands_at.number, self.head);
                feed.go_on(out);
                self.state = State::Talking(Box::new(feed));
            }
            Judgement::Instead(message) => {
                self.state = State::Ending;
                out.push(Effect::Send(*message));
            }
            Judgement::Recover(message) => {
                self.state = State::Recovering { writing: false };
                out.push(Effect::Send(*message));
            }
            Judgement::Refused(violation) => return Err(violation),
        }
        Ok(())
    }
}

fn on_work(feed: &mut Feed, done: Done, now: Timestamp, out: &mut Vec<Effect>) -> Result<(), Violation> {
    match done {
        Done::Log(items) => feed.on_log(&items, now, out),
        Done::Admitted => feed.on_admitted(out),
        Done::Block(blocks) => feed.on_block(blocks, out),
        Done::Leases(leases) => feed.on_leases(leases, out),
        _ => return Err(Violation::unexpected("the result of other work")),
    }
    Ok(())
}

/// The names of the transactions in an offer; none for another message.
fn offered(message: &PeerMessage) -> Result<Vec<TransactionId>, Violation> {
    let PeerMessage::Offer { transactions, .. } = message else { return Ok(Vec::new()) };
    let name = |bytes: &Vec<u8>| {
        let damaged =
            |error: mytism_format::FormatError| Violation { code: "damaged-transaction", message: error.to_string() };
        transaction::peek(bytes).map(|(id, _, _)| id).map_err(damaged)
    };
    transactions.iter().map(name).collect()
}
