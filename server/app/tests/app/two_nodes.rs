//! What a head office and a branch make of each other's transactions.

use mytism_core::operation::{Input, Reply, Request};

use crate::world::{Node, change, delete, head_office, new, text, to};

#[track_caller]
pub(crate) fn equal(head: &Node, branch: &Node) {
    assert_eq!(branch.app.view().unwrap().pending_count().unwrap(), 0);
    let (ours, theirs) = (head.everything(), branch.everything());
    for (a, b) in ours.iter().zip(&theirs) {
        assert_eq!(a, b);
    }
    assert_eq!(ours.len(), theirs.len());
}

fn city(node: &Node) -> Vec<String> {
    node.rows("select c.City from Customer c")
}

#[test]
fn saves_travel_both_ways() {
    let head = head_office();
    let customer = head.make("Customer", &[("CustomerID", text("ALFKI")), ("City", text("Berlin"))]).unwrap();
    let branch = head.branch("bonn");
    equal(&head, &branch);
    let order = branch.make("Order", &[("OrderID", Input::Number("1".into())), ("Customer", to(customer))]).unwrap();
    let saved = branch.save(vec![change(order, &[("ShipCity", text("Köln"))])]).unwrap();
    assert!(saved.pending && saved.position.is_none());
    head.save(vec![change(customer, &[("City", text("Bremen"))])]).unwrap();
    assert_eq!(branch.rows("select o.ShipCity, o.Customer.City from Order o"), ["Köln|Berlin"]);
    head.exchange(&branch);
    assert_eq!(branch.rows("select o.ShipCity, o.Customer.City from Order o"), ["Köln|Bremen"]);
    equal(&head, &branch);
    head.exchange(&branch);
    equal(&head, &branch);
}

#[test]
fn different_attributes_merge() {
    let head = head_office();
    let customer = head.make("Customer", &[("City", text("Berlin")), ("Phone", text("1"))]).unwrap();
    let branch = head.branch("bonn");
    head.save(vec![change(customer, &[("City", text("Bremen"))])]).unwrap();
    branch.save(vec![change(customer, &[("Phone", text("2"))])]).unwrap();
    head.exchange(&branch);
    assert_eq!(head.rows("select c.City, c.Phone from Customer c"), ["Bremen|2"]);
    assert!(head.call(Request::Conflicts).unwrap().is_empty());
    equal(&head, &branch);
}

#[test]
fn the_head_office_stays_and_the_other_value_is_kept() {
    let head = head_office();
    let customer = head.make("Customer", &[("City", text("Berlin"))]).unwrap();
    let branch = head.branch("bonn");
    head.save(vec![change(customer, &[("City", text("Bremen"))])]).unwrap();
    branch.save(vec![change(customer, &[("City", text("Bonn")), ("Phone", text("3"))])]).unwrap();
    assert_eq!(city(&branch), ["Bonn"]);
    head.exchange(&branch);
    assert_eq!(city(&head), ["Bremen"]);
    equal(&head, &branch);
    for node in [&head, &branch] {
        let conflicts = node.call(Request::Conflicts).unwrap();
        let [Reply::Conflict(conflict)] = &conflicts[..] else { panic!("{conflicts:?}") };
        assert_eq!(
            (conflict.attribute.as_str(), conflict.kept.as_str(), conflict.other.as_str(), conflict.rule.as_str()),
            ("City", "Bremen", "Bonn", "authoritative")
        );
        assert_eq!((conflict.kept_by.as_str(), conflict.other_by.as_str()), ("Admin (hamburg)", "Admin (bonn)"));
    }
    let Some(Reply::Conflict(conflict)) = head.call(Request::Conflicts).unwrap().pop() else { panic!() };
    head.save(vec![change(conflict.id, &[("State", text("settled"))])]).unwrap();
    assert!(head.call(Request::Conflicts).unwrap().is_empty(), "settled ones are not listed");
}

#[test]
fn equal_values_are_no_conflict() {
    let head = head_office();
    let customer = head.make("Customer", &[("City", text("Berlin"))]).unwrap();
    let branch = head.branch("bonn");
    head.save(vec![change(customer, &[("City", text("Bonn"))])]).unwrap();
    branch.save(vec![change(customer, &[("City", text("Bonn"))])]).unwrap();
    head.exchange(&branch);
    assert!(head.call(Request::Conflicts).unwrap().is_empty());
    equal(&head, &branch);
}

#[test]
fn a_branch_builds_on_its_own_pending_edits() {
    let head = head_office();
    let customer = head.make("Customer", &[("City", text("Berlin"))]).unwrap();
    let branch = head.branch("bonn");
    for name in ["a", "b", "c"] {
        branch.save(vec![change(customer, &[("City", text(name))])]).unwrap();
    }
    head.save(vec![change(customer, &[("Phone", text("9"))])]).unwrap();
    head.exchange(&branch);
    assert_eq!(city(&head), ["c"]);
    assert!(head.call(Request::Conflicts).unwrap().is_empty());
    equal(&head, &branch);
}

