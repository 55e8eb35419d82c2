//! A transaction as bytes: made once at its origin, then handed on word for word.
//!
//! ```text
//! header  {n i c be bn k r}   identity, base position, number of leaves, root of the leaves' tree
//! secret  {s}                 from which the salts of the leaves are derived
//! leaf    {u}                 author
//! leaf    {t o}               time and clock offset
//! leaf    {d}                 description
//! leaf    {n i c}             the run that it is part of, where there is one
//! leaf    {…}                 the first schema, or the one that holds from here on
//! leaf    {o e a m x v}       one change, as many as there are
//! ```
//! Each line is an [`crate::envelope`]. The hash of the transaction is over the stored bytes of the header, which holds
//! the root, so nothing behind it can be altered unnoticed. Author, time and description stand exactly once, run and
//! schema at most once: who reads the bytes must not be able to choose.

use mytism_core::change::{Change, Slot, Stamp, Transaction};
use mytism_core::id::{AttributeId, EntityId, Hash, ObjectId, Position, TransactionId};
use mytism_core::schema::SchemaDef;
use mytism_core::time::Timestamp;

use crate::FormatError;
use crate::envelope::{self, Envelope};
use crate::hash::{self, Secret, Tree};
use crate::kind;
use crate::map::{MapReader, MapWriter};
use crate::value::{read_value, value_bytes};

/// Changes in one transaction.
pub const CHANGES_MAX: usize = 10_000_000;
/// Bytes of one transaction. It travels in one message, together with its entry and behind up to 1 MiB of others, and a
/// message holds 64 MiB; what is larger could be saved but never handed on.
pub const BYTES_MAX: usize = 48 << 20;
/// Why something is no transaction of that size.
const TOO_LARGE: FormatError = FormatError::TooLarge { what: WHAT, limit: "48 MiB" };
const TOO_MANY: FormatError = FormatError::TooLarge { what: WHAT, limit: "10 million changes" };

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

/// Everything of a transaction but its header, written and hashed before its place in the order is known: the dear part
/// of making one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sealed {
    /// The secret and the leaves as they are stored.
    bytes: Vec<u8>,
    root: Hash,
    leaves: u32,
}

/// Writes the leaves of a new transaction; its identity is not looked at, and of its base position only whether a log
/// begins there. `secret` must be fresh randomness.
///
/// # Errors
/// When the transaction is larger than the limits.
pub fn seal(transaction: &Transaction, secret: &Secret) -> Result<Sealed, FormatError> {
    if transaction.changes.len() > CHANGES_MAX {
        return Err(TOO_MANY);
    }
    let mut leaves = LeafWriter::behind(secret, secret_record(secret)?);
    leaves.push(kind::LEAF_AUTHOR, &MapWriter::new(1).signed("u", transaction.author.get()).finish())?;
    leaves.push(kind::LEAF_TIME, &time_body(transaction))?;
    leaves.push(kind::LEAF_DESCRIPTION, &MapWriter::new(1).text("d", &transaction.description).finish())?;
    if let Some(run) = transaction.run {
        leaves.push(kind::LEAF_RUN, &identity(MapWriter::new(3), run).finish())?;
    }
    if let Some(schema) = &transaction.schema {
        let is_first = transaction.base.number == 0;
        let kind = if is_first { kind::LEAF_SCHEMA } else { kind::LEAF_SCHEMA_CHANGE };
        leaves.push(kind, &crate::schema::write(schema)?)?;
    }
    for change in &transaction.changes {
        leaves.push(kind::LEAF_CHANGE, &change_body(change))?;
        if leaves.bytes.len() > BYTES_MAX {
            return Err(TOO_LARGE);
        }
    }
    Ok(Sealed { root: leaves.tree.root(), leaves: leaves.count, bytes: leaves.bytes })
}

/// Puts the header before sealed leaves. `sealed` must be of the same transaction, whose identity and base position may
/// have changed since.
///
/// # Errors
/// When the transaction is larger than the limits.
pub fn finish(transaction: Transaction, sealed: &Sealed) -> Result<StoredTransaction, FormatError> {
    let header = identity(MapWriter::new(7), transaction.id)
        .unsigned("be", u64::from(transaction.base.epoch))
        .unsigned("bn", transaction.base.number)
        .unsigned("k", u64::from(sealed.leaves))
        .binary("r", &sealed.root.0)
        .finish();
    let mut bytes = Vec::with_capacity(sealed.bytes.len() + 160);
    envelope::write(&mut bytes, kind::TRANSACTION_HEADER, 1, 0, &header)?;
    let hash = hash::transaction(&bytes);
    bytes.extend_from_slice(&sealed.bytes);
    if bytes.len() > BYTES_MAX {
        return Err(TOO_LARGE);
    }
    Ok(StoredTransaction { bytes, hash, transaction })
}

