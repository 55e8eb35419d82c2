//! Mirrors of what nodes say to each other.

use mytism_core::id::{BLOCK_SIZE, Hash, NodeId, OBJECT_ID_MAX, ObjectId, Position};
use mytism_core::number::{Lease, LeaseWish, Number};
use mytism_core::time::Timestamp;

use crate::error::Problem;
use crate::peer::{CheckDivision, CheckObject, CheckPart, CheckRange, EntryFrame, Part, PeerMessage, Rung};
use crate::wire::tables::{messages, mirror};
use crate::wire::{Flaw, Mirror};

#[cfg(test)]
pub(crate) use bodies::listed;
pub(crate) use bodies::{read, write};

mirror! {
    EntryFrame as EntryFrameForm { "e" entry: Vec<u8> } optional { "t" transaction: Vec<u8> }
}

mirror! {
    CheckRange as CheckRangeForm { "a" after: u64, "z" to: u64 } optional {}
}
mirror! {
    CheckDivision as CheckDivisionForm { "p" parts: Vec<CheckPart> } optional {}
}
mirror! {
    CheckPart as CheckPartForm { "z" to: u64, "n" count: u64, "s" sum: Hash } optional {}
}
mirror! {
    CheckObject as CheckObjectForm { "o" record: Vec<u8>, "h" history: Vec<u64> } optional {}
}
mirror! {
    Rung as RungForm { "n" number: u64, "h" hash: Hash } optional {}
}
mirror! {
    LeaseWish as LeaseWishForm { "r" range: ObjectId, "w" wanted: u64 } optional { "h" held: Number, "g" given: Number }
}
mirror! {
    Lease as LeaseForm { "r" range: ObjectId, "x" is_lost: bool } optional { "p" passed: Number, "e" end: Number }
}

mirror! {
    Part as PartForm { "h" hash: Hash, "b" bytes: u32 }
}

/// The number of a block of ids, the only bare `i64` in any message.
impl Mirror for i64 {
    type Wire<'a> = Self;

    fn to_wire(&self) -> Result<Self, Flaw> {
        Self::from_wire(*self)
    }

    fn from_wire(wire: Self) -> Result<Self, Flaw> {
        let blocks = 0..=OBJECT_ID_MAX / BLOCK_SIZE;
        if blocks.contains(&wire) { Ok(wire) } else { Err(Problem::Block(wire).into()) }
    }
}

messages! {
    PeerMessage;
    whole {}
    sole {}
    fields {
        HELLO Hello {
            "v" protocol: u16, "c" cluster: Hash, "n" node: NodeId, "i" incarnation: u32, "r" run: u64,
            "a" name: String, "p" position: Position, "h" hash: Hash,
        } optional { "l" ladder: Vec<Rung>, "k" newest: u64 };
        WELCOME Welcome {
            "v" protocol: u16, "c" cluster: Hash, "n" node: NodeId, "i" incarnation: u32, "r" run: u64,
            "a" name: String, "p" position: Position, "h" hash: Hash, "t" time: Timestamp,
        } optional { "f" feed: bool };
        REJECT Reject { "c" code: String, "m" message: String };
        ROLL_BACK RollBack { "p" to: Position, "h" hash: Hash };
        RENEW Renew { "i" incarnation: u32, "b" blocks: Vec<i64> };
        RENEW_REQUEST RenewRequest {};
        RECOVER Recover { "p" after: Position, "h" hash: Hash };
        TAIL_END TailEnd { "d" differs: bool };
        OFFER Offer { "t" transactions: Vec<Vec<u8>>, "s" signature: Vec<u8> };
        ENTRIES Entries { "f" entries: Vec<EntryFrame>, "c" checksum: Hash, "p" head: Position, "t" sent: Timestamp };
        ACK Ack { "p" position: Position, "h" hash: Hash };
        BLOCK_REQUEST BlockRequest { "f" free: u64 };
        BLOCK_GRANT BlockGrant { "b" blocks: Vec<i64> };
        LEASE_REQUEST LeaseRequest { "w" wishes: Vec<LeaseWish> };
        LEASE_GRANT LeaseGrant { "l" leases: Vec<Lease> };
        PING Ping { "s" sent: Timestamp };
        PONG Pong { "s" ping: Timestamp, "t" time: Timestamp };
        JOIN Join { "a" name: String, "p" proof: [u8; 32] };
        JOIN_ACCEPT JoinAccept {
            "c" cluster: Hash, "n" node: NodeId, "i" incarnation: u32, "a" head_name: String, "b" blocks: Vec<i64>,
        };
        CHECK_BEGIN CheckBegin { "f" floor: u64 };
        CHECK_READY CheckReady { "p" position: Position };
        CHECK_WITHOUT CheckWithout { "o" objects: Vec<u64> };
        CHECK_RANGES CheckRanges { "o" objects: bool, "r" ranges: Vec<CheckRange> };
        CHECK_PARTS CheckParts { "r" ranges: Vec<CheckDivision> };
        CHECK_WANT CheckWant { "o" objects: bool, "r" range: CheckRange };
        CHECK_ENTRIES CheckEntries { "f" entries: Vec<EntryFrame>, "z" to: u64 };
        CHECK_OBJECTS CheckObjects { "o" objects: Vec<CheckObject>, "z" to: u64 };
        DONE Done {};
        SNAPSHOT Snapshot { "m" manifest: Vec<u8> };
        HISTORY_WANT HistoryWant { "n" node: NodeId, "p" below: u64 };
        HISTORY History { "d" chunk: Vec<u8>, "h" hash: Hash, "n" count: u64 };
        CONTENTS_BEGIN ContentsBegin { "h" head_asks: bool };
        CONTENT_WANT ContentWant { "c" content: Hash, "f" from: u64 };
        CONTENT_RECIPE ContentRecipe {
            "c" content: Hash, "b" bytes: u64, "n" count: u64, "f" from: u64, "p" parts: Vec<Part>,
        };
        CONTENT_MISSING ContentMissing { "c" content: Hash };
        CHUNK_WANT ChunkWant { "h" hashes: Vec<Hash> };
        CHUNK Chunk { "h" hash: Hash, "d" data: Vec<u8>, "z" compressed: bool };
        CHUNK_MISSING ChunkMissing { "h" hash: Hash };
    }
}
