//! Objects, log, journal, pending transactions: what was committed is there, whole, and stays.

use mytism_core::blob::Blob;
use mytism_core::change::{Life, Slot};
use mytism_core::float::Float;
use mytism_core::id::EnumId;
use mytism_core::journal::Cause;
use mytism_core::time::{Date, TimeOfDay};
use mytism_core::value::Value;
use mytism_store::{JournalRow, PendingRow, QuarantineRow, Write};

use crate::place::*;

crate::on_each_engine!(
    a_batch_is_there_whole_or_not_at_all,
    views_stay_as_they_are_while_others_commit,
    values_of_every_kind_come_back,
    objects_change_and_go,
    sets_hold_each_element_once,
    the_log_is_read_from_both_ends,
    an_entry_that_is_taken_back_leaves_nothing,
    places_in_the_log_are_found_by_time_and_by_reign,
    pending_transactions_have_an_order,
    history_is_kept_by_object,
    the_journal_is_read_in_parts_and_trimmed,
    mending_puts_things_in_their_place,
    one_process_at_a_time,
    there_is_one_database_in_a_place,
);

fn text(text: &str) -> Value {
    Value::from(text)
}

fn decimal(text: &str) -> Value {
    Value::Decimal(text.parse().unwrap())
}

/// D-11
fn a_batch_is_there_whole_or_not_at_all(place: &mut Place) {
    place.commit(vec![Write::Insert(Box::new(object(ORDER, 5, &[(GROUP, text("a"))])))]);
    let change = |number| Write::Update {
        object: id(number),
        entity: ORDER,
        meta: meta(None, Life::Alive),
        columns: vec![(GROUP, text("b"))],
    };
    let bad = vec![
        Write::Log(entry(1, 1, 10)),
        change(5),
        Write::Insert(Box::new(object(SELECT, 6, &[]))),
        change(99),
        Write::Put { key: "k", value: vec![1] },
    ];
    assert_eq!(place.store().commit(&bad).unwrap_err().failure().code, "database-damaged");
    let again = vec![Write::Put { key: "k", value: vec![1] }, Write::Insert(Box::new(object(SELECT, 5, &[])))];
    assert!(place.store().commit(&again).is_err());
    for _ in 0..2 {
        let view = place.view();
        assert_eq!(view.head().unwrap(), None);
        assert_eq!(view.object_count().unwrap(), 1);
        assert_eq!(view.object(id(5)).unwrap().unwrap().get(Slot::attribute(GROUP)), text("a"));
        assert_eq!(view.get("k").unwrap(), None);
        drop(view);
        place.reopen();
    }
    // And nothing of it keeps the next one from being there.
    place.commit(vec![change(5), Write::Log(entry(1, 1, 10))]);
    assert_eq!(place.view().head().unwrap().unwrap().position.number, 1);
}

/// D-12: what a follower reads from is one state.
fn views_stay_as_they_are_while_others_commit(place: &mut Place) {
    place.commit(vec![Write::Insert(Box::new(object(ORDER, 5, &[(GROUP, text("a"))])))]);
    let before = place.view();
    place.commit(vec![
        Write::Insert(Box::new(object(ORDER, 6, &[]))),
        Write::Log(entry(1, 1, 10)),
        Write::Remove { object: id(5), entity: ORDER },
    ]);
    assert_eq!(before.head().unwrap(), None);
    assert!(before.object(id(5)).unwrap().is_some());
    assert_eq!(before.object(id(6)).unwrap(), None);
    let after = place.view();
    assert_eq!(after.object(id(5)).unwrap(), None);
    assert_eq!(after.head().unwrap().unwrap().position.number, 1);
}

