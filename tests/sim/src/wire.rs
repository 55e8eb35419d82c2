//! The two ends of a conversation: what comes in, what is to be sent and done. It carries out what the replica
//! (`mytism_sync`) asks for, as the process around it does.

use mytism_app::{App, AppError, ArrivingEntry};
use mytism_core::failure::Failure;
use mytism_core::id::{BlockId, Hash, NodeId, Position, TransactionId};
use mytism_core::number::{Lease, LeaseWish};
use mytism_core::time::Timestamp;
use mytism_format::{entry, transaction};
use mytism_proto::{EntryFrame, PROTOCOL_VERSION, PeerMessage};
use mytism_store::Head;
use mytism_sync::feed::Feed;
use mytism_sync::greeting::{Claim, Knowledge, judge};
use mytism_sync::uplink::Uplink;
use mytism_sync::{Effect as Asked, LogItem, MESSAGE, PendingItem, ROWS, Violation, clock};

/// Ids that a branch keeps in stock.
const ID_RESERVE: u64 = 200;

/// What an end wants.
#[derive(Debug)]
pub enum Effect {
    /// A message to the other end.
    Send(PeerMessage),
    /// Work at the own node, whose result comes back.
    Do(Job),
    /// The end of the conversation, with the reason.
    Close(String),
}

/// Work at a node.
#[derive(Clone, Debug)]
pub enum Job {
    /// Look whether a branch may talk.
    Judge(Claim),
    /// Read the log behind a number.
    ReadLog(u64),
    /// Decide on transactions.
    Admit(Vec<Vec<u8>>),
    /// Give the branch a block of ids.
    GiveBlock,
    /// Lease numbers to it.
    GrantLeases(Vec<LeaseWish>),
    /// Keep how far the own clock is ahead.
    NoteClock(i64),
    /// Apply entries.
    Apply(Vec<EntryFrame>),
    /// Read pending transactions.
    ReadPending(i64),
    /// Take blocks of ids.
    TakeBlocks(Vec<i64>),
    /// Take leases of numbers.
    TakeLeases(Vec<Lease>),
    /// Count what is left of ids and numbers.
    CountStock,
    /// Let the ranges show what was drawn.
    ShowNumbers,
}

/// What came of it.
#[derive(Debug)]
pub enum Done {
    /// The branch may talk; the end of the log.
    Judged(Claim, Head),
    /// A piece of the log.
    Log(Vec<LogItem>),
    /// It is decided.
    Admitted,
    /// A block of ids.
    Block(i64),
    /// Leases.
    Leases(Vec<Lease>),
    /// The clock is noted.
    Clock(i64),
    /// Entries are durable, up to here; the highest place of what they settle.
    Applied(Position, Hash, Option<i64>),
    /// Pending transactions.
    Pending(Vec<PendingItem>),
    /// What is left, and what is wanted.
    Stock(u64, u64, Vec<LeaseWish>),
    /// Blocks were taken.
    BlocksTaken,
    /// Nothing that anybody waits for.
    Nothing,
}

/// Does the work of an end at its node. `peer` is the node at the other end.
///
/// # Errors
/// When the node refuses or cannot; the conversation ends then.
pub fn perform(app: &App, peer: NodeId, job: Job) -> Result<Done, Failure> {
    attempt(app, peer, job).map_err(|error| error.failure())
}

fn attempt(app: &App, peer: NodeId, job: Job) -> Result<Done, AppError> {
    Ok(match job {
        Job::Judge(claim) => judged(app, peer, claim)?,
        Job::ReadLog(after) => {
            let rows = app.view()?.log_after(after, ROWS, MESSAGE)?;
            Done::Log(rows.into_iter().map(item).collect())
        }
        Job::Admit(transactions) => app.admit(peer, transactions).map(|_| Done::Admitted)?,
        Job::GiveBlock => Done::Block(app.give_block(peer)?.get()),
        Job::GrantLeases(wishes) => Done::Leases(app.grant_leases(peer, wishes)?),
        Job::NoteClock(micros) => app.note_clock_offset(micros).map(|()| Done::Clock(micros))?,
        Job::Apply(frames) => apply(app, frames)?,
        Job::ReadPending(after) => {
            let rows = app.view()?.pending_after(after, ROWS, MESSAGE)?;
            let item = |row: mytism_store::PendingRow| PendingItem { place: row.place, bytes: row.bytes };
            Done::Pending(rows.into_iter().map(item).collect())
        }
        Job::TakeBlocks(numbers) => {
            app.take_blocks(numbers.into_iter().filter_map(BlockId::from_number).collect())?;
            Done::BlocksTaken
        }
        Job::TakeLeases(leases) => app.take_leases(leases).map(|()| Done::Nothing)?,
        Job::CountStock => Done::Stock(app.ids_left(), app.ids_wanted(ID_RESERVE), app.lease_wishes()?),
        Job::ShowNumbers => app.show_next_numbers().map(|_| Done::Nothing)?,
    })
}

