//! Earlier states, histories and undoing, each case by itself; `chance::then` tries what nobody thought of.

use mytism_core::failure::Failure;
use mytism_core::id::{NodeId, ObjectId, TransactionId};
use mytism_core::operation::{
    ChangeRequest, HistoryLine, HistoryRequest, ImportBatch, ImportLinks, ImportMode, Input, QueryRequest,
    ReferenceInput, Reply, Request, UndoLine, UndoRequest, Undone,
};

use crate::world::{Node, change, delete, head_office, new, text, to, word};

fn number(value: i64) -> Input {
    Input::Number(value.to_string())
}

fn undo(node: &Node, id: TransactionId, keep_later: bool, dry_run: bool) -> (Vec<UndoLine>, Result<Undone, Failure>) {
    let (mut lines, mut last) = (Vec::new(), None);
    let request = Request::Undo(UndoRequest { id, keep_later, dry_run });
    let ended = node.app.call(&mytism_app::Context::local(), request, &mut |reply| {
        match reply {
            Reply::UndoLine(line) => lines.push(*line),
            Reply::Undone(undone) => last = Some(undone),
            other => panic!("{other:?}"),
        }
        Ok(())
    });
    (lines, ended.map(|()| last.unwrap()))
}

#[track_caller]
fn undone(node: &Node, id: TransactionId) -> TransactionId {
    match undo(node, id, false, false) {
        (lines, Ok(undone)) => {
            assert_eq!((lines, undone.left, undone.done), (Vec::new(), 0, undone.total));
            undone.transaction.expect("something was undone")
        }
        other => panic!("{other:?}"),
    }
}

fn save(node: &Node, changes: Vec<ChangeRequest>) -> TransactionId {
    node.save(changes).unwrap().transaction.unwrap()
}

/// `attribute before/then/now code`
fn told(line: &UndoLine) -> String {
    let code = line.obstacle.as_ref().map(|obstacle| obstacle.code.clone()).unwrap_or_default();
    format!("{} {}/{}/{} {code}", line.attribute, word(&line.before), word(&line.then), word(&line.now))
}

/// The obstacles of an undo that is refused; nothing has changed, and a dry run tells the same.
#[track_caller]
fn obstacles(node: &Node, id: TransactionId) -> Vec<UndoLine> {
    let before = node.everything();
    let (lines, ended) = undo(node, id, false, false);
    assert_eq!(ended.unwrap_err().code, "undo-conflict");
    assert_eq!(node.everything(), before);
    let (dry, _) = undo(node, id, false, true);
    let dry: Vec<_> = dry.into_iter().filter(|line| line.obstacle.is_some()).collect();
    assert_eq!(dry, lines);
    assert_eq!(node.everything(), before);
    lines
}

#[test]
fn what_was_changed_since_is_told_and_may_be_left() {
    let node = head_office();
    let berlin = [("City", text("Berlin")), ("Phone", text("1"))];
    let (a, b) = (node.make("Customer", &berlin).unwrap(), node.make("Customer", &berlin).unwrap());
    let bonn = [("City", text("Bonn")), ("Phone", text("2"))];
    let moved = save(&node, vec![change(a, &bonn), change(b, &bonn)]);
    let later = save(&node, vec![change(a, &[("City", text("Köln")), ("Fax", text("3"))])]);

    let lines = obstacles(&node, moved);
    assert_eq!(lines.iter().map(told).collect::<Vec<_>>(), ["City Berlin/Bonn/Köln changed-since"]);
    let obstacle = lines[0].obstacle.as_ref().unwrap();
    assert_eq!((lines[0].object, obstacle.transaction), (a, Some(later)));
    assert_eq!(obstacle.by.as_ref().unwrap().user, "Admin");

    let (lines, ended) = undo(&node, moved, true, false);
    assert_eq!((lines.len(), ended.unwrap().left), (1, 1));
    let now = || node.rows("select c.City, c.Phone, c.Fax from Customer c order by c.id");
    assert_eq!(now(), ["Köln|1|3", "Berlin|1|"]);
    // Once more, there is nothing left but that.
    let (lines, ended) = undo(&node, moved, true, false);
    let ended = ended.unwrap();
    assert_eq!((lines.len(), ended.transaction, ended.left), (1, None, 1));
    undone(&node, later);
    assert_eq!(now(), ["Bonn|1|", "Berlin|1|"]);
    undone(&node, moved);
    assert_eq!(now(), ["Berlin|1|", "Berlin|1|"]);
}

