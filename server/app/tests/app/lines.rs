//! Lines between nodes, with the ends that real processes use and nothing in between: what becomes of copies, restored
//! databases and heads that were replaced.

use std::collections::{BTreeSet, VecDeque};

use mytism_app::App;
use mytism_core::change::Outcome;
use mytism_core::id::{NodeId, ObjectId};
use mytism_core::operation::{Reply, Request};
use mytism_core::time::Timestamp;
use mytism_format::entry;
use mytism_proto::PeerMessage;
use mytism_server::replica::{Errand, perform};
use mytism_sync::branch_end::BranchEnd;
use mytism_sync::head_end::HeadEnd;
use mytism_sync::{Effect, Violation};

use crate::world::{Node, change, head_office, new, text};

fn now() -> Timestamp {
    Timestamp::saturating_from_micros(1_795_404_600_000_000)
}

/// What was said on a line, by the kinds of its messages, and why it ended; nothing where both are quiet.
struct Line {
    said: BTreeSet<String>,
    end: Option<String>,
}

/// One line, until both sides are quiet or one ends it.
fn line(head: &Node, branch: &Node) -> Line {
    let (mut upper, mut lower) = (HeadEnd::new(), BranchEnd::new());
    let (mut up, mut down) = (VecDeque::new(), VecDeque::new());
    let mut said = BTreeSet::new();
    let mut effects = Vec::new();
    lower.start(&mut effects);
    let result = (|| -> Result<(), String> {
        work(branch, &mut effects, &mut up, |done, effects| lower.on_done(done, now(), effects))?;
        loop {
            let told = |violation: Violation| violation.code.to_owned();
            if let Some(message) = up.pop_front() {
                said.insert(kind(&message));
                upper.on_message(message, now(), &mut effects).map_err(told)?;
            } else if let Some(message) = down.pop_front() {
                said.insert(kind(&message));
                lower.on_message(message, now(), &mut effects).map_err(told)?;
                work(branch, &mut effects, &mut up, |done, effects| lower.on_done(done, now(), effects))?;
                continue;
            } else {
                let end = head.app.view().unwrap().head().unwrap().unwrap().position;
                upper.on_commit(end, &mut effects);
                if effects.is_empty() {
                    return Ok(());
                }
            }
            work(head, &mut effects, &mut down, |done, effects| upper.on_done(done, now(), effects))?;
            let end = head.app.view().unwrap().head().unwrap().unwrap().position;
            upper.on_commit(end, &mut effects);
            work(head, &mut effects, &mut down, |done, effects| upper.on_done(done, now(), effects))?;
        }
    })();
    Line { said, end: result.err() }
}

/// Carries out effects until there are none.
fn work(
    node: &Node,
    effects: &mut Vec<Effect>,
    out: &mut VecDeque<PeerMessage>,
    mut done: impl FnMut(mytism_sync::Done, &mut Vec<Effect>) -> Result<(), Violation>,
) -> Result<(), String> {
    while !effects.is_empty() {
        for effect in std::mem::take(effects) {
            match effect {
                Effect::Send(message) => out.push_back(message),
                Effect::Close => return Err("again".to_owned()),
                Effect::Do(job) => {
                    let errand = Errand { peer: PEER.get(), run: 1, id_reserve: 1_000 };
                    let result = perform(&node.app, &errand, job).map_err(|error| error.failure().code)?;
                    done(result, effects).map_err(|violation| violation.code.to_owned())?;
                }
            }
        }
    }
    Ok(())
}

thread_local! {
    /// Who is at the branch's end.
    static PEER: std::cell::Cell<NodeId> = const { std::cell::Cell::new(NodeId(0)) };
}

fn kind(message: &PeerMessage) -> String {
    format!("{message:?}").chars().take_while(char::is_ascii_alphanumeric).collect()
}

/// Lines one after the other until one stays, or none gets any further. Returns all that was said.
fn meet(head: &Node, branch: &Node) -> BTreeSet<String> {
    PEER.set(branch.app.identity().node);
    let mut said = BTreeSet::new();
    for _ in 0..8 {
        let line = line(head, branch);
        said.extend(line.said);
        match line.end {
            None => return said,
            Some(code) => drop(said.insert(code)),
        }
    }
    said
}

