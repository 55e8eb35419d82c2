//! What can be wrong with a message, on its way out and on its way in.

use mytism_format::FormatError;

use crate::shape::Misshape;

/// A message that cannot be sent or was not understood.
///
/// After [`ProtoError::Skip`] the reader goes on. After any other error of decoding it answers with a refusal and
/// closes the stream, which it may leave open where [`ProtoError::is_newer`].
#[derive(Debug, thiserror::Error)]
pub enum ProtoError {
    /// A message of a type that is not known here, but may be passed over: go on with the next one.
    #[error("a message of the unknown type {kind:#06x} that may be passed over")]
    Skip {
        /// Its type.
        kind: u16,
    },
    /// A message of a type that is not known here and may not be passed over.
    #[error("a message of the unknown type {kind:#06x}; the other side speaks a newer version, update this node")]
    Unknown {
        /// Its type.
        kind: u16,
    },
    /// A message of the other set: one of a client among those of nodes, an answer among requests, or such.
    #[error("the message {message} may not stand here")]
    Unexpected {
        /// Name of the message.
        message: &'static str,
    },
    /// The envelope is cut off.
    #[error("the envelope of a message")]
    Envelope(#[source] FormatError),
    /// Bytes stand behind the message.
    #[error("{bytes} bytes follow behind the message {message}")]
    Trailing {
        /// Name of the message.
        message: &'static str,
        /// How many bytes.
        bytes: usize,
    },
    /// The body is larger than allowed.
    #[error("the message {message} has a body of {bytes} bytes, at most {limit} are allowed; send it in parts")]
    TooLarge {
        /// Name of the message.
        message: &'static str,
        /// Bytes of the body.
        bytes: usize,
        /// Bytes allowed.
        limit: u32,
    },
    /// The body is no map of sound MessagePack within the limits.
    #[error("the body of the message {message}")]
    Shape {
        /// Name of the message.
        message: &'static str,
        /// What is wrong.
        source: Misshape,
    },
    /// The body lacks a field, has one twice or has one of a wrong type; the source names it.
    #[error("the fields of the message {message}")]
    Fields {
        /// Name of the message.
        message: &'static str,
        /// What is wrong.
        source: rmp_serde::decode::Error,
    },
    /// A field holds what it may not hold.
    #[error("the message {message}, field {field}: {problem}")]
    Field {
        /// Name of the message.
        message: &'static str,
        /// Path of the field, like `changes[2].values[0].value`.
        field: String,
        /// What is wrong.
        problem: Problem,
    },
    /// The message could not be written.
    #[error("write the message {message}")]
    Write {
        /// Name of the message.
        message: &'static str,
        /// What is wrong.
        source: rmp_serde::encode::Error,
    },
}

impl ProtoError {
    /// Whether the other side seems to speak a newer version: it used a message or a tag that is not known here. The
    /// envelope was sound, so that a refusal can be sent and the stream can go on.
    #[must_use]
    pub const fn is_newer(&self) -> bool {
        matches!(self, Self::Skip { .. } | Self::Unknown { .. } | Self::Field { problem: Problem::UnknownTag(_), .. })
    }
}

/// What is wrong with one field.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Problem {
    /// A run of bytes of the wrong length.
    #[error("{found} bytes in the place of {wanted}")]
    Length {
        /// How many are there.
        found: usize,
        /// How many belong there.
        wanted: usize,
    },
    /// No valid id of an object.
    #[error("{0} is no id of an object")]
    ObjectId(i64),
    /// No valid number of a block of ids.
    #[error("{0} is no block of ids")]
    Block(i64),
    /// A time outside of the years 1 to 9999.
    #[error("{0} microseconds lie outside of the years 1 to 9999")]
    Time(i64),
    /// A value of another kind in the place of the content of a file.
    #[error("a value that is no content of a file")]
    NoBlob,
    /// A number that is infinite or none at all.
    #[error("not a finite number")]
    NotFinite,
    /// A tag that is not known here; the other side may speak a newer version.
    #[error("the tag {0} is not known")]
    UnknownTag(u64),
    /// Something that this tag needs is missing.
    #[error("is missing")]
    Missing,
    /// Not the bytes of a value.
    #[error("{0}")]
    Value(FormatError),
    /// Values within values, more levels than any reader takes.
    #[error("is nested too deeply")]
    TooDeep,
}
