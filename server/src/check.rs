//! What a branch holds compared with its head office, over a stream of its own: both ends.
//!
//! Both hold still at one position while saves go on. The branch asks; entries that differ it takes from the head office,
//! a range in one commit. Objects it holds against its own log first, and what still differs then is mended by the log
//! too, so that damage at the head office stays there. The tree of sums is [`mytism_sync::check`]'s matter, what is held and mended the use cases'.

pub(crate) mod daily;

use std::sync::Arc;
use std::time::Duration;

use mytism_app::AppError;
use mytism_app::ArrivingEntry;
use mytism_app::check::{HeldObject, Holding, Mended};
use mytism_core::failure::Failure;
use mytism_core::id::{OBJECT_ID_MAX, Position};
use mytism_core::operation::Checked;
use mytism_proto::{CheckDivision, CheckObject, CheckRange, EntryFrame, PeerMessage};
use mytism_sync::Violation;
use mytism_sync::check::{Comparison, Divider, RANGES, Sum};
use mytism_transport::connection::{PeerConnection, Purpose};
use mytism_transport::stream::FrameStream;

use crate::head::blocking;
use crate::line::{Line, LineEnd};
use crate::node::Shared;

/// How long the other side may take for an answer, which may mean to read all that it holds.
const ANSWER: Duration = Duration::from_secs(600);
/// How long a branch may say nothing.
const QUESTION: Duration = Duration::from_secs(600);
/// How long a branch may take to come to where the head office is.
const IN_STEP: Duration = Duration::from_secs(60);
/// What was found is compared again, so often at most.
const ROUNDS: u32 = 3;
/// How long to wait for a line where there is none.
const LINE_PATIENCE: Duration = Duration::from_secs(5);
/// After a line came up, so many entries are compared.
const RECENT: u64 = 10_000;

/// How much is compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Scope {
    /// The last entries of the log.
    Recent,
    /// All entries, and all objects.
    Whole,
}

/// A stream of a branch on which it compares.
pub(crate) async fn serve(shared: Arc<Shared>, stream: FrameStream) {
    let mut line = Line::new(stream);
    if let Err(end) = answer(&shared, &mut line).await {
        tracing::debug!("a comparison ends: {end}");
        if let Some(message) = end.reject() {
            // The other side may be gone.
            let _gone = line.send(&message);
        }
    }
    line.finish().await;
}

/// The head office's end.
async fn answer(shared: &Arc<Shared>, line: &mut Line) -> Result<(), LineEnd> {
    let PeerMessage::CheckBegin { floor } = line.first().await? else {
        return Err(Violation::unexpected("something else than the beginning of a comparison").into());
    };
    let app = Arc::clone(&shared.app);
    let mut holding = blocking(move || Ok(app.hold(floor)?)).await?;
    line.send(&PeerMessage::CheckReady { position: holding.position() })?;
    loop {
        let asked = match tokio::time::timeout(QUESTION, line.next()).await {
            Ok(Ok(PeerMessage::Done {})) | Err(_) => return Ok(()),
            Ok(asked) => asked?,
        };
        let done = blocking(move || {
            let reply = reply(&mut holding, asked)?;
            Ok((holding, reply))
        });
        let (held, reply) = done.await?;
        holding = held;
        if let Some(reply) = reply {
            // Whoever asks for much and reads nothing is not read on.
            line.send_when_ready(&reply).await?;
        }
    }
}

