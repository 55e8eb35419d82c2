//! A head office that is put back from an older copy, or replaced, and begins a new reign.

use mytism_app::ArrivingEntry;
use mytism_core::change::{Change, Life, Slot, Transaction};
use mytism_core::id::{BlockId, ObjectId, Position, TransactionId, system};
use mytism_core::value::Value;
use mytism_format::hash::Secret;
use mytism_format::transaction;

use crate::world::{Node, change, head_office, text, to};

fn region(node: &Node, name: &str) -> ObjectId {
    node.make("Region", &[("RegionDescription", text(name))]).unwrap()
}

fn rename(node: &Node, id: ObjectId, name: &str) {
    node.save(vec![change(id, &[("RegionDescription", text(name))])]).unwrap();
}

fn names(node: &Node) -> Vec<String> {
    node.rows("select RegionDescription from Region order by RegionDescription")
}

/// Lets a branch forget what the head office does not have, as they find out when they meet.
fn meet(head: &Node, branch: &Node) {
    let (theirs, ours) = (head.app.view().unwrap(), branch.app.view().unwrap());
    let mut number = theirs.head().unwrap().unwrap().position.number.min(ours.head().unwrap().unwrap().position.number);
    let hash = |view: &dyn mytism_store::View, number| view.log_row(number).unwrap().unwrap().hash;
    while hash(&*theirs, number) != hash(&*ours, number) {
        number -= 1;
    }
    let row = ours.log_row(number).unwrap().unwrap();
    let epoch = ours.head().unwrap().unwrap().position.epoch;
    drop((theirs, ours));
    head.app.note_parted(branch.app.identity().node, epoch, row.position).unwrap();
    branch.app.roll_back(row.position, row.hash).unwrap();
}

/// Exchanges all.
fn settle(head: &Node, branch: &Node) {
    head.hand_down_whole(branch);
    head.exchange(branch);
    assert_eq!(branch.app.view().unwrap().pending_count().unwrap(), 0);
}

#[test]
fn what_a_head_office_lost_comes_back_from_its_branches() {
    let head = head_office();
    let (one, other) = (head.branch("rostock"), head.branch("ulm"));
    let id = region(&head, "Nord");
    [&one, &other].into_iter().for_each(|branch| head.exchange(branch));
    let backup = head.older_copy();
    rename(&head, id, "Nordsee");
    region(&head, "by the head office");
    region(&one, "by one");
    head.exchange(&one);
    region(&other, "by the other");
    head.exchange(&other);
    region(&other, "by the other, not handed up");
    head.exchange(&one);
    let seen = names(&one);
    drop(head);
    let head = backup;
    assert_eq!(head.app.new_reign(2).unwrap().epoch, 2);
    assert_eq!(head.app.identity().incarnation, 2);
    let fresh = region(&head, "of the new reign");
    assert_eq!(BlockId::of(fresh).reign(), 1);
    [&one, &other].into_iter().for_each(|branch| meet(&head, branch));
    assert_eq!(names(&one), seen, "users see what they saw");
    settle(&head, &one);
    settle(&head, &other);
    head.hand_down_whole(&one);
    assert_eq!(one.everything(), head.everything());
    assert_eq!(other.everything(), head.everything());
    let all = names(&head);
    for name in
        ["Nordsee", "by the head office", "by one", "by the other", "by the other, not handed up", "of the new reign"]
    {
        assert!(all.contains(&name.to_owned()), "{name} is missing in {all:?}");
    }
    let reigns: Vec<u32> =
        head.app.view().unwrap().log_after(0, 100, usize::MAX).unwrap().iter().map(|row| row.position.epoch).collect();
    assert!(reigns.is_sorted() && reigns.contains(&1) && reigns.contains(&2), "{reigns:?}");
}

