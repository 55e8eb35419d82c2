//! Removal of what nobody needs. What is needed is told by the caller; what is young stays in any case, since it may be
//! on its way into a save.

use std::collections::HashSet;
use std::sync::PoisonError;
use std::time::{Duration, SystemTime};

use mytism_core::id::Hash;

use crate::place::Shelf;
use crate::recipe::Recipe;
use crate::{Vault, VaultError};

/// What was removed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Swept {
    /// Contents.
    pub contents: u64,
    /// Files, and their bytes.
    pub files: u64,
    /// See `files`.
    pub bytes: u64,
}

impl Vault {
    /// Removes contents that are not among `needed` and chunks that no content has, where nobody has touched them for
    /// `grace`.
    ///
    /// # Errors
    /// When the disk refuses; what was removed before stays removed.
    pub fn sweep(&self, needed: &HashSet<Hash>, grace: Duration) -> Result<Swept, VaultError> {
        let border = SystemTime::now().checked_sub(grace).unwrap_or(SystemTime::UNIX_EPOCH);
        let places = &self.0.places;
        let mut swept = Swept::default();
        let mut used = HashSet::new();
        places.each(Shelf::Recipes, &mut |content, _, modified| {
            if needed.contains(&content) || modified >= border {
                let file = places.read(Shelf::Recipes, content)?;
                if let Some(recipe) = file.and_then(|file| Recipe::from_file(content, &file)) {
                    used.extend(recipe.parts().iter().map(|part| part.hash));
                }
                return Ok(());
            }
            self.remove(Shelf::Recipes, content, border, &mut swept)
        })?;
        for shelf in [Shelf::Whole, Shelf::Chunks, Shelf::Staged] {
            places.each(shelf, &mut |hash, _, modified| {
                let is_needed = used.contains(&hash) || shelf == Shelf::Whole && needed.contains(&hash);
                if is_needed || modified >= border { Ok(()) } else { self.remove(shelf, hash, border, &mut swept) }
            })?;
        }
        self.recount();
        Ok(swept)
    }

    /// Removes a file that is still as old as it was.
    fn remove(&self, shelf: Shelf, hash: Hash, border: SystemTime, swept: &mut Swept) -> Result<(), VaultError> {
        let places = &self.0.places;
        let _alone = self.0.gate.write().unwrap_or_else(PoisonError::into_inner);
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
