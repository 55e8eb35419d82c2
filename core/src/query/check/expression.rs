//! Expressions: which kinds meet in them, and what comes out.

use super::super::problem::{Problem, Span};
use super::super::syntax::{Syntax, SyntaxNode};
use super::super::tree::{Aggregate, Comparison, DECIMAL_DIGITS, Expr, NARROW_DIGITS, Node, ResultKind};
use super::{Checker, misplaced_aggregate};
use crate::operation::Input;
use crate::value::Value;

/// Digits after the point of a mean, where its values have fewer.
pub(super) const MEAN_SCALE: u32 = 6;

/// One side of a comparison.
pub(super) enum Operand {
    /// It has a kind of its own.
    Typed(Expr),
    /// A literal or parameter, which takes the kind of the other side.
    Free(Input),
}

impl<'a> Checker<'a> {
    /// An expression that must be true or false.
    pub(super) fn condition(&mut self, syntax: &'a Syntax) -> Result<Expr, Problem> {
        match self.operand(syntax)? {
            Operand::Typed(expr) if expr.kind == ResultKind::Bool => Ok(expr),
            Operand::Free(Input::Null) => Ok(Expr { node: Node::Value(Value::Null), kind: ResultKind::Bool }),
            Operand::Free(given @ Input::Bool(_)) => self.natural(&given, syntax.span),
            other => {
                let expr = self.settle(other, syntax.span)?;
                let message = format!("{} is of kind {} and no condition", self.describe(&expr), expr.kind.name());
                let problem = Problem::new("type-mismatch", message, syntax.span);
                Err(problem.hint("compare it with something"))
            }
        }
    }

    /// An expression that stands alone.
    pub(super) fn value(&mut self, syntax: &'a Syntax) -> Result<Expr, Problem> {
        let operand = self.operand(syntax)?;
        self.settle(operand, syntax.span)
    }

    pub(super) fn settle(&mut self, operand: Operand, span: Span) -> Result<Expr, Problem> {
        match operand {
            Operand::Typed(expr) => Ok(expr),
            Operand::Free(given) => self.natural(&given, span),
        }
    }

    pub(super) fn operand(&mut self, syntax: &'a Syntax) -> Result<Operand, Problem> {
        let node = match &syntax.node {
            SyntaxNode::Number(digits) => return Ok(Operand::Free(Input::Number(digits.clone()))),
            SyntaxNode::Text(text) => return Ok(Operand::Free(Input::Text(text.clone()))),
            SyntaxNode::Bool(given) => return Ok(Operand::Free(Input::Bool(*given))),
            SyntaxNode::Null => return Ok(Operand::Free(Input::Null)),
            SyntaxNode::Parameter(name) => return Ok(Operand::Free(self.parameter(name, syntax.span)?.clone())),
            SyntaxNode::Path(names) => return self.path(names).map(Operand::Typed),
            SyntaxNode::Aggregate { function, argument } => {
                return self.aggregate(*function, argument.as_deref(), syntax.span).map(Operand::Typed);
            }
            SyntaxNode::Call { signature, arguments } => {
                return self.call(signature, arguments, syntax.span).map(Operand::Typed);
            }
            SyntaxNode::Clock { day } => return self.clock(*day, syntax.span).map(Operand::Typed),
            SyntaxNode::Within(within) => return self.within(within, syntax.span).map(Operand::Typed),
            SyntaxNode::Instance { value, entity } => self.instance(value, entity)?,
            SyntaxNode::Compare { comparison, left, right } => self.compare(*comparison, left, right)?,
            SyntaxNode::Between { value, low, high } => Node::And(vec![
                condition(self.compare(Comparison::AtLeast, value, low)?),
                condition(self.compare(Comparison::AtMost, value, high)?),
            ]),
            SyntaxNode::In { value, list } => self.membership(value, list)?,
            SyntaxNode::Like { value, pattern, blind } => self.like(value, pattern, *blind)?,
            SyntaxNode::IsNull(value) => Node::IsNull(Box::new(self.value(value)?)),
            SyntaxNode::And(all) => Node::And(self.conditions(all)?),
            SyntaxNode::Or(all) => Node::Or(self.conditions(all)?),
            SyntaxNode::Not(inner) => Node::Not(Box::new(self.condition(inner)?)),
        };
        Ok(Operand::Typed(condition(node)))
    }

    fn conditions(&mut self, all: &'a [Syntax]) -> Result<Vec<Expr>, Problem> {
        all.iter().map(|one| self.condition(one)).collect()
    }

