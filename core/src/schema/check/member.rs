//! What one attribute or relation holds: names looked up, limits kept, the default brought to its kind.

use std::cmp::Ordering;
use std::collections::HashSet;

use jiff::tz::TimeZone;

use super::name::{NAME_CHARS_MAX, quoted, suggestion};
use super::outline::Outline;
use super::{DefPath, Problems};
use crate::id::{AttributeId, EnumId};
use crate::input;
use crate::number::Pattern;
use crate::schema::{
    Bounds, ConflictRule, EntityDef, EnumWord, EnumWordDef, Kind, KindDef, Member, MemberDef, Numbering, OnDelete,
    TextPattern,
};
use crate::value::Value;

/// The most digits of a decimal.
const DECIMAL_DIGITS_MAX: u32 = 28;
/// The most characters of a string; what is longer is a text.
const STRING_CHARS_MAX: u32 = 16_384;
/// The most words of an enumeration.
const ENUM_WORDS_MAX: usize = 1_000;

/// Checks one member of the entity `index`; `None` where it holds nothing that could be named.
pub(super) fn checked(
    outline: &Outline<'_>,
    index: usize,
    entity: &EntityDef,
    member: &MemberDef,
    at: DefPath,
    problems: &mut Problems,
) -> Option<Member> {
    let mut place = Place { outline, index, entity, member, at, problems };
    let kind = place.kind()?;
    place.check_options(&kind);
    let default = place.default(&kind);
    let numbering = place.numbering(&kind);
    let bounds = place.bounds(&kind, &default);
    let conflict = place.conflict(&kind);
    Some(Member {
        id: AttributeId(member.id.unwrap_or_default()),
        name: member.name.clone(),
        label: member.label.clone().unwrap_or_else(|| member.name.clone()),
        not_null: member.not_null,
        unique: member.unique,
        indexed: member.indexed || member.unique || matches!(kind, Kind::ToOne { .. }),
        default,
        numbering,
        bounds,
        conflict,
        declared_in: outline.id(index),
        kind,
    })
}

/// A member, and all that is needed to speak about it.
struct Place<'p, 'a> {
    outline: &'p Outline<'a>,
    index: usize,
    entity: &'p EntityDef,
    member: &'p MemberDef,
    at: DefPath,
    problems: &'p mut Problems,
}

impl Place<'_, '_> {
    /// A problem with one XML attribute of this member; the message begins with the member's name.
    fn problem(&mut self, field: &'static str, message: impl FnOnce() -> String) {
        let (entity, member) = (&self.entity.name, &self.member.name);
        self.problems.add(self.at.field(field), || format!("{entity}.{member} {}", message()));
    }

    fn kind(&mut self) -> Option<Kind> {
        let member = self.member;
        match &member.kind {
            KindDef::String { max } => {
                if !(1..=STRING_CHARS_MAX).contains(max) {
                    self.problem("max", || {
                        format!(
                            "has max {max}; 1 … {STRING_CHARS_MAX} characters are possible, beyond that type=\"text\""
                        )
                    });
                }
                Some(Kind::String { max: *max })
            }
            KindDef::Text => Some(Kind::Text),
            KindDef::Integer => Some(Kind::Integer),
            KindDef::Decimal { precision, scale } => self.decimal(*precision, *scale),
            KindDef::Bool => Some(Kind::Bool),
            KindDef::Date => Some(Kind::Date),
            KindDef::Float => Some(Kind::Float),
            KindDef::Time => Some(Kind::Time),
            KindDef::Datetime => Some(Kind::Datetime),
            KindDef::Uuid => Some(Kind::Uuid),
            KindDef::Json => Some(Kind::Json),
            KindDef::Blob => Some(Kind::Blob),
            KindDef::Enum(words) => Some(Kind::Enum(self.words(words))),
            KindDef::ToOne { target, on_delete } => {
                if *on_delete == OnDelete::Clear && member.not_null {
                    self.problem("onDelete", || {
                        "is cleared when its target is deleted, but may not be empty".to_owned()
                    });
                }
                let (target, _) = self.target(target)?;
                Some(Kind::ToOne { target: self.outline.id(target), on_delete: *on_delete })
            }
            KindDef::ToMany { target, by } => self.far_side(target, by),
            KindDef::ManyToMany { target, .. } => {
                let (target, _) = self.target(target)?;
                Some(Kind::ManyToMany { target: self.outline.id(target) })
            }
        }
    }

