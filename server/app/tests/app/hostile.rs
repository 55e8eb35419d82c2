//! Offers that no honest branch makes. Each must end in a refusal of the one transaction or in an error of the one
//! offer; what comes after goes on.

use mytism_core::change::{Change, LIFE, Life, Slot, Transaction};
use mytism_core::id::{AttributeId, EntityId, EnumId, NodeId, ObjectId, Position, TransactionId, system};
use mytism_core::operation::{ChangeRequest, Reply, Request};
use mytism_core::time::Timestamp;
use mytism_core::value::Value;
use mytism_format::hash::Secret;
use mytism_format::transaction;

use crate::two_nodes::equal;
use crate::world::{Node, change, delete, head_office, text};

/// A branch whose transactions are made by hand.
struct Forger<'n> {
    head: &'n Node,
    branch: &'n Node,
    counter: u64,
}

impl Forger<'_> {
    fn transaction(&mut self, changes: Vec<Change>) -> Transaction {
        self.counter += 1;
        let identity = self.branch.app.identity();
        Transaction {
            id: TransactionId { node: identity.node, incarnation: identity.incarnation, counter: self.counter },
            base: Position { epoch: 1, number: self.head.app.status().unwrap().log_position },
            author: system::USER_ADMIN,
            time: Timestamp::from_micros(0).unwrap(),
            clock_offset_micros: None,
            description: "forged".into(),
            run: None,
            schema: None,
            changes,
        }
    }

    fn offer(&self, transactions: Vec<Transaction>) -> Result<u64, String> {
        let offered = transactions.into_iter().map(bytes).collect();
        let admitted = self.head.app.admit(self.branch.app.identity().node, offered);
        admitted.map_err(|error| error.failure().code)
    }
}

fn bytes(transaction: Transaction) -> Vec<u8> {
    transaction::write(transaction, &Secret([7; 32])).unwrap().bytes
}

fn codes(node: &Node) -> Vec<String> {
    let lines = node.call(Request::Quarantine).unwrap().into_iter();
    lines.map(|reply| if let Reply::Quarantined(line) = reply { line.code } else { panic!("{reply:?}") }).collect()
}

/// Hands everything down, own transactions with their content, since the branch never made these.
fn down(head: &Node, branch: &Node) {
    let known = branch.app.status().unwrap().log_position;
    let rows = head.app.view().unwrap().log_after(known, 10_000, usize::MAX).unwrap();
    let arriving =
        rows.into_iter().map(|row| mytism_app::ArrivingEntry { entry: row.entry, transaction: Some(row.bytes) });
    branch.app.apply(arriving.collect()).unwrap();
}

struct World {
    head: Node,
    branch: Node,
    alive: ObjectId,
    deleted: ObjectId,
    group: ObjectId,
}

fn world() -> World {
    let head = head_office();
    let alive = head.make("Customer", &[("CustomerID", text("ALFKI")), ("City", text("Berlin"))]).unwrap();
    let deleted = head.make("Customer", &[("CustomerID", text("BONAP"))]).unwrap();
    let group = head.make("Group", &[("Name", text("Sales"))]).unwrap();
    head.save(vec![delete(deleted)]).unwrap();
    let branch = head.branch("bonn");
    World { head, branch, alive, deleted, group }
}

