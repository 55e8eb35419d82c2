//! A branch takes entries of the log back, and goes on.

use mytism_app::follower::Start;
use mytism_core::change::Slot;
use mytism_core::id::{Hash, ObjectId, Position};
use mytism_core::journal::Cause;
use mytism_store::Head;

use crate::world::{Node, change, delete, head_office, new, text};

fn region(node: &Node, name: &str) -> ObjectId {
    node.make("Region", &[("RegionDescription", text(name))]).unwrap()
}

fn rename(node: &Node, id: ObjectId, name: &str) {
    node.save(vec![change(id, &[("RegionDescription", text(name))])]).unwrap();
}

fn names(node: &Node) -> Vec<String> {
    node.rows("select RegionDescription from Region order by RegionDescription")
}

fn end(node: &Node) -> Head {
    node.app.view().unwrap().head().unwrap().unwrap()
}

fn back(node: &Node, to: Head) {
    assert_eq!(node.app.roll_back(to.position, to.hash).unwrap(), to.position);
}

fn pending(node: &Node) -> Vec<String> {
    let rows = node.app.view().unwrap().pending_after(i64::MIN, 100, usize::MAX).unwrap();
    rows.into_iter().map(|row| row.transaction.to_string()).collect()
}

/// A head office and a branch in step, and where the log ended then.
fn in_step() -> (Node, Node, Head) {
    let head = head_office();
    let branch = head.branch("rostock");
    head.exchange(&branch);
    let at = end(&branch);
    (head, branch, at)
}

#[test]
fn what_is_taken_back_is_pending_and_still_seen() {
    let (head, branch, at) = in_step();
    let (one, other) = (region(&head, "Nord"), region(&branch, "Ost"));
    head.exchange(&branch);
    rename(&head, other, "Ost 2");
    rename(&branch, one, "Nord 2");
    head.exchange(&branch);
    let (everything, seen) = (branch.everything(), names(&branch));
    let own = region(&branch, "West");
    back(&branch, at);
    assert_eq!(names(&branch), ["Nord 2", "Ost 2", "West"]);
    assert_eq!(end(&branch), at);
    let logged = head.app.view().unwrap().log_after(at.position.number, 9, usize::MAX).unwrap();
    let mut expected: Vec<String> = logged.into_iter().map(|row| row.transaction.to_string()).collect();
    expected.extend(pending(&branch).last().cloned());
    assert_eq!(pending(&branch), expected, "in the order of the log, below the own one");
    let view = branch.app.view().unwrap();
    assert!([one, other, own].iter().all(|id| view.object(*id).unwrap().unwrap().meta.version.is_none()));
    assert!(view.history_after(one, 0).unwrap().is_empty());
    drop(view);
    // The head office did not forget anything after all.
    branch.save(vec![delete(own)]).unwrap();
    let arriving = head.app.view().unwrap().log_after(at.position.number, 100, usize::MAX).unwrap();
    let arriving = arriving.into_iter().map(|row| mytism_app::ArrivingEntry { entry: row.entry, transaction: None });
    branch.app.apply(arriving.collect()).unwrap();
    assert_eq!((names(&branch), pending(&branch).len()), (seen, 2));
    head.exchange(&branch);
    assert_eq!(branch.everything(), head.everything());
    assert_eq!(branch.everything().len(), everything.len() + 3, "one object and two entries more");
}

#[test]
fn what_the_head_office_added_goes_and_what_it_refused_gets_another_chance() {
    let (head, branch, _) = in_step();
    let id = region(&head, "Nord");
    head.exchange(&branch);
    let at = end(&branch);
    rename(&head, id, "Nordsee");
    rename(&branch, id, "Norden");
    let company = |key| vec![new("c", "Customer", &[("CustomerID", text(key)), ("CompanyName", text(key))])];
    head.save(company("AAAAA")).unwrap();
    branch.save(company("AAAAA")).unwrap();
    head.exchange(&branch);
    let conflicts = |node: &Node| node.rows("from SyncConflict").len();
    let refused = |node: &Node| node.app.view().unwrap().quarantine().unwrap().len();
    assert_eq!((names(&branch), conflicts(&branch), refused(&branch)), (vec!["Nordsee".to_owned()], 1, 1));
    let everything = branch.everything();
    back(&branch, at);
    assert_eq!((names(&branch), conflicts(&branch), refused(&branch)), (vec!["Norden".to_owned()], 0, 0));
    assert_eq!(branch.rows("from Customer").len(), 2, "both are there until it is decided anew");
    head.hand_down(&branch);
    assert_eq!(branch.everything(), everything);
}

#[test]
fn all_that_ever_happened_can_be_taken_back_step_by_step() {
    let (head, branch, _) = in_step();
    let at = head.app.view().unwrap().log_row(1).unwrap().unwrap();
    for number in 0..1_100 {
        region(&head, &format!("r{number}"));
    }
    head.exchange(&branch);
    let everything = branch.everything();
    let before = branch.app.visible_after(0, 1).unwrap().len() as u64;
    branch.app.roll_back(at.position, at.hash).unwrap();
    assert_eq!(branch.app.view().unwrap().pending_count().unwrap(), end(&head).position.number - 1);
    assert_eq!(names(&branch).len(), 1_100);
    assert!(branch.app.view().unwrap().journal_bounds().unwrap().1 > before);
    let branch = branch.older_copy();
    assert_eq!(names(&branch).len(), 1_100, "also when it was opened again");
    head.hand_down(&branch);
    assert_eq!(branch.everything(), everything);
}

#[test]
fn followers_are_told_what_they_were_told_before_and_what_became_of_it() {
    let (head, branch, at) = in_step();
    let id = region(&head, "Nord");
    head.exchange(&branch);
    rename(&head, id, "Nordsee");
    rename(&branch, id, "Norden");
    head.exchange(&branch);
    let told = branch.app.visible_after(0, 100).unwrap();
    back(&branch, at);
    let follower = branch.app.follow("f", Start::Beginning).unwrap();
    let rows = follower.step(100).unwrap();
    assert_eq!(rows[..told.len()], told);
    let [row] = &rows[told.len()..] else { panic!("{rows:?}") };
    assert_eq!((row.cause, row.position), (Cause::RolledBack, Some(at.position.number + 1)));
    let of_region = row.changes.iter().filter(|change| change.object == id).collect::<Vec<_>>();
    assert_eq!(of_region.len(), 1, "{row:?}");
    assert_eq!((of_region[0].old.text(), of_region[0].new.text()), (Some("Nordsee"), Some("Norden")));
    let record = row.changes.iter().find(|change| change.object != id && change.slot == Slot::LIFE).unwrap();
    assert!(record.new.is_null(), "the record of the conflict is gone: {record:?}");
}

#[test]
fn nothing_is_taken_back_below_what_both_know() {
    let (head, branch, at) = in_step();
    region(&head, "Nord");
    head.exchange(&branch);
    let everything = branch.everything();
    let refused = |node: &Node, position, hash| node.app.roll_back(position, hash).unwrap_err().failure().code;
    assert_eq!(refused(&branch, at.position, Hash([7; 32])), "histories-differ");
    assert_eq!(refused(&branch, Position { epoch: 1, number: 999 }, at.hash), "histories-differ");
    assert_eq!(refused(&branch, Position { epoch: 1, number: 0 }, Hash::default()), "histories-differ");
    assert_eq!(refused(&head, at.position, at.hash), "not-a-branch");
    assert_eq!(branch.everything(), everything);
    back(&branch, end(&branch));
    assert_eq!(branch.everything(), everything);
}
