//! Expressions in an engine's words. Conditions are true, false or nothing there, as in the language.

use mytism_core::query::{Aggregate, Comparison, Expr, Function, Measure, Node, PathEnd, Pattern, ResultKind, Within};
use mytism_core::value::Value;

use super::Parameter;
use super::dialect::{Dialect, Sql};
use super::tables::Tables;

/// Writes expressions and gathers the values and tables that they need.
pub(super) struct Writer<'a> {
    pub(super) tables: Tables<'a>,
    pub(super) dialect: &'a dyn Dialect,
    pub(super) params: Vec<Parameter>,
    /// Columns and keys that are written already: the same expression must be the same text, with the same values, or
    /// the engine would not know it again in `GROUP BY`.
    written: Vec<(Expr, String)>,
}

impl<'a> Writer<'a> {
    pub(super) const fn new(tables: Tables<'a>, dialect: &'a dyn Dialect) -> Self {
        Self { tables, dialect, params: Vec::new(), written: Vec::new() }
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
            Node::Value(value) => self.bind(value.clone(), &expr.kind),
            Node::Path(path) => self.tables.path(path),
            Node::Call { function, arguments } => self.call(*function, arguments, &expr.kind),
            Node::Instance { path, entities, .. } => self.tables.instance(path, entities),
            Node::Within(within) => self.within(within, &expr.kind),
            Node::Compare { comparison, left, right } => self.compare(*comparison, left, right),
            // Not even nothing is one of no values.
            Node::In { list, .. } if list.is_empty() => "FALSE".to_owned(),
            Node::In { value, list } => {
                let values: Vec<String> = list.iter().map(|one| self.bind(one.clone(), &value.kind)).collect();
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
            Node::Aggregate { function: Aggregate::Count | Aggregate::Distinct, .. } | Node::IsNull(_) => false,
            _ => true,
        }
    }

    pub(super) fn bind(&mut self, value: Value, kind: &ResultKind) -> String {
        self.params.push(Parameter { value, kind: kind.clone() });
        self.dialect.parameter(self.params.len(), kind)
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
        let (one, other) = (self.sql(left), self.sql(right));
        self.dialect.compare(sign, Sql { text: &one, kind: &left.kind }, Sql { text: &other, kind: &right.kind })
    }

    fn like(&mut self, value: &Expr, pattern: &Expr, blind: bool) -> String {
        let text = self.sql(value);
        let sought = self.sql(pattern);
        let fits = self.dialect.like(&text, &sought, blind);
        let Node::Value(Value::Text(given)) = &pattern.node else { return fits };
        let prefix = Pattern::new(given, blind).prefix();
        if prefix.is_empty() {
            return fits;
        }
        // What fits begins so; said in this way, an index can find it.
        let above = after_all(&prefix).map(|above| self.bind(Value::Text(above), &ResultKind::Text));
        let above = above.map(|above| format!("{text} < {above} AND ")).unwrap_or_default();
        format!("({text} >= {} AND {above}{fits})", self.bind(Value::Text(prefix), &ResultKind::Text))
    }

    /// Conditions in a balanced tree, since the engine refuses deep ones and would make a chain one.
    fn joined(&mut self, all: &[Expr], word: &str) -> String {
        let parts: Vec<String> = all.iter().map(|part| self.sql(part)).collect();
        balanced(&parts, word)
    }

    fn call(&mut self, function: Function, arguments: &[Expr], kind: &ResultKind) -> String {
        let kinds: Vec<&ResultKind> = arguments.iter().map(|argument| &argument.kind).collect();
        let mut texts = Vec::with_capacity(arguments.len());
        for (at, argument) in arguments.iter().enumerate() {
            let is_needed = self.dialect.needs(function, at, &kinds);
            texts.push(if is_needed { self.sql(argument) } else { String::new() });
        }
        let given: Vec<Sql<'_>> =
            texts.iter().zip(arguments).map(|(text, argument)| Sql { text, kind: &argument.kind }).collect();
        self.dialect.call(function, &given, kind)
    }

    /// A statement of its own in the place of a value, about objects that belong to one around.
    fn within(&mut self, within: &Within, kind: &ResultKind) -> String {
        self.tables.enter(within.entity, false);
        let belongs = self.tables.belongs(&within.relation);
        let filter = within.filter.as_ref().map(|filter| self.sql(filter));
        let argument = within.argument.as_ref().map(|argument| (self.sql(argument), &argument.kind));
        let (from, alive) = self.tables.leave();
        let filter = filter.map(|filter| match within.measure {
            // What is not known to be true is an exception too.
            Measure::ForAll => format!("({filter}) IS NOT TRUE"),
            _ => filter,
        });
        let conditions: Vec<String> = alive.into_iter().chain([belongs]).chain(filter).collect();
        let rows = format!("FROM {from} WHERE {}", conditions.join(" AND "));
        match (within.measure, argument) {
            (Measure::Exists, _) => format!("EXISTS (SELECT 1 {rows})"),
            (Measure::ForAll, _) => format!("(NOT EXISTS (SELECT 1 {rows}))"),
            (Measure::Aggregate(function), Some((inner, of))) => {
                // Over columns of the outer statement alone, an aggregate would be taken for one of the outer statement.
                let aggregate = self.dialect.aggregate(function, Sql { text: "each.value", kind: of }, kind);
                format!("(SELECT {aggregate} FROM (SELECT {inner} AS value {rows}) AS each)")
            }
            (Measure::Aggregate(_), None) => format!("(SELECT count(*) {rows})"),
        }
    }

    fn aggregate(&mut self, function: Aggregate, argument: Option<&Expr>, kind: &ResultKind) -> String {
        let Some(argument) = argument else { return "count(*)".to_owned() };
        let inner = self.sql(argument);
        self.dialect.aggregate(function, Sql { text: &inner, kind: &argument.kind }, kind)
    }
}

fn balanced(parts: &[String], word: &str) -> String {
    match parts {
        [] => "TRUE".to_owned(),
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
