//! Followers of the journal: cursors that are as durable as saves, each row once, and a journal that is trimmed.

use std::sync::Arc;
use std::time::Duration;

use mytism_app::follower::{Keep, Start, Trimmed};
use mytism_app::surroundings::Machine;
use mytism_app::{App, Context, Visible};
use mytism_core::change::Slot;
use mytism_core::journal::Cause;
use mytism_core::operation::{ChangeLine, ChangesRequest, Reply, Request, SaveRequest};
use mytism_core::value::Value;
use mytism_store::Store;
use mytism_store::sqlite::SqliteStore;

use crate::world::{Node, change, delete, head_office, new, text, word};

fn sequences(rows: &[Visible]) -> Vec<u64> {
    rows.iter().map(|row| row.sequence).collect()
}

fn end(node: &Node) -> u64 {
    node.app.view().unwrap().journal_bounds().unwrap().1
}

fn customers(node: &Node, count: usize) {
    for _ in 0..count {
        node.make("Customer", &[("City", text("Bonn"))]).unwrap();
    }
}

/// The visible changes behind a row, as people would say them.
fn told(node: &Node, after: u64) -> Vec<String> {
    let request = ChangesRequest { after: Some(after), rows: 100, ..ChangesRequest::default() };
    let replies = node.call(Request::Changes(request)).unwrap();
    let lines = replies.iter().filter_map(|reply| match reply {
        Reply::Change(line) => Some(line),
        _ => None,
    });
    lines.map(said).collect()
}

fn said(line: &ChangeLine) -> String {
    let position = line.position.map_or_else(|| "-".to_owned(), |_| "+".to_owned());
    let row = format!("{}/{} {}{position}", line.number, line.count, line.cause);
    if line.object.is_none() {
        return row;
    }
    format!("{row} {}.{} {}>{}", line.entity, line.attribute, word(&line.old), word(&line.new))
}

#[test]
fn a_branch_tells_what_its_users_see() {
    let head = head_office();
    let id = head.make("Region", &[("RegionDescription", text("Nord"))]).unwrap();
    let branch = head.branch("berlin");
    let set = |node: &Node, value: &str| node.save(vec![change(id, &[("RegionDescription", text(value))])]).unwrap();
    set(&branch, "Süd");
    set(&head, "West");
    head.exchange(&branch);
    let lines = told(&branch, 0);
    assert_eq!(lines[0], "1/1 saved- Region.RegionDescription Nord>Süd");
    // The edit of the head office arrived under the pending one; then that lost the conflict.
    assert!(lines.contains(&"0/0 applied+".to_owned()), "{lines:?}");
    assert!(lines.iter().any(|line| line.ends_with("merged+ Region.RegionDescription Süd>West")), "{lines:?}");
    assert!(lines.iter().any(|line| line.contains("merged+ SyncConflict. >there")), "{lines:?}");
    let before = end(&branch);
    set(&branch, "Ost");
    head.exchange(&branch);
    let lines = told(&branch, before);
    assert_eq!(lines, ["1/1 saved- Region.RegionDescription West>Ost", "0/0 accepted+"]);
}

#[test]
fn what_is_refused_is_taken_back_as_a_whole() {
    let head = head_office();
    let branch = head.branch("berlin");
    let shipper = |number: &str| new("n", "Customer", &[("CustomerID", text(number)), ("City", text("Bonn"))]);
    head.save(vec![shipper("A")]).unwrap();
    branch.save(vec![shipper("A")]).unwrap();
    head.exchange(&branch);
    let lines = told(&branch, end(&branch) - 1);
    assert_eq!(
        lines,
        ["1/3 refused+ Customer. there>", "2/3 refused+ Customer.CustomerID A>", "3/3 refused+ Customer.City Bonn>"]
    );
    // At the head office nothing of it was ever seen.
    assert_eq!(told(&head, end(&head) - 1), ["0/0 refused+"]);
}

