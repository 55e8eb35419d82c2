//! What nodes say to each other. `PROTOCOL.md` tells the whole conversation; here stands what each message means, who
//! sends it and what answers it.

use mytism_core::id::{Hash, NodeId, Position};
use mytism_core::number::{Lease, LeaseWish};
use mytism_core::time::Timestamp;

use crate::body;
use crate::error::ProtoError;
use crate::wire::peer as wire;

/// One message between two nodes. *Head* is the side that owns the log, *branch* the side that follows it; the branch
/// opens the connection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PeerMessage {
    /// Branch, first on a connection: who I am and how far I am. Answered by [`Self::Welcome`] or [`Self::Reject`].
    Hello {
        /// Version of the protocol, [`crate::PROTOCOL_VERSION`].
        protocol: u16,
        /// Hash of the first entry of the log, which names the cluster; zero from a node that holds no entry yet.
        cluster: Hash,
        /// Who I am.
        node: NodeId,
        /// Which life of that node.
        incarnation: u32,
        /// Drawn at each start of the process.
        run: u64,
        /// Name of the node.
        name: String,
        /// The last log entry that I have.
        position: Position,
        /// Hash of the entry at `position`; zero before the first.
        hash: Hash,
        /// Entries of my log from its end to its first, ever further apart, so that the head finds one that both have.
        ladder: Option<Vec<Rung>>,
        /// Counter of the newest transaction of this life that I have, 0 where there is none.
        newest: Option<u64>,
    },
    /// Head, after [`Self::Hello`]: we can talk. From here on both sides may send.
    Welcome {
        /// Version of the protocol that both will use: the lower one of the two.
        protocol: u16,
        /// Hash of the first entry of the log.
        cluster: Hash,
        /// Who I am.
        node: NodeId,
        /// Which life of that node.
        incarnation: u32,
        /// Drawn at each start of the process.
        run: u64,
        /// Name of the node.
        name: String,
        /// The last log entry that I have.
        position: Position,
        /// Hash of the entry at `position`.
        hash: Hash,
        /// My clock, for the measuring of offsets.
        time: Timestamp,
        /// Whether I take a stream of its own for what [`Self::is_feed`]; without it all goes over this one.
        feed: Option<bool>,
    },
    /// Either side, at any time: the reason why the sender closes now. Nothing follows.
    Reject {
        /// A kebab-case word as in [`mytism_core::failure::Failure`].
        code: String,
        /// In words.
        message: String,
    },
    /// Head, in the place of [`Self::Welcome`]: another reign began behind this entry, which both have. Take back what is
    /// above it, and come again.
    RollBack {
        /// The last entry that stays.
        to: Position,
        /// Its hash.
        hash: Hash,
    },
    /// Head, in the place of [`Self::Welcome`] or after an offer or [`Self::RenewRequest`]: your life went on elsewhere, so
    /// you are a copy or were restored. Begin this one, and come again.
    Renew {
        /// The new life.
        incarnation: u32,
        /// Its ids; no others may be given any more.
        blocks: Vec<i64>,
    },
    /// Branch: an own transaction has another content in the log than here. Answered by [`Self::Renew`].
    RenewRequest {},
    /// Head, in the place of [`Self::Welcome`]: I was restored and lack what you have behind this entry. Answered by
    /// [`Self::Entries`], each of them by [`Self::Ack`], and then [`Self::TailEnd`].
    Recover {
        /// The last entry that I have.
        after: Position,
        /// Its hash.
        hash: Hash,
    },
    /// Branch: that was all. The head closes, and the branch comes again.
    TailEnd {
        /// Whether my log goes another way before the entry that [`Self::Recover`] named, so that nothing was sent.
        differs: bool,
    },
    /// Branch: transactions made there, in the order of their counters. No answer of its own: their outcomes come as
    /// [`Self::Entries`]. Offering one twice changes nothing.
    Offer {
        /// Stored bytes, word for word.
        transactions: Vec<Vec<u8>>,
        /// Of the node where they were made, over the batch.
        signature: Vec<u8>,
    },
    /// Head, and branch after [`Self::Recover`]: log entries that follow one another without a gap. Answered by [`Self::Ack`] once they are durable.
    Entries {
        /// In the order of the log.
        entries: Vec<EntryFrame>,
        /// Hash of the log's chain after the last of them.
        checksum: Hash,
        /// The last entry that the head has, for the measuring of lag.
        head: Position,
        /// When they were sent, by the head's clock.
        sent: Timestamp,
    },
    /// Who got entries: everything up to here is durable. Frees room in the window of what may be sent unacknowledged.
    Ack {
        /// The last durable entry.
        position: Position,
        /// Its hash.
        hash: Hash,
    },
    /// Branch: I need more ids. Answered by [`Self::BlockGrant`] or [`Self::Reject`].
    BlockRequest {
        /// How many ids are left.
        free: u64,
    },
    /// Head: blocks of ids that are the branch's from now on, for ever.
    BlockGrant {
        /// Numbers of blocks, see [`mytism_core::id::BlockId`].
        blocks: Vec<i64>,
    },
    /// Branch: up to where I may give numbers of my ranges, and how many more I would like to lease. Said at the begin of
    /// each session, and before a lease runs out. Answered by [`Self::LeaseGrant`].
    LeaseRequest {
        /// One for each range of the branch.
        wishes: Vec<LeaseWish>,
    },
    /// Head: numbers that are leased to the branch, and those that it must pass over. Ranges about which there is nothing
    /// to say are left out.
    LeaseGrant {
        /// One for each range.
        leases: Vec<Lease>,
    },
    /// Either side: are you there? Answered by [`Self::Pong`] at once.
    Ping {
        /// The sender's clock.
        sent: Timestamp,
    },
    /// The answer to [`Self::Ping`].
    Pong {
        /// `sent` of the ping.
        ping: Timestamp,
        /// The answerer's clock.
        time: Timestamp,
    },
    /// New branch, first on a connection in the place of [`Self::Hello`]: let me in. Answered by [`Self::JoinAccept`]
    /// or [`Self::Reject`].
    Join {
        /// Name of the node, as in its account.
        name: String,
        /// Proves that the sender knows the account's secret, over the keys of this very connection.
        proof: [u8; 32],
    },
    /// Head, after [`Self::Join`]: who the new node is. A snapshot follows.
    JoinAccept {
        /// Hash of the first entry of the log.
        cluster: Hash,
        /// Number of the new node.
        node: NodeId,
        /// Its first life.
        incarnation: u32,
        /// Name of the head.
        head_name: String,
        /// Its first blocks of ids.
        blocks: Vec<i64>,
    },
    /// Head, after [`Self::JoinAccept`]: what the snapshot consists of. The branch asks for the parts that it lacks with
    /// [`Self::ChunkWant`], and says [`Self::Done`] once all of it is durable.
    Snapshot {
        /// Stored bytes of the manifest.
        manifest: Vec<u8>,
    },
    /// Branch, after [`Self::Snapshot`] or first on a stream for long transfers: give me entries of the log below this
    /// number, the last of them the one just below it. Answered by [`Self::History`].
    HistoryWant {
        /// Who asks.
        node: NodeId,
        /// Number of the first entry that the branch has.
        below: u64,
    },
    /// Head: some entries of the log, in their order.
    History {
        /// Compressed with zstd.
        chunk: Vec<u8>,
        /// BLAKE3 of `chunk` as sent.
        hash: Hash,
        /// How many entries.
        count: u64,
    },
    /// Branch, first on a stream of its own: compare what we hold. Answered by [`Self::CheckReady`].
    CheckBegin {
        /// History is compared behind this entry; 0 for all.
        floor: u64,
    },
    /// Head: I hold still at the end of my log, for this stream.
    CheckReady {
        /// The end.
        position: Position,
    },
    /// Branch: leave out these objects, which changed here behind that end. No answer.
    CheckWithout {
        /// Ids, ascending.
        objects: Vec<u64>,
    },
    /// Branch: divide these ranges. Answered by [`Self::CheckParts`].
    CheckRanges {
        /// Whether objects by their ids, else entries by their numbers.
        objects: bool,
        /// At most 64.
        ranges: Vec<CheckRange>,
    },
    /// Head: the ranges, each in parts that follow one another up to its end.
    CheckParts {
        /// One list for each range.
        ranges: Vec<CheckDivision>,
    },
    /// Branch: give me all that you hold in a range. Answered by [`Self::CheckEntries`] or [`Self::CheckObjects`].
    CheckWant {
        /// Whether objects, else entries.
        objects: bool,
        /// Of them.
        range: CheckRange,
    },
    /// Head: entries of a range, as many as fit.
    CheckEntries {
        /// In the order of the log.
        entries: Vec<EntryFrame>,
        /// All up to here are given.
        to: u64,
    },
    /// Head: objects of a range, as many as fit.
    CheckObjects {
        /// In the order of their ids.
        objects: Vec<CheckObject>,
        /// All up to here are given.
        to: u64,
    },
    /// The end of a bulk transfer, from the side that received it: only now may the sender close.
    Done {},
    /// Branch, first on a stream for contents of files: who asks on it. The other side answers, each question in turn.
    ContentsBegin {
        /// Whether the head asks; else the branch does.
        head_asks: bool,
    },
    /// Who asks: of which chunks does this content consist? Answered by [`Self::ContentRecipe`] or
    /// [`Self::ContentMissing`].
    ContentWant {
        /// BLAKE3 of the whole content.
        content: Hash,
        /// From which chunk on, from 0.
        from: u64,
    },
    /// Some of the chunks of a content; who asks wants the rest with the next [`Self::ContentWant`].
    ContentRecipe {
        /// BLAKE3 of the whole content.
        content: Hash,
        /// Bytes of the whole content.
        bytes: u64,
        /// How many chunks it has.
        count: u64,
        /// Number of the first of `parts`, from 0.
        from: u64,
        /// Chunks in the order of the content.
        parts: Vec<Part>,
    },
    /// I don't have that content.
    ContentMissing {
        /// As in the question.
        content: Hash,
    },
    /// Who asks: give me these chunks. Each of them is answered by [`Self::Chunk`] or [`Self::ChunkMissing`], in the
    /// order of the question.
    ChunkWant {
        /// BLAKE3 of each chunk.
        hashes: Vec<Hash>,
    },
    /// A chunk.
    Chunk {
        /// BLAKE3 of the chunk as it was cut, which is checked before it is used.
        hash: Hash,
        /// Its bytes.
        data: Vec<u8>,
        /// Whether `data` is compressed with zstd; else it is the chunk itself.
        compressed: bool,
    },
    /// I don't have that chunk, or it is damaged here.
    ChunkMissing {
        /// As in the question.
        hash: Hash,
    },
}

