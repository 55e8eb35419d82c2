//! Bytes that former versions wrote, kept in `tests/compat`: they mean for ever what they meant then.
//!
//! A file there is never made anew. When the form that is written changes, a folder `v2` comes beside `v1`, the last
//! test here moves to it, and the tests of `v1` stay.

use mytism_format::entry;
use mytism_format::envelope;
use mytism_format::kind;
use mytism_format::object;
use mytism_format::schema;
use mytism_format::transaction;
use mytism_format::value::{read_value, value_bytes};

use crate::examples;

const TRANSACTION: &[u8] = include_bytes!("../../../../tests/compat/v1/transaction.bin");
const TRANSACTION_SCHEMA: &[u8] = include_bytes!("../../../../tests/compat/v1/transaction_schema.bin");
const ENTRY_PLAIN: &[u8] = include_bytes!("../../../../tests/compat/v1/entry_plain.bin");
const ENTRY_CONFLICT: &[u8] = include_bytes!("../../../../tests/compat/v1/entry_conflict.bin");
const ENTRY_REFUSED: &[u8] = include_bytes!("../../../../tests/compat/v1/entry_refused.bin");
const SCHEMA: &[u8] = include_bytes!("../../../../tests/compat/v1/schema.bin");
const OBJECT: &[u8] = include_bytes!("../../../../tests/compat/v1/object.bin");
const VALUES: &[u8] = include_bytes!("../../../../tests/compat/v1/values.bin");
const ADDED_VALUES: &[u8] = include_bytes!("../../../../tests/compat/v1/values_added.bin");

/// The values of a file, each with its length (u32 big-endian) before it.
fn listed(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut parts = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk::<4>() {
        let (part, rest) = rest.split_at(u32::from_be_bytes(*length) as usize);
        parts.push(part);
        bytes = rest;
    }
    assert!(bytes.is_empty());
    parts
}

#[test]
fn transactions_keep_their_meaning_and_hash() {
    let stored = transaction::read(TRANSACTION.to_vec()).unwrap();
    assert_eq!(stored.transaction, examples::transaction());
    assert_eq!(stored.hash.to_string(), "8aac1a6edbd07380b97c4adc1e511404ea529648fb60ef4a50dafddbd0182c96");
    let stored = transaction::read(TRANSACTION_SCHEMA.to_vec()).unwrap();
    assert_eq!(stored.transaction, examples::schema_transaction());
    assert_eq!(stored.hash.to_string(), "b3660af85ff713af89d2da1c07622f125890416a53ea5c94a3811e7cc4c96538");
}

#[test]
fn entries_keep_their_meaning_and_hash() {
    let [plain, merged, refused] = examples::stored_entries();
    let check = |bytes: &[u8], expected: entry::StoredEntry, hash: &str| {
        let stored = entry::read(bytes.to_vec()).unwrap();
        assert_eq!(stored.entry, expected.entry);
        assert_eq!(stored.hash.to_string(), hash);
    };
    check(ENTRY_PLAIN, plain, "b0f97b5b5c6d21546266f5fb65d4eb2c8d91d204bdb99627b99a1522d410adda");
    check(ENTRY_CONFLICT, merged, "b8c31081bf08c3a64ad3cb9434138220314dadbcd81ce1599bc22b403505d4a6");
    check(ENTRY_REFUSED, refused, "22040ae2771f1de6389fd9798dd95fb13e7f3f4be437d2180cac701f1848bb08");
}

#[test]
fn schemas_keep_their_meaning() {
    assert_eq!(schema::read(SCHEMA), Ok(examples::schema()));
}

#[test]
fn objects_keep_their_meaning() {
    let (record, rest) = envelope::read(OBJECT).unwrap();
    assert_eq!((record.header.kind, rest.len()), (kind::OBJECT, 0));
    assert_eq!(object::read(record.body), Ok(examples::object_state()));
}

#[test]
fn values_keep_their_meaning() {
    let read = |file| listed(file).into_iter().map(read_value).collect::<Result<Vec<_>, _>>();
    assert_eq!(read(VALUES), Ok(examples::values()));
    assert_eq!(read(ADDED_VALUES), Ok(examples::added_values()));
}

#[test]
fn what_is_written_is_the_first_form() {
    let [plain, merged, refused] = examples::stored_entries();
    assert_eq!(examples::stored_transaction().bytes, TRANSACTION);
    assert_eq!(examples::stored_schema_transaction().bytes, TRANSACTION_SCHEMA);
    assert_eq!([plain.bytes, merged.bytes, refused.bytes], [ENTRY_PLAIN, ENTRY_CONFLICT, ENTRY_REFUSED]);
    assert_eq!(schema::write(&examples::schema()).unwrap(), SCHEMA);
    let mut written = Vec::new();
    object::write(&mut written, &examples::object_state()).unwrap();
    assert_eq!(written, OBJECT);
    assert_eq!(examples::values().iter().map(value_bytes).collect::<Vec<_>>(), listed(VALUES));
    assert_eq!(examples::added_values().iter().map(value_bytes).collect::<Vec<_>>(), listed(ADDED_VALUES));
}