    fn compare(&mut self, comparison: Comparison, left: &'a Syntax, right: &'a Syntax) -> Result<Node, Problem> {
        let (left_span, right_span) = (left.span, right.span);
        let (left, right) = match (self.operand(left)?, self.operand(right)?) {
            (Operand::Typed(left), Operand::Free(given)) => self.fit(left, &given, right_span)?,
            (Operand::Free(given), Operand::Typed(right)) => {
                let (right, left) = self.fit(right, &given, left_span)?;
                (left, right)
            }
            // Nothing takes the kind of the other side, whichever side it stands on.
            (Operand::Free(Input::Null), Operand::Free(right)) => {
                let right = self.natural(&right, right_span)?;
                let (right, left) = self.fit(right, &Input::Null, left_span)?;
                (left, right)
            }
            (left, Operand::Free(given)) => {
                let left = self.settle(left, left_span)?;
                self.fit(left, &given, right_span)?
            }
            (left, Operand::Typed(right)) => {
                let left = self.settle(left, left_span)?;
                self.comparable(&left, &right, right_span)?;
                (left, right)
            }
        };
        if comparison.orders()
            && matches!(left.kind, ResultKind::Bool | ResultKind::Blob | ResultKind::Json | ResultKind::Reference(_))
        {
            let message = format!("{} is of kind {}, which has no order", self.describe(&left), left.kind.name());
            let problem = Problem::new("type-mismatch", message, left_span);
            return Err(match left.kind {
                ResultKind::Reference(_) => problem.hint("compare ids with .id, or attributes of the objects"),
                _ => problem,
            });
        }
        Ok(Node::Compare { comparison, left: Box::new(left), right: Box::new(right) })
    }

    pub(super) fn comparable(&self, left: &Expr, right: &Expr, span: Span) -> Result<(), Problem> {
        let fits = match (&left.kind, &right.kind) {
            (ResultKind::Reference(a), ResultKind::Reference(b)) => {
                let is_a = |a, b| self.schema.entity_by_id(a).is_some_and(|entity| entity.is_a(b));
                is_a(*a, *b) || is_a(*b, *a)
            }
            (a, b) => (a.is_number() && b.is_number()) || a == b,
        };
        if fits {
            return Ok(());
        }
        let (a, b) = (self.describe(left), self.describe(right));
        let message = match (&left.kind, &right.kind) {
            (ResultKind::Reference(one), ResultKind::Reference(other)) => {
                let (one, other) = (self.schema.entity_name(*one), self.schema.entity_name(*other));
                format!("{a} leads to {one} and {b} to {other}, so they are never equal")
            }
            (ResultKind::Enum(_), ResultKind::Enum(_)) => format!("{a} and {b} have different lists of words"),
            (one, other) => format!("{a} is of kind {}, {b} is of kind {}", one.name(), other.name()),
        };
        let problem = Problem::new("type-mismatch", message, span);
        let computed = matches!(right.node, Node::Call { .. }) && right.kind == ResultKind::Integer;
        Err(match left.kind {
            ResultKind::Date | ResultKind::Datetime if computed => problem.hint("a day is written as \"2026-11-23\""),
            _ => problem,
        })
    }

    /// Values of the kind of the left side stand in one list each; whatever else is compared one by one.
    fn membership(&mut self, value: &'a Syntax, list: &'a [Syntax]) -> Result<Node, Problem> {
        let operand = self.operand(value)?;
        let nothing = matches!(operand, Operand::Free(Input::Null));
        let expr = self.settle(operand, value.span)?;
        let mut found = Membership::default();
        for syntax in list {
            match self.operand(syntax)? {
                // Nothing has no kind that the others would have to fit.
                Operand::Typed(other) if nothing => {
                    self.grow(1, syntax.span)?;
                    found.add_comparison(Expr { node: expr.node.clone(), kind: other.kind.clone() }, other);
                }
                Operand::Free(given) if nothing => {
                    let other = self.natural(&given, syntax.span)?;
                    found.add_comparison(Expr { node: expr.node.clone(), kind: other.kind.clone() }, other);
                }
                Operand::Typed(other) => {
                    self.comparable(&expr, &other, syntax.span)?;
                    self.grow(expr.size(), syntax.span)?;
                    found.add_comparison(expr.clone(), other);
                }
                Operand::Free(Input::List(objects)) => {
                    found.add_list(&expr);
                    for object in objects {
                        let (expr, literal) = self.fit(expr.clone(), &Input::Reference(object), syntax.span)?;
                        found.add(expr, literal);
                    }
                }
                Operand::Free(given) => {
                    let (expr, literal) = self.fit(expr.clone(), &given, syntax.span)?;
                    found.add(expr, literal);
                }
            }
        }
        Ok(found.node())
    }

    fn like(&mut self, value: &'a Syntax, pattern: &'a Syntax, blind: bool) -> Result<Node, Problem> {
        let text = self.text(value)?;
        let pattern = self.text(pattern)?;
        Ok(Node::Like { value: Box::new(text), pattern: Box::new(pattern), blind })
    }

