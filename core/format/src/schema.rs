//! A schema as bytes: the body of a leaf of the transaction that introduces it, so that it travels, is ordered and is
//! hashed like everything else.
//!
//! Lists stand as bytes in a field: each element with its length (u32 big-endian) before it.

use mytism_core::schema::{
    BoundsDef, ConflictRule, EntityDef, EnumWordDef, GivenIds, KindDef, MemberDef, NumberDef, OnDelete, SchemaDef,
};

use crate::FormatError;
use crate::map::{MapReader, MapWriter};

/// Bytes of one schema, far more than real ones take. Small parts take up to twenty times as much in memory as here, so
/// there must be an end before [`mytism_core::schema::Schema`] looks at their number.
pub const BYTES_MAX: usize = 16 << 20;
const TOO_LARGE: FormatError = FormatError::TooLarge { what: "a schema", limit: "16 MiB" };

/// The body for a schema.
///
/// # Errors
/// When it is larger than [`BYTES_MAX`].
pub fn write(schema: &SchemaDef) -> Result<Vec<u8>, FormatError> {
    let entities = list(schema.entities.iter().map(write_entity))?;
    let given = [("ge", schema.given.entity), ("gm", schema.given.member)]
        .map(|(key, id)| (key, Some(id).filter(|id| *id > 0)));
    let mut map = Fields::new(3 + given.iter().filter(|(_, id)| id.is_some()).count());
    given.into_iter().for_each(|(key, id)| map.number(key, id));
    let body = map.0.text("n", &schema.name).text("v", &schema.version).binary("e", &entities).finish();
    if body.len() > BYTES_MAX { Err(TOO_LARGE) } else { Ok(body) }
}

/// Reads a schema. That the parts fit together is for [`mytism_core::schema::Schema`] to check.
///
/// # Errors
/// When the bytes are no schema, are larger than [`BYTES_MAX`], or it uses a kind of attribute that this program does
/// not know.
pub fn read(body: &[u8]) -> Result<SchemaDef, FormatError> {
    if body.len() > BYTES_MAX {
        return Err(TOO_LARGE);
    }
    let fields = MapReader::new("a schema", body)?;
    Ok(SchemaDef {
        name: fields.text("n")?.to_owned(),
        version: fields.text("v")?.to_owned(),
        entities: elements(fields.binary("e")?).map(|body| read_entity(body?)).collect::<Result<_, _>>()?,
        given: GivenIds {
            entity: fields.number_if("ge")?.unwrap_or_default(),
            member: fields.number_if("gm")?.unwrap_or_default(),
        },
    })
}

fn write_entity(entity: &EntityDef) -> Result<Vec<u8>, FormatError> {
    let optional = [&entity.extends, &entity.label, &entity.key, &entity.display];
    let mut map = Fields::new(
        3 + optional.iter().filter(|text| text.is_some()).count()
            + usize::from(entity.id.is_some())
            + usize::from(entity.conflict.is_some()),
    );
    map.number("i", entity.id);
    map.text("x", entity.extends.as_deref());
    map.text("lb", entity.label.as_deref());
    map.text("k", entity.key.as_deref());
    map.text("d", entity.display.as_deref());
    map.number("cf", entity.conflict.map(rule_number));
    let members = list(entity.members.iter().map(write_member))?;
    Ok(map.0.text("n", &entity.name).boolean("ab", entity.is_abstract).binary("m", &members).finish())
}

fn read_entity(body: &[u8]) -> Result<EntityDef, FormatError> {
    let fields = MapReader::new("an entity", body)?;
    let text = |key| fields.text_if(key).map(|text| text.map(str::to_owned));
    Ok(EntityDef {
        id: fields.number_if("i")?,
        name: fields.text("n")?.to_owned(),
        extends: text("x")?,
        is_abstract: fields.boolean("ab")?,
        label: text("lb")?,
        key: text("k")?,
        display: text("d")?,
        conflict: read_rule(&fields)?,
        members: elements(fields.binary("m")?).map(|body| read_member(body?)).collect::<Result<_, _>>()?,
    })
}

