//! The macros that make mirrors and message sets from tables of keys and fields, so that a field is named once and
//! both directions, the paths in errors and the document come from that one line.

use serde::de::{Deserialize, Error, MapAccess};

/// One field of a table: key, name, type and whether it may be missing. For the test of the document.
#[cfg(test)]
pub(crate) struct Field {
    pub(crate) key: &'static str,
    pub(crate) name: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) optional: bool,
}

/// Something that has a table of fields. For the test of the document.
#[cfg(test)]
pub(crate) trait Listed {
    const FIELDS: &'static [Field];
}

#[cfg(test)]
impl<T: Listed> Listed for Box<T> {
    const FIELDS: &'static [Field] = T::FIELDS;
}

/// `fields!` gives the rows of a table as [`Field`]s.
#[cfg(test)]
macro_rules! fields {
    ($($key:literal $field:ident: $type:ty,)* ; $($opt_key:literal $opt_field:ident: $opt_type:ty,)*) => {
        &[
            $(crate::wire::tables::Field {
                key: $key, name: stringify!($field), kind: stringify!($type), optional: false,
            },)*
            $(crate::wire::tables::Field {
                key: $opt_key, name: stringify!($opt_field), kind: stringify!($opt_type), optional: true,
            },)*
        ]
    };
}

/// `form!` makes the serde structure of a table; types are those on the wire. Fields behind the semicolon are left out
/// where they are `None`, and a field that is added to a table later belongs there. Reading is written out here since
/// the derived code takes an array in the place of a map, and a number in the place of a key, and does not name the
/// field whose value is wrong.
macro_rules! form {
    ($wire:ident; $($key:literal $field:ident: $type:ty,)* ; $($opt_key:literal $opt_field:ident: $opt_type:ty,)*) => {
        #[derive(serde::Serialize)]
        pub(crate) struct $wire<'a> {
            $(
                #[serde(rename = $key)]
                $field: $type,
            )*
            $(
                #[serde(rename = $opt_key, skip_serializing_if = "Option::is_none")]
                $opt_field: Option<$opt_type>,
            )*
            /// A table without texts and bytes borrows nothing.
            #[serde(skip)]
            borrowed: std::marker::PhantomData<&'a ()>,
        }

        impl<'de: 'a, 'a> serde::Deserialize<'de> for $wire<'a> {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Fields<'a>(std::marker::PhantomData<&'a ()>);

                impl<'de: 'a, 'a> serde::de::Visitor<'de> for Fields<'a> {
                    type Value = $wire<'a>;

                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str("a map")
                    }

                    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<$wire<'a>, A::Error> {
                        $(let mut $field: Option<$type> = None;)*
                        $(let mut $opt_field: Option<Option<$opt_type>> = None;)*
                        while let Some(key) = map.next_key::<&str>()? {
                            match key {
                                $($key => crate::wire::tables::fill($key, &mut $field, &mut map)?,)*
                                $($opt_key => crate::wire::tables::fill($opt_key, &mut $opt_field, &mut map)?,)*
                                _ => map.next_value::<serde::de::IgnoredAny>().map(drop)?,
                            }
                        }
                        Ok($wire {
                            $($field: $field.ok_or_else(|| serde::de::Error::missing_field($key))?,)*
                            $($opt_field: $opt_field.flatten(),)*
                            borrowed: self.0,
                        })
                    }
                }

                deserializer.deserialize_map(Fields(std::marker::PhantomData))
            }
        }
    };
}

/// Reads the value of a field; one that stands twice is an error.
pub(crate) fn fill<'de, T: Deserialize<'de>, A: MapAccess<'de>>(
    key: &'static str,
    field: &mut Option<T>,
    map: &mut A,
) -> Result<(), A::Error> {
    if field.is_some() {
        return Err(A::Error::duplicate_field(key));
    }
    let value = map.next_value().map_err(|error| A::Error::custom(format_args!("field `{key}`: {error}")))?;
    *field = Some(value);
    Ok(())
}

