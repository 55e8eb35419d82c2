//! Transactions of branches, decided on at the head office.
//!
//! Each gets an entry in the log, whatever becomes of it: it applies, it applies in part with a record of each
//! conflict, or it is refused with the reason. The stream of a branch never stops for one bad transaction. One that
//! arrived before is known by its name and changes nothing.

use std::collections::HashSet;

use mytism_core::change::{Change, Life, Outcome, Override, Slot, Stamp, Transaction};
use mytism_core::id::{BlockId, Hash, NodeId, ObjectId, TransactionId};
use mytism_core::merge::{Meeting, Moment, Verdict, decide};
use mytism_core::operation::Event;
use mytism_core::planted::{Bug, is};
use mytism_core::schema::{ConflictRule, Kind};
use mytism_core::value::Value;
use mytism_format::FormatError;
use mytism_format::entry;
use mytism_format::transaction::{self, StoredTransaction};
use mytism_store::LogRow;

use crate::conflict::{self, Conflict};
use crate::constraint;
use crate::error::AppError;
use crate::journal::{self, Seen};
use crate::kept;
use crate::lane::Work;
use crate::numbers::{self, Arriving};
use crate::parted;
use crate::record;
use crate::reign;
use crate::schema_change::older;

/// Decides on the transactions that a branch offers, in their order; returns the counter of the last one known.
pub(crate) fn transactions(work: &mut Work<'_>, node: NodeId, offered: &[Vec<u8>]) -> Result<u64, AppError> {
    if !work.state.authoritative {
        return Err(AppError::refused("not-authoritative", "only the head office decides on transactions"));
    }
    reign::check(&work.state)?;
    let mut last: Option<TransactionId> = None;
    for bytes in offered {
        let (id, base, hash) = transaction::peek(bytes).map_err(|error| damaged(&error))?;
        // What others made, the branch may have taken back from the log of an earlier reign.
        if id.node != node && base.epoch >= work.state.epoch {
            let message = format!("node {node} offered the transaction {id}, which is not its own");
            return Err(AppError::refused("foreign-transaction", message));
        }
        let known = match last {
            Some(last) if last.life() == id.life() => last.counter,
            _ => last_counter(work, id)?,
        };
        let is_next = id.counter == known + 1 || id.counter == known && is(Bug::OfferedTwiceTakenTwice);
        // Of a fork none tells what is known of the others.
        let is_next = is_next && !id.is_of_fork();
        match if is_next { None } else { known_hash(work, id)? } {
            Some(known) if known == hash => {}
            Some(_) => return Err(forked(id)),
            // Of an earlier reign some may have got other names, since the log has theirs; those behind them are not held
            // up by it.
            None if is_next || id.is_of_fork() || base.epoch < work.state.epoch => {
                let stored = transaction::read(bytes.clone()).map_err(|error| damaged(&error))?;
                if base.epoch < work.state.epoch && makes_what_is_there(work, &stored.transaction)? {
                    return Err(forked(id));
                }
                admit(work, node, stored)?;
            }
            None => return Err(gap(id, known)),
        }
        last = Some(TransactionId { counter: known.max(id.counter), ..id });
    }
    Ok(last.map_or(0, |last| last.counter))
}

/// The last transaction of that life of that node which was decided on.
fn last_counter(work: &Work<'_>, id: TransactionId) -> Result<u64, AppError> {
    let recent = work.workspace.recent.iter().rev().find(|recent| recent.transaction.life() == id.life());
    match recent {
        Some(recent) => Ok(recent.transaction.counter),
        None => Ok(work.workspace.view()?.last_counter(id.node, id.incarnation)?),
    }
}

fn damaged(error: &FormatError) -> AppError {
    AppError::arrived_damaged("damaged-transaction", error)
}

/// A later transaction may build on an earlier one, so none is decided on before those that go before it.
fn gap(id: TransactionId, known: u64) -> AppError {
    let message = format!("the transaction {id} was offered where {} was due", known.saturating_add(1));
    AppError::failed("counter-gap", message)
}

