//! Puts a body into its envelope and takes it out, with all checks that are the same for every message.

use mytism_format::envelope::{self, FLAG_MAY_SKIP, HEADER_BYTES, Header};
use rmp_serde::{Deserializer, Serializer};
use serde::{Deserialize, Serialize};

use crate::error::ProtoError;
use crate::kind::{self, Kind};
use crate::shape;

/// Room that is enough for messages without data of users.
pub(crate) const ROOM: usize = 256;

/// The whole message. `room` is how many bytes it will have at a guess; every byte is written once.
pub(crate) fn write(kind: &'static Kind, room: usize, body: &impl Serialize) -> Result<Vec<u8>, ProtoError> {
    let message = kind.name;
    let mut out = Vec::with_capacity(HEADER_BYTES + room);
    // The header's place is kept free, since the length is not known yet.
    out.extend_from_slice(&[0; HEADER_BYTES]);
    body.serialize(&mut Serializer::new(&mut out).with_struct_map())
        .map_err(|source| ProtoError::Write { message, source })?;

    let bytes = out.len() - HEADER_BYTES;
    let too_large = ProtoError::TooLarge { message, bytes, limit: kind.limit };
    let Some(length) = u32::try_from(bytes).ok().filter(|length| *length <= kind.limit) else {
        return Err(too_large);
    };
    // What a reader would refuse is refused here, where somebody can still do something about it.
    let written = out.get(HEADER_BYTES..).unwrap_or_default();
    shape::check(written).map_err(|source| ProtoError::Shape { message, source })?;
    let flags = if kind.may_skip { FLAG_MAY_SKIP } else { 0 };
    let header = Header { kind: kind.number, version: kind.version, flags, length };
    if let Some(place) = out.first_chunk_mut::<HEADER_BYTES>() {
        *place = header.to_bytes();
    }
    Ok(out)
}

/// The kind and the body of a whole message; the body is checked as far as it can be without its fields.
pub(crate) fn open(bytes: &[u8]) -> Result<(&'static Kind, &[u8]), ProtoError> {
    let (envelope, rest) = envelope::read(bytes).map_err(ProtoError::Envelope)?;
    let Header { kind: number, version: _, flags: _, length } = envelope.header;
    let Some(kind) = kind::find(number) else {
        let may_skip = envelope.header.may_skip();
        return Err(if may_skip { ProtoError::Skip { kind: number } } else { ProtoError::Unknown { kind: number } });
    };
    let message = kind.name;
    if !rest.is_empty() {
        return Err(ProtoError::Trailing { message, bytes: rest.len() });
    }
    if length > kind.limit {
        return Err(ProtoError::TooLarge { message, bytes: envelope.body.len(), limit: kind.limit });
    }
    shape::check(envelope.body).map_err(|source| ProtoError::Shape { message, source })?;
    Ok((kind, envelope.body))
}

/// The fields of a body that went through [`open`]. Unknown fields are passed over, a known one that stands twice is an
/// error.
pub(crate) fn read<'a, T: Deserialize<'a>>(kind: &'static Kind, body: &'a [u8]) -> Result<T, ProtoError> {
    let mut deserializer = Deserializer::from_read_ref(body);
    // The shape is checked already; this is the second line, one level above it since the library counts otherwise.
    deserializer.set_max_depth(shape::DEPTH_MAX + 2);
    T::deserialize(&mut deserializer).map_err(|source| ProtoError::Fields { message: kind.name, source })
}
