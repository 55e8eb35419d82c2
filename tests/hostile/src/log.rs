//! What lasts: transactions, entries, objects, values.
//!
//! Hashes keep most alterations away from the readers behind them. So each input is tried twice: as it is, and as the
//! leaves of something whose hashes are right, as somebody would make it who knows the rules.

use std::collections::BTreeSet;

use mytism_core::change::{Change, Entry, Life, Outcome, Override, Slot, Transaction};
use mytism_core::id::{AttributeId, EntityId, EnumId, Hash, NodeId, ObjectId, Position, TransactionId, system};
use mytism_core::time::{Date, Timestamp};
use mytism_core::value::Value;
use mytism_format::envelope::{self, HEADER_BYTES};
use mytism_format::hash::{self, Secret, Tree};
use mytism_format::{entry, kind, map::MapWriter, object, transaction, value};

use crate::measure::{Bound, within};
use crate::{Told, told};

const SECRET: Secret = Secret([9; 32]);
/// A change takes some hundred and seventy bytes in memory and as few as thirty here; a part of a schema more.
const MEMORY: Bound = Bound { base: 8 << 10, per_byte: 48 };

/// A transaction.
///
/// # Panics
/// When a law is broken, as everything here.
pub fn transaction(input: &[u8]) -> Told {
    let plain = one_transaction(input);
    let sealed = one_transaction(&sealed(input, kind::TRANSACTION_HEADER, transaction_header()));
    format!("{plain}; sealed: {sealed}")
}

fn one_transaction(bytes: &[u8]) -> Told {
    let stored = match within(MEMORY, bytes.len(), || transaction::read(bytes.to_vec())) {
        Ok(stored) => stored,
        Err(error) => return told(error),
    };
    assert_eq!(stored.bytes, bytes, "stored word for word");
    let peeked = transaction::peek(bytes).expect("what reads whole has a header that reads");
    assert_eq!((peeked.0, peeked.1, peeked.2), (stored.transaction.id, stored.transaction.base, stored.hash));
    let again = transaction::write(stored.transaction.clone(), &SECRET).expect("what was read can be written");
    let read = transaction::read(again.bytes.clone()).expect("what was written can be read");
    assert_eq!(read, again);
    assert_eq!(read.transaction, stored.transaction);
    format!("{} changes", stored.transaction.changes.len().min(9))
}

/// A log entry.
pub fn entry(input: &[u8]) -> Told {
    let plain = one_entry(input);
    let sealed = one_entry(&sealed(input, kind::ENTRY_HEADER, entry_header()));
    format!("{plain}; sealed: {sealed}")
}

fn one_entry(bytes: &[u8]) -> Told {
    let stored = match within(MEMORY, bytes.len(), || entry::read(bytes.to_vec())) {
        Ok(stored) => stored,
        Err(error) => return told(error),
    };
    assert_eq!(stored.bytes, bytes, "stored word for word");
    entry::check_size(&stored.entry.outcome).expect("what was read can be written");
    let again = entry::write(stored.entry.clone(), &SECRET).expect("what was read can be written");
    let read = entry::read(again.bytes.clone()).expect("what was written can be read");
    assert_eq!(read, again);
    assert_eq!(read.entry, stored.entry);
    match &stored.entry.outcome {
        Outcome::Accepted { overrides, extra } => format!("{} {}", overrides.len().min(3), extra.len().min(3)),
        Outcome::Refused { .. } => "refused".to_owned(),
    }
}

/// The state of an object, and its bookkeeping alone.
pub fn object(input: &[u8]) -> Told {
    if let Ok(meta) = object::read_meta(input) {
        assert_eq!(object::read_meta(&object::write_meta(&meta)), Ok(meta));
    }
    let state = match within(MEMORY, input.len(), || object::read(input)) {
        Ok(state) => state,
        Err(error) => return told(error),
    };
    let mut bytes = Vec::new();
    object::write(&mut bytes, &state).expect("what was read can be written");
    let (record, rest) = envelope::read(&bytes).expect("what was written is a record");
    assert!(rest.is_empty());
    assert_eq!(object::read(record.body).as_ref(), Ok(&state));
    let places: BTreeSet<Slot> = state.slots.iter().map(|(slot, _)| *slot).collect();
    assert!(places.len() == state.slots.len() && !places.contains(&Slot::LIFE), "each slot stands once");
    format!("{} slots", state.slots.len().min(9))
}

/// One value.
pub fn value(input: &[u8]) -> Told {
    let value = match within(Bound { base: 256, per_byte: 2 }, input.len(), || value::read_value(input)) {
        Ok(value) => value,
        Err(error) => return told(error),
    };
    let bytes = value::value_bytes(&value);
    assert_eq!(value::read_value(&bytes).as_ref(), Ok(&value));
    assert!(bytes.len() <= input.len().max(1), "written as short as it goes");
    assert!(!value.to_string().is_empty() || value.text() == Some(""));
    value.kind_name().to_owned()
}

/// A header before leaves, with their right number and root, as far as the leaves are records. `header` has all other
/// fields.
fn sealed(leaves: &[u8], header_kind: u16, header: MapWriter) -> Vec<u8> {
    let mut tree = Tree::default();
    let mut kept = Vec::new();
    let mut count = 0;
    for leaf in envelope::run(leaves).map_while(Result::ok) {
        // Whole transactions and entries give their leaves.
        if matches!(leaf.header.kind, kind::TRANSACTION_HEADER | kind::ENTRY_HEADER | kind::SECRET) {
            continue;
        }
        tree.push(hash::leaf(&SECRET.salt(count), leaf.whole));
        kept.extend_from_slice(leaf.whole);
        count += 1;
    }
    let header = header.unsigned("k", u64::from(count)).binary("r", &tree.root().0).finish();
    let secret = MapWriter::new(1).binary("s", &SECRET.0).finish();
    let mut bytes = Vec::new();
    envelope::write(&mut bytes, header_kind, 1, 0, &header).expect("small");
    if count > 0 {
        envelope::write(&mut bytes, kind::SECRET, 1, 0, &secret).expect("small");
    }
    bytes.extend_from_slice(&kept);
    bytes
}

