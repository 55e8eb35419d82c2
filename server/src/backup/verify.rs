//! Whether a backup can be restored: it is restored, to a place that nobody uses, opened as a node is, and followed from
//! the first entry of its log to the last. What came of it is noted beside the manifest.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use jiff::Zoned;
use mytism_app::App;
use mytism_app::soundness::Sound;
use mytism_app::surroundings::Machine;
use mytism_core::failure::Failure;
use mytism_store::Store;
use mytism_store::sqlite::SqliteStore;
use serde::{Deserialize, Serialize};

use super::manifest::{Manifest, Within, damaged};
use super::place::check_user;
use super::{NUMBERS, Phase, Progress, Step, check_place, contents, find, plain, remove, unpack};
use crate::ledger::FileLedger;
use crate::project::{Project, make_directory, write_durably};

/// Where a proof is noted, within the directory of its backup.
const FILE: &str = "verified.json";
/// Failures that say nothing about what is in a backup.
const OF_THE_MACHINE: [&str; 4] = ["file-error", "disk-full", "disk-error", "newer-backup"];
/// A note that is larger is none.
const BYTES_MAX: u64 = 64 << 10;

/// That a backup was restored and found to be whole.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Proof {
    /// When it was begun, RFC 3339 in the zone of the machine.
    pub time: String,
    /// Seconds that it took, rounded up.
    pub seconds: u64,
    /// Number of the last entry of the log.
    pub position: u64,
    /// Entries that were followed.
    pub entries: u64,
    /// Objects that are not deleted.
    pub objects: u64,
    /// Parts that are what they were.
    pub parts: u64,
    /// Contents of files that were not at the node when the backup was made.
    #[serde(default)]
    pub missing: u64,
}

impl Proof {
    /// The last proof of a backup, where there is one that can be read.
    #[must_use]
    pub fn read(backup: &Path) -> Option<Self> {
        serde_json::from_slice(&plain::read(&backup.join(FILE), BYTES_MAX).ok()?).ok()
    }

    /// Takes the proof of a backup back.
    fn withdraw(backup: &Path) {
        let path = backup.join(FILE);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                tracing::warn!("{} no longer holds and cannot be taken away: {error}", path.display());
            }
            _ => {}
        }
    }

    fn write(&self, backup: &Path) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(self);
        let text = text.map_err(|error| Failure::failed("internal", error.to_string()))? + "\n";
        write_durably(&backup.join(FILE), text.as_bytes())
    }
}

/// Restores a backup to a scratch directory and looks at all of it. The node may run meanwhile. A backup that turns out
/// to be damaged is no longer told to be proven.
///
/// # Errors
/// `no-project`, `unknown-backup`, `backup-damaged`, `newer-backup`, or that the disk refuses.
pub fn verify(directory: &Path, name: &str, progress: &mut Progress<'_>) -> Result<Proof, Failure> {
    check_place(directory)?;
    let project = Project::at(directory);
    let backup = find(&project, name)?;
    check_user(&project)?;
    let proven = proven(&project, &backup, progress);
    if proven.as_ref().is_err_and(|failure| !OF_THE_MACHINE.contains(&failure.code.as_str())) {
        Proof::withdraw(&backup);
    }
    proven
}

fn proven(project: &Project, backup: &Path, progress: &mut Progress<'_>) -> Result<Proof, Failure> {
    let (begun, time) = (Instant::now(), Zoned::now());
    let manifest = Manifest::read(backup)?;
    let scratch = project.backups().join(format!(".verify-{}", std::process::id()));
    make_directory(&project.backups())?;
    let free = super::restore::free_bytes(&project.backups())?;
    super::restore::check_room(manifest.unpacked(), free, &project.backups())?;
    remove(&scratch)?;
    make_directory(&scratch)?;
    let proven = in_scratch(backup, &manifest, &scratch, progress);
    let removed = remove(&scratch);
    let sound = proven.map_err(|failure| failure.within(backup))?;
    removed?;
    let proof = Proof {
        time: time.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string(),
        seconds: begun.elapsed().as_millis().div_ceil(1_000).try_into().unwrap_or(u64::MAX),
        position: manifest.position,
        entries: sound.entries,
        objects: sound.objects,
        parts: manifest.parts() as u64,
        missing: manifest.missing,
    };
    // A backup on a medium that cannot be written is as good.
    if let Err(failure) = proof.write(backup) {
        tracing::warn!("that {} was verified cannot be noted: {}", backup.display(), failure.message);
    }
    Ok(proof)
}

fn in_scratch(
    backup: &Path,
    manifest: &Manifest,
    scratch: &Path,
    progress: &mut Progress<'_>,
) -> Result<Sound, Failure> {
    if manifest.kind == Manifest::NODE_SETUP {
        super::node_setup::load(backup, manifest, scratch, progress)?;
    } else {
        unpack::unpack(backup, manifest, scratch, progress)?;
        let (files, store) = (contents::Files::read(scratch)?, contents::store_of(backup));
        if let Err(failure) = files.prove(&store, None, progress) {
            let count = files.set_aside(&store);
            let message = format!("{}; {count} damaged contents of files were set aside", failure.message);
            let hint =
                "make a new backup: it puts them there anew, for the older ones too, where the node still has them";
            return Err(if count == 0 { failure } else { Failure { message, ..failure }.hint(hint) });
        }
    }
    let app = open(&scratch.join("data"), &scratch.join(NUMBERS))?;
    prove(&app, manifest, progress)
}

/// Opens the node that was unpacked, with its note of ids and numbers.
pub(super) fn open(data: &Path, numbers: &Path) -> Result<App, Failure> {
    let store = SqliteStore::open(data).map_err(|error| error.failure())?;
    let schema = store.schema();
    let store: Arc<dyn Store> = Arc::new(store);
    let machine = Arc::new(Machine::with_ledger(FileLedger::at(numbers.to_owned())));
    App::open(store, schema, machine).map_err(|error| error.failure())
}

/// Looks at all of an unpacked node, and whether it is what the manifest says.
pub(super) fn prove(app: &App, manifest: &Manifest, progress: &mut Progress<'_>) -> Result<Sound, Failure> {
    let failure = |error: mytism_app::AppError| error.failure();
    let mut proving = |done: u64, total: u64| progress(Step { phase: Phase::Proving, done, total });
    let sound = app.prove(&mut proving).map_err(|error| damaged(&error.failure().message))?;
    let head = app.view().and_then(|view| Ok(view.head()?)).map_err(failure)?;
    let hash = head.map(|head| head.hash.to_string()).unwrap_or_default();
    let number = head.map_or(0, |head| head.position.number);
    let identity = app.identity();
    let found = (number, hash, sound.objects, sound.pending, identity.name, identity.node.0);
    let expected = (
        manifest.position,
        manifest.hash.clone(),
        manifest.objects,
        manifest.pending,
        manifest.node.clone(),
        manifest.number,
    );
    let cluster = app.cluster().map_err(failure)?.to_string();
    if found != expected || cluster != manifest.cluster {
        let what = format!(
            "it holds position {number}, {} objects and {} pending transactions of {}, and its manifest says otherwise",
            sound.objects, sound.pending, expected.4
        );
        return Err(damaged(&what));
    }
    Ok(sound)
}
