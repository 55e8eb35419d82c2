//! The query language, from text to a typed tree.
//!
//! `text → tokens → tree as written → typed tree`: each step is a module of its own, and each can refuse with the exact
//! place of the word that it stumbled over. What comes out, a [`Query`], is checked against the schema in full, so that
//! nothing unknown is left to find when it runs. Knows no engine and runs nothing.
//!
//! Hostile text costs no more than its length: text, nesting, lists and the number of objects that a row touches are
//! bounded.

mod check;
mod lexer;
mod parser;
mod pattern;
mod problem;
mod syntax;
mod tree;

use jiff::tz::TimeZone;

use crate::operation::Input;
use crate::schema::Schema;

pub use pattern::Pattern;
pub use problem::{QueryError, render_caret};
pub use tree::{
    Aggregate, Comparison, DECIMAL_DIGITS, Expr, Node, OrderKey, Path, PathEnd, Query, ResultKind, SelectItem,
};

/// The longest text of a query, in bytes.
pub const TEXT_MAX: usize = 64 << 10;

/// The query that a text stands for. `params` are the values of its `$name`s, `zone` is where times without a zone are
/// meant.
///
/// # Errors
/// The first thing that is wrong: the syntax, a name that the schema does not know, a value that does not fit what it is
/// compared with, a parameter that is missing or that the text does not use, or a text beyond the bounds.
pub fn parse(text: &str, schema: &Schema, params: &[(String, Input)], zone: &TimeZone) -> Result<Query, QueryError> {
    let bounded = || {
        if text.len() > TEXT_MAX {
            let message = format!("a query of {} bytes is longer than {TEXT_MAX}", text.len());
            return Err(problem::Problem::elsewhere("query-too-large", message));
        }
        check::query(text, &parser::statement(text)?, schema, params, zone)
    };
    bounded().map_err(|problem| problem.at(text))
}

#[cfg(test)]
mod tests;
