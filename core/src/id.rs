//! The names of things, one type per kind, so that the compiler refuses to mix them up.
//!
//! Numbers are given out by the head office alone or derived from blocks that it gave out; nothing here draws one.

use std::fmt;
use std::str::FromStr;

/// Objects below this id belong to the system itself and have the same id in every cluster.
pub const SYSTEM_OBJECTS: i64 = 1_000_000;
/// The largest object id: what JSON and scripts can hold exactly.
pub const OBJECT_ID_MAX: i64 = (1 << 53) - 1;
/// How many ids stand in one block.
pub const BLOCK_SIZE: i64 = 65_536;
/// Schema ids below this are fixed by the system's own schema files.
pub const SYSTEM_SCHEMA_IDS: u32 = 10_000;

/// One object, for ever. 1 … 2^53−1; 0 is never valid.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId(i64);

impl ObjectId {
    /// The id for a number, or `None` outside of 1 … 2^53−1.
    #[must_use]
    pub const fn new(number: i64) -> Option<Self> {
        if number >= 1 && number <= OBJECT_ID_MAX { Some(Self(number)) } else { None }
    }

    /// The number behind the id.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }

    /// A fixed id of the system. Must be given a number from 1 to 999,999; checked when the program is compiled.
    #[must_use]
    pub const fn system(number: u32) -> Self {
        assert!(number >= 1 && (number as i64) < SYSTEM_OBJECTS);
        Self(number as i64)
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "object {}", self.0)
    }
}

impl FromStr for ObjectId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        text.trim().parse().ok().and_then(Self::new).ok_or(InvalidId)
    }
}

/// A text that is no id of the wanted kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a valid id")]
pub struct InvalidId;

macro_rules! number_id {
    ($(#[$doc:meta])* $name:ident, $word:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u32);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($word, " {}"), self.0)
            }
        }
    };
}

number_id!(
    /// One server of the cluster. Given by the head office alone; 1 is the first head office.
    NodeId,
    "node"
);
number_id!(
    /// A class of objects.
    EntityId,
    "entity"
);
number_id!(
    /// An attribute or a relation of an entity; both share one space of numbers, since both name a place in an object.
    AttributeId,
    "attribute"
);
number_id!(
    /// One word of an enumeration; stored in the place of the word, so that words can be renamed.
    EnumId,
    "enum value"
);

/// A run of ids that one node owns: block k holds the ids from k·65,536 on.
///
/// k has 37 bits: 10 of the epoch and 27 that count up within it, so that an old and a new head office can never give
/// out the same block.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct BlockId(i64);

impl BlockId {
    /// The first block that is not the system's own.
    pub const FIRST_ORDINARY: u32 = 16;
    /// The epoch within the number of blocks that nobody is given: its ids follow from those of objects that gave way to
    /// others in a fork.
    pub const FORKS: u32 = (1 << 10) - 1;

    /// The block number `running` of an epoch, or `None` when either leaves its bits.
    #[must_use]
    pub const fn new(epoch: u32, running: u32) -> Option<Self> {
        if epoch < 1 << 10 && running < 1 << 27 { Some(Self(((epoch as i64) << 27) | running as i64)) } else { None }
    }

    /// The block of a number, as it was kept or sent; `None` outside of 0 … 2^37−1.
    #[must_use]
    pub const fn from_number(number: i64) -> Option<Self> {
        if number >= 0 && number < 1 << 37 { Some(Self(number)) } else { None }
    }

    /// The block that holds an object.
    #[must_use]
    pub const fn of(object: ObjectId) -> Self {
        Self(object.0 / BLOCK_SIZE)
    }

    /// The epoch within its number, less than 1,024.
    #[must_use]
    pub const fn reign(self) -> i64 {
        self.0 >> 27
    }

    /// The number of the block.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }

    /// The first id of the block as a number, and the number after its last.
    #[must_use]
    pub const fn range(self) -> (i64, i64) {
        (self.0 * BLOCK_SIZE, (self.0 + 1) * BLOCK_SIZE)
    }
}

/// A place in the authoritative log. Numbers run on across epochs; an epoch ends when another node becomes the head
/// office or the head office comes back from a backup. Ordered by number within the history that both are part of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Position {
    /// Counts the reigns of head offices, from 1.
    pub epoch: u32,
    /// Counts the entries, from 1; 0 is the place before the first.
    pub number: u64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.number)
    }
}

/// The name that a transaction got where it was made. As text `node-incarnation-counter`.
///
/// Where a node was copied or put back, one name may have been given twice. Then one of the two gets the name of a
/// **fork**: its counter holds 24 bits that tell the fork from others, above 38 bits of the counter that it had, and
/// bit 62 is set. As text `node-incarnation-counter~mark`, the mark as six hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TransactionId {
    /// Where it was made.
    pub node: NodeId,
    /// Which life of that node; a restored or copied database begins a new one.
    pub incarnation: u32,
    /// Counts the transactions of this life, from 1.
    pub counter: u64,
}

impl TransactionId {
    /// Counters of forks begin here.
    pub const FORKS: u64 = 1 << 62;
    const COUNTER_BITS: u32 = 38;
    const MARK: u32 = (1 << 24) - 1;

    /// The name of a fork in its place; 24 bits of the mark count.
    #[must_use]
    pub const fn of_fork(self, mark: u32) -> Self {
        let counter = self.counter & ((1 << Self::COUNTER_BITS) - 1);
        Self { counter: Self::FORKS | ((mark & Self::MARK) as u64) << Self::COUNTER_BITS | counter, ..self }
    }

