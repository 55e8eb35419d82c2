//! Calls of functions: what stands in the places of their arguments.

use super::super::call::zone_name;
use super::super::function::{Class, Function, Signature, UNITS};
use super::super::problem::{Problem, Span};
use super::super::syntax::Syntax;
use super::super::tree::{Expr, Node, ResultKind};
use super::Checker;
use super::arithmetic::{self, decimal, of_days, scale};
use super::expression::Operand;
use crate::failure::nearest;
use crate::operation::Input;
use crate::value::Value;

/// The most digits behind the point that can be asked for.
const DIGITS_MAX: i64 = 20;

impl<'a> Checker<'a> {
    pub(super) fn call(
        &mut self,
        signature: &'static Signature,
        arguments: &'a [Syntax],
        span: Span,
    ) -> Result<Expr, Problem> {
        let mut operands = Vec::with_capacity(arguments.len());
        for argument in arguments {
            operands.push((self.operand(argument)?, argument.span));
        }
        if matches!(signature.function, Function::Add | Function::Subtract)
            && let Some(found) = self.days(signature.function, &operands, span)?
        {
            return Ok(found);
        }
        let common = self.common(signature, &mut operands)?;
        let mut found = Vec::with_capacity(operands.len() + 1);
        for (at, (operand, span)) in operands.into_iter().enumerate() {
            let class = signature.class(at).unwrap_or(Class::Common);
            found.push(self.argument(signature, class, operand, span)?);
        }
        let kind = arithmetic::result(signature, &found, common.as_ref());
        if signature.zoned {
            found.push(self.zone(span)?);
        }
        Ok(Expr { node: Node::Call { function: signature.function, arguments: found }, kind })
    }

    /// `now()` or `today()`, as the value that it has for the whole query.
    pub(super) fn clock(&mut self, day: bool, span: Span) -> Result<Expr, Problem> {
        self.grow(1, span)?;
        let Some(now) = self.surroundings.now else {
            return Err(Problem::new("no-time", "the time may not be asked for here", span));
        };
        Ok(if day {
            literal(Value::Date(now.day_in(self.surroundings.zone)), ResultKind::Date)
        } else {
            literal(Value::Datetime(now), ResultKind::Datetime)
        })
    }

    /// The name of the time zone, for a function that needs it.
    fn zone(&mut self, span: Span) -> Result<Expr, Problem> {
        self.grow(1, span)?;
        let name = zone_name(self.surroundings.zone).ok_or_else(|| {
            let problem = Problem::new("type-mismatch", "the time zone of this place has no name", span);
            problem.hint("set a zone of the time zone database, like Europe/Berlin")
        })?;
        Ok(literal(Value::Text(name), ResultKind::Text))
    }

    /// A day with a number of days before or behind it, or the days between two.
    fn days(&mut self, function: Function, operands: &[(Operand, Span)], span: Span) -> Result<Option<Expr>, Problem> {
        let [(left, _), (right, right_span)] = operands else { return Ok(None) };
        let right = match right {
            Operand::Typed(right) => right.clone(),
            Operand::Free(given @ Input::Number(_)) => self.natural(given, *right_span)?,
            Operand::Free(_) => return Ok(None),
        };
        let Operand::Typed(left) = left else { return Ok(None) };
        let Some(counted) = of_days(function, &left.kind, &right.kind) else { return Ok(None) };
        self.grow(1, span)?;
        let day = literal(Value::from("day"), ResultKind::Text);
        let zone = self.zone(span)?;
        let (arguments, kind) = match (counted, function) {
            (Function::DateDiff, _) => (vec![right, left.clone(), day, zone], ResultKind::Integer),
            (_, Function::Subtract) => {
                let back = Node::Call { function: Function::Negate, arguments: vec![right] };
                let back = Expr { node: back, kind: ResultKind::Integer };
                (vec![left.clone(), back, day, zone], ResultKind::Date)
            }
            _ => (vec![left.clone(), right, day, zone], ResultKind::Date),
        };
        Ok(Some(Expr { node: Node::Call { function: counted, arguments }, kind }))
    }