/// Makes the bytes of a new transaction. `secret` must be fresh randomness.
///
/// # Errors
/// When the transaction is larger than the limits.
pub fn write(transaction: Transaction, secret: &Secret) -> Result<StoredTransaction, FormatError> {
    let sealed = seal(&transaction, secret)?;
    finish(transaction, &sealed)
}

/// Reads a transaction and checks that its leaves have the root that its header names.
///
/// # Errors
/// When the bytes are no transaction, are larger than the limits, are damaged, lack a leaf or hold one too often, or
/// hold one that this program does not know and may not pass over.
pub fn read(bytes: Vec<u8>) -> Result<StoredTransaction, FormatError> {
    if bytes.len() > BYTES_MAX {
        return Err(TOO_LARGE);
    }
    let (hash, transaction) = parse(&bytes)?;
    Ok(StoredTransaction { bytes, hash, transaction })
}

/// The secret behind which a transaction's leaves stand.
///
/// # Errors
/// When the bytes do not begin as those of a transaction do.
pub fn secret(bytes: &[u8]) -> Result<Secret, FormatError> {
    let (_, rest) = expect(WHAT, bytes, kind::TRANSACTION_HEADER)?;
    let (secret, _) = expect(WHAT, rest, kind::SECRET)?;
    Ok(Secret(MapReader::new(WHAT, secret.body)?.hash("s")?.0))
}

fn parse(bytes: &[u8]) -> Result<(Hash, Transaction), FormatError> {
    let (header, rest) = expect(WHAT, bytes, kind::TRANSACTION_HEADER)?;
    let fields = MapReader::new(WHAT, header.body)?;
    let mut leaves = Leaves::default();
    for leaf in read_leaves(WHAT, rest, fields.number("k")?, fields.hash("r")?)? {
        leaves.add(leaf?)?;
    }
    let missing = |field| FormatError::Missing { what: WHAT, field };
    let (time, clock_offset_micros) = leaves.time.ok_or(missing("(time)"))?;
    let transaction = Transaction {
        id: fields.transaction_id("n", "i", "c")?,
        base: fields.position("be", "bn")?,
        // Without an author nobody saved this; in no case it was the system.
        author: leaves.author.ok_or(missing("(author)"))?,
        time,
        clock_offset_micros,
        description: leaves.description.ok_or(missing("(description)"))?,
        run: leaves.run,
        schema: leaves.schema,
        changes: leaves.changes,
    };
    Ok((hash::transaction(header.whole), transaction))
}

/// What the leaves say.
#[derive(Default)]
struct Leaves {
    author: Option<ObjectId>,
    time: Option<(Timestamp, Option<i64>)>,
    description: Option<String>,
    run: Option<TransactionId>,
    schema: Option<SchemaDef>,
    changes: Vec<Change>,
}

impl Leaves {
    fn add(&mut self, leaf: Envelope<'_>) -> Result<(), FormatError> {
        let fields = |what| MapReader::new(what, leaf.body);
        match leaf.header.kind {
            kind::LEAF_AUTHOR => once(&mut self.author, "(author)", fields("an author")?.object("u")?),
            kind::LEAF_TIME => {
                let fields = fields("a time")?;
                once(&mut self.time, "(time)", (fields.timestamp("t")?, fields.number_if("o")?))
            }
            kind::LEAF_DESCRIPTION => {
                once(&mut self.description, "(description)", fields("a description")?.text("d")?.to_owned())
            }
            kind::LEAF_RUN => once(&mut self.run, "(run)", fields("a run")?.transaction_id("n", "i", "c")?),
            kind::LEAF_SCHEMA | kind::LEAF_SCHEMA_CHANGE => {
                once(&mut self.schema, "(schema)", crate::schema::read(leaf.body)?)
            }
            kind::LEAF_CHANGE if self.changes.len() == CHANGES_MAX => Err(TOO_MANY),
            kind::LEAF_CHANGE => {
                self.changes.push(read_change(&fields("a change")?)?);
                Ok(())
            }
            _ if leaf.header.may_skip() => Ok(()),
            unknown => Err(FormatError::UnknownKind { kind: unknown }),
        }
    }
}