/// formats.md, "Values": at their edges, in the same form in which they went in.
fn values_of_every_kind_come_back(place: &mut Place) {
    let long: String = (0..4_000_u32).map(|n| char::from_u32(0x4e00 + n * 7_919 % 20_000).unwrap()).collect();
    let values = |number: i64| -> Vec<(mytism_core::id::AttributeId, Value)> {
        let first = number == 70_000;
        vec![
            (GROUP, text(if first { " Straße\u{308}\t' \" \\ $1 👍 " } else { "" })),
            (LONG, text(&format!("{long}{number}"))),
            (NUMBER, Value::Integer(if first { i64::MIN } else { i64::MAX })),
            (PRICE, decimal(if first { "-99999999.99" } else { "0.00" })),
            (WIDE, decimal(if first { "9999999999999999999999.999999" } else { "-0.000001" })),
            (YES, Value::Bool(first)),
            (DAY, Value::Date(Date::parse(if first { "0001-01-01" } else { "9999-12-31" }).unwrap())),
            (TIME, Value::Datetime(at(if first { i64::MIN } else { i64::MAX }))),
            (WORD, Value::Enum(EnumId(if first { 1 } else { 2 }))),
            (NEXT, Value::Reference(id(70_001))),
            (FLOAT, Value::Float(Float::new(if first { f64::MIN_POSITIVE } else { f64::MAX }).unwrap())),
            (CLOCK, Value::Time(TimeOfDay::parse(if first { "00:00:00" } else { "23:59:59.999999" }).unwrap())),
            (UUID, Value::Uuid("fedcba98-0000-0000-0000-00000000000f".parse().unwrap())),
            (JSON, Value::Json("{ \"b\": 1.50, \"a\": [] }".to_owned())),
        ]
    };
    let all: Vec<_> = [70_000, 70_001, (1 << 53) - 1].map(|n| object(ORDER, n, &values(n))).into();
    place.commit(all.iter().map(|one| Write::Insert(Box::new(one.clone()))).collect::<Vec<_>>());
    place.reopen();
    let view = place.view();
    for one in &all {
        assert_eq!(sorted(view.object(one.id).unwrap().unwrap()), sorted(one.clone()));
    }
    assert_eq!(view.objects_after(0, 10).unwrap().len(), 3);
    assert_eq!(
        view.objects_of(ORDER, 70_000, 1).unwrap().into_iter().map(sorted).next(),
        all.get(1).cloned().map(sorted)
    );
    // By their indexes, however long they are.
    let found = |attribute, value: &Value| view.find(mytism_core::id::EntityId(10), attribute, value, 9).unwrap();
    assert_eq!(found(LONG, &text(&format!("{long}70001"))), [id(70_001)]);
    assert_eq!(found(LONG, &text(&long)), []);
    assert_eq!(found(GROUP, &text("")), [id(70_001), id((1 << 53) - 1)]);
    assert_eq!(found(NUMBER, &Value::Integer(i64::MIN)), [id(70_000)]);
    assert_eq!(found(NEXT, &Value::Reference(id(70_001))).len(), 3);
    let blob = Blob::new(mytism_core::id::Hash([0xab; 32]), 5, "a b.txt", "text/plain").unwrap();
    assert_eq!(found(GROUP, &Value::Blob(Box::new(blob))), []);
}

/// D-10
fn objects_change_and_go(place: &mut Place) {
    place.commit((5..9).map(|n| Write::Insert(Box::new(object(ORDER, n, &[(GROUP, text("x"))])))).collect::<Vec<_>>());
    let update =
        |number, life, columns| Write::Update { object: id(number), entity: ORDER, meta: meta(None, life), columns };
    place.commit(vec![
        update(5, Life::Alive, vec![(GROUP, Value::Null), (PRICE, decimal("1.50"))]),
        update(6, Life::Deleted, vec![]),
        Write::Remove { object: id(7), entity: ORDER },
        Write::Insert(Box::new(object(SELECT, 7, &[]))),
        update(8, Life::Alive, vec![(GROUP, text("y"))]),
        update(8, Life::Alive, vec![(GROUP, text("z"))]),
    ]);
    let view = place.view();
    let five = view.object(id(5)).unwrap().unwrap();
    assert_eq!((five.get(Slot::attribute(GROUP)), five.get(Slot::attribute(PRICE))), (Value::Null, decimal("1.50")));
    assert_eq!(five.meta, meta(None, Life::Alive));
    assert_eq!(view.object(id(6)).unwrap().unwrap().meta.life, Life::Deleted);
    assert_eq!(view.object(id(7)).unwrap().unwrap().entity, SELECT);
    assert_eq!(view.object(id(8)).unwrap().unwrap().get(Slot::attribute(GROUP)), text("z"));
    assert_eq!(view.find(ORDER, GROUP, &text("x"), 9).unwrap(), []);
    assert_eq!(view.object_count().unwrap(), 3);
    assert_eq!(view.objects_after(0, 9).unwrap().len(), 4);
}