#[test]
fn an_object_that_somebody_uses_since_stays() {
    let node = head_office();
    let made = node.save(vec![new("c", "Customer", &[("CustomerID", text("A")), ("City", text("Bonn"))])]).unwrap();
    let (made, customer) = (made.transaction.unwrap(), made.ids[0].1);
    let order = save(&node, vec![new("o", "Order", &[("OrderID", number(1)), ("Customer", to(customer))])]);
    let lines = obstacles(&node, made);
    assert_eq!(lines.iter().map(told).collect::<Vec<_>>(), [" deleted/there/there still-referenced"]);
    assert_eq!(lines[0].obstacle.as_ref().unwrap().transaction, Some(order));
    undone(&node, order);
    let phone = save(&node, vec![change(customer, &[("Phone", text("1"))])]);
    let lines = obstacles(&node, made);
    assert_eq!(lines.iter().map(told).collect::<Vec<_>>(), ["Phone //1 changed-since"]);
    assert_eq!(lines[0].obstacle.as_ref().unwrap().transaction, Some(phone));
    undone(&node, phone);
    let again = undone(&node, made);
    assert!(node.rows("from Customer").is_empty());
    undone(&node, again);
    assert_eq!(node.rows("select c.CustomerID, c.City from Customer c"), ["A|Bonn"]);
}

#[test]
fn what_would_not_hold_any_longer_is_no_half_undo() {
    let node = head_office();
    let make = |key: &str| node.make("Customer", &[("CustomerID", text(key)), ("Phone", text("1"))]).unwrap();
    let a = make("A");
    let renamed = save(&node, vec![change(a, &[("CustomerID", text("B")), ("Phone", text("2"))])]);
    let other = make("A");
    let code = |lines: &[UndoLine]| lines.iter().map(|line| line.obstacle.clone().unwrap().code).collect::<Vec<_>>();
    assert_eq!(code(&obstacles(&node, renamed)), ["duplicate-value", "duplicate-value"]);
    let deleted = save(&node, vec![delete(other)]);
    undone(&node, renamed);
    assert_eq!(code(&obstacles(&node, deleted)), ["duplicate-value"]);

    let order = node.make("Order", &[("OrderID", number(1)), ("Customer", to(a))]).unwrap();
    let c = make("C");
    let moved = save(&node, vec![change(order, &[("Customer", to(c))])]);
    save(&node, vec![delete(a)]);
    assert_eq!(code(&obstacles(&node, moved)), ["unknown-reference"]);
}

#[test]
fn a_deletion_brings_back_all_that_went_with_it() {
    let node = head_office();
    let order = node.make("Order", &[("OrderID", number(1))]).unwrap();
    let product = node.make("Product", &[("ProductName", text("Tee"))]).unwrap();
    for _ in 0..3 {
        node.make("OrderLine", &[("Order", to(order)), ("Product", to(product))]).unwrap();
    }
    let boss = node.make("Employee", &[("EmployeeID", number(1)), ("LastName", text("Adler"))]).unwrap();
    node.make("Employee", &[("EmployeeID", number(2)), ("LastName", text("Busch")), ("ReportsTo", to(boss))]).unwrap();
    let admin = Input::List(vec![ReferenceInput::Id(mytism_core::id::system::USER_ADMIN)]);
    let group = node.make("Group", &[("Name", text("Sales")), ("Members", admin)]).unwrap();
    let shown = || {
        let texts =
            ["from Order", "from OrderLine", "from Employee order by EmployeeID", "from Group where Name = 'Sales'"];
        texts.map(|text| node.rows(text))
    };
    let before = shown();
    let deleted = save(&node, vec![delete(order), delete(boss), delete(group)]);
    let after = shown();
    assert_eq!([1, 3, 1, 0].len(), after.len());
    assert_eq!(after.each_ref().map(Vec::len), [0, 0, 1, 0]);
    let back = undone(&node, deleted);
    assert_eq!(shown(), before);
    undone(&node, back);
    assert_eq!(shown(), after);
}