/// Keeps what may stand once.
fn once<T>(place: &mut Option<T>, field: &'static str, value: T) -> Result<(), FormatError> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(FormatError::Invalid { what: WHAT, field }),
    }
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

/// Who made a transaction, when and where, and the run that it is part of, without reading its changes or checking
/// anything: for bytes that were read whole before they were kept.
///
/// # Errors
/// When the bytes do not begin as those of a transaction.
pub fn about(bytes: &[u8]) -> Result<(Stamp, Option<TransactionId>), FormatError> {
    let (header, rest) = expect(WHAT, bytes, kind::TRANSACTION_HEADER)?;
    let node = MapReader::new(WHAT, header.body)?.transaction_id("n", "i", "c")?.node;
    let (_, rest) = expect(WHAT, rest, kind::SECRET)?;
    let mut leaves = Leaves::default();
    for leaf in envelope::run(rest) {
        let leaf = leaf?;
        if !matches!(leaf.header.kind, kind::LEAF_SCHEMA | kind::LEAF_SCHEMA_CHANGE | kind::LEAF_CHANGE) {
            leaves.add(leaf)?;
        }
    }
    let missing = |field| FormatError::Missing { what: WHAT, field };
    let (time, _) = leaves.time.ok_or(missing("(time)"))?;
    Ok((Stamp { time, user: leaves.author.ok_or(missing("(author)"))?, node }, leaves.run))
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
        Self::behind(secret, Vec::new())
    }

    /// Writes them behind other bytes.
    pub(crate) fn behind(secret: &'a Secret, bytes: Vec<u8>) -> Self {
        Self { secret, bytes, tree: Tree::default(), count: 0 }
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

/// Checks the secret and the leaves that fill `bytes`, their number and root; gives the leaves. Nothing is kept of them
/// meanwhile, so that many small ones take no memory.
pub(crate) fn read_leaves<'a>(
    what: &'static str,
    bytes: &'a [u8],
    count: u32,
    root: Hash,
) -> Result<impl Iterator<Item = Result<Envelope<'a>, FormatError>>, FormatError> {
    let (secret, rest) = expect(what, bytes, kind::SECRET)?;
    let (record, secret) = (secret.whole, Secret(MapReader::new(what, secret.body)?.hash("s")?.0));
    // The secret is no leaf, so it must stand in its one form to be held by the root as well.
    if record != secret_record(&secret)? {
        return Err(FormatError::HashMismatch { what });
    }
    let mut tree = Tree::default();
    let mut found = 0;
    for leaf in envelope::run(rest) {
        let leaf = leaf?;
        if found == count {
            return Err(FormatError::HashMismatch { what });
        }
        tree.push(hash::leaf(&secret.salt(found), leaf.whole));
        found += 1;
    }
    // Without a leaf the root would hold no secret.
    if found != count || count == 0 || tree.root() != root {
        return Err(FormatError::HashMismatch { what });
    }
    Ok(envelope::run(rest))
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
    fn a_schema_that_changes_is_told_apart_from_the_first_one() {
        let schema = SchemaDef { name: "trade".into(), version: "2".into(), ..SchemaDef::default() };
        for (number, expected) in [(0, kind::LEAF_SCHEMA), (42, kind::LEAF_SCHEMA_CHANGE)] {
            let base = Position { epoch: 1, number };
            let stored =
                write(Transaction { schema: Some(schema.clone()), base, ..sample() }, &Secret([9; 32])).unwrap();
            let kinds: Vec<u16> = envelope::run(&stored.bytes).map(|one| one.unwrap().header.kind).collect();
            assert!(kinds.contains(&expected), "{kinds:?}");
            assert_eq!(read(stored.bytes.clone()).unwrap(), stored);
            assert_eq!(about(&stored.bytes).unwrap(), (sample().stamp(), None));
        }
    }

    #[test]
    fn a_transaction_reads_as_it_was_written() {
        let stored = write(sample(), &Secret([9; 32])).unwrap();
        assert_eq!(read(stored.bytes.clone()).unwrap(), stored);
        let (id, base, hash) = peek(&stored.bytes).unwrap();
        assert_eq!((id, base, hash), (sample().id, sample().base, stored.hash));
        assert_eq!(about(&stored.bytes).unwrap(), (sample().stamp(), None));
        assert!(about(&stored.bytes[..250]).is_err());
        let part = write(Transaction { run: Some(sample().id), ..sample() }, &Secret([9; 32])).unwrap();
        assert_eq!(about(&part.bytes).unwrap(), (sample().stamp(), Some(sample().id)));
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

    /// A transaction of any leaves: kind, flags, body.
    fn of_leaves(leaves: &[(u16, u8, Vec<u8>)]) -> Vec<u8> {
        let secret = Secret([9; 32]);
        let mut tree = Tree::default();
        let mut stored = secret_record(&secret).unwrap();
        for (number, (kind, flags, body)) in (0..).zip(leaves) {
            let mut leaf = Vec::new();
            envelope::write(&mut leaf, *kind, 1, *flags, body).unwrap();
            tree.push(hash::leaf(&secret.salt(number), &leaf));
            stored.extend_from_slice(&leaf);
        }
        let header = identity(MapWriter::new(7), sample().id)
            .unsigned("be", 1)
            .unsigned("bn", 1)
            .unsigned("k", leaves.len() as u64)
            .binary("r", &tree.root().0)
            .finish();
        let mut bytes = Vec::new();
        envelope::write(&mut bytes, kind::TRANSACTION_HEADER, 1, 0, &header).unwrap();
        bytes.extend_from_slice(&stored);
        bytes
    }

    /// Author, time and description.
    fn needed() -> Vec<(u16, u8, Vec<u8>)> {
        vec![
            (kind::LEAF_AUTHOR, 0, MapWriter::new(1).signed("u", 2).finish()),
            (kind::LEAF_TIME, 0, MapWriter::new(1).signed("t", 0).finish()),
            (kind::LEAF_DESCRIPTION, 0, MapWriter::new(1).text("d", "").finish()),
        ]
    }

    #[test]
    fn unknown_leaves_are_passed_over_only_where_they_may() {
        let check = |flags: u8, expected: Result<(), FormatError>| {
            let mut leaves = needed();
            leaves.insert(1, (0x01ff, flags, b"?".to_vec()));
            assert_eq!(read(of_leaves(&leaves)).map(drop), expected);
        };
        check(envelope::FLAG_MAY_SKIP, Ok(()));
        check(0, Err(FormatError::UnknownKind { kind: 0x01ff }));
    }

    #[test]
    fn nobody_saves_without_a_name_and_nothing_stands_twice() {
        assert!(read(of_leaves(&needed())).is_ok());
        assert_eq!(read(of_leaves(&[])), Err(FormatError::HashMismatch { what: WHAT }));
        for (left_out, field) in ["(author)", "(time)", "(description)"].into_iter().enumerate() {
            let mut leaves = needed();
            let leaf = leaves.remove(left_out);
            assert_eq!(read(of_leaves(&leaves)), Err(FormatError::Missing { what: WHAT, field }));
            leaves.extend([leaf.clone(), leaf]);
            assert_eq!(read(of_leaves(&leaves)), Err(FormatError::Invalid { what: WHAT, field }));
        }
        let run = || (kind::LEAF_RUN, 0, identity(MapWriter::new(3), sample().id).finish());
        let leaves = [needed(), vec![run()]].concat();
        assert_eq!(read(of_leaves(&leaves)).unwrap().transaction.run, Some(sample().id));
        let leaves = [needed(), vec![run(), run()]].concat();
        assert_eq!(read(of_leaves(&leaves)), Err(FormatError::Invalid { what: WHAT, field: "(run)" }));
    }

    #[test]
    fn what_no_message_could_carry_is_not_made() {
        let text = Value::Text("x".repeat(12 << 20));
        let change = Change { old: text.clone(), new: text, ..sample().changes[0].clone() };
        let check = |changes: usize, expected: bool| {
            let transaction = Transaction { changes: vec![change.clone(); changes], ..sample() };
            assert_eq!(write(transaction, &Secret([9; 32])).is_ok(), expected, "{changes}");
        };
        check(1, true);
        check(2, false);
        assert_eq!(read(vec![0; BYTES_MAX + 1]), Err(TOO_LARGE));
    }
}