#[track_caller]
fn assert_in_step(nodes: &[&Node]) {
    for pair in nodes.windows(2) {
        assert_eq!(pair[0].everything(), pair[1].everything());
    }
}

fn city(node: &Node, id: ObjectId) -> String {
    node.rows(&format!("select c.City from Customer c where c.id = {id}")).join(";")
}

fn customer(node: &Node, key: &str, city: &str) -> ObjectId {
    node.make("Customer", &[("CustomerID", text(key)), ("City", text(city))]).unwrap()
}

fn move_to(node: &Node, id: ObjectId, city: &str) {
    node.save(vec![change(id, &[("City", text(city))])]).unwrap();
}

fn refusals(node: &Node) -> Vec<String> {
    node.app.view().unwrap().quarantine().unwrap().into_iter().map(|row| row.code).collect()
}

fn keys(node: &Node) -> Vec<String> {
    node.rows("select c.CustomerID from Customer c order by c.CustomerID")
}

#[test]
fn a_line_brings_both_in_step() {
    let head = head_office();
    let branch = head.branch("berlin");
    let id = customer(&head, "A", "Bonn");
    assert_eq!(head.app.go_without(vec!["berlin".into()]).unwrap_err().failure().code, "not-recovering");
    customer(&branch, "B", "Köln");
    let said = meet(&head, &branch);
    assert!(said.contains("Offer") && !said.contains("Renew"), "{said:?}");
    move_to(&branch, id, "Ulm");
    meet(&head, &branch);
    assert_eq!((city(&head, id), keys(&head)), ("Ulm".to_owned(), vec!["A".to_owned(), "B".to_owned()]));
    assert_in_step(&[&head, &branch]);
}

#[test]
fn an_older_copy_of_a_branch_gets_a_new_life_and_loses_nothing() {
    let head = head_office();
    let branch = head.branch("berlin");
    customer(&branch, "A", "Bonn");
    meet(&head, &branch);
    let copy = branch.older_copy();
    customer(&branch, "B", "Köln");
    meet(&head, &branch);
    drop(branch);
    // What the copy saves before it meets the head office has names that were used.
    customer(&copy, "C", "Ulm");
    customer(&copy, "D", "Ulm");
    let said = meet(&head, &copy);
    assert!(said.contains("Renew"), "{said:?}");
    assert_eq!(copy.app.identity().incarnation, 2);
    assert_eq!(keys(&head), ["A", "B", "C", "D"]);
    let ids: BTreeSet<String> = head.rows("select c.id from Customer c").into_iter().collect();
    assert_eq!(ids.len(), 4);
    assert_in_step(&[&head, &copy]);
    customer(&copy, "E", "Ulm");
    meet(&head, &copy);
    assert_in_step(&[&head, &copy]);
}

#[test]
fn one_backup_started_twice_is_two_lives() {
    let head = head_office();
    let branch = head.branch("berlin");
    customer(&branch, "A", "Bonn");
    meet(&head, &branch);
    let (one, other) = (branch.older_copy(), branch.older_copy());
    drop(branch);
    for (node, keys) in [(&one, ["B", "C"]), (&other, ["D", "E"])] {
        let first = customer(node, keys[0], "Bonn");
        customer(node, keys[1], "Bonn");
        // It depends on an object whose id both gave.
        move_to(node, first, keys[0]);
    }
    meet(&head, &one);
    meet(&head, &other);
    assert_eq!(keys(&head), ["A", "B", "C", "D", "E"]);
    assert_eq!(head.rows("select c.City from Customer c where c.City = c.CustomerID"), ["B", "D"]);
    meet(&head, &one);
    assert_in_step(&[&head, &other]);
    for round in 0..3 {
        customer(&one, &format!("one {round}"), "");
        customer(&other, &format!("other {round}"), "");
        meet(&head, &one);
        meet(&head, &other);
    }
    assert_eq!(keys(&head).len(), 11);
    meet(&head, &one);
    meet(&head, &other);
    assert_in_step(&[&head, &other]);
}

