//! The types of all records that last. A number is never used again for something else.

/// Identity, base and root of a transaction.
pub const TRANSACTION_HEADER: u16 = 0x0101;
/// The secret from which the salts of the leaves are derived; stands behind the header.
pub const SECRET: u16 = 0x0102;
/// Leaf: who saved.
pub const LEAF_AUTHOR: u16 = 0x0110;
/// Leaf: when, by the clock of the origin.
pub const LEAF_TIME: u16 = 0x0111;
/// Leaf: what the author said about it.
pub const LEAF_DESCRIPTION: u16 = 0x0112;
/// Leaf: the import or other run that it is part of.
pub const LEAF_RUN: u16 = 0x0113;
/// Leaf: one change of one slot.
pub const LEAF_CHANGE: u16 = 0x0114;
/// Leaf: the schema that a log begins with.
pub const LEAF_SCHEMA: u16 = 0x0115;
/// Leaf: the schema that holds from here on, in a log that began with another one. A program that cannot change the
/// tables of a database must not pass over it, so it has a type of its own.
pub const LEAF_SCHEMA_CHANGE: u16 = 0x0116;
/// Position, chain and root of a log entry.
pub const ENTRY_HEADER: u16 = 0x0120;
/// Leaf of an entry: a change of the transaction that was taken otherwise than its author made it, or not at all.
pub const LEAF_OVERRIDE: u16 = 0x0121;
/// Leaf of an entry: the transaction is refused.
pub const LEAF_REFUSED: u16 = 0x0122;
/// The state of an object in a snapshot.
pub const OBJECT: u16 = 0x0130;
/// What a snapshot holds as a whole.
pub const SNAPSHOT_MANIFEST: u16 = 0x0132;
/// One part of a snapshot, as its manifest lists it.
pub const SNAPSHOT_PART: u16 = 0x0133;
