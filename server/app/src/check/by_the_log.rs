//! Objects held against the log: what the entries say of an object decides, whatever tables hold.
//!
//! The log is chained by hashes and the same at all nodes; tables are not. So where a table differs from the log, here or
//! at another node, the log is believed, and tables that were damaged spoil nobody else's.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use mytism_core::change::{Change, Life, ObjectMeta, Slot, Stamp};
use mytism_core::id::{ObjectId, Position};
use mytism_core::schema::Schema;
use mytism_core::value::Value;
use mytism_format::object::ObjectState;
use mytism_format::{entry, transaction};
use mytism_store::{LogRow, View, Write};

use super::{BYTES, Mended, ROWS, key};
use crate::App;
use crate::apply::stamped;
use crate::error::AppError;
use crate::history;
use crate::lane::Work;
use crate::schema_change::older;

/// Entries whose changes are kept at hand. Objects that were made together have ids that follow one another.
const ENTRIES: usize = 64;
/// Objects that are mended in one commit.
const AT_ONCE: usize = 500;

impl App {
    /// Holds every object against the log, and mends those that the log says otherwise. What pending transactions touch
    /// is left out, and nothing is done while history is still arriving. Returns how many objects there are.
    ///
    /// # Errors
    /// When the database cannot be read or written, or an entry is damaged.
    pub fn check_objects(&self) -> Result<(u64, Mended), AppError> {
        let view = self.view()?;
        let Some(head) = view.head()?.filter(|_| history::check_whole(&*view).is_ok()) else {
            return Ok((0, Mended::default()));
        };
        let mut suspects = unnoted_history(&*view, head.position)?;
        let mut entries = Entries::of(&*view);
        let (mut count, mut mended, mut wrong, mut last) = (0, Mended::default(), Vec::new(), 0);
        loop {
            let found = view.objects_found(key(last), ROWS)?;
            let Some((end, _)) = found.last() else { break };
            last = end.get().unsigned_abs();
            for (object, state) in found {
                count += 1;
                let others = suspects.remove(&object).unwrap_or_default();
                if !is_right(&mut entries, object, state.as_ref(), &others)? {
                    wrong.push((object, others));
                }
            }
            if wrong.len() >= AT_ONCE {
                mended = mended.with(self.mend_by_the_log(std::mem::take(&mut wrong))?);
            }
        }
        wrong.extend(suspects);
        for some in wrong.chunks(AT_ONCE) {
            mended = mended.with(self.mend_by_the_log(some.to_vec())?);
        }
        Ok((count, mended))
    }

    /// Gives objects the state that the log says, in one commit.
    fn mend_by_the_log(&self, objects: Vec<(ObjectId, BTreeSet<u64>)>) -> Result<Mended, AppError> {
        self.lane.execute_alone(move |work| mend(work, &objects))
    }
}

fn mend(work: &mut Work<'_>, objects: &[(ObjectId, BTreeSet<u64>)]) -> Result<Mended, AppError> {
    let schema = work.workspace.schema;
    let view = work.workspace.view()?;
    let mut entries = Entries::of(view);
    let (mut mended, mut writes) = (Mended::default(), Vec::new());
    for (object, others) in objects {
        let found = view.objects_found(object.get() - 1, 1)?.into_iter().find(|(id, _)| id == object);
        let state = found.and_then(|(_, state)| state);
        if is_right(&mut entries, *object, state.as_ref(), others)? {
            continue;
        }
        mended.missing += u64::from(state.is_none());
        mended.different += u64::from(state.is_some());
        mended.repaired += 1;
        let told = Told::of(&mut entries, *object, others)?.map(|told| told.filled(schema, state.as_ref()));
        let (state, history) = told.map(|(state, history)| (Box::new(state), history)).unzip();
        let history = history.unwrap_or_default();
        writes.push(Write::MendObject { object: *object, state, history, floor: 0 });
    }
    writes.into_iter().for_each(|write| work.workspace.write(write));
    Ok(mended)
}

/// Entries that changed objects without being noted beside them, and made objects that are not here.
fn unnoted_history(view: &dyn View, end: Position) -> Result<BTreeMap<ObjectId, BTreeSet<u64>>, AppError> {
    let mut suspects: BTreeMap<ObjectId, BTreeSet<u64>> = BTreeMap::new();
    let mut after = 0;
    while after < end.number {
        let rows = view.log_after(after, ROWS, BYTES)?;
        let Some(last) = rows.last() else { break };
        after = last.position.number;
        for row in rows {
            let number = row.position.number;
            let happened = happened(view, row)?;
            let objects: BTreeSet<ObjectId> = happened.iter().map(|(change, _)| change.object).collect();
            for object in objects {
                if view.history_after(object, number - 1)?.first() != Some(&number) {
                    suspects.entry(object).or_default().insert(number);
                }
            }
            for (change, _) in happened.iter().filter(|(change, _)| change.is_making()) {
                // One that cannot be read is found with those that are here.
                if matches!(view.object(change.object), Ok(None)) {
                    suspects.entry(change.object).or_default();
                }
            }
        }
    }
    Ok(suspects)
}

