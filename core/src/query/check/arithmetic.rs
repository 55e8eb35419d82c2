//! What kind comes out of numbers that are computed, and of days that are counted.

use super::super::function::{Function, Gives, Signature};
use super::super::tree::{DECIMAL_DIGITS, Expr, Node, ResultKind};
use super::expression::MEAN_SCALE;
use crate::value::Value;

/// Digits behind the point that a product keeps, where its factors have fewer.
const PRODUCT_SCALE: u32 = 12;

/// The kind of a call, from its arguments and from what those of one kind have in common.
pub(super) fn result(signature: &Signature, arguments: &[Expr], common: Option<&ResultKind>) -> ResultKind {
    let first = arguments.first().map_or(&ResultKind::Text, |first| &first.kind);
    match signature.gives {
        Gives::Text => ResultKind::Text,
        Gives::Integer => ResultKind::Integer,
        Gives::Bool => ResultKind::Bool,
        Gives::Date => ResultKind::Date,
        Gives::Datetime => ResultKind::Datetime,
        Gives::Common => common.cloned().unwrap_or(ResultKind::Text),
        Gives::First => match first {
            ResultKind::Decimal { scale, .. } => decimal(*scale),
            other => other.clone(),
        },
        Gives::Rounded => match arguments.get(1).map(|digits| &digits.node) {
            Some(Node::Value(Value::Integer(digits))) => decimal(u32::try_from(*digits).unwrap_or(0)),
            _ => ResultKind::Integer,
        },
        Gives::Sum | Gives::Product | Gives::Quotient => {
            let scales: Vec<u32> = arguments.iter().map(|one| scale(&one.kind)).collect();
            let widest = scales.iter().copied().max().unwrap_or(0);
            let whole = arguments.iter().all(|one| one.kind == ResultKind::Integer);
            match signature.gives {
                Gives::Quotient => decimal(widest.max(MEAN_SCALE)),
                _ if whole => ResultKind::Integer,
                Gives::Product => decimal(scales.iter().sum::<u32>().min(widest.max(PRODUCT_SCALE))),
                _ => decimal(widest),
            }
        }
    }
}

/// The widest kind of a scale.
pub(super) const fn decimal(scale: u32) -> ResultKind {
    ResultKind::Decimal { precision: DECIMAL_DIGITS, scale }
}

pub(super) const fn scale(kind: &ResultKind) -> u32 {
    if let ResultKind::Decimal { scale, .. } = kind { *scale } else { 0 }
}

/// Days can be counted on and back with the signs of numbers: which function that is, with what stands in front of the
/// unit.
pub(super) fn of_days(function: Function, left: &ResultKind, right: &ResultKind) -> Option<Function> {
    match (function, left, right) {
        (Function::Add | Function::Subtract, ResultKind::Date, ResultKind::Integer) => Some(Function::DateAdd),
        (Function::Subtract, ResultKind::Date, ResultKind::Date) => Some(Function::DateDiff),
        _ => None,
    }
}
