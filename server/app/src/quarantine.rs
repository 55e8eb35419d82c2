//! What can be done with transactions that the head office refused: they are listed and shown, and settled by a
//! transaction that saves the same changes anew, or none.
//!
//! That a refusal is settled is itself an object, of the system entity `Settlement`, made in the transaction that
//! settles it. So it travels as everything else, its author and time are known, and where two nodes settle one refusal
//! at once, one of them is refused: the number of the refusal is unique.
//!
//! 1. here: the list, and one refusal whole
//! 2. [`settle`]: retry, edit and discard

mod settle;

use std::collections::HashMap;

use mytism_core::change::{Change, Life, Slot, Transaction};
use mytism_core::failure::Failure;
use mytism_core::id::{ObjectId, TransactionId};
use mytism_core::operation::{Output, QuarantineLine, Reply, Settled, Sink, UndoLine};
use mytism_core::query;
use mytism_core::schema::{Member, Schema};
use mytism_core::value::Value;
use mytism_format::object::ObjectState;
use mytism_format::transaction;
use mytism_store::{QuarantineRow, QueryOptions, QueryRow, View};

use crate::error::AppError;
use crate::history;
use crate::output::Presenter;
use crate::reading::{slot_name, slot_value};

/// The entity that says what became of a refusal, with its attributes.
const ENTITY: &str = "Settlement";
const REFUSAL: &str = "Refusal";
const ACTION: &str = "Action";

/// The refusals, those that are settled too where they are asked for.
pub(crate) fn list(schema: &Schema, view: &dyn View, all: bool, sink: &mut Sink<'_>) -> Result<(), AppError> {
    history::check_whole(view)?;
    let settlements = settlements(schema, view)?;
    let mut presenter = Presenter::new(schema, view);
    let mut makers = Makers::default();
    for row in view.quarantine()? {
        let Some(transaction) = read(view, &row)? else { continue };
        let builds_on = makers.builds_on(&transaction).map(|maker| maker.transaction);
        makers.add(row.number, &transaction);
        let settlement = settlements.get(&row.number);
        if settlement.is_some() && !all {
            continue;
        }
        let line = line(schema, &mut presenter, row, &transaction, builds_on, settlement)?;
        if sink(Reply::Quarantined(line)).is_err() {
            break;
        }
    }
    Ok(())
}

/// One refusal, and each change that did not happen.
pub(crate) fn show(schema: &Schema, view: &dyn View, number: u64, sink: &mut Sink<'_>) -> Result<(), AppError> {
    let Refused { row, transaction, makers } = find(view, number)?;
    let settlements = settlements(schema, view)?;
    let mut presenter = Presenter::new(schema, view);
    let builds_on = makers.builds_on(&transaction).map(|maker| maker.transaction);
    let line = line(schema, &mut presenter, row, &transaction, builds_on, settlements.get(&number))?;
    if sink(Reply::Quarantined(line)).is_err() {
        return Ok(());
    }
    for change in transaction.changes {
        if sink(Reply::UndoLine(Box::new(changed(schema, view, &mut presenter, change)?))).is_err() {
            break;
        }
    }
    Ok(())
}

/// How many refusals nobody has settled.
pub(crate) fn unsettled(schema: &Schema, view: &dyn View) -> Result<u64, AppError> {
    let rows = view.quarantine()?;
    if rows.is_empty() {
        return Ok(0);
    }
    let settlements = settlements(schema, view)?;
    Ok(rows.iter().filter(|row| !settlements.contains_key(&row.number)).count() as u64)
}

fn line(
    schema: &Schema,
    presenter: &mut Presenter<'_>,
    row: QuarantineRow,
    transaction: &Transaction,
    builds_on: Option<TransactionId>,
    settlement: Option<&ObjectState>,
) -> Result<QuarantineLine, AppError> {
    Ok(QuarantineLine {
        transaction: transaction.id,
        position: row.number,
        code: row.code,
        reason: row.reason,
        description: transaction.description.clone(),
        stamp: presenter.stamp(transaction.stamp())?,
        builds_on,
        settled: settlement.map(|settlement| settled(schema, presenter, settlement)).transpose()?,
    })
}

fn settled(schema: &Schema, presenter: &mut Presenter<'_>, settlement: &ObjectState) -> Result<Settled, AppError> {
    let action = match attribute(schema, ACTION) {
        Some(member) => presenter.value(&member.kind, settlement.get(Slot::attribute(member.id)))?,
        None => Output::Value(Value::Null),
    };
    let action = if let Output::Word(word) = action { word } else { String::new() };
    Ok(Settled { action, stamp: presenter.stamp(settlement.meta.created)? })
}

