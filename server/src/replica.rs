//! The work that the two ends of a line ask for, done in the store of a node.
//!
//! One function for all of it, so that whoever drives the ends, a task between sockets or a simulator, does the same.
//! It knows no line and waits for nothing but the disk.

use std::sync::Arc;

use mytism_app::{App, AppError, ArrivingEntry};
use mytism_core::failure::Failure;
use mytism_core::id::{BlockId, Hash, NodeId, Position};
use mytism_format::entry;
use mytism_proto::{EntryFrame, PROTOCOL_VERSION, PeerMessage, Rung};
use mytism_store::View;
use mytism_sync::greeting::{Claim, Judgement, Knowledge, Verdict, judge, rungs};
use mytism_sync::{Done, Job, LogItem, MESSAGE, PendingItem, ROWS, Violation};

/// For whom work is done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Errand {
    /// The node at the other end; at a branch nothing asks for it.
    pub peer: NodeId,
    /// Drawn at the start of this process.
    pub run: u64,
    /// How many ids a branch keeps in stock at least.
    pub id_reserve: u64,
}

/// Does a piece of work.
///
/// # Errors
/// When it cannot be done. The line ends then; nothing was changed but what the use case says.
pub fn perform(app: &App, errand: &Errand, job: Job) -> Result<Done, AppError> {
    Ok(match job {
        Job::Introduce => Done::Introduced { hello: Box::new(hello(app, errand.run)?), wants_life: app.wants_life()? },
        Job::NoteClock(micros) => noted(app.note_clock_offset(micros)?),
        Job::Apply(frames) => return apply(app, frames),
        Job::ReadPending { after } => Done::Pending(read_pending(app, after)?),
        Job::TakeBlocks(numbers) => {
            app.take_blocks(blocks(&numbers))?;
            Done::Stocked
        }
        Job::TakeLeases(leases) => noted(app.take_leases(leases)?),
        Job::CountStock => {
            let (ids, ids_wanted) = (app.ids_left(), app.ids_wanted(errand.id_reserve));
            Done::Stock { ids, ids_wanted, wishes: app.lease_wishes()? }
        }
        Job::ShowNextNumbers => {
            app.show_next_numbers()?;
            Done::Noted
        }
        Job::RollBack { to, hash } => {
            app.roll_back(to, hash)?;
            Done::Noted
        }
        Job::Renew { incarnation, blocks: numbers } => noted(app.renew(incarnation, blocks(&numbers))?),
        Job::ReadTail { after, hash } => Done::Tail(read_tail(app, after, hash)?),
        Job::Judge(claim) => Done::Judged(judgement(app, errand, &claim)?),
        Job::ReadLog { after } => Done::Log(Arc::new(read_log(app, after)?)),
        Job::Admit(transactions) => return forked(app.admit(errand.peer, transactions).map(|_| Done::Admitted)),
        Job::GiveBlock => Done::Block(vec![app.give_block(errand.peer)?.get()]),
        Job::GrantLeases(wishes) => Done::Leases(app.grant_leases(errand.peer, wishes)?),
        Job::GiveLife => {
            let (incarnation, block) = app.give_life(errand.peer)?;
            Done::Life { incarnation, blocks: vec![block.get()] }
        }
        Job::TakeBack(frames) => {
            let hash = last_hash(&frames)?;
            Done::Taken { position: app.take_back(arriving(frames))?, hash }
        }
        Job::NoteAnswer { differs, epoch } => noted(app.note_answer(errand.peer, differs, epoch)?),
    })
}

const fn noted((): ()) -> Done {
    Done::Noted
}

fn blocks(numbers: &[i64]) -> Vec<BlockId> {
    numbers.iter().filter_map(|number| BlockId::from_number(*number)).collect()
}

/// Another content under a known name is no failure of the work: there is something to be done about it.
fn forked(done: Result<Done, AppError>) -> Result<Done, AppError> {
    match done {
        Err(AppError::Refused(failure)) if failure.code == "forked-transaction" => Ok(Done::Forked),
        other => other,
    }
}

/// Hash of the first entry of the log: the name of the cluster.
pub(crate) fn cluster(view: &dyn View) -> Result<Hash, AppError> {
    mytism_app::history::cluster(view)
}

fn hello(app: &App, run: u64) -> Result<PeerMessage, AppError> {
    let identity = app.identity();
    let view = app.view()?;
    let head = view.head()?;
    let (position, hash) = head.map(|head| (head.position, head.hash)).unwrap_or_default();
    let mut ladder = Vec::new();
    for number in rungs(position.number) {
        // The name of the cluster is the hash of the first entry, also where that entry is not here yet.
        let hash = if number == 1 { Some(cluster(&*view)?) } else { view.log_row(number)?.map(|row| row.hash) };
        ladder.extend(hash.map(|hash| Rung { number, hash }));
    }
    Ok(PeerMessage::Hello {
        protocol: PROTOCOL_VERSION,
        cluster: cluster(&*view)?,
        node: identity.node,
        incarnation: identity.incarnation,
        run,
        name: identity.name,
        position,
        hash,
        ladder: Some(ladder),
        newest: Some(view.last_counter(identity.node, identity.incarnation)?),
    })
}

fn apply(app: &App, frames: Vec<EntryFrame>) -> Result<Done, AppError> {
    let mut settled = None;
    let view = app.view()?;
    for frame in &frames {
        let id = entry::read(frame.entry.clone())?.entry.transaction;
        settled = settled.max(view.pending_place(id)?);
    }
    drop(view);
    let hash = last_hash(&frames)?;
    let applied = app.apply(arriving(frames));
    forked(applied.map(|position| Done::Applied { position, hash, settled }))
}