#[test]
fn a_follower_goes_on_where_it_was() {
    let head = head_office();
    let first = end(&head);
    customers(&head, 5);
    let mut follower = head.app.follow("mail", Start::After(first)).unwrap();
    let rows = follower.step(2).unwrap();
    assert_eq!(sequences(&rows), [first + 1, first + 2]);
    assert_eq!(sequences(&follower.step(2).unwrap()), sequences(&rows), "a step alone moves nothing");
    follower.advance(first + 2).unwrap();
    // Where it shall begin counts for a new one only.
    let again = head.app.follow("mail", Start::End).unwrap();
    assert_eq!(sequences(&again.step(100).unwrap()), [first + 3, first + 4, first + 5]);
    assert_eq!(head.app.follow("late", Start::End).unwrap().step(100).unwrap(), []);
    assert_eq!(sequences(&head.app.follow("early", Start::Beginning).unwrap().step(1).unwrap()), [1]);
    let copy = head.older_copy();
    assert_eq!(copy.app.follow("mail", Start::End).unwrap().cursor(), first + 2, "it is kept in the database");
    let lines = copy.app.followers().unwrap();
    let behind: Vec<_> = lines.iter().map(|line| (line.name.as_str(), line.behind)).collect();
    assert_eq!(behind, [("early", first + 5), ("late", 0), ("mail", 3)]);
}

#[test]
fn a_save_moves_the_cursor_or_neither_happens() {
    let head = head_office();
    let first = end(&head);
    customers(&head, 2);
    let mut follower = head.app.follow("audit", Start::After(first)).unwrap();
    let request = |changes| SaveRequest { description: "noticed".into(), changes };
    let good = || request(vec![new("n", "Region", &[("RegionDescription", text("x"))])]);
    let bad = request(vec![new("n", "Region", &[("Nonsense", text("x"))])]);
    assert!(follower.save(first + 1, &Context::local(), bad).is_err());
    assert_eq!(head.app.followers().unwrap()[0].cursor, first);
    let mut other = head.app.follow("audit", Start::End).unwrap();
    follower.save(first + 1, &Context::local(), good()).unwrap();
    assert_eq!((follower.cursor(), head.app.followers().unwrap()[0].cursor), (first + 1, first + 1));
    // One that goes by the same name has not seen this, so nothing of what it does happens.
    let before = end(&head);
    let refused = other.save(first + 2, &Context::local(), good()).unwrap_err().failure();
    assert_eq!((refused.code.as_str(), end(&head)), ("follower-moved", before));
    assert_eq!(other.advance(first + 2).unwrap_err().failure().code, "follower-moved");
}

#[test]
fn cursors_move_forward_within_the_journal() {
    let head = head_office();
    let last = end(&head);
    let mut follower = head.app.follow("a", Start::End).unwrap();
    let mut check = |to, expected: Option<&str>| {
        let code = follower.advance(to).err().map(|error| error.failure().code);
        assert_eq!(code.as_deref(), expected, "{to}");
    };
    check(last, None);
    check(last + 1, Some("wrong-cursor"));
    check(last - 1, Some("wrong-cursor"));
    check(u64::MAX, Some("wrong-cursor"));
    let code = |name, start| head.app.follow(name, start).err().map(|error| error.failure().code);
    assert_eq!(code("b", Start::After(last + 1)).as_deref(), Some("wrong-cursor"));
    assert_eq!(code("b c", Start::End).as_deref(), Some("wrong-follower-name"));
    assert_eq!(head.app.visible_after(last + 1, 1).unwrap_err().failure().code, "journal-ahead");
    let removed = head.app.remove_follower("a").unwrap();
    assert_eq!((removed.cursor, removed.behind), (last, 0));
    assert_eq!(head.app.remove_follower("a").unwrap_err().failure().code, "unknown-follower");
    assert_eq!(head.app.advance_follower("a", 0, 0).unwrap_err().failure().code, "unknown-follower");
}

#[test]
fn who_waits_for_a_save_is_woken() {
    const LONG: Duration = Duration::from_secs(600);
    let head = head_office();
    let follower = head.app.follow("a", Start::End).unwrap();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            follower.wait(LONG);
            follower.step(10).unwrap()
        });
        customers(&head, 1);
        assert_eq!(waiting.join().unwrap().len(), 1);
    });
    follower.wait(LONG);
    let last = head.app.follow("b", Start::End).unwrap();
    head.app.release_followers();
    last.wait(LONG);
}

/// Keeps nothing for its age.
const NOTHING: Keep = Keep { time: Duration::ZERO, rows: u64::MAX };

fn trim_all(node: &Node, keep: Keep) -> Trimmed {
    let mut sum = Trimmed::default();
    loop {
        let step = node.app.trim_journal(keep).unwrap();
        sum.rows += step.rows;
        sum.overtaken.extend(step.overtaken);
        if !step.more {
            return sum;
        }
    }
}

fn first(node: &Node) -> u64 {
    node.app.view().unwrap().journal_bounds().unwrap().0
}

