//! Expressions in the engine's words. Conditions are 1, 0 or nothing there, as in the language.

use mytism_core::query::{Aggregate, Comparison, Expr, Node, PathEnd, Pattern, ResultKind};
use mytism_core::value::Value;
use rusqlite::types::Value as SqlValue;

use super::super::column::Form;
use super::tables::Tables;

/// Writes expressions and gathers the values and tables that they need.
pub(super) struct Writer<'a> {
    pub(super) tables: Tables<'a>,
    pub(super) params: Vec<SqlValue>,
    /// Columns and keys that are written already: the same expression must be the same text, with the same values, or
    /// the engine would not know it again in `GROUP BY`.
    written: Vec<(Expr, String)>,
}

impl<'a> Writer<'a> {
    pub(super) const fn new(tables: Tables<'a>) -> Self {
        Self { tables, params: Vec::new(), written: Vec::new() }
    }

    /// A column, or a key of a group or an order.
    pub(super) fn key(&mut self, expr: &Expr) -> String {
        if let Some((_, sql)) = self.written.iter().find(|(known, _)| known == expr) {
            return sql.clone();
        }
        let sql = self.sql(expr);
        self.written.push((expr.clone(), sql.clone()));
        sql
    }

    pub(super) fn sql(&mut self, expr: &Expr) -> String {
        match &expr.node {
            Node::Value(value) => self.value(&expr.kind, value),
            Node::Path(path) => self.tables.path(path),
            Node::Compare { comparison, left, right } => self.compare(*comparison, left, right),
            Node::In { value, list } => {
                let values: Vec<String> = list.iter().map(|one| self.value(&value.kind, one)).collect();
                format!("({} IN ({}))", self.sql(value), values.join(", "))
            }
            Node::Like { value, pattern, blind } => self.like(value, pattern, *blind),
            Node::IsNull(value) => format!("({} IS NULL)", self.sql(value)),
            Node::And(all) => self.joined(all, "AND"),
            Node::Or(all) => self.joined(all, "OR"),
            Node::Not(inner) => format!("(NOT {})", self.sql(inner)),
            Node::Aggregate { function, argument } => self.aggregate(*function, argument.as_deref(), &expr.kind),
        }
    }

    /// Whether there may be nothing, as far as it is easily seen.
    pub(super) fn can_be_null(&self, expr: &Expr) -> bool {
        match &expr.node {
            Node::Path(path) => match path.end {
                PathEnd::Object => false,
                PathEnd::Attribute(attribute) => !path.via.is_empty() || !self.tables.is_required(attribute),
            },
            Node::Aggregate { function: Aggregate::Count, .. } | Node::IsNull(_) => false,
            _ => true,
        }
    }

    pub(super) fn bind(&mut self, value: SqlValue) -> String {
        self.params.push(value);
        format!("?{}", self.params.len())
    }

    fn value(&mut self, kind: &ResultKind, value: &Value) -> String {
        self.bind(Form::of_result(kind).write(value))
    }

    fn compare(&mut self, comparison: Comparison, left: &Expr, right: &Expr) -> String {
        let sign = match comparison {
            Comparison::Equal => "=",
            Comparison::Unequal => "<>",
            Comparison::Less => "<",
            Comparison::AtMost => "<=",
            Comparison::Greater => ">",
            Comparison::AtLeast => ">=",
        };
        let (a, b) = (Form::of_result(&left.kind), Form::of_result(&right.kind));
        let (left, right) = (self.sql(left), self.sql(right));
        match (a.scale(), b.scale()) {
            (Some(one), Some(other)) if a != b => {
                format!("(mytism_decimal_compare({left}, {one}, {right}, {other}) {sign} 0)")
            }
            _ => format!("({left} {sign} {right})"),
        }
    }

    fn like(&mut self, value: &Expr, pattern: &Expr, blind: bool) -> String {
        let text = self.sql(value);
        let fits = format!("mytism_like({}, {text}, {})", self.sql(pattern), i32::from(blind));
        let Node::Value(Value::Text(given)) = &pattern.node else { return fits };
        let prefix = Pattern::new(given, blind).prefix();
        if prefix.is_empty() {
            return fits;
        }
        // What fits begins so; said in this way, an index can find it.
        let above = after_all(&prefix).map(|above| format!("{text} < {} AND ", self.bind(SqlValue::Text(above))));
        format!("({text} >= {} AND {}{fits})", self.bind(SqlValue::Text(prefix)), above.unwrap_or_default())
    }

    /// Conditions in a balanced tree, since the engine refuses deep ones and would make a chain one.
    fn joined(&mut self, all: &[Expr], word: &str) -> String {
        let parts: Vec<String> = all.iter().map(|part| self.sql(part)).collect();
        balanced(&parts, word)
    }

    fn aggregate(&mut self, function: Aggregate, argument: Option<&Expr>, kind: &ResultKind) -> String {
        let Some(argument) = argument else { return "count(*)".to_owned() };
        let form = Form::of_result(&argument.kind);
        let inner = self.sql(argument);
        match (function, form) {
            (Aggregate::Sum, Form::Wide { .. }) => format!("mytism_decimal_sum({inner})"),
            (Aggregate::Avg, _) => {
                let scale = Form::of_result(kind).scale().unwrap_or(0);
                let further = scale.saturating_sub(form.scale().unwrap_or(0));
                format!("mytism_decimal_avg({inner}, {further})")
            }
            _ => format!("{}({inner})", function.name()),
        }
    }
}

fn balanced(parts: &[String], word: &str) -> String {
    match parts {
        [] => "1".to_owned(),
        [only] => only.clone(),
        several => {
            let (before, behind) = several.split_at(several.len() / 2);
            format!("({} {word} {})", balanced(before, word), balanced(behind, word))
        }
    }
}

/// The first text behind all that begin with `prefix`, in the order of bytes; `None` where none is.
fn after_all(prefix: &str) -> Option<String> {
    let mut characters: Vec<char> = prefix.chars().collect();
    while let Some(last) = characters.pop() {
        // The numbers between the two ranges of characters stand for none.
        let next = if last == '\u{d7ff}' { Some('\u{e000}') } else { char::from_u32(u32::from(last) + 1) };
        if let Some(next) = next {
            characters.push(next);
            return Some(characters.into_iter().collect());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn behind_a_prefix() {
        let check = |prefix: &str, expected: Option<&str>| assert_eq!(after_all(prefix).as_deref(), expected);
        check("Ber", Some("Bes"));
        check("a\u{7f}", Some("a\u{80}"));
        check("a\u{d7ff}", Some("a\u{e000}"));
        check("a\u{10ffff}", Some("b"));
        check("\u{10ffff}", None);
    }
}
