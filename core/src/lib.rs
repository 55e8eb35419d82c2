//! The meaning of the data: ids, values, schema, objects, changes, merging, queries and the operations of a node.
//!
//! Every other crate builds on this one, so it decides what things *are* and nothing about how they are stored, sent
//! or shown. **It knows no clock, no file, no socket, no thread and no serialisation**; time and randomness come in as
//! arguments. Read the modules in this order:
//!
//! 1. [`id`]: the names of things, one type per kind
//! 2. [`value`]: what an attribute can hold, and [`time`] within it
//! 3. [`schema`]: entities, attributes and relations
//! 4. [`change`]: one change of one slot, the unit that is logged, replicated and merged
//! 5. [`merge`]: what becomes of a change that meets another
//! 6. [`journal`]: why a change became visible at a node
//! 7. [`number`]: numbers that people see, and the ranges and patterns that they come from
//! 8. [`input`]: values as people and programs write them, brought to the kind that the schema asks for
//! 9. [`notation`]: how numbers, days and moments are written in a file
//! 10. [`query`]: the query language, from text to a typed tree
//! 11. [`operation`]: what can be asked of a node, and what it answers
//! 12. [`failure`]: the one form in which a refusal reaches a person or a program
//! 13. [`planted`]: bugs that test builds have on purpose

pub mod blob;
pub mod change;
pub mod failure;
pub mod float;
pub mod id;
pub mod input;
pub mod journal;
pub mod json;
pub mod merge;
pub mod notation;
pub mod number;
mod numeral;
pub mod operation;
pub mod planted;
pub mod query;
pub mod schema;
pub mod time;
pub mod value;
