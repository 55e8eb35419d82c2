//! A transaction as bytes: made once at its origin, then handed on word for word.
//!
//! ```text
//! header  {n i c be bn k r}   identity, base position, number of leaves, root of the leaves' tree
//! secret  {s}                 from which the salts of the leaves are derived
//! leaf    {u}                 author
//! leaf    {t o}               time and clock offset
//! leaf    {d}                 description
//! leaf    {n i c}             the run that it is part of, where there is one
//! leaf    {…}                 a schema, where it changes that
//! leaf    {o e a m x v}       one change, as many as there are
//! ```
//! Each line is an [`crate::envelope`]. The hash of the transaction is over the stored bytes of the header, which holds
//! the root, so nothing behind it can be altered unnoticed.

use mytism_core::change::{Change, Slot, Transaction};
use mytism_core::id::{AttributeId, EntityId, Hash, ObjectId, Position, TransactionId};
use mytism_core::time::Timestamp;

use crate::FormatError;
use crate::envelope::{self, Envelope};
use crate::hash::{self, Secret, Tree};
use crate::kind;
use crate::map::{MapReader, MapWriter};
use crate::value::{read_value, value_bytes};

/// Changes in one transaction.
pub const CHANGES_MAX: usize = 10_000_000;
/// Bytes of one transaction.
pub const BYTES_MAX: usize = 256 << 20;

const WHAT: &str = "a transaction";

/// A transaction with the bytes that it is kept and sent as.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoredTransaction {
    /// Word for word.
    pub bytes: Vec<u8>,
    /// Its hash.
    pub hash: Hash,
    /// What they mean.
    pub transaction: Transaction,
}

/// Makes the bytes of a new transaction. `secret` must be fresh randomness.
///
/// # Errors
/// When the transaction is larger than the limits.
pub fn write(transaction: Transaction, secret: &Secret) -> Result<StoredTransaction, FormatError> {
    if transaction.changes.len() > CHANGES_MAX {
        return Err(FormatError::TooLarge { what: WHAT, limit: "10 million changes" });
    }
    let mut leaves = LeafWriter::new(secret);
    leaves.push(kind::LEAF_AUTHOR, &MapWriter::new(1).signed("u", transaction.author.get()).finish())?;
    leaves.push(kind::LEAF_TIME, &time_body(&transaction))?;
    leaves.push(kind::LEAF_DESCRIPTION, &MapWriter::new(1).text("d", &transaction.description).finish())?;
    if let Some(run) = transaction.run {
        leaves.push(kind::LEAF_RUN, &identity(MapWriter::new(3), run).finish())?;
    }
    if let Some(schema) = &transaction.schema {
        leaves.push(kind::LEAF_SCHEMA, &crate::schema::write(schema)?)?;
    }
    for change in &transaction.changes {
        leaves.push(kind::LEAF_CHANGE, &change_body(change))?;
    }
    let header = identity(MapWriter::new(7), transaction.id)
        .unsigned("be", u64::from(transaction.base.epoch))
        .unsigned("bn", transaction.base.number)
        .unsigned("k", u64::from(leaves.count))
        .binary("r", &leaves.tree.root().0)
        .finish();
    let mut bytes = Vec::with_capacity(leaves.bytes.len() + 192);
    envelope::write(&mut bytes, kind::TRANSACTION_HEADER, 1, 0, &header)?;
    let hash = hash::transaction(&bytes);
    bytes.extend_from_slice(&secret_record(secret)?);
    bytes.extend_from_slice(&leaves.bytes);
    if bytes.len() > BYTES_MAX {
        return Err(FormatError::TooLarge { what: WHAT, limit: "256 MiB" });
    }
    Ok(StoredTransaction { bytes, hash, transaction })
}

/// Reads a transaction and checks that its leaves have the root that its header names.
///
/// # Errors
/// When the bytes are no transaction, are damaged, or hold a leaf that this program does not know and may not pass
/// over.
pub fn read(bytes: Vec<u8>) -> Result<StoredTransaction, FormatError> {
    if bytes.len() > BYTES_MAX {
        return Err(FormatError::TooLarge { what: WHAT, limit: "256 MiB" });
    }
    let (hash, transaction) = parse(&bytes)?;
    Ok(StoredTransaction { bytes, hash, transaction })
}

fn parse(bytes: &[u8]) -> Result<(Hash, Transaction), FormatError> {
    let (header, rest) = expect(WHAT, bytes, kind::TRANSACTION_HEADER)?;
    let fields = MapReader::new(WHAT, header.body)?;
    let mut transaction = Transaction {
        id: fields.transaction_id("n", "i", "c")?,
        base: fields.position("be", "bn")?,
        author: mytism_core::id::system::USER_SYSTEM,
        time: Timestamp::saturating_from_micros(0),
        clock_offset_micros: None,
        description: String::new(),
        run: None,
        schema: None,
        changes: Vec::new(),
    };
    let leaves = read_leaves(WHAT, rest, fields.number("k")?, fields.hash("r")?)?;
    for leaf in leaves {
        add_leaf(&mut transaction, leaf)?;
    }
    Ok((hash::transaction(header.whole), transaction))
}

