//! Bytes as they come, in any portions, into whole envelopes.
//!
//! Without input or output, so that waiting and blocking readers share it: ask for [`Assembler::space`], read into it,
//! tell [`Assembler::advance`] how much came. It reads the header alone; what the body means is told by
//! `mytism_proto`.
//!
//! Invariant: the buffer holds at most twice what has arrived, or 64 KiB if that is more, whatever length a header
//! claims.

use std::io;
use std::time::Duration;

use mytism_format::envelope::{HEADER_BYTES, Header};
use mytism_proto::frame::body_limit;

/// Bytes of body that are taken of a message of unknown type, so that one that may be skipped can pass.
pub const UNKNOWN_BODY_BYTES_MAX: u32 = 64 * 1024;
/// Memory taken for a body before any of it has come.
const FIRST_STEP_BYTES: usize = 64 * 1024;

/// Why no further envelope can be read from a stream or written to it. The stream is of no more use then.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// A header claims more than its type may have; nothing of the body was read.
    #[error("a message of type {kind:#06x} claims {length} bytes, but may have {limit} at most")]
    TooLong {
        /// Type in the header.
        kind: u16,
        /// Bytes that it claims.
        length: u32,
        /// Bytes that it may have.
        limit: u32,
    },
    /// The stream ended within an envelope.
    #[error("the stream ended within a message, after {got} bytes of it")]
    Cut {
        /// Bytes of it that came, with the header.
        got: usize,
    },
    /// Nothing moved for too long.
    #[error("nothing moved for {} s within a message", after.as_secs_f32())]
    Stalled {
        /// How long.
        after: Duration,
    },
    /// What was to be sent is no envelope.
    #[error("{length} bytes were to be sent that are not exactly one message")]
    NotOne {
        /// How many bytes.
        length: usize,
    },
    /// The peer wants no more of this stream.
    #[error("the peer stopped reading the stream (code {code})")]
    Stopped {
        /// As the peer gave it.
        code: u64,
    },
    /// The connection below failed.
    #[error("the connection broke: {0}")]
    Broken(io::Error),
}

/// Puts one envelope after another together.
#[derive(Debug, Default)]
pub struct Assembler {
    header: [u8; HEADER_BYTES],
    header_filled: usize,
    body: Option<Body>,
    body_limit: Option<u32>,
}

#[derive(Debug)]
struct Body {
    /// The whole envelope with its header, as far as memory was taken.
    bytes: Vec<u8>,
    filled: usize,
    total: usize,
}

impl Assembler {
    /// At the beginning of an envelope.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many bytes a body may have, whatever its type allows; for what is read before the peer is known.
    pub const fn set_body_limit(&mut self, limit: Option<u32>) {
        self.body_limit = limit;
    }

    /// Where the next bytes belong; never empty. Reading less than fits is fine, more is not offered, so that nothing
    /// of the next envelope is taken.
    pub fn space(&mut self) -> &mut [u8] {
        match &mut self.body {
            Some(body) => body.bytes.get_mut(body.filled..).unwrap_or_default(),
            None => self.header.get_mut(self.header_filled..).unwrap_or_default(),
        }
    }

    /// That so many bytes were put at the beginning of [`Self::space`]. Gives the envelope, header and body, once it is
    /// whole, and is then at the beginning of the next.
    ///
    /// # Errors
    /// [`FrameError::TooLong`], as soon as the header is whole.
    pub fn advance(&mut self, count: usize) -> Result<Option<Vec<u8>>, FrameError> {
        match &mut self.body {
            Some(body) => body.filled = body.filled.saturating_add(count).min(body.bytes.len()),
            None => {
                self.header_filled = self.header_filled.saturating_add(count).min(HEADER_BYTES);
                if self.header_filled == HEADER_BYTES {
                    self.body = Some(begin(self.header, self.body_limit)?);
                    self.header_filled = 0;
                }
            }
        }
        let Some(body) = &mut self.body else { return Ok(None) };
        if body.filled == body.total {
            return Ok(self.body.take().map(|body| body.bytes));
        }
        if body.filled == body.bytes.len() {
            let wanted = body.bytes.len().saturating_mul(2).min(body.total);
            body.bytes.reserve_exact(wanted - body.bytes.len());
            body.bytes.resize(wanted, 0);
        }
        Ok(None)
    }

    /// Bytes of the envelope that has begun; 0 between envelopes, where a stream may end.
    #[must_use]
    pub fn begun(&self) -> usize {
        self.body.as_ref().map_or(self.header_filled, |body| body.filled)
    }
}

/// Takes the first memory for an envelope.
fn begin(header: [u8; HEADER_BYTES], body_limit: Option<u32>) -> Result<Body, FrameError> {
    let total = total_bytes(header, body_limit)?;
    let mut bytes = Vec::with_capacity(total.min(FIRST_STEP_BYTES));
    bytes.extend_from_slice(&header);
    bytes.resize(total.min(FIRST_STEP_BYTES), 0);
    Ok(Body { bytes, filled: HEADER_BYTES, total })
}

/// Bytes of the whole envelope, if it may be that long.
fn total_bytes(header: [u8; HEADER_BYTES], most: Option<u32>) -> Result<usize, FrameError> {
    let Header { kind, length, .. } = Header::from_bytes(header);
    let limit = body_limit(kind).unwrap_or(UNKNOWN_BODY_BYTES_MAX).min(most.unwrap_or(u32::MAX));
    let total = usize::try_from(length).ok().and_then(|length| length.checked_add(HEADER_BYTES));
    match total {
        Some(total) if length <= limit => Ok(total),
        _ => Err(FrameError::TooLong { kind, length, limit }),
    }
}

