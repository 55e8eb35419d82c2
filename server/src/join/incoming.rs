//! What has arrived of a snapshot: its manifest and parts, durable under their hashes, so that a join that was broken off
//! goes on with them; and the database that is filled from them, which takes its place only when it is whole.

use std::collections::HashSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use mytism_app::snapshot::directory::{keep_manifest, keep_part, part_file, read_part, understand};
use mytism_app::snapshot::{Loader, Unpacked, unpack};
use mytism_app::{AppError, Identity};
use mytism_core::failure::Failure;
use mytism_core::id::{BlockId, Hash};
use mytism_core::schema::Schema;
use mytism_format::manifest::{Manifest, Part};
use mytism_store::sqlite::SqliteFilling;
use tokio::sync::mpsc;

use crate::project::{Project, file_failure, make_directory};

/// Parts that are unpacked and wait to be written: some ten megabytes each.
const READY: usize = 1;

/// A snapshot on its way. Whoever fetches one sees to it that nobody else fetches one to the same place meanwhile.
#[derive(Clone)]
pub(super) struct Incoming {
    directory: PathBuf,
    data: PathBuf,
    manifest: Arc<Manifest>,
    schema: Arc<Schema>,
}

impl Incoming {
    /// Begins with a manifest. Parts of an earlier attempt that it does not name are taken away.
    ///
    /// # Errors
    /// When the manifest or its schema is damaged or of a newer program, or the disk refuses.
    pub(super) fn begin(project: &Project, manifest: &[u8]) -> Result<Self, Failure> {
        let known = understand(manifest).map_err(|error| error.failure())?;
        let definition = mytism_format::schema::read(&known.schema).map_err(|error| AppError::from(error).failure())?;
        let schema = Schema::new(definition).map_err(|problems| {
            let first = problems.first().map_or_else(String::new, ToString::to_string);
            Failure::failed("schema-error", format!("the schema of the head office does not hold: {first}"))
        })?;
        let directory = place(project);
        make_directory(&directory)?;
        let named: HashSet<PathBuf> = known.parts.iter().map(|part| part_file(&directory, part.hash)).collect();
        let entries = fs::read_dir(&directory).map_err(|error| file_failure("read", &directory, &error))?;
        for path in entries.filter_map(|entry| entry.ok().map(|entry| entry.path())) {
            if !named.contains(&path) {
                remove(&path)?;
            }
        }
        keep_manifest(&directory, manifest).map_err(|error| error.failure())?;
        Ok(Self { directory, data: project.data(), manifest: Arc::new(known), schema: Arc::new(schema) })
    }

    pub(super) fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Parts that are not here, or not as they should be, in the order in which they are loaded, each once. Reads all
    /// that are.
    ///
    /// # Errors
    /// When one cannot be read.
    pub(super) fn missing(&self) -> Result<Vec<Hash>, Failure> {
        let mut missing = Vec::new();
        let mut seen = HashSet::new();
        for part in self.manifest.parts.iter().filter(|part| seen.insert(part.hash)) {
            if read_part(&self.directory, part.hash).map_err(|error| error.failure())?.is_none() {
                missing.push(part.hash);
            }
        }
        Ok(missing)
    }

    /// Fills the database from the parts, those that arrive meanwhile among them, which come in their order. `told` hears
    /// how many objects each part brought.
    ///
    /// # Errors
    /// When a part is damaged, none comes any more, or the disk refuses.
    pub(super) fn load(
        &self,
        missing: &[Hash],
        arriving: mpsc::Receiver<Vec<u8>>,
        told: &mpsc::UnboundedSender<u64>,
    ) -> Result<Loader, Failure> {
        let database = self.database();
        remove(&database)?;
        make_directory(&database)?;
        let filling = SqliteFilling::create(&database, Arc::clone(&self.schema)).map_err(|error| error.failure())?;
        let mut loader = Loader::from_manifest(Box::new(filling), &self.manifest);
        let missing: HashSet<Hash> = missing.iter().copied().collect();
        std::thread::scope(|scope| -> Result<(), AppError> {
            let (ready, parts): (SyncSender<Unpacked>, Receiver<Unpacked>) = sync_channel(READY);
            let (keep, kept): (SyncSender<Vec<u8>>, Receiver<Vec<u8>>) = sync_channel(READY);
            // Waiting for the disk, unpacking and loading go on beside one another.
            let order = &missing;
            let keeping = scope.spawn(move || self.keep_all(order, arriving, &keep));
            let unpacking = scope.spawn(move || self.unpack_all(order, &kept, &ready));
            let loaded = parts.into_iter().try_for_each(|part| {
                let count = loader.load(&part)?;
                if matches!(part, Unpacked::Objects(_)) {
                    // Who wants to hear of it may have been broken off.
                    let _unheard = told.send(count);
                }
                Ok(())
            });
            let broke_off = |_| AppError::failed("internal", "the work on a snapshot broke off");
            let (kept, unpacked) = (keeping.join().map_err(broke_off)?, unpacking.join().map_err(broke_off)?);
            // Who gets nothing more from the one before him merely ends.
            loaded.and(kept).and(unpacked)
        })
        .map_err(|error| error.failure())?;
        Ok(loader)
    }

