//! What can be done with refused transactions, and what becomes of those that build on them.

use std::sync::Arc;

use mytism_app::surroundings::Machine;
use mytism_app::{App, ArrivingEntry};
use mytism_core::failure::Failure;
use mytism_core::id::ObjectId;
use mytism_core::operation::{Input, QuarantineLine, Reply, Request, Saved, SettleRequest, Settling, Status, UndoLine};
use mytism_store::Store;
use mytism_store::sqlite::SqliteStore;

use crate::two_nodes::equal;
use crate::world::{Node, change, head_office, new, text, to, word};

fn lines(node: &Node, request: Request) -> Vec<QuarantineLine> {
    let replies = node.call(request).unwrap().into_iter();
    replies.map(|reply| if let Reply::Quarantined(line) = reply { line } else { panic!("{reply:?}") }).collect()
}

/// The numbers of the refusals that nobody has settled.
fn open(node: &Node) -> Vec<u64> {
    lines(node, Request::Quarantine).into_iter().map(|line| line.position).collect()
}

fn counted(node: &Node) -> u64 {
    match node.call(Request::Status).unwrap().pop() {
        Some(Reply::Status(status)) => Status::clone(&status).quarantine,
        other => panic!("{other:?}"),
    }
}

/// What became of each refusal.
fn actions(node: &Node) -> Vec<Option<String>> {
    lines(node, Request::Refusals).into_iter().map(|line| line.settled.map(|settled| settled.action)).collect()
}

fn settle(node: &Node, number: u64, action: Settling, set: &[(&str, &str)]) -> Result<Saved, Failure> {
    let set = set.iter().map(|(what, value)| ((*what).to_owned(), text(value))).collect();
    match node.call(Request::Settle(SettleRequest { number, action, set }))?.pop() {
        Some(Reply::Saved(saved)) => Ok(saved),
        other => panic!("{other:?}"),
    }
}

fn retry(node: &Node, number: u64, set: &[(&str, &str)]) -> Result<Saved, Failure> {
    settle(node, number, Settling::Retry, set)
}

fn shown(node: &Node, number: u64) -> (QuarantineLine, Vec<UndoLine>) {
    let mut line = None;
    let mut changes = Vec::new();
    for reply in node.call(Request::Refusal { number }).unwrap() {
        match reply {
            Reply::Quarantined(found) => line = Some(found),
            Reply::UndoLine(change) => changes.push(*change),
            other => panic!("{other:?}"),
        }
    }
    (line.unwrap(), changes)
}

/// A head office and a branch with one refusal: a customer whose key was taken meanwhile, with an order, together with a
/// change of a customer that is there. Its number, and what it is about.
struct Scene {
    head: Node,
    branch: Node,
    number: u64,
    refused: ObjectId,
    there: ObjectId,
}

fn scene() -> Scene {
    let head = head_office();
    let there = head.make("Customer", &[("CustomerID", text("THERE")), ("City", text("Berlin"))]).unwrap();
    let branch = head.branch("bonn");
    head.make("Customer", &[("CustomerID", text("ALFKI"))]).unwrap();
    let order = new("o", "Order", &[("OrderID", Input::Number("1".into())), ("Customer", label())]);
    let made = new("c", "Customer", &[("CustomerID", text("ALFKI")), ("City", text("Bonn"))]);
    let saved = branch.save(vec![order, made, change(there, &[("City", text("Köln"))])]).unwrap();
    let refused = saved.ids.iter().find(|(label, _)| label == "c").unwrap().1;
    head.save(vec![change(there, &[("Phone", text("7"))])]).unwrap();
    head.exchange(&branch);
    equal(&head, &branch);
    let number = open(&branch)[0];
    Scene { head, branch, number, refused, there }
}

fn label() -> Input {
    Input::Reference(mytism_core::operation::ReferenceInput::Label("c".into()))
}

const CUSTOMERS: &str = "select c.CustomerID, c.City from Customer c order by c.CustomerID";

#[test]
fn a_refusal_is_shown_whole_at_both_ends() {
    let Scene { head, branch, number, refused, there } = scene();
    head.save(vec![change(there, &[("City", text("Rom"))])]).unwrap();
    head.exchange(&branch);
    for node in [&head, &branch] {
        let (line, changes) = shown(node, number);
        assert_eq!((line.position, line.code.as_str(), line.stamp.node.as_str()), (number, "duplicate-value", "bonn"));
        assert_eq!((line.description.as_str(), line.builds_on, line.settled), ("test", None, None));
        let told = |object: ObjectId, attribute: &str| -> Vec<String> {
            let meant = changes.iter().filter(|line| line.object == object && line.attribute == attribute);
            meant.flat_map(|line| [&line.before, &line.then, &line.now].map(word)).collect()
        };
        assert_eq!(told(there, "City"), ["Berlin", "Köln", "Rom"]);
        assert_eq!(told(refused, "CustomerID"), ["", "ALFKI", ""]);
        assert_eq!(told(refused, ""), ["", "there", ""]);
    }
    assert_eq!(head.call(Request::Refusal { number: 1 }).unwrap_err().code, "unknown-refusal");
}

