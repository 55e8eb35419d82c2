//! The forms against `FORMATS.md`, against bytes of former versions, and against damage.

mod compat;
mod damage;
mod document;
mod examples;
