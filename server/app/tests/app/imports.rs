//! Rows of an import, and the references that stand open until all rows are in.

use mytism_core::id::TransactionId;
use mytism_core::operation::{
    ImportBatch, ImportLinks, ImportMode, Imported, Notation, Output, Reply, Request, RowOutcome,
};
use mytism_core::value::Value;

use crate::world::{Node, head_office};

fn batch(mode: ImportMode, rows: &[(&str, &str, &str)]) -> ImportBatch {
    let cell = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    ImportBatch {
        description: "import".into(),
        entity: "Employee".into(),
        columns: vec!["EmployeeID".into(), "LastName".into(), "ReportsTo".into()],
        rows: rows.iter().map(|(id, name, to)| vec![cell(id), cell(name), cell(to)]).collect(),
        mode,
        skip_bad_rows: true,
        ..ImportBatch::default()
    }
}

fn imported(node: &Node, request: Request) -> Imported {
    match node.call(request).unwrap().remove(0) {
        Reply::Imported(imported) => imported,
        other => panic!("{other:?}"),
    }
}

fn close(node: &Node, run: TransactionId, links: &Imported) -> Vec<RowOutcome> {
    let request = ImportLinks { run, description: "import".into(), links: links.open.clone() };
    imported(node, Request::ImportLinks(request)).rows
}

fn employees(node: &Node) -> Vec<String> {
    node.rows("select e.EmployeeID, e.LastName, e.ReportsTo.LastName as Boss from Employee e order by e.EmployeeID")
}

#[test]
fn references_may_point_forward() {
    let node = head_office();
    let first = imported(&node, Request::Import(batch(ImportMode::Insert, &[("1", "Adler", "2"), ("2", "Busch", "")])));
    assert_eq!((first.rows.len(), first.open.len()), (2, 1));
    close(&node, first.run.unwrap(), &first);
    assert_eq!(employees(&node), ["1|Adler|Busch", "2|Busch|"]);
}

#[test]
fn a_row_whose_target_never_comes_is_bad_and_goes_again() {
    let node = head_office();
    let first = imported(&node, Request::Import(batch(ImportMode::Insert, &[("1", "Adler", "9")])));
    let outcomes = close(&node, first.run.unwrap(), &first);
    assert!(matches!(&outcomes[..], [RowOutcome::Failed { code, .. }] if code == "unknown-reference"), "{outcomes:?}");
    assert!(employees(&node).is_empty());
}

#[test]
fn an_object_that_was_there_before_stays() {
    let node = head_office();
    let before = imported(&node, Request::Import(batch(ImportMode::Insert, &[("1", "Adler", "")])));
    assert!(before.open.is_empty());
    let update = imported(&node, Request::Import(batch(ImportMode::Upsert, &[("1", "Adler-Busch", "9")])));
    assert_eq!(update.open.len(), 1);
    let outcomes = close(&node, update.run.unwrap(), &update);
    assert!(matches!(&outcomes[..], [RowOutcome::Failed { code, .. }] if code == "unknown-reference"), "{outcomes:?}");
    assert_eq!(employees(&node), ["1|Adler-Busch|"]);
}

#[test]
fn one_bad_row_does_not_stop_the_others() {
    let node = head_office();
    let rows = [("1", "Adler", ""), ("1", "Busch", ""), ("x", "Claus", ""), ("2", "Dorn", "")];
    let done = imported(&node, Request::Import(batch(ImportMode::Insert, &rows)));
    let codes: Vec<_> = done
        .rows
        .iter()
        .map(|row| if let RowOutcome::Failed { code, .. } = row { code.as_str() } else { "fine" })
        .collect();
    assert_eq!(codes, ["fine", "duplicate-value", "wrong-value", "fine"]);
    assert_eq!(employees(&node), ["1|Adler|", "2|Dorn|"]);
}

#[test]
fn a_dry_run_changes_nothing() {
    let node = head_office();
    let before = node.everything();
    let dry = ImportBatch { dry_run: true, ..batch(ImportMode::Insert, &[("1", "Adler", "")]) };
    let done = imported(&node, Request::Import(dry));
    assert!(matches!(&done.rows[..], [RowOutcome::Inserted(_)]));
    assert_eq!(node.everything(), before);
}

fn orders(notation: Notation, cells: [&str; 4]) -> ImportBatch {
    ImportBatch {
        entity: "Order".into(),
        columns: ["OrderID", "OrderDate", "Freight", "Customer"].map(str::to_owned).into(),
        rows: vec![cells.map(|cell| Some(cell.to_owned()).filter(|cell| !cell.is_empty())).into()],
        notation: Some(notation),
        preview: Some(1),
        ..ImportBatch::default()
    }
}

