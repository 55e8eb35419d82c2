//! Rows of an import: each on a layer of its own, so that a bad one can be passed over, all good ones in one
//! transaction.
//!
//! A reference column holds the key of its target. Where the target is not there, since it comes later in the file, the
//! reference stands open and is told to the caller, who closes it when all rows are in. Where the rows are all there
//! are, they are closed here, before anything is saved.

mod preview;

use std::collections::BTreeSet;

use jiff::tz::TimeZone;
use mytism_core::change::{Change, Slot};
use mytism_core::failure::Failure;
use mytism_core::id::{AttributeId, EntityId, ObjectId, TransactionId};
use mytism_core::notation::Style;
use mytism_core::operation::{
    ImportBatch, ImportLinks, ImportMode, Imported, Input, Notation, OpenReference, RowOutcome,
};
use mytism_core::schema::{Entity, Kind, Member, Schema};
use mytism_core::value::Value;
use mytism_format::transaction;

use crate::constraint;
use crate::contents;
use crate::context::Context;
use crate::draft::{Draft, find_entity, member};
use crate::error::AppError;
use crate::lane::Work;
use crate::numbers;
use crate::prepare::Drafted;
use crate::record::About;

/// Drafts some rows.
pub(crate) fn rows(work: &mut Work<'_>, context: &Context, batch: &ImportBatch) -> Result<Drafted<Imported>, AppError> {
    let schema = work.workspace.schema;
    let plan = Plan::new(schema, batch, context)?;
    let mut changes = Vec::new();
    let rows = Vec::with_capacity(batch.rows.len());
    let mut imported = Imported { run: batch.run, rows, ..Imported::default() };
    let mut shown = preview::Shown::new(batch);
    for (number, row) in (0u64..).zip(&batch.rows) {
        let numbers = work.state.numbers.clone();
        work.workspace.begin();
        match import_row(work, context, &plan, number, row) {
            Ok(done) => {
                work.workspace.accept();
                shown.add(work, &plan, number, row, &done.outcome)?;
                imported.rows.push(done.outcome);
                imported.open.extend(done.open);
                changes.extend(done.changes);
            }
            Err(AppError::Refused(failure)) if batch.skip_bad_rows => {
                work.workspace.roll_back();
                // A row that fails wastes no number.
                work.state.numbers = numbers;
                imported.rows.push(RowOutcome::Failed { code: failure.code, message: failure.message });
            }
            Err(error) => {
                work.workspace.roll_back();
                return Err(at_row(number, error));
            }
        }
    }
    if batch.whole == Some(true) {
        changes.extend(close_all(work, context, std::mem::take(&mut imported.open))?);
    } else if batch.dry_run {
        practise_closing(work, context, &plan, batch, &mut imported)?;
    }
    shown.finish(work, &plan, batch, &mut imported)?;
    let about = About { description: batch.description.clone(), run: Some(batch.run), schema: None };
    let changes = numbers::once_per_range(changes);
    Ok(Drafted { about, stamp: work.stamp(context), changes, answer: imported })
}

/// The refusal of a batch because of one of its rows: the line counts rows from 0, and column 0 says that it does.
fn at_row(number: u64, error: AppError) -> AppError {
    match error {
        AppError::Refused(failure) => {
            Failure::refused(&failure.code, failure.message).at(u32::try_from(number).unwrap_or(u32::MAX), 0).into()
        }
        error => error,
    }
}

/// What a batch says, looked up in the schema once.
struct Plan<'s> {
    entity: &'s Entity,
    key: Option<&'s Member>,
    columns: Vec<Column<'s>>,
    mode: ImportMode,
    style: Style,
}

struct Column<'s> {
    member: &'s Member,
    /// For a reference: the target entity with its key.
    target: Option<(&'s Entity, &'s Member)>,
}

impl<'s> Plan<'s> {
    fn new(schema: &'s Schema, batch: &ImportBatch, context: &Context) -> Result<Self, AppError> {
        let entity = find_entity(schema, &batch.entity)?;
        let key = match &batch.key {
            Some(name) => Some(member(entity, name)?),
            None => entity.key.and_then(|id| entity.member_by_id(id)),
        };
        let mut seen = BTreeSet::new();
        let mut columns = Vec::with_capacity(batch.columns.len());
        for name in &batch.columns {
            let member = member(entity, name)?;
            if !seen.insert(member.id) {
                let message = format!("two columns go to the attribute {name}");
                return Err(Failure::usage("duplicate-column", message).into());
            }
            columns.push(Column { member, target: target_key(schema, entity, member)? });
        }
        if batch.mode != ImportMode::Insert && !key.is_some_and(|key| seen.contains(&key.id)) {
            let message = format!("to update objects of {} the file needs a column with their key", entity.name);
            return Err(Failure::usage("key-required", message).hint("name the attribute with --key").into());
        }
        if key.is_some_and(|key| !key.unique) && batch.key.is_some() {
            let message = format!(
                "{} of {} is not unique and cannot be a key",
                batch.key.clone().unwrap_or_default(),
                entity.name
            );
            return Err(Failure::usage("key-not-unique", message).into());
        }
        Ok(Self { entity, key, columns, mode: batch.mode, style: style(batch.notation.as_ref(), context)? })
    }

