//! Random objects with the values that are hard to compare, in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

use jiff::tz::TimeZone;
use mytism_core::id::{AttributeId, EntityId, ObjectId};
use mytism_core::input::from_text;
use mytism_core::query::Objects;
use mytism_core::schema::{Kind, Schema};
use mytism_core::value::Value;
use mytism_disk_under_test::Dice;

pub(super) const TEXTS: [&str; 20] = [
    "", " ", "a", "A", "a ", "A ", "b", "ß", "ss", "SS", "İ", "i̇", "q\u{301}", "é", "😀", "a%b", "a_b", "a\\b",
    "Ärger", "12.50",
];
pub(super) const INTEGERS: [&str; 9] =
    ["0", "1", "-1", "2", "5", "9223372036854775807", "-9223372036854775808", "1234567890123456789", "100"];
pub(super) const DAYS: [&str; 8] =
    ["2024-02-29", "2023-02-28", "0001-01-01", "9999-12-31", "2026-03-29", "2026-10-25", "1999-12-31", "2024-03-01"];
pub(super) const MOMENTS: [&str; 8] = [
    "2026-03-29T00:59:59Z",
    "2026-03-29T01:00:00Z",
    "2026-10-25T00:30:00Z",
    "2026-10-25T01:30:00Z",
    "0001-01-02T00:00:00Z",
    "9999-12-30T00:00:00Z",
    "2024-02-29T23:30:00Z",
    "1970-01-01T00:00:00.000001Z",
];

pub(super) const FLOATS: [&str; 10] = [
    "0",
    "0.1",
    "-2.5",
    "1e300",
    "5e-324",
    "9007199254740992",
    "1e17",
    "0.00001",
    "5.684341886080802e-14",
    "-123456.789",
];
pub(super) const TIMES: [&str; 5] = ["00:00:00", "23:59:59.999999", "12:30:00", "12:30:00.5", "02:30:00"];
pub(super) const UUIDS: [&str; 3] = [
    "00000000-0000-0000-0000-000000000000",
    "ffffffff-ffff-4fff-bfff-ffffffffffff",
    "6ba7b810-9dad-11d1-80b4-00c04fd430c8",
];
const JSONS: [&str; 5] = ["{\"b\":1,\"a\":[null,2.50]}", "[]", "\"ß\"", "1e3", "false"];

/// What is hard about values, and about names.
pub(super) const HARD: [&str; 19] = [
    "nothing",
    "empty text",
    "blank at the end",
    "ß",
    "İ",
    "combining mark",
    "emoji",
    "whole number of 19 digits",
    "decimal with all its digits",
    "smallest decimal",
    "29 February",
    "hour beside a clock change",
    "first or last day",
    "float at the edge",
    "float that is a power of 2",
    "time with a fraction",
    "uuid",
    "json",
    "name that is a word of the language",
];

/// What is hard about a value.
fn hard(kind: &Kind, value: &Value) -> Vec<&'static str> {
    let mut found = Vec::new();
    let mut note = |is: bool, what: &'static str| {
        if is {
            found.push(what);
        }
    };
    let shown = value.to_string();
    note(value.is_null(), "nothing");
    if let Value::Text(text) = value {
        note(text.is_empty(), "empty text");
        note(text.ends_with(' '), "blank at the end");
        note(text.contains('ß'), "ß");
        note(text.contains('İ'), "İ");
        note(text.contains(['\u{301}', '\u{307}']), "combining mark");
        note(text.contains('😀'), "emoji");
    }
    note(matches!(value, Value::Integer(_)) && shown.trim_start_matches('-').len() == 19, "whole number of 19 digits");
    if let (Value::Decimal(number), Kind::Decimal { precision, .. }) = (value, kind) {
        note(number.mantissa().unsigned_abs().to_string().len() == *precision as usize, "decimal with all its digits");
        note(number.mantissa().abs() == 1, "smallest decimal");
    }
    note(matches!(value, Value::Date(_)) && shown.ends_with("-02-29"), "29 February");
    note(["0001-01-01", "9999-12-31"].contains(&shown.as_str()), "first or last day");
    note(shown.starts_with("2026-03-29T0") || shown.starts_with("2026-10-25T0"), "hour beside a clock change");
    note(matches!(value, Value::Float(_)) && ["1e300", "5e-324"].contains(&shown.as_str()), "float at the edge");
    note(shown == "9007199254740992" || shown == "5.684341886080802e-14", "float that is a power of 2");
    note(matches!(value, Value::Time(_)) && shown.contains('.'), "time with a fraction");
    note(matches!(value, Value::Uuid(_)), "uuid");
    note(matches!(value, Value::Json(_)), "json");
    found
}

