//! Commits as a node makes them, one after the other, of every kind of write; and a look at all that a database holds.

use std::hash::{DefaultHasher, Hash as _, Hasher};
use std::path::Path;
use std::sync::Arc;

use mytism_core::change::{Life, ObjectMeta, Slot, Stamp};
use mytism_core::id::{AttributeId, EntityId, Hash, NodeId, ObjectId, Position, TransactionId, system};
use mytism_core::schema::Schema;
use mytism_core::time::Timestamp;
use mytism_core::value::Value;
use mytism_disk_under_test::Dice;
use mytism_format::object::ObjectState;
use mytism_store::sqlite::SqliteStore;
use mytism_store::{Batch, LogRow, PendingRow, QuarantineRow, Store, Write};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};

/// What the one who writes knows by heart. It goes on from a copy only when the commit succeeded.
#[derive(Clone)]
pub(super) struct Writer {
    customer: (EntityId, AttributeId),
    members: AttributeId,
    commits: u64,
    number: u64,
    counter: u64,
    pending: Vec<i64>,
    objects: Vec<u64>,
    /// Bytes of an entry at most; makes checkpoints come sooner or later.
    weight: usize,
}

pub(super) fn schema(directory: &Path) -> Arc<Schema> {
    let file = directory.join("trade.xml");
    std::fs::write(&file, mytism_schema::demo::schema_xml()).unwrap();
    Arc::new(mytism_schema::project(Some(&file)).unwrap())
}

impl Writer {
    pub(super) fn new(schema: &Schema, weight: usize) -> Self {
        let member = |entity: &str, name: &str| {
            let entity = schema.entity(entity).unwrap();
            (entity.id, entity.member(name).unwrap().id)
        };
        Self {
            customer: member("Customer", "City"),
            members: member("Group", "Members").1,
            commits: 0,
            number: 0,
            counter: 0,
            pending: Vec::new(),
            objects: Vec::new(),
            weight,
        }
    }

    /// One that goes on anywhere, since it only replaces what is there.
    pub(super) fn properties_only(schema: &Schema) -> Self {
        Self { weight: 0, ..Self::new(schema, 0) }
    }

    /// What shall become durable next.
    pub(super) fn next(&mut self, dice: &mut Dice) -> Batch {
        self.commits += 1;
        if self.weight == 0 {
            let value = dice.throw().to_be_bytes().repeat(dice.below(1_000));
            return vec![Write::Put { key: "ids", value }];
        }
        let mut batch = Vec::new();
        for _ in 0..1 + dice.below(4) {
            match dice.below(10) {
                0..5 => self.entry(&mut batch, dice),
                5..8 => self.pend(&mut batch, dice),
                _ => self.settle(&mut batch, dice),
            }
        }
        batch.push(Write::Put {
            key: "ids",
            value: [self.commits, self.number, self.counter].map(u64::to_be_bytes).concat(),
        });
        batch
    }

    fn stamp() -> Stamp {
        Stamp { time: Timestamp::saturating_from_micros(5), user: system::USER_ADMIN, node: NodeId(1) }
    }

