//! Queries in the words of the embedded engine.
//!
//! What the engine does otherwise than the language asks for is done by functions of our own: patterns, sums of wide
//! decimals, comparison of numbers of different scales.

mod functions;

use mytism_core::query::{Aggregate, Function, Query, ResultKind};
use mytism_core::schema::Schema;
use mytism_core::value::Value;
use rusqlite::types::Value as SqlValue;

use super::column::Form;
use super::names::Names;
use crate::QueryOptions;
use crate::compile::{self, Dialect, Sql};

pub use functions::register_functions;

/// A statement, ready to be prepared on a connection with [`register_functions`].
#[derive(Clone, PartialEq, Debug)]
pub struct CompiledQuery {
    /// The text, with `?1` and so on for values.
    pub sql: String,
    /// The values.
    pub params: Vec<SqlValue>,
    /// The same as the query has them.
    pub values: Vec<Value>,
    /// Names and kinds of the columns; empty for whole objects, where each row is the id of an object and that of its
    /// entity. [`super::column::from_result`] reads them.
    pub columns: Vec<(String, ResultKind)>,
}

/// The statement of a query over the tables of a schema, which must be the one that the query was checked against.
#[must_use]
pub fn compile(query: &Query, schema: &Schema, names: &Names, options: QueryOptions) -> CompiledQuery {
    let compiled = compile::compile(query, schema, names, options, &Sqlite);
    let params = compiled.params.iter().map(|bound| Form::of_result(&bound.kind).write(&bound.value)).collect();
    let values = compiled.params.into_iter().map(|bound| bound.value).collect();
    CompiledQuery { sql: compiled.sql, params, values, columns: compiled.columns }
}

/// The embedded engine, with values in the forms of [`super::column`].
struct Sqlite;

impl Dialect for Sqlite {
    fn parameter(&self, number: usize, _: &ResultKind) -> String {
        format!("?{number}")
    }

    fn nothing(&self, _: &ResultKind) -> String {
        "NULL".to_owned()
    }

    fn is_alive(&self, prefix: &str) -> String {
        format!("{prefix}_deleted = 0")
    }

    fn compare(&self, sign: &str, left: Sql<'_>, right: Sql<'_>) -> String {
        let (a, b) = (Form::of_result(left.kind), Form::of_result(right.kind));
        let (left, right) = (left.text, right.text);
        match (a.scale(), b.scale()) {
            (Some(one), Some(other)) if a != b => {
                format!("(mytism_decimal_compare({left}, {one}, {right}, {other}) {sign} 0)")
            }
            _ => format!("({left} {sign} {right})"),
        }
    }

    fn like(&self, text: &str, pattern: &str, blind: bool) -> String {
        format!("mytism_like({pattern}, {text}, {})", i32::from(blind))
    }

    fn aggregate(&self, function: Aggregate, argument: Sql<'_>, kind: &ResultKind) -> String {
        let (form, inner) = (Form::of_result(argument.kind), argument.text);
        match (function, form) {
            (Aggregate::Distinct, _) => format!("count(DISTINCT {inner})"),
            (Aggregate::Sum, _) if *kind == ResultKind::Float => format!("mytism_float_sum({inner})"),
            (Aggregate::Avg, _) if *kind == ResultKind::Float => {
                format!("(mytism_float_sum({inner}) / count({inner}))")
            }
            (Aggregate::Sum, Form::Wide { .. }) => format!("mytism_decimal_sum({inner})"),
            (Aggregate::Avg, _) => {
                let scale = Form::of_result(kind).scale().unwrap_or(0);
                let further = scale.saturating_sub(form.scale().unwrap_or(0));
                format!("mytism_decimal_avg({inner}, {further})")
            }
            _ => format!("{}({inner})", function.name()),
        }
    }

    fn needs(&self, _: Function, _: usize, _: &[&ResultKind]) -> bool {
        true
    }

    /// Our own code is called, so that it is the same as in memory. It is told the forms of its arguments in a text.
    fn call(&self, function: Function, arguments: &[Sql<'_>], kind: &ResultKind) -> String {
        let forms = arguments.iter().map(|argument| argument.kind).chain([kind]);
        let mut texts = vec![format!("'{}'", functions::told(function, forms))];
        texts.extend(arguments.iter().map(|argument| argument.text.to_owned()));
        format!("mytism_call({})", texts.join(", "))
    }

    fn no_limit(&self) -> &'static str {
        " LIMIT -1"
    }
}

#[cfg(test)]
mod tests;