#[test]
fn an_id_of_the_lost_part_may_stand_for_a_record_of_a_conflict_by_now() {
    let head = head_office();
    let [one, other, third, fourth] = ["rostock", "ulm", "jena", "goslar"].map(|name| head.branch(name));
    let id = region(&head, "Nord");
    [&one, &other, &third, &fourth].into_iter().for_each(|branch| head.exchange(branch));
    let restored = head.older_copy();
    // Ids go on where those end that its database keeps, as after a crash.
    let head = head.older_copy();
    let lost = region(&head, "lost");
    [&one, &fourth].into_iter().for_each(|branch| head.exchange(branch));
    drop(head);
    // Both build upon it; what the last one saves refers to what one of them made.
    rename(&one, lost, "lost and found");
    let order = |branch: &Node, name| {
        let values = [("TerritoryID", text(name)), ("TerritoryDescription", text(name)), ("Region", to(lost))];
        branch.make("Territory", &values).unwrap()
    };
    order(&fourth, "4");
    // It has not noticed, and decides on what those bring who had not seen the lost part.
    rename(&other, id, "Norden");
    rename(&third, id, "Nordsee");
    [&other, &third].into_iter().for_each(|branch| restored.exchange(branch));
    assert_eq!(restored.rows("from SyncConflict").len(), 1);
    assert_eq!(restored.app.view().unwrap().object(lost).unwrap().map(|object| object.id), Some(lost));
    restored.app.new_reign(2).unwrap();
    meet(&restored, &one);
    assert_eq!(names(&one), ["Nord", "lost and found"], "users see what they saw");
    settle(&restored, &one);
    assert_eq!(names(&restored), ["Norden", "lost and found"]);
    assert_eq!(one.everything(), restored.everything());
    // Who brings the same once more brings nothing new.
    meet(&restored, &fourth);
    settle(&restored, &fourth);
    assert_eq!(names(&restored), ["Norden", "lost and found"]);
    assert_eq!(restored.rows("select t.Region.RegionDescription from Territory t"), ["lost and found"]);
    assert_eq!(fourth.everything(), restored.everything());
}

#[test]
fn a_block_of_ids_that_was_given_twice_loses_nothing() {
    let head = head_office();
    let [one, other] = ["rostock", "ulm"].map(|name| head.branch(name));
    let restored = head.older_copy();
    let renew = |head: &Node, branch: &Node| {
        let identity = branch.app.identity();
        branch.app.renew(identity.incarnation + 1, vec![head.app.give_block(identity.node).unwrap()]).unwrap();
    };
    renew(&head, &one);
    let first = region(&one, "by one");
    head.exchange(&one);
    renew(&restored, &other);
    assert_eq!(region(&other, "by the other"), first);
    restored.app.new_reign(2).unwrap();
    restored.hand_down(&other);
    meet(&restored, &one);
    restored.hand_down(&one);
    let offered = |branch: &Node| -> Vec<Vec<u8>> {
        let rows = branch.app.view().unwrap().pending_after(i64::MIN, 100, usize::MAX).unwrap();
        rows.into_iter().map(|row| row.bytes).collect()
    };
    let mine = offered(&one);
    restored.exchange(&other);
    // Its offer was under way.
    let refused = restored.app.admit(one.app.identity().node, mine).unwrap_err();
    assert_eq!(refused.failure().code, "forked-transaction");
    renew(&restored, &one);
    settle(&restored, &one);
    restored.hand_down_whole(&other);
    assert_eq!(names(&restored), ["by one", "by the other"]);
    [&one, &other].into_iter().for_each(|branch| assert_eq!(branch.everything(), restored.everything()));
}

#[test]
fn a_block_that_the_other_one_has_not_used_is_no_reason_to_refuse() {
    let head = head_office();
    let [one, other] = ["rostock", "ulm"].map(|name| head.branch(name));
    let restored = head.older_copy();
    let block = |head: &Node, branch: &Node| head.app.give_block(branch.app.identity().node).unwrap();
    let given = block(&head, &one);
    one.app.renew(2, vec![given]).unwrap();
    region(&one, "by one");
    head.exchange(&one);
    assert_eq!(block(&restored, &other), given);
    restored.app.new_reign(2).unwrap();
    meet(&restored, &one);
    settle(&restored, &one);
    assert_eq!(names(&restored), ["by one"]);
    assert!(restored.app.view().unwrap().quarantine().unwrap().is_empty());
}

#[test]
fn what_an_author_saw_counts_only_as_far_as_it_is_history() {
    let head = head_office();
    let branch = head.branch("rostock");
    let id = region(&head, "Nord");
    head.exchange(&branch);
    let backup = head.older_copy();
    for number in 0..5 {
        region(&head, &format!("lost {number}"));
    }
    head.exchange(&branch);
    // By its number the base lies behind what the new reign does.
    rename(&branch, id, "Norden");
    backup.app.new_reign(2).unwrap();
    rename(&backup, id, "Nordsee");
    meet(&backup, &branch);
    settle(&backup, &branch);
    assert_eq!(backup.rows("from SyncConflict").len(), 1, "the author could not know of the other value");
    let name = |node: &Node| node.app.view().unwrap().object(id).unwrap().unwrap().slots;
    assert!(name(&backup).iter().any(|(_, value)| value.text() == Some("Nordsee")));
    assert_eq!(branch.everything(), backup.everything());
}

