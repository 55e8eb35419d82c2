//! The functions of the language: their names, what they take and what kind they give. What they do stands in
//! [`super::call`].

/// A function or an operator that computes a value from values.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
#[expect(missing_docs, reason = "the manual of the query language says what each does")]
pub enum Function {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Negate,
    Join,
    Lower,
    Upper,
    Trim,
    TrimStart,
    TrimEnd,
    Length,
    Bytes,
    Left,
    Right,
    Substring,
    Replace,
    Contains,
    StartsWith,
    EndsWith,
    Position,
    PadStart,
    PadEnd,
    Repeat,
    Reverse,
    Part,
    Concat,
    Fold,
    Plain,
    Capitalize,
    Words,
    Code,
    Character,
    IsEmpty,
    IsNumber,
    Squeeze,
    Text,
    Integer,
    Decimal,
    Abs,
    Sign,
    Round,
    Floor,
    Ceiling,
    Truncate,
    Div,
    Mod,
    Power,
    Greatest,
    Least,
    IsEven,
    IsOdd,
    Clamp,
    Year,
    Quarter,
    Month,
    Week,
    Day,
    Weekday,
    DayOfYear,
    DaysInMonth,
    IsLeapYear,
    IsWeekend,
    Hour,
    Minute,
    Second,
    Date,
    Datetime,
    MakeDate,
    DateAdd,
    DateDiff,
    StartOf,
    EndOf,
    Coalesce,
    NullIf,
    If,
    Xor,
    IsTrue,
    Differs,
}

/// What may stand in the place of an argument.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Class {
    Text,
    Integer,
    Number,
    Bool,
    /// A day or a moment.
    Time,
    /// Anything that can be shown as text without knowing more.
    Shown,
    /// A value like all others of this class in the call.
    Common,
    /// A word for a stretch of time.
    Unit,
    /// A number of digits that is written out.
    Digits,
}

/// What kind comes out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Gives {
    Text,
    Integer,
    Bool,
    Date,
    Datetime,
    /// The kind of the first argument.
    First,
    /// What the arguments of [`Class::Common`] have in common.
    Common,
    /// That of a sum or difference.
    Sum,
    Product,
    Quotient,
    /// A whole number, or a decimal of as many digits as the second argument says.
    Rounded,
}

/// What is known of a function.
#[derive(Debug)]
pub(super) struct Signature {
    pub(super) function: Function,
    pub(super) name: &'static str,
    pub(super) takes: &'static [Class],
    /// How many arguments there must be.
    pub(super) least: usize,
    /// Whether more of the last class may follow.
    pub(super) repeats: bool,
    pub(super) gives: Gives,
    /// Whether the name of the time zone is handed on as the last argument.
    pub(super) zoned: bool,
}

/// Words for stretches of time.
pub(super) const UNITS: [&str; 8] = ["year", "quarter", "month", "week", "day", "hour", "minute", "second"];

/// The most arguments of a call.
pub(super) const ARGUMENTS_MAX: usize = 50;

const fn row(function: Function, name: &'static str, takes: &'static [Class], gives: Gives) -> Signature {
    Signature { function, name, takes, least: takes.len(), repeats: false, gives, zoned: false }
}

impl Signature {
    /// The last arguments may be left out.
    const fn at_least(mut self, least: usize) -> Self {
        self.least = least;
        self
    }

    const fn repeating(mut self) -> Self {
        self.repeats = true;
        self
    }

    const fn zoned(mut self) -> Self {
        self.zoned = true;
        self
    }

    /// What may stand in the place of that argument.
    pub(super) fn class(&self, at: usize) -> Option<Class> {
        self.takes.get(at).or_else(|| self.takes.last().filter(|_| self.repeats)).copied()
    }

    /// How many arguments it takes, in words.
    pub(super) fn arity(&self) -> String {
        let most = self.takes.len();
        match (self.least, self.repeats) {
            (least, true) => format!("{least} or more"),
            (least, false) if least == most => least.to_string(),
            (least, false) => format!("{least} to {most}"),
        }
    }
}

impl Function {
    /// The function of a number that [`Self::number`] gave.
    #[must_use]
    pub fn of_number(number: u8) -> Option<Self> {
        SIGNATURES.iter().map(|known| known.function).find(|function| function.number() == number)
    }

    /// A number for it, the same as long as a program runs.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// Its word in the language; operators have their sign.
    #[must_use]
    pub fn name(self) -> &'static str {
        signature(self).map_or("", |known| known.name)
    }

    /// The words of all functions, without operators.
    pub fn names() -> impl Iterator<Item = &'static str> {
        SIGNATURES.iter().map(|known| known.name).filter(|name| name.starts_with(|first: char| first.is_alphabetic()))
    }
}

pub(super) fn signature(function: Function) -> Option<&'static Signature> {
    SIGNATURES.iter().find(|known| known.function == function)
}

/// The function of a name as written in a text.
pub(super) fn called(word: &str) -> Option<&'static Signature> {
    SIGNATURES.iter().find(|known| known.name.eq_ignore_ascii_case(word))
}

