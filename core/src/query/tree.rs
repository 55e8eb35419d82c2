//! The typed tree: a query whose names are ids, whose kinds fit and whose parameters are values. Whoever compiles or
//! evaluates it need not check anything again.

use std::collections::BTreeSet;

use super::function::Function;
use crate::id::{AttributeId, EntityId};
use crate::schema::{EnumWord, Kind, Schema};
use crate::value::Value;

/// The most digits of a decimal.
pub const DECIMAL_DIGITS: u32 = 28;

/// What a 64-bit number always holds, so that sums of such numbers stay cheap.
pub(super) const NARROW_DIGITS: u32 = 18;

/// A checked query.
///
/// Meaning, whatever the engine: a comparison with nothing is neither true nor false, and only what is true is found;
/// nothing comes last ascending and first descending; texts compare by bytes; decimals are exact; a path over an empty
/// reference gives nothing, a path over a deleted object goes on. A query on an entity covers its sub-entities.
#[derive(Clone, PartialEq, Debug)]
pub struct Query {
    /// Whose objects are looked at.
    pub entity: EntityId,
    /// The columns; `None` where whole objects are asked for. Names are unique.
    pub select: Option<Vec<SelectItem>>,
    /// What must be true, of kind [`ResultKind::Bool`].
    pub filter: Option<Expr>,
    /// Rows with equal values here become one row.
    pub group: Vec<Expr>,
    /// The order as asked for. Behind it, objects and plain rows are ordered by id, grouped rows by their groups.
    pub order: Vec<OrderKey>,
    /// At most so many.
    pub limit: Option<u64>,
    /// So many are passed over first.
    pub offset: u64,
}

impl Query {
    /// Whether whole objects are asked for, not columns.
    #[must_use]
    pub const fn is_objects(&self) -> bool {
        self.select.is_none()
    }

    /// The entities whose objects decide what comes out, each with its sub-entities: that of the query, and those that
    /// its paths lead to.
    #[must_use]
    pub fn entities(&self, schema: &Schema) -> BTreeSet<EntityId> {
        let mut found = BTreeSet::from([self.entity]);
        let mut each = |path: &Path, to_the_end: bool| {
            let end = match path.end {
                PathEnd::Attribute(last) if to_the_end => Some(last),
                _ => None,
            };
            let members = path.via.iter().copied().chain(end).filter_map(|relation| schema.member_by_id(relation));
            found.extend(members.filter_map(|(_, member)| member.kind.target()));
        };
        self.expressions().for_each(|expr| expr.each_path(&mut each));
        found
    }

    fn expressions(&self) -> impl Iterator<Item = &Expr> {
        let columns = self.select.iter().flatten().map(|item| &item.expr);
        let order = self.order.iter().map(|key| &key.expr);
        columns.chain(&self.filter).chain(&self.group).chain(order)
    }

    /// Whether a row stands for many objects: there is a `group by` or an aggregate.
    #[must_use]
    pub fn is_grouped(&self) -> bool {
        let selects = self.select.iter().flatten().any(|item| item.expr.has_aggregate());
        selects || !self.group.is_empty() || self.order.iter().any(|key| key.expr.has_aggregate())
    }
}

/// A column of the result.
#[derive(Clone, PartialEq, Debug)]
pub struct SelectItem {
    /// As given with `as`, else as the path without the alias of the entity.
    pub name: String,
    /// What stands in it; its kind is the column's.
    pub expr: Expr,
}

/// A key of the order.
#[derive(Clone, PartialEq, Debug)]
pub struct OrderKey {
    /// What is compared.
    pub expr: Expr,
    /// Whether the largest comes first.
    pub descending: bool,
}

/// An expression with its kind.
#[derive(Clone, PartialEq, Debug)]
pub struct Expr {
    /// What it is.
    pub node: Node,
    /// What comes out of it, where it is not nothing.
    pub kind: ResultKind,
}

