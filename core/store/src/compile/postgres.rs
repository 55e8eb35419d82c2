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

use mytism_core::query::{Aggregate, DECIMAL_DIGITS, Function, ResultKind};

use super::dialect::{Dialect, Sql};

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

    /// Only what is the same to the last character; everything else is answered in memory.
    fn call(&self, function: Function, arguments: &[Sql<'_>], kind: &ResultKind) -> Option<String> {
        let texts: Vec<&str> = arguments.iter().map(|argument| argument.text).collect();
        let same_kinds = arguments.iter().all(|argument| argument.kind == kind);
        match (function, texts.as_slice()) {
            (Function::Coalesce, several) if same_kinds => Some(format!("coalesce({})", several.join(", "))),
            (Function::If, [condition, yes, no]) if arguments.iter().skip(1).all(|one| one.kind == kind) => {
                Some(format!("(CASE WHEN {condition} THEN {yes} ELSE {no} END)"))
            }
            (Function::IsTrue, [condition]) => Some(format!("(({condition}) IS TRUE)")),
            (Function::Xor, [one, other]) => Some(format!("(({one}) <> ({other}))")),
            (Function::Differs, [one, other]) => Some(format!("({one} IS DISTINCT FROM {other})")),
            (Function::Lower, [text]) => Some(format!("mytism_lower({text})")),
            (Function::Length, [text]) => Some(format!("char_length({text})::bigint")),
            (Function::Bytes, [text]) => Some(format!("octet_length({text})::bigint")),
            (Function::StartsWith, [text, start]) => Some(format!("starts_with({text}, {start})")),
            (Function::Contains, [text, part]) => Some(format!("(strpos({text}, {part}) > 0)")),
            (Function::Position, [text, part]) => Some(format!("strpos({text}, {part})::bigint")),
            (Function::Sign, [number]) => Some(format!("sign({number})::bigint")),
            _ => None,
        }
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

/// The statements that make the functions which compiled queries name, in order. They replace those of an older program.
///
/// Upper and lower case are what this program takes for them, not what the engine's libraries do.
#[must_use]
pub fn functions() -> Vec<String> {
    let (mut upper, mut lower) = (String::new(), String::new());
    for character in ('\u{80}'..=char::MAX).filter(|character| *character != '\u{130}') {
        let mut small = character.to_lowercase();
        if let (Some(one), None) = (small.next(), small.next())
            && one != character
        {
            upper.push(character);
            lower.push(one);
        }
    }
    vec![
        // One letter alone becomes two.
        format!(
            "CREATE OR REPLACE FUNCTION mytism_lower(given text) RETURNS text LANGUAGE sql IMMUTABLE STRICT \
             PARALLEL SAFE AS $body$ SELECT CASE WHEN octet_length(given) = char_length(given) \
             THEN lower(given COLLATE \"C\") \
             ELSE translate(replace(lower(given COLLATE \"C\"), '\u{130}', 'i\u{307}'), '{upper}', '{lower}') END $body$"
        ),
        // A backslash before anything else than a sign of patterns means itself.
        "CREATE OR REPLACE FUNCTION mytism_pattern(given text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE \
         AS $body$ SELECT coalesce(string_agg(CASE part[1] WHEN '\\' THEN '\\\\' ELSE part[1] END, '' ORDER BY place), '') \
         FROM regexp_matches(given, '\\\\[%_\\\\]|\\\\|[^\\\\]+', 'g') WITH ORDINALITY AS parts(part, place) $body$"
            .to_owned(),
    ]
}