#[rustfmt::skip]
static SIGNATURES: [Signature; 80] = {
    use Class::{Bool as B, Common as C, Digits, Integer as I, Number as N, Shown as S, Text as T, Time as D, Unit};
    use Function as F;
    [
        row(F::Add, "+", &[N, N], Gives::Sum),
        row(F::Subtract, "-", &[N, N], Gives::Sum),
        row(F::Multiply, "*", &[N, N], Gives::Product),
        row(F::Divide, "/", &[N, N], Gives::Quotient),
        row(F::Remainder, "%", &[N, N], Gives::Sum),
        row(F::Join, "||", &[S, S], Gives::Text),
        row(F::Lower, "lower", &[T], Gives::Text),
        row(F::Upper, "upper", &[T], Gives::Text),
        row(F::Trim, "trim", &[T], Gives::Text),
        row(F::TrimStart, "trim_start", &[T], Gives::Text),
        row(F::TrimEnd, "trim_end", &[T], Gives::Text),
        row(F::Length, "length", &[T], Gives::Integer),
        row(F::Bytes, "bytes", &[T], Gives::Integer),
        row(F::Left, "left", &[T, I], Gives::Text),
        row(F::Right, "right", &[T, I], Gives::Text),
        row(F::Substring, "substring", &[T, I, I], Gives::Text).at_least(2),
        row(F::Replace, "replace", &[T, T, T], Gives::Text),
        row(F::Contains, "contains", &[T, T], Gives::Bool),
        row(F::StartsWith, "starts_with", &[T, T], Gives::Bool),
        row(F::EndsWith, "ends_with", &[T, T], Gives::Bool),
        row(F::Position, "position", &[T, T], Gives::Integer),
        row(F::PadStart, "pad_start", &[T, I, T], Gives::Text).at_least(2),
        row(F::PadEnd, "pad_end", &[T, I, T], Gives::Text).at_least(2),
        row(F::Repeat, "repeat", &[T, I], Gives::Text),
        row(F::Reverse, "reverse", &[T], Gives::Text),
        row(F::Part, "part", &[T, T, I], Gives::Text),
        row(F::Concat, "concat", &[S], Gives::Text).repeating(),
        row(F::Fold, "fold", &[T], Gives::Text),
        row(F::Plain, "plain", &[T], Gives::Text),
        row(F::Capitalize, "capitalize", &[T], Gives::Text),
        row(F::Words, "words", &[T], Gives::Integer),
        row(F::Code, "code", &[T], Gives::Integer),
        row(F::Character, "character", &[I], Gives::Text),
        row(F::IsEmpty, "is_empty", &[T], Gives::Bool),
        row(F::IsNumber, "is_number", &[T], Gives::Bool),
        row(F::Squeeze, "squeeze", &[T], Gives::Text),
        row(F::Text, "text", &[S], Gives::Text),
        row(F::Integer, "integer", &[S], Gives::Integer),
        row(F::Decimal, "decimal", &[S, Digits], Gives::Rounded),
        row(F::Abs, "abs", &[N], Gives::First),
        row(F::Sign, "sign", &[N], Gives::Integer),
        row(F::Round, "round", &[N, Digits], Gives::Rounded).at_least(1),
        row(F::Floor, "floor", &[N], Gives::Integer),
        row(F::Ceiling, "ceiling", &[N], Gives::Integer),
        row(F::Truncate, "truncate", &[N, Digits], Gives::Rounded).at_least(1),
        row(F::Div, "div", &[N, N], Gives::Integer),
        row(F::Mod, "mod", &[N, N], Gives::Sum),
        row(F::Power, "power", &[N, I], Gives::First),
        row(F::Greatest, "greatest", &[C, C], Gives::Common).repeating(),
        row(F::Least, "least", &[C, C], Gives::Common).repeating(),
        row(F::IsEven, "is_even", &[I], Gives::Bool),
        row(F::IsOdd, "is_odd", &[I], Gives::Bool),
        row(F::Clamp, "clamp", &[C, C, C], Gives::Common),
        row(F::Year, "year", &[D], Gives::Integer).zoned(),
        row(F::Quarter, "quarter", &[D], Gives::Integer).zoned(),
        row(F::Month, "month", &[D], Gives::Integer).zoned(),
        row(F::Week, "week", &[D], Gives::Integer).zoned(),
        row(F::Day, "day", &[D], Gives::Integer).zoned(),
        row(F::Weekday, "weekday", &[D], Gives::Integer).zoned(),
        row(F::DayOfYear, "day_of_year", &[D], Gives::Integer).zoned(),
        row(F::DaysInMonth, "days_in_month", &[D], Gives::Integer).zoned(),
        row(F::IsLeapYear, "is_leap_year", &[D], Gives::Bool).zoned(),
        row(F::IsWeekend, "is_weekend", &[D], Gives::Bool).zoned(),
        row(F::Hour, "hour", &[D], Gives::Integer).zoned(),
        row(F::Minute, "minute", &[D], Gives::Integer).zoned(),
        row(F::Second, "second", &[D], Gives::Integer).zoned(),
        row(F::Date, "date", &[D], Gives::Date).zoned(),
        row(F::Datetime, "datetime", &[D], Gives::Datetime).zoned(),
        row(F::MakeDate, "make_date", &[I, I, I], Gives::Date),
        row(F::DateAdd, "date_add", &[D, I, Unit], Gives::First).zoned(),
        row(F::DateDiff, "date_diff", &[D, D, Unit], Gives::Integer).zoned(),
        row(F::StartOf, "start_of", &[D, Unit], Gives::Date).zoned(),
        row(F::EndOf, "end_of", &[D, Unit], Gives::Date).zoned(),
        row(F::Coalesce, "coalesce", &[C], Gives::Common).repeating(),
        row(F::NullIf, "nullif", &[C, C], Gives::Common),
        row(F::If, "if", &[B, C, C], Gives::Common),
        row(F::Xor, "xor", &[B, B], Gives::Bool),
        row(F::IsTrue, "is_true", &[B], Gives::Bool),
        row(F::Differs, "differs", &[C, C], Gives::Bool),
        row(F::Negate, "negate", &[N], Gives::First),
    ]
};