#[test]
fn rows_stay_while_they_are_young_or_somebody_needs_them() {
    let head = head_office();
    customers(&head, 10);
    let last = end(&head);
    assert_eq!(trim_all(&head, Keep { time: Duration::from_secs(86_400), ..NOTHING }), Trimmed::default());
    let mut slow = head.app.follow("slow", Start::After(4)).unwrap();
    head.app.follow("fast", Start::End).unwrap();
    assert_eq!(trim_all(&head, NOTHING).rows, 4);
    assert_eq!((first(&head), sequences(&slow.step(1).unwrap())), (5, vec![5]));
    slow.advance(7).unwrap();
    assert_eq!(trim_all(&head, NOTHING).rows, 3);
    head.app.remove_follower("slow").unwrap();
    trim_all(&head, NOTHING);
    assert_eq!((first(&head), end(&head)), (last, last), "the last row stays, so that the sequence goes on");
    customers(&head, 1);
    assert_eq!(sequences(&head.app.visible_after(last, 9).unwrap()), [last + 1]);
    let copy = head.older_copy();
    customers(&copy, 1);
    assert_eq!(end(&copy), last + 2);
}

#[test]
fn who_is_too_far_behind_is_told_once() {
    let head = head_office();
    customers(&head, 10);
    let last = end(&head);
    let lost = head.app.follow("lost", Start::After(2)).unwrap();
    head.app.follow("near", Start::After(last - 3)).unwrap();
    let events = head.app.watch();
    let keep = Keep { time: Duration::from_secs(86_400), rows: 3 };
    let trimmed = trim_all(&head, keep);
    assert_eq!((trimmed.overtaken, first(&head)), (vec!["lost".to_owned()], last - 2));
    let event = events.recv().unwrap();
    assert_eq!(event.kind, "follower");
    assert!(event.text.contains("\"lost\""), "{event:?}");
    customers(&head, 1);
    assert_eq!(trim_all(&head, keep).overtaken, ["near"]);
    let failure = lost.step(1).unwrap_err().failure();
    assert_eq!(failure.code, "journal-trimmed");
    assert!(failure.hint.contains(&format!("behind {}", first(&head) - 1)), "{failure:?}");
}

#[test]
fn trimming_takes_small_steps() {
    let head = head_office();
    let names: Vec<String> = (0..1_100).map(|number| format!("n{number}")).collect();
    // As many rows as it takes for three steps.
    for name in &names {
        head.save(vec![new("n", "Region", &[("RegionDescription", text(name))])]).unwrap();
    }
    let last = end(&head);
    let step = head.app.trim_journal(NOTHING).unwrap();
    assert!(step.more && step.rows < last / 2, "{step:?}");
    assert_eq!(step.rows + trim_all(&head, NOTHING).rows, last - 1);
}

#[test]
fn a_deletion_is_seen() {
    let head = head_office();
    let id = head.make("Region", &[("RegionDescription", text("Nord"))]).unwrap();
    let before = end(&head);
    head.save(vec![delete(id)]).unwrap();
    let rows = head.app.visible_after(before, 9).unwrap();
    assert_eq!((rows.len(), rows[0].cause, rows[0].position), (1, Cause::Saved, Some(before + 1)));
    let change = &rows[0].changes[0];
    assert_eq!((change.slot, &change.old, &change.new), (Slot::LIFE, &Value::Integer(1), &Value::Integer(2)));
}

#[test]
fn a_database_without_a_journal_begins_one() {
    let directory = tempfile::tempdir().unwrap();
    let connection = rusqlite::Connection::open(directory.path().join("objects.db")).unwrap();
    connection.execute_batch(include_str!("../../../../tests/compat/v1/database.sql")).unwrap();
    drop(connection);
    let store = SqliteStore::open(directory.path()).unwrap();
    let schema = store.schema();
    let store: Arc<dyn Store> = Arc::new(store);
    let app = App::open(store, schema, Arc::new(Machine::default())).unwrap();
    assert_eq!(app.visible_after(0, 9).unwrap(), []);
    let request = SaveRequest {
        description: "the first that is seen".into(),
        changes: vec![new("n", "Thing", &[("Name", text("three"))])],
    };
    let mut follower = app.follow("f", Start::Beginning).unwrap();
    follower.save(0, &Context::local(), request).unwrap();
    let rows = follower.step(9).unwrap();
    assert_eq!((sequences(&rows), rows[0].position), (vec![1], Some(4)));
}
