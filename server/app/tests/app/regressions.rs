//! What went wrong once, each as small as it can be said.

use std::time::Duration;

use mytism_core::failure::Failure;
use mytism_core::id::ObjectId;
use mytism_core::operation::{
    ChangeRequest, ConflictLine, HistoryRequest, ImportBatch, ImportMode, Input, QuarantineLine, ReferenceInput, Reply,
    Request, Saved,
};

use crate::two_nodes::equal;
use crate::world::{Node, change, delete, head_office, new, text, to};

fn quarantine(node: &Node) -> Vec<QuarantineLine> {
    let lines = node.call(Request::Quarantine).unwrap().into_iter();
    lines.map(|reply| if let Reply::Quarantined(line) = reply { line } else { panic!("{reply:?}") }).collect()
}

fn codes(node: &Node) -> Vec<String> {
    quarantine(node).into_iter().map(|line| line.code).collect()
}

fn conflicts(node: &Node) -> Vec<ConflictLine> {
    let lines = node.call(Request::Conflicts).unwrap().into_iter();
    lines.map(|reply| if let Reply::Conflict(line) = reply { line } else { panic!("{reply:?}") }).collect()
}

fn offered(branch: &Node) -> Vec<Vec<u8>> {
    let pending = branch.app.view().unwrap().pending_after(i64::MIN, 10_000, usize::MAX).unwrap();
    pending.into_iter().map(|row| row.bytes).collect()
}

fn elements(add: &[ObjectId], remove: &[ObjectId]) -> Input {
    let list = |ids: &[ObjectId]| ids.iter().map(|id| ReferenceInput::Id(*id)).collect();
    Input::Difference { add: list(add), remove: list(remove) }
}

fn number(number: i64) -> Input {
    Input::Number(number.to_string())
}

