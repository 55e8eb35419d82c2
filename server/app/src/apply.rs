//! Entries of the authoritative log, applied at a branch.
//!
//! What users see is the authoritative state with the pending transactions on top. So an entry changes what lies
//! under pending changes, and where it settles a pending transaction it lets what lies under come to light again; one
//! function, [`fold`], does both, object by object.

use std::collections::BTreeMap;

use mytism_core::change::{Change, Entry, Outcome, Stamp, Transaction, effective};
use mytism_core::failure::Failure;
use mytism_core::id::{EntityId, Hash, ObjectId, Position};
use mytism_core::operation::Event;
use mytism_core::planted::{Bug, is};
use mytism_format::FormatError;
use mytism_format::entry::{self, StoredEntry};
use mytism_format::transaction::{self, StoredTransaction};
use mytism_store::{QuarantineRow, Write};

use crate::error::AppError;
use crate::fork::{self, Clash};
use crate::journal::{self, Seen};
use crate::lane::Work;
use crate::record::log;
use crate::schema_change;
use crate::stack::Ground;
use crate::workspace::RecentEntry;

/// An entry as it arrives.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ArrivingEntry {
    /// Stored bytes of the entry.
    pub entry: Vec<u8>,
    /// Stored bytes of the transaction; `None` where this node made it itself.
    pub transaction: Option<Vec<u8>>,
}

/// An entry that was read and verified, before the lane has it.
pub(crate) struct Decoded {
    entry: StoredEntry,
    /// `None` where this node made the transaction itself.
    transaction: Option<StoredTransaction>,
}

impl Decoded {
    /// Whether another schema holds from this entry on.
    fn changes_schema(&self) -> bool {
        self.transaction.as_ref().is_some_and(|stored| stored.transaction.schema.is_some())
    }
}

/// Entries in runs that can be applied in one commit each: one that changes the schema stands alone. There is one run at
/// least, so that who may not apply any is told.
pub(crate) fn runs(decoded: Vec<Decoded>) -> Vec<Vec<Decoded>> {
    let mut runs: Vec<Vec<Decoded>> = Vec::new();
    for one in decoded {
        let joins = |run: &&mut Vec<Decoded>| !one.changes_schema() && !run.last().is_some_and(Decoded::changes_schema);
        match runs.last_mut().filter(joins) {
            Some(run) => run.push(one),
            None => runs.push(vec![one]),
        }
    }
    if runs.is_empty() {
        runs.push(Vec::new());
    }
    runs
}

/// Whether a run is such an entry.
pub(crate) fn is_schema(run: &[Decoded]) -> bool {
    run.iter().any(Decoded::changes_schema)
}

/// Reads and verifies entries; the dear part of applying them, and it needs nothing but the bytes.
pub(crate) fn decode(arriving: Vec<ArrivingEntry>) -> Result<Vec<Decoded>, AppError> {
    let decoded = arriving.into_iter().map(|one| {
        let entry = entry::read(one.entry).map_err(|error| damaged(&error))?;
        let transaction = one.transaction.map(transaction::read).transpose().map_err(|error| damaged(&error))?;
        Ok(Decoded { entry, transaction })
    });
    decoded.collect()
}

/// Applies entries of the head office at a branch, see [`entries`].
pub(crate) fn arrived(work: &mut Work<'_>, arriving: &[Decoded], is_alone: bool) -> Result<Position, AppError> {
    if work.state.authoritative {
        return Err(AppError::refused("not-a-branch", "the head office takes entries from nobody"));
    }
    entries(work, arriving, is_alone)
}

/// Applies entries in their order. What is known already is passed over.
///
/// # Errors
/// [`AppError::Moved`] where names that are pending here must change and this work is not alone in its group.
pub(crate) fn entries(work: &mut Work<'_>, arriving: &[Decoded], is_alone: bool) -> Result<Position, AppError> {
    for one in arriving {
        let entry = &one.entry;
        if entry.entry.position.number <= work.state.position().number {
            check_known(work, entry)?;
            continue;
        }
        check_follows(work, entry)?;
        give_way(work, entry, one.transaction.as_ref(), is_alone)?;
        apply(work, entry, one.transaction.as_ref())?;
    }
    Ok(work.state.position())
}