/// Hash of a transaction that is in the log, or in the group at work.
fn known_hash(work: &Work<'_>, id: TransactionId) -> Result<Option<Hash>, AppError> {
    if let Some(recent) = work.workspace.recent.iter().find(|recent| recent.transaction == id) {
        return Ok(Some(recent.hash));
    }
    let Some(number) = work.workspace.view()?.log_number(id)? else { return Ok(None) };
    let row = work.workspace.view()?.log_row(number)?;
    Ok(row.map(|row| transaction::peek(&row.bytes)).transpose()?.map(|(_, _, hash)| hash))
}

fn forked(id: TransactionId) -> AppError {
    let message = format!("the transaction {id} arrived with another content before: its node was copied or restored");
    AppError::refused("forked-transaction", message)
}

/// Whether an id stands for another object by now: a head office that was put back gave it once more. The branch learns
/// of that object by the log, and then saves its own one under another id.
fn makes_what_is_there(work: &mut Work<'_>, transaction: &Transaction) -> Result<bool, AppError> {
    for change in transaction.changes.iter().filter(|change| change.is_making()) {
        if work.workspace.object(change.object)?.is_some_and(|object| object.meta.life != Life::Absent) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Decides on a transaction that waited at a node.
pub(crate) fn admit(work: &mut Work<'_>, node: NodeId, stored: StoredTransaction) -> Result<(), AppError> {
    work.workspace.begin();
    let outcome = match merge(work, node, &stored) {
        Ok(outcome) => {
            work.workspace.accept();
            outcome
        }
        Err(AppError::Refused(failure)) => {
            work.workspace.roll_back();
            Outcome::Refused { code: failure.code, reason: shortened(failure.message) }
        }
        Err(error) => {
            work.workspace.roll_back();
            return Err(error);
        }
    };
    if let Outcome::Refused { code, reason } = &outcome {
        let number = work.state.position().number + 1;
        let row = mytism_store::QuarantineRow { number, code: code.clone(), reason: reason.clone() };
        work.workspace.write(mytism_store::Write::Quarantine(row));
    }
    let number = work.state.position().number + 1;
    tell(work, &stored, &outcome, number);
    let id = stored.transaction.id;
    let cause = journal::cause(&outcome, id.node, work.foundation.identity.node);
    record::append(work, stored, outcome)?;
    journal::append(work, cause, id, Some(number), &Seen::AsRecorded)
}

/// A reason that holds a huge value is cut: the value itself stands in the transaction.
fn shortened(reason: String) -> String {
    const CHARACTERS: usize = 2_000;
    if reason.chars().count() <= CHARACTERS {
        return reason;
    }
    reason.chars().take(CHARACTERS).chain(std::iter::once('…')).collect()
}

/// What no honest branch sends.
fn check_form(work: &Work<'_>, arrived: &Arrived<'_>) -> Result<(), AppError> {
    let Arrived { stored, seen } = arrived;
    if stored.transaction.schema.is_some() {
        return Err(AppError::refused("schema-from-branch", "only the head office changes the schema"));
    }
    let base = stored.transaction.base;
    if base.epoch > work.state.epoch || *seen > work.state.position().number {
        let message = format!("it builds on entry {base}, which does not exist");
        return Err(AppError::refused("impossible-base", message));
    }
    check_reign(work, arrived)?;
    // What the head office itself did and lost with its database comes back as it was.
    if stored.transaction.id.node == work.foundation.identity.node {
        return Ok(());
    }
    kept::check(&stored.transaction.changes)
}

/// What a head office did that was deposed, and nobody but it knew, is for people to look through: it decided in the
/// belief that nobody else does.
fn check_reign(work: &Work<'_>, arrived: &Arrived<'_>) -> Result<(), AppError> {
    let Arrived { stored, seen } = arrived;
    let (id, base) = (stored.transaction.id, stored.transaction.base);
    if base.epoch >= work.state.epoch || id.node == work.foundation.identity.node {
        return Ok(());
    }
    let Some(row) = work.workspace.view()?.log_row(*seen)? else { return Ok(()) };
    if entry::read(row.entry)?.entry.head == id.node {
        let message = format!("node {} saved it as head office after another one had taken its place", id.node);
        return Err(AppError::refused("deposed", message));
    }
    Ok(())
}

/// A branch makes objects with ids from its own blocks alone. Which blocks were given in an earlier reign may not be
/// known here, or wrongly: what a head office gave and lost, it gave once more before it noticed.
fn check_owner(work: &Work<'_>, stored: &StoredTransaction, change: &Change) -> Result<(), AppError> {
    if !change.is_making() {
        return Ok(());
    }
    let block = BlockId::of(change.object);
    let allotment = work.foundation.allotment();
    let is_earlier = block.reign() < i64::from(allotment.reign) && block.get() >= i64::from(BlockId::FIRST_ORDINARY);
    let transaction = &stored.transaction;
    let gave_way = transaction.id.is_of_fork() || transaction.base.epoch < work.state.epoch;
    if is_earlier
        || gave_way && block.reign() == i64::from(BlockId::FORKS)
        || allotment.blocks.owner(block) == Some(transaction.id.node)
    {
        return Ok(());
    }
    let message = format!("the id of object {} was not given to this branch", change.object);
    Err(AppError::refused("foreign-id", message))
}

/// A transaction that is decided on.
#[derive(Clone, Copy)]
struct Arrived<'s> {
    stored: &'s StoredTransaction,
    /// The last entry that its author saw. Of an earlier reign he may have seen entries that are history no more.
    seen: u64,
}

impl<'s> Arrived<'s> {
    fn new(work: &Work<'_>, node: NodeId, stored: &'s StoredTransaction) -> Result<Self, AppError> {
        let base = stored.transaction.base;
        let mut seen = base.number;
        if base.epoch < work.state.epoch {
            let view = work.workspace.view()?;
            let first = view.later_reign(base.epoch)?.unwrap_or(u64::MAX);
            seen = seen.min(first.saturating_sub(1)).min(parted::seen_at(view, node, base.epoch)?);
        }
        Ok(Self { stored, seen })
    }

    /// Whether the author saw what stands there, in a history that ended before he saved: the entries that he saw there
    /// have other places by now, so what they left has to speak for them.
    fn saw(&self, change: &Change, ours: &Value) -> bool {
        self.seen < self.stored.transaction.base.number && *ours == change.old && !is_deletion(change)
    }

    /// Whether what stands there is what another life of the author's node left, and he went on from it: what waits when
    /// a life ends lies under all that the next one saves.
    fn left(&self, change: &Change, ours: &Value, since: &Since) -> bool {
        let by_own_node = since.by_others.is_some_and(|setter| setter.stamp.node == self.stored.transaction.id.node);
        by_own_node && *ours == change.old && !is_deletion(change)
    }
}

/// Lets the changes happen in the topmost layer, as far as they may.
fn merge(work: &mut Work<'_>, node: NodeId, stored: &StoredTransaction) -> Result<Outcome, AppError> {
    let as_now = older::transaction(work.workspace.schema, stored);
    let stored = as_now.as_ref().unwrap_or(stored);
    let arrived = Arrived::new(work, node, stored)?;
    check_form(work, &arrived)?;
    let number = Some(work.state.position().number + 1);
    let deleted = stored.transaction.changes.iter().filter(|change| is_deletion(change));
    let deleted = deleted.map(|change| change.object).collect();
    let mut merged = Merged { deleted, overrides: Vec::new(), extra: Vec::new(), conflicts: Vec::new() };
    let stamp = stored.transaction.stamp();
    let own = Stamp { time: work.now, user: mytism_core::id::system::USER_SYSTEM, node: work.foundation.identity.node };
    for (index, change) in (0..).zip(&stored.transaction.changes) {
        constraint::check_slot(&mut work.workspace, change)?;
        check_owner(work, stored, change)?;
        bring_back(work, arrived, change, &mut merged, own, number)?;
        meet(work, arrived, (index, change), &mut merged, (stamp, number))?;
    }
    merged.extra.extend(older::fill_in(work, arrived.seen, &stored.transaction.changes, own, number)?);
    let happened = mytism_core::change::effective(
        &stored.transaction.changes,
        &Outcome::Accepted { overrides: merged.overrides.clone(), extra: merged.extra.clone() },
    );
    if !is(Bug::ConstraintsUnchecked) {
        constraint::check(&mut work.workspace, &happened)?;
    }
    numbers::check(work, &happened)?;
    for found in std::mem::take(&mut merged.conflicts).into_iter().filter(|_| !is(Bug::LosingValueUnrecorded)) {
        let changes = conflict::record(work, stored, &found, own, number)?;
        merged.extra.extend(changes);
    }
    // Branches apply the additions of the head office last, so that is how they count here too.
    merged.extra.iter().try_for_each(|change| work.workspace.apply(change, own, number))?;
    let outcome = Outcome::Accepted { overrides: merged.overrides, extra: merged.extra };
    entry::check_size(&outcome).map_err(|error| AppError::refused("too-large", error.to_string()))?;
    Ok(outcome)
}

/// Lets one change happen, or not, by what stands there and who put it there.
fn meet(
    work: &mut Work<'_>,
    arrived: Arrived<'_>,
    (index, change): (u32, &Change),
    merged: &mut Merged,
    (stamp, number): (Stamp, Option<u64>),
) -> Result<(), AppError> {
    let transaction = &arrived.stored.transaction;
    let ours = work.workspace.slot(change.object, change.slot)?;
    let (rule, kind) = rule_of(work, change);
    let since = if arrived.saw(change, &ours) { Since::default() } else { changed_since(work, arrived, change, rule)? };
    let since = if arrived.left(change, &ours, &since) { Since::default() } else { since };
    let setter = set_by(work, arrived, change, &ours, rule, &since)?;
    let verdict = decide(&Meeting {
        slot: change.slot,
        rule,
        kind,
        base: &change.old,
        theirs: &change.new,
        ours: &ours,
        changed_since: since.by_others.is_some(),
        own_last: since.own_last.is_some(),
        their_moment: Setter::of(transaction).moment(),
        our_moment: setter.map(Setter::moment),
    });
    let arriving = numbers::arriving_next(work, &transaction.changes, change, verdict == Verdict::KeepOurs)?;
    let verdict = match arriving {
        Arriving::Ordinary => verdict,
        Arriving::Take => Verdict::Apply,
        // As if it were there already: nothing is to be done, and it is no conflict.
        Arriving::Leave => Verdict::Same,
    };
    match verdict {
        Verdict::Apply => merged.take(work, index, change, ours, change.new.clone(), (stamp, number))?,
        Verdict::Sum(sum) => merged.take(work, index, change, ours, sum, (stamp, number))?,
        Verdict::TakeTheirs => {
            let replaced = Conflict::taken(change, ours.clone(), setter.map(|setter| setter.stamp), rule);
            merged.conflicts.push(replaced);
            merged.take(work, index, change, ours, change.new.clone(), (stamp, number))?;
        }
        Verdict::Same => merged.overrides.push(Override { index, old: ours, new: None }),
        Verdict::KeepOurs => {
            merged.overrides.push(Override { index, old: ours.clone(), new: None });
            // Two values without a sum are decided on by the default rule.
            let rule = if rule == ConflictRule::Sum { ConflictRule::Authoritative } else { rule };
            merged.conflicts.push(Conflict::new(change, ours, setter.map(|setter| setter.stamp), rule));
        }
    }
    Ok(())
}

struct Merged {
    /// Objects that the transaction itself deletes.
    deleted: HashSet<ObjectId>,
    overrides: Vec<Override>,
    extra: Vec<Change>,
    conflicts: Vec<Conflict>,
}

impl Merged {
    /// Lets a change happen, in the place of what stands there, and with this value.
    fn take(
        &mut self,
        work: &mut Work<'_>,
        index: u32,
        change: &Change,
        ours: Value,
        new: Value,
        (stamp, number): (Stamp, Option<u64>),
    ) -> Result<(), AppError> {
        if ours == change.old && new == change.new {
            return work.workspace.apply(change, stamp, number);
        }
        let taken = Change { old: ours.clone(), new: new.clone(), ..change.clone() };
        work.workspace.apply(&taken, stamp, number)?;
        self.overrides.push(Override { index, old: ours, new: Some(new) });
        Ok(())
    }
}

/// The rule for the attribute of a change, and what the attribute holds.
fn rule_of<'s>(work: &Work<'s>, change: &Change) -> (ConflictRule, Option<&'s Kind>) {
    let schema = work.workspace.schema;
    let member = schema.entity_by_id(change.entity).and_then(|entity| entity.member_by_id(change.slot.attribute));
    match member.filter(|_| change.slot.element.is_none()) {
        Some(member) => (member.conflict, Some(&member.kind)),
        None => (ConflictRule::Authoritative, None),
    }
}