#[test]
fn a_forged_change_is_refused_alone() {
    let World { head, branch, alive, deleted, group } = world();
    let schema = std::sync::Arc::clone(head.app.schema());
    let entity = |name: &str| schema.entity(name).unwrap();
    let member = |of: &str, name: &str| entity(of).member(name).unwrap().id;
    let (customer, city) = (entity("Customer").id, Slot::attribute(member("Customer", "City")));
    let members = member("Group", "Members");
    let fresh = branch.make("Customer", &[]).unwrap();
    let own = ObjectId::new(fresh.get() + 1_000).unwrap();
    let foreign = ObjectId::new(alive.get() + 1_000).unwrap();
    let on = |object, slot, old: Value, new: Value| Change { object, entity: customer, slot, old, new };
    let berlin = || Value::from("Berlin");
    let made = |object| on(object, Slot::LIFE, Value::Null, Life::Alive.value());
    let mut cases: Vec<(&str, Vec<Change>)> = Vec::new();
    for object in [alive, deleted] {
        let old = if object == alive { berlin() } else { Value::Null };
        let number = Slot::attribute(member("Customer", "CustomerID"));
        cases.extend([
            ("wrong-value", vec![on(object, city, old.clone(), Value::Integer(5))]),
            ("wrong-value", vec![on(object, city, old.clone(), Value::Text("x".repeat(81)))]),
            ("wrong-value", vec![on(object, city, old.clone(), Value::Reference(alive))]),
            ("wrong-value", vec![on(object, city, old, Value::Enum(EnumId(1)))]),
            ("wrong-value", vec![on(object, number, Value::Null, Value::Bool(true))]),
            ("wrong-value", vec![on(object, Slot::element(city.attribute, alive), Value::Null, Value::Bool(true))]),
            ("wrong-value", vec![on(object, Slot::attribute(member("Customer", "Orders")), Value::Null, berlin())]),
            ("unknown-attribute", vec![on(object, Slot::attribute(AttributeId(0)), Value::Null, berlin())]),
            ("unknown-attribute", vec![on(object, Slot::attribute(AttributeId(2)), Value::Null, berlin())]),
            ("unknown-attribute", vec![on(object, Slot::attribute(AttributeId(u32::MAX)), Value::Null, berlin())]),
            ("unknown-attribute", vec![on(object, Slot::element(LIFE, alive), Value::Null, Value::Bool(true))]),
            ("unknown-attribute", vec![on(object, Slot::element(members, alive), Value::Null, Value::Bool(true))]),
            ("wrong-value", vec![on(object, Slot::LIFE, Life::Alive.value(), Value::Integer(7))]),
            ("wrong-value", vec![on(object, Slot::LIFE, Life::Alive.value(), Value::Null)]),
            ("wrong-value", vec![on(object, Slot::LIFE, Life::Alive.value(), berlin())]),
            ("unknown-entity", vec![Change { entity: EntityId(77_777), ..made(object) }]),
            ("wrong-entity", vec![Change { entity: entity("Order").id, ..on(object, city, Value::Null, berlin()) }]),
        ]);
    }
    let in_group = |slot, new| Change { entity: entity("Group").id, ..on(group, slot, Value::Null, new) };
    cases.extend([
        ("wrong-value", vec![in_group(Slot::attribute(members), Value::Reference(system::USER_ADMIN))]),
        ("wrong-value", vec![in_group(Slot::element(members, system::USER_ADMIN), berlin())]),
        ("unknown-reference", vec![in_group(Slot::element(members, alive), Value::Bool(true))]),
        ("unknown-object", vec![on(own, city, Value::Null, berlin())]),
        ("unknown-object", vec![on(own, city, Value::Null, berlin()), made(own)]),
        ("unknown-object", vec![on(own, Slot::LIFE, Life::Alive.value(), Life::Deleted.value())]),
        ("foreign-id", vec![made(foreign)]),
        ("foreign-id", vec![made(ObjectId::system(5_000))]),
        ("foreign-id", vec![made(ObjectId::new((1 << 53) - 1).unwrap())]),
        ("wrong-value", vec![on(alive, city, berlin(), Value::Text("x".repeat(16 << 20)))]),
        (
            "wrong-value",
            vec![made(own), on(own, Slot::attribute(member("Customer", "City")), Value::Null, Value::Integer(1))],
        ),
    ]);
    let mut forger = Forger { head: &head, branch: &branch, counter: 0 };
    let expected: Vec<_> = cases.iter().map(|(code, _)| *code).collect();
    let mut offer: Vec<_> = cases.into_iter().map(|(_, changes)| forger.transaction(changes)).collect();
    offer.push(Transaction { schema: Some(schema.def().clone()), ..forger.transaction(Vec::new()) });
    let ahead = forger.transaction(vec![on(alive, city, berlin(), Value::from("Ulm"))]);
    offer.push(Transaction { base: Position { epoch: 1, number: 1 << 40 }, ..ahead });
    offer.push(forger.transaction(vec![on(alive, city, berlin(), Value::from("Bonn"))]));
    // The branch has a pending transaction of the same name, which an attacker would not have.
    let before = head.everything().len();
    assert_eq!(forger.offer(offer), Ok(forger.counter));
    assert_eq!(codes(&head), [&expected[..], &["schema-from-branch", "impossible-base"]].concat());
    assert_eq!(head.rows("select c.City from Customer c"), ["Bonn"]);
    assert_eq!(head.everything().len() - before, expected.len() + 3, "entries only, no objects");
}

