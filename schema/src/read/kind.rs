//! What an attribute or a relation holds: its `type`, and the XML attributes that go with this type.

use mytism_core::schema::{DefPath, EnumWordDef, KindDef, OnDelete};
use roxmltree::Node;

use super::{Draft, InFile, elements, id};
use crate::words::{Words, cut, hint};

/// Characters of a string that does not say.
const STRING_MAX_DEFAULT: u32 = 255;
/// Types of attributes, in the order in which they are listed.
const ATTRIBUTE_TYPES: [&str; 13] = [
    "string", "text", "integer", "decimal", "float", "bool", "date", "time", "datetime", "uuid", "json", "blob", "enum",
];
/// Types of relations.
const RELATION_TYPES: [&str; 3] = ["to-one", "to-many", "many-to-many"];
/// What happens when the target of a reference is deleted.
const ON_DELETE: [(&str, OnDelete); 3] =
    [("refuse", OnDelete::Refuse), ("clear", OnDelete::Clear), ("cascade", OnDelete::Cascade)];

/// What an `<Attribute>` holds.
pub(super) fn of_attribute(
    node: Node<'_, '_>,
    words: &mut Words<'_, '_, '_>,
    file: InFile,
    at: DefPath,
) -> Option<KindDef> {
    let typed = words.required("type");
    let (name, numbers) = match typed.as_deref().map(arguments) {
        Some(Some(parts)) => parts,
        Some(None) => {
            let given = cut(typed.as_deref().unwrap_or_default());
            words.problem(
                "type",
                format!("type=\"{given}\" is not understood; write it like string(40) or decimal(10,2)"),
            );
            return None;
        }
        None => return None,
    };
    if name != "enum" {
        no_elements(node, file, words.draft);
    }
    if ATTRIBUTE_TYPES.contains(&name) {
        words.called = format!("Attribute of type {name}");
    }
    match (name, numbers.as_slice()) {
        ("string", []) => {
            let max = words.number("max");
            Some(KindDef::String { max: max.unwrap_or(STRING_MAX_DEFAULT) })
        }
        ("string", [max]) => Some(KindDef::String { max: *max }),
        ("decimal", []) => {
            let (precision, scale) = (words.number("precision"), words.number("scale"));
            if precision.is_none() && !words.broken {
                words.problem("type", "a decimal needs its digits; write decimal(10,2)".to_owned());
            }
            precision.map(|precision| KindDef::Decimal { precision, scale: scale.unwrap_or(0) })
        }
        ("decimal", [precision]) => Some(KindDef::Decimal { precision: *precision, scale: 0 }),
        ("decimal", [precision, scale]) => Some(KindDef::Decimal { precision: *precision, scale: *scale }),
        ("text", []) => Some(KindDef::Text),
        ("integer", []) => Some(KindDef::Integer),
        ("bool", []) => Some(KindDef::Bool),
        ("date", []) => Some(KindDef::Date),
        ("float", []) => Some(KindDef::Float),
        ("time", []) => Some(KindDef::Time),
        ("datetime", []) => Some(KindDef::Datetime),
        ("uuid", []) => Some(KindDef::Uuid),
        ("json", []) => Some(KindDef::Json),
        ("blob", []) => Some(KindDef::Blob),
        ("enum", []) => enum_of(node, words, file, at),
        _ if ATTRIBUTE_TYPES.contains(&name) => {
            words.problem("type", format!("type {name} does not take these numbers in brackets"));
            None
        }
        _ if RELATION_TYPES.contains(&name) => {
            words.problem("type", format!("{name} is a relation; write <Relation type=\"{name}\" …>"));
            None
        }
        _ => {
            words.problem("type", format!("there is no type {}{}", cut(name), hint(name, &ATTRIBUTE_TYPES)));
            None
        }
    }
}

/// `decimal(10,2)` as its name and its numbers.
fn arguments(text: &str) -> Option<(&str, Vec<u32>)> {
    let text = text.trim();
    let Some((name, rest)) = text.split_once('(') else { return Some((text, Vec::new())) };
    let numbers = rest.strip_suffix(')')?.split(',').map(|number| number.trim().parse().ok());
    Some((name.trim_end(), numbers.collect::<Option<_>>()?))
}

fn no_elements(node: Node<'_, '_>, file: InFile, draft: &mut Draft) {
    for child in elements(node, file.source, draft) {
        draft.stranger(child, file.source, &[]);
    }
}