/// An object that the head office deleted and the branch, not knowing, changed or referred to comes back, as a
/// conflict.
fn bring_back(
    work: &mut Work<'_>,
    arrived: Arrived<'_>,
    change: &Change,
    merged: &mut Merged,
    own: Stamp,
    number: Option<u64>,
) -> Result<(), AppError> {
    if change.slot == Slot::LIFE || is(Bug::NotBroughtBack) {
        return Ok(());
    }
    // Taking an element out of a set says nothing about the element.
    let element = change.slot.element.filter(|_| !change.new.is_null());
    for object in [Some(change.object), change.new.reference(), element].into_iter().flatten() {
        // Whom both sides deleted nobody wants back.
        if merged.deleted.contains(&object) {
            continue;
        }
        let Some(state) = work.workspace.object(object)? else { continue };
        let entity = state.entity;
        if state.meta.life != Life::Deleted {
            continue;
        }
        let (alive, deleted) = (Life::Alive.value(), Life::Deleted.value());
        let back = Change { object, entity, slot: Slot::LIFE, old: deleted.clone(), new: alive };
        let since = changed_since(work, arrived, &back, ConflictRule::Authoritative)?.by_others;
        if let Some(since) = since.map(|setter| setter.stamp) {
            work.workspace.apply(&back, own, number)?;
            let theirs = Change { object, entity, slot: Slot::LIFE, old: Value::Null, new: deleted };
            merged.conflicts.push(Conflict::kept_alive(
                &theirs,
                back.new.clone(),
                arrived.stored.transaction.stamp(),
                since,
            ));
            merged.extra.push(back);
        }
    }
    Ok(())
}