    fn decimal(&mut self, precision: u32, scale: u32) -> Option<Kind> {
        if !(1..=DECIMAL_DIGITS_MAX).contains(&precision) {
            self.problem("precision", || format!("has {precision} digits; 1 … {DECIMAL_DIGITS_MAX} are possible"));
            return None;
        }
        if scale > precision {
            self.problem("scale", || format!("has {scale} digits after the point, but only {precision} in all"));
            return None;
        }
        Some(Kind::Decimal { precision, scale })
    }

    fn words(&mut self, words: &[EnumWordDef]) -> Vec<EnumWord> {
        if words.is_empty() || words.len() > ENUM_WORDS_MAX {
            self.problem("values", || format!("has {} words; 1 … {ENUM_WORDS_MAX} are possible", words.len()));
        }
        let (mut ids, mut names) = (HashSet::new(), HashSet::new());
        for word in words {
            let name = word.name.as_str();
            let odd = name.trim() != name || name.chars().any(char::is_control);
            if name.is_empty() || odd || name.chars().nth(NAME_CHARS_MAX).is_some() {
                self.problem("values", || {
                    format!(
                        "has the word {}; a word is 1 … {NAME_CHARS_MAX} characters, without blanks around",
                        quoted(name)
                    )
                });
            }
            if !names.insert(name) {
                self.problem("values", || format!("has the word {} twice", quoted(name)));
            }
            if !ids.insert(word.id) {
                self.problem("values", || format!("has the number {} twice", word.id));
            }
        }
        let checked = words.iter().map(|word| EnumWord {
            id: EnumId(word.id),
            name: word.name.clone(),
            label: word.label.clone().unwrap_or_else(|| word.name.clone()),
        });
        checked.collect()
    }

