//! The contents of files in a directory: each is stored once, under the hash of its bytes, and is never changed.
//!
//! A content is cut where its bytes say so, so that two contents that differ in a few places share nearly all of their
//! chunks: on the disk, and on the way to another node. Whatever is read is checked against its hash first; what is
//! damaged is set aside and counts as missing from then on. **This crate knows no schema, no socket and no database**:
//! which contents are needed, the callers tell.
//!
//! 1. [`Vault`]: the directory, and single chunks
//! 2. [`Writer`]: bytes in; [`Reader`]: bytes out; neither holds more than some MiB, whatever the size
//! 3. [`Arrival`]: a content that comes chunk by chunk from elsewhere, and goes on where it stopped
//! 4. `recipe`: of which chunks a content consists; `place`: where a file stands, and how it becomes durable; `sweep`:
//!    removal of what nobody needs
//!
//! | place | holds |
//! |---|---|
//! | `whole/ab/HASH` | a content that is a single chunk |
//! | `chunks/ab/HASH` | a chunk of a content |
//! | `recipes/ab/HASH` | of which chunks a content consists |
//! | `staged/ab/HASH` | a chunk of a content that is not complete yet |
//! | `new/` | files that are being written; emptied when the vault is opened |
//! | `damaged/` | files whose bytes were not those of their names |
//!
//! What stands under `whole`, `chunks` or `recipes` was durable before it got its name there. What is staged may be torn
//! after a loss of power and is used only where its bytes give its hash.

mod arrival;
mod error;
mod place;
mod reader;
mod recipe;
mod sweep;
mod vault;
mod writer;

pub use arrival::Arrival;
pub use error::VaultError;
pub use reader::Reader;
pub use recipe::{Part, Recipe};
pub use sweep::{Grace, Hold, Swept};
pub use vault::{Usage, Vault};
pub use writer::Writer;

use mytism_core::id::Hash;

use crate::place::Shelf;

/// The smallest chunk, but for the last one of a content; bytes.
pub const CHUNK_BYTES_MIN: u32 = 64 << 10;
/// What chunks are about as large as; bytes.
pub const CHUNK_BYTES_USUAL: u32 = 256 << 10;
/// The largest chunk; bytes.
pub const CHUNK_BYTES_MAX: u32 = 1 << 20;

/// Whether the bytes of a file are what they were when it got its name; `path` is below a vault, or below a place that
/// a vault was copied to.
#[must_use]
pub fn is_as_named(path: &str, bytes: &[u8]) -> bool {
    let mut names = path.split('/');
    let (shelf, _, name) = (names.next(), names.next(), names.next());
    let Some(hash) = name.and_then(Hash::from_hex) else { return false };
    match Shelf::ALL.into_iter().find(|one| shelf == Some(one.name())) {
        Some(Shelf::Recipes) => Recipe::from_file(hash, bytes).is_some(),
        Some(Shelf::Whole | Shelf::Chunks | Shelf::Staged) => hash_of(bytes) == hash,
        None => false,
    }
}

/// The name of some bytes.
#[must_use]
pub fn hash_of(bytes: &[u8]) -> Hash {
    Hash(*blake3::hash(bytes).as_bytes())
}