#[test]
fn a_restored_head_office_gets_back_what_its_branches_have() {
    let head = head_office();
    let (berlin, bonn) = (head.branch("berlin"), head.branch("bonn"));
    let id = customer(&head, "A", "Bonn");
    for branch in [&berlin, &bonn] {
        meet(&head, branch);
    }
    let old = head.older_copy();
    move_to(&head, id, "Ulm");
    customer(&berlin, "B", "Köln");
    meet(&head, &berlin);
    customer(&bonn, "C", "Köln");
    drop(head);

    let said = meet(&old, &berlin);
    assert!(said.contains("Recover") && said.contains("TailEnd") && said.contains("recovering"), "{said:?}");
    assert_eq!(old.app.missing_answers().unwrap(), ["bonn"]);
    let refused = old.save(vec![new("c", "Customer", &[("CustomerID", text("X"))])]);
    assert_eq!(refused.unwrap_err().code, "recovering");
    meet(&old, &bonn);
    assert!(!old.app.is_recovering());
    let position = old.app.view().unwrap().head().unwrap().unwrap().position;
    assert_eq!((position.epoch, old.app.identity().incarnation), (2, 2));
    customer(&old, "D", "Köln");
    for branch in [&berlin, &bonn, &berlin] {
        meet(&old, branch);
    }
    assert_eq!((city(&old, id), keys(&old)), ("Ulm".to_owned(), ["A", "B", "C", "D"].map(str::to_owned).to_vec()));
    assert_in_step(&[&old, &berlin, &bonn]);
}

#[test]
fn nobody_waits_for_a_branch_that_has_come_already() {
    let head = head_office();
    let (berlin, bonn) = (head.branch("berlin"), head.branch("bonn"));
    for branch in [&berlin, &bonn] {
        meet(&head, branch);
    }
    let old = head.older_copy();
    customer(&head, "A", "Bonn");
    meet(&head, &berlin);
    drop(head);
    // Nothing is amiss as far as this one knows; its line stays.
    meet(&old, &bonn);
    meet(&old, &berlin);
    assert!(!old.app.is_recovering(), "{:?}", old.app.missing_answers());
    meet(&old, &bonn);
    assert_in_step(&[&old, &berlin, &bonn]);
}

#[test]
fn who_comes_late_hands_in_what_the_head_office_went_without() {
    let head = head_office();
    let (berlin, bonn) = (head.branch("berlin"), head.branch("bonn"));
    for branch in [&berlin, &bonn] {
        meet(&head, branch);
    }
    let old = head.older_copy();
    let own = customer(&head, "A", "Bonn");
    meet(&head, &berlin);
    customer(&berlin, "B", "Köln");
    meet(&head, &berlin);
    drop(head);
    let asked = |begin: bool, without: &[&str]| {
        let without = without.iter().map(|name| (*name).to_owned()).collect();
        old.call(Request::Recover { begin, without }).map_err(|failure| failure.code)
    };
    let told = |waits: bool, missing: &[&str], epoch: u32| {
        let missing = missing.iter().map(|name| (*name).to_owned()).collect();
        Ok(vec![Reply::Recovery { waits, missing, epoch }])
    };
    assert_eq!(asked(false, &[]), told(false, &[], 1));
    assert_eq!(asked(true, &[]), told(true, &["berlin", "bonn"], 1));
    meet(&old, &bonn);
    assert_eq!(asked(true, &[]), told(true, &["berlin"], 1));
    let status = old.app.status().unwrap();
    assert_eq!((status.state.as_deref(), status.waits_for), (Some("recovering"), Some(vec!["berlin".to_owned()])));
    assert_eq!(old.app.go_without(vec!["köln".into()]).unwrap_err().failure().code, "unknown-node");
    assert_eq!(asked(false, &["berlin"]), told(false, &[], 2));
    assert_eq!(asked(false, &["berlin"]), Err("not-recovering".to_owned()));
    assert_eq!(old.app.status().unwrap().state.as_deref(), Some("ruling"));
    let other = customer(&old, "C", "Köln");
    assert_ne!(own, other, "an id that was given in the lost part is not given again");
    customer(&bonn, "D", "Köln");
    meet(&old, &bonn);
    // What it saved without a line builds on the lost part.
    move_to(&berlin, own, "Ulm");
    let said = meet(&old, &berlin);
    assert!(said.contains("RollBack"), "{said:?}");
    assert_eq!((city(&old, own), keys(&old)), ("Ulm".to_owned(), ["A", "B", "C", "D"].map(str::to_owned).to_vec()));
    meet(&old, &bonn);
    assert_in_step(&[&old, &berlin, &bonn]);
}

