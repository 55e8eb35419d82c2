//! Reading: queries, single objects, their history, conflicts. All on one view each, so that an answer is
//! of one moment.

use mytism_core::change::{Change, Life, Slot, Stamp, Transaction};
use mytism_core::failure::Failure;
use mytism_core::id::ObjectId;
use mytism_core::operation::{ConflictLine, HistoryLine, HistoryRequest, NodeLine, Output, QueryRequest, Reply, Sink};
use mytism_core::query::{self, ResultKind, Surroundings};
use mytism_core::schema::{Entity, Kind, Schema};
use mytism_core::time::Timestamp;
use mytism_core::value::Value;
use mytism_format::{entry, transaction};
use mytism_store::{QueryOptions, QueryRow, View};

use crate::apply::stamped;
use crate::conflict;
use crate::context::Context;
use crate::draft::member;
use crate::error::AppError;
use crate::history;
use crate::output::Presenter;

/// Answers a query. `now` is what its text means by that.
pub(crate) fn query(
    schema: &Schema,
    view: &dyn View,
    context: &Context,
    request: &QueryRequest,
    now: Timestamp,
    sink: &mut Sink<'_>,
) -> Result<(), AppError> {
    let parsed = parsed(schema, context, request, now)?;
    if request.explain == Some(true) {
        let options = QueryOptions { deleted: request.deleted, limit: request.limit };
        return explain(view, &parsed, options, sink);
    }
    let columns: Vec<_> =
        parsed.select.iter().flatten().map(|item| (item.name.clone(), item.expr.kind.clone())).collect();
    let options = QueryOptions { deleted: request.deleted, limit: request.limit };
    let mut presenter = Presenter::new(schema, view);
    if request.keys == Some(true) {
        presenter = presenter.with_keys();
    }
    let mut failed = None;
    view.query(&parsed, options, &mut |row| {
        let reply = match row {
            QueryRow::Object(state) => presenter.object(&state, false).map(Reply::Object),
            QueryRow::Values(values) => {
                let outputs = columns
                    .iter()
                    .zip(values)
                    .map(|((name, kind), value)| Ok((name.clone(), computed(&mut presenter, kind, value)?)));
                outputs.collect::<Result<_, _>>().map(Reply::Row)
            }
        };
        match reply {
            Ok(reply) => sink(reply).is_ok(),
            Err(error) => {
                failed = Some(error);
                false
            }
        }
    })?;
    failed.map_or(Ok(()), Err)
}

/// What a query asks for.
pub(crate) fn parsed(
    schema: &Schema,
    context: &Context,
    request: &QueryRequest,
    now: Timestamp,
) -> Result<query::Query, AppError> {
    let surroundings = Surroundings { params: &request.params, zone: &context.zone, now: Some(now) };
    let parsed = match &request.entity {
        Some(entity) => query::parse_condition(&request.text, entity, schema, &surroundings),
        None => query::parse_with(&request.text, schema, &surroundings),
    };
    Ok(parsed.map_err(Failure::from)?)
}

/// Tells how a query would be answered, as rows of what a line is and what it says.
fn explain(view: &dyn View, parsed: &query::Query, options: QueryOptions, sink: &mut Sink<'_>) -> Result<(), AppError> {
    let explained = view.explain(parsed, options)?;
    let numbered = explained.values.iter().zip(1..).map(|(value, place)| format!("{place}: {value}"));
    let lines = std::iter::once(("sql", explained.sql))
        .chain(numbered.map(|line| ("value", line)))
        .chain(explained.indexes.into_iter().map(|line| ("index", line)))
        .chain(explained.plan.into_iter().map(|line| ("plan", line)));
    for (what, line) in lines {
        let text = |text: String| Output::Value(Value::Text(text));
        let row = vec![("What".to_owned(), text(what.to_owned())), ("Text".to_owned(), text(line))];
        if sink(Reply::Row(row)).is_err() {
            break;
        }
    }
    Ok(())
}

fn computed(presenter: &mut Presenter<'_>, kind: &ResultKind, value: Value) -> Result<Output, AppError> {
    match (kind, value) {
        (ResultKind::Enum(words), Value::Enum(id)) => presenter.value(&Kind::Enum(words.clone()), Value::Enum(id)),
        (_, Value::Reference(id)) => presenter.reference(id),
        (_, value) => Ok(Output::Value(value)),
    }
}