fn is_deletion(change: &Change) -> bool {
    change.slot == Slot::LIFE && Life::of(&change.new) == Life::Deleted
}

/// Who set a value, and how far his clock was known to be off.
#[derive(Clone, Copy)]
struct Setter {
    stamp: Stamp,
    clock_offset_micros: Option<i64>,
}

impl Setter {
    const fn of(transaction: &Transaction) -> Self {
        Self { stamp: transaction.stamp(), clock_offset_micros: transaction.clock_offset_micros }
    }

    const fn moment(self) -> Moment {
        Moment { time: self.stamp.time, offset_micros: self.clock_offset_micros }
    }
}

/// Who changed a slot after the base of an arriving transaction.
#[derive(Clone, Copy, Default)]
struct Since {
    /// The last one but for the life of the node that made the transaction, since its author saw what was done there. What
    /// another life of the node did he may not have seen: it was another copy of its database.
    by_others: Option<Setter>,
    /// The own node, where it did so after all others. Only looked for where a rule asks.
    own_last: Option<Setter>,
}

/// Whether a change is about the same slot. For a deletion any change of the object counts, but another deletion.
fn meets(arriving: &Change, change: &Change) -> bool {
    change.object == arriving.object
        && if is_deletion(arriving) { !is_deletion(change) } else { change.slot == arriving.slot }
}