    /// The attribute by which references among the columns find rows of the same file, where any can. It need not be
    /// the one by which the rows find their objects.
    fn inner_key(&self) -> Option<&'s Member> {
        self.columns.iter().find_map(|column| self.own_key(column))
    }

    /// The key of a reference's target, where rows of the same file are such targets and have that key.
    fn own_key(&self, column: &Column<'s>) -> Option<&'s Member> {
        let (_, key) = column.target.filter(|(target, _)| self.entity.is_a(target.id))?;
        self.columns.iter().any(|column| column.member.id == key.id).then_some(key)
    }

    /// Whether the target of a reference may be a row that comes later in the same file.
    fn may_come(&self, attribute: &str) -> bool {
        let inner = self.inner_key().map(|key| key.id);
        let own = self.columns.iter().filter(|column| column.member.name == attribute);
        own.filter_map(|column| self.own_key(column)).any(|key| Some(key.id) == inner)
    }
}

/// How the cells are written.
fn style(notation: Option<&Notation>, context: &Context) -> Result<Style, AppError> {
    let zone = match notation.and_then(|notation| notation.zone.as_deref()) {
        None => context.zone.clone(),
        Some(name) => TimeZone::get(name).map_err(|_| {
            Failure::usage("unknown-zone", format!("there is no time zone \"{name}\""))
                .hint("zones have names like Europe/Berlin or UTC")
        })?,
    };
    let decimal = notation.and_then(|notation| notation.decimal.as_deref());
    let date = notation.and_then(|notation| notation.date.as_deref());
    Style::new(decimal, date, zone, true).map_err(|misfit| Failure::usage("wrong-notation", misfit.to_string()).into())
}

fn target_key<'s>(
    schema: &'s Schema,
    entity: &Entity,
    column: &Member,
) -> Result<Option<(&'s Entity, &'s Member)>, AppError> {
    match column.kind {
        Kind::ToOne { target, .. } => {
            let target = schema.entity_by_id(target).ok_or_else(|| constraint::unknown_entity(target))?;
            let key = target.key.and_then(|key| target.member_by_id(key)).ok_or_else(|| {
                let message = format!("{}.{} refers to {}, which has no key", entity.name, column.name, target.name);
                AppError::from(Failure::usage("key-required", message))
            })?;
            Ok(Some((target, key)))
        }
        ref kind if kind.is_column() => Ok(None),
        _ => {
            let message = format!(
                "{}.{} is a {} relation, which a column cannot hold",
                entity.name,
                column.name,
                column.kind.name()
            );
            Err(Failure::usage("wrong-column", message).into())
        }
    }
}

struct Done {
    outcome: RowOutcome,
    open: Vec<OpenReference>,
    changes: Vec<Change>,
}

fn import_row(
    work: &mut Work<'_>,
    context: &Context,
    plan: &Plan<'_>,
    number: u64,
    row: &[Option<String>],
) -> Result<Done, AppError> {
    if row.len() != plan.columns.len() {
        let message = format!("the row has {} cells, {} are expected", row.len(), plan.columns.len());
        return Err(AppError::refused("wrong-row", message));
    }
    let mut draft = Draft::new(work, context);
    let found = find_object(&mut draft, plan, row)?;
    let (id, is_new) = match (found, plan.mode) {
        (Some(id), ImportMode::Update | ImportMode::Upsert) => (id, false),
        (None, ImportMode::Update) => {
            return Err(AppError::refused("unknown-key", format!("there is no {} with this key", plan.entity.name)));
        }
        (_, ImportMode::Insert) | (None, ImportMode::Upsert) => {
            let is_given = |member: &Member| {
                plan.columns.iter().zip(row).any(|(column, cell)| column.member.id == member.id && cell.is_some())
            };
            numbers::leave_to_lane(draft.work, plan.entity, is_given)?;
            (draft.make_object(plan.entity)?, true)
        }
    };
    let entity = draft.entity_of(id)?;
    let mut open = Vec::new();
    for (column, cell) in plan.columns.iter().zip(row) {
        let Some(text) = cell else {
            draft.set(id, entity, column.member, &Input::Null)?;
            continue;
        };
        let Some((target, key)) = column.target else {
            let value = plan.style.value(&column.member.kind, text).map_err(|misfit| {
                let message = format!("{}.{}: {misfit}", plan.entity.name, column.member.name);
                AppError::refused("wrong-value", message)
            })?;
            contents::check_here(draft.work, &value)?;
            draft.record(id, entity.id, Slot::attribute(column.member.id), value)?;
            continue;
        };
        let wanted = key_value(&plan.style, target, key, text)?;
        match draft.by_key(target, key, &wanted)? {
            Some(to) => draft.record(id, entity.id, Slot::attribute(column.member.id), Value::Reference(to))?,
            None if column.member.not_null => return Err(no_target(column.member, target, key, text)),
            None => open.push(OpenReference {
                row: number,
                object: id,
                attribute: column.member.name.clone(),
                key: usual(&wanted, text),
            }),
        }
    }
    let (changes, _) = draft.finish()?;
    let outcome = match (is_new, changes.is_empty()) {
        (true, _) => RowOutcome::Inserted(id),
        (false, true) => RowOutcome::Unchanged(id),
        (false, false) => RowOutcome::Updated(id),
    };
    Ok(Done { outcome, open, changes })
}