/// One chunk of a content.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Part {
    /// BLAKE3 of its bytes.
    pub hash: Hash,
    /// How many bytes it has.
    pub bytes: u32,
}

/// An entry of a log, as a proof of having it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rung {
    /// Its number.
    pub number: u64,
    /// Its hash.
    pub hash: Hash,
}

/// A range of keys.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CheckRange {
    /// The last key that is not in it.
    pub after: u64,
    /// The last one that is.
    pub to: u64,
}

/// A range in parts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CheckDivision {
    /// They follow one another.
    pub parts: Vec<CheckPart>,
}

/// A part of a range.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CheckPart {
    /// Its last key; it begins behind that of the part before.
    pub to: u64,
    /// How many things it holds.
    pub count: u64,
    /// Their digests added up.
    pub sum: Hash,
}

/// An object as the head office holds it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CheckObject {
    /// Its record.
    pub record: Vec<u8>,
    /// Numbers of the entries that changed it, above the floor.
    pub history: Vec<u64>,
}

/// One log entry on its way to a branch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EntryFrame {
    /// Stored bytes of the entry, word for word.
    pub entry: Vec<u8>,
    /// Stored bytes of its transaction, word for word; `None` where the receiver made it and so has it.
    pub transaction: Option<Vec<u8>>,
}

