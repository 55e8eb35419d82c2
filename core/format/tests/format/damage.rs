//! Altered and invented bytes: never a panic, and never other content under the same hash.
//!
//! Two kinds of attack. One alters stored bytes anywhere, which the hashes must notice. The other knows the rules: it
//! alters leaves and then makes the root anew, which gets past the hashes to the readers behind them.

use mytism_core::change::{Change, Outcome, Override, Slot, Transaction};
use mytism_core::float::Float;
use mytism_core::id::{AttributeId, EntityId, EnumId, Hash, OBJECT_ID_MAX, ObjectId};
use mytism_core::time::{Date, TimeOfDay, Timestamp};
use mytism_core::value::{Uuid, Value};
use mytism_format::envelope::{self, HEADER_BYTES};
use mytism_format::hash::{self, Tree};
use mytism_format::map::MapReader;
use mytism_format::object::ObjectState;
use mytism_format::{FormatError, entry, kind, object, schema, transaction, value};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::examples::{self, SECRET};

fn config() -> ProptestConfig {
    ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() }
}

/// One alteration of some bytes.
#[derive(Clone, Debug)]
enum Alteration {
    Set(Index, u8),
    Flip(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index, Index),
    /// The first run of bytes is written over the second place.
    Copy(Index, Index, Index),
}

fn alteration() -> impl Strategy<Value = Alteration> {
    // Bytes that mean something to readers come more often than others.
    let byte = || prop_oneof![any::<u8>(), prop::sample::select(vec![0, 1, 0x7f, 0x80, 0xc0, 0xc4, 0xd9, 0xdf, 0xff])];
    prop_oneof![
        (any::<Index>(), byte()).prop_map(|(at, byte)| Alteration::Set(at, byte)),
        (any::<Index>(), 0u8..8).prop_map(|(at, bit)| Alteration::Flip(at, bit)),
        (any::<Index>(), vec(byte(), 1..9)).prop_map(|(at, bytes)| Alteration::Insert(at, bytes)),
        (any::<Index>(), any::<Index>()).prop_map(|(from, to)| Alteration::Remove(from, to)),
        (any::<Index>(), any::<Index>(), any::<Index>()).prop_map(|(from, to, at)| Alteration::Copy(from, to, at)),
    ]
}

fn alter(bytes: &mut Vec<u8>, alteration: &Alteration) {
    let range = |bytes: &[u8], one: &Index, other: &Index| {
        let (one, other) = (one.index(bytes.len() + 1), other.index(bytes.len() + 1));
        one.min(other)..one.max(other)
    };
    match alteration {
        Alteration::Set(..) | Alteration::Flip(..) if bytes.is_empty() => {}
        Alteration::Set(at, byte) => {
            let at = at.index(bytes.len());
            bytes[at] = *byte;
        }
        Alteration::Flip(at, bit) => {
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
        }
        Alteration::Insert(at, new) => {
            let at = at.index(bytes.len() + 1);
            bytes.splice(at..at, new.iter().copied());
        }
        Alteration::Remove(one, other) => {
            let range = range(bytes, one, other);
            bytes.drain(range);
        }
        Alteration::Copy(one, other, at) => {
            let run = bytes[range(bytes, one, other)].to_vec();
            let at = at.index(bytes.len() + 1);
            let end = (at + run.len()).min(bytes.len());
            bytes.splice(at..end, run);
        }
    }
}

fn altered(original: &[u8], alterations: &[Alteration]) -> Vec<u8> {
    let mut bytes = original.to_vec();
    alterations.iter().for_each(|alteration| alter(&mut bytes, alteration));
    bytes
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Integer),
        (any::<i64>(), 0u32..19)
            .prop_map(|(digits, scale)| { Value::Decimal(rust_decimal::Decimal::new(digits, scale)) }),
        "\\PC{0,40}".prop_map(Value::Text),
        (-700_000i32..2_900_000).prop_filter_map("a day", Date::from_days).prop_map(Value::Date),
        any::<i64>().prop_map(|micros| Value::Datetime(Timestamp::saturating_from_micros(micros))),
        any::<f64>().prop_filter_map("a number", Float::new).prop_map(Value::Float),
        (0..TimeOfDay::MICROS).prop_filter_map("a time", TimeOfDay::from_micros).prop_map(Value::Time),
        any::<[u8; 16]>().prop_map(|bytes| Value::Uuid(Uuid::from_bytes(bytes))),
        "[a-z ]{0,40}".prop_map(|text| Value::Json(format!("[\"{text}\"]"))),
        any::<u32>().prop_map(|word| Value::Enum(EnumId(word))),
        (1..=OBJECT_ID_MAX).prop_filter_map("an id", ObjectId::new).prop_map(Value::Reference),
    ]
}

fn any_change() -> impl Strategy<Value = Change> {
    let object = || (1..=OBJECT_ID_MAX).prop_filter_map("an id", ObjectId::new);
    let slot = (16..=u32::MAX, proptest::option::of(object()))
        .prop_map(|(attribute, element)| Slot { attribute: AttributeId(attribute), element });
    (object(), any::<u32>(), slot, any_value(), any_value()).prop_map(|(object, entity, slot, old, new)| Change {
        object,
        entity: EntityId(entity),
        slot,
        old,
        new,
    })
}

