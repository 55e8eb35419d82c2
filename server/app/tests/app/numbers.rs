//! Numbers that never go back: drawing, what a range may be, leases, older copies, what may be missing.

mod chance;
mod world;

use mytism_app::numbers::{LeasePolicy, Ledger};
use mytism_core::operation::Input;

use crate::world::{delete, new, text};
use world::Site;

fn number(value: i64) -> Input {
    Input::Number(value.to_string())
}

fn head_office() -> Site {
    Site::head_office(LeasePolicy::default())
}

/// A head office with a branch `berlin`, each with a range of bills.
fn two() -> (Site, Site) {
    let head = head_office();
    let branch = head.branch("berlin");
    head.range("Bills", "hamburg", &[("Min", 1), ("Max", 1000)]).unwrap();
    head.range("Bills", "berlin", &[("Min", 1001), ("Max", 2000)]).unwrap();
    head.exchange(&branch);
    (head, branch)
}

#[test]
fn a_save_draws_and_a_failed_one_wastes_nothing() {
    let head = head_office();
    let range = head.range("Bills", "hamburg", &[("Next", 7), ("Max", 100)]).unwrap();
    assert_eq!(head.bill(), Some(7));
    let saved =
        head.save(vec![new("a", "Bill", &[]), new("b", "Bill", &[("Number", number(50))]), new("c", "Bill", &[])]);
    saved.unwrap();
    assert_eq!(head.rows("select b.Number from Bill b order by b.Number"), ["7", "8", "9", "50"]);
    head.make("Bill", &[("Code", text("x"))]).unwrap();
    assert_eq!(head.make("Bill", &[("Code", text("x"))]).unwrap_err().code, "duplicate-value");
    assert_eq!(head.save(vec![new("a", "Bill", &[]), new("b", "Strict", &[])]).unwrap_err().code, "no-number");
    assert_eq!(head.bill(), Some(11));
    // One that is deleted in the same save needs none, and one that is changed gets none.
    let gone = mytism_core::operation::ChangeRequest { delete: Some(true), ..new("a", "Bill", &[]) };
    head.save(vec![gone]).unwrap();
    let bill = head.make("Bill", &[]).unwrap();
    head.edit(bill, &[("Number", Input::Null)]).unwrap();
    assert_eq!(head.bill(), Some(13));
    assert_eq!(head.row(&format!("select r.Next from NumberRange r where r = {range}")), "14");
    assert_eq!(head.shown("Bills", "hamburg"), "14/87/26/valid");
}

#[test]
fn texts_carry_the_day_of_the_cluster() {
    let head = head_office();
    head.range("Texts", "hamburg", &[("Max", 100)]).unwrap();
    let year = |zone: &str| {
        let zone = jiff::tz::TimeZone::get(zone).unwrap();
        mytism_core::time::Timestamp::saturating_from_micros(jiff::Timestamp::now().as_microsecond())
            .day_in(&zone)
            .year_month_day()
            .0
    };
    let texts = || head.rows("select b.Text from Bill b where b.Text is not null order by b.Text");
    let before = year("Europe/Berlin");
    head.make("Bill", &[]).unwrap();
    assert!([before, year("Europe/Berlin")].iter().any(|year| texts() == [format!("R-{year}-0001")]), "{:?}", texts());
    head.make("Setting", &[("Name", text("cluster.timeZone")), ("Value", text("Nowhere/Land"))]).unwrap();
    head.told();
    head.make("Bill", &[]).unwrap();
    assert!(head.has_told("Nowhere/Land"));
}

#[test]
fn imports_draw_as_well() {
    let head = head_office();
    head.range("Bills", "hamburg", &[("Max", 100)]).unwrap();
    let rows: [&[Option<&str>]; 4] =
        [&[Some("a"), None], &[Some("a"), None], &[Some("b"), Some("77")], &[Some("c"), None]];
    head.import(&rows, true, true).unwrap();
    head.import(&rows, true, false).unwrap();
    assert_eq!(head.rows("select b.Code, b.Number from Bill b order by b.Code"), ["a|1", "b|77", "c|2"]);
    let head = head.restart();
    assert_eq!(head.bill(), Some(3));
    // One change of the range for the whole import.
    let view = head.app().view().unwrap();
    let rows = view.log_after(0, 1000, usize::MAX).unwrap();
    let import = mytism_format::transaction::read(rows[rows.len() - 2].bytes.clone()).unwrap().transaction;
    assert_eq!(import.changes.iter().filter(|change| change.entity.0 == 4).count(), 1);
}

