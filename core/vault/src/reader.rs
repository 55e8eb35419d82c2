//! A content on its way out, checked chunk by chunk.

use std::io::{self, Read};

use mytism_core::id::Hash;

use crate::recipe::Recipe;
use crate::{Vault, VaultError};

/// Reads one content; holds one chunk of it.
#[derive(Debug)]
pub struct Reader {
    vault: Vault,
    recipe: Recipe,
    /// The next chunk.
    next: usize,
    chunk: Vec<u8>,
    /// How much of the chunk was read.
    taken: usize,
    position: u64,
}

impl Reader {
    pub(crate) const fn new(vault: Vault, recipe: Recipe) -> Self {
        Self { vault, recipe, next: 0, chunk: Vec::new(), taken: 0, position: 0 }
    }

    /// The hash of the content.
    #[must_use]
    pub const fn content(&self) -> Hash {
        self.recipe.content()
    }

    /// Bytes of the whole content.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.recipe.bytes()
    }

    /// The place of the next byte, from 0.
    #[must_use]
    pub const fn position(&self) -> u64 {
        self.position
    }

    /// Goes to a byte, from 0; past the end there is nothing to read.
    ///
    /// # Errors
    /// As [`Self::next_part`].
    pub fn seek(&mut self, to: u64) -> Result<(), VaultError> {
        let mut start = 0;
        let mut next = 0;
        for part in self.recipe.parts() {
            if start + u64::from(part.bytes) > to {
                break;
            }
            start += u64::from(part.bytes);
            next += 1;
        }
        (self.next, self.taken, self.position) = (next, 0, start);
        self.chunk.clear();
        if start < to && next < self.recipe.parts().len() {
            self.load()?;
            self.taken = usize::try_from(to - start).unwrap_or(usize::MAX).min(self.chunk.len());
            self.position = to;
        }
        Ok(())
    }

    /// What is left of the current chunk, else the next chunk; `None` at the end.
    ///
    /// # Errors
    /// [`VaultError::Damaged`] where the bytes are others than were stored: the chunk is set aside, and the content
    /// counts as missing from now on. [`VaultError::Missing`] where a chunk is gone, with the same outcome.
    pub fn next_part(&mut self) -> Result<Option<&[u8]>, VaultError> {
        if self.taken >= self.chunk.len() {
            if self.next >= self.recipe.parts().len() {
                return Ok(None);
            }
            self.load()?;
        }
        let from = self.taken;
        self.taken = self.chunk.len();
        let left = self.chunk.get(from..).unwrap_or_default();
        self.position += left.len() as u64;
        Ok(Some(left))
    }

    fn load(&mut self) -> Result<(), VaultError> {
        let content = self.recipe.content();
        let Some(part) = self.recipe.parts().get(self.next) else { return Ok(()) };
        let was_held = self.vault.holds(*part) || self.vault.has(part.hash);
        match self.vault.chunk(part.hash)? {
            Some(bytes) => {
                (self.chunk, self.taken) = (bytes, 0);
                self.next += 1;
                Ok(())
            }
            None => {
                self.vault.forget(content)?;
                self.vault.recount();
                let damaged = VaultError::Damaged { content, chunk: part.hash };
                Err(if was_held { damaged } else { VaultError::Missing(content) })
            }
        }
    }
}

impl Read for Reader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.taken >= self.chunk.len() && self.next < self.recipe.parts().len() {
            self.load().map_err(|error| match error {
                VaultError::Io { cause, .. } => cause,
                other => io::Error::new(io::ErrorKind::InvalidData, other),
            })?;
        }
        let rest = self.chunk.get(self.taken..).unwrap_or_default();
        let count = rest.len().min(out.len());
        if let (Some(from), Some(to)) = (rest.get(..count), out.get_mut(..count)) {
            to.copy_from_slice(from);
        }
        self.taken += count;
        self.position += count as u64;
        Ok(count)
    }
}