fn any_transaction() -> impl Strategy<Value = Transaction> {
    (vec(any_change(), 0..6), "\\PC{0,20}", any::<Option<i64>>(), any::<bool>()).prop_map(
        |(changes, description, clock_offset_micros, schema)| Transaction {
            changes,
            description,
            clock_offset_micros,
            schema: schema.then(examples::schema),
            ..examples::transaction()
        },
    )
}

fn any_outcome() -> impl Strategy<Value = Outcome> {
    let accepted = (vec((any_value(), proptest::option::of(any_value())), 0..4), vec(any_change(), 0..4)).prop_map(
        |(overrides, extra)| {
            let overrides = (0..).zip(overrides).map(|(index, (old, new))| Override { index, old, new }).collect();
            Outcome::Accepted { overrides, extra }
        },
    );
    let refused = ("[a-z-]{1,20}", "\\PC{0,40}").prop_map(|(code, reason)| Outcome::Refused { code, reason });
    prop_oneof![accepted, refused]
}

/// Header, secret and leaves of a stored transaction or entry.
fn records(bytes: &[u8]) -> Vec<Vec<u8>> {
    envelope::run(bytes).map(|record| record.unwrap().whole.to_vec()).collect()
}

/// Puts a header and leaves together with the right number and root, as somebody would who knows the rules.
fn sealed(records: &[Vec<u8>]) -> Vec<u8> {
    let (header, behind) = records.split_first().unwrap();
    let leaves: Vec<u8> = behind.iter().skip(1).flatten().copied().collect();
    let mut tree = Tree::default();
    let mut count = 0u8;
    for leaf in envelope::run(&leaves).map_while(Result::ok) {
        tree.push(hash::leaf(&SECRET.salt(u32::from(count)), leaf.whole));
        count += 1;
    }
    // Both headers end with the number of leaves, below 128 here, and the root.
    let mut header = header.clone();
    let root_at = header.len() - 32;
    header[root_at..].copy_from_slice(&tree.root().0);
    header[root_at - 5] = count;
    assert_eq!(&header[root_at - 4..root_at], [0xa1, b'r', 0xc4, 32]);
    [header, behind.first().cloned().unwrap_or_default(), leaves].concat()
}

/// Alters the bodies of some leaves and keeps their envelopes right.
fn altered_leaves(original: &[u8], alterations: &[(Index, Alteration)]) -> Vec<u8> {
    let mut records = records(original);
    if records.len() < 3 {
        return records.concat();
    }
    for (which, alteration) in alterations {
        let leaves = &mut records[2..];
        let leaf = &mut leaves[which.index(leaves.len())];
        let mut body = leaf.split_off(HEADER_BYTES);
        alter(&mut body, alteration);
        leaf[HEADER_BYTES - 4..].copy_from_slice(&u32::try_from(body.len()).unwrap().to_be_bytes());
        leaf.extend_from_slice(&body);
    }
    sealed(&records)
}

/// Reading may fail; what reads has other bytes only under another hash.
fn check_transaction(original: &transaction::StoredTransaction, bytes: &[u8]) -> Result<(), TestCaseError> {
    let Ok(read) = transaction::read(bytes.to_vec()) else { return Ok(()) };
    prop_assert_eq!(read.hash == original.hash, bytes == original.bytes);
    prop_assert_eq!(transaction::peek(bytes).map(|(id, _, hash)| (id, hash)), Ok((read.transaction.id, read.hash)));
    // What was read can be written, and means the same then.
    let again = transaction::write(read.transaction.clone(), &SECRET).unwrap();
    prop_assert_eq!(transaction::read(again.bytes).unwrap().transaction, read.transaction);
    Ok(())
}

fn check_entry(original: &entry::StoredEntry, bytes: &[u8]) -> Result<(), TestCaseError> {
    let Ok(read) = entry::read(bytes.to_vec()) else { return Ok(()) };
    prop_assert_eq!(read.hash == original.hash, bytes == original.bytes);
    let again = entry::write(read.entry.clone(), &SECRET).unwrap();
    prop_assert_eq!(entry::read(again.bytes).unwrap().entry, read.entry);
    Ok(())
}

#[test]
fn sealing_gives_the_same_bytes() {
    let stored = examples::stored_transaction();
    assert_eq!(sealed(&records(&stored.bytes)), stored.bytes);
    for stored in &examples::stored_entries()[1..] {
        assert_eq!(sealed(&records(&stored.bytes)), stored.bytes);
    }
}

#[test]
fn leaves_in_another_order_are_another_transaction() {
    let stored = examples::stored_transaction();
    let mut records = records(&stored.bytes);
    let last = records.len() - 1;
    records.swap(last, last - 1);
    assert_eq!(transaction::read(records.concat()), Err(FormatError::HashMismatch { what: "a transaction" }));
    assert_ne!(transaction::read(sealed(&records)).unwrap().hash, stored.hash);
}