/// One object with its bookkeeping; deleted ones too.
pub(crate) fn show(
    schema: &Schema,
    view: &dyn View,
    object: ObjectId,
    at: Option<u64>,
    sink: &mut Sink<'_>,
) -> Result<(), AppError> {
    let state = view.object(object)?.ok_or_else(|| match at {
        Some(at) => AppError::refused("unknown-object", format!("at position {at} there was no object {object}")),
        None => no_object(object),
    })?;
    let shown = Presenter::new(schema, view).object(&state, true)?;
    let _closed = sink(Reply::Object(shown));
    Ok(())
}

fn no_object(object: ObjectId) -> AppError {
    Failure::refused("unknown-object", format!("there is no object {object}")).into()
}

/// The changes of an object, oldest first, then those that are pending. One entry is held at a time.
pub(crate) fn history(
    schema: &Schema,
    view: &dyn View,
    request: &HistoryRequest,
    sink: &mut Sink<'_>,
) -> Result<(), AppError> {
    let object = request.object;
    let attribute = request.attribute.as_deref();
    let mut left = request.limit.unwrap_or(u64::MAX);
    if left == 0 {
        return Ok(());
    }
    let state = view.object(object)?.ok_or_else(|| no_object(object))?;
    let entity = schema.entity_by_id(state.entity).ok_or_else(|| no_object(object))?;
    let wanted = attribute.map(|name| member(entity, name)).transpose()?.map(|member| member.id);
    let mut presenter = Presenter::new(schema, view);
    let mut lines = |transaction: &Transaction, changes: Vec<(Change, Stamp)>, position: Option<u64>| {
        for (change, stamp) in changes.into_iter().filter(|(change, _)| change.object == object) {
            if wanted.is_none_or(|wanted| change.slot.attribute == wanted) {
                let line = history_line(&mut presenter, entity, transaction, (change, stamp), position)?;
                if sink(Reply::History(line)).is_err() {
                    return Ok::<bool, AppError>(false);
                }
                left = left.saturating_sub(1);
            }
        }
        Ok(left > 0)
    };
    history::check_behind(view, request.after.unwrap_or(0))?;
    for number in view.history_after(object, request.after.unwrap_or(0))? {
        let Some(row) = view.log_row(number)? else { continue };
        let entry = entry::read(row.entry)?.entry;
        let transaction = transaction::read(row.bytes)?.transaction;
        let changes = stamped(&entry, &transaction);
        if !lines(&transaction, changes, Some(number))? {
            return Ok(());
        }
    }
    for place in view.pending_of(object)? {
        let Some(row) = view.pending(place)? else { continue };
        let mut transaction = transaction::read(row.bytes)?.transaction;
        let stamp = transaction.stamp();
        let changes = std::mem::take(&mut transaction.changes).into_iter().map(|change| (change, stamp)).collect();
        if !lines(&transaction, changes, None)? {
            return Ok(());
        }
    }
    Ok(())
}

fn history_line(
    presenter: &mut Presenter<'_>,
    entity: &Entity,
    transaction: &Transaction,
    (change, stamp): (Change, Stamp),
    position: Option<u64>,
) -> Result<HistoryLine, AppError> {
    let attribute = slot_name(Some(entity), change.slot);
    let old = slot_value(presenter, Some(entity), change.slot, change.old)?;
    let new = slot_value(presenter, Some(entity), change.slot, change.new)?;
    let stamp = presenter.stamp(stamp)?;
    let description = transaction.description.clone();
    Ok(HistoryLine { position, transaction: transaction.id, stamp, description, attribute, old, new })
}

/// What a slot is called: the name of its attribute, or nothing where it is about the object's being there.
pub(crate) fn slot_name(entity: Option<&Entity>, slot: Slot) -> String {
    match entity.and_then(|entity| entity.member_by_id(slot.attribute)) {
        _ if slot == Slot::LIFE => String::new(),
        Some(member) => member.name.clone(),
        None => format!("#{}", slot.attribute),
    }
}

/// What a slot holds, as it leaves the node; an element of a set is there or not.
pub(crate) fn slot_value(
    presenter: &mut Presenter<'_>,
    entity: Option<&Entity>,
    slot: Slot,
    value: Value,
) -> Result<Output, AppError> {
    match (entity.and_then(|entity| entity.member_by_id(slot.attribute)), slot.element) {
        _ if slot == Slot::LIFE => Ok(life_word(&value)),
        (_, Some(element)) if !value.is_null() => presenter.reference(element),
        (Some(member), None) => presenter.value(&member.kind, value),
        (None, _) | (Some(_), Some(_)) => Ok(Output::Value(value)),
    }
}