fn item(row: mytism_store::LogRow) -> LogItem {
    LogItem { position: row.position, hash: row.hash, transaction: row.transaction, entry: row.entry, bytes: row.bytes }
}

fn judged(app: &App, peer: NodeId, claim: Claim) -> Result<Done, AppError> {
    let view = app.view()?;
    let empty = || AppError::failed("empty-log", "the log is empty");
    let head = view.head()?.ok_or_else(empty)?;
    let knowledge = Knowledge {
        node: peer,
        cluster: cluster(app)?,
        incarnation: view.last_incarnation(peer)?,
        position: head.position,
        hash_there: view.log_row(claim.position.number)?.map(|row| row.hash),
    };
    match judge(&claim, &knowledge) {
        Ok(()) => Ok(Done::Judged(claim, head)),
        Err(violation) => Err(AppError::refused(violation.code, violation.message)),
    }
}

fn cluster(app: &App) -> Result<Hash, AppError> {
    Ok(app.view()?.log_row(1)?.map(|row| row.hash).unwrap_or_default())
}

fn apply(app: &App, frames: Vec<EntryFrame>) -> Result<Done, AppError> {
    let view = app.view()?;
    let (mut settled, mut last) = (None, Hash::default());
    for frame in &frames {
        let read = entry::read(frame.entry.clone())?;
        settled = settled.max(view.pending_place(read.entry.transaction)?);
        last = read.hash;
    }
    drop(view);
    let arriving = frames.into_iter().map(|frame| ArrivingEntry { entry: frame.entry, transaction: frame.transaction });
    let position = app.apply(arriving.collect())?;
    Ok(Done::Applied(position, last, settled))
}

/// The head office's end.
#[derive(Default)]
pub struct HeadEnd(Option<Feed>);

impl HeadEnd {
    /// A message arrives.
    pub fn on_message(&mut self, message: PeerMessage, now: Timestamp) -> Vec<Effect> {
        let mut out = Vec::new();
        let result = match (&mut self.0, message) {
            (_, PeerMessage::Reject { code, .. }) => return vec![Effect::Close(code)],
            (None, PeerMessage::Hello { protocol, cluster, node, incarnation, position, hash, .. }) => {
                return vec![Effect::Do(Job::Judge(Claim { protocol, cluster, node, incarnation, position, hash }))];
            }
            (None, _) => Err(Violation::unexpected("something else than a greeting")),
            (Some(feed), message) => names(&message).and_then(|ids| feed.on_message(message, &ids, now, &mut out)),
        };
        ended(result, carried(out))
    }

    /// Something was committed.
    pub fn on_commit(&mut self, position: Position) -> Vec<Effect> {
        let mut out = Vec::new();
        if let Some(feed) = &mut self.0 {
            feed.on_committed(position, &mut out);
        }
        carried(out)
    }

    /// Work is done.
    pub fn on_done(&mut self, app: &App, done: Done, now: Timestamp) -> Vec<Effect> {
        let mut out = Vec::new();
        if let Done::Judged(claim, head) = done {
            let mut feed = Feed::new(claim.node, claim.position.number, head.position);
            feed.go_on(&mut out);
            self.0 = Some(feed);
            return std::iter::once(Effect::Send(welcome(app, &head, now))).chain(carried(out)).collect();
        }
        let Some(feed) = &mut self.0 else { return Vec::new() };
        match done {
            Done::Log(items) => feed.on_log(items, now, &mut out),
            Done::Admitted => feed.on_admitted(&mut out),
            Done::Block(block) => feed.on_block(vec![block], &mut out),
            Done::Leases(leases) => feed.on_leases(leases, &mut out),
            _ => {}
        }
        carried(out)
    }
}

fn welcome(app: &App, head: &Head, time: Timestamp) -> PeerMessage {
    let identity = app.identity();
    PeerMessage::Welcome {
        protocol: PROTOCOL_VERSION,
        cluster: cluster(app).unwrap_or_default(),
        node: identity.node,
        incarnation: identity.incarnation,
        run: 0,
        name: identity.name,
        position: head.position,
        hash: head.hash,
        time,
    }
}

/// The names of offered transactions.
fn names(message: &PeerMessage) -> Result<Vec<TransactionId>, Violation> {
    let PeerMessage::Offer { transactions, .. } = message else { return Ok(Vec::new()) };
    let damaged =
        |error: mytism_format::FormatError| Violation { code: "damaged-transaction", message: error.to_string() };
    transactions.iter().map(|bytes| transaction::peek(bytes).map(|(id, _, _)| id).map_err(damaged)).collect()
}