/// Closes the references that stood open, when all rows are in.
fn close_all(work: &mut Work<'_>, context: &Context, open: Vec<OpenReference>) -> Result<Vec<Change>, AppError> {
    let mut changes = Vec::new();
    for link in open {
        let closed = point(work, context, &link);
        changes.extend(closed.map_err(|error| at_row(link.row, error))?);
    }
    Ok(changes)
}

/// Closes the references of a dry run that can be closed now, and tells of those that never can. The others stay open,
/// since their targets may be among the rows that are still to come. Rows that turn out to be bad here have happened all
/// the same: others can refer to them, as they can where rows are saved.
fn practise_closing(
    work: &mut Work<'_>,
    context: &Context,
    plan: &Plan<'_>,
    batch: &ImportBatch,
    imported: &mut Imported,
) -> Result<(), AppError> {
    for link in std::mem::take(&mut imported.open) {
        work.workspace.begin();
        let closed = point(work, context, &link);
        if closed.is_ok() {
            work.workspace.accept();
        } else {
            work.workspace.roll_back();
        }
        let row = usize::try_from(link.row).ok().and_then(|place| imported.rows.get_mut(place));
        match (closed, row) {
            (Ok(_), Some(row)) => {
                if let RowOutcome::Unchanged(id) = *row {
                    *row = RowOutcome::Updated(id);
                }
            }
            (Err(AppError::Refused(failure)), _)
                if failure.code == "unknown-reference" && plan.may_come(&link.attribute) =>
            {
                imported.open.push(link);
            }
            (Err(AppError::Refused(failure)), Some(row)) if batch.skip_bad_rows => {
                if !matches!(row, RowOutcome::Failed { .. }) {
                    *row = RowOutcome::Failed { code: failure.code, message: failure.message };
                }
            }
            (Err(error), _) => return Err(at_row(link.row, error)),
            (Ok(_), None) => {}
        }
    }
    Ok(())
}

/// Lets a reference point to its target, which must be there.
fn point(work: &mut Work<'_>, context: &Context, link: &OpenReference) -> Result<Vec<Change>, AppError> {
    let mut draft = Draft::new(work, context);
    let goal = Goal::of(&mut draft, context, link)?;
    let Some(to) = goal.found else { return Err(goal.missing) };
    draft.record(link.object, goal.entity, Slot::attribute(goal.attribute), Value::Reference(to))?;
    Ok(draft.finish()?.0)
}

/// What an open reference is about.
struct Goal {
    entity: EntityId,
    attribute: AttributeId,
    found: Option<ObjectId>,
    missing: AppError,
}

impl Goal {
    fn of(draft: &mut Draft<'_, '_>, context: &Context, link: &OpenReference) -> Result<Self, AppError> {
        let schema = draft.work.workspace.schema;
        let entity = draft.entity_of(link.object)?;
        let member = member(entity, &link.attribute)?;
        let Some((target, key)) = target_key(schema, entity, member)? else {
            return Err(AppError::refused("wrong-column", format!("{} is no reference", link.attribute)));
        };
        let wanted = key_value(&style(None, context)?, target, key, &link.key)?;
        let found = draft.by_key(target, key, &wanted)?;
        let missing = no_target(member, target, key, &link.key);
        Ok(Self { entity: entity.id, attribute: member.id, found, missing })
    }
}