fn reply(holding: &mut Holding, asked: PeerMessage) -> Result<Option<PeerMessage>, LineEnd> {
    Ok(Some(match asked {
        PeerMessage::CheckWithout { objects } => {
            holding.leave_out(objects)?;
            return Ok(None);
        }
        PeerMessage::CheckRanges { objects, ranges } if ranges.len() <= RANGES => {
            let mut divided = Vec::with_capacity(ranges.len());
            for range in ranges {
                let mut divider = Divider::default();
                let mut push = |key: u64, digest: &_| divider.push(key, digest);
                each(holding, objects, range, &mut push)?;
                divided.push(CheckDivision { parts: divider.finish(range.to) });
            }
            PeerMessage::CheckParts { ranges: divided }
        }
        PeerMessage::CheckWant { objects: false, range } => {
            let (entries, to) = holding.give_entries(range.after, range.to)?;
            let frame = |one: ArrivingEntry| EntryFrame { entry: one.entry, transaction: one.transaction };
            PeerMessage::CheckEntries { entries: entries.into_iter().map(frame).collect(), to }
        }
        PeerMessage::CheckWant { objects: true, range } => {
            let (objects, to) = holding.give_objects(range.after, range.to)?;
            let object = |one: HeldObject| CheckObject { record: one.record, history: one.history };
            PeerMessage::CheckObjects { objects: objects.into_iter().map(object).collect(), to }
        }
        _ => return Err(Violation::unexpected("something that is no part of a comparison").into()),
    }))
}

fn each(
    holding: &Holding,
    objects: bool,
    range: CheckRange,
    push: &mut dyn FnMut(u64, &mytism_core::id::Hash),
) -> Result<(), AppError> {
    if objects { holding.objects(range.after, range.to, push) } else { holding.entries(range.after, range.to, push) }
}

/// Compares the recent part in the background, after a line came up.
pub(crate) async fn after_connecting(shared: Arc<Shared>) {
    match compare(&shared, Scope::Recent).await {
        Ok(Checked { compared, missing: 0, different: 0, .. }) => {
            tracing::info!("the last {compared} entries are those of {}", shared.head_name);
        }
        Ok(checked) => tracing::warn!(
            "of the last {} entries {} were missing here and {} were others than those of {}; {} are good now",
            checked.compared,
            checked.missing,
            checked.different,
            shared.head_name,
            checked.repaired,
        ),
        // The line says why it ended.
        Err(failure) => tracing::debug!("the recent entries were not compared: {failure}"),
    }
}

/// The branch's end: compares, mends, and compares again until nothing differs or mending does not help.
///
/// # Errors
/// When there is no line, or it breaks off.
pub(crate) async fn compare(shared: &Arc<Shared>, scope: Scope) -> Result<Checked, Failure> {
    let connection = line(shared).await?;
    let mut all = Checked { peer: Some(shared.head_name.clone()), ..Checked::default() };
    for round in 1..=ROUNDS {
        let (compared, mended, ranges) = once(shared, &connection, scope).await.map_err(|end| failure(shared, end))?;
        all.compared = all.compared.max(compared);
        all.missing += mended.missing;
        all.different += mended.different;
        all.repaired += mended.repaired;
        if ranges == 0 {
            break;
        }
        if mended.doubtful > 0 && mended.repaired == 0 {
            all.different += mended.doubtful;
            tracing::warn!(
                "{} objects are here as the log says and otherwise at {}: `./mytism sync check` there mends them",
                mended.doubtful,
                shared.head_name
            );
            break;
        }
        if round == ROUNDS {
            // What differs still, though it was mended or nobody knows what is wrong with it.
            all.different += ranges;
        }
    }
    Ok(all)
}

/// The connection to the head office. Soon after a start it may take a moment until there is one.
async fn line(shared: &Shared) -> Result<PeerConnection, Failure> {
    let mut line_up = shared.line_up.subscribe();
    if !shared.peers.resting().is_on() {
        // What it came to is looked at below.
        let _up = tokio::time::timeout(LINE_PATIENCE, line_up.wait_for(Option::is_some)).await.is_ok();
    }
    let connection = line_up.borrow().clone();
    connection.ok_or_else(|| no_line(shared))
}