fn add_leaf(transaction: &mut Transaction, leaf: Envelope<'_>) -> Result<(), FormatError> {
    let fields = |what| MapReader::new(what, leaf.body);
    match leaf.header.kind {
        kind::LEAF_AUTHOR => transaction.author = fields("an author")?.object("u")?,
        kind::LEAF_TIME => {
            let fields = fields("a time")?;
            transaction.time = fields.timestamp("t")?;
            transaction.clock_offset_micros = fields.number_if("o")?;
        }
        kind::LEAF_DESCRIPTION => fields("a description")?.text("d")?.clone_into(&mut transaction.description),
        kind::LEAF_RUN => transaction.run = Some(fields("a run")?.transaction_id("n", "i", "c")?),
        kind::LEAF_SCHEMA => transaction.schema = Some(crate::schema::read(leaf.body)?),
        kind::LEAF_CHANGE => transaction.changes.push(read_change(&fields("a change")?)?),
        _ if leaf.header.may_skip() => {}
        unknown => return Err(FormatError::UnknownKind { kind: unknown }),
    }
    Ok(())
}

fn identity(map: MapWriter, id: TransactionId) -> MapWriter {
    map.unsigned("n", u64::from(id.node.0)).unsigned("i", u64::from(id.incarnation)).unsigned("c", id.counter)
}

fn time_body(transaction: &Transaction) -> Vec<u8> {
    match transaction.clock_offset_micros {
        Some(offset) => MapWriter::new(2).signed("t", transaction.time.micros()).signed("o", offset).finish(),
        None => MapWriter::new(1).signed("t", transaction.time.micros()).finish(),
    }
}

/// A change as the body of a leaf; nothing is not written.
pub(crate) fn change_body(change: &Change) -> Vec<u8> {
    let present = [change.slot.element.is_some(), !change.old.is_null(), !change.new.is_null()];
    let fields = 3 + u32::from(present[0]) + u32::from(present[1]) + u32::from(present[2]);
    let mut map = MapWriter::new(fields)
        .signed("o", change.object.get())
        .unsigned("e", u64::from(change.entity.0))
        .unsigned("a", u64::from(change.slot.attribute.0));
    if let Some(element) = change.slot.element {
        map = map.signed("m", element.get());
    }
    if !change.old.is_null() {
        map = map.binary("x", &value_bytes(&change.old));
    }
    if !change.new.is_null() {
        map = map.binary("v", &value_bytes(&change.new));
    }
    map.finish()
}

pub(crate) fn read_change(fields: &MapReader<'_>) -> Result<Change, FormatError> {
    let element = match fields.number_if::<i64>("m")? {
        Some(number) => Some(ObjectId::new(number).ok_or_else(|| fields.invalid("m"))?),
        None => None,
    };
    let value = |key| fields.binary_if(key).and_then(|bytes| bytes.map_or(Ok(Default::default()), read_value));
    Ok(Change {
        object: fields.object("o")?,
        entity: EntityId(fields.number("e")?),
        slot: Slot { attribute: AttributeId(fields.number("a")?), element },
        old: value("x")?,
        new: value("v")?,
    })
}

/// The first record of some bytes, which must be of a certain type.
pub(crate) fn expect<'a>(
    what: &'static str,
    bytes: &'a [u8],
    kind: u16,
) -> Result<(Envelope<'a>, &'a [u8]), FormatError> {
    let (envelope, rest) = envelope::read(bytes)?;
    if envelope.header.kind == kind {
        Ok((envelope, rest))
    } else {
        Err(FormatError::Unexpected { what, kind: envelope.header.kind })
    }
}

/// Writes leaves one after another and keeps their tree.
pub(crate) struct LeafWriter<'a> {
    secret: &'a Secret,
    pub(crate) bytes: Vec<u8>,
    pub(crate) tree: Tree,
    pub(crate) count: u32,
}

impl<'a> LeafWriter<'a> {
    pub(crate) fn new(secret: &'a Secret) -> Self {
        Self { secret, bytes: Vec::new(), tree: Tree::default(), count: 0 }
    }

    pub(crate) fn push(&mut self, kind: u16, body: &[u8]) -> Result<(), FormatError> {
        let start = self.bytes.len();
        envelope::write(&mut self.bytes, kind, 1, 0, body)?;
        let whole = self.bytes.get(start..).unwrap_or_default();
        self.tree.push(hash::leaf(&self.secret.salt(self.count), whole));
        self.count += 1;
        Ok(())
    }
}

pub(crate) fn secret_record(secret: &Secret) -> Result<Vec<u8>, FormatError> {
    let mut bytes = Vec::with_capacity(48);
    envelope::write(&mut bytes, kind::SECRET, 1, 0, &MapWriter::new(1).binary("s", &secret.0).finish())?;
    Ok(bytes)
}

