//! A content that comes chunk by chunk from elsewhere. What is here already is not asked for again, whether it belongs to
//! other contents or was left by an attempt that broke off.
//!
//! Every chunk passes once in the order of the content, so that the hash of the whole is known at the end without
//! reading anything twice.

use std::collections::HashSet;

use mytism_core::id::Hash;

use crate::recipe::Recipe;
use crate::{Part, Vault, VaultError, hash_of};

/// See the module.
#[derive(Debug)]
pub struct Arrival {
    vault: Vault,
    recipe: Recipe,
    /// The first chunk that has not passed.
    next: usize,
    /// The first chunk that nobody has looked for yet.
    looked: usize,
    /// Asked for and not here yet.
    asked: HashSet<Hash>,
    whole: blake3::Hasher,
    /// Bytes that passed.
    passed: u64,
}

impl Arrival {
    pub(crate) fn new(vault: Vault, recipe: Recipe) -> Self {
        let whole = blake3::Hasher::new();
        Self { vault, recipe, next: 0, looked: 0, asked: HashSet::new(), whole, passed: 0 }
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

    /// Bytes that are here, as far as they follow one another from the beginning.
    #[must_use]
    pub const fn passed(&self) -> u64 {
        self.passed
    }

    /// The next chunk to ask for; `None` where there is nothing to ask for before something asked for has come.
    ///
    /// # Errors
    /// When the disk cannot be read.
    pub fn next_wanted(&mut self) -> Result<Option<Part>, VaultError> {
        loop {
            self.pass()?;
            // One that was here by its name and turned out damaged holds up all others.
            if let Some(part) = self.recipe.parts().get(self.next)
                && self.next < self.looked
                && !self.vault.holds(*part)
                && self.asked.insert(part.hash)
            {
                return Ok(Some(*part));
            }
            let looked = self.looked;
            while let Some(part) = self.recipe.parts().get(self.looked) {
                self.looked += 1;
                if !self.vault.holds(*part) && self.asked.insert(part.hash) {
                    return Ok(Some(*part));
                }
            }
            if self.looked == looked {
                return Ok(None);
            }
        }
    }

    /// Takes a chunk that was asked for.
    ///
    /// # Errors
    /// [`VaultError::OtherBytes`] where the bytes are not those of the hash, or when the disk refuses.
    pub fn put(&mut self, hash: Hash, bytes: &[u8]) -> Result<(), VaultError> {
        let found = hash_of(bytes);
        if found != hash || !self.asked.contains(&hash) {
            return Err(VaultError::OtherBytes { expected: hash, found });
        }
        self.vault.stage(hash, bytes)?;
        self.asked.remove(&hash);
        if self
            .recipe
            .parts()
            .get(self.next)
            .is_some_and(|part| part.hash == hash && part.bytes as usize == bytes.len())
        {
            self.went(bytes);
        }
        self.pass()
    }

    /// Whether everything is here.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.next >= self.recipe.parts().len()
    }

    /// Ends the arrival: when this returns, the content is here and durable.
    ///
    /// # Errors
    /// [`VaultError::OtherBytes`] where the chunks give another content than the recipe names; [`VaultError::Missing`]
    /// where some have not come.
    pub fn finish(self) -> Result<(), VaultError> {
        let content = self.recipe.content();
        if !self.is_complete() {
            return Err(VaultError::Missing(content));
        }
        let found = Hash(*self.whole.finalize().as_bytes());
        if found != content {
            return Err(VaultError::OtherBytes { expected: content, found });
        }
        self.vault.complete(&self.recipe)
    }

    /// Lets pass what is here.
    fn pass(&mut self) -> Result<(), VaultError> {
        while let Some(part) = self.recipe.parts().get(self.next).filter(|_| self.next < self.looked) {
            if self.asked.contains(&part.hash) || !self.vault.holds(*part) {
                return Ok(());
            }
            let Some(bytes) = self.vault.chunk(part.hash)? else { return Ok(()) };
            self.went(&bytes);
        }
        Ok(())
    }

    fn went(&mut self, bytes: &[u8]) {
        self.whole.update(bytes);
        self.passed += bytes.len() as u64;
        self.next += 1;
    }
}