#[test]
fn what_cannot_be_a_range_is_refused() {
    let head = head_office();
    let _branch = head.branch("berlin");
    let check = |name: &str, node: &str, more: &[(&str, i64)], code: &str| {
        assert_eq!(
            head.range(name, node, more).map_or_else(|failure| failure.code, |_| String::new()),
            code,
            "{more:?}"
        );
    };
    check("A", "hamburg", &[("Increment", 0)], "number-range-wrong");
    check("A", "hamburg", &[("Min", 5), ("Max", 4)], "number-range-wrong");
    check("A", "hamburg", &[("Min", 5), ("Max", 9), ("Next", 4)], "number-range-wrong");
    check("A", "hamburg", &[("Min", 5), ("Max", 9), ("Next", 10)], "number-range-wrong");
    check("A", "hamburg", &[("Min", 5), ("Max", 9), ("Next", 9), ("Increment", -1)], "");
    check("A", "hamburg", &[("Min", 15), ("Max", 19)], "number-range-exists");
    check("A", "berlin", &[("Min", 9), ("Max", 19)], "number-range-overlap");
    check("A", "berlin", &[("Min", 1), ("Max", 5)], "number-range-overlap");
    check("A", "berlin", &[("Min", 6), ("Max", 6)], "number-range-overlap");
    check("A", "berlin", &[("Max", 6)], "number-range-overlap");
    check("A", "berlin", &[("Min", 10), ("Max", 19)], "");
    check("B", "berlin", &[("Min", 1), ("Max", 5)], "");
}

#[test]
fn ranges_can_change_places_in_one_save() {
    let head = head_office();
    let _branch = head.branch("berlin");
    let one = head.range("A", "hamburg", &[("Min", 1), ("Max", 10)]).unwrap();
    let other = head.range("A", "berlin", &[("Min", 11), ("Max", 20), ("Increment", -1)]).unwrap();
    let low = [("Min", number(1)), ("Max", number(10))];
    let high = [("Min", number(11)), ("Max", number(20))];
    assert_eq!(head.edit(one, &high).unwrap_err().code, "number-range-overlap");
    for (first, second) in [(one, other), (other, one)] {
        let changes = vec![crate::world::change(first, &high), crate::world::change(second, &low)];
        head.save(changes).unwrap();
    }
    let wider =
        vec![crate::world::change(one, &[("Max", number(15))]), crate::world::change(other, &[("Min", number(15))])];
    assert_eq!(head.save(wider).unwrap_err().code, "number-range-overlap");
    // A deleted one is in nobody's way, but does not come back into it.
    head.save(vec![delete(other)]).unwrap();
    head.edit(one, &[("Max", number(20))]).unwrap();
    let back = mytism_core::operation::ChangeRequest { delete: Some(false), ..crate::world::change(other, &[]) };
    assert_eq!(head.save(vec![back]).unwrap_err().code, "number-range-overlap");
}

#[test]
fn a_range_in_use_keeps_what_it_gave() {
    let head = head_office();
    let range = head.range("Bills", "hamburg", &[("Min", 1), ("Max", 100)]).unwrap();
    assert_eq!(head.bill(), Some(1));
    let check = |values: &[(&str, Input)], code: &str| {
        assert_eq!(head.edit(range, values).map_or_else(|failure| failure.code, |_| String::new()), code, "{values:?}");
    };
    check(&[("Name", text("Other"))], "number-range-in-use");
    check(&[("Increment", number(-1))], "number-range-in-use");
    check(&[("Min", number(2))], "number-range-in-use");
    check(&[("Max", number(19))], "number-range-in-use");
    check(&[("Next", number(1))], "number-given");
    check(&[("Max", number(20)), ("Min", number(-5)), ("Increment", number(3))], "");
    assert_eq!(head.save(vec![delete(range)]).unwrap_err().code, "number-range-in-use");
    check(&[("Next", number(10))], "");
    assert_eq!(head.bill(), Some(10));
    assert_eq!(head.bill(), Some(13));
}

