//! Random batches on both engines: every question gets the same answer.

use std::fmt::Write as _;

use mytism_core::id::{AttributeId, EntityId, NodeId, system};
use mytism_core::value::Value;
use mytism_disk_under_test::Dice;
use mytism_store::{View, transfer};
use mytism_testkit::PostgresServer;

use crate::place::{Place, at, id, sorted};
use crate::work::{Writer, schema};

/// The answers of all questions that can be asked.
fn look(view: &dyn View, city: (EntityId, AttributeId), members: AttributeId) -> String {
    let mut told = String::new();
    let mut tell = |what: &str, answer: String| writeln!(told, "{what} {answer}").unwrap();
    tell("head", format!("{:?} {:?}", view.head(), view.log_begin()));
    tell("log", format!("{:?}", view.log_after(3, 1_000, usize::MAX)));
    tell("part", format!("{:?} {:?}", view.log_after(0, 9, 2_000), view.log_before(30, 9, 2_000)));
    tell("places", format!("{:?} {:?}", view.position_at(at(5)), view.later_reign(0)));
    tell("lives", format!("{:?} {:?}", view.last_counter(NodeId(2), 1), view.last_incarnation(NodeId(1))));
    tell("marks", format!("{:?}", view.log_marks(0, 1_000)));
    tell("pending", format!("{:?} {:?}", view.pending_after(i64::MIN, 1_000, usize::MAX), view.pending_ends()));
    tell("some", format!("{:?} {:?}", view.pending_after(-4, 9, 9_000), view.pending_count()));
    for object in view.pending_objects(0, 1_000).unwrap() {
        tell("touched", format!("{object} {:?} {:?}", view.pending_of(object), view.underlay(object)));
    }
    tell("refused", format!("{:?}", view.quarantine()));
    let objects = view.objects_after(0, 1_000).unwrap();
    for object in &objects {
        tell("history", format!("{:?} {:?}", view.history_after(object.id, 2), view.last_change(object.id, 20)));
        tell("one", format!("{:?}", view.object(object.id).map(|found| found.map(sorted))));
    }
    tell("objects", format!("{:?} {:?}", objects.into_iter().map(sorted).collect::<Vec<_>>(), view.object_count()));
    let of: Vec<_> = view.objects_of(city.0, 70_004, 9).unwrap().into_iter().map(sorted).collect();
    tell("of", format!("{of:?}"));
    tell("noted", format!("{:?}", view.history_rows((70_003, 1), 500)));
    tell("kept", format!("{:?}", view.kept()));
    tell("set", format!("{:?}", view.elements(members, system::GROUP_ADMINS)));
    for length in 0..40 {
        let text = Value::Text("x".repeat(length));
        tell("find", format!("{:?}", view.find(city.0, city.1, &text, 3)));
    }
    tell("element", format!("{:?}", view.is_element(members, system::GROUP_ADMINS, id(70_001))));
    told
}

#[test]
fn both_engines_answer_alike() {
    let Some(server) = PostgresServer::shared() else { return };
    let schema = schema(tempfile::tempdir().unwrap().path());
    let customer = schema.entity("Customer").unwrap();
    let city = (customer.id, customer.member("City").unwrap().id);
    let members = schema.entity("Group").unwrap().member("Members").unwrap().id;
    for seed in 1..4 {
        let both = [None, Some(server.database())].map(|address| Place::with(address, std::sync::Arc::clone(&schema)));
        let [mut one, mut other] = both;
        let mut dice = Dice::new(seed);
        let mut writer = Writer::new(&schema, 5_000);
        for round in 0..60 {
            let batch = writer.next(&mut dice);
            one.commit(batch.clone());
            other.commit(batch);
            if round % 20 == 19 {
                one.reopen();
                other.reopen();
            }
            if round % 5 == 4 {
                let (one, other) = (look(&*one.view(), city, members), look(&*other.view(), city, members));
                for (left, right) in one.lines().zip(other.lines()) {
                    assert_eq!(left, right, "seed {seed}, round {round}");
                }
                assert_eq!(one, other);
            }
        }
        let content = |place: &Place| transfer::content(&*place.view(), &mut |_, _| {}).unwrap();
        assert_eq!(content(&one), content(&other));
    }
}
