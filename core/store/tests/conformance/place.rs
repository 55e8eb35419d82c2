//! A database of either engine for one test, with a schema that has every kind of value and every kind of odd name.

use std::path::Path;
use std::sync::Arc;

use mytism_core::change::{Life, ObjectMeta, Slot, Stamp};
use mytism_core::id::{AttributeId, EntityId, Hash, NodeId, ObjectId, Position, TransactionId, system};
use mytism_core::schema::{EntityDef, EnumWordDef, KindDef, MemberDef, OnDelete, Schema, SchemaDef};
use mytism_core::time::Timestamp;
use mytism_core::value::Value;
use mytism_format::object::ObjectState;
use mytism_store::postgres::{PoolOptions, PostgresOptions, PostgresStore};
use mytism_store::sqlite::SqliteStore;
use mytism_store::{Batch, LogRow, Store, StoreError, View};
use mytism_testkit::PostgresServer;
use tempfile::TempDir;

pub(crate) struct Place {
    pub(crate) directory: TempDir,
    /// Of the server's database; `None` for the embedded engine.
    pub(crate) address: Option<String>,
    pub(crate) schema: Arc<Schema>,
    store: Option<Arc<dyn Store>>,
}

impl Place {
    pub(crate) fn sqlite() -> Self {
        Self::with(None, odd_schema())
    }

    pub(crate) fn postgres() -> Option<Self> {
        Some(Self::with(Some(PostgresServer::shared()?.database()), odd_schema()))
    }

    pub(crate) fn with(address: Option<String>, schema: Arc<Schema>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> = match &address {
            Some(address) => {
                Arc::new(PostgresStore::create(directory.path(), &options(address), Arc::clone(&schema)).unwrap())
            }
            None => Arc::new(SqliteStore::create(directory.path(), Arc::clone(&schema)).unwrap()),
        };
        Self { directory, address, schema, store: Some(store) }
    }

    pub(crate) fn store(&self) -> &dyn Store {
        &**self.store.as_ref().unwrap()
    }

    pub(crate) fn view(&self) -> Box<dyn View> {
        self.store().view().unwrap()
    }

    pub(crate) fn commit(&self, batch: impl Into<Batch>) {
        self.store().commit(&batch.into()).unwrap();
    }

    /// Another one that opens the same database.
    pub(crate) fn open(&self, directory: &Path) -> Result<Arc<dyn Store>, StoreError> {
        Ok(match &self.address {
            Some(address) => Arc::new(PostgresStore::open(directory, &options(address))?),
            None => Arc::new(SqliteStore::open(directory)?),
        })
    }

    pub(crate) fn reopen(&mut self) {
        self.store = None;
        self.store = Some(self.open(self.directory.path()).unwrap());
    }
}

pub(crate) fn options(address: &str) -> PostgresOptions {
    let pool = PoolOptions { maximum: 8, ..PoolOptions::default() };
    PostgresOptions::new(address, None, None, pool).unwrap()
}

fn member(id: u32, name: &str, kind: KindDef) -> MemberDef {
    MemberDef {
        id: Some(id),
        name: name.to_owned(),
        label: None,
        kind,
        not_null: false,
        unique: false,
        indexed: id.is_multiple_of(2),
        default: None,
        number: None,
        conflict: None,
        bounds: mytism_core::schema::BoundsDef::default(),
    }
}

pub(crate) const ORDER: EntityId = EntityId(11);
pub(crate) const SELECT: EntityId = EntityId(12);
pub(crate) const GROUP: AttributeId = AttributeId(102);
pub(crate) const LONG: AttributeId = AttributeId(104);
pub(crate) const NUMBER: AttributeId = AttributeId(106);
pub(crate) const PRICE: AttributeId = AttributeId(107);
pub(crate) const WIDE: AttributeId = AttributeId(109);
pub(crate) const YES: AttributeId = AttributeId(111);
pub(crate) const DAY: AttributeId = AttributeId(113);
pub(crate) const TIME: AttributeId = AttributeId(115);
pub(crate) const WORD: AttributeId = AttributeId(117);
pub(crate) const NEXT: AttributeId = AttributeId(118);
pub(crate) const PARTS: AttributeId = AttributeId(119);
pub(crate) const FLOAT: AttributeId = AttributeId(124);
pub(crate) const CLOCK: AttributeId = AttributeId(126);
pub(crate) const UUID: AttributeId = AttributeId(128);
pub(crate) const JSON: AttributeId = AttributeId(131);