fn enum_of(node: Node<'_, '_>, words: &mut Words<'_, '_, '_>, file: InFile, at: DefPath) -> Option<KindDef> {
    let shared = words.name("enum");
    let own = enum_words(node, words, file)?;
    match (shared, own.is_empty()) {
        (Some(name), true) => {
            words.draft.enum_uses.push((at, name));
            Some(KindDef::Enum(Vec::new()))
        }
        (None, false) => Some(KindDef::Enum(own)),
        (Some(_), false) => {
            words.problem("enum", "words of its own and a shared list do not go together".to_owned());
            None
        }
        (None, true) => {
            words.problem("type", "an enum needs its words; give values=\"1;open;2;paid\" or enum=\"…\"".to_owned());
            None
        }
    }
}

/// The words of a list, `values="1;open;2;paid"` or `<Value id name label>`; nothing where one is wrong.
pub(super) fn enum_words(node: Node<'_, '_>, words: &mut Words<'_, '_, '_>, file: InFile) -> Option<Vec<EnumWordDef>> {
    let mut list = match words.text("values") {
        Some(text) => match pairs(&text) {
            Ok(list) => list,
            Err(message) => {
                words.problem("values", message);
                return None;
            }
        },
        None => Vec::new(),
    };
    for child in elements(node, file.source, words.draft) {
        if child.tag_name().name() != "Value" {
            words.draft.stranger(child, file.source, &["Value"]);
            continue;
        }
        let mut value = Words::new(child, file.source, words.draft);
        let id = match value.required("id") {
            Some(_) => value.number("id"),
            None => None,
        };
        let (name, label) = (value.required("name"), value.text("label"));
        let broken = value.broken;
        value.finish(None);
        words.broken |= broken;
        if let (Some(id), Some(name)) = (id, name) {
            list.push(EnumWordDef { id, name, label });
        }
        no_elements(child, file, words.draft);
    }
    if words.broken { None } else { Some(list) }
}

/// `1;open;2;paid` as words.
fn pairs(text: &str) -> Result<Vec<EnumWordDef>, String> {
    let text = text.trim();
    let parts: Vec<&str> = text.strip_suffix(';').unwrap_or(text).split(';').map(str::trim).collect();
    let (pairs, rest) = parts.as_chunks::<2>();
    let word = |[id, name]: &[&str; 2]| match id.parse() {
        Ok(id) => Ok(EnumWordDef { id, name: (*name).to_owned(), label: None }),
        Err(_) => Err(format!("\"{}\" is not a number; write numbers and words in turn, 1;open;2;paid", cut(id))),
    };
    let words = pairs.iter().map(word).collect::<Result<_, _>>()?;
    match rest {
        [] => Ok(words),
        _ => Err("the last number has no word; write numbers and words in turn, 1;open;2;paid".to_owned()),
    }
}

/// What a `<Relation>` holds.
pub(super) fn of_relation(
    node: Node<'_, '_>,
    words: &mut Words<'_, '_, '_>,
    file: InFile,
    _at: DefPath,
) -> Option<KindDef> {
    no_elements(node, file, words.draft);
    let typed = words.required("type");
    if let Some(name) = RELATION_TYPES.into_iter().find(|name| typed.as_deref() == Some(*name)) {
        words.called = format!("Relation of type {name}");
    }
    let target = words.required("target");
    match typed.as_deref()? {
        "to-one" => {
            let on_delete = on_delete(words);
            Some(KindDef::ToOne { target: target?, on_delete })
        }
        "to-many" => {
            let by = words.required("by");
            Some(KindDef::ToMany { target: target?, by: by? })
        }
        "many-to-many" => {
            let inverse = words.name("inverse");
            let inverse_id = if inverse.is_some() { id(words, "inverseId", file) } else { None };
            Some(KindDef::ManyToMany { target: target?, inverse, inverse_id })
        }
        other => {
            words.problem(
                "type",
                format!("there is no type {} of relations{}", cut(other), hint(other, &RELATION_TYPES)),
            );
            None
        }
    }
}

fn on_delete(words: &mut Words<'_, '_, '_>) -> OnDelete {
    let Some(text) = words.name("onDelete") else { return OnDelete::default() };
    let found = ON_DELETE.iter().find(|(word, _)| *word == text).map(|(_, rule)| *rule);
    if found.is_none() {
        let possible = ON_DELETE.map(|(word, _)| word);
        words.problem("onDelete", format!("onDelete=\"{}\" is not understood{}", cut(&text), hint(&text, &possible)));
    }
    found.unwrap_or_default()
}
