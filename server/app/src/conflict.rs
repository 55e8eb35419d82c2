//! The record of a conflict: an object of the system entity `SyncConflict`, made by the head office in the entry that
//! decided, so that every node sees the same record at the same place of the log.

use mytism_core::change::{Change, Life, Slot, Stamp};
use mytism_core::operation::Event;
use mytism_core::schema::{ConflictRule, Entity, Kind};
use mytism_core::value::Value;
use mytism_format::transaction::StoredTransaction;

use crate::error::AppError;
use crate::lane::Work;
use crate::output::{node_name, user_name};

/// Name of the entity.
pub(crate) const ENTITY: &str = "SyncConflict";

/// What stands for the attribute where it is about the object's being there.
pub(crate) const DELETED: &str = "(deleted)";

/// Two values for one slot.
pub(crate) struct Conflict {
    /// The change that arrived.
    theirs: Change,
    /// The value that the head office had.
    ours: Value,
    /// The rule that decided, as the schema calls it.
    rule: &'static str,
    /// Whether the arriving value won.
    is_taken: bool,
    /// Who set it, where that is known from the log.
    our_stamp: Option<Stamp>,
    /// Who set the other one, where that is not the author of the arriving transaction.
    their_stamp: Option<Stamp>,
}

impl Conflict {
    /// The value of the head office stays.
    pub(crate) fn new(theirs: &Change, ours: Value, our_stamp: Option<Stamp>, rule: ConflictRule) -> Self {
        let rule = rule.name();
        Self { theirs: theirs.clone(), ours, rule, is_taken: false, our_stamp, their_stamp: None }
    }

    /// The arriving value is set.
    pub(crate) fn taken(theirs: &Change, ours: Value, our_stamp: Option<Stamp>, rule: ConflictRule) -> Self {
        Self { is_taken: true, ..Self::new(theirs, ours, our_stamp, rule) }
    }

    /// An object that was deleted here stays, since the author of the arriving transaction, `kept_by`, used it.
    pub(crate) fn kept_alive(deletion: &Change, ours: Value, kept_by: Stamp, deleted_by: Stamp) -> Self {
        let theirs = deletion.clone();
        let (our_stamp, their_stamp) = (Some(kept_by), Some(deleted_by));
        Self { theirs, ours, rule: ConflictRule::default().name(), is_taken: false, our_stamp, their_stamp }
    }

    /// The rule that decided, as the schema calls it.
    fn rule(&self) -> &'static str {
        let is_life = self.theirs.slot == Slot::LIFE;
        if is_life && Life::of(&self.ours) == Life::Alive { "kept-alive" } else { self.rule }
    }
}

/// Makes the record, applied in the topmost layer; returns the changes that make it.
pub(crate) fn record(
    work: &mut Work<'_>,
    stored: &StoredTransaction,
    found: &Conflict,
    own: Stamp,
    number: Option<u64>,
) -> Result<Vec<Change>, AppError> {
    let schema = work.workspace.schema;
    let record = schema.entity(ENTITY).ok_or_else(|| {
        AppError::failed("no-conflict-entity", format!("the schema lacks the system entity {ENTITY}"))
    })?;
    let object = found.theirs.object;
    let entity = schema.entity_by_id(found.theirs.entity);
    let last = work.workspace.object(object)?.map(|state| state.meta.changed);
    let our_stamp = found.our_stamp.or(last).unwrap_or(own);
    let their_stamp = found.their_stamp.unwrap_or_else(|| stored.transaction.stamp());
    let attribute = match (found.theirs.slot, entity) {
        (Slot::LIFE, _) => DELETED.to_owned(),
        (slot, Some(entity)) => {
            entity.member_by_id(slot.attribute).map_or_else(|| format!("#{}", slot.attribute), |m| m.name.clone())
        }
        (slot, None) => format!("#{}", slot.attribute),
    };
    // The one that stays, then the one beside it.
    let ours = (words(entity, found.theirs.slot, &found.ours), our_stamp);
    let theirs = (words(entity, found.theirs.slot, &found.theirs.new), their_stamp);
    let ((kept, our_stamp), (other, their_stamp)) = if found.is_taken { (theirs, ours) } else { (ours, theirs) };
    let texts = [
        ("Entity", schema.entity_name(found.theirs.entity)),
        ("Attribute", attribute.clone()),
        ("Kept", kept.clone()),
        ("Other", other.clone()),
        ("KeptBy", user_name(&mut work.workspace, our_stamp.user)?),
        ("OtherBy", user_name(&mut work.workspace, their_stamp.user)?),
        ("KeptNode", node_name(&mut work.workspace, our_stamp.node)?),
        ("OtherNode", node_name(&mut work.workspace, their_stamp.node)?),
        ("Transaction", stored.transaction.id.to_string()),
    ];
    let mut values: Vec<(&str, Value)> = texts.into_iter().map(|(name, text)| (name, Value::Text(text))).collect();
    values.push(("Object", Value::Integer(object.get())));
    values.push(("KeptTime", Value::Datetime(our_stamp.time)));
    values.push(("OtherTime", Value::Datetime(their_stamp.time)));
    values.push(("Rule", word(record, "Rule", found.rule())));
    values.push(("State", word(record, "State", "open")));
    let id = work.draw_id()?;
    let mut changes = vec![(Slot::LIFE, Life::Alive.value())];
    for (name, value) in values {
        // A project's schema may be older than this program and lack an attribute.
        if let Some(member) = record.member(name) {
            changes.push((Slot::attribute(member.id), clipped(&member.kind, value)));
        }
    }
    let changes: Vec<_> = changes
        .into_iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(slot, new)| Change { object: id, entity: record.id, slot, old: Value::Null, new })
        .collect();
    changes.iter().try_for_each(|change| work.workspace.apply(change, own, number))?;
    let what = crate::constraint::describe(&mut work.workspace, object)?;
    let transaction = stored.transaction.id;
    work.tell(|| Event {
        time: own.time,
        kind: "conflict".to_owned(),
        peer: String::new(),
        transaction: Some(transaction),
        position: number,
        text: format!("{what} {attribute}: \"{kept}\" stays, \"{other}\" is kept beside it"),
    });
    Ok(changes)
}

/// A value as people read it.
pub(crate) fn words(entity: Option<&Entity>, slot: Slot, value: &Value) -> String {
    if slot == Slot::LIFE {
        return match Life::of(value) {
            Life::Deleted => "deleted".to_owned(),
            Life::Alive | Life::Absent => "there".to_owned(),
        };
    }
    let kind = entity.and_then(|entity| entity.member_by_id(slot.attribute)).map(|member| &member.kind);
    match (kind, value) {
        (_, Value::Null) => String::new(),
        (Some(Kind::Enum(words)), Value::Enum(id)) => {
            words.iter().find(|word| word.id == *id).map_or_else(|| id.to_string(), |word| word.name.clone())
        }
        _ => value.to_string(),
    }
}

/// A word of an enumeration of the record.
pub(crate) fn word(entity: &Entity, attribute: &str, name: &str) -> Value {
    match entity.member(attribute).map(|member| &member.kind) {
        Some(Kind::Enum(words)) => {
            words.iter().find(|word| word.name == name).map_or(Value::Null, |word| Value::Enum(word.id))
        }
        _ => Value::Null,
    }
}

/// A text that is longer than its attribute holds is cut: the whole one stands in the log.
fn clipped(kind: &Kind, value: Value) -> Value {
    match (kind, value) {
        (Kind::String { max }, Value::Text(text)) => Value::Text(text.chars().take(*max as usize).collect()),
        (_, value) => value,
    }
}