#[test]
fn a_range_comes_to_its_end_with_warnings() {
    let head = head_office();
    assert_eq!(head.bill(), None);
    assert_eq!(head.bill(), None);
    let told = head.told();
    assert_eq!(told.len(), 2, "one for each attribute, once: {told:?}");
    assert!(told[0].contains("no number range Bills belongs to hamburg"), "{told:?}");
    let range = head.range("Bills", "hamburg", &[("Min", 1), ("Max", 20), ("Increment", -1)]).unwrap();
    head.range("Texts", "hamburg", &[]).unwrap();
    for expected in (1..=20).rev() {
        assert_eq!(head.bill(), Some(expected));
    }
    assert_eq!((head.bill(), head.bill()), (None, None));
    let told = head.told();
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(told[0].contains("90 %") && told[0].contains("2 numbers are left"), "{told:?}");
    assert!(told[1].contains("1 was its last number"), "{told:?}");
    assert!(told[2].contains("is used up"), "{told:?}");
    assert_eq!(head.shown("Bills", "hamburg"), "-/0/1/used-up");
    head.edit(range, &[("Min", number(0))]).unwrap();
    assert_eq!((head.bill(), head.bill()), (Some(0), None));
    head.edit(range, &[("Min", number(-5)), ("Valid", Input::Bool(false))]).unwrap();
    head.told();
    assert_eq!(head.bill(), None);
    assert!(head.has_told("is not valid"));
    // Where there must be a number, the save is refused and says why.
    let failure = head.make("Strict", &[]).unwrap_err();
    assert_eq!(failure.code, "no-number");
    assert!(failure.message.contains("no number range Strict belongs to hamburg"), "{}", failure.message);
}

#[test]
fn numbers_that_objects_hold_are_passed_over() {
    let head = head_office();
    head.range("Strict", "hamburg", &[("Max", 5000)]).unwrap();
    for held in [1, 2, 4] {
        head.make("Strict", &[("Number", number(held))]).unwrap();
    }
    let drawn = |_| head.row(&format!("select s.Number from Strict s where s = {}", head.make("Strict", &[]).unwrap()));
    assert_eq!((0..2).map(drawn).collect::<Vec<_>>(), ["3", "5"]);
    let many = (6..=1010).map(|held| new(&format!("n{held}"), "Strict", &[("Number", number(held))])).collect();
    head.save(many).unwrap();
    assert_eq!(head.make("Strict", &[]).unwrap_err().code, "numbers-taken");
    head.set_next("Strict", 1011).unwrap();
    assert_eq!(drawn(0), "1011");
}

#[test]
fn an_older_copy_goes_on_above_the_lease() {
    let head = head_office();
    head.range("Bills", "hamburg", &[("Max", 1000)]).unwrap();
    assert_eq!((1..=5).map(|_| head.bill()).collect::<Vec<_>>(), (1..=5).map(Some).collect::<Vec<_>>());
    // A crash costs nothing.
    let head = head.restart();
    assert_eq!(head.bill(), Some(6));
    let copy = head.copy();
    assert_eq!((head.bill(), head.bill()), (Some(7), Some(8)));
    let head = head.put_back(&copy);
    assert!(head.has_told("older copy"));
    assert_eq!(head.bill(), Some(21));
    assert_eq!(head.void(), ["7-20 may-be-missing"]);
    // What is entered again is not missing.
    head.make("Bill", &[("Number", number(8))]).unwrap();
    assert_eq!(head.void(), ["7-7 may-be-missing", "9-20 may-be-missing"]);
    // The same copy once more, from before all of this.
    let head = head.put_back(&copy);
    assert_eq!(head.bill(), Some(41));
    assert_eq!(head.void(), ["7-40 may-be-missing"]);
}

#[test]
fn a_lost_or_damaged_ledger_is_no_reason_to_repeat_a_number() {
    let head = head_office();
    head.range("Bills", "hamburg", &[("Max", 1000)]).unwrap();
    assert_eq!(head.bill(), Some(1));
    let whole = head.ledger.read().unwrap().unwrap();
    // A line that was cut off says nothing.
    let head = head.with_ledger(Some(&[&whole[..], b"given 7"].concat()));
    assert_eq!(head.bill(), Some(2));
    let head = head.with_ledger(Some(&whole[4..]));
    assert!(head.has_told("damaged"));
    assert_eq!(head.bill(), Some(21));
    let head = head.with_ledger(None);
    assert!(head.has_told("is missing"));
    assert_eq!(head.bill(), Some(41));
    head.told();
    let head = head.restart();
    assert!(!head.has_told("go on above") && !head.has_told("goes on above"));
    assert_eq!(head.bill(), Some(42));
}

