//! How far a branch's clock is ahead stands in what it saves, also after a start without a line.

use mytism_core::id::TransactionId;
use mytism_format::transaction;

use crate::world::{Node, head_office, new, text};

/// The offset that stands in a transaction which was saved just now.
fn offset_of_a_save(node: &Node, key: &str) -> Option<i64> {
    let company = [("CustomerID", text(key)), ("CompanyName", text(key))];
    let id: TransactionId = node.save(vec![new("c", "Customer", &company)]).unwrap().transaction.unwrap();
    let view = node.app.view().unwrap();
    let row = view.pending(view.pending_place(id).unwrap().unwrap()).unwrap().unwrap();
    transaction::read(row.bytes).unwrap().transaction.clock_offset_micros
}

#[test]
fn what_a_branch_saves_says_how_far_its_clock_is_ahead() {
    let head = head_office();
    let branch = head.branch("rostock");
    assert_eq!(offset_of_a_save(&branch, "AAAAA"), None, "it was never measured");
    branch.app.note_clock_offset(7_000_000).unwrap();
    assert_eq!(offset_of_a_save(&branch, "BBBBB"), Some(7_000_000));
    branch.app.note_clock_offset(7_000_900).unwrap();
    assert_eq!(offset_of_a_save(&branch, "CCCCC"), Some(7_000_900), "the newest figure counts");
    let again = branch.older_copy();
    assert_eq!(offset_of_a_save(&again, "DDDDD"), Some(7_000_000), "what hardly differs is not written each time");
    branch.app.note_clock_offset(-3_000_000).unwrap();
    assert_eq!(offset_of_a_save(&branch.older_copy(), "EEEEE"), Some(-3_000_000));
}

#[test]
fn the_head_office_is_the_measure() {
    let head = head_office();
    let company = [("CustomerID", text("AAAAA")), ("CompanyName", text("A"))];
    let saved = head.save(vec![new("c", "Customer", &company)]).unwrap();
    let row = head.app.view().unwrap().log_row(saved.position.unwrap()).unwrap().unwrap();
    assert_eq!(transaction::read(row.bytes).unwrap().transaction.clock_offset_micros, None);
}
