//! What becomes of edits of one attribute at three branches, by each rule for conflicts and in whatever order the lines
//! come back; and settling what was noted.

use mytism_core::failure::Failure;
use mytism_core::id::ObjectId;
use mytism_core::operation::{ConflictLine, Input, Reply, Request, Saved};

use crate::two_nodes::equal;
use crate::world::{Node, change, delete, head_office_with};

const SCHEMA: &str = "<Schema name='rules' version='1'><Include file='core.xml'/>
    <Entity name='Part' conflict='branch'>
      <Attribute name='Own' type='string'/>
      <Attribute name='Head' type='string' conflict='authoritative'/>
      <Attribute name='Later' type='string' conflict='later'/>
      <Attribute name='Stock' type='integer' conflict='sum'/>
      <Attribute name='Weight' type='decimal(4,2)' conflict='sum'/>
    </Entity></Schema>";

const ORDERS: [[usize; 3]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];

fn conflicts(node: &Node) -> Vec<ConflictLine> {
    let lines = node.call(Request::Conflicts).unwrap().into_iter();
    lines.map(|reply| if let Reply::Conflict(line) = reply { line } else { panic!("{reply:?}") }).collect()
}

fn resolve(node: &Node, conflict: ObjectId, take_other: bool) -> Result<Saved, Failure> {
    match node.call(Request::ResolveConflict { conflict, take_other })?.pop() {
        Some(Reply::Saved(saved)) => Ok(saved),
        other => panic!("{other:?}"),
    }
}

fn number(text: &str) -> Input {
    Input::Number(text.into())
}

/// Three branches set an attribute three times each, in turns, and meet the head office in an order.
fn healed(attribute: &str, values: [[&str; 3]; 3], order: [usize; 3]) -> (Node, Vec<Node>, ObjectId) {
    let head = head_office_with(SCHEMA);
    let part = head.make("Part", &[("Stock", number("10")), ("Weight", number("1"))]).unwrap();
    let branches: Vec<Node> = ["bonn", "berlin", "trier"].iter().map(|name| head.branch(name)).collect();
    for branch in &branches {
        head.exchange(branch);
    }
    for edit in 0..3 {
        for (branch, values) in branches.iter().zip(values) {
            branch.save(vec![change(part, &[(attribute, Input::Text(values[edit].into()))])]).unwrap();
        }
    }
    for index in order {
        head.exchange(&branches[index]);
    }
    for branch in &branches {
        head.exchange(branch);
        equal(&head, branch);
    }
    (head, branches, part)
}

const NAMES: [[&str; 3]; 3] = [["a1", "a2", "a3"], ["b1", "b2", "b3"], ["c1", "c2", "c3"]];

#[track_caller]
fn check(attribute: &str, order: [usize; 3], expected: &str, rule: &str, mut others: Vec<&str>) {
    let (head, branches, _) = healed(attribute, NAMES, order);
    assert_eq!(head.rows(&format!("select p.{attribute} from Part p")), [expected], "{attribute} {order:?}");
    for node in branches.iter().chain([&head]) {
        let lines = conflicts(node);
        assert!(lines.iter().all(|line| line.rule == rule && line.attribute == attribute), "{lines:?}");
        let mut found: Vec<&str> = lines.iter().map(|line| line.other.as_str()).collect();
        found.sort_unstable();
        others.sort_unstable();
        assert_eq!(found, others, "{attribute} {order:?}");
        let by = |who: &str| ["bonn", "berlin", "trier"][usize::from(who.as_bytes()[0] - b'a')];
        for line in &lines {
            assert!(line.other_by.contains(by(&line.other)), "{line:?}");
            assert!(line.kept_by.contains(by(&line.kept)), "{line:?}");
        }
    }
}

#[test]
fn what_the_head_office_has_stays_in_every_order() {
    for order in ORDERS {
        let [first, rest @ ..] = order;
        let lost = rest.iter().flat_map(|index| NAMES[*index]).collect();
        check("Head", order, NAMES[first][2], "authoritative", lost);
    }
}

#[test]
fn the_last_to_arrive_wins_in_every_order() {
    for order in ORDERS {
        let lost = order[..2].iter().map(|index| NAMES[*index][2]).collect();
        check("Own", order, NAMES[order[2]][2], "branch", lost);
    }
}