fn life_word(value: &Value) -> Output {
    match Life::of(value) {
        Life::Absent => Output::Value(Value::Null),
        Life::Alive => Output::Word("there".to_owned()),
        Life::Deleted => Output::Word("deleted".to_owned()),
    }
}

/// Takes an object and a way to its values by attribute name; whether more are wanted.
type Each<'a> = dyn FnMut(ObjectId, &dyn Fn(&str) -> Value) -> bool + 'a;

/// All objects of a system entity, read by attribute names.
fn each_of(schema: &Schema, view: &dyn View, entity: &str, each: &mut Each<'_>) -> Result<(), AppError> {
    let parsed =
        query::parse(&format!("from {entity} x"), schema, &[], &jiff::tz::TimeZone::UTC).map_err(Failure::from)?;
    let found = schema.entity(entity);
    view.query(&parsed, QueryOptions::default(), &mut |row| {
        let QueryRow::Object(state) = row else { return true };
        let get = |name: &str| {
            found.and_then(|entity| entity.member(name)).map_or(Value::Null, |m| state.get(Slot::attribute(m.id)))
        };
        each(state.id, &get)
    })?;
    Ok(())
}

/// The word of an enumeration of a conflict's record.
fn word_of(schema: &Schema, attribute: &str, value: &Value) -> String {
    let member = schema.entity(conflict::ENTITY).and_then(|entity| entity.member(attribute));
    match (member.map(|member| &member.kind), value) {
        (Some(Kind::Enum(words)), Value::Enum(id)) => {
            words.iter().find(|word| word.id == *id).map(|word| word.name.clone()).unwrap_or_default()
        }
        _ => String::new(),
    }
}

/// The conflicts that nobody has settled.
pub(crate) fn conflicts(schema: &Schema, view: &dyn View, sink: &mut Sink<'_>) -> Result<(), AppError> {
    let text = |value: Value| if value.is_null() { String::new() } else { value.to_string() };
    each_of(schema, view, conflict::ENTITY, &mut |id, get| {
        let by = |user: &str, node: &str| format!("{} ({})", text(get(user)), text(get(node)));
        let Some(object) = get("Object").integer().and_then(ObjectId::new) else { return true };
        let rule = word_of(schema, "Rule", &get("Rule"));
        if word_of(schema, "State", &get("State")) == "settled" {
            return true;
        }
        let line = ConflictLine {
            id,
            object,
            attribute: text(get("Attribute")),
            kept: text(get("Kept")),
            other: text(get("Other")),
            kept_by: by("KeptBy", "KeptNode"),
            other_by: by("OtherBy", "OtherNode"),
            rule,
        };
        sink(Reply::Conflict(line)).is_ok()
    })
}

/// The nodes of the cluster.
pub(crate) fn nodes(schema: &Schema, view: &dyn View, sink: &mut Sink<'_>) -> Result<(), AppError> {
    each_of(schema, view, "Node", &mut |_, get| {
        let line = NodeLine {
            name: get("Name").text().unwrap_or_default().to_owned(),
            number: get("Number").integer().and_then(|number| u32::try_from(number).ok()).unwrap_or(0),
            role: if get("Authoritative") == Value::Bool(true) { "authoritative" } else { "branch" }.to_owned(),
            joined: get("Joined") == Value::Bool(true),
        };
        sink(Reply::Node(line)).is_ok()
    })
}

/// How many conflicts nobody has settled.
pub(crate) fn open_conflicts(schema: &Schema, view: &dyn View) -> Result<u64, AppError> {
    let text = format!("select count(*) as n from {} c where c.State = 'open'", conflict::ENTITY);
    let parsed = query::parse(&text, schema, &[], &jiff::tz::TimeZone::UTC).map_err(Failure::from)?;
    let mut count = 0;
    view.query(&parsed, QueryOptions::default(), &mut |row| {
        if let QueryRow::Values(values) = row {
            count = values.first().and_then(Value::integer).and_then(|n| u64::try_from(n).ok()).unwrap_or(0);
        }
        true
    })?;
    Ok(count)
}