    fn entry(&mut self, batch: &mut Batch, dice: &mut Dice) {
        self.number += 1;
        let number = self.number;
        batch.push(Write::Log(LogRow {
            position: Position { epoch: 1, number },
            hash: Hash([7; 32]),
            transaction: TransactionId { node: NodeId(1), incarnation: 1, counter: number },
            committed_at: Self::stamp().time,
            entry: vec![3; 40],
            bytes: vec![u8::try_from(number % 256).unwrap(); dice.below(self.weight)],
        }));
        let (entity, city) = self.customer;
        let stamp = Self::stamp();
        let meta = ObjectMeta { created: stamp, changed: stamp, version: Some(number), life: Life::Alive };
        let object = object(number);
        let known: Vec<u64> = self.objects.clone();
        let text = Value::Text("x".repeat(dice.below(2_000)));
        match dice.pick(&known) {
            Some(known) if dice.percent(60) => {
                let object = self::object(*known);
                batch.push(Write::History { object, number });
                if dice.percent(10) {
                    batch.push(Write::Remove { object, entity });
                    self.objects.retain(|other| other != known);
                } else {
                    batch.push(Write::Update { object, entity, meta, columns: vec![(city, text)] });
                }
            }
            _ => {
                let slots = vec![(Slot::attribute(city), text)];
                batch.push(Write::Insert(Box::new(ObjectState { id: object, entity, meta, slots })));
                batch.push(Write::History { object, number });
                self.objects.push(number);
            }
        }
        let (relation, owner) = (self.members, system::GROUP_ADMINS);
        batch.push(Write::Element { relation, owner, element: object, present: dice.percent(70) });
        if dice.percent(10) {
            let (code, reason) = ("conflict".to_owned(), "said so".to_owned());
            batch.push(Write::Quarantine(QuarantineRow { number, code, reason }));
        }
    }

    fn pend(&mut self, batch: &mut Batch, dice: &mut Dice) {
        self.counter += 1;
        let counter = self.counter;
        let transaction = TransactionId { node: NodeId(2), incarnation: 1, counter };
        // At either end of the stack.
        let end = i64::try_from(counter).unwrap();
        let place = if counter.is_multiple_of(5) { -end } else { end };
        batch.push(Write::Pending(PendingRow { place, transaction, bytes: vec![9; dice.below(self.weight)] }));
        self.pending.push(place);
        let object = object(1 + dice.throw() % 50);
        batch.push(Write::Touch { object, place });
        let slot = Slot::attribute(self.customer.1);
        let value = dice.percent(80).then(|| counter.to_be_bytes().to_vec());
        batch.push(Write::Underlay { object, slot, value });
    }

    fn settle(&mut self, batch: &mut Batch, dice: &mut Dice) {
        let count = dice.below(self.pending.len() + 1);
        batch.extend(self.pending.drain(..count).map(Write::Settled));
    }

    /// Commits once, and goes on from there if it succeeds.
    pub(super) fn commit(&mut self, store: &SqliteStore, dice: &mut Dice) -> Result<(), mytism_store::StoreError> {
        let mut next = self.clone();
        let batch = next.next(dice);
        store.commit(&batch)?;
        *self = next;
        Ok(())
    }
}

fn object(number: u64) -> ObjectId {
    ObjectId::new(70_000 + i64::try_from(number).unwrap()).unwrap()
}

/// All rows of all tables of a database, as one number.
pub(super) fn content(directory: &Path) -> Result<u64, rusqlite::Error> {
    let connection = Connection::open_with_flags(directory.join("objects.db"), OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let mut tables = connection.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")?;
    let tables: Vec<String> = tables.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let mut hasher = DefaultHasher::new();
    for table in tables {
        let mut rows = connection.prepare(&format!("SELECT * FROM \"{table}\""))?;
        let columns = rows.column_count();
        let mut rows = rows.query([])?;
        while let Some(row) = rows.next()? {
            for column in 0..columns {
                hash(row.get_ref(column)?, &mut hasher);
            }
        }
        table.hash(&mut hasher);
    }
    Ok(hasher.finish())
}

fn hash(value: ValueRef<'_>, hasher: &mut DefaultHasher) {
    std::mem::discriminant(&value).hash(hasher);
    match value {
        ValueRef::Null => {}
        ValueRef::Integer(number) => number.hash(hasher),
        ValueRef::Real(number) => number.to_bits().hash(hasher),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes.hash(hasher),
    }
}

/// What the engine itself finds wrong; empty for nothing.
pub(super) fn flaws(directory: &Path) -> Result<String, rusqlite::Error> {
    mytism_disk_under_test::flaws(&directory.join("objects.db"))
}
