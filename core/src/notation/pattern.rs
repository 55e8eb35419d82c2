//! The order in which the parts of a day and a time of day are written, as in `dd.mm.yyyy hh:mi`.

use std::fmt;

use jiff::civil::{self, DateTime, Time};
use jiff::tz::{Offset, TimeZone};

use crate::input::{Misfit, quoted};
use crate::time::Timestamp;

/// One part.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Part {
    Year,
    ShortYear,
    Month,
    Day,
    Hour,
    Minute,
    Second,
}

/// The words of the language; a longer one stands before the one that it begins with.
const WORDS: [(&str, Part, bool); 10] = [
    ("yyyy", Part::Year, true),
    ("yy", Part::ShortYear, true),
    ("mi", Part::Minute, true),
    ("mm", Part::Month, true),
    ("m", Part::Month, false),
    ("dd", Part::Day, true),
    ("d", Part::Day, false),
    ("hh", Part::Hour, true),
    ("h", Part::Hour, false),
    ("ss", Part::Second, true),
];

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Piece {
    /// A part, and whether it is written with all its digits.
    Part(Part, bool),
    Sign(char),
}

/// A pattern.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Pattern {
    text: String,
    pieces: Vec<Piece>,
}

/// The longest pattern, in bytes.
const BYTES_MAX: usize = 64;
/// Years of two digits from here on are those of the last century.
const LAST_CENTURY: i16 = 69;

impl Pattern {
    pub(super) fn parse(text: &str) -> Result<Self, Misfit> {
        let wrong = |why: String| Misfit(format!("{} is no pattern of a day like dd.mm.yyyy: {why}", quoted(text)));
        if text.len() > BYTES_MAX {
            return Err(wrong("it is too long".to_owned()));
        }
        let lower = text.to_ascii_lowercase();
        let (mut pieces, mut rest) = (Vec::new(), lower.as_str());
        while let Some(first) = rest.chars().next() {
            if let Some((word, part, padded)) = WORDS.iter().find(|(word, ..)| rest.starts_with(word)) {
                let is_there = pieces.iter().any(|piece| is_same(*piece, *part));
                if is_there {
                    let tip = if *part == Part::Month { "; minutes are mi" } else { "" };
                    return Err(wrong(format!("{word} says once more what stands there already{tip}")));
                }
                pieces.push(Piece::Part(*part, *padded));
                rest = rest.get(word.len()..).unwrap_or_default();
            } else if !first.is_alphanumeric() || first == 't' {
                pieces.push(Piece::Sign(if first == 't' { 'T' } else { first }));
                rest = rest.get(first.len_utf8()..).unwrap_or_default();
            } else {
                return Err(wrong(format!("it knows yyyy, yy, mm, m, dd, d, hh, h, mi and ss, not \"{first}\"")));
            }
        }
        let has = |part| pieces.iter().any(|piece| is_same(*piece, part));
        let needs = [
            (!(has(Part::Year) && has(Part::Month) && has(Part::Day)), "year, month and day are needed"),
            (has(Part::Minute) && !has(Part::Hour), "minutes need hours"),
            (has(Part::Second) && !has(Part::Minute), "seconds need minutes"),
            (has(Part::Hour) && !has(Part::Minute), "hours need minutes"),
        ];
        match needs.iter().find(|(lacks, _)| *lacks) {
            Some((_, why)) => Err(wrong((*why).to_owned())),
            None => Ok(Self { text: lower, pieces }),
        }
    }

    /// Whether it has a time of day.
    pub(super) fn has_time(&self) -> bool {
        self.pieces.iter().any(|piece| is_same(*piece, Part::Hour))
    }