/// thing (abstract) → `Order`, `select` and `order`; names that are keywords, system columns, or differ in case only.
pub(crate) fn odd_schema() -> Arc<Schema> {
    let word = |id, name: &str| EnumWordDef { id, name: name.to_owned(), label: None };
    let to_one = KindDef::ToOne { target: "thing".to_owned(), on_delete: OnDelete::Refuse };
    let many = KindDef::ManyToMany { target: "thing".to_owned(), inverse: None, inverse_id: None };
    let members = vec![
        member(102, "group", KindDef::String { max: 80 }),
        member(103, "Group", KindDef::Text),
        member(104, "long", KindDef::Text),
        member(106, "xmin", KindDef::Integer),
        member(107, "price", KindDef::Decimal { precision: 10, scale: 2 }),
        member(109, "wide", KindDef::Decimal { precision: 28, scale: 6 }),
        member(111, "yes", KindDef::Bool),
        member(113, "day", KindDef::Date),
        member(115, "time", KindDef::Datetime),
        member(117, "word", KindDef::Enum(vec![word(2, "it's"), word(1, "\"closed\"")])),
        member(118, "next", to_one),
        member(119, "parts", many),
        member(124, "float", KindDef::Float),
        member(126, "time-of-day", KindDef::Time),
        member(128, "uuid", KindDef::Uuid),
        member(131, "json", KindDef::Json),
    ];
    let entity = |id, name: &str, extends: Option<&str>, members| {
        let (name, extends) = (name.to_owned(), extends.map(str::to_owned));
        EntityDef { id: Some(id), name, extends, members, ..EntityDef::default() }
    };
    let mut thing = entity(10, "thing", None, members);
    thing.is_abstract = true;
    let own = vec![member(121, "id", KindDef::Text), member(123, &"Ü".repeat(40), KindDef::Text)];
    let entities = vec![
        thing,
        entity(11, "Order", Some("thing"), own),
        entity(12, "select", Some("thing"), vec![]),
        entity(13, "order", Some("thing"), vec![]),
        entity(14, "pg_class", None, vec![]),
    ];
    Arc::new(
        Schema::new(SchemaDef { name: "odd".to_owned(), version: "1".to_owned(), entities, ..SchemaDef::default() })
            .unwrap(),
    )
}

pub(crate) fn id(number: i64) -> ObjectId {
    ObjectId::new(number).unwrap()
}

pub(crate) fn at(micros: i64) -> Timestamp {
    Timestamp::saturating_from_micros(micros)
}

pub(crate) fn meta(version: Option<u64>, life: Life) -> ObjectMeta {
    let stamp = |time| Stamp { time: at(time), user: system::USER_ADMIN, node: NodeId(u32::MAX) };
    ObjectMeta { created: stamp(-5), changed: stamp(1_700_000_000_123_456), version, life }
}

pub(crate) fn object(entity: EntityId, number: i64, slots: &[(AttributeId, Value)]) -> ObjectState {
    let slots = slots.iter().map(|(attribute, value)| (Slot::attribute(*attribute), value.clone())).collect();
    ObjectState { id: id(number), entity, meta: meta(Some(3), Life::Alive), slots }
}

pub(crate) fn with_parts(mut object: ObjectState, parts: &[i64]) -> ObjectState {
    object.slots.extend(parts.iter().map(|part| (Slot::element(PARTS, id(*part)), Value::Bool(true))));
    object
}

pub(crate) fn transaction(node: u32, incarnation: u32, counter: u64) -> TransactionId {
    TransactionId { node: NodeId(node), incarnation, counter }
}

pub(crate) fn entry(epoch: u32, number: u64, bytes: usize) -> LogRow {
    LogRow {
        position: Position { epoch, number },
        hash: Hash([u8::try_from(number).unwrap(); 32]),
        transaction: transaction(1 + epoch, 7, number),
        committed_at: at(i64::try_from(number / 2).unwrap() * 1_000_000),
        entry: vec![1; 10],
        bytes: vec![2; bytes],
    }
}

pub(crate) fn sorted(mut object: ObjectState) -> ObjectState {
    object.slots.sort_by_key(|(slot, _)| (slot.attribute, slot.element));
    object
}