    /// Whether it is the name of a fork.
    #[must_use]
    pub const fn is_of_fork(self) -> bool {
        self.counter >> 62 == 1
    }

    /// What was saved by one who saw all that stands under a lower counter: a life of a node, and of that one fork.
    #[must_use]
    pub const fn life(self) -> (NodeId, u32, Option<u32>) {
        let mark =
            if self.is_of_fork() { Some((self.counter >> Self::COUNTER_BITS) as u32 & Self::MARK) } else { None };
        (self.node, self.incarnation, mark)
    }
}

impl fmt::Display for TransactionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-", self.node, self.incarnation)?;
        match self.life().2 {
            None => write!(f, "{}", self.counter),
            Some(mark) => write!(f, "{}~{mark:06x}", self.counter & ((1 << Self::COUNTER_BITS) - 1)),
        }
    }
}

impl FromStr for TransactionId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let mut parts = text.split('-');
        let (Some(node), Some(incarnation), Some(counter), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(InvalidId);
        };
        let (counter, mark) = counter.split_once('~').map_or((counter, None), |(counter, mark)| (counter, Some(mark)));
        let id = Self {
            node: NodeId(node.parse().map_err(|_| InvalidId)?),
            incarnation: incarnation.parse().map_err(|_| InvalidId)?,
            counter: counter.parse().map_err(|_| InvalidId)?,
        };
        let Some(mark) = mark else { return Ok(id) };
        let fork = id.of_fork(u32::from_str_radix(mark, 16).map_err(|_| InvalidId)?);
        // Each name has one text.
        if fork.to_string() == text { Ok(fork) } else { Err(InvalidId) }
    }
}

/// A BLAKE3 hash.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Hash(pub [u8; 32]);

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Hash {
    /// The hash that 64 hexadecimal digits in small letters stand for, as [`fmt::Display`] writes it.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Some(byte - b'0'),
            b'a'..=b'f' => Some(byte - b'a' + 10),
            _ => None,
        };
        if text.len() != 64 {
            return None;
        }
        let mut bytes = [0; 32];
        let (pairs, _) = text.as_bytes().as_chunks::<2>();
        for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
            *byte = digit(*high)? << 4 | digit(*low)?;
        }
        Some(Self(bytes))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "hash {self}")
    }
}

/// Objects that exist in every cluster from its first entry on.
pub mod system {
    use super::ObjectId;

    /// The principal of the node's own work; nobody can log in as it.
    pub const USER_SYSTEM: ObjectId = ObjectId::system(1);
    /// The administrator.
    pub const USER_ADMIN: ObjectId = ObjectId::system(2);
    /// The group of administrators.
    pub const GROUP_ADMINS: ObjectId = ObjectId::system(10);
    /// The group of all users.
    pub const GROUP_USERS: ObjectId = ObjectId::system(11);
    /// The node object of the first head office.
    pub const NODE_HEAD_OFFICE: ObjectId = ObjectId::system(100);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_read_what_they_write() {
        let hash = Hash(std::array::from_fn(|place| u8::try_from(place * 7).unwrap()));
        assert_eq!(Hash::from_hex(&hash.to_string()), Some(hash));
        assert_eq!(Hash::from_hex(&hash.to_string().to_uppercase()), None);
        assert_eq!(Hash::from_hex(&hash.to_string()[1..]), None);
        assert_eq!(Hash::from_hex(&"ä".repeat(32)), None);
    }

    #[test]
    fn object_ids_keep_their_borders() {
        let check = |number: i64, valid: bool| assert_eq!(ObjectId::new(number).is_some(), valid, "{number}");
        check(0, false);
        check(-1, false);
        check(1, true);
        check(OBJECT_ID_MAX, true);
        check(OBJECT_ID_MAX + 1, false);
    }

    #[test]
    fn the_last_block_of_the_last_epoch_ends_with_the_largest_id() {
        let last = BlockId::new((1 << 10) - 1, (1 << 27) - 1).unwrap();
        assert_eq!(last.range().1 - 1, OBJECT_ID_MAX);
        assert_eq!(BlockId::new(1 << 10, 0), None);
        assert_eq!(BlockId::new(0, 1 << 27), None);
    }

    #[test]
    fn the_first_ordinary_block_lies_above_the_system_objects() {
        let first = BlockId::new(0, BlockId::FIRST_ORDINARY).unwrap();
        assert!(first.range().0 > SYSTEM_OBJECTS);
        assert_eq!(BlockId::of(ObjectId::new(first.range().0).unwrap()), first);
    }

    #[test]
    fn transaction_ids_read_what_they_write() {
        let id = TransactionId { node: NodeId(12), incarnation: 3, counter: u64::MAX };
        assert_eq!(id.to_string().parse(), Ok(id));
        let fork = TransactionId { counter: 77, ..id }.of_fork(0xffab_cdef);
        assert_eq!((fork.to_string().as_str(), fork.to_string().parse()), ("12-3-77~abcdef", Ok(fork)));
        assert!(fork.is_of_fork() && !id.is_of_fork());
        assert_eq!(fork.of_fork(1).to_string(), "12-3-77~000001", "a fork of a fork");
        assert_ne!(fork.life(), fork.of_fork(1).life());
        for wrong in [
            "",
            "1",
            "1-2",
            "1-2-3-4",
            "1-2-x",
            "-1-2-3",
            "4294967296-1-1",
            "1-2-3~",
            "1-2-3~1",
            "1-2-3~1000001",
            "1-2-274877906944~000001",
        ] {
            assert_eq!(wrong.parse::<TransactionId>(), Err(InvalidId), "{wrong}");
        }
    }
}