#[test]
fn the_later_value_wins_in_every_order() {
    for order in ORDERS {
        // The last edit in turns is that of the third branch; what is set aside depends on who came when.
        let (mut stands, mut lost) = (None::<usize>, Vec::new());
        for index in order {
            for edit in 0..3 {
                let place = edit * 3 + index;
                let name = |place: usize| NAMES[place % 3][place / 3];
                match stands {
                    None => stands = Some(place),
                    Some(other) if other % 3 == index => stands = Some(place),
                    Some(other) if place > other => {
                        lost.push(name(other));
                        stands = Some(place);
                    }
                    Some(_) => lost.push(name(place)),
                }
            }
        }
        check("Later", order, "c3", "later", lost);
    }
}

#[test]
fn both_differences_count_in_every_order() {
    // -3, +10 and -3 again: the first and the last take the same, and both have taken it.
    let values = [["9", "8", "7"], ["12", "15", "20"], ["9", "8", "7"]];
    for order in ORDERS {
        let (head, branches, _) = healed("Stock", values, order);
        for node in branches.iter().chain([&head]) {
            assert_eq!(node.rows("select p.Stock from Part p"), ["14"], "{order:?}");
            assert!(conflicts(node).is_empty());
        }
    }
}

#[test]
fn a_sum_that_does_not_fit_is_a_conflict() {
    let values = [["50", "60", "70"], ["40", "50", "60"], ["1", "1.5", "2"]];
    let (head, ..) = healed("Weight", values, [0, 1, 2]);
    // 70 stands; 39 more have no place in it. The next two steps of 10 each and the 1 of the third branch have.
    assert_eq!(head.rows("select p.Weight from Part p"), ["91.00"]);
    let rules: Vec<_> = conflicts(&head).into_iter().map(|line| (line.other, line.rule)).collect();
    assert_eq!(rules, [("40.00".to_owned(), "authoritative".to_owned())]);
}

#[test]
fn the_other_value_is_taken_everywhere() {
    for (attribute, expected) in [("Head", "c2"), ("Own", "a3")] {
        let (head, branches, _) = healed(attribute, NAMES, [0, 1, 2]);
        let wanted = conflicts(&head).into_iter().find(|line| line.other == expected).unwrap();
        let saved = resolve(&branches[1], wanted.id, true).unwrap();
        assert!(saved.pending);
        for node in branches.iter().chain(&branches) {
            head.exchange(node);
        }
        for branch in &branches {
            equal(&head, branch);
        }
        assert_eq!(head.rows(&format!("select p.{attribute} from Part p")), [expected]);
        assert!(conflicts(&head).iter().all(|line| line.id != wanted.id));
        assert_eq!(resolve(&head, wanted.id, false).unwrap_err().code, "conflict-settled");
    }
}

#[test]
fn what_cannot_be_settled_is_told() {
    let (head, _, part) = healed("Head", NAMES, [0, 1, 2]);
    assert_eq!(resolve(&head, part, false).unwrap_err().code, "unknown-conflict");
    let [first, second, ..] = &conflicts(&head)[..] else { panic!("two conflicts") };
    resolve(&head, first.id, false).unwrap();
    assert_eq!(head.rows("select p.Head from Part p"), ["a3"]);
    head.save(vec![delete(part)]).unwrap();
    assert_eq!(resolve(&head, second.id, true).unwrap_err().code, "conflict-object-deleted");
    resolve(&head, second.id, false).unwrap();
}

#[test]
fn a_deletion_can_be_taken_after_all() {
    let head = head_office_with(SCHEMA);
    let part = head.make("Part", &[]).unwrap();
    let branch = head.branch("bonn");
    branch.save(vec![delete(part)]).unwrap();
    head.save(vec![change(part, &[("Own", Input::Text("used".into()))])]).unwrap();
    head.exchange(&branch);
    let [line] = &conflicts(&branch)[..] else { panic!("one conflict") };
    resolve(&branch, line.id, true).unwrap();
    head.exchange(&branch);
    equal(&head, &branch);
    assert!(head.rows("select p.Own from Part p").is_empty());
}