#[test]
fn what_was_forged_leads_to_the_same_everywhere() {
    let World { head, branch, alive, deleted, .. } = world();
    let entity = head.app.schema().entity("Customer").unwrap();
    let city = Slot::attribute(entity.member("City").unwrap().id);
    let on = |object, slot, old: Value, new: Value| Change { object, entity: entity.id, slot, old, new };
    let mut forger = Forger { head: &head, branch: &branch, counter: 0 };
    let offer = vec![
        // Honest in form: on a deleted object, the same slot twice, a base that never was, a deletion of a deletion.
        forger.transaction(vec![on(deleted, city, Value::Null, "Ulm".into())]),
        forger.transaction(vec![on(alive, city, "Berlin".into(), "a".into()), on(alive, city, "a".into(), "b".into())]),
        forger.transaction(vec![on(alive, city, "b".into(), "c".into()), on(alive, city, "b".into(), "d".into())]),
        forger.transaction(vec![on(alive, city, Value::Integer(9), "e".into())]),
        forger.transaction(vec![on(deleted, Slot::LIFE, Life::Alive.value(), Life::Deleted.value())]),
        forger.transaction(vec![]),
    ];
    assert_eq!(forger.offer(offer), Ok(6));
    assert!(codes(&head).is_empty());
    assert_eq!(head.rows("select c.City from Customer c"), ["c"]);
    down(&head, &branch);
    equal(&head, &branch);
}

#[test]
fn a_wrong_offer_is_an_error_and_the_next_one_is_taken() {
    let World { head, branch, alive, .. } = world();
    let entity = head.app.schema().entity("Customer").unwrap();
    let city = Slot::attribute(entity.member("City").unwrap().id);
    let edit = |old: &str, new: &str| {
        vec![Change { object: alive, entity: entity.id, slot: city, old: old.into(), new: new.into() }]
    };
    let node = branch.app.identity().node;
    let mut forger = Forger { head: &head, branch: &branch, counter: 0 };
    let first = forger.transaction(edit("Berlin", "Bonn"));
    let second = forger.transaction(edit("Bonn", "Ulm"));
    let third = forger.transaction(edit("Ulm", "Kiel"));
    let before = head.everything();
    let raw = |offered: Vec<Vec<u8>>| head.app.admit(node, offered).map_err(|error| error.failure().code);
    let mut cut = bytes(second.clone());
    cut.truncate(cut.len() - 1);
    let mut altered = bytes(second.clone());
    *altered.last_mut().unwrap() ^= 1;
    for damaged in [vec![], vec![0; 100], cut, altered] {
        assert_eq!(raw(vec![bytes(first.clone()), damaged]), Err("damaged-transaction".into()));
    }
    let check = |offer: Vec<Transaction>, code: &str| {
        assert_eq!(forger.offer(offer), Err(code.into()));
        assert_eq!(head.everything(), before, "{code}");
    };
    let renamed = |change: fn(&mut TransactionId)| {
        let mut other = second.clone();
        change(&mut other.id);
        other
    };
    check(vec![first.clone(), renamed(|id| id.node = NodeId(1))], "foreign-transaction");
    check(vec![second.clone()], "counter-gap");
    check(vec![first.clone(), third.clone()], "counter-gap");
    check(vec![renamed(|id| id.counter = 0)], "counter-gap");
    check(vec![renamed(|id| id.counter = u64::MAX >> 2)], "counter-gap");
    check(vec![first.clone(), renamed(|id| id.counter = 1)], "forked-transaction");
    assert_eq!(forger.offer(vec![first.clone(), second.clone()]), Ok(2));
    assert_eq!(forger.offer(vec![renamed(|id| id.counter = 1)]), Err("forked-transaction".into()));
    assert_eq!(forger.offer(vec![first, second, third]), Ok(3));
    assert_eq!(head.rows("select c.City from Customer c"), ["Kiel"]);
    head.save(vec![change(alive, &[("City", text("Bremen"))])]).unwrap();
}

