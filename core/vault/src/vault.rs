//! The directory as a whole, and single chunks of it.

use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;

use mytism_core::id::Hash;

use crate::place::{Places, Shelf, sync_all};
use crate::recipe::Recipe;
use crate::{Arrival, Part, Reader, VaultError, Writer, hash_of};

/// After so many bytes what was written is made durable though nobody waits for it: who waits for something else on the
/// same disk must not wait for all of a large file.
const UNSYNCED_BYTES_MAX: u64 = 64 << 20;

/// The contents of files in a directory. Copies of it are the same vault; one process at a time may have it open.
#[derive(Clone, Debug)]
pub struct Vault(pub(crate) Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) places: Places,
    /// Held for writing while something is removed, so that nobody counts on a chunk in the moment before it goes, and
    /// while all is counted.
    pub(crate) gate: RwLock<()>,
    /// So many count on it that nothing is removed.
    pub(crate) holds: AtomicUsize,
    usage: Mutex<Option<Usage>>,
    /// Bytes that were written and not made durable.
    unsynced: AtomicU64,
    /// Makes durable what was written, while more is.
    flushing: Mutex<Option<JoinHandle<Result<(), VaultError>>>>,
}

/// How much is in a vault.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Usage {
    /// Contents.
    pub contents: u64,
    /// Bytes on the disk: what several contents share counts once.
    pub bytes: u64,
}

