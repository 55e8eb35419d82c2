//! Replays of small runs, compared row by row.

use std::sync::Arc;

use mytism_core::change::{Life, ObjectMeta, Slot, Stamp};
use mytism_core::id::{AttributeId, EntityId, Hash, NodeId, ObjectId, Position, TransactionId, system};
use mytism_core::journal::Cause;
use mytism_core::time::Timestamp;
use mytism_core::value::Value;
use mytism_format::object::ObjectState;
use tempfile::TempDir;

use super::*;
use crate::{JournalRow, LogRow, PendingRow, QuarantineRow, Store};

/// A node's database that is written to commit by commit, as a node would.
struct Node {
    directory: TempDir,
    store: SqliteStore,
    last: u64,
}

impl Node {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("trade.xml");
        std::fs::write(&file, mytism_schema::demo::schema_xml()).unwrap();
        let schema = Arc::new(mytism_schema::project(Some(&file)).unwrap());
        let store = SqliteStore::create(directory.path(), schema).unwrap();
        Self { directory, store, last: 0 }
    }

    fn attribute(&self, entity: &str, name: &str) -> (EntityId, AttributeId) {
        let schema = self.store.schema();
        let entity = schema.entity(entity).unwrap();
        (entity.id, entity.member(name).unwrap().id)
    }

    /// An entry that makes an object with one value.
    fn entry(&mut self, entity: &str, name: &str, value: Value) -> Batch {
        let (entity, attribute) = self.attribute(entity, name);
        self.last += 1;
        let (number, now) = (self.last, Timestamp::saturating_from_micros(5));
        let stamp = Stamp { time: now, user: system::USER_ADMIN, node: NodeId(1) };
        let meta = ObjectMeta { created: stamp, changed: stamp, version: Some(number), life: Life::Alive };
        let object = object(number);
        vec![
            Write::Log(LogRow {
                position: Position { epoch: 1, number },
                hash: Hash([7; 32]),
                transaction: TransactionId { node: NodeId(1), incarnation: 1, counter: number },
                committed_at: now,
                entry: vec![1, 2, 3],
                bytes: vec![0; 100],
            }),
            Write::History { object, number },
            // As at a branch, whose journal is longer or shorter than its log.
            Write::Journal(JournalRow {
                sequence: number + 40,
                at: now,
                cause: Cause::Applied,
                transaction: TransactionId { node: NodeId(1), incarnation: 1, counter: number },
                position: Some(number),
                changes: None,
            }),
            Write::Insert(Box::new(ObjectState {
                id: object,
                entity,
                meta,
                slots: vec![(Slot::attribute(attribute), value)],
            })),
        ]
    }

    /// Commits as many entries as each number says, half of them customers and half orders.
    fn run(&mut self, sizes: &[u64]) -> Run {
        let after = self.last;
        let groups = sizes.iter().map(|size| self.commit(*size)).collect();
        Run { after, groups }
    }

    fn commit(&mut self, size: u64) -> Group {
        let mut batch = Vec::new();
        for index in 0..size {
            batch.extend(match index % 2 {
                0 => self.entry("Customer", "City", Value::from("Köln")),
                _ => self.entry("Order", "OrderID", Value::Integer(4)),
            });
        }
        batch.push(Write::Put { key: "ids", value: self.last.to_be_bytes().to_vec() });
        self.store.commit(&batch).unwrap();
        Group::of(&batch)
    }

    /// Closes the node and gives its directory, which stays as long as what is returned.
    fn close(self) -> TempDir {
        drop(self.store);
        self.directory
    }
}

fn object(number: u64) -> ObjectId {
    ObjectId::new(i64::try_from(1_000_000 + number).unwrap()).unwrap()
}

/// All rows of all tables as text.
fn everything(directory: &Path) -> Vec<String> {
    let connection = Connection::open(directory.join(sqlite::FILE)).unwrap();
    let names: Vec<String> = {
        let mut names =
            connection.prepare("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").unwrap();
        names.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
    };
    let mut lines = Vec::new();
    for name in names {
        let mut rows = connection.prepare(&format!("SELECT * FROM {}", quoted(&name))).unwrap();
        let columns = rows.column_count();
        let row = |row: &rusqlite::Row<'_>| {
            let values: Vec<Sql> = (0..columns).map(|column| row.get(column)).collect::<Result<_, _>>()?;
            Ok(format!("{name} {values:?}"))
        };
        lines.extend(rows.query_map([], row).unwrap().map(Result::unwrap));
    }
    lines
}

