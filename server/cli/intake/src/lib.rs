//! What people and programs hand in: the document of a save, the rows of an import.
//!
//! Bytes in, plain requests and cells out, or a failure that names the place. **It knows no schema, no node and no
//! screen**, so whatever the bytes are, they can be tried on it alone; work and memory grow with their length and no
//! faster.
//!
//! 1. [`document`]: JSON to a request
//! 2. [`rows`]: CSV and JSON lines to cells; [`layout`] and [`encoding`] beneath, the [`guard`] against
//!    formulas beside
//!
//! Inside: `json` reads JSON in which no field stands twice.

pub mod document;
pub mod encoding;
pub mod guard;
mod json;
pub mod layout;
pub mod rows;
