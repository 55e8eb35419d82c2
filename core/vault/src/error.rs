//! What can go wrong in a vault.

use std::io;
use std::path::{Path, PathBuf};

use mytism_core::id::Hash;

/// Why something cannot be read from a vault or written to it.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The disk.
    #[error("cannot {step} {}: {cause}", path.display())]
    Io {
        /// What was tried.
        step: &'static str,
        /// Where.
        path: PathBuf,
        /// Why not.
        cause: io::Error,
    },
    /// The content is not here, or a part of it.
    #[error("the content {0} is not here")]
    Missing(Hash),
    /// The content is not whole any longer; the chunk was set aside.
    #[error("the content {content} is damaged: the bytes of its chunk {chunk} are others than were stored")]
    Damaged {
        /// The content.
        content: Hash,
        /// Its chunk.
        chunk: Hash,
    },
    /// The bytes are not those of the name that they came under.
    #[error("bytes came for {expected} whose hash is {found}")]
    OtherBytes {
        /// The name.
        expected: Hash,
        /// The hash of the bytes.
        found: Hash,
    },
    /// A recipe that no content can have.
    #[error("the recipe of {content} is wrong: {reason}")]
    WrongRecipe {
        /// The content.
        content: Hash,
        /// What is wrong.
        reason: &'static str,
    },
}

impl VaultError {
    /// Whether the disk is full.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Io { cause, .. } if matches!(cause.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded))
    }
}

/// For `map_err`.
pub(crate) fn io_error(step: &'static str, path: &Path) -> impl FnOnce(io::Error) -> VaultError {
    let path = path.to_owned();
    move |cause| VaultError::Io { step, path, cause }
}
