//! How PostgreSQL (13 and later) writes a query. Runs nothing.
//!
//! The text is made for columns and values of these types:
//!
//! | kind | type |
//! |---|---|
//! | bool | `boolean` |
//! | integer | `bigint` |
//! | decimal | `numeric` |
//! | float | `double precision` |
//! | string, text, json, blob | `text`, columns with `COLLATE "C"` |
//! | date | `date` |
//! | time | `time` |
//! | uuid | `uuid` |
//! | datetime | `timestamptz` |
//! | enum | `integer`, the id of the word |
//! | to-one, ids | `bigint` |
//!
//! and for a column `_deleted` of type `boolean`. What the engine cannot say exactly is said by the functions of
//! [`functions`], which the database must have.

mod call;
mod functions;

use mytism_core::query::{Aggregate, DECIMAL_DIGITS, Function, ResultKind};

use super::dialect::{Dialect, Sql};
pub use functions::functions;

/// Decimals of up to so many digits are summed in 64 bits by every engine.
const NARROW_DIGITS: u32 = 18;

/// PostgreSQL.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Postgres;

impl Dialect for Postgres {
    fn parameter(&self, number: usize, kind: &ResultKind) -> String {
        match sql_type(kind) {
            "text" => format!("(${number}::text COLLATE \"C\")"),
            other => format!("${number}::{other}"),
        }
    }

    fn nothing(&self, kind: &ResultKind) -> String {
        format!("NULL::{}", sql_type(kind))
    }

    fn is_alive(&self, prefix: &str) -> String {
        format!("NOT {prefix}_deleted")
    }

    fn compare(&self, sign: &str, left: Sql<'_>, right: Sql<'_>) -> String {
        format!("({} {sign} {})", left.text, right.text)
    }

    fn like(&self, text: &str, pattern: &str, blind: bool) -> String {
        if blind {
            format!("(mytism_lower({text}) LIKE mytism_pattern(mytism_lower({pattern})))")
        } else {
            format!("({text} LIKE mytism_pattern({pattern}))")
        }
    }

    fn aggregate(&self, function: Aggregate, argument: Sql<'_>, kind: &ResultKind) -> String {
        let inner = argument.text;
        match (function, kind) {
            (Aggregate::Distinct, _) => format!("count(DISTINCT {inner})"),
            (Aggregate::Sum, ResultKind::Float) => format!("sum({inner} ORDER BY {inner})"),
            (Aggregate::Avg, ResultKind::Float) => format!("(sum({inner} ORDER BY {inner}) / count({inner}))"),
            // The engine's sum is wider than what is summed; the cast refuses what the kind cannot hold.
            (Aggregate::Sum, ResultKind::Integer) => format!("sum({inner})::bigint"),
            (Aggregate::Sum, ResultKind::Decimal { precision, scale }) if *precision <= NARROW_DIGITS => {
                format!("((sum({inner}) * {})::bigint * {})", power(*scale), fraction(*scale))
            }
            (Aggregate::Sum, ResultKind::Decimal { scale, .. }) => {
                format!("sum({inner})::numeric({DECIMAL_DIGITS}, {scale})")
            }
            // The engine's mean is rounded twice; this one is the whole quotient, once.
            (Aggregate::Avg, ResultKind::Decimal { scale, .. }) => format!(
                "(div(abs(sum({inner})) * {} + count({inner}), 2 * count({inner})) * sign(sum({inner})) * {})\
                 ::numeric({DECIMAL_DIGITS}, {scale})",
                format_args!("2{}", "0".repeat(*scale as usize)),
                fraction(*scale)
            ),
            _ => format!("{}({inner})", function.name()),
        }
    }

    fn needs(&self, function: Function, at: usize, kinds: &[&ResultKind]) -> bool {
        call::needs(function, at, kinds)
    }

    fn call(&self, function: Function, arguments: &[Sql<'_>], kind: &ResultKind) -> String {
        call::call(function, arguments, kind)
    }

    fn no_limit(&self) -> &'static str {
        ""
    }
}

/// The type in which a value of a kind is bound and comes out.
#[must_use]
pub const fn sql_type(kind: &ResultKind) -> &'static str {
    match kind {
        ResultKind::Bool => "boolean",
        ResultKind::Integer | ResultKind::Reference(_) => "bigint",
        ResultKind::Decimal { .. } => "numeric",
        ResultKind::Float => "double precision",
        ResultKind::Text | ResultKind::Json | ResultKind::Blob => "text",
        ResultKind::Date => "date",
        ResultKind::Time => "time",
        ResultKind::Uuid => "uuid",
        ResultKind::Datetime => "timestamptz",
        ResultKind::Enum(_) => "integer",
    }
}

/// 10 to a power.
fn power(scale: u32) -> String {
    format!("1{}", "0".repeat(scale as usize))
}

/// 10 to a negative power, which the engine takes as an exact number.
fn fraction(scale: u32) -> String {
    if scale == 0 { "1".to_owned() } else { format!("0.{}1", "0".repeat((scale - 1) as usize)) }
}
