//! Numbers that people see, such as those of invoices: the range that they come from, and the [`Pattern`] by which they
//! are written. Pure: which number was given last, and whether that is certain, is for the caller to know.
//!
//! A range counts up or down. "Beyond" and "further" are meant in that direction, so that nothing outside of this
//! module has to look at the sign of a step.

mod pattern;

use std::fmt;
use std::num::NonZeroI64;
use std::str::FromStr;

use crate::id::ObjectId;
pub use pattern::{Pattern, PatternProblem};

/// The largest number of a range and, with the sign turned, the smallest: what JSON and scripts can hold exactly.
pub const NUMBER_MAX: i64 = (1 << 53) - 1;

/// A number out of a range, such as 240113.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Number(pub i64);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Number {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.trim().parse().map(Self)
    }
}

/// Which way a range counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// To larger numbers.
    Up,
    /// To smaller numbers.
    Down,
}

impl Direction {
    /// Whether `one` comes after `other`.
    #[must_use]
    pub const fn is_beyond(self, one: Number, other: Number) -> bool {
        match self {
            Self::Up => one.0 > other.0,
            Self::Down => one.0 < other.0,
        }
    }

    /// The one of the two that comes later.
    #[must_use]
    pub const fn further(self, one: Number, other: Number) -> Number {
        if self.is_beyond(one, other) { one } else { other }
    }
}

/// Which numbers a range has, and in which steps it gives them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bounds {
    min: Number,
    max: Number,
    increment: NonZeroI64,
}

/// What cannot be the bounds of a range.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BoundsProblem {
    /// It would give one number again and again.
    #[error("the step is 0")]
    NoStep,
    /// There is no number between them.
    #[error("the smallest number, {min}, is larger than the largest, {max}")]
    Empty {
        /// The smallest.
        min: Number,
        /// The largest.
        max: Number,
    },
    /// Programs could not hold it exactly.
    #[error("{0} is outside of -{NUMBER_MAX} … {NUMBER_MAX}")]
    TooLarge(Number),
}

impl Bounds {
    /// Bounds as somebody wrote them; the smallest number is 1 where none is given, the largest [`NUMBER_MAX`].
    ///
    /// # Errors
    /// Why there cannot be such a range.
    pub fn new(min: Option<i64>, max: Option<i64>, increment: i64) -> Result<Self, BoundsProblem> {
        let (min, max) = (Number(min.unwrap_or(1)), Number(max.unwrap_or(NUMBER_MAX)));
        let possible = -NUMBER_MAX..=NUMBER_MAX;
        if let Some(large) = [min.0, max.0, increment].into_iter().find(|number| !possible.contains(number)) {
            return Err(BoundsProblem::TooLarge(Number(large)));
        }
        if min > max {
            return Err(BoundsProblem::Empty { min, max });
        }
        let increment = NonZeroI64::new(increment).ok_or(BoundsProblem::NoStep)?;
        Ok(Self { min, max, increment })
    }

    /// The smallest number.
    #[must_use]
    pub const fn min(&self) -> Number {
        self.min
    }

    /// The largest number.
    #[must_use]
    pub const fn max(&self) -> Number {
        self.max
    }

    /// From one number to the next; never 0.
    #[must_use]
    pub const fn increment(&self) -> i64 {
        self.increment.get()
    }

    /// Which way it counts.
    #[must_use]
    pub const fn direction(&self) -> Direction {
        if self.increment.get() > 0 { Direction::Up } else { Direction::Down }
    }

    /// The end where it begins.
    #[must_use]
    pub const fn first(&self) -> Number {
        match self.direction() {
            Direction::Up => self.min,
            Direction::Down => self.max,
        }
    }

    /// The end beyond which there is nothing.
    #[must_use]
    pub const fn last(&self) -> Number {
        match self.direction() {
            Direction::Up => self.max,
            Direction::Down => self.min,
        }
    }

    /// Whether a number lies between the bounds.
    #[must_use]
    pub const fn contains(&self, number: Number) -> bool {
        self.min.0 <= number.0 && number.0 <= self.max.0
    }

    /// One step further; may lie outside.
    #[must_use]
    pub const fn after(&self, number: Number) -> Number {
        Number(number.0.saturating_add(self.increment.get()))
    }

    /// One step back; may lie outside.
    #[must_use]
    pub const fn before(&self, number: Number) -> Number {
        Number(number.0.saturating_sub(self.increment.get()))
    }

    /// How many numbers there are from `next` on, itself included; 0 where it lies outside.
    #[must_use]
    pub const fn left(&self, next: Number) -> u64 {
        if !self.contains(next) {
            return 0;
        }
        self.last().0.abs_diff(next.0) / self.increment.get().unsigned_abs() + 1
    }

    /// The last of `count` numbers from `next` on, at most the last one of the range.
    #[must_use]
    pub fn reach(&self, next: Number, count: u64) -> Number {
        let steps = i64::try_from(count.saturating_sub(1)).unwrap_or(i64::MAX);
        let far = Number(next.0.saturating_add(self.increment.get().saturating_mul(steps)));
        if self.direction().is_beyond(far, self.last()) { self.last() } else { far }
    }

