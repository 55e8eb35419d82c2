//! What was given and leased of each range, as this node knows it, and how that is kept in the database.
//!
//! Kept as lines of text, since there are few ranges and somebody may have to read them in an hour of need:
//! `range ID up|down GENERATION GIVEN|- END|- HOLDER|- SINCE NOW BEFORE` and
//! `gap ID BEHIND|- TO MICROS`, one for each run of numbers that may have been given in a part of this node's life that the
//! database does not know.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use mytism_core::id::{NodeId, ObjectId};
use mytism_core::number::{Direction, Number};
use mytism_core::time::Timestamp;
use mytism_store::View;

use crate::error::AppError;

/// See the module.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Standings {
    pub(super) ranges: BTreeMap<ObjectId, Standing>,
    pub(super) gaps: Vec<Gap>,
}

/// What is known of one range.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Standing {
    /// Stays as it is once numbers were given.
    pub(super) direction: Direction,
    /// Counts how often somebody set the next number by hand, which may turn `given` back.
    pub(super) generation: u32,
    /// The last number that this node gave or passed over.
    pub(super) given: Option<Number>,
    /// Up to where numbers are leased; nothing beyond it was ever given. At the head office whoever holds it, at a
    /// branch its own.
    pub(super) lease: Option<Leased>,
    /// How much of the range this node used lately.
    pub(super) used: Use,
}

/// A lease that is out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Leased {
    /// The last number of it.
    pub(super) end: Number,
    /// Who may give the numbers.
    pub(super) holder: NodeId,
}

/// Numbers that may have been given and are not known here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Gap {
    pub(super) range: ObjectId,
    /// The last number before them; `None` where they are from the start of the range on.
    pub(super) behind: Option<Number>,
    /// The last of them.
    pub(super) to: Number,
    /// When it was noticed.
    pub(super) time: Timestamp,
}

impl Standing {
    pub(super) fn new(direction: Direction) -> Self {
        Self { direction, generation: 0, given: None, lease: None, used: Use::default() }
    }

    /// The last number that `node` may give.
    pub(super) fn end_for(&self, node: NodeId) -> Option<Number> {
        self.lease.filter(|lease| lease.holder == node).map(|lease| lease.end)
    }

    /// The furthest number that was given or may be given without asking.
    pub(super) fn furthest(&self) -> Option<Number> {
        furthest(self.direction, self.given, self.lease.map(|lease| lease.end))
    }

    /// Moves the lease's end onwards; it never comes back.
    pub(super) fn extend(&mut self, end: Number, holder: NodeId) {
        let end = self.lease.map_or(end, |lease| self.direction.further(lease.end, end));
        self.lease = Some(Leased { end, holder });
    }
}

/// The later one of two numbers, as far as they are known.
pub(super) fn furthest(direction: Direction, one: Option<Number>, other: Option<Number>) -> Option<Number> {
    match (one, other) {
        (Some(one), Some(other)) => Some(direction.further(one, other)),
        (one, other) => one.or(other),
    }
}

/// How much was used within the last days: all of the running window, and of the one before it the part that has not
/// left yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Use {
    since: i64,
    now: u64,
    before: u64,
}

impl Use {
    /// The key under which that of ids is kept.
    pub(crate) const KEY: &'static str = "id-use";

    pub(crate) fn add(&mut self, count: u64, time: Timestamp, window: i64) {
        *self = self.at(time, window);
        self.now = self.now.saturating_add(count);
    }

    /// How much was used within the window that ends now.
    pub(crate) fn recent(&self, time: Timestamp, window: i64) -> u64 {
        let rolled = self.at(time, window);
        let left = i128::from(window) - i128::from(time.micros()) + i128::from(rolled.since);
        let before = i128::from(rolled.before) * left.clamp(0, i128::from(window)) / i128::from(window.max(1));
        rolled.now.saturating_add(u64::try_from(before).unwrap_or(0))
    }

    fn at(&self, time: Timestamp, window: i64) -> Self {
        let passed = time.micros().saturating_sub(self.since);
        if passed < window {
            return *self;
        }
        let before = if passed < window.saturating_mul(2) { self.now } else { 0 };
        let since = if before > 0 { self.since.saturating_add(window) } else { time.micros() };
        Self { since, now: 0, before }
    }

    fn to_text(self) -> String {
        format!("{} {} {}", self.since, self.now, self.before)
    }

    pub(crate) fn to_bytes(self) -> Vec<u8> {
        self.to_text().into_bytes()
    }

    /// What was kept; nothing where it cannot be understood, since it is an estimate anyway.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Self {
        let text = std::str::from_utf8(bytes).unwrap_or_default();
        Self::from_words(&mut text.split(' ')).unwrap_or_default()
    }

    fn from_words<'t>(words: &mut impl Iterator<Item = &'t str>) -> Option<Self> {
        Some(Self {
            since: words.next()?.parse().ok()?,
            now: words.next()?.parse().ok()?,
            before: words.next()?.parse().ok()?,
        })
    }
}

impl Standings {
    /// The key under which they are kept.
    pub(crate) const KEY: &'static str = "numbers";

    /// What a database holds.
    ///
    /// # Errors
    /// When it cannot be read, or is damaged.
    pub(crate) fn read(view: &dyn View) -> Result<Self, AppError> {
        Ok(view.get(Self::KEY)?.map(|bytes| Self::from_bytes(&bytes)).transpose()?.unwrap_or_default())
    }