#[test]
fn a_branch_draws_within_its_lease() {
    let (head, branch) = two();
    assert_eq!(branch.shown("Bills", "berlin"), "1001/1000/1020/valid");
    let drawn: Vec<_> = (0..22).map(|_| branch.bill()).collect();
    let mut expected: Vec<_> = (1001..=1020).map(Some).collect();
    expected.extend([None, None]);
    assert_eq!(drawn, expected);
    assert!(branch.has_told("that the head office leased to it"));
    assert_eq!(branch.shown("Bills", "berlin"), "1021/980/1020/waiting");
    assert_eq!(head.bill(), Some(1));
    head.exchange(&branch);
    assert_eq!(branch.bill(), Some(1021));
    // Nothing is asked for as long as half is left.
    assert_eq!(head.shown("Bills", "berlin").split('/').nth(2), Some("1040"));
    head.lease(&branch);
    assert_eq!(head.shown("Bills", "berlin").split('/').nth(2), Some("1040"));
    assert_eq!(head.void(), Vec::<String>::new());
    assert_eq!(branch.void(), Vec::<String>::new());
}

#[test]
fn next_follows_for_people_to_see() {
    let (head, branch) = two();
    let next = |site: &Site| site.row("select r.Next from NumberRange r where r.Min = 1001");
    for _ in 0..5 {
        branch.bill();
    }
    assert_eq!(next(&branch), "1002", "only the first one is pending");
    assert_eq!(branch.shown("Bills", "berlin"), "1006/995/1020/valid");
    assert!(!branch.app().show_next_numbers().unwrap());
    head.exchange(&branch);
    assert!(branch.app().show_next_numbers().unwrap());
    head.exchange(&branch);
    assert!(!branch.app().show_next_numbers().unwrap());
    assert_eq!((next(&branch), next(&head)), ("1006".into(), "1006".into()));
    assert_eq!(head.rows("select count(*) as n from SyncConflict c"), ["0"]);
}

#[test]
fn a_next_that_both_sides_set_is_no_conflict() {
    let (head, branch) = two();
    let range = head.row("select r as id from NumberRange r where r.Min = 1001").parse().unwrap();
    assert_eq!(branch.bill(), Some(1001));
    head.edit(range, &[("Next", number(1500))]).unwrap();
    head.exchange(&branch);
    assert_eq!(head.rows("select count(*) as n from SyncConflict c"), ["0"]);
    assert_eq!(head.row("select r.Next from NumberRange r where r.Min = 1001"), "1500");
    // The head office leases from there on, the branch waits for that.
    head.lease(&branch);
    assert_eq!(branch.bill(), Some(1500));
}

#[test]
fn a_refused_draw_is_listed_and_not_given_again() {
    let (head, branch) = two();
    head.make("Bill", &[("Code", text("x"))]).unwrap();
    branch.make("Bill", &[("Code", text("x"))]).unwrap();
    assert_eq!(branch.bill(), Some(1002));
    head.exchange(&branch);
    assert_eq!(branch.bill(), Some(1003));
    head.exchange(&branch);
    for site in [&head, &branch] {
        assert_eq!(site.void(), ["1001-1001 refused"]);
        assert_eq!(site.void_lines(Some("Bills"))[0].node, "berlin");
    }
    branch.make("Bill", &[("Number", number(1001))]).unwrap();
    head.exchange(&branch);
    assert_eq!(head.void(), Vec::<String>::new());
}

#[test]
fn an_older_branch_learns_its_lease_from_the_head_office() {
    let (head, branch) = two();
    let copy = branch.copy();
    let ledger = branch.ledger.read().unwrap();
    for _ in 0..15 {
        branch.bill();
    }
    head.exchange(&branch);
    assert_eq!(head.shown("Bills", "berlin").split('/').nth(2), Some("1040"));
    // The whole machine is put back: nobody can know before the first contact.
    let branch = branch.put_back_with(&copy, ledger.as_deref());
    head.lease(&branch);
    assert!(branch.has_told("does not know it"));
    head.exchange(&branch);
    assert_eq!(branch.bill(), Some(1041));
    assert_eq!(branch.void(), ["1016-1040 may-be-missing"]);
}

#[test]
fn an_older_head_office_leases_nothing_twice() {
    let (head, branch) = two();
    let copy = head.copy();
    for _ in 0..15 {
        branch.bill();
    }
    head.lease(&branch);
    assert_eq!(head.shown("Bills", "berlin").split('/').nth(2), Some("1040"));
    let head = head.put_back(&copy);
    assert_eq!(head.shown("Bills", "berlin").split('/').nth(2), Some("1040"), "the ledger knows");
    let head = head.put_back_with(&copy, None);
    for _ in 0..20 {
        branch.bill();
    }
    head.lease(&branch);
    assert_eq!(head.shown("Bills", "berlin").split('/').nth(2), Some("1075"), "the branch knows");
}