#[test]
fn an_entry_that_arrives_lies_under_what_is_pending() {
    let head = head_office();
    let customer = head.make("Customer", &[("City", text("Berlin"))]).unwrap();
    let branch = head.branch("bonn");
    branch.save(vec![change(customer, &[("City", text("Bonn"))])]).unwrap();
    head.save(vec![change(customer, &[("City", text("Bremen")), ("Phone", text("1"))])]).unwrap();
    // Only down: the branch learns of Bremen while its own value is still on top.
    let row = head.app.view().unwrap().log_after(0, 1000, usize::MAX).unwrap().pop().unwrap();
    let entry = mytism_app::ArrivingEntry { entry: row.entry, transaction: Some(row.bytes) };
    branch.app.apply(vec![entry]).unwrap();
    assert_eq!(branch.rows("select c.City, c.Phone from Customer c"), ["Bonn|1"]);
    head.exchange(&branch);
    assert_eq!(city(&branch), ["Bremen"]);
    equal(&head, &branch);
}

#[test]
fn a_refused_transaction_is_taken_back_and_kept() {
    let head = head_office();
    let branch = head.branch("bonn");
    head.make("Customer", &[("CustomerID", text("ALFKI")), ("City", text("Berlin"))]).unwrap();
    let theirs = branch.make("Customer", &[("CustomerID", text("ALFKI")), ("City", text("Bonn"))]).unwrap();
    let fine = branch.make("Customer", &[("CustomerID", text("BONAP"))]).unwrap();
    head.exchange(&branch);
    equal(&head, &branch);
    assert!(branch.call(Request::Show { object: theirs, as_of: None }).is_err(), "its making was refused");
    assert!(branch.call(Request::Show { object: fine, as_of: None }).is_ok(), "the stream goes on");
    for node in [&head, &branch] {
        let refused = node.call(Request::Quarantine).unwrap();
        let [Reply::Quarantined(line)] = &refused[..] else { panic!("{refused:?}") };
        assert_eq!(line.code, "duplicate-value");
        assert!(line.reason.contains("ALFKI"), "{}", line.reason);
    }
    // Its id is not given again.
    let next = branch.make("Customer", &[]).unwrap();
    assert!(next > fine);
}

#[test]
fn a_refused_edit_brings_back_what_lay_under_it() {
    let head = head_office();
    let customer = head.make("Customer", &[("CustomerID", text("ALFKI")), ("City", text("Berlin"))]).unwrap();
    let branch = head.branch("bonn");
    head.make("Customer", &[("CustomerID", text("BONAP"))]).unwrap();
    branch.save(vec![change(customer, &[("CustomerID", text("BONAP")), ("City", text("Bonn"))])]).unwrap();
    head.exchange(&branch);
    assert_eq!(branch.rows("select c.City from Customer c where c.CustomerID = 'ALFKI'"), ["Berlin"]);
    equal(&head, &branch);
}

#[test]
fn deleted_here_and_changed_there_stays() {
    for branch_deletes in [true, false] {
        let head = head_office();
        let customer = head.make("Customer", &[("City", text("Berlin"))]).unwrap();
        let branch = head.branch("bonn");
        let (deleter, changer) = if branch_deletes { (&branch, &head) } else { (&head, &branch) };
        deleter.save(vec![delete(customer)]).unwrap();
        changer.save(vec![change(customer, &[("City", text("Bonn"))])]).unwrap();
        head.exchange(&branch);
        assert_eq!(city(&head), ["Bonn"], "branch deletes: {branch_deletes}");
        assert_eq!(head.call(Request::Conflicts).unwrap().len(), 1);
        equal(&head, &branch);
    }
}

#[test]
fn a_reference_to_what_was_deleted_meanwhile_brings_it_back() {
    let head = head_office();
    let customer = head.make("Customer", &[("CustomerID", text("ALFKI"))]).unwrap();
    let branch = head.branch("bonn");
    head.save(vec![delete(customer)]).unwrap();
    branch.save(vec![new("o", "Order", &[("Customer", to(customer))])]).unwrap();
    head.exchange(&branch);
    assert_eq!(head.rows("select o.Customer.CustomerID from Order o"), ["ALFKI"]);
    assert_eq!(head.rows("select c.CustomerID from Customer c"), ["ALFKI"]);
    assert_eq!(head.call(Request::Conflicts).unwrap().len(), 1);
    equal(&head, &branch);
}

