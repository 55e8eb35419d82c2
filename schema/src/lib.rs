//! Schema files: from XML to a checked [`Schema`], with line and column of everything that is wrong.
//!
//! [`mytism_core::schema`] decides what a schema *is*; here stands how people write one, and the files that come with
//! the system: its own entities (`defs/`) and the demo (`demo/`). **It knows nothing of stores, nodes and the
//! network.** The form of the files is described for application developers in `docs/schema.md`. In the order in which
//! a file is read:
//!
//! 1. `source`: bytes to text, within limits, and places in it
//! 2. `words`: the XML attributes of one element
//! 3. `read`: elements to definitions
//! 4. `load`: includes, and problems brought to their places
//! 5. [`number`]: ids for what has none

pub mod demo;
mod load;
mod numbering;
mod read;
mod source;
mod words;

use std::path::Path;

use mytism_core::schema::{Schema, SchemaDef};

pub use numbering::number;
pub use source::FileProblem;

use load::Loader;

/// The schema of a file and of all that it includes, as written. Includes are taken relative to the file; the system's
/// own files, where they are not found there, come from the program itself. A file that is included many times, or that
/// includes itself, counts once.
///
/// Ids that the files do not give stay open, and names are not looked up: see [`project`].
///
/// # Errors
/// All problems of the files' form, in the order of files and lines, at most 100.
pub fn load(path: &Path) -> Result<SchemaDef, Vec<FileProblem>> {
    let mut loader = Loader::default();
    loader.root(path);
    loader.written()
}

/// The system's own entities; their ids are all given.
#[must_use]
pub fn system() -> SchemaDef {
    let mut loader = Loader::default();
    loader.system();
    loader.into_def()
}

/// The checked schema of a project: the system's own entities, then those of the project's files, numbered in this
/// order. Without a path the system's own entities alone.
///
/// # Errors
/// All problems of form and meaning, in the order of files and lines, at most 100 of each.
pub fn project(path: Option<&Path>) -> Result<Schema, Vec<FileProblem>> {
    let mut loader = Loader::default();
    loader.system();
    if let Some(path) = path {
        loader.root(path);
    }
    loader.checked(None)
}

/// The checked schema that a project's files make of the one that holds: what is the same keeps its id, what has a new
/// name says the old one, and what is new is numbered on.
///
/// # Errors
/// All problems of form and meaning, in the order of files and lines, at most 100 of each.
pub fn project_after(previous: &Schema, path: &Path) -> Result<Schema, Vec<FileProblem>> {
    let mut loader = Loader::default();
    loader.system();
    loader.root(path);
    loader.checked(Some(previous))
}