/// A change that did not happen: what was there, what was wanted, and what is there now.
fn changed(
    schema: &Schema,
    view: &dyn View,
    presenter: &mut Presenter<'_>,
    Change { object, entity, slot, old, new }: Change,
) -> Result<UndoLine, AppError> {
    let now = standing(view, object, slot)?;
    let found = schema.entity_by_id(entity);
    Ok(UndoLine {
        object,
        entity: schema.entity_name(entity),
        text: presenter.text(object)?,
        attribute: slot_name(found, slot),
        before: slot_value(presenter, found, slot, old)?,
        then: slot_value(presenter, found, slot, new)?,
        now: slot_value(presenter, found, slot, now)?,
        obstacle: None,
    })
}

fn standing(view: &dyn View, object: ObjectId, slot: Slot) -> Result<Value, AppError> {
    let Some(state) = view.object(object)? else { return Ok(Value::Null) };
    Ok(match slot.element {
        Some(element) if view.elements(slot.attribute, object)?.contains(&element) => Value::Bool(true),
        Some(_) => Value::Null,
        None if slot == Slot::LIFE => state.meta.life.value(),
        None => state.get(slot),
    })
}

fn attribute<'s>(schema: &'s Schema, name: &str) -> Option<&'s Member> {
    schema.entity(ENTITY)?.member(name)
}

/// What became of refusals, by their numbers; nothing where the schema is older than settling.
fn settlements(schema: &Schema, view: &dyn View) -> Result<HashMap<u64, ObjectState>, AppError> {
    let mut found = HashMap::new();
    let Some(refusal) = attribute(schema, REFUSAL) else { return Ok(found) };
    let text = format!("from {ENTITY} s");
    let parsed = query::parse(&text, schema, &[], &jiff::tz::TimeZone::UTC).map_err(Failure::from)?;
    view.query(&parsed, QueryOptions::default(), &mut |row| {
        if let QueryRow::Object(state) = row {
            let number = state.get(Slot::attribute(refusal.id)).integer().and_then(|number| u64::try_from(number).ok());
            found.extend(number.map(|number| (number, *state)));
        }
        true
    })?;
    Ok(found)
}

/// A refused transaction, with those that were refused before it.
struct Refused {
    row: QuarantineRow,
    transaction: Transaction,
    makers: Makers,
}

fn find(view: &dyn View, number: u64) -> Result<Refused, AppError> {
    history::check_whole(view)?;
    let mut makers = Makers::default();
    for row in view.quarantine()? {
        let Some(transaction) = read(view, &row)? else { continue };
        if row.number == number {
            return Ok(Refused { row, transaction, makers });
        }
        makers.add(row.number, &transaction);
    }
    let message = format!("nothing that stands at {number} in the log was refused");
    Err(Failure::refused("unknown-refusal", message).hint("`./mytism quarantine --all` lists the numbers").into())
}

fn read(view: &dyn View, row: &QuarantineRow) -> Result<Option<Transaction>, AppError> {
    let Some(row) = view.log_row(row.number)? else { return Ok(None) };
    Ok(Some(transaction::read(row.bytes)?.transaction))
}

/// Which refused transaction made which object. Later ones that build on it are refused with it.
#[derive(Default)]
struct Makers {
    by_object: HashMap<ObjectId, Maker>,
}

#[derive(Clone, Copy)]
struct Maker {
    /// The number of the refusal.
    number: u64,
    transaction: TransactionId,
}

impl Makers {
    fn add(&mut self, number: u64, transaction: &Transaction) {
        let maker = Maker { number, transaction: transaction.id };
        self.by_object.extend(made(&transaction.changes).map(|object| (object, maker)));
    }

    /// The first refused transaction that another one builds on.
    fn builds_on(&self, transaction: &Transaction) -> Option<Maker> {
        if self.by_object.is_empty() {
            return None;
        }
        let used = transaction.changes.iter().flat_map(used);
        used.filter_map(|object| self.by_object.get(&object).copied()).next()
    }
}

/// The objects that a change is about or leads to.
fn used(change: &Change) -> impl Iterator<Item = ObjectId> {
    [Some(change.object), change.new.reference(), change.slot.element].into_iter().flatten()
}

/// The objects that changes make, in their order.
fn made(changes: &[Change]) -> impl Iterator<Item = ObjectId> {
    changes.iter().filter(|change| is_making(change)).map(|change| change.object)
}

fn is_making(change: &Change) -> bool {
    change.is_making() && Life::of(&change.new) == Life::Alive
}