impl Vault {
    /// The vault in a directory, which is made where it is missing.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn open(root: &Path) -> Result<Self, VaultError> {
        let places = Places::open(root)?;
        Ok(Self(Arc::new(Inner {
            places,
            gate: RwLock::new(()),
            holds: AtomicUsize::new(0),
            usage: Mutex::new(None),
            unsynced: AtomicU64::new(0),
            flushing: Mutex::new(None),
        })))
    }

    /// Takes in a content of any length.
    #[must_use]
    pub fn writer(&self) -> Writer {
        Writer::new(self.clone())
    }

    /// Reads a content.
    ///
    /// # Errors
    /// [`VaultError::Missing`] where it is not here.
    pub fn reader(&self, content: Hash) -> Result<Reader, VaultError> {
        let recipe = self.recipe(content)?.ok_or(VaultError::Missing(content))?;
        Ok(Reader::new(self.clone(), recipe))
    }

    /// Goes on with a content that comes from elsewhere.
    #[must_use]
    pub fn arrival(&self, recipe: Recipe) -> Arrival {
        Arrival::new(self.clone(), recipe)
    }

    /// Bytes of a content; `None` where it is not here. Reads no more than its recipe.
    ///
    /// # Errors
    /// When the disk cannot be read.
    pub fn bytes_of(&self, content: Hash) -> Result<Option<u64>, VaultError> {
        Ok(self.recipe(content)?.map(|recipe| recipe.bytes()))
    }

    /// Whether a content is here, as far as names tell.
    #[must_use]
    pub fn has(&self, content: Hash) -> bool {
        let places = &self.0.places;
        [Shelf::Whole, Shelf::Recipes].into_iter().any(|shelf| places.length(shelf, content).is_some())
    }

    /// Of which chunks a content consists; `None` where it is not here.
    ///
    /// # Errors
    /// When the disk cannot be read.
    pub fn recipe(&self, content: Hash) -> Result<Option<Recipe>, VaultError> {
        let places = &self.0.places;
        if let Some(length) = places.length(Shelf::Whole, content) {
            let bytes = u32::try_from(length).unwrap_or(u32::MAX);
            // A file of the wrong length is found out when it is read.
            if let Ok(recipe) = Recipe::new(content, vec![Part { hash: content, bytes }]) {
                return Ok(Some(recipe));
            }
            places.set_aside(Shelf::Whole, content)?;
        }
        let Some(file) = places.read(Shelf::Recipes, content)? else { return Ok(None) };
        let recipe = Recipe::from_file(content, &file);
        if recipe.is_none() {
            places.set_aside(Shelf::Recipes, content)?;
        }
        Ok(recipe)
    }

    /// Whether a chunk is here, as far as its name tells; it may be of a content that is not complete.
    #[must_use]
    pub fn holds(&self, part: Part) -> bool {
        const SHELVES: [Shelf; 3] = [Shelf::Chunks, Shelf::Whole, Shelf::Staged];
        SHELVES.into_iter().any(|shelf| self.0.places.length(shelf, part.hash) == Some(u64::from(part.bytes)))
    }

    /// A chunk, checked against its name; `None` where it is not here, or was damaged and has been set aside.
    ///
    /// # Errors
    /// When the disk cannot be read.
    pub fn chunk(&self, hash: Hash) -> Result<Option<Vec<u8>>, VaultError> {
        for shelf in [Shelf::Chunks, Shelf::Whole, Shelf::Staged] {
            let Some(bytes) = self.0.places.read(shelf, hash)? else { continue };
            if hash_of(&bytes) == hash {
                return Ok(Some(bytes));
            }
            self.0.places.set_aside(shelf, hash)?;
        }
        Ok(None)
    }

    /// Forgets a content that is not whole, so that it counts as missing; its chunks stay, for when it comes again.
    pub(crate) fn forget(&self, content: Hash) -> Result<(), VaultError> {
        self.0.places.remove(Shelf::Recipes, content)
    }

    /// Reads a whole content and sets aside what is damaged. `false` where it is not here, or not whole any longer.
    ///
    /// # Errors
    /// When the disk cannot be read.
    pub fn verify(&self, content: Hash) -> Result<bool, VaultError> {
        let mut reader = match self.reader(content) {
            Err(VaultError::Missing(_)) => return Ok(false),
            reader => reader?,
        };
        loop {
            match reader.next_part() {
                Ok(Some(_)) => {}
                Ok(None) => return Ok(true),
                Err(VaultError::Missing(_) | VaultError::Damaged { .. }) => return Ok(false),
                Err(other) => return Err(other),
            }
        }
    }

    /// How much is here. The first call looks at every file, later ones know it.
    ///
    /// # Errors
    /// When the disk cannot be read.
    pub fn usage(&self) -> Result<Usage, VaultError> {
        if let Some(usage) = self.counted() {
            return Ok(usage);
        }
        // Nothing may come or go meanwhile: what is found here and told of by who brings it would count twice.
        let _still = self.0.gate.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(usage) = self.counted() {
            return Ok(usage);
        }
        let mut counted = Usage::default();
        for shelf in [Shelf::Whole, Shelf::Chunks, Shelf::Recipes] {
            self.0.places.each(shelf, &mut |_, bytes, _| {
                counted.contents += u64::from(shelf != Shelf::Chunks);
                counted.bytes += bytes;
                Ok(())
            })?;
        }
        *self.0.usage.lock().unwrap_or_else(PoisonError::into_inner) = Some(counted);
        Ok(counted)
    }

    /// All contents that are here, in no order.
    ///
    /// # Errors
    /// When the disk cannot be read.
    pub fn contents(&self, each: &mut dyn FnMut(Hash)) -> Result<(), VaultError> {
        for shelf in [Shelf::Whole, Shelf::Recipes] {
            self.0.places.each(shelf, &mut |hash, _, _| {
                each(hash);
                Ok(())
            })?;
        }
        Ok(())
    }

    fn counted(&self) -> Option<Usage> {
        *self.0.usage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was counted is counted anew when somebody asks. Not to be called by who holds the gate.
    pub(crate) fn recount(&self) {
        // A count that goes on now may have seen what is gone.
        let _not_while_counting = self.0.gate.read().unwrap_or_else(PoisonError::into_inner);
        *self.0.usage.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn grown(&self, contents: u64, bytes: u64) {
        if let Some(usage) = &mut *self.0.usage.lock().unwrap_or_else(PoisonError::into_inner) {
            usage.contents += contents;
            usage.bytes += bytes;
        }
    }

    /// Stages a chunk, unless it is here for good; whether it did. Not durable before its content is
    /// [`Self::complete`].
    pub(crate) fn stage(&self, hash: Hash, bytes: &[u8]) -> Result<bool, VaultError> {
        let places = &self.0.places;
        let _not_while_removing = self.0.gate.read().unwrap_or_else(PoisonError::into_inner);
        for shelf in [Shelf::Chunks, Shelf::Whole] {
            // A name alone proves nothing: there may be damage that nobody has read yet, and whoever brings the good
            // bytes may be about to throw his away. They take its place.
            let Some(length) = places.length(shelf, hash) else { continue };
            if length == bytes.len() as u64 && places.read(shelf, hash)?.is_some_and(|there| there == bytes) {
                places.touch(shelf, hash);
                return Ok(false);
            }
            places.set_aside(shelf, hash)?;
        }
        let new = places.write_new(bytes, false)?;
        places.put(&new, Shelf::Staged, hash)?;
        let before = self.0.unsynced.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        if before / UNSYNCED_BYTES_MAX == (before + bytes.len() as u64) / UNSYNCED_BYTES_MAX {
            return Ok(true);
        }
        self.flush().map(|()| true)
    }

    /// Begins to make durable what was written, and waits for the one before it, so that no more than twice as much waits
    /// for the disk.
    fn flush(&self) -> Result<(), VaultError> {
        let mut flushing = self.0.flushing.lock().unwrap_or_else(PoisonError::into_inner);
        flushed(flushing.take())?;
        let root = self.0.places.root().to_owned();
        match std::thread::Builder::new().name("flush".to_owned()).spawn(move || sync_all(&root)) {
            Ok(thread) => *flushing = Some(thread),
            // Without a thread it takes its time here.
            Err(_) => self.0.places.sync_all()?,
        }
        Ok(())
    }

    /// Makes all durable that was written.
    fn sync_all(&self) -> Result<(), VaultError> {
        let begun = self.0.flushing.lock().unwrap_or_else(PoisonError::into_inner).take();
        // What it could not write nobody would hear of otherwise: the system tells such an error once.
        flushed(begun)?;
        self.0.places.sync_all()
    }

    /// Takes a chunk away that was staged for a content which does not come after all.
    pub(crate) fn unstage(&self, hash: Hash) {
        let _not_while_removing = self.0.gate.read().unwrap_or_else(PoisonError::into_inner);
        // Where it stays, the sweep takes it.
        let _left = self.0.places.remove(Shelf::Staged, hash);
    }

    /// Makes a content durable, all of whose chunks are here, and lets it be found.
    pub(crate) fn complete(&self, recipe: &Recipe) -> Result<(), VaultError> {
        let places = &self.0.places;
        let _not_while_removing = self.0.gate.read().unwrap_or_else(PoisonError::into_inner);
        let content = recipe.content();
        // Whoever brought it is about to name it, however long it has been here.
        for shelf in [Shelf::Whole, Shelf::Recipes] {
            places.touch(shelf, content);
        }
        // Chunks that were staged take the place of damaged ones.
        let is_staged = |part: &Part| places.length(Shelf::Staged, part.hash).is_some();
        if self.has(content) && !recipe.parts().iter().any(is_staged) {
            return Ok(());
        }
        let is_single = recipe.parts().len() == 1;
        self.sync_all()?;
        let mut bytes = 0;
        for part in recipe.parts() {
            let staged = places.path(Shelf::Staged, part.hash);
            if is_staged(part) {
                places.put(&staged, if is_single { Shelf::Whole } else { Shelf::Chunks }, part.hash)?;
                bytes += u64::from(part.bytes);
            } else if is_single && places.length(Shelf::Chunks, part.hash).is_some() {
                // A chunk of others that is a content of its own too is found by them on either shelf.
                places.put(&places.path(Shelf::Chunks, part.hash), Shelf::Whole, part.hash)?;
            } else if !self.holds(*part) {
                return Err(VaultError::Missing(content));
            } else {
                // It was of others so far, who may be removed in this moment.
                for shelf in [Shelf::Chunks, Shelf::Whole] {
                    places.touch(shelf, part.hash);
                }
            }
        }
        if is_single {
            places.sync_folder(Shelf::Whole, content)?;
        } else {
            let file = recipe.to_file();
            bytes += file.len() as u64;
            let new = places.write_new(&file, true)?;
            // The names of the chunks must be as durable as the recipe that counts on them.
            self.sync_all()?;
            places.put(&new, Shelf::Recipes, content)?;
            places.sync_folder(Shelf::Recipes, content)?;
        }
        self.grown(1, bytes);
        Ok(())
    }
}

fn flushed(thread: Option<JoinHandle<Result<(), VaultError>>>) -> Result<(), VaultError> {
    // A thread that broke off made nothing durable, and who waits for it does that then.
    thread.and_then(|thread| thread.join().ok()).unwrap_or(Ok(()))
}
