//! What leads from one schema to another, and what the data must keep to on the way.
//!
//! Entities, attributes and relations are the same where their ids are the same, whatever they are called. Nothing here
//! sees data: a step names the [`Check`] that somebody who does must make before it.

use super::{Entity, Kind, Member, Schema};
use crate::id::{AttributeId, EntityId};
use crate::number::Pattern;
use crate::value::Value;

/// One step from a schema to another.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Step {
    /// What is done.
    pub action: Action,
    /// The entity, `Customer`, or its attribute or relation, `Customer.City`, by the name that it has afterwards. What is
    /// dropped has the name that it had, and the schema itself its own.
    pub name: String,
    /// What it was before, as schema files write it; empty where there was nothing.
    pub from: String,
    /// What it is afterwards.
    pub to: String,
    /// What the data must keep to.
    pub check: Option<Check>,
    /// Why it cannot be done at all, as a word: `other-type`, `other-parent`, `becomes-abstract`, `other-entity` or
    /// `id-given-before`.
    pub impossible: Option<&'static str>,
}

/// What a step does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// Something new.
    Add,
    /// Another name for what is there.
    Rename,
    /// More is allowed than before, or nothing that the data could be in the way of.
    Widen,
    /// Less is allowed than before.
    Narrow,
    /// It goes; its data are kept aside.
    Drop,
}

impl Action {
    /// Its word in JSON and on the line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Rename => "rename",
            Self::Widen => "widen",
            Self::Narrow => "narrow",
            Self::Drop => "drop",
        }
    }
}

/// What the data must keep to before a step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Check {
    /// All values of the attribute have a place in the new one, and keep to its bounds.
    Values(AttributeId),
    /// All objects have a value.
    Required(AttributeId),
    /// No two objects have the same value.
    Unique(AttributeId),
    /// All references of the attribute lead to objects that it may lead to.
    Targets(AttributeId),
    /// Nothing that stays leads to objects of the entity.
    Unreferenced(EntityId),
}

/// Values have no place in another type: a new attribute must be added beside, and this one dropped.
const OTHER_TYPE: &str = "other-type";
/// What an entity inherits from stays.
const OTHER_PARENT: &str = "other-parent";
/// An entity that may have objects cannot become abstract.
const ABSTRACT: &str = "becomes-abstract";
/// An attribute stays with its entity.
const MOVED: &str = "other-entity";
/// The id was given before to something that was dropped.
const GIVEN_BEFORE: &str = "id-given-before";

/// The steps from one schema to another, in the order of the new one; what is dropped comes last.
#[must_use]
pub fn difference(old: &Schema, new: &Schema) -> Vec<Step> {
    let mut steps = Steps { old, new, steps: Vec::new() };
    let (was, is) = (old.def(), new.def());
    let title = |name: &str, version: &str| format!("{name} {version}");
    steps.option(&is.name, "Schema", &title(&was.name, &was.version), &title(&is.name, &is.version));
    for entity in new.entities() {
        match old.entity_by_id(entity.id) {
            Some(former) => steps.entity(former, entity),
            None => steps.new_entity(entity),
        }
    }
    for entity in old.entities().filter(|entity| new.entity_by_id(entity.id).is_none()) {
        let check = (!entity.is_abstract).then_some(Check::Unreferenced(entity.id));
        steps.add(Action::Drop, &entity.name, "Entity", "", check);
    }
    if steps.steps.is_empty() && was != is {
        steps.option(&is.name, "Schema", "order", "order ");
    }
    steps.steps
}

struct Steps<'s> {
    old: &'s Schema,
    new: &'s Schema,
    steps: Vec<Step>,
}

