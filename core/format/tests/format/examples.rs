//! The things whose bytes the document shows and `tests/compat/v1` keeps, made of fixed values.

use mytism_core::change::{Change, Entry, Life, ObjectMeta, Outcome, Override, Slot, Stamp, Transaction};
use mytism_core::float::Float;
use mytism_core::id::{AttributeId, EntityId, EnumId, Hash, NodeId, ObjectId, Position, TransactionId, system};
use mytism_core::schema::{EntityDef, EnumWordDef, KindDef, MemberDef, OnDelete, SchemaDef};
use mytism_core::time::{Date, TimeOfDay, Timestamp};
use mytism_core::value::Value;
use mytism_format::entry::{self, StoredEntry};
use mytism_format::hash::Secret;
use mytism_format::object::ObjectState;
use mytism_format::transaction::{self, StoredTransaction};

/// The secret of all examples; real ones are random.
pub(crate) const SECRET: Secret = Secret([9; 32]);

/// 2026-11-23T03:30:00Z.
const SAVED: i64 = 1_795_404_600_000_000;

pub(crate) fn object(number: i64) -> ObjectId {
    ObjectId::new(number).unwrap()
}

fn time(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros).unwrap()
}

fn decimal(text: &str) -> Value {
    Value::Decimal(text.parse().unwrap())
}

fn id(counter: u64) -> TransactionId {
    TransactionId { node: NodeId(2), incarnation: 1, counter }
}

/// One value of each kind, and the borders of the forms that have several lengths.
pub(crate) fn values() -> Vec<Value> {
    vec![
        Value::Null,
        Value::Bool(true),
        Value::Bool(false),
        Value::Integer(7),
        Value::Integer(1000),
        Value::Integer(-1),
        Value::Integer(i64::MIN),
        "Köln".into(),
        "a text of more than 31 bytes: longer head".into(),
        decimal("19.99"),
        decimal("-1.28"),
        decimal("1.28"),
        decimal("9999999999999999999999999999"),
        Value::Date(Date::new(2026, 11, 23).unwrap()),
        Value::Datetime(time(SAVED)),
        Value::Enum(EnumId(3)),
        Value::Reference(object(1_048_577)),
    ]
}

/// One value of each kind that came later.
pub(crate) fn added_values() -> Vec<Value> {
    vec![
        Value::Float(Float::new(0.1).unwrap()),
        Value::Json("{\"a\": 1.10}".to_owned()),
        Value::Time(TimeOfDay::parse("07:05:09.25").unwrap()),
        Value::Uuid("01234567-89ab-cdef-0123-456789abcdef".parse().unwrap()),
    ]
}

/// A branch makes a customer with a name, a discount and a tag, and takes its contact away.
pub(crate) fn transaction() -> Transaction {
    let change = |slot, old, new| Change { object: object(1_114_112), entity: EntityId(10_000), slot, old, new };
    let attribute = |number| Slot::attribute(AttributeId(number));
    Transaction {
        id: id(7),
        base: Position { epoch: 1, number: 42 },
        author: system::USER_ADMIN,
        time: time(SAVED),
        clock_offset_micros: Some(-1500),
        description: "New customer".into(),
        run: Some(id(6)),
        schema: None,
        changes: vec![
            change(Slot::LIFE, Value::Null, Life::Alive.value()),
            change(attribute(10_001), Value::Null, "Köln".into()),
            change(attribute(10_002), decimal("1.28"), decimal("19.99")),
            change(attribute(10_003), Value::Reference(object(1_048_577)), Value::Null),
            change(Slot::element(AttributeId(10_004), object(1_048_578)), Value::Null, Value::Bool(true)),
        ],
    }
}

/// A head office introduces a schema.
pub(crate) fn schema_transaction() -> Transaction {
    Transaction {
        id: TransactionId { node: NodeId(1), incarnation: 1, counter: 1 },
        base: Position { epoch: 1, number: 0 },
        author: system::USER_SYSTEM,
        clock_offset_micros: None,
        description: "The schema".into(),
        run: None,
        schema: Some(schema()),
        changes: Vec::new(),
        ..transaction()
    }
}

pub(crate) fn stored_transaction() -> StoredTransaction {
    transaction::write(transaction(), &SECRET).unwrap()
}

pub(crate) fn stored_schema_transaction() -> StoredTransaction {
    transaction::write(schema_transaction(), &SECRET).unwrap()
}

