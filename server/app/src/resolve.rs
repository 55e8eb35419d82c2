//! Settling a conflict: its record is marked, and where the other value is wanted, that is set by an ordinary save.
//!
//! The record holds values as words only, so that it stays readable whatever becomes of them. The value itself stands
//! in the transaction that brought it, or in what the head office made of that.

use mytism_core::change::{Change, Life, Outcome, Slot};
use mytism_core::failure::Failure;
use mytism_core::id::{ObjectId, TransactionId};
use mytism_core::operation::Saved;
use mytism_core::schema::{Entity, Member, Schema};
use mytism_core::value::Value;
use mytism_format::{entry, transaction};
use mytism_store::View;

use crate::App;
use crate::conflict::{self, DELETED, words};
use crate::constraint::describe;
use crate::context::Context;
use crate::draft::Draft;
use crate::error::AppError;
use crate::lane::Work;
use crate::prepare::Drafted;
use crate::record::About;

impl App {
    /// Settles a conflict, and sets the value that is kept beside the other one if that is to be taken.
    ///
    /// # Errors
    /// When there is no such conflict, it is settled, or its object is deleted.
    pub(crate) fn resolve(&self, context: &Context, id: ObjectId, take_other: bool) -> Result<Saved, AppError> {
        let context = context.clone();
        let done = self.commit(move |work| resolved(work, &context, id, take_other))?;
        Ok(crate::saved(done))
    }
}

fn resolved(
    work: &mut Work<'_>,
    context: &Context,
    id: ObjectId,
    take_other: bool,
) -> Result<Drafted<Vec<(String, ObjectId)>>, AppError> {
    let schema = work.workspace.schema;
    let record = Record::find(work, schema, id)?;
    let state = record.member("State")?;
    let settled = conflict::word(record.entity, "State", "settled");
    if work.workspace.slot(id, Slot::attribute(state.id))? == settled {
        let message = format!("the conflict {id} is settled already");
        return Err(Failure::refused("conflict-settled", message).into());
    }
    let about = record.integer(work, "Object")?;
    let object = ObjectId::new(about).ok_or_else(|| unknown(id))?;
    let wish = if take_other { Some(record.other(work, schema, object)?) } else { None };
    let description = {
        let what = describe(&mut work.workspace, object)?;
        let attribute = record.text(work, "Attribute")?;
        let outcome = if take_other { "the other value is taken" } else { "the value stays" };
        format!("conflict {id} settled, {attribute} of {what}: {outcome}")
    };
    let mut draft = Draft::new(work, context);
    match wish {
        Some((entity, Slot::LIFE, _)) => draft.delete(object, entity.id)?,
        Some((entity, slot, value)) => draft.record(object, entity.id, slot, value)?,
        None => {}
    }
    draft.record(id, record.entity.id, Slot::attribute(state.id), settled)?;
    let (changes, stamp) = draft.finish()?;
    let about = About { description, ..About::default() };
    Ok(Drafted { about, stamp, changes, answer: Vec::new() })
}

/// The record of a conflict.
struct Record<'s> {
    id: ObjectId,
    entity: &'s Entity,
}

impl<'s> Record<'s> {
    fn find(work: &mut Work<'_>, schema: &'s Schema, id: ObjectId) -> Result<Self, AppError> {
        let found = work.workspace.object(id)?.filter(|state| state.meta.life == Life::Alive);
        let entity = found.and_then(|state| schema.entity_by_id(state.entity));
        let entity = entity.filter(|entity| entity.name == conflict::ENTITY).ok_or_else(|| unknown(id))?;
        Ok(Self { id, entity })
    }

    fn member(&self, name: &str) -> Result<&'s Member, AppError> {
        crate::draft::member(self.entity, name)
    }

    fn value(&self, work: &mut Work<'_>, name: &str) -> Result<Value, AppError> {
        let member = self.member(name)?;
        work.workspace.slot(self.id, Slot::attribute(member.id))
    }

    fn text(&self, work: &mut Work<'_>, name: &str) -> Result<String, AppError> {
        Ok(self.value(work, name)?.text().unwrap_or_default().to_owned())
    }

    fn integer(&self, work: &mut Work<'_>, name: &str) -> Result<i64, AppError> {
        Ok(self.value(work, name)?.integer().unwrap_or_default())
    }

    /// Where the other value belongs, and what it is.
    fn other(
        &self,
        work: &mut Work<'_>,
        schema: &'s Schema,
        object: ObjectId,
    ) -> Result<(&'s Entity, Slot, Value), AppError> {
        let name = self.text(work, "Attribute")?;
        let state = work.workspace.object(object)?;
        let entity = state.as_ref().and_then(|state| schema.entity_by_id(state.entity));
        let entity = entity.ok_or_else(|| self.value_gone(&name))?;
        if name == DELETED {
            return Ok((entity, Slot::LIFE, Life::Deleted.value()));
        }
        if work.workspace.alive(object)?.is_none() {
            let what = describe(&mut work.workspace, object)?;
            let message = format!("{what} is deleted, so its {name} cannot be set");
            let hint = "bring it back first, or leave --take out";
            return Err(Failure::refused("conflict-object-deleted", message).hint(hint).into());
        }
        let slot = Slot::attribute(crate::draft::member(entity, &name)?.id);
        let shown = self.text(work, "Other")?;
        let id = self.text(work, "Transaction")?.parse().map_err(|_| self.value_gone(&name))?;
        let value = brought(work.workspace.view()?, id, entity, (object, slot), &shown)?;
        Ok((entity, slot, value.ok_or_else(|| self.value_gone(&name))?))
    }

    fn value_gone(&self, name: &str) -> AppError {
        let message =
            format!("the log of this node does not hold the other value of {name} of the conflict {}", self.id);
        Failure::refused("past-unknown", message).hint("save the value as it is shown, with `save`").into()
    }
}

/// The value that the head office left beside the one that stays when it decided on a transaction.
fn brought(
    view: &dyn View,
    id: TransactionId,
    entity: &Entity,
    (object, slot): (ObjectId, Slot),
    shown: &str,
) -> Result<Option<Value>, AppError> {
    let Some(number) = view.log_number(id)? else { return Ok(None) };
    let Some(row) = view.log_row(number)? else { return Ok(None) };
    let Outcome::Accepted { overrides, .. } = entry::read(row.entry)?.entry.outcome else { return Ok(None) };
    let changes: Vec<Change> = transaction::read(row.bytes)?.transaction.changes;
    let mut found = (0..).zip(changes).filter(|(_, change)| (change.object, change.slot) == (object, slot));
    let is_shown = |value: &Value| words(Some(entity), slot, value) == shown;
    Ok(found.find_map(|(index, change)| {
        let decided = overrides.iter().find(|decided| decided.index == index);
        let other = match decided {
            None => change.old,
            Some(decided) if decided.new.is_none() => change.new,
            Some(decided) => decided.old.clone(),
        };
        Some(other).filter(is_shown)
    }))
}

fn unknown(id: ObjectId) -> AppError {
    let failure = Failure::refused("unknown-conflict", format!("there is no conflict {id}"));
    failure.hint("`conflicts` lists them with their ids").into()
}
