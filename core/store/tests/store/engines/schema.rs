//! Random schemas: an abstract entity with two below it, one beside them, and relations of every kind between.

use std::collections::BTreeMap;

use mytism_core::schema::{BoundsDef, EntityDef, EnumWordDef, KindDef, MemberDef, OnDelete, Schema, SchemaDef};
use mytism_disk_under_test::Dice;

/// Names that are words of the language or of the engine, that differ in case only, or are no ASCII.
const ENTITIES: [&str; 10] =
    ["Order", "order", "Select", "Straße", "Ünder", "From", "table", "group", "Person", "instanceof"];
const ATTRIBUTES: [&str; 24] = [
    "select", "Select", "where", "order", "limit", "from", "in", "is", "null", "name", "Name", "Größe", "größe",
    "value", "text", "date", "count", "id", "rowid", "within", "a", "like", "ünder", "of",
];

fn member(id: u32, name: &str, kind: KindDef) -> MemberDef {
    let indexed = id.is_multiple_of(2) && matches!(kind, KindDef::Integer | KindDef::Date | KindDef::String { .. });
    MemberDef {
        id: Some(id),
        name: name.to_owned(),
        label: None,
        kind,
        not_null: false,
        unique: false,
        indexed,
        default: None,
        number: None,
        bounds: BoundsDef::default(),
        conflict: None,
    }
}

fn kind(dice: &mut Dice) -> KindDef {
    let word = |id, name: &str| EnumWordDef { id, name: name.to_owned(), label: None };
    match dice.below(19) {
        0 | 1 => KindDef::Text,
        2 => KindDef::String { max: 40 },
        3 | 4 => KindDef::Integer,
        5 => KindDef::Decimal { precision: 10, scale: 2 },
        6 => KindDef::Decimal { precision: 18, scale: 18 },
        7 => KindDef::Decimal { precision: 28, scale: 6 },
        8 => KindDef::Bool,
        9 | 10 => KindDef::Date,
        11 | 12 => KindDef::Datetime,
        13 | 14 => KindDef::Float,
        15 => KindDef::Time,
        16 => KindDef::Uuid,
        17 => KindDef::Json,
        _ => KindDef::Enum(vec![word(2, "open"), word(1, "closed")]),
    }
}

pub(super) fn random(dice: &mut Dice) -> Schema {
    let mut names: Vec<&str> = ATTRIBUTES.to_vec();
    let mut entities: Vec<&str> = ENTITIES.to_vec();
    let mut next = 0;
    let take = |from: &mut Vec<&'static str>, dice: &mut Dice| from.remove(dice.below(from.len()));
    let (whole, one, other, beside) =
        (take(&mut entities, dice), take(&mut entities, dice), take(&mut entities, dice), take(&mut entities, dice));
    let mut some = |count: usize, dice: &mut Dice| -> Vec<MemberDef> {
        let mut members = Vec::new();
        for _ in 0..count {
            next += 1;
            members.push(member(100 + next, take(&mut names, dice), kind(dice)));
        }
        members
    };
    let to_one = |target: &str| KindDef::ToOne { target: target.to_owned(), on_delete: OnDelete::Refuse };
    let to_many = |target: &str, by: &str| KindDef::ToMany { target: target.to_owned(), by: by.to_owned() };
    let mut members = some(3, dice);
    members.push(member(200, "Parent", to_one(whole)));
    members.push(member(201, "Children", to_many(whole, "Parent")));
    members.push(member(202, "Lines", to_many(beside, "Owner")));
    let entity = |id, name: &str, extends: Option<&str>, members| EntityDef {
        id: Some(id),
        name: name.to_owned(),
        extends: extends.map(str::to_owned),
        members,
        ..EntityDef::default()
    };
    let mut first = entity(10, whole, None, members);
    first.is_abstract = dice.below(2) == 0;
    let mut members = some(2, dice);
    members.push(member(210, "Boss", to_one(one)));
    let second = entity(11, one, Some(whole), members);
    let third = entity(12, other, Some(whole), some(2, dice));
    let mut members = some(4, dice);
    members.push(member(220, "Owner", to_one(whole)));
    members.push(member(
        221,
        "Tags",
        KindDef::ManyToMany { target: whole.to_owned(), inverse: Some("Tagged".to_owned()), inverse_id: Some(222) },
    ));
    let fourth = entity(13, beside, None, members);
    let entities = vec![first, second, third, fourth];
    Schema::new(SchemaDef { name: "random".to_owned(), version: "1".to_owned(), entities, ..SchemaDef::default() })
        .unwrap()
}

/// One entity with attributes of all kinds that functions take.
pub(super) fn wide() -> Schema {
    let decimal = |precision, scale| KindDef::Decimal { precision, scale };
    let kinds = [
        ("s", KindDef::Text),
        ("t", KindDef::Text),
        ("u", KindDef::Text),
        ("i", KindDef::Integer),
        ("j", KindDef::Integer),
        ("n", decimal(10, 2)),
        ("w", decimal(28, 6)),
        ("v", decimal(28, 20)),
        ("f", decimal(18, 18)),
        ("d", KindDef::Date),
        ("e", KindDef::Date),
        ("m", KindDef::Datetime),
        ("k", KindDef::Datetime),
        ("g", KindDef::Float),
        ("c", KindDef::Time),
        ("x", KindDef::Uuid),
        ("q", KindDef::Json),
        ("b", KindDef::Bool),
    ];
    let members = kinds.into_iter().zip(100..).map(|((name, kind), id)| member(id, name, kind)).collect();
    let entity = EntityDef { id: Some(10), name: "Wide".to_owned(), members, ..EntityDef::default() };
    Schema::new(SchemaDef {
        name: "wide".to_owned(),
        version: "1".to_owned(),
        entities: vec![entity],
        ..SchemaDef::default()
    })
    .unwrap()
}

/// Counts the names that are words of the language.
pub(super) fn note(schema: &Schema, count: &mut BTreeMap<&'static str, u32>) {
    const WORDS: [&str; 13] = [
        "select",
        "where",
        "order",
        "limit",
        "from",
        "in",
        "is",
        "null",
        "count",
        "within",
        "like",
        "group",
        "instanceof",
    ];
    let attributes = schema.entities().flat_map(|entity| entity.columns()).map(|member| &member.name);
    let names = schema.entities().map(|entity| &entity.name).chain(attributes);
    let words = names.filter(|name| WORDS.contains(&name.to_lowercase().as_str())).count();
    *count.entry("name that is a word of the language").or_default() += u32::try_from(words).unwrap();
}
