//! How things were: a view as of an earlier place of the log.
//!
//! What was changed since then is found in the tail of the log, whose changes hold the values before them; these go over
//! the view's own objects, and whoever reads the view then reads the past, by the same statements as ever. What was not
//! changed since is what it was. The past is that of the authoritative log: at a branch pending changes come off first.
//!
//! Nothing here writes, and nothing is told that the log known here does not hold.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::tz::TimeZone;
use mytism_core::change::{Change, Life, ObjectMeta, Outcome, Slot, Stamp, effective};
use mytism_core::failure::Failure;
use mytism_core::id::{AttributeId, EntityId, ObjectId};
use mytism_core::schema::Schema;
use mytism_core::time::Timestamp;
use mytism_core::value::Value;
use mytism_format::object::read_meta;
use mytism_format::value::read_value;
use mytism_format::{entry, transaction};
use mytism_store::{LogRow, OtherObject, StoreError, View};

use crate::apply::stamped;
use crate::error::AppError;
use crate::history;
use crate::record::META;
use crate::schema_change::older;

/// How much may have been changed between then and now.
#[derive(Clone, Copy)]
struct Bounds {
    /// Changes at most; each takes some microseconds to read.
    changes: usize,
    /// Objects and values at most that are kept in memory meanwhile. Of an object that was made since, nothing else is.
    kept: usize,
}

const BOUNDS: Bounds = Bounds { changes: 5_000_000, kept: 1_000_000 };
/// Objects that are laid over at once.
const OBJECTS: usize = 1_000;
/// Log entries that are read at once, and bytes.
const ROWS: u32 = 1_000;
const BYTES: usize = 4 << 20;

/// The number of the position that a text means: digits are the number itself, anything else is a time and means the
/// last entry that was written by then. A time without zone is one of `zone`, a day alone is its first moment.
///
/// # Errors
/// When the text is neither, or means what is still to come.
pub(crate) fn position(view: &dyn View, text: &str, zone: &TimeZone, now: Timestamp) -> Result<u64, AppError> {
    let text = text.trim();
    let head = view.head()?;
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        let end = head.map_or(0, |head| head.position.number);
        let number = text.parse().ok().filter(|number| *number <= end);
        return number.ok_or_else(|| {
            let message = format!("there is no position {text} yet: the log known here ends at {end}");
            AppError::refused("not-yet", message)
        });
    }
    let time = Timestamp::parse(text, zone).ok_or_else(|| {
        let message = format!("\"{text}\" is neither a time nor a position of the log");
        let hint = "write a position as a number, a time as 2026-11-23T14:30:00Z, 2026-11-23 14:30 or 2026-11-23";
        AppError::from(Failure::usage("wrong-time", message).hint(hint))
    })?;
    if time > head.map_or(now, |head| now.max(head.committed_at)) {
        return Err(AppError::refused("not-yet", format!("{time} is still to come")));
    }
    Ok(view.position_at(time)?)
}

/// Lets a view show all objects as they were at a position.
///
/// # Errors
/// When the log since then is not here whole, or too much was changed.
pub(crate) fn go_back(view: &mut dyn View, at: u64) -> Result<(), AppError> {
    history::check_behind(view, at)?;
    let mut changed = changed_since(view, at, BOUNDS)?;
    let mut after = 0;
    loop {
        let pending = view.pending_objects(after, ROWS)?;
        let Some(last) = pending.last() else { break };
        after = last.get();
        for object in pending {
            take_off_pending(view, object, &mut changed)?;
        }
    }
    lay(view, changed, at)
}

/// Lets a view show one object as it was at a position, with what stands in it for other objects.
///
/// # Errors
/// When the log lacks an entry that changed one of them.
pub(crate) fn go_back_for(schema: &Schema, view: &mut dyn View, object: ObjectId, at: u64) -> Result<(), AppError> {
    history::check_behind(view, at)?;
    go_back_one(view, object, at)?;
    let Some(state) = view.object(object)? else { return Ok(()) };
    let mut shown: BTreeSet<ObjectId> = state.slots.iter().filter_map(|(_, value)| value.reference()).collect();
    shown.extend([state.meta.created.user, state.meta.changed.user]);
    for set in schema.entity_by_id(state.entity).iter().flat_map(|entity| entity.sets()) {
        shown.extend(view.elements(set.id, object)?);
    }
    shown.remove(&object);
    shown.into_iter().try_for_each(|other| go_back_one(view, other, at))
}

