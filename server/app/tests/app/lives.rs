//! New lives of a node, copies that speak under one name, and ids that are never given again.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mytism_app::App;
use mytism_app::numbers::MemoryLedger;
use mytism_app::surroundings::Machine;
use mytism_core::id::{BlockId, ObjectId, TransactionId};
use mytism_core::operation::{Reply, Request};
use mytism_store::sqlite::SqliteStore;
use mytism_store::{Batch, Store, StoreError, View};

use crate::world::{Node, change, head_office, new, text, to};

fn company(node: &Node, key: &str) -> ObjectId {
    node.make("Customer", &[("CustomerID", text(key)), ("CompanyName", text(key))]).unwrap()
}

fn keys(node: &Node) -> Vec<String> {
    node.rows("select c.CustomerID, c.City from Customer c order by c.CustomerID")
}

fn pending(node: &Node) -> Vec<TransactionId> {
    let rows = node.app.view().unwrap().pending_after(i64::MIN, 100, usize::MAX).unwrap();
    rows.into_iter().map(|row| row.transaction).collect()
}

/// The names of what is pending, without the marks of forks.
fn names(node: &Node) -> Vec<String> {
    pending(node).iter().map(|id| id.to_string().split_inclusive('~').next().unwrap().to_owned()).collect()
}

/// Begins the next life of a node, with a fresh block.
fn renew(head: &Node, node: &Node) -> BlockId {
    let identity = node.app.identity();
    let block = head.app.give_block(identity.node).unwrap();
    node.app.renew(identity.incarnation + 1, vec![block]).unwrap();
    block
}

#[test]
fn a_new_life_counts_from_one_and_gives_the_ids_that_it_got() {
    let head = head_office();
    let branch = head.branch("rostock");
    let first = company(&branch, "AAAAA");
    let block = renew(&head, &branch);
    let node = branch.app.identity().node;
    let second = company(&branch, "BBBBB");
    assert_ne!(BlockId::of(first), block);
    assert_eq!(BlockId::of(second), block);
    let expected = [(1, 1), (2, 1)].map(|(incarnation, counter)| TransactionId { node, incarnation, counter });
    assert_eq!(pending(&branch), expected);
    assert_eq!(branch.app.identity().incarnation, 2);
    let branch = branch.older_copy();
    assert_eq!((branch.app.identity().incarnation, branch.app.ids_left()), (2, 65_536 - 256), "what it keeps says so");
    assert_eq!(BlockId::of(company(&branch, "CCCCC")), block);
    head.exchange(&branch);
    assert_eq!(branch.everything(), head.everything());
    assert_eq!(keys(&head), ["AAAAA|", "BBBBB|", "CCCCC|"]);
}

#[test]
fn a_life_begins_once_and_none_comes_back() {
    let head = head_office();
    let branch = head.branch("rostock");
    let block = renew(&head, &branch);
    company(&branch, "AAAAA");
    let left = branch.app.ids_left();
    branch.app.renew(2, vec![block]).unwrap();
    assert_eq!((branch.app.ids_left(), branch.app.identity().incarnation), (left, 2));
    let refused = |node: &Node, incarnation| node.app.renew(incarnation, vec![block]).unwrap_err().failure().code;
    assert_eq!(refused(&branch, 1), "old-incarnation");
    assert_eq!(refused(&head, 9), "not-a-branch");
    assert_eq!(pending(&branch).len(), 1);
}

/// Two nodes that go on from copies of one branch's database. No ledger stands beside them, so they give the same ids.
fn copied() -> (Node, Node, Node) {
    let head = head_office();
    let branch = head.branch("rostock");
    company(&branch, "AAAAA");
    head.exchange(&branch);
    (head, branch.older_copy(), branch.older_copy())
}

fn first_company(node: &Node) -> ObjectId {
    let schema = node.app.schema();
    let entity = schema.entity("Customer").unwrap();
    let key = entity.member("CustomerID").unwrap();
    node.app.view().unwrap().find(entity.id, key.id, &"AAAAA".into(), 1).unwrap()[0]
}

#[test]
fn what_a_copy_saved_under_names_that_are_taken_gets_others() {
    let (head, branch, copy) = copied();
    let (one, other) = (company(&branch, "BBBBB"), company(&branch, "CCCCC"));
    let (mine, next) = (company(&copy, "XXXXX"), company(&copy, "YYYYY"));
    assert_eq!((one, other), (mine, next));
    copy.save(vec![new("o", "Order", &[("Customer", to(mine)), ("ShipCity", text("Ulm"))])]).unwrap();
    head.exchange(&branch);
    renew(&head, &copy);
    head.hand_down_whole(&copy);
    assert_eq!(keys(&copy), ["AAAAA|", "BBBBB|", "CCCCC|", "XXXXX|", "YYYYY|"]);
    assert_eq!(copy.rows("select o.Customer.CustomerID from Order o"), ["XXXXX"], "references follow");
    assert_eq!(names(&copy), [2, 3, 4].map(|counter| format!("{}-1-{counter}~", copy.app.identity().node)));
    head.exchange(&copy);
    head.hand_down_whole(&branch);
    assert_eq!(keys(&head), ["AAAAA|", "BBBBB|", "CCCCC|", "XXXXX|", "YYYYY|"]);
    assert_eq!(copy.everything(), head.everything());
    assert_eq!(branch.everything(), head.everything());
}

