//! What one node promises about saves.

use mytism_core::failure::Failure;
use mytism_core::id::{NodeId, TransactionId, system};
use mytism_core::operation::{
    ChangeRequest, HistoryRequest, Input, ReferenceInput, Reply, Request, SaveRequest, Saved, UndoRequest,
};

use crate::world::{change, delete, head_office, new, text, to};

#[track_caller]
fn refused(result: Result<Saved, Failure>, code: &str) -> String {
    match result {
        Err(failure) => {
            assert_eq!(failure.code, code, "{}", failure.message);
            failure.message
        }
        Ok(saved) => panic!("was saved: {saved:?}"),
    }
}

#[test]
fn a_save_is_whole_or_not_at_all() {
    let node = head_office();
    let before = node.everything();
    let result = node.save(vec![
        new("a", "Customer", &[("CustomerID", text("ALFKI"))]),
        new("b", "Customer", &[("CustomerID", text("ALFKI"))]),
    ]);
    let message = refused(result, "duplicate-value");
    assert!(message.contains("ALFKI"), "{message}");
    assert_eq!(node.everything(), before);
}

#[test]
fn unique_values_are_free_again_when_their_object_is_deleted() {
    let node = head_office();
    let first = node.make("Customer", &[("CustomerID", text("ALFKI"))]).unwrap();
    refused(node.save(vec![new("b", "Customer", &[("CustomerID", text("ALFKI"))])]), "duplicate-value");
    node.save(vec![delete(first)]).unwrap();
    node.make("Customer", &[("CustomerID", text("ALFKI"))]).unwrap();
    let back = ChangeRequest { delete: Some(false), ..change(first, &[]) };
    refused(node.save(vec![back]), "duplicate-value");
}

#[test]
fn references_lead_to_living_objects_of_their_entity() {
    let node = head_office();
    let customer = node.make("Customer", &[("CustomerID", text("ALFKI")), ("City", text("Berlin"))]).unwrap();
    let order = node.make("Order", &[("OrderID", Input::Number("1".into())), ("Customer", to(customer))]).unwrap();
    assert_eq!(node.rows("select o.OrderID, o.Customer.City from Order o"), ["1|Berlin"]);
    refused(node.save(vec![change(order, &[("Customer", to(order))])]), "unknown-reference");
    refused(node.save(vec![delete(customer)]), "still-referenced");
    let product = node.make("Product", &[("ProductName", text("Tee"))]).unwrap();
    let line = node.make("OrderLine", &[("Order", to(order)), ("Product", to(product))]).unwrap();
    node.save(vec![delete(order), delete(customer)]).unwrap();
    assert!(node.rows("from OrderLine").is_empty(), "lines go with their order");
    let shown = node.call(Request::Show { object: line, as_of: None }).unwrap();
    assert!(matches!(&shown[0], Reply::Object(object) if object.detail.as_ref().unwrap().deleted));
}

#[test]
fn what_the_author_saw_can_be_demanded() {
    let node = head_office();
    let id = node.make("Customer", &[("City", text("Berlin"))]).unwrap();
    let mut request = change(id, &[("City", text("Bonn"))]);
    request.expect = vec![("City".into(), text("Hamburg"))];
    let message = refused(node.save(vec![request.clone()]), "conflict");
    assert!(message.contains("Berlin") && message.contains("Hamburg"), "{message}");
    request.expect = vec![("City".into(), text("Berlin"))];
    node.save(vec![request]).unwrap();
    let history = node
        .call(Request::History(HistoryRequest { attribute: Some("City".into()), ..HistoryRequest::of(id) }))
        .unwrap();
    assert_eq!(history.len(), 2);
}

#[test]
fn sets_are_changed_element_by_element() {
    let node = head_office();
    let add = |name: &str| ReferenceInput::Key {
        entity: "User".into(),
        attribute: "Name".into(),
        value: Box::new(text(name)),
    };
    node.save(vec![new("u", "User", &[("Name", text("alice"))])]).unwrap();
    let group =
        node.make("Group", &[("Name", text("Sales")), ("Members", Input::List(vec![add("alice"), add("Admin")]))]);
    let group = group.unwrap();
    assert_eq!(node.rows("from Group g where g.Name = 'Sales'"), ["Sales|[Admin,alice]"]);
    let difference = Input::Difference { add: vec![], remove: vec![add("Admin")] };
    node.save(vec![change(group, &[("Members", difference)])]).unwrap();
    assert_eq!(node.rows("from Group g where g.Name = 'Sales'"), ["Sales|[alice]"]);
    assert_eq!(
        node.call(Request::History(HistoryRequest { attribute: Some("Members".into()), ..HistoryRequest::of(group) }))
            .unwrap()
            .len(),
        3
    );
}

#[test]
fn wrong_words_get_the_nearest_right_ones() {
    let node = head_office();
    let check = |changes, code: &str, hint: &str| {
        let failure = node.save(changes).unwrap_err();
        assert_eq!((failure.code.as_str(), failure.hint.as_str()), (code, hint), "{}", failure.message);
    };
    check(vec![new("a", "Custmer", &[])], "unknown-entity", "did you mean \"Customer\"?");
    check(vec![new("a", "Customer", &[("Ctiy", text("x"))])], "unknown-attribute", "did you mean \"City\"?");
    check(vec![new("a", "Order", &[("OrderDate", text("tomorrow"))])], "wrong-value", "");
}

#[test]
fn what_the_system_relies_on_is_not_for_people() {
    let node = head_office();
    let before = node.everything();
    let check = |request: ChangeRequest| {
        let request = SaveRequest { description: "by hand".into(), changes: vec![request] };
        let failure = node.call(Request::Save(request)).unwrap_err();
        assert_eq!(failure.code, "system-object", "{failure:?}");
    };
    let head = system::NODE_HEAD_OFFICE;
    check(new("n", "Node", &[("Name", text("bremen"))]));
    for (attribute, value) in [("Name", text("bremen")), ("Number", Input::Null), ("PublicKey", text("00"))] {
        check(change(head, &[(attribute, value)]));
    }
    for id in [head, system::USER_SYSTEM, system::USER_ADMIN, system::GROUP_ADMINS, system::GROUP_USERS] {
        check(delete(id));
    }
    let id = TransactionId { node: NodeId(1), incarnation: 1, counter: 2 };
    let undo = Request::Undo(UndoRequest { id, keep_later: false, dry_run: false });
    let mut obstacles = 0;
    let ended = node.app.call(&mytism_app::Context::local(), undo, &mut |_| {
        obstacles += 1;
        Ok(())
    });
    assert_eq!((ended.unwrap_err().code.as_str(), obstacles > 0), ("undo-conflict", true));
    assert_eq!(node.everything(), before);
    let moved = change(head, &[("Address", text("hamburg.example:4243"))]);
    let _saved = node.call(Request::Save(SaveRequest { description: "moved".into(), changes: vec![moved] })).unwrap();
}

#[test]
fn a_query_knows_the_time() {
    let node = head_office();
    let made = |number: &str, date: &str| {
        let values = [("OrderID", Input::Number(number.into())), ("OrderDate", text(date))];
        node.make("Order", &values).unwrap()
    };
    made("1", "1996-07-04");
    made("2", "9999-01-01");
    assert_eq!(node.rows("select o.OrderID from Order o where o.OrderDate < now()"), ["1"]);
    assert_eq!(node.rows("select o.OrderID from Order o where date(o.OrderDate) > today()"), ["2"]);
}
