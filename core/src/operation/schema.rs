//! What leads from the schema that holds to another one, as it is told.

use crate::id::ObjectId;

/// One step.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SchemaLine {
    /// `add`, `rename`, `widen`, `narrow` or `drop`.
    pub action: String,
    /// `Customer`, `Customer.City`, or the name of the schema.
    pub name: String,
    /// What it was, as schema files write it.
    pub from: String,
    /// What it becomes.
    pub to: String,
    /// Why it cannot be done, whatever the data are: see [`crate::schema::Step::impossible`].
    pub impossible: Option<String>,
    /// How many objects are in the way of it.
    pub in_the_way: u64,
    /// The first of them.
    pub objects: Vec<ObstacleObject>,
}

/// An object that is in the way of a change of the schema.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ObstacleObject {
    /// Which.
    pub object: ObjectId,
    /// What stands for it in lists.
    pub text: String,
    /// What it holds there.
    pub value: String,
}