#[test]
fn a_replay_ends_with_the_same_rows_after_the_same_commits() {
    let mut node = Node::new();
    node.run(&[3, 1]);
    // A set, and a refused transaction that made nothing.
    let run = node.run(&[5, 1]);
    let mut last = node.entry("Group", "Name", Value::from("g"));
    let (_, members) = node.attribute("Group", "Members");
    last.push(Write::Element { relation: members, owner: object(node.last), element: object(1), present: true });
    last.push(Write::Quarantine(QuarantineRow { number: node.last, code: "c".into(), reason: "r".into() }));
    node.store.commit(&last).unwrap();
    let run = Run { groups: [run.groups, vec![Group::of(&last)]].concat(), ..run };
    let (node, target) = (node.close(), tempfile::tempdir().unwrap());

    let replay = Replay::prepare(node.path(), target.path(), &run).unwrap();
    assert!(replay.compare().is_err(), "nothing was replayed yet");
    let mut steps = Vec::new();
    let replayed = replay.run(&mut |step| steps.push(step)).unwrap();
    // Five rows for each of 7 entries, 2 values under a key, an element of a set, a refusal.
    assert_eq!(replayed, Replayed { rows: 5 * 7 + 2 + 2, commits: 3 });
    assert_eq!(steps, [Step::Read, Step::Committed].repeat(3));
    replay.compare().unwrap();
    drop(replay);
    assert_eq!(everything(node.path()), everything(target.path()));
}

#[test]
fn each_group_is_one_commit_with_its_own_rows() {
    let mut node = Node::new();
    let run = node.run(&[1, 4, 2]);
    let (node, target) = (node.close(), tempfile::tempdir().unwrap());
    let replay = Replay::prepare(node.path(), target.path(), &run).unwrap();
    let watcher = Connection::open(target.path().join(sqlite::FILE)).unwrap();
    let mut entries = Vec::new();
    let mut step = |step| {
        if step == Step::Committed {
            entries.push(watcher.query_row("SELECT count(*) FROM mytism_log", [], |row| row.get::<_, i64>(0)).unwrap());
        }
    };
    replay.run(&mut step).unwrap();
    assert_eq!(entries, [1, 5, 7]);
}

#[track_caller]
fn check_refused(change: impl FnOnce(&mut Node, &mut Run), expected: &str) {
    let mut node = Node::new();
    node.run(&[1]);
    let mut run = node.run(&[2]);
    change(&mut node, &mut run);
    let (node, target) = (node.close(), tempfile::tempdir().unwrap());
    match Replay::prepare(node.path(), target.path(), &run) {
        Ok(_) => panic!("the run was taken"),
        Err(error) => assert!(error.to_string().contains(expected), "{error}"),
    }
}

#[test]
fn what_cannot_be_replayed_is_refused() {
    check_refused(|_, run| run.after = 0, "the groups lead from entry 0 to 2, the log to 3");
    check_refused(|_, run| drop(run.groups.pop()), "the groups lead from entry 1 to 1, the log to 3");
    for number in [1, 2] {
        let again = move |node: &mut Node, run: &mut Run| {
            let mut batch = node.entry("Customer", "City", Value::from("Bonn"));
            batch.push(Write::History { object: object(number), number: node.last });
            node.store.commit(&batch).unwrap();
            run.groups.push(Group::of(&batch));
        };
        check_refused(again, "changed 1 objects again");
    }
    let pending = |node: &mut Node, _: &mut Run| {
        let transaction = TransactionId { node: NodeId(1), incarnation: 1, counter: 9 };
        node.store.commit(&vec![Write::Pending(PendingRow { place: 9, transaction, bytes: vec![1] })]).unwrap();
    };
    check_refused(pending, "left 1 transactions pending");
}

#[test]
fn a_lost_row_is_noticed() {
    let mut node = Node::new();
    let run = node.run(&[2]);
    let (node, target) = (node.close(), tempfile::tempdir().unwrap());
    let replay = Replay::prepare(node.path(), target.path(), &run).unwrap();
    replay.run(&mut |_| ()).unwrap();
    replay.compare().unwrap();
    replay.connection.execute("DELETE FROM \"Customer\"", []).unwrap();
    let error = replay.compare().unwrap_err().to_string();
    assert!(error.contains("the table Customer has 1 rows at the node and 0 in the plain engine"), "{error}");
}