fn go_back_one(view: &mut dyn View, object: ObjectId, at: u64) -> Result<(), AppError> {
    let mut changed = BTreeMap::new();
    for number in view.history_after(object, at)? {
        let row = view.log_row(number)?.ok_or_else(|| unknown_past(number))?;
        let happened = happened(row)?.into_iter().filter(|change| change.object == object);
        for change in happened {
            take_back(&mut changed, change);
        }
    }
    if !view.underlay(object)?.is_empty() {
        take_off_pending(view, object, &mut changed)?;
    }
    lay(view, changed, at)
}

/// What is known of an object as it was.
struct Before {
    entity: EntityId,
    /// Whether it was made only later.
    made_later: bool,
    /// Whether entries of the log changed it since.
    is_logged: bool,
    /// The slots that are otherwise now, as they were.
    slots: BTreeMap<Slot, Value>,
    /// Its bookkeeping in the log, where that is not what is seen; with nothing in it for one that the log does not know.
    meta: Option<Option<ObjectMeta>>,
}

impl Before {
    const fn new(entity: EntityId) -> Self {
        Self { entity, made_later: false, is_logged: false, slots: BTreeMap::new(), meta: None }
    }
}

/// Everything that entries behind a position changed, as it was before.
fn changed_since(view: &dyn View, at: u64, bounds: Bounds) -> Result<BTreeMap<ObjectId, Before>, AppError> {
    let mut changed = BTreeMap::new();
    let (mut known, mut read, mut kept) = (at, 0, 0);
    loop {
        let rows = view.log_after(known, ROWS, BYTES)?;
        if rows.is_empty() {
            return Ok(changed);
        }
        for row in rows {
            if row.position.number != known + 1 {
                return Err(unknown_past(known + 1));
            }
            known += 1;
            let happened = happened(row)?;
            read += happened.len();
            kept += happened.into_iter().map(|change| take_back(&mut changed, change)).sum::<usize>();
            if read > bounds.changes || kept > bounds.kept {
                let message =
                    format!("too much was changed between position {at} and now: {read} values up to {known}");
                let hint = "ask for a later time, or for single objects with `show`";
                return Err(Failure::refused("past-too-far", message).hint(hint).into());
            }
        }
    }
}

fn unknown_past(number: u64) -> AppError {
    let message = format!("the log known here lacks the entry {number}, so what was before is not known");
    AppError::refused("past-unknown", message)
}

/// The changes of an entry that really happened.
fn happened(row: LogRow) -> Result<Vec<Change>, AppError> {
    let outcome = entry::read(row.entry)?.entry.outcome;
    if matches!(outcome, Outcome::Refused { .. }) {
        return Ok(Vec::new());
    }
    let changes = transaction::read(row.bytes)?.transaction.changes;
    Ok(if outcome == Outcome::PLAIN { changes } else { effective(&changes, &outcome) })
}

/// Notes what was before a change; of several of one slot the first counts. Returns how much more is kept now.
fn take_back(changed: &mut BTreeMap<ObjectId, Before>, change: Change) -> usize {
    let mut kept = 0;
    let before = changed.entry(change.object).or_insert_with(|| {
        kept += 1;
        Before::new(change.entity)
    });
    before.is_logged = true;
    if change.is_making() {
        before.made_later = true;
        before.slots.clear();
    }
    if !before.made_later {
        before.slots.entry(change.slot).or_insert_with(|| {
            kept += 1;
            change.old
        });
    }
    kept
}

/// Notes what lies under the pending changes of an object.
fn take_off_pending(
    view: &dyn View,
    object: ObjectId,
    changed: &mut BTreeMap<ObjectId, Before>,
) -> Result<(), AppError> {
    let Some(state) = view.object(object)? else { return Ok(()) };
    let before = changed.entry(object).or_insert_with(|| Before::new(state.entity));
    for (slot, bytes) in view.underlay(object)? {
        if slot == META {
            before.meta = Some(if bytes.is_empty() { None } else { Some(read_meta(&bytes)?) });
        } else {
            before.slots.entry(slot).or_insert(read_value(&bytes)?);
        }
    }
    Ok(())
}