/// Saves that reach the writer while it is busy, in this order, so that they become one group.
fn together(node: &Node, saves: Vec<Vec<ChangeRequest>>) -> Vec<Result<Saved, Failure>> {
    node.app.on_commit(Box::new(|_| std::thread::sleep(Duration::from_millis(200))));
    node.make("Customer", &[]).unwrap();
    std::thread::scope(|scope| {
        let threads: Vec<_> = saves
            .into_iter()
            .map(|changes| {
                std::thread::sleep(Duration::from_millis(20));
                scope.spawn(|| node.save(changes))
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

#[test]
fn what_came_back_to_where_it_was_is_no_change_of_the_object() {
    for at_branch in [false, true] {
        let head = head_office();
        let still = head.make("Customer", &[("City", text("Berlin"))]).unwrap();
        let other = head.make("Customer", &[]).unwrap();
        let branch = head.branch("bonn");
        let node = if at_branch { &branch } else { &head };
        let before = node.app.view().unwrap().object(still).unwrap();
        let there = || change(still, &[("City", text("Bonn"))]);
        let back = || change(still, &[("City", text("Berlin"))]);
        assert_eq!(node.save(vec![there(), back()]).unwrap().transaction, None);
        node.save(vec![there(), change(other, &[("City", text("Köln"))]), back()]).unwrap();
        assert_eq!(node.app.view().unwrap().object(still).unwrap(), before, "at the branch: {at_branch}");
        head.exchange(&branch);
        equal(&head, &branch);
    }
}

#[test]
fn rows_of_an_import_with_one_key_leave_what_lay_under_the_first() {
    let head = head_office();
    head.make("Customer", &[("CustomerID", text("ALFKI")), ("City", text("Berlin"))]).unwrap();
    let branch = head.branch("bonn");
    head.make("Customer", &[("CustomerID", text("BONAP"))]).unwrap();
    let row = |key: &str, city: &str| vec![Some(key.to_owned()), Some(city.to_owned())];
    let batch = ImportBatch {
        run: None,
        description: "import".into(),
        entity: "Customer".into(),
        key: None,
        columns: vec!["CustomerID".into(), "City".into()],
        rows: vec![row("ALFKI", "Bonn"), row("ALFKI", "Köln"), row("BONAP", "Ulm")],
        mode: ImportMode::Upsert,
        skip_bad_rows: false,
        dry_run: false,
        ..ImportBatch::default()
    };
    branch.call(Request::Import(batch)).unwrap();
    head.exchange(&branch);
    assert_eq!(codes(&branch), ["duplicate-value"]);
    assert_eq!(branch.rows("select c.City from Customer c where c.CustomerID = 'ALFKI'"), ["Berlin"]);
    equal(&head, &branch);
}

#[test]
fn a_block_that_arrives_twice_is_taken_once() {
    let head = head_office();
    let branch = head.branch("bonn");
    let left = branch.app.ids_left();
    let block = head.app.give_block(branch.app.identity().node).unwrap();
    for _ in 0..2 {
        branch.app.take_blocks(vec![block]).unwrap();
        assert_eq!(branch.app.ids_left(), left + 65_536);
    }
}

#[test]
fn the_head_office_gives_itself_ids_when_its_own_run_out() {
    let head = head_office();
    let rows = (0..65_600).map(|number| vec![Some(number.to_string())]).collect();
    let batch = ImportBatch {
        run: None,
        description: "import".into(),
        entity: "Customer".into(),
        key: None,
        columns: vec!["CustomerID".into()],
        rows,
        mode: ImportMode::Insert,
        skip_bad_rows: false,
        dry_run: false,
        ..ImportBatch::default()
    };
    head.call(Request::Import(batch)).unwrap();
    let branch = head.branch("bonn");
    let (ours, theirs) = (head.make("Customer", &[]).unwrap(), branch.make("Customer", &[]).unwrap());
    let block = mytism_core::id::BlockId::of;
    assert!(block(ours) != block(theirs), "{ours} {theirs}");
}

#[test]
fn the_number_of_a_deleted_node_is_not_given_again() {
    let head = head_office();
    let first = head.branch("bonn").app.identity().node;
    let id = head.rows("select count(*) as n from Node n");
    assert_eq!(id, ["2"]);
    let object = head.app.view().unwrap().objects_after(1_000_000, 1).unwrap()[0].id;
    head.save(vec![delete(object)]).unwrap();
    assert_ne!(head.branch("ulm").app.identity().node, first);
}

#[test]
fn what_builds_on_a_refused_making_is_refused_with_it() {
    let head = head_office();
    let branch = head.branch("bonn");
    head.make("User", &[("Name", text("alice"))]).unwrap();
    head.save(vec![new("g", "Group", &[("Name", text("Sales"))])]).unwrap();
    let user = branch.make("User", &[("Name", text("alice"))]).unwrap();
    let group = branch.make("Group", &[("Name", text("Sales"))]).unwrap();
    branch.save(vec![change(user, &[("Email", text("a@b"))])]).unwrap();
    branch.save(vec![change(group, &[("Members", elements(&[user], &[]))])]).unwrap();
    branch.save(vec![delete(user)]).unwrap();
    branch.save(vec![ChangeRequest { delete: Some(false), ..change(user, &[]) }]).unwrap();
    // One at a time: what is refused goes while what builds on it is still pending.
    for offer in offered(&branch) {
        head.app.admit(branch.app.identity().node, vec![offer]).unwrap();
    }
    let rows = head.app.view().unwrap().log_after(branch.app.status().unwrap().log_position, 100, usize::MAX).unwrap();
    for row in rows {
        let own = row.transaction.node == branch.app.identity().node;
        let transaction = (!own).then_some(row.bytes);
        branch.app.apply(vec![mytism_app::ArrivingEntry { entry: row.entry, transaction }]).unwrap();
    }
    let unknown = "unknown-object";
    assert_eq!(codes(&head), ["duplicate-value", "duplicate-value", unknown, unknown, unknown, unknown]);
    equal(&head, &branch);
    assert!(conflicts(&head).is_empty());
    let members = head.app.schema().entity("Group").unwrap().member("Members").unwrap().id;
    for node in [&head, &branch] {
        assert!(node.app.view().unwrap().elements(members, group).unwrap().is_empty());
    }
}

#[test]
fn taking_an_element_out_of_a_set_does_not_bring_it_back() {
    let head = head_office();
    let user = head.make("User", &[("Name", text("alice"))]).unwrap();
    let group = head.make("Group", &[("Name", text("Sales")), ("Members", elements(&[user], &[]))]).unwrap();
    let branch = head.branch("bonn");
    head.save(vec![delete(user)]).unwrap();
    branch.save(vec![change(group, &[("Members", elements(&[], &[user]))])]).unwrap();
    head.exchange(&branch);
    assert!(head.rows("from User u where u.Name = 'alice'").is_empty());
    assert!(conflicts(&head).is_empty() && codes(&head).is_empty());
    equal(&head, &branch);
}

#[test]
fn deleted_at_both_places_stays_deleted() {
    let head = head_office();
    let customer = head.make("Customer", &[("City", text("Berlin"))]).unwrap();
    let branch = head.branch("bonn");
    head.save(vec![delete(customer)]).unwrap();
    branch.save(vec![ChangeRequest { delete: Some(true), ..change(customer, &[("City", text("Bonn"))]) }]).unwrap();
    head.exchange(&branch);
    assert!(head.rows("from Customer").is_empty());
    equal(&head, &branch);
}

#[test]
fn a_deletion_leaves_no_reference_of_which_its_author_did_not_know() {
    let check = |target: &str, referrer: &str, relation: &str, values: &[(&str, Input)]| {
        let head = head_office();
        let name = if target == "Employee" { ("LastName", text("Boss")) } else { ("ShipCity", text("Bonn")) };
        let object = head.make(target, &[name]).unwrap();
        let product = head.make("Product", &[("ProductName", text("Tee"))]).unwrap();
        let branch = head.branch("bonn");
        let mut values = values.to_vec();
        values.push((relation, to(object)));
        if referrer == "OrderLine" {
            values.push(("Product", to(product)));
        }
        head.make(referrer, &values).unwrap();
        branch.save(vec![delete(object)]).unwrap();
        head.exchange(&branch);
        assert_eq!(codes(&head), ["still-referenced"], "{referrer}.{relation}");
        equal(&head, &branch);
    };
    check("Employee", "Employee", "ReportsTo", &[("LastName", text("New"))]);
    check("Employee", "Order", "Employee", &[]);
    check("Order", "OrderLine", "Order", &[]);
}

#[test]
fn what_comes_back_holds_its_unique_values_at_once() {
    let head = head_office();
    let first = head.make("Customer", &[("CustomerID", text("ALFKI"))]).unwrap();
    head.save(vec![delete(first)]).unwrap();
    let back = ChangeRequest { delete: Some(false), ..change(first, &[]) };
    let second = new("n", "Customer", &[("CustomerID", text("ALFKI"))]);
    let results = together(&head, vec![vec![back], vec![second]]);
    assert!(results[0].is_ok(), "{results:?}");
    assert_eq!(results[1].as_ref().unwrap_err().code, "duplicate-value");
}

#[test]
fn an_object_that_goes_while_others_wait_is_not_there_for_them() {
    let head = head_office();
    let branch = head.branch("bonn");
    head.make("Customer", &[("CustomerID", text("ALFKI"))]).unwrap();
    let gone = branch.make("Customer", &[("CustomerID", text("ALFKI"))]).unwrap();
    head.app.admit(branch.app.identity().node, offered(&branch)).unwrap();
    let known = branch.app.status().unwrap().log_position;
    branch.app.on_commit(Box::new(|_| std::thread::sleep(Duration::from_millis(200))));
    branch.make("Customer", &[]).unwrap();
    let result = std::thread::scope(|scope| {
        let rows = head.app.view().unwrap().log_after(known, 100, usize::MAX).unwrap();
        let own = branch.app.identity().node;
        let arriving = rows.into_iter().map(|row| mytism_app::ArrivingEntry {
            entry: row.entry,
            transaction: (row.transaction.node != own).then_some(row.bytes),
        });
        let arriving: Vec<_> = arriving.collect();
        scope.spawn(|| branch.app.apply(arriving).unwrap());
        std::thread::sleep(Duration::from_millis(50));
        branch.save(vec![change(gone, &[("City", text("Bonn"))])])
    });
    assert_eq!(result.unwrap_err().code, "unknown-object");
    head.exchange(&branch);
    equal(&head, &branch);
}

#[test]
fn a_conflict_too_large_for_a_message_is_refused_and_the_stream_goes_on() {
    let head = head_office();
    let id = head.make("Category", &[("CategoryID", number(1)), ("CategoryName", text("a"))]).unwrap();
    let branch = head.branch("bonn");
    let large = |letter: &str| text(&letter.repeat(7 << 20));
    head.save(vec![change(id, &[("Description", large("h"))])]).unwrap();
    branch.save(vec![change(id, &[("Description", large("b"))])]).unwrap();
    branch.save(vec![change(id, &[("CategoryName", text("b"))])]).unwrap();
    head.exchange(&branch);
    assert_eq!(codes(&head), ["too-large"]);
    assert_eq!(head.rows("select c.CategoryName from Category c"), ["b"]);
    equal(&head, &branch);
}

#[test]
fn a_save_that_is_too_large_says_so() {
    let head = head_office();
    let large = text(&"x".repeat(15 << 20));
    let names = ["a", "b", "c", "d"];
    let failure = head
        .save(
            names
                .map(|name| new(name, "Category", &[("CategoryName", text(name)), ("Description", large.clone())]))
                .into(),
        )
        .unwrap_err();
    assert_eq!(failure.code, "too-large", "{failure:?}");
}

#[test]
fn the_record_of_a_deletion_says_who_deleted() {
    for branch_deletes in [true, false] {
        let head = head_office();
        let customer = head.make("Customer", &[("City", text("Berlin"))]).unwrap();
        let branch = head.branch("bonn");
        let (deleter, changer) = if branch_deletes { (&branch, &head) } else { (&head, &branch) };
        deleter.save(vec![delete(customer)]).unwrap();
        changer.save(vec![change(customer, &[("City", text("Bonn"))])]).unwrap();
        head.exchange(&branch);
        let [line] = &conflicts(&head)[..] else { panic!("one conflict") };
        let by = |node: &Node| format!("Admin ({})", node.app.identity().name);
        assert_eq!((line.kept.as_str(), line.other.as_str()), ("there", "deleted"));
        assert_eq!((&line.kept_by, &line.other_by), (&by(changer), &by(deleter)));
        assert_eq!(line.rule, "kept-alive");
    }
}

#[test]
fn a_key_leads_to_the_object_that_the_head_office_knows() {
    let head = head_office();
    let branch = head.branch("bonn");
    let mine = branch.make("Customer", &[("CustomerID", text("ALFKI"))]).unwrap();
    // The id of the head office's object must be the larger one, so that order does not give the answer.
    let later = head.branch("ulm");
    let theirs = later.make("Customer", &[("CustomerID", text("ALFKI"))]).unwrap();
    assert!(theirs > mine);
    head.exchange(&later);
    let known = branch.app.status().unwrap().log_position;
    let rows = head.app.view().unwrap().log_after(known, 100, usize::MAX).unwrap();
    let arriving = rows.into_iter();
    let arriving = arriving.map(|row| mytism_app::ArrivingEntry { entry: row.entry, transaction: Some(row.bytes) });
    branch.app.apply(arriving.collect()).unwrap();
    branch.save(vec![change(theirs, &[("City", text("Bonn"))])]).unwrap();
    let key = Input::Reference(ReferenceInput::Key {
        entity: "Customer".into(),
        attribute: "CustomerID".into(),
        value: Box::new(text("ALFKI")),
    });
    branch.make("Order", &[("Customer", key)]).unwrap();
    head.exchange(&branch);
    assert_eq!(codes(&head), ["duplicate-value"]);
    assert_eq!(head.rows("select o.Customer.City from Order o"), ["Bonn"]);
    equal(&head, &branch);
}

#[test]
fn history_says_who_brought_an_object_back() {
    let head = head_office();
    let customer = head.make("Customer", &[]).unwrap();
    let branch = head.branch("bonn");
    head.save(vec![delete(customer)]).unwrap();
    branch.save(vec![change(customer, &[("City", text("Bonn"))])]).unwrap();
    head.exchange(&branch);
    for node in [&head, &branch] {
        let lines = node.call(Request::History(HistoryRequest::of(customer))).unwrap();
        let Some(Reply::History(last)) = lines.last() else { panic!("{lines:?}") };
        assert_eq!((last.stamp.user.as_str(), last.stamp.node.as_str()), ("System", "hamburg"));
    }
}

#[test]
fn a_join_that_begins_again_is_another_life() {
    let head = head_office();
    head.app.add_node(&mytism_app::Context::local(), "bonn", 14, "verifier").unwrap();
    let node = head.app.known_node("bonn").unwrap().unwrap().node;
    let lives: Vec<u32> = (0..3).map(|_| head.app.enrol(node, "key").unwrap().incarnation).collect();
    assert_eq!(lives, [1, 2, 3]);
}

#[test]
fn a_deleted_object_refers_to_nothing_that_was_never_made() {
    let head = head_office();
    let group = head.make("Group", &[("Name", text("Sales"))]).unwrap();
    let person = head.make("Employee", &[("LastName", text("a"))]).unwrap();
    head.save(vec![delete(group), delete(person)]).unwrap();
    let branch = head.branch("bonn");
    head.make("User", &[("Name", text("alice"))]).unwrap();
    head.make("Employee", &[("EmployeeID", number(1)), ("LastName", text("b"))]).unwrap();
    let user = branch.make("User", &[("Name", text("alice"))]).unwrap();
    let boss = branch.make("Employee", &[("EmployeeID", number(1)), ("LastName", text("c"))]).unwrap();
    branch.save(vec![change(group, &[("Members", elements(&[user], &[]))])]).unwrap();
    branch.save(vec![change(person, &[("ReportsTo", to(boss))])]).unwrap();
    head.exchange(&branch);
    let (duplicate, unknown) = ("duplicate-value", "unknown-reference");
    assert_eq!(codes(&head), [duplicate, duplicate, unknown, unknown]);
    equal(&head, &branch);
}
