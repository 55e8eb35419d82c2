//! What may stand beside aggregates: only what is the same for all objects of a group.

use super::super::problem::{Problem, Span};
use super::super::syntax::Statement;
use super::super::tree::{Expr, Node, Query};
use super::Checker;

impl Checker<'_> {
    /// Refuses columns and order keys that have no single value in a group.
    pub(super) fn grouping(&self, query: &Query, statement: &Statement) -> Result<(), Problem> {
        if !query.is_grouped() {
            return Ok(());
        }
        let Some(columns) = &query.select else {
            let sorted = statement.order.iter().map(|sort| sort.value.span);
            let span = statement.group.iter().map(|syntax| syntax.span).chain(sorted).next();
            let span = span.unwrap_or(statement.entity.span);
            let problem = Problem::new("not-grouped", "whole objects cannot be grouped", span);
            let hint = format!("say what to select, as in: select count(*) from {}", self.outermost.entity.name);
            return Err(problem.hint(hint));
        };
        let items = statement.select.iter().flatten().map(|item| item.value.span);
        for (column, span) in columns.iter().zip(items) {
            self.single(&column.expr, &query.group, span)?;
        }
        for (key, sort) in query.order.iter().zip(&statement.order) {
            self.single(&key.expr, &query.group, sort.value.span)?;
        }
        Ok(())
    }

    fn single(&self, expr: &Expr, group: &[Expr], span: Span) -> Result<(), Problem> {
        let grouped = group.iter().any(|known| known.node == expr.node);
        if grouped || matches!(expr.node, Node::Value(_) | Node::Aggregate { .. }) {
            return Ok(());
        }
        if let Node::Path(_) = expr.node {
            let name = self.describe(expr);
            let message = format!("{name} stands neither in \"group by\" nor in an aggregate");
            return Err(
                Problem::new("not-grouped", message, span).hint(format!("add it to \"group by\", or take max({name})"))
            );
        }
        if let Node::Within(_) | Node::Instance { .. } = expr.node {
            let message = "what is asked about single objects stands in no \"group by\"";
            let hint = "add the same words to \"group by\", or take an aggregate of them";
            return Err(Problem::new("not-grouped", message, span).hint(hint));
        }
        expr.parts().into_iter().try_for_each(|part| self.single(part, group, span))
    }
}