fn sets_hold_each_element_once(place: &mut Place) {
    let element =
        |owner, element, present| Write::Element { relation: PARTS, owner: id(owner), element: id(element), present };
    place.commit(vec![
        Write::Insert(Box::new(with_parts(object(ORDER, 5, &[]), &[9, 7]))),
        Write::Insert(Box::new(object(SELECT, 6, &[]))),
        element(5, 8, true),
        element(5, 8, true),
        element(6, 8, true),
        element(5, 9, false),
        element(5, 9, true),
        element(5, 7, false),
    ]);
    let view = place.view();
    assert_eq!(view.elements(PARTS, id(5)).unwrap(), [id(8), id(9)]);
    assert!(view.is_element(PARTS, id(6), id(8)).unwrap());
    assert!(!view.is_element(PARTS, id(5), id(7)).unwrap());
    let all = view.objects_after(0, 9).unwrap().into_iter().map(sorted).collect::<Vec<_>>();
    assert_eq!(all, [with_parts(object(ORDER, 5, &[]), &[8, 9]), with_parts(object(SELECT, 6, &[]), &[8])]);
    drop(view);
    place.commit(vec![Write::Remove { object: id(5), entity: ORDER }]);
    assert_eq!(place.view().elements(PARTS, id(5)).unwrap(), []);
    assert_eq!(place.view().elements(PARTS, id(6)).unwrap(), [id(8)]);
}

/// D-12
fn the_log_is_read_from_both_ends(place: &mut Place) {
    place.commit((1..=9).map(|n| Write::Log(entry(1, n, 100))).collect::<Vec<_>>());
    let view = place.view();
    let numbers = |rows: Vec<mytism_store::LogRow>| rows.iter().map(|row| row.position.number).collect::<Vec<_>>();
    assert_eq!(numbers(view.log_after(2, 3, usize::MAX).unwrap()), [3, 4, 5]);
    assert_eq!(numbers(view.log_after(0, 100, 1).unwrap()), [1]);
    assert_eq!(numbers(view.log_after(0, 100, 110).unwrap()), [1]);
    assert_eq!(numbers(view.log_after(0, 100, 111).unwrap()), [1, 2]);
    assert_eq!(numbers(view.log_before(9, 2, usize::MAX).unwrap()), [8, 7]);
    assert_eq!(numbers(view.log_before(9, 9, 200).unwrap()), [8, 7]);
    assert!(view.log_after(9, 3, 1).unwrap().is_empty());
    assert_eq!(view.log_row(4).unwrap(), Some(entry(1, 4, 100)));
    assert_eq!(view.log_row(10).unwrap(), None);
    assert_eq!(view.log_number(transaction(2, 7, 5)).unwrap(), Some(5));
    assert_eq!(view.log_number(transaction(2, 8, 5)).unwrap(), None);
    assert_eq!(view.log_begin().unwrap(), 1);
    assert_eq!(view.last_counter(mytism_core::id::NodeId(2), 7).unwrap(), 9);
    assert_eq!(view.last_counter(mytism_core::id::NodeId(3), 7).unwrap(), 0);
    assert_eq!(view.last_incarnation(mytism_core::id::NodeId(2)).unwrap(), 7);
    let head = view.head().unwrap().unwrap();
    assert_eq!((head.position, head.hash), (entry(1, 9, 1).position, entry(1, 9, 1).hash));
}

fn an_entry_that_is_taken_back_leaves_nothing(place: &mut Place) {
    let noted = |n: u64| {
        vec![
            Write::Log(entry(1, n, 10)),
            Write::History { object: id(5), number: n },
            Write::Quarantine(QuarantineRow { number: n, code: "c".into(), reason: "r".into() }),
        ]
    };
    place.commit([noted(1), noted(2)].concat());
    place.commit(vec![Write::Unlog { number: 2, objects: vec![id(5), id(6)] }]);
    assert_eq!(
        place.store().commit(&vec![Write::Unlog { number: 2, objects: vec![] }]).unwrap_err().failure().code,
        "database-damaged"
    );
    let view = place.view();
    assert_eq!(view.head().unwrap().unwrap().position.number, 1);
    assert_eq!(view.history_after(id(5), 0).unwrap(), [1]);
    assert_eq!(view.quarantine().unwrap().len(), 1);
    drop(view);
    place.commit(noted(2));
    place.reopen();
    assert_eq!(place.view().quarantine().unwrap().len(), 2);
}

