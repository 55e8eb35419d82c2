//! What it means to have a form on the wire.

use serde::{Deserialize, Serialize};

use crate::error::{Problem, ProtoError};
use crate::kind::Kind;

/// A plain type that has a form on the wire.
pub(crate) trait Mirror: Sized {
    /// The form; borrows texts and bytes.
    type Wire<'a>: Serialize + Deserialize<'a>
    where
        Self: 'a;

    /// The form of this value. An error means that no reader would take it.
    fn to_wire(&self) -> Result<Self::Wire<'_>, Flaw>;

    /// The value behind a form.
    fn from_wire(wire: Self::Wire<'_>) -> Result<Self, Flaw>;
}

/// What is wrong, and the path of the field where.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Flaw {
    path: String,
    problem: Problem,
}

impl From<Problem> for Flaw {
    fn from(problem: Problem) -> Self {
        Self { path: String::new(), problem }
    }
}

impl Flaw {
    /// The same, seen from the structure that has it in `field`.
    pub(crate) fn within(mut self, field: &str) -> Self {
        let dot = if self.path.is_empty() || self.path.starts_with('[') { "" } else { "." };
        self.path = format!("{field}{dot}{}", self.path);
        self
    }

    /// The same, seen from the list that has it at `place`.
    pub(crate) fn at(self, place: usize) -> Self {
        self.within(&format!("[{place}]"))
    }

    /// The error for a message of this kind.
    pub(crate) fn of(self, kind: &'static Kind) -> ProtoError {
        ProtoError::Field { message: kind.name, field: self.path, problem: self.problem }
    }
}

/// The form of a field.
pub(crate) fn give<'a, T: Mirror>(field: &str, value: &'a T) -> Result<T::Wire<'a>, Flaw> {
    value.to_wire().map_err(|flaw| flaw.within(field))
}

/// The value of a field.
pub(crate) fn take<T: Mirror>(field: &str, wire: T::Wire<'_>) -> Result<T, Flaw> {
    T::from_wire(wire).map_err(|flaw| flaw.within(field))
}

/// The value of a field that another field, mostly a tag, asks for.
pub(crate) fn need<T: Mirror>(field: &str, wire: Option<T::Wire<'_>>) -> Result<T, Flaw> {
    let wire = wire.ok_or_else(|| Flaw::from(Problem::Missing).within(field))?;
    take(field, wire)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_grow_from_the_inside() {
        let flaw = Flaw::from(Problem::Missing).within("value").at(3).within("values").at(0).within("changes");
        assert_eq!(flaw.path, "changes[0].values[3].value");
    }
}