fn write_member(member: &MemberDef) -> Result<Vec<u8>, FormatError> {
    let number = member.number.as_ref();
    let pattern = number.and_then(|number| number.pattern.as_deref());
    let optional = [
        member.id.is_some(),
        member.label.is_some(),
        member.default.is_some(),
        number.is_some(),
        member.conflict.is_some(),
        member.bounds.min.is_some(),
        member.bounds.max.is_some(),
        member.bounds.pattern.is_some(),
    ];
    let present = optional.into_iter().filter(|present| *present).count() + usize::from(pattern.is_some());
    let mut map = Fields::new(5 + present);
    map.number("i", member.id);
    map.text("lb", member.label.as_deref());
    map.text("df", member.default.as_deref());
    map.text("nr", number.map(|number| number.range.as_str()));
    map.text("np", pattern);
    map.text("mi", member.bounds.min.as_deref());
    map.text("ma", member.bounds.max.as_deref());
    map.text("pa", member.bounds.pattern.as_deref());
    map.number("cf", member.conflict.map(rule_number));
    let kind = write_kind(&member.kind)?;
    Ok(map
        .0
        .text("n", &member.name)
        .binary("k", &kind)
        .boolean("nn", member.not_null)
        .boolean("u", member.unique)
        .boolean("ix", member.indexed)
        .finish())
}

fn read_member(body: &[u8]) -> Result<MemberDef, FormatError> {
    let fields = MapReader::new("a member", body)?;
    Ok(MemberDef {
        id: fields.number_if("i")?,
        name: fields.text("n")?.to_owned(),
        label: fields.text_if("lb")?.map(str::to_owned),
        kind: read_kind(fields.binary("k")?)?,
        not_null: fields.boolean("nn")?,
        unique: fields.boolean("u")?,
        indexed: fields.boolean("ix")?,
        default: fields.text_if("df")?.map(str::to_owned),
        number: match fields.text_if("nr")? {
            Some(range) => {
                Some(NumberDef { range: range.to_owned(), pattern: fields.text_if("np")?.map(str::to_owned) })
            }
            None => None,
        },
        bounds: BoundsDef {
            min: fields.text_if("mi")?.map(str::to_owned),
            max: fields.text_if("ma")?.map(str::to_owned),
            pattern: fields.text_if("pa")?.map(str::to_owned),
        },
        conflict: read_rule(&fields)?,
    })
}

/// As in the records of conflicts; 4 is kept for `script`.
const fn rule_number(rule: ConflictRule) -> u32 {
    match rule {
        ConflictRule::Authoritative => 1,
        ConflictRule::Branch => 2,
        ConflictRule::Later => 3,
        ConflictRule::Sum => 5,
    }
}

fn read_rule(fields: &MapReader<'_>) -> Result<Option<ConflictRule>, FormatError> {
    Ok(match fields.number_if::<u32>("cf")? {
        None => None,
        Some(1) => Some(ConflictRule::Authoritative),
        Some(2) => Some(ConflictRule::Branch),
        Some(3) => Some(ConflictRule::Later),
        Some(5) => Some(ConflictRule::Sum),
        Some(_) => return Err(fields.invalid("cf")),
    })
}

