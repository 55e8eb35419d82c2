//! Two nodes in one process, each with its directory, its database and its sockets, asked through their clients.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod backups;
mod cluster;
mod joining;
mod unfinished;

use std::time::Duration;

use cluster::{Head, save_order, wait_until};
use mytism_core::id::{Hash, Position};
use mytism_core::operation::{Reply, Request};
use mytism_server::quiet::Crowd;

#[test]
fn orders_travel_between_two_nodes() {
    let head = Head::new();
    save_order(head.node(), 1);
    let branch = head.branch("berlin");
    assert_eq!(branch.status().log_position, head.node().status().log_position);
    save_order(&branch, 2);
    save_order(head.node(), 3);
    wait_until("both nodes hold all", || {
        let (a, b) = (head.node().status(), branch.status());
        b.pending == 0 && a.log_hash == b.log_hash && a.objects == b.objects
    });
    let line = branch.status().sync.remove(0);
    assert_eq!((line.name.as_str(), line.state.as_str(), line.last_error), ("hamburg", "connected", None));
}

#[test]
fn what_was_saved_while_the_line_was_down_travels_afterwards() {
    let mut head = Head::new();
    let mut branch = head.branch("berlin");
    head.stop();
    for number in 0..20 {
        save_order(&branch, number);
    }
    assert_eq!(branch.status().pending, 20);
    branch.restart();
    assert_eq!(branch.status().pending, 20, "pending saves survive a restart");
    head.start();
    for number in 100..120 {
        save_order(head.node(), number);
    }
    wait_until("both nodes hold all", || {
        let (a, b) = (head.node().status(), branch.status());
        b.pending == 0 && a.log_hash == b.log_hash
    });
    assert_eq!(head.node().rows("select count(*) as n from Order o"), ["40"]);
    assert_eq!(branch.rows("select count(*) as n from Order o"), ["40"]);
}

#[test]
fn a_save_is_encoded_once_for_branches_that_only_speak() {
    let head = Head::new();
    let accounts: Vec<String> =
        (0..5).map(|number| std::fs::read_to_string(head.account(&format!("b{number}"))).unwrap()).collect();
    let mut crowd = Crowd::join(&accounts).unwrap();
    let at = head.node().status();
    let position = Position { epoch: at.epoch, number: at.log_position };
    crowd.connect(position, Hash::from_hex(&at.log_hash).unwrap()).unwrap();
    wait_until("all are connected", || {
        let lines = head.node().status().sync;
        lines.len() == 5 && lines.iter().all(|line| line.state == "connected")
    });
    for number in 1..=2 {
        // What was encoded a moment ago is not handed out any more.
        std::thread::sleep(Duration::from_millis(600));
        let before = head.node().status().log_position;
        save_order(head.node(), number);
        let saved = head.node().status().log_position;
        assert!(saved > before);
        let heard = crowd.heard(saved, Duration::from_secs(20)).unwrap();
        let mut moments: Vec<_> = heard.iter().map(|one| one.sent).collect();
        moments.dedup();
        assert_eq!((heard.len(), moments.len()), (5, 1), "{heard:?}");
    }
    wait_until("all have confirmed", || head.node().status().sync.iter().all(|line| line.pending == 0));
}

#[test]
fn an_account_is_good_once_and_for_its_name() {
    let head = Head::new();
    let account = head.account("berlin");
    let used = head.join(&account, None).unwrap();
    let again = head.join(&account, None).map(drop).unwrap_err();
    assert_eq!(again.code, "wrong-account", "{}", again.message);
    let other = head.join(&head.account("bonn"), Some("berlin")).map(drop).unwrap_err();
    assert_eq!(other.code, "wrong-account", "{}", other.message);
    drop(used);
    let taken = head.node().call(Request::AddNode { name: "berlin".into(), valid_days: 14 }).unwrap_err();
    assert_eq!(taken.code, "node-exists");
    let refused = |name: &str| {
        let request = Request::AddNode { name: name.into(), valid_days: 14 };
        head.node().call(request).unwrap_err().code
    };
    assert_eq!(refused("Berlin"), "node-exists");
    for name in [".", "..", ".a", "-a", "a.", "a/b", ""] {
        assert_eq!(refused(name), "wrong-value", "{name}");
    }
}

#[test]
fn a_node_without_its_configuration_loses_nothing() {
    let mut head = Head::new();
    save_order(head.node(), 1);
    let account = head.account("berlin");
    head.stop();
    let config = mytism_server::project::Project::at(head.directory()).config_file();
    let kept = std::fs::read(&config).unwrap();
    std::fs::remove_file(&config).unwrap();
    for without_state in [false, true] {
        if without_state {
            std::fs::remove_dir_all(head.directory().join("state")).unwrap();
        }
        assert_eq!(head.init_again().unwrap_err().code, "project-exists");
        if !without_state {
            assert_eq!(head.join_into(head.directory(), &account).unwrap_err().code, "project-exists");
        }
    }
    std::fs::write(&config, kept).unwrap();
    std::fs::create_dir_all(head.directory().join("state")).unwrap();
    head.start();
    assert_eq!(head.node().rows("select count(*) as n from Order o"), ["1"]);
}

#[test]
fn two_processes_cannot_be_one_branch() {
    let head = Head::new();
    let branch = head.branch("berlin");
    let copy = branch.copy();
    wait_until("the copy is refused", || {
        copy.status().sync.first().and_then(|line| line.last_error.clone()).is_some_and(|e| e.contains("already"))
    });
    assert_eq!(branch.status().sync[0].state, "connected");
}

#[test]
fn who_watches_sees_what_happens() {
    let head = Head::new();
    let branch = head.branch("berlin");
    let (sender, events) = std::sync::mpsc::channel();
    let watcher = head.node().client();
    std::thread::spawn(move || {
        let _ended = mytism_core::operation::Operations::call(&watcher, Request::Watch, &mut |reply| {
            sender.send(reply).map_err(|_| mytism_core::operation::Closed)
        });
    });
    std::thread::sleep(Duration::from_millis(300));
    save_order(&branch, 7);
    let mut seen = Vec::new();
    while let Ok(Reply::Event(event)) = events.recv_timeout(Duration::from_secs(10)) {
        seen.push(event.kind.clone());
        if event.kind == "accepted" {
            return;
        }
    }
    panic!("no transaction was accepted: {seen:?}");
}
