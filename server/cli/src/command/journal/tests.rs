//! The commands against nodes that answer what a test says.

use std::cell::RefCell;

use mytism_core::id::{NodeId, ObjectId, TransactionId};
use mytism_core::operation::ChangeLine;
use mytism_core::time::Timestamp;

use super::*;
use crate::command::fake::Fake;

fn line(sequence: u64, number: u64, count: u64) -> Reply {
    Reply::Change(ChangeLine {
        sequence,
        number,
        count,
        time: Timestamp::from_micros(1_795_404_600_000_000).unwrap(),
        cause: "applied".into(),
        transaction: TransactionId { node: NodeId(2), incarnation: 1, counter: sequence },
        position: Some(sequence + 1),
        object: (count > 0).then(|| ObjectId::new(1_048_576).unwrap()),
        entity: "Customer".into(),
        attribute: "City".into(),
        old: Out::Value(Value::Null),
        new: Out::Value(Value::from("Bonn")),
    })
}

fn reached(cursor: u64, end: u64) -> Reply {
    Reply::Reached(Reached { cursor, end })
}

fn arguments(name: Option<&str>) -> args::Changes {
    args::Changes { after: Some(3), from_now: false, follow: false, name: name.map(str::to_owned) }
}

fn written(json: bool, write: impl FnOnce(&mut Output<'_>)) -> String {
    let mut bytes = Vec::new();
    let mut output = Output::to(&mut bytes, json);
    write(&mut output);
    output.finish().unwrap();
    String::from_utf8(bytes).unwrap()
}

/// A node whose answers to requests for changes come one after the other.
fn node(answers: Vec<Vec<Reply>>) -> Fake<impl Fn(&Request) -> Result<Vec<Reply>, mytism_core::failure::Failure>> {
    let answers = RefCell::new(answers.into_iter());
    Fake::new(move |request| match request {
        Request::Changes(_) => Ok(answers.borrow_mut().next().unwrap()),
        _ => Ok(vec![reached(0, 0)]),
    })
}

#[test]
fn parts_follow_each_other_up_to_the_end_there_was() {
    // More becomes visible meanwhile, which is not waited for.
    let answers = vec![vec![line(4, 1, 2), line(4, 2, 2), reached(4, 5)], vec![line(5, 0, 0), reached(5, 9)]];
    let node = node(answers);
    let text = written(false, |output| follow(&node, &arguments(None), output).unwrap());
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].ends_with("arrived   2-1-4   position 5   row 4"), "{text}");
    assert_eq!(lines[1], "  Customer 1048576      City                  – → Bonn");
    assert_eq!(lines[2], lines[1]);
    assert!(lines[3].ends_with("arrived   2-1-5   position 6   row 5") && lines.len() == 4, "{text}");
    let asked = node.asked.borrow();
    let after = asked.iter().map(|request| match request {
        Request::Changes(request) => request.after,
        other => panic!("{other:?}"),
    });
    assert_eq!(after.collect::<Vec<_>>(), [Some(3), Some(4)]);
}

#[test]
fn a_cursor_moves_behind_what_was_handed_on() {
    let node = node(vec![vec![line(4, 1, 1), line(5, 1, 1), reached(5, 5)]]);
    written(true, |output| follow(&node, &arguments(Some("f")), output).unwrap());
    let passed = Request::Passed { follower: "f".into(), from: 3, to: 5 };
    assert_eq!(node.asked.borrow()[1..], [passed]);
}

#[test]
fn a_cursor_stays_where_nobody_reads() {
    struct Closed;
    impl std::io::Write for Closed {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Err(std::io::ErrorKind::BrokenPipe.into())
        }
    }
    let node = node(vec![vec![line(4, 1, 1), reached(4, 4)]]);
    let mut output = Output::to(Closed, true);
    follow(&node, &arguments(Some("f")), &mut output).unwrap();
    assert_eq!(node.asked.borrow().len(), 1, "only the changes were asked for");
}

#[test]
fn nothing_new_is_said_to_people() {
    let nothing = || node(vec![vec![reached(3, 3)]]);
    assert_eq!(written(false, |o| follow(&nothing(), &arguments(Some("f")), o).unwrap()), "nothing became visible\n");
    assert_eq!(written(true, |o| follow(&nothing(), &arguments(None), o).unwrap()), "");
}

#[test]
fn followers_are_a_table() {
    let moved = Timestamp::from_micros(1_795_404_600_000_000).unwrap();
    let line = FollowerLine { name: "mail".into(), cursor: 40, behind: 2, moved };
    let node = Fake::new(|_| Ok(vec![Reply::Follower(line.clone())]));
    let list = args::Followers { command: None };
    let text = written(false, |output| followers(&node, &list, output).unwrap());
    assert!(text.starts_with("Name  Cursor  Behind  Moved\n") || text.contains("Behind"), "{text}");
    let json = written(true, |output| followers(&node, &list, output).unwrap());
    assert_eq!(json, "{\"name\":\"mail\",\"cursor\":40,\"behind\":2,\"moved\":\"2026-11-23T03:30:00Z\"}\n");
    let gone =
        args::Followers { command: Some(FollowersCommand::Remove(args::RemoveFollower { name: "mail".into() })) };
    let text = written(false, |output| followers(&node, &gone, output).unwrap());
    assert_eq!(text, "the follower \"mail\" is forgotten; it stood at 40\n");
    let nobody = Fake::new(|_| Ok(Vec::new()));
    assert_eq!(written(false, |output| followers(&nobody, &list, output).unwrap()), "nobody follows\n");
}