#[test]
fn what_went_before_the_fork_keeps_its_name() {
    let (head, branch, copy) = copied();
    let id = company(&branch, "BBBBB");
    // The same transaction at both, as it was copied while it waited.
    let copy = {
        drop(copy);
        branch.older_copy()
    };
    company(&branch, "CCCCC");
    copy.save(vec![change(id, &[("City", text("Ulm"))])]).unwrap();
    head.exchange(&branch);
    renew(&head, &copy);
    head.hand_down_whole(&copy);
    assert_eq!(names(&copy), [format!("{}-1-3~", copy.app.identity().node)]);
    assert_eq!(keys(&copy), ["AAAAA|", "BBBBB|Ulm", "CCCCC|"]);
    head.exchange(&copy);
    assert_eq!(copy.everything(), head.everything());
    assert_eq!(keys(&head), ["AAAAA|", "BBBBB|Ulm", "CCCCC|"]);
}

#[test]
fn an_id_under_which_others_made_something_else_is_theirs() {
    let (head, branch, copy) = copied();
    let theirs = branch.make("Region", &[("RegionDescription", text("Nord"))]).unwrap();
    let mine = company(&copy, "XXXXX");
    assert_eq!(theirs, mine);
    head.exchange(&branch);
    renew(&head, &copy);
    head.hand_down_whole(&copy);
    assert_eq!(copy.rows("select RegionDescription from Region"), ["Nord"]);
    assert_eq!(keys(&copy), ["AAAAA|", "XXXXX|"]);
    let copy = copy.older_copy();
    head.exchange(&copy);
    assert_eq!(copy.everything(), head.everything());
}

#[test]
fn what_the_present_life_saved_above_a_fork_stays_above_it() {
    let (head, branch, copy) = copied();
    company(&branch, "BBBBB");
    let first = first_company(&copy);
    let mine = company(&copy, "XXXXX");
    copy.save(vec![change(first, &[("City", text("Bonn")), ("Country", text("Land"))])]).unwrap();
    head.exchange(&branch);
    renew(&head, &copy);
    // On what is about to get another name: on a value, on an object, and on neither.
    copy.save(vec![change(first, &[("City", text("Ulm"))])]).unwrap();
    copy.save(vec![change(mine, &[("City", text("Jena"))])]).unwrap();
    company(&copy, "ZZZZZ");
    let seen = keys(&copy);
    assert_eq!(seen, ["AAAAA|Ulm", "XXXXX|Jena", "ZZZZZ|"]);
    let told = copy.app.visible_after(0, 100).unwrap();
    head.hand_down_whole(&copy);
    assert_eq!(keys(&copy), ["AAAAA|Ulm", "BBBBB|", "XXXXX|Jena", "ZZZZZ|"]);
    let node = copy.app.identity().node;
    assert_eq!(names(&copy), ["1-2~", "1-3~", "2-1", "2-2", "2-3"].map(|name| format!("{node}-{name}")));
    let rows = copy.app.visible_after(0, 100).unwrap();
    assert_eq!(rows[..told.len()], told, "followers read what they would have read");
    head.exchange(&copy);
    assert_eq!(keys(&head), ["AAAAA|Ulm", "BBBBB|", "XXXXX|Jena", "ZZZZZ|"]);
    assert_eq!(head.rows("select c.Country from Customer c where c.CustomerID = 'AAAAA'"), ["Land"]);
    assert_eq!(copy.everything(), head.everything());
}

#[test]
fn a_fork_of_the_present_life_is_refused() {
    let (head, branch, copy) = copied();
    company(&branch, "BBBBB");
    company(&copy, "XXXXX");
    head.exchange(&branch);
    let before = copy.everything();
    assert_eq!(head.try_hand_down_whole(&copy).unwrap_err().failure().code, "forked-transaction");
    assert_eq!(copy.everything(), before);
    renew(&head, &copy);
    head.hand_down_whole(&copy);
    assert_eq!(keys(&copy), ["AAAAA|", "BBBBB|", "XXXXX|"]);
}

#[test]
fn a_fork_is_told() {
    let (head, branch, copy) = copied();
    let told = Arc::new(std::sync::Mutex::new(Vec::new()));
    let listener = Arc::clone(&told);
    copy.app.on_warning(Box::new(move |text| listener.lock().unwrap().push(text.to_owned())));
    company(&branch, "BBBBB");
    company(&copy, "XXXXX");
    head.exchange(&branch);
    renew(&head, &copy);
    head.hand_down_whole(&copy);
    let told = told.lock().unwrap();
    let node = copy.app.identity().node;
    let [text] = &told[..] else { panic!("{told:?}") };
    assert!(text.contains(&format!("{node}-1-2 is {node}-1-2~")), "{text}");
}

