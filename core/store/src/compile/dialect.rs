//! What engines write otherwise. Everything that is not asked here is the same text for all of them.

use mytism_core::query::{Aggregate, Function, ResultKind};

/// An expression in the engine's words, and the kind of what comes out of it.
#[derive(Clone, Copy, Debug)]
pub struct Sql<'a> {
    /// The words.
    pub text: &'a str,
    /// The kind.
    pub kind: &'a ResultKind,
}

/// How one engine writes things. All texts that go in and come out are complete expressions: they can be joined with
/// others without parentheses around them.
pub trait Dialect {
    /// The place of a bound value, counted from 1.
    fn parameter(&self, number: usize, kind: &ResultKind) -> String;

    /// Nothing, as a value of a kind.
    fn nothing(&self, kind: &ResultKind) -> String;

    /// Whether the object in a row is not deleted. `prefix` is empty, or the name of the table with a dot.
    fn is_alive(&self, prefix: &str) -> String;

    /// A comparison; `sign` is one of `=`, `<>`, `<`, `<=`, `>` and `>=`. Numbers of different kinds and scales compare
    /// by their exact values.
    fn compare(&self, sign: &str, left: Sql<'_>, right: Sql<'_>) -> String;

    /// Whether a text fits a pattern as [`mytism_core::query::Pattern`] has it.
    fn like(&self, text: &str, pattern: &str, blind: bool) -> String;

    /// An aggregate over an argument, giving a value of `kind`. Objects without a value are passed over, and a sum or
    /// mean that is too large is an error.
    fn aggregate(&self, function: Aggregate, argument: Sql<'_>, kind: &ResultKind) -> String;

    /// Whether [`Self::call`] looks at the text of an argument; one that it does not look at is not written, or a value
    /// would be bound that stands nowhere.
    fn needs(&self, function: Function, at: usize, kinds: &[&ResultKind]) -> bool;

    /// A function with the very meaning of [`mytism_core::query::call`].
    fn call(&self, function: Function, arguments: &[Sql<'_>], kind: &ResultKind) -> String;

    /// The end of a statement that passes over rows without limiting them: everything between the order and the offset.
    fn no_limit(&self) -> &'static str;
}
