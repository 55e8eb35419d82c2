//! The functions of the language in PostgreSQL's words: what [`mytism_core::query::call`] gives, to the last digit.
//!
//! What cannot be computed is nothing and never an error, so every limit of the engine is asked for before it is met. The
//! larger ones are functions of the database, see [`super::functions`].

use mytism_core::query::{DECIMAL_DIGITS, Function, ResultKind};

use super::super::dialect::Sql;
use super::{fraction, power, sql_type};

/// Decimal digits that 128 bits always hold. What leaves them on the way is nothing in memory, so it is nothing here.
const WIDE_DIGITS: u32 = 38;
/// The first number that is too large for 128 bits.
const TOO_WIDE: &str = "170141183460469231731687303715884105728";

/// A call as an expression.
pub(super) fn call(function: Function, arguments: &[Sql<'_>], kind: &ResultKind) -> String {
    let written = match arguments {
        [] => None,
        [one] => single(function, *one, kind),
        [one, other] => two(function, *one, *other, kind),
        several => more(function, several, kind),
    };
    let written = written.or_else(|| of_time(function, arguments));
    written.or_else(|| of_any(function, arguments, kind)).unwrap_or_else(|| nothing(kind))
}

/// Whether an argument decides on what comes out: digits stand in the kind, and the zone of a day does not matter.
pub(super) fn needs(function: Function, at: usize, kinds: &[&ResultKind]) -> bool {
    let is_last = at + 1 == kinds.len();
    let has_moment = || kinds.iter().any(|kind| matches!(kind, ResultKind::Datetime));
    match function {
        Function::Round | Function::Truncate => at == 0,
        Function::Integer | Function::Decimal => {
            let can_be_read = |kind: &&ResultKind| matches!(kind, ResultKind::Text) || kind.is_number();
            at == 0 && kinds.first().is_some_and(can_be_read)
        }
        Function::Datetime => !(is_last && has_moment()),
        Function::Year
        | Function::Quarter
        | Function::Month
        | Function::Week
        | Function::Day
        | Function::Weekday
        | Function::DayOfYear
        | Function::DaysInMonth
        | Function::IsLeapYear
        | Function::IsWeekend
        | Function::Hour
        | Function::Minute
        | Function::Second
        | Function::Date
        | Function::DateAdd
        | Function::DateDiff
        | Function::StartOf
        | Function::EndOf => !is_last || has_moment(),
        _ => true,
    }
}

fn nothing(kind: &ResultKind) -> String {
    format!("NULL::{}", sql_type(kind))
}

fn scale_of(kind: &ResultKind) -> u32 {
    if let ResultKind::Decimal { scale, .. } = kind { *scale } else { 0 }
}

fn numeric(given: Sql<'_>) -> String {
    match given.kind {
        ResultKind::Decimal { .. } => given.text.to_owned(),
        _ => format!("CAST({} AS numeric)", given.text),
    }
}

/// A number brought to a kind; nothing where it has too many digits.
fn fitted(number: &str, kind: &ResultKind) -> String {
    match kind {
        ResultKind::Decimal { scale, .. } => {
            format!("mytism_decimal({number}, {scale}, {})", power(DECIMAL_DIGITS.saturating_sub(*scale)))
        }
        _ => format!("mytism_whole({number})"),
    }
}

/// A text that a function makes: of the order of bytes, and not too long.
fn text(made: &str) -> Option<String> {
    Some(format!("(mytism_short({made}) COLLATE \"C\")"))
}

/// Functions of one argument.
fn single(function: Function, given: Sql<'_>, kind: &ResultKind) -> Option<String> {
    let one = given.text;
    let number = || numeric(given);
    match function {
        Function::IsTrue => Some(format!("(({one}) IS TRUE)")),
        Function::Lower
        | Function::Upper
        | Function::Fold
        | Function::Plain
        | Function::Capitalize
        | Function::Trim
        | Function::TrimStart
        | Function::TrimEnd
        | Function::Squeeze => text(&format!("mytism_{}({one})", function.name())),
        Function::Reverse => text(&format!("reverse({one})")),
        Function::Text => text(&shown(given)),
        Function::Length => Some(format!("char_length({one})::bigint")),
        Function::Bytes => Some(format!("octet_length({one})::bigint")),
        Function::Words => Some(format!("mytism_words({one})")),
        Function::Code => Some(format!("nullif(ascii({one}), 0)::bigint")),
        Function::Character => text(&format!("mytism_character({one})")),
        Function::IsEmpty => Some(format!("(mytism_trim({one}) = '')")),
        Function::IsNumber => Some(format!("mytism_is_number({one})")),
        Function::IsEven => Some(format!("({one} % 2 = 0)")),
        Function::IsOdd => Some(format!("({one} % 2 <> 0)")),
        Function::Negate => Some(fitted(&format!("(- {})", number()), kind)),
        Function::Abs => Some(fitted(&format!("abs({})", number()), kind)),
        Function::Sign => Some(format!("sign({})::bigint", number())),
        Function::Floor => Some(fitted(&format!("floor({})", number()), kind)),
        Function::Ceiling => Some(fitted(&format!("ceil({})", number()), kind)),
        Function::Truncate => Some(fitted(&format!("trunc({})", number()), kind)),
        Function::Round => Some(fitted(&number(), kind)),
        Function::Integer => read(given, kind),
        _ => None,
    }
}

/// A number of something that is shown.
fn read(given: Sql<'_>, kind: &ResultKind) -> Option<String> {
    match given.kind {
        ResultKind::Text => {
            let scale = scale_of(kind);
            Some(fitted(&format!("mytism_read({}, {scale}, {})", given.text, fraction(scale)), kind))
        }
        ResultKind::Integer | ResultKind::Decimal { .. } => Some(fitted(&numeric(given), kind)),
        _ => None,
    }
}

/// Functions of two arguments.
fn two(function: Function, left: Sql<'_>, right: Sql<'_>, kind: &ResultKind) -> Option<String> {
    let (one, other) = (left.text, right.text);
    match function {
        Function::Add | Function::Subtract => {
            let sign = if function == Function::Add { "+" } else { "-" };
            Some(fitted(&format!("({} {sign} {})", numeric(left), numeric(right)), kind))
        }
        Function::Multiply => Some(product(left, right, kind)),
        Function::Divide => {
            let scale = scale_of(kind);
            let (unit, part) = (format!("2{}", "0".repeat(scale as usize)), fraction(scale));
            let quotient = format!("mytism_quotient({}, {}, {unit}, {part})", numeric(left), numeric(right));
            Some(fitted(&quotient, kind))
        }
        Function::Remainder | Function::Mod => {
            let rest = format!("mod({}, nullif({}, 0))", numeric(left), numeric(right));
            Some(fitted(&aligned(left, right, rest), kind))
        }
        Function::Div => {
            let whole = format!("div({}, nullif({}, 0))", numeric(left), numeric(right));
            Some(fitted(&aligned(left, right, whole), kind))
        }
        Function::Power => {
            let scale = scale_of(kind);
            let made = format!("mytism_power({}, {other}, {scale}, {})", numeric(left), power(2 * scale));
            Some(fitted(&made, kind))
        }
        Function::Round => Some(fitted(&numeric(left), kind)),
        Function::Truncate => Some(fitted(&format!("trunc({}, {})", numeric(left), scale_of(kind)), kind)),
        Function::Decimal => read(left, kind),
        Function::Join => text(&format!("({} || {})", shown(left), shown(right))),
        Function::Contains => Some(format!("(strpos({one}, {other}) > 0)")),
        Function::Position => Some(format!("strpos({one}, {other})::bigint")),
        Function::StartsWith => Some(format!("starts_with({one}, {other})")),
        Function::EndsWith => Some(format!("(right({one}, char_length({other})) = {other})")),
        Function::Left | Function::Right => text(&format!("{}({one}, mytism_count({other}))", function.name())),
        Function::Substring => text(&format!("mytism_substring({one}, {other}, 2147483647)")),
        Function::Repeat => text(&format!("mytism_repeat({one}, {other})")),
        Function::PadStart | Function::PadEnd => text(&format!("mytism_{}({one}, {other}, ' ')", function.name())),
        Function::Xor => Some(format!("(({one}) <> ({other}))")),
        Function::Differs => Some(format!("({one} IS DISTINCT FROM {other})")),
        _ => None,
    }
}

/// Functions of three arguments and more.
fn more(function: Function, arguments: &[Sql<'_>], kind: &ResultKind) -> Option<String> {
    let texts: Vec<&str> = arguments.iter().map(|argument| argument.text).collect();
    match (function, texts.as_slice()) {
        (Function::Substring, [given, from, count]) => text(&format!("mytism_substring({given}, {from}, {count})")),
        (Function::PadStart | Function::PadEnd, [given, width, fill]) => {
            text(&format!("mytism_{}({given}, {width}, {fill})", function.name()))
        }
        (Function::Replace, [given, old, new]) => text(&format!("mytism_replace({given}, {old}, {new})")),
        (Function::Part, [given, separator, place]) => text(&format!("mytism_part({given}, {separator}, {place})")),
        (Function::MakeDate, [year, month, day]) => Some(format!("mytism_make_date({year}, {month}, {day})")),
        (Function::If, [condition, ..]) => {
            let (yes, no) = (arguments.get(1)?, arguments.get(2)?);
            let is_fitting = yes.kind == kind && no.kind == kind;
            let choice = |yes: &str, no: &str| format!("(CASE WHEN {condition} THEN {yes} ELSE {no} END)");
            Some(if is_fitting || !kind.is_number() {
                choice(yes.text, no.text)
            } else {
                fitted(&choice(&numeric(*yes), &numeric(*no)), kind)
            })
        }
        _ => None,
    }
}

/// A product; nothing where its digits leave 128 bits, which only numbers with many digits behind the point can do
/// without being too large anyway.
fn product(left: Sql<'_>, right: Sql<'_>, kind: &ResultKind) -> String {
    let (a, b) = (numeric(left), numeric(right));
    let scales = scale_of(left.kind) + scale_of(right.kind);
    let plain = format!("({a} * {b})");
    if scales.saturating_sub(scale_of(kind)) + DECIMAL_DIGITS <= WIDE_DIGITS {
        return fitted(&plain, kind);
    }
    fitted(&format!("mytism_bounded({plain}, {})", power(scales)), kind)
}

/// Something of two numbers that are brought to one scale first; nothing where that leaves 128 bits.
fn aligned(left: Sql<'_>, right: Sql<'_>, made: String) -> String {
    let (a, b) = (scale_of(left.kind), scale_of(right.kind));
    if a.abs_diff(b) + DECIMAL_DIGITS <= WIDE_DIGITS {
        return made;
    }
    let (narrow, scale) = if a < b { (left, b) } else { (right, a) };
    format!("(CASE WHEN abs({}) * {} < {TOO_WIDE} THEN {made} END)", numeric(narrow), power(scale))
}

/// A value as text.
fn shown(given: Sql<'_>) -> String {
    let one = given.text;
    match given.kind {
        ResultKind::Text | ResultKind::Json => one.to_owned(),
        ResultKind::Decimal { scale, .. } => format!("CAST(round({one}, {scale}) AS text)"),
        ResultKind::Date => format!("to_char({one}, 'YYYY-MM-DD')"),
        ResultKind::Time => format!("mytism_show_time({one})"),
        ResultKind::Datetime => format!("mytism_show_moment({one})"),
        ResultKind::Float => format!("mytism_show_float({one})"),
        _ => format!("CAST({one} AS text)"),
    }
}

/// Functions over anything that is alike.
fn of_any(function: Function, arguments: &[Sql<'_>], kind: &ResultKind) -> Option<String> {
    // Numbers of several kinds meet as exact ones.
    let is_alike = !kind.is_number() || arguments.iter().all(|one| one.kind == kind);
    let alike: Vec<String> =
        arguments.iter().map(|one| if is_alike { one.text.to_owned() } else { numeric(*one) }).collect();
    let listed = alike.join(", ");
    let fitting = |made: String| if is_alike { made } else { fitted(&made, kind) };
    match function {
        Function::Coalesce => Some(fitting(format!("coalesce({listed})"))),
        Function::NullIf => Some(fitting(format!("nullif({listed})"))),
        Function::Greatest => Some(fitting(format!("mytism_greatest(ARRAY[{listed}])"))),
        Function::Least => Some(fitting(format!("mytism_least(ARRAY[{listed}])"))),
        Function::Clamp => {
            let [value, low, high] = alike.as_slice() else { return None };
            let raised = format!("mytism_greatest(ARRAY[{value}, {low}])");
            Some(fitting(format!("mytism_least(ARRAY[{raised}, {high}])")))
        }
        Function::Concat => {
            let texts: Vec<String> = arguments.iter().map(|one| shown(*one)).collect();
            text(&format!("concat({})", texts.join(", ")))
        }
        _ => None,
    }
}

/// Functions of days and moments; the time zone is the last argument.
fn of_time(function: Function, arguments: &[Sql<'_>]) -> Option<String> {
    let (zone, given) = arguments.split_last()?;
    let zone = zone.text;
    // By the clocks of the zone.
    let local = |one: &Sql<'_>| match one.kind {
        ResultKind::Date => format!("CAST({} AS timestamp)", one.text),
        _ => format!("mytism_local({}, {zone})", one.text),
    };
    let is_moment = |one: &Sql<'_>| matches!(one.kind, ResultKind::Datetime);
    match (function, given) {
        (Function::Date, [one]) => Some(format!("mytism_day(CAST({} AS date))", local(one))),
        (Function::Datetime, [one]) if is_moment(one) => Some(one.text.to_owned()),
        (Function::Datetime, [one]) => Some(format!("mytism_moment({}, {zone})", local(one))),
        (Function::DateAdd, [one, count, unit]) if is_moment(one) => {
            Some(format!("mytism_moment_add({}, {}, {}, {zone})", one.text, count.text, unit.text))
        }
        (Function::DateAdd, [one, count, unit]) => {
            Some(format!("mytism_date_add({}, {}, {})", one.text, count.text, unit.text))
        }
        (Function::DateDiff, [from, to, unit]) if is_moment(from) && is_moment(to) => {
            Some(format!("mytism_moment_diff({}, {}, {}, {zone})", from.text, to.text, unit.text))
        }
        (Function::DateDiff, [from, to, unit]) => {
            let day = |one| format!("CAST(CAST({} AS date) AS timestamp)", local(one));
            Some(format!("mytism_date_diff({}, {}, {})", day(from), day(to), unit.text))
        }
        (Function::StartOf | Function::EndOf, [one, unit]) => {
            Some(format!("mytism_{}(CAST({} AS date), {})", function.name(), local(one), unit.text))
        }
        (_, [one]) => part(function, &local(one)),
        _ => None,
    }
}

/// A part of a time by the clocks.
fn part(function: Function, local: &str) -> Option<String> {
    let field = match function {
        Function::Year => return Some(format!("mytism_year({local})")),
        Function::DaysInMonth => return Some(format!("mytism_days_in_month({local})")),
        Function::IsLeapYear => return Some(format!("mytism_is_leap_year({local})")),
        Function::IsWeekend => return Some(format!("(extract(isodow FROM {local}) >= 6)")),
        Function::Second => return Some(format!("floor(extract(second FROM {local}))::bigint")),
        Function::Quarter => "quarter",
        Function::Month => "month",
        Function::Week => "week",
        Function::Day => "day",
        Function::Weekday => "isodow",
        Function::DayOfYear => "doy",
        Function::Hour => "hour",
        Function::Minute => "minute",
        _ => return None,
    };
    Some(format!("extract({field} FROM {local})::bigint"))
}