    /// How much of the range lies before `next`, in whole percent.
    #[must_use]
    pub const fn percent_before(&self, next: Number) -> u64 {
        if !self.contains(next) {
            return if self.direction().is_beyond(next, self.last()) { 100 } else { 0 };
        }
        // 128 bits, since the width times 100 does not fit 64.
        let width = self.max.0.abs_diff(self.min.0) as u128 + 1;
        let percent = next.0.abs_diff(self.first().0) as u128 * 100 / width;
        if percent > 100 { 100 } else { (percent & 0xff) as u64 }
    }

    /// Whether the two have a number between their bounds in common. Steps are not looked at: who may give 1 … 100
    /// does not share it with another who gives every second number.
    #[must_use]
    pub const fn overlaps(&self, other: &Self) -> bool {
        self.min.0 <= other.max.0 && other.min.0 <= self.max.0
    }
}

/// What a branch says of one of its ranges when it asks for leases.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LeaseWish {
    /// The range.
    pub range: ObjectId,
    /// The last number that it may give; `None` before its first lease.
    pub held: Option<Number>,
    /// The last number that it gave or passed over.
    pub given: Option<Number>,
    /// How many more it would like to give; 0 where it only tells.
    pub wanted: u64,
}

/// What the head office answers about one range.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lease {
    /// The range.
    pub range: ObjectId,
    /// Numbers up to this one were leased before, and the branch does not know it: it goes on above them.
    pub passed: Option<Number>,
    /// Whether these were leased to this very branch, so that it may have given them in a part of its life that it lost.
    pub is_lost: bool,
    /// The last number that the branch may give; `None` where there is nothing more to lease.
    pub end: Option<Number>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds(min: i64, max: i64, increment: i64) -> Bounds {
        Bounds::new(Some(min), Some(max), increment).unwrap()
    }

    #[test]
    fn what_can_be_a_range() {
        let check = |min: Option<i64>, max: Option<i64>, increment: i64, expected: &str| {
            let got = Bounds::new(min, max, increment).map_or_else(
                |problem| problem.to_string(),
                |range| format!("{} … {} from {}", range.min(), range.max(), range.first()),
            );
            assert_eq!(got, expected);
        };
        check(Some(1), Some(1), 1, "1 … 1 from 1");
        check(Some(1), Some(9), -1, "1 … 9 from 9");
        check(None, None, 5, "1 … 9007199254740991 from 1");
        check(Some(-5), None, -5, "-5 … 9007199254740991 from 9007199254740991");
        check(Some(2), Some(1), 1, "the smallest number, 2, is larger than the largest, 1");
        check(None, Some(0), 1, "the smallest number, 1, is larger than the largest, 0");
        check(Some(1), Some(9), 0, "the step is 0");
        check(Some(i64::MIN), Some(9), 1, &format!("{} is outside of -{NUMBER_MAX} … {NUMBER_MAX}", i64::MIN));
        check(None, None, i64::MAX, &format!("{} is outside of -{NUMBER_MAX} … {NUMBER_MAX}", i64::MAX));
    }

    #[test]
    fn overlaps_at_the_borders() {
        let check = |one: Bounds, other: Bounds, expected: bool| {
            assert_eq!((one.overlaps(&other), other.overlaps(&one)), (expected, expected), "{one:?} {other:?}");
        };
        check(bounds(1, 10, 1), bounds(11, 20, 1), false);
        check(bounds(1, 10, 1), bounds(10, 20, 1), true);
        check(bounds(1, 10, -1), bounds(10, 20, 1), true);
        check(bounds(1, 10, -1), bounds(11, 20, -1), false);
        check(bounds(1, 100, 1), bounds(40, 50, 1), true);
        check(bounds(1, 9, 2), bounds(2, 10, 2), true);
    }

    #[test]
    fn counting_up_and_down() {
        let check = |range: Bounds, next: i64, left: u64, percent: u64, reach_3: i64| {
            let next = Number(next);
            let got = (range.left(next), range.percent_before(next), range.reach(next, 3).0);
            assert_eq!(got, (left, percent, reach_3), "{range:?} {next}");
        };
        check(bounds(1, 10, 1), 1, 10, 0, 3);
        check(bounds(1, 10, 1), 10, 1, 90, 10);
        check(bounds(1, 10, 1), 11, 0, 100, 10);
        check(bounds(1, 10, 1), 0, 0, 0, 2);
        check(bounds(1, 10, -1), 10, 10, 0, 8);
        check(bounds(1, 10, -1), 1, 1, 90, 1);
        check(bounds(1, 10, -1), 0, 0, 100, 1);
        check(bounds(1, 10, 4), 1, 3, 0, 9);
        check(bounds(1, 10, 4), 5, 2, 40, 10);
        check(bounds(-NUMBER_MAX, NUMBER_MAX, NUMBER_MAX), 0, 2, 49, NUMBER_MAX);
        assert_eq!(bounds(1, 10, -3).after(Number(10)), Number(7));
        assert_eq!(bounds(1, 10, -3).before(Number(7)), Number(10));
        assert_eq!(bounds(1, 10, -3).direction().further(Number(7), Number(10)), Number(7));
    }
}
