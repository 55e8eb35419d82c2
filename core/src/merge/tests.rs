//! Each rule as a table, and what holds for all of them.

use proptest::prelude::*;

use super::*;
use crate::id::AttributeId;
use ConflictRule::{Authoritative, Branch, Later, Sum};

const MINUTE: i64 = 60_000_000;
const DAY: i64 = 1_440 * MINUTE;

fn value(number: i64) -> Value {
    if number == 0 { Value::Null } else { Value::Integer(number) }
}

fn moment(minutes: i64, offset: Option<i64>) -> Moment {
    Moment {
        time: Timestamp::saturating_from_micros(DAY + minutes * MINUTE),
        offset_micros: offset.map(|minutes| minutes * MINUTE),
    }
}

/// Base, ours and theirs; 0 is nothing. The arriving value was set later.
fn meeting<'a>(rule: ConflictRule, values: &'a [Value; 3], changed_since: bool) -> Meeting<'a> {
    let [base, ours, theirs] = values;
    Meeting {
        slot: Slot::attribute(AttributeId(77)),
        rule,
        kind: Some(&Kind::Integer),
        base,
        theirs,
        ours,
        changed_since,
        own_last: false,
        their_moment: moment(2, None),
        our_moment: Some(moment(1, None)),
    }
}

#[track_caller]
fn check(rule: ConflictRule, values: [i64; 3], changed_since: bool, expected: &Verdict) {
    assert_eq!(decide(&meeting(rule, &values.map(value), changed_since)), *expected, "{rule:?} {values:?}");
}

#[test]
fn the_head_office_stays() {
    for values in [[1, 2, 3], [0, 2, 3], [1, 0, 3]] {
        check(Authoritative, values, true, &Verdict::KeepOurs);
    }
    // There and back again is a change too.
    check(Authoritative, [1, 1, 3], true, &Verdict::KeepOurs);
    // The author built on an own value that lost a conflict: nobody else touched the slot since, and still he did not
    // see what stands there.
    check(Authoritative, [5, 2, 3], false, &Verdict::KeepOurs);
}

#[test]
fn what_nobody_touched_is_set_and_equal_values_are_no_conflict() {
    for rule in [Authoritative, Branch, Later, Sum] {
        check(rule, [1, 1, 3], false, &Verdict::Apply);
        check(rule, [0, 0, 3], false, &Verdict::Apply);
    }
    for rule in [Authoritative, Branch, Later] {
        check(rule, [1, 3, 3], true, &Verdict::Same);
        check(rule, [1, 3, 3], false, &Verdict::Same);
    }
}

#[test]
fn the_arriving_value_wins() {
    check(Branch, [1, 2, 3], true, &Verdict::TakeTheirs);
    check(Branch, [1, 1, 3], true, &Verdict::TakeTheirs);
    check(Branch, [5, 2, 3], false, &Verdict::TakeTheirs);
    let values = [1, 1, 3].map(value);
    for rule in [Branch, Later] {
        let own = Meeting { own_last: true, ..meeting(rule, &values, true) };
        assert_eq!(decide(&own), Verdict::Apply, "who goes on from his own value is in conflict with nobody");
    }
}

#[test]
fn the_later_value_wins() {
    let values = [1, 2, 3].map(value);
    let check = |theirs: (i64, Option<i64>), ours: Option<(i64, Option<i64>)>, expected: Verdict| {
        let met = Meeting {
            their_moment: moment(theirs.0, theirs.1),
            our_moment: ours.map(|(time, offset)| moment(time, offset)),
            ..meeting(Later, &values, true)
        };
        assert_eq!(decide(&met), expected, "{theirs:?} met {ours:?}");
    };
    check((2, None), Some((1, None)), Verdict::TakeTheirs);
    check((1, None), Some((2, None)), Verdict::KeepOurs);
    check((1, None), Some((1, Some(0))), Verdict::KeepOurs);
    check((1, None), None, Verdict::KeepOurs);
    // A clock that is ahead says a time that is too late.
    check((5, Some(4)), Some((2, None)), Verdict::KeepOurs);
    check((1, None), Some((5, Some(5))), Verdict::TakeTheirs);
    check((0, Some(-5)), Some((2, None)), Verdict::TakeTheirs);
    // The limit, and beyond it: that clock is not believed.
    check((20, Some(10)), Some((9, None)), Verdict::TakeTheirs);
    check((50, Some(11)), Some((9, None)), Verdict::KeepOurs);
    check((9, None), Some((50, Some(-11))), Verdict::TakeTheirs);
    check((50, Some(11)), Some((9, Some(i64::MIN / MINUTE))), Verdict::KeepOurs);
}