#[test]
fn a_retry_that_is_refused_again_changes_nothing() {
    let Scene { head, branch, number, .. } = scene();
    for node in [&head, &branch] {
        let before = node.everything();
        assert_eq!(retry(node, number, &[]).unwrap_err().code, "duplicate-value");
        assert_eq!(retry(node, number, &[("Foo.City", "x")]).unwrap_err().code, "not-in-refusal");
        assert_eq!(retry(node, number, &[("City", "x")]).unwrap_err().code, "not-in-refusal");
        assert_eq!(retry(node, number, &[("Customer.Ctiy", "x")]).unwrap_err().code, "unknown-attribute");
        assert_eq!(retry(node, 1, &[]).unwrap_err().code, "unknown-refusal");
        assert_eq!(node.everything(), before);
        assert_eq!((open(node), counted(node)), (vec![number], 1));
    }
}

#[test]
fn what_stood_in_the_way_is_gone_and_a_retry_makes_it_good() {
    let Scene { head, branch, number, refused, .. } = scene();
    let taken = head.rows("select c.id from Customer c where c.CustomerID = 'ALFKI'");
    let taken: ObjectId = taken[0].parse().unwrap();
    head.save(vec![change(taken, &[("CustomerID", text("OTHER"))])]).unwrap();
    let saved = retry(&head, number, &[]).unwrap();
    assert!(saved.ids.iter().any(|(old, new)| *old == refused.to_string() && *new != refused), "{saved:?}");
    head.exchange(&branch);
    equal(&head, &branch);
    for node in [&head, &branch] {
        assert_eq!(node.rows(CUSTOMERS), ["ALFKI|Bonn", "OTHER|", "THERE|Köln"]);
        assert_eq!(node.rows("select o.OrderID, o.Customer.CustomerID from Order o"), ["1|ALFKI"]);
        assert_eq!((open(node), actions(node), counted(node)), (vec![], vec![Some("retried".into())], 0));
        assert_eq!(retry(node, number, &[]).unwrap_err().code, "refusal-settled");
        assert_eq!(settle(node, number, Settling::Discard, &[]).unwrap_err().code, "refusal-settled");
    }
}

#[test]
fn a_retry_with_other_values_at_the_branch_travels() {
    let Scene { head, branch, number, refused, there } = scene();
    let by_id = format!("{refused}.City");
    let kept = format!("{there}.City");
    let set = [("Customer.CustomerID", "NEUER")];
    // Both customers of the transaction are meant by the entity, and only one can have the key.
    assert_eq!(retry(&branch, number, &set).unwrap_err().code, "duplicate-value");
    let key = format!("{refused}.CustomerID");
    let saved = retry(&branch, number, &[(&key, "NEUER"), (&by_id, "Ulm"), (&kept, "")]).unwrap();
    assert!(saved.pending);
    assert_eq!((open(&branch), open(&head)), (vec![], vec![number]));
    head.exchange(&branch);
    equal(&head, &branch);
    for node in [&head, &branch] {
        assert_eq!(node.rows(CUSTOMERS), ["ALFKI|", "NEUER|Ulm", "THERE|"]);
        assert_eq!((open(node), actions(node)), (vec![], vec![Some("edited".into())]));
        let line = lines(node, Request::Refusals).remove(0);
        assert_eq!(line.settled.unwrap().stamp.node, "bonn");
    }
}

#[test]
fn two_nodes_settle_one_refusal_once() {
    let Scene { head, branch, number, refused, .. } = scene();
    settle(&head, number, Settling::Discard, &[]).unwrap();
    retry(&branch, number, &[(&format!("{refused}.CustomerID"), "NEUER")]).unwrap();
    head.exchange(&branch);
    equal(&head, &branch);
    for node in [&head, &branch] {
        assert_eq!(node.rows(CUSTOMERS), ["ALFKI|", "THERE|Berlin"]);
        assert_eq!(actions(node), [Some("discarded".into()), None]);
        assert_eq!((open(node).len(), counted(node)), (1, 1));
        let second = lines(node, Request::Quarantine).remove(0);
        assert!(second.reason.contains("Settlement.Refusal"), "{}", second.reason);
    }
    // The retry was refused as a whole, so it is a refusal of its own, which can be given up as well.
    let second = open(&branch)[0];
    assert_eq!(retry(&branch, second, &[]).unwrap_err().code, "duplicate-value");
    settle(&branch, second, Settling::Discard, &[]).unwrap();
    head.exchange(&branch);
    equal(&head, &branch);
    assert_eq!((counted(&head), counted(&branch)), (0, 0));
}