/// Lays objects as they were over a view.
fn lay(view: &mut dyn View, changed: BTreeMap<ObjectId, Before>, at: u64) -> Result<(), AppError> {
    let stamps = last_stamps(view, &changed, at)?;
    let mut others = Vec::with_capacity(changed.len().min(OBJECTS));
    for (object, before) in changed {
        // An entity that was dropped since has no place to show its objects.
        if view.schema().entity_by_id(before.entity).is_none() {
            continue;
        }
        others.push(as_it_was(view, object, before, stamps.get(&object))?);
        if others.len() == OBJECTS {
            view.overlay(&others)?;
            others.clear();
        }
    }
    Ok(view.overlay(&others)?)
}

fn as_it_was(
    view: &dyn View,
    id: ObjectId,
    before: Before,
    last: Option<&(Stamp, u64)>,
) -> Result<OtherObject, AppError> {
    let entity = before.entity;
    let known = !before.made_later && before.meta != Some(None);
    let Some(mut state) = view.object(id)?.filter(|_| known) else {
        return Ok(OtherObject { id, entity, state: None, elements: Vec::new() });
    };
    if let Some(Some(meta)) = before.meta {
        state.meta = meta;
    }
    if let Some((stamp, number)) = last {
        state.meta.changed = *stamp;
        state.meta.version = Some(*number);
    }
    let mut elements: Vec<(AttributeId, ObjectId, bool)> = Vec::new();
    for (slot, value) in before.slots {
        // The past is shown in the schema that holds now.
        let is_there = older::value(view.schema(), entity, slot, Value::Null).is_some();
        let value = older::value(view.schema(), entity, slot, value).unwrap_or_default();
        match slot.element {
            _ if !is_there => {}
            Some(element) => elements.push((slot.attribute, element, !value.is_null())),
            None => state.set(slot, value),
        }
    }
    let state = Some(state).filter(|state| state.meta.life != Life::Absent);
    Ok(OtherObject { id, entity, state, elements })
}

/// Who made the last change of objects up to a position, and its number. Each entry is read once.
fn last_stamps(
    view: &dyn View,
    changed: &BTreeMap<ObjectId, Before>,
    at: u64,
) -> Result<HashMap<ObjectId, (Stamp, u64)>, AppError> {
    let mut entries: BTreeMap<u64, Vec<ObjectId>> = BTreeMap::new();
    for (object, _) in changed.iter().filter(|(_, before)| before.is_logged && !before.made_later) {
        let last = view.last_change(*object, at)?.ok_or_else(|| {
            history::lacking(view, || {
                let message = format!("the history lacks the entry up to {at} that changed object {object} last");
                StoreError::Damaged(message).into()
            })
        })?;
        entries.entry(last).or_default().push(*object);
    }
    let mut stamps = HashMap::new();
    for (number, objects) in entries {
        let row = view.log_row(number)?.ok_or_else(|| unknown_past(number))?;
        let entry = entry::read(row.entry)?.entry;
        if entry.outcome == Outcome::PLAIN {
            let stamp = transaction::about(&row.bytes)?.0;
            stamps.extend(objects.into_iter().map(|object| (object, (stamp, number))));
            continue;
        }
        let objects: BTreeSet<ObjectId> = objects.into_iter().collect();
        let happened = stamped(&entry, &transaction::read(row.bytes)?.transaction);
        let of_them = happened.into_iter().filter(|(change, _)| objects.contains(&change.object));
        stamps.extend(of_them.map(|(change, stamp)| (change.object, (stamp, number))));
    }
    Ok(stamps)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use mytism_store::Store;
    use mytism_store::sqlite::SqliteStore;

    use super::*;
    use crate::App;
    use crate::surroundings::Machine;

    #[test]
    fn what_is_too_far_away_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let schema = Arc::new(mytism_schema::project(None).unwrap());
        let store: Arc<dyn Store> = Arc::new(SqliteStore::create(directory.path(), Arc::clone(&schema)).unwrap());
        let app = App::create_head_office(store, schema, Arc::new(Machine::default()), "hamburg").unwrap();
        let view = app.view().unwrap();
        let since = |changes, kept| {
            let changed = changed_since(&*view, 0, Bounds { changes, kept });
            changed.map(|changed| changed.len()).map_err(|error| error.failure().code)
        };
        let objects = since(usize::MAX, usize::MAX).unwrap();
        assert!(objects > 0, "a new head office made its system objects");
        assert_eq!(since(usize::MAX, 0), Err("past-too-far".to_owned()));
        assert_eq!(since(0, usize::MAX), Err("past-too-far".to_owned()));
        assert_eq!(since(usize::MAX, objects), Ok(objects), "of new objects nothing but that they were made is kept");
    }
}
