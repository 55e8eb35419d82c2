//! What a JSON parser passes over in silence: a field that stands twice in one object, of which only the last would count.
//! Pure; knows no document.

use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

/// A field that stands twice.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Twice {
    /// Its name.
    pub(crate) name: String,
    /// Where it stands for the second time, from 1.
    pub(crate) line: u32,
    /// The column of the end of its name, in characters from 1.
    pub(crate) column: u32,
}

/// The first field of the text that stands twice in its object. Nothing where the text is no JSON, which its reader says.
pub(crate) fn field_twice(text: &str) -> Option<Twice> {
    let mut found = None;
    let error = Look { found: &mut found }.deserialize(&mut serde_json::Deserializer::from_str(text)).err()?;
    // The parser counts bytes.
    let line = text.lines().nth(error.line().saturating_sub(1)).unwrap_or_default();
    let characters = line.char_indices().take_while(|(start, _)| *start < error.column()).count();
    let place = |number: usize| u32::try_from(number).unwrap_or(u32::MAX).max(1);
    found.map(|name| Twice { name, line: place(error.line()), column: place(characters) })
}

/// Looks at one value and all in it; its depth is bounded by the parser.
struct Look<'f> {
    found: &'f mut Option<String>,
}

impl<'de> DeserializeSeed<'de> for Look<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Look<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        let mut names = HashSet::new();
        while let Some(name) = fields.next_key::<String>()? {
            if names.contains(&name) {
                *self.found = Some(name);
                // The parser adds where it stands.
                return Err(A::Error::custom("a field stands twice"));
            }
            names.insert(name);
            fields.next_value_seed(Look { found: &mut *self.found })?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(Look { found: &mut *self.found })?.is_some() {}
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_one_is_found() {
        let check = |text: &str, expected: Option<(&str, u32, u32)>| {
            let found = field_twice(text);
            let found = found.as_ref().map(|twice| (twice.name.as_str(), twice.line, twice.column));
            assert_eq!(found, expected, "{text}");
        };
        check("{}", None);
        check(r#"{"a":1,"b":{"a":2},"c":[{"a":3},{"a":4}]}"#, None);
        check(r#"{"a":-1.5e3,"b":"a","c":true,"d":null,"e":[]}"#, None);
        check(r#"{"a":1,"a":1}"#, Some(("a", 1, 10)));
        check("{\"a\":1,\n \"\\u0061\":1}", Some(("a", 2, 9)));
        check(r#"[0,{"x":{"y":[{"ä":1,"ä":2}]}}]"#, Some(("ä", 1, 24)));
        check(r#"{"a":1,"A":1}"#, None);
        check("no JSON", None);
        check(&"[".repeat(100_000), None);
    }
}