    fn target<'n>(&mut self, target: &'n str) -> Option<(usize, &'n str)> {
        let found = self.outline.entity(target);
        if found.is_none() {
            let outline = self.outline;
            self.problem("target", || {
                format!("leads to {}, which is no entity{}", quoted(target), outline.entity_suggestion(target))
            });
        }
        found.map(|(index, _)| (index, target))
    }

    fn far_side(&mut self, target: &str, by: &str) -> Option<Kind> {
        let (target, target_name) = self.target(target)?;
        let outline = self.outline;
        let back = outline.member(target, by).and_then(|member| match &member.kind {
            KindDef::ToOne { target, .. } => Some((member, target)),
            _ => None,
        });
        let Some((back, leads_to)) = back else {
            self.problem("by", || {
                let references = outline.members(target).filter(|member| matches!(member.kind, KindDef::ToOne { .. }));
                let suggestion = suggestion(by, references.map(|member| member.name.as_str()));
                format!("goes by {}, which is no to-one relation of {target_name}{suggestion}", quoted(by))
            });
            return None;
        };
        // What leads nowhere is a problem of that relation, not of this one.
        let (leads_to, _) = outline.entity(leads_to)?;
        if !outline.lineage(self.index).contains(&leads_to) {
            let elsewhere = outline.def.entities.get(leads_to).map_or("", |entity| &entity.name);
            let here = &self.entity.name;
            self.problem("by", || format!("goes by {target_name}.{by}, which leads to {elsewhere}, not to {here}"));
        }
        Some(Kind::ToMany { target: outline.id(target), by: AttributeId(back.id.unwrap_or_default()) })
    }

    fn check_options(&mut self, kind: &Kind) {
        let member = self.member;
        if !kind.is_column() {
            for (field, set) in [("notNull", member.not_null), ("unique", member.unique), ("indexed", member.indexed)] {
                if set {
                    self.problem(field, || format!("is {field}, which no {} relation can be", kind.name()));
                }
            }
        }
        if member.unique && matches!(kind, Kind::Text) {
            self.problem("unique", || "is a text, which cannot be unique; a string can".to_owned());
        }
        if matches!(kind, Kind::Blob | Kind::Json) {
            let has_default = member.default.is_some() && matches!(kind, Kind::Blob);
            let options = [("unique", member.unique), ("indexed", member.indexed), ("default", has_default)];
            for (field, _) in options.into_iter().filter(|(_, set)| *set) {
                self.problem(field, || format!("has {field}, which goes with no {}", kind.name()));
            }
        }
    }

    /// The rule for conflicts: its own one, else that of the entity.
    fn conflict(&mut self, kind: &Kind) -> ConflictRule {
        let rule = self.member.conflict;
        if rule.is_some() && !kind.is_column() {
            self.problem("conflict", || {
                "holds many objects, which are merged one by one; no rule goes with it".to_owned()
            });
        } else if rule == Some(ConflictRule::Sum) && !matches!(kind, Kind::Integer | Kind::Decimal { .. }) {
            self.problem("conflict", || {
                format!("is a {}, of which there is no sum; an integer or a decimal has one", kind.name())
            });
        }
        rule.or(self.entity.conflict).unwrap_or_default()
    }

    /// What values must keep to; the default must too.
    fn bounds(&mut self, kind: &Kind, default: &Value) -> Bounds {
        let member = self.member;
        let (min, max) = (
            self.bound(kind, "min", member.bounds.min.as_deref()),
            self.bound(kind, "max", member.bounds.max.as_deref()),
        );
        if min.order(&max).is_some_and(Ordering::is_gt) && !min.is_null() {
            self.problem("max", || {
                format!("has the least value {min} and the greatest one {max}, so that nothing fits")
            });
        }
        let is_text = matches!(kind, Kind::String { .. } | Kind::Text);
        let pattern = match member.bounds.pattern.as_deref().map(TextPattern::parse) {
            None => None,
            Some(_) if !is_text => {
                self.problem("pattern", || {
                    format!("is a {}, which no pattern goes with; a string or a text has one", kind.name())
                });
                None
            }
            Some(Ok(pattern)) => Some(pattern),
            Some(Err(problem)) => {
                self.problem("pattern", || format!("has a pattern that is not understood: {problem}"));
                None
            }
        };
        let bounds = Bounds { min, max, pattern };
        if let Err(misfit) = bounds.check(default) {
            self.problem("default", || format!("has a default that does not fit: {misfit}"));
        }
        bounds
    }

    fn bound(&mut self, kind: &Kind, field: &'static str, text: Option<&str>) -> Value {
        let Some(text) = text else { return Value::Null };
        let has_bounds = matches!(
            kind,
            Kind::Integer | Kind::Decimal { .. } | Kind::Float | Kind::Date | Kind::Time | Kind::Datetime
        );
        if !has_bounds {
            self.problem(field, || format!("has {field}, which goes with numbers, days and times alone"));
            return Value::Null;
        }
        match input::from_text(kind, text, &TimeZone::UTC) {
            Ok(value) if !value.is_null() => value,
            Ok(_) => {
                self.problem(field, || format!("has an empty {field}; leave it out"));
                Value::Null
            }
            Err(misfit) => {
                self.problem(field, || format!("has a {field} that does not fit: {misfit}"));
                Value::Null
            }
        }
    }

    fn numbering(&mut self, kind: &Kind) -> Option<Numbering> {
        let member = self.member;
        let number = member.number.as_ref()?;
        let max = match kind {
            Kind::Integer => None,
            Kind::String { max } => Some(*max as usize),
            _ => {
                self.problem("number", || {
                    format!("is a {}, which holds no number of a range; an integer or a string does", kind.name())
                });
                return None;
            }
        };
        if member.default.is_some() {
            self.problem("default", || {
                "has a default, so it would never get a number; leave one of them out".to_owned()
            });
        }
        let pattern = match (&number.pattern, max) {
            (None, None) => return Some(Numbering { range: number.range.clone(), pattern: None }),
            (Some(_), None) => {
                self.problem("pattern", || "is an integer, which holds the number without a pattern".to_owned());
                return None;
            }
            (text, Some(max)) => Pattern::parse(text.as_deref().unwrap_or("{n}")).map(|pattern| (pattern, max)),
        };
        match pattern {
            Ok((pattern, max)) => {
                if pattern.length_min() > max {
                    let least = pattern.length_min();
                    self.problem("pattern", || format!("has a pattern of at least {least} characters, {max} fit"));
                }
                Some(Numbering { range: number.range.clone(), pattern: Some(pattern) })
            }
            Err(problem) => {
                self.problem("pattern", || format!("has a pattern that is not understood: {problem}"));
                None
            }
        }
    }

    fn default(&mut self, kind: &Kind) -> Value {
        let member = self.member;
        let Some(text) = &member.default else { return Value::Null };
        if matches!(kind, Kind::Blob) {
            return Value::Null;
        }
        if matches!(kind, Kind::ToOne { .. }) || !kind.is_column() {
            self.problem("default", || "is a relation, which has no default".to_owned());
            return Value::Null;
        }
        match input::from_text(kind, text, &TimeZone::UTC) {
            Ok(value) => value,
            Err(misfit) => {
                self.problem("default", || format!("has a default that does not fit: {misfit}"));
                Value::Null
            }
        }
    }
}