pub(super) struct Object {
    pub(super) entity: EntityId,
    pub(super) deleted: bool,
    pub(super) values: BTreeMap<AttributeId, Value>,
}

pub(super) struct Data {
    pub(super) objects: BTreeMap<ObjectId, Object>,
    pub(super) sets: BTreeSet<(AttributeId, ObjectId, ObjectId)>,
    /// What a relation that holds nothing itself is the other side of: whether by a set, and which attribute.
    inverse: BTreeMap<AttributeId, (bool, AttributeId)>,
}

/// A decimal at the edge of its kind.
fn decimal(precision: u32, scale: u32, dice: &mut Dice) -> String {
    let mut digits = match dice.below(5) {
        0 => "9".repeat(precision as usize),
        1 => "1".to_owned(),
        2 => format!("{}5", "0".repeat(scale as usize)),
        3 => "0".to_owned(),
        _ => "1999".to_owned(),
    };
    while digits.len() <= scale as usize {
        digits.insert(0, '0');
    }
    digits.insert(digits.len() - scale as usize, '.');
    let sign = if dice.below(3) == 0 { "-" } else { "" };
    format!("{sign}{}", digits.trim_end_matches('.'))
}

fn pick<'a>(from: &[&'a str], dice: &mut Dice) -> &'a str {
    from[dice.below(from.len())]
}

fn value(kind: &Kind, dice: &mut Dice) -> Value {
    if dice.below(5) == 0 {
        return Value::Null;
    }
    let text = match kind {
        Kind::Text | Kind::String { .. } => pick(&TEXTS, dice).to_owned(),
        Kind::Integer => pick(&INTEGERS, dice).to_owned(),
        Kind::Decimal { precision, scale } => decimal(*precision, *scale, dice),
        Kind::Bool => pick(&["true", "false"], dice).to_owned(),
        Kind::Date => pick(&DAYS, dice).to_owned(),
        Kind::Datetime => pick(&MOMENTS, dice).to_owned(),
        Kind::Enum(_) => pick(&["open", "closed"], dice).to_owned(),
        Kind::Float => pick(&FLOATS, dice).to_owned(),
        Kind::Time => pick(&TIMES, dice).to_owned(),
        Kind::Uuid => pick(&UUIDS, dice).to_owned(),
        Kind::Json => pick(&JSONS, dice).to_owned(),
        _ => return Value::Null,
    };
    from_text(kind, &text, &TimeZone::UTC).unwrap_or_else(|misfit| panic!("{kind:?} {text}: {misfit}"))
}

/// What relations that hold nothing themselves are the other side of.
fn inverse(schema: &Schema) -> BTreeMap<AttributeId, (bool, AttributeId)> {
    let members = schema.entities().flat_map(|entity| &entity.members);
    let known = members.filter_map(|member| match &member.kind {
        Kind::ToMany { by, .. } => Some((member.id, (false, *by))),
        Kind::Owners { by, .. } => Some((member.id, (true, *by))),
        _ => None,
    });
    known.collect()
}

impl Data {
    pub(super) fn random(schema: &Schema, dice: &mut Dice) -> Self {
        let count = 5 + dice.below(16);
        Self::sized(schema, count, dice)
    }

