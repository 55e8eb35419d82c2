//! Points in time and calendar dates as values: exact, bounded, without a clock.

use std::fmt;

use jiff::civil;
use jiff::tz::TimeZone;

/// Microseconds since 1970-01-01T00:00:00Z, from the year 1 to a day before the end of 9999.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// 0001-01-01T00:00:00Z.
const MICROS_MIN: i64 = -62_135_596_800_000_000;
/// 9999-12-30T22:00:00Z, so that the moment exists in every time zone.
const MICROS_MAX: i64 = 253_402_207_200_000_000;

impl Timestamp {
    /// The time for a number of microseconds, or `None` outside of the years 1 to 9999.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Option<Self> {
        if micros >= MICROS_MIN && micros <= MICROS_MAX { Some(Self(micros)) } else { None }
    }

    /// Like [`Timestamp::from_micros`], but a time out of bounds becomes the nearest one within: for clocks.
    #[must_use]
    pub const fn saturating_from_micros(micros: i64) -> Self {
        if micros < MICROS_MIN {
            Self(MICROS_MIN)
        } else if micros > MICROS_MAX {
            Self(MICROS_MAX)
        } else {
            Self(micros)
        }
    }

    /// Microseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// The day of this moment in a zone.
    #[must_use]
    pub fn day_in(self, zone: &TimeZone) -> Date {
        let instant = jiff::Timestamp::from_microsecond(self.0).unwrap_or_default();
        Date(zone.to_datetime(instant).date())
    }

    /// Reads RFC 3339; a text without zone is taken in `zone`. Also accepts a blank in place of the `T`, and a date
    /// alone as its first moment. A local time that a clock change skips or doubles is taken as jiff's "compatible"
    /// rule has it (RFC 5545): the moment after a gap, the first of a doubled pair.
    #[must_use]
    pub fn parse(text: &str, zone: &TimeZone) -> Option<Self> {
        let text = text.trim();
        let micros = if let Ok(instant) = text.parse::<jiff::Timestamp>() {
            instant.as_microsecond()
        } else {
            let local = match text.parse::<civil::DateTime>() {
                Ok(local) => local,
                Err(_) => Date::parse(text)?.0.at(0, 0, 0, 0),
            };
            zone.to_timestamp(local).ok()?.as_microsecond()
        };
        Self::from_micros(micros)
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 with `Z`; fractions only where there are any.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(instant) => instant.fmt(f),
            Err(_) => Err(fmt::Error),
        }
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A day of the calendar, years 1 to 9999; as text `YYYY-MM-DD`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date(civil::Date);

impl Date {
    /// The day, or `None` where there is no such day or the year is out of bounds.
    #[must_use]
    pub fn new(year: i16, month: i8, day: i8) -> Option<Self> {
        civil::Date::new(year, month, day).ok().filter(|date| date.year() >= 1).map(Self)
    }

    /// The day that lies `days` after 1970-01-01.
    #[must_use]
    pub fn from_days(days: i32) -> Option<Self> {
        let epoch = civil::Date::constant(1970, 1, 1);
        epoch.checked_add(jiff::Span::new().try_days(days).ok()?).ok().filter(|date| date.year() >= 1).map(Self)
    }

    /// Year, month and day of the month.
    #[must_use]
    pub fn year_month_day(self) -> (i16, i8, i8) {
        (self.0.year(), self.0.month(), self.0.day())
    }

    /// Days since 1970-01-01.
    #[must_use]
    pub fn days(self) -> i32 {
        let epoch = civil::Date::constant(1970, 1, 1);
        (self.0 - epoch).get_days()
    }

    /// The day as the calendar's own type.
    pub(crate) const fn civil(self) -> civil::Date {
        self.0
    }

    /// Reads `YYYY-MM-DD`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.len() != 10 {
            return None;
        }
        text.parse::<civil::Date>().ok().filter(|date| date.year() >= 1).map(Self)
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A time of the day, to the microsecond; as text `HH:MM:SS`, with a fraction where there is one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimeOfDay(civil::Time);

impl TimeOfDay {
    /// Microseconds of a day.
    pub const MICROS: i64 = 86_400_000_000;