#[test]
fn only_what_was_before_the_reign_may_be_offered_by_others() {
    let head = head_office();
    let (one, other) = (head.branch("rostock"), head.branch("ulm"));
    region(&one, "by one");
    let offered: Vec<Vec<u8>> = one
        .app
        .view()
        .unwrap()
        .pending_after(i64::MIN, 9, usize::MAX)
        .unwrap()
        .into_iter()
        .map(|row| row.bytes)
        .collect();
    let by_other = |offered: &[Vec<u8>]| head.app.admit(other.app.identity().node, offered.to_vec());
    assert_eq!(by_other(&offered).unwrap_err().failure().code, "foreign-transaction");
    head.app.new_reign(2).unwrap();
    by_other(&offered).unwrap();
    by_other(&offered).unwrap();
    assert_eq!(names(&head), ["by one"]);
    head.hand_down(&one);
    assert_eq!(one.everything(), head.everything());
    region(&one, "later");
    let later: Vec<Vec<u8>> = one
        .app
        .view()
        .unwrap()
        .pending_after(i64::MIN, 9, usize::MAX)
        .unwrap()
        .into_iter()
        .map(|row| row.bytes)
        .collect();
    assert_eq!(by_other(&later).unwrap_err().failure().code, "foreign-transaction");
}

#[test]
fn a_reign_is_above_the_one_before() {
    let head = head_office();
    let branch = head.branch("rostock");
    let refused = |node: &Node, epoch| node.app.new_reign(epoch).unwrap_err().failure().code;
    assert_eq!([refused(&head, 0), refused(&head, 1)], ["not-authoritative"; 2]);
    assert_eq!(refused(&branch, 2), "not-authoritative");
    assert_eq!(refused(&head, 1_025), "out-of-ids");
    let end = head.app.new_reign(5).unwrap();
    assert_eq!(refused(&head, 5), "not-authoritative");
    head.hand_down_whole(&branch);
    assert_eq!(branch.app.view().unwrap().head().unwrap().unwrap().position, end);
    let block = head.app.give_block(branch.app.identity().node).unwrap();
    assert_eq!(block.reign(), 4, "of this reign from now on");
    let head = head.older_copy();
    assert_eq!(head.app.identity().incarnation, 5, "no reign between had this life");
    assert_eq!((branch.app.identity().incarnation, BlockId::of(region(&head, "Nord")).reign()), (1, 4));
    assert_eq!(head.app.status().unwrap().epoch, 5);
}

/// What comes of a transaction of a branch that makes an object in a block that was never given to anybody.
fn made_in(head: &Node, branch: &Node, block: BlockId, epoch: u32) -> Option<String> {
    let identity = branch.app.identity();
    let entity = head.app.schema().entity("Region").unwrap();
    let attribute = entity.member("RegionDescription").unwrap().id;
    let counter = head.app.view().unwrap().last_counter(identity.node, identity.incarnation).unwrap() + 1;
    let object = ObjectId::new(block.range().0 + 70).unwrap();
    let change = |slot, new| Change { object, entity: entity.id, slot, old: Value::Null, new };
    let made = Transaction {
        id: TransactionId { node: identity.node, incarnation: identity.incarnation, counter },
        base: Position { epoch, number: 2 },
        author: system::USER_ADMIN,
        time: mytism_core::time::Timestamp::from_micros(5).unwrap(),
        clock_offset_micros: None,
        description: String::new(),
        run: None,
        schema: None,
        changes: vec![
            change(Slot::LIFE, Life::Alive.value()),
            change(Slot::attribute(attribute), Value::Text(format!("r{}", object.get()))),
        ],
    };
    let bytes = transaction::write(made, &Secret([1; 32])).unwrap().bytes;
    head.app.admit(identity.node, vec![bytes]).unwrap();
    let view = head.app.view().unwrap();
    let end = view.head().unwrap().unwrap().position.number;
    view.quarantine().unwrap().into_iter().find(|row| row.number == end).map(|row| row.code)
}

#[test]
fn blocks_of_former_reigns_are_taken_from_anybody() {
    let head = head_office();
    let branch = head.branch("rostock");
    let block = |epoch, running| BlockId::new(epoch, running).unwrap();
    let foreign = Some("foreign-id".to_owned());
    assert_eq!(made_in(&head, &branch, block(0, 900), 1), foreign);
    head.app.new_reign(2).unwrap();
    assert_eq!(made_in(&head, &branch, block(0, 900), 1), None);
    assert_eq!(made_in(&head, &branch, block(1, 900), 1), foreign, "the present one knows its blocks");
    assert_eq!(made_in(&head, &branch, block(0, 16), 1), None, "who was put back may have given it to somebody else");
    assert_eq!(made_in(&head, &branch, block(0, 3), 1), foreign, "these are the system's");
    assert_eq!(made_in(&head, &branch, block(0, 901), 3), Some("impossible-base".to_owned()));
    let entries = head.app.view().unwrap().log_after(0, 100, usize::MAX).unwrap();
    let entries = entries.into_iter().map(|row| ArrivingEntry { entry: row.entry, transaction: Some(row.bytes) });
    branch.app.apply(entries.collect()).unwrap();
    assert_eq!(branch.everything(), head.everything());
}
