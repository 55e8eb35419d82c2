//! Every message comes back as it went out, within its limit, and only as one of its own set.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::strategies::{answer, peer_message, request};
use crate::frame::body_limit;
use crate::{PeerMessage, ProtoError, decode_answer, decode_request, encode_answer, encode_request, kind};

/// The type in the envelope of a whole message.
fn kind_of(bytes: &[u8]) -> u16 {
    u16::from_be_bytes([bytes[0], bytes[1]])
}

fn misplaced<T>(result: &Result<T, ProtoError>) -> bool {
    matches!(result, Err(ProtoError::Unexpected { .. }))
}

proptest! {
    #[test]
    fn peer_messages(message in peer_message()) {
        let bytes = message.encode().unwrap();
        prop_assert_eq!(PeerMessage::decode(&bytes).unwrap(), message);
        prop_assert!(bytes.len() - 8 <= body_limit(kind_of(&bytes)).unwrap() as usize);
        prop_assert!(misplaced(&decode_request(&bytes)) && misplaced(&decode_answer(&bytes)));
    }

    #[test]
    fn requests(message in request()) {
        let bytes = encode_request(&message).unwrap();
        prop_assert_eq!(decode_request(&bytes).unwrap(), message);
        prop_assert!(misplaced(&PeerMessage::decode(&bytes)) && misplaced(&decode_answer(&bytes)));
    }

    #[test]
    fn answers(message in answer()) {
        let bytes = encode_answer(&message).unwrap();
        prop_assert_eq!(decode_answer(&bytes).unwrap(), message);
        prop_assert!(misplaced(&PeerMessage::decode(&bytes)) && misplaced(&decode_request(&bytes)));
    }

    #[test]
    fn the_room_for_bulk_messages_is_enough(message in peer_message()) {
        let bulk = matches!(
            message,
            PeerMessage::Offer { .. }
                | PeerMessage::Entries { .. }
                | PeerMessage::Snapshot { .. }
                | PeerMessage::History { .. }
                | PeerMessage::ContentRecipe { .. }
                | PeerMessage::Chunk { .. }
        );
        prop_assert!(!bulk || message.encode().unwrap().len() - 8 <= message.room());
    }
}

#[test]
fn the_strategies_make_every_kind() {
    let mut runner = TestRunner::deterministic();
    let mut seen = BTreeSet::new();
    for _ in 0..2_000 {
        seen.insert(kind_of(&peer_message().new_tree(&mut runner).unwrap().current().encode().unwrap()));
        seen.insert(kind_of(&encode_request(&request().new_tree(&mut runner).unwrap().current()).unwrap()));
        seen.insert(kind_of(&encode_answer(&answer().new_tree(&mut runner).unwrap().current()).unwrap()));
    }
    let all: BTreeSet<u16> = kind::ALL.iter().map(|kind| kind.number).collect();
    assert_eq!(seen, all);
}
