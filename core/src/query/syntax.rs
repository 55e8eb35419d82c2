//! The tree of a query as written: names are words yet, and nothing is known of the schema.

use super::function::Signature;
use super::problem::Span;
use super::tree::{Aggregate, Comparison, Measure};

/// A whole query.
#[derive(Debug)]
pub(super) struct Statement {
    /// `None` where whole objects are asked for.
    pub(super) select: Option<Vec<Item>>,
    pub(super) entity: Name,
    pub(super) alias: Option<Name>,
    pub(super) filter: Option<Syntax>,
    pub(super) group: Vec<Syntax>,
    pub(super) order: Vec<Sort>,
    pub(super) limit: Option<Syntax>,
    pub(super) offset: Option<Syntax>,
}

/// One column of the select list.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) value: Syntax,
    pub(super) name: Option<Name>,
}

/// One key of the order.
#[derive(Debug)]
pub(super) struct Sort {
    pub(super) value: Syntax,
    pub(super) descending: bool,
}

/// A word in the place of a name.
#[derive(Clone, Debug)]
pub(super) struct Name {
    pub(super) text: String,
    /// Whether it stands in backticks, so that it is never anything but a name.
    pub(super) quoted: bool,
    pub(super) span: Span,
    /// The sub-entity as whose attribute it is meant.
    pub(super) cast: Option<Box<Name>>,
}

/// An expression and where it stands.
#[derive(Debug)]
pub(super) struct Syntax {
    pub(super) node: SyntaxNode,
    pub(super) span: Span,
}

/// An expression. Lists are never empty.
#[derive(Debug)]
pub(super) enum SyntaxNode {
    Path(Vec<Name>),
    Number(String),
    Text(String),
    Bool(bool),
    Null,
    Parameter(String),
    Compare {
        comparison: Comparison,
        left: Box<Syntax>,
        right: Box<Syntax>,
    },
    In {
        value: Box<Syntax>,
        list: Vec<Syntax>,
    },
    Between {
        value: Box<Syntax>,
        low: Box<Syntax>,
        high: Box<Syntax>,
    },
    Like {
        value: Box<Syntax>,
        pattern: Box<Syntax>,
        blind: bool,
    },
    IsNull(Box<Syntax>),
    And(Vec<Syntax>),
    Or(Vec<Syntax>),
    Not(Box<Syntax>),
    /// `None` is the star of `count(*)`.
    Aggregate {
        function: Aggregate,
        argument: Option<Box<Syntax>>,
    },
    Call {
        signature: &'static Signature,
        arguments: Vec<Syntax>,
    },
    /// `now()`, or `today()`.
    Clock {
        day: bool,
    },
    Instance {
        value: Box<Syntax>,
        entity: Name,
    },
    Within(Box<WithinSyntax>),
}

/// What is asked of the objects of a relation.
#[derive(Debug)]
pub(super) struct WithinSyntax {
    pub(super) measure: Measure,
    pub(super) relation: Vec<Name>,
    pub(super) alias: Option<Name>,
    pub(super) argument: Option<Syntax>,
    pub(super) filter: Option<Syntax>,
}
