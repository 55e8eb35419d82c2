//! A branch joins by a snapshot: what has arrived is not sent again, and what was before comes afterwards.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use mytism_core::operation::{HistoryRequest, Reply, Request};

use crate::cluster::{Head, Node, save_order, wait_until};

fn head_with(orders: u32) -> Head {
    let head = Head::new();
    (1..=orders).for_each(|number| save_order(head.node(), number));
    head
}

/// Parts of a snapshot that have arrived.
fn arrived(project: &Path) -> u64 {
    let names = std::fs::read_dir(project.join("data").join("incoming")).into_iter().flatten();
    names.filter(|entry| entry.as_ref().unwrap().file_name().len() == 64).count() as u64
}

fn cities(node: &Node) -> Vec<String> {
    node.rows("select o.OrderID as n, o.ShipCity as c from Order o order by n")
}

fn log_of(project: &Path) -> Vec<(i64, Vec<u8>, Vec<u8>)> {
    let database = rusqlite::Connection::open(project.join("data").join("objects.db")).unwrap();
    let mut statement = database.prepare("SELECT number, entry, bytes FROM mytism_log ORDER BY number").unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
    rows.map(Result::unwrap).collect()
}

#[test]
fn a_branch_works_before_its_history_is_here() {
    let head = head_with(40);
    let root = tempfile::tempdir().unwrap();
    let project = root.path().join("branch");
    let report = head.join_now(&project, &head.account("berlin"), &mut |_| {}).unwrap();
    assert_eq!(report.history_begin, Some(report.position));
    assert_eq!(log_of(&project).len(), 1, "the last entry alone");
    let branch = Node::new(project.clone(), None);
    assert_eq!(cities(&branch), cities(head.node()));
    save_order(&branch, 41);
    wait_until("the history is here", || branch.status().history_begin.is_none());
    wait_until("both are in step", || {
        branch.status().pending == 0 && branch.status().log_position == head.node().status().log_position
    });
    assert_eq!(log_of(&project), log_of(head.directory()));
    let order = |node: &Node| node.rows("select o.id as i from Order o where o.OrderID = 1").remove(0);
    let history = |node: &Node| {
        let object = order(node).parse().ok().and_then(mytism_core::id::ObjectId::new).unwrap();
        node.call(Request::History(HistoryRequest { object, attribute: None, after: None, limit: None })).unwrap()
    };
    assert!(matches!(history(&branch)[..], [Reply::History(_), ..]));
    assert_eq!(history(&branch), history(head.node()));
}

/// Only one of them may make the key that the head office gets to know.
#[test]
fn two_joins_at_once_make_one_branch() {
    let head = head_with(3);
    let root = tempfile::tempdir().unwrap();
    for number in 0..8 {
        let name = format!("branch{number}");
        let (project, account) = (root.path().join(&name), head.account(&name));
        let results: Vec<_> = std::thread::scope(|scope| {
            let join = || head.join_into(&project, &account).map_err(|failure| failure.code);
            let both = [scope.spawn(join), scope.spawn(join)];
            both.into_iter().map(|one| one.join().unwrap()).collect()
        });
        let refused: Vec<_> = results.iter().filter_map(|result| result.as_ref().err()).collect();
        assert!(matches!(refused[..], [code] if code == "project-in-use" || code == "project-exists"), "{results:?}");
        let branch = Node::new(project, None);
        wait_until("the branch is known", || branch.status().sync[0].state == "connected");
    }
}

#[test]
fn history_goes_on_where_it_stopped() {
    let head = head_with(1_200);
    let root = tempfile::tempdir().unwrap();
    let project = root.path().join("branch");
    let begin = head.join_now(&project, &head.account("berlin"), &mut |_| {}).unwrap().history_begin;
    let mut branch = Node::new(project.clone(), None);
    let least = AtomicU64::new(begin.unwrap());
    wait_until("some history is here", || {
        let now = branch.status().history_begin.unwrap_or(1);
        least.fetch_min(now, Ordering::Relaxed) > now
    });
    branch.restart();
    let now = branch.status().history_begin.unwrap_or(1);
    assert!(now <= least.load(Ordering::Relaxed), "{now}");
    wait_until("the history is here", || branch.status().history_begin.is_none());
    branch.stop();
    assert_eq!(log_of(&project)[..1_200], log_of(head.directory())[..1_200]);
}

#[test]
fn what_has_arrived_is_not_sent_again() {
    let head = head_with(3);
    let root = tempfile::tempdir().unwrap();
    let (project, account) = (root.path().join("branch"), head.account("berlin"));
    let broken = catch_unwind(AssertUnwindSafe(|| {
        head.join_now(&project, &account, &mut |step| {
            assert!(step.phase != "objects" || step.done == 0, "broken off");
        })
    }));
    broken.unwrap_err();
    let before = arrived(&project);
    assert!(before > 0);
    let report = head.join_now(&project, &account, &mut |_| {}).unwrap();
    assert_eq!(report.kept, before);
    assert_eq!(arrived(&project), 0, "a node that is whole needs them no more");
    let branch = Node::new(project, None);
    assert_eq!(cities(&branch), cities(head.node()));
}

#[test]
fn a_part_that_the_head_office_lost_is_told_and_made_anew() {
    let head = head_with(3);
    let root = tempfile::tempdir().unwrap();
    let (project, account) = (root.path().join("branch"), head.account("berlin"));
    head.join_now(&root.path().join("first"), &head.account("bonn"), &mut |_| {}).unwrap();
    let snapshots = head.directory().join("data").join("snapshots");
    let snapshot = std::fs::read_dir(snapshots).unwrap().next().unwrap().unwrap().path();
    let part = std::fs::read_dir(snapshot).unwrap().map(|entry| entry.unwrap().path());
    std::fs::write(part.into_iter().find(|path| !path.ends_with("manifest")).unwrap(), "damaged").unwrap();
    let failure = head.join_now(&project, &account, &mut |_| {}).unwrap_err();
    assert_eq!((failure.code.as_str(), failure.hint.as_str()), ("damaged-snapshot", "run the same command again"));
    head.join_now(&project, &account, &mut |_| {}).unwrap();
}

#[test]
fn an_account_file_that_a_broken_off_start_left_goes_with_the_next_one() {
    let head = Head::new();
    let own = head.account("berlin");
    let mut branch = head.join(&own, None).unwrap();
    let left = branch.directory().join(".init-syncaccount");
    branch.stop();
    for (file, stays) in [(own, false), (head.account("bonn"), true)] {
        std::fs::copy(file, &left).unwrap();
        branch.restart();
        assert_eq!(left.exists(), stays, "of another node it is none of its business");
    }
}
