//! Questions about the objects of a relation to many, and about the entity of an object.

use super::super::problem::{Problem, Span};
use super::super::syntax::{Name, Syntax, WithinSyntax};
use super::super::tree::{Aggregate, Expr, Measure, Node, Path, PathEnd, ResultKind, Within};
use super::expression::Operand;
use super::{Checker, Scope};
use crate::schema::{Entity, Kind};

/// How deep questions about relations may stand in one another.
const SCOPES_MAX: usize = 8;

impl<'a> Checker<'a> {
    pub(super) fn within(&mut self, syntax: &'a WithinSyntax, span: Span) -> Result<Expr, Problem> {
        let (relation, entity) = self.relation(&syntax.relation, span)?;
        if self.scopes.len() >= SCOPES_MAX {
            let message = format!("questions about relations are nested more than {SCOPES_MAX} deep");
            return Err(Problem::new("query-too-large", message, span));
        }
        if syntax.measure == Measure::ForAll && syntax.filter.is_none() {
            let problem = Problem::syntax("\"for all\" says nothing without a condition", span);
            return Err(
                problem.hint("say what must be true of each, as in: for all(within a.Lines l where l.Total > 0)")
            );
        }
        self.touch(entity.concrete.len(), span)?;
        let depth = self.scopes.len();
        self.scopes.push(Scope { entity, alias: syntax.alias.as_ref().map(|alias| alias.text.as_str()) });
        let inner = self.without_aggregates("within", |checker| {
            let argument = syntax.argument.as_ref().map(|argument| checker.value(argument)).transpose()?;
            let filter = syntax.filter.as_ref().map(|filter| checker.condition(filter)).transpose()?;
            Ok((argument, filter))
        });
        self.scopes.truncate(depth);
        self.ways.retain(|(scope, _)| *scope < depth);
        let (argument, filter) = inner?;
        let kind = match (syntax.measure, &argument, &syntax.argument) {
            (Measure::Aggregate(function), Some(inner), Some(written)) => {
                self.aggregate_of(function, inner, written.span)?
            }
            (Measure::Aggregate(Aggregate::Count), _, _) => ResultKind::Integer,
            _ => ResultKind::Bool,
        };
        let within = Within { measure: syntax.measure, relation, entity: entity.id, filter, argument };
        Ok(Expr { node: Node::Within(Box::new(within)), kind })
    }

    /// The way to a relation to many, and the entity of its objects.
    fn relation(&mut self, names: &'a [Name], span: Span) -> Result<(Path, &'a Entity), Problem> {
        let Some((last, before)) = names.split_last() else {
            return Err(Problem::syntax("a relation is expected", span));
        };
        let owner = self.path(before)?;
        let entity = self.target(&owner.kind, before.last().unwrap_or(last), last)?;
        let member = self.member(entity, last, names)?;
        let (Kind::ToMany { target, .. } | Kind::ManyToMany { target } | Kind::Owners { target, .. }) = &member.kind
        else {
            let message = format!("\"{}\" of {} leads to no set of objects", last.text, entity.name);
            let problem = Problem::new("type-mismatch", message, last.span);
            return Err(problem.hint("behind \"within\" stands a relation to many objects"));
        };
        let found = self.schema.entity_by_id(*target);
        let target = found.ok_or_else(|| Problem::new("unknown-entity", "the relation leads nowhere", last.span))?;
        let Node::Path(Path { scope, mut via, end }) = owner.node else {
            return Err(Problem::syntax("a relation is expected", span));
        };
        if let PathEnd::Attribute(reference) = end {
            via.push(reference);
        }
        Ok((Path { scope, via, end: PathEnd::Attribute(member.id) }, target))
    }

    pub(super) fn instance(&mut self, value: &'a Syntax, entity: &Name) -> Result<Node, Problem> {
        let found = super::entity(self.schema, entity)?;
        match self.operand(value)? {
            Operand::Typed(Expr { node: Node::Path(path), kind: ResultKind::Reference(of) }) => {
                let is_a = |a: &Entity, b: &Entity| a.is_a(b.id);
                let known = self.schema.entity_by_id(of);
                if !known.is_some_and(|known| is_a(known, found) || is_a(found, known)) {
                    let message = format!("no {} is ever a {}", self.schema.entity_name(of), found.name);
                    return Err(Problem::new("type-mismatch", message, entity.span));
                }
                if let PathEnd::Attribute(reference) = path.end {
                    let mut via = path.via.clone();
                    via.push(reference);
                    self.go_over(path.scope, &via, value.span)?;
                }
                Ok(Node::Instance { path, of, entities: found.concrete.clone() })
            }
            other => {
                let expr = self.settle(other, value.span)?;
                let message = format!("{} is of kind {} and no object", self.describe(&expr), expr.kind.name());
                Err(Problem::new("type-mismatch", message, value.span))
            }
        }
    }
}
