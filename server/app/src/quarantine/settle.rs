//! Settling a refusal: its changes are saved anew on what stands there now, with other values where they are given, or
//! are given up. Either way the same transaction says that the refusal is settled.
//!
//! Objects that the refused transaction made get new ids, since theirs were given once. Whoever builds on such an object
//! and was refused for it finds the new one when it is retried later: settled in one transaction, the objects that were
//! refused and those in their place stand in the same order.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use mytism_core::change::{Change, Transaction};
use mytism_core::failure::Failure;
use mytism_core::id::{AttributeId, ObjectId};
use mytism_core::operation::{Input, ReferenceInput, Saved, SettleRequest, Settling};
use mytism_core::schema::{Entity, Kind, Member, Schema};
use mytism_core::value::Value;
use mytism_format::transaction;
use mytism_store::View;

use super::{ACTION, ENTITY, Makers, REFUSAL, Refused, attribute, find, is_making, made, settlements, used};
use crate::App;
use crate::constraint;
use crate::context::Context;
use crate::draft::{Draft, member};
use crate::error::AppError;
use crate::lane::Work;
use crate::numbers;
use crate::prepare::Drafted;
use crate::record::About;

/// What the commit lane needs to know, read beside it: what was refused stays as it is.
struct Source {
    number: u64,
    transaction: Transaction,
    /// What was made anew when an earlier refusal was retried.
    remade: HashMap<ObjectId, ObjectId>,
    request: SettleRequest,
}

/// A value in the place of one that was refused.
struct Edit<'a> {
    object: ObjectId,
    member: &'a Member,
    value: Input,
}

/// Ids that the refused transaction gave, and those in their place.
type Remade = BTreeMap<ObjectId, ObjectId>;

impl App {
    /// Settles a refusal.
    ///
    /// # Errors
    /// That there is no such refusal, that it is settled, or why the changes are refused again; nothing was changed
    /// then.
    pub(crate) fn settle(&self, context: &Context, request: &SettleRequest) -> Result<Saved, AppError> {
        let schema = self.schema();
        let view = self.view()?;
        let Refused { row, transaction, makers } = find(&*view, request.number)?;
        if attribute(schema, REFUSAL).is_none() || attribute(schema, ACTION).is_none() {
            let message = format!("the schema of this project is older than settling: it has no entity {ENTITY}");
            let hint = "what was refused can still be seen with `./mytism quarantine show NUMBER`, and saved by hand";
            return Err(Failure::refused("no-settlement-entity", message).hint(hint).into());
        }
        let (remade, missing) = remade(schema, &*view, &makers, &transaction)?;
        drop(view);
        let source = Source { number: row.number, transaction, remade, request: request.clone() };
        let (source, context) = (Arc::new(source), context.clone());
        let done = self.commit(move |work| drafted(work, &context, &source));
        let done = done.map_err(|error| match (error, missing) {
            (AppError::Refused(failure), Some(first)) if failure.hint.is_empty() => {
                failure.hint(format!("it builds on refusal {first}: retry that one first")).into()
            }
            (error, _) => error,
        })?;
        Ok(crate::saved(done))
    }
}

/// The objects that stand in the place of refused ones that a refused transaction builds on; and the number of the first
/// refusal that it builds on and that was not retried.
fn remade(
    schema: &Schema,
    view: &dyn View,
    makers: &Makers,
    transaction: &Transaction,
) -> Result<(HashMap<ObjectId, ObjectId>, Option<u64>), AppError> {
    let mut found = HashMap::new();
    let mut missing = None;
    let settlements = settlements(schema, view)?;
    let needed = transaction.changes.iter().flat_map(used).filter_map(|object| makers.by_object.get(&object));
    let numbers: BTreeSet<u64> = needed.map(|maker| maker.number).collect();
    for number in numbers {
        let settlement = settlements.get(&number).map(|settlement| settlement.id);
        let anew = settlement.map(|id| maker_of(view, id)).transpose()?.flatten();
        let refused = view.log_row(number)?.map(|row| transaction::read(row.bytes)).transpose()?;
        let before = found.len();
        if let (Some(anew), Some(refused)) = (anew, refused) {
            let discarded = made(&anew.changes).next() == settlement;
            if !discarded {
                found.extend(made(&refused.transaction.changes).zip(made(&anew.changes)));
            }
        }
        if found.len() == before {
            missing = missing.or(Some(number));
        }
    }
    Ok((found, missing))
}

/// The transaction that made an object, in the log or pending.
fn maker_of(view: &dyn View, object: ObjectId) -> Result<Option<Transaction>, AppError> {
    let bytes = match view.history_after(object, 0)?.first() {
        Some(number) => view.log_row(*number)?.map(|row| row.bytes),
        None => match view.pending_of(object)?.first() {
            Some(place) => view.pending(*place)?.map(|row| row.bytes),
            None => None,
        },
    };
    Ok(bytes.map(transaction::read).transpose()?.map(|stored| stored.transaction))
}