#[test]
fn offering_twice_changes_nothing() {
    let head = head_office();
    let branch = head.branch("bonn");
    branch.make("Customer", &[("CustomerID", text("ALFKI"))]).unwrap();
    let pending = branch.app.view().unwrap().pending_after(i64::MIN, 10, usize::MAX).unwrap();
    let offered: Vec<_> = pending.into_iter().map(|row| row.bytes).collect();
    head.app.admit(branch.app.identity().node, offered.clone()).unwrap();
    let before = head.everything();
    head.app.admit(branch.app.identity().node, offered.clone()).unwrap();
    assert_eq!(head.everything(), before);
    let stranger = mytism_core::id::NodeId(77);
    assert!(head.app.admit(stranger, offered).is_err());
}

#[test]
fn an_entry_with_a_gap_or_another_history_is_not_taken() {
    let head = head_office();
    let branch = head.branch("bonn");
    for name in ["a", "b"] {
        head.make("Customer", &[("CustomerID", text(name))]).unwrap();
    }
    let before = branch.everything();
    let row = head.app.view().unwrap().log_after(0, 1000, usize::MAX).unwrap().pop().unwrap();
    let last = mytism_app::ArrivingEntry { entry: row.entry, transaction: Some(row.bytes) };
    let error = branch.app.apply(vec![last]).unwrap_err().failure();
    assert_eq!(error.code, "log-gap");
    assert_eq!(branch.everything(), before);
}

#[test]
fn blocks_of_ids_are_given_once() {
    let head = head_office();
    let node = head.branch("bonn").app.identity().node;
    let app = &head.app;
    let blocks: Vec<i64> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..16)
            .map(|_| scope.spawn(move || (0..4).map(|_| app.give_block(node).unwrap().get()).collect::<Vec<_>>()))
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let distinct: std::collections::BTreeSet<_> = blocks.iter().collect();
    assert_eq!(distinct.len(), blocks.len());
}

#[test]
fn one_offer_may_hold_a_transaction_twice() {
    let head = head_office();
    let branch = head.branch("bonn");
    branch.make("Customer", &[("CustomerID", text("ALFKI"))]).unwrap();
    let pending = branch.app.view().unwrap().pending_after(i64::MIN, 10, usize::MAX).unwrap();
    let offered: Vec<_> = pending.iter().chain(&pending).map(|row| row.bytes.clone()).collect();
    head.app.admit(branch.app.identity().node, offered).unwrap();
    head.exchange(&branch);
    equal(&head, &branch);
}

#[test]
fn an_edit_of_an_object_whose_making_was_refused_is_refused_too() {
    let head = head_office();
    let branch = head.branch("bonn");
    head.make("Customer", &[("CustomerID", text("ALFKI"))]).unwrap();
    let theirs = branch.make("Customer", &[("CustomerID", text("ALFKI"))]).unwrap();
    branch.save(vec![change(theirs, &[("City", text("Bonn"))])]).unwrap();
    branch.save(vec![new("o", "Order", &[("Customer", to(theirs))])]).unwrap();
    branch.save(vec![delete(theirs)]).unwrap_err();
    head.exchange(&branch);
    equal(&head, &branch);
    let codes: Vec<_> = head
        .call(Request::Quarantine)
        .unwrap()
        .into_iter()
        .map(|line| if let Reply::Quarantined(line) = line { line.code } else { String::new() })
        .collect();
    assert_eq!(codes, ["duplicate-value", "unknown-object", "unknown-reference"]);
}

#[test]
fn a_value_too_large_for_a_refusal_does_not_stop_the_stream() {
    let head = head_office();
    let branch = head.branch("bonn");
    head.make("Customer", &[("CustomerID", text("ALFKI"))]).unwrap();
    let huge = "x".repeat(13 << 20);
    branch.make("Setting", &[("Name", text("a")), ("Value", text(&huge))]).unwrap();
    branch.make("Customer", &[("CustomerID", text("BONAP"))]).unwrap();
    head.exchange(&branch);
    equal(&head, &branch);
}

#[test]
fn an_older_copy_of_a_branch_goes_on_above_what_it_once_gave() {
    let head = head_office();
    let branch = head.branch("bonn");
    let copy = branch.older_copy();
    let lost = branch.make("Customer", &[("CustomerID", text("ALPHA"))]).unwrap();
    head.exchange(&branch);
    drop(branch);
    // The copy catches up: what the lost database made comes back from the head office.
    let arriving = head.app.view().unwrap().log_after(0, 1000, usize::MAX).unwrap().into_iter();
    let arriving =
        arriving.map(|row| mytism_app::ArrivingEntry { entry: row.entry, transaction: Some(row.bytes) }).collect();
    copy.app.apply(arriving).unwrap();
    let next = copy.make("Customer", &[("CustomerID", text("OMEGA"))]).unwrap();
    assert!(next > lost, "{next} was given before");
    head.exchange(&copy);
    assert_eq!(head.rows("select c.CustomerID from Customer c order by c.CustomerID"), ["ALPHA", "OMEGA"]);
    equal(&head, &copy);
}