#[test]
fn a_schema_without_settlements_says_so_and_still_lists() {
    let directory = tempfile::tempdir().unwrap();
    let mut def = mytism_schema::system();
    def.entities.retain(|entity| entity.name != "Settlement");
    mytism_schema::number(&mut def, None);
    let schema = Arc::new(mytism_core::schema::Schema::new(def).unwrap());
    let store: Arc<dyn Store> = Arc::new(SqliteStore::create(directory.path(), Arc::clone(&schema)).unwrap());
    let app = App::create_head_office(store, schema, Arc::new(Machine::default()), "hamburg").unwrap();
    let head = Node::of(app, directory);
    let branch = head.branch("bonn");
    head.make("Setting", &[("Name", text("a"))]).unwrap();
    branch.make("Setting", &[("Name", text("a"))]).unwrap();
    head.exchange(&branch);
    for node in [&head, &branch] {
        let number = open(node)[0];
        assert_eq!((counted(node), shown(node, number).1.len()), (1, 2));
        for action in [Settling::Retry, Settling::Discard] {
            assert_eq!(settle(node, number, action, &[]).unwrap_err().code, "no-settlement-entity");
        }
    }
}

/// Applies the next entries of the head office at the branch, so many.
fn down(head: &Node, branch: &Node, count: u32) {
    let known = branch.app.view().unwrap().head().unwrap().unwrap().position.number;
    let rows = head.app.view().unwrap().log_after(known, count, usize::MAX).unwrap();
    let own = branch.app.identity().node;
    let arriving = rows
        .into_iter()
        .map(|row| ArrivingEntry { entry: row.entry, transaction: (row.transaction.node != own).then_some(row.bytes) });
    branch.app.apply(arriving.collect()).unwrap();
}

#[test]
fn a_chain_goes_with_its_first_link_and_comes_back_with_it() {
    let head = head_office();
    let there = head.make("Customer", &[("CustomerID", text("THERE")), ("City", text("Berlin"))]).unwrap();
    let branch = head.branch("bonn");
    head.make("Customer", &[("CustomerID", text("ALFKI"))]).unwrap();
    // 1: refused for its key. 2 refers to what it made, 3 stands on a value that it set, 4 builds on 2, 5 changes what 1
    // made. 6 has nothing to do with them.
    let made = new("c", "Customer", &[("CustomerID", text("ALFKI"))]);
    let saved = branch.save(vec![made, change(there, &[("City", text("first"))])]).unwrap();
    let customer = saved.ids[0].1;
    let first = saved.transaction.unwrap();
    let second = branch.save(vec![new("o", "Order", &[("Customer", to(customer))])]).unwrap();
    let order = second.ids[0].1;
    branch.save(vec![change(there, &[("City", text("third"))])]).unwrap();
    branch.save(vec![change(order, &[("ShipCity", text("Ulm"))])]).unwrap();
    branch.save(vec![change(customer, &[("Phone", text("5"))])]).unwrap();
    branch.make("Customer", &[("CustomerID", text("SIXTH"))]).unwrap();
    let pending = branch.app.view().unwrap().pending_after(i64::MIN, 10_000, usize::MAX).unwrap();
    head.app.admit(branch.app.identity().node, pending.into_iter().map(|row| row.bytes).collect()).unwrap();
    let city = "select c.City from Customer c where c.CustomerID = 'THERE'";
    // Two pending edits are a stack: the first one goes, and the second one lies where it lay.
    down(&head, &branch, 2);
    assert_eq!((branch.rows(city), open(&branch).len()), (vec!["third".to_owned()], 1));
    head.exchange(&branch);
    equal(&head, &branch);
    for node in [&head, &branch] {
        let found = lines(node, Request::Quarantine);
        let told: Vec<_> = found.iter().map(|line| (line.code.as_str(), line.builds_on)).collect();
        let second = second.transaction;
        assert_eq!(
            told,
            [
                ("duplicate-value", None),
                ("unknown-reference", Some(first)),
                ("unknown-object", second),
                ("unknown-object", Some(first)),
            ]
        );
        assert_eq!(node.rows("select c.CustomerID from Customer c order by c.CustomerID"), ["ALFKI", "SIXTH", "THERE"]);
        // The third saw a value that never was: the head office's stays, and its own is kept beside it.
        assert_eq!(node.rows(city), ["Berlin"]);
        assert_eq!(node.rows("select c.Kept, c.Other from SyncConflict c"), ["Berlin|third"]);
    }
    let numbers = open(&branch);
    let early = retry(&branch, numbers[1], &[]).unwrap_err();
    assert_eq!(early.code, "unknown-reference");
    assert!(early.hint.contains(&format!("refusal {}", numbers[0])), "{}", early.hint);
    // The first is made good, and the others after it, here and there, find what stands in the place of theirs.
    retry(&branch, numbers[0], &[(&format!("{customer}.CustomerID"), "NEUER")]).unwrap();
    retry(&branch, numbers[1], &[]).unwrap();
    head.exchange(&branch);
    retry(&head, numbers[2], &[]).unwrap();
    retry(&branch, numbers[3], &[]).unwrap();
    head.exchange(&branch);
    equal(&head, &branch);
    for node in [&head, &branch] {
        assert_eq!(
            node.rows("select o.Customer.CustomerID, o.ShipCity, o.Customer.Phone from Order o"),
            ["NEUER|Ulm|5"]
        );
        assert_eq!(node.rows(city), ["first"]);
        assert_eq!((open(node), counted(node)), (vec![], 0));
    }
}