/// D-13, `as of`
fn places_in_the_log_are_found_by_time_and_by_reign(place: &mut Place) {
    assert_eq!(place.view().position_at(at(5)).unwrap(), 0);
    assert_eq!(place.view().later_reign(0).unwrap(), None);
    let epoch = |n| if n < 7 { 1 } else { 4 };
    place.commit((4..=9).map(|n| Write::Log(entry(epoch(n), n, 10))).collect::<Vec<_>>());
    let view = place.view();
    let found: Vec<u64> =
        [0, 1_999_999, 2_000_000, 3_500_000, 9_000_000].map(|t| view.position_at(at(t)).unwrap()).into();
    assert_eq!(found, [0, 0, 5, 7, 9]);
    let found: Vec<_> = [0, 1, 3, 4].map(|epoch| view.later_reign(epoch).unwrap()).into();
    assert_eq!(found, [Some(4), Some(7), Some(7), None]);
    assert_eq!(view.log_begin().unwrap(), 4);
}

fn pending_transactions_have_an_order(place: &mut Place) {
    let row = |at: i64| PendingRow {
        place: at,
        transaction: transaction(9, 1, u64::try_from(at + 10).unwrap()),
        bytes: vec![0; 10],
    };
    let slot = Slot::element(PARTS, id(8));
    place.commit(vec![
        Write::Pending(row(3)),
        Write::Pending(row(-2)),
        Write::Touch { object: id(5), place: 3 },
        Write::Touch { object: id(5), place: -2 },
        Write::Touch { object: id(5), place: -2 },
        Write::Underlay { object: id(5), slot, value: Some(vec![1]) },
        Write::Underlay { object: id(5), slot, value: Some(vec![2]) },
        Write::Underlay { object: id(5), slot: Slot::attribute(GROUP), value: Some(vec![3]) },
    ]);
    assert!(place.store().commit(&vec![Write::Pending(row(3))]).is_err());
    let view = place.view();
    assert_eq!(view.pending_after(i64::MIN, 9, usize::MAX).unwrap(), [row(-2), row(3)]);
    assert_eq!(view.pending_after(i64::MIN, 9, 1).unwrap(), [row(-2)]);
    assert_eq!((view.pending_ends().unwrap(), view.pending_count().unwrap()), (Some((-2, 3)), 2));
    assert_eq!((view.pending(3).unwrap(), view.pending(4).unwrap()), (Some(row(3)), None));
    assert_eq!(view.pending_place(transaction(9, 1, 8)).unwrap(), Some(-2));
    assert_eq!(view.pending_of(id(5)).unwrap(), [-2, 3]);
    assert_eq!(view.pending_objects(0, 9).unwrap(), [id(5)]);
    assert_eq!(view.underlay(id(5)).unwrap(), [(Slot::attribute(GROUP), vec![3]), (slot, vec![2])]);
    assert_eq!(view.last_counter(mytism_core::id::NodeId(9), 1).unwrap(), 13);
    drop(view);
    let fork = PendingRow { place: 4, transaction: transaction(9, 1, 13).of_fork(7), bytes: vec![0; 10] };
    place.commit(vec![Write::Pending(fork.clone())]);
    let view = place.view();
    assert_eq!(view.last_counter(mytism_core::id::NodeId(9), 1).unwrap(), 13, "the name of a fork counts for no life");
    assert_eq!((view.pending(4).unwrap(), view.pending_place(fork.transaction).unwrap()), (Some(fork), Some(4)));
    drop(view);
    place.commit(vec![Write::Settled(4)]);
    place.commit(vec![Write::Settled(3), Write::Underlay { object: id(5), slot, value: None }]);
    let view = place.view();
    assert_eq!((view.pending_ends().unwrap(), view.pending_of(id(5)).unwrap()), (Some((-2, -2)), vec![-2]));
    assert_eq!(view.underlay(id(5)).unwrap().len(), 1);
}

/// D-13
fn history_is_kept_by_object(place: &mut Place) {
    let note = |object, number| Write::History { object: id(object), number };
    place.commit(vec![note(5, 1), note(5, 4), note(6, 2), note(5, 4), note(5, 9)]);
    let view = place.view();
    assert_eq!(view.history_after(id(5), 1).unwrap(), [4, 9]);
    assert_eq!(view.last_change(id(5), 8).unwrap(), Some(4));
    assert_eq!(view.last_change(id(7), 8).unwrap(), None);
    assert_eq!(view.history_rows((5, 4), 2).unwrap(), [(id(5), 9), (id(6), 2)]);
    assert_eq!(view.history_rows((0, 0), 9).unwrap().len(), 4);
}