/// Three entries in a row for the same transaction, each of which it could have got.
pub(crate) fn entry(number: u64, previous: Hash, outcome: Outcome) -> Entry {
    Entry {
        position: Position { epoch: 1, number },
        previous,
        head: NodeId(1),
        transaction: id(7),
        transaction_hash: stored_transaction().hash,
        committed_at: time(SAVED + 1_000_000),
        outcome,
    }
}

pub(crate) fn conflict() -> Outcome {
    Outcome::Accepted {
        overrides: vec![
            Override { index: 1, old: "Bonn".into(), new: None },
            Override { index: 2, old: Value::Null, new: Some(decimal("19.99")) },
        ],
        extra: vec![Change {
            object: object(1_048_577),
            entity: EntityId(10_000),
            slot: Slot::LIFE,
            old: Life::Deleted.value(),
            new: Life::Alive.value(),
        }],
    }
}

pub(crate) fn refusal() -> Outcome {
    Outcome::Refused { code: "duplicate-value".into(), reason: "Köln is taken".into() }
}

/// The plain one, the one with a conflict, the refused one; each holds the hash of the one before.
pub(crate) fn stored_entries() -> [StoredEntry; 3] {
    let write = |entry| entry::write(entry, &SECRET).unwrap();
    let plain = write(entry(43, Hash([5; 32]), Outcome::PLAIN));
    let merged = write(entry(44, plain.hash, conflict()));
    let refused = write(entry(45, merged.hash, refusal()));
    [plain, merged, refused]
}

/// An object as a snapshot holds it.
pub(crate) fn object_state() -> ObjectState {
    let stamp = |micros, node| Stamp { time: time(micros), user: system::USER_ADMIN, node: NodeId(node) };
    ObjectState {
        id: object(1_114_112),
        entity: EntityId(10_000),
        meta: ObjectMeta {
            created: stamp(SAVED, 2),
            changed: stamp(SAVED + 1, 1),
            version: Some(43),
            life: Life::Deleted,
        },
        slots: vec![
            (Slot::attribute(AttributeId(10_001)), "Köln".into()),
            (Slot::element(AttributeId(10_004), object(1_048_578)), Value::Bool(true)),
        ],
    }
}

fn member(id: u32, name: &str, kind: KindDef) -> MemberDef {
    let (label, default) = (None, None);
    MemberDef {
        id: Some(id),
        name: name.into(),
        label,
        kind,
        not_null: false,
        unique: false,
        indexed: false,
        default,
        number: None,
        bounds: mytism_core::schema::BoundsDef::default(),
        conflict: None,
    }
}

/// Every kind of member, and everything that may be left out both there and missing.
pub(crate) fn schema() -> SchemaDef {
    let words = vec![
        EnumWordDef { id: 1, name: "open".into(), label: Some("offen".into()) },
        EnumWordDef { id: 2, name: "done".into(), label: None },
    ];
    let customer = EntityDef {
        id: Some(10_000),
        name: "Customer".into(),
        extends: Some("Party".into()),
        is_abstract: false,
        label: Some("Kunde".into()),
        key: Some("Code".into()),
        display: Some("Name".into()),
        conflict: None,
        members: vec![
            MemberDef { unique: true, not_null: true, ..member(10_000, "Code", KindDef::String { max: 5 }) },
            MemberDef { label: Some("Ort".into()), ..member(10_001, "City", KindDef::Text) },
            MemberDef {
                default: Some("0".into()),
                ..member(10_002, "Discount", KindDef::Decimal { precision: 10, scale: 2 })
            },
            member(10_003, "Contact", KindDef::ToOne { target: "Party".into(), on_delete: OnDelete::Clear }),
            member(
                10_004,
                "Tags",
                KindDef::ManyToMany {
                    target: "Tag".into(),
                    inverse: Some("Customers".into()),
                    inverse_id: Some(10_005),
                },
            ),
            member(10_006, "State", KindDef::Enum(words)),
            MemberDef { indexed: true, ..member(10_007, "Orders", KindDef::Integer) },
            member(10_008, "Active", KindDef::Bool),
            member(10_009, "Since", KindDef::Date),
            member(10_010, "Seen", KindDef::Datetime),
        ],
    };
    let party = EntityDef {
        id: None,
        name: "Party".into(),
        is_abstract: true,
        members: vec![member(10_011, "Of", KindDef::ToMany { target: "Customer".into(), by: "Contact".into() })],
        ..EntityDef::default()
    };
    let tag = EntityDef { id: Some(10_001), name: "Tag".into(), ..EntityDef::default() };
    SchemaDef {
        name: "trade".into(),
        version: "1".into(),
        entities: vec![customer, party, tag],
        ..SchemaDef::default()
    }
}