#[test]
fn a_range_that_moves_gives_nothing_twice() {
    let (head, branch) = two();
    let low: mytism_core::id::ObjectId = head.row("select r as id from NumberRange r where r.Min = 1").parse().unwrap();
    let high = head.row("select r as id from NumberRange r where r.Min = 1001").parse().unwrap();
    let nodes = ["hamburg", "berlin"].map(|name| {
        let id = head.row(&format!("select n as id from Node n where n.Name = '{name}'"));
        crate::world::to(id.parse().unwrap())
    });
    assert_eq!((head.bill(), branch.bill()), (Some(1), Some(1001)));
    let swapped = vec![
        crate::world::change(low, &[("Node", nodes[1].clone())]),
        crate::world::change(high, &[("Node", nodes[0].clone())]),
    ];
    head.save(swapped).unwrap();
    // The branch does not know yet and goes on within its lease.
    assert_eq!((head.bill(), branch.bill()), (Some(1021), Some(1002)));
    head.exchange(&branch);
    head.exchange(&branch);
    assert_eq!((head.bill(), branch.bill()), (Some(1022), Some(2)));
    assert_eq!(branch.void(), Vec::<String>::new());
}

#[test]
fn the_next_number_set_by_hand() {
    let head = head_office();
    let _branch = head.branch("berlin");
    let range = head.range("Bills", "hamburg", &[("Max", 1000)]).unwrap();
    head.range("Bills", "berlin", &[("Min", 1001), ("Max", 2000)]).unwrap();
    let bills: Vec<_> = (0..5).map(|_| head.make("Bill", &[]).unwrap()).collect();
    let check = |range: &str, next: i64, code: &str| {
        assert_eq!(head.set_next(range, next).map_or_else(|failure| failure.code, |_| String::new()), code, "{next}");
    };
    check("Bils", 6, "unknown-number-range");
    check("Bills", 0, "wrong-value");
    check("Bills", 1001, "wrong-value");
    check("Bills", 5, "number-held");
    // Deleted objects hold their numbers too: they may have been printed.
    head.save(vec![delete(bills[4])]).unwrap();
    check("Bills", 5, "number-held");
    head.edit(bills[4], &[("Number", Input::Null)]).unwrap();
    check("Bills", 5, "");
    let berlin = head.ranges().into_iter().find(|line| line.node == "berlin").unwrap().id;
    check(&berlin.to_string(), 1500, "number-range-elsewhere");
    check("Bills", 100, "");
    assert_eq!(head.bill(), Some(100));
    let saved = head.set_next(&range.to_string(), 200).unwrap();
    assert!(saved.transaction.is_some());
    check("Bills", 101, "");
    assert_eq!(head.bill(), Some(101));
    // The database from before it was set back is an older one.
    let copy = head.copy();
    check("Bills", 150, "");
    let head = head.put_back(&copy);
    assert!(head.bill() >= Some(150), "{}", head.shown("Bills", "hamburg"));
    assert!(head.directory().exists());
}

#[test]
fn an_undone_save_keeps_its_number() {
    let head = head_office();
    let range = head.range("Bills", "hamburg", &[("Max", 1000)]).unwrap();
    let saved = head.save(vec![new("n", "Bill", &[])]).unwrap();
    assert_eq!(head.bill(), Some(2));
    let id = saved.transaction.unwrap();
    let undo = mytism_core::operation::UndoRequest { id, keep_later: false, dry_run: false };
    head.call(mytism_core::operation::Request::Undo(undo)).unwrap();
    assert_eq!(head.rows("select b.Number from Bill b"), ["2"]);
    assert_eq!(head.bill(), Some(3));
    // A range is undone by the same rules by which it is changed.
    let wider = head.edit(range, &[("Max", number(2000)), ("Next", number(1500))]).unwrap();
    assert_eq!(head.bill(), Some(1500));
    let id = wider.transaction.unwrap();
    let undo = mytism_core::operation::UndoRequest { id, keep_later: true, dry_run: false };
    let failure = head.call(mytism_core::operation::Request::Undo(undo)).unwrap_err();
    assert_eq!(failure.code, "number-range-wrong");
}

#[test]
fn leases_grow_with_use() {
    let head = Site::head_office(LeasePolicy { numbers: 3, ..LeasePolicy::default() });
    head.range("Bills", "hamburg", &[("Max", 1000)]).unwrap();
    let leased = |_| {
        head.bill();
        head.shown("Bills", "hamburg").split('/').nth(2).unwrap().to_owned()
    };
    let ends: Vec<String> = (0..13).map(leased).collect();
    assert_eq!(ends, ["3", "3", "3", "6", "6", "6", "12", "12", "12", "12", "12", "12", "24"]);
}