/// What an expression is.
#[derive(Clone, PartialEq, Debug)]
pub enum Node {
    /// A literal or a parameter; a value of the kind of its expression, or nothing.
    Value(Value),
    /// What an object holds, or an object that it leads to.
    Path(Path),
    /// What a function makes of values, as [`crate::query::call`] says; a time zone that it needs is the last of them.
    Call {
        /// Which.
        function: Function,
        /// Of the kinds that it takes.
        arguments: Vec<Expr>,
    },
    /// Whether the object that a path leads to is of one of some entities; nothing where there is none.
    Instance {
        /// A reference, or the object itself.
        path: Path,
        /// The entity of which the path's objects are.
        of: EntityId,
        /// The concrete entities.
        entities: Vec<EntityId>,
    },
    /// What is made of the objects that a relation to many leads to. Deleted ones are left out.
    Within(Box<Within>),
    /// Two expressions of comparable kinds. Numbers of different kinds and scales compare by their exact values.
    Compare {
        /// How.
        comparison: Comparison,
        /// One side.
        left: Box<Expr>,
        /// The other.
        right: Box<Expr>,
    },
    /// Whether the value is one of a list; all are of the kind of `value`, or nothing. The list may be empty.
    In {
        /// What is looked for.
        value: Box<Expr>,
        /// Where.
        list: Vec<Value>,
    },
    /// Whether a text fits a pattern as [`crate::query::Pattern`] has it. Both are texts.
    Like {
        /// The text.
        value: Box<Expr>,
        /// The pattern.
        pattern: Box<Expr>,
        /// Whether upper and lower case are the same.
        blind: bool,
    },
    /// Whether there is nothing; never nothing itself.
    IsNull(Box<Expr>),
    /// Two or more conditions.
    And(Vec<Expr>),
    /// Two or more conditions.
    Or(Vec<Expr>),
    /// A condition.
    Not(Box<Expr>),
    /// One value of many objects; stands in no aggregate itself. Objects without a value are passed over.
    Aggregate {
        /// Which.
        function: Aggregate,
        /// `None` counts the objects themselves.
        argument: Option<Box<Expr>>,
    },
}

/// One value of the objects of a relation to many.
#[derive(Clone, PartialEq, Debug)]
pub struct Within {
    /// What is made of them.
    pub measure: Measure,
    /// The way to the relation, which stands at its end.
    pub relation: Path,
    /// The entity of the objects, which are one scope deeper than what is around.
    pub entity: EntityId,
    /// Which of them are looked at; all where there is none. For [`Measure::ForAll`] what must be true of each.
    pub filter: Option<Expr>,
    /// What is aggregated; `None` where they are counted or asked for.
    pub argument: Option<Expr>,
}

/// What is made of the objects of a relation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Measure {
    /// Whether there is one.
    Exists,
    /// Whether a condition is true of each; true of none.
    ForAll,
    /// An aggregate over them.
    Aggregate(Aggregate),
}

/// A way from an object over to-one relations.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Path {
    /// Where it begins: 0 is the object of the query, 1 that of the outermost [`Within`] around it, and so on.
    pub scope: usize,
    /// The relations to follow, each one an attribute of the object that the one before leads to.
    pub via: Vec<AttributeId>,
    /// What is taken there.
    pub end: PathEnd,
}

/// What a path takes from the object that it leads to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PathEnd {
    /// Its id; with an empty `via` only.
    Object,
    /// What it holds in an attribute that stands in its own row.
    Attribute(AttributeId),
}

/// A comparison.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Comparison {
    /// `=`
    Equal,
    /// `!=` or `<>`
    Unequal,
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    Greater,
    /// `>=`
    AtLeast,
}

impl Comparison {
    /// Whether it asks for an order, not just for equality.
    #[must_use]
    pub const fn orders(self) -> bool {
        !matches!(self, Self::Equal | Self::Unequal)
    }
}

/// What is made of many values.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Aggregate {
    /// How many there are; 0 of none.
    Count,
    /// How many different ones there are; 0 of none.
    Distinct,
    /// Their sum, which is exact but for floats; those are added from the smallest to the largest. Nothing of none.
    Sum,
    /// The smallest; nothing of none.
    Min,
    /// The largest; nothing of none.
    Max,
    /// Their mean, rounded half away from zero at the scale of its kind; nothing of none.
    Avg,
}

impl Aggregate {
    /// All of them that have a word of their own.
    pub const ALL: [Self; 5] = [Self::Count, Self::Sum, Self::Min, Self::Max, Self::Avg];

    /// Its word in the language. [`Self::Distinct`] is a `count` with a word behind the parenthesis.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Count | Self::Distinct => "count",
            Self::Sum => "sum",
            Self::Min => "min",
            Self::Max => "max",
            Self::Avg => "avg",
        }
    }
}

/// What kind of value comes out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ResultKind {
    /// Yes or no.
    Bool,
    /// A whole number.
    Integer,
    /// An exact number.
    Decimal {
        /// Digits in all, at most [`DECIMAL_DIGITS`].
        precision: u32,
        /// Digits after the point.
        scale: u32,
    },
    /// A number with a floating point.
    Float,
    /// Text.
    Text,
    /// JSON.
    Json,
    /// A day.
    Date,
    /// A time of the day.
    Time,
    /// A moment.
    Datetime,
    /// A number that is nowhere else.
    Uuid,
    /// The content of a file.
    Blob,
    /// One word of a list.
    Enum(Vec<EnumWord>),
    /// An object of that entity.
    Reference(EntityId),
}