fn transaction_header() -> MapWriter {
    MapWriter::new(7).unsigned("n", 2).unsigned("i", 1).unsigned("c", 7).unsigned("be", 1).unsigned("bn", 42)
}

fn entry_header() -> MapWriter {
    MapWriter::new(11)
        .unsigned("e", 1)
        .unsigned("n", 43)
        .binary("p", &[5; 32])
        .unsigned("hn", 1)
        .unsigned("tn", 2)
        .unsigned("ti", 1)
        .unsigned("tc", 7)
        .binary("th", &[6; 32])
        .signed("at", 0)
}

/// Sound transactions.
#[must_use]
pub fn transactions() -> Vec<Vec<u8>> {
    let bare = Transaction { changes: Vec::new(), clock_offset_micros: None, run: None, ..sample() };
    let schema = Transaction { schema: Some(mytism_schema::system()), ..bare.clone() };
    let made = [sample(), bare, schema].map(|made| transaction::write(made, &SECRET).expect("it is sound").bytes);
    let mut all = made.to_vec();
    all.push(include_bytes!("../../compat/v1/transaction.bin").to_vec());
    all.push(include_bytes!("../../compat/v1/transaction_schema.bin").to_vec());
    all
}

/// Sound entries.
#[must_use]
pub fn entries() -> Vec<Vec<u8>> {
    let of = |outcome| Entry {
        position: Position { epoch: 1, number: 43 },
        previous: Hash([5; 32]),
        head: NodeId(1),
        transaction: sample().id,
        transaction_hash: Hash([6; 32]),
        committed_at: sample().time,
        outcome,
    };
    let overrides = vec![
        Override { index: 1, old: "a".into(), new: None },
        Override { index: 2, old: Value::Null, new: Some(Value::Integer(9)) },
    ];
    let outcomes = [
        Outcome::PLAIN,
        Outcome::Refused { code: "duplicate-key".into(), reason: "ALFKI is taken".into() },
        Outcome::Accepted { overrides, extra: sample().changes },
    ];
    let mut all: Vec<Vec<u8>> =
        outcomes.map(|outcome| entry::write(of(outcome), &SECRET).expect("it is sound").bytes).to_vec();
    all.push(include_bytes!("../../compat/v1/entry_plain.bin").to_vec());
    all.push(include_bytes!("../../compat/v1/entry_conflict.bin").to_vec());
    all.push(include_bytes!("../../compat/v1/entry_refused.bin").to_vec());
    all
}

/// Bodies of sound objects.
#[must_use]
pub fn objects() -> Vec<Vec<u8>> {
    let stored = include_bytes!("../../compat/v1/object.bin");
    let mut state = object::read(&stored[HEADER_BYTES..]).expect("it is sound");
    let meta = object::write_meta(&state.meta);
    for (number, value) in (10_000..).zip(all_values()) {
        state.set(Slot::attribute(AttributeId(number)), value);
    }
    let mut large = Vec::new();
    object::write(&mut large, &state).expect("it is sound");
    vec![stored[HEADER_BYTES..].to_vec(), large[HEADER_BYTES..].to_vec(), meta]
}

/// One value of each kind.
#[must_use]
pub fn values() -> Vec<Vec<u8>> {
    all_values().iter().map(value::value_bytes).collect()
}

fn all_values() -> Vec<Value> {
    let decimal = |text: &str| Value::Decimal(text.parse().expect("a number"));
    vec![
        Value::Null,
        Value::Bool(true),
        Value::Integer(7),
        Value::Integer(i64::MIN),
        Value::from("Köln"),
        Value::Text("x".repeat(40)),
        decimal("19.99"),
        decimal("-79228162514264337593543950335"),
        Value::Date(Date::new(9999, 12, 31).expect("a day")),
        Value::Datetime(Timestamp::saturating_from_micros(i64::MAX)),
        Value::Enum(EnumId(u32::MAX)),
        Value::Reference(system::USER_ADMIN),
    ]
}

fn sample() -> Transaction {
    let object = ObjectId::system(700_000);
    let change = |slot, old, new| Change { object, entity: EntityId(10_000), slot, old, new };
    let mut changes = vec![change(Slot::LIFE, Value::Null, Life::Alive.value())];
    for (number, value) in (10_000..).zip(all_values()) {
        changes.push(change(Slot::attribute(AttributeId(number)), Value::Null, value));
    }
    changes.push(change(Slot::element(AttributeId(11_000), object), Value::Bool(true), Value::Null));
    Transaction {
        id: TransactionId { node: NodeId(2), incarnation: 1, counter: 7 },
        base: Position { epoch: 1, number: 42 },
        author: system::USER_ADMIN,
        time: Timestamp::saturating_from_micros(1_795_404_600_000_000),
        clock_offset_micros: Some(-1500),
        description: "Ein Auftrag".into(),
        run: Some(TransactionId { node: NodeId(2), incarnation: 1, counter: 6 }),
        schema: None,
        changes,
    }
}
