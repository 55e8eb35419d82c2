//! Rows of an import, and the references that stand open until all rows are in.

use mytism_core::id::TransactionId;
use mytism_core::operation::{ImportBatch, ImportLinks, ImportMode, Imported, Reply, Request, RowOutcome};

use crate::world::{Node, head_office};

fn batch(mode: ImportMode, rows: &[(&str, &str, &str)]) -> ImportBatch {
    let cell = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    ImportBatch {
        run: None,
        description: "import".into(),
        entity: "Employee".into(),
        key: None,
        columns: vec!["EmployeeID".into(), "LastName".into(), "ReportsTo".into()],
        rows: rows.iter().map(|(id, name, to)| vec![cell(id), cell(name), cell(to)]).collect(),
        mode,
        skip_bad_rows: true,
        dry_run: false,
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