    /// The time that lies `micros` behind midnight; `None` outside of one day.
    #[must_use]
    pub fn from_micros(micros: i64) -> Option<Self> {
        let (seconds, fraction) = (micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000));
        let part = |number: i64| i8::try_from(number).ok();
        let nanoseconds = i32::try_from(fraction * 1_000).ok()?;
        civil::Time::new(part(seconds / 3600)?, part(seconds / 60 % 60)?, part(seconds % 60)?, nanoseconds)
            .ok()
            .map(Self)
    }

    /// Microseconds behind midnight.
    #[must_use]
    pub fn micros(self) -> i64 {
        let seconds = (i64::from(self.0.hour()) * 60 + i64::from(self.0.minute())) * 60 + i64::from(self.0.second());
        seconds * 1_000_000 + i64::from(self.0.subsec_nanosecond() / 1_000)
    }

    /// Reads `HH:MM`, `HH:MM:SS` and `HH:MM:SS.ffffff`. What is finer than a microsecond is no time here.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let bytes = text.as_bytes();
        let digits = |byte: &u8| byte.is_ascii_digit();
        let is_plain = bytes.len() >= 5 && bytes.iter().all(|byte| digits(byte) || matches!(byte, b':' | b'.'));
        let time =
            if is_plain && bytes.get(2) == Some(&b':') { text.parse::<civil::Time>().ok()? } else { return None };
        // The parser takes a leap second for the second before it.
        let is_leap = text.get(6..8) == Some("60");
        (!is_leap && time.subsec_nanosecond() % 1_000 == 0).then_some(Self(time))
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_stamps_read_what_people_write() {
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(Timestamp::parse(text, &berlin).map(|t| t.to_string()).as_deref(), expected, "{text}");
        };
        check("2026-11-23T03:30:00Z", Some("2026-11-23T03:30:00Z"));
        check("2026-11-23T03:30:00+02:00", Some("2026-11-23T01:30:00Z"));
        check("2026-11-23 03:30:00", Some("2026-11-23T02:30:00Z"));
        check("1996-07-04 00:00:00.000", Some("1996-07-03T22:00:00Z"));
        check("2026-11-23", Some("2026-11-22T23:00:00Z"));
        check("2026-03-29 02:30:00", Some("2026-03-29T01:30:00Z")); // skipped: the moment after the gap
        check("2026-10-25 02:30:00", Some("2026-10-25T00:30:00Z")); // doubled: the first of the two
        check("2026-02-30", None);
        check("yesterday", None);
        check("", None);
    }

    #[test]
    fn time_stamps_keep_their_borders() {
        assert_eq!(Timestamp::from_micros(MICROS_MIN).unwrap().to_string(), "0001-01-01T00:00:00Z");
        assert_eq!(Timestamp::from_micros(MICROS_MAX).unwrap().to_string(), "9999-12-30T22:00:00Z");
        assert_eq!(Timestamp::from_micros(MICROS_MIN - 1), None);
        assert_eq!(Timestamp::from_micros(MICROS_MAX + 1), None);
    }

    #[test]
    fn a_moment_lies_in_another_day_elsewhere() {
        let moment = Timestamp::parse("2026-12-31T23:30:00Z", &TimeZone::UTC).unwrap();
        assert_eq!(moment.day_in(&TimeZone::UTC).year_month_day(), (2026, 12, 31));
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        assert_eq!(moment.day_in(&berlin).year_month_day(), (2027, 1, 1));
        for micros in [MICROS_MIN, MICROS_MAX] {
            let _day = Timestamp(micros).day_in(&berlin);
        }
    }

    #[test]
    fn times_of_the_day_keep_their_borders() {
        let check = |text: &str, expected: Option<(&str, i64)>| {
            let time = TimeOfDay::parse(text);
            assert_eq!(
                time.map(|time| (time.to_string(), time.micros())),
                expected.map(|(t, m)| (t.to_owned(), m)),
                "{text}"
            );
            assert_eq!(time.and_then(|time| TimeOfDay::from_micros(time.micros())), time, "{text}");
        };
        check("00:00", Some(("00:00:00", 0)));
        check(" 07:05:09 ", Some(("07:05:09", 25_509_000_000)));
        check("12:00:00.250", Some(("12:00:00.25", 43_200_250_000)));
        check("23:59:59.999999", Some(("23:59:59.999999", TimeOfDay::MICROS - 1)));
        for text in
            ["", "24:00", "12", "1:00", "12:60", "12:00:60", "12:00:00.0000001", "12:00Z", "T12:00", "12h", "-1:00"]
        {
            check(text, None);
        }
        assert_eq!(TimeOfDay::from_micros(TimeOfDay::MICROS), None);
        assert_eq!(TimeOfDay::from_micros(-1), None);
    }

    #[test]
    fn dates_keep_their_borders() {
        for text in ["0001-01-01", "1970-01-01", "2024-02-29", "9999-12-31"] {
            let date = Date::parse(text).unwrap();
            assert_eq!(date.to_string(), text);
            assert_eq!(Date::from_days(date.days()), Some(date));
        }
        for text in ["0000-12-31", "2023-02-29", "2026-1-1", "2026-13-01", "26-01-01", "2026-01-01T00:00"] {
            assert_eq!(Date::parse(text), None, "{text}");
        }
    }
}