fn import(node: &Node, run: Option<TransactionId>, rows: std::ops::Range<i64>) -> (TransactionId, Vec<Reply>) {
    // Each reports to the next one, which is not there yet.
    let row = |id: i64| vec![Some(id.to_string()), Some(format!("n{id}")), Some((id + 1).to_string())];
    let batch = ImportBatch {
        run,
        description: "import of employees".into(),
        entity: "Employee".into(),
        key: None,
        columns: vec!["EmployeeID".into(), "LastName".into(), "ReportsTo".into()],
        rows: rows.map(row).collect(),
        mode: ImportMode::Upsert,
        skip_bad_rows: true,
        dry_run: false,
        notation: None,
        whole: None,
        preview: None,
    };
    let mut replies = node.call(Request::Import(batch)).unwrap();
    let Some(Reply::Imported(imported)) = replies.pop() else { panic!("no answer") };
    let run = imported.run.unwrap();
    let links = ImportLinks { run, description: "import of employees".into(), links: imported.open };
    (run, node.call(Request::ImportLinks(links)).unwrap())
}

#[test]
fn an_import_is_undone_as_one_and_done_again_as_one() {
    let node = head_office();
    node.make("Employee", &[("EmployeeID", number(3)), ("LastName", text("Adler"))]).unwrap();
    let now =
        || node.rows("select e.EmployeeID, e.LastName, e.ReportsTo.LastName from Employee e order by e.EmployeeID");
    let (run, _) = import(&node, None, 1..40);
    import(&node, Some(run), 30..60);
    let after = now();
    assert!(after.len() > 50 && after[2] == "3|n3|n4", "{after:?}");

    let (lines, ended) = undo(&node, run, false, true);
    assert_eq!((lines.iter().all(|line| line.obstacle.is_none()), now() == after), (true, true));
    assert!(ended.unwrap().objects > 50);

    let made = now();
    let first = undone(&node, run);
    assert_eq!(now(), ["3|Adler|"]);
    assert_eq!(undo(&node, run, false, false).1.unwrap().transaction, None, "it is undone already");
    undone(&node, first);
    assert_eq!(now(), made);
}

#[test]
fn an_undo_that_was_broken_off_is_taken_up_again() {
    let node = head_office();
    let (run, _) = import(&node, None, 1..20);
    import(&node, Some(run), 20..30);
    let mut parts = 0;
    let request = Request::Undo(UndoRequest { id: run, keep_later: false, dry_run: false });
    node.app
        .call(&mytism_app::Context::local(), request, &mut |_| {
            parts += 1;
            if parts < 2 { Ok(()) } else { Err(mytism_core::operation::Closed) }
        })
        .unwrap();
    assert_eq!(parts, 2);
    let left = node.rows("from Employee").len();
    assert!(left > 0, "{left}");
    let (_, ended) = undo(&node, run, false, false);
    let ended = ended.unwrap();
    assert_eq!((ended.done, ended.left), (ended.total, 0));
    assert!(node.rows("from Employee").is_empty());
}

#[test]
fn an_import_with_obstacles_is_left_alone_or_but_for_these() {
    let node = head_office();
    let (run, _) = import(&node, None, 1..10);
    import(&node, Some(run), 10..20);
    let of = |id: i64| {
        let view = node.app.view().unwrap();
        let member = node.app.schema().entity("Employee").unwrap().member("EmployeeID").unwrap();
        let entity = node.app.schema().entity("Employee").unwrap().id;
        view.find(entity, member.id, &mytism_core::value::Value::Integer(id), 1).unwrap()[0]
    };
    let order = save(&node, vec![new("o", "Order", &[("OrderID", number(1)), ("Employee", to(of(5)))])]);
    save(&node, vec![change(of(15), &[("LastName", text("Busch"))])]);
    let mut lines: Vec<_> = obstacles(&node, run).iter().map(told).collect();
    lines.sort_unstable();
    assert_eq!(lines, [" deleted/there/there still-referenced", "LastName /n15/Busch changed-since"]);

    let (lines, ended) = undo(&node, run, true, false);
    let ended = ended.unwrap();
    assert_eq!((lines.len() as u64, ended.done), (ended.left, ended.total));
    assert_eq!(
        node.rows("select e.EmployeeID, e.LastName from Employee e order by e.EmployeeID"),
        ["5|n5", "15|Busch"]
    );
    undone(&node, order);
    undo(&node, run, true, false).1.unwrap();
    assert_eq!(node.rows("select e.EmployeeID from Employee e"), ["15"]);
}