/// Who changed the slot of a change after the base of its transaction.
fn changed_since(
    work: &mut Work<'_>,
    Arrived { stored, seen: base }: Arrived<'_>,
    arriving: &Change,
    rule: ConflictRule,
) -> Result<Since, AppError> {
    let base = if is(Bug::WrongBase) { u64::MAX } else { base };
    let origin = stored.transaction.id;
    let wants_own = rule != ConflictRule::Authoritative;
    let mut since = Since::default();
    for entry in work.workspace.recent.iter().rev().filter(|entry| entry.number > base) {
        let is_own = entry.transaction.life() == origin.life();
        if (is_own && (!wants_own || since.own_last.is_some()))
            || !entry.changes.iter().any(|change| meets(arriving, change))
        {
            continue;
        }
        let setter = Setter { stamp: entry.stamp, clock_offset_micros: entry.clock_offset_micros };
        if !is_own {
            since.by_others = Some(setter);
            return Ok(since);
        }
        since.own_last = Some(setter);
    }
    // The version names the last entry that changed the object, so most objects need no look into the log.
    let object = arriving.object;
    let untouched = work.workspace.object_before(object)?.is_none_or(|state| state.meta.version.unwrap_or(0) <= base);
    if untouched {
        return Ok(since);
    }
    for number in work.workspace.view()?.history_after(object, base)?.into_iter().rev() {
        let Some(row) = work.workspace.view()?.log_row(number)? else { continue };
        let is_own = row.transaction.life() == origin.life();
        if is_own && (!wants_own || since.own_last.is_some()) {
            continue;
        }
        let Some(setter) = setter_in(row, arriving)? else { continue };
        if !is_own {
            since.by_others = Some(setter);
            return Ok(since);
        }
        since.own_last = Some(setter);
    }
    Ok(since)
}