    pub(super) fn text(&mut self, syntax: &'a Syntax) -> Result<Expr, Problem> {
        let expr = self.value(syntax)?;
        if expr.kind == ResultKind::Text {
            return Ok(expr);
        }
        let message = format!("{} is of kind {}, a text is expected", self.describe(&expr), expr.kind.name());
        Err(Problem::new("type-mismatch", message, syntax.span))
    }

    fn aggregate(&mut self, function: Aggregate, argument: Option<&'a Syntax>, span: Span) -> Result<Expr, Problem> {
        if let Some(part) = self.no_aggregate_in {
            return Err(misplaced_aggregate(part, span));
        }
        let Some(argument) = argument else {
            return Ok(Expr { node: Node::Aggregate { function, argument: None }, kind: ResultKind::Integer });
        };
        let inner = self.without_aggregates("another aggregate", |checker| checker.value(argument))?;
        let kind = self.aggregate_of(function, &inner, argument.span)?;
        Ok(Expr { node: Node::Aggregate { function, argument: Some(Box::new(inner)) }, kind })
    }

    /// What kind an aggregate over an expression has.
    pub(super) fn aggregate_of(&self, function: Aggregate, inner: &Expr, span: Span) -> Result<ResultKind, Problem> {
        aggregate_kind(function, &inner.kind).ok_or_else(|| {
            let wanted =
                if matches!(function, Aggregate::Sum | Aggregate::Avg) { "numbers" } else { "what has an order" };
            let (found, kind) = (self.describe(inner), inner.kind.name());
            let message = format!("{} takes {wanted}, {found} is of kind {kind}", function.name());
            Problem::new("type-mismatch", message, span)
        })
    }
}

pub(super) fn condition(node: Node) -> Expr {
    Expr { node, kind: ResultKind::Bool }
}

/// What comes out of an aggregate over values of a kind; `None` where it does not take them.
pub(super) fn aggregate_kind(function: Aggregate, kind: &ResultKind) -> Option<ResultKind> {
    match (function, kind) {
        (Aggregate::Count | Aggregate::Distinct, _) => Some(ResultKind::Integer),
        (Aggregate::Sum, ResultKind::Integer) => Some(ResultKind::Integer),
        (Aggregate::Sum, ResultKind::Decimal { precision, scale }) => {
            let precision = if *precision <= NARROW_DIGITS { NARROW_DIGITS } else { DECIMAL_DIGITS };
            Some(ResultKind::Decimal { precision, scale: *scale })
        }
        (Aggregate::Avg, ResultKind::Integer) => {
            Some(ResultKind::Decimal { precision: DECIMAL_DIGITS, scale: MEAN_SCALE })
        }
        (Aggregate::Avg, ResultKind::Decimal { scale, .. }) => {
            Some(ResultKind::Decimal { precision: DECIMAL_DIGITS, scale: (*scale).max(MEAN_SCALE) })
        }
        (Aggregate::Sum | Aggregate::Avg, ResultKind::Float) => Some(ResultKind::Float),
        (Aggregate::Sum | Aggregate::Avg, _) => None,
        (
            Aggregate::Min | Aggregate::Max,
            ResultKind::Bool | ResultKind::Blob | ResultKind::Json | ResultKind::Reference(_),
        ) => None,
        (Aggregate::Min | Aggregate::Max, kind) => Some(kind.clone()),
    }
}

/// The parts of an `in`, one of which must be true.
#[derive(Default)]
struct Membership {
    /// An object may be looked for by its id and by its key, so there can be more lists than one.
    lists: Vec<(Expr, Vec<Value>)>,
    others: Vec<Expr>,
}

impl Membership {
    fn add_list(&mut self, expr: &Expr) -> &mut Vec<Value> {
        let at = self.lists.iter().position(|(known, _)| known == expr).unwrap_or_else(|| {
            self.lists.push((expr.clone(), Vec::new()));
            self.lists.len() - 1
        });
        &mut self.lists[at].1
    }

    fn add(&mut self, expr: Expr, literal: Expr) {
        match literal.node {
            Node::Value(value) if literal.kind == expr.kind => self.add_list(&expr).push(value),
            node => self.add_comparison(expr, Expr { node, kind: literal.kind }),
        }
    }

    fn add_comparison(&mut self, left: Expr, right: Expr) {
        let comparison = Comparison::Equal;
        self.others.push(condition(Node::Compare { comparison, left: Box::new(left), right: Box::new(right) }));
    }

    fn node(self) -> Node {
        let lists = self.lists.into_iter().map(|(value, list)| condition(Node::In { value: Box::new(value), list }));
        let mut all: Vec<Expr> = lists.chain(self.others).collect();
        match (all.pop(), all.is_empty()) {
            (Some(only), true) => only.node,
            (Some(last), false) => {
                all.push(last);
                Node::Or(all)
            }
            (None, _) => Node::Value(Value::Bool(false)),
        }
    }
}
