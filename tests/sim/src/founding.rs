//! The cluster with which each run begins: a head office and branches that have joined, made once in a process and
//! copied for each run.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use mytism_app::snapshot::Loader;
use mytism_app::{App, Context, Identity};
use mytism_core::id::{NodeId, ObjectId};
use mytism_core::operation::{ChangeRequest, ChangeTarget, Input, ReferenceInput, Reply, Request, SaveRequest};
use mytism_core::schema::Schema;
use mytism_core::value::Value;
use mytism_disk_under_test::Dice;
use mytism_store::Store;
use mytism_store::sqlite::{Durability, SqliteStore};

use crate::machine::{Machine, Time};
use crate::node::Backup;

/// Branches that there are from the beginning.
pub const BRANCHES: usize = 3;

/// A node of the cluster as it was made.
#[derive(Clone, Debug)]
pub struct Founded {
    /// Its name.
    pub name: String,
    /// Its number.
    pub number: NodeId,
    /// Its database and its ledger.
    pub backup: Backup,
}

/// The cluster, the head office first.
pub fn cluster() -> &'static [Founded] {
    static FOUNDED: OnceLock<Vec<Founded>> = OnceLock::new();
    FOUNDED.get_or_init(found)
}

fn found() -> Vec<Founded> {
    let root = directory();
    let file = root.path().join("simulated.xml");
    std::fs::write(&file, include_str!("schema.xml")).unwrap();
    let schema = Arc::new(mytism_schema::project(Some(&file)).unwrap());
    let machine = |seed| Arc::new(Machine::new(Arc::new(Time::default()), Dice::new(seed), None));
    let home = root.path().join("head");
    std::fs::create_dir(&home).unwrap();
    let store = fast(SqliteStore::create(&home, Arc::clone(&schema)).unwrap());
    let of_head = machine(1);
    let surroundings = Arc::clone(&of_head);
    let head = App::create_head_office(store, Arc::clone(&schema), surroundings, "head").unwrap();
    let names: Vec<String> = (1..=BRANCHES + 1).map(|number| format!("b{number}")).collect();
    // The ranges of the one that joins later, if it does, are there as well.
    for name in &names {
        head.add_node(&Context::system(), name, 300, &"0".repeat(64)).unwrap();
    }
    for (name, from) in std::iter::once("head").chain(names.iter().map(String::as_str)).zip((1..).step_by(100_000)) {
        range(&head, name, from);
    }
    let mut founded = Vec::new();
    for (name, seed) in names.iter().take(BRANCHES).zip(2..) {
        let home = root.path().join(name);
        let machine = machine(seed);
        let number = join(&head, &schema, name, &home, &machine);
        founded.push(Founded { name: name.clone(), number, backup: Backup::of(&home, &machine) });
    }
    let number = head.identity().node;
    drop(head);
    founded.insert(0, Founded { name: "head".to_owned(), number, backup: Backup::of(&home, &of_head) });
    founded
}

/// A directory for the files of a run, in memory where the machine has such a place.
///
/// # Panics
/// When there is no room for any.
#[must_use]
pub fn directory() -> tempfile::TempDir {
    let mut builder = tempfile::Builder::new();
    builder.prefix("mytism-sim-");
    builder.tempdir_in("/dev/shm").or_else(|_| builder.tempdir()).unwrap()
}

fn fast(store: SqliteStore) -> Arc<dyn Store> {
    store.set_durability(Durability::None).unwrap();
    Arc::new(store)
}

/// Lets a branch join whose account is known; its database is in a new directory afterwards.
///
/// # Panics
/// When it cannot join.
pub fn join(head: &App, schema: &Arc<Schema>, name: &str, home: &Path, machine: &Arc<Machine>) -> NodeId {
    std::fs::create_dir_all(home).unwrap();
    let known = head.known_node(name).unwrap().unwrap();
    let enrolled = head.enrol(known.node, &format!("{:064}", known.node.0)).unwrap();
    let store = fast(SqliteStore::create(home, Arc::clone(schema)).unwrap());
    let mut loader = Loader::new(Arc::clone(&store));
    let mut snapshot = head.snapshot().unwrap();
    while let Some(part) = snapshot.next_objects().unwrap() {
        loader.objects(&part.bytes).unwrap();
    }
    while let Some(part) = snapshot.next_entries().unwrap() {
        loader.entries(&part.bytes).unwrap();
    }
    let (node, incarnation) = (enrolled.node, enrolled.incarnation);
    let identity = Identity { name: name.to_owned(), node, incarnation, authoritative: false };
    loader.finish(&identity, &enrolled.blocks, snapshot.head.position, snapshot.head.hash).unwrap();
    let surroundings = Arc::clone(machine);
    drop(App::open(store, Arc::clone(schema), surroundings).unwrap());
    node
}

/// A range of numbers for the bills of a node.
fn range(head: &App, node: &str, from: i64) {
    let number = |value: i64| Input::Number(value.to_string());
    let values = [
        ("Name", Input::Text("Bills".to_owned())),
        ("Node", Input::Reference(ReferenceInput::Id(node_object(head, node)))),
        ("Min", number(from)),
        ("Max", number(from + 99_999)),
    ];
    let target = ChangeTarget::New { label: "r".to_owned(), entity: "NumberRange".to_owned() };
    let values = values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let change = ChangeRequest { target, values, expect: Vec::new(), delete: None };
    let request = Request::Save(SaveRequest { description: "a range".to_owned(), changes: vec![change] });
    let mut saved = false;
    head.call(&Context::system(), request, &mut |reply| {
        saved = matches!(reply, Reply::Saved(_));
        Ok(())
    })
    .unwrap();
    assert!(saved);
}

fn node_object(head: &App, name: &str) -> ObjectId {
    let entity = head.schema().entity("Node").unwrap();
    let attribute = entity.member("Name").unwrap().id;
    head.view().unwrap().find(entity.id, attribute, &Value::from(name), 1).unwrap()[0]
}