/// Who saved the transaction of an entry, if it changed the slot of `arriving`.
fn setter_in(row: LogRow, arriving: &Change) -> Result<Option<Setter>, AppError> {
    let entry = entry::read(row.entry)?;
    let other = transaction::read(row.bytes)?;
    let happened = mytism_core::change::effective(&other.transaction.changes, &entry.entry.outcome);
    let is_met = happened.iter().any(|change| meets(arriving, change));
    Ok(is_met.then(|| Setter::of(&other.transaction)))
}

/// Who set what the head office has. Where nobody did after the base and yet the author did not see it, since he built
/// on an own value that was not taken, the rule `later` needs the one who set it before.
fn set_by(
    work: &mut Work<'_>,
    arrived: Arrived<'_>,
    change: &Change,
    ours: &Value,
    rule: ConflictRule,
    since: &Since,
) -> Result<Option<Setter>, AppError> {
    let found = since.own_last.or(since.by_others);
    let is_asked = matches!(rule, ConflictRule::Branch | ConflictRule::Later) && *ours != change.old;
    if found.is_some() || !is_asked {
        return Ok(found);
    }
    let base = arrived.seen;
    for number in work.workspace.view()?.history_after(change.object, 0)?.into_iter().rev() {
        let row = if number <= base { work.workspace.view()?.log_row(number)? } else { None };
        if let Some(setter) = row.map(|row| setter_in(row, change)).transpose()?.flatten() {
            return Ok(Some(setter));
        }
    }
    Ok(None)
}

fn tell(work: &mut Work<'_>, stored: &StoredTransaction, outcome: &Outcome, number: u64) {
    let (kind, text) = match outcome {
        Outcome::Refused { reason, .. } => ("refused", reason.clone()),
        Outcome::Accepted { overrides, extra } if overrides.is_empty() && extra.is_empty() => {
            ("accepted", stored.transaction.description.clone())
        }
        Outcome::Accepted { .. } => ("merged", stored.transaction.description.clone()),
    };
    let time = work.now;
    let transaction = stored.transaction.id;
    work.tell(|| Event {
        time,
        kind: kind.to_owned(),
        peer: String::new(),
        transaction: Some(transaction),
        position: Some(number),
        text,
    });
}
