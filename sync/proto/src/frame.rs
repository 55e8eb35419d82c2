//! What a transport must know to read one message off a stream.
//!
//! A message is an envelope ([`mytism_format::envelope`]): eight bytes, which give the type and the length, and the
//! body. The transport reads the eight bytes, asks [`body_limit`] before it takes memory, reads the body and gives
//! both together to the decoder of its set.

use crate::kind;

/// Bytes of the largest body of any message. A transport that passes over a message of an unknown type throws the
/// bytes away as they come, and closes the stream when there are more than this.
pub const BODY_MAX: u32 = kind::LARGE;

/// Bytes of the body of whatever a peer says before it is known; see [`crate::PeerMessage::Hello`].
pub const GREETING_BODY_MAX: u32 = kind::SMALL;

/// Bytes of the body that a message of this type may have at most; `None` where the type is not known here.
#[must_use]
pub fn body_limit(kind: u16) -> Option<u32> {
    kind::find(kind).map(|kind| kind.limit)
}

/// The name of a type of message, for logs; `None` where the type is not known here.
#[must_use]
pub fn kind_name(kind: u16) -> Option<&'static str> {
    kind::find(kind).map(|kind| kind.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_of_known_and_unknown_types() {
        let check = |number: u16, limit: Option<u32>| assert_eq!(body_limit(number), limit, "{number:#06x}");
        check(0x0200, Some(65_536));
        check(0x0211, Some(BODY_MAX));
        check(0x0301, Some(BODY_MAX));
        check(0x0000, None);
        check(0xffff, None);
        assert_eq!(kind_name(0x0211), Some("Entries"));
        assert_eq!(kind_name(0x0299), None);
    }
}