#[test]
fn cells_are_read_as_the_file_writes_them() {
    let german =
        || Notation { decimal: Some(",".into()), date: Some("dd.mm.yyyy".into()), zone: Some("Europe/Berlin".into()) };
    let check = |notation: Notation, cells: [&str; 4], expected: &str| {
        let node = head_office();
        let done = match node.call(Request::Import(orders(notation, cells))) {
            Ok(_) => node.rows("select o.OrderID, o.OrderDate, o.Freight from Order o").join(" "),
            Err(failure) => format!("{}: {}", failure.code, failure.message),
        };
        assert_eq!(done, expected, "{cells:?}");
    };
    let cells = ["10.248", "4.7.1996 14:30", "1.234,50 €", ""];
    check(german(), cells, "10248|1996-07-04T12:30:00Z|1234.50");
    check(Notation::default(), ["1", "1996-07-04T12:30:00Z", "12.5", ""], "1|1996-07-04T12:30:00Z|12.50");
    let wrong = "is given, a number with a decimal comma, like 1234,50 or 1.234,50 is expected";
    check(german(), ["1", "", "12.5", ""], &format!("wrong-value: Order.Freight: \"12.5\" {wrong}"));
    let wrong = "is given, a time like 23.11.2026 (dd.mm.yyyy) is expected";
    check(german(), ["1", "1996-07-04", "", ""], &format!("wrong-value: Order.OrderDate: \"1996-07-04\" {wrong}"));
    let nowhere = Notation { zone: Some("Nowhere".into()), ..Notation::default() };
    check(nowhere, ["1", "", "", ""], "unknown-zone: there is no time zone \"Nowhere\"");
    let half = Notation { decimal: Some("½".into()), ..Notation::default() };
    check(half, ["1", "", "", ""], "wrong-notation: \"½\" is no decimal sign; it is \",\" or \".\"");
}

#[test]
fn all_rows_are_saved_or_none() {
    let node = head_office();
    let before = node.everything();
    let whole = |rows: &[(&str, &str, &str)]| {
        let batch = ImportBatch { whole: Some(true), skip_bad_rows: false, ..batch(ImportMode::Insert, rows) };
        node.call(Request::Import(batch))
    };
    let place = |rows: &[(&str, &str, &str)]| {
        let failure = whole(rows).unwrap_err();
        (failure.code.clone(), failure.at.map(|place| (place.line, place.column)))
    };
    let forward = [("1", "Adler", "3"), ("2", "Busch", "1"), ("3", "Claus", "")];
    assert_eq!(place(&[forward[0], forward[1]]), ("unknown-reference".into(), Some((0, 0))));
    assert_eq!(place(&[forward[2], ("x", "Dorn", "")]), ("wrong-value".into(), Some((1, 0))));
    assert_eq!(node.everything(), before);
    let replies = whole(&forward).unwrap();
    let [Reply::Imported(done)] = &replies[..] else { panic!("{replies:?}") };
    assert!(done.open.is_empty() && done.rows.len() == 3, "{done:?}");
    assert_eq!(employees(&node), ["1|Adler|Claus", "2|Busch|Adler", "3|Claus|"]);
    let position = node.app.status().unwrap().log_position;
    whole(&[("4", "Dorn", "5"), ("5", "Ernst", "4")]).unwrap();
    assert_eq!(node.app.status().unwrap().log_position, position + 1);
}

#[test]
fn a_dry_run_shows_keys_and_values() {
    let node = head_office();
    let rows = [("007", "Adler", "2"), ("x", "Busch", ""), ("2", "Claus", ""), ("", "Dorn", "")];
    let dry = ImportBatch { dry_run: true, preview: Some(2), ..batch(ImportMode::Insert, &rows) };
    let done = imported(&node, Request::Import(dry));
    assert_eq!(done.keys, Some(vec![Some("7".into()), None, Some("2".into()), None]));
    assert!(done.open.is_empty(), "a target among the rows is found at once");
    let preview = done.preview.unwrap();
    assert_eq!(preview.iter().map(|row| row.row).collect::<Vec<_>>(), [0, 2]);
    let expected = [Output::Value(Value::Integer(7)), Output::Value(Value::from("Adler")), Output::Word("2".into())];
    assert_eq!(preview[0].values.iter().map(|(_, value)| value.clone()).collect::<Vec<_>>(), expected);
    let later = ImportBatch { dry_run: true, ..batch(ImportMode::Insert, &[("1", "Adler", "2")]) };
    assert_eq!(imported(&node, Request::Import(later)).open.len(), 1);
    // No row of a file of orders is a customer, so nothing can come yet.
    let order = ImportBatch { dry_run: true, ..orders(Notation::default(), ["1", "", "", "NOONE"]) };
    let failure = node.call(Request::Import(order)).unwrap_err();
    assert_eq!(failure.code, "unknown-reference");
}