#[test]
fn what_never_happened_cannot_be_undone() {
    let node = head_office();
    let branch = node.branch("berlin");
    let code = |id: TransactionId| undo(&branch, id, false, false).1.unwrap_err().code;
    let unknown = TransactionId { node: NodeId(9), incarnation: 1, counter: 1 };
    assert_eq!(code(unknown), "unknown-transaction");
    assert_eq!(code(TransactionId { node: NodeId(1), incarnation: 1, counter: 1 }), "undo-schema");
    node.make("Customer", &[("CustomerID", text("A"))]).unwrap();
    let twice = branch.save(vec![new("c", "Customer", &[("CustomerID", text("A"))])]).unwrap().transaction.unwrap();
    node.exchange(&branch);
    assert_eq!(code(twice), "nothing-to-undo");
}

#[test]
fn a_branch_undoes_what_the_head_office_has_not_seen() {
    let node = head_office();
    let id = node.make("Customer", &[("City", text("Berlin"))]).unwrap();
    let branch = node.branch("berlin");
    let moved = save(&branch, vec![change(id, &[("City", text("Bonn"))])]);
    let made = save(&branch, vec![new("c", "Customer", &[("City", text("Köln"))])]);
    let (_, ended) = undo(&branch, moved, false, false);
    let ended = ended.unwrap();
    assert_eq!((ended.pending, ended.position), (true, None));
    undone(&branch, made);
    assert_eq!(branch.rows("select c.City from Customer c"), ["Berlin"]);
    node.exchange(&branch);
    assert_eq!(node.rows("select c.City from Customer c"), ["Berlin"]);
    let own = |node: &Node| node.everything();
    assert_eq!(own(&node), own(&branch));
}

#[test]
fn what_is_committed_while_it_is_undone_stays_the_same() {
    let node = head_office();
    let branch = node.branch("berlin");
    let (run, _) = import(&branch, None, 1..20);
    import(&branch, Some(run), 20..30);
    let request = Request::Undo(UndoRequest { id: run, keep_later: false, dry_run: false });
    let mut last = None;
    branch
        .app
        .call(&mytism_app::Context::local(), request, &mut |reply| {
            // All of the run that was pending is in the log from now on.
            node.exchange(&branch);
            last = Some(reply);
            Ok(())
        })
        .unwrap();
    let Some(Reply::Undone(undone)) = last else { panic!("{last:?}") };
    assert_eq!((undone.done, undone.left), (undone.total, 0));
    assert!(undone.total > 2, "{undone:?}");
    node.exchange(&branch);
    assert!(branch.rows("from Employee").is_empty());
    assert_eq!(node.everything(), branch.everything());
}

fn history(node: &Node, request: HistoryRequest) -> Vec<HistoryLine> {
    let replies = node.call(Request::History(request)).unwrap().into_iter();
    replies.map(|reply| if let Reply::History(line) = reply { line } else { panic!("{reply:?}") }).collect()
}

fn lines(node: &Node, object: ObjectId) -> Vec<String> {
    let line = |line: &HistoryLine| {
        let place = line.position.map_or("pending", |_| "logged");
        format!("{place} {} {} -> {}", line.attribute, word(&line.old), word(&line.new))
    };
    history(node, HistoryRequest::of(object)).iter().map(line).collect()
}

#[test]
fn a_history_tells_what_happened_and_nothing_else() {
    let node = head_office();
    let user = |name: &str| node.make("User", &[("Name", text(name))]).unwrap();
    let (anna, bert) = (user("anna"), user("bert"));
    let set = |add: Vec<ObjectId>, remove: Vec<ObjectId>| {
        let ids = |ids: Vec<ObjectId>| ids.into_iter().map(ReferenceInput::Id).collect();
        Input::Difference { add: ids(add), remove: ids(remove) }
    };
    let group = node.make("Group", &[("Name", text("Sales")), ("Members", set(vec![anna], vec![]))]).unwrap();
    save(&node, vec![change(group, &[("Members", set(vec![bert], vec![anna]))])]);
    save(&node, vec![delete(group)]);
    save(&node, vec![ChangeRequest { delete: Some(false), ..change(group, &[]) }]);
    node.save(vec![change(group, &[("Name", text("Admins"))]), change(anna, &[("Name", text("bert"))])]).unwrap_err();
    let branch = node.branch("berlin");
    // One is refused, one is taken, one meets another; the last one is still pending.
    branch.save(vec![new("u", "User", &[("Name", text("carl"))]), change(group, &[("Name", text("No"))])]).unwrap();
    user("carl");
    node.exchange(&branch);
    branch.save(vec![change(group, &[("Name", text("Sellers"))])]).unwrap();
    node.exchange(&branch);
    branch.save(vec![change(group, &[("Name", text("Branch"))])]).unwrap();
    node.save(vec![change(group, &[("Name", text("Head"))])]).unwrap();
    node.exchange(&branch);
    branch.save(vec![change(group, &[("Name", text("Later"))])]).unwrap();
    let logged = [
        "logged   -> there",
        "logged Name  -> Sales",
        "logged Members  -> anna",
        "logged Members anna -> ",
        "logged Members  -> bert",
        "logged  there -> deleted",
        "logged  deleted -> there",
        "logged Name Sales -> Sellers",
        "logged Name Sellers -> Head",
    ];
    assert_eq!(lines(&node, group), logged);
    assert_eq!(lines(&branch, group), [&logged[..], &["pending Name Head -> Later"]].concat());
}