#[test]
fn who_decides_does_not_follow_and_who_follows_does_not_decide() {
    let World { head, branch, alive, .. } = world();
    let back = ChangeRequest { delete: Some(true), ..change(alive, &[]) };
    branch.save(vec![back]).unwrap();
    let offered: Vec<_> = branch
        .app
        .view()
        .unwrap()
        .pending_after(i64::MIN, 9, usize::MAX)
        .unwrap()
        .into_iter()
        .map(|row| row.bytes)
        .collect();
    let (ours, theirs) = (head.everything(), branch.everything());
    assert_eq!(branch.app.admit(branch.app.identity().node, offered).unwrap_err().failure().code, "not-authoritative");
    assert_eq!(head.app.apply(vec![]).unwrap_err().failure().code, "not-a-branch");
    assert_eq!((head.everything(), branch.everything()), (ours, theirs));
}

#[test]
fn a_wrong_entry_is_an_error_and_the_right_one_is_taken() {
    let World { head, branch, alive, .. } = world();
    let known = branch.app.status().unwrap().log_position;
    head.save(vec![change(alive, &[("City", text("Bonn"))])]).unwrap();
    head.save(vec![change(alive, &[("City", text("Ulm"))])]).unwrap();
    let rows = head.app.view().unwrap().log_after(known, 10, usize::MAX).unwrap();
    let whole = |row: &mytism_store::LogRow| mytism_app::ArrivingEntry {
        entry: row.entry.clone(),
        transaction: Some(row.bytes.clone()),
    };
    let (first, second) = (whole(&rows[0]), whole(&rows[1]));
    let before = branch.everything();
    let mut cut = first.clone();
    cut.entry.pop();
    let mut altered = first.clone();
    *altered.transaction.as_mut().unwrap().last_mut().unwrap() ^= 1;
    let swapped = mytism_app::ArrivingEntry { transaction: second.transaction.clone(), ..first.clone() };
    let without = mytism_app::ArrivingEntry { transaction: None, ..first.clone() };
    let garbage = mytism_app::ArrivingEntry { entry: vec![0; 9], transaction: None };
    for (wrong, code) in [
        (vec![cut], "damaged-entry"),
        (vec![altered], "damaged-entry"),
        (vec![swapped], "damaged-entry"),
        (vec![garbage], "damaged-entry"),
        (vec![without], "missing-transaction"),
        (vec![second.clone()], "log-gap"),
        (vec![second.clone(), first.clone()], "log-gap"),
    ] {
        assert_eq!(branch.app.apply(wrong).unwrap_err().failure().code, code);
        assert_eq!(branch.everything(), before);
    }
    branch.app.apply(vec![first.clone(), first, second.clone(), second]).unwrap();
    equal(&head, &branch);
}