/// D-12: followers other than replication.
fn the_journal_is_read_in_parts_and_trimmed(place: &mut Place) {
    let row = |n: u64| JournalRow {
        sequence: n,
        at: at(i64::try_from(n).unwrap() * 10),
        cause: Cause::Applied,
        transaction: transaction(3, 1, n),
        position: n.is_multiple_of(2).then_some(n),
        changes: n.is_multiple_of(3).then(|| vec![7; 50]),
    };
    assert_eq!(place.view().journal_bounds().unwrap(), (0, 0));
    place.commit((1..=9).map(|n| Write::Journal(row(n))).collect::<Vec<_>>());
    let view = place.view();
    assert_eq!(view.journal_after(4, 2, usize::MAX).unwrap(), [row(5), row(6)]);
    assert_eq!(view.journal_after(0, 9, 50).unwrap().len(), 3);
    assert_eq!(view.journal_before(9, 9, 60).unwrap(), [row(8), row(7), row(6), row(5), row(4), row(3)]);
    assert_eq!((view.journal_aged(at(35), 9).unwrap(), view.journal_aged(at(35), 2).unwrap()), (3, 2));
    drop(view);
    place.commit(vec![Write::JournalChanges { sequence: 4, changes: vec![1] }, Write::TrimJournal(3)]);
    assert_eq!(place.view().journal_bounds().unwrap(), (4, 9));
    assert_eq!(place.view().journal_after(3, 1, 1).unwrap().first().unwrap().changes, Some(vec![1]));
    place.commit(vec![Write::TrimJournal(100)]);
    assert_eq!(place.view().journal_bounds().unwrap(), (9, 9));
}

fn mending_puts_things_in_their_place(place: &mut Place) {
    place.commit(vec![
        Write::Log(entry(1, 1, 10)),
        Write::Log(entry(1, 2, 10)),
        Write::Quarantine(QuarantineRow { number: 1, code: "c".into(), reason: "r".into() }),
        Write::Insert(Box::new(with_parts(object(ORDER, 5, &[(GROUP, text("a"))]), &[7]))),
        Write::History { object: id(5), number: 1 },
        Write::History { object: id(5), number: 8 },
    ]);
    let marks = place.view().log_marks(0, 9).unwrap();
    let state = with_parts(object(SELECT, 5, &[(GROUP, text("b"))]), &[8]);
    let mend = |object, state| Write::MendObject { object: id(object), state, history: vec![2, 3], floor: 1 };
    place.commit(vec![
        Write::MendLog(entry(1, 1, 20)),
        Write::MendLog(entry(1, 3, 20)),
        mend(5, Some(Box::new(state.clone()))),
        mend(6, None),
    ]);
    place.reopen();
    let view = place.view();
    let mended = view.log_marks(0, 9).unwrap();
    assert_eq!((mended.len(), marks.len()), (3, 2));
    assert_ne!(mended[0], marks[0]);
    assert_eq!(mended[1], marks[1]);
    assert_eq!(view.quarantine().unwrap(), []);
    assert_eq!(view.objects_found(0, 9).unwrap(), [(id(5), Some(state))]);
    assert_eq!(view.history_after(id(5), 0).unwrap(), [1, 2, 3]);
    assert!(view.damages().unwrap().is_empty(), "{:?}", view.damages());
}

fn one_process_at_a_time(place: &mut Place) {
    let elsewhere = tempfile::tempdir().unwrap();
    let directory = if place.address.is_some() { elsewhere.path() } else { place.directory.path() };
    assert_eq!(place.open(directory).err().unwrap().failure().code, "project-in-use");
    // In the same directory it is told at once.
    assert_eq!(place.open(place.directory.path()).err().unwrap().failure().code, "project-in-use");
    place.commit(vec![Write::Put { key: "k", value: vec![1] }]);
}

fn there_is_one_database_in_a_place(place: &mut Place) {
    place.commit(vec![Write::Put { key: "k", value: vec![1] }]);
    place.reopen();
    let (address, schema) = (place.address.clone(), std::sync::Arc::clone(&place.schema));
    let directory = place.directory.path().to_owned();
    let again = match &address {
        None => mytism_store::sqlite::SqliteStore::create(&directory, schema).err().unwrap(),
        Some(address) => {
            mytism_store::postgres::PostgresStore::create(&directory, &options(address), schema).err().unwrap()
        }
    };
    // The lock is looked at first.
    assert_eq!(again.failure().code, "project-in-use");
    assert_eq!(place.view().get("k").unwrap(), Some(vec![1]));
}