    /// So many objects.
    pub(super) fn sized(schema: &Schema, count: usize, dice: &mut Dice) -> Self {
        let concrete: Vec<EntityId> =
            schema.entities().filter(|entity| !entity.is_abstract).map(|entity| entity.id).collect();
        let id = |number: usize| ObjectId::new(1_048_576 + i64::try_from(number).unwrap()).unwrap();
        let kinds: Vec<EntityId> = (0..count).map(|_| concrete[dice.below(concrete.len())]).collect();
        let mut data = Self { objects: BTreeMap::new(), sets: BTreeSet::new(), inverse: BTreeMap::new() };
        for (number, entity) in kinds.iter().enumerate() {
            let mut values = BTreeMap::new();
            for member in schema.entity_by_id(*entity).unwrap().columns() {
                let held = match member.kind.target() {
                    // Some references lead nowhere.
                    Some(_) if dice.below(8) == 0 => Value::Reference(id(9_999)),
                    Some(target) => {
                        let fits = |at: &usize| schema.entity_by_id(kinds[*at]).unwrap().is_a(target);
                        let fitting: Vec<usize> = (0..count).filter(fits).collect();
                        let some = (!fitting.is_empty() && dice.below(5) > 0).then(|| dice.below(fitting.len()));
                        some.map_or(Value::Null, |at| Value::Reference(id(fitting[at])))
                    }
                    None => value(&member.kind, dice),
                };
                values.insert(member.id, held);
            }
            let deleted = dice.below(6) == 0;
            data.objects.insert(id(number), Object { entity: *entity, deleted, values });
            for set in schema.entity_by_id(*entity).unwrap().sets() {
                for _ in 0..dice.below(4) {
                    let target = set.kind.target().unwrap();
                    let element = dice.below(count);
                    if schema.entity_by_id(kinds[element]).unwrap().is_a(target) {
                        data.sets.insert((set.id, id(number), id(element)));
                    }
                }
            }
        }
        data.inverse = inverse(schema);
        data
    }

    /// Of objects that are known.
    pub(super) fn of_objects(
        schema: &Schema,
        objects: BTreeMap<ObjectId, Object>,
        sets: BTreeSet<(AttributeId, ObjectId, ObjectId)>,
    ) -> Self {
        Self { objects, sets, inverse: inverse(schema) }
    }

    /// The objects of an entity that are not deleted.
    pub(super) fn of<'a>(&'a self, schema: &Schema, entity: EntityId) -> impl Iterator<Item = ObjectId> + 'a {
        let concrete = schema.entity_by_id(entity).unwrap().concrete.clone();
        let found = self.objects.iter().filter(move |(_, object)| !object.deleted && concrete.contains(&object.entity));
        found.map(|(id, _)| *id)
    }

    /// Counts what is hard to compare.
    pub(super) fn note(&self, schema: &Schema, count: &mut BTreeMap<&'static str, u32>) {
        for object in self.objects.values() {
            for member in schema.entity_by_id(object.entity).unwrap().columns() {
                for hard in hard(&member.kind, &object.values[&member.id]) {
                    *count.entry(hard).or_default() += 1;
                }
            }
        }
    }
}

impl Objects for Data {
    type Error = Infallible;

    fn entity(&self, object: ObjectId) -> Result<Option<EntityId>, Infallible> {
        Ok(self.objects.get(&object).map(|found| found.entity))
    }

    fn value(&self, object: ObjectId, attribute: AttributeId) -> Result<Value, Infallible> {
        let found = self.objects.get(&object).and_then(|found| found.values.get(&attribute));
        Ok(found.cloned().unwrap_or_default())
    }

    fn elements(&self, object: ObjectId, relation: AttributeId) -> Result<Vec<ObjectId>, Infallible> {
        let found: BTreeSet<ObjectId> = match self.inverse.get(&relation) {
            None => self.sets.iter().filter(|set| set.0 == relation && set.1 == object).map(|set| set.2).collect(),
            Some((true, by)) => {
                self.sets.iter().filter(|set| set.0 == *by && set.2 == object).map(|set| set.1).collect()
            }
            Some((false, by)) => {
                let refers = |found: &Object| found.values.get(by) == Some(&Value::Reference(object));
                self.objects.iter().filter(|(_, found)| refers(found)).map(|(id, _)| *id).collect()
            }
        };
        Ok(found.into_iter().filter(|id| self.objects.get(id).is_some_and(|found| !found.deleted)).collect())
    }
}