impl PeerMessage {
    /// The whole message with its envelope.
    ///
    /// # Errors
    /// When it is larger than its limit, has a block number out of range or has more items than any reader takes.
    pub fn encode(&self) -> Result<Vec<u8>, ProtoError> {
        wire::write(self, self.room())
    }

    /// Reads one whole message.
    ///
    /// # Errors
    /// [`ProtoError::Skip`] where it may be passed over; otherwise what is wrong with it.
    pub fn decode(bytes: &[u8]) -> Result<Self, ProtoError> {
        let (kind, body) = body::open(bytes)?;
        wire::read(kind, body)?.ok_or(ProtoError::Unexpected { message: kind.name })
    }

    /// Whether it goes over the stream for the log and what is offered to it, so that nothing else waits behind it. The
    /// order of such messages and others among each other is not kept on their way.
    #[must_use]
    pub const fn is_feed(&self) -> bool {
        matches!(self, Self::Offer { .. } | Self::Entries { .. } | Self::Ack { .. })
    }

    /// How many bytes the body will have, not less than needed where it matters.
    pub(crate) fn room(&self) -> usize {
        /// A length, a key and the map around them.
        const AROUND: usize = 16;
        /// A hash, a number and the map around them.
        const PART_BYTES: usize = 44;
        let data = match self {
            Self::Offer { transactions, signature } => {
                signature.len() + transactions.iter().map(|bytes| bytes.len() + AROUND).sum::<usize>()
            }
            Self::Entries { entries, .. } => entries.iter().map(|frame| frame.bytes() + 2 * AROUND).sum::<usize>(),
            Self::Snapshot { manifest } => manifest.len(),
            Self::History { chunk, .. } => chunk.len(),
            Self::Chunk { data, .. } => data.len(),
            Self::ContentRecipe { parts, .. } => parts.len() * PART_BYTES,
            Self::CheckEntries { entries, .. } => entries.iter().map(|frame| frame.bytes() + 2 * AROUND).sum::<usize>(),
            Self::CheckObjects { objects, .. } => {
                objects.iter().map(|object| object.record.len() + 9 * object.history.len() + 2 * AROUND).sum::<usize>()
            }
            Self::CheckWithout { objects } => 9 * objects.len(),
            _ => 0,
        };
        data + body::ROOM
    }
}

impl EntryFrame {
    /// Bytes of the entry and its transaction, as they count for the window of what may be sent unacknowledged.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.entry.len() + self.transaction.as_ref().map_or(0, Vec::len)
    }
}