impl ResultKind {
    /// The kind of what an attribute holds; `None` for relations that hold nothing themselves or many objects.
    #[must_use]
    pub fn of(kind: &Kind) -> Option<Self> {
        match kind {
            Kind::String { .. } | Kind::Text => Some(Self::Text),
            Kind::Integer => Some(Self::Integer),
            Kind::Decimal { precision, scale } => Some(Self::Decimal { precision: *precision, scale: *scale }),
            Kind::Bool => Some(Self::Bool),
            Kind::Date => Some(Self::Date),
            Kind::Float => Some(Self::Float),
            Kind::Time => Some(Self::Time),
            Kind::Datetime => Some(Self::Datetime),
            Kind::Uuid => Some(Self::Uuid),
            Kind::Json => Some(Self::Json),
            Kind::Blob => Some(Self::Blob),
            Kind::Enum(words) => Some(Self::Enum(words.clone())),
            Kind::ToOne { target, .. } => Some(Self::Reference(*target)),
            Kind::ToMany { .. } | Kind::ManyToMany { .. } | Kind::Owners { .. } => None,
        }
    }

    /// Whether it is a number.
    #[must_use]
    pub const fn is_number(&self) -> bool {
        matches!(self, Self::Integer | Self::Decimal { .. })
    }

    /// The word for it in messages.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::Integer => "integer",
            Self::Decimal { .. } => "decimal",
            Self::Text => "text",
            Self::Date => "date",
            Self::Float => "float",
            Self::Time => "time",
            Self::Datetime => "datetime",
            Self::Uuid => "uuid",
            Self::Json => "json",
            Self::Blob => "blob",
            Self::Enum(_) => "enum",
            Self::Reference(_) => "object",
        }
    }
}

impl Expr {
    /// Whether an aggregate stands in it.
    #[must_use]
    pub fn has_aggregate(&self) -> bool {
        matches!(self.node, Node::Aggregate { .. }) || self.parts().into_iter().any(Self::has_aggregate)
    }

    /// How many expressions it is made of, itself included.
    pub(super) fn size(&self) -> usize {
        1 + self.parts().into_iter().map(Self::size).sum::<usize>()
    }

    /// Tells paths, and whether the objects at their ends count too.
    fn each_path(&self, each: &mut impl FnMut(&Path, bool)) {
        match &self.node {
            Node::Path(path) => each(path, false),
            Node::Instance { path, .. } => each(path, true),
            Node::Within(within) => each(&within.relation, true),
            _ => {}
        }
        for part in self.parts() {
            part.each_path(each);
        }
    }

    /// The same as [`Self::parts`], to be exchanged.
    pub(super) fn parts_mut(&mut self) -> Vec<&mut Self> {
        match &mut self.node {
            Node::Value(_) | Node::Path(_) | Node::Instance { .. } => Vec::new(),
            Node::Call { arguments, .. } => arguments.iter_mut().collect(),
            Node::Within(within) => within.filter.iter_mut().chain(&mut within.argument).collect(),
            Node::Compare { left, right, .. } => vec![&mut **left, &mut **right],
            Node::Like { value, pattern, .. } => vec![&mut **value, &mut **pattern],
            Node::In { value, .. } | Node::IsNull(value) | Node::Not(value) => vec![&mut **value],
            Node::And(all) | Node::Or(all) => all.iter_mut().collect(),
            Node::Aggregate { argument, .. } => argument.as_deref_mut().into_iter().collect(),
        }
    }

    /// The expressions that it is made of, in order; none for values, paths and `count(*)`.
    #[must_use]
    pub fn parts(&self) -> Vec<&Self> {
        match &self.node {
            Node::Value(_) | Node::Path(_) | Node::Instance { .. } => Vec::new(),
            Node::Call { arguments, .. } => arguments.iter().collect(),
            Node::Within(within) => within.filter.iter().chain(&within.argument).collect(),
            Node::Compare { left, right, .. } => vec![&**left, &**right],
            Node::Like { value, pattern, .. } => vec![&**value, &**pattern],
            Node::In { value, .. } | Node::IsNull(value) | Node::Not(value) => vec![&**value],
            Node::And(all) | Node::Or(all) => all.iter().collect(),
            Node::Aggregate { argument, .. } => argument.as_deref().into_iter().collect(),
        }
    }
}
