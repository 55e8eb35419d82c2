//! What an attribute can hold.
//!
//! A value knows its kind without the schema, so that a node can keep and pass on values of attributes that its own
//! schema does not know yet. Whether a value *fits* an attribute is decided in [`crate::input`].

use std::cmp::Ordering;
use std::fmt;

use rust_decimal::Decimal;
pub use uuid::Uuid;

use crate::blob::Blob;
use crate::float::Float;
use crate::id::{EnumId, ObjectId};
use crate::time::{Date, TimeOfDay, Timestamp};

/// The largest text, in bytes.
pub const TEXT_BYTES_MAX: usize = 16 << 20;

/// One value of one attribute.
///
/// Equality is that of the data: decimals are brought to their attribute's scale on entry, texts to NFC, so equal
/// values have equal bytes.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub enum Value {
    /// Nothing: unknown, or not there.
    #[default]
    Null,
    /// Yes or no.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// An exact number, at the scale that its attribute declares.
    Decimal(Decimal),
    /// A number with a floating point.
    Float(Float),
    /// UTF-8 in NFC without U+0000.
    Text(String),
    /// JSON, as it was written.
    Json(String),
    /// A day.
    Date(Date),
    /// A time of the day.
    Time(TimeOfDay),
    /// A moment.
    Datetime(Timestamp),
    /// A number that is nowhere else.
    Uuid(Uuid),
    /// One word of the attribute's list.
    Enum(EnumId),
    /// Another object.
    Reference(ObjectId),
    /// The content of a file.
    Blob(Box<Blob>),
}

impl Value {
    /// Whether there is nothing.
    #[must_use]
    pub const fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The object that this value refers to, where it refers to one.
    #[must_use]
    pub const fn reference(&self) -> Option<ObjectId> {
        if let Self::Reference(object) = self { Some(*object) } else { None }
    }

    /// The text, where this is one.
    #[must_use]
    pub const fn text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text.as_str()) } else { None }
    }

    /// The content of a file, where this is one.
    #[must_use]
    pub const fn blob(&self) -> Option<&Blob> {
        if let Self::Blob(blob) = self { Some(blob) } else { None }
    }

    /// The whole number, where this is one.
    #[must_use]
    pub const fn integer(&self) -> Option<i64> {
        if let Self::Integer(number) = self { Some(*number) } else { None }
    }

    /// The word for the kind of this value in messages to people.
    #[must_use]
    pub const fn kind_name(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "bool",
            Self::Integer(_) => "integer",
            Self::Decimal(_) => "decimal",
            Self::Float(_) => "float",
            Self::Text(_) => "text",
            Self::Json(_) => "json",
            Self::Date(_) => "date",
            Self::Time(_) => "time",
            Self::Datetime(_) => "datetime",
            Self::Uuid(_) => "uuid",
            Self::Enum(_) => "enum",
            Self::Reference(_) => "reference",
            Self::Blob(_) => "blob",
        }
    }

    /// The order of two values of one kind; nothing comes last. `None` for two kinds that have no common order.
    #[must_use]
    pub fn order(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Null, Self::Null) => Some(Ordering::Equal),
            (Self::Null, _) => Some(Ordering::Greater),
            (_, Self::Null) => Some(Ordering::Less),
            (Self::Bool(a), Self::Bool(b)) => Some(a.cmp(b)),
            (Self::Integer(a), Self::Integer(b)) => Some(a.cmp(b)),
            (Self::Decimal(a), Self::Decimal(b)) => Some(a.cmp(b)),
            (Self::Float(a), Self::Float(b)) => Some(a.cmp(b)),
            (Self::Text(a), Self::Text(b)) => Some(a.as_bytes().cmp(b.as_bytes())),
            (Self::Date(a), Self::Date(b)) => Some(a.cmp(b)),
            (Self::Time(a), Self::Time(b)) => Some(a.cmp(b)),
            (Self::Datetime(a), Self::Datetime(b)) => Some(a.cmp(b)),
            (Self::Uuid(a), Self::Uuid(b)) => Some(a.cmp(b)),
            (Self::Enum(a), Self::Enum(b)) => Some(a.cmp(b)),
            (Self::Reference(a), Self::Reference(b)) => Some(a.cmp(b)),
            _ => None,
        }
    }
}

impl fmt::Display for Value {
    /// For messages and for values kept as text; enumerations and references show their numbers.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => value.fmt(f),
            Self::Integer(value) => value.fmt(f),
            Self::Decimal(value) => value.fmt(f),
            Self::Float(value) => value.fmt(f),
            Self::Text(value) | Self::Json(value) => f.write_str(value),
            Self::Date(value) => value.fmt(f),
            Self::Time(value) => value.fmt(f),
            Self::Datetime(value) => value.fmt(f),
            Self::Uuid(value) => value.fmt(f),
            Self::Enum(value) => value.fmt(f),
            Self::Reference(value) => value.fmt(f),
            Self::Blob(value) => value.fmt(f),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<ObjectId> for Value {
    fn from(object: ObjectId) -> Self {
        Self::Reference(object)
    }
}