    fn unpack_all(
        &self,
        missing: &HashSet<Hash>,
        kept: &Receiver<Vec<u8>>,
        ready: &SyncSender<Unpacked>,
    ) -> Result<(), AppError> {
        for (part, is_due) in self.due(missing) {
            let stored = if is_due {
                // What could not be kept is told by who tried.
                let Ok(stored) = kept.recv() else { return Ok(()) };
                stored
            } else {
                self.kept(part)?
            };
            if ready.send(unpack(part, &stored)?).is_err() {
                // Loading has failed, and tells why.
                break;
            }
        }
        Ok(())
    }

    fn keep_all(
        &self,
        missing: &HashSet<Hash>,
        mut arriving: mpsc::Receiver<Vec<u8>>,
        keep: &SyncSender<Vec<u8>>,
    ) -> Result<(), AppError> {
        for (part, _) in self.due(missing).filter(|(_, is_due)| *is_due) {
            let stored = arriving.blocking_recv();
            let stored = stored.ok_or_else(|| AppError::failed("interrupted", "the snapshot was broken off"))?;
            keep_part(&self.directory, part.hash, &stored)?;
            if keep.send(stored).is_err() {
                break;
            }
        }
        Ok(())
    }

    /// All parts, and whether they are still to come; one that stands there twice comes once.
    fn due<'m>(&'m self, missing: &'m HashSet<Hash>) -> impl Iterator<Item = (&'m Part, bool)> {
        let mut arrived = HashSet::new();
        let mut is_due = move |part: &Part| missing.contains(&part.hash) && arrived.insert(part.hash);
        self.manifest.parts.iter().map(move |part| (part, is_due(part)))
    }

    fn kept(&self, part: &Part) -> Result<Vec<u8>, AppError> {
        let stored = read_part(&self.directory, part.hash)?;
        stored.ok_or_else(|| AppError::failed("damaged-snapshot", "a part of the snapshot that was here is gone"))
    }

    /// Makes what was loaded the database of the branch.
    ///
    /// # Errors
    /// When parts are missing, or the disk refuses.
    pub(super) fn finish(&self, loader: Loader, identity: &Identity, blocks: &[BlockId]) -> Result<(), Failure> {
        let Manifest { position, hash, .. } = *self.manifest;
        loader.finish(identity, blocks, position, hash).map_err(|error| error.failure())?;
        let made = self.database();
        for entry in fs::read_dir(&made).map_err(|error| file_failure("read", &made, &error))? {
            let from = entry.map_err(|error| file_failure("read", &made, &error))?.path();
            let to = self.data.join(from.file_name().unwrap_or_default());
            fs::rename(&from, &to).map_err(|error| file_failure("rename", &from, &error))?;
        }
        let synced = fs::File::open(&self.data).and_then(|data| data.sync_all());
        synced.map_err(|error| file_failure("sync", &self.data, &error))
    }

    fn database(&self) -> PathBuf {
        self.directory.join("database")
    }
}

fn place(project: &Project) -> PathBuf {
    project.data().join("incoming")
}

/// Takes away what a node that is whole needs no more.
///
/// # Errors
/// When the disk refuses.
pub(crate) fn clear(project: &Project) -> Result<(), Failure> {
    remove(&place(project))
}

fn remove(path: &Path) -> Result<(), Failure> {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(file_failure("remove", path, &error)),
        _ => Ok(()),
    }
}
