//! Whatever bytes come in: an error or a message, never a panic. What it costs in memory is measured in
//! `tests/memory.rs`, in a process of its own.

use mytism_format::envelope;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::strategies::{answer, peer_message, request};
use crate::{PeerMessage, decode_answer, decode_request, encode_answer, encode_request, kind};

/// Whether any of the decoders takes the bytes.
fn decodes(bytes: &[u8]) -> bool {
    PeerMessage::decode(bytes).is_ok() || decode_request(bytes).is_ok() || decode_answer(bytes).is_ok()
}

/// Messages of all kinds, the same ones in each run.
fn samples() -> Vec<Vec<u8>> {
    let mut runner = TestRunner::deterministic();
    let mut samples = Vec::new();
    for _ in 0..60 {
        samples.push(peer_message().new_tree(&mut runner).unwrap().current().encode().unwrap());
        samples.push(encode_request(&request().new_tree(&mut runner).unwrap().current()).unwrap());
        samples.push(encode_answer(&answer().new_tree(&mut runner).unwrap().current()).unwrap());
    }
    samples.retain(|sample| sample.len() < 1_000);
    samples
}

#[test]
fn a_message_that_is_cut_anywhere_is_refused() {
    for sample in samples() {
        for cut in 0..sample.len() {
            assert!(!decodes(&sample[..cut]), "{sample:02x?} cut at {cut}");
        }
    }
}

#[test]
fn a_body_that_is_cut_anywhere_is_refused() {
    for sample in samples() {
        for cut in 0..sample.len() - 8 {
            let mut bytes = sample[..8 + cut].to_vec();
            bytes[4..8].copy_from_slice(&u32::try_from(cut).unwrap().to_be_bytes());
            assert!(!decodes(&bytes), "{sample:02x?} cut at {cut}");
        }
    }
}

#[test]
fn flipped_bits_do_no_harm() {
    for mut sample in samples() {
        for place in 0..sample.len() {
            for bit in 0..8 {
                sample[place] ^= 1 << bit;
                let _taken_or_not = decodes(&sample);
                sample[place] ^= 1 << bit;
            }
        }
        assert!(decodes(&sample));
    }
}

/// A body that looks like MessagePack more often than random bytes do.
fn likely_body() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        any::<u8>().prop_map(|byte| vec![byte]),
        "[a-z]".prop_map(|key| vec![0xa1, key.as_bytes()[0]]),
        (0x80u8..0xa0).prop_map(|container| vec![container]),
        prop_oneof![Just(0xc4u8), Just(0xc6), Just(0xc9), Just(0xd9), Just(0xdb), Just(0xdd), Just(0xdf)]
            .prop_map(|long| vec![long]),
        Just(vec![0xff; 4]),
        Just(vec![0xc4, 0x20].into_iter().chain([7; 32]).collect()),
    ];
    vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn random_bytes(bytes in vec(any::<u8>(), 0..200)) {
        let _taken_or_not = decodes(&bytes);
    }

    #[test]
    fn random_bodies_of_known_messages(
        place in 0..kind::ALL.len(),
        version: u8,
        flags: u8,
        pairs in 0x80u8..0x90,
        body in prop_oneof![likely_body(), vec(any::<u8>(), 0..200)],
    ) {
        let body = [&[pairs][..], &body].concat();
        let mut bytes = Vec::new();
        envelope::write(&mut bytes, kind::ALL[place].number, version, flags, &body).unwrap();
        let _taken_or_not = decodes(&bytes);
    }

    #[test]
    fn messages_with_a_piece_of_another_one(
        message in peer_message(),
        other in request(),
        from in any::<prop::sample::Index>(),
        to in any::<prop::sample::Index>(),
    ) {
        let (message, other) = (message.encode().unwrap(), encode_request(&other).unwrap());
        let body = [&message[8..][..from.index(message.len() - 8)], &other[8..][to.index(other.len() - 8)..]].concat();
        let mut bytes = message[..4].to_vec();
        bytes.extend_from_slice(&u32::try_from(body.len()).unwrap().to_be_bytes());
        bytes.extend_from_slice(&body);
        let _taken_or_not = decodes(&bytes);
    }
}