impl Steps<'_> {
    fn add(&mut self, action: Action, name: &str, from: &str, to: &str, check: Option<Check>) {
        let (name, from, to) = (name.to_owned(), from.trim_end().to_owned(), to.trim_end().to_owned());
        self.steps.push(Step { action, name, from, to, check, impossible: None });
    }

    fn impossible(&mut self, action: Action, name: &str, (from, to): (&str, &str), why: &'static str) {
        self.add(action, name, from, to, None);
        if let Some(step) = self.steps.last_mut() {
            step.impossible = Some(why);
        }
    }

    /// An option that the data cannot be in the way of.
    fn option(&mut self, name: &str, option: &str, from: &str, to: &str) {
        if from != to {
            let written = |value: &str| format!("{option}: {value}");
            self.add(Action::Widen, name, &written(from), &written(to), None);
        }
    }

    fn new_entity(&mut self, entity: &Entity) {
        if self.old.def().last_entity() >= entity.id.0 {
            return self.impossible(Action::Add, &entity.name, ("", "Entity"), GIVEN_BEFORE);
        }
        self.add(Action::Add, &entity.name, "", "Entity", None);
        for member in entity.members.iter().filter(|member| member.declared_in == entity.id) {
            self.new_member(entity, member, false);
        }
    }

    fn entity(&mut self, former: &Entity, entity: &Entity) {
        if former.name != entity.name {
            self.add(Action::Rename, &entity.name, &former.name, &entity.name, None);
        }
        let name = &entity.name;
        if former.extends != entity.extends {
            let of = |schema: &Schema, id: Option<EntityId>| {
                format!("extends: {}", id.map_or_else(String::new, |id| schema.entity_name(id)))
            };
            let (from, to) = (of(self.old, former.extends), of(self.new, entity.extends));
            self.impossible(Action::Narrow, name, (&from, &to), OTHER_PARENT);
        }
        match (former.is_abstract, entity.is_abstract) {
            (false, true) => self.impossible(Action::Narrow, name, ("abstract: 0", "abstract: 1"), ABSTRACT),
            (true, false) => self.option(name, "abstract", "1", "0"),
            _ => {}
        }
        self.option(name, "label", own_label(&former.label, &former.name), own_label(&entity.label, name));
        self.option(name, "key", &in_words(former, former.key), &in_words(entity, entity.key));
        self.option(name, "display", &in_words(former, former.display), &in_words(entity, entity.display));
        for member in entity.members.iter().filter(|member| member.declared_in == entity.id) {
            match self.old.member_by_id(member.id) {
                Some((_, was)) if was.declared_in == entity.id => self.member(entity, was, member),
                Some(_) => {
                    let name = full(entity, member);
                    self.impossible(Action::Narrow, &name, ("", ""), MOVED);
                }
                None => self.new_member(entity, member, true),
            }
        }
        for member in former.members.iter().filter(|member| member.declared_in == former.id) {
            if self.new.member_by_id(member.id).is_none() {
                self.add(Action::Drop, &full(former, member), &notation(&member.kind, self.old), "", None);
            }
        }
    }

    fn new_member(&mut self, entity: &Entity, member: &Member, has_objects: bool) {
        let (name, to) = (full(entity, member), notation(&member.kind, self.new));
        if self.old.def().last_member() >= member.id.0 {
            return self.impossible(Action::Add, &name, ("", &to), GIVEN_BEFORE);
        }
        self.add(Action::Add, &name, "", &to, None);
        if has_objects && member.not_null {
            self.add(Action::Narrow, &name, "notNull: 0", "notNull: 1", Some(Check::Required(member.id)));
        }
        if has_objects && member.unique && !member.default.is_null() {
            self.add(Action::Narrow, &name, "unique: 0", "unique: 1", Some(Check::Unique(member.id)));
        }
    }

    fn member(&mut self, entity: &Entity, was: &Member, is: &Member) {
        let name = full(entity, is);
        if was.name != is.name {
            self.add(Action::Rename, &name, &was.name, &is.name, None);
        }
        self.kind(&name, was, is);
        let flag = |flag: bool| if flag { "1" } else { "0" };
        match (was.not_null, is.not_null) {
            (false, true) => {
                self.add(Action::Narrow, &name, "notNull: 0", "notNull: 1", Some(Check::Required(is.id)));
            }
            (was, is) => self.option(&name, "notNull", flag(was), flag(is)),
        }
        match (was.unique, is.unique) {
            (false, true) => self.add(Action::Narrow, &name, "unique: 0", "unique: 1", Some(Check::Unique(is.id))),
            (was, is) => self.option(&name, "unique", flag(was), flag(is)),
        }
        self.option(&name, "indexed", flag(was.indexed), flag(is.indexed));
        self.bounds(&name, was, is);
        self.option(&name, "default", &plain(&was.default), &plain(&is.default));
        self.option(&name, "label", own_label(&was.label, &was.name), own_label(&is.label, &is.name));
        self.option(&name, "conflict", was.conflict.name(), is.conflict.name());
        self.option(&name, "number", &numbering(was), &numbering(is));
    }

    fn bounds(&mut self, name: &str, was: &Member, is: &Member) {
        if was.bounds == is.bounds {
            return;
        }
        let written = |member: &Member| {
            let pattern = member.bounds.pattern.as_ref().map_or_else(String::new, ToString::to_string);
            format!("min: {} max: {} pattern: {pattern}", plain(&member.bounds.min), plain(&member.bounds.max))
        };
        let lower = !is.bounds.min.is_null() && !at_most(&is.bounds.min, &was.bounds.min);
        let upper = !is.bounds.max.is_null() && !at_most(&was.bounds.max, &is.bounds.max);
        let pattern = is.bounds.pattern.is_some() && is.bounds.pattern != was.bounds.pattern;
        let (from, to) = (written(was), written(is));
        if lower || upper || pattern {
            self.add(Action::Narrow, name, &from, &to, Some(Check::Values(is.id)));
        } else {
            self.add(Action::Widen, name, &from, &to, None);
        }
    }

    fn kind(&mut self, name: &str, was: &Member, is: &Member) {
        let (from, to) = (notation(&was.kind, self.old), notation(&is.kind, self.new));
        match self.transition(was, is) {
            Transition::Free if was.kind == is.kind => {}
            Transition::Free => self.add(Action::Widen, name, &from, &to, None),
            Transition::Checked(check) => self.add(Action::Narrow, name, &from, &to, Some(check)),
            Transition::Impossible => self.impossible(Action::Narrow, name, (&from, &to), OTHER_TYPE),
        }
    }

    fn transition(&self, was: &Member, is: &Member) -> Transition {
        let checked = |is_free: bool| {
            if is_free { Transition::Free } else { Transition::Checked(Check::Values(is.id)) }
        };
        match (&was.kind, &is.kind) {
            (was, is) if was == is => Transition::Free,
            (Kind::String { max: was }, Kind::String { max: is }) => checked(is >= was),
            (Kind::String { .. }, Kind::Text)
            | (Kind::ToMany { .. } | Kind::Owners { .. }, Kind::ToMany { .. } | Kind::Owners { .. }) => {
                Transition::Free
            }
            (Kind::Text, Kind::String { .. }) => checked(false),
            (Kind::Integer, Kind::Decimal { precision, scale }) => checked(precision - scale >= INTEGER_DIGITS),
            (Kind::Decimal { precision: p, scale: s }, Kind::Decimal { precision, scale }) => {
                checked(scale >= s && precision - scale >= p - s)
            }
            (Kind::Enum(was), Kind::Enum(is)) => {
                checked(was.iter().all(|word| is.iter().any(|other| other.id == word.id)))
            }
            (Kind::ToOne { target: was, .. }, Kind::ToOne { target, .. }) => {
                if self.leads(*was, *target) {
                    Transition::Free
                } else {
                    Transition::Checked(Check::Targets(is.id))
                }
            }
            (Kind::ManyToMany { target: was }, Kind::ManyToMany { target }) if self.leads(*was, *target) => {
                Transition::Free
            }
            _ => Transition::Impossible,
        }
    }

    /// Whether all objects of one entity are objects of the other.
    fn leads(&self, was: EntityId, is: EntityId) -> bool {
        self.new.entity_by_id(was).is_some_and(|entity| entity.is_a(is))
    }
}