/// A branch's end.
pub struct BranchEnd {
    asked: Timestamp,
    uplink: Option<Uplink>,
}

impl BranchEnd {
    /// Begins the conversation.
    #[must_use]
    pub fn start(app: &App, run: u64, now: Timestamp) -> (Self, Vec<Effect>) {
        let end = Self { asked: now, uplink: None };
        let effect = match hello(app, run) {
            Ok(message) => Effect::Send(message),
            Err(error) => Effect::Close(error.failure().code),
        };
        (end, vec![effect])
    }

    /// A message arrives.
    pub fn on_message(&mut self, message: PeerMessage, now: Timestamp) -> Vec<Effect> {
        let mut out = Vec::new();
        let result = match (&mut self.uplink, message) {
            (_, PeerMessage::Reject { code, .. }) => return vec![Effect::Close(code)],
            (None, PeerMessage::Welcome { time, .. }) => {
                let ahead = clock::offset_micros(self.asked, time, now).unwrap_or(0);
                return vec![Effect::Do(Job::NoteClock(ahead))];
            }
            (None, _) => Err(Violation::unexpected("something else than a welcome")),
            (Some(uplink), message) => uplink.on_message(message, now, &mut out),
        };
        ended(result, carried(out))
    }

    /// Something was committed.
    pub fn on_commit(&mut self) -> Vec<Effect> {
        let mut out = Vec::new();
        if let Some(uplink) = &mut self.uplink {
            uplink.on_saved(&mut out);
        }
        carried(out)
    }

    /// Work is done.
    pub fn on_done(&mut self, done: Done) -> Vec<Effect> {
        let mut out = Vec::new();
        if let Done::Clock(ahead) = done {
            let mut uplink = Uplink::new(ahead);
            uplink.go_on(&mut out);
            self.uplink = Some(uplink);
            return carried(out).into_iter().chain([Effect::Do(Job::CountStock)]).collect();
        }
        let Some(uplink) = &mut self.uplink else { return Vec::new() };
        let mut more = Vec::new();
        match done {
            Done::Applied(position, hash, settled) => {
                uplink.on_applied(position, hash, settled, &mut out);
                more = vec![Effect::Do(Job::CountStock), Effect::Do(Job::ShowNumbers)];
            }
            Done::Pending(items) => uplink.on_pending(items, &mut out),
            Done::BlocksTaken => more.push(Effect::Do(Job::CountStock)),
            Done::Stock(left, wanted, wishes) => {
                uplink.on_ids_left(left, wanted, &mut out);
                uplink.on_lease_wishes(wishes, &mut out);
            }
            _ => {}
        }
        carried(out).into_iter().chain(more).collect()
    }
}

fn hello(app: &App, run: u64) -> Result<PeerMessage, AppError> {
    let identity = app.identity();
    let head = app.view()?.head()?;
    Ok(PeerMessage::Hello {
        protocol: PROTOCOL_VERSION,
        cluster: cluster(app)?,
        node: identity.node,
        incarnation: identity.incarnation,
        run,
        name: identity.name,
        position: head.map(|head| head.position).unwrap_or_default(),
        hash: head.map(|head| head.hash).unwrap_or_default(),
    })
}

fn ended(result: Result<(), Violation>, mut effects: Vec<Effect>) -> Vec<Effect> {
    if let Err(violation) = result {
        effects.push(Effect::Send(violation.reject()));
        effects.push(Effect::Close(violation.code.to_owned()));
    }
    effects
}

fn carried(asked: Vec<Asked>) -> Vec<Effect> {
    let effect = |asked| match asked {
        Asked::Send(message) => Effect::Send(message),
        Asked::Offer(transactions) => Effect::Send(PeerMessage::Offer { transactions, signature: vec![0; 64] }),
        Asked::ReadLog { after } => Effect::Do(Job::ReadLog(after)),
        Asked::Admit(transactions) => Effect::Do(Job::Admit(transactions)),
        Asked::GiveBlock => Effect::Do(Job::GiveBlock),
        Asked::Apply(frames) => Effect::Do(Job::Apply(frames)),
        Asked::ReadPending { after } => Effect::Do(Job::ReadPending(after)),
        Asked::TakeBlocks(numbers) => Effect::Do(Job::TakeBlocks(numbers)),
        Asked::GrantLeases(wishes) => Effect::Do(Job::GrantLeases(wishes)),
        Asked::TakeLeases(leases) => Effect::Do(Job::TakeLeases(leases)),
    };
    asked.into_iter().map(effect).collect()
}
