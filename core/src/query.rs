//! The query language, from text to a typed tree.
//!
//! `text → tokens → tree as written → typed tree`: each step is a module of its own, and each can refuse with the exact
//! place of the word that it stumbled over. What comes out, a [`Query`], is checked against the schema in full, so that
//! nothing unknown is left to find when it runs. Knows no engine and runs nothing.
//!
//! Hostile text costs no more than its length: text, nesting, lists and the number of objects that a row touches are
//! bounded.

mod call;
mod check;
mod evaluate;
mod execute;
mod function;
mod lexer;
mod parser;
mod pattern;
mod problem;
mod syntax;
mod tree;

use jiff::tz::TimeZone;

use crate::operation::Input;
use crate::schema::Schema;
use crate::time::Timestamp;

pub use call::{call, compare, is_accent};
pub use evaluate::{EvaluateError, Objects, evaluate, float_sum, mean};
pub use execute::execute;
pub use function::Function;
pub use pattern::Pattern;
pub use problem::{QueryError, render_caret};
pub use tree::{
    Aggregate, Comparison, DECIMAL_DIGITS, Expr, Measure, Node, OrderKey, Path, PathEnd, Query, ResultKind, SelectItem,
    Within,
};

/// The longest text of a query, in bytes.
pub const TEXT_MAX: usize = 64 << 10;

/// What a text is read with, beside the schema.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings<'a> {
    /// The values of the `$name`s in the text.
    pub params: &'a [(String, Input)],
    /// Where times without a zone are meant, and the zone in which functions take moments.
    pub zone: &'a TimeZone,
    /// What `now()` and `today()` mean; `None` where a text may not ask for the time.
    pub now: Option<Timestamp>,
}

/// The query that a text stands for, where it does not ask for the time. `params` are the values of its `$name`s, `zone`
/// is where times without a zone are meant.
///
/// # Errors
/// As [`parse_with`].
pub fn parse(text: &str, schema: &Schema, params: &[(String, Input)], zone: &TimeZone) -> Result<Query, QueryError> {
    parse_with(text, schema, &Surroundings { params, zone, now: None })
}

/// The query that a text stands for.
///
/// # Errors
/// The first thing that is wrong: the syntax, a name that the schema does not know, a value that does not fit what it is
/// compared with, a parameter that is missing or that the text does not use, or a text beyond the bounds.
pub fn parse_with(text: &str, schema: &Schema, surroundings: &Surroundings<'_>) -> Result<Query, QueryError> {
    let bounded = || check::query(text, &parser::statement(bounded(text)?)?, schema, surroundings);
    bounded().map_err(|problem| problem.at(text))
}

/// The query for all objects of an entity for which a condition is true: the short form, for where the entity is known.
/// The object itself is called `a` there.
///
/// # Errors
/// As [`parse_with`].
pub fn parse_condition(
    text: &str,
    entity: &str,
    schema: &Schema,
    surroundings: &Surroundings<'_>,
) -> Result<Query, QueryError> {
    let bounded = || check::query(text, &parser::condition(bounded(text)?, entity)?, schema, surroundings);
    bounded().map_err(|problem| problem.at(text))
}

fn bounded(text: &str) -> Result<&str, problem::Problem> {
    if text.len() > TEXT_MAX {
        let message = format!("a query of {} bytes is longer than {TEXT_MAX}", text.len());
        return Err(problem::Problem::elsewhere("query-too-large", message));
    }
    Ok(text)
}

#[cfg(test)]
mod tests;
