//! Rows of an import: each on a layer of its own, so that a bad one can be passed over, all good ones in one
//! transaction.
//!
//! A reference column holds the key of its target. Where the target is not there, since it comes later in the file, the
//! reference stands open and is told to the caller, who closes it when all rows are in.

use std::collections::BTreeSet;

use mytism_core::change::{Change, Slot};
use mytism_core::failure::Failure;
use mytism_core::id::{ObjectId, TransactionId};
use mytism_core::input;
use mytism_core::operation::{ImportBatch, ImportLinks, ImportMode, Imported, Input, OpenReference, RowOutcome};
use mytism_core::schema::{Entity, Kind, Member, Schema};
use mytism_core::value::Value;
use mytism_format::transaction;

use crate::constraint;
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
    let plan = Plan::new(schema, batch)?;
    let mut changes = Vec::new();
    let mut imported = Imported { run: batch.run, rows: Vec::with_capacity(batch.rows.len()), open: Vec::new() };
    for (number, row) in (0u64..).zip(&batch.rows) {
        let numbers = work.state.numbers.clone();
        work.workspace.begin();
        match import_row(work, context, &plan, number, row) {
            Ok(done) => {
                work.workspace.accept();
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
            Err(AppError::Refused(failure)) => {
                work.workspace.roll_back();
                // The caller learns which row it was by the number of outcomes before it.
                imported.rows.push(RowOutcome::Failed { code: failure.code, message: failure.message });
                return Err(Stopped::error(number, &imported));
            }
            Err(error) => return Err(error),
        }
    }
    let about = About { description: batch.description.clone(), run: Some(batch.run), schema: None };
    let changes = numbers::once_per_range(changes);
    Ok(Drafted { about, stamp: work.stamp(context), changes, answer: imported })
}

/// A batch that ends with its first bad row.
struct Stopped;

impl Stopped {
    fn error(number: u64, imported: &Imported) -> AppError {
        let Some(RowOutcome::Failed { code, message }) = imported.rows.last() else {
            return AppError::failed("internal", "an import stopped without a bad row");
        };
        Failure::refused(code, message.clone()).at(u32::try_from(number).unwrap_or(u32::MAX), 0).into()
    }
}

/// What a batch says, looked up in the schema once.
struct Plan<'s> {
    entity: &'s Entity,
    key: Option<&'s Member>,
    columns: Vec<Column<'s>>,
    mode: ImportMode,
}

struct Column<'s> {
    member: &'s Member,
    /// For a reference: the target entity with its key.
    target: Option<(&'s Entity, &'s Member)>,
}

impl<'s> Plan<'s> {
    fn new(schema: &'s Schema, batch: &ImportBatch) -> Result<Self, AppError> {
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
        Ok(Self { entity, key, columns, mode: batch.mode })
    }
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
    let found = find_object(&mut draft, plan, row, context)?;
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
            draft.set(id, entity, column.member, &Input::Text(text.clone()))?;
            continue;
        };
        match find_target(&mut draft, context, target, key, text)? {
            Some(to) => draft.record(id, entity.id, Slot::attribute(column.member.id), Value::Reference(to))?,
            None if column.member.not_null => return Err(no_target(column.member, target, key, text)),
            None => open.push(OpenReference {
                row: number,
                object: id,
                attribute: column.member.name.clone(),
                key: text.clone(),
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

fn find_object(
    draft: &mut Draft<'_, '_>,
    plan: &Plan<'_>,
    row: &[Option<String>],
    context: &Context,
) -> Result<Option<ObjectId>, AppError> {
    let Some(key) = plan.key.filter(|_| plan.mode != ImportMode::Insert) else { return Ok(None) };
    let cells = plan.columns.iter().zip(row);
    let cell = cells.filter(|(column, _)| column.member.id == key.id).find_map(|(_, cell)| cell.as_deref());
    let Some(text) = cell else {
        return Err(AppError::refused("key-required", format!("the key {} is empty", key.name)));
    };
    find_target(draft, context, plan.entity, key, text)
}

fn find_target(
    draft: &mut Draft<'_, '_>,
    context: &Context,
    target: &Entity,
    key: &Member,
    text: &str,
) -> Result<Option<ObjectId>, AppError> {
    let value = input::from_text(&key.kind, text, &context.zone)
        .map_err(|misfit| AppError::refused("wrong-value", format!("key {} of {}: {misfit}", key.name, target.name)))?;
    draft.by_key(target, key, &value)
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
    let answer = Imported { run: Some(request.run), rows, open: Vec::new() };
    Ok(Drafted { about, stamp: work.stamp(context), changes, answer })
}

fn close(
    work: &mut Work<'_>,
    context: &Context,
    run: TransactionId,
    link: &OpenReference,
) -> Result<(RowOutcome, Vec<Change>), AppError> {
    let schema = work.workspace.schema;
    let is_new = made_by(work, link.object, run)?;
    let mut draft = Draft::new(work, context);
    let entity = draft.entity_of(link.object)?;
    let member = member(entity, &link.attribute)?;
    let Some((target, key)) = target_key(schema, entity, member)? else {
        return Err(AppError::refused("wrong-column", format!("{} is no reference", link.attribute)));
    };
    let missing = no_target(member, target, key, &link.key);
    let outcome = match find_target(&mut draft, context, target, key, &link.key)? {
        Some(to) => {
            draft.record(link.object, entity.id, Slot::attribute(member.id), Value::Reference(to))?;
            RowOutcome::Updated(link.object)
        }
        None if is_new => {
            draft.delete(link.object, entity.id)?;
            let failure = missing.failure();
            RowOutcome::Failed { code: failure.code, message: failure.message }
        }
        None => return Err(missing),
    };
    let (changes, _) = draft.finish()?;
    Ok((outcome, changes))
}

/// Whether an object was made by a run, as the log or what is pending tells.
fn made_by(work: &mut Work<'_>, object: ObjectId, run: TransactionId) -> Result<bool, AppError> {
    let first = work.workspace.view()?.history_after(object, 0)?.first().copied();
    let bytes = match first {
        Some(number) => work.workspace.view()?.log_row(number)?.map(|row| row.bytes),
        None => match work.workspace.pending_of(object)?.first() {
            Some(counter) => work.workspace.pending(*counter)?.map(|row| row.bytes),
            None => None,
        },
    };
    let Some(bytes) = bytes else { return Ok(false) };
    let transaction = transaction::read(bytes)?.transaction;
    let makes = |change: &Change| change.object == object && change.slot == Slot::LIFE && change.old.is_null();
    Ok(transaction.run == Some(run) && transaction.changes.iter().any(makes))
}