fn no_line(shared: &Shared) -> Failure {
    if shared.peers.resting().is_on() {
        let message = "the lines of this node rest, so nothing can be compared";
        return Failure::unreachable("no-line", message).hint("`./mytism sync resume` ends that");
    }
    let message = format!("there is no line to {}, so nothing can be compared", shared.head_name);
    Failure::unreachable("no-line", message).hint("`./mytism sync status` tells why; try again when it is up")
}

fn failure(shared: &Shared, end: LineEnd) -> Failure {
    match end {
        LineEnd::Lost(_) if shared.peers.resting().is_on() => no_line(shared),
        LineEnd::Own(failure) => failure,
        LineEnd::Rejected { code, message } => Failure::refused(&code, message),
        other => Failure::unreachable("no-line", format!("the comparison broke off: {other}"))
            .hint("`./mytism sync status` tells how the line is; what was mended stays"),
    }
}

/// Compares once and mends: how much was compared, what was mended, and how many ranges differed.
async fn once(shared: &Arc<Shared>, connection: &PeerConnection, scope: Scope) -> Result<(u64, Mended, u64), LineEnd> {
    let stream = connection.open(Purpose::Bulk).await.map_err(|lost| LineEnd::Lost(lost.to_string()))?;
    let mut line = Line::new(stream);
    let app = Arc::clone(&shared.app);
    let floor = blocking(move || Ok(app.log_floor()?)).await?;
    line.send(&PeerMessage::CheckBegin { floor })?;
    let PeerMessage::CheckReady { position } = heard(&mut line).await? else { return Err(wrong_answer()) };
    come_to(shared, position).await?;
    let app = Arc::clone(&shared.app);
    let (mut holding, moving) = blocking(move || {
        let holding = app.hold(floor)?;
        let moving = holding.moving(position.number)?;
        Ok((holding, moving))
    })
    .await?;
    let after = match scope {
        Scope::Recent => floor.max(position.number.saturating_sub(RECENT)),
        Scope::Whole => floor,
    };
    let mut line = Side { line, position, floor };
    let log = CheckRange { after, to: position.number };
    let (held, mut compared, found) = line.differing(holding, false, log).await?;
    holding = held;
    let mut ranges = found.len() as u64;
    let mut mended = Mended::default();
    for range in found {
        mended = mended.with(line.mend_entries(shared, range).await?);
    }
    if scope == Scope::Whole {
        let app = Arc::clone(&shared.app);
        let (_, by_the_log) = blocking(move || Ok(app.check_objects()?)).await?;
        mended = mended.with(by_the_log);
        line.line.send(&PeerMessage::CheckWithout { objects: moving.iter().copied().collect() })?;
        holding.leave_out(moving)?;
        let ids = CheckRange { after: 0, to: OBJECT_ID_MAX.unsigned_abs() };
        let (_, count, found) = line.differing(holding, true, ids).await?;
        compared += count;
        ranges += found.len() as u64;
        for range in found {
            mended = mended.with(line.mend_objects(shared, range).await?);
        }
    }
    line.line.send(&PeerMessage::Done {})?;
    line.line.finish().await;
    Ok((compared, mended, ranges))
}

fn wrong_answer() -> LineEnd {
    Violation::unexpected("something that was not asked for in a comparison").into()
}

async fn heard(line: &mut Line) -> Result<PeerMessage, LineEnd> {
    match tokio::time::timeout(ANSWER, line.next()).await {
        Ok(answer) => answer,
        Err(_) => Err(LineEnd::Lost("the head office does not answer".to_owned())),
    }
}

/// Waits until the own log is as long.
async fn come_to(shared: &Shared, position: Position) -> Result<(), LineEnd> {
    let mut commits = shared.commits.subscribe();
    let arrived = async {
        loop {
            let head = shared.app.view()?.head().map_err(AppError::from)?;
            if head.is_some_and(|head| head.position.number >= position.number) {
                return Ok(());
            }
            commits.changed().await.map_err(|_| LineEnd::Stopping)?;
        }
    };
    let late = || LineEnd::Lost(format!("this branch did not come to entry {position} in time"));
    tokio::time::timeout(IN_STEP, arrived).await.unwrap_or_else(|_| Err(late()))
}