    /// A clock as text. Where the pattern has no time of day and one is asked for, it follows in the usual form.
    pub(super) fn write(&self, clock: DateTime, with_time: bool) -> String {
        let mut text = String::with_capacity(32);
        let pieces = if with_time { &self.pieces } else { self.day_alone() };
        for piece in pieces {
            let (part, padded) = match piece {
                Piece::Sign(sign) => {
                    text.push(*sign);
                    continue;
                }
                Piece::Part(part, padded) => (*part, *padded),
            };
            let number = match part {
                Part::Year => i32::from(clock.year()),
                Part::ShortYear => i32::from(clock.year()).rem_euclid(100),
                Part::Month => i32::from(clock.month()),
                Part::Day => i32::from(clock.day()),
                Part::Hour => i32::from(clock.hour()),
                Part::Minute => i32::from(clock.minute()),
                Part::Second => i32::from(clock.second()),
            };
            text.push_str(&match (part, padded) {
                (Part::Year, _) => format!("{number:04}"),
                (Part::Second, _) => format!("{number:02}{}", fraction(clock)),
                (_, true) => format!("{number:02}"),
                (_, false) => number.to_string(),
            });
        }
        if with_time && !self.has_time() {
            let (hour, minute, second) = (clock.hour(), clock.minute(), clock.second());
            text.push_str(&format!(" {hour:02}:{minute:02}:{second:02}{}", fraction(clock)));
        }
        text
    }

    /// The pieces up to the day's last one, where the time of day comes behind.
    fn day_alone(&self) -> &[Piece] {
        let is_time =
            |piece: &Piece| [Part::Hour, Part::Minute, Part::Second].into_iter().any(|part| is_same(*piece, part));
        let is_day = |piece: &Piece| matches!(piece, Piece::Part(..)) && !is_time(piece);
        let length = self.pieces.iter().rposition(is_day).map_or(0, |last| last + 1);
        let day = self.pieces.get(..length).unwrap_or_default();
        if day.iter().any(is_time) { &self.pieces } else { day }
    }

    /// Reads a text. It may end behind the day; a zone may follow the time.
    pub(super) fn read(&self, text: &str) -> Option<Reading> {
        let mut rest = text.trim();
        let mut found = Found::default();
        for (index, piece) in self.pieces.iter().enumerate() {
            if rest.is_empty() && found.has_day() {
                return found.finish(None);
            }
            rest = match piece {
                Piece::Sign(sign) => rest.strip_prefix(*sign)?,
                Piece::Part(part, _) => {
                    let is_last_of_row = !matches!(self.pieces.get(index + 1), Some(Piece::Part(..)));
                    found.take(*part, rest, is_last_of_row)?
                }
            };
        }
        if !self.has_time() {
            rest = found.time_behind(rest)?;
        }
        match rest.trim_start() {
            "" => found.finish(None),
            rest if found.hour.is_some() => found.finish(Some(offset(rest)?)),
            _ => None,
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn is_same(piece: Piece, part: Part) -> bool {
    let year = |part| if part == Part::ShortYear { Part::Year } else { part };
    matches!(piece, Piece::Part(there, _) if year(there) == year(part))
}

/// Digits of a second, where there are any, behind a point.
fn fraction(clock: DateTime) -> String {
    match clock.subsec_nanosecond() / 1000 {
        0 => String::new(),
        micros => format!(".{micros:06}").trim_end_matches('0').to_owned(),
    }
}

/// What was read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Reading {
    pub(super) day: civil::Date,
    time: Time,
    offset: Option<Offset>,
}

impl Reading {
    /// Whether no time of day was told.
    pub(super) fn is_midnight(self) -> bool {
        self.time == Time::midnight() && self.offset.is_none()
    }

    /// The moment; a text without a zone is meant in `zone`.
    pub(super) fn moment(self, zone: &TimeZone) -> Option<Timestamp> {
        let clock = self.day.to_datetime(self.time);
        let instant = match self.offset {
            Some(offset) => offset.to_timestamp(clock).ok()?,
            None => zone.to_timestamp(clock).ok()?,
        };
        Timestamp::from_micros(instant.as_microsecond())
    }
}

#[derive(Default)]
struct Found {
    year: Option<i16>,
    month: Option<i8>,
    day: Option<i8>,
    hour: Option<i8>,
    minute: i8,
    second: i8,
    nanosecond: i32,
}

impl Found {
    const fn has_day(&self) -> bool {
        self.year.is_some() && self.month.is_some() && self.day.is_some()
    }

    /// Takes a part from the beginning of a text. Where no other part follows at once, a zero before it may be left out.
    fn take<'a>(&mut self, part: Part, text: &'a str, may_be_short: bool) -> Option<&'a str> {
        let width = if part == Part::Year { 4 } else { 2 };
        let least = if matches!(part, Part::Year | Part::ShortYear) || !may_be_short { width } else { 1 };
        let (number, rest) = digits(text, least, width)?;
        match part {
            Part::Year => self.year = Some(number),
            Part::ShortYear => self.year = Some(number + if number < LAST_CENTURY { 2000 } else { 1900 }),
            Part::Month => self.month = i8::try_from(number).ok(),
            Part::Day => self.day = i8::try_from(number).ok(),
            Part::Hour => self.hour = i8::try_from(number).ok(),
            Part::Minute => self.minute = i8::try_from(number).ok()?,
            Part::Second => {
                self.second = i8::try_from(number).ok()?;
                return self.fraction(rest);
            }
        }
        Some(rest)
    }

