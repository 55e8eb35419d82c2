//! JSON in which no field stands twice. The usual reader keeps the last of two and says nothing, so a value that
//! somebody wrote would be lost without a word. Knows nothing of what the fields mean.

use std::fmt;
use std::str::FromStr as _;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value as Json};

/// Numbers that fit no type of Rust exactly come from the parser as a map with this one field.
const NUMBER: &str = "$serde_json::private::Number";

/// Reads a text that is one JSON value.
///
/// # Errors
/// Where the text is no JSON, or a field stands twice in one object; the latter is of the category "data".
pub(crate) fn read(text: &str) -> Result<Json, serde_json::Error> {
    let mut parser = serde_json::Deserializer::from_str(text);
    let json = Tree.deserialize(&mut parser)?;
    parser.end()?;
    Ok(json)
}

struct Tree;

impl<'de> DeserializeSeed<'de> for Tree {
    type Value = Json;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Tree {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, given: bool) -> Result<Json, E> {
        Ok(Json::Bool(given))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Json, E> {
        Ok(Json::from(number))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Json, E> {
        Ok(Json::from(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Json, E> {
        Ok(Json::String(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Json, E> {
        Ok(Json::String(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(Self)? {
            list.push(item);
        }
        Ok(Json::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Json, A::Error> {
        let mut object = Map::new();
        while let Some(name) = fields.next_key::<String>()? {
            if name == NUMBER && object.is_empty() {
                let digits: String = fields.next_value()?;
                return Number::from_str(&digits).map(Json::Number).map_err(A::Error::custom);
            }
            if object.contains_key(&name) {
                let shown: String = name.chars().take(60).collect();
                return Err(A::Error::custom(format!("the field \"{shown}\" stands twice")));
            }
            object.insert(name, fields.next_value_seed(Self)?);
        }
        Ok(Json::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_as_the_usual_reader_does() {
        for text in [
            "null",
            " [true, false, \"a\\u00e4\\n\", {}] ",
            "{\"b\":1,\"a\":{\"b\":[1.50, -0, 1e999999, 12345678901234567890.10]}}",
            "\"\\ud83d\\ude00\"",
            "",
            "{",
            "[1,]",
            "01",
            "\"\\ud83d\"",
            "1 2",
        ] {
            let usual: Result<Json, _> = serde_json::from_str(text);
            match (read(text), usual) {
                (Ok(ours), Ok(usual)) => assert_eq!(ours.to_string(), usual.to_string(), "{text}"),
                (Err(ours), Err(usual)) => assert_eq!(ours.to_string(), usual.to_string(), "{text}"),
                (ours, usual) => panic!("{text}: {ours:?}, {usual:?}"),
            }
        }
    }

    #[test]
    fn a_field_that_stands_twice_is_refused_with_its_place() {
        let check = |text: &str, expected: &str| {
            let error = read(text).unwrap_err();
            assert!(error.is_data() && error.to_string() == expected, "{text}: {error}");
        };
        check("{\"a\":1,\"a\":2}", "the field \"a\" stands twice at line 1 column 10");
        check("{\"a\":[{\"b\":1,\n\"\\u0062\":1}]}", "the field \"b\" stands twice at line 2 column 8");
        assert!(read("{\"a\":{\"b\":1},\"b\":{\"b\":2}}").is_ok());
    }

    #[test]
    fn nesting_has_an_end() {
        for open in ["[", "{\"a\":"] {
            assert!(read(&open.repeat(1_000_000)).unwrap_err().to_string().contains("recursion limit"));
        }
    }
}