/// The stream of a comparison, at the branch.
struct Side {
    line: Line,
    /// Where the head office holds still.
    position: Position,
    floor: u64,
}

impl Side {
    /// How much the head office holds in a range, and the ranges that differ.
    async fn differing(
        &mut self,
        mut holding: Holding,
        objects: bool,
        range: CheckRange,
    ) -> Result<(Holding, u64, Vec<CheckRange>), LineEnd> {
        let mut comparison = Comparison::of(range);
        loop {
            let ranges = comparison.ask();
            if ranges.is_empty() {
                return Ok((holding, comparison.compared(), comparison.found()));
            }
            self.line.send(&PeerMessage::CheckRanges { objects, ranges })?;
            let PeerMessage::CheckParts { ranges } = heard(&mut self.line).await? else { return Err(wrong_answer()) };
            let work = blocking(move || {
                let parts: Vec<_> = ranges.into_iter().map(|range| range.parts).collect();
                comparison.on_parts(&parts, |range| -> Result<Sum, LineEnd> {
                    let mut sum = Sum::default();
                    each(&holding, objects, range, &mut |_, digest| sum.add(digest))?;
                    Ok(sum)
                })?;
                Ok((holding, comparison))
            });
            (holding, comparison) = work.await?;
        }
    }

    async fn mend_entries(&mut self, shared: &Arc<Shared>, range: CheckRange) -> Result<Mended, LineEnd> {
        let mut entries = Vec::new();
        let mut after = range.after;
        while after < range.to {
            let rest = CheckRange { after, to: range.to };
            self.line.send(&PeerMessage::CheckWant { objects: false, range: rest })?;
            let PeerMessage::CheckEntries { entries: some, to } = heard(&mut self.line).await? else {
                return Err(wrong_answer());
            };
            let one = |frame: EntryFrame| ArrivingEntry { entry: frame.entry, transaction: frame.transaction };
            entries.extend(some.into_iter().map(one));
            after = forward(after, to, range)?;
        }
        let app = Arc::clone(&shared.app);
        let mended = blocking(move || Ok(app.mend_log(range.after, range.to, entries))).await?;
        unless_damaged(mended)
    }

    async fn mend_objects(&mut self, shared: &Arc<Shared>, range: CheckRange) -> Result<Mended, LineEnd> {
        let mut held = Vec::new();
        let mut after = range.after;
        while after < range.to {
            let rest = CheckRange { after, to: range.to };
            self.line.send(&PeerMessage::CheckWant { objects: true, range: rest })?;
            let PeerMessage::CheckObjects { objects, to } = heard(&mut self.line).await? else {
                return Err(wrong_answer());
            };
            held.extend(objects.into_iter().map(|one| HeldObject { record: one.record, history: one.history }));
            after = forward(after, to, range)?;
        }
        let (app, position, floor) = (Arc::clone(&shared.app), self.position, self.floor);
        let mended = blocking(move || Ok(app.mend_objects((range.after, range.to), position, floor, held))).await?;
        unless_damaged(mended)
    }
}

/// An answer must lead further, and not beyond what was asked for.
fn forward(after: u64, to: u64, range: CheckRange) -> Result<u64, LineEnd> {
    if to > after && to <= range.to { Ok(to) } else { Err(wrong_answer()) }
}

/// What the head office itself holds in a damaged way mends nothing here, and is found again by the next round.
fn unless_damaged(mended: Result<Mended, AppError>) -> Result<Mended, LineEnd> {
    mended.or_else(|error| {
        let failure = error.failure();
        if !failure.code.starts_with("damaged-") {
            return Err(LineEnd::Own(failure));
        }
        tracing::warn!("what the head office gave cannot be used: {failure}");
        Ok(Mended::default())
    })
}