    pub(super) fn get(&self, range: ObjectId) -> Option<&Standing> {
        self.ranges.get(&range)
    }

    /// The standing of a range, begun where there is none.
    pub(super) fn of(&mut self, range: ObjectId, direction: Direction) -> &mut Standing {
        self.ranges.entry(range).or_insert_with(|| Standing::new(direction))
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut text = String::new();
        for (id, one) in &self.ranges {
            let lease = one.lease.map_or("- -".to_owned(), |lease| format!("{} {}", lease.end, lease.holder));
            let given = one.given.map_or("-".to_owned(), |given| given.to_string());
            let (way, generation, used) = (way(one.direction), one.generation, one.used.to_text());
            // Writing to a text cannot fail.
            let _infallible = writeln!(text, "range {id} {way} {generation} {given} {lease} {used}");
        }
        for gap in &self.gaps {
            let behind = gap.behind.map_or("-".to_owned(), |behind| behind.to_string());
            let _infallible = writeln!(text, "gap {} {behind} {} {}", gap.range, gap.to, gap.time.micros());
        }
        text.into_bytes()
    }

    /// Reads what was kept.
    ///
    /// # Errors
    /// When it is damaged.
    fn from_bytes(bytes: &[u8]) -> Result<Self, AppError> {
        let mut standings = Self::default();
        let text = std::str::from_utf8(bytes).unwrap_or("?");
        for line in text.lines() {
            standings.line(line).ok_or_else(|| {
                let message = format!("the database holds a line about number ranges that is damaged: {line}");
                AppError::failed("database-damaged", message)
            })?;
        }
        Ok(standings)
    }

    fn line(&mut self, line: &str) -> Option<()> {
        let mut words = line.split(' ');
        match words.next()? {
            "range" => {
                let id = words.next()?.parse().ok()?;
                let direction = direction(words.next()?)?;
                let generation = words.next()?.parse().ok()?;
                let given = optional(words.next()?)?;
                let (end, holder) = (optional(words.next()?)?, words.next()?);
                let lease = match end {
                    Some(end) => Some(Leased { end, holder: NodeId(holder.parse().ok()?) }),
                    None => None,
                };
                let used = Use::from_words(&mut words)?;
                self.ranges.insert(id, Standing { direction, generation, given, lease, used });
            }
            "gap" => self.gaps.push(Gap {
                range: words.next()?.parse().ok()?,
                behind: optional(words.next()?)?,
                to: words.next()?.parse().ok()?,
                time: Timestamp::from_micros(words.next()?.parse().ok()?)?,
            }),
            // Written by a later program.
            _ => {}
        }
        Some(())
    }
}

pub(super) const fn way(direction: Direction) -> &'static str {
    match direction {
        Direction::Up => "up",
        Direction::Down => "down",
    }
}

pub(super) fn direction(word: &str) -> Option<Direction> {
    match word {
        "up" => Some(Direction::Up),
        "down" => Some(Direction::Down),
        _ => None,
    }
}

fn optional(word: &str) -> Option<Option<Number>> {
    if word == "-" { Some(None) } else { word.parse().ok().map(Some) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn standings_read_as_they_were_kept() {
        let id = |number| ObjectId::new(number).unwrap();
        let mut standings = Standings::default();
        standings.of(id(7), Direction::Up).extend(Number(20), NodeId(2));
        *standings.of(id(8), Direction::Down) = Standing {
            direction: Direction::Down,
            generation: 3,
            given: Some(Number(-5)),
            lease: None,
            used: Use { since: -9, now: 1, before: u64::MAX },
        };
        let time = Timestamp::from_micros(5).unwrap();
        standings.gaps.push(Gap { range: id(7), behind: Some(Number(4)), to: Number(9), time });
        standings.gaps.push(Gap { range: id(8), behind: None, to: Number(-9), time });
        assert_eq!(Standings::from_bytes(&standings.to_bytes()).unwrap(), standings);
        assert_eq!(Standings::from_bytes(b"later 1 2 3\n").unwrap(), Standings::default());
        for damaged in ["range 7 up 0\n", "range 7 left 0 - - - 0 0 0\n", "gap 7 x 9 5\n", "range 0 up 0 - - - 0 0 0\n"]
        {
            assert!(Standings::from_bytes(damaged.as_bytes()).is_err(), "{damaged}");
        }
    }

    #[test]
    fn use_is_that_of_the_last_window() {
        let at = |time| Timestamp::from_micros(time).unwrap();
        let mut used = Use::default();
        used.add(100, at(1_000), 100);
        assert_eq!(used.recent(at(1_000), 100), 100);
        assert_eq!(used.recent(at(1_099), 100), 100);
        assert_eq!(used.recent(at(1_150), 100), 50);
        assert_eq!(used.recent(at(1_200), 100), 0);
        used.add(10, at(1_150), 100);
        assert_eq!(used.recent(at(1_150), 100), 60);
        assert_eq!(used.recent(at(999), 100), used.now + used.before, "a clock that went back does no harm");
        assert_eq!(Use::from_bytes(&used.to_bytes()), used);
        assert_eq!(Use::from_bytes(b"x"), Use::default());
    }
}
