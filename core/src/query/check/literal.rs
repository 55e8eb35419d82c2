//! Literals and parameters, brought to the kind of what they are compared with.

use super::super::problem::{Problem, Span};
use super::super::tree::{DECIMAL_DIGITS, Expr, Node, Path, PathEnd, ResultKind};
use super::Checker;
use crate::id::ObjectId;
use crate::input::{self, Misfit, quoted};
use crate::numeral::Written;
use crate::operation::{Input, ReferenceInput};
use crate::schema::{Kind, Member};
use crate::value::Value;

impl<'a> Checker<'a> {
    /// Both sides of a comparison with a literal or parameter. The first is `expr` itself, or the way to a key where an
    /// object is compared with its key; the second has its kind, except for numbers that its kind cannot hold exactly.
    pub(super) fn fit(&mut self, expr: Expr, given: &Input, span: Span) -> Result<(Expr, Expr), Problem> {
        self.grow(1, span)?;
        if matches!(given, Input::Null) {
            let nothing = Expr { node: Node::Value(Value::Null), kind: expr.kind.clone() };
            return Ok((expr, nothing));
        }
        if let ResultKind::Reference(_) = expr.kind {
            return self.fit_object(expr, given, span);
        }
        match self.literal(&expr.kind, given) {
            Ok(literal) => Ok((expr, literal)),
            Err(misfit) => Err(self.mismatch(&expr, &misfit, span)),
        }
    }

    /// A literal or parameter that stands alone.
    pub(super) fn natural(&mut self, given: &Input, span: Span) -> Result<Expr, Problem> {
        self.grow(1, span)?;
        let literal = match given {
            Input::Null => Ok(value(Value::Null, ResultKind::Text)),
            Input::Bool(given) => Ok(value(Value::Bool(*given), ResultKind::Bool)),
            Input::Number(digits) => number(&ResultKind::Integer, digits),
            Input::Text(text) => input::normal(text).map(|text| value(Value::Text(text), ResultKind::Text)),
            Input::Blob(_) => Err(Misfit("a file stands only in a comparison with a blob".to_owned())),
            Input::Reference(_) | Input::List(_) | Input::Difference { .. } => {
                Err(Misfit("an object stands only in a comparison with a reference".to_owned()))
            }
        };
        literal.map_err(|misfit| Problem::new("type-mismatch", misfit.0, span))
    }

    pub(super) fn literal(&self, kind: &ResultKind, given: &Input) -> Result<Expr, Misfit> {
        let schema_kind = schema_kind(kind);
        if let (Input::Text(text), false) = (given, *kind == ResultKind::Text)
            && text.trim().is_empty()
        {
            // An import takes an empty cell for nothing; a condition that asks for nothing says so.
            return Err(Misfit("an empty text is given; ask with \"is null\" whether there is nothing".to_owned()));
        }
        match (given, kind) {
            (Input::Number(digits) | Input::Text(digits), ResultKind::Integer | ResultKind::Decimal { .. }) => {
                number(kind, digits).map_err(|misfit| match input::value(&schema_kind, given, self.surroundings.zone) {
                    Err(better) => better,
                    Ok(_) => misfit,
                })
            }
            _ => input::value(&schema_kind, given, self.surroundings.zone).map(|found| value(found, kind.clone())),
        }
    }

    fn fit_object(&mut self, expr: Expr, given: &Input, span: Span) -> Result<(Expr, Expr), Problem> {
        let object = |object: ObjectId, expr: Expr| {
            let literal = value(Value::Reference(object), expr.kind.clone());
            (expr, literal)
        };
        let misfit = match given {
            Input::Reference(ReferenceInput::Id(id)) => return Ok(object(*id, expr)),
            Input::Reference(ReferenceInput::Key { attribute, value, .. }) => match self.attribute_of(&expr, attribute)
            {
                Some(member) => return self.fit_key(&expr, member, value, span),
                None => Misfit(format!("it has no attribute \"{attribute}\" to be found by")),
            },
            Input::Text(_) if let Some(key) = self.text_key(&expr) => return self.fit_key(&expr, key, given, span),
            Input::Text(digits) | Input::Number(digits) => match digits.parse::<ObjectId>() {
                Ok(id) => return Ok(object(id, expr)),
                Err(_) => Misfit(format!("{} is given, the id of an object is expected", quoted(digits))),
            },
            _ => Misfit("the id or the key of one object is expected".to_owned()),
        };
        Err(self.mismatch(&expr, &misfit, span))
    }

    fn fit_key(&mut self, expr: &Expr, key: &Member, given: &Input, span: Span) -> Result<(Expr, Expr), Problem> {
        let (Node::Path(path), Some(kind)) = (&expr.node, ResultKind::of(&key.kind)) else {
            return Err(self.mismatch(expr, &Misfit("the id of an object is expected".to_owned()), span));
        };
        let (scope, mut via) = (path.scope, path.via.clone());
        if let PathEnd::Attribute(relation) = path.end {
            via.push(relation);
            self.go_over(scope, &via, span)?;
        }
        let path = Path { scope, via, end: PathEnd::Attribute(key.id) };
        self.fit(Expr { node: Node::Path(path), kind }, given, span)
    }