    /// Brings the arguments that must be alike to what they have in common.
    fn common(
        &mut self,
        signature: &Signature,
        operands: &mut [(Operand, Span)],
    ) -> Result<Option<ResultKind>, Problem> {
        let alike = |at: &usize| signature.class(*at) == Some(Class::Common);
        let places: Vec<usize> = (0..operands.len()).filter(alike).collect();
        let mut known: Option<Expr> = None;
        // What has a kind of its own decides; literals come later and take it.
        for literals in [false, true] {
            for at in &places {
                let Some((operand, span)) = operands.get_mut(*at) else { continue };
                let expr = match (&*operand, literals) {
                    (Operand::Typed(expr), false) => expr.clone(),
                    (Operand::Free(given), true) if !matches!(given, Input::Null) => {
                        self.alike(known.as_ref(), given, *span)?
                    }
                    _ => continue,
                };
                let kind = match &known {
                    None => expr.kind.clone(),
                    Some(known) => self.unified(known, &expr, *span)?,
                };
                known = Some(Expr { node: expr.node.clone(), kind });
                *operand = Operand::Typed(expr);
            }
        }
        let kind = known.map(|known| known.kind);
        for at in places {
            if let Some((operand @ Operand::Free(_), span)) = operands.get_mut(at) {
                self.grow(1, *span)?;
                *operand = Operand::Typed(literal(Value::Null, kind.clone().unwrap_or(ResultKind::Text)));
            }
        }
        let unordered =
            matches!(kind, Some(ResultKind::Bool | ResultKind::Blob | ResultKind::Json | ResultKind::Reference(_)));
        if unordered && matches!(signature.function, Function::Greatest | Function::Least | Function::Clamp) {
            let name = kind.as_ref().map_or("text", ResultKind::name);
            let message = format!("{} takes what has an order, not the kind {name}", signature.name);
            let span = operands.first().map_or(Span { start: 0, end: 0 }, |(_, span)| *span);
            return Err(Problem::new("type-mismatch", message, span));
        }
        Ok(kind)
    }

    /// A literal beside something of a kind.
    fn alike(&mut self, known: Option<&Expr>, given: &Input, span: Span) -> Result<Expr, Problem> {
        let Some(known) = known else { return self.natural(given, span) };
        let (same, fitted) = self.fit(known.clone(), given, span)?;
        if same.node == known.node {
            return Ok(fitted);
        }
        let message = format!("{} is of kind object: its id is expected", self.describe(known));
        Err(Problem::new("type-mismatch", message, span))
    }

    fn unified(&self, known: &Expr, next: &Expr, span: Span) -> Result<ResultKind, Problem> {
        self.comparable(known, next, span)?;
        Ok(match (&known.kind, &next.kind) {
            (one, other) if one == other => one.clone(),
            (ResultKind::Reference(one), ResultKind::Reference(other)) => {
                let narrower = self.schema.entity_by_id(*one).is_some_and(|entity| entity.is_a(*other));
                ResultKind::Reference(if narrower { *other } else { *one })
            }
            (one, other) => decimal(scale(one).max(scale(other))),
        })
    }