fn last_hash(frames: &[EntryFrame]) -> Result<Hash, AppError> {
    let last = frames.last().map(|frame| entry::read(frame.entry.clone())).transpose()?;
    Ok(last.map(|last| last.hash).unwrap_or_default())
}

fn arriving(frames: Vec<EntryFrame>) -> Vec<ArrivingEntry> {
    let one = |frame: EntryFrame| ArrivingEntry { entry: frame.entry, transaction: frame.transaction };
    frames.into_iter().map(one).collect()
}

fn read_pending(app: &App, after: Option<i64>) -> Result<Vec<PendingItem>, AppError> {
    let rows = app.view()?.pending_after(after.unwrap_or(i64::MIN), ROWS, MESSAGE)?;
    Ok(rows.into_iter().map(|row| PendingItem { place: row.place, bytes: row.bytes }).collect())
}

/// The log behind a number, as much as one message takes.
pub(crate) fn read_log(app: &App, after: u64) -> Result<Vec<LogItem>, AppError> {
    let item = |row: mytism_store::LogRow| LogItem {
        position: row.position,
        hash: row.hash,
        transaction: row.transaction,
        entry: row.entry,
        bytes: row.bytes,
    };
    Ok(app.view()?.log_after(after, ROWS, MESSAGE)?.into_iter().map(item).collect())
}

fn read_tail(app: &App, after: u64, hash: Option<Hash>) -> Result<Option<Vec<LogItem>>, AppError> {
    let view = app.view()?;
    mytism_app::history::check_behind(&*view, after)?;
    let there = view.log_row(after)?.map(|row| row.hash);
    if hash.is_some() && hash != there {
        return Ok(None);
    }
    Ok(Some(read_log(app, after)?))
}

/// What a branch is told. That the peer's key is the branch's was checked before.
fn judgement(app: &App, errand: &Errand, claim: &Claim) -> Result<Judgement, AppError> {
    if let Some(epoch) = app.deposed_since() {
        let message = format!("this node is the head office no more: another one is since reign {epoch}");
        return Ok(Judgement::Refused(Violation { code: "deposed", message }));
    }
    let view = app.view()?;
    let head = view.head()?.ok_or_else(|| AppError::failed("empty-log", "the log of the head office is empty"))?;
    let knowledge = Knowledge {
        cluster: cluster(&*view)?,
        incarnation: view.last_incarnation(claim.node)?,
        newest: view.last_counter(claim.node, claim.incarnation)?,
        position: head.position,
        common: common(&*view, claim)?,
        is_recovering: app.is_recovering(),
    };
    drop(view);
    let verdict = judge(claim, &knowledge);
    if matches!(verdict, Ok(Verdict::Welcome | Verdict::Renew)) {
        app.note_met(claim.node);
    }
    Ok(match verdict {
        Err(violation) => Judgement::Refused(violation),
        Ok(Verdict::Welcome) => Judgement::Welcome(Box::new(welcome(app, errand, &knowledge, head.hash))),
        Ok(Verdict::RollBack(to, hash)) => {
            app.note_parted(claim.node, claim.position.epoch, to)?;
            Judgement::Instead(Box::new(PeerMessage::RollBack { to, hash }))
        }
        Ok(Verdict::Renew) => {
            let (incarnation, block) = app.give_life(claim.node)?;
            let blocks = vec![block.get()];
            Judgement::Instead(Box::new(PeerMessage::Renew { incarnation, blocks }))
        }
        Ok(Verdict::Recover) => {
            app.begin_recovery(Some(claim.node))?;
            Judgement::Recover(Box::new(PeerMessage::Recover { after: head.position, hash: head.hash }))
        }
        Ok(Verdict::Wait) => {
            app.note_answer(claim.node, false, claim.position.epoch)?;
            // The last answer ends the waiting; the branch comes again either way.
            Judgement::Refused(recovering(app)?)
        }
    })
}

fn recovering(app: &App) -> Result<Violation, AppError> {
    let missing = app.missing_answers()?;
    let message = if missing.is_empty() {
        "the head office was restored and is ready by now: come again".to_owned()
    } else {
        format!("the head office was restored and waits for what {} have", missing.join(", "))
    };
    Ok(Violation { code: "recovering", message })
}

/// The furthest entry that both logs have, as far as the claim shows it.
fn common(view: &dyn View, claim: &Claim) -> Result<Option<(Position, Hash)>, AppError> {
    let end = Rung { number: claim.position.number, hash: claim.hash };
    let mut rungs: Vec<&Rung> = claim.ladder.iter().chain([&end]).collect();
    rungs.sort_by_key(|rung| std::cmp::Reverse(rung.number));
    for rung in rungs {
        if let Some(row) = view.log_row(rung.number)?.filter(|row| row.hash == rung.hash) {
            return Ok(Some((row.position, row.hash)));
        }
    }
    Ok(None)
}

fn welcome(app: &App, errand: &Errand, knowledge: &Knowledge, hash: Hash) -> PeerMessage {
    let identity = app.identity();
    PeerMessage::Welcome {
        protocol: PROTOCOL_VERSION,
        cluster: knowledge.cluster,
        node: identity.node,
        incarnation: identity.incarnation,
        run: errand.run,
        name: identity.name,
        position: knowledge.position,
        hash,
        // Set when it is sent.
        time: mytism_core::time::Timestamp::saturating_from_micros(0),
        feed: Some(true),
    }
}

/// What goes wrong in the work of a line, as a failure.
pub(crate) fn broke_off() -> Failure {
    Failure::failed("internal", "work for the line broke off")
}
