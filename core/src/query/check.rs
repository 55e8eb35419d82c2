//! From the tree as written to the typed tree: the parts of a query and what they may hold. Knows the schema and the
//! parameters, no engine.

mod arithmetic;
mod call;
mod expression;
mod group;
mod literal;
mod path;
mod within;

use std::collections::BTreeSet;

use super::Surroundings;
use super::problem::{Problem, Span};
use super::syntax::{Item, Name, Sort, Statement, Syntax, SyntaxNode};
use super::tree::{Expr, Node, OrderKey, Query, SelectItem};
use crate::failure::nearest;
use crate::id::AttributeId;
use crate::operation::Input;
use crate::schema::{Entity, Schema};

/// The most values of one query, parameters with many values included; an engine binds 32,766.
const SIZE_MAX: usize = 30_000;

/// The typed tree of a statement; `text` is what it was read from.
pub(super) fn query(
    text: &str,
    statement: &Statement,
    schema: &Schema,
    surroundings: &Surroundings<'_>,
) -> Result<Query, Problem> {
    let entity = entity(schema, &statement.entity)?;
    let alias = statement.alias.as_ref().map(|alias| alias.text.as_str());
    let mut checker = Checker {
        text,
        schema,
        outermost: Scope { entity, alias },
        scopes: vec![Scope { entity, alias }],
        surroundings,
        used: BTreeSet::new(),
        ways: BTreeSet::new(),
        tables: 1,
        size: 0,
        columns: Vec::new(),
        no_aggregate_in: None,
    };
    let query = checker.query(statement)?;
    checker.all_parameters_used()?;
    Ok(query)
}

fn entity<'a>(schema: &'a Schema, name: &Name) -> Result<&'a Entity, Problem> {
    schema.entity(&name.text).ok_or_else(|| {
        let near = nearest(&name.text, schema.entities().map(|entity| entity.name.as_str()));
        Problem::new("unknown-entity", format!("there is no entity \"{}\"", name.text), name.span).meant(near)
    })
}

/// Objects that names can be about.
#[derive(Clone, Copy)]
struct Scope<'a> {
    entity: &'a Entity,
    alias: Option<&'a str>,
}

/// What is known while one statement is checked.
struct Checker<'a> {
    text: &'a str,
    schema: &'a Schema,
    /// Whose objects names can be about: those of the query, then those of each relation around.
    scopes: Vec<Scope<'a>>,
    /// The first of them.
    outermost: Scope<'a>,
    surroundings: &'a Surroundings<'a>,
    /// Parameters that stand in the text.
    used: BTreeSet<&'a str>,
    /// Chains of relations that some path goes over.
    ways: BTreeSet<(usize, Vec<AttributeId>)>,
    /// How many tables an engine touches for them.
    tables: usize,
    /// How many values stand in the tree, and copies of its parts.
    size: usize,
    /// The columns that `group by` and `order by` may name.
    columns: Vec<SelectItem>,
    /// The part of the query that is checked at the moment, where no aggregate may stand in it.
    no_aggregate_in: Option<&'static str>,
}

impl<'a> Checker<'a> {
    fn query(&mut self, statement: &'a Statement) -> Result<Query, Problem> {
        let select = statement.select.as_ref().map(|items| self.select(items)).transpose()?;
        let filter = self.without_aggregates("where", |checker| {
            statement.filter.as_ref().map(|filter| checker.condition(filter)).transpose()
        })?;
        self.columns = select.clone().unwrap_or_default();
        let group = self.without_aggregates("group by", |checker| {
            statement.group.iter().map(|syntax| checker.key(syntax, "group by")).collect::<Result<Vec<_>, _>>()
        })?;
        let order = statement.order.iter().map(|sort| self.order_key(sort)).collect::<Result<Vec<_>, _>>()?;
        let limit = statement.limit.as_ref().map(|limit| self.bound(limit, "limit")).transpose()?;
        let offset = statement.offset.as_ref().map_or(Ok(0), |offset| self.bound(offset, "offset"))?;
        let query = Query { entity: self.innermost().entity.id, select, filter, group, order, limit, offset };
        self.grouping(&query, statement)?;
        Ok(query)
    }