#[test]
fn both_differences_count() {
    let sum = |number: i64| Verdict::Sum(Value::Integer(number));
    check(Sum, [10, 12, 15], true, &sum(17));
    check(Sum, [10, 5, 5], true, &sum(0));
    check(Sum, [0, 3, 4], true, &sum(7));
    check(Sum, [10, 12, 0], false, &sum(2));
    check(Sum, [10, 10, 7], true, &Verdict::Apply);
    check(Sum, [1, i64::MAX, 2], true, &Verdict::KeepOurs);
    check(Sum, [-1, i64::MAX, i64::MAX], true, &Verdict::Same);
    let decimals = [100, 950, 200].map(|digits| Value::Decimal(Decimal::new(digits, 2)));
    let decide = |precision: u32| {
        let kind = Kind::Decimal { precision, scale: 2 };
        decide(&Meeting { kind: Some(&kind), ..meeting(Sum, &decimals, true) })
    };
    assert_eq!(decide(4), Verdict::Sum(Value::Decimal(Decimal::new(1050, 2))));
    assert_eq!(decide(3), Verdict::KeepOurs, "10.50 has four digits");
}

#[test]
fn neither_sets_nor_lives_know_rules() {
    let there = [Value::Null, Value::Null, Value::Bool(true)];
    for rule in [Branch, Later, Sum] {
        let element = Slot::element(AttributeId(7), crate::id::ObjectId::new(9).unwrap());
        assert_eq!(decide(&Meeting { slot: element, ..meeting(rule, &there, true) }), Verdict::Apply);
        let deletion = [Life::Alive, Life::Alive, Life::Deleted].map(Life::value);
        assert_eq!(decide(&Meeting { slot: Slot::LIFE, ..meeting(rule, &deletion, true) }), Verdict::KeepOurs);
    }
}

/// What three edits of one value come to when they arrive in this order, each made without knowing of the others.
fn outcome(rule: ConflictRule, base: i64, edits: &[(i64, i64)]) -> (Value, usize) {
    let base = value(base);
    let (mut ours, mut last, mut lost) = (base.clone(), None, 0);
    for (new, time) in edits {
        let values = [base.clone(), ours.clone(), value(*new)];
        let their_moment = moment(*time, None);
        let met = Meeting { their_moment, our_moment: last, ..meeting(rule, &values, last.is_some()) };
        match decide(&met) {
            Verdict::Sum(sum) => (ours, last) = (sum, Some(their_moment)),
            Verdict::Apply => (ours, last) = (value(*new), Some(their_moment)),
            Verdict::TakeTheirs => (ours, last, lost) = (value(*new), Some(their_moment), lost + 1),
            Verdict::KeepOurs => lost += 1,
            Verdict::Same => {}
        }
    }
    (ours, lost)
}

proptest! {
    /// Sums and the later value come out the same in whatever order edits arrive; the default rule keeps the first, the
    /// rule of branches the last. Of values that differ all but one are kept beside it.
    #[test]
    fn laws(base in -9_i64..9, news in proptest::collection::hash_set(10_i64..1_000, 3), turn in 0_usize..6) {
        let edits: Vec<(i64, i64)> = news.into_iter().zip(1..).collect();
        let mut turned = edits.clone();
        turned.rotate_left(turn % 3);
        if turn > 2 { turned.swap(0, 1); }
        prop_assert_eq!(outcome(Later, base, &turned), (value(edits[2].0), 2));
        prop_assert_eq!(outcome(Authoritative, base, &turned), (value(turned[0].0), 2));
        prop_assert_eq!(outcome(Branch, base, &turned), (value(turned[2].0), 2));
        let sum = base + edits.iter().map(|(new, _)| new - base).sum::<i64>();
        prop_assert_eq!(outcome(Sum, base, &turned), (Value::Integer(sum), 0));
    }
}