    fn argument(&mut self, signature: &Signature, class: Class, operand: Operand, span: Span) -> Result<Expr, Problem> {
        let given = match operand {
            Operand::Typed(expr) if class != Class::Digits && fits(class, &expr.kind) => return Ok(expr),
            Operand::Typed(expr) => {
                let (found, kind) = (self.describe(&expr), expr.kind.name());
                let message = format!("{} takes {}, {found} is of kind {kind}", signature.name, wanted(class));
                let problem = Problem::new("type-mismatch", message, span);
                return Err(match class {
                    Class::Text => problem.hint("text(…) makes a text of numbers, days and moments"),
                    Class::Number if expr.kind == ResultKind::Datetime => {
                        problem.hint("date(…) makes a day of a moment; days can be counted")
                    }
                    Class::Unit | Class::Digits => problem.hint("it is written out, and depends on no object"),
                    _ => problem,
                });
            }
            Operand::Free(given) => given,
        };
        self.grow(1, span)?;
        if matches!(given, Input::Null) && !matches!(class, Class::Unit | Class::Digits) {
            return Ok(literal(Value::Null, of_nothing(class)));
        }
        let found = match (class, &given) {
            (Class::Unit, Input::Text(unit)) => return unit_of(unit, span),
            (Class::Bool, _) => self.literal(&ResultKind::Bool, &given).ok(),
            (Class::Integer | Class::Number | Class::Digits, Input::Number(_) | Input::Text(_)) => {
                self.literal(&ResultKind::Integer, &given).ok()
            }
            (Class::Time, Input::Text(_)) => {
                let day = self.literal(&ResultKind::Date, &given);
                day.or_else(|_| self.literal(&ResultKind::Datetime, &given)).ok()
            }
            (Class::Text, Input::Text(_) | Input::Number(_)) => self.literal(&ResultKind::Text, &given).ok(),
            (Class::Shown, _) => Some(self.natural(&given, span)?),
            _ => None,
        };
        let found = found.filter(|expr| fits(class, &expr.kind));
        found.filter(|expr| class != Class::Digits || is_digits(expr)).ok_or_else(|| {
            let message = format!("{} takes {} here", signature.name, wanted(class));
            Problem::new("type-mismatch", message, span)
        })
    }
}

fn literal(value: Value, kind: ResultKind) -> Expr {
    Expr { node: Node::Value(value), kind }
}

fn unit_of(unit: &str, span: Span) -> Result<Expr, Problem> {
    let known = UNITS.into_iter().find(|known| known.eq_ignore_ascii_case(unit.trim()));
    known.map(|known| literal(Value::from(known), ResultKind::Text)).ok_or_else(|| {
        let problem = Problem::new("type-mismatch", format!("there is no unit of time \"{unit}\""), span);
        let near = nearest(unit, UNITS);
        if near.is_some() { problem.meant(near) } else { problem.hint(format!("there are {}", UNITS.join(", "))) }
    })
}

fn is_digits(expr: &Expr) -> bool {
    matches!(expr.node, Node::Value(Value::Integer(digits)) if (0..=DIGITS_MAX).contains(&digits))
}

const fn fits(class: Class, kind: &ResultKind) -> bool {
    match class {
        Class::Text => matches!(kind, ResultKind::Text),
        Class::Integer => matches!(kind, ResultKind::Integer),
        Class::Number => kind.is_number(),
        Class::Bool => matches!(kind, ResultKind::Bool),
        Class::Time => matches!(kind, ResultKind::Date | ResultKind::Datetime),
        Class::Shown => !matches!(kind, ResultKind::Enum(_) | ResultKind::Reference(_) | ResultKind::Blob),
        Class::Digits => matches!(kind, ResultKind::Integer),
        Class::Common => true,
        Class::Unit => false,
    }
}

const fn wanted(class: Class) -> &'static str {
    match class {
        Class::Text => "a text",
        Class::Integer => "a whole number",
        Class::Number => "numbers",
        Class::Bool => "a condition",
        Class::Time => "a day or a moment",
        Class::Shown => "texts, numbers, days and moments",
        Class::Common => "values of one kind",
        Class::Unit => "a unit of time",
        Class::Digits => "a number of digits from 0 to 20",
    }
}

const fn of_nothing(class: Class) -> ResultKind {
    match class {
        Class::Integer | Class::Number | Class::Digits => ResultKind::Integer,
        Class::Bool => ResultKind::Bool,
        Class::Time => ResultKind::Date,
        Class::Text | Class::Shown | Class::Common | Class::Unit => ResultKind::Text,
    }
}