#[test]
fn many_small_leaves_are_borne() {
    // As many as fit: 8 bytes each, of a kind that may be passed over.
    let mut leaf = Vec::new();
    envelope::write(&mut leaf, 0x01ff, 1, envelope::FLAG_MAY_SKIP, &[]).unwrap();
    let stored = examples::stored_transaction();
    let mut bytes = stored.bytes;
    bytes.extend(leaf.repeat((4 << 20) / leaf.len()));
    assert_eq!(transaction::read(bytes), Err(FormatError::HashMismatch { what: "a transaction" }));
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn altered_transactions(given in any_transaction(), alterations in vec(alteration(), 1..4)) {
        let stored = transaction::write(given, &SECRET).unwrap();
        prop_assert_eq!(transaction::read(stored.bytes.clone()), Ok(stored.clone()));
        check_transaction(&stored, &altered(&stored.bytes, &alterations))?;
    }

    #[test]
    fn altered_and_sealed_transactions(
        given in any_transaction(),
        alterations in vec((any::<Index>(), alteration()), 1..4),
    ) {
        let stored = transaction::write(given, &SECRET).unwrap();
        check_transaction(&stored, &altered_leaves(&stored.bytes, &alterations))?;
    }

    #[test]
    fn altered_entries(outcome in any_outcome(), alterations in vec(alteration(), 1..4)) {
        let stored = entry::write(examples::entry(9, Hash([1; 32]), outcome.clone()), &SECRET).unwrap();
        prop_assert_eq!(entry::read(stored.bytes.clone()), Ok(stored.clone()));
        prop_assert_eq!(entry::check_size(&outcome), Ok(()));
        check_entry(&stored, &altered(&stored.bytes, &alterations))?;
    }

    #[test]
    fn altered_and_sealed_entries(
        outcome in any_outcome(),
        alterations in vec((any::<Index>(), alteration()), 1..4),
    ) {
        let stored = entry::write(examples::entry(9, Hash([1; 32]), outcome), &SECRET).unwrap();
        check_entry(&stored, &altered_leaves(&stored.bytes, &alterations))?;
    }

    #[test]
    fn altered_schemas(alterations in vec(alteration(), 1..4)) {
        let bytes = altered(&schema::write(&examples::schema()).unwrap(), &alterations);
        if let Ok(read) = schema::read(&bytes) {
            prop_assert_eq!(schema::read(&schema::write(&read).unwrap()), Ok(read));
        }
    }

    #[test]
    fn altered_objects(
        slots in vec((16u32..40, 0i64..4, any_value()), 0..8),
        alterations in vec(alteration(), 0..4),
    ) {
        let slot = |attribute, element| Slot { attribute: AttributeId(attribute), element: ObjectId::new(element) };
        let mut state = ObjectState { slots: Vec::new(), ..examples::object_state() };
        slots.into_iter().for_each(|(attribute, element, value)| state.set(slot(attribute, element), value));
        let mut bytes = Vec::new();
        object::write(&mut bytes, &state).unwrap();
        let body = altered(&bytes[HEADER_BYTES..], &alterations);
        match object::read(&body) {
            Err(_) => prop_assert!(!alterations.is_empty()),
            Ok(read) => {
                let mut again = Vec::new();
                object::write(&mut again, &read).unwrap();
                prop_assert_eq!(object::read(&again[HEADER_BYTES..]), Ok(read));
            }
        }
    }

    #[test]
    fn invented_bytes(bytes in vec(any::<u8>(), 0..200), kind in any::<u16>()) {
        let mut record = Vec::new();
        envelope::write(&mut record, kind, 1, 0, &bytes).unwrap();
        let _ignored = (transaction::read(bytes.clone()), entry::read(bytes.clone()), schema::read(&bytes));
        let _ignored = (object::read(&bytes), object::read_meta(&bytes), value::read_value(&bytes));
        let _ignored = (MapReader::new("test", &bytes).map(drop), transaction::peek(&bytes), envelope::read(&bytes));
        // Behind a good header and secret.
        let records = records(&examples::stored_transaction().bytes);
        let _ignored = transaction::read(sealed(&[records[0].clone(), records[1].clone(), record]));
    }

    #[test]
    fn values_come_back(given in any_value()) {
        prop_assert_eq!(value::read_value(&value::value_bytes(&given)), Ok(given));
    }
}

#[test]
fn all_kinds_of_leaves_are_attacked() {
    let kinds = |bytes: &[u8]| records(bytes).iter().map(|r| u16::from_be_bytes([r[0], r[1]])).collect::<Vec<_>>();
    let found = kinds(&examples::stored_transaction().bytes);
    assert_eq!(
        found[..6],
        [
            kind::TRANSACTION_HEADER,
            kind::SECRET,
            kind::LEAF_AUTHOR,
            kind::LEAF_TIME,
            kind::LEAF_DESCRIPTION,
            kind::LEAF_RUN
        ]
    );
    assert!(kinds(&examples::stored_schema_transaction().bytes).contains(&kind::LEAF_SCHEMA));
}