fn drafted(
    work: &mut Work<'_>,
    context: &Context,
    source: &Source,
) -> Result<Drafted<Vec<(String, ObjectId)>>, AppError> {
    let schema = work.workspace.schema;
    let settlement = crate::draft::find_entity(schema, ENTITY)?;
    let refusal = member(settlement, REFUSAL)?;
    let number = Value::Integer(i64::try_from(source.number).unwrap_or(i64::MAX));
    if !work.workspace.holders(settlement.id, refusal.id, &number)?.is_empty() {
        let message = format!("the refusal {} is settled already", source.number);
        let hint = "`./mytism quarantine --all` tells what became of it";
        return Err(Failure::refused("refusal-settled", message).hint(hint).into());
    }
    let is_retry = source.request.action == Settling::Retry;
    let (word, verb) = match (is_retry, source.request.set.is_empty()) {
        (true, true) => ("retried", "retry"),
        (true, false) => ("edited", "retry"),
        (false, _) => ("discarded", "discard"),
    };
    if is_retry {
        leave_to_lane(work, source)?;
    }
    let mut draft = Draft::new(work, context);
    let remade = if is_retry { again(&mut draft, schema, source)? } else { Remade::new() };
    let object = draft.make_object(settlement)?;
    draft.set(object, settlement, refusal, &Input::Number(source.number.to_string()))?;
    draft.set(object, settlement, member(settlement, ACTION)?, &Input::Text(word.to_owned()))?;
    let (changes, stamp) = draft.finish()?;
    let description = format!("{verb} of {}: {}", source.transaction.id, source.transaction.description);
    let description = description.trim_end_matches([':', ' ']).to_owned();
    let answer = remade.into_iter().map(|(old, new)| (old.to_string(), new)).collect();
    Ok(Drafted { about: About { description, ..About::default() }, stamp, changes, answer })
}

/// Numbers are drawn in the lane alone.
fn leave_to_lane(work: &mut Work<'_>, source: &Source) -> Result<(), AppError> {
    let changes = &source.transaction.changes;
    for making in changes.iter().filter(|change| is_making(change)) {
        let Some(entity) = work.workspace.schema.entity_by_id(making.entity) else { continue };
        let is_given = |member: &Member| {
            changes.iter().any(|change| change.object == making.object && change.slot.attribute == member.id)
        };
        numbers::leave_to_lane(work, entity, is_given)?;
    }
    Ok(())
}

/// Lets the changes happen again.
fn again(draft: &mut Draft<'_, '_>, schema: &Schema, source: &Source) -> Result<Remade, AppError> {
    if source.transaction.schema.is_some() {
        return Err(AppError::refused("schema-from-branch", "only the head office changes the schema"));
    }
    let edits = edits(schema, source)?;
    let changes = numbers::without_next(source.transaction.changes.clone());
    let mut remade = Remade::new();
    for change in changes.iter().filter(|change| is_making(change)) {
        constraint::check_slot(&mut draft.work.workspace, change)?;
        remade.insert(change.object, draft.make_bare(change.entity)?);
    }
    let place =
        |object: ObjectId| remade.get(&object).or_else(|| source.remade.get(&object)).copied().unwrap_or(object);
    let edited: BTreeSet<(ObjectId, AttributeId)> = edits.iter().map(|edit| (edit.object, edit.member.id)).collect();
    for change in changes.into_iter().filter(|change| !is_making(change)) {
        if edited.contains(&(change.object, change.slot.attribute)) {
            continue;
        }
        let mut slot = change.slot;
        slot.element = slot.element.map(place);
        let new = match change.new {
            Value::Reference(object) => Value::Reference(place(object)),
            value => value,
        };
        let change = Change { object: place(change.object), slot, new, ..change };
        constraint::check_slot(&mut draft.work.workspace, &change)?;
        draft.record(change.object, change.entity, slot, change.new)?;
    }
    for edit in edits {
        let object = place(edit.object);
        let entity = draft.entity_of(object)?;
        draft.set(object, entity, edit.member, &edit.value)?;
    }
    Ok(remade)
}

/// What was asked for in the place of what was refused, for each object that it is about.
fn edits<'s>(schema: &'s Schema, source: &Source) -> Result<Vec<Edit<'s>>, AppError> {
    let mut objects: BTreeMap<ObjectId, &'s Entity> = BTreeMap::new();
    for change in &source.transaction.changes {
        objects.extend(schema.entity_by_id(change.entity).map(|entity| (change.object, entity)));
    }
    let mut edits = Vec::new();
    for (name, value) in &source.request.set {
        let (target, attribute) = name.split_once('.').ok_or_else(|| {
            let message = format!("\"{name}\" is not ENTITY.ATTRIBUTE or ID.ATTRIBUTE");
            Failure::usage("not-in-refusal", message)
        })?;
        let id = target.parse().ok().and_then(ObjectId::new);
        let meant = |(object, entity): &(&ObjectId, &&Entity)| id.map_or(entity.name == target, |id| id == **object);
        let before = edits.len();
        for (object, entity) in objects.iter().filter(meant) {
            let member = member(entity, attribute)?;
            edits.push(Edit { object: *object, member, value: fitting(member, value) });
        }
        if edits.len() == before {
            let there: BTreeSet<String> =
                objects.iter().map(|(object, entity)| format!("{} {object}", entity.name)).take(20).collect();
            let message = format!("the refused transaction is not about {target}");
            let hint = format!("it is about {}", there.into_iter().collect::<Vec<_>>().join(", "));
            return Err(Failure::usage("not-in-refusal", message).hint(hint).into());
        }
    }
    Ok(edits)
}

/// A value that was typed: nothing is no value, and an object is named by its id.
fn fitting(member: &Member, value: &Input) -> Input {
    match (&member.kind, value) {
        (_, Input::Text(text)) if text.is_empty() => Input::Null,
        (Kind::ToOne { .. }, Input::Text(text) | Input::Number(text)) => {
            let id = text.parse().ok().and_then(ObjectId::new);
            id.map_or_else(|| value.clone(), |id| Input::Reference(ReferenceInput::Id(id)))
        }
        _ => value.clone(),
    }
}