/// Mirrors a structure: `Plain as Form { "key" field: Type, … } optional { "key" field: Type, … }`, where a field under
/// `optional` is an `Option` of its type.
macro_rules! mirror {
    (
        $plain:ident as $wire:ident { $($key:literal $field:ident: $type:ty),* $(,)? }
        $(optional { $($opt_key:literal $opt_field:ident: $opt_type:ty),* $(,)? })?
    ) => {
        crate::wire::tables::form! {
            $wire;
            $($key $field: <$type as Mirror>::Wire<'a>,)* ;
            $($($opt_key $opt_field: <$opt_type as Mirror>::Wire<'a>,)*)?
        }

        impl Mirror for $plain {
            type Wire<'a> = $wire<'a>;

            fn to_wire(&self) -> Result<$wire<'_>, crate::wire::Flaw> {
                Ok($wire {
                    $($field: crate::wire::mirror::give(stringify!($field), &self.$field)?,)*
                    $($($opt_field: crate::wire::mirror::give(stringify!($opt_field), &self.$opt_field)?,)*)?
                    borrowed: std::marker::PhantomData,
                })
            }

            fn from_wire(wire: $wire<'_>) -> Result<Self, crate::wire::Flaw> {
                Ok(Self {
                    $($field: crate::wire::mirror::take(stringify!($field), wire.$field)?,)*
                    $($($opt_field: crate::wire::mirror::take(stringify!($opt_field), wire.$opt_field)?,)*)?
                })
            }
        }

        #[cfg(test)]
        impl crate::wire::Listed for $plain {
            const FIELDS: &'static [crate::wire::Field] = crate::wire::tables::fields! {
                $($key $field: $type,)* ; $($($opt_key $opt_field: $opt_type,)*)?
            };
        }
    };
}

/// Mirrors a message set, an enumeration with one variant a message:
///
/// - `whole { KIND Variant(Type); }`: the body is the mirror of the content
/// - `sole { KIND Variant("key" name: Type); }`: the body has the content as its one field
/// - `fields { KIND Variant { "key" field: Type, … } optional { … }; }`: the body has the fields of the variant
macro_rules! messages {
    (
        $set:ident;
        whole { $($whole_kind:ident $whole:ident($whole_type:ty);)* }
        sole { $($sole_kind:ident $sole:ident($sole_key:literal $sole_field:ident: $sole_type:ty);)* }
        fields {$(
            $kind:ident $variant:ident { $($key:literal $field:ident: $type:ty),* $(,)? }
            $(optional { $($opt_key:literal $opt_field:ident: $opt_type:ty),* $(,)? })?;
        )*}
    ) => {
        /// The bodies that are no mirrors of structures; a module since their names are those of the variants.
        mod bodies {
            use super::*;

            $(crate::wire::tables::form! { $sole; $sole_key $sole_field: <$sole_type as Mirror>::Wire<'a>, ; })*
            $(crate::wire::tables::form! {
                $variant;
                $($key $field: <$type as Mirror>::Wire<'a>,)* ;
                $($($opt_key $opt_field: <$opt_type as Mirror>::Wire<'a>,)*)?
            })*

            /// The whole message.
            pub(crate) fn write(message: &$set, room: usize) -> Result<Vec<u8>, crate::error::ProtoError> {
                use crate::{body, kind, wire::mirror::give};
                use std::marker::PhantomData;
                match message {
                    $($set::$whole(content) => {
                        let wire = content.to_wire().map_err(|flaw| flaw.of(&kind::$whole_kind))?;
                        body::write(&kind::$whole_kind, room, &wire)
                    })*
                    $($set::$sole(content) => {
                        let flawed = |flaw: crate::wire::Flaw| flaw.of(&kind::$sole_kind);
                        let wire = $sole {
                            $sole_field: give(stringify!($sole_field), content).map_err(flawed)?,
                            borrowed: PhantomData,
                        };
                        body::write(&kind::$sole_kind, room, &wire)
                    })*
                    $($set::$variant { $($field,)* $($($opt_field,)*)? } => {
                        let _flawed = |flaw: crate::wire::Flaw| flaw.of(&kind::$kind);
                        let wire = $variant {
                            $($field: give(stringify!($field), $field).map_err(_flawed)?,)*
                            $($($opt_field: give(stringify!($opt_field), $opt_field).map_err(_flawed)?,)*)?
                            borrowed: PhantomData,
                        };
                        body::write(&kind::$kind, room, &wire)
                    })*
                }
            }

            /// The message of this kind; `None` where the kind belongs to another set.
            pub(crate) fn read(
                kind: &'static crate::kind::Kind,
                bytes: &[u8],
            ) -> Result<Option<$set>, crate::error::ProtoError> {
                use crate::{body, kind as kinds, wire::mirror::take};
                let flawed = |flaw: crate::wire::Flaw| flaw.of(kind);
                $(if kind.number == kinds::$whole_kind.number {
                    let content = <$whole_type>::from_wire(body::read(kind, bytes)?).map_err(flawed)?;
                    return Ok(Some($set::$whole(content)));
                })*
                $(if kind.number == kinds::$sole_kind.number {
                    let wire: $sole<'_> = body::read(kind, bytes)?;
                    let content = take(stringify!($sole_field), wire.$sole_field).map_err(flawed)?;
                    return Ok(Some($set::$sole(content)));
                })*
                $(if kind.number == kinds::$kind.number {
                    let _wire: $variant<'_> = body::read(kind, bytes)?;
                    return Ok(Some($set::$variant {
                        $($field: take(stringify!($field), _wire.$field).map_err(flawed)?,)*
                        $($($opt_field: take(stringify!($opt_field), _wire.$opt_field).map_err(flawed)?,)*)?
                    }));
                })*
                Ok(None)
            }

            /// The fields of every message, for the test of the document.
            #[cfg(test)]
            pub(crate) fn listed() -> Vec<(&'static str, &'static [crate::wire::Field])> {
                vec![
                    $((crate::kind::$whole_kind.name, <$whole_type as crate::wire::Listed>::FIELDS),)*
                    $((
                        crate::kind::$sole_kind.name,
                        crate::wire::tables::fields! { $sole_key $sole_field: $sole_type, ; },
                    ),)*
                    $((
                        crate::kind::$kind.name,
                        crate::wire::tables::fields! {
                            $($key $field: $type,)* ; $($($opt_key $opt_field: $opt_type,)*)?
                        },
                    ),)*
                ]
            }
        }
    };
}

/// Makes the structure for an enumeration with contents: a tag, and fields of which the tag says which ones it needs.
/// `of` is the structure with the tag alone.
macro_rules! tagged {
    ($wire:ident { $($key:literal $field:ident: $type:ty),* $(,)? }) => {
        crate::wire::tables::form! { $wire; "t" tag: u64, ; $($key $field: $type,)* }

        impl $wire<'_> {
            const fn of(tag: u64) -> Self {
                Self { tag, $($field: None,)* borrowed: std::marker::PhantomData }
            }
        }
    };
}

/// Mirrors pairs of a name and something.
macro_rules! named {
    ($plain:ident as $wire:ident) => {
        crate::wire::tables::form! {
            $wire; "n" name: &'a str, "v" value: <$plain as Mirror>::Wire<'a>, ;
        }

        impl Mirror for (String, $plain) {
            type Wire<'a> = $wire<'a>;

            fn to_wire(&self) -> Result<$wire<'_>, crate::wire::Flaw> {
                let (name, value) = self;
                let value = crate::wire::mirror::give("value", value)?;
                Ok($wire { name, value, borrowed: std::marker::PhantomData })
            }

            fn from_wire(wire: $wire<'_>) -> Result<Self, crate::wire::Flaw> {
                Ok((wire.name.to_owned(), crate::wire::mirror::take("value", wire.value)?))
            }
        }
    };
}

/// Mirrors an enumeration without contents: each variant is its tag, an integer.
macro_rules! tags {
    ($plain:ident { $($tag:literal $variant:ident),* $(,)? }) => {
        impl Mirror for $plain {
            type Wire<'a> = u64;

            fn to_wire(&self) -> Result<u64, crate::wire::Flaw> {
                Ok(match self { $(Self::$variant => $tag),* })
            }

            fn from_wire(wire: u64) -> Result<Self, crate::wire::Flaw> {
                match wire {
                    $($tag => Ok(Self::$variant),)*
                    unknown => Err(crate::error::Problem::UnknownTag(unknown).into()),
                }
            }
        }
    };
}

#[cfg(test)]
pub(crate) use fields;
pub(crate) use {form, messages, mirror, named, tagged, tags};