/// Kinds are told apart by a number that is never used again: 1 string, 2 text, 3 integer, 4 decimal, 5 bool, 6 date,
/// 7 datetime, 8 enum, 9 blob, 10 float, 11 time, 12 uuid, 13 json, 20 to-one, 21 to-many, 22 many-to-many.
fn write_kind(kind: &KindDef) -> Result<Vec<u8>, FormatError> {
    let plain = |number| MapWriter::new(1).unsigned("t", number).finish();
    Ok(match kind {
        KindDef::String { max } => MapWriter::new(2).unsigned("t", 1).unsigned("mx", u64::from(*max)).finish(),
        KindDef::Text => plain(2),
        KindDef::Integer => plain(3),
        KindDef::Decimal { precision, scale } => MapWriter::new(3)
            .unsigned("t", 4)
            .unsigned("p", u64::from(*precision))
            .unsigned("s", u64::from(*scale))
            .finish(),
        KindDef::Bool => plain(5),
        KindDef::Date => plain(6),
        KindDef::Datetime => plain(7),
        KindDef::Blob => plain(9),
        KindDef::Float => plain(10),
        KindDef::Time => plain(11),
        KindDef::Uuid => plain(12),
        KindDef::Json => plain(13),
        KindDef::Enum(words) => {
            MapWriter::new(2).unsigned("t", 8).binary("w", &list(words.iter().map(write_word))?).finish()
        }
        KindDef::ToOne { target, on_delete } => {
            let on_delete = match on_delete {
                OnDelete::Refuse => 0,
                OnDelete::Clear => 1,
                OnDelete::Cascade => 2,
            };
            MapWriter::new(3).unsigned("t", 20).text("to", target).unsigned("od", on_delete).finish()
        }
        KindDef::ToMany { target, by } => {
            MapWriter::new(3).unsigned("t", 21).text("to", target).text("by", by).finish()
        }
        KindDef::ManyToMany { target, inverse, inverse_id } => {
            let present = usize::from(inverse.is_some()) + usize::from(inverse_id.is_some());
            let mut map = Fields::new(2 + present);
            map.text("in", inverse.as_deref());
            map.number("ii", *inverse_id);
            map.0.unsigned("t", 22).text("to", target).finish()
        }
    })
}

fn read_kind(body: &[u8]) -> Result<KindDef, FormatError> {
    let fields = MapReader::new("a kind of attribute", body)?;
    let target = || fields.text("to").map(str::to_owned);
    Ok(match fields.number::<u32>("t")? {
        1 => KindDef::String { max: fields.number("mx")? },
        2 => KindDef::Text,
        3 => KindDef::Integer,
        4 => KindDef::Decimal { precision: fields.number("p")?, scale: fields.number("s")? },
        5 => KindDef::Bool,
        6 => KindDef::Date,
        7 => KindDef::Datetime,
        9 => KindDef::Blob,
        10 => KindDef::Float,
        11 => KindDef::Time,
        12 => KindDef::Uuid,
        13 => KindDef::Json,
        8 => KindDef::Enum(elements(fields.binary("w")?).map(|body| read_word(body?)).collect::<Result<_, _>>()?),
        20 => KindDef::ToOne {
            target: target()?,
            on_delete: match fields.number::<u32>("od")? {
                0 => OnDelete::Refuse,
                1 => OnDelete::Clear,
                2 => OnDelete::Cascade,
                _ => return Err(fields.invalid("od")),
            },
        },
        21 => KindDef::ToMany { target: target()?, by: fields.text("by")?.to_owned() },
        22 => KindDef::ManyToMany {
            target: target()?,
            inverse: fields.text_if("in")?.map(str::to_owned),
            inverse_id: fields.number_if("ii")?,
        },
        _ => return Err(FormatError::Newer { what: "a kind of attribute" }),
    })
}

fn write_word(word: &EnumWordDef) -> Result<Vec<u8>, FormatError> {
    let mut map = Fields::new(2 + usize::from(word.label.is_some()));
    map.text("lb", word.label.as_deref());
    Ok(map.0.unsigned("i", u64::from(word.id)).text("n", &word.name).finish())
}

fn read_word(body: &[u8]) -> Result<EnumWordDef, FormatError> {
    let fields = MapReader::new("a word", body)?;
    Ok(EnumWordDef {
        id: fields.number("i")?,
        name: fields.text("n")?.to_owned(),
        label: fields.text_if("lb")?.map(str::to_owned),
    })
}

/// A map in which some fields may be missing.
struct Fields(MapWriter);

impl Fields {
    fn new(count: usize) -> Self {
        Self(MapWriter::new(u32::try_from(count).unwrap_or(u32::MAX)))
    }