/// That `bytes` are exactly one envelope, and one that a reader will take.
///
/// # Errors
/// [`FrameError::NotOne`] and [`FrameError::TooLong`].
pub fn check_whole(bytes: &[u8]) -> Result<(), FrameError> {
    let not_one = FrameError::NotOne { length: bytes.len() };
    match bytes.first_chunk::<HEADER_BYTES>() {
        Some(header) if total_bytes(*header, None)? == bytes.len() => Ok(()),
        _ => Err(not_one),
    }
}

#[cfg(test)]
mod tests {
    use mytism_format::envelope;
    use proptest::prelude::*;

    use super::*;

    /// Of the largest kind of message; of no kind at all.
    const PEER: u16 = 0x0211;
    const UNKNOWN: u16 = 0xfff0;

    fn envelope(kind: u16, body: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        envelope::write(&mut out, kind, 1, 0, body).unwrap();
        out
    }

    /// Gives the bytes in portions and returns the envelopes that come out, and what is left begun.
    fn assemble(mut bytes: &[u8], portions: &[usize]) -> Result<(Vec<Vec<u8>>, usize), FrameError> {
        let mut assembler = Assembler::new();
        let mut out = Vec::new();
        let mut portions = portions.iter().copied().cycle();
        while !bytes.is_empty() {
            let space = assembler.space();
            let count = portions.next().unwrap_or(usize::MAX).min(space.len()).min(bytes.len());
            space[..count].copy_from_slice(&bytes[..count]);
            bytes = &bytes[count..];
            out.extend(assembler.advance(count)?);
        }
        Ok((out, assembler.begun()))
    }

    #[test]
    fn lengths_are_held_to_the_limit_of_the_type() {
        let limit = body_limit(PEER).unwrap();
        let check = |kind: u16, length: u32, expected: Option<u32>| {
            let header = Header { kind, version: 1, flags: 0, length }.to_bytes();
            match (assemble(&header, &[8]), expected) {
                (Ok(_), None) => {}
                (Err(FrameError::TooLong { limit, .. }), Some(expected)) => assert_eq!(limit, expected),
                (other, _) => panic!("{kind:#x} {length}: {other:?}"),
            }
        };
        check(PEER, 0, None);
        check(PEER, limit, None);
        check(PEER, limit + 1, Some(limit));
        check(PEER, u32::MAX, Some(limit));
        check(UNKNOWN, UNKNOWN_BODY_BYTES_MAX, None);
        check(UNKNOWN, UNKNOWN_BODY_BYTES_MAX + 1, Some(UNKNOWN_BODY_BYTES_MAX));
    }

    #[test]
    fn before_the_peer_is_known_all_types_are_small() {
        let check = |length: u32, most: Option<u32>, expected: bool| {
            let mut assembler = Assembler::new();
            assembler.set_body_limit(most);
            assembler.space().copy_from_slice(&Header { kind: PEER, version: 1, flags: 0, length }.to_bytes());
            assert_eq!(assembler.advance(HEADER_BYTES).is_ok(), expected, "{length} {most:?}");
        };
        check(1000, Some(1000), true);
        check(1001, Some(1000), false);
        check(1001, None, true);
        check(u32::MAX, None, false);
    }

    #[test]
    fn a_claimed_length_takes_no_memory() {
        let mut assembler = Assembler::new();
        let length = body_limit(PEER).unwrap();
        assembler.space().copy_from_slice(&Header { kind: PEER, version: 1, flags: 0, length }.to_bytes());
        assembler.advance(HEADER_BYTES).unwrap();
        let mut arrived = HEADER_BYTES;
        while arrived < 3_000_000 {
            let capacity = assembler.body.as_ref().unwrap().bytes.capacity();
            assert!(capacity <= FIRST_STEP_BYTES.max(2 * arrived), "{capacity} for {arrived}");
            let count = assembler.space().len().min(10_000);
            assembler.advance(count).unwrap();
            arrived += count;
        }
    }

    #[test]
    fn only_whole_envelopes_are_sent() {
        let whole = envelope(PEER, b"abc");
        check_whole(&whole).unwrap();
        check_whole(&envelope(UNKNOWN, b"")).unwrap();
        let two = [whole.clone(), whole.clone()].concat();
        for wrong in [&b""[..], &whole[..7], &whole[..whole.len() - 1], &two] {
            assert!(matches!(check_whole(wrong), Err(FrameError::NotOne { .. })), "{wrong:?}");
        }
        let long = envelope(UNKNOWN, &vec![0; 65_537]);
        assert!(matches!(check_whole(&long), Err(FrameError::TooLong { .. })));
    }

    proptest! {
        #[test]
        fn portions_do_not_matter(
            lengths in prop::collection::vec(prop_oneof![0_usize..40, 0_usize..300_000], 1..6),
            portions in prop::collection::vec(1_usize..100_000, 1..8),
            cut in 0_usize..7,
        ) {
            let envelopes: Vec<_> = lengths.iter().map(|length| envelope(PEER, &vec![7; *length])).collect();
            let mut bytes = envelopes.concat();
            bytes.extend(envelope(PEER, b"x").iter().take(cut));
            let (out, begun) = assemble(&bytes, &portions).unwrap();
            prop_assert!(out == envelopes);
            prop_assert_eq!(begun, cut);
        }

        #[test]
        fn anything_at_all_is_survived(bytes in prop::collection::vec(any::<u8>(), 0..5000), portion in 1_usize..700) {
            if let Ok((out, begun)) = assemble(&bytes, &[portion]) {
                prop_assert_eq!(out.iter().map(Vec::len).sum::<usize>() + begun, bytes.len());
            }
        }
    }
}