fn damaged(error: &FormatError) -> AppError {
    match error {
        FormatError::UnknownKind { .. } | FormatError::Newer { .. } => newer(&error.to_string()),
        error => AppError::arrived_damaged("damaged-entry", error),
    }
}

/// The log says something that this program does not know. Nothing behind it can be applied.
pub(crate) fn newer(what: &str) -> AppError {
    let failure = Failure::failed("newer-entry", format!("the log of the head office needs a newer version: {what}"));
    failure.hint("install the version of the head office here; nothing is lost meanwhile").into()
}

/// An entry that is here already must be the same one.
fn check_known(work: &Work<'_>, entry: &StoredEntry) -> Result<(), AppError> {
    let known = work.workspace.view()?.log_row(entry.entry.position.number)?;
    match known {
        Some(row) if row.hash != entry.hash => Err(histories_differ(entry.entry.position)),
        _ => Ok(()),
    }
}

fn check_follows(work: &Work<'_>, entry: &StoredEntry) -> Result<(), AppError> {
    let last = work.state.position();
    let previous = work.state.head.map_or(Hash::default(), |head| head.hash);
    if entry.entry.position.number != last.number + 1 {
        let message = format!("entry {} arrived where {} was due", entry.entry.position, last.number + 1);
        return Err(AppError::failed("log-gap", message));
    }
    if entry.entry.previous == previous { Ok(()) } else { Err(histories_differ(entry.entry.position)) }
}

fn histories_differ(at: Position) -> AppError {
    AppError::refused("histories-differ", format!("the log of the head office differs from the one here at {at}"))
}

/// What is pending here and is in the way of an entry gives way to it, unless its name is of this very life.
fn give_way(
    work: &mut Work<'_>,
    entry: &StoredEntry,
    arrived: Option<&StoredTransaction>,
    is_alone: bool,
) -> Result<(), AppError> {
    while let Some(clash) = in_the_way(work, entry, arrived)? {
        if let Clash::Name(id) = clash
            && (id.node, id.incarnation) == (work.foundation.identity.node, work.state.incarnation)
            && !id.is_of_fork()
        {
            let message = format!("transaction {id} has another content at the head office than here");
            return Err(AppError::refused("forked-transaction", message));
        }
        if !is_alone {
            return Err(AppError::Moved);
        }
        fork::give_way(work, clash)?;
    }
    Ok(())
}

/// What is pending that cannot stay beside an entry: it has the name of the entry's transaction and another content, or
/// it makes an object under an id that stands for another object from this entry on. The head office gave such an id
/// twice where it was put back from an older copy and decided on something before it noticed.
fn in_the_way(
    work: &mut Work<'_>,
    entry: &StoredEntry,
    arrived: Option<&StoredTransaction>,
) -> Result<Option<Clash>, AppError> {
    let (id, hash) = (entry.entry.transaction, entry.entry.transaction_hash);
    if let Some(place) = work.workspace.pending_place(id)?
        && let Some(row) = work.workspace.pending(place)?
        && transaction::peek(&row.bytes)?.2 != hash
    {
        return Ok(Some(Clash::Name(id)));
    }
    for object in made(&entry.entry, arrived.map(|stored| &stored.transaction)) {
        for place in work.workspace.pending_of(object)? {
            let Some(row) = work.workspace.pending(place)?.filter(|row| row.transaction != id) else { continue };
            let makes = |change: &Change| change.object == object && change.is_making();
            if transaction::read(row.bytes)?.transaction.changes.iter().any(makes) {
                return Ok(Some(Clash::Object(row.transaction, object)));
            }
        }
    }
    Ok(None)
}