#[test]
fn a_long_history_comes_in_pages() {
    let node = head_office();
    let id = node.make("Customer", &[("City", text("0")), ("Phone", text("0"))]).unwrap();
    for turn in 1..20 {
        node.save(vec![change(id, &[("City", text(&turn.to_string())), ("Phone", text(&turn.to_string()))])]).unwrap();
    }
    let all = history(&node, HistoryRequest::of(id));
    assert_eq!(all.len(), 41);
    let (mut pages, mut after) = (Vec::new(), None);
    loop {
        let page = history(&node, HistoryRequest { after, limit: Some(5), ..HistoryRequest::of(id) });
        let Some(last) = page.last() else { break };
        assert!(page.len() == 5 || page.len() == 6 || last.position == all.last().unwrap().position, "{}", page.len());
        after = last.position;
        pages.extend(page);
    }
    assert_eq!(pages, all);
    let city = HistoryRequest { attribute: Some("City".into()), limit: Some(3), ..HistoryRequest::of(id) };
    assert_eq!(history(&node, city).len(), 3);
    assert!(history(&node, HistoryRequest { limit: Some(0), ..HistoryRequest::of(id) }).is_empty());
}

#[test]
fn deleted_objects_are_listed_shown_and_brought_back() {
    let node = head_office();
    let id = node.make("Customer", &[("City", text("Berlin"))]).unwrap();
    save(&node, vec![delete(id)]);
    let listed = |deleted| {
        let text = "from Customer".to_owned();
        node.call(Request::Query(QueryRequest { text, deleted, ..QueryRequest::default() })).unwrap().len()
    };
    assert_eq!((listed(false), listed(true)), (0, 1));
    let shown = node.call(Request::Show { object: id, as_of: None }).unwrap();
    assert!(matches!(&shown[0], Reply::Object(view) if view.detail.as_ref().unwrap().deleted));
    save(&node, vec![ChangeRequest { delete: Some(false), ..change(id, &[]) }]);
    assert_eq!((listed(false), node.rows("select c.City from Customer c")), (1, vec!["Berlin".to_owned()]));
}

#[test]
fn moments_are_places_or_times() {
    let node = head_office();
    let id = node.make("Customer", &[("City", text("Berlin"))]).unwrap();
    let ended = |as_of: &str| {
        let request = Request::Show { object: id, as_of: Some(as_of.to_owned()) };
        node.call(request).map(|replies| replies.len()).map_err(|failure| failure.code)
    };
    let head = node.app.view().unwrap().head().unwrap().unwrap();
    let check = |as_of: &str, expected: Result<usize, &str>| {
        assert_eq!(ended(as_of), expected.map_err(str::to_owned), "{as_of}");
    };
    check(&head.position.number.to_string(), Ok(1));
    check(&head.committed_at.to_string(), Ok(1));
    check(" 1 ", Err("unknown-object"));
    check("0", Err("unknown-object"));
    check("1999-12-31", Err("unknown-object"));
    check("1999-12-31 23:59", Err("unknown-object"));
    check(&(head.position.number + 1).to_string(), Err("not-yet"));
    check("99999999999999999999999", Err("not-yet"));
    check("9999-01-01", Err("not-yet"));
    check("", Err("wrong-time"));
    check("-1", Err("wrong-time"));
    check("yesterday", Err("wrong-time"));
    check("1.5", Err("wrong-time"));
}