    fn text(&mut self, key: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.0 = std::mem::replace(&mut self.0, MapWriter::new(0)).text(key, text);
        }
    }

    fn number(&mut self, key: &str, number: Option<u32>) {
        if let Some(number) = number {
            self.0 = std::mem::replace(&mut self.0, MapWriter::new(0)).unsigned(key, u64::from(number));
        }
    }
}

fn list(elements: impl Iterator<Item = Result<Vec<u8>, FormatError>>) -> Result<Vec<u8>, FormatError> {
    let mut bytes = Vec::new();
    for element in elements {
        let element = element?;
        let length = u32::try_from(element.len())
            .map_err(|_| FormatError::TooLarge { what: "a part of a schema", limit: "4 GiB" })?;
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(&element);
    }
    Ok(bytes)
}

fn elements(bytes: &[u8]) -> impl Iterator<Item = Result<&[u8], FormatError>> {
    let mut rest = Some(bytes);
    std::iter::from_fn(move || {
        let bytes = rest.take().filter(|bytes| !bytes.is_empty())?;
        let parted = bytes
            .split_first_chunk::<4>()
            .and_then(|(length, behind)| behind.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?));
        match parted {
            Some((element, behind)) => {
                rest = Some(behind);
                Some(Ok(element))
            }
            None => Some(Err(FormatError::Truncated { what: "a list in a schema" })),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_reads_as_it_was_written() {
        let member = |name: &str, kind| MemberDef {
            id: Some(10_000),
            name: name.into(),
            label: None,
            kind,
            not_null: true,
            unique: false,
            indexed: true,
            default: Some("x".into()),
            number: None,
            bounds: BoundsDef::default(),
            conflict: None,
        };
        let numbered = |pattern: Option<&str>| MemberDef {
            number: Some(NumberDef { range: "Invoices".into(), pattern: pattern.map(Into::into) }),
            ..member("Number", KindDef::String { max: 40 })
        };
        let ruled = ConflictRule::ALL
            .into_iter()
            .map(|(_, rule)| MemberDef { conflict: Some(rule), ..member("Number", KindDef::Integer) });
        let words = vec![EnumWordDef { id: 1, name: "open".into(), label: Some("offen".into()) }];
        let kinds = vec![
            KindDef::String { max: 40 },
            KindDef::Text,
            KindDef::Integer,
            KindDef::Decimal { precision: 28, scale: 4 },
            KindDef::Bool,
            KindDef::Date,
            KindDef::Datetime,
            KindDef::Blob,
            KindDef::Float,
            KindDef::Time,
            KindDef::Uuid,
            KindDef::Json,
            KindDef::Enum(words),
            KindDef::ToOne { target: "Other".into(), on_delete: OnDelete::Cascade },
            KindDef::ToMany { target: "Other".into(), by: "One".into() },
            KindDef::ManyToMany { target: "Other".into(), inverse: Some("Owners".into()), inverse_id: Some(4) },
            KindDef::ManyToMany { target: "Other".into(), inverse: None, inverse_id: None },
        ];
        let schema = SchemaDef {
            name: "trade".into(),
            version: "1".into(),
            entities: vec![
                EntityDef {
                    id: Some(10_000),
                    name: "Größe".into(),
                    extends: Some("Other".into()),
                    is_abstract: true,
                    label: None,
                    key: Some("Name".into()),
                    display: None,
                    conflict: None,
                    members: kinds.into_iter().map(|kind| member("Name", kind)).collect(),
                },
                EntityDef {
                    name: "Other".into(),
                    conflict: Some(ConflictRule::Later),
                    members: [numbered(None), numbered(Some("R-{n:06}"))].into_iter().chain(ruled).collect(),
                    ..EntityDef::default()
                },
            ],
            given: GivenIds { entity: 10_007, member: 10_900 },
        };
        let bytes = write(&schema).unwrap();
        assert_eq!(read(&bytes), Ok(schema));
        for cut in 0..bytes.len() {
            assert!(read(&bytes[..cut]).is_err(), "{cut}");
        }
    }
}