/// Reads the secret and the leaves that fill `bytes`, and checks their number and root.
pub(crate) fn read_leaves<'a>(
    what: &'static str,
    bytes: &'a [u8],
    count: u32,
    root: Hash,
) -> Result<Vec<Envelope<'a>>, FormatError> {
    let (secret, rest) = expect(what, bytes, kind::SECRET)?;
    let (record, secret) = (secret.whole, Secret(MapReader::new(what, secret.body)?.hash("s")?.0));
    // The secret is no leaf, so it must stand in its one form to be held by the root as well.
    if record != secret_record(&secret)? {
        return Err(FormatError::HashMismatch { what });
    }
    // A leaf takes at least the eight bytes of its envelope, so a number that lies takes no memory.
    let mut leaves = Vec::with_capacity((count as usize).min(rest.len() / envelope::HEADER_BYTES));
    let mut tree = Tree::default();
    for (number, leaf) in (0u32..).zip(envelope::run(rest)) {
        let leaf = leaf?;
        tree.push(hash::leaf(&secret.salt(number), leaf.whole));
        leaves.push(leaf);
    }
    if leaves.len() != count as usize || tree.root() != root {
        return Err(FormatError::HashMismatch { what });
    }
    Ok(leaves)
}

/// The name and base of a transaction, from its header alone.
///
/// # Errors
/// When the bytes do not begin with the header of a transaction.
pub fn peek(bytes: &[u8]) -> Result<(TransactionId, Position, Hash), FormatError> {
    let (header, _) = expect(WHAT, bytes, kind::TRANSACTION_HEADER)?;
    let fields = MapReader::new(WHAT, header.body)?;
    Ok((fields.transaction_id("n", "i", "c")?, fields.position("be", "bn")?, hash::transaction(header.whole)))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use mytism_core::change::Life;
    use mytism_core::id::NodeId;
    use mytism_core::value::Value;

    pub(crate) fn sample() -> Transaction {
        let object = ObjectId::new(1_048_576).unwrap();
        let change = |attribute, old: Value, new: Value| Change {
            object,
            entity: EntityId(10_000),
            slot: Slot::attribute(AttributeId(attribute)),
            old,
            new,
        };
        Transaction {
            id: TransactionId { node: NodeId(2), incarnation: 1, counter: 7 },
            base: Position { epoch: 1, number: 42 },
            author: mytism_core::id::system::USER_ADMIN,
            time: Timestamp::from_micros(1_795_404_600_000_000).unwrap(),
            clock_offset_micros: Some(-1500),
            description: "Ein Auftrag".into(),
            run: None,
            schema: None,
            changes: vec![
                change(1, Value::Null, Life::Alive.value()),
                change(10_001, Value::Null, "Köln".into()),
                change(10_002, Value::Integer(1), Value::Null),
                Change {
                    slot: Slot::element(AttributeId(10_003), object),
                    ..change(0, Value::Null, Value::Bool(true))
                },
            ],
        }
    }

    #[test]
    fn a_transaction_reads_as_it_was_written() {
        let stored = write(sample(), &Secret([9; 32])).unwrap();
        assert_eq!(read(stored.bytes.clone()).unwrap(), stored);
        let (id, base, hash) = peek(&stored.bytes).unwrap();
        assert_eq!((id, base, hash), (sample().id, sample().base, stored.hash));
    }

    #[test]
    fn every_altered_byte_is_noticed() {
        let stored = write(sample(), &Secret([9; 32])).unwrap();
        for at in 0..stored.bytes.len() {
            let mut bytes = stored.bytes.clone();
            bytes[at] ^= 0x01;
            // A header that still reads has another hash; everything behind it is held by the root.
            match read(bytes) {
                Err(_) => {}
                Ok(other) => assert_ne!(other.hash, stored.hash, "byte {at}"),
            }
        }
        for cut in 0..stored.bytes.len() {
            assert!(read(stored.bytes[..cut].to_vec()).is_err(), "{cut}");
        }
    }

    #[test]
    fn unknown_leaves_are_passed_over_only_where_they_may() {
        let secret = Secret([9; 32]);
        let check = |flags: u8, expected: Result<(), FormatError>| {
            let mut leaves = LeafWriter::new(&secret);
            leaves.push(kind::LEAF_AUTHOR, &MapWriter::new(1).signed("u", 2).finish()).unwrap();
            let mut leaf = Vec::new();
            envelope::write(&mut leaf, 0x01ff, 1, flags, b"?").unwrap();
            leaves.tree.push(hash::leaf(&secret.salt(1), &leaf));
            leaves.bytes.extend_from_slice(&leaf);
            let header = identity(MapWriter::new(7), sample().id)
                .unsigned("be", 1)
                .unsigned("bn", 1)
                .unsigned("k", 2)
                .binary("r", &leaves.tree.root().0)
                .finish();
            let mut bytes = Vec::new();
            envelope::write(&mut bytes, kind::TRANSACTION_HEADER, 1, 0, &header).unwrap();
            bytes.extend_from_slice(&secret_record(&secret).unwrap());
            bytes.extend_from_slice(&leaves.bytes);
            assert_eq!(read(bytes).map(drop), expected);
        };
        check(envelope::FLAG_MAY_SKIP, Ok(()));
        check(0, Err(FormatError::UnknownKind { kind: 0x01ff }));
    }
}