/// Whether an object is as the log says, or touched by what is pending, of which the log knows nothing. `others` are
/// entries that may have changed it beside those that are noted.
pub(super) fn is_right(
    entries: &mut Entries<'_>,
    object: ObjectId,
    state: Option<&ObjectState>,
    others: &BTreeSet<u64>,
) -> Result<bool, AppError> {
    if !entries.view.pending_of(object)?.is_empty() {
        return Ok(true);
    }
    let noted = entries.view.history_after(object, 0)?;
    Ok(match (Told::of(entries, object, others)?, state) {
        (None, None) => {
            noted.is_empty() && entries.view.objects_found(object.get() - 1, 1)?.iter().all(|(id, _)| *id != object)
        }
        (Some(told), Some(state)) => told.numbers == noted && told.fits(entries.schema(), state),
        _ => false,
    })
}

/// The changes that an entry made, each with who made it.
type Happened = Arc<Vec<(Change, Stamp)>>;

/// The changes of entries, the last ones at hand.
pub(super) struct Entries<'v> {
    view: &'v dyn View,
    kept: VecDeque<(u64, Happened)>,
}

impl<'v> Entries<'v> {
    pub(super) fn of(view: &'v dyn View) -> Self {
        Self { view, kept: VecDeque::new() }
    }

    fn schema(&self) -> &'v Schema {
        self.view.schema()
    }

    fn changes(&mut self, number: u64) -> Result<Happened, AppError> {
        if let Some((_, changes)) = self.kept.iter().find(|(kept, _)| *kept == number) {
            return Ok(Arc::clone(changes));
        }
        let row = self.view.log_row(number)?;
        let changes = Arc::new(row.map(|row| happened(self.view, row)).transpose()?.unwrap_or_default());
        if self.kept.len() == ENTRIES {
            self.kept.pop_front();
        }
        self.kept.push_back((number, Arc::clone(&changes)));
        Ok(changes)
    }
}

/// What an entry did, as the schema has it.
fn happened(view: &dyn View, row: LogRow) -> Result<Vec<(Change, Stamp)>, AppError> {
    let entry = entry::read(row.entry)?.entry;
    let made = transaction::read(row.bytes)?.transaction;
    let happened = stamped(&entry, &made).into_iter();
    Ok(happened.filter_map(|(change, stamp)| Some((older::change(view.schema(), change)?, stamp))).collect())
}

/// An object as the log says.
pub(super) struct Told {
    state: ObjectState,
    /// Slots that some entry set. Others hold nothing, or what a change of the schema filled them with.
    touched: BTreeSet<Slot>,
    /// The entries that changed it.
    numbers: Vec<u64>,
}

impl Told {
    /// What the entries say that are noted beside the object, and `others`; `None` where none of them made it.
    pub(super) fn of(
        entries: &mut Entries<'_>,
        object: ObjectId,
        others: &BTreeSet<u64>,
    ) -> Result<Option<Self>, AppError> {
        let noted = entries.view.history_after(object, 0)?;
        let numbers: BTreeSet<u64> = noted.into_iter().chain(others.iter().copied()).collect();
        let mut told: Option<Self> = None;
        for number in numbers {
            for (change, stamp) in entries.changes(number)?.iter().filter(|(change, _)| change.object == object) {
                let told = told.get_or_insert_with(|| Self::fresh(change, *stamp));
                told.happen(change, *stamp, number);
            }
        }
        Ok(told.filter(|told| told.state.meta.life != Life::Absent))
    }

    fn fresh(change: &Change, stamp: Stamp) -> Self {
        let meta = ObjectMeta { created: stamp, changed: stamp, version: None, life: Life::Absent };
        let state = ObjectState { id: change.object, entity: change.entity, meta, slots: Vec::new() };
        Self { state, touched: BTreeSet::new(), numbers: Vec::new() }
    }

    fn happen(&mut self, change: &Change, stamp: Stamp, number: u64) {
        (self.state.meta.changed, self.state.meta.version) = (stamp, Some(number));
        self.state.set(change.slot, change.new.clone());
        self.touched.insert(change.slot);
        if self.numbers.last() != Some(&number) {
            self.numbers.push(number);
        }
    }

    /// Whether an object is what the log says.
    pub(super) fn fits(&self, schema: &Schema, state: &ObjectState) -> bool {
        (state.id, state.entity, state.meta) == (self.state.id, self.state.entity, self.state.meta)
            && self.touched.iter().all(|slot| self.state.get(*slot) == state.get(*slot))
            && state.slots.iter().all(|(slot, value)| {
                self.touched.contains(slot) || default(schema, &self.state, *slot).is_some_and(|known| known == value)
            })
    }

    /// As the log says, with the entries that changed it; what it does not say is what is here, where it can be that, or
    /// the default.
    pub(super) fn filled(self, schema: &Schema, here: Option<&ObjectState>) -> (ObjectState, Vec<u64>) {
        let Self { mut state, touched, numbers } = self;
        let members = schema.entity_by_id(state.entity).into_iter().flat_map(|entity| entity.columns());
        for member in members {
            let slot = Slot::attribute(member.id);
            let is_here = here.is_some_and(|here| !here.get(slot).is_null());
            let default = member.default.clone();
            if !touched.contains(&slot) && !default.is_null() && (is_here || member.not_null) {
                state.set(slot, default);
            }
        }
        (state, numbers)
    }
}

/// What a change of the schema fills a slot with.
fn default<'s>(schema: &'s Schema, state: &ObjectState, slot: Slot) -> Option<&'s Value> {
    let entity = schema.entity_by_id(state.entity)?;
    Some(&entity.member_by_id(slot.attribute)?.default)
}