/// The objects that an entry makes: those of a transaction that came with it, and those that the head office added.
fn made(entry: &Entry, arrived: Option<&Transaction>) -> Vec<ObjectId> {
    let Outcome::Accepted { extra, .. } = &entry.outcome else { return Vec::new() };
    let theirs = arrived.into_iter().flat_map(|transaction| &transaction.changes);
    theirs.chain(extra).filter(|change| change.is_making()).map(|change| change.object).collect()
}

/// Applies an entry that continues the log.
pub(crate) fn apply(
    work: &mut Work<'_>,
    entry: &StoredEntry,
    arrived: Option<&StoredTransaction>,
) -> Result<(), AppError> {
    let id = entry.entry.transaction;
    let place = work.workspace.pending_place(id)?;
    let pending = place.map(|place| work.workspace.pending(place)).transpose()?.flatten();
    let own = pending.map(|row| transaction::read(row.bytes)).transpose()?;
    let is_own = own.is_some();
    let stored = match (&own, arrived) {
        (Some(own), _) => own,
        (None, Some(arrived)) => arrived,
        (None, None) => {
            return Err(AppError::failed(
                "missing-transaction",
                format!("the transaction {id} came without its content"),
            ));
        }
    };
    if stored.hash != entry.entry.transaction_hash || stored.transaction.id != id {
        return Err(AppError::failed(
            "damaged-entry",
            format!("the content of transaction {id} is not what the log says"),
        ));
    }
    if let Some(place) = place {
        work.workspace.settle(place);
    }
    keep_ahead(work, &stored.transaction);
    if let Some(schema) = &stored.transaction.schema {
        schema_change::arrived(work, schema, entry.entry.position.number)?;
    }
    let happened = stamped(&entry.entry, &stored.transaction);
    let mut objects: BTreeMap<ObjectId, Happened<'_>> = BTreeMap::new();
    for one in &happened {
        objects.entry(one.0.object).or_insert_with(|| (one.0.entity, Vec::new())).1.push(one);
    }
    if is_own && !is(Bug::WithdrawalForgotten) {
        // What of it did not happen comes off all the same.
        for change in &stored.transaction.changes {
            objects.entry(change.object).or_insert_with(|| (change.entity, Vec::new()));
        }
    }
    let mut seen = Vec::with_capacity(objects.len());
    for (object, (entity, changes)) in objects {
        let became = fold(work, object, entity, &changes, entry.entry.position.number)?;
        seen.push((changes, became));
    }
    let is_refused = matches!(entry.entry.outcome, Outcome::Refused { .. });
    if !(is_refused && is(Bug::JournalRowMissing)) {
        note(work, &entry.entry, seen)?;
    }
    if let Outcome::Refused { code, reason } = &entry.entry.outcome
        && !is(Bug::QuarantineMissing)
    {
        let number = entry.entry.position.number;
        work.workspace.write(Write::Quarantine(QuarantineRow { number, code: code.clone(), reason: reason.clone() }));
    }
    tell(work, &entry.entry, stored, is_own);
    let changes = happened.into_iter().map(|(change, _)| change).collect();
    let (number, stamp) = (entry.entry.position.number, stored.transaction.stamp());
    let clock_offset_micros = stored.transaction.clock_offset_micros;
    let recent = RecentEntry { number, transaction: id, hash: stored.hash, stamp, clock_offset_micros, changes };
    log(work, entry.clone(), stored.bytes.clone(), recent);
    Ok(())
}

/// Counters and ids go on above all that this node ever used. An own transaction that arrives though it was not known
/// here was made in a part of this life that the database lacks: it is an older copy.
fn keep_ahead(work: &mut Work<'_>, transaction: &Transaction) {
    if transaction.id.node != work.foundation.identity.node {
        return;
    }
    if transaction.id.incarnation == work.state.incarnation && !transaction.id.is_of_fork() {
        work.state.counter = work.state.counter.max(transaction.id.counter);
    }
    for change in transaction.changes.iter().filter(|change| change.is_making()) {
        work.foundation.allotment().ids.pass(change.object);
    }
}