#[test]
fn an_older_copy_of_the_database_alone_gives_no_id_again() {
    let head = head_office();
    let ledger = Arc::new(MemoryLedger::default());
    let open = |node: &Node| {
        let copy = node.older_copy();
        let Node { app, directory } = copy;
        drop(app);
        let store = SqliteStore::open(directory.path()).unwrap();
        let schema = store.schema();
        let store: Arc<dyn Store> = Arc::new(store);
        let surroundings = Arc::new(Machine::with_ledger(Arc::clone(&ledger)));
        Node { app: App::open(store, schema, surroundings).unwrap(), directory }
    };
    let first = head.branch("rostock");
    let mut given = BTreeSet::new();
    let mut note = |id| assert!(given.insert(id), "{id} is given twice");
    let branch = open(&first);
    (0..700).for_each(|number| note(company(&branch, &format!("a{number}"))));
    // From before the first of them, within a life and behind a new one.
    let again = open(&first);
    (0..300).for_each(|number| note(company(&again, &format!("b{number}"))));
    let middle = open(&again);
    note(company(&middle, "c"));
    renew(&head, &middle);
    note(company(&middle, "d"));
    let late = open(&again);
    assert_eq!(late.app.identity().incarnation, 1);
    let all_were_given = late.make("Region", &[("RegionDescription", text("x"))]).unwrap_err();
    assert_eq!(all_were_given.code, "out-of-ids");
}

/// A store that takes nothing from a moment on, as when its process ends there.
struct Ending {
    store: SqliteStore,
    has_ended: Arc<AtomicBool>,
}

impl Store for Ending {
    fn view(&self) -> Result<Box<dyn View>, StoreError> {
        self.store.view()
    }

    fn commit(&self, batch: &Batch) -> Result<(), StoreError> {
        let ended = || StoreError::Disk("the process has ended".to_owned());
        if self.has_ended.load(Ordering::Relaxed) { Err(ended()) } else { self.store.commit(batch) }
    }

    fn bytes(&self) -> u64 {
        self.store.bytes()
    }
}

#[test]
fn a_promotion_that_ended_half_way_leaves_the_branch_its_ids() {
    let head = head_office();
    let ledger = Arc::new(MemoryLedger::default());
    let Node { app, directory } = head.branch("rostock");
    drop(app);
    let open = |has_ended: Arc<AtomicBool>| {
        let store = SqliteStore::open(directory.path()).unwrap();
        let (schema, machine) = (store.schema(), Machine::with_ledger(Arc::clone(&ledger)));
        App::open(Arc::new(Ending { store, has_ended }), schema, Arc::new(machine)).unwrap()
    };
    let has_ended = Arc::new(AtomicBool::new(false));
    let branch = open(Arc::clone(&has_ended));
    let before = branch.ids_left();
    has_ended.store(true, Ordering::Relaxed);
    branch.promote().unwrap_err();
    drop(branch);
    let branch = open(Arc::default());
    assert!(!branch.identity().authoritative);
    assert!(before - branch.ids_left() <= 512, "{} of {before} ids are left", branch.ids_left());
}

#[test]
fn a_node_that_is_closed_loses_no_id() {
    let head = head_office();
    let ledger = Arc::new(MemoryLedger::default());
    let Node { app, directory } = head.branch("rostock");
    let mut app = app;
    let mut last = None;
    for number in 0..4 {
        let schema = Arc::clone(app.schema());
        drop(app);
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(directory.path()).unwrap());
        app = App::open(store, schema, Arc::new(Machine::with_ledger(Arc::clone(&ledger)))).unwrap();
        let mut made = None;
        let changes = vec![new("n", "Region", &[("RegionDescription", text(&format!("r{number}")))])];
        let request = mytism_core::operation::SaveRequest { description: "test".into(), changes };
        let context = mytism_app::Context::local();
        let mut sink = |reply| {
            if let Reply::Saved(saved) = reply {
                made = Some(saved.ids[0].1.get());
            }
            Ok(())
        };
        app.call(&context, Request::Save(request), &mut sink).unwrap();
        assert!(last.is_none_or(|last: i64| made == Some(last + 1)), "{last:?} {made:?}");
        last = made;
    }
}

#[test]
fn a_new_life_goes_on_from_what_the_one_before_left_waiting() {
    let (head, branch, _) = copied();
    let id = first_company(&branch);
    branch.save(vec![change(id, &[("City", text("Bonn"))])]).unwrap();
    renew(&head, &branch);
    branch.save(vec![change(id, &[("City", text("Ulm"))])]).unwrap();
    head.exchange(&branch);
    assert_eq!(keys(&head), ["AAAAA|Ulm"]);
    assert_eq!(head.rows("from SyncConflict"), [""; 0], "nobody contradicted");
    assert_eq!(branch.everything(), head.everything());
}