    fn fraction<'a>(&mut self, text: &'a str) -> Option<&'a str> {
        let Some(behind) = text.strip_prefix(['.', ',']) else { return Some(text) };
        let length = behind.bytes().take_while(u8::is_ascii_digit).count();
        let (digits, rest) = behind.split_at_checked(length).filter(|_| (1..=9).contains(&length))?;
        // What is finer than a microsecond is not kept.
        let micros: i32 = format!("{digits:0<6}").get(..6)?.parse().ok()?;
        self.nanosecond = micros * 1000;
        Some(rest)
    }

    /// A time of day in the usual form, where there is one.
    fn time_behind<'a>(&mut self, text: &'a str) -> Option<&'a str> {
        let time = text.trim_start_matches([' ', 'T', ',']);
        if time.is_empty() || time.len() == text.len() {
            return Some(time).filter(|time| time.is_empty());
        }
        let rest = self.take(Part::Hour, time, true)?.strip_prefix(':')?;
        let rest = self.take(Part::Minute, rest, false)?;
        match rest.strip_prefix(':') {
            Some(rest) => self.take(Part::Second, rest, false),
            None => Some(rest),
        }
    }

    fn finish(self, offset: Option<Offset>) -> Option<Reading> {
        let day = civil::Date::new(self.year?, self.month?, self.day?).ok()?;
        let time = Time::new(self.hour.unwrap_or_default(), self.minute, self.second, self.nanosecond).ok()?;
        Some(Reading { day, time, offset })
    }
}

/// A number of so many digits at the beginning of a text.
fn digits(text: &str, least: usize, most: usize) -> Option<(i16, &str)> {
    let length = text.bytes().take(most).take_while(u8::is_ascii_digit).count();
    let (digits, rest) = text.split_at_checked(length).filter(|_| length >= least)?;
    Some((digits.parse().ok()?, rest))
}

/// `Z`, `+01:00` or `+0100`.
fn offset(text: &str) -> Option<Offset> {
    if text.eq_ignore_ascii_case("z") {
        return Some(Offset::UTC);
    }
    let (sign, rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+')?),
    };
    let (hours, rest) = digits(rest, 2, 2)?;
    let (minutes, rest) = digits(rest.strip_prefix(':').unwrap_or(rest), 2, 2)?;
    let is_clock = rest.is_empty() && minutes < 60;
    if is_clock { Offset::from_seconds(sign * (i32::from(hours) * 3600 + i32::from(minutes) * 60)).ok() } else { None }
}