    fn select(&mut self, items: &'a [Item]) -> Result<Vec<SelectItem>, Problem> {
        let mut names = BTreeSet::new();
        let mut columns = Vec::new();
        for item in items {
            let expr = self.value(&item.value)?;
            let (name, span) = match &item.name {
                Some(name) => (name.text.clone(), name.span),
                None => (self.column_name(&expr, item.value.span), item.value.span),
            };
            if !names.insert(name.clone()) {
                let problem = Problem::new("duplicate-name", format!("two columns are called \"{name}\""), span);
                return Err(problem.hint("give one of them another name with \"as\""));
            }
            columns.push(SelectItem { name, expr });
        }
        Ok(columns)
    }

    fn order_key(&mut self, sort: &'a Sort) -> Result<OrderKey, Problem> {
        Ok(OrderKey { expr: self.key(&sort.value, "order by")?, descending: sort.descending })
    }

    /// An expression of `group by` or `order by`: the name of a column, or anything that depends on the object.
    fn key(&mut self, syntax: &'a Syntax, part: &str) -> Result<Expr, Problem> {
        if let Some(column) = self.named_column(syntax) {
            if self.no_aggregate_in.is_some() && column.has_aggregate() {
                return Err(misplaced_aggregate(part, syntax.span));
            }
            self.grow(column.size(), syntax.span)?;
            return Ok(column);
        }
        let expr = self.value(syntax)?;
        if matches!(expr.node, Node::Value(_)) {
            let problem = Problem::new("type-mismatch", format!("{part} a constant changes nothing"), syntax.span);
            return Err(problem.hint("name an attribute or a column"));
        }
        Ok(expr)
    }

    /// Takes note of values and copies, which can be many more than the text is long.
    fn grow(&mut self, by: usize, span: Span) -> Result<(), Problem> {
        self.size = self.size.saturating_add(by);
        if self.size > SIZE_MAX {
            let message = format!("a query holds at most {SIZE_MAX} values");
            return Err(Problem::new("query-too-large", message, span));
        }
        Ok(())
    }

    fn named_column(&self, syntax: &Syntax) -> Option<Expr> {
        let SyntaxNode::Path(names) = &syntax.node else { return None };
        let [name] = names.as_slice() else { return None };
        self.columns.iter().find(|column| column.name == name.text).map(|column| column.expr.clone())
    }

    /// What names without an alias are about.
    fn innermost(&self) -> Scope<'a> {
        self.scopes.last().copied().unwrap_or(self.outermost)
    }

    fn without_aggregates<T>(
        &mut self,
        part: &'static str,
        inner: impl FnOnce(&mut Self) -> Result<T, Problem>,
    ) -> Result<T, Problem> {
        let outer = self.no_aggregate_in.replace(part);
        let found = inner(self);
        self.no_aggregate_in = outer;
        found
    }

    /// A limit or an offset.
    fn bound(&mut self, syntax: &'a Syntax, part: &str) -> Result<u64, Problem> {
        let digits = match &syntax.node {
            SyntaxNode::Number(digits) => Some(digits.clone()),
            SyntaxNode::Parameter(name) => match self.parameter(name, syntax.span)? {
                Input::Number(digits) | Input::Text(digits) => Some(digits.clone()),
                _ => None,
            },
            _ => None,
        };
        digits
            .and_then(|digits| digits.trim().parse().ok())
            .ok_or_else(|| Problem::new("type-mismatch", format!("{part} needs a whole number from 0 on"), syntax.span))
    }

    fn parameter(&mut self, name: &'a str, span: Span) -> Result<&'a Input, Problem> {
        let found = self.surroundings.params.iter().find(|(given, _)| given == name);
        let Some((_, input)) = found else {
            let near = nearest(name, self.surroundings.params.iter().map(|(given, _)| given.as_str()));
            let problem = Problem::new("missing-parameter", format!("the parameter ${name} has no value"), span);
            return Err(problem.meant(near));
        };
        self.used.insert(name);
        Ok(input)
    }

    fn all_parameters_used(&self) -> Result<(), Problem> {
        match self.surroundings.params.iter().find(|(name, _)| !self.used.contains(name.as_str())) {
            None => Ok(()),
            Some((name, _)) => {
                let near = nearest(name, self.used.iter().copied());
                Err(Problem::elsewhere("unknown-parameter", format!("the query has no parameter ${name}")).meant(near))
            }
        }
    }
}

fn misplaced_aggregate(part: &str, span: Span) -> Problem {
    Problem::new("misplaced-aggregate", format!("an aggregate cannot stand in {part}"), span)
        .hint("aggregates stand in the select list and in order by")
}