/// Digits of the largest integer.
const INTEGER_DIGITS: u32 = 19;

enum Transition {
    Free,
    Checked(Check),
    Impossible,
}

/// Whether one bound is at most another one; what is not there is below all.
fn at_most(one: &Value, other: &Value) -> bool {
    !one.is_null() && !other.is_null() && one.order(other).is_some_and(std::cmp::Ordering::is_le)
}

/// A value as text; nothing where there is none.
fn plain(value: &Value) -> String {
    if value.is_null() { String::new() } else { value.to_string() }
}

/// A label that was given; the name serves where there is none.
fn own_label<'l>(label: &'l str, name: &str) -> &'l str {
    if label == name { "" } else { label }
}

fn full(entity: &Entity, member: &Member) -> String {
    format!("{}.{}", entity.name, member.name)
}

fn in_words(entity: &Entity, attribute: Option<AttributeId>) -> String {
    attribute.and_then(|id| entity.member_by_id(id)).map_or_else(String::new, |member| member.name.clone())
}

fn numbering(member: &Member) -> String {
    let Some(numbering) = &member.numbering else { return String::new() };
    let pattern = numbering.pattern.as_ref().map_or("", Pattern::text);
    format!("{} {pattern}", numbering.range).trim_end().to_owned()
}

/// A kind as schema files write it.
fn notation(kind: &Kind, schema: &Schema) -> String {
    match kind {
        Kind::String { max } => format!("string({max})"),
        Kind::Decimal { precision, scale } => format!("decimal({precision},{scale})"),
        Kind::Enum(words) => {
            let words: Vec<String> = words.iter().map(|word| format!("{};{}", word.id.0, word.name)).collect();
            format!("enum {}", words.join(";"))
        }
        Kind::ToOne { target, on_delete } => {
            let on_delete = match on_delete {
                super::OnDelete::Refuse => "",
                super::OnDelete::Clear => " onDelete clear",
                super::OnDelete::Cascade => " onDelete cascade",
            };
            format!("to-one {}{on_delete}", schema.entity_name(*target))
        }
        Kind::ToMany { target, .. } | Kind::Owners { target, .. } | Kind::ManyToMany { target } => {
            format!("{} {}", kind.name(), schema.entity_name(*target))
        }
        other => other.name().to_owned(),
    }
}