#[test]
fn a_head_office_that_went_on_from_a_backup_keeps_both_sides() {
    let head = head_office();
    let berlin = head.branch("berlin");
    meet(&head, &berlin);
    let old = head.older_copy();
    let lost = customer(&head, "A", "Bonn");
    meet(&head, &berlin);
    drop(head);
    // Nothing told it that it is an older copy, so it gave the same names, and saved.
    customer(&old, "B", "Köln");
    let said = meet(&old, &berlin);
    assert!(said.contains("Recover") && said.contains("RollBack"), "{said:?}");
    assert_eq!(keys(&old), ["A", "B"]);
    assert_in_step(&[&old, &berlin]);
    let _there_or_anew = lost;
}

#[test]
fn a_promoted_branch_fences_the_old_head_office() {
    let head = head_office();
    let (berlin, bonn) = (head.branch("berlin"), head.branch("bonn"));
    let id = customer(&head, "A", "Bonn");
    for branch in [&berlin, &bonn] {
        meet(&head, branch);
    }
    customer(&head, "only the old one has it", "Bonn");
    customer(&bonn, "B", "Köln");
    meet(&head, &bonn);
    customer(&berlin, "C", "Köln");
    berlin.app.promote().unwrap();
    assert_eq!(berlin.app.promote().unwrap_err().failure().code, "authoritative-already");
    assert_eq!(keys(&berlin), ["A", "C"]);
    let key = |app: &App| app.known_number(NodeId(1)).unwrap().unwrap().public_key;
    assert_eq!(key(&berlin.app), "");
    for noted in ["aa", "bb"] {
        berlin.app.note_former_head_office(noted).unwrap();
        assert_eq!(key(&berlin.app), "aa", "it is noted once");
    }

    let said = meet(&berlin, &bonn);
    assert!(said.contains("RollBack"), "{said:?}");
    assert!(keys(&berlin).contains(&"B".to_owned()));
    // The old one meets somebody who knows better.
    meet(&head, &bonn);
    let refused = head.save(vec![change(id, &[("City", text("X"))])]);
    assert_eq!(refused.unwrap_err().code, "deposed");
    assert!(meet(&head, &bonn).contains("deposed"));
    head.app.abdicate().unwrap();
    assert_eq!(head.app.abdicate().unwrap_err().failure().code, "branch-already");
    meet(&berlin, &head);
    meet(&berlin, &bonn);
    assert_in_step(&[&berlin, &bonn, &head]);
    // What only the old one had is there to be looked through.
    assert_eq!(refusals(&berlin), ["deposed"]);
    move_to(&head, id, "Ulm");
    meet(&berlin, &head);
    assert_eq!(city(&berlin, id), "Ulm");
}

#[test]
fn what_a_branch_got_before_a_promotion_is_merged_by_what_its_author_saw() {
    let head = head_office();
    let (berlin, bonn) = (head.branch("berlin"), head.branch("bonn"));
    let id = customer(&head, "A", "Bonn");
    for branch in [&berlin, &bonn] {
        meet(&head, branch);
    }
    move_to(&bonn, id, "Ulm");
    meet(&head, &bonn);
    drop(head);
    // The author of the next change saw Ulm, in a history that ends with the old reign.
    move_to(&bonn, id, "Trier");
    berlin.app.promote().unwrap();
    move_to(&berlin, id, "Jena");
    meet(&berlin, &bonn);
    assert_in_step(&[&berlin, &bonn]);
    assert_eq!(city(&berlin, id), "Jena", "the head office's value stays");
    let conflicts = berlin.call(Request::Conflicts).unwrap();
    let others = conflicts.iter().map(|reply| match reply {
        Reply::Conflict(line) => line.other.clone(),
        other => panic!("{other:?}"),
    });
    assert_eq!(others.collect::<Vec<_>>(), ["Ulm", "Trier"]);
}

#[test]
fn a_plain_save_has_a_plain_outcome() {
    let head = head_office();
    let branch = head.branch("berlin");
    customer(&branch, "A", "Bonn");
    meet(&head, &branch);
    let row = head.app.view().unwrap().log_after(0, 1_000, usize::MAX).unwrap().pop().unwrap();
    assert_eq!(entry::read(row.entry).unwrap().entry.outcome, Outcome::PLAIN);
}