    /// The key of the entity that `expr` leads to, where it is a text: a number always means an id.
    fn text_key(&self, expr: &Expr) -> Option<&'a Member> {
        let ResultKind::Reference(target) = expr.kind else { return None };
        let entity = self.schema.entity_by_id(target)?;
        let key = entity.member_by_id(entity.key?)?;
        if matches!(key.kind, Kind::String { .. } | Kind::Text) { Some(key) } else { None }
    }

    fn attribute_of(&self, expr: &Expr, name: &str) -> Option<&'a Member> {
        let ResultKind::Reference(target) = expr.kind else { return None };
        self.schema.entity_by_id(target)?.member(name).filter(|member| member.kind.target().is_none())
    }

    fn mismatch(&self, expr: &Expr, misfit: &Misfit, span: Span) -> Problem {
        let message = format!("{} is of kind {}: {misfit}", self.describe(expr), expr.kind.name());
        Problem::new("type-mismatch", message, span)
    }
}

fn value(value: Value, kind: ResultKind) -> Expr {
    Expr { node: Node::Value(value), kind }
}

/// The number that the digits stand for: of the wanted kind where that holds it exactly, else of a wider one. A number
/// in a condition is never rounded, or `< 19.999` would miss 19.99.
fn number(wanted: &ResultKind, digits: &str) -> Result<Expr, Misfit> {
    let exact = Written::read(digits).and_then(|written| written.exact());
    let exact = exact.ok_or_else(|| Misfit(format!("{} has more than {DECIMAL_DIGITS} digits", quoted(digits))))?;
    if let (0, Ok(whole), ResultKind::Integer) = (exact.scale(), i64::try_from(exact.mantissa()), wanted) {
        return Ok(value(Value::Integer(whole), ResultKind::Integer));
    }
    if let ResultKind::Decimal { precision, scale } = wanted {
        let mut scaled = exact;
        scaled.rescale(*scale);
        let places = scaled.mantissa().unsigned_abs().checked_ilog10().map_or(0, |log| log + 1);
        if scaled.scale() == *scale && scaled == exact && places <= *precision {
            return Ok(value(Value::Decimal(scaled), wanted.clone()));
        }
    }
    let kind = ResultKind::Decimal { precision: DECIMAL_DIGITS, scale: exact.scale() };
    Ok(value(Value::Decimal(exact), kind))
}

/// The kind in which [`crate::input`] reads a value. Texts have no length here: a longer one is simply not found.
fn schema_kind(kind: &ResultKind) -> Kind {
    match kind {
        ResultKind::Bool => Kind::Bool,
        ResultKind::Integer => Kind::Integer,
        ResultKind::Decimal { precision, scale } => Kind::Decimal { precision: *precision, scale: *scale },
        ResultKind::Text | ResultKind::Reference(_) => Kind::Text,
        ResultKind::Date => Kind::Date,
        ResultKind::Float => Kind::Float,
        ResultKind::Time => Kind::Time,
        ResultKind::Datetime => Kind::Datetime,
        ResultKind::Uuid => Kind::Uuid,
        ResultKind::Json => Kind::Json,
        ResultKind::Blob => Kind::Blob,
        ResultKind::Enum(words) => Kind::Enum(words.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_never_rounded() {
        let check = |wanted: &ResultKind, digits: &str, expected: &str| {
            let shown = match number(wanted, digits) {
                Ok(Expr { node: Node::Value(value), kind }) => format!("{value:?} {}", kind == *wanted),
                other => format!("{other:?}"),
            };
            assert_eq!(shown, expected, "{digits}");
        };
        let money = ResultKind::Decimal { precision: 6, scale: 2 };
        check(&money, "9.8", "Decimal(9.80) true");
        check(&money, "9999.99", "Decimal(9999.99) true");
        check(&money, "19.999", "Decimal(19.999) false");
        check(&money, "10000", "Decimal(10000) false");
        check(&money, "-0.000", "Decimal(0.00) true");
        check(&money, "1e3", "Decimal(1000.00) true");
        check(&ResultKind::Integer, "9223372036854775807", "Integer(9223372036854775807) true");
        check(&ResultKind::Integer, "9223372036854775808", "Decimal(9223372036854775808) false");
        check(&ResultKind::Integer, "2.50", "Decimal(2.5) false");
        check(&ResultKind::Integer, "1e400", "Err(Misfit(\"\\\"1e400\\\" has more than 28 digits\"))");
        let digits = "1".repeat(29);
        check(&ResultKind::Integer, &digits, &format!("Err(Misfit(\"\\\"{digits}\\\" has more than 28 digits\"))"));
    }
}