/// Writes the row of the journal. Where nothing was pending on any of the objects, what is seen is what the log says.
fn note(work: &mut Work<'_>, entry: &Entry, objects: Vec<(Changes<'_>, Option<Vec<Change>>)>) -> Result<(), AppError> {
    let seen = if objects.iter().all(|(_, became)| became.is_none()) {
        Seen::AsRecorded
    } else {
        let of_log = |changes: Changes<'_>| changes.into_iter().map(|(change, _)| change.clone()).collect();
        let each = objects.into_iter().map(|(changes, became)| became.unwrap_or_else(|| of_log(changes)));
        Seen::Are(each.flatten().collect())
    };
    let id = entry.transaction;
    let cause = journal::cause(&entry.outcome, id.node, work.foundation.identity.node);
    journal::append(work, cause, id, Some(entry.position.number), &seen)
}

/// Changes of one object with who made them.
type Changes<'c> = Vec<&'c (Change, Stamp)>;

/// What happened to one object: its entity, and its changes with who made them.
type Happened<'c> = (EntityId, Changes<'c>);

/// The changes that really happened, each with who made it.
pub(crate) fn stamped(entry: &Entry, transaction: &Transaction) -> Vec<(Change, Stamp)> {
    let Outcome::Accepted { overrides, extra } = &entry.outcome else { return Vec::new() };
    let overrides = if is(Bug::OverridesIgnored) { &Vec::new() } else { overrides };
    let extra = if is(Bug::AdditionsIgnored) { &Vec::new() } else { extra };
    let theirs = Outcome::Accepted { overrides: overrides.clone(), extra: Vec::new() };
    let theirs = effective(&transaction.changes, &theirs).into_iter();
    let by_author = theirs.map(|change| (change, transaction.stamp()));
    by_author.chain(extra.iter().map(|change| (change.clone(), entry.stamp()))).collect()
}

/// Lets changes of the log happen to one object, and computes anew what is seen of it. Returns what became of it for who
/// looks on, where that may differ from the changes since something was pending on the object.
fn fold(
    work: &mut Work<'_>,
    object: ObjectId,
    entity: EntityId,
    changes: &[&(Change, Stamp)],
    number: u64,
) -> Result<Option<Vec<Change>>, AppError> {
    let mut ground = Ground::of(work, object, entity)?;
    for (change, stamp) in changes {
        ground.happen(change, *stamp, number);
    }
    let before = if ground.is_bare() { None } else { Some(ground.sight(work)?) };
    ground.lay(work)?;
    let Some(before) = before else { return Ok(None) };
    Ok(Some(before.became(object, &ground.sight(work)?)))
}

fn tell(work: &mut Work<'_>, entry: &Entry, stored: &StoredTransaction, is_own: bool) {
    let (kind, text) = match &entry.outcome {
        Outcome::Refused { reason, .. } => ("refused", reason.clone()),
        Outcome::Accepted { overrides, extra } if overrides.is_empty() && extra.is_empty() => {
            (if is_own { "accepted" } else { "received" }, stored.transaction.description.clone())
        }
        Outcome::Accepted { .. } => ("merged", stored.transaction.description.clone()),
    };
    let (time, transaction, position) = (entry.committed_at, entry.transaction, entry.position.number);
    let peer = String::new();
    let kind = kind.to_owned();
    work.tell(|| Event { time, kind, peer, transaction: Some(transaction), position: Some(position), text });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_newer_is_told_apart_from_what_is_damaged() {
        let code = |error: FormatError| damaged(&error).failure().code;
        assert_eq!(code(FormatError::UnknownKind { kind: 0x0116 }), "newer-entry");
        assert_eq!(code(FormatError::Newer { what: "a kind of attribute" }), "newer-entry");
        assert_eq!(code(FormatError::HashMismatch { what: "a transaction" }), "damaged-entry");
    }
}
