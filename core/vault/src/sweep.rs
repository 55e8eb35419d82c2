//! Removal of what nobody needs. Which contents nobody names any longer is told by the caller; what is young stays in
//! any case, since it may be on its way into a save, and nothing goes while somebody counts on all that is here.
//!
//! A removal looks once more, with everybody else kept out, whether the file is still as old as it was. So whoever comes
//! to need something that is old makes it young first, and looks whether it is there after that.

use std::collections::HashSet;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use mytism_core::id::Hash;

use crate::place::Shelf;
use crate::recipe::{PART_BYTES, Recipe};
use crate::{Vault, VaultError};

/// Chunks whose names are in memory at once, whatever the size of the vault; about 48 MiB.
const CHUNKS_AT_ONCE: u64 = 1 << 20;

/// How long files stay that nobody has touched.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Grace {
    /// Contents, and chunks of contents that are gone.
    pub contents: Duration,
    /// Chunks of contents that did not become complete.
    pub staged: Duration,
}

/// What was removed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Swept {
    /// Contents.
    pub contents: u64,
    /// Files, and their bytes.
    pub files: u64,
    /// See `files`.
    pub bytes: u64,
    /// It ended before its end, since somebody counts on all that is here.
    pub held_up: bool,
}

/// While this is kept, nothing is removed from a vault; see [`Vault::hold`].
#[derive(Debug)]
pub struct Hold(Vault);

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.0.holds.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Vault {
    /// Nothing is removed as long as the result is kept, so that what was listed can be copied.
    #[must_use]
    pub fn hold(&self) -> Hold {
        // A removal that has begun ends first.
        let _not_while_removing = self.0.gate.read().unwrap_or_else(PoisonError::into_inner);
        self.0.holds.fetch_add(1, Ordering::AcqRel);
        Hold(self.clone())
    }

    /// Bytes of a content that somebody is about to name, which makes it young; `None` where it is not here.
    ///
    /// # Errors
    /// When the disk cannot be read.
    pub fn claim(&self, content: Hash) -> Result<Option<u64>, VaultError> {
        let _not_while_removing = self.0.gate.read().unwrap_or_else(PoisonError::into_inner);
        for shelf in [Shelf::Whole, Shelf::Recipes] {
            self.0.places.touch(shelf, content);
        }
        self.bytes_of(content)
    }

    /// The contents that nobody has touched for a while.
    ///
    /// # Errors
    /// When the disk cannot be read.
    pub fn untouched(&self, grace: Duration) -> Result<HashSet<Hash>, VaultError> {
        let border = border(grace);
        let mut found = HashSet::new();
        for shelf in [Shelf::Whole, Shelf::Recipes] {
            self.0.places.each(shelf, &mut |hash, _, modified| {
                if modified < border {
                    found.insert(hash);
                }
                Ok(())
            })?;
        }
        Ok(found)
    }

    /// Removes those of some contents that nobody needs, and chunks that no content has, where nobody has touched them
    /// for a while.
    ///
    /// # Errors
    /// When the disk refuses; what was removed before stays removed.
    pub fn sweep(&self, unneeded: &HashSet<Hash>, grace: Grace) -> Result<Swept, VaultError> {
        let mut swept = Swept::default();
        let done = self.sweep_into(unneeded, grace, &mut swept);
        self.recount();
        done.map(|()| swept)
    }

    fn sweep_into(&self, unneeded: &HashSet<Hash>, grace: Grace, swept: &mut Swept) -> Result<(), VaultError> {
        let old = border(grace.contents);
        for content in unneeded {
            self.remove(Shelf::Recipes, *content, old, swept)?;
        }
        let mut parts = 0;
        self.0.places.each(Shelf::Recipes, &mut |_, bytes, _| {
            parts += bytes / PART_BYTES as u64;
            Ok(())
        })?;
        // The first byte of a name is as good as chance.
        let rounds = (parts / CHUNKS_AT_ONCE + 1).min(256);
        for round in 0..rounds {
            let is_due = |hash: Hash| u64::from(hash.0.first().copied().unwrap_or_default()) % rounds == round;
            let used = self.used(&is_due)?;
            for (shelf, before) in [(Shelf::Whole, old), (Shelf::Chunks, old), (Shelf::Staged, border(grace.staged))] {
                self.0.places.each(shelf, &mut |hash, _, modified| {
                    let is_named = shelf == Shelf::Whole && !unneeded.contains(&hash);
                    if is_named || modified >= before || swept.held_up || !is_due(hash) || used.contains(&hash) {
                        return Ok(());
                    }
                    self.remove(shelf, hash, before, swept)
                })?;
            }
        }
        Ok(())
    }

    /// The chunks of all contents, as far as they are due.
    fn used(&self, is_due: &dyn Fn(Hash) -> bool) -> Result<HashSet<Hash>, VaultError> {
        let places = &self.0.places;
        let mut used = HashSet::new();
        places.each(Shelf::Recipes, &mut |content, _, _| {
            let file = places.read(Shelf::Recipes, content)?;
            // One that is damaged names nothing, and its content counts as missing.
            if let Some(recipe) = file.and_then(|file| Recipe::from_file(content, &file)) {
                used.extend(recipe.parts().iter().map(|part| part.hash).filter(|hash| is_due(*hash)));
            }
            Ok(())
        })?;
        Ok(used)
    }

    /// Removes a file that is still as old as it was.
    fn remove(&self, shelf: Shelf, hash: Hash, border: SystemTime, swept: &mut Swept) -> Result<(), VaultError> {
        let places = &self.0.places;
        let _alone = self.0.gate.write().unwrap_or_else(PoisonError::into_inner);
        if self.0.holds.load(Ordering::Acquire) > 0 {
            swept.held_up = true;
            return Ok(());
        }
        let Ok(metadata) = std::fs::metadata(places.path(shelf, hash)) else { return Ok(()) };
        if metadata.modified().is_ok_and(|modified| modified >= border) {
            return Ok(());
        }
        places.remove(shelf, hash)?;
        swept.contents += u64::from(matches!(shelf, Shelf::Whole | Shelf::Recipes));
        swept.files += 1;
        swept.bytes += metadata.len();
        Ok(())
    }
}

fn border(grace: Duration) -> SystemTime {
    SystemTime::now().checked_sub(grace).unwrap_or(SystemTime::UNIX_EPOCH)
}