fn find_object(
    draft: &mut Draft<'_, '_>,
    plan: &Plan<'_>,
    row: &[Option<String>],
) -> Result<Option<ObjectId>, AppError> {
    let Some(key) = plan.key.filter(|_| plan.mode != ImportMode::Insert) else { return Ok(None) };
    let cells = plan.columns.iter().zip(row);
    let cell = cells.filter(|(column, _)| column.member.id == key.id).find_map(|(_, cell)| cell.as_deref());
    let Some(text) = cell else {
        return Err(AppError::refused("key-required", format!("the key {} is empty", key.name)));
    };
    draft.by_key(plan.entity, key, &key_value(&plan.style, plan.entity, key, text)?)
}

fn key_value(style: &Style, target: &Entity, key: &Member, text: &str) -> Result<Value, AppError> {
    style
        .value(&key.kind, text)
        .map_err(|misfit| AppError::refused("wrong-value", format!("key {} of {}: {misfit}", key.name, target.name)))
}

/// A key as it is read without any notation. Words stay as they are written.
fn usual(value: &Value, text: &str) -> String {
    if matches!(value, Value::Enum(_)) { text.trim().to_owned() } else { value.to_string() }
}

fn no_target(member: &Member, target: &Entity, key: &Member, text: &str) -> AppError {
    let message = format!("{}: there is no {} whose {} is \"{text}\"", member.name, target.name, key.name);
    AppError::refused("unknown-reference", message)
}

/// Closes references that stood open. Where the target is still missing, the row is bad: an object that this import
/// made goes again, one that was there before stays as it is.
pub(crate) fn links(
    work: &mut Work<'_>,
    context: &Context,
    request: &ImportLinks,
) -> Result<Drafted<Imported>, AppError> {
    let mut rows = Vec::with_capacity(request.links.len());
    let mut changes = Vec::new();
    for link in &request.links {
        work.workspace.begin();
        match close(work, context, request.run, link) {
            Ok((outcome, changed)) => {
                work.workspace.accept();
                rows.push(outcome);
                changes.extend(changed);
            }
            Err(AppError::Refused(failure)) => {
                work.workspace.roll_back();
                rows.push(RowOutcome::Failed { code: failure.code, message: failure.message });
            }
            Err(error) => return Err(error),
        }
    }
    let about = About { description: request.description.clone(), run: Some(Some(request.run)), schema: None };
    let answer = Imported { run: Some(request.run), rows, ..Imported::default() };
    Ok(Drafted { about, stamp: work.stamp(context), changes, answer })
}

fn close(
    work: &mut Work<'_>,
    context: &Context,
    run: TransactionId,
    link: &OpenReference,
) -> Result<(RowOutcome, Vec<Change>), AppError> {
    let is_new = made_by(work, link.object, run)?;
    let mut draft = Draft::new(work, context);
    let goal = Goal::of(&mut draft, context, link)?;
    let outcome = match goal.found {
        Some(to) => {
            draft.record(link.object, goal.entity, Slot::attribute(goal.attribute), Value::Reference(to))?;
            RowOutcome::Updated(link.object)
        }
        None if is_new => {
            draft.delete(link.object, goal.entity)?;
            let failure = goal.missing.failure();
            RowOutcome::Failed { code: failure.code, message: failure.message }
        }
        None => return Err(goal.missing),
    };
    let is_lost = matches!(outcome, RowOutcome::Failed { .. });
    match draft.finish() {
        Ok((changes, _)) => Ok((outcome, changes)),
        // Others refer to the object by now, so it stays, without what it lacks; the reason remains the same.
        Err(AppError::Refused(_)) if is_lost => Err(missing(outcome)),
        Err(error) => Err(error),
    }
}

/// The refusal that a row has failed with.
fn missing(outcome: RowOutcome) -> AppError {
    match outcome {
        RowOutcome::Failed { code, message } => {
            AppError::refused(&code, format!("{message}; it is saved without, since others refer to it"))
        }
        _ => AppError::failed("internal", "a row that did not fail is told as one that did"),
    }
}

/// Whether an object was made by a run, as the log or what is pending tells.
fn made_by(work: &mut Work<'_>, object: ObjectId, run: TransactionId) -> Result<bool, AppError> {
    let first = work.workspace.view()?.history_after(object, 0)?.first().copied();
    let bytes = match first {
        Some(number) => work.workspace.view()?.log_row(number)?.map(|row| row.bytes),
        None => match work.workspace.pending_of(object)?.first() {
            Some(place) => work.workspace.pending(*place)?.map(|row| row.bytes),
            None => None,
        },
    };
    let Some(bytes) = bytes else { return Ok(false) };
    let transaction = transaction::read(bytes)?.transaction;
    let makes = |change: &Change| change.object == object && change.is_making();
    Ok(transaction.run == Some(run) && transaction.changes.iter().any(makes))
}
